"""The passes over an object: to collect its values, compare, load and restore them."""

import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .stored import Stored, stored_array
from .values import Unfit, check_kind, fills, is_value, prepare, put, to_array, waits

IgnoreNames = str | Callable[[str], bool] | list["str | Callable[[str], bool]"] | None


def collect(obj: Any) -> dict[str, np.ndarray]:
    """Every value of an object, as an array by name.

    Raises:
        TypeError: something in the object is of no kind that can be saved.
        ValueError: a value or name has no place in a file, or two have the same.
    """
    values: dict[str, np.ndarray] = {}
    visit(_Saver(values), obj)
    return values


class Source(NamedTuple):
    """Where values come from, for messages: which function loads which file, of which format."""

    load: str
    file: "str | os.PathLike"
    kind: str

    @contextmanager
    def readable(self, part: str = "") -> Iterator[None]:
        """Turn whatever reading a damaged file, or a part of it, raises into one kind of error."""
        try:
            yield
        except Unfit:
            raise
        except Exception as error:
            # The libraries raise a dozen kinds of error at a file that is not what they expect.
            raise ValueError(
                f"{self.load}: {self.file} is no {self.kind}, or not a whole one"
                f"{part and ': '}{part}: {error}"
            ) from error


def fill(
    obj: Any,
    source: Source,
    entries: dict[str, Callable[[], Stored]],
    path: str,
    strict: bool,
    ignore_names: IgnoreNames,
) -> None:
    """Load an object's values, all or none of them.

    Args:
        obj: the object to fill.
        source: for messages.
        entries: what the file has, by name. Each is looked at only if it is needed.
        path, strict, ignore_names: as in ``load_npz``.

    Raises:
        ValueError: the file is damaged, or of another model.
    """
    prefix = f"{path.strip('/')}/".lstrip("/")
    inside = {key: entries[key] for key in entries if key.startswith(prefix)}
    load = _Loader(source, inside, strict, _ignorer(ignore_names))
    load.prefix = prefix
    load.compare(obj)
    before = _Before(prefix, load.used)
    visit(before, obj)
    try:
        load.filling = True
        visit(load, obj)
        load.filling = False
        # What waited for its size has it now, and what depends on it asks for more than before.
        load.compare(obj)
    except BaseException:
        before.restore(obj)
        raise


def visit(serializer: "_Serializer", obj: Any) -> None:
    """Pass an object, or every object of a mapping, list or tuple, to a serializer."""
    if hasattr(obj, "serialize"):
        obj.serialize(serializer)
    elif isinstance(obj, Mapping):
        for name in obj:
            if not isinstance(name, str) or not name or "/" in name or not _storable(name):
                raise TypeError(f"serializers: the name {name!r} is no text without a slash")
        _visit_items(serializer, obj, [(name, name) for name in obj])
    elif isinstance(obj, (list, tuple)):
        _visit_items(serializer, obj, [(i, str(i)) for i in range(len(obj))])
    elif fills(obj):
        serializer("value", obj)
    else:
        raise TypeError(
            f"serializers: cannot save or load {type(obj).__name__} by itself; expected an object "
            "with serialize, an array, a random generator of NumPy's, or a mapping, list or tuple "
            "of such objects"
        )


def _visit_items(serializer, container, places):
    for place, name in places:
        value = container[place]
        if hasattr(value, "serialize") or isinstance(value, (Mapping, list, tuple)):
            visit(serializer[name], value)
            continue
        replaceable = isinstance(container, (MutableMapping, list))
        if is_value(value) and not fills(value) and not replaceable:
            raise TypeError(
                f"serializers: {serializer.key(name)} is {type(value).__name__} in a "
                f"{type(container).__name__}, where it cannot be replaced when it is loaded; "
                "expected a list or dict around it"
            )
        loaded = serializer(name, value)
        if loaded is not value:
            container[place] = loaded


def _storable(name):
    """Whether every format can keep a name."""
    return "\0" not in name and name == name.encode(errors="replace").decode()


class _Serializer:
    """A place in the tree of names; ``serializer["child"]`` is the one below.

    Called with a name and a value, it saves the value, or returns what the file has in its place:
    a Parameter, array or random generator filled, a number or string replaced.
    """

    prefix = ""

    def __getitem__(self, name: str) -> "_Serializer":
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__, prefix=self.key(name) + "/")
        return child

    def key(self, name: str) -> str:
        """The name in the file."""
        return self.prefix + name.strip("/")


class _Saver(_Serializer):
    def __init__(self, values):
        self.values = values

    def __call__(self, name: str, value: Any) -> Any:
        key = self.key(name)
        if not waits(value):
            if key in self.values:
                raise ValueError(f"serializers: two values have the name {key}")
            self.values[key] = to_array(key, value)
        return value


class _Loader(_Serializer):
    """Compares what is there with what is in the file; while ``filling``, also puts it there."""

    filling = False

    def __init__(self, source, entries, strict, ignored):
        self.source = source
        self.entries = entries
        self.strict = strict
        self.ignored = ignored
        self.stored = {}

    def __call__(self, name: str, value: Any) -> Any:
        key = self.key(name)
        check_kind(key, value)
        if self.ignored(key):
            return value
        if key not in self.entries:
            if not waits(value):
                self.missing.append(key)
            return value
        self.used.add(key)
        stored = self._look(key)
        if stored.dtype is None and not self.strict:
            return value
        try:
            with self.source.readable(key):
                prepared = prepare(value, stored)
        except Unfit as error:
            raise ValueError(
                f"{self.source.load}: {self.source.file} is of another model: {key} is "
                f"{stored.what} in the file, expected {error}"
            ) from error
        return put(value, prepared) if self.filling else value

    def _look(self, key):
        if key not in self.stored:
            with self.source.readable(key):
                self.stored[key] = self.entries[key]()
        return self.stored[key]

    def compare(self, obj: Any) -> None:
        """Raise ValueError if an object asks for other values than the file has."""
        self.used, self.missing = set(), []
        visit(self, obj)
        if not self.strict:
            return
        # What cannot be loaded anyway is not missed: Chainer writes None as a pickled object.
        unknown = [
            key
            for key in sorted(self.entries.keys() - self.used)
            if not self.ignored(key) and self._look(key).dtype is not None
        ]
        parts = []
        if self.missing:
            parts.append(f"it lacks {_listed(self.missing)}")
        if unknown:
            parts.append(f"it has {_listed(unknown)} too many")
        if parts:
            raise ValueError(
                f"{self.source.load}: {self.source.file} is of another model: {'; '.join(parts)}"
            )


class _Before(_Serializer):
    """Copies what is there under some names; while ``restoring``, puts it back.

    Values may be copies themselves, made by the object for the occasion: so what is filled is what
    the object passes then, not what it has passed before.
    """

    restoring = False

    def __init__(self, prefix, names):
        self.prefix = prefix
        self.names = names
        self.waiting = {}
        self.copies = {}

    def __call__(self, name: str, value: Any) -> Any:
        key = self.key(name)
        if self.restoring:
            if key in self.copies:
                return put(value, prepare(value, self.copies[key]))
            return self.waiting.get(key, value)
        if waits(value):
            self.waiting[key] = value
        elif key in self.names:
            copy = to_array(key, value).copy(order="K")
            self.copies[key] = stored_array(copy.dtype, copy.shape, lambda: copy, copy.nbytes)
        return value

    def restore(self, obj: Any) -> None:
        for parameter in self.waiting.values():
            parameter.array = None
        self.restoring = True
        visit(self, obj)


def _ignorer(names):
    names = names if isinstance(names, (list, tuple)) else [names]

    def ignored(key):
        return any(name(key) if callable(name) else name == key for name in names)

    return ignored


def _listed(names):
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
