"""Rows of named values, printed one at a time as a table."""

import sys
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, TextIO

from tqdm import tqdm

from ..reporter import as_number


class Table:
    """Prints rows in aligned columns, and before the first one a header.

    A progress bar that is open on the terminal stays below the rows.

    Args:
        entries: the names of the values to print, in this order.
        out: where to; by default what ``sys.stdout`` is at the time.

    >>> import dynet
    >>> table = dynet.training.Table(["epoch", "loss"])
    >>> table.print_row({"epoch": 1, "loss": 0.25, "seconds": 3})
         epoch        loss
             1    0.250000
    """

    def __init__(self, entries: Sequence[str], out: TextIO | None = None):
        if isinstance(entries, str):
            raise TypeError(f"Table: entries is the string {entries!r}, expected a list of names")
        self._widths = {name: max(10, len(name)) for name in entries}
        self._out = out
        self._is_begun = False

    def print_row(self, values: Mapping[str, Any]) -> None:
        """Print those of some values that the table shows; where one is missing it is blank."""
        if not self._is_begun:
            self._print({name: name for name in self._widths})
            self._is_begun = True
        cells = self._widths.items()
        self._print({name: _cell(values[name], width) for name, width in cells if name in values})

    def _print(self, cells):
        out = sys.stdout if self._out is None else self._out
        row = "  ".join(cells.get(name, "").rjust(width) for name, width in self._widths.items())
        tqdm.write(row.rstrip(), file=out)
        out.flush()


def _cell(value, width):
    if value is None:  # what a log makes of a number that is not finite
        return "nan"
    number = as_number(value)
    if number is None or isinstance(value, Integral):
        return str(value)
    for digits in range(6, 0, -1):
        text = f"{number:#.{digits}g}".rstrip(".")
        if len(text) <= width:
            break
    return text
