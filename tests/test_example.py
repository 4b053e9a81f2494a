"""The example, run as a user runs it: what it writes, resuming, and what it says of bad input."""

import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SMALL = ["--data", "digits", "--limit", "48", "--hidden", "16", "--epochs", "1"]


def start(out, *options, **settings):
    command = [sys.executable, ROOT / "examples/irnn_mnist.py", *SMALL, "--out", out, *options]
    return Popen(list(map(str, command)), stdout=PIPE, stderr=PIPE, **settings)


def run(out, *options):
    stdout, stderr = (process := start(out, *options)).communicate()
    assert process.returncode == 0, stderr.decode()
    return stdout.decode()


def refusal(out, *options, **settings):
    """The one line that it says beside its progress bars."""
    stderr = (process := start(out, *options, **settings)).communicate()[1].decode()
    said = [line for line in stderr.splitlines() if line and not line.startswith("epoch ")]
    assert process.returncode == 1 and len(said) == 1 and said[0].startswith("irnn_mnist: "), said
    return said[0]


def numbers(out):  # all that it has logged but the times
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if "second" not in k} for line in lines]


def state(out):
    with np.load(out / "snapshot.npz") as npz:
        return numbers(out), {name: npz[name] for name in npz.files if name != "run/seconds"}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    run(out := tmp_path_factory.mktemp("three"), "--epochs", 3)
    return out


def test_a_run_writes_a_line_of_the_documented_values_for_each_epoch(three):
    lines = list(map(json.loads, (three / "log.jsonl").read_text().splitlines()))
    names = "epoch,iteration,train_loss,train_accuracy,test_loss,test_accuracy,seconds"
    assert [",".join(line) for line in lines] == [f"{names},images_per_second"] * 3
    assert [(line["epoch"], line["iteration"]) for line in lines] == [(1, 3), (2, 6), (3, 9)]


def test_a_run_draws_its_curve_and_leaves_no_other_file(three):
    assert (three / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in three.iterdir()} == {"log.jsonl", "curve.png", "snapshot.npz"}


def test_the_same_seed_gives_the_same_numbers_resumed_or_in_one_go(three, tmp_path):
    run(tmp_path)
    run(tmp_path, "--epochs", 3, "--resume")
    np.testing.assert_equal(state(tmp_path), state(three))


def test_the_plain_loop_gives_the_same_numbers(three, tmp_path):
    run(tmp_path, "--loop")
    (line,) = numbers(tmp_path)
    assert line == pytest.approx(numbers(three)[0], rel=1e-4)


def test_another_seed_gives_other_numbers(three, tmp_path):
    run(tmp_path, "--seed", 1)
    assert numbers(tmp_path) != numbers(three)[:1]


def test_a_run_interrupted_in_the_middle_of_an_epoch_goes_on_to_the_same_numbers(tmp_path):
    longer = ["--limit", 1200, "--batchsize", 2, "--epochs", 2]
    run(tmp_path / "whole", *longer)
    process, shown = start(tmp_path / "broken", *longer), b""
    while not re.search(rb"epoch 2: +[1-9]", shown):
        shown += process.stderr.read1() or pytest.fail(shown.decode())
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    assert 0 < state(tmp_path / "broken")[1]["run/done"] < 1200
    run(tmp_path / "broken", *longer, "--resume")
    np.testing.assert_equal(state(tmp_path / "broken"), state(tmp_path / "whole"))


@pytest.mark.parametrize("option, words", [("--lr", "of a run with"), ("--hidden", "other model")])
def test_resuming_with_other_settings_is_refused(option, words, three, tmp_path):
    shutil.copytree(three, tmp_path, dirs_exist_ok=True)
    assert words in refusal(tmp_path, "--resume", option, 8)
    np.testing.assert_equal(state(tmp_path), state(three))


def test_a_full_disk_is_named_and_the_old_snapshot_stays(tmp_path):
    run(tmp_path, "--hidden", 200)  # a snapshot of more than 100 kB
    before = (tmp_path / "snapshot.npz").read_bytes()
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (100_000, 100_000))
    said = refusal(tmp_path, "--hidden", 200, "--resume", "--epochs", 2, preexec_fn=limit)
    assert "save_npz: cannot write" in said
    assert (tmp_path / "snapshot.npz").read_bytes() == before


@pytest.mark.parametrize("way", ["--recipe paper", "--recipe post", "--optimizer adam", "--clip 0"])
def test_other_ways_to_train_run(way, tmp_path):
    run(tmp_path, *way.split())


def write_mnist(folder, n=50, cut=0):
    for name, shape in {"images-idx3": (n, 28, 28), "labels-idx1": (n,)}.items():
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        data = np.random.default_rng(0).integers(0, 10, shape, np.uint8).tobytes()
        (folder / f"t10k-{name}-ubyte").write_bytes(header + data[: len(data) - cut])


def test_a_folder_with_only_the_test_files_is_split(tmp_path):
    write_mnist(tmp_path)
    run(tmp_path, "--data", tmp_path, "--batchsize", 20)
    assert numbers(tmp_path)[0]["iteration"] == 2  # 40 of the 50 are there to train


@pytest.mark.parametrize("folder, words", [("none", "no folder"), ("..", "lacks"), (".", "bytes")])
def test_a_folder_without_whole_files_is_refused(folder, words, tmp_path):
    write_mnist(tmp_path, cut=9)
    assert words in refusal(tmp_path / "out", "--data", tmp_path / folder)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_a_gpu_without_cupy_is_refused_with_what_to_install(tmp_path):
    assert "pip install" in refusal(tmp_path, "--device", "cuda:0")


def test_without_a_network_it_goes_on_with_the_digits_and_says_so(tmp_path, monkeypatch):
    closed = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    for name, value in {**closed, "no_proxy": "", "NO_PROXY": "", "DYNET_DATA": tmp_path}.items():
        monkeypatch.setenv(name, str(value))
    said = run(tmp_path, "--data", "auto").splitlines()
    assert len(said) == 2 and "on with scikit-learn's 8x8 digits" in said[0]


def test_it_trains_on_the_real_files(tmp_path):
    data = os.environ.get("DYNET_TEST_DATA")
    if not data or not Path(data, "mnist").is_dir():
        pytest.skip("DYNET_TEST_DATA names no folder with mnist/ in it")
    run(tmp_path, "--data", Path(data, "mnist"))
