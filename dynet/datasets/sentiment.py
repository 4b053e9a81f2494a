"""Film reviews that praise or pan: texts as word ids, and what they say.

Sources: B. Pang, L. Lee, "Seeing stars: Exploiting class relationships for sentiment
categorization with respect to rating scales", ACL 2005; sentence polarity dataset v1.0,
https://www.cs.cornell.edu/people/pabo/movie-review-data/. A. Maas et al., "Learning Word Vectors
for Sentiment Analysis", ACL 2011; https://ai.stanford.edu/~amaas/data/sentiment/ (aclImdb).
"""

import hashlib
import io
import os
import re
import sys
import tarfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .download import cache_folder, kept_files

MIRRORS = ("https://www.cs.cornell.edu/people/pabo/movie-review-data/",)

ARCHIVE = "rt-polaritydata.tar.gz"

# In the order of their labels: of sentences, and the folders in both parts of aclImdb.
FILES = ("rt-polarity.neg", "rt-polarity.pos")
KINDS = ("neg", "pos")

# SHA-256 of each file in UTF-8. The archive has them in Windows-1252; what counts is the text.
CHECKSUMS = {
    "rt-polarity.neg": "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd",
    "rt-polarity.pos": "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58",
}

# Unpacked, the archive has some 1.3 MB. One that would unfold without end is read to here.
UNPACKED_LIMIT = 1 << 23

PADDING, UNKNOWN = 0, 1

# The words and the marks of a text as it is written; "it's" is one word, as in the sentences.
WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")


class Reviews(NamedTuple):
    """Texts and what they say.

    Attributes:
        texts: int32 ``(N, length)``, or with ``length=None`` a list of N arrays: word ids.
        labels: int32 ``(N,)``: 1 for praise, 0 for the contrary.
    """

    texts: np.ndarray | list[np.ndarray]
    labels: np.ndarray


class Sentiment(NamedTuple):
    """Reviews to learn from, others to test with, and the word that each id stands for."""

    train: Reviews
    test: Reviews
    vocabulary: list[str]


def get_sentiment(
    folder: str | os.PathLike | None = None,
    *,
    vocabulary_size: int = 20_000,
    length: int | None = 100,
    test_fraction: float = 0.1,
    seed: int = 0,
    download: bool = True,
    cache: str | os.PathLike | None = None,
    mirrors: Sequence[str] = MIRRORS,
    timeout: float = 30.0,
) -> Sentiment:
    """5,331 sentences of praise from film reviews and 5,331 of the contrary, as word ids.

    The sentences are in lower case, their words and marks set apart by blanks; the longest has
    59 words. The vocabulary is made of the training texts: id 0 is padding, 1 any word that the
    vocabulary lacks, then come the words, the most frequent first, those of one frequency in
    alphabetical order.

    Without a folder the published archive (0.5 MB) is downloaded once into a cache, and read
    from there from then on. With a folder its files are read as they are; it may also be that of
    IMDB's 50,000 reviews, ``aclImdb``, which are brought into lower case and taken apart here.

    Args:
        folder: a folder with ``rt-polarity.pos`` and ``rt-polarity.neg``, one sentence a line,
            in UTF-8, or (as published) Windows-1252; or a folder with ``train/pos``,
            ``train/neg``, ``test/pos`` and ``test/neg``, one review a ``.txt`` file.
        vocabulary_size: how many ids there are at most, padding and unknown words included.
        length: to how many words each text is cut or padded. What is cut is its beginning, and
            padding goes before it, so that the last word is the last step of a recurrent net.
            ``None`` leaves each text as long as it is.
        test_fraction: the part of the sentences, of either kind, to test with; from 0 to 1.
            ``aclImdb`` has its own part to test with, where this does not count.
        seed: decides which these are, and the order of both parts: for a seed the same always.
        download: whether what is not in the cache may be downloaded.
        cache: the folder in whose subfolder ``sentiment`` the download is kept; by default as
            for ``get_mnist``.
        mirrors: addresses of folders to download from, tried in turn.
        timeout: seconds to wait for any one answer of a mirror.

    Returns:
        Sentiment: ``(train, test, vocabulary)``; the first two are pairs ``(texts, labels)``:
        texts int32 ``(N, length)``, or with ``length=None`` a list of N arrays; labels int32
        ``(N,)``, 1 for praise and 0 for the contrary. ``vocabulary[i]`` is the word with id i.

    Raises:
        FileNotFoundError: the folder lacks a file; or with ``download=False`` the cache.
        DownloadError: no mirror gave the archive; an ``OSError``.
        ValueError: an argument is out of range, or a file holds no words.

    >>> import pathlib, tempfile
    >>> from dynet.datasets import get_sentiment
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "rt-polarity.pos").write_text("a gem .\\n")
    ...     _ = pathlib.Path(folder, "rt-polarity.neg").write_text("a bore .\\n")
    ...     train, test, vocabulary = get_sentiment(folder, length=4)
    >>> vocabulary
    ['<pad>', '<unk>', '.', 'a', 'bore', 'gem']
    >>> train.texts
    array([[0, 3, 5, 2],
           [0, 3, 4, 2]], dtype=int32)
    >>> train.labels
    array([1, 0], dtype=int32)

    Sources: B. Pang, L. Lee, "Seeing stars: Exploiting class relationships for sentiment
    categorization with respect to rating scales", ACL 2005; of aclImdb A. Maas et al., "Learning
    Word Vectors for Sentiment Analysis", ACL 2011.
    """
    if not isinstance(vocabulary_size, (int, np.integer)) or vocabulary_size < 2:
        raise ValueError(
            f"get_sentiment: vocabulary_size is {vocabulary_size!r}, expected an integer of at "
            "least 2: the ids of padding and of unknown words"
        )
    if length is not None and (not isinstance(length, (int, np.integer)) or length < 1):
        raise ValueError(
            f"get_sentiment: length is {length!r}, expected an integer of at least 1 word, or "
            "None for each text's own length"
        )
    if not 0 <= test_fraction <= 1:
        raise ValueError(f"get_sentiment: test_fraction is {test_fraction}, expected 0 to 1")
    # The old generator: its permutations are the same in every version of NumPy.
    rng = np.random.RandomState(seed)
    if folder is None:
        cached = cache_folder(cache) / "sentiment"
        kept_files("get_sentiment", cached, {ARCHIVE: _problem}, mirrors, download, timeout)
        parts = _split(_unpack(cached / ARCHIVE), test_fraction, rng)
    else:
        folder = Path(folder).expanduser()
        if (folder / "train").is_dir():
            parts = [_part(folder / name) for name in ("train", "test")]
        else:
            parts = _split(_read_folder(folder), test_fraction, rng)
    train, test = ([part[i] for i in rng.permutation(len(part))] for part in parts)

    vocabulary = _vocabulary([words for words, _ in train], vocabulary_size)
    ids = {word: i for i, word in enumerate(vocabulary) if i > UNKNOWN}
    return Sentiment(_reviews(train, ids, length), _reviews(test, ids, length), vocabulary)


def _split(contents, test_fraction, rng):
    """Of both files some sentences to learn from and some to test with, as (words, label)."""
    parts = ([], [])
    for label, texts in enumerate([_sentences(name, contents[name]) for name in FILES]):
        n_test = round(test_fraction * len(texts))
        for rank, i in enumerate(rng.permutation(len(texts))):
            parts[rank < n_test].append((texts[i], label))
    return parts


def _part(folder):
    """The reviews in a part of aclImdb, as (words, label)."""
    part = []
    for label, kind in enumerate(KINDS):
        files = sorted((folder / kind).glob("*.txt"))
        if not files:
            raise FileNotFoundError(
                f"get_sentiment: folder {folder / kind} has no .txt files, expected the layout of "
                "aclImdb: train/neg, train/pos, test/neg and test/pos, one review a file"
            )
        for file in files:
            try:
                text = _decode(file.name, file.read_bytes())
            except ValueError as error:
                raise ValueError(f"get_sentiment: folder {folder / kind} has {error}") from error
            # One string for each word, however often it comes: a tenth of the memory.
            words = [*map(sys.intern, WORD.findall(text.replace("<br />", " ").lower()))]
            if not words:
                raise ValueError(f"get_sentiment: {file} is empty, expected a review")
            part.append((words, label))
    return part


def _read_folder(folder):
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        found = "lacks " + ", ".join(missing) if folder.is_dir() else "is no folder"
        raise FileNotFoundError(
            f"get_sentiment: folder {folder} {found}; expected {' and '.join(FILES)}, or aclImdb's "
            "train and test"
        )
    return {name: (folder / name).read_bytes() for name in FILES}


def _unpack(path) -> dict[str, bytes]:
    """The files in the archive, by name; nothing is written anywhere, nothing else is read.

    Raises:
        ValueError: it is no such archive; the message completes "it has".
    """
    packed = path.read_bytes()
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(packed, UNPACKED_LIMIT)
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            contents = {}
            for member in archive:
                name = member.name.removeprefix("rt-polaritydata/")
                if name in FILES and member.isreg():
                    contents[name] = archive.extractfile(member).read()
    # Whatever a hostile header makes tarfile raise is the archive's fault.
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"no readable archive in it ({error})") from error
    for name in FILES:
        if name not in contents:
            raise ValueError(f"no file rt-polaritydata/{name} in it")
    return contents


def _problem(path):
    """What is wrong with the archive; for ``kept_files``."""
    try:
        contents = _unpack(path)
        for name, expected in CHECKSUMS.items():
            found = hashlib.sha256(_decode(name, contents[name]).encode()).hexdigest()
            if found != expected:
                return f"a {name} with SHA-256 {found} (in UTF-8), expected {expected}"
    except ValueError as error:
        return str(error)
    return None


def _decode(name, content):
    # Text in Windows-1252 with a letter beyond ASCII is hardly ever valid UTF-8.
    for encoding in ("utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            problem = error
    raise ValueError(f"a {name} that is neither UTF-8 nor Windows-1252 text ({problem})")


def _sentences(name, content):
    try:
        lines = _decode(name, content).split("\n")
    except ValueError as error:
        raise ValueError(f"get_sentiment: the folder has {error}") from error
    sentences = [words for line in lines if (words := line.split())]
    if not sentences:
        raise ValueError(f"get_sentiment: {name} is empty, expected a sentence on each line")
    return sentences


def _vocabulary(texts, size):
    counts = Counter(word for words in texts for word in words)
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return ["<pad>", "<unk>", *words[: size - 2]]


def _reviews(part, ids, length):
    texts = [np.array([ids.get(word, UNKNOWN) for word in words], np.int32) for words, _ in part]
    if length is not None:
        array = np.full((len(texts), length), PADDING, np.int32)
        for row, text in zip(array, texts, strict=True):
            end = text[-length:]
            row[length - len(end) :] = end
        texts = array
    return Reviews(texts, np.array([label for _, label in part], np.int32))
