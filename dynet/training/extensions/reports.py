"""What a run tells while it goes on: a log, a table of it, curves, a progress bar."""

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from tqdm import tqdm

from ...files import write_atomically
from ...reporter import DictSummary
from ..extension import PRIORITY_READER, Extension
from ..log import as_json, line_of
from ..plotting import draw, require_matplotlib
from ..table import Table
from ..triggers import get_trigger, training_length


class _MeansReport(Extension):
    """What a log and a picture of curves share: they collect the means of intervals.

    Args:
        keys: the names of the values; ``None`` for all.
        trigger: the interval.
    """

    def __init__(self, keys: Iterable[str] | None, trigger: Any):
        if isinstance(keys, str):
            raise TypeError(
                f"{type(self).__name__}: the keys are the string {keys!r}, expected a list"
            )
        self._keys = None if keys is None else list(keys)
        self._trigger = get_trigger(trigger)
        self._summary = DictSummary()
        self._log: list[dict[str, Any]] = []

    def __call__(self, trainer: Any) -> None:
        observation = trainer.observation
        if self._keys is not None:
            observation = {key: observation[key] for key in self._keys if key in observation}
        self._summary.add(observation)
        if trainer.is_before_training or self._trigger(trainer):
            line = {
                **self._summary.compute_mean(),
                "epoch": trainer.updater.epoch,
                "iteration": trainer.updater.iteration,
                "elapsed_time": trainer.elapsed_time,
            }
            self._add(line, trainer)
            self._summary = DictSummary()

    def _add(self, line, trainer):
        """Take the means of an interval."""
        raise NotImplementedError

    def serialize(self, serializer: Any) -> None:
        if hasattr(self._trigger, "serialize"):
            self._trigger.serialize(serializer["_trigger"])
        self._summary.serialize(serializer["_summary"])
        state = json.dumps(self._log)
        loaded = serializer("_log", state)
        if loaded != state:
            self._log = json.loads(loaded)


class LogReport(_MeansReport):
    """Keeps the means of all that was observed, one dict for each interval, also in a file.

    To these it adds ``epoch``, ``iteration`` and ``elapsed_time``, in seconds. The file holds a
    JSON list, or JSON lines if its name ends in ``.jsonl``; it is replaced as a whole. What is not
    finite is ``null`` there, since JSON knows no NaN, and ``None`` in ``log``.

    Args:
        keys: the names of the values; by default all.
        trigger: the interval; not to be confused with the trigger with which the trainer is
            extended, which says what is averaged.
        postprocess: called with each dict before it is kept; it may change it.
        filename: of the file in the trainer's folder; ``None`` for none.

    >>> import dynet
    >>> log = dynet.training.extensions.LogReport(trigger=(100, "iteration"))
    """

    def __init__(
        self,
        keys: Iterable[str] | None = None,
        trigger: Any = (1, "epoch"),
        postprocess: Callable[[dict], None] | None = None,
        filename: str | None = "log",
    ):
        super().__init__(keys, trigger)
        self._postprocess = postprocess
        self._filename = filename

    @property
    def log(self) -> list[dict[str, Any]]:
        """The dicts so far."""
        return self._log

    def _add(self, line, trainer):
        if self._postprocess is not None:
            self._postprocess(line)
        self._log.append(line_of(line, "LogReport"))
        if self._filename is None:
            return
        if self._filename.endswith(".jsonl"):
            text = "".join(json.dumps(line) + "\n" for line in self._log)
        else:
            text = json.dumps(self._log, indent=4)
        with write_atomically(os.path.join(trainer.out, self._filename), "LogReport") as f:
            f.write(text.encode())


class PrintReport(Extension):
    """Prints what a ``LogReport`` keeps, as a table. A run that goes on prints it from the top.

    Args:
        entries: the names of the values to print, in this order.
        log_report: the name of the LogReport; or one that the trainer does not know.
        out: where to; by default standard output.

    Raises:
        ValueError: when the run begins and there is no such LogReport.

    >>> import dynet
    >>> table = dynet.training.extensions.PrintReport(["epoch", "main/loss", "elapsed_time"])
    """

    priority = PRIORITY_READER - 1  # after the LogReport, whichever of them came first

    def __init__(
        self,
        entries: Sequence[str],
        log_report: str | LogReport = "LogReport",
        out: TextIO | None = None,
    ):
        self._table = Table(entries, out)
        self._log_report = log_report
        self._printed = 0

    def initialize(self, trainer: Any) -> None:
        self._find(trainer)  # raises now if there is none

    def __call__(self, trainer: Any) -> None:
        log_report = self._find(trainer)
        if log_report is self._log_report:
            log_report(trainer)
        for line in log_report.log[self._printed :]:
            self._table.print_row(line)
        self._printed = len(log_report.log)

    def _find(self, trainer):
        log_report = self._log_report
        if isinstance(log_report, str):
            log_report = trainer.get_extension(log_report)
        if not isinstance(log_report, LogReport):
            raise TypeError(
                f"PrintReport: log_report is {type(log_report).__name__}, expected a LogReport or "
                "the name of one"
            )
        return log_report

    def serialize(self, serializer: Any) -> None:
        if not isinstance(self._log_report, str):
            self._log_report.serialize(serializer["_log_report"])


class PlotReport(_MeansReport):
    """Draws the means of some values as curves, to a picture file that is replaced each time.

    Args:
        y_keys: the names of the values.
        x_key: the name of what goes along the horizontal axis: ``"iteration"``, ``"epoch"``,
            ``"elapsed_time"``, or of a value.
        trigger: the interval over which the means are taken.
        postprocess: called with matplotlib's figure and axes, which it may change, and with the
            ``DictSummary`` of the interval, before the picture is written.
        filename: of the picture in the trainer's folder; its ending says the format.
        marker: matplotlib's name of what marks a point.
        grid: whether there are lines in the background.

    Raises:
        ImportError: when the run begins and matplotlib is not installed.
        KeyError: when it is called and there is no value of the name ``x_key``.

    >>> import dynet
    >>> keys = ["main/loss", "validation/main/loss"]
    >>> curves = dynet.training.extensions.PlotReport(keys, "epoch", filename="loss.png")
    """

    def __init__(
        self,
        y_keys: Iterable[str],
        x_key: str = "iteration",
        trigger: Any = (1, "epoch"),
        postprocess: Callable[[Any, Any, DictSummary], None] | None = None,
        filename: str = "plot.png",
        marker: str = "x",
        grid: bool = True,
    ):
        y_keys = [y_keys] if isinstance(y_keys, str) else list(y_keys)
        super().__init__([*y_keys, x_key], trigger)
        self._postprocess = postprocess
        self._y_keys = y_keys
        self._x_key = x_key
        self._filename = filename
        self._marker = marker
        self._grid = grid

    def initialize(self, trainer: Any) -> None:
        require_matplotlib("PlotReport")

    def _add(self, line, trainer):
        if self._x_key not in line:
            raise KeyError(
                f"PlotReport: x_key is {self._x_key!r}, expected 'iteration', 'epoch', "
                f"'elapsed_time' or what was observed: {', '.join(trainer.observation)}"
            )
        self._log.append(as_json(line))
        curves = {}
        for key in self._y_keys:
            lines = [line for line in self._log if key in line]
            if lines:
                curves[key] = [e[self._x_key] for e in lines], [e[key] for e in lines]

        def postprocess(figure, axes):
            if self._postprocess is not None:
                self._postprocess(figure, axes, self._summary)

        path = os.path.join(trainer.out, self._filename)
        draw(path, {"": curves}, self._x_key, "PlotReport", self._marker, self._grid, postprocess)


_PAST_AND_TO_COME = "{percentage:.0f}%, {elapsed} past, {remaining} to come"
_BESIDE_THE_BAR = len("epoch 100, iteration 100000 || 100%, 9:00:00 past, 9:00:00 to come")


class ProgressBar(Extension):
    """Shows how much of the training is done, by tqdm; the bar goes away at the end.

    Args:
        training_length: how long it is, such as ``(20, "epoch")``; by default what the trainer's
            stop trigger says. Where that does not say, the iterations are counted.
        update_interval: after how many iterations the bar is moved.
        bar_length: how many characters wide it is; fewer where the terminal is narrow.
        out: where to; by default standard output, if that is a terminal: a file would be filled
            with bars.

    >>> import dynet
    >>> bar = dynet.training.extensions.ProgressBar(update_interval=10)
    """

    def __init__(
        self,
        training_length: tuple[float, str] | None = None,
        update_interval: int = 100,
        bar_length: int = 50,
        out: TextIO | None = None,
    ):
        self._length = training_length
        self._update_interval = update_interval
        self._bar_length = bar_length
        self._out = out
        self._bar: tqdm | None = None

    def initialize(self, trainer: Any) -> None:
        out = sys.stdout if self._out is None else self._out
        if self._out is None and not out.isatty():
            return
        width = self._bar_length
        if self._out is None:
            width = max(1, min(width, shutil.get_terminal_size().columns - _BESIDE_THE_BAR))
        length = self._length or training_length(trainer.stop_trigger)
        total, self._unit = length or (None, "iteration")
        if total is None:
            layout = "{desc}, {elapsed} past, {rate_noinv_fmt}"
        else:
            layout = f"{{desc}} |{{bar:{width}}}| " + _PAST_AND_TO_COME
        self._bar = tqdm(
            desc=self._text(trainer),
            total=total,
            initial=self._done(trainer),
            unit=" iterations",
            bar_format=layout,
            leave=False,
            file=out,
        )

    def __call__(self, trainer: Any) -> None:
        if self._bar is not None and trainer.updater.iteration % self._update_interval == 0:
            done, total = self._done(trainer), self._bar.total
            self._bar.n = done if total is None else min(done, total)
            self._bar.set_description_str(self._text(trainer))

    def _done(self, trainer):
        updater = trainer.updater
        return updater.epoch_detail if self._unit == "epoch" else updater.iteration

    def _text(self, trainer):
        updater = trainer.updater
        return f"epoch {math.ceil(updater.epoch_detail)}, iteration {updater.iteration}"

    def finalize(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
