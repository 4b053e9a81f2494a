"""All that a training loop has to remember, in one file from which it can go on."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..serializers import load_npz, save_npz
from . import global_random

_RANDOM = "_random"  # the states' name in the file, beside those of the objects


def snapshot(path: "str | os.PathLike", /, *, keep: int = 1, **objects: Any) -> None:
    """Save objects, and the state of all global random numbers, so that ``resume`` can go on.

    A loop that goes on computes the very bits that it would have without the break, if all that
    changes while it runs is among the objects: the model, the optimizer, the iterator, a dict of
    the loop's own counts.

    The file is replaced as a whole or not at all; see ``dynet.serializers.save_npz``, whose format
    it has: ``load_npz(path, model, path="model")`` loads one object of it.

    Args:
        path: of the file.
        keep: how many snapshots stay: with 3, the one before this is called ``path.1``, and the
            one before that ``path.2``.
        objects: by name; whatever can be saved, links, optimizers, iterators, arrays, NumPy's
            random generators, or dicts and lists of such objects, numbers and text.

    Raises:
        TypeError: an object cannot be saved, or is a number or text, for which ``resume`` would
            have no place.
        ValueError: ``keep`` is less than 1.
        OSError: the file cannot be written; the old one is untouched.

    >>> import dynet, dynet.links as L, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "snapshot.npz")
    >>> state = {"epoch": 0}
    >>> objects = {"model": L.Linear(3, 2), "state": state}
    >>> dynet.training.resume(path, **objects)
    False
    >>> state["epoch"] = 5
    >>> dynet.training.snapshot(path, **objects)
    >>> state["epoch"] = 7
    >>> dynet.training.resume(path, **objects), state
    (True, {'epoch': 5})
    """
    _check("snapshot", objects)
    if keep < 1:
        raise ValueError(f"snapshot: keep is {keep}, expected at least 1")
    if keep == 1 or not os.path.exists(path):
        save_npz(path, {**objects, _RANDOM: global_random})
        return
    # The newest is never missing under its own name: it gets a second one before it is replaced.
    waiting = Path(f"{os.fspath(path)}.0")
    waiting.unlink(missing_ok=True)
    try:
        _second_name(path, waiting)
        save_npz(path, {**objects, _RANDOM: global_random})
    except BaseException:
        waiting.unlink(missing_ok=True)
        raise
    for i in reversed(range(keep - 1)):
        if os.path.exists(f"{os.fspath(path)}.{i}"):
            os.replace(f"{os.fspath(path)}.{i}", f"{os.fspath(path)}.{i + 1}")


def _second_name(path, other):
    try:
        os.link(os.path.realpath(path), other)
    except OSError:
        shutil.copy2(path, other)  # not every file system knows files with two names


def resume(path: "str | os.PathLike", /, **objects: Any) -> bool:
    """Load what ``snapshot`` saved into objects made like those that were saved.

    Everything is checked before anything is changed. Settings, such as a learning rate or a
    batch size, are not in the file: the program states them, and may state others.

    Args:
        path: of the file.
        objects: as for ``snapshot``, under the same names.

    Returns:
        bool: ``False``, with nothing changed, if there is no file yet.

    Raises:
        ValueError: the file is damaged, or of other objects; see ``dynet.serializers.load_npz``.
        TypeError: an object is of a kind that cannot be loaded.
    """
    _check("resume", objects)
    if not os.path.exists(path):
        return False
    # The random states come last: to make a parameter that has waited for its size draws numbers.
    load_npz(path, {**objects, _RANDOM: global_random})
    return True


def _check(by, objects):
    for name, value in objects.items():
        if isinstance(value, (int, float, str, np.generic)):
            raise TypeError(
                f"{by}: {name} is {value!r}, expected an object that can be filled; put numbers "
                f"and text into a dict: state={{{name!r}: {value!r}}}"
            )
        if name == _RANDOM:
            raise TypeError(f"{by}: the name {name} is taken by the global random states")
