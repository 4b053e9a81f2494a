"""Saving and loading: whole or not at all, and never more than numbers and text."""

import errno
import json
import os
import pickle
import stat
import subprocess
import sys
import textwrap
import tracemalloc
import zipfile

import numpy as np
import pytest

import dynet
import dynet.links as L
from dynet import Chain
from dynet.optimizers import SGD, Adam
from dynet.serializers import load_npz, save_npz

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def model(out=2):
    return Chain(embed=L.EmbedID(4, 3), l=L.Linear(3, out))


def step(optimizer):
    optimizer.update(lambda: optimizer.target.l(X).sum() * optimizer.target.embed.W.sum())


def values(link):
    return {path: p.array.copy() for path, p in link.namedparams()}


def assert_same(link, expected):
    np.testing.assert_equal(values(link), expected)


def refuses(file, obj, **settings):
    """That loading raises ValueError."""
    with pytest.raises(ValueError, match="load_npz: ") as error:
        load_npz(file, obj, **settings)
    return str(error.value)


@pytest.fixture
def file(tmp_path):
    """A saved model."""
    save_npz(tmp_path / "model.npz", model())
    return tmp_path / "model.npz"


# -- there and back -------------------------------------------------------------------------------


def test_a_model_comes_back(tmp_path):
    saved, loaded = model(), model()
    save_npz(tmp_path / "m", saved)
    load_npz(tmp_path / "m", loaded)
    assert_same(loaded, values(saved))


def test_names_in_the_file_are_those_that_chainer_writes(file):
    with np.load(file) as npz:
        assert sorted(npz.files) == ["embed/W", "l/W", "l/b"]


def test_the_file_can_be_read_by_numpy(tmp_path):
    saved = model()
    save_npz(tmp_path / "m", saved)
    with np.load(tmp_path / "m") as npz:
        np.testing.assert_array_equal(npz["l/W"], saved.l.W.array)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_training_goes_on_with_the_very_same_numbers(kind, tmp_path):
    first = kind(0.1).setup(model())
    for _ in range(3):
        step(first)
    save_npz(tmp_path / "m", {"model": first.target, "optimizer": first})
    second = kind(0.1).setup(model())
    load_npz(tmp_path / "m", {"model": second.target, "optimizer": second})
    for _ in range(3):
        step(first)
        step(second)
    assert_same(second.target, values(first.target))


def test_the_counts_of_an_optimizer_come_back(tmp_path):
    saved = Adam().setup(model())
    step(saved)
    saved.new_epoch()
    save_npz(tmp_path / "m", saved)
    loaded = Adam().setup(model())
    load_npz(tmp_path / "m", loaded)
    assert (loaded.t, loaded.epoch, loaded.skipped) == (1, 1, 0)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937])
def test_a_random_generator_goes_on_where_it_was(bits, tmp_path):
    saved, loaded = np.random.Generator(bits(1)), np.random.Generator(bits(2))
    saved.normal(size=3)
    save_npz(tmp_path / "m", {"rng": saved})
    expected = saved.normal(size=5)
    load_npz(tmp_path / "m", {"rng": loaded})
    np.testing.assert_array_equal(loaded.normal(size=5), expected)


def test_a_legacy_random_state_goes_on_where_it_was(tmp_path):
    saved, loaded = np.random.RandomState(1), np.random.RandomState(2)
    saved.normal(size=3)  # an odd number, so that a Gaussian is left over
    save_npz(tmp_path / "m", {"rng": saved})
    expected = saved.normal(size=5)
    load_npz(tmp_path / "m", {"rng": loaded})
    np.testing.assert_array_equal(loaded.normal(size=5), expected)


def test_the_module_numpy_random_stands_for_its_global_state(tmp_path):
    save_npz(tmp_path / "m", {"numpy": np.random})
    expected = np.random.normal(size=5)
    load_npz(tmp_path / "m", {"numpy": np.random})
    np.testing.assert_array_equal(np.random.normal(size=5), expected)


def test_the_stream_of_dropout_goes_on_where_it_was(tmp_path):
    dynet.random.set_state(((1 << 64) - 1, (1 << 63) + 5))
    save_npz(tmp_path / "m", {"random": dynet.random})
    expected = dynet.random.uniform((5,))
    dynet.random.seed(3)
    load_npz(tmp_path / "m", {"random": dynet.random})
    np.testing.assert_array_equal(dynet.random.uniform((5,)), expected)


def test_a_generator_with_two_owners_is_saved_for_both(tmp_path):
    shared = np.random.default_rng(1)
    save_npz(tmp_path / "m", {"model": shared, "iterator": shared})
    expected = shared.normal(size=5)
    load_npz(tmp_path / "m", {"model": shared, "iterator": shared})
    np.testing.assert_array_equal(shared.normal(size=5), expected)


def moved(rng, place, position):
    """The text of a generator's state with a position in a buffer changed."""
    state = rng.bit_generator.state
    (state if place in state else state["state"])[place] = position
    return json.dumps(state, default=np.ndarray.tolist)


MOVED = [(np.random.MT19937, "pos", 10**6), (np.random.MT19937, "pos", -1)]
MOVED += [(np.random.Philox, "buffer_pos", 10**6), (np.random.Philox, "buffer_pos", -1)]


@pytest.mark.parametrize("bits, place, position", MOVED)
def test_a_generators_position_outside_its_buffer_is_refused(bits, place, position, tmp_path):
    # NumPy would take it, and read whatever memory is there.
    rng = np.random.Generator(bits(1))
    save_npz(tmp_path / "m", {"rng": moved(rng, place, position)})
    refuses(tmp_path / "m", {"rng": rng})


STATES = ["[" * 100_000, "{}", "null", '{"bit_generator": "PCG64"}', "1" * 5000]


@pytest.mark.parametrize("text", STATES, ids=["deep", "empty", "null", "part", "long"])
def test_a_text_that_is_no_state_is_refused(text, tmp_path):
    save_npz(tmp_path / "m", {"rng": text})
    message = refuses(tmp_path / "m", {"rng": np.random.default_rng(1)})
    assert "rng is text in the file, expected the state of a PCG64 generator" in message


SINGLE = [
    (dynet.Parameter(np.arange(3.0)), dynet.Parameter(np.zeros(3))),
    (np.arange(3.0), np.zeros(3)),
    (np.random.default_rng(1), np.random.default_rng(2)),
]


@pytest.mark.parametrize("saved, loaded", SINGLE, ids=["parameter", "array", "generator"])
def test_a_single_value_can_be_saved_without_a_mapping(saved, loaded, tmp_path):
    save_npz(tmp_path / "m", saved)
    load_npz(tmp_path / "m", loaded)
    if isinstance(saved, np.random.Generator):
        saved, loaded = saved.normal(size=5), loaded.normal(size=5)
    saved, loaded = (getattr(x, "array", x) for x in (saved, loaded))
    np.testing.assert_array_equal(loaded, saved)


def test_strings_numbers_and_booleans_come_back_with_their_types(tmp_path):
    saved = {"s": "käse", "i": 10**15, "f": 0.1, "yes": True, "no": False, "empty": ""}
    loaded = {"s": "", "i": 0, "f": 0.0, "yes": False, "no": True, "empty": "x"}
    save_npz(tmp_path / "m", saved)
    load_npz(tmp_path / "m", loaded)
    assert loaded == saved
    assert [type(v) for v in loaded.values()] == [type(v) for v in saved.values()]


def test_lists_are_numbered(tmp_path):
    saved = [np.ones(2), (np.zeros(1), [7, "seven"])]
    save_npz(tmp_path / "m", saved)
    with np.load(tmp_path / "m") as npz:
        assert sorted(npz.files) == ["0", "1/0", "1/1/0", "1/1/1"]
    loaded = [np.zeros(2), (np.ones(1), [0, ""])]
    load_npz(tmp_path / "m", loaded)
    np.testing.assert_equal(loaded, saved)


INTEGERS = [-(1 << 63), -1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


@pytest.mark.parametrize("n", INTEGERS)
def test_integers_of_64_bits_come_back_exactly(n, tmp_path):
    save_npz(tmp_path / "m", {"n": n})
    loaded = {"n": 0}
    load_npz(tmp_path / "m", loaded)
    assert loaded == {"n": n} and type(loaded["n"]) is int


@pytest.mark.parametrize("scalar", [np.float32(0.1), np.int8(-3), np.bool_(True), np.uint64(7)])
def test_scalars_of_numpy_come_back_with_their_types(scalar, tmp_path):
    save_npz(tmp_path / "m", {"n": scalar})
    loaded = {"n": type(scalar)(0)}
    load_npz(tmp_path / "m", loaded)
    assert loaded["n"] == scalar and type(loaded["n"]) is type(scalar)


def test_mappings_may_be_nested(tmp_path):
    save_npz(tmp_path / "m", {"a": {"b": {"n": 1, "x": np.ones(2)}}})
    loaded = {"a": {"b": {"n": 0, "x": np.zeros(2)}}}
    load_npz(tmp_path / "m", loaded)
    np.testing.assert_equal(loaded, {"a": {"b": {"n": 1, "x": np.ones(2)}}})


def test_a_persistent_value_comes_back(tmp_path):
    saved, loaded = L.Linear(3, 2), L.Linear(3, 2)
    saved.add_persistent("mean", np.arange(3.0))
    loaded.add_persistent("mean", np.zeros(3))
    save_npz(tmp_path / "m", saved)
    load_npz(tmp_path / "m", loaded)
    np.testing.assert_array_equal(loaded.mean, [0, 1, 2])


def test_a_linear_without_a_size_takes_that_of_the_file(tmp_path):
    saved, loaded = L.Linear(3, 2), L.Linear(None, 2)
    save_npz(tmp_path / "m", saved)
    load_npz(tmp_path / "m", loaded)
    assert_same(loaded, values(saved))


def test_to_load_a_linear_without_a_size_draws_no_random_numbers(tmp_path):
    def refuse(array):
        raise AssertionError("the initializer was called")

    save_npz(tmp_path / "m", L.Linear(3, 2))
    load_npz(tmp_path / "m", L.Linear(None, 2, initialW=refuse))


def test_what_has_no_size_yet_takes_it_from_the_file_together_with_its_optimizer(tmp_path):
    def normalized(size):
        return Chain(l=L.Linear(size, 2), bn=L.BatchNormalization(size and 2))

    def step(optimizer):
        optimizer.update(lambda: optimizer.target.bn(optimizer.target.l(X)).sum())

    saved = Adam().setup(normalized(3))
    step(saved)
    save_npz(tmp_path / "m", {"model": saved.target, "optimizer": saved})
    loaded = Adam().setup(normalized(None))
    load_npz(tmp_path / "m", {"model": loaded.target, "optimizer": loaded})
    step(saved)
    step(loaded)
    assert_same(loaded.target, values(saved.target))
    np.testing.assert_array_equal(loaded.target.bn.avg_mean, saved.target.bn.avg_mean)


def test_a_linear_without_a_size_can_be_saved(tmp_path):
    save_npz(tmp_path / "m", L.Linear(None, 2))
    load_npz(tmp_path / "m", L.Linear(None, 2))


@pytest.mark.parametrize("path", ["a/b", "a/b/", "/a/b"])
def test_a_part_of_a_file_can_be_loaded(path, tmp_path):
    saved, loaded = model(), model()
    save_npz(tmp_path / "m", {"a": {"b": saved, "bb": 2}, "n": 1})
    load_npz(tmp_path / "m", loaded, path=path)
    assert_same(loaded, values(saved))


@pytest.mark.parametrize("path", ["", "/"])
def test_the_whole_file_is_a_part_too(path, file):
    load_npz(file, model(), path=path)


def test_a_part_that_is_not_there_is_named(file):
    assert "it lacks m/embed/W, m/l/W, m/l/b" in refuses(file, model(), path="m")


class Things:
    def serialize(self, serializer):
        serializer("things", [1])


NOT_SAVED = {
    "something else": ({"a": {"b": {1}}}, TypeError, "a/b is set"),
    "nothing": ({"a": [None]}, TypeError, "a/0 is NoneType"),
    "a list where one value belongs": (Things(), TypeError, "things is list"),
    "a number in a tuple": ({"a": (1,)}, TypeError, "a/0 is int in a tuple"),
    "a number by itself": (1, TypeError, "int by itself"),
    "a masked array": ({"a": np.ma.ones(2)}, TypeError, "a is MaskedArray"),
    "an array of text": ({"a": np.array(["x"])}, TypeError, "a is of dtype <U1"),
    "an array of objects": ({"a": np.array([None])}, TypeError, "a is of dtype object"),
    "an array of dates": ({"a": np.zeros(2, "M8[s]")}, TypeError, "a is of dtype datetime64"),
    "an integer of 65 bits": ({"a": 1 << 64}, ValueError, "a is an integer of 65 bits"),
    "a long negative integer": ({"a": -(1 << 63) - 1}, ValueError, "a is an integer of 64 bits"),
    "text that ends in zero": ({"a": "x\0"}, ValueError, "a ends in a zero character"),
    "half a surrogate": ({"a": "\ud800"}, ValueError, "a is .* no valid text"),
    "a name with a slash": ({"a/b": 1}, TypeError, "the name 'a/b'"),
    "a name with a zero": ({"a\0b": 1}, TypeError, "the name"),
    "a name that is a number": ({1: 1}, TypeError, "the name 1"),
}


@pytest.mark.parametrize("obj, error, message", NOT_SAVED.values(), ids=NOT_SAVED)
def test_what_cannot_be_saved_is_named_and_no_file_is_made(obj, error, message, tmp_path):
    with pytest.raises(error, match=message):
        save_npz(tmp_path / "m", obj)
    assert not list(tmp_path.iterdir())


def test_two_values_of_one_name_are_an_error(tmp_path):
    class Twice:
        def serialize(self, serializer):
            serializer("n", 1)
            serializer("n", 2)

    with pytest.raises(ValueError, match="two values have the name a/n"):
        save_npz(tmp_path / "m", {"a": Twice()})


def test_an_optimizer_without_a_link_says_so(tmp_path):
    with pytest.raises(RuntimeError, match="setup"):
        save_npz(tmp_path / "m", SGD())


# -- another model --------------------------------------------------------------------------------


def unsized(out):
    return L.Linear(None, out, nobias=True)


def in_float64():
    with dynet.using_config("dtype", np.float64):
        return model()


OTHERS = {
    "a missing value": lambda: Chain(embed=L.EmbedID(4, 3), l=L.Linear(3, 2), k=L.Linear(3, 2)),
    "a value too many": lambda: Chain(embed=L.EmbedID(4, 3)),
    "another shape": lambda: model(out=3),
    "another dtype": in_float64,
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_another_model_is_refused_and_left_as_it_was(make, file):
    other = make()
    before = values(other)
    refuses(file, other)
    assert_same(other, before)


def test_the_error_names_what_is_missing_and_what_is_too_many(file):
    message = refuses(file, Chain(embed=L.EmbedID(4, 3), k=L.Linear(3, 2)))
    assert "lacks k/W, k/b" in message and "has l/W, l/b too many" in message


def test_the_error_names_both_shapes(file):
    message = refuses(file, model(out=3))
    assert "l/W is float32 (2, 3) in the file, expected float32 (3, 3)" in message


def test_a_number_where_text_is_expected_is_refused(tmp_path):
    save_npz(tmp_path / "m", {"n": 1})
    refuses(tmp_path / "m", {"n": "text"})


def test_a_fraction_where_a_whole_number_is_expected_is_refused(tmp_path):
    save_npz(tmp_path / "m", {"n": 2.5})
    refuses(tmp_path / "m", {"n": 1})


def test_a_number_that_is_nan_does_not_leave_half_a_load(tmp_path):
    save_npz(tmp_path / "m", {"model": model(), "n": np.nan})
    other = model()
    before = values(other)
    refuses(tmp_path / "m", {"model": other, "n": 1})
    assert_same(other, before)


NUMBERS = {
    "a number that float cannot tell from its neighbour": ((1 << 60) + 1, 0.5),
    "a number of another dtype": (np.float64(0.1), np.float32(0)),
    "an array": (np.ones(1), 1.0),
    "a truth": (True, 1),
    "no truth": (1, True),
}


@pytest.mark.parametrize("stored, value", NUMBERS.values(), ids=NUMBERS)
def test_a_number_is_not_changed_to_fit(stored, value, tmp_path):
    save_npz(tmp_path / "m", {"n": stored})
    refuses(tmp_path / "m", {"n": value})


def test_another_kind_of_generator_does_not_leave_half_a_load(tmp_path):
    save_npz(tmp_path / "m", {"model": model(), "rng": np.random.default_rng(1)})
    other = model()
    before = values(other)
    refuses(tmp_path / "m", {"model": other, "rng": np.random.Generator(np.random.MT19937(1))})
    assert_same(other, before)


def test_an_array_that_cannot_be_written_to_does_not_leave_half_a_load(tmp_path):
    save_npz(tmp_path / "m", {"model": model(), "x": np.ones(3)})
    other, x = model(), np.zeros(3)
    x.flags.writeable = False
    before = values(other)
    refuses(tmp_path / "m", {"model": other, "x": x})
    assert_same(other, before)


def test_text_that_is_no_state_of_a_generator_is_refused(tmp_path):
    save_npz(tmp_path / "m", {"model": model(), "rng": "hello"})
    other = model()
    before = values(other)
    refuses(tmp_path / "m", {"model": other, "rng": np.random.default_rng(1)})
    assert_same(other, before)


def test_a_linear_without_a_size_refuses_another_output_size(tmp_path):
    save_npz(tmp_path / "m", L.Linear(3, 7, nobias=True))
    refuses(tmp_path / "m", unsized(2))


def test_a_linear_without_a_size_refuses_another_dtype(tmp_path):
    with dynet.using_config("dtype", np.float64):
        save_npz(tmp_path / "m", L.Linear(3, 2, nobias=True))
    refuses(tmp_path / "m", unsized(2))


def test_a_linear_without_a_size_refuses_what_is_no_matrix_and_nothing_is_half_loaded(tmp_path):
    save_npz(tmp_path / "m", {"a": model(), "b": {"W": np.ones(3, np.float32)}})
    other = model()
    before = values(other)
    refuses(tmp_path / "m", {"a": other, "b": unsized(2)})
    assert_same(other, before)


def test_a_new_optimizer_refuses_the_state_of_another_model(tmp_path):
    saved = Adam().setup(model(out=3))
    step(saved)
    save_npz(tmp_path / "m", saved)
    loaded = Adam().setup(model(out=2))
    refuses(tmp_path / "m", loaded)
    assert loaded.t == 0


def test_state_loaded_for_a_parameter_replaced_in_another_order_still_fits(tmp_path):
    saved = Adam().setup(model())
    step(saved)
    save_npz(tmp_path / "m", saved)
    loaded = Adam().setup(model())
    W = loaded.target.l.W
    W.array = np.ascontiguousarray(W.array)
    load_npz(tmp_path / "m", loaded)
    step(loaded)
    assert loaded.t == 2


def test_without_strict_what_fits_is_loaded(file):
    other = Chain(embed=L.EmbedID(4, 3), k=L.Linear(3, 2))
    k = values(other.k)
    load_npz(file, other, strict=False)
    with np.load(file) as npz:
        np.testing.assert_array_equal(other.embed.W.array, npz["embed/W"])
    assert_same(other.k, k)


def test_without_strict_another_shape_is_refused_all_the_same(file):
    refuses(file, model(out=3), strict=False)


IGNORED = [lambda name: name.startswith("l/"), ["l/W", "l/b"]]


@pytest.mark.parametrize("names", IGNORED, ids=["callable", "list"])
def test_names_can_be_ignored(names, file):
    other = model(out=3)
    before = values(other.l)
    load_npz(file, other, ignore_names=names)
    assert_same(other.l, before)
    with np.load(file) as npz:
        np.testing.assert_array_equal(other.embed.W.array, npz["embed/W"])


def test_a_name_that_is_ignored_is_the_whole_name(file):
    refuses(file, model(out=3), ignore_names="l")


# -- all or nothing -------------------------------------------------------------------------------


class Refusing:
    """Raises an error when it is given another number."""

    def __init__(self, number, error=None):
        self.number = number
        self.error = error

    def serialize(self, serializer):
        number = serializer("number", self.number)
        if self.error and number != self.number:
            raise self.error
        self.number = number


def everything(size, seed, error=None):
    """One of all that can be saved, with a shared link, and something that refuses at the end."""
    target = Chain(l=L.Linear(size, 2), bn=L.BatchNormalization(size and 2))
    optimizer = Adam().setup(target)
    if size:
        optimizer.update(lambda: target.bn(target.l(X)).sum())
    shared = L.Linear(2, 2)
    iterators = [dynet.iterators.SerialIterator([*range(9)], 2, shuffle=s) for s in (True, False)]
    for iterator in iterators[:seed]:
        next(iterator)
    bits = np.random.default_rng(seed), np.random.RandomState(seed)
    rest = [seed, f"{seed}", np.full(3, seed), {"x": seed / 2}]
    return {
        "model": target, "optimizer": optimizer, "shared": [shared, shared], "bits": bits,
        "iterators": iterators, "rest": rest, "random": dynet.training.global_random,
        "last": Refusing(seed, error),
    }  # fmt: skip


def contents(file):
    with np.load(file) as npz:
        return {name: (npz[name].dtype, npz[name].tobytes()) for name in npz.files}


def assert_untouched(obj, tmp_path, error, **changes):
    """That a file with some values changed is refused, and not a bit of an object then differs."""
    flat = dict(np.load(tmp_path / "m")) | changes
    with open(tmp_path / "changed", "wb") as f:
        np.savez(f, **{name: value for name, value in flat.items() if value is not None})
    save_npz(tmp_path / "before", obj)
    with pytest.raises(error) as raised:
        load_npz(tmp_path / "changed", obj)
    save_npz(tmp_path / "after", obj)
    assert contents(tmp_path / "after") == contents(tmp_path / "before")
    return str(raised.value)


@pytest.mark.parametrize("size", [3, None])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_object_that_raises_while_it_is_loaded_leaves_all_as_it_was(error, size, tmp_path):
    save_npz(tmp_path / "m", everything(3, seed=2))
    other = everything(size, seed=1, error=error("refused"))
    assert assert_untouched(other, tmp_path, error) == "refused"
    assert other["model"].bn.gamma.is_initialized == bool(size)
    other["last"].error = None
    load_npz(tmp_path / "m", other)
    save_npz(tmp_path / "loaded", other)
    assert contents(tmp_path / "loaded") == contents(tmp_path / "m")


def test_a_last_value_that_does_not_fit_leaves_all_as_it_was(tmp_path):
    save_npz(tmp_path / "m", everything(3, seed=2))
    changes = {"last/number": np.asarray(0.5)}
    assert_untouched(everything(3, seed=1), tmp_path, ValueError, **changes)


def test_an_iterator_that_refuses_its_place_leaves_all_as_it_was(tmp_path):
    save_npz(tmp_path / "m", everything(3, seed=2))
    changes = {"iterators/1/current_position": np.asarray(9)}
    message = assert_untouched(everything(3, seed=1), tmp_path, ValueError, **changes)
    assert "position 9" in message


STATE = {"lacks": None, "has another shape of": np.zeros((2, 4), np.float32)}


@pytest.mark.parametrize("first", ["model", "optimizer"])
@pytest.mark.parametrize("state", STATE.values(), ids=STATE)
def test_a_file_whose_optimizers_state_does_not_fit_its_model_is_refused(state, first, tmp_path):
    def unsized(size):
        optimizer = Adam().setup(Chain(l=L.Linear(size, 2)))
        both = {"model": optimizer.target, "optimizer": optimizer}
        return {first: both[first]} | both

    save_npz(tmp_path / "m", unsized(3))
    other = unsized(None)
    assert_untouched(other, tmp_path, ValueError, **{"optimizer/l/W/m": state})
    assert not other["model"].l.W.is_initialized
    load_npz(tmp_path / "m", other)


def test_a_file_with_two_sizes_for_one_shared_parameter_is_refused(tmp_path):
    sized, shared = unsized(2), unsized(2)
    sized.W.initialize((2, 3))
    save_npz(tmp_path / "m", [sized, sized])
    changes = {"1/W": np.zeros((2, 4), np.float32)}
    message = assert_untouched([shared, shared], tmp_path, ValueError, **changes)
    assert "1/W is float32 (2, 4) in the file, expected float32 (2, 3)" in message
    assert not shared.W.is_initialized


# -- files that Chainer wrote ----------------------------------------------------------------------


def write_like_chainer(path, write=np.savez_compressed, **more):
    """A snapshot of a Linear and a BatchNormalization."""
    rng = np.random.default_rng(0)
    arrays = {"l1/W": rng.random((2, 3)), "l1/b": rng.random(2), "bn/gamma": rng.random(2)}
    arrays |= {f"bn/{name}": rng.random(2) for name in ("beta", "avg_mean", "avg_var")}
    flat = {f"predictor/{name}": array.astype(np.float32) for name, array in arrays.items()}
    flat |= {"predictor/bn/N": np.asarray(3), "t": np.asarray(5), "epoch": np.asarray(1)}
    flat |= {key.replace("__", "/"): np.asarray(value) for key, value in more.items()}
    with open(path, "wb") as f:
        write(f, **flat)
    return flat


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_model_that_chainer_saved_is_loaded(write, tmp_path):
    flat = write_like_chainer(tmp_path / "c", write)
    for size in 3, None:
        loaded = Chain(l1=L.Linear(size, 2), bn=L.BatchNormalization(size and 2))
        load_npz(tmp_path / "c", loaded, path="predictor/")
        np.testing.assert_array_equal(loaded.l1.W.array, flat["predictor/l1/W"])
        np.testing.assert_array_equal(loaded.bn.avg_var, flat["predictor/bn/avg_var"])
        assert loaded.bn.N == 3


AS_CHAINER = {
    dynet.ChainList(L.EmbedID(4, 3), L.Linear(3, 2)): "0/W 1/W 1/b",
    dynet.Sequential(L.EmbedID(4, 3), np.tanh, L.Bilinear(3, 3, 2)): "0/W 1/W 1/V1 1/V2 1/b",
    L.Classifier(L.Convolution2D(1, 1, 1)): "predictor/W predictor/b",
    L.Scale(1, (3,), bias_term=True): "W bias/b",
    L.Maxout(3, 2, 4): "linear/W linear/b",
    L.BatchNormalization(3): "gamma beta N avg_mean avg_var",
    L.LayerNormalization(3): "gamma beta",
}


@pytest.mark.parametrize("link, names", AS_CHAINER.items(), ids=lambda x: type(x).__name__)
def test_names_of_a_links_values_are_those_of_chainer(link, names, tmp_path):
    save_npz(tmp_path / "m", link)
    with np.load(tmp_path / "m") as npz:
        assert sorted(npz.files) == sorted(names.split())


STATES_OF_CHAINER = {
    "SGD": "",
    "MomentumSGD": "v",
    "NesterovAG": "v",
    "CorrectedMomentumSGD": "v",
    "AdaGrad": "h",
    "AdaDelta": "msg msdx",
    "RMSprop": "ms",
    "RMSpropGraves": "n g delta",
    "SMORMS3": "mem g g2",
    "Adam": "m v",
    "AMSGrad": "m v vhat",
    "AdaBound": "m v",
    "MSVAG": "m v",
}


@pytest.mark.parametrize("kind, names", STATES_OF_CHAINER.items(), ids=STATES_OF_CHAINER)
def test_state_that_chainer_saved_for_an_optimizer_is_loaded(kind, names, tmp_path):
    flat = {"t": np.asarray(5), "epoch": np.asarray(1)}
    for path, shape in (("l/W", (2, 3)), ("l/b", (2,))):
        flat[f"{path}/t"] = np.asarray(4)
        flat |= {f"{path}/{name}": np.full(shape, 6, np.float32) for name in names.split()}
    np.savez_compressed(tmp_path / "c.npz", **flat)
    optimizer = getattr(dynet.optimizers, kind)().setup(Chain(l=L.Linear(3, 2)))
    load_npz(tmp_path / "c.npz", optimizer, ignore_names="skipped")
    rule = optimizer.target.l.W.update_rule
    assert (optimizer.t, optimizer.epoch, rule.t) == (5, 1, 4)
    assert all((array == 6).all() for array in rule.state.values())


def test_a_none_that_chainer_pickled_is_in_nobodys_way(tmp_path):
    flat = write_like_chainer(tmp_path / "c", predictor__l1__state=None)
    loaded = Chain(l1=L.Linear(3, 2), bn=L.BatchNormalization(2))
    load_npz(tmp_path / "c", loaded, path="predictor/")
    np.testing.assert_array_equal(loaded.l1.W.array, flat["predictor/l1/W"])


def test_a_none_that_chainer_pickled_is_named_where_a_value_is_expected(tmp_path):
    write_like_chainer(tmp_path / "c", predictor__l1__W=None)
    loaded = Chain(l1=L.Linear(3, 2), bn=L.BatchNormalization(2))
    message = refuses(tmp_path / "c", loaded, path="predictor/")
    assert "l1/W is a pickled object, which is never loaded" in message
    W = loaded.l1.W.array.copy()
    load_npz(tmp_path / "c", loaded, path="predictor/", strict=False)
    np.testing.assert_array_equal(loaded.l1.W.array, W)
    assert loaded.bn.N == 3


# -- files that are not whole, or not ours --------------------------------------------------------


def write(path, content):
    path.write_bytes(content)
    return path


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_npz(tmp_path / "nothing", model())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(share, file, tmp_path):
    content = file.read_bytes()
    refuses(write(tmp_path / "t", content[: int(share * len(content))]), model())


@pytest.mark.parametrize("content", [b"", b"hello, this is text\n", b"PK\x03\x04", b"\x80\x04"])
def test_a_file_of_something_else_is_refused(content, tmp_path):
    refuses(write(tmp_path / "t", content), model())


def test_a_file_of_one_array_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3))
    refuses(tmp_path / "a.npy", model())


def test_a_zip_file_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "z", "w") as z:
        z.writestr("W", b"no array")
        z.writestr("b", b"no array")
    refuses(tmp_path / "z", L.Linear(3, 2))


def test_a_file_with_any_byte_changed_loads_as_it_was_or_is_refused(tmp_path):
    saved = L.Linear(2, 1)
    save_npz(tmp_path / "m", saved)
    content, wanted = (tmp_path / "m").read_bytes(), values(saved)
    for i in range(len(content)):
        changed = bytearray(content)
        changed[i] ^= 0xFF
        loaded = L.Linear(2, 1)
        try:
            load_npz(write(tmp_path / "c", bytes(changed)), loaded)
        except ValueError:
            continue
        assert_same(loaded, wanted)


def test_a_changed_byte_never_hides_a_value_that_was_waited_for(tmp_path):
    saved = L.Linear(2, 1)
    save_npz(tmp_path / "m", saved)
    content = bytearray((tmp_path / "m").read_bytes())
    comment = content.index(b"PK\1\2") + 32  # the length of the first one in the directory
    content[comment] = content.rindex(b"PK\5\6") - content.rindex(b"PK\1\2")
    assert "comment" in refuses(write(tmp_path / "c", bytes(content)), L.Linear(None, 1))


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_inside_is_refused_and_not_run(tmp_path):
    hostile = np.array([Hostile(tmp_path / "made")], dtype=object)
    np.savez(tmp_path / "h.npz", W=hostile, b=np.zeros(2, np.float32))
    refuses(tmp_path / "h.npz", L.Linear(3, 2))
    assert not (tmp_path / "made").exists()


def test_a_pickle_in_place_of_the_file_is_refused_and_not_run(tmp_path):
    refuses(write(tmp_path / "p", pickle.dumps(Hostile(tmp_path / "made"))), L.Linear(3, 2))
    assert not (tmp_path / "made").exists()


def npy_header(shape, descr="<f4", version=b"\x01\x00"):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text


PROMISES = {
    "more than there is": npy_header((2, 10**12)),
    "a negative length": npy_header((2, -1)),
    "a number beyond all arrays": npy_header((2, 10**30)),
    "an unknown version": npy_header((2, 3), version=b"\x09\x09"),
    "code for a dtype": npy_header((2, 3), descr="__import__('os')"),
    "something deep": npy_header("(" * 5000),
    "more than its array": npy_header((2, 1)) + bytes(8) + b"and more",
    "nothing": b"",
}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("content", PROMISES.values(), ids=PROMISES)
def test_a_header_that_promises_too_much_is_refused(content, method, tmp_path):
    with zipfile.ZipFile(tmp_path / "z", "w", method) as z:
        z.writestr("W.npy", content)
    message = refuses(tmp_path / "z", unsized(2))
    assert "W" in message


def test_a_header_that_fills_the_memory_is_not_read(tmp_path):
    length = 1 << 24
    with zipfile.ZipFile(tmp_path / "z", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
        z.writestr("W.npy", b"\x93NUMPY\x02\x00" + length.to_bytes(4, "little") + b" " * length)
    tracemalloc.start()
    try:
        refuses(tmp_path / "z", unsized(2))
        assert tracemalloc.get_traced_memory()[1] < length / 4
    finally:
        tracemalloc.stop()


def test_a_compression_that_numpy_does_not_use_is_refused(tmp_path):
    # It could make far more of a byte than deflate can.
    with zipfile.ZipFile(tmp_path / "z", "w", zipfile.ZIP_BZIP2) as z:
        z.writestr("W.npy", npy_header((2, 1)) + bytes(8))
    refuses(tmp_path / "z", unsized(2))


def test_a_file_with_two_members_of_one_name_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "z", "w") as z:
        z.writestr("W.npy", npy_header((2, 1)) + bytes(8))
        with pytest.warns(UserWarning, match="Duplicate"):
            z.writestr("W.npy", npy_header((2, 1)) + bytes(8))
    assert "twice" in refuses(tmp_path / "z", unsized(2))


def test_a_member_that_is_damaged_is_named(file):
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as z:
        member = z.getinfo("l/b.npy")
    content[member.header_offset + 160] ^= 1
    message = refuses(write(file, bytes(content)), model())
    assert "l/b: " in message


# -- a save that fails ----------------------------------------------------------------------------


def interrupted(*args, **kwargs):
    raise KeyboardInterrupt


def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(file, tmp_path, monkeypatch):
    before = file.read_bytes()
    monkeypatch.setattr(np.lib.format, "write_array", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_npz(file, model())
    assert os.listdir(tmp_path) == [file.name] and file.read_bytes() == before


def test_an_interrupted_first_save_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(np.lib.format, "write_array", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_npz(tmp_path / "m", model())
    assert not os.listdir(tmp_path)


def test_what_a_killed_process_left_behind_is_in_nobodys_way(file, monkeypatch):
    # Of two processes with the same number, as in a container that was started again, the first
    # dies just before it puts its file into place.
    script = textwrap.dedent(
        """
        import os, sys
        import dynet.links as L
        from dynet.serializers import save_npz

        os.getpid = lambda: 1
        os.replace = os.rename = lambda *paths: os._exit(9)
        save_npz(sys.argv[1], L.Linear(3, 2))
        """
    )
    assert subprocess.run([sys.executable, "-c", script, str(file)]).returncode == 9
    monkeypatch.setattr(os, "getpid", lambda: 1)
    saved, loaded = model(), model()
    save_npz(file, saved)
    load_npz(file, loaded)
    assert_same(loaded, values(saved))
    assert os.listdir(file.parent) == [file.name]


def test_what_belongs_to_other_files_is_not_removed(file):
    others = [f"{file.name}.part", f"other.{'0' * 32}.part", f"{file.name}.{'0' * 32}.part.old"]
    for name in others:
        (file.parent / name).write_text("")
    save_npz(file, model())
    assert sorted(os.listdir(file.parent)) == sorted([file.name, *others])


def test_a_file_can_be_compressed(tmp_path):
    for compression in False, True:
        save_npz(tmp_path / str(compression), np.zeros(1000), compression)
        load_npz(tmp_path / str(compression), np.ones(1000))
    assert os.path.getsize(tmp_path / "True") * 5 < os.path.getsize(tmp_path / "False")


def test_two_saves_to_one_file_at_once_both_end_well(file, monkeypatch):
    original = np.lib.format.write_array
    second = model()

    def write_array(*args, **kwargs):
        monkeypatch.setattr(np.lib.format, "write_array", original)
        save_npz(file, second)
        original(*args, **kwargs)

    first = model()
    monkeypatch.setattr(np.lib.format, "write_array", write_array)
    save_npz(file, first)
    loaded = model()
    load_npz(file, loaded)
    assert_same(loaded, values(first))


def test_a_missing_folder_is_an_os_error_that_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"save_npz: .*missing.*m\.npz"):
        save_npz(tmp_path / "missing" / "m.npz", model())


def test_a_folder_is_not_overwritten(tmp_path):
    with pytest.raises(OSError, match="is no regular file"):
        save_npz(tmp_path, model())


def test_a_pipe_is_not_overwritten(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is no regular file"):
        save_npz(tmp_path / "pipe", model())
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_a_write_protected_file_is_not_overwritten(file, monkeypatch):
    before = file.read_bytes()
    os.chmod(file, 0o444)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # as if we were not root
    with pytest.raises(PermissionError, match=r"save_npz: .*model\.npz is write-protected"):
        save_npz(file, model())
    assert file.read_bytes() == before


@pytest.mark.parametrize("code", [errno.EACCES, errno.EINVAL, errno.EIO])
def test_a_folder_that_cannot_be_synced_is_no_failure_but_one_that_fails_is(
    code, file, monkeypatch
):
    fsync = os.fsync

    def refuse_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, "no")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    if code == errno.EIO:
        with pytest.raises(OSError, match="save_npz: cannot write"):
            save_npz(file, model())
    else:
        save_npz(file, model())


def test_saving_over_a_symbolic_link_keeps_the_link(file, tmp_path):
    link, saved, loaded = tmp_path / "link", model(), model()
    link.symlink_to(file)
    save_npz(link, saved)
    assert link.is_symlink()
    load_npz(file, loaded)
    assert_same(loaded, values(saved))


def permissions(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_has_the_permissions_that_open_gives(umask, tmp_path):
    old = os.umask(umask)
    try:
        (tmp_path / "plain").write_text("")
        save_npz(tmp_path / "m", model())
    finally:
        os.umask(old)
    assert permissions(tmp_path / "m") == permissions(tmp_path / "plain")


def test_a_file_that_was_there_keeps_its_permissions_as_with_open(file):
    os.chmod(file, 0o600)
    save_npz(file, model())
    assert permissions(file) == 0o600
