"""The iterator whose workers are processes: the serial one's batches, and no process left over."""

import copy
import gc
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
from dynet.datasets import TransformDataset
from dynet.iterators import MultiprocessIterator, SerialIterator
from dynet.serializers import load_npz, save_npz

METHODS = multiprocessing.get_all_start_methods()

needs_fork = pytest.mark.skipif("fork" not in METHODS, reason="this system has no fork")


def forked(*arguments, n_processes=2, **settings):
    """An iterator whose workers start quickly."""
    return MultiprocessIterator(
        *arguments, n_processes=n_processes, start_method="fork", **settings
    )


def place(iterator):
    return (
        iterator.current_position,
        iterator.epoch,
        iterator.is_new_epoch,
        iterator.epoch_detail,
        iterator.previous_epoch_detail,
    )


def steps(iterator, n):
    return [(next(iterator, None), place(iterator)) for _ in range(n)]


class NeedsTwo(Exception):
    """An exception that pickle cannot make again."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


class Doing:
    """Numbers; for the third something happens."""

    def __init__(self, what):
        self.what = what

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return self.what(i) if i == 2 else i


def of(function):
    return TransformDataset(range(8), function)


# -- the same batches -----------------------------------------------------------------------------


@needs_fork
@given(
    n=st.integers(1, 9),
    batch_size=st.integers(1, 12),
    repeat=st.booleans(),
    shuffle=st.booleans(),
    n_processes=st.integers(1, 3),
    n_prefetch=st.integers(1, 3),
    before=st.integers(0, 8),
)
@settings(max_examples=12, deadline=None)  # each example starts up to nine processes
def test_processes_give_what_the_serial_iterator_gives_from_any_saved_place(
    tmp_path_factory, n, batch_size, repeat, shuffle, n_processes, n_prefetch, before
):
    path = tmp_path_factory.getbasetemp() / "place.npz"
    how = {"batch_size": batch_size, "repeat": repeat, "shuffle": shuffle}
    serial = SerialIterator(range(n), **how, rng=5)
    with forked(
        range(n), **how, rng=5, n_processes=n_processes, n_prefetch=n_prefetch
    ) as processes:
        assert steps(processes, before) == steps(serial, before)
        save_npz(path, processes)
        expected = steps(serial, 5)
        assert steps(processes, 5) == expected
        load_npz(path, processes)
        assert steps(processes, 5) == expected
    other = SerialIterator(range(n), **how, rng=6)
    load_npz(path, other)
    assert steps(other, 5) == expected


@needs_fork
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
)
def test_a_copy_goes_on_from_the_same_place_with_workers_of_its_own(copied):
    it = forked(range(5), 2, shuffle=False)
    steps(it, 4)
    with copied(it) as other:
        expected = [next(it)]
        it.finalize()
        assert [next(other)] == expected


@pytest.mark.parametrize("method", [m for m in METHODS if m != "fork"])
def test_workers_may_start_afresh(method):
    data = np.arange(12.0).reshape(6, 2)
    how = {"n_processes": 1, "n_prefetch": 2, "start_method": method}
    with MultiprocessIterator(data, 4, rng=0, **how) as processes:
        serial = SerialIterator(data, 4, rng=0)
        for _ in range(3):
            np.testing.assert_equal(next(processes), next(serial))


@needs_fork
def test_arrays_large_and_small_arrive_as_they_are():
    large = np.arange(200_000, dtype=np.float32).reshape(2, 100_000)
    frozen = large.copy()
    frozen.flags.writeable = False
    example = (large, large.T, frozen, large[:, :3], np.int8(3), {"name": "x"}, None)
    with forked(of(lambda i: example), 4, n_prefetch=2) as it:
        for batch in next(it), next(it):
            for found in batch:
                np.testing.assert_equal(found, example)
                assert [x.dtype for x in found[:5]] == [x.dtype for x in example[:5]]
                assert [x.flags.writeable for x in found[:3]] == [True, True, False]


@needs_fork
def test_long_lists_of_numbers_and_batches_that_fill_the_pipe_do_not_lock_it_up():
    with forked(range(300_000), 150_000, n_prefetch=3, shuffle=False) as it:
        assert [next(it)[-1] for _ in range(3)] == [149_999, 299_999, 149_999]


@needs_fork
def test_workers_draw_different_random_numbers_that_a_seed_repeats():
    def drawn():
        np.random.seed(0)
        dataset = of(lambda i: (np.random.rand(), random.random(), *dynet.random.uniform((1,))))
        with forked(dataset, 8, rng=0) as it:
            return next(it)

    first = drawn()
    assert len({number for example in first for number in example}) == 24
    assert drawn() == first


@needs_fork
def test_starting_workers_leaves_the_global_state_alone():
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    with forked(range(4), 2, rng=0) as it:
        next(it)
    assert np.random.rand() == expected


def ended_program(i):
    program = subprocess.Popen(["sleep", "60"])
    program.terminate()
    return program.wait(10)


@needs_fork
def test_a_program_that_a_dataset_starts_can_be_ended():
    with forked(of(ended_program), 1) as it:
        assert next(it) == [-signal.SIGTERM]


# -- errors ---------------------------------------------------------------------------------------


def raises_value_error(i):
    raise ValueError(f"example {i} is spoilt")


@needs_fork
def test_an_error_comes_with_its_type_and_the_workers_traceback():
    it = forked(of(raises_value_error), 2, shuffle=False)
    with pytest.raises(ValueError, match="example 0 is spoilt") as error:
        next(it)
    assert "in raises_value_error" in str(error.value.__cause__)
    with pytest.raises(ValueError, match="example 2 is spoilt"):
        next(it)  # the workers live on
    it.finalize()


@needs_fork
@pytest.mark.parametrize(
    ("what", "error", "match"),
    [
        (lambda i: NeedsTwo(1, 2), TypeError, "missing 1 required"),
        (lambda i: (_ for _ in ()).throw(NeedsTwo(1, 2)), RuntimeError, "NeedsTwo: 1 and 2"),
        (lambda i: (_ for _ in ()), TypeError, "example cannot be pickled.*generator"),
        (lambda i: sys.exit(3), SystemExit, "3"),
    ],
    ids=["unpickling", "an error that cannot be pickled", "an example that cannot", "exit"],
)
def test_what_cannot_be_sent_is_said(what, error, match):
    with forked(Doing(what), 2, shuffle=False) as it:
        assert next(it) == [0, 1]
        with pytest.raises(error, match=match):
            next(it)
        assert next(it) == [4, 5]


@needs_fork
@pytest.mark.parametrize(
    ("what", "match"),
    [
        (lambda i: os._exit(3), "its exit code is 3"),
        (lambda i: os.kill(os.getpid(), signal.SIGKILL), "killed by SIGKILL"),
    ],
    ids=["os._exit", "SIGKILL"],
)
def test_a_worker_that_dies_is_one_error_and_takes_the_others_with_it(what, match):
    it = forked(Doing(what), 8, shuffle=False)
    with pytest.raises(RuntimeError, match=f"MultiprocessIterator: a worker process .*{match}"):
        next(it)
    assert not multiprocessing.active_children()
    it.finalize()


@needs_fork
def test_after_a_death_new_workers_go_on_with_the_next_batch():
    it = forked(range(8), 2, shuffle=False)
    next(it)
    for process in multiprocessing.active_children():
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="killed by SIGKILL"):
        for _ in range(3):  # what a worker had sent before is not lost
            next(it)
    position = it.current_position
    assert next(it)[0] == position
    it.finalize()


def test_a_dataset_that_cannot_be_pickled_is_an_error_before_anything_starts():
    it = MultiprocessIterator(of(lambda i: i), 2, n_processes=1, start_method="spawn")
    with pytest.raises(TypeError, match=r"the dataset cannot be pickled .*lambda"):
        next(it)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"n_processes": 0}, ValueError, "n_processes is 0, expected a positive integer"),
        ({"n_processes": 1.5}, TypeError, "n_processes is 1.5, expected a positive integer"),
        ({"n_prefetch": 0}, ValueError, "n_prefetch is 0, expected a positive integer"),
        ({"start_method": "thread"}, ValueError, "start_method is 'thread', expected None or"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"dataset": []}, ValueError, "the dataset is empty"),
    ],
)
def test_bad_arguments_are_an_error(settings, error, match):
    with pytest.raises(error, match=f"MultiprocessIterator: .*{match}"):
        MultiprocessIterator(**{"dataset": "ab", "batch_size": 1, **settings})


# -- nobody left over -----------------------------------------------------------------------------


@needs_fork
@pytest.mark.parametrize("end", ["finalize", "forget"])
def test_workers_end_with_the_iterator_even_in_the_middle_of_an_example(end):
    it = forked(Doing(lambda i: time.sleep(600)), 2, shuffle=False)
    next(it)
    assert len(multiprocessing.active_children()) == 2
    if end == "finalize":
        it.finalize()
        with pytest.raises(RuntimeError, match=r"after finalize\(\)"):
            next(it)
    del it
    gc.collect()
    assert not multiprocessing.active_children()


SCRIPT = """
import os, signal, sys, time
from dynet.iterators import MultiprocessIterator

class Dataset:
    def __len__(self):
        return 8
    def __getitem__(self, i):
        if i == 2:
            print("busy", flush=True)
            time.sleep(600)
        return i

if __name__ == "__main__":
    it = MultiprocessIterator(Dataset(), 2, shuffle=False, n_processes=2, start_method=sys.argv[1])
    next(it)
    if sys.argv[2] == "stay":
        time.sleep(600)
"""


@pytest.fixture
def folder():
    # Of a short name, unlike tmp_path: with the address of a socket some 100 characters are full.
    with tempfile.TemporaryDirectory() as name:
        yield name


def script(folder, method, then):
    """A process of its own group whose workers hold its output open; one of them is busy."""
    path = Path(folder, "script.py")
    path.write_text(textwrap.dedent(SCRIPT))
    parent = subprocess.Popen(
        [sys.executable, path, method, then],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.path.dirname(os.path.dirname(dynet.__file__)),
            "TMPDIR": folder,  # where multiprocessing leaves a socket behind when it is killed
        },
        start_new_session=True,
    )
    if then == "stay":
        assert parent.stdout.readline() == "busy\n"
    return parent


def errors_once_all_have_ended(parent):
    """The output ends when nobody is left who could write to it."""
    try:
        return parent.communicate(timeout=30)[1]
    finally:
        try:
            os.killpg(parent.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # as it should be


@needs_fork
@pytest.mark.parametrize("method", METHODS)
def test_workers_end_when_the_parent_is_killed(folder, method):
    parent = script(folder, method, "stay")
    parent.kill()
    assert errors_once_all_have_ended(parent) == ""


@needs_fork
def test_ctrl_c_reaches_all_and_only_the_parent_speaks(folder):
    parent = script(folder, "fork", "stay")
    os.killpg(parent.pid, signal.SIGINT)
    errors = errors_once_all_have_ended(parent)
    assert errors.count("Traceback") == 1
    assert errors.endswith("KeyboardInterrupt\n")


@needs_fork
def test_a_program_ends_without_waiting_for_its_workers(folder):
    parent = script(folder, "fork", "leave")
    assert errors_once_all_have_ended(parent) == ""
    assert parent.returncode == 0


@needs_fork
def test_sigterm_to_all_leaves_the_workers_to_the_parent():
    it = forked(range(8), 2, shuffle=False)
    next(it)
    for process in multiprocessing.active_children():
        os.kill(process.pid, signal.SIGTERM)
    assert [next(it) for _ in range(4)] == [[2, 3], [4, 5], [6, 7], [0, 1]]
    it.finalize()
