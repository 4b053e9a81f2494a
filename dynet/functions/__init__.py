"""The differentiable functions, a file a family; importing them gives Variable its operators."""

from .activation import relu
from .arithmetic import absolute, matmul
from .array import broadcast_to, get_item, reshape, transpose
from .connection import embed_id, linear
from .evaluation import accuracy
from .loss import softmax_cross_entropy
from .math import exp, log, mean, sum

__all__ = [
    "absolute",
    "accuracy",
    "broadcast_to",
    "embed_id",
    "exp",
    "get_item",
    "linear",
    "log",
    "matmul",
    "mean",
    "relu",
    "reshape",
    "softmax_cross_entropy",
    "sum",
    "transpose",
]
