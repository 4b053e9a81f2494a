"""What parameters start from: callables that fill an array in place.

A link takes one as ``initialW`` and the like, a Parameter as its first argument. What they fill an
array with depends on its shape, the settings and the random numbers, never on how it lies in
memory.

>>> import numpy as np, dynet
>>> w = np.empty((2, 3))
>>> dynet.initializers.Identity(0.5)(w)
>>> w
array([[0.5, 0. , 0. ],
       [0. , 0.5, 0. ]])
"""

from .base import Initializer, generate_array, get_fans, get_rng
from .constant import Constant, Identity, NaN, One, Zero
from .normal import GlorotNormal, HeNormal, LeCunNormal, Normal
from .orthogonal import Orthogonal
from .uniform import GlorotUniform, HeUniform, LeCunUniform, Uniform

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LeCunNormal",
    "LeCunUniform",
    "NaN",
    "Normal",
    "One",
    "Orthogonal",
    "Uniform",
    "Zero",
    "generate_array",
    "get_fans",
    "get_rng",
]
