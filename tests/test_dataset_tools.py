"""Combining, splitting and batching datasets: what is asked for comes, and nothing is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
from dynet.datasets import (
    ConcatenatedDataset,
    DatasetMixin,
    DictDataset,
    SubDataset,
    TransformDataset,
    TupleDataset,
    concat_examples,
    get_cross_validation_datasets,
    get_cross_validation_datasets_random,
    split_dataset,
    split_dataset_n,
    split_dataset_n_random,
    split_dataset_random,
)


def same(found, expected):
    """Equal in structure, values, shape and dtype."""
    assert type(found) is type(expected)
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            same(f, e)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for name in expected:
            same(found[name], expected[name])
    else:
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


# -- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int32, bool])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_arrays_are_put_one_below_the_other_and_keep_their_dtype(dtype, shape):
    array = np.arange(4 * int(np.prod(shape))).reshape(4, *shape).astype(dtype)
    same(concat_examples(list(array)), array)
    same(concat_examples([np.asarray(x) for x in array]), array)


def test_tuples_become_a_tuple_and_dicts_a_dict():
    x, y = np.arange(6.0).reshape(3, 2), np.arange(3, dtype=np.int32)
    same(concat_examples(TupleDataset(x, y)[:]), (x, y))
    same(concat_examples(DictDataset(y=y, x=x)[:]), {"y": y, "x": x})
    same(
        concat_examples([dynet.datasets.Examples(a, b) for a, b in zip(x, y, strict=True)]), (x, y)
    )


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([1, 2], np.array([1, 2], np.int64)),
        ([1.5, 2.5], np.array([1.5, 2.5], np.float32)),
        ([1, 2.5], np.array([1, 2.5], np.float32)),
        ([True, False], np.array([True, False])),
        ([[1.5, 2], [3, 4]], np.array([[1.5, 2], [3, 4]], np.float32)),
        ([np.float64(1.5)], np.array([1.5])),
        (["a", "bc"], np.array(["a", "bc"])),
        (list(np.array(["a", "bc"])), np.array(["a", "bc"])),
        (list(np.array([b"a", b"bc"])), np.array([b"a", b"bc"])),
        ([np.float32(1.5), 2.5], np.array([1.5, 2.5], np.float32)),
    ],
)
def test_pythons_floats_become_the_dtype_of_parameters(batch, expected):
    same(concat_examples(batch), expected)


def test_pythons_floats_follow_the_setting():
    with dynet.using_config("dtype", np.float64):
        same(concat_examples([0.1, 0.2]), np.array([0.1, 0.2]))


@given(
    shapes=st.integers(0, 3).flatmap(
        lambda n: st.lists(st.tuples(*[st.integers(0, 4)] * n), min_size=1, max_size=5)
    )
)
@settings(max_examples=50, deadline=None)
def test_padding_fills_what_is_missing_at_the_ends(shapes):
    arrays = [np.full(shape, i, np.int32) for i, shape in enumerate(shapes)]
    found = concat_examples(arrays, padding=-1)
    longest = np.max([(0, *s) for s in shapes], axis=0)[1:]
    assert found.shape == (len(shapes), *longest) and found.dtype == np.int32
    for row, array in zip(found, arrays, strict=True):
        np.testing.assert_array_equal(row[tuple(map(slice, array.shape))], array)
        assert (row == -1).sum() == row.size - array.size


def test_each_column_has_its_own_padding():
    batch = [([1, 2], [0.5], 7), ([3], [1.5, 2.5], 8)]
    words, weights = np.array([[1, 2], [3, 0]]), np.array([[0.5, np.nan], [1.5, 2.5]], np.float32)
    same(concat_examples(batch, padding=(0, np.nan, None)), (words, weights, np.array([7, 8])))
    batch = [{"words": [1, 2]}, {"words": [3]}]
    same(concat_examples(batch, padding={"words": 0}), {"words": words})
    same(concat_examples(batch, padding=0), {"words": words})


def test_the_device_may_be_named():
    same(concat_examples([1, 2], device="cpu"), np.array([1, 2]))
    same(concat_examples([(np.ones(2), 1)], device=-1), (np.ones((1, 2)), np.array([1])))
    with pytest.raises(ValueError, match="get_device: got 'gpu'"):
        concat_examples([1], device="gpu")


A, B = np.zeros(3), np.zeros(4)


@pytest.mark.parametrize(
    ("error", "match", "batch", "padding"),
    [
        (ValueError, "the batch is empty", [], None),
        (ValueError, r"example 0 has shape \(3,\), example 1 has \(4,\)", [A, B], None),
        (
            ValueError,
            r"column 1: example 0 has shape \(3,\), example 2 has",
            [(1, A), (1, A), (1, B)],
            None,
        ),
        (ValueError, r"column 'x': example 0 has shape", [{"x": A}, {"x": B}], None),
        (ValueError, "tuple of 2, example 1 is a tuple of 1", [(1, 2), (3,)], None),
        (ValueError, "tuple of 2, example 1 is int", [(1, 2), 3], None),
        (
            ValueError,
            r"keys \['x'\], example 1 is a dict with the keys \['y'\]",
            [{"x": 1}, {"y": 1}],
            None,
        ),
        (
            ValueError,
            "example 0 has dtype float64, example 1 has float32",
            [A, A.astype("f")],
            None,
        ),
        (ValueError, "example 0 has dtype float64, example 1 has int64", [A, [1, 2, 3]], 0),
        (ValueError, "example 0 has ndim 1, example 1 has 2", [A, B[None]], 0),
        (ValueError, "lists of different lengths", [[1, 2], [3]], None),
        (TypeError, "column 0: got NoneType, expected arrays or numbers", [(None,), (None,)], None),
        (TypeError, "example 1: got NoneType", [1, None], 0),
        (TypeError, "concat_examples: got int and str, expected", [1, "a"], None),
        (TypeError, "column 0: got NoneType and int", [(1,), (None,)], None),
        (ValueError, "padding is a tuple of 1, the examples are tuples of 2", [(A, 1)], (0,)),
        (ValueError, "padding is a dict", [{"x": A}], {"y": 0}),
        (ValueError, "padding is a tuple of 1, the examples are float64", [A], (0,)),
        (ValueError, "padding is -1, expected a number that uint8", [A.astype(np.uint8)], -1),
        (ValueError, "padding is 0.5, expected a number that int64", [[1, 2]], 0.5),
        (ValueError, "padding is nan, expected a number that int64", [[1, 2]], np.nan),
        (ValueError, "padding is 'x', expected a number", [A], "x"),
        (ValueError, r"padding is 9.2\S+, expected a number that int64", [[1, 2]], 2.0**63),
        (ValueError, r"padding is 1e\+99, expected a number that float32", [A.astype("f")], 1e99),
        (ValueError, "padding is 0, expected a number that <U1", [np.array(["a"])], 0),
        (TypeError, "column 1: got object arrays", [(A, np.array([None]))], None),
    ],
)
def test_a_batch_that_makes_no_array_is_an_error_that_names_the_place(error, match, batch, padding):
    with pytest.raises(error, match=match):
        concat_examples(batch, padding=padding)


# -- combining ------------------------------------------------------------------------------------


def test_columns_stand_side_by_side():
    dataset = TupleDataset(np.array([1, 2, 3]), ["a", "b", "c"])
    assert len(dataset) == 3
    assert dataset[0] == (1, "a")
    assert dataset[-1] == dataset[np.int64(2)] == (3, "c")
    assert list(dataset) == dataset[:] == [(1, "a"), (2, "b"), (3, "c")]
    assert DictDataset(x=[1, 2], y="ab")[1] == {"x": 2, "y": "b"}


DATASETS = {
    "TupleDataset": TupleDataset("abcd", range(4)),
    "DictDataset": DictDataset(x="abcd"),
    "ConcatenatedDataset": ConcatenatedDataset("a", "", "bcd"),
    "TransformDataset": TransformDataset("abcd", str.upper),
    "SubDataset": SubDataset("xabcdx", 1, 5),
    "shuffled": SubDataset("dcba", 0, 4, order=[3, 2, 1, 0]),
}


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_slices_lists_masks_and_negative_numbers_index_every_dataset(dataset, data):
    examples = [dataset[i] for i in range(4)]
    assert list(dataset) == examples and len(dataset) == 4
    part = data.draw(st.slices(4))
    assert dataset[part] == examples[part]
    numbers = data.draw(st.lists(st.integers(-4, 3)))
    assert dataset[numbers] == dataset[np.array(numbers, int)] == [examples[i] for i in numbers]
    mask = data.draw(st.lists(st.booleans(), min_size=4, max_size=4))
    assert dataset[mask] == [e for e, m in zip(examples, mask, strict=True) if m]


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
@pytest.mark.parametrize(
    ("index", "error"),
    [(4, IndexError), (-5, IndexError), ([0, 4], IndexError), ([True], IndexError)]
    + [(1.0, TypeError), ("x", TypeError), ([0.5], TypeError), ([[0]], TypeError)],
)
def test_an_index_that_leads_nowhere_is_an_error(dataset, index, error):
    with pytest.raises(error):
        dataset[index]


def test_an_index_error_within_an_example_does_not_end_the_walk():
    dataset = TransformDataset("abc", lambda x: [][0])
    with pytest.raises(IndexError):
        list(dataset)


@pytest.mark.parametrize(
    ("error", "match", "make"),
    [
        (ValueError, "TupleDataset: got no columns", lambda: TupleDataset()),
        (ValueError, "column 0 has 3 examples, column 1 has 2", lambda: TupleDataset("abc", "ab")),
        (
            ValueError,
            "column 'x' has 1 examples, column 'y' has 2",
            lambda: DictDataset(x="a", y="ab"),
        ),
        (TypeError, "TupleDataset: column 1 is int without a length", lambda: TupleDataset("a", 5)),
        (TypeError, "dataset 0 is int", lambda: ConcatenatedDataset(5)),
        (TypeError, "transform is None, expected a function", lambda: TransformDataset("a", None)),
        (NotImplementedError, "DatasetMixin has no __len__", lambda: DatasetMixin()[0]),
    ],
)
def test_what_cannot_be_combined_is_an_error(error, match, make):
    with pytest.raises(error, match=match):
        make()


# -- splitting ------------------------------------------------------------------------------------


@given(n=st.integers(1, 20), data=st.data())
@settings(max_examples=50, deadline=None)
def test_every_example_is_in_one_part(n, data):
    order = data.draw(st.none() | st.permutations(range(n)))
    at, parts = data.draw(st.integers(0, n - 1)), data.draw(st.integers(1, n))
    expected = list(range(n)) if order is None else list(order)
    first, second = split_dataset(range(n), at, order)
    assert (first[:], second[:]) == (expected[:at], expected[at:])
    split = split_dataset_n(range(n), parts, order)
    assert [i for part in split for i in part] == expected
    assert {len(part) for part in split} <= {n // parts, n // parts + 1}


@given(n=st.integers(2, 20), data=st.data())
@settings(max_examples=50, deadline=None)
def test_every_example_is_tested_with_once(n, data):
    folds = data.draw(st.integers(2, n))
    order = data.draw(st.none() | st.permutations(range(n)))
    splits = get_cross_validation_datasets(range(n), folds, order)
    assert sorted(i for _, test in splits for i in test) == list(range(n))
    assert {len(test) for _, test in splits} <= {n // folds, n // folds + 1}
    for train, test in splits:
        assert sorted(train[:] + test[:]) == list(range(n))
    assert splits[0][1][:] == list(order or range(n))[-len(splits[0][1]) :]


@pytest.mark.parametrize(
    "split",
    [
        lambda **seed: split_dataset_random(range(30), 20, **seed),
        lambda **seed: split_dataset_n_random(range(30), 3, **seed),
        lambda **seed: get_cross_validation_datasets_random(range(30), 3, **seed)[0],
    ],
    ids=["split_dataset_random", "split_dataset_n_random", "get_cross_validation_datasets_random"],
)
def test_a_random_split_is_repeatable(split):
    def parts(**seed):
        return [part[:] for part in split(**seed)]

    drawn = [i for part in parts(seed=1) for i in part]
    assert sorted(drawn) == list(range(30)) != drawn
    assert parts(seed=1) == parts(seed=1) != parts(seed=2)
    np.random.seed(0)
    first = parts()
    assert parts() != first
    np.random.seed(0)
    assert parts() == first


@pytest.mark.parametrize(
    ("error", "match", "make"),
    [
        (ValueError, "start is -1 and finish is 2", lambda: SubDataset("abc", -1, 2)),
        (ValueError, "start is 2 and finish is 1", lambda: SubDataset("abc", 2, 1)),
        (
            ValueError,
            "finish is 4, expected 0 <= start <= finish <= 3",
            lambda: SubDataset("abc", 0, 4),
        ),
        (TypeError, "start is 0.0, expected an integer", lambda: SubDataset("abc", 0.0, 1)),
        (
            ValueError,
            r"order is int64 \(2,\), expected a permutation",
            lambda: SubDataset("abc", 0, 1, [0, 1]),
        ),
        (ValueError, "expected a permutation", lambda: SubDataset("abc", 0, 1, [0, 1, 1])),
        (ValueError, "expected a permutation", lambda: SubDataset("abc", 0, 1, [0, 1, 3])),
        (ValueError, "expected a permutation", lambda: SubDataset("abc", 0, 1, [0.0, 1, 2])),
        (
            ValueError,
            "split_at is 3, expected at least 0 and less than 3",
            lambda: split_dataset("abc", 3),
        ),
        (ValueError, "split_at is -1", lambda: split_dataset_random("abc", -1)),
        (ValueError, "split_dataset_n: n is 4, expected 1 to 3", lambda: split_dataset_n("abc", 4)),
        (
            ValueError,
            "n_fold is 1, expected 2 to 3",
            lambda: get_cross_validation_datasets("abc", 1),
        ),
        (
            ValueError,
            "expected a permutation",
            lambda: get_cross_validation_datasets("abc", 2, [0]),
        ),
    ],
)
def test_what_cannot_be_split_is_an_error(error, match, make):
    with pytest.raises(error, match=match):
        make()
