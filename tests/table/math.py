"""Rows of elementary functions."""

import numpy as np

import dynet.functions as F

from .row import elementwise, positive, torch_function

ROWS = [
    elementwise("exp", F.exp, np.exp, torch_function("exp")),
    elementwise("log", F.log, np.log, torch_function("log"), build=positive),
]
