"""Processes that fetch examples, and end when nobody needs them any more.

Each worker has a pipe of its own to the parent and nothing in common with the others: no lock, no
queue that one could leave locked when it is killed. The parent has no thread for them; it reads an
answer when it wants it. A worker ends

- when the parent kills it: in ``stop()``, when the ``Workers`` are collected, when the interpreter
  ends;
- when the parent is gone, however it went: a thread of the worker waits for that.

Ctrl-C and SIGTERM, which may reach the whole process group, are left to the parent.
"""

import copy
import multiprocessing
import os
import pickle
import queue
import random
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .. import random as dynet_random

# An array of so many bytes is sent by itself: no copy of it is made for pickling.
LARGE = 1 << 16


class WorkerTraceback(Exception):
    """The cause of an error that came from a worker: where it was raised there, as text."""

    def __init__(self, text: str):
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class Workers:
    """Processes that each hold a dataset, and answer numbers with examples.

    Args:
        name: what messages begin with.
        dataset: it is pickled for the workers, unless they are forked.
        n: how many.
        start_method: ``"fork"``, ``"spawn"``, ``"forkserver"``, or ``None``.

    Raises:
        TypeError: the dataset cannot be pickled.
    """

    def __init__(self, name: str, dataset: Any, n: int, start_method: str | None):
        self._name = name
        self._next = 0  # which worker is given work next
        self._asked = [0] * n  # how many answers each worker was asked for
        self._answered = [0] * n
        self._processes: list[Any] = []
        self._connections: list[Connection] = []
        # At the end of the interpreter too, before multiprocessing waits for all processes.
        self.stop = Finalize(self, _stop, (self._processes, self._connections), exitpriority=10)
        context = multiprocessing.get_context(start_method)
        self._method = context.get_start_method()
        # The parent goes on drawing as if there were no workers.
        entropy = copy.deepcopy(np.random.mtrand._rand).randint(2**32, size=4, dtype=np.uint32)
        try:
            for i in range(n):
                self._start(context, dataset, np.random.SeedSequence([*entropy.tolist(), i]))
        except BaseException as error:
            self.stop()
            if isinstance(error, (pickle.PicklingError, AttributeError, TypeError)):
                raise TypeError(
                    f"{name}: the dataset cannot be pickled ({error}), expected one that can: the "
                    f"start method {self._method!r} sends it to the workers so. "
                    'start_method="fork", where there is one, does not'
                ) from error
            raise

    def _start(self, context, dataset, seeds):
        mine, theirs = context.Pipe()
        self._connections.append(mine)
        process = context.Process(
            target=_work, args=(theirs, dataset, seeds), name="dynet-iterator", daemon=False
        )
        with _interrupts_held_back():
            process.start()
            self._processes.append(process)
        # With no copy left here or in the workers to come, the pipe ends when the worker does.
        theirs.close()

    def submit(self, parts: list[list[int]]) -> list[tuple[int, int]]:
        """Have each part fetched by one worker; gives back what ``result`` takes."""
        job = []
        for numbers in parts:
            i, self._next = self._next, (self._next + 1) % len(self._processes)
            try:
                self._connections[i].send(numbers)
            except OSError:
                raise self._death(i) from None
            self._asked[i] += 1
            job.append((i, self._asked[i]))
        return job

    def result(self, job: list[tuple[int, int]]) -> "tuple[list, BaseException | None]":
        """The examples of all parts in order, and the first error that a part met with.

        Raises:
            RuntimeError: a worker has died.
        """
        examples, first_error = [], None
        for i, number in job:
            # Answers come in the order of the questions; those before were never asked for.
            while self._answered[i] < number:
                answer = self._receive(i)
                self._answered[i] += 1
            found, error = answer
            examples += found
            if first_error is None:
                first_error = error
        return examples, first_error

    def _receive(self, i):
        connection, process = self._connections[i], self._processes[i]
        try:
            # The pipe of a worker that died stays open where a process that it made lives on.
            if connection in wait([connection, process.sentinel]):
                return _received(connection)
        except (EOFError, OSError):
            pass  # cut off: the worker has died
        raise self._death(i)

    def _death(self, i):
        process = self._processes[i]
        process.join(10)
        code = process.exitcode
        hint = ""
        if code is None:
            how = "its pipe was closed"
        elif code < 0:
            how = f"it was killed by {signal.Signals(-code).name}"
            if -code == getattr(signal, "SIGKILL", None):
                hint = "; the system does that where memory runs out"
        else:
            how = f"its exit code is {code}"
            if code == 1 and self._method != "fork":
                hint = (
                    "; what it said is in the error output. A worker that is not forked imports "
                    "the dataset's class and the main script, which must start iterators under "
                    '`if __name__ == "__main__":` only'
                )
        return RuntimeError(
            f"{self._name}: a worker process has ended before it gave its examples: {how}{hint}"
        )


def _stop(processes, connections):
    for process in processes:
        process.kill()
    for process in processes:
        process.join()
    for connection in connections:
        connection.close()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Have a process that is started meanwhile begin without Ctrl-C, which is not for it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _received(connection):
    """An answer: the examples, and the error that kept the others from being fetched."""
    sizes = connection.recv()
    payload = connection.recv_bytes()
    buffers = [bytearray(size) for size in sizes]
    for buffer in buffers:
        connection.recv_bytes_into(buffer)
    examples, error = pickle.loads(payload, buffers=buffers)
    return examples, None if error is None else _rebuilt(*error)


def _rebuilt(kind, text, pickled):
    try:
        error = pickle.loads(pickled)
    except Exception:
        # It could not be pickled, or cannot be made again from its arguments.
        error = RuntimeError(f"a worker raised {kind}, an exception that cannot be pickled")
    error.__cause__ = WorkerTraceback(text)
    return error


# -- in the worker --------------------------------------------------------------------------------


def _work(connection, dataset, seeds):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Ignored, it would be so in programs that the dataset starts, which then could not end them.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The workers are as many as there are cores: a second thread each would be in their way.
    # After a fork there might even be none to be had, and a long wait for them.
    threadpool_limits(1)
    _seed(seeds)
    answers: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_send, args=(connection, answers), daemon=True).start()
    while True:
        try:
            numbers = connection.recv()
        except (EOFError, OSError):
            return  # the parent has closed the pipe
        answers.put(_answer(dataset, numbers))


def _end_with_parent():
    parent = multiprocessing.parent_process().sentinel
    before = os.getppid()
    # Its end of the pipe may live on in a process that it forked: so look at both.
    while not wait([parent], timeout=1) and os.getppid() == before:
        pass
    os._exit(1)


def _seed(seeds):
    # A fork would have all workers draw the same numbers.
    words = seeds.generate_state(8)
    np.random.seed(words[:4])
    random.seed(words[4:6].tobytes())
    dynet_random.seed(int.from_bytes(words[6:].tobytes(), "little"))


def _send(connection, answers):
    """Send answers as they come: the pipe holds little, and the next batch is to be fetched."""
    while True:
        payload, buffers = answers.get()
        try:
            connection.send([buffer.nbytes for buffer in buffers])
            for part in payload, *buffers:
                connection.send_bytes(part)
        except OSError:
            return  # the parent has closed the pipe


def _answer(dataset, numbers):
    try:
        examples = [dataset[i] for i in numbers]
        try:
            return _pickled(examples, None)
        except Exception as error:
            raise TypeError(
                f"an example cannot be pickled, expected one that can: {error}"
            ) from error
    except BaseException as error:  # SystemExit too: it is for the parent to decide
        return _pickled([], _described(error))


def _pickled(examples, error):
    buffers = []

    def is_small(buffer):
        raw = buffer.raw()
        if raw.nbytes >= LARGE:
            buffers.append(raw)
        return raw.nbytes < LARGE

    return pickle.dumps((examples, error), 5, buffer_callback=is_small), buffers


def _described(error):
    # The frame of `_answer` says nothing.
    trace = error.__traceback__ and error.__traceback__.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    try:
        pickled = pickle.dumps(error)
    except Exception:
        pickled = b""  # the parent makes another of the text
    return f"{type(error).__name__}: {error}", text, pickled
