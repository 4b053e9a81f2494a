"""From a list of examples to arrays: what a model is given of a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..backend import check_one_device, get_array_module, get_device, is_array, is_cupy
from ..config import config


def concat_examples(batch: Sequence, device: Any = None, padding: Any = None) -> Any:
    """The examples of a batch as arrays, with the batch as their first axis.

    An example may be an array or a number, a tuple of such, or a dict of such. Arrays and NumPy's
    numbers keep their dtype. Python's floats, alone or in lists, become ``config.dtype``, as
    parameters do; Python's integers become int64.

    Args:
        batch: a list of examples, all of one kind; at least one.
        device: where the arrays go, as in ``get_device``; by default they stay where they are.
        padding: fills the end of each axis where examples are shorter than the longest; one
            number, or a tuple or dict of one for each column (``None``: not to be padded). By
            default all examples of a column must have one shape.

    Returns:
        an array, a tuple of arrays, or a dict of arrays.

    Raises:
        ValueError: the batch is empty; examples differ in what they consist of, in dtype, in
            number of axes, or without padding in shape; ``padding`` does not fit.
        TypeError: an example holds what cannot become an array of numbers or text.

    >>> import numpy as np, dynet
    >>> batch = [(np.array([1, 2, 3]), 0.5), (np.array([4, 5]), 1.5)]
    >>> dynet.datasets.concat_examples(batch, padding=(-1, None))
    (array([[ 1,  2,  3],
           [ 4,  5, -1]]), array([0.5, 1.5], dtype=float32))
    """
    if len(batch) == 0:
        raise ValueError("concat_examples: the batch is empty, expected at least one example")
    device = None if device is None else get_device(device)
    first = batch[0]
    if isinstance(first, tuple):
        width = len(first)
        for i, example in enumerate(batch):
            if not isinstance(example, tuple) or len(example) != width:
                raise ValueError(
                    f"concat_examples: example 0 is a tuple of {width}, example {i} is "
                    f"{_described(example)}; expected tuples of one length"
                )
        names: Any = range(width)
        columns = zip(*batch, strict=True)
        paddings = padding if isinstance(padding, tuple) else (padding,) * width
        if len(paddings) != width:
            raise ValueError(
                f"concat_examples: padding is a tuple of {len(paddings)}, the examples are tuples "
                f"of {width}; expected one padding for each column"
            )
    elif isinstance(first, Mapping):
        names = list(first)
        for i, example in enumerate(batch):
            if not isinstance(example, Mapping) or example.keys() != first.keys():
                raise ValueError(
                    f"concat_examples: example 0 is {_described(first)}, example {i} is "
                    f"{_described(example)}; expected dicts with one set of keys"
                )
        columns = ([example[name] for example in batch] for name in names)
        paddings = [padding] * len(names)
        if isinstance(padding, Mapping):
            if padding.keys() != first.keys():
                raise ValueError(
                    f"concat_examples: padding is {_described(padding)}, the examples are "
                    f"{_described(first)}; expected one padding for each key"
                )
            paddings = [padding[name] for name in names]
    else:
        if isinstance(padding, (tuple, Mapping)):
            raise ValueError(
                f"concat_examples: padding is {_described(padding)}, the examples are "
                f"{_described(first)}; expected one number"
            )
        return _concat(batch, padding, "", device)
    arrays = [
        _concat(column, pad, f"column {name!r}: ", device)
        for name, column, pad in zip(names, columns, paddings, strict=True)
    ]
    return tuple(arrays) if isinstance(first, tuple) else dict(zip(names, arrays, strict=True))


def _concat(items, padding, column, device):
    """One column as one array; ``column`` is what messages call it."""
    one_of_each_type = {type(x): x for x in items}.values()
    if not all([_is_typed(x) for x in one_of_each_type]):
        if padding is None and not any([_is_typed(x) for x in one_of_each_type]):
            array = _from_python(items, column)  # numbers, at once
            return array if device is None else device.send(array)
        items = [_from_python(x, f"{column}example {i}: ") for i, x in enumerate(items)]
    gpus = [is_cupy(x) for x in one_of_each_type]
    if any(gpus) and not all(gpus):
        first = {}
        for i, x in enumerate(items):
            first.setdefault(is_cupy(x), (f"example {i}", x))
        check_one_device(f"concat_examples: {column}".rstrip(": "), dict(first.values()))
    dtype = _one("dtype", items, column)
    if dtype.hasobject:
        raise TypeError(f"concat_examples: {column}got {dtype} arrays, expected numbers or text")
    xp = get_array_module(items[0])
    if padding is None:
        shape = _one("shape", items, column)
        # Arrays one below the other, then cut apart: far faster than xp.stack.
        array = xp.concatenate(items).reshape(len(items), *shape) if shape else xp.asarray(items)
    else:
        _one("ndim", items, column)
        array = _padded(xp, items, dtype, padding, column)
    return array if device is None else device.send(array)


def _from_python(value, place):
    """What is no array yet as an array; floats in ``config.dtype``."""
    if is_cupy(value):
        return value  # in a column with numbers of Python's
    try:
        array = np.asarray(value)
    except TypeError as error:  # a Variable, or an array on a GPU, within a list
        raise TypeError(f"concat_examples: {place}got a list that is no array: {error}") from error
    except ValueError as error:
        raise ValueError(
            f"concat_examples: {place}lists of different lengths, expected one length, or arrays "
            "and padding"
        ) from error
    # Numbers among text would become text.
    several = isinstance(value, (list, tuple))
    mixed = array.dtype.kind in "US" and several and len(set(map(type, value))) > 1
    if array.dtype.kind not in "biufcUS" or mixed:
        got = " and ".join(sorted({_described(x) for x in value})) if several else _described(value)
        raise TypeError(f"concat_examples: {place}got {got}, expected arrays or numbers")
    return array if array.dtype != np.float64 or _is_typed(value) else array.astype(config.dtype)


def _is_typed(value):
    """Whether a value has a dtype of its own, unlike Python's numbers."""
    # NumPy's text is Python's too: the dtypes of two differ where their lengths do.
    return is_array(value) or (
        isinstance(value, np.generic) and not isinstance(value, np.character)
    )


def _one(attribute, items, column):
    """The dtype, shape or number of axes that all items have."""
    values = [getattr(x, attribute) for x in items]
    first = values[0]
    if values.count(first) < len(values):
        i = next(i for i, value in enumerate(values) if value != first)
        hint = ", or padding" if attribute == "shape" else ""
        raise ValueError(
            f"concat_examples: {column}example 0 has {attribute} {first}, example {i} has "
            f"{values[i]}; expected one {attribute}{hint}"
        )
    return first


def _padded(xp, items, dtype, padding, column):
    if not _can_hold(dtype, np.asarray(padding)):
        raise ValueError(
            f"concat_examples: {column}padding is {padding!r}, expected a number that {dtype} can "
            "hold"
        )
    shape = tuple(max(lengths) for lengths in zip(*[x.shape for x in items], strict=True))
    result = xp.full((len(items), *shape), padding, dtype)
    for i, x in enumerate(items):
        result[(i, *map(slice, x.shape))] = x
    return result


def _can_hold(dtype, number):
    if number.ndim or number.dtype.kind not in "biuf" or dtype.kind not in "biufc":
        return False
    with np.errstate(all="ignore"):
        held = number.astype(dtype)
    if dtype.kind in "biu":
        return held.item() == number.item()
    return np.isfinite(held) == np.isfinite(number)  # a float may be rounded


def _described(value):
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    if isinstance(value, Mapping):
        return f"a dict with the keys {sorted(map(str, value))}"
    if isinstance(value, list):
        return "a list of " + (type(value[0]).__name__ if value else "nothing")
    return f"{value.dtype} {value.shape}" if is_array(value) else type(value).__name__
