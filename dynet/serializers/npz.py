"""NumPy's npz format: a zip file with an npy file for each array. Chainer writes it too."""

import io
import os
import zipfile
from functools import partial
from typing import Any

from numpy.lib import format as npy

from ..files import write_atomically
from .stored import DEFLATE_RATIO, Stored, stored_array
from .tree import IgnoreNames, Source, collect, fill

LONGEST_HEADER = 1 << 14  # bytes; NumPy trusts none above 10,000


def save_npz(file: "str | os.PathLike", obj: Any, compression: bool = False) -> None:
    """Save an object to a file, in NumPy's npz format.

    The file is written beside, flushed to the disk, and renamed into place: whatever happens, the
    file of that name is the old one or the new one, whole.

    Args:
        file: its path.
        obj: something with ``serialize`` (a link, an optimizer, the module ``dynet.random``), an
            array, a Parameter, a ``numpy.random.Generator`` or ``RandomState``, the module
            ``numpy.random`` for its global state; or a mapping, list or tuple of such objects.
            A mapping or list may have numbers and text in it, too.
        compression: whether to compress, as Chainer does unless told otherwise. Weights shrink by
            less than a tenth, and take more than ten times as long.

    Raises:
        OSError: the file cannot be written; the old one, if there was one, is untouched.
        TypeError: something in ``obj`` cannot be saved.
        ValueError: an integer has more than 64 bits, or two values the same name.

    >>> import dynet, dynet.links as L, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
    >>> dynet.serializers.save_npz(path, L.Linear(3, 2))
    >>> dynet.serializers.load_npz(path, L.Linear(3, 2))
    """
    arrays = collect(obj)
    method = zipfile.ZIP_DEFLATED if compression else zipfile.ZIP_STORED
    with write_atomically(file, "save_npz") as f, zipfile.ZipFile(f, "w", method) as npz:
        for name, array in arrays.items():
            with npz.open(name + ".npy", "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)


def load_npz(
    file: "str | os.PathLike",
    obj: Any,
    path: str = "",
    strict: bool = True,
    ignore_names: IgnoreNames = None,
) -> None:
    """Load an object's values from a file that ``save_npz``, or Chainer's, wrote.

    Everything is checked before anything is changed; where loading ends in an error all the same,
    or by Ctrl-C, every value is put back as it was. Nothing in the file is ever executed: a pickled
    object, such as the ``None`` that Chainer writes for a parameter without its size, is not
    loaded. An optimizer that Chainer saved lacks a count that dynet's has:
    ``ignore_names="skipped"`` leaves that alone.

    Args:
        file: its path.
        obj: the object to fill, made like the one that was saved; the numbers and text of
            mappings and lists are replaced.
        path: of the object inside the file, such as ``"model"``; the whole file by default.
        strict: whether the file must hold the object's values and no others; else what the
            object has not is passed over, and what the file has not stays as it is.
        ignore_names: values of the object and the file to leave alone: a name in the file, such
            as ``"model/fc/W"``, something that is called with the name, or a list of these.

    Raises:
        ValueError: the file is not whole or no npz, or is of another model: a name, shape or
            dtype differs.
        OSError: the file cannot be read.

    >>> import dynet, dynet.links as L, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
    >>> dynet.serializers.save_npz(path, {"model": L.Linear(3, 2), "epoch": 7})
    >>> link = L.Linear(None, 2)
    >>> dynet.serializers.load_npz(path, link, path="model")
    >>> link.W.shape
    (2, 3)
    """
    source = Source("load_npz", file, "npz file of arrays")
    with open(file, "rb") as f:
        with source.readable():
            npz = zipfile.ZipFile(f)
            entries = _entries(npz, os.fstat(f.fileno()).st_size)
        fill(obj, source, entries, path, strict, ignore_names)


def _entries(npz, length):
    entries = {}
    for info in npz.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name in entries:
            raise ValueError(f"{info.filename} is no npy file, or is there twice")
        if info.comment:
            raise ValueError(f"{info.filename} has a comment, which could be what follows, damaged")
        entries[name] = partial(_look, npz, info, length)
    return entries


def _look(npz, info, length):
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} is compressed in a way that is not NumPy's")
    with npz.open(info) as member:
        # A header is short, whatever it says of its length: NumPy would read it to its end first.
        header = io.BytesIO(member.read(LONGEST_HEADER))
    reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    shape, _, dtype = reader[npy.read_magic(header)](header)
    ratio = DEFLATE_RATIO if info.compress_type == zipfile.ZIP_DEFLATED else 1
    room = min(info.file_size, ratio * length) - header.tell()
    if dtype.hasobject:
        return Stored("a pickled object, which is never loaded")
    return stored_array(dtype, shape, partial(_read, npz, info), room)


def _read(npz, info):
    with npz.open(info) as member:
        array = npy.read_array(member, allow_pickle=False)
        if member.read(1):
            raise ValueError(f"{info.filename} goes on after its array")
        return array
