"""Sequences made from a formula or from random numbers, each a known test of memory."""

from typing import Any, NamedTuple

import numpy as np

from ..backend import is_integer
from ..initializers import get_rng

SINE_POINTS = 3200


def get_sine(segments: int | None = 10) -> np.ndarray:
    """A sum of four sines, 3,200 points of it: a signal to generate from memory alone.

    At a = 0, 0.01, ..., 31.99 the signal is 0.5 sin(2a) - 0.05 cos(17a + 0.8)
    + 0.05 sin(25a + 10) - 0.02 cos(45a + 0.3), divided by its largest absolute value, then
    less its mean.

    Args:
        segments: into how many segments of equal length it is cut; ``None`` for one long array.

    Returns:
        numpy.ndarray: float32 ``(segments, 3200 // segments)``, one segment after the other; or
        ``(3200,)``.

    Raises:
        ValueError: 3,200 points cannot be cut into so many.

    >>> from dynet.datasets import get_sine
    >>> get_sine().shape, get_sine(None).shape
    ((10, 320), (3200,))
    """
    if segments is not None:
        _check_integer("get_sine", "segments", segments, 1)
        if SINE_POINTS % segments:
            raise ValueError(
                f"get_sine: segments is {segments}, expected a divisor of {SINE_POINTS}, the "
                "number of points"
            )
    a = np.arange(SINE_POINTS) * 0.01
    signal = (
        0.5 * np.sin(2 * a)
        - 0.05 * np.cos(17 * a + 0.8)
        + 0.05 * np.sin(25 * a + 10)
        - 0.02 * np.cos(45 * a + 0.3)
    )
    signal /= np.abs(signal).max()
    signal -= signal.mean()
    signal = signal.astype(np.float32)
    return signal if segments is None else signal.reshape(segments, -1)


class AddingProblem(NamedTuple):
    """Sequences of numbers of which two are marked, and the sum of those two.

    Attributes:
        inputs: float32 ``(n, max_length, 2)``: at each step a number from 0 to 1, and a mark
            that is 1 at exactly two steps, else 0; both 0 behind the sequence's end.
        mask: bool ``(n, max_length)``: whether a step belongs to the sequence.
        targets: float32 ``(n, 1)``: the sum of the two marked numbers.
    """

    inputs: np.ndarray
    mask: np.ndarray
    targets: np.ndarray


def get_adding_problem(
    n: int, min_length: int = 50, max_length: int | None = None, rng: Any = None
) -> AddingProblem:
    """The adding problem: find two marked numbers in a sequence, far apart, and add them.

    One mark is in the first half of the sequence, the other in the second. A model that always
    answers 1 has a mean squared error of 1/6, about 0.167.

    Args:
        n: how many sequences.
        min_length: of a sequence, in steps; at least 2.
        max_length: by default a tenth more than ``min_length``: 50 to 55 steps. Lengths between
            the two are equally likely.
        rng: a seed or generator; NumPy's global state by default.

    Returns:
        AddingProblem: ``(inputs, mask, targets)``, examples along the first axis: float32
        ``(n, max_length, 2)``, bool ``(n, max_length)``, float32 ``(n, 1)``. The lengths are
        ``mask.sum(axis=1)``; ``inputs.swapaxes(0, 1)`` puts the steps first.

    Raises:
        ValueError: ``n`` is negative, ``min_length`` less than 2, or ``max_length`` less than
            ``min_length``; or one is no integer.

    >>> from dynet.datasets import get_adding_problem
    >>> inputs, mask, targets = get_adding_problem(100, rng=0)
    >>> inputs.shape, mask.shape, targets.shape
    ((100, 55, 2), (100, 55), (100, 1))
    >>> bool(((inputs[:, :, 0] * inputs[:, :, 1]).sum(axis=1) == targets[:, 0]).all())
    True

    Source: S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997),
    experiment 4; with numbers from 0 to 1 and a mark in either half.
    """
    _check_integer("get_adding_problem", "n", n, 0)
    _check_integer("get_adding_problem", "min_length", min_length, 2)
    if max_length is None:
        max_length = min_length + min_length // 10
    _check_integer("get_adding_problem", "max_length", max_length, min_length)
    rng = get_rng(rng)
    lengths = min_length + _below(rng, np.full(n, max_length - min_length + 1))
    mask = np.arange(max_length) < lengths[:, None]
    first = _below(rng, lengths // 2)
    second = lengths // 2 + _below(rng, lengths - lengths // 2)
    inputs = np.zeros((n, max_length, 2), np.float32)
    inputs[:, :, 0] = np.where(mask, rng.random(mask.shape), 0)
    rows = np.arange(n)
    inputs[rows, first, 1] = inputs[rows, second, 1] = 1
    targets = inputs[rows, first, 0] + inputs[rows, second, 0]
    return AddingProblem(inputs, mask, targets[:, None])


class BinaryAddition(NamedTuple):
    """Pairs of numbers bit by bit, and their sums.

    Attributes:
        inputs: float32 ``(n, bits, 2)``: at each step a bit of either number, the least first.
        targets: float32 ``(n, bits)``: the bits of the sum.
    """

    inputs: np.ndarray
    targets: np.ndarray


def get_binary_addition(n: int, bits: int = 8, rng: Any = None) -> BinaryAddition:
    """Binary addition as a sequence: two numbers go in bit by bit, their sum comes out.

    The least bit comes first, so that all that a model must remember is the carry. The numbers
    have one bit less than the sum, which therefore always fits: the last step adds only the
    carry.

    Args:
        n: how many pairs.
        bits: how many bits, that is steps, the sum has; at least 2.
        rng: a seed or generator; NumPy's global state by default.

    Returns:
        BinaryAddition: ``(inputs, targets)``, examples along the first axis: float32
        ``(n, bits, 2)`` and ``(n, bits)``, all 0 or 1. ``inputs.swapaxes(0, 1)`` puts the steps
        first.

    Raises:
        ValueError: ``n`` is negative or ``bits`` less than 2; or one is no integer.

    >>> from dynet.datasets import get_binary_addition
    >>> inputs, targets = get_binary_addition(1000, bits=4, rng=0)
    >>> inputs[0].T  # 2 and 3
    array([[0., 1., 0., 0.],
           [1., 1., 0., 0.]], dtype=float32)
    >>> targets[0]  # 5
    array([1., 0., 1., 0.], dtype=float32)
    """
    _check_integer("get_binary_addition", "n", n, 0)
    _check_integer("get_binary_addition", "bits", bits, 2)
    addends = np.zeros((n, bits, 2), bool)
    addends[:, :-1] = get_rng(rng).random((n, bits - 1, 2)) < 0.5
    sums = np.empty((n, bits), np.float32)
    carry = np.zeros(n, int)
    for step in range(bits):
        total = carry + addends[:, step].sum(axis=1)
        sums[:, step] = total % 2
        carry = total // 2
    return BinaryAddition(addends.astype(np.float32), sums)


def _below(rng, ends):
    """A random integer from 0 up to each of the ends, which it does not reach."""
    return (rng.random(ends.shape) * ends).astype(int)


def _check_integer(function, argument, value, least):
    if not is_integer(value) or value < least:
        raise ValueError(
            f"{function}: {argument} is {value!r}, expected an integer of at least {least}"
        )
