"""HDF5: a dataset for each array, in groups along the slashes of its name, as Chainer's.

Numbers and text are scalar datasets. HDF5 itself would not notice a changed byte, so each dataset
has the checksum of its array for an attribute.
"""

import io
import os
from functools import partial
from typing import Any

import numpy as np

from ..files import write_atomically
from .stored import DEFLATE_RATIO, Stored, check_room, checksum_of, stored_array
from .tree import IgnoreNames, Source, collect, fill

# Filters that are part of HDF5 and that can be trusted with a hostile file: deflate, shuffle,
# fletcher32. Others may be plugins, which HDF5 would look for on the disk.
KNOWN_FILTERS = {1, 2, 3}

DEEPEST = 100  # groups; a file with more of them inside each other was made to do harm


def save_hdf5(file: "str | os.PathLike", obj: Any, compression: int = 0) -> None:
    """Save an object to a file, in HDF5 format.

    The file is written beside, flushed to the disk, and renamed into place: whatever happens, the
    file of that name is the old one or the new one, whole.

    Args:
        file: its path.
        obj: as for ``save_npz``.
        compression: gzip's level, 1 to 9, or 0 for none; Chainer's default is 4. Weights shrink
            by less than a tenth.

    Raises:
        ImportError: h5py is not installed.
        OSError: the file cannot be written; the old one, if there was one, is untouched.
        TypeError: something in ``obj`` cannot be saved.
        ValueError: a value has no place in the file, or ``compression`` is no level.

    >>> import dynet, dynet.links as L, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "model.h5")
    >>> dynet.serializers.save_hdf5(path, L.Linear(3, 2))
    >>> dynet.serializers.load_hdf5(path, L.Linear(3, 2))
    """
    h5py = require_h5py("save_hdf5")
    if compression not in range(10):
        raise ValueError(f"save_hdf5: compression is {compression!r}, expected 0 to 9")
    arrays = collect(obj)
    _check_names(arrays)
    # Made in memory: where Ctrl-C makes Python close a file before HDF5 is done with it, HDF5
    # crashes the process at its end.
    content = io.BytesIO()
    with h5py.File(content, "w") as h:
        for name, array in arrays.items():
            array = np.array(array, order="C")  # another thread may change it before the checksum
            settings: dict[str, Any] = {}
            if array.dtype.kind == "U":
                text = array.item().encode()
                array = np.asarray(text, h5py.string_dtype("utf-8", max(1, len(text))))
            elif compression and array.size > 1:
                settings |= {"compression": "gzip", "compression_opts": compression}
            dataset = h.create_dataset(name, data=array, **settings)
            dataset.attrs["crc32"] = checksum_of(array)
    with write_atomically(file, "save_hdf5") as f:
        f.write(content.getbuffer())


def load_hdf5(
    file: "str | os.PathLike",
    obj: Any,
    path: str = "",
    strict: bool = True,
    ignore_names: IgnoreNames = None,
) -> None:
    """Load an object's values from a file that ``save_hdf5``, or Chainer's, wrote.

    It is all or nothing, as with ``load_npz``. Links to other places, data in other files, and
    references are never followed.

    Args:
        file: its path.
        obj, path, strict, ignore_names: as for ``load_npz``.

    Raises:
        ImportError: h5py is not installed.
        ValueError: the file is not whole or no HDF5, or is of another model: a name, shape or
            dtype differs.
        OSError: the file cannot be read.
    """
    h5py = require_h5py("load_hdf5")
    source = Source("load_hdf5", file, "HDF5 file of arrays")
    with open(file, "rb") as f:
        with source.readable():
            h = h5py.File(f, "r")
        with h:
            with source.readable():
                entries = _entries(h5py, h, os.fstat(f.fileno()).st_size)
            fill(obj, source, entries, path, strict, ignore_names)


def require_h5py(by: str) -> Any:
    """The module; ImportError, with a sentence that names who asks, where it is missing."""
    try:
        import h5py  # optional: comes with dynet[io]
    except ImportError as error:
        raise ImportError(
            f"{by}: h5py is not installed; pip install 'dynet[io]' or pip install h5py brings it"
        ) from error
    return h5py


def _check_names(arrays):
    groups = {name[:i] for name in arrays for i, c in enumerate(name) if c == "/"}
    for name in arrays:
        if name in groups or not all(part.strip(".") for part in name.split("/")):
            raise ValueError(
                f"save_hdf5: HDF5 cannot have a value called {name}: the name has a part that is "
                "empty or dots, or there are values below it"
            )


def _entries(h5py, h, length):
    """What is in the file by name, found along its hard links alone."""
    entries = {}
    groups = [("", h)]
    seen = set()
    while groups:
        prefix, group = groups.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen or prefix.count("/") > DEEPEST:
            raise ValueError(f"the group {prefix} is there twice, or too deep inside others")
        seen.add(address)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                entries[prefix + name] = lambda: Stored("a link, which is not followed")
            elif isinstance(group[name], h5py.Group):
                groups.append((f"{prefix}{name}/", group[name]))
            else:
                entries[prefix + name] = partial(_look, h5py, group[name], length)
    return entries


def _look(h5py, dataset, length):
    if not isinstance(dataset, h5py.Dataset):
        return Stored("no dataset")
    if dataset.external or dataset.is_virtual:
        return Stored("data in another file, which is not read")
    if dataset.shape is None or dataset.dtype.hasobject:
        return Stored("nothing, or something other than numbers and text")
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if not filters <= KNOWN_FILTERS:
        return Stored("compressed in a way that is not gzip")
    dtype, shape, room = dataset.dtype, dataset.shape, length
    if dataset.chunks:
        # Also a chunk is made in memory, whole.
        room = DEFLATE_RATIO * length
        check_room(dtype, dataset.chunks, room)
    stored = stored_array(dtype, shape, lambda: dataset[()], room, dataset.attrs.get("crc32"))
    if h5py.check_string_dtype(dtype) and shape == ():
        return Stored("text", np.dtype(str), (), partial(_decode, stored))
    return stored


def _decode(stored):
    return np.asarray(stored.read().item().decode())
