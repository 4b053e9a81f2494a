"""The kinds of values that can be saved: how each becomes an array, and comes back from one.

``to_array`` is the way into a file. The way back has two steps: ``prepare`` reads and checks and
changes nothing; ``put`` cannot fail. A file knows no devices: what is on a GPU is brought from
there to be saved, and what is loaded goes where the object's own arrays are.
"""

import copy
import json
from typing import Any

import numpy as np

from ..backend import fill, get_device, is_array
from ..parameter import Parameter
from .stored import Stored

GENERATORS = (np.random.Generator, np.random.RandomState)


class Unfit(Exception):
    """What the file has does not fit the value; the text says what would."""


def is_value(obj: Any) -> bool:
    """Whether an object is a value, not something with values in it."""
    return fills(obj) or isinstance(obj, (bool, int, float, str, np.generic))


def fills(value: Any) -> bool:
    """Whether a value is filled in place when it is loaded; numbers and text are replaced."""
    value = _random_state(value)
    if isinstance(value, np.ma.MaskedArray):
        return False  # its mask would be lost
    return is_array(value) or isinstance(value, (Parameter, *GENERATORS))


def waits(value: Any) -> bool:
    """Whether a value is a parameter that has no array yet."""
    return isinstance(value, Parameter) and value.array is None


def to_array(key: str, value: Any) -> np.ndarray:
    """The array that stands for a value in a file; text becomes one of kind ``U``.

    Args:
        key: the value's name, for messages.
        value: any but a parameter without its array.

    Raises:
        TypeError: the value is of no kind that can be saved.
        ValueError: it is, but has no exact place in a file.
    """
    check_kind(key, value)
    value = _random_state(_bare(value))
    if isinstance(value, GENERATORS):
        return np.asarray(_text_of(value))
    if isinstance(value, str):
        return _text_array(key, value)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise ValueError(
            f"serializers: {key} is an integer of {value.bit_length()} bits, expected one that "
            "fits into 64"
        )
    array = np.asarray(get_device("cpu").send(value) if is_array(value) else value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"serializers: {key} is of dtype {array.dtype}, expected numbers")
    return array


def check_kind(key: str, value: Any) -> None:
    """Raise TypeError unless a value is of a kind that can be saved and loaded."""
    if not is_value(value):
        raise TypeError(
            f"serializers: {key} is {type(value).__name__}, expected an array, a number, a "
            "string, or a random generator of NumPy's"
        )


def prepare(value: Any, stored: Stored) -> Any:
    """Read what ``put`` shall put in a value's place, and change nothing.

    Raises:
        Unfit: the file has something else.
    """
    if waits(value):
        if stored.dtype != value.wanted_dtype or not value.takes(stored.shape):
            raise Unfit(f"{value.wanted_dtype} {value.wanted_shape or 'of any shape'}")
        return stored.read()
    value = _random_state(_bare(value))
    if is_array(value):
        if stored.dtype != value.dtype.newbyteorder("=") or stored.shape != value.shape:
            raise Unfit(f"{value.dtype} {value.shape}")
        if not getattr(value.flags, "writeable", True):
            raise Unfit("an array that can be written to in the object")
        return stored.read()
    if isinstance(value, GENERATORS):
        return _prepare_state(value, stored)
    if isinstance(value, str):
        if stored.what != "text":
            raise Unfit("text")
        return stored.read().item()
    return _prepare_number(value, stored)


def put(value: Any, prepared: Any) -> Any:
    """Fill a value with what was prepared, or return that in its place."""
    if waits(value):
        array = value.make_array(prepared.shape)
        fill(array, prepared)
        value.array = array
    elif is_array(_bare(value)):
        fill(_bare(value), prepared)
    elif fills(value):
        _set_state(_random_state(value), prepared)
    else:
        return prepared
    return value


def _bare(value):
    return value.array if isinstance(value, Parameter) else value


def _text_array(key, text):
    array = np.asarray(text)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"serializers: {key} is {text!r}, which is no valid text") from error
    if array.item() != text:
        raise ValueError(f"serializers: {key} ends in a zero character, which no array keeps")
    return array


def _prepare_number(value, stored):
    if isinstance(value, np.generic):
        if stored.dtype != value.dtype or stored.shape != ():
            raise Unfit(f"{value.dtype} ()")
        return stored.read()[()]
    kinds = "b" if isinstance(value, bool) else "iu" if isinstance(value, int) else "iuf"
    if stored.dtype is None or stored.dtype.kind not in kinds or stored.shape != ():
        raise Unfit(f"a number like {value!r}")
    number = stored.read().item()
    try:
        converted = type(value)(number)
    except (ValueError, OverflowError):
        converted = None
    if converted != number and number == number:
        raise Unfit(f"a number like {value!r}, not {number!r}")
    return converted


# -- random generators, whose state is kept as text -----------------------------------------------


def _random_state(value):
    """The module ``numpy.random`` stands for the state that its functions share."""
    return np.random.mtrand._rand if value is np.random else value


def _state_of(rng):
    if isinstance(rng, np.random.Generator):
        return rng.bit_generator.state
    return rng.get_state(legacy=False)


def _set_state(rng, state):
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = state
    else:
        rng.set_state(state)


def _text_of(rng):
    # Some states hold arrays; they take lists back in their place.
    return json.dumps(_state_of(rng), default=lambda array: array.tolist())


def _prepare_state(rng, stored):
    own = json.loads(_text_of(rng))
    expected = f"the state of a {own['bit_generator']} generator"
    if stored.what != "text":
        raise Unfit(expected)
    text = stored.read().item()
    try:
        state = json.loads(text)
        if not _alike(state, own) or not _positions_inside(state):
            raise ValueError("not a state")
        trial = copy.deepcopy(rng)
        _set_state(trial, state)
        if json.loads(_text_of(trial)) != state:
            raise ValueError("numbers out of range")
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Unfit(expected) from error
    return state


def _alike(a, b):
    """Whether two values from JSON have the same form, down to lengths and types."""
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(_alike(a[k], b[k]) for k in b)
    if isinstance(b, list):
        return isinstance(a, list) and len(a) == len(b) and all(map(_alike, a, b))
    return type(a) is type(b)


def _positions_inside(state):
    """Whether positions in buffers lie in them: NumPy takes any, and would read out of bounds."""
    for position, buffer in ("pos", "key"), ("buffer_pos", "buffer"):
        both = position in state and buffer in state
        if both and not 0 <= state[position] <= len(state[buffer]):
            return False
    return all(_positions_inside(part) for part in state.values() if isinstance(part, dict))
