"""A graph in the language of Graphviz, and as the picture that Graphviz draws from it."""

import shutil
import subprocess

from .text import printable, shape_of, time_of

STYLES = {
    "variable": {"shape": "ellipse", "style": "filled", "fillcolor": "#E8E8E8"},
    "parameter": {"shape": "ellipse", "style": "filled", "fillcolor": "#F5DFB8"},
    "function": {"shape": "box", "style": "filled,rounded", "fillcolor": "#BFD7F5"},
}


def to_dot(graph) -> str:
    """The graph in DOT: functions are boxes, variables ellipses, parameters of another colour.

    The names of the nodes are numbers in the order of the run, so that the same run gives the
    same text: ``f3`` a function, ``f3o0`` its first output, ``v1`` a variable.
    """
    lines = ["digraph {", f"rankdir={_quoted(graph.rankdir)};"]
    edges = {}  # no edge twice, in their order

    def name_of(source):
        if source.kind == "variable":
            return f"v{source.index + 1}"
        name = f"f{source.index + 1}"
        return name if graph.remove_variable else f"{name}o{source.output}"

    if not graph.remove_variable:
        for i, variable in enumerate(graph.variables):
            kind = "parameter" if variable.kind == "parameter" else "variable"
            name = variable.name if variable.kind != "unchained" else "unchained"
            style = _style(graph.variable_style, kind)
            lines.append(
                _node(f"v{i + 1}", _variable_label(graph, name, variable.outputs[0]), style)
            )
    for i, function in enumerate(graph.functions):
        style = _style(graph.function_style, "function")
        times = [time_of(function.forward), time_of(function.backward)]
        label = function.name + ("\n" + " / ".join(times) if any(times) else "")
        lines.append(_node(f"f{i + 1}", label, style))
        for source in function.inputs:
            if source.kind == "function" or (
                source.kind == "variable" and not graph.remove_variable
            ):
                edges[f"{name_of(source)} -> f{i + 1};"] = None
        if not graph.remove_variable:
            for k, array in enumerate(function.outputs):
                label = _variable_label(graph, function.output_names.get(k), array)
                style = _style(graph.variable_style, "variable")
                lines.append(_node(f"f{i + 1}o{k}", label, style))
                edges[f"f{i + 1} -> f{i + 1}o{k};"] = None
    return "\n".join([*lines, *edges, "}"])


def to_svg(dot: str) -> str:
    """The picture that Graphviz draws.

    Raises:
        FileNotFoundError: its program ``dot`` is not installed.
        RuntimeError: it failed.
    """
    program = shutil.which("dot")
    if program is None:
        raise FileNotFoundError(
            "ComputationalGraph: there is no program dot on the PATH to draw SVG; it comes with "
            "Graphviz (apt install graphviz, brew install graphviz)"
        )
    done = subprocess.run([program, "-Tsvg"], input=dot.encode(), capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(
            f"ComputationalGraph: {program} -Tsvg failed ({done.returncode}): {said}"
        )
    return done.stdout.decode()


def _style(style, kind):
    return STYLES[kind] if style == "default" else style or {}


def _variable_label(graph, name, array):
    known = "?" if array.shape is None else f"{shape_of(array)}, {array.dtype}"
    return f"{name}: {known}" if graph.show_name and name is not None else known


def _node(name, label, style):
    # Braces and their like divide a record; an entity (&lt;) is one in any label.
    record = "record" in str(style.get("shape", "")).lower()
    marks = {c: f"\\{c}" for c in "{}|<>"} if record else {}
    attributes = {"label": _quoted(label, marks | {"&": "&amp;"})}
    attributes |= {key: _quoted(value) for key, value in style.items()}
    return f"{name} [{', '.join(f'{_key(k)}={v}' for k, v in attributes.items())}];"


def _quoted(value, marks=None):
    """A string of DOT that shows a text as it is, on one line."""
    marks = {"\\": "\\\\", '"': '\\"', "\n": "\\n"} | (marks or {})
    text = "".join(marks.get(c, c) for c in printable(str(value), "\n"))
    return f'"{text}"'


def _key(key):
    return key if str(key).isidentifier() else _quoted(key)
