"""Snapshots: all that a hand-written loop has to remember, in one file."""

import os
import random

import numpy as np
import pytest

import dynet
import dynet.links as L
from dynet.iterators import SerialIterator
from dynet.training import global_random, resume, snapshot


@pytest.fixture
def path(tmp_path):
    return tmp_path / "snapshot.npz"


def draws():
    """A number from each of the places that all of a program shares."""
    return [
        dynet.random.uniform((3,)).tolist(),
        np.random.normal(size=3).tolist(),
        [random.random(), random.gauss(0, 1)],
    ]


def perturb():
    dynet.random.seed(np.random.default_rng().integers(2**63))
    np.random.seed()
    random.seed()


def test_resume_without_a_file_says_so_and_changes_nothing(path):
    link = L.Linear(2, 3)
    before = link.W.array.copy()
    assert resume(path, link=link) is False
    np.testing.assert_array_equal(link.W.array, before)


def test_links_optimizers_iterators_generators_and_numbers_come_back(path):
    def make(seed):
        link = L.Linear(2, 3, initialW=dynet.initializers.Normal(rng=seed))
        return {
            "link": link,
            "optimizer": dynet.optimizers.Adam().setup(link),
            "iterator": SerialIterator(range(10), 3, rng=seed),
            "rng": np.random.default_rng(seed),
            "state": {"epoch": seed, "name": f"run {seed}", "sums": np.full(2, float(seed))},
        }

    one, other = make(1), make(2)
    next(one["iterator"])
    snapshot(path, **one)
    assert resume(path, **other) is True
    np.testing.assert_array_equal(one["link"].W.array, other["link"].W.array)
    assert next(one["iterator"]) == next(other["iterator"])
    assert one["rng"].random() == other["rng"].random()
    assert (other["state"]["epoch"], other["state"]["name"]) == (1, "run 1")
    assert other["state"]["sums"].tolist() == [1.0, 1.0]


def test_all_global_random_numbers_go_on_without_being_asked_for(path):
    random.gauss(0, 1)  # the second of its pair waits
    snapshot(path)
    expected = draws()
    perturb()
    resume(path)
    assert draws() == expected


def test_a_snapshot_draws_no_random_numbers(path):
    perturb()
    resume(path)
    snapshot(path)
    expected = draws()
    resume(path)
    snapshot(path)
    assert draws() == expected


def test_a_parameter_that_waits_for_its_size_does_not_disturb_the_random_numbers(path):
    snapshot(path, link=L.Linear(4, 2))
    expected = draws()
    waiting = L.Linear(None, 2)
    resume(path, link=waiting)
    assert draws() == expected
    assert waiting.W.shape == (2, 4)


def test_one_object_can_be_loaded_by_itself(path):
    link = L.Linear(2, 3)
    snapshot(path, model=link, state={"epoch": 1})
    other = L.Linear(2, 3)
    dynet.serializers.load_npz(path, other, path="model")
    np.testing.assert_array_equal(link.W.array, other.W.array)


@pytest.mark.parametrize("value", [3, 0.5, "text", True, np.int64(2)])
@pytest.mark.parametrize("function", [snapshot, resume])
def test_a_bare_number_is_refused_with_the_way_to_write_it(function, value, path):
    with pytest.raises(TypeError, match=f"{function.__name__}: epoch is .* state={{'epoch': "):
        function(path, epoch=value)
    assert not path.exists()


def test_the_name_of_the_random_states_is_taken(path):
    with pytest.raises(TypeError, match="_random is taken"):
        snapshot(path, _random=L.Linear(1, 1))


def test_what_cannot_be_saved_leaves_the_old_file(path):
    state = {"epoch": 1}
    snapshot(path, state=state)
    with pytest.raises(TypeError, match="thing"):
        snapshot(path, keep=2, thing=object())
    assert os.listdir(path.parent) == ["snapshot.npz"]
    state["epoch"] = 5
    assert resume(path, state=state)
    assert state == {"epoch": 1}


def test_a_snapshot_of_another_model_changes_nothing_and_names_what_differs(path):
    snapshot(path, a=L.Linear(2, 3), state={"n": 1})
    link, state = L.Linear(2, 4), {"n": 0}
    w = link.W.array.copy()
    before = dynet.random.get_state()
    with pytest.raises(ValueError, match="a/W"):
        resume(path, a=link, state=state)
    np.testing.assert_array_equal(link.W.array, w)
    assert (state, dynet.random.get_state()) == ({"n": 0}, before)


def test_keep_leaves_the_last_ones_under_numbered_names(path):
    for i in range(5):
        snapshot(path, keep=3, state={"i": i})
    assert sorted(os.listdir(path.parent)) == ["snapshot.npz", "snapshot.npz.1", "snapshot.npz.2"]
    for name, i in {"": 4, ".1": 3, ".2": 2}.items():
        state = {"i": -1}
        resume(f"{path}{name}", state=state)
        assert state == {"i": i}


def test_keep_works_where_files_cannot_have_two_names(path, monkeypatch):
    def refuse(*args):
        raise OSError("not here")

    monkeypatch.setattr(os, "link", refuse)
    for i in range(2):
        snapshot(path, keep=2, state={"i": i})
    state = {"i": -1}
    assert resume(f"{path}.1", state=state)
    assert state == {"i": 0}


def test_keep_is_at_least_one(path):
    with pytest.raises(ValueError, match="keep is 0"):
        snapshot(path, keep=0)


def test_the_global_random_states_can_be_saved_by_themselves(path):
    dynet.serializers.save_npz(path, {"random": global_random})
    expected = draws()
    perturb()
    dynet.serializers.load_npz(path, {"random": global_random})
    assert draws() == expected
