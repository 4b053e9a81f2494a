"""Functions with parameters."""

from .activation import Maxout, PReLU
from .arithmetic import Bias, Scale
from .connection import Bilinear, EmbedID, Linear
from .convolution import Convolution1D, Convolution2D, Deconvolution2D
from .model import Classifier
from .normalization import BatchNormalization, GroupNormalization, LayerNormalization

__all__ = [
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
    "PReLU",
    "Scale",
]
