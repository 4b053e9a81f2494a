"""A training run's record: one line of JSON after another, a table of them, and a picture."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import is_array
from ..variable import Variable
from .plotting import draw
from .table import Table


class Log:
    """Lines of named values, kept in a file as JSON lines.

    A value is a number, text, or a list or dict of these; NumPy's numbers, and arrays and
    Variables of one element, are written as the numbers that they hold. JSON knows no number that
    is not finite: NaN and infinity become ``null``, and ``None`` in ``lines``.

    Args:
        path: of the file; it is started anew.
        keep: how many of the lines that are there already stay, for a run that is resumed. A last
            line that was cut short, when the run was killed, does not count.
        print: the names of values that are printed as well, a row of a table for each new line.

    Attributes:
        lines (list of dict): all lines so far.

    Raises:
        ValueError: ``keep`` is negative; the file has fewer lines than are to be kept, or one of
            them is not JSON.

    >>> import dynet, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "log.jsonl")
    >>> log = dynet.training.Log(path, print=["epoch", "loss"])
    >>> log.write(epoch=1, loss=0.5, seconds=2.5)
         epoch        loss
             1    0.500000
    >>> log.lines
    [{'epoch': 1, 'loss': 0.5, 'seconds': 2.5}]
    """

    def __init__(self, path: "str | os.PathLike", keep: int = 0, print: Sequence[str] = ()):
        if keep < 0:
            raise ValueError(f"Log: keep is {keep}, expected a number of lines")
        self.path = Path(path)
        self.lines: list[dict[str, Any]] = []
        self._table = Table(print) if print else None
        end = 0
        if keep:
            lines = self.path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if line.endswith(b"\n")][:keep]
            if len(kept) < keep:
                raise ValueError(f"Log: {path} has {len(kept)} lines, expected at least {keep}")
            self.lines = [self._parsed(i, line) for i, line in enumerate(kept)]
            end = sum(map(len, kept))
        with open(path, "ab") as f:
            f.truncate(end)  # what is kept is never written again, so a full disk takes nothing

    def _parsed(self, i, line):
        try:
            values = json.loads(line)
        except ValueError as error:
            raise ValueError(f"Log: line {i + 1} of {self.path} is no JSON: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"Log: line {i + 1} of {self.path} is {values!r}, expected an object")
        return as_json(values)  # other programs do write NaN

    def write(self, **values: Any) -> None:
        """Add a line.

        Raises:
            TypeError: a value cannot be written as JSON.
            OSError: the file cannot be written; it stays as it is.
        """
        values = line_of(values, "Log.write")
        text = (json.dumps(values) + "\n").encode()
        with open(self.path, "ab", buffering=0) as f:
            end = f.tell()
            try:
                while text:
                    text = text[f.write(text) :]
            except (
                BaseException
            ):  # a full disk, Ctrl-C: what follows must not go on from half a line
                f.truncate(end)
                raise
        self.lines.append(values)
        if self._table:
            self._table.print_row(values)

    def plot(self, path: "str | os.PathLike", *endings: str, x: str = "epoch") -> None:
        """Draw the values as curves, one panel beside the other, to a picture file.

        Args:
            path: of the picture; its ending says the format.
            endings: one panel each, with every value whose name ends so: ``"loss"`` draws
                ``train_loss`` and ``test_loss`` into one.
            x: the name of the value along the horizontal axis.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: there are no endings.
        """
        if not endings:
            raise ValueError(
                "Log.plot: there is nothing to draw; expected endings of names, such as 'loss'"
            )
        names = dict.fromkeys(name for line in self.lines for name in line)
        panels: dict[str, dict] = {ending: {} for ending in endings}
        for ending, curves in panels.items():
            for name in names:
                if name.endswith(ending) and name != x:
                    lines = [line for line in self.lines if name in line and x in line]
                    curves[name] = [e[x] for e in lines], [e[name] for e in lines]
        draw(path, panels, x, by="Log.plot")


def line_of(values: Mapping[str, Any], by: str) -> dict[str, Any]:
    """Named values as JSON can keep them; see ``as_json``.

    Raises:
        TypeError: JSON cannot keep one of them.
    """
    line = as_json(values)
    for name, value in line.items():
        try:
            json.dumps(value)
        except TypeError as error:
            raise TypeError(
                f"{by}: {name} is {described(value)}, expected a number, text, or a list or dict "
                "of these"
            ) from error
    return line


def as_json(value: Any) -> Any:
    """A value as JSON can keep it: one element as a number, what is not finite as ``None``.

    >>> import numpy as np
    >>> as_json({"loss": np.array([0.5]), "worst": [1, np.inf]})
    {'loss': 0.5, 'worst': [1, None]}
    """
    if isinstance(value, dict):
        return {name: as_json(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    if isinstance(value, Variable):
        value = value.array
    if (is_array(value) or isinstance(value, np.generic)) and value.size == 1:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def described(value: Any) -> str:
    """What a value is, for messages."""
    shape = getattr(value, "shape", "")
    return f"{type(value).__name__} {shape}".rstrip()
