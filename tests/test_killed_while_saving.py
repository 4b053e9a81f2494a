"""A process that is killed, or out of disk space, while it saves leaves a whole file behind."""

import importlib.util
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

from dynet import serializers

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def form(name, package, *values):
    missing = package is not None and importlib.util.find_spec(package) is None
    mark = pytest.mark.skipif(missing, reason=f"{package} is not installed")
    return pytest.param(name, *values, marks=mark, id=name)


N = 250_000  # two arrays of float32 together make 2 MB


def generation(n):
    """What is saved the n-th time: every number says which time it was."""
    return {"a": np.full(N, n, np.float32), "n": n, "b": np.full((N // 2, 2), n, np.float32)}


# Starting Python takes longer than many saves, so it is started once, and forks those that are to
# end badly. It reads lines "what format path n seconds", and answers with the child's exit code,
# or minus the signal that ended it.
FORKER = f"""
import contextlib, importlib, os, resource, signal, sys, time
import numpy as np
from dynet import serializers

def generation(n):
    return {{"a": np.full({N}, n, np.float32), "n": n, "b": np.full(({N} // 2, 2), n, np.float32)}}

def save_for_ever(save, path, n):
    while True:
        n += 1
        save(path, generation(n))
        os.write(begun, b".")

def save_on_a_full_disk(save, path, n):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        save(path, generation(n))
    except OSError as error:
        os._exit(5 if f"{{save.__name__}}: cannot write {{path}}" in str(error) else 6)

for package in "h5py", "safetensors.numpy":
    with contextlib.suppress(ImportError):
        importlib.import_module(package)  # here, and not in each child

for line in sys.stdin:
    what, form, path, n, seconds = line.split()
    seen, begun = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # whatever happens, nothing waits for ever
        try:
            globals()[what](getattr(serializers, "save_" + form), path, int(n))
        finally:
            os._exit(7)
    os.close(begun)
    os.read(seen, 1)  # once it has saved, or ended
    if what == "save_for_ever":
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os.close(seen)
"""


@pytest.fixture(scope="module")
def ask():
    """Call it with what, format, path, n and seconds for the exit code."""
    process = subprocess.Popen(
        [sys.executable, "-c", FORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(*words):
        process.stdin.write(" ".join(map(str, words)) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    with process:
        yield ask
        process.stdin.close()


def loaded(form, file):
    obj = generation(-1)
    getattr(serializers, f"load_{form}")(file, obj)
    return obj


@pytest.mark.parametrize(
    "form, times",
    [form("npz", None, 50), form("hdf5", "h5py", 20), form("safetensors", "safetensors", 20)],
)
def test_a_process_killed_at_any_moment_leaves_a_whole_file(form, times, ask, tmp_path):
    file, moments = tmp_path / "snapshot", random.Random(form)
    save = getattr(serializers, f"save_{form}")
    save(file, generation(0))
    n = in_the_middle = 0
    for _ in range(times):
        seconds = moments.uniform(0, 0.05)
        assert ask("save_for_ever", form, file, n, seconds) == -signal.SIGKILL
        left = len(os.listdir(tmp_path)) - 1
        assert left <= 2, "what killed processes leave behind piles up"
        in_the_middle += left > 0
        obj = loaded(form, file)
        assert obj["n"] >= n
        n = obj["n"]
        np.testing.assert_equal(obj, generation(n))
    assert in_the_middle, "no process was killed in the middle of a save"
    save(file, generation(0))
    assert os.listdir(tmp_path) == [file.name]


@pytest.mark.parametrize(
    "form", [form("npz", None), form("hdf5", "h5py"), form("safetensors", "safetensors")]
)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(form, ask, tmp_path):
    file = tmp_path / "snapshot"
    getattr(serializers, f"save_{form}")(file, generation(3))
    code = ask("save_on_a_full_disk", form, file, 4, 0)
    assert code == 5, "the save did not raise an OSError that names the file"
    assert os.listdir(tmp_path) == [file.name]
    np.testing.assert_equal(loaded(form, file), generation(3))
