"""Rows of activations."""

import numpy as np

import dynet.functions as F

from .row import elementwise, torch_function

ROWS = [
    elementwise("relu", F.relu, lambda x: np.maximum(x, 0), torch_function("relu")),
]
