"""A row of the table: one function, what to try it on, and what it should say."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Row:
    """One function, with inputs to try it on and what it should say.

    The part of the name before the colon is the name in ``dynet.functions`` (or an operator's
    sign); what follows it tells several rows of one function apart.
    """

    name: str
    # On Variables.
    function: Callable
    # Each case goes from a random generator to a tuple of arrays: float64 where a gradient is
    # wanted, else integers. A function's rows have at least three cases, an empty array among them.
    cases: tuple[Callable, ...]
    # The same function in NumPy, on arrays, and in PyTorch, on tensors. Where it is NumPy's own
    # function, that is also called on Variables.
    numpy: Callable | None = None
    torch: Callable | None = None
    # Functions that are flat have no gradient, and so none to differentiate again.
    flat: bool = False
    # Measures, which are there to be looked at, have none either, whatever their slope.
    measure: bool = False
    # Why there is no case with an empty array, where the function has no meaning for one.
    never_empty: str | None = None
    # For `benchmarks.functions`: from (rows, columns) to inputs of about that size, or inputs by
    # a label that says their sizes; and a fused function put together from plain ones.
    bench: Callable | dict[str, Callable] | None = None
    composed: Callable | None = None
    # How far the value may be from NumPy's, relatively.
    rtol: float = 1e-13

    def __post_init__(self):
        object.__setattr__(
            self, "cases", self.cases if isinstance(self.cases, tuple) else (self.cases,)
        )


def arrays_of(case, dtype=np.float64):
    """The arrays of a case, the same ones every time; floating ones of the given dtype."""
    arrays = case(np.random.default_rng(0))
    return [np.asarray(a, dtype) if a.dtype.kind == "f" else a for a in arrays]


# -- builders of arrays -----------------------------------------------------------------------


def x(*shape):
    """Numbers of both signs, none of them near 0, where some functions have a kink."""
    return lambda rng: np.asarray(rng.uniform(0.3, 2, shape) * rng.choice([-1, 1], shape))


def positive(*shape):
    """Numbers from 0.3 to 2."""
    return uniform(0.3, 2, *shape)


def uniform(low, high, *shape):
    """Numbers within bounds."""
    return lambda rng: np.asarray(rng.uniform(low, high, shape))


def distinct(*shape):
    """Numbers no two of which are near each other: for functions that choose among them."""
    return lambda rng: (rng.permutation(int(np.prod(shape))).reshape(shape) + 0.5) / 4 - 1


def integers(low, high, *shape):
    """Integers from ``low`` to ``high`` - 1."""
    return lambda rng: np.asarray(rng.integers(low, high, shape))


def exactly(values):
    """These very values."""
    return lambda rng: np.array(values)


def inputs(*builders):
    """A case: the arrays of several builders."""
    return lambda rng: tuple(b(rng) for b in builders)


# -- rows -------------------------------------------------------------------------------------

SHAPES = ((3, 4), (), (0, 3), (2, 1, 3))


def elementwise(name, function, numpy=None, torch=None, build=x, **keywords):
    """The row of a function of each element of one array, on several shapes."""
    keywords.setdefault("bench", lambda n, m: inputs(build(n, m)))
    return Row(name, function, tuple(inputs(build(*s)) for s in SHAPES), numpy, torch, **keywords)


PAIRS = (((3, 4), (3, 4)), ((2, 1, 4), (3, 1)), ((3,), ()), ((0, 3), (3,)), ((4,), (0, 1)))


def pairwise(name, function, numpy=None, torch=None, build=x, **keywords):
    """The row of a function of two arrays, element by element, which broadcast."""
    keywords.setdefault("bench", lambda n, m: inputs(build(n, m), build(n, m)))
    cases = tuple(inputs(build(*s), build(*t)) for s, t in PAIRS)
    return Row(name, function, cases, numpy, torch, **keywords)


def torch_function(name, *arguments, **keywords):
    """A function of torch.nn.functional, or torch, found when called: PyTorch may not be there."""

    def call(*tensors):
        import torch

        module = torch.nn.functional if hasattr(torch.nn.functional, name) else torch
        return getattr(module, name)(*tensors, *arguments, **keywords)

    return call
