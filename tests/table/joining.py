"""Rows of functions that join and split, repeat and pad."""

import numpy as np

import dynet.functions as F

from .row import Row, inputs, torch_function, x


def _listed(function, *arguments, **keywords):
    """A function of a list as one of several arrays."""
    return lambda *xs: function(list(xs), *arguments, **keywords)


def _torch(name, *arguments, **keywords):
    return lambda *tensors: torch_function(name)(list(tensors), *arguments, **keywords)


def _torch_pad_sequence(*tensors):
    from torch.nn.utils.rnn import pad_sequence

    return pad_sequence(list(tensors), batch_first=True)


def _padded(*xs, length=None, padding=0.0):
    y = np.full((len(xs), length or max(map(len, xs)), *xs[0].shape[1:]), padding)
    for row, sequence in zip(y, xs, strict=True):
        row[: len(sequence)] = sequence
    return y


def _by_step(*xs):
    return [np.stack([x[t] for x in xs if len(x) > t]) for t in range(len(xs[0]))]


def _torch_by_step(*tensors):
    import torch

    return [torch.stack([x[t] for x in tensors if len(x) > t]) for t in range(len(tensors[0]))]


def _pad(mode, width, *shape, **keywords):
    return Row(
        f"pad: {mode} {width} {shape} {list(keywords)}",
        lambda x: F.pad(x, width, mode, **keywords),
        inputs(x(*shape)),
        lambda x: np.pad(x, width, mode, **keywords),
    )


def _stretches(places):
    return lambda x: [x[a:b] for a, b in zip((0, *places), (*places, None), strict=True)]


def _pair(n, m):
    return inputs(x(n, m), x(n, m))


JOINED = (inputs(x(2, 3), x(2, 1)), inputs(x(3, 4)), inputs(x(2, 0), x(2, 3), x(2, 0)))
VECTORS = (inputs(x(3), x(3)), inputs(x(2, 3), x(2, 3), x(2, 3)), inputs(x(0), x(0)))

ROWS = [
    Row(
        "concat",
        _listed(F.concat),
        JOINED,
        _listed(np.concatenate, axis=1),
        _torch("concat", 1),
        bench=_pair,
    ),
    Row(
        "concat: the first axis",
        _listed(F.concat, axis=0),
        (inputs(x(2, 3), x(1, 3)), inputs(x(2), x(0), x(3))),
        _listed(np.concatenate),
    ),
    Row(
        "concat: the last axis",
        _listed(F.concat, axis=-1),
        inputs(x(2, 2, 3), x(2, 2, 1)),
        _listed(np.concatenate, axis=2),
    ),
    Row(
        "concat: one twice",
        lambda x, y: F.concat((x, y, x)),
        inputs(x(2, 3), x(2, 1)),
        lambda x, y: np.concatenate((x, y, x), axis=1),
    ),
    Row(
        "stack",
        _listed(F.stack),
        VECTORS,
        _listed(np.array),
        _torch("stack"),
        bench=_pair,
    ),
    *[
        Row(
            f"stack: axis {axis}",
            _listed(F.stack, axis),
            inputs(x(2, 3), x(2, 3), x(2, 3)),
            _listed(np.stack, axis),
            _torch("stack", axis),
        )
        for axis in (1, 2, -1, -2, -3)
    ],
    Row(
        "hstack",
        _listed(F.hstack),
        (*JOINED, inputs(x(3), x(2)), inputs(x(), x())),
        _listed(np.hstack),
        _torch("hstack"),
        bench=_pair,
    ),
    Row(
        "vstack",
        _listed(F.vstack),
        (*VECTORS, inputs(x(3), x(2, 3)), inputs(x(), x(1))),
        _listed(np.vstack),
        _torch("vstack"),
        bench=_pair,
    ),
    Row(
        "dstack",
        _listed(F.dstack),
        (*VECTORS, inputs(x(2, 3, 1), x(2, 3)), inputs(x(), x(1))),
        _listed(np.dstack),
        _torch("dstack"),
        bench=_pair,
    ),
    Row(
        "split_axis",
        lambda x: F.split_axis(x, 2, axis=1),
        (inputs(x(3, 4)), inputs(x(1, 2)), inputs(x(2, 0)), inputs(x(0, 2, 3))),
        lambda x: (x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]),
        torch_function("tensor_split", 2, 1),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    *[
        Row(
            f"split_axis: at {places}",
            lambda x, places=places: F.split_axis(x, places, axis=-2),
            inputs(x(5, 2)),
            _stretches(places),
        )
        for places in ((1, 3), (), (0, 5), (2, 2), (-4, -1), (3, 9), (-9, 4))
    ],
    Row(
        "split_axis: one stretch",
        lambda x: F.split_axis(x, 1, 0, force_tuple=False),
        inputs(x(3, 2)),
        lambda x: x,
    ),
    Row(
        "split_axis: only one is used",
        lambda x: F.split_axis(x, [1, 3], 0)[1],
        inputs(x(5, 2)),
        lambda x: x[1:3],
    ),
    Row(
        "separate",
        F.separate,
        (inputs(x(3, 2)), inputs(x(3)), inputs(x(2, 0)), inputs(x(1, 2, 2))),
        list,
        torch_function("unbind"),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "separate: another axis",
        lambda x: F.separate(x, -1),
        (inputs(x(2, 2, 3)), inputs(x(3))),
        lambda x: list(np.moveaxis(x, -1, 0)),
    ),
    Row(
        "separate: only one is used",
        lambda x: F.separate(x, 1)[-1],
        inputs(x(2, 3)),
        lambda x: x[:, -1],
    ),
    Row(
        "repeat",
        lambda x: F.repeat(x, 2, axis=-1),
        (inputs(x(3, 4)), inputs(x(3)), inputs(x(0, 3)), inputs(x(2, 0))),
        lambda x: np.stack([x, x], -1).reshape(*x.shape[:-1], 2 * x.shape[-1]),
        lambda x: x.repeat_interleave(2, dim=-1),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    Row(
        "repeat: all elements",
        lambda x: x.repeat(3),
        (inputs(x(2, 3)), inputs(x()), inputs(x(0, 2))),
        lambda x: np.repeat(x, 3),
        torch_function("repeat_interleave", 3),
    ),
    Row(
        "repeat: rows",
        lambda x: F.repeat(x, 3, axis=0),
        (inputs(x(2, 3)), inputs(x(1, 2, 2))),
        lambda x: x[np.arange(3 * len(x)) // 3],
    ),
    Row(
        "repeat: one entry",
        lambda x: F.repeat(x, 3, axis=1),
        (inputs(x(2, 1, 3)), inputs(x(2, 1)), inputs(x(0, 1, 2))),
        lambda x: np.concatenate([x, x, x], 1),
    ),
    Row(
        "repeat: a number for each",
        lambda x: F.repeat(x, (2, 0, 3), axis=1),
        (inputs(x(2, 3)), inputs(x(2, 3, 2)), inputs(x(0, 3, 2))),
        lambda x: x[:, [0, 0, 2, 2, 2]],
    ),
    Row(
        "repeat: a number for each element",
        lambda x: F.repeat(x, np.array([2, 0, 1, 1])),
        inputs(x(2, 2)),
        lambda x: x.ravel()[[0, 0, 2, 3]],
    ),
    Row("repeat: no copies", lambda x: F.repeat(x, [0]), inputs(x(2)), lambda x: x[:0]),
    Row(
        "tile",
        lambda x: F.tile(x, (2, 3)),
        (inputs(x(2, 3)), inputs(x(3)), inputs(x()), inputs(x(2, 3, 1)), inputs(x(0, 3))),
        lambda x: np.tile(x, (2, 3)),
        torch_function("tile", (2, 3)),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    *[
        Row(
            f"tile: {reps}",
            lambda x, reps=reps: F.tile(x, reps),
            (inputs(x(2, 3)), inputs(x(2))),
            lambda x, reps=reps: np.tile(x, reps),
        )
        for reps in (2, 1, 0, (), (2, 1, 1, 2))
    ],
    Row(
        "pad",
        lambda x: F.pad(x, 1, "constant"),
        (inputs(x(2, 3)), inputs(x(3)), inputs(x(0, 2))),
        lambda x: np.pad(x, 1),
        lambda x: torch_function("pad")(x, (1, 1) * x.ndim),
        bench=lambda n, m: inputs(x(n, m)),
    ),
    _pad("constant", ((1, 2), (0, 3)), 2, 3, constant_values=1.5),
    _pad("constant", (2, 1), 2, 3, constant_values=((1, 2), (3, 4))),
    *[
        _pad(mode, width, *shape)
        for mode in ("edge", "reflect", "symmetric", "wrap")
        for width, shape in (
            (1, (3, 4)),
            ((2, 1), (3,)),
            (((0, 1), (2, 0), (1, 1)), (2, 3, 2)),
            (5, (2,)),
            (2, (1,)),
            (0, (0, 2)),
        )
    ],
    Row(
        "pad_sequence",
        _listed(F.pad_sequence),
        (
            inputs(x(3, 2), x(1, 2), x(2, 2)),
            inputs(x(3), x(0)),
            inputs(x(0), x(0)),
        ),
        _padded,
        _torch_pad_sequence,
        bench=lambda n, m: inputs(x(n, m), x(n // 2, m)),
    ),
    Row(
        "pad_sequence: longer than all",
        _listed(F.pad_sequence, length=4, padding=-1),
        (inputs(x(3, 2), x(1, 2), x(0, 2)), inputs(x(4))),
        lambda *xs: _padded(*xs, length=4, padding=-1.0),
    ),
    Row(
        "transpose_sequence",
        _listed(F.transpose_sequence),
        (
            inputs(x(4, 2), x(2, 2), x(1, 2)),
            inputs(x(3), x(3)),
            inputs(x(2), x(0), x(0)),
            inputs(x(2, 0), x(1, 0)),
        ),
        _by_step,
        _torch_by_step,
        bench=lambda n, m: inputs(x(n, m), x(n // 2, m)),
    ),
    Row(
        "transpose_sequence: only the last is used",
        lambda *xs: F.transpose_sequence(xs)[-1],
        inputs(x(3, 2), x(2, 2)),
        lambda *xs: xs[0][-1:],
    ),
]
