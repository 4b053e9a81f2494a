"""A training run's record: one line of JSON after another, and a picture of them."""

import json
import os
from pathlib import Path
from typing import Any


class Log:
    """Lines of named values, kept in a file as JSON lines.

    Args:
        path: of the file; it is started anew.
        keep: how many of the lines that are there already stay, for a run that is resumed.

    Attributes:
        lines (list of dict): all lines so far.

    Raises:
        ValueError: the file has fewer lines than are to be kept.

    >>> import dynet, os, tempfile
    >>> log = dynet.training.Log(os.path.join(tempfile.mkdtemp(), "log.jsonl"))
    >>> log.write(epoch=1, loss=0.5)
    >>> log.lines
    [{'epoch': 1, 'loss': 0.5}]
    """

    def __init__(self, path: "str | os.PathLike", keep: int = 0):
        self.path = Path(path)
        self.lines: list[dict[str, Any]] = []
        end = 0
        if keep:
            kept = self.path.read_bytes().splitlines(keepends=True)[:keep]
            self.lines = [json.loads(line) for line in kept]
            end = sum(map(len, kept))
        if len(self.lines) < keep:
            raise ValueError(f"Log: {path} has {len(self.lines)} lines, expected at least {keep}")
        with open(path, "ab") as f:
            f.truncate(end)  # what is kept is never written again, so a full disk takes nothing

    def write(self, **values: Any) -> None:
        """Add a line."""
        with open(self.path, "a") as f:
            f.write(json.dumps(values) + "\n")
        self.lines.append(values)

    def plot(self, path: "str | os.PathLike", *endings: str, x: str = "epoch") -> None:
        """Draw the values as curves, one panel beside the other, to a picture file.

        Args:
            path: of the picture; its ending says the format.
            endings: one panel each, with every value whose name ends so: ``"loss"`` draws
                ``train_loss`` and ``test_loss`` into one.
            x: the name of the value along the horizontal axis.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from matplotlib.figure import Figure  # optional: comes with dynet[examples]

        figure = Figure(figsize=(4.5 * len(endings), 3.5), layout="constrained")
        axes = figure.subplots(1, len(endings), squeeze=False)[0]
        names = dict.fromkeys(name for line in self.lines for name in line)
        for ax, ending in zip(axes, endings, strict=True):
            for name in names:
                if name.endswith(ending):
                    lines = [line for line in self.lines if name in line]
                    ax.plot([e[x] for e in lines], [e[name] for e in lines], ".-", label=name)
            ax.set(xlabel=x, ylabel=ending)
            ax.set_ylim(bottom=0)
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.grid(alpha=0.3)
            if ax.lines:
                ax.legend()
        figure.savefig(path, dpi=120)
