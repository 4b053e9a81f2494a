"""The example: what it writes, resuming, and what it says of bad input.

It runs as a user runs it, in a process of its own, once and on a full disk; and otherwise in this
process, where it must come to the very same numbers.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from here import run_here

from dynet.optimizers import SGD

PATH = Path(__file__).parents[1] / "examples/irnn_mnist.py"
SMALL = ["--data", "digits", "--limit", "48", "--hidden", "16", "--epochs", "1"]


def run_in_a_process(out, *options, **settings):
    command = [sys.executable, PATH, *SMALL, "--out", out, *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, **settings)


def run(out, *options):
    done = run_here(PATH, *SMALL, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(done):
    """The one line that it says beside its progress bars."""
    said = [line for line in done.stderr.splitlines() if line and not line.startswith("epoch ")]
    assert done.returncode == 1 and len(said) == 1 and said[0].startswith("irnn_mnist: "), said
    return said[0]


def refusal(out, *options):
    return refused(run_here(PATH, *SMALL, "--out", out, *options))


def numbers(out):  # all that it has logged but the times
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if "second" not in k} for line in lines]


def state(out):
    with np.load(out / "snapshot.npz") as npz:
        return numbers(out), {name: npz[name] for name in npz.files if name != "run/seconds"}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    done = run_in_a_process(out := tmp_path_factory.mktemp("three"), "--epochs", 3)
    assert done.returncode == 0, done.stderr
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


def test_a_run_interrupted_in_the_middle_of_an_epoch_goes_on_to_the_same_numbers(
    three, tmp_path, monkeypatch
):
    updates = []

    def update(self, *args, original=SGD.update):
        original(self, *args)
        updates.append(1)
        if len(updates) == 5:  # the second of three in the second epoch
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(SGD, "update", update)
    run(tmp_path, "--epochs", 3)
    assert len(updates) == 5 and state(tmp_path)[1]["run/done"] == 32
    run(tmp_path, "--epochs", 3, "--resume")
    np.testing.assert_equal(state(tmp_path), state(three))


@pytest.mark.parametrize("option, words", [("--lr", "of a run with"), ("--hidden", "other model")])
def test_resuming_with_other_settings_is_refused(option, words, three, tmp_path):
    shutil.copytree(three, tmp_path, dirs_exist_ok=True)
    assert words in refusal(tmp_path, "--resume", option, 8)
    np.testing.assert_equal(state(tmp_path), state(three))


def test_a_full_disk_is_named_and_the_old_snapshot_stays(three, tmp_path):
    shutil.copytree(three, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "snapshot.npz").read_bytes()
    most = len(before) // 2
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))
    said = refused(run_in_a_process(tmp_path, "--resume", "--epochs", 4, preexec_fn=limit))
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
    run(tmp_path, "--data", tmp_path, "--batchsize", 20, "--loop")  # which needs no compiling
    assert numbers(tmp_path)[0]["iteration"] == 2  # 40 of the 50 are there to train


@pytest.mark.parametrize("folder, words", [("none", "no folder"), ("..", "lacks"), (".", "bytes")])
def test_a_folder_without_whole_files_is_refused(folder, words, tmp_path):
    write_mnist(tmp_path, cut=9)
    assert words in refusal(tmp_path / "out", "--data", tmp_path / folder)


def test_a_gpu_without_cupy_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
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
