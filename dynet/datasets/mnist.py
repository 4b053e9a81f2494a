"""MNIST: 70,000 handwritten digits.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits",
http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .download import CHUNK, cache_folder, has_checksum, kept_files

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)

# SHA-256 of each file as it is published, gzipped.
CHECKSUMS = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class Examples(NamedTuple):
    """Images and what they show.

    Attributes:
        images: ``(N, 28, 28)``, uint8: 0 is background, 255 is ink.
        labels: ``(N,)``, int32: the digits, 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray


class MNIST(NamedTuple):
    """Examples to learn from, and others to test with."""

    train: Examples
    test: Examples


def get_mnist(
    folder: str | os.PathLike | None = None,
    *,
    download: bool = True,
    cache: str | os.PathLike | None = None,
    mirrors: Sequence[str] = MIRRORS,
    timeout: float = 30.0,
) -> MNIST:
    """The MNIST handwritten digits: 60,000 to learn from and 10,000 to test with.

    Without a folder they are downloaded once into a cache (11.6 MB), and read from there from
    then on. With a folder its files are read as they are, and the other arguments play no part.

    Args:
        folder: a folder with the four IDX files (``train-images-idx3-ubyte``,
            ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte``;
            also spelled ``train-images.idx3-ubyte``), each plain or gzipped with ``.gz``. Where
            it has only the two ``t10k`` files, they are split: the first 4/5 (8,000 of 10,000)
            to train, the last fifth (2,000) to test. The first half of ``t10k`` is the
            cleaner one, so that fifth is harder than the whole.
        download: whether what is not in the cache may be downloaded.
        cache: the folder in whose subfolder ``mnist`` downloads are kept; by default the
            environment variable ``DYNET_DATA``, else ``$XDG_CACHE_HOME/dynet``, else
            ``~/.cache/dynet``.
        mirrors: addresses of folders to download from, tried in turn.
        timeout: seconds to wait for any one answer of a mirror.

    Returns:
        MNIST: ``(train, test)``, each a pair ``(images, labels)``: images uint8
        ``(N, 28, 28)``, labels int32 ``(N,)``.

    Raises:
        FileNotFoundError: the folder or some of its files are missing; or with
            ``download=False`` the cache does not hold them all.
        DownloadError: no mirror gave a file; an ``OSError``.
        ValueError: a file is damaged, or does not hold what MNIST holds.

    >>> from dynet.datasets import get_mnist
    >>> train, test = get_mnist()  # doctest: +SKIP
    >>> train.images.shape, train.labels.shape  # doctest: +SKIP
    ((60000, 28, 28), (60000,))

    Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits",
    http://yann.lecun.com/exdb/mnist/.
    """
    if folder is not None:
        return _from_folder(Path(folder).expanduser())
    cached = cache_folder(cache) / "mnist"
    checks = {f"{name}.gz": has_checksum(checksum) for name, checksum in CHECKSUMS.items()}
    kept_files("get_mnist", cached, checks, mirrors, download, timeout)
    train, test = (_examples(*(cached / f"{name}.gz" for name in part)) for part in (TRAIN, TEST))
    return MNIST(train, test)


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, plain or gzipped, whatever its name.

    Args:
        path: the file. It holds two zero bytes, 8 for unsigned bytes, the number of axes (one
            byte), the length of each axis (four bytes, the highest first), then the elements,
            the last axis running fastest.

    Returns:
        numpy.ndarray: uint8, of the shape that the file gives.

    Raises:
        ValueError: the file is no such file, is cut short, or goes on after the last element.
        OSError: the file cannot be read.

    >>> import pathlib, tempfile
    >>> from dynet.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not zipped:
            return _read_stream(file, path)
        try:
            with gzip.open(file) as stream:
                return _read_stream(stream, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"read_idx: {path} is a broken gzip file ({error}), expected a whole one"
            ) from error


def _read_stream(stream, path):
    magic = stream.read(4)
    if len(magic) == 4 and magic[:3] != b"\0\0\x08":
        raise ValueError(
            f"read_idx: {path} begins with the bytes {magic.hex(' ')}, expected 00 00 08 and the "
            "number of axes, as in an IDX file of unsigned bytes"
        )
    axes = magic[3] if len(magic) == 4 else 0
    lengths = stream.read(4 * axes)
    if len(magic) + len(lengths) < 4 + 4 * axes:
        raise ValueError(
            f"read_idx: {path} ends after {len(magic) + len(lengths)} bytes, "
            f"expected a header of {4 + 4 * axes}"
        )
    shape = tuple([int(n) for n in np.frombuffer(lengths, ">u4")])
    expected = math.prod(shape)
    # The header may promise anything: memory is taken only for what is really there, and a
    # gzip file that would unfold without end is read no further than the promise.
    data = bytearray()
    while len(data) <= expected and (chunk := stream.read(CHUNK)):
        data += chunk
    if len(data) < expected:
        raise ValueError(
            f"read_idx: {path} has {len(data)} bytes of data, expected {expected} for its "
            f"shape {shape}"
        )
    if len(data) > expected:
        raise ValueError(
            f"read_idx: {path} goes on after its data, expected the end of the file after "
            f"{expected} bytes for its shape {shape}"
        )
    try:
        return np.frombuffer(data, np.uint8).reshape(shape)
    except ValueError as error:
        # No elements but enormous axes, or more axes than an array can have.
        raise ValueError(
            f"read_idx: {path} has {len(shape)} axes of lengths {shape}, expected a shape that "
            f"NumPy can hold ({error})"
        ) from error


def _from_folder(folder):
    paths = {name: _find(folder, name) for name in TRAIN + TEST}
    missing = tuple([name for name, path in paths.items() if path is None])
    if missing and missing != TRAIN:
        found = "lacks " + ", ".join(missing) if folder.is_dir() else "is no folder"
        raise FileNotFoundError(
            f"get_mnist: folder {folder} {found}; looked for {', '.join(TRAIN + TEST)}, each "
            f"plain or with .gz, also spelled like {_spellings(TRAIN[0])[2]}; expected all four, "
            "or only the two of t10k"
        )
    test = _examples(*(paths[name] for name in TEST))
    if not missing:
        return MNIST(_examples(*(paths[name] for name in TRAIN)), test)
    n = 4 * len(test.images) // 5
    return MNIST(
        Examples(test.images[:n], test.labels[:n]), Examples(test.images[n:], test.labels[n:])
    )


def _find(folder, name):
    return next((p for s in _spellings(name) if (p := folder / s).is_file()), None)


def _spellings(name):
    dotted = name.replace("-idx", ".idx")
    return name, f"{name}.gz", dotted, f"{dotted}.gz"


def _examples(images_path, labels_path):
    images = read_idx(images_path)
    if images.shape[1:] != (28, 28):
        raise ValueError(
            f"get_mnist: {images_path} holds shape {images.shape}, expected images (N, 28, 28)"
        )
    labels = read_idx(labels_path)
    if labels.ndim != 1:
        raise ValueError(
            f"get_mnist: {labels_path} holds shape {labels.shape}, expected labels (N,)"
        )
    if len(labels) != len(images):
        raise ValueError(
            f"get_mnist: {labels_path} holds {len(labels)} labels, expected {len(images)}, one "
            f"for each image of {images_path}"
        )
    if (labels > 9).any():
        raise ValueError(
            f"get_mnist: {labels_path} holds the label {labels.max()}, expected digits 0 to 9"
        )
    return Examples(images, labels.astype(np.int32))
