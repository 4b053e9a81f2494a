"""Schedules: values that they pass through, and what they refuse."""

import math
import pickle

import pytest

from dynet.optimizers import SGD
from dynet.optimizers.schedules import (
    cosine,
    exponential,
    inverse,
    linear,
    piecewise,
    polynomial,
    step,
    warmup,
)

# Each with values at some numbers of updates.
TABLE = {
    "exponential": (exponential(2, 0.5), {0: 2, 1: 1, 3: 0.25}),
    "exponential, every": (exponential(2, 0.25, every=10), {0: 2, 5: 1, 10: 0.5}),
    "inverse": (inverse(3, 0.5), {0: 3, 2: 1.5, 4: 1}),
    "inverse, power": (inverse(3, 1, power=0.5), {0: 3, 3: 1.5, 8: 1}),
    "inverse, constant": (inverse(3, 0), {0: 3, 10: 3}),
    "piecewise": (piecewise([3, 1, 2], [5, 7]), {0: 3, 4: 3, 5: 1, 6: 1, 7: 2, 10**9: 2}),
    "piecewise, one": (piecewise([3], []), {0: 3, 10**9: 3}),
    "piecewise, at once": (piecewise([3, 1], [0]), {0: 1, 10: 1}),
    "step": (step(8, 0.5, [3, 5]), {2: 8, 3: 4, 4: 4, 5: 2}),
    "polynomial": (polynomial(1, 10, 2), {0: 1, 5: 0.25, 10: 0, 11: 0}),
    "polynomial, end": (polynomial(2, 10, 0.5, end=1), {0: 2, 7.5: 1.5, 10: 1, 99: 1}),
    "linear": (linear(1, 10, end=2), {0: 1, 5: 1.5, 10: 2, 99: 2}),
    "cosine": (cosine(2, 12, end=1), {0: 2, 4: 1.75, 6: 1.5, 8: 1.25, 12: 1, 13: 1}),
    "cosine, restart": (cosine(2, 12, restart=1), {0: 2, 6: 1, 12: 2, 18: 1, 24: 2}),
    "cosine, longer": (cosine(2, 6, restart=2), {0: 2, 3: 1, 6: 2, 12: 1, 18: 2, 30: 1, 42: 2}),
    "warmup": (warmup(3, 4), {0: 1, 1: 2, 2: 3, 3: 4, 10: 4}),
    "warmup, then": (warmup(3, linear(4, 10)), {0: 1, 2: 3, 3: 4, 8: 2, 13: 0}),
    "warmup, none": (warmup(0, exponential(2, 0.5)), {0: 2, 1: 1}),
}


@pytest.mark.parametrize("schedule, expected", TABLE.values(), ids=TABLE)
def test_a_schedule_passes_through_its_values(schedule, expected):
    assert {t: schedule(t) for t in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule, expected", TABLE.values(), ids=TABLE)
def test_a_schedule_can_be_pickled(schedule, expected):
    assert [pickle.loads(pickle.dumps(schedule))(t) for t in expected] == [
        schedule(t) for t in expected
    ]


@pytest.mark.parametrize("schedule, expected", TABLE.values(), ids=TABLE)
def test_a_schedule_is_a_setting(schedule, expected):
    assert SGD(schedule).lr == schedule(0)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: exponential(1, 0), "exponential: rate is 0, expected a number > 0"),
        (lambda: exponential(1, 0.5, every=0), "exponential: every is 0"),
        (lambda: inverse(1, -1), "inverse: gamma is -1"),
        (lambda: piecewise([1, 2], []), "values has 2 entries and at 0, expected one more"),
        (lambda: piecewise([1, 2, 3], [5, 5]), r"piecewise: at is \(5, 5\), expected rising"),
        (lambda: step(1, -1, [3]), "step: rate is -1"),
        (lambda: polynomial(1, 0, 1), "polynomial: updates is 0"),
        (lambda: polynomial(1, 5, 0), "polynomial: power is 0"),
        (lambda: linear(1, math.nan), "updates is nan"),
        (lambda: cosine(1, 0), "cosine: updates is 0"),
        (lambda: cosine(1, 5, restart=0.5), "cosine: restart is 0.5, expected None or"),
        (lambda: warmup(-1, 1), "warmup: updates is -1"),
    ],
)
def test_a_setting_out_of_range_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()
