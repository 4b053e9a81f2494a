"""The safetensors format: a header of names, dtypes and shapes, then the arrays, one by one.

Numbers are tensors without axes. Text has its place in the header's metadata, under its name
after ``text:``; so does the checksum of each value, after ``crc32:``, since the format itself
would not notice a changed byte.
"""

import os
from functools import partial
from typing import Any

import numpy as np

from ..files import write_atomically
from .stored import Stored, checksum_of, stored_array
from .tree import IgnoreNames, Source, collect, fill

DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "I8": np.dtype(np.int8),
    "I16": np.dtype(np.int16),
    "I32": np.dtype(np.int32),
    "I64": np.dtype(np.int64),
    "U8": np.dtype(np.uint8),
    "U16": np.dtype(np.uint16),
    "U32": np.dtype(np.uint32),
    "U64": np.dtype(np.uint64),
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}


def save_safetensors(file: "str | os.PathLike", obj: Any) -> None:
    """Save an object to a file, in the safetensors format.

    The file is written beside, flushed to the disk, and renamed into place: whatever happens, the
    file of that name is the old one or the new one, whole.

    Args:
        file: its path.
        obj: as for ``save_npz``; the dtypes are integers, booleans, float16, float32, float64.

    Raises:
        ImportError: safetensors is not installed.
        OSError: the file cannot be written; the old one, if there was one, is untouched.
        TypeError: something in ``obj`` cannot be saved, or is of a dtype that the format lacks.
        ValueError: a value has no place in the file.

    >>> import dynet, dynet.links as L, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> dynet.serializers.save_safetensors(path, L.Linear(3, 2))
    >>> dynet.serializers.load_safetensors(path, L.Linear(3, 2))
    """
    safetensors = _safetensors("save_safetensors")
    tensors, metadata = {}, {}
    for name, array in collect(obj).items():
        if name == "__metadata__":
            raise ValueError(f"save_safetensors: the format keeps the name {name} for itself")
        if array.dtype.kind == "U":
            metadata[f"text:{name}"] = array.item()
            metadata[f"crc32:{name}"] = str(checksum_of(array))
            continue
        if array.dtype.newbyteorder("=") not in DTYPES.values():
            raise TypeError(
                f"save_safetensors: {name} is of dtype {array.dtype}, which the format lacks; "
                "expected integers, booleans, float16, float32 or float64"
            )
        # The library takes any array's memory for that of a C-ordered one. A copy, since another
        # thread may change the array before its checksum is taken.
        tensors[name] = np.array(array, order="C")
        metadata[f"crc32:{name}"] = str(checksum_of(tensors[name]))
    content = safetensors.numpy.save(tensors, metadata or None)
    with write_atomically(file, "save_safetensors") as f:
        f.write(content)


def load_safetensors(
    file: "str | os.PathLike",
    obj: Any,
    path: str = "",
    strict: bool = True,
    ignore_names: IgnoreNames = None,
) -> None:
    """Load an object's values from a safetensors file, by whomever it was written.

    It is all or nothing, as with ``load_npz``.

    Args:
        file: its path.
        obj, path, strict, ignore_names: as for ``load_npz``.

    Raises:
        ImportError: safetensors is not installed.
        ValueError: the file is not whole or of another format, or is of another model: a name,
            shape or dtype differs.
        OSError: the file cannot be read.
    """
    safetensors = _safetensors("load_safetensors")
    source = Source("load_safetensors", file, "safetensors file")
    with open(file, "rb") as f:  # raises what the library would not tell from a damaged file
        length = os.fstat(f.fileno()).st_size
    with source.readable():
        tensors = safetensors.safe_open(os.fsdecode(file), framework="numpy")
    with tensors:
        with source.readable():
            entries = _entries(tensors, length)
        fill(obj, source, entries, path, strict, ignore_names)


def _safetensors(function):
    try:
        import safetensors.numpy  # optional: comes with dynet[io]
    except ImportError as error:
        raise ImportError(
            f"{function}: safetensors is not installed; pip install 'dynet[io]' or "
            "pip install safetensors brings it"
        ) from error
    return safetensors


def _entries(tensors, length):
    metadata = tensors.metadata() or {}
    names = tensors.keys()
    entries = {name: partial(_look, tensors, name, length, metadata) for name in names}
    for key, text in metadata.items():
        if key.startswith("text:"):
            name = key.removeprefix("text:")
            entries[name] = partial(_look_at_text, text, _checksum(metadata, name))
    return entries


def _look(tensors, name, length, metadata):
    tensor = tensors.get_slice(name)
    dtype = tensor.get_dtype()
    if dtype not in DTYPES:
        return Stored(f"of dtype {dtype}, which NumPy lacks")
    return stored_array(
        DTYPES[dtype],
        tuple(tensor.get_shape()),
        partial(tensors.get_tensor, name),
        length,
        _checksum(metadata, name),
    )


def _look_at_text(text, checksum):
    array = np.asarray(text)
    return stored_array(array.dtype, (), lambda: array, array.nbytes, checksum)


def _checksum(metadata, name):
    """What the file says it is; ``None`` in a file of another program."""
    text = metadata.get(f"crc32:{name}")
    return None if text is None else int(text)
