"""The tape behind some variables, read off into plain records that can be drawn."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backprop import tape
from ..function import Function, Output
from ..link import Link
from ..parameter import Parameter
from ..variable import Leaf, Variable
from .dot import to_dot, to_svg
from .recorder import Recorder
from .text import counted, to_text

DIRECTIONS = ("TB", "BT", "LR", "RL")
ENDINGS = {".dot": "dot", ".gv": "dot", ".svg": "svg", ".txt": "text"}


class ArrayKind(NamedTuple):
    """An array's shape and dtype; ``None`` where the tape does not say and nothing noted them."""

    shape: tuple[int, ...] | None
    dtype: np.dtype | None


UNKNOWN = ArrayKind(None, None)


class Source(NamedTuple):
    """Where an input of a function came from.

    Attributes:
        kind: ``"function"``, ``"variable"`` or ``"constant"``.
        index: the number of the function or variable in its list.
        output: which of the function's outputs it is.
        text: of a constant, its shape or its value, where that is known.
    """

    kind: str
    index: int = -1
    output: int = 0
    text: str | None = None


class VariableNode:
    """A variable that the run started from.

    Attributes:
        kind (str): ``"parameter"``, ``"variable"``, or ``"unchained"`` for one that was computed
            and cut off from what it came from.
        name (str): ``None`` where it has none.
        outputs (list of ArrayKind): the one array that it holds.
        uses (int): how many inputs of functions it is.
    """

    __slots__ = ("kind", "name", "outputs", "uses")

    def __init__(self, kind: str, name: str | None, array: ArrayKind):
        self.kind = kind
        self.name = name
        self.outputs = [array]
        self.uses = 0


class FunctionNode:
    """A recorded function.

    Attributes:
        name (str): that of its class.
        inputs (list of Source): where its inputs came from.
        outputs (list of ArrayKind): what it gave.
        output_names (dict): by the number of an output, the name of the variable that
            the graph was built from.
        forward, backward (float): seconds; ``None`` where nothing noted them.
    """

    __slots__ = ("backward", "forward", "inputs", "name", "output_names", "outputs")

    def __init__(self, name: str):
        self.name = name
        self.inputs: list[Source] = []
        self.outputs: list[ArrayKind] = [UNKNOWN]
        self.output_names: dict[int, str] = {}
        self.forward = self.backward = None


class ComputationalGraph:
    """A recorded run, ready to be drawn; it keeps neither arrays nor the tape.

    ``print(graph)`` shows it as text.

    Attributes:
        functions (list of FunctionNode): in the order in which they ran.
        variables (list of VariableNode): what they started from, in the order of first use.
    """

    def __init__(
        self,
        functions: list[FunctionNode],
        variables: list[VariableNode],
        *,
        variable_style: dict | str | None = "default",
        function_style: dict | str | None = "default",
        rankdir: str = "TB",
        remove_variable: bool = False,
        show_name: bool = True,
    ):
        for style in variable_style, function_style:
            if not (style is None or style == "default" or isinstance(style, dict)):
                raise ValueError(
                    f"ComputationalGraph: a style is {style!r}, expected a dict of attributes, "
                    "None or 'default'"
                )
        if rankdir not in DIRECTIONS:
            raise ValueError(
                f"ComputationalGraph: rankdir is {rankdir!r}, expected one of "
                f"{', '.join(DIRECTIONS)}"
            )
        self.functions = functions
        self.variables = variables
        self.variable_style = variable_style
        self.function_style = function_style
        self.rankdir = rankdir
        self.remove_variable = remove_variable
        self.show_name = show_name

    def dump(self, format: str = "dot") -> str:
        """The graph as text of some format.

        Args:
            format: ``"dot"``, the language of Graphviz; ``"svg"``, a picture, which the program
                ``dot`` of Graphviz draws; ``"text"``, for a terminal, as ``print`` shows it.

        Raises:
            ValueError: there is no such format.
            FileNotFoundError: Graphviz is not installed, for ``"svg"``.
            RuntimeError: ``dot`` failed; the message says how.
        """
        if format == "dot":
            return to_dot(self)
        if format == "svg":
            return to_svg(to_dot(self))
        if format == "text":
            return to_text(self)
        raise ValueError(
            f"ComputationalGraph: format is {format!r}, expected 'dot', 'svg' or 'text'"
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write the graph to a file, in the format that its ending says.

        Args:
            path: it ends with ``.dot``, ``.gv``, ``.svg`` or ``.txt``.

        Raises:
            ValueError: it ends otherwise.
            FileNotFoundError, RuntimeError: as ``dump``.
            OSError: the file cannot be written.
        """
        path = Path(path)
        if path.suffix not in ENDINGS:
            raise ValueError(
                f"ComputationalGraph: path is {str(path)!r}, expected one that ends with "
                f"{', '.join(ENDINGS)}"
            )
        path.write_text(self.dump(ENDINGS[path.suffix]) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        return to_text(self)

    def __repr__(self) -> str:
        return (
            f"<ComputationalGraph of {counted(len(self.functions), 'function')} and "
            f"{counted(len(self.variables), 'variable')}>"
        )


def build_computational_graph(
    outputs: "Variable | Sequence[Variable]",
    *,
    recorder: Recorder | None = None,
    link: Link | None = None,
    variable_style: dict | str | None = "default",
    function_style: dict | str | None = "default",
    rankdir: str = "TB",
    remove_variable: bool = False,
    show_name: bool = True,
) -> ComputationalGraph:
    """The functions and variables that some variables were computed from, to be drawn.

    Constants are not on the tape, and appear in the text only. Shapes of what was computed are
    known where a ``Recorder`` noted them or a function saved the array for its backward.

    Args:
        outputs: a variable or several; or recorded functions.
        recorder: what was in force during the run; with it come all shapes, and the times.
        link: whose parameters go by their paths in it, as ``/l1/W``; without it they go by their
            own names.
        variable_style, function_style: attributes of Graphviz for the boxes,
            ``{"shape": "octagon", "fillcolor": "#E0E0E0"}``; ``None`` for plain ones.
        rankdir: which way the picture runs: ``"TB"`` from top to bottom, ``"BT"``, ``"LR"`` from
            left to right, ``"RL"``.
        remove_variable: whether the picture has functions only.
        show_name: whether the picture has the names of variables.

    Returns:
        ComputationalGraph: its ``dump`` and ``save`` give text, DOT and SVG.

    Raises:
        TypeError: an output is no Variable, ``recorder`` no Recorder, or ``link`` no Link.
        ValueError: there are no outputs; one requires no gradient, so that nothing was recorded;
            or ``rankdir`` or a style is something else.

    >>> import numpy as np, dynet
    >>> from dynet.computational_graph import build_computational_graph
    >>> x = dynet.Variable(np.ones((2, 3)), name="x")
    >>> print(build_computational_graph((x * x).sum()).dump())
    digraph {
    rankdir="TB";
    v1 [label="x: (2, 3), float64", shape="ellipse", style="filled", fillcolor="#E8E8E8"];
    f1 [label="Mul", shape="box", style="filled,rounded", fillcolor="#BFD7F5"];
    f1o0 [label="?", shape="ellipse", style="filled", fillcolor="#E8E8E8"];
    f2 [label="Sum", shape="box", style="filled,rounded", fillcolor="#BFD7F5"];
    f2o0 [label="(), float64", shape="ellipse", style="filled", fillcolor="#E8E8E8"];
    v1 -> f1;
    f1 -> f1o0;
    f1o0 -> f2;
    f2 -> f2o0;
    }
    """
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if not outputs:
        raise ValueError("build_computational_graph: outputs is empty, expected a Variable")
    for name, value, kind in ("recorder", recorder, Recorder), ("link", link, Link):
        if not (value is None or isinstance(value, kind)):
            raise TypeError(
                f"build_computational_graph: {name} is {type(value).__name__}, expected a "
                f"{kind.__name__}"
            )
    nodes = [_node_of(i, y) for i, y in enumerate(outputs)]
    paths = {}
    if link is not None:
        paths = {parameter.node: path for path, parameter in link.namedparams()}
    reading = _Reading(recorder, paths)
    # Oldest first, so that what a function was computed from has its place before it.
    for node in reversed(tape(nodes)):
        if type(node) is not Output and node.inputs:
            reading.add(node)
    for y, node in zip(outputs, nodes, strict=True):
        source = reading.source(node)
        if isinstance(y, Variable):
            reading.learn(source, (y.shape, y.dtype))
            if source.kind == "function" and y.name is not None:
                reading.functions[source.index].output_names[source.output] = str(y.name)
    return ComputationalGraph(
        reading.functions,
        reading.variables,
        variable_style=variable_style,
        function_style=function_style,
        rankdir=rankdir,
        remove_variable=remove_variable,
        show_name=show_name,
    )


def _node_of(i, y):
    if not isinstance(y, (Variable, Function)):
        raise TypeError(
            f"build_computational_graph: outputs[{i}] is {type(y).__name__}, expected a Variable"
        )
    node = getattr(y, "node", y)
    if node is None:
        raise ValueError(
            f"build_computational_graph: nothing was recorded for outputs[{i}] (shape {y.shape}): "
            "it requires no gradient, or was computed under no_backprop_mode or from constants"
        )
    return node


class _Reading:
    """The tape, read from its oldest function on."""

    def __init__(self, recorder, paths):
        self.recorder = recorder
        self.paths = paths
        self.functions: list[FunctionNode] = []
        self.variables: list[VariableNode] = []
        self._sources = {}  # by node

    def add(self, node):
        """Take in a recorded function."""
        record = FunctionNode(node.name)
        note = self._note(node)
        if note is not None:
            record.outputs = [ArrayKind(*output) for output in note.outputs]
            record.forward, record.backward = note.forward, note.backward
            seen = dict(enumerate(note.inputs))
        else:
            seen = {i: (a.shape, a.dtype) for i, a in _saved(node)}
        for i, below in enumerate(node.inputs):
            array = seen.get(i)
            if below is not None:
                source = self.source(below)
                self.learn(source, array)
                if source.kind == "variable":
                    self.variables[source.index].uses += 1
                record.inputs.append(source)
            elif note is None or array is not None:
                text = str(array[0]) if type(array) is tuple else array
                record.inputs.append(Source("constant", text=text))
        self._sources[node] = Source("function", len(self.functions))
        self.functions.append(record)
        for i in range(len(node.inputs), max(seen, default=-1) + 1):
            output = i - len(node.inputs)
            self.learn(self._sources[node]._replace(output=output), seen.get(i))

    def source(self, node) -> Source:
        """Where an input came from that is a node of the tape."""
        source = self._sources.get(node)
        if source is None:
            if type(node) is Output and node.inputs:
                source = self._sources[node.function]._replace(output=node.index)
            else:
                source = Source("variable", len(self.variables))
                self.variables.append(self._variable(node))
            self._sources[node] = source
        return source

    def learn(self, source: Source, array: tuple | None) -> None:
        """Take note of a shape and dtype, if they are not known yet."""
        owners = self.functions if source.kind == "function" else self.variables
        outputs = owners[source.index].outputs
        outputs += [UNKNOWN] * (source.output + 1 - len(outputs))
        if outputs[source.output] is UNKNOWN and array is not None:
            outputs[source.output] = ArrayKind(*array)

    def _variable(self, node) -> VariableNode:
        if type(node) is not Leaf:
            name = node.name if isinstance(node, Function) else None
            return VariableNode("unchained", name, UNKNOWN)
        variable = node.variable()
        kind = "parameter" if isinstance(variable, Parameter) else "variable"
        name = self.paths.get(node, getattr(variable, "name", None))
        array = getattr(variable, "array", None)
        return VariableNode(
            kind,
            None if name is None else str(name),
            UNKNOWN if array is None else ArrayKind(array.shape, array.dtype),
        )

    def _note(self, node):
        return None if self.recorder is None else self.recorder.note(node)


def _saved(function: Function):
    """The arrays that a function keeps, each with which one it is: of its inputs, then outputs."""
    n = len(function.inputs)
    for i, array in enumerate(function.saved):
        if getattr(array, "shape", None) is None:
            continue
        if function.saves is not None:
            at = function.saves[i]
            yield at if at >= 0 else n - 1 - at, array
        else:
            for place, seen in enumerate(function.seen):
                if seen == id(array):
                    yield place, array
