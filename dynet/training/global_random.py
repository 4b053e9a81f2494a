"""The random numbers that a program draws without a generator of its own.

They come from three places: ``dynet.random``, ``numpy.random``'s functions and Python's
``random``. Like ``dynet.random``, this module itself may stand among the objects of a snapshot.
"""

import math
import random
from typing import Any

import numpy as np

from .. import random as dynet_random


def serialize(serializer: Any) -> None:
    """Give a serializer the states of all three, or take them from it.

    The stream of ``dynet.random`` is that of the running thread.
    """
    dynet_random.serialize(serializer["dynet"])
    serializer("numpy", np.random)
    version, words, gauss = random.getstate()
    # Python draws normal numbers in pairs: the second one waits, or there is none.
    words = serializer("python", np.array(words, np.uint32))
    gauss = serializer("python_gauss", math.nan if gauss is None else gauss)
    random.setstate((version, tuple(words.tolist()), None if math.isnan(gauss) else gauss))
