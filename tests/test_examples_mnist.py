"""The two examples of training kits: what they write, and resuming.

One runs as a user runs it, in a process of its own, up to Ctrl-C; otherwise they run in this
process, where they must come to the very same numbers.
"""

import json
import os
import re
import signal
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from unittest import mock

import numpy as np
import pytest
from here import run_here

from dynet.optimizers import Optimizer

ROOT = Path(__file__).parents[1]
SMALL = ["--data", "digits", "--limit", "300", "--batchsize", "8", "--epochs", "1"]
FILES = {
    "mnist_mlp": {"log.jsonl", "curve.png", "snapshot.npz"},
    "mnist_lenet": {"log", "loss.png", "accuracy.png", "cg.dot", "snapshot.npz"},
}
each_example = pytest.mark.parametrize("example", FILES)


def command(example, out, *options):
    return [ROOT / f"examples/{example}.py", *SMALL, "--out", out, *map(str, options)]


def run(example, out, *options):
    done = run_here(*command(example, out, *options))
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(example, out, *options):
    done = run_here(*command(example, out, *options))
    assert done.returncode == 1 and done.stderr.startswith(f"{example}: "), done.stderr
    return done.stderr


def state(out):
    """All that a run goes on from, but times and random states that the examples do not use."""
    unused = r".*elapsed_time|.*_log|_random/(numpy|python.*)|random/.*"  # LeNet has no dropout
    with np.load(out / "snapshot.npz") as npz:
        return {name: npz[name] for name in npz.files if not re.fullmatch(unused, name)}


@pytest.fixture(scope="module", params=FILES)
def two_epochs(request, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param)
    return request.param, out, run(request.param, out, "--epochs", 2)


def test_a_run_writes_its_files_and_prints_a_line_an_epoch(two_epochs):
    example, out, said = two_epochs
    assert {p.name for p in out.iterdir()} == FILES[example]
    assert [line.split()[0] for line in said.splitlines()[-3:]] == ["epoch", "1", "2"]


def test_a_resumed_run_ends_as_one_in_one_go(two_epochs, tmp_path):
    example, whole, _ = two_epochs
    run(example, tmp_path)
    run(example, tmp_path, "--epochs", 2, "--resume")
    np.testing.assert_equal(state(tmp_path), state(whole))


def interrupted_in_a_process(out):
    """Runs ``mnist_mlp`` up to Ctrl-C in its first epoch."""
    started = [sys.executable, *command("mnist_mlp", out, "--epochs", 2)]
    process = Popen(started, stdout=PIPE, stderr=PIPE)
    shown = b""
    while b"epoch 1" not in shown:
        shown += process.stderr.read1() or pytest.fail(shown.decode())
    process.send_signal(signal.SIGINT)
    process.communicate()


def interrupted_here(out):
    """Runs ``mnist_lenet`` up to Ctrl-C in its second epoch."""
    updates = []

    def update(self, *args, original=Optimizer.update):
        original(self, *args)
        updates.append(1)
        if len(updates) == 40:  # of 38 in an epoch
            signal.raise_signal(signal.SIGINT)

    with mock.patch.object(Optimizer, "update", update):
        run_here(*command("mnist_lenet", out, "--epochs", 2))
    assert len(updates) == 40


def test_ctrl_c_leaves_a_snapshot_to_go_on_from(two_epochs, tmp_path):
    example, whole, _ = two_epochs
    {"mnist_mlp": interrupted_in_a_process, "mnist_lenet": interrupted_here}[example](tmp_path)
    run(example, tmp_path, "--epochs", 2, "--resume")
    np.testing.assert_equal(state(tmp_path), state(whole))


@each_example
def test_to_resume_without_a_snapshot_is_refused(example, tmp_path):
    assert "snapshot.npz" in refusal(example, tmp_path, "--resume")


@each_example
def test_a_folder_without_mnist_is_refused(example, tmp_path):
    assert "lacks" in refusal(example, tmp_path / "out", "--data", tmp_path)


@each_example
def test_a_gpu_without_cupy_is_refused_with_what_to_install(example, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    assert "pip install" in refusal(example, tmp_path, "--device", "cuda:0")


@pytest.mark.parametrize("example, wanted", [("mnist_mlp", 0.94), ("mnist_lenet", 0.97)])
def test_on_the_real_images_it_learns_what_it_promises(example, wanted, tmp_path):
    data = os.environ.get("DYNET_TEST_DATA")
    if not data or not Path(data, "mnist").is_dir():
        pytest.skip("DYNET_TEST_DATA names no folder with mnist/ in it")
    epochs = {"mnist_mlp": 5, "mnist_lenet": 6}[example]
    options = ["--data", Path(data, "mnist"), "--limit", 8000, "--batchsize", 64]
    run(example, tmp_path, *options, "--epochs", epochs)
    if example == "mnist_mlp":
        reached = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["test_accuracy"]
    else:
        reached = json.loads((tmp_path / "log").read_text())[-1]["validation/main/accuracy"]
    assert reached > wanted
