"""Optimizers: how parameters follow their gradients."""

from .gradient_methods import SGD, Adam
from .optimizer import Optimizer

__all__ = ["SGD", "Adam", "Optimizer"]
