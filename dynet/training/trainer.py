"""The training loop as an object, for those who would rather not write the ``for`` themselves."""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext
from typing import Any, NamedTuple

from tqdm import tqdm

from ..reporter import Reporter, as_number
from . import global_random
from .extension import PRIORITY_READER
from .interruption import Interruption
from .triggers import get_trigger


class _Entry(NamedTuple):
    extension: Callable
    trigger: Callable
    priority: int
    call_before_training: bool

    def call(self, method, *args):
        """Call a method of the extension, where it has it."""
        function = getattr(self.extension, method, None)
        return function(*args) if function is not None else None


class Trainer:
    """Updates, and after each update calls those extensions whose time has come.

    The trainer is saved and loaded as a whole, by ``extensions.snapshot`` and
    ``dynet.serializers.load_npz(path, trainer)``: models, optimizers, iterators, all global random
    states, and what extensions and triggers have to remember. A trainer that was made by the same
    program and loads a snapshot before ``run`` goes on to the same bits and the same log.
    Settings are not saved: the program states them anew, and may state others.

    Ctrl-C and SIGTERM let ``run`` finish the iteration with all its extensions, have ``on_error``
    of each called (``extensions.snapshot(snapshot_on_error=True)`` saves then) and everything
    finalized, and only then do what they would have done at once: raise ``KeyboardInterrupt``, or
    end the process. A second one acts at once. A thread other than the main one gets no signals.

    Args:
        updater: makes one step; see ``StandardUpdater``.
        stop_trigger: when to stop, such as ``(20, "epoch")``; by default never.
        out: the folder for what extensions write; it is made by ``run``.
        extensions: to ``extend`` the trainer by at once.

    Attributes:
        updater, stop_trigger, out: as given.
        observation (dict): what was reported since the last update began.
        reporter (Reporter): collects it; it knows each optimizer's target by the optimizer's name.

    >>> import numpy as np, dynet, dynet.links as L, tempfile
    >>> x, t = np.eye(4, dtype=np.float32), np.arange(4, dtype=np.int32)
    >>> iterator = dynet.iterators.SerialIterator(list(zip(x, t)), 2)
    >>> optimizer = dynet.optimizers.SGD(1.0).setup(L.Classifier(L.Linear(4, 4)))
    >>> updater = dynet.training.StandardUpdater(iterator, optimizer)
    >>> trainer = dynet.training.Trainer(updater, (10, "epoch"), out=tempfile.mkdtemp())
    >>> trainer.extend(dynet.training.extensions.LogReport())
    >>> trainer.run()
    >>> log = trainer.get_extension("LogReport").log
    >>> len(log), log[-1]["iteration"], log[-1]["main/accuracy"]
    (10, 20, 1.0)
    """

    def __init__(
        self,
        updater: Any,
        stop_trigger: Any = None,
        out: "str | os.PathLike" = "result",
        extensions: Iterable[Callable] | None = None,
    ):
        if not hasattr(updater, "get_all_optimizers"):
            raise TypeError(
                f"Trainer: updater is {type(updater).__name__}, expected one such as "
                "StandardUpdater(iterator, optimizer)"
            )
        self.updater = updater
        self.stop_trigger = get_trigger(stop_trigger)
        self.out = out
        self.observation: dict[str, Any] = {}
        self.reporter = Reporter()
        for name, optimizer in updater.get_all_optimizers().items():
            self.reporter.add_observers(name, optimizer.target.namedlinks())
        self._extensions: dict[str, _Entry] = {}
        self._elapsed = 0.0  # seconds, up to when the clock was started
        self._clock: float | None = None
        self._is_done = False
        updater.connect_trainer(self)
        for extension in extensions or ():
            self.extend(extension)

    @property
    def elapsed_time(self) -> float:
        """Seconds that the training has taken, with those before a snapshot that was loaded."""
        if self._clock is None:
            return self._elapsed
        return self._elapsed + time.perf_counter() - self._clock

    @property
    def is_before_training(self) -> bool:
        """Whether there was no update yet."""
        return self.updater.iteration == 0

    def extend(
        self,
        extension: Callable,
        name: str | None = None,
        trigger: Any = None,
        priority: int | None = None,
        call_before_training: bool = False,
    ) -> None:
        """Add an extension: something to be called with the trainer after updates.

        Args:
            extension: an ``Extension``, or any callable.
            name: by default the extension's own ``name``, ``default_name`` or ``__name__``. Where
                it is taken, ``_1``, ``_2`` and so on is added.
            trigger: when to call it; see ``get_trigger``. By default the extension's own
                ``trigger``, or else every iteration.
            priority: the higher, the earlier it is called; those of one priority in the order in
                which they came. By default the extension's own, or else ``PRIORITY_READER``.
            call_before_training: whether it is called once before the first update as well; not
                when a run goes on after a snapshot.

        Raises:
            TypeError: the extension cannot be called, or has no name.
            ValueError: the name is ``"training"``; the trigger is in use already, and remembers
                when it was asked last.
        """
        if isinstance(extension, type):
            raise TypeError(
                f"Trainer.extend: extension is the class {extension.__name__}, expected "
                f"{extension.__name__}(...)"
            )
        if not callable(extension):
            raise TypeError(
                f"Trainer.extend: extension is {type(extension).__name__}, expected a callable"
            )
        for attribute in "name", "default_name", "__name__":
            name = name or getattr(extension, attribute, None)
        if not isinstance(name, str):
            raise TypeError(
                f"Trainer.extend: extension is {type(extension).__name__}, its name {name!r}; "
                "expected text, name=..."
            )
        if name == "training":
            raise ValueError("Trainer.extend: the name 'training' is taken by the trainer")
        if trigger is None:
            trigger = getattr(extension, "trigger", (1, "iteration"))
        trigger = get_trigger(trigger)
        in_use = [self.stop_trigger, *(entry.trigger for entry in self._extensions.values())]
        if hasattr(trigger, "serialize") and any(trigger is other for other in in_use):
            raise ValueError(
                f"Trainer.extend: the trigger of {name!r} is in use already, expected one of its "
                "own: a trigger that remembers when it was asked fires for the first who asks"
            )
        if priority is None:
            priority = getattr(extension, "priority", PRIORITY_READER)
        unique, ordinal = name, 0
        while unique in self._extensions:
            ordinal += 1
            unique = f"{name}_{ordinal}"
        entry = _Entry(extension, trigger, priority, call_before_training)
        if hasattr(extension, "name"):
            extension.name = unique
        self._extensions[unique] = entry

    def get_extension(self, name: str) -> Callable:
        """The extension of a name.

        Raises:
            ValueError: there is none.
        """
        if name not in self._extensions:
            raise ValueError(
                f"Trainer: there is no extension {name!r}; there are {', '.join(self._extensions)}"
            )
        return self._extensions[name].extension

    def run(self, show_loop_exception_msg: bool = True) -> None:
        """Train until the stop trigger fires.

        Args:
            show_loop_exception_msg: whether an exception in the loop is printed at once, before
                everything is finalized, which might take long.

        Raises:
            RuntimeError: the training has been run to its end already.
            KeyboardInterrupt: Ctrl-C was pressed; the iteration was finished before. Inside
                ``with Interruption()`` it returns instead.
        """
        if self._is_done:
            raise RuntimeError("Trainer.run: this training is over, expected a new Trainer")
        os.makedirs(self.out, exist_ok=True)
        entries = sorted(self._extensions.values(), key=lambda entry: -entry.priority)
        self._clock = time.perf_counter()
        in_main_thread = threading.current_thread() is threading.main_thread()
        try:
            with ExitStack() as finalizers:
                finalizers.callback(self.updater.finalize)
                # The lowest first: a snapshot that is loaded then comes before all who look at
                # what it loads. The highest are the first to be finalized.
                for entry in reversed(entries):
                    finalizers.callback(entry.call, "finalize")
                    entry.call("initialize", self)
                with Interruption() if in_main_thread else nullcontext() as interrupted:
                    self._run(entries, interrupted, show_loop_exception_msg)
        finally:
            self._elapsed, self._clock = self.elapsed_time, None
        if interrupted:
            signal.raise_signal(interrupted.signal)
        else:
            self._is_done = True

    def _run(self, entries, interrupted, show_loop_exception_msg):
        try:
            is_over = self._loop(entries, interrupted)
        except Exception as error:
            if show_loop_exception_msg:
                # Not on the line of an open progress bar.
                tqdm.write(
                    f"Exception in the training loop:\n{traceback.format_exc()}"
                    "Extensions and updater are finalized before it goes on.",
                    file=sys.stderr,
                )
            with self._on_error(entries, error, error.__traceback__):
                raise
        if not is_over:
            self._on_error(entries, KeyboardInterrupt(interrupted.signal.name), None).close()

    def _on_error(self, entries, error, tb):
        """What calls ``on_error`` of each extension when it is left, whatever the others raise."""
        calls = ExitStack()
        for entry in reversed(entries):
            calls.callback(entry.call, "on_error", self, error, tb)
        return calls

    def _loop(self, entries, interrupted):
        """Returns whether the training is over, or else was interrupted."""
        if self.is_before_training:
            with self.reporter.scope(self.observation):
                for entry in entries:
                    if entry.call_before_training:
                        entry.extension(self)
            self.observation = {}
        while not interrupted:
            # Asked at this place, it is asked in a run that goes on what it was not asked yet
            # when the last iteration's snapshot was saved.
            if self.stop_trigger(self):
                return True
            self.observation = {}
            with self.reporter.scope(self.observation):
                self.updater.update()
                for entry in entries:
                    if entry.trigger(self):
                        entry.extension(self)
        return False

    def serialize(self, serializer: Any) -> None:
        """Save or load the state of the whole training."""
        self.updater.serialize(serializer["updater"])
        if hasattr(self.stop_trigger, "serialize"):
            self.stop_trigger.serialize(serializer["stop_trigger"])
        for name, entry in self._extensions.items():
            entry.call("serialize", serializer["extensions"][name])
            if hasattr(entry.trigger, "serialize"):
                entry.trigger.serialize(serializer["extension_triggers"][name])
        self._serialize_observation(serializer)
        self._elapsed = serializer("_snapshot_elapsed_time", self.elapsed_time)
        if self._clock is not None:
            self._clock = time.perf_counter()
        # At last: to make a parameter that has waited for its size draws random numbers.
        global_random.serialize(serializer["random"])

    def _serialize_observation(self, serializer):
        # The stop trigger looks at it when the run goes on.
        numbers = {name: as_number(value) for name, value in self.observation.items()}
        state = json.dumps({name: n for name, n in numbers.items() if n is not None})
        loaded = serializer("observation", state)
        if loaded != state:
            self.observation = json.loads(loaded)
