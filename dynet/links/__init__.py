"""Functions with parameters."""

from .activation import Maxout, PReLU
from .arithmetic import Bias, Scale
from .connection import Bilinear, EmbedID, Linear
from .convolution import Convolution1D, Convolution2D, Deconvolution2D
from .model import Classifier
from .normalization import BatchNormalization, GroupNormalization, LayerNormalization
from .recurrent import LSTM, MGU, RNN, StatefulGRU, StatefulPeepholeLSTM
from .recurrent_cells import (
    StatelessGRU,
    StatelessLSTM,
    StatelessMGU,
    StatelessPeepholeLSTM,
    StatelessRNN,
)
from .sequences import (
    NStepBiGRU,
    NStepBiLSTM,
    NStepBiRNNReLU,
    NStepBiRNNTanh,
    NStepGRU,
    NStepLSTM,
    NStepRNNReLU,
    NStepRNNTanh,
)

__all__ = [
    "LSTM",
    "MGU",
    "RNN",
    "BatchNormalization",
    "Bias",
    "Bilinear",
    "Classifier",
    "Convolution1D",
    "Convolution2D",
    "Deconvolution2D",
    "EmbedID",
    "GroupNormalization",
    "LayerNormalization",
    "Linear",
    "Maxout",
    "NStepBiGRU",
    "NStepBiLSTM",
    "NStepBiRNNReLU",
    "NStepBiRNNTanh",
    "NStepGRU",
    "NStepLSTM",
    "NStepRNNReLU",
    "NStepRNNTanh",
    "PReLU",
    "Scale",
    "StatefulGRU",
    "StatefulPeepholeLSTM",
    "StatelessGRU",
    "StatelessLSTM",
    "StatelessMGU",
    "StatelessPeepholeLSTM",
    "StatelessRNN",
]
