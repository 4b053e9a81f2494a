"""Reviews, texts, made-up sequences and HDF5 files: what comes out, and what is refused."""

import functools
import gzip
import hashlib
import io
import multiprocessing
import os
import pickle
import shutil
import sys
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.datasets import (
    DownloadError,
    HDF5Dataset,
    get_adding_problem,
    get_binary_addition,
    get_sentiment,
    get_sine,
    get_text,
    sentiment,
    text,
)

POS = "a gem .\na joy\u2026\nit's caf\u00e9 noir .\nfun , fun , fun\n"
NEG = "a bore .\na \u2013 dud\nno fun .\nsilly \u2018 film\n"


@pytest.fixture
def address(tmp_path, monkeypatch):
    """The address of a server that gives the files in ``tmp_path/mirror``."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    # A proxy of the machine that runs the tests does not know its 127.0.0.1.
    monkeypatch.setenv("no_proxy", "*")
    handler = functools.partial(Handler, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def real_data(name):
    data = os.environ.get("DYNET_TEST_DATA")
    if not data or not Path(data, name).is_dir():
        pytest.skip(f"DYNET_TEST_DATA names no folder with {name}/ in it")
    return Path(data, name)


# -- reviews ----------------------------------------------------------------------------------


def reviews(folder, pos=POS, neg=NEG, encoding="utf-8"):
    folder.mkdir(exist_ok=True)
    (folder / "rt-polarity.pos").write_bytes(pos.encode(encoding))
    (folder / "rt-polarity.neg").write_bytes(neg.encode(encoding))
    return folder


def in_words(part, vocabulary):
    return {
        (" ".join(vocabulary[i] for i in ids if i), label)
        for ids, label in zip(part.texts, part.labels.tolist(), strict=True)
    }


def same(a, b):
    return a.vocabulary == b.vocabulary and all(
        np.array_equal(x, y)
        for p, q in ((a.train, b.train), (a.test, b.test))
        for x, y in zip(p, q, strict=True)
    )


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_reviews_are_their_words_and_whether_they_praise(tmp_path, encoding):
    folder = reviews(tmp_path, encoding=encoding)
    train, test, vocabulary = get_sentiment(folder, test_fraction=0)
    praise = {(" ".join(line.split()), 1) for line in POS.splitlines()}
    contrary = {(" ".join(line.split()), 0) for line in NEG.splitlines()}
    assert in_words(train, vocabulary) == praise | contrary
    assert train.texts.shape == (8, 100)
    assert test.texts.shape == (0, 100)
    assert test.labels.shape == (0,)
    assert train.texts.dtype == train.labels.dtype == test.texts.dtype == np.int32


def test_the_vocabulary_is_that_of_the_training_texts_most_frequent_first(tmp_path):
    folder = reviews(tmp_path, "b b b c c a a\n", "d a\n")
    vocabulary = get_sentiment(folder, test_fraction=0).vocabulary
    assert vocabulary == ["<pad>", "<unk>", "a", "b", "c", "d"]
    folder = reviews(tmp_path, "x\n" * 10, "x\n" * 9 + "y\n")
    for seed in range(20):
        data = get_sentiment(folder, test_fraction=0.5, seed=seed, length=1)
        seen = "y" in data.vocabulary
        assert (data.test.texts == 1).sum() == (not seen)


def test_words_beyond_the_vocabulary_are_unknown(tmp_path):
    folder = reviews(tmp_path, "b b b c c a a\n", "d a\n")
    train, _, vocabulary = get_sentiment(folder, vocabulary_size=3, length=7, test_fraction=0)
    assert vocabulary == ["<pad>", "<unk>", "a"]
    assert sorted(train.texts.tolist()) == [[0] * 5 + [1, 2], [1] * 5 + [2, 2]]


def test_texts_are_padded_before_and_cut_at_their_beginning(tmp_path):
    folder = reviews(tmp_path, "a a a b b\n", "c\n")
    train, _, vocabulary = get_sentiment(folder, length=3, test_fraction=0)
    assert vocabulary[2:] == ["a", "b", "c"]
    assert train.texts[train.labels == 1].tolist() == [[2, 3, 3]]
    assert train.texts[train.labels == 0].tolist() == [[0, 0, 4]]


def test_without_a_length_each_text_keeps_its_own(tmp_path):
    train, _, _ = get_sentiment(reviews(tmp_path), length=None, test_fraction=0)
    assert sorted(map(len, train.texts)) == [2, 3, 3, 3, 3, 3, 4, 5]
    assert {ids.dtype for ids in train.texts} == {np.dtype(np.int32)}


def test_both_parts_have_as_much_praise_as_the_whole(tmp_path):
    folder = reviews(tmp_path, "p\n" * 40, "n\n" * 20)
    train, test, _ = get_sentiment(folder, test_fraction=0.25)
    assert np.bincount(train.labels).tolist() == [15, 30]
    assert np.bincount(test.labels).tolist() == [5, 10]


def test_every_sentence_is_in_one_part_only(tmp_path):
    lines = [f"w{i}" for i in range(60)]
    folder = reviews(tmp_path, "\n".join(lines[:30]) + "\n", "\n".join(lines[30:]))
    train, test, vocabulary = get_sentiment(folder, length=None)
    assert len(train.texts) == len(vocabulary) - 2 == 54
    assert len(test.texts) == 6
    assert all(ids.tolist() == [1] for ids in test.texts)


def test_a_seed_always_gives_the_same_order_and_another_another(tmp_path):
    folder = reviews(tmp_path, "a\nb\nc\nd\ne\nf\n" * 5, "g\nh\ni\nj\nk\nl\n" * 5)
    first, again, other = (get_sentiment(folder, seed=seed) for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)
    assert 0 < first.train.labels[:27].sum() < 27


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary_size": 1}, "vocabulary_size is 1, expected an integer of at least 2"),
        ({"length": 0}, "length is 0, expected an integer of at least 1 word"),
        ({"length": 2.5}, r"length is 2\.5, expected an integer"),
        ({"test_fraction": 1.5}, r"test_fraction is 1\.5, expected 0 to 1"),
        ({"test_fraction": float("nan")}, "test_fraction is nan, expected 0 to 1"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=f"get_sentiment: {message}"):
        get_sentiment(reviews(tmp_path), **arguments)


def test_a_folder_that_lacks_reviews_is_refused_with_what_it_lacks(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is no folder; expected rt-polarity\.neg"):
        get_sentiment(tmp_path / "nowhere")
    reviews(tmp_path).joinpath("rt-polarity.pos").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks rt-polarity\.pos; expected"):
        get_sentiment(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" \n\n", "rt-polarity.neg is empty, expected a sentence on each line"),
        (b"\x81\xff", "a rt-polarity.neg that is neither UTF-8 nor Windows-1252 text"),
    ],
)
def test_a_file_without_sentences_is_refused(tmp_path, content, message):
    (reviews(tmp_path) / "rt-polarity.neg").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        get_sentiment(tmp_path)


IMDB = {
    "train/pos/0_9.txt": "A GEM!<br /><br />It's fun",
    "train/pos/1_8.txt": "caf\u00e9-noir",
    "train/neg/0_2.txt": "a bore.",
    "test/pos/0_10.txt": "fun fun",
    "test/neg/0_1.txt": "A dud",
}


def imdb(folder, files=IMDB):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_reviews_in_the_layout_of_imdb_are_taken_apart_and_keep_their_parts(tmp_path):
    train, test, vocabulary = get_sentiment(imdb(tmp_path), test_fraction=1)
    praise = {("a gem ! it's fun", 1), ("caf\u00e9 - noir", 1)}
    assert in_words(train, vocabulary) == praise | {("a bore .", 0)}
    assert in_words(test, vocabulary) == {("fun fun", 1), ("a <unk>", 0)}
    assert train.texts.shape == (3, 100)
    assert vocabulary[2] == "a"


def test_a_seed_always_gives_imdb_in_the_same_order_and_another_another(tmp_path):
    imdb(tmp_path, {**IMDB, **{f"train/pos/{i}_7.txt": f"w{i}" for i in range(9)}})
    first, again, other = (get_sentiment(tmp_path, seed=seed) for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize(
    ("broken", "error", "message"),
    [
        ({"test/neg/0_1.txt": None}, FileNotFoundError, r"folder .*test.neg has no \.txt files"),
        ({"train/pos/0_9.txt": "<br />"}, ValueError, r"0_9\.txt is empty, expected a review"),
        ({"train/pos/0_9.txt": b"\x81\xff"}, ValueError, r"train.pos has a 0_9\.txt that is nei"),
    ],
)
def test_a_folder_of_imdb_without_a_review_is_refused(tmp_path, broken, error, message):
    files = {**IMDB, **broken}
    imdb(tmp_path, {name: content for name, content in files.items() if content is not None})
    with pytest.raises(error, match=f"get_sentiment: .*{message}"):
        get_sentiment(tmp_path)


def archive(pos=POS, neg=NEG, prefix="rt-polaritydata/", others=()):
    """A gzipped tar file of reviews, in the published encoding."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        files = [
            ("rt-polarity.pos", pos.encode("cp1252")),
            ("rt-polarity.neg", neg.encode("cp1252")),
        ]
        for name, content in files:
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in others:
            tar.addfile(member)
    return packed.getvalue()


def member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


@pytest.fixture
def small_sums(monkeypatch):
    # The sums of the small files stand in for those of the real ones.
    sums = {
        "rt-polarity.pos": hashlib.sha256(POS.encode()).hexdigest(),
        "rt-polarity.neg": hashlib.sha256(NEG.encode()).hexdigest(),
    }
    monkeypatch.setattr(sentiment, "CHECKSUMS", sums)


def test_reviews_are_downloaded_once_and_then_read_from_the_cache(address, tmp_path, small_sums):
    mirror = tmp_path / "mirror" / sentiment.ARCHIVE
    mirror.write_bytes(archive(others=[member("rt-polaritydata.README.1.0.txt")]))
    first = get_sentiment(cache=tmp_path, mirrors=[address])
    mirror.unlink()
    again = get_sentiment(cache=tmp_path, mirrors=[address])
    offline = get_sentiment(cache=tmp_path, download=False)
    folder = get_sentiment(reviews(tmp_path / "folder"))
    assert same(first, again)
    assert same(first, offline)
    assert same(first, folder)
    assert os.listdir(tmp_path / "sentiment") == [sentiment.ARCHIVE]


def unfolding_without_end():
    return gzip.compress(b"\0" * (1 << 26))


BAD_ARCHIVES = {
    "empty": (b"", "no readable archive"),
    "a web page": (b"<!DOCTYPE html>", "no readable archive"),
    "broken off": (archive()[:-80], "no readable archive"),
    "without one file": (
        archive(prefix="elsewhere/"),
        "no file rt-polaritydata/rt-polarity.neg in it",
    ),
    "with another text": (
        archive(pos=POS + "one more\n"),
        r"a rt-polarity\.pos with SHA-256 [0-9a-f]{64} \(in UTF-8\), expected",
    ),
    "with a link for a file": (
        archive(others=[member("rt-polarity.pos", tarfile.SYMTYPE, "/etc/passwd")]),
        None,
    ),
    "with only links": (
        archive(
            prefix="x/",
            others=[
                member(f"rt-polaritydata/{name}", tarfile.SYMTYPE, "/etc/passwd")
                for name in sentiment.FILES
            ],
        ),
        "no file rt-polaritydata/rt-polarity.neg in it",
    ),
    "that unfolds without end": (unfolding_without_end(), "no file rt-polaritydata"),
}


@pytest.mark.parametrize("kind", BAD_ARCHIVES)
def test_an_archive_counts_by_the_texts_in_it(address, tmp_path, small_sums, kind):
    content, reason = BAD_ARCHIVES[kind]
    (tmp_path / "mirror" / sentiment.ARCHIVE).write_bytes(content)
    if reason is None:
        get_sentiment(cache=tmp_path, mirrors=[address])
        return
    with pytest.raises(DownloadError, match=f"gave a file with {reason}"):
        get_sentiment(cache=tmp_path, mirrors=[address])
    assert os.listdir(tmp_path / "sentiment") == []


def test_nothing_of_an_archive_is_written_outside_the_cache(address, tmp_path, small_sums):
    others = [member("../../escaped"), member(str(tmp_path / "escaped")), member("other")]
    (tmp_path / "mirror" / sentiment.ARCHIVE).write_bytes(archive(others=others))
    get_sentiment(cache=tmp_path / "cache", mirrors=[address])
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == [sentiment.ARCHIVE] * 2


def test_a_damaged_archive_in_the_cache_is_replaced_with_a_warning(address, tmp_path, small_sums):
    (tmp_path / "mirror" / sentiment.ARCHIVE).write_bytes(archive())
    (tmp_path / "sentiment").mkdir()
    (tmp_path / "sentiment" / sentiment.ARCHIVE).write_bytes(archive()[:100])
    with pytest.raises(FileNotFoundError, match=r"get_sentiment: the cache .* no readable archive"):
        get_sentiment(cache=tmp_path, download=False)
    with pytest.warns(UserWarning, match="no readable archive .* downloaded again"):
        get_sentiment(cache=tmp_path, mirrors=[address])
    get_sentiment(cache=tmp_path, download=False)


def test_the_real_reviews_have_the_checksums_that_a_download_must_have():
    folder = real_data("sentiment")
    for name, expected in sentiment.CHECKSUMS.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected


def test_the_real_reviews_are_split_nine_to_one():
    train, test, vocabulary = get_sentiment(real_data("sentiment"))
    assert train.texts.shape == (9596, 100)
    assert test.texts.shape == (1066, 100)
    assert np.bincount(train.labels).tolist() == [4798, 4798]
    assert np.bincount(test.labels).tolist() == [533, 533]
    assert vocabulary[:6] == ["<pad>", "<unk>", ".", "the", ",", "a"]
    assert len(vocabulary) == 20_000
    assert train.texts.max() < 20_000


# -- texts ------------------------------------------------------------------------------------


def decode(ids, vocabulary):
    return "".join(vocabulary[i] for i in ids)


@given(text_=st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
@settings(max_examples=50, deadline=None)
def test_a_text_comes_back_from_its_ids(tmp_path_factory, text_):
    path = tmp_path_factory.mktemp("text") / "file"
    path.write_bytes(text_.encode())
    train, validation, test, vocabulary = get_text(path)
    assert decode([*train, *validation, *test], vocabulary) == text_
    assert vocabulary == "".join(sorted(set(text_)))
    assert {train.dtype, validation.dtype, test.dtype} == {np.dtype(np.int32)}


def test_a_text_is_split_in_the_fractions_that_are_given(tmp_path):
    (tmp_path / "file").write_text("abcdefghij")
    data = get_text(tmp_path / "file", split=(0.5, 0.3, 0.2))
    assert [decode(part, data.vocabulary) for part in data[:3]] == ["abcde", "fgh", "ij"]
    data = get_text(tmp_path / "file", split=(1, 0, 0))
    assert [len(part) for part in data[:3]] == [10, 0, 0]


@pytest.mark.parametrize("split", [(0.5, 0.5), (0.9, 0.2, 0), (1.5, -0.5, 0), (0.9, 0.05, 0.04)])
def test_fractions_that_are_not_three_parts_of_one_are_refused(tmp_path, split):
    (tmp_path / "file").write_text("text")
    with pytest.raises(ValueError, match=r"get_text: split is .*expected three fractions"):
        get_text(tmp_path / "file", split=split)


@pytest.mark.parametrize("name", ["tinyshakespeare.txt", "input.txt"])
def test_a_text_may_be_named_by_its_folder(tmp_path, name):
    (tmp_path / name).write_text("to be")
    assert get_text(tmp_path).vocabulary == " beot"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty, expected a text"), (b"\xff\xfe", "is no text in UTF-8")],
)
def test_a_file_without_text_is_refused(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        get_text(tmp_path / "file")


def test_a_text_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere.txt; looked for"):
        get_text(tmp_path / "nowhere.txt")
    with pytest.raises(FileNotFoundError, match=r"folder .* lacks tinyshakespeare.txt or input"):
        get_text(tmp_path)


def test_a_text_is_downloaded_once_and_then_read_from_the_cache(address, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "CHECKSUM", hashlib.sha256(b"to be").hexdigest())
    with pytest.raises(FileNotFoundError, match=r"get_text: the cache .*input\.txt is missing"):
        get_text(cache=tmp_path, download=False)
    (tmp_path / "mirror" / "input.txt").write_bytes(b"or not")
    with pytest.raises(DownloadError, match=r"gave a file with SHA-256"):
        get_text(cache=tmp_path, mirrors=[address])
    (tmp_path / "mirror" / "input.txt").write_bytes(b"to be")
    assert get_text(cache=tmp_path, mirrors=[address]).vocabulary == " beot"
    shutil.rmtree(tmp_path / "mirror")
    assert get_text(cache=tmp_path, mirrors=[address]).vocabulary == " beot"


def test_the_real_text_has_the_checksum_that_a_download_must_have():
    folder = real_data("text")
    content = (folder / "tinyshakespeare.txt").read_bytes()
    assert hashlib.sha256(content).hexdigest() == text.CHECKSUM
    data = get_text(folder)
    assert len(data.vocabulary) == 65
    assert decode(data.train[:14], data.vocabulary) == "First Citizen:"
    assert [len(part) for part in data[:3]] == [1_003_855, 55_769, 55_770]


# -- sequences --------------------------------------------------------------------------------


def test_the_sine_signal_is_the_formula():
    a = [i / 100 for i in range(3200)]
    signal = [
        0.5 * np.sin(2 * x)
        - 0.05 * np.cos(17 * x + 0.8)
        + 0.05 * np.sin(25 * x + 10)
        - 0.02 * np.cos(45 * x + 0.3)
        for x in a
    ]
    largest = max(map(abs, signal))
    mean = sum(signal) / largest / 3200
    expected = [s / largest - mean for s in signal]
    np.testing.assert_allclose(get_sine(None), expected, atol=1e-6)
    assert get_sine(None).dtype == np.float32


@pytest.mark.parametrize("segments", [1, 10, 3200])
def test_segments_follow_each_other(segments):
    segmented = get_sine(segments)
    assert segmented.shape == (segments, 3200 // segments)
    np.testing.assert_array_equal(segmented.ravel(), get_sine(None))


@pytest.mark.parametrize("segments", [0, -10, 7, 2.5, "10"])
def test_segments_that_cannot_be_are_refused(segments):
    with pytest.raises(ValueError, match=r"get_sine: segments is .*expected"):
        get_sine(segments)


lengths = st.integers(2, 70)


@given(n=st.integers(0, 20), min_length=lengths, more=st.none() | st.integers(0, 20))
@settings(max_examples=50, deadline=None)
def test_the_adding_problem_marks_two_numbers_and_asks_for_their_sum(n, min_length, more):
    max_length = None if more is None else min_length + more
    inputs, mask, targets = get_adding_problem(n, min_length, max_length, rng=n)
    max_length = max_length or min_length + min_length // 10
    assert (inputs.shape, inputs.dtype) == ((n, max_length, 2), np.float32)
    assert (mask.shape, mask.dtype) == ((n, max_length), bool)
    assert (targets.shape, targets.dtype) == ((n, 1), np.float32)
    for x, inside, target in zip(inputs, mask, targets, strict=True):
        length = inside.sum()
        assert min_length <= length <= max_length
        assert inside[:length].all()
        assert (x[length:] == 0).all()
        first, second = np.flatnonzero(x[:, 1])
        assert first < length // 2 <= second < length
        assert x[first, 1] == x[second, 1] == 1
        assert ((x[:, 0] >= 0) & (x[:, 0] <= 1)).all()
        assert target[0] == x[first, 0] + x[second, 0]


def test_lengths_and_marks_of_the_adding_problem_take_every_value():
    inputs, mask, _ = get_adding_problem(3000, rng=0)
    assert set(mask.sum(axis=1)) == set(range(50, 56))
    assert set(np.nonzero(inputs[:, :, 1])[1]) == set(range(55))


@given(n=st.integers(0, 20), bits=st.integers(2, 80))
@settings(max_examples=50, deadline=None)
def test_binary_addition_adds(n, bits):
    inputs, targets = get_binary_addition(n, bits, rng=bits)
    assert (inputs.shape, inputs.dtype) == ((n, bits, 2), np.float32)
    assert (targets.shape, targets.dtype) == ((n, bits), np.float32)

    def number(sequence):
        return sum(int(bit) << i for i, bit in enumerate(sequence))

    for x, y in zip(inputs, targets, strict=True):
        assert set(x.ravel()) | set(y) <= {0, 1}
        assert number(x[:, 0]) + number(x[:, 1]) == number(y)


@pytest.mark.parametrize("make", [get_adding_problem, get_binary_addition])
def test_made_sequences_are_the_same_for_a_seed_and_take_any_generator(make):
    first, again, other = make(5, rng=1), make(5, rng=1), make(5, rng=2)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
    assert np.array_equal(first[0], make(5, rng=np.random.default_rng(1))[0])
    make(5, rng=np.random.RandomState(1))
    np.random.seed(0)
    drawn = make(5)
    np.random.seed(0)
    assert np.array_equal(drawn[0], make(5)[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: get_adding_problem(-1), "get_adding_problem: n is -1, expected"),
        (lambda: get_adding_problem(1.5), r"get_adding_problem: n is 1\.5, expected an integer"),
        (lambda: get_adding_problem(1, 1), "min_length is 1, expected an integer of at least 2"),
        (lambda: get_adding_problem(1, 9, 8), "max_length is 8, expected .* at least 9"),
        (lambda: get_adding_problem(True), "get_adding_problem: n is True, expected an integer"),
        (lambda: get_binary_addition(-1), "get_binary_addition: n is -1, expected"),
        (lambda: get_binary_addition(1, 1), "bits is 1, expected an integer of at least 2"),
    ],
)
def test_sequences_that_cannot_be_made_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# -- HDF5 -------------------------------------------------------------------------------------

X = np.arange(60, dtype=np.float32).reshape(20, 3)
Y = np.arange(20) * 10


@pytest.fixture
def h5(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("train/x", data=X, chunks=(4, 3), compression="gzip")
        file["y"] = Y
        file["short"] = Y[:19]
        file["number"] = 3.0
    return path


def assert_examples(found, rows):
    assert isinstance(found, list)
    assert [type(example) for example in found] == [tuple] * len(rows)
    assert [(x.tolist(), y) for x, y in found] == [(X[i].tolist(), Y[i]) for i in rows]


def test_an_hdf5_file_is_a_dataset_of_the_rows_of_its_arrays(h5):
    with HDF5Dataset(h5, "train/x", "y") as dataset:
        assert len(dataset) == 20
        for i in (0, 7, 19, -1, -20, np.int64(3)):
            x, y = dataset[i]
            np.testing.assert_array_equal(x, X[i])
            assert (x.dtype, y) == (np.float32, Y[i])
        assert_examples(list(dataset), range(20))


def test_with_one_array_an_example_is_its_row(h5):
    with HDF5Dataset(h5, "y") as dataset:
        assert dataset[3] == 30
        assert dataset[3:5] == [30, 40]
        assert dataset[[4, 3]] == [40, 30]


@given(
    index=st.slices(20)
    | st.lists(st.integers(-20, 19), max_size=30)
    | st.lists(st.integers(-20, 19), max_size=30).map(lambda i: np.array(i, int))
)
@settings(max_examples=50, deadline=None)
def test_slices_and_lists_are_those_of_the_arrays(tmp_path_factory, index):
    h5py = pytest.importorskip("h5py")
    path = tmp_path_factory.mktemp("h5") / "file"
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = X, Y
    rows = np.arange(20)[index if isinstance(index, slice) else np.array(index, int)]
    with HDF5Dataset(path, "x", "y") as dataset:
        assert_examples(dataset[index], rows)


def test_a_slice_is_read_at_once(h5, monkeypatch):
    h5py = pytest.importorskip("h5py")
    reads = []
    read = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *a: reads.append(a) or read(*a))
    with HDF5Dataset(h5, "train/x", "y") as dataset:
        assert len(reads) == 0
        dataset[2:18]
        assert len(reads) == 2
        dataset[[9, 3, 3]]
        assert len(reads) == 4


@pytest.mark.parametrize("index", [20, -21, [3, 20]])
def test_an_example_that_is_not_there_is_an_index_error(h5, index):
    with HDF5Dataset(h5, "y") as dataset, pytest.raises(IndexError, match="no example"):
        dataset[index]


@pytest.mark.parametrize("index", [1.5, "y", [0.5], None])
def test_an_index_that_is_none_is_refused(h5, index):
    with HDF5Dataset(h5, "y") as dataset, pytest.raises(TypeError, match="HDF5Dataset"):
        dataset[index]


def test_arrays_that_differ_in_length_are_refused_with_their_lengths(h5):
    with pytest.raises(ValueError, match=r"differ in length: 'y' has 20, 'short' has 19; expected"):
        HDF5Dataset(h5, "y", "short")


@pytest.mark.parametrize("name", ["z", "train", "number", "train/x/y", ""])
def test_an_array_that_is_not_there_is_refused_with_what_is(h5, name):
    contents = r"'short' \(19,\), 'train/x' \(20, 3\), 'y' \(20,\)"
    with pytest.raises(ValueError, match=f"has no array '{name}' with rows; it has {contents}"):
        HDF5Dataset(h5, "y", name)


def test_names_must_be_given(h5):
    with pytest.raises(ValueError, match=r"no names, expected those of arrays .* 'y' \(20,\)"):
        HDF5Dataset(h5)


def test_a_list_of_names_is_refused(h5):
    with pytest.raises(TypeError, match=r"HDF5Dataset: a name is \['y'\], expected strings"):
        HDF5Dataset(h5, ["y"])


def test_a_file_that_is_not_there_is_named(tmp_path):
    pytest.importorskip("h5py")
    with pytest.raises(FileNotFoundError, match=r"HDF5Dataset: there is no file .*nowhere\.h5"):
        HDF5Dataset(tmp_path / "nowhere.h5", "x")


def test_a_file_that_is_no_hdf5_is_refused(h5):
    for content in (b"", b"text", h5.read_bytes()[:500]):
        h5.write_bytes(content)
        with pytest.raises(ValueError, match=r"data\.h5 is no HDF5 file, or a damaged one \("):
            HDF5Dataset(h5, "y")


def test_a_file_that_is_damaged_inside_is_read_or_refused_in_one_sentence(h5):
    pytest.importorskip("h5py")
    whole = h5.read_bytes()
    places = range(0, len(whole), 97)
    refused = 0
    for place in places:
        h5.write_bytes(
            whole[:place] + bytes(b ^ 255 for b in whole[place : place + 8]) + whole[place + 8 :]
        )
        try:
            with HDF5Dataset(h5, "train/x") as dataset:
                dataset[:]
        except ValueError as error:
            assert "HDF5Dataset: " in str(error)
            refused += 1
    assert refused > 3


def test_a_closed_dataset_says_so(h5):
    dataset = HDF5Dataset(h5, "y")
    dataset.close()
    dataset.close()
    for one in (dataset, pickle.loads(pickle.dumps(dataset))):
        with pytest.raises(ValueError, match=r"data\.h5 was closed"):
            one[0]


def test_a_closed_file_can_be_written_to(h5):
    h5py = pytest.importorskip("h5py")
    with HDF5Dataset(h5, "y"):
        pass
    with pytest.raises(ValueError, match="differ in length"):
        HDF5Dataset(h5, "y", "short")
    with h5py.File(h5, "r+") as file:
        file["new"] = 1


def test_a_pickled_dataset_reads_on_its_own(h5, monkeypatch):
    monkeypatch.chdir(h5.parent)
    dataset = HDF5Dataset(h5.name, "train/x", "y")
    monkeypatch.chdir("/")
    copy = pickle.loads(pickle.dumps(dataset))
    dataset.close()
    assert_examples(copy[:], range(20))
    copy.close()


def read_rows(dataset, rows, answers):
    answers.put([dataset[i] for i in rows])
    dataset.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_read_side_by_side(h5, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    with HDF5Dataset(h5, "train/x", "y") as dataset:
        rows = [*range(20)] * 5
        processes = [
            context.Process(target=read_rows, args=(dataset, rows, answers)) for _ in range(2)
        ]
        for process in processes:
            process.start()
        mine = [dataset[i] for i in rows]
        for found in (mine, answers.get(timeout=60), answers.get(timeout=60)):
            assert_examples(found, rows)
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
        assert_examples(dataset[:], range(20))


def test_threads_read_side_by_side(h5):
    with HDF5Dataset(h5, "train/x", "y") as dataset:
        found = {}
        threads = [
            threading.Thread(target=lambda k=k: found.update({k: [dataset[i] for i in range(20)]}))
            for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for k in range(4):
            assert_examples(found[k], range(20))


def test_without_h5py_the_error_says_what_to_install(h5, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"h5py is not installed; pip install 'dynet\[io\]'"):
        HDF5Dataset(h5, "y")
