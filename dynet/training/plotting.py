"""Curves in a picture file."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import write_atomically

# Under a panel's title, for each curve's name where it goes: all x, all y.
Panels = Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]


def require_matplotlib(by: str) -> None:
    """Raise ImportError, with a sentence that names who asks, where matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401 - optional: comes with dynet[examples]
    except ImportError as error:
        raise ImportError(f"{by} draws with matplotlib: pip install 'dynet[examples]'") from error


def draw(
    path: "str | os.PathLike",
    panels: Panels,
    x: str,
    by: str,
    marker: str = ".",
    grid: bool = True,
    postprocess: Callable[[Any, Any], None] | None = None,
) -> None:
    """Draw one panel beside the other, to a picture file that is replaced when it is whole.

    Args:
        path: of the picture; its ending says the format.
        panels: what to draw; what is ``None`` or not finite leaves a gap.
        x: what the horizontal axis is called.
        by: who draws, for messages.
        marker: matplotlib's name of what marks a point.
        grid: whether there are lines in the background.
        postprocess: called with the figure and each panel's axes, which it may change.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: matplotlib knows no such format.
    """
    require_matplotlib(by)
    from matplotlib.figure import Figure  # optional: comes with dynet[examples]

    figure = Figure(figsize=(4.5 * len(panels), 3.5), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for name, (xs, ys) in curves.items():
            ax.plot(xs, ys, marker=marker, linewidth=1.2, label=name)
        ax.set(xlabel=x, ylabel=title)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(grid, alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        if ax.lines:
            ax.legend()
        if postprocess is not None:
            postprocess(figure, ax)
        if ax.dataLim.y0 >= 0 and ax.get_yscale() == "linear" and ax.get_autoscaley_on():
            ax.set_ylim(bottom=0)
    ending = Path(path).suffix.removeprefix(".") or "png"
    with write_atomically(path, by) as f:
        figure.savefig(f, dpi=120, format=ending)
