"""Saving and loading models, optimizers and what else a training run has to remember.

An object that can be saved has a method ``serialize(serializer)`` which calls
``serializer(name, value)`` for each of its values and stores what that returns. A serializer that
saves returns the value as it is; one that loads returns the one from the file. So one method
serves both ways.
"""

import copy
import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from .backend import get_array_module, is_array
from .parameter import Parameter


def save_npz(file: "str | os.PathLike", obj: Any) -> None:
    """Save an object to a file, in NumPy's npz format.

    The file is written beside, flushed to the disk, and renamed into place: whatever happens, the
    file of that name is the old one or the new one, whole.

    Args:
        file: its path.
        obj: something with ``serialize`` (a link, an optimizer), an array, a
            ``numpy.random.Generator``; or a mapping of names to such objects, to mappings, and
            to numbers and strings.

    Raises:
        OSError: the file cannot be written; the old one, if there was one, is untouched.
        TypeError: something in ``obj`` cannot be saved.

    >>> import dynet, dynet.links as L, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
    >>> dynet.serializers.save_npz(path, L.Linear(3, 2))
    >>> dynet.serializers.load_npz(path, L.Linear(3, 2))
    """
    path = os.path.realpath(file)  # of a link, what it leads to is replaced
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"save_npz: {path} is no regular file")
    values: dict[str, np.ndarray] = {}
    _visit(_Saver(values, ""), obj)
    # A name of its own in the same folder, so that the rename stays within one file system.
    temporary = f"{path}.{uuid.uuid4().hex}.part"
    try:
        with open(temporary, "xb") as f:
            with zipfile.ZipFile(f, "w") as npz:
                for name, array in values.items():
                    with npz.open(name + ".npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            f.flush()
            os.fsync(f.fileno())
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
        _sync_folder(os.path.dirname(path))
    except OSError as error:
        raise OSError(
            error.errno, f"save_npz: cannot write {path}: {error.strerror or error}"
        ) from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def load_npz(file: "str | os.PathLike", obj: Any, path: str = "", strict: bool = True) -> None:
    """Load an object's values from a file that ``save_npz`` wrote.

    Everything is checked before anything is changed. Nothing in the file is ever executed.

    Args:
        file: its path.
        obj: the object to fill, made like the one that was saved; the numbers and strings of a
            mapping are replaced.
        path: of the object inside the file, such as ``"model"``; the whole file by default.
        strict: whether the file must hold the object's values and no others; else what the
            object has not is passed over, and what the file has not stays as it is.

    Raises:
        ValueError: the file is not whole or no npz, or is of another model: a name, shape or
            dtype differs.
        OSError: the file cannot be read.
    """
    values = _read(file, path.rstrip("/") + "/" if path else "")
    check = _Checker(values, "", file)
    _visit(check, obj)
    unknown = sorted(set(values) - check.used)
    if strict and (check.missing or unknown):
        parts = []
        if check.missing:
            parts.append(f"it lacks {_listed(check.missing)}")
        if unknown:
            parts.append(f"it has {_listed(unknown)} too many")
        raise ValueError(f"load_npz: {file} is of another model: {'; '.join(parts)}")
    _visit(_Loader(values, ""), obj)


def _visit(serializer, obj):
    """Pass an object, or every object of a mapping, to a serializer."""
    if hasattr(obj, "serialize"):
        obj.serialize(serializer)
    elif isinstance(obj, Mapping):
        for name, value in obj.items():
            if not isinstance(name, str) or "/" in name or not name:
                raise TypeError(f"serializers: the name {name!r} is no string without a slash")
            if hasattr(value, "serialize") or isinstance(value, Mapping):
                _visit(serializer[name], value)
            else:
                loaded = serializer(name, value)
                if loaded is not value:
                    obj[name] = loaded
    elif is_array(obj) or isinstance(obj, np.random.Generator):
        serializer("value", obj)
    else:
        raise TypeError(
            f"serializers: cannot save or load {type(obj).__name__} by itself; expected an object "
            "with serialize, an array, a numpy.random.Generator, or a mapping of names to objects"
        )


class _Serializer:
    """A place in the tree of names; ``serializer["child"]`` is the one below.

    Called with a name and a value, it saves the value, or returns what the file has in its place:
    a Parameter, array or Generator filled, a number or string replaced.
    """

    def __init__(self, values, prefix):
        self.values = values
        self.prefix = prefix

    def __getitem__(self, name):
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__, prefix=f"{self.prefix}{name}/")
        return child


class _Saver(_Serializer):
    def __call__(self, name, value):
        if not (isinstance(value, Parameter) and value.array is None):
            self.values[self.prefix + name] = _to_array(self.prefix + name, value)
        return value


class _Checker(_Serializer):
    """Compares what is there with what is in the file, and changes nothing."""

    def __init__(self, values, prefix, file):
        super().__init__(values, prefix)
        self.file = file
        self.used = set()
        self.missing = []

    def __call__(self, name, value):
        key = self.prefix + name
        if key in self.values:
            self.used.add(key)
            expected = _mismatch(value, self.values[key])
            if expected:
                stored = self.values[key]
                raise ValueError(
                    f"load_npz: {self.file} is of another model: {key} is {stored.dtype} "
                    f"{stored.shape} in the file, expected {expected}"
                )
        elif not (isinstance(value, Parameter) and value.array is None):
            self.missing.append(key)
        return value


def _mismatch(value, stored):
    """What the file should hold for a value if it does not; else nothing."""
    if isinstance(value, Parameter):
        if value.array is None:
            same = stored.dtype == value.wanted_dtype and value.takes(stored.shape)
            if same:
                copy.deepcopy(value).initialize(stored.shape)  # the initializer may refuse it
            return None if same else f"{value.wanted_dtype} {value.wanted_shape}"
        value = value.array
    if is_array(value):
        same = stored.dtype == value.dtype and stored.shape == value.shape
        if same and not getattr(value.flags, "writeable", True):
            return "an array that can be written to in the object"
        return None if same else f"{value.dtype} {value.shape}"
    if isinstance(value, np.random.Generator):
        return _generator_mismatch(value, stored)
    if isinstance(value, str):
        return None if stored.shape == () and stored.dtype.kind == "U" else "a string"
    kinds = {bool: "b", int: "iu"}.get(type(value), "iuf")
    if stored.shape == () and stored.dtype.kind in kinds:
        return None
    return f"a number like {value!r}"


def _generator_mismatch(generator, stored):
    kind = type(generator.bit_generator).__name__
    expected = f"the state of a {kind} generator"
    if stored.shape != () or stored.dtype.kind != "U":
        return expected
    try:
        copy.deepcopy(generator).bit_generator.state = json.loads(stored.item())
    except (ValueError, TypeError, KeyError):
        return expected
    return None


class _Loader(_Serializer):
    def __call__(self, name, value):
        stored = self.values.get(self.prefix + name)
        if stored is None:
            return value
        if isinstance(value, Parameter):
            if value.array is None:
                value.initialize(stored.shape)
            value.array[...] = value.xp.asarray(stored)
            return value
        if is_array(value):
            value[...] = get_array_module(value).asarray(stored)
            return value
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = json.loads(stored.item())
            return value
        return type(value)(stored.item())


def _to_array(key, value):
    value = value.array if isinstance(value, Parameter) else value
    if is_array(value):
        array = value if isinstance(value, np.ndarray) else value.get()
    elif isinstance(value, np.random.Generator):
        # MT19937's state holds an array; it takes a list back in its place.
        array = np.asarray(json.dumps(value.bit_generator.state, default=np.ndarray.tolist))
    elif isinstance(value, (bool, int, float, str, np.generic)):
        array = np.asarray(value)
    else:
        raise TypeError(
            f"serializers: {key} is {type(value).__name__}, expected an array, a number, a "
            "string or a numpy.random.Generator"
        )
    if array.dtype.kind not in "biufcU":
        raise TypeError(f"serializers: {key} is of dtype {array.dtype}, expected numbers or text")
    return array


def _read(file, path):
    with open(file, "rb") as f:
        try:
            npz = np.load(f, allow_pickle=False)
            names = [name for name in npz.files if name.startswith(path)]
            arrays = {name.removeprefix(path): npz[name] for name in names}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise TypeError("a member is no array")
        except Exception as error:
            # NumPy and zipfile raise a dozen kinds of error at a file that is not what they expect.
            raise ValueError(
                f"load_npz: {file} is no npz file of arrays, or not a whole one"
            ) from error
    return arrays


def _listed(names):
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _sync_folder(folder):
    # Without this a power cut may still undo the rename. Windows cannot open folders.
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
