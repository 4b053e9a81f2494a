"""Rows of functions of indices and orders."""

import numpy as np

import dynet.functions as F

from .row import Row, exactly, inputs, integers, torch_function, x


def _index(name, index, *shape):
    return Row(f"get_item: {name}", lambda x: x[index], inputs(x(*shape)), lambda x: x[index])


def _added(index):
    """``a`` with ``b`` added at an index, one place after the other."""

    def added(a, b):
        y = a.copy()
        places = np.arange(a.size).reshape(a.shape)[index]
        for place, value in zip(places.ravel(), b.ravel(), strict=True):
            y.reshape(-1)[place] += value
        return y

    return added


def _scatter(name, index, a, b):
    return Row(
        f"scatter_add: {name}",
        lambda a, b: F.scatter_add(a, index, b),
        inputs(a, b),
        _added(index),
    )


def _permutation(n):
    return lambda rng: rng.permutation(n)


ROWS = [
    Row(
        "get_item",
        lambda x: F.get_item(x, slice(1, 3)),
        (inputs(x(4, 3)), inputs(x(5)), inputs(x(4, 0))),
        lambda x: x[1:3],
        lambda x: x[1:3],
        bench=lambda n, m: inputs(x(n, m)),
    ),
    _index("an integer", 1, 4, 3),
    _index("an integer of NumPy", np.int32(-1), 4, 3),
    _index("one element", (1, -1), 4, 3),
    _index("slices with steps", (slice(None, None, 2), slice(2, None, -1)), 4, 3),
    _index("None", (None, slice(None), None), 4, 3),
    _index("Ellipsis", (..., 0), 2, 3, 4),
    _index("all of it", (), 2, 3),
    _index("integers that repeat", np.array([2, 0, 2, -1]), 3, 2),
    _index("integers with axes", np.array([[2, 0], [-1, 1]]), 3, 2, 2),
    _index("integers without a sign", np.array([2, 0, 2], np.uint64), 3, 2),
    _index("a list of integers", [1, 1], 3, 2),
    _index("an empty list", [], 3, 2),
    _index("two lists of integers", ([0, 2], [1, 1]), 3, 2),
    _index("two arrays of integers", (np.array([0, 0, 2]), np.array([1, 1, 0])), 3, 2),
    _index("arrays that broadcast", (np.array([[0], [2]]), np.array([1, 0])), 3, 2),
    _index("arrays apart", (np.array([0, 2]), slice(None), np.array([1, 0])), 3, 2, 2),
    _index("an array and a slice", (slice(1), np.array([[0, 1], [1, 1]])), 3, 2),
    _index("a boolean mask", np.array([[True, False], [False, True], [True, True]]), 3, 2),
    _index("a boolean", True, 3, 2),
    Row(
        "get_item: method take",
        lambda x: x.take([[2, 0], [0, -1]], axis=1),
        inputs(x(2, 3, 2)),
        lambda x: np.take(x, [[2, 0], [0, -1]], axis=1),
    ),
    Row(
        "get_item: take of all",
        lambda x: np.take(x, [5, 0, 5]),
        inputs(x(2, 3)),
        lambda x: x.ravel()[[5, 0, 5]],
    ),
    Row(
        "scatter_add",
        lambda a, ids, b: F.scatter_add(a, ids, b),
        (
            inputs(x(3, 2), exactly([2, 0, 2, -1]), x(4, 2)),
            inputs(x(5), integers(0, 5, 3, 2), x(3, 2)),
            inputs(x(3, 2), integers(0, 3, 0), x(0, 2)),
            inputs(x(3, 0), exactly([1, 1]), x(2, 0)),
        ),
        lambda a, ids, b: _added(ids)(a, b),
        lambda a, ids, b: a.index_put((ids,), b, accumulate=True),
        bench=lambda n, m: inputs(x(n, m), integers(0, n, n), x(n, m)),
    ),
    _scatter("an integer", 1, x(3, 2), x(2)),
    _scatter("a slice", (..., slice(1, None)), x(3, 2), x(3, 1)),
    _scatter("two arrays", (np.array([0, 0, 2]), np.array([1, 1, 0])), x(3, 2), x(3)),
    _scatter("a mask", np.array([True, False, True]), x(3, 2), x(2, 2)),
    _scatter("a list", [1, 1], x(3, 2), x(2, 2)),
    Row(
        "select_item",
        F.select_item,
        (
            inputs(x(4, 3), exactly([2, 0, 1, 2])),
            inputs(x(1, 1), exactly([0])),
            inputs(x(0, 3), integers(0, 3, 0)),
        ),
        lambda x, t: np.take_along_axis(x, t[:, None], 1)[:, 0],
        lambda x, t: x.gather(1, t[:, None])[:, 0],
        bench=lambda n, m: inputs(x(n, m), integers(0, m, n)),
    ),
    Row(
        "permutate",
        F.permutate,
        (
            inputs(x(4, 3), exactly([2, 0, 1, 3])),
            inputs(x(3), exactly([1, 2, 0])),
            inputs(x(0, 2), integers(0, 1, 0)),
        ),
        lambda x, indices: x[indices],
        lambda x, indices: x[indices],
        bench=lambda n, m: inputs(x(n, m), _permutation(n)),
    ),
    Row(
        "permutate: another axis",
        lambda x, indices: F.permutate(x, indices, axis=-1),
        inputs(x(2, 3), exactly([1, 2, 0])),
        lambda x, indices: x[:, indices],
    ),
    Row(
        "permutate: back",
        lambda x, indices: F.permutate(x, indices, axis=1, inv=True),
        inputs(x(2, 4), exactly([1, 3, 0, 2])),
        lambda x, indices: x[:, np.argsort(indices)],
    ),
    Row(
        "diagonal",
        F.diagonal,
        (inputs(x(3, 4)), inputs(x(2, 2, 3)), inputs(x(0, 3)), inputs(x(2, 2, 0))),
        np.diagonal,
        torch_function("diagonal"),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    *[
        Row(
            f"diagonal: offset {offset}, axes {axis1} and {axis2}",
            lambda x, o=offset, i=axis1, j=axis2: F.diagonal(x, o, i, j),
            inputs(x(2, 3, 4)),
            lambda x, o=offset, i=axis1, j=axis2: np.diagonal(x, o, i, j),
            torch_function("diagonal", offset, axis1, axis2),
        )
        for offset, axis1, axis2 in ((1, 1, 2), (-1, -1, 0), (-2, 2, 1), (3, 0, -1), (9, 0, 1))
    ],
    Row(
        "diagonal: method",
        lambda x: x.diagonal(1),
        inputs(x(3, 3)),
        lambda x: np.diagonal(x, 1),
    ),
    Row(
        "flip",
        lambda x: F.flip(x, -1),
        (inputs(x(2, 3)), inputs(x(3)), inputs(x(3, 0))),
        lambda x: x[..., ::-1],
        torch_function("flip", [-1]),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row("flip: all", F.flip, (inputs(x(2, 3)), inputs(x())), np.flip),
    Row(
        "flip: some axes",
        lambda x: F.flip(x, (0, -1)),
        inputs(x(2, 3, 4)),
        lambda x: x[::-1, :, ::-1],
    ),
    Row(
        "fliplr",
        F.fliplr,
        (inputs(x(2, 3)), inputs(x(2, 3, 2)), inputs(x(0, 2))),
        np.fliplr,
        torch_function("fliplr"),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "flipud",
        F.flipud,
        (inputs(x(2, 3)), inputs(x(3)), inputs(x(0, 2))),
        np.flipud,
        torch_function("flipud"),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "flip: roll",
        lambda x: np.roll(x, 2),
        (inputs(x(2, 3)), inputs(x(0))),
        lambda x: np.concatenate([x.ravel()[-2:], x.ravel()[:-2]]).reshape(x.shape),
    ),
    Row(
        "flip: roll of axes",
        lambda x: np.roll(x, (1, -1), (0, 1)),
        inputs(x(2, 3)),
        lambda x: x[[[1], [0]], [[1, 2, 0]]],
    ),
]
