"""Triggers: when a Trainer calls an extension, or stops."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from dynet.serializers import load_npz, save_npz
from dynet.training import get_trigger
from dynet.training.triggers import (
    EarlyStoppingTrigger,
    IntervalTrigger,
    ManualScheduleTrigger,
    MaxValueTrigger,
    MinValueTrigger,
    OnceTrigger,
    TimeTrigger,
)

PER_EPOCH = 4  # iterations


def at(iteration, **observation):
    """A trainer after so many iterations."""
    updater = SimpleNamespace(iteration=iteration, epoch_detail=iteration / PER_EPOCH)
    return SimpleNamespace(updater=updater, observation=observation, elapsed_time=iteration * 0.5)


def fires(trigger, iterations=range(1, 13)):
    return [i for i in iterations if trigger(at(i))]


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (IntervalTrigger(3, "iteration"), [3, 6, 9, 12]),
        (IntervalTrigger(1, "epoch"), [4, 8, 12]),
        (IntervalTrigger(1.5, "epoch"), [6, 12]),
        (IntervalTrigger(0.5, "epoch"), [2, 4, 6, 8, 10, 12]),
        (IntervalTrigger(math.inf, "epoch"), []),
        (ManualScheduleTrigger([2, 7], "iteration"), [2, 7]),
        (ManualScheduleTrigger([0.6, 2], "epoch"), [3, 8]),
        (ManualScheduleTrigger(5, "iteration"), [5]),
        (ManualScheduleTrigger(np.array([2, 7]), "iteration"), [2, 7]),
        (OnceTrigger(), [1]),
        (TimeTrigger(2), [4, 8, 12]),
        (TimeTrigger(0.2), list(range(1, 13))),
        (get_trigger((5, "iteration")), [5, 10]),
        (get_trigger(None), []),
        (get_trigger(lambda trainer: trainer.updater.iteration == 7), [7]),
    ],
)
def test_it_fires_at(trigger, expected):
    assert fires(trigger) == expected


@pytest.mark.parametrize("steps", [3, 7, 10, 49])
def test_parts_of_an_epoch_that_floats_cannot_hold_are_not_missed(steps):
    part, epochs = 1 / steps, 20
    points = [i * part for i in range(1, epochs * steps + 1)]
    updaters = [
        SimpleNamespace(epoch_detail=i // steps + i % steps / steps)
        for i in range(1, epochs * steps + 1)
    ]
    for trigger in IntervalTrigger(part, "epoch"), ManualScheduleTrigger(points, "epoch"):
        assert all(trigger(SimpleNamespace(updater=updater)) for updater in updaters)


def test_nothing_fires_before_the_first_update():
    for trigger in IntervalTrigger(2, "epoch"), IntervalTrigger(2, "iteration"), TimeTrigger(1):
        assert not trigger(at(0))


def test_an_interval_that_was_passed_while_nobody_asked_fires_once():
    assert fires(IntervalTrigger(2, "iteration"), [1, 7, 8, 9]) == [7, 8]


@pytest.mark.parametrize(
    "make",
    [
        lambda: IntervalTrigger(3, "iteration"),
        lambda: IntervalTrigger(1, "epoch"),
        lambda: ManualScheduleTrigger([2, 7], "iteration"),
        lambda: OnceTrigger(),
        lambda: TimeTrigger(1.7),
    ],
)
@pytest.mark.parametrize("broken_at", [1, 2, 6, 7])
def test_it_goes_on_from_a_file(make, broken_at, tmp_path):
    one, other = make(), make()
    first = fires(one, range(1, broken_at))
    save_npz(tmp_path / "f", one)
    load_npz(tmp_path / "f", other)
    assert first + fires(other, range(broken_at, 13)) == fires(make())


def test_once_can_fire_again_in_a_run_that_goes_on(tmp_path):
    one, other = OnceTrigger(call_on_resume=True), OnceTrigger(call_on_resume=True)
    assert one(at(1))
    save_npz(tmp_path / "f", {"trigger": one, "one": np.ones(1)})
    load_npz(tmp_path / "f", {"trigger": other, "one": np.ones(1)})
    assert [other(at(2)), other(at(3))] == [True, False]


LOSSES = [5, 3, 4, 4, 2, 2, 1, 9, np.nan, 1, 1, 1]  # means over two: 4, 4, 2, 5, nan, 1


@pytest.mark.parametrize(
    ("kind", "expected"), [(MinValueTrigger, [2, 6, 12]), (MaxValueTrigger, [2, 8])]
)
@pytest.mark.parametrize("broken_at", [0, 1, 2, 5, 6, 9, 12])
def test_it_fires_at_the_best_mean_so_far_also_after_a_break(kind, expected, broken_at, tmp_path):
    trigger = kind("loss", (2, "iteration"))
    fired = []
    for i, loss in enumerate(LOSSES):
        if i == broken_at:
            save_npz(tmp_path / "f", trigger)
            trigger = kind("loss", (2, "iteration"))
            load_npz(tmp_path / "f", trigger)
        if trigger(at(i + 1, loss=np.float32(loss))):
            fired.append(i + 1)
    assert fired == expected


def test_a_value_that_is_not_observed_is_a_warning_that_says_what_was():
    trigger = MinValueTrigger("main/los", (1, "iteration"))
    with pytest.warns(UserWarning, match="waits for 'main/los'.* there was main/loss"):
        assert not trigger(at(1, **{"main/loss": 1.0}))


def stops_at(trigger, values, key="validation/main/loss"):
    for i, value in enumerate(values):
        if trigger(at(PER_EPOCH * (i + 1), **{key: value})):
            return i + 1


def test_early_stopping_fires_after_so_many_epochs_that_are_not_better():
    trigger = EarlyStoppingTrigger(monitor="validation/main/loss", patience=2)
    assert stops_at(trigger, [3, 2, 2.5, 1, 1, 1, 0]) == 6


@pytest.mark.parametrize(
    ("monitor", "mode", "epoch"),
    [("acc", "max", 4), ("main/accuracy", "auto", 4), ("acc", "auto", 3), ("acc", "min", 3)],
)
def test_early_stopping_takes_accuracies_to_be_better_when_larger(monitor, mode, epoch):
    trigger = EarlyStoppingTrigger(monitor=monitor, mode=mode, patience=2)
    assert stops_at(trigger, [1, 2, 1, 1, 1], monitor) == epoch


def test_early_stopping_fires_at_the_latest_when_it_is_told():
    trigger = EarlyStoppingTrigger(monitor="validation/main/loss", max_trigger=(3, "epoch"))
    assert stops_at(trigger, [5, 4, 3, 2, 1]) == 3
    assert trigger.get_training_length() == (3, "epoch")


def test_early_stopping_does_not_say_how_long_it_lasts_where_the_latest_end_is_a_function():
    assert EarlyStoppingTrigger(max_trigger=lambda trainer: False).get_training_length() is None


def test_early_stopping_says_how_it_stands(capsys):
    trigger = EarlyStoppingTrigger(monitor="loss", verbose=True)
    stops_at(trigger, [1.0, 2.0], "loss")
    assert capsys.readouterr().out.splitlines()[-1] == "loss: 2, best 1, 1 of 3 not better"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: IntervalTrigger(0, "epoch"), ValueError),
        (lambda: IntervalTrigger(1.5, "iteration"), ValueError),
        (lambda: IntervalTrigger(math.nan, "epoch"), ValueError),
        (lambda: IntervalTrigger(math.inf, "iteration"), ValueError),
        (lambda: IntervalTrigger("2", "epoch"), ValueError),
        (lambda: IntervalTrigger(1, "epochs"), ValueError),
        (lambda: ManualScheduleTrigger(1, "second"), ValueError),
        (lambda: TimeTrigger(0), ValueError),
        (lambda: TimeTrigger("1 h"), ValueError),
        (lambda: get_trigger(3), TypeError),
        (lambda: get_trigger("epoch"), TypeError),
        (lambda: get_trigger((1, "epoch", 2)), TypeError),
        (lambda: EarlyStoppingTrigger(patience=0), ValueError),
        (lambda: EarlyStoppingTrigger(mode="best"), ValueError),
    ],
)
def test_bad_settings_are_refused_with_a_sentence(call, error):
    with pytest.raises(error, match=r"\w+: \w+ is .*, expected"):
        call()
