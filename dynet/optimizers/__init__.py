"""Optimizers: how parameters follow their gradients."""

# ruff: noqa: I001 - the order is that in which a reader should meet the names.
from . import schedules
from .optimizer import Optimizer
from .hyperparameter import Hyperparameter
from .gradient_method import GradientMethod
from .descent import SGD, MomentumSGD, CorrectedMomentumSGD, NesterovAG, MSVAG
from .adaptive import AdaDelta, AdaGrad, RMSprop, RMSpropGraves, SMORMS3
from .adam import Adam, AdaBound, AdamW, AMSBound, AMSGrad

__all__ = [
    "MSVAG",
    "SGD",
    "SMORMS3",
    "AMSBound",
    "AMSGrad",
    "AdaBound",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "CorrectedMomentumSGD",
    "GradientMethod",
    "Hyperparameter",
    "MomentumSGD",
    "NesterovAG",
    "Optimizer",
    "RMSprop",
    "RMSpropGraves",
    "schedules",
]
