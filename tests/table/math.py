"""Rows of elementary functions."""

import math

import numpy as np
from scipy import special

import dynet.functions as F

from .row import Row, elementwise, exactly, inputs, positive, torch_function, uniform


def within(*shape):
    """Numbers inside of -1 to 1."""
    return uniform(-0.9, 0.9, *shape)


def _elementary(name, numpy, build=None, **keywords):
    """A function that dynet, NumPy and PyTorch call by one name."""
    if build is not None:
        keywords["build"] = build
    return elementwise(name, getattr(F, name), numpy, torch_function(name), **keywords)


def _clip(name, x_min, x_max):
    return elementwise(name, lambda x: F.clip(x, x_min, x_max), lambda x: np.clip(x, x_min, x_max))


# Across the bounds, and past where exp(-x * x) is nearly 0.
FAR = inputs(exactly([-5.0, -2.5, -1e-3, 1e-9, 2.5, 5.0]))

ROWS = [
    _elementary("exp", np.exp),
    _elementary("expm1", np.expm1),
    _elementary("log", np.log, positive),
    _elementary("log1p", np.log1p, within),
    _elementary("log2", np.log2, positive),
    _elementary("log10", np.log10, positive),
    _elementary("sqrt", np.sqrt, positive),
    _elementary("rsqrt", lambda x: x**-0.5, positive),
    _elementary("square", np.square),
    _elementary("sin", np.sin),
    _elementary("cos", np.cos),
    _elementary("tan", np.tan, within),
    _elementary("arcsin", np.arcsin, within),
    _elementary("arccos", np.arccos, within),
    _elementary("arctan", np.arctan),
    _elementary("sinh", np.sinh),
    _elementary("cosh", np.cosh),
    _elementary("erf", special.erf),
    Row("erf: far from 0", F.erf, FAR, np.vectorize(math.erf), torch_function("erf")),
    _elementary("erfc", special.erfc),
    Row("erfc: far from 0", F.erfc, FAR, np.vectorize(math.erfc), torch_function("erfc")),
    _elementary("sign", np.sign, flat=True),
    _elementary("floor", np.floor, flat=True),
    _elementary("ceil", np.ceil, flat=True),
    _elementary("fix", np.fix, flat=True),
    elementwise("fix: trunc", F.fix, np.trunc, flat=True),
    elementwise(
        "clip",
        lambda x: F.clip(x, -0.7, 1.1),
        lambda x: np.minimum(np.maximum(x, -0.7), 1.1),
        torch_function("clamp", min=-0.7, max=1.1),
    ),
    _clip("clip: only below", -0.7, None),
    _clip("clip: only above", None, 0.9),
    _clip("clip: no bounds", None, None),
    _clip("clip: bounds of NumPy", np.float64(-1), np.int64(1)),
    elementwise("clip: method", lambda x: x.clip(-0.7, 1.1), lambda x: x.clip(-0.7, 1.1)),
    elementwise("clip: np", lambda x: np.clip(x, -0.7, 1.1), lambda x: np.clip(x, -0.7, 1.1)),
    elementwise(
        "clip: np, by name", lambda x: np.clip(x, a_min=0.1, a_max=1), lambda x: np.clip(x, 0.1, 1)
    ),
]
