"""A graph as a table for the terminal: what it started from, then its functions as they ran.

Functions are numbered in the order of the run, and named by their numbers where others take what
they gave, so that everything is shown once. What runs into the main line from the side is
indented: the main line leads from each function to that of its inputs with the longest history.
Loops are folded.
"""

from collections import Counter
from math import prod

from .folding import Fold, fold

WIDTH = 100
WIDEST_NAME = 36
DEEPEST = 6
MOST_INPUTS = 5


def to_text(graph) -> str:
    """The graph as text, in lines of up to 100 columns."""
    dtypes = _dtypes(graph)
    # The most frequent one need not be said every time.
    common = max(dtypes, key=dtypes.__getitem__, default=None)
    names = _variable_names(graph)
    parts = [_headline(graph, common, len(dtypes))]
    if graph.variables:
        parts.append(_variable_table(graph, names, common))
    if graph.functions:
        parts.append(_function_table(graph, names, common))
    return "\n\n".join(parts)


def shape_of(array) -> str:
    """The shape of an ``ArrayKind``, ``?`` where it is not known."""
    return "?" if array.shape is None else str(array.shape)


def time_of(seconds: float | None) -> str:
    """A time in the unit that suits it; nothing for ``None``."""
    if seconds is None:
        return ""
    for unit, scale in (("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 999.5:
            return f"{seconds * scale:.1f} {unit}"
    return f"{seconds:,.1f} s"


def printable(text: str, spared: str = "") -> str:
    """A text without what would not be seen, or would move the cursor: escapes in its place."""
    return "".join(
        c if c.isprintable() or c in spared else c.encode("unicode_escape").decode() for c in text
    )


def _headline(graph, common, n_dtypes):
    parameters = [v for v in graph.variables if v.kind == "parameter"]
    shapes = [v.outputs[0].shape for v in parameters]
    numbers = sum(prod(shape) for shape in shapes if shape is not None)
    line = counted(len(graph.functions), "function")
    if parameters:
        line += f", {counted(len(parameters), 'parameter')} ({numbers:,} numbers)"
    others = len(graph.variables) - len(parameters)
    if others:
        line += f", {counted(others, 'variable')}"
    if common is None:
        return line
    return f"{line}; " + (f"all {common}" if n_dtypes == 1 else f"{common} unless said")


def counted(n: int, what: str) -> str:
    """How many there are of something."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _dtypes(graph):
    """How often each dtype occurs."""
    arrays = [a for node in (*graph.variables, *graph.functions) for a in node.outputs]
    return Counter([a.dtype for a in arrays if a.dtype is not None])


def _variable_names(graph):
    """A name for each variable that no other has."""
    names, seen = [], Counter()
    for i, variable in enumerate(graph.variables):
        if variable.name is None or not graph.show_name:
            names.append(f"v{i + 1}")
            continue
        name = printable(variable.name)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names


def _array(array, common):
    other = array.dtype is not None and array.dtype != common
    return shape_of(array) + (f" {array.dtype}" if other else "")


def _variable_table(graph, names, common):
    kinds = [(v.kind, v.uses, *v.outputs) for v in graph.variables]
    rows = []
    for item in fold(kinds):
        if isinstance(item, Fold):
            a, b = (names[i] for i in item.model)
            n = item.last - item.first + 1
            rows.append([f"... {n:,} more like {a if a == b else f'{a} to {b}'}"])
        else:
            v = graph.variables[item]
            rows.append([names[item], v.kind, _array(v.outputs[0], common)])
    name_width = min(max(len(row[0]) for row in rows if len(row) > 1), WIDEST_NAME)
    kind_width = max(len(v.kind) for v in graph.variables)
    lines = []
    for name, *rest in rows:
        cells = [_cut(name, name_width).ljust(name_width)] if rest else [name]
        cells += [rest[0].ljust(kind_width), rest[1]] if rest else []
        lines.append(_cut("  " + "  ".join(cells), WIDTH))
    return "\n".join(lines)


def _function_table(graph, names, common):
    functions = graph.functions
    levels = _levels(functions)
    rows = [["#", "function", "of", "gives"]]
    times = [["forward", "backward"]]
    for item in fold(_keys(graph)):
        if isinstance(item, Fold):
            a, b = (i + 1 for i in item.model)
            like = f"{a}" if a == b else f"{a} to {b}"
            hidden = range(item.first, item.last + 1)
            named = [f", {i + 1}: {_name(functions[i])}" for i in hidden if _given(functions[i])]
            line = f"... {item.rounds:,} more like {like}, up to {item.last + 1}"
            rows.append([line + "".join(named)])
            times.append(_times([functions[i] for i in hidden]))
        else:
            f = functions[item]
            name = "  " * levels[item] + _name(f)
            rows.append([str(item + 1), name, _inputs(f, functions, names), _gives(f, common)])
            times.append(_times([f]))
    totals = _times(functions)
    if not any(totals):
        return "\n".join(_lines(rows, None))
    if len(functions) > 1:
        rows.append([f"all {len(functions):,}"])
        times.append(totals)
    return "\n".join(_lines(rows, times))


def _lines(rows, times):
    """The rows, in columns as wide as they need to be, and together not too wide."""
    full = [row for row in rows if len(row) > 1]
    widths = [max(len(row[k]) for row in full) for k in range(4)]
    tail = [""] * len(rows)
    if times is not None:
        time_widths = [max(len(pair[k]) for pair in times) for k in range(2)]
        tail = [
            "".join("  " + cell.rjust(w) for cell, w in zip(pair, time_widths, strict=True))
            for pair in times
        ]
    space = WIDTH - 4 - widths[0] - len(tail[0])  # for what lies between number and times
    widths[1] = min(widths[1], WIDEST_NAME)
    # What a function gives is worth more than what it was computed from.
    widths[3] = min(widths[3], max(space - widths[1] - 12, 12))
    widths[2] = min(widths[2], max(space - widths[1] - widths[3], 8))
    short = max([len(row[0]) for row in rows if len(row) == 1], default=0) - sum(widths[1:]) - 4
    short = min(short, space - sum(widths[1:]))
    widths[3] += max(0, short)  # a fold has the three columns for itself
    middle = sum(widths[1:]) + 4
    for row, end in zip(rows, tail, strict=True):
        if len(row) == 1:
            cells = _cut(row[0], middle).ljust(middle)
        else:
            cells = "  ".join(
                _cut(cell, w).ljust(w) for cell, w in zip(row[1:], widths[1:], strict=True)
            )
        number = row[0] if len(row) > 1 else ""
        yield f"{number.rjust(widths[0])}  {cells}{end}".rstrip()


def _keys(graph):
    """For each function what makes it like another: its kind, and the kinds of its inputs."""
    kinds = [(f.name, *f.outputs) for f in graph.functions]
    numbers = {}
    keys = []
    for f, kind in zip(graph.functions, kinds, strict=True):
        key = [kind]
        for source in f.inputs:
            if source.kind == "function":
                key.append(kinds[source.index])
            elif source.kind == "variable":
                # One that many functions take, as a loop's weight, is the same in every round.
                v = graph.variables[source.index]
                key.append((v.kind, *v.outputs) if v.uses == 1 else source.index)
            else:
                key.append("constant")
        # Compared often, so as small integers.
        keys.append(numbers.setdefault(tuple(key), len(numbers)))
    return keys


def _levels(functions):
    """How far each function is indented."""
    depths = []  # the length of the longest way that led there
    for f in functions:
        below = [depths[s.index] for s in f.inputs if s.kind == "function"]
        depths.append(1 + max(below, default=0))
    levels = [DEEPEST] * len(functions)
    used = {s.index for f in functions for s in f.inputs if s.kind == "function"}
    for i in reversed(range(len(functions))):
        if i not in used:
            levels[i] = 0
        below = [s.index for s in functions[i].inputs if s.kind == "function"]
        main = max(below, key=depths.__getitem__, default=None)
        for j in below:
            levels[j] = min(levels[j], levels[i] + (j != main))
    return levels


def _given(f):
    """The names of the outputs, of those variables that the graph was built from."""
    return ", ".join(printable(name) for _, name in sorted(f.output_names.items()))


def _name(f):
    given = _given(f)
    return f"{given} = {f.name}" if given else f.name


def _inputs(f, functions, names):
    cells = []
    for source in f.inputs:
        if source.kind == "variable":
            cells.append(names[source.index])
        elif source.kind == "constant":
            cells.append(source.text or "constant")
        else:
            several = len(functions[source.index].outputs) > 1
            cells.append(f"{source.index + 1}" + (f".{source.output}" if several else ""))
    return _listed(cells)


def _gives(f, common):
    cells = [_array(array, common) for array in f.outputs]
    same = len(cells) > 1 and len(set(cells)) == 1
    return f"{len(cells)} x {cells[0]}" if same else _listed(cells)


def _listed(cells):
    if len(cells) > MOST_INPUTS:
        cells = [*cells[:2], "...", f"{cells[-1]} ({len(cells):,})"]
    return ", ".join(cells)


def _times(functions):
    """How long functions took together, forward and backward."""
    sums = []
    for direction in ("forward", "backward"):
        known = [t for f in functions if (t := getattr(f, direction)) is not None]
        sums.append(time_of(sum(known)) if known else "")
    return sums


def _cut(text, width):
    return text if len(text) <= width else text[: width - 3] + "..."
