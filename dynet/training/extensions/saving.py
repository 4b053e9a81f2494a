"""Snapshots of a training, and of single objects, in the course of it."""

import os
import re
import string
from collections.abc import Callable
from typing import Any

from ...serializers import load_npz, save_npz
from ..extension import Extension

NUMBER = r"[ +-]*([\d.,_]+(e[+-]\d+)?|nan|inf)"  # in any format


class Snapshot(Extension):
    """Saves an object in the trainer's folder; see ``snapshot`` and ``snapshot_object``."""

    trigger = 1, "epoch"

    def __init__(
        self,
        target: Any,
        filename: "str | Callable[[Any], str]",
        savefun: Callable | None,
        snapshot_on_error: bool,
        num_retains: int,
        autoload: bool,
    ):
        if autoload and savefun is not None:
            raise ValueError(
                "snapshot: autoload loads npz files, expected it without a savefun of your own"
            )
        finds_files = autoload or num_retains > 0
        if finds_files and (callable(filename) or os.path.dirname(filename)):
            raise ValueError(
                f"snapshot: filename is {filename!r}, expected a format string without a folder: "
                "with autoload or num_retains, files are found again by it"
            )
        self._target = target
        self._filename = filename
        self._savefun = save_npz if savefun is None else savefun
        self._finds_files = finds_files
        self._on_error = snapshot_on_error
        self._num_retains = num_retains
        self._autoload = autoload
        # Last of all, so that what others have to remember of this iteration is saved, too.
        self.priority = -200 if target is None else -100

    @property
    def default_name(self) -> str:
        return "snapshot" if self._target is None else "snapshot_object"

    def initialize(self, trainer: Any) -> None:
        if self._autoload:
            files = self._files(trainer)
            if files:
                load_npz(files[-1], self._object(trainer))

    def __call__(self, trainer: Any) -> None:
        name = self._name(trainer)
        if self._finds_files and not re.fullmatch(self._pattern(), name):
            raise ValueError(
                f"snapshot: filename {self._filename!r} gives {name!r}, expected numbers in the "
                "place of the fields: with autoload or num_retains, files are found again by them"
            )
        self._save(trainer, name)
        if self._num_retains > 0:
            for file in self._files(trainer)[: -self._num_retains]:
                os.unlink(file)

    def on_error(self, trainer: Any, exception: BaseException, tb: Any) -> None:
        if self._on_error:
            # After an error in the middle of an iteration the state is none to go on from, and
            # must not take the place of one that is.
            is_whole = isinstance(exception, KeyboardInterrupt)
            self._save(trainer, self._name(trainer) + ("" if is_whole else ".error"))

    def _object(self, trainer):
        return trainer if self._target is None else self._target

    def _name(self, trainer):
        if callable(self._filename):
            return self._filename(trainer)
        return self._filename.format(trainer)

    def _save(self, trainer, name):
        self._savefun(os.path.join(trainer.out, name), self._object(trainer))

    def _pattern(self):
        # Of numbers only: a snapshot_iter_best, or what has an ending, is not of this extension.
        return "".join(
            re.escape(text) + ("" if field is None else NUMBER)
            for text, field, _, _ in string.Formatter().parse(self._filename)
        )

    def _files(self, trainer):
        """The files whose names could be of this extension, the oldest first."""
        pattern = self._pattern()
        found = [
            entry
            for entry in os.scandir(trainer.out)
            if re.fullmatch(pattern, entry.name) and entry.is_file()
        ]
        found.sort(key=lambda entry: (entry.stat().st_mtime_ns, entry.name))
        return [entry.path for entry in found]


def snapshot(
    savefun: Callable | None = None,
    filename: "str | Callable[[Any], str]" = "snapshot_iter_{.updater.iteration}",
    *,
    target: Any = None,
    snapshot_on_error: bool = False,
    num_retains: int = -1,
    autoload: bool = False,
) -> Snapshot:
    """An extension that saves the whole trainer, once an epoch by default.

    A trainer made by the same program goes on from the file, to the same bits, after
    ``dynet.serializers.load_npz(file, trainer)``; or with ``autoload``.

    Args:
        savefun: saves, called with the path and the object; ``save_npz`` by default, which
            replaces files as a whole or not at all.
        filename: the name of the file in the trainer's folder; a format string that gets the
            trainer, or a function of it. With ``num_retains`` and ``autoload`` files are found
            again by such a string with numbers in the place of its fields.
        target: what to save; by default the trainer.
        snapshot_on_error: whether to save when the run is left early as well. After Ctrl-C and
            SIGTERM that is a snapshot like any other. After an error the file's name ends in
            ``.error``: the iteration was not finished, and no run can go on from there to the
            same bits.
        num_retains: how many files to keep, the newest ones; all, if it is not positive.
        autoload: whether the run begins with loading the newest file of such a name, if there is
            one.

    Raises:
        ValueError: ``autoload`` does not go with ``savefun``; neither it nor ``num_retains`` goes
            with a function as ``filename`` or with one that leads to another folder.

    >>> import dynet
    >>> latest = dynet.training.extensions.snapshot(filename="latest", autoload=True)
    """
    return Snapshot(target, filename, savefun, snapshot_on_error, num_retains, autoload)


def snapshot_object(
    target: Any,
    filename: "str | Callable[[Any], str]",
    savefun: Callable | None = None,
    *,
    snapshot_on_error: bool = False,
    num_retains: int = -1,
    autoload: bool = False,
) -> Snapshot:
    """An extension that saves one object, such as the model, once an epoch by default.

    Args:
        target: what to save.
        filename: as in ``snapshot``, as are the others.
        savefun: see there.
        snapshot_on_error: see there.
        num_retains: see there.
        autoload: see there.

    Raises:
        ValueError: as in ``snapshot``.

    >>> import dynet, dynet.links as L
    >>> best = dynet.training.extensions.snapshot_object(L.Linear(3, 2), "best.npz")
    >>> trigger = dynet.training.triggers.MaxValueTrigger("validation/main/accuracy")
    """
    return Snapshot(target, filename, savefun, snapshot_on_error, num_retains, autoload)
