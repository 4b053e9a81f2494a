"""Iterators: which batches come, where they stand, and that a saved place is found again."""

import copy
import gc
import pickle
import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
from dynet.datasets import TupleDataset
from dynet.iterators import MultithreadIterator, SerialIterator, ShuffleOrderSampler
from dynet.serializers import load_npz, save_npz

KINDS = [SerialIterator, MultithreadIterator]


def place(iterator):
    return (
        iterator.current_position,
        iterator.epoch,
        iterator.is_new_epoch,
        iterator.epoch_detail,
        iterator.previous_epoch_detail,
    )


def steps(iterator, n):
    """What ``n`` calls give, and where the iterator stands after each."""
    return [(next(iterator, None), place(iterator)) for _ in range(n)]


def reload(saved, fresh, path):
    save_npz(path, saved)
    load_npz(path, fresh)
    return fresh


class Failing:
    """Numbers, one of which cannot be had."""

    def __init__(self, bad, error):
        self.bad, self.error = bad, error

    def __len__(self):
        return 6

    def __getitem__(self, i):
        if i == self.bad:
            raise self.error
        return i


# -- passes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_reaches_the_end_is_filled_up_from_the_next_pass(kind):
    it = kind(range(5), 3, shuffle=False)
    assert place(it) == (0, 0, False, 0.0, -1.0)
    assert next(it) == [0, 1, 2]
    assert place(it) == (3, 0, False, 0.6, 0.0)
    assert it.next() == [3, 4, 0]
    assert place(it) == (1, 1, True, 1.2, 0.6)
    assert next(it) == [1, 2, 3]
    assert place(it) == (4, 1, False, 1.8, 1.2)


@pytest.mark.parametrize("kind", KINDS)
def test_without_repeat_the_last_batch_is_short_and_the_last(kind):
    it = kind(range(5), 3, repeat=False, shuffle=False)
    assert list(it) == [[0, 1, 2], [3, 4]]
    assert place(it) == (0, 1, True, 1.0, 0.6)
    assert list(it) == []
    it.reset()
    assert place(it) == (0, 0, False, 0.0, -1.0)
    assert list(it) == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_may_be_longer_than_the_dataset(kind):
    it = kind("ab", 5, shuffle=False)
    assert next(it) == list("ababa")
    assert place(it) == (1, 2, True, 2.5, 0.0)
    assert list(kind("ab", 5, repeat=False, shuffle=False)) == [["a", "b"]]


def test_every_pass_has_every_example_in_another_order():
    it = SerialIterator(range(50), 50, rng=0)
    first, second = next(it), next(it)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second != list(range(50))


def test_a_seed_a_generator_and_the_global_state_make_the_order_repeatable():
    def order(**settings):
        return next(SerialIterator(range(20), 20, **settings))

    assert order(rng=3) == order(rng=3) == order(rng=np.random.default_rng(3)) != order(rng=4)
    assert order(order_sampler=ShuffleOrderSampler(3)) == order(rng=3)
    assert order(rng=np.random.RandomState(3)) == order(rng=np.random.RandomState(3))
    np.random.seed(1)
    first = order()
    assert first != order()
    np.random.seed(1)
    assert order() == first


def test_without_shuffling_the_global_state_is_left_alone():
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    next(SerialIterator(range(4), 2, shuffle=False))
    assert np.random.rand() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_sampler_says_what_comes(kind):
    asked = []

    def backwards_and_forwards(order, position):
        asked.append(position)
        return order[::-1]

    it = kind("abc", 2, order_sampler=backwards_and_forwards)
    assert [next(it) for _ in range(3)] == [["c", "b"], ["a", "a"], ["b", "c"]]
    assert asked == [0, 2, 1]


def test_an_order_sampler_may_shuffle_in_place_and_oversample():
    def sampler(order, position):
        order[:] = order[::-1]
        return np.resize(order, 4)

    it = SerialIterator([0, 1], 3, order_sampler=sampler)
    assert [next(it), next(it)] == [[1, 0, 1], [0, 0, 1]]
    assert it.epoch_detail == 1.5


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_asked_for_with_pythons_integers(kind):
    seen = []

    class Dataset(list):
        def __getitem__(self, i):
            seen.append(type(i))
            return i

    next(kind(Dataset("abcd"), 3))
    assert set(seen) == {int}


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_with_its_block(kind):
    with kind(range(4), 2) as it:
        next(it)
    it.finalize()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_goes_on_from_the_same_place_by_itself(kind, copied):
    it = kind(range(5), 2, rng=0)
    steps(it, 4)
    other = copied(it)
    expected = steps(other, 5)
    assert place(it) == steps(kind(range(5), 2, rng=0), 4)[-1][1]
    assert steps(it, 5) == expected


# -- a saved place --------------------------------------------------------------------------------

WALKS = st.fixed_dictionaries(
    {
        "n": st.integers(1, 9),
        "batch_size": st.integers(1, 12),
        "repeat": st.booleans(),
        "shuffle": st.booleans(),
        "before": st.integers(0, 8),
    }
)


@pytest.mark.parametrize(("saved_by", "loaded_by"), [(k, j) for k in KINDS for j in KINDS])
@given(walk=WALKS)
@settings(max_examples=25, deadline=None)
def test_after_loading_the_very_next_batch_comes(tmp_path_factory, saved_by, loaded_by, walk):
    data = np.arange(walk["n"]).tolist()
    how = {k: walk[k] for k in ("batch_size", "repeat", "shuffle")}
    path = tmp_path_factory.getbasetemp() / "place.npz"
    serial = SerialIterator(data, **how, rng=5)
    with saved_by(data, **how, rng=5) as first, loaded_by(data, **how, rng=99) as second:
        assert steps(first, walk["before"]) == steps(serial, walk["before"])
        next(second, None)  # it has begun with something else
        reload(first, second, path)
        assert place(second) == place(serial)
        assert steps(second, 6) == steps(first, 6) == steps(serial, 6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rng", [np.random.default_rng, np.random.RandomState])
def test_a_given_generator_is_loaded_in_place(tmp_path, kind, rng):
    first, mine = kind(range(5), 2, rng=rng(0)), rng(1)
    steps(first, 4)
    second = reload(first, kind(range(5), 2, rng=mine), tmp_path / "place")
    assert steps(second, 5) == steps(first, 5)
    assert second.order_sampler.rng is mine


def test_loading_changes_neither_what_was_given_out_nor_the_iterator_that_was_saved(tmp_path):
    first = SerialIterator(range(6), 6, rng=0)
    batch = next(first)
    other = SerialIterator(range(6), 6, rng=1)
    reload(first, other, tmp_path / "place")
    next(other)
    assert sorted(batch) == list(range(6))
    assert steps(first, 2) != steps(other, 2)


def test_an_order_sampler_with_a_state_is_saved_too(tmp_path):
    class Turning:
        turns = 0

        def __call__(self, order, position):
            self.turns += 1
            return np.roll(order, self.turns)

        def serialize(self, serializer):
            self.turns = serializer("turns", self.turns)

    first = SerialIterator(range(5), 2, order_sampler=Turning())
    steps(first, 6)
    second = reload(first, SerialIterator(range(5), 2, order_sampler=Turning()), tmp_path / "place")
    assert steps(second, 6) == steps(first, 6)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_place_in_a_dataset_of_another_length_is_refused(tmp_path, shuffle):
    save_npz(tmp_path / "place", SerialIterator(range(5), 2, shuffle=shuffle))
    other = SerialIterator(range(6), 2, shuffle=shuffle, rng=0)
    next(other)
    before = place(other)
    with pytest.raises(ValueError, match=r"order|dataset_length"):
        load_npz(tmp_path / "place", other)
    assert place(other) == before


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_place_with_shuffling_is_none_without(tmp_path, shuffle):
    save_npz(tmp_path / "place", SerialIterator(range(5), 2, shuffle=shuffle))
    with pytest.raises(ValueError, match=r"lacks.*too many"):
        load_npz(tmp_path / "place", SerialIterator(range(5), 2, shuffle=not shuffle))


@pytest.mark.parametrize(
    "wrong", [{"current_position": 5}, {"current_position": -1}, {"epoch": -1}, {"order": [9] * 5}]
)
def test_a_place_outside_the_dataset_is_refused_and_nothing_of_it_taken(tmp_path, wrong):
    save_npz(tmp_path / "place", SerialIterator(range(5), 2, rng=0))
    with np.load(tmp_path / "place") as file:
        values = dict(file)
    for name, value in wrong.items():
        values[name] = np.asarray(value, values[name].dtype)
    with open(tmp_path / "place", "wb") as file:
        np.savez(file, **values)
    it, same = SerialIterator(range(5), 2, rng=1), SerialIterator(range(5), 2, rng=1)
    with pytest.raises(ValueError, match="expected a place among 5 examples"):
        load_npz(tmp_path / "place", it)
    assert steps(it, 5) == steps(same, 5)


# -- fetching ahead -------------------------------------------------------------------------------


@given(walk=WALKS, n_threads=st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_threads_give_what_the_serial_iterator_gives(walk, n_threads):
    data = np.arange(walk["n"]).tolist()
    how = {k: walk[k] for k in ("batch_size", "repeat", "shuffle")}
    serial = SerialIterator(data, **how, rng=5)
    with MultithreadIterator(data, **how, rng=5, n_threads=n_threads) as threads:
        for n in walk["before"], 5:
            assert steps(threads, n) == steps(serial, n)
            threads.reset(), serial.reset()


def test_fetching_ahead_draws_nothing_from_a_generator_that_others_draw_from():
    def run(kind):
        rng = np.random.default_rng(0)
        it = kind(range(6), 2, rng=rng)
        return [(next(it), int(rng.integers(1000))) for _ in range(12)]

    assert run(MultithreadIterator) == run(SerialIterator)


def test_the_next_batch_is_fetched_while_the_caller_works():
    asked = threading.Event()

    class Dataset(list):
        def __getitem__(self, i):
            if i == 3:
                asked.set()
            return i

    with MultithreadIterator(Dataset("abcdef"), 2, shuffle=False) as it:
        next(it)
        assert asked.wait(10)
        assert place(it) == (2, 0, False, 2 / 6, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_as_it_is_and_leaves_the_batch_behind(kind):
    it = kind(Failing(3, LookupError("three")), 2, shuffle=False)
    assert next(it) == [0, 1]
    with pytest.raises(LookupError, match="three") as error:
        next(it)
    assert error.traceback[-1].name == "__getitem__"
    assert next(it) == [4, 5]
    it.finalize()


@pytest.mark.parametrize("kind", KINDS)
def test_stop_iteration_from_a_dataset_is_no_end_of_the_pass(kind):
    with pytest.raises(RuntimeError, match=f"{kind.__name__}: the dataset raised StopIteration"):
        list(kind(Failing(3, StopIteration()), 2, repeat=False, shuffle=False))


def test_after_finalize_no_batch_comes_but_the_place_can_be_saved(tmp_path):
    it = MultithreadIterator(range(6), 2, rng=0)
    next(it)
    it.finalize()
    with pytest.raises(RuntimeError, match=r"MultithreadIterator: .* after finalize\(\)"):
        next(it)
    assert next(reload(it, SerialIterator(range(6), 2), tmp_path / "place"))


@pytest.mark.parametrize("end", ["finalize", "forget"])
def test_threads_end_with_the_iterator(end):
    before = set(threading.enumerate())
    it = MultithreadIterator(range(6), 2, n_threads=2)
    next(it)
    new = set(threading.enumerate()) - before
    assert new
    if end == "finalize":
        it.finalize()
    del it
    gc.collect()
    for thread in new:
        thread.join(10)
        assert not thread.is_alive()


def test_the_end_of_an_iterator_leaves_its_copy_alone():
    it = MultithreadIterator(range(6), 2, shuffle=False)
    next(it)
    other = copy.copy(it)
    it.finalize()
    assert next(other) == [2, 3]


def test_a_batch_that_finalize_cuts_off_is_no_short_one():
    class Slow(list):
        def __getitem__(self, i):
            if i == 0:
                threading.Thread(target=it.finalize).start()
            time.sleep(0.01)
            return i

    it = MultithreadIterator(Slow(range(500)), 500, shuffle=False)
    with pytest.raises(CancelledError):
        next(it)


def test_finalize_waits_for_one_example_not_for_a_batch():
    fetched = []

    class Slow(list):
        def __getitem__(self, i):
            fetched.append(i)
            time.sleep(0.01)
            return i

    it = MultithreadIterator(Slow(range(120)), 30, shuffle=False)
    next(it)
    it.finalize()
    count = len(fetched)
    assert count < 60
    time.sleep(0.05)
    assert len(fetched) == count


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("error", "match", "arguments", "settings"),
    [
        (ValueError, "the dataset is empty", ([], 2), {}),
        (ValueError, "batch_size is 0, expected a positive", ("ab", 0), {}),
        (ValueError, "batch_size is -1", ("ab", -1), {}),
        (TypeError, "batch_size is 2.0, expected a positive integer", ("ab", 2.0), {}),
        (TypeError, "batch_size is True", ("ab", True), {}),
        (TypeError, "dataset is int", (5, 2), {}),
        (TypeError, "dataset is generator", ((x for x in "ab"), 2), {}),
        (TypeError, "dataset is ndarray, expected a length", (np.array(3), 2), {}),
        (TypeError, "dataset is dict.*DictDataset", ({"x": [1]}, 2), {}),
        (TypeError, "shuffle is 'yes'", ("ab", 2), {"shuffle": "yes"}),
        (TypeError, "repeat is 'no', expected True or False", ("ab", 2), {"repeat": "no"}),
        (TypeError, "rng is 'seed'", ("ab", 2), {"rng": "seed"}),
        (ValueError, "rng is -1, expected a seed from 0 up", ("ab", 2), {"rng": -1}),
        (TypeError, "order_sampler is 3", ("ab", 2), {"order_sampler": 3}),
        (ValueError, "one or the other", ("ab", 2), {"order_sampler": max, "shuffle": True}),
        (ValueError, "one or the other", ("ab", 2), {"order_sampler": max, "rng": 1}),
        (ValueError, "gave no numbers", ("ab", 2), {"order_sampler": lambda o, p: []}),
        (ValueError, r"float64 \(2,\)", ("ab", 2), {"order_sampler": lambda o, p: o / 1}),
        (ValueError, r"\(1, 2\)", ("ab", 2), {"order_sampler": lambda o, p: o[None]}),
        (
            ValueError,
            "from 1 to 2, expected 0 to 1",
            ("ab", 2),
            {"order_sampler": lambda o, p: o + 1},
        ),
        (ValueError, "from -1 to 0", ("ab", 2), {"order_sampler": lambda o, p: o - 1}),
    ],
)
def test_bad_arguments_are_an_error(kind, error, match, arguments, settings):
    name = "ShuffleOrderSampler" if "rng is" in match else kind.__name__
    with pytest.raises(error, match=f"{name}: .*{match}"):
        kind(*arguments, **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_the_columns_of_mnist_are_not_taken_for_its_examples(kind):
    examples = dynet.datasets.Examples(np.zeros((3, 28, 28)), np.zeros(3))
    with pytest.raises(TypeError, match=r"columns images, labels; .*TupleDataset\(\*dataset\)"):
        kind(examples, 2)
    assert len(next(kind(TupleDataset(*examples), 3))) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_that_changes_its_length_is_an_error_and_the_place_stays(kind):
    it = kind(range(4), 3, order_sampler=lambda order, position: order[position:])
    next(it)
    before = place(it)
    with pytest.raises(ValueError, match="gave 1 numbers after 4"):
        next(it)
    assert place(it) == before


@pytest.mark.parametrize(("n_threads", "error"), [(0, ValueError), (1.5, TypeError)])
def test_a_wrong_number_of_threads_is_an_error(n_threads, error):
    with pytest.raises(error, match=f"n_threads is {n_threads}, expected a positive integer"):
        MultithreadIterator("ab", 2, n_threads=n_threads)
