"""Arrays in an HDF5 file as a data set, read from the disk as they are asked for."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..serializers.hdf5 import require_h5py
from .dataset_mixin import DatasetMixin, _numbers


class HDF5Dataset(DatasetMixin):
    """Examples that lie in arrays of one HDF5 file, one row of each array per example.

    Only what is asked for is read: ``dataset[3]`` one row of each array, ``dataset[10:20]`` and
    ``dataset[[7, 1, 4]]`` all of their rows at once. It may be pickled, and used in processes
    that were forked: each process opens the file for itself. ``with`` or ``close`` closes it.

    Args:
        path: the file; it stays as it is.
        names: of the arrays in the file, as ``"x"`` or ``"train/x"``, in the order in which an
            example has their rows.

    Raises:
        ImportError: h5py is not installed; ``pip install 'dynet[io]'`` brings it.
        FileNotFoundError: there is no such file.
        ValueError: it is no HDF5 file, or a damaged one; it has no array of a name; the arrays
            are not all of one length.
        TypeError: a name is no string.

    >>> import h5py, os, tempfile
    >>> from dynet.datasets import HDF5Dataset
    >>> path = os.path.join(tempfile.mkdtemp(), "data.h5")
    >>> with h5py.File(path, "w") as file:
    ...     file["x"] = [[1.0, 2.0], [3.0, 4.0]]
    ...     file["y"] = [0, 1]
    >>> with HDF5Dataset(path, "x", "y") as dataset:
    ...     len(dataset), dataset[1]
    (2, (array([3., 4.]), np.int64(1)))
    """

    def __init__(self, path: str | os.PathLike, *names: str):
        for name in names:
            if not isinstance(name, str):
                raise TypeError(
                    f"HDF5Dataset: a name is {name!r}, expected strings, one for each array"
                )
        self._path = Path(path).expanduser().absolute()
        self._names = names
        self._opened = None  # the number of the process that opened the file, it, its arrays
        self._closed = False
        lengths = [len(column) for column in self._columns()]
        if len(set(lengths)) > 1:
            self.close()
            found = ", ".join(f"{name!r} has {n}" for name, n in zip(names, lengths, strict=True))
            raise ValueError(
                f"HDF5Dataset: the arrays in {self._path} differ in length: {found}; "
                "expected a row of each for every example"
            )
        self._length = lengths[0]

    def __len__(self) -> int:
        return self._length

    def get_example(self, i: int) -> Any:
        """A row of each array: a tuple, or the row itself where there is one array."""
        row = self._read(i)
        return row[0] if len(row) == 1 else tuple(row)

    def __getitem__(self, index: Any) -> Any:
        """One example, or a list of them, as with any dataset; several are read at once.

        Args:
            index: a number; or a slice, a list or an array of numbers, or an array of booleans.

        Raises:
            IndexError: there is no such example.
            TypeError: the index is something else.
            ValueError: the file is damaged there, or the data set was closed.
        """
        n = self._length
        if isinstance(index, slice):
            rows = range(n)[index]
        elif isinstance(index, (list, np.ndarray)) and np.ndim(index):
            rows = _numbers("HDF5Dataset", index, n)
        else:
            return super().__getitem__(index)
        if isinstance(rows, range) and rows.step == 1:
            columns = self._read(slice(rows.start, max(rows.start, rows.stop)))
        else:
            # In any order, some perhaps twice; HDF5 wants each once, in the order of the file.
            unique, places = np.unique(np.array(rows, int), return_inverse=True)
            columns = [column[places] for column in self._read(unique)]
        return list(columns[0]) if len(columns) == 1 else list(zip(*columns, strict=True))

    def __enter__(self) -> "HDF5Dataset":
        return self

    def __exit__(self, *exception):
        self.close()

    def __getstate__(self):
        return {**self.__dict__, "_opened": None}

    def __repr__(self) -> str:
        return f"HDF5Dataset({str(self._path)!r}, {', '.join(map(repr, self._names))})"

    def close(self) -> None:
        """Close the file; nothing can be read from then on."""
        self._closed = True
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def _read(self, selection):
        columns = self._columns()
        try:
            return [column[selection] for column in columns]
        except (OSError, RuntimeError) as error:
            raise ValueError(
                f"HDF5Dataset: {self._path} is damaged, its arrays cannot be read ({error})"
            ) from error

    def _columns(self):
        """The arrays in the file, which this process opens where it has not."""
        if self._closed:
            raise ValueError(f"HDF5Dataset: {self._path} was closed")
        if self._opened is None or self._opened[0] != os.getpid():
            if self._opened is not None:
                # Forked. As long as HDF5 knows the file as open it would go on with the parent's.
                self._opened[1].close()
            file = _open(self._path)
            try:
                columns = _find(file, self._path, self._names)
            except BaseException:
                file.close()
                raise
            self._opened = os.getpid(), file, columns
        return self._opened[2]


def _open(path):
    h5py = require_h5py("HDF5Dataset")
    if not path.is_file():
        raise FileNotFoundError(f"HDF5Dataset: there is no file {path}")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno is not None:
            raise  # the system's: it may not be read, or another process writes to it
        raise ValueError(
            f"HDF5Dataset: {path} is no HDF5 file, or a damaged one ({error})"
        ) from error


def _find(file, path, names):
    """The arrays of some names."""
    columns = []
    for name in names:
        try:
            column = file[name]
        except (KeyError, OSError, RuntimeError):
            column = None
        if not getattr(column, "shape", None):
            raise ValueError(
                f"HDF5Dataset: {path} has no array {name!r} with rows; it has {_contents(file)}"
            )
        columns.append(column)
    if not names:
        raise ValueError(
            f"HDF5Dataset: no names, expected those of arrays in {path}; it has {_contents(file)}"
        )
    return columns


def _contents(file):
    """The arrays in a file with their shapes, for messages."""
    found = []

    def note(name, thing):
        if getattr(thing, "shape", None):
            found.append(f"{name!r} {thing.shape}")

    try:
        file.visititems(note)
    except (KeyError, OSError, RuntimeError) as error:
        found.append(f"damaged parts ({error})")
    return ", ".join(found) or "none"
