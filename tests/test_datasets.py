"""Data sets: files that are whole or refused, and downloads that end in one of the two."""

import gzip
import hashlib
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from dynet.datasets import DownloadError, fetch, get_digits, get_mnist, mnist, read_idx

TRAIN_IMAGES, TRAIN_LABELS = mnist.TRAIN
TEST_IMAGES, TEST_LABELS = mnist.TEST


def idx(array):
    """The bytes of an IDX file."""
    return (
        bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + bytes(array)
    )


def digits(n, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    return images, rng.integers(0, 10, n, dtype=np.uint8)


TRAIN = digits(15, 0)
TEST = digits(10, 1)
PLAIN = dict(zip(mnist.TRAIN + mnist.TEST, map(idx, TRAIN + TEST), strict=True))
ZIPPED = {f"{name}.gz": gzip.compress(content) for name, content in PLAIN.items()}


def write(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def assert_is_mnist(train, test):
    for (images, labels), (right_images, right_labels) in ((train, TRAIN), (test, TEST)):
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(images, right_images)
        np.testing.assert_array_equal(labels, right_labels)


# -- a folder ---------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [PLAIN, ZIPPED], ids=["plain", "gzipped"])
def test_a_folder_gives_the_images_and_labels_in_its_files(tmp_path, files):
    assert_is_mnist(*get_mnist(write(tmp_path, files)))


@pytest.mark.parametrize("files", [PLAIN, ZIPPED], ids=["plain", "gzipped"])
def test_file_names_may_be_spelled_with_a_dot(tmp_path, files):
    dotted = {name.replace("-idx", ".idx"): content for name, content in files.items()}
    assert_is_mnist(*get_mnist(write(tmp_path, dotted)))


def test_a_file_that_was_unzipped_under_its_zipped_name_is_read(tmp_path):
    write(tmp_path, {f"{name}.gz": content for name, content in PLAIN.items()})
    assert_is_mnist(*get_mnist(tmp_path))


def test_train_and_test_have_named_parts(tmp_path):
    data = get_mnist(write(tmp_path, PLAIN))
    assert data.train.images.shape == (15, 28, 28)
    assert data.test.labels.shape == (10,)


def test_a_folder_with_only_t10k_is_split_four_fifths_to_one(tmp_path):
    write(tmp_path, {name: PLAIN[name] for name in mnist.TEST})
    train, test = get_mnist(tmp_path)
    images, labels = TEST
    np.testing.assert_array_equal(train.images, images[:8])
    np.testing.assert_array_equal(train.labels, labels[:8])
    np.testing.assert_array_equal(test.images, images[8:])
    np.testing.assert_array_equal(test.labels, labels[8:])
    assert train.labels.dtype == test.labels.dtype == np.int32


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"get_mnist: folder .*nowhere is no folder"):
        get_mnist(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "present",
    [
        [],
        [TEST_IMAGES],
        [TEST_LABELS],
        [TRAIN_IMAGES, TRAIN_LABELS],
        [TRAIN_IMAGES, TEST_IMAGES, TEST_LABELS],
    ],
)
def test_a_folder_that_lacks_files_is_refused_with_what_it_lacks(tmp_path, present):
    write(tmp_path, {name: PLAIN[name] for name in present})
    with pytest.raises(FileNotFoundError) as raised:
        get_mnist(tmp_path)
    lacks, looked_for = str(raised.value).split("; looked for ")
    assert str(tmp_path) in lacks
    for name in PLAIN:
        assert (name in lacks) == (name not in present)
        assert name in looked_for


def test_labels_of_another_count_than_images_are_refused(tmp_path):
    write(tmp_path, {**PLAIN, TEST_LABELS: idx(np.zeros(9, np.uint8))})
    with pytest.raises(ValueError, match=r"t10k-labels\S* holds 9 labels, expected 10.*t10k-im"):
        get_mnist(tmp_path)


def test_a_label_above_nine_is_refused(tmp_path):
    write(tmp_path, {**PLAIN, TEST_LABELS: idx(np.full(10, 10, np.uint8))})
    with pytest.raises(ValueError, match=r"t10k-labels\S* holds the label 10, expected digits 0"):
        get_mnist(tmp_path)


def test_images_of_another_size_are_refused(tmp_path):
    write(tmp_path, {**PLAIN, TEST_IMAGES: idx(np.zeros((10, 28, 27), np.uint8))})
    with pytest.raises(ValueError, match=r"t10k-images\S* holds shape \(10, 28, 27\), expected"):
        get_mnist(tmp_path)


def test_labels_with_more_than_one_axis_are_refused(tmp_path):
    write(tmp_path, {**PLAIN, TEST_LABELS: idx(np.zeros((10, 1), np.uint8))})
    with pytest.raises(ValueError, match=r"t10k-labels\S* holds shape \(10, 1\), expected labels"):
        get_mnist(tmp_path)


# -- one IDX file -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0,), (5,), (2, 3), (2, 3, 4, 5), (70_000, 2)])
def test_read_idx_gives_an_array_of_any_shape(tmp_path, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "file").write_bytes(idx(array))
    (tmp_path / "zipped").write_bytes(gzip.compress(idx(array)))
    np.testing.assert_array_equal(read_idx(tmp_path / "file"), array)
    np.testing.assert_array_equal(read_idx(str(tmp_path / "zipped")), array)


def test_an_array_that_was_read_may_be_written_to(tmp_path):
    (tmp_path / "file").write_bytes(PLAIN[TEST_LABELS])
    read_idx(tmp_path / "file")[0] = 3


LABELS = PLAIN[TEST_LABELS]
ZIPPED_LABELS = ZIPPED[f"{TEST_LABELS}.gz"]
BROKEN = {
    "empty": (b"", "ends after 0 bytes, expected a header of 4"),
    "cut in its magic number": (LABELS[:3], "ends after 3 bytes, expected a header of 4"),
    "cut in its header": (LABELS[:6], "ends after 6 bytes, expected a header of 8"),
    "truncated": (LABELS[:-1], r"has 9 bytes of data, expected 10 for its shape \(10,\)"),
    "followed by garbage": (LABELS + b"\n", "goes on after its data, expected the end .* 10 bytes"),
    "of floats": (b"\0\0\x0d" + LABELS[3:], "begins with the bytes 00 00 0d 01, expected 00 00 08"),
    "a web page": (b"<!DOCTYPE html>", "begins with the bytes 3c 21 44 4f, expected 00 00 08"),
    "truncated, then zipped": (gzip.compress(LABELS[:-1]), "has 9 bytes of data, expected 10"),
    "with garbage, then zipped": (gzip.compress(LABELS + b"\n"), "goes on after its data"),
    "a gzip file that breaks off": (ZIPPED_LABELS[:-9], "is a broken gzip file .*whole one"),
    "a gzip file without its end": (ZIPPED_LABELS[:-1], "is a broken gzip file .*whole one"),
    "a gzip file with a wrong sum": (
        ZIPPED_LABELS[:-8] + bytes(4) + ZIPPED_LABELS[-4:],
        "is a broken gzip file .*whole one",
    ),
    "a gzip file with garbage": (ZIPPED_LABELS + b"garbage", "is a broken gzip file .*whole one"),
    "a gzip file with bad codes": (
        ZIPPED_LABELS[:10] + b"\xff" * 20,
        "is a broken gzip file .*whole one",
    ),
    "of more axes than NumPy has": (
        bytes([0, 0, 8, 255]) + b"\0\0\0\1" * 255 + b"x",
        "has 255 axes .*expected a shape that NumPy can hold",
    ),
    "of enormous axes and no elements": (
        bytes([0, 0, 8, 4]) + bytes(4) + b"\xff" * 12,
        "has 4 axes .*expected a shape that NumPy can hold",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_read_idx_refuses_a_file_that_is(tmp_path, what):
    content, message = BROKEN[what]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=rf"^read_idx: \S+file {message}"):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_a_header_that_promises_too_much_takes_no_memory(tmp_path, pack):
    (tmp_path / "file").write_bytes(pack(bytes([0, 0, 8, 3]) + b"\xff" * 12 + b"few"))
    with pytest.raises(ValueError, match="has 3 bytes of data, expected 79228162458924"):
        read_idx(tmp_path / "file")


# -- downloads --------------------------------------------------------------------------------


class Server:
    """Mirrors on this machine: what a folder does is a function of the handler and the content."""

    def __init__(self):
        self.files = dict(ZIPPED)
        self.requests = Counter()
        self.over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                folder, name = self.path.strip("/").split("/")
                server.requests[folder] += 1
                answer = getattr(server, folder if name in server.files else "missing")
                answer(self, server.files.get(name))

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.over.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(10)

    def url(self, folder):
        return f"http://127.0.0.1:{self.http.server_port}/{folder}/"

    @staticmethod
    def send(handler, body, length):
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()

    def good(self, handler, content):
        self.send(handler, content, len(content))

    def good_without_length(self, handler, content):
        self.send(handler, content, None)

    def good_and_left_open(self, handler, content):
        self.send(handler, content, len(content))
        self.over.wait(10)

    def missing(self, handler, content):
        handler.send_error(404)

    def other(self, handler, content):
        self.send(handler, content[::-1], len(content))

    def short(self, handler, content):
        self.send(handler, content[:-1], len(content))

    def short_without_length(self, handler, content):
        self.send(handler, content[:-1], None)

    def silent(self, handler, content):
        self.over.wait(10)

    def stalling(self, handler, content):
        self.send(handler, content[:-1], len(content))
        self.over.wait(10)

    def dripping(self, handler, content):
        self.send(handler, b"", len(content))
        try:
            for i in range(len(content)):
                handler.wfile.write(content[i : i + 1])
                if self.over.wait(0.02):
                    break
        except OSError:
            # The client has given up, as it should.
            pass


@pytest.fixture
def server(monkeypatch):
    # The sums of the small files stand in for those of the real ones.
    sums = {name: hashlib.sha256(ZIPPED[f"{name}.gz"]).hexdigest() for name in PLAIN}
    monkeypatch.setattr(mnist, "CHECKSUMS", sums)
    # A proxy of the machine that runs the tests does not know its 127.0.0.1.
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    yield server
    server.close()


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def address(server, mirror):
    if mirror == "refused":
        return f"http://127.0.0.1:{closed_port()}/"
    if mirror == "no address":
        return "no address"
    return server.url(mirror)


FAILURES = {
    "missing": r"answered HTTP 404 \(Not Found\)",
    "other": "gave a file with SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}",
    "short": r"broke off after \d+ of \d+ bytes",
    "short_without_length": "gave a file with SHA-256",
    "silent": r"sent nothing for 0\.5 seconds",
    "stalling": r"sent nothing for 0\.5 seconds",
    "refused": r"cannot be reached \(.*refused",
    "no address": "failed with ValueError",
}


def fetch_labels(server, destination, mirrors, **times):
    """Fetch the smallest file."""
    return fetch(
        f"{TEST_LABELS}.gz",
        [address(server, m) for m in mirrors],
        destination,
        mnist.CHECKSUMS[TEST_LABELS],
        **{"timeout": 0.5, **times},
    )


def test_mnist_is_downloaded_once_and_then_read_from_the_cache(server, tmp_path):
    for _ in range(2):
        assert_is_mnist(*get_mnist(cache=tmp_path, mirrors=[server.url("good")]))
    assert server.requests == {"good": 4}
    assert sorted(os.listdir(tmp_path / "mnist")) == sorted(ZIPPED)


def test_only_what_the_cache_lacks_is_downloaded(server, tmp_path):
    get_mnist(cache=tmp_path, mirrors=[server.url("good")])
    (tmp_path / "mnist" / f"{TEST_LABELS}.gz").unlink()
    assert_is_mnist(*get_mnist(cache=tmp_path, mirrors=[server.url("good")]))
    assert server.requests == {"good": 5}


def test_download_shows_its_progress_in_bytes(server, tmp_path, capsys):
    fetch_labels(server, tmp_path / "file", ["good"])
    assert "file: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("mirror", ["good_without_length", "good_and_left_open"])
def test_a_whole_file_is_taken_however_the_server_ends_it(server, tmp_path, mirror):
    path = fetch_labels(server, tmp_path / "file", [mirror])
    assert path.read_bytes() == ZIPPED_LABELS


@pytest.mark.parametrize("failing", FAILURES)
def test_the_next_mirror_is_used_when_one_fails(server, tmp_path, failing):
    path = fetch_labels(server, tmp_path / "file", [failing, "good"])
    assert path.read_bytes() == ZIPPED_LABELS
    assert server.requests["good"] == 1
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("failing", FAILURES)
def test_a_mirror_that_failed_leaves_no_file_and_its_reason(server, tmp_path, failing):
    with pytest.raises(DownloadError, match=FAILURES[failing]):
        fetch_labels(server, tmp_path / "file", [failing])
    assert os.listdir(tmp_path) == []


def test_a_mirror_that_drips_is_left_at_the_time_limit(server, tmp_path):
    start = time.monotonic()
    with pytest.raises(DownloadError, match=r"took longer than 0\.3 seconds"):
        fetch_labels(server, tmp_path / "file", ["dripping"], timeout=5, time_limit=0.3)
    assert time.monotonic() - start < 3
    assert os.listdir(tmp_path) == []


def test_the_error_when_all_mirrors_fail_names_each_one(server, tmp_path):
    mirrors = [server.url("missing"), server.url("short"), server.url("other")]
    with pytest.raises(DownloadError) as raised:
        get_mnist(cache=tmp_path, mirrors=mirrors)
    message = str(raised.value)
    assert message.startswith("fetch: no mirror gave train-images-idx3-ubyte.gz: ")
    for mirror, reason in zip(mirrors, ["HTTP 404", "broke off", "SHA-256"], strict=True):
        _, _, rest = message.partition(f"{mirror}{TRAIN_IMAGES}.gz: ")
        assert reason in rest.split(";")[0]


def test_a_failure_leaves_only_whole_files_in_the_cache(server, tmp_path):
    del server.files[f"{TEST_LABELS}.gz"]
    with pytest.raises(DownloadError, match=TEST_LABELS):
        get_mnist(cache=tmp_path, mirrors=[server.url("good")])
    left = {p.name: p.read_bytes() for p in (tmp_path / "mnist").iterdir()}
    assert left == {name: content for name, content in ZIPPED.items() if TEST_LABELS not in name}


def test_an_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_labels(server, tmp_path / "file", ["good"])
    assert os.listdir(tmp_path) == []


def test_an_error_of_the_disk_is_not_blamed_on_the_mirror(server, tmp_path, monkeypatch):
    def fill(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(OSError, match=r"^no space left$"):
        fetch_labels(server, tmp_path / "file", ["good", "good"])
    assert server.requests == {"good": 1}
    assert os.listdir(tmp_path) == []


def test_a_damaged_file_in_the_cache_is_replaced_with_a_warning(server, tmp_path):
    get_mnist(cache=tmp_path, mirrors=[server.url("good")])
    damaged = tmp_path / "mnist" / f"{TEST_LABELS}.gz"
    damaged.write_bytes(ZIPPED_LABELS[:-1])
    with pytest.warns(UserWarning, match=rf"{TEST_LABELS}.gz has SHA-256 .* downloaded again"):
        assert_is_mnist(*get_mnist(cache=tmp_path, mirrors=[server.url("good")]))
    assert damaged.read_bytes() == ZIPPED_LABELS
    assert server.requests == {"good": 5}


def test_without_download_a_whole_cache_is_used(server, tmp_path):
    (tmp_path / "mnist").mkdir()
    write(tmp_path / "mnist", ZIPPED)
    assert_is_mnist(*get_mnist(cache=tmp_path, download=False, mirrors=[server.url("good")]))
    assert not server.requests


def test_without_download_a_cache_that_is_not_whole_is_refused(server, tmp_path):
    (tmp_path / "mnist").mkdir()
    write(tmp_path / "mnist", {**ZIPPED, f"{TEST_LABELS}.gz": b"damaged"})
    (tmp_path / "mnist" / f"{TRAIN_IMAGES}.gz").unlink()
    with pytest.raises(FileNotFoundError) as raised:
        get_mnist(cache=tmp_path, download=False, mirrors=[server.url("good")])
    assert str(tmp_path) in str(raised.value)
    assert f"{TRAIN_IMAGES}.gz is missing" in str(raised.value)
    assert f"{TEST_LABELS}.gz has SHA-256" in str(raised.value)
    assert not server.requests


@pytest.mark.parametrize(
    ("dynet_data", "xdg_cache_home", "expected"),
    [
        ("data", "xdg", "data/mnist"),
        ("", "xdg", "xdg/dynet/mnist"),
        (None, None, "home/.cache/dynet/mnist"),
    ],
)
def test_the_cache_lies_where_the_environment_says(
    server, tmp_path, monkeypatch, dynet_data, xdg_cache_home, expected
):
    for name, value in (("DYNET_DATA", dynet_data), ("XDG_CACHE_HOME", xdg_cache_home)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(tmp_path / value) if value else "")
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path / "home"))
    get_mnist(mirrors=[server.url("good")])
    assert len(os.listdir(tmp_path / expected)) == 4


def test_fetch_refuses_one_address_for_a_sequence(tmp_path):
    with pytest.raises(TypeError, match="fetch: mirrors is the string 'http://a/', expected"):
        fetch("name", "http://a/", tmp_path / "file", "")


def test_fetch_refuses_no_mirrors(tmp_path):
    with pytest.raises(ValueError, match="fetch: mirrors is empty, expected"):
        fetch("name", [], tmp_path / "file", "")


@pytest.mark.parametrize("argument", ["timeout", "time_limit"])
def test_fetch_refuses_a_time_that_is_not_positive(tmp_path, argument):
    with pytest.raises(ValueError, match=f"fetch: {argument} is 0, expected a positive number"):
        fetch("name", ["http://a/"], tmp_path / "file", "", **{argument: 0})


def test_without_scikit_learn_the_error_of_the_digits_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"get_digits: .* pip install 'dynet\[examples\]'"):
        get_digits()


# -- the real files ---------------------------------------------------------------------------


def test_the_real_t10k_files_are_ten_thousand_digits():
    data = os.environ.get("DYNET_TEST_DATA")
    if not data or not Path(data, "mnist").is_dir():
        pytest.skip("DYNET_TEST_DATA names no folder with mnist/ in it")
    train, test = get_mnist(Path(data, "mnist"))
    labels = test.labels
    if len(labels) == 2_000:
        labels = np.concatenate([train.labels, labels])
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
