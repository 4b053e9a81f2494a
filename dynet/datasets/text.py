"""A text as a sequence of character ids, for models that write the next character.

Source of the text that comes by default (Tiny Shakespeare, 40,000 lines): A. Karpathy, "The
Unreasonable Effectiveness of Recurrent Neural Networks" (2015),
https://github.com/karpathy/char-rnn.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .download import cache_folder, has_checksum, kept_files

MIRRORS = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",)

# The name that it has at the mirrors, and the one that it goes by elsewhere.
FILES = ("input.txt", "tinyshakespeare.txt")

CHECKSUM = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class Text(NamedTuple):
    """A text in three parts, as ids, and the character that each id stands for.

    Attributes:
        train, validation, test: int32, one axis each: character ids.
        vocabulary: the characters, in the order of their ids.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    vocabulary: str


def get_text(
    path: str | os.PathLike | None = None,
    *,
    split: tuple[float, float, float] = (0.9, 0.05, 0.05),
    download: bool = True,
    cache: str | os.PathLike | None = None,
    mirrors: Sequence[str] = MIRRORS,
    timeout: float = 30.0,
) -> Text:
    """A text as character ids: by default a million characters of Shakespeare, 65 different ones.

    Without a path Tiny Shakespeare (1.1 MB) is downloaded once into a cache, and read from there
    from then on. With a path that file is read as it is, its line ends included.

    Args:
        path: any file of text in UTF-8, or a folder with ``tinyshakespeare.txt`` or
            ``input.txt`` in it.
        split: which fractions of the text, from its beginning on, are to train, to validate and
            to test with; together 1.
        download: whether what is not in the cache may be downloaded.
        cache: the folder in whose subfolder ``tinyshakespeare`` the download is kept; by default
            as for ``get_mnist``.
        mirrors: addresses of folders to download from, tried in turn.
        timeout: seconds to wait for any one answer of a mirror.

    Returns:
        Text: ``(train, validation, test, vocabulary)``: three int32 arrays with one axis, and a
        string of the characters of the whole text, sorted. ``vocabulary[i]`` is the character
        with id i, ``vocabulary.index(c)`` the id of a character.

    Raises:
        FileNotFoundError: there is no such file; or with ``download=False`` none in the cache.
        DownloadError: no mirror gave the file; an ``OSError``.
        ValueError: the file is empty or not UTF-8, or the fractions are not together 1.

    >>> import pathlib, tempfile
    >>> from dynet.datasets import get_text
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "song.txt")
    ...     _ = path.write_text("fa la la la")
    ...     train, validation, test, vocabulary = get_text(path)
    >>> vocabulary
    ' afl'
    >>> train
    array([2, 1, 0, 3, 1, 0, 3, 1, 0, 3], dtype=int32)
    >>> "".join(vocabulary[i] for i in train)
    'fa la la l'
    """
    if len(split) != 3 or not all(f >= 0 for f in split) or abs(sum(split) - 1) > 1e-9:
        raise ValueError(f"get_text: split is {split}, expected three fractions, together 1")
    if path is None:
        cached = cache_folder(cache) / "tinyshakespeare"
        check = {FILES[0]: has_checksum(CHECKSUM)}
        kept_files("get_text", cached, check, mirrors, download, timeout)
        path = cached / FILES[0]
    else:
        path = _find(Path(path).expanduser())
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"get_text: {path} is no text in UTF-8 ({error})") from error
    if not text:
        raise ValueError(f"get_text: {path} is empty, expected a text")
    codes, ids = np.unique(
        np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4")), return_inverse=True
    )
    ids = ids.astype(np.int32)
    ends = [round(split[0] * len(ids)), round((split[0] + split[1]) * len(ids))]
    return Text(*np.split(ids, ends), "".join(map(chr, codes)))


def _find(path):
    if path.is_file():
        return path
    for name in reversed(FILES):
        if (path / name).is_file():
            return path / name
    found = f"folder {path} lacks" if path.is_dir() else f"there is no file {path}; looked for"
    raise FileNotFoundError(f"get_text: {found} {' or '.join(reversed(FILES))}")
