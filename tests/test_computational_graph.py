"""Pictures of a run: right in every format, the same every time, and fit to be read."""

import gc
import os
import re
import stat
import sys
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Chain, Parameter, Variable
from dynet.computational_graph import ComputationalGraph, Recorder, build_computational_graph
from dynet.computational_graph.folding import WORTH, Fold, fold
from dynet.computational_graph.text import WIDTH, time_of


def ones(*shape, dtype=np.float32, name=None):
    return Variable(np.ones(shape, dtype), name=name)


class MLP(Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(4, 3)
            self.l2 = L.Linear(3, 2)

    def forward(self, x):
        return self.l2(F.relu(self.l1(x)))


def mlp_run():
    model = MLP()
    with Recorder() as recorder:
        loss = F.sum(model(np.ones((5, 4), np.float32)))
        loss.name = "loss"
        loss.backward()
    return build_computational_graph(loss, recorder=recorder, link=model)


def without_times(text):
    return re.sub(r" *[\d.,]+ (us|ms|s)\b", "", text)


# -- a reader of DOT, of what the grammar at graphviz.org/doc/info/lang.html calls statements ----

TOKEN = re.compile(
    r'\s*(?:(->|[{}\[\];,=])|("(?:[^"\\]|\\.)*")|([A-Za-z_]\w*|-?\d+(?:\.\d+)?))', re.S
)


def tokens(dot):
    at = 0
    while at < len(dot):
        found = TOKEN.match(dot, at)
        assert found, f"no token at {dot[at : at + 40]!r}"
        mark, quoted, word = found.groups()
        yield ("mark", mark) if mark else ("id", quoted[1:-1] if quoted else word)
        at = found.end()


def read_dot(dot):
    """The attributes of the graph, those of its nodes, and its edges."""
    stream = list(tokens(dot))
    assert stream[:2] == [("id", "digraph"), ("mark", "{")]
    assert stream[-1] == ("mark", "}")
    stream = stream[2:-1]
    graph, nodes, edges = {}, {}, []
    while stream:
        end = stream.index(("mark", ";"))
        statement, stream = stream[:end], stream[end + 1 :]
        kinds = "".join("i" if kind == "id" else text for kind, text in statement)
        ids = [text for kind, text in statement if kind == "id"]
        if kinds == "i=i":
            graph[ids[0]] = ids[1]
        elif kinds == "i->i":
            edges.append((ids[0], ids[1]))
        else:
            assert re.fullmatch(r"i\[i=i(,i=i)*\]", kinds), kinds
            assert ids[0] not in nodes
            nodes[ids[0]] = dict(zip(ids[1::2], ids[2::2], strict=True))
    for a, b in edges:
        assert a in nodes and b in nodes
    return graph, nodes, edges


def shown(label):
    """What Graphviz shows for a label."""
    meanings = {"n": "\n"}
    text = re.sub(r"\\(.)", lambda m: meanings.get(m[1], m[1]), label, flags=re.S)
    return text.replace("&amp;", "&")


# -- what is in the graph -----------------------------------------------------------------------


def test_the_functions_are_those_that_ran_in_their_order():
    x, y = ones(2, 3), ones(2, 3)
    graph = build_computational_graph(F.sum(F.relu(x * y) + x))
    assert [f.name for f in graph.functions] == ["Mul", "ReLU", "Add", "Sum"]
    sources = [[(s.kind, s.index) for s in f.inputs] for f in graph.functions]
    assert sources == [
        [("variable", 0), ("variable", 1)],
        [("function", 0)],
        [("function", 1), ("variable", 0)],
        [("function", 2)],
    ]
    assert [v.uses for v in graph.variables] == [2, 1]


def test_a_graph_may_be_built_from_a_recorded_function():
    y = F.exp(ones(2))
    graph = build_computational_graph(y.creator)
    assert [f.name for f in graph.functions] == ["Exp"]
    assert graph.functions[0].output_names == {}


def test_what_did_not_lead_to_the_outputs_is_not_in_the_graph():
    x = ones(2)
    y, z = x + x, x * x
    assert [f.name for f in build_computational_graph(y).functions] == ["Add"]
    assert [f.name for f in build_computational_graph([z, y]).functions] == ["Add", "Mul"]


def test_a_recorder_notes_the_shapes_and_dtypes_of_everything():
    x = ones(2, 3)
    with Recorder() as recorder:
        y = F.sum(F.cast(x + np.ones(3, np.float32), np.float64), axis=0)
    graph = build_computational_graph(y, recorder=recorder)
    assert [tuple(f.outputs[0]) for f in graph.functions] == [
        ((2, 3), np.float32),
        ((2, 3), np.float64),
        ((3,), np.float64),
    ]
    assert graph.functions[0].inputs[1].text == "(3,)"


def test_a_recorder_notes_the_times_of_forward_and_backward():
    x = ones(2, 3)
    with Recorder() as recorder:
        y = F.sum(F.exp(x))
    for f in build_computational_graph(y, recorder=recorder).functions:
        assert f.forward > 0
        assert f.backward is None
    with recorder:
        y.backward()
        once = [f.backward for f in build_computational_graph(y, recorder=recorder).functions]
        y.backward()
    twice = [f.backward for f in build_computational_graph(y, recorder=recorder).functions]
    assert all(0 < a < b for a, b in zip(once, twice, strict=True))


def test_without_a_recorder_shapes_come_from_what_functions_saved():
    x = ones(2, 3)
    y = F.sum(F.relu(x * 2))
    mul, relu, total = build_computational_graph(y).functions
    assert mul.outputs[0].shape is None
    assert relu.outputs[0] == ((2, 3), np.float32)
    assert total.outputs[0] == ((), np.float32)
    assert relu.forward is relu.backward is None


class Halves(dynet.Function):
    def forward(self, x):
        first, second = x[:1], x[1:]
        self.save(second, x)
        return first, second


def test_saved_arrays_are_known_for_a_function_that_does_not_say_which_they_are():
    first, _ = Halves()(F.exp(ones(4)) + 1)
    add, halves = build_computational_graph(F.relu(first)).functions[1:3]
    assert add.outputs[0].shape == (4,)
    assert [array.shape for array in halves.outputs] == [None, (3,)]


def test_several_outputs_are_told_apart():
    a, b = F.split_axis(ones(4, 2), 2, axis=0)
    graph = build_computational_graph([b * a])
    assert [f.name for f in graph.functions] == ["SplitAxis", "Mul"]
    assert [(s.index, s.output) for s in graph.functions[1].inputs] == [(0, 1), (0, 0)]
    assert "1.1, 1.0" in str(graph)
    _, _, edges = read_dot(graph.dump())
    assert ("f1o1", "f2") in edges and ("f1o0", "f2") in edges


def test_parameters_go_by_their_names_or_by_their_paths_in_a_link():
    model = MLP()
    y = model(np.ones((5, 4), np.float32))
    plain = build_computational_graph(y)
    assert [(v.kind, v.name) for v in plain.variables] == [("parameter", n) for n in "WbWb"]
    pathed = build_computational_graph(y, link=model)
    assert [v.name for v in pathed.variables] == ["/l1/W", "/l1/b", "/l2/W", "/l2/b"]


def test_an_unchained_variable_is_where_the_graph_ends():
    x = ones(2)
    with Recorder() as recorder:
        h = F.exp(x)
        y = F.sum(h * 2)
    h.unchain()
    graph = build_computational_graph(y, recorder=recorder)
    assert [f.name for f in graph.functions] == ["Mul", "Sum"]
    (end,) = graph.variables
    assert (end.kind, end.name, end.outputs[0].shape) == ("unchained", "Exp", (2,))
    assert shown(read_dot(graph.dump())[1]["v1"]["label"]) == "unchained: (2,), float32"


def test_one_output_of_several_may_be_unchained():
    a, b = F.split_axis(ones(2), 2, axis=0)
    y = a * b
    a.unchain()
    graph = build_computational_graph(y)
    assert [f.name for f in graph.functions] == ["SplitAxis", "Mul"]
    assert [s.kind for s in graph.functions[1].inputs] == ["variable", "function"]
    assert "unchained" in str(graph)
    read_dot(graph.dump())


def test_a_variable_that_is_gone_still_has_a_place():
    def run():
        return F.sum(F.exp(ones(2, 3, name="x")))

    graph = build_computational_graph(run())
    assert [(v.kind, v.name, v.outputs[0].shape) for v in graph.variables] == [
        ("variable", None, None)
    ]
    assert "v1  variable  ?" in str(graph)


def test_a_recorded_gradient_has_a_graph_too():
    x = Variable(np.array(2.0), name="x")
    with Recorder() as recorder:
        (g,) = dynet.grad(x * x * x, x, create_graph=True)
    graph = build_computational_graph(g, recorder=recorder)
    assert len(graph.functions) > 3
    assert all(f.outputs[0].shape == () for f in graph.functions)


def test_a_graph_keeps_neither_the_tape_nor_arrays():
    gc.disable()
    try:
        x = ones(2, 3)
        with Recorder() as recorder:
            y = F.exp(x)
            loss = F.sum(y)
            loss.backward()
        array = weakref.ref(y.array)
        graph = build_computational_graph(loss, recorder=recorder)
        del y, loss
        assert array() is None
        assert "Exp" in str(graph)
    finally:
        gc.enable()


def test_a_recorder_lets_go_of_what_raised():
    recorder = Recorder()
    with recorder:
        with pytest.raises(TypeError):
            F.exp(np.arange(3))
        y = F.exp(ones(3))
    assert recorder._open == []
    assert build_computational_graph(y, recorder=recorder).functions[0].forward > 0


def test_what_was_computed_outside_the_recorder_has_no_times():
    h = F.relu(ones(3))
    with Recorder() as recorder:
        y = F.exp(h)
    first, second = build_computational_graph(y, recorder=recorder).functions
    assert first.forward is None
    assert second.forward > 0


# -- bad input ----------------------------------------------------------------------------------


def test_outputs_that_are_no_variables_are_refused():
    with pytest.raises(TypeError, match=r"outputs\[1\] is ndarray, expected a Variable"):
        build_computational_graph([F.exp(ones(2)), np.ones(2)])


def test_there_must_be_outputs():
    with pytest.raises(ValueError, match="outputs is empty, expected a Variable"):
        build_computational_graph([])


def test_an_output_of_which_nothing_was_recorded_is_refused():
    with dynet.no_backprop_mode():
        y = F.exp(ones(2))
    with pytest.raises(ValueError, match=r"nothing was recorded for outputs\[0\] \(shape \(2,\)"):
        build_computational_graph(y)


@pytest.mark.parametrize(("name", "expected"), [("recorder", "Recorder"), ("link", "Link")])
def test_a_recorder_and_a_link_are_nothing_else(name, expected):
    with pytest.raises(TypeError, match=f": {name} is int, expected a {expected}"):
        build_computational_graph(F.exp(ones(2)), **{name: 3})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rankdir": "down"}, "rankdir is 'down', expected one of TB, BT, LR, RL"),
        ({"variable_style": "red"}, "a style is 'red', expected a dict"),
        ({"function_style": 3}, "a style is 3, expected a dict"),
    ],
)
def test_settings_that_are_none_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_computational_graph(F.exp(ones(2)), **arguments)


def test_formats_and_endings_that_there_are_not_are_refused(tmp_path):
    graph = build_computational_graph(F.exp(ones(2)))
    with pytest.raises(ValueError, match="format is 'png', expected 'dot', 'svg' or 'text'"):
        graph.dump("png")
    with pytest.raises(ValueError, match=r"expected one that ends with \.dot, \.gv, \.svg, \.txt"):
        graph.save(tmp_path / "graph.png")
    assert not list(tmp_path.iterdir())


# -- DOT ----------------------------------------------------------------------------------------


def test_dot_has_functions_their_outputs_and_variables():
    graph = mlp_run()
    head, nodes, edges = read_dot(graph.dump())
    assert head == {"rankdir": "TB"}
    labels = {
        name: without_times(shown(a["label"]).replace("\n", " ")) for name, a in nodes.items()
    }
    assert labels == {
        "v1": "/l1/W: (3, 4), float32",
        "v2": "/l1/b: (3,), float32",
        "v3": "/l2/W: (2, 3), float32",
        "v4": "/l2/b: (2,), float32",
        "f1": "Linear /",
        "f1o0": "(5, 3), float32",
        "f2": "ReLU /",
        "f2o0": "(5, 3), float32",
        "f3": "Linear /",
        "f3o0": "(5, 2), float32",
        "f4": "Sum /",
        "f4o0": "loss: (), float32",
    }
    assert set(edges) == {
        ("v1", "f1"),
        ("v2", "f1"),
        ("f1", "f1o0"),
        ("f1o0", "f2"),
        ("f2", "f2o0"),
        ("f2o0", "f3"),
        ("v3", "f3"),
        ("v4", "f3"),
        ("f3", "f3o0"),
        ("f3o0", "f4"),
        ("f4", "f4o0"),
    }
    assert nodes["v1"]["fillcolor"] != nodes["f1o0"]["fillcolor"]


def test_an_input_that_is_used_twice_has_one_edge():
    x = ones(2)
    _, _, edges = read_dot(build_computational_graph(x * x).dump())
    assert edges.count(("v1", "f1")) == 1


def test_without_variables_functions_lead_to_functions():
    x = ones(2, name="x")
    graph = build_computational_graph(F.sum(F.relu(x) * x), remove_variable=True, rankdir="LR")
    head, nodes, edges = read_dot(graph.dump())
    assert head == {"rankdir": "LR"}
    assert [a["label"] for a in nodes.values()] == ["ReLU", "Mul", "Sum"]
    assert edges == [("f1", "f2"), ("f2", "f3")]


def test_styles_are_attributes_of_the_nodes():
    graph = build_computational_graph(
        F.exp(ones(2)),
        variable_style={"shape": "octagon", "my color": 'a "b"\\'},
        function_style=None,
    )
    _, nodes, _ = read_dot(graph.dump())
    assert nodes["v1"]["shape"] == "octagon"
    assert shown(nodes["v1"]["my color"]) == 'a "b"\\'
    assert nodes["f1"] == {"label": "Exp"}


def test_names_can_be_left_out():
    graph = build_computational_graph(F.exp(ones(2, name="x")), show_name=False)
    assert "x:" not in graph.dump()
    assert "x " not in str(graph).split("function", 1)[1].replace("Exp ", "")


NASTY = [
    '"',
    "\\",
    "a\nb",
    '"];\nf9 [x="',
    "<b>&lt;&amp;</b>",
    "{a|b}",
    "\0\x1b[31m",
    "\\N\\",
    "\u00e9\u2026\U0001d538",
    "",
]


@pytest.mark.parametrize("name", NASTY)
def test_any_name_is_shown_as_it_is(name):
    x, p = ones(2, name=name), Parameter(np.ones(2, np.float32), name=name)
    y = F.exp(x) + p
    y.name = name
    graph = build_computational_graph(y)
    _, nodes, _ = read_dot(graph.dump())
    visible = name.replace("\0", "\\x00").replace("\x1b", "\\x1b")
    assert {shown(nodes[n]["label"]) for n in ("v1", "v2", "f2o0")} == {f"{visible}: (2,), float32"}
    assert len(nodes) == 6
    for line in str(graph).split("\n"):
        assert line.isprintable()


@pytest.mark.parametrize("shape", ["record", "Mrecord"])
def test_braces_are_no_fields_in_a_record(shape):
    x = ones(2, name="{a|<b>}")
    graph = build_computational_graph(F.exp(x), variable_style={"shape": shape})
    _, nodes, _ = read_dot(graph.dump())
    assert nodes["v1"]["label"] == r"\{a\|\<b\>\}: (2,), float32"


@given(name=st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_name_breaks_out_of_its_label(name):
    graph = build_computational_graph(F.exp(ones(2, name=name)))
    _, nodes, edges = read_dot(graph.dump())
    assert list(nodes) == ["v1", "f1", "f1o0"]
    assert len(edges) == 2
    graph.dump().encode()
    str(graph).encode()


# -- SVG ----------------------------------------------------------------------------------------


@pytest.fixture
def fake_dot(tmp_path, monkeypatch):
    """Puts a program ``dot`` on the path that does what a few lines of Python say."""

    def install(body):
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "dot"
        program.write_text(f"#!{sys.executable}\nimport sys\ndot = sys.stdin.read()\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))

    return install


@pytest.mark.skipif(os.name == "nt", reason="the program that stands in for dot is a script")
def test_svg_is_what_graphviz_draws_of_the_dot(fake_dot, tmp_path):
    fake_dot("print('<svg>' + ' '.join(sys.argv[1:]) + dot + '</svg>', end='')")
    graph = build_computational_graph(F.exp(ones(2, name="é")))
    assert graph.dump("svg") == f"<svg>-Tsvg{graph.dump()}</svg>"
    graph.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == graph.dump("svg") + "\n"


@pytest.mark.skipif(os.name == "nt", reason="the program that stands in for dot is a script")
def test_what_graphviz_says_of_a_failure_is_passed_on(fake_dot, tmp_path):
    fake_dot("sys.exit('no layout')")
    graph = build_computational_graph(F.exp(ones(2)))
    with pytest.raises(RuntimeError, match=r"dot -Tsvg failed \(1\): no layout"):
        graph.save(tmp_path / "graph.svg")
    assert not (tmp_path / "graph.svg").exists()


def test_without_graphviz_the_error_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    graph = build_computational_graph(F.exp(ones(2)))
    with pytest.raises(FileNotFoundError, match=r"no program dot on the PATH.*Graphviz"):
        graph.save(tmp_path / "graph.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("ending", "format"), [("dot", "dot"), ("gv", "dot"), ("txt", "text")])
def test_the_ending_says_the_format(tmp_path, ending, format):
    graph = build_computational_graph(F.exp(ones(2)))
    graph.save(tmp_path / f"graph.{ending}")
    assert (tmp_path / f"graph.{ending}").read_text() == graph.dump(format) + "\n"


# -- text ---------------------------------------------------------------------------------------


def test_the_text_of_a_small_run_is_this():
    text = without_times(mlp_run().dump("text"))
    lines = [" ".join(line.split()) for line in text.split("\n")]
    assert lines == [
        "4 functions, 4 parameters (23 numbers); all float32",
        "",
        "/l1/W parameter (3, 4)",
        "/l1/b parameter (3,)",
        "/l2/W parameter (2, 3)",
        "/l2/b parameter (2,)",
        "",
        "# function of gives forward backward",
        "1 Linear (5, 4), /l1/W, /l1/b (5, 3)",
        "2 ReLU 1 (5, 3)",
        "3 Linear 2, /l2/W, /l2/b (5, 2)",
        "4 loss = Sum 3 ()",
        "all 4",
    ]


def test_columns_stand_one_below_the_other():
    table = str(mlp_run()).split("\n\n")[2].split("\n")
    head = table[0]
    for line in table[1:-1]:
        for column in ("function", "of ", "gives"):
            at = head.index(column)
            assert line[at - 2 : at].isspace() and not line[at].isspace()
    assert len({len(line) for line in table}) == 1


def test_a_branch_is_indented_below_the_main_line():
    x = ones(2)
    y = F.exp(F.exp(F.exp(x))) + F.tanh(x * x)
    table = str(build_computational_graph(y)).split("\n\n")[2].split("\n")[1:]
    names = [re.match(r"\d+  (.*?)   ", line + "   ")[1] for line in table]
    assert [len(name) - len(name.lstrip()) for name in names] == [0, 0, 0, 2, 2, 0]


def test_constants_are_shown_by_shape_or_value():
    x = ones(2, 3)
    with Recorder() as recorder:
        y = F.where(np.ones((2, 3), bool), x * 2.5 + np.ones(3, np.float32), 0.0)
    text = str(build_computational_graph(y, recorder=recorder))
    assert "v1, 2.5" in text
    assert "1, (3,)" in text
    assert "2, 0.0, (2, 3)" in text


def test_another_dtype_than_the_others_is_said():
    x = ones(2, name="x")
    with Recorder() as recorder:
        y = F.cast(F.exp(F.exp(x)), np.float64)
    text = str(build_computational_graph(y, recorder=recorder))
    assert "; float32 unless said" in text
    assert "(2,) float64" in text
    assert "(2,) float32" not in text


def test_variables_of_one_name_are_told_apart():
    a, b, c = ones(2, name="x"), ones(2, name="x"), ones(2)
    y = a + b * c
    text = str(build_computational_graph(y))
    assert {"x", "x#2", "v2"} == set(re.findall(r"^  (\S+)", text, re.M))


def rnn(steps):
    W = Parameter(dynet.initializers.Normal(0.1, rng=0), (3, 3), name="W")
    h = ones(2, 3, name="h0")
    with Recorder() as recorder:
        for _ in range(steps):
            h = F.relu(F.linear(h, W) + np.ones((2, 3), np.float32))
        loss = F.sum(h)
        loss.backward()
    return build_computational_graph(loss, recorder=recorder)


def test_a_loop_is_folded_to_its_first_rounds_and_a_number():
    text = str(rnn(784))
    lines = text.split("\n\n")[2].split("\n")
    assert len(lines) < 12
    assert "... 782 more like 4 to 6, up to 2352" in text
    assert lines[-2].split()[:3] == ["2353", "Sum", "2352"]
    assert len({len(line) for line in lines}) == 1


def test_a_fold_has_the_times_of_what_it_hides_together():
    graph = rnn(100)
    hidden = sum(f.forward for f in graph.functions[6:300])
    (line,) = [line for line in str(graph).split("\n") if "more like" in line]
    assert time_of(hidden) in line


def test_a_fold_says_which_named_outputs_it_hides():
    y = ones(3)
    for _ in range(100):
        y = F.tanh(y)
    y.name = "last"
    text = str(build_computational_graph(y))
    assert "... 98 more like 2, up to 100, 100: last = Tanh" in text


def test_loops_within_loops_are_folded():
    v = ones(3, name="v")
    y = v
    for _ in range(30):
        for _ in range(20):
            y = F.tanh(y + v)
        y = F.exp(y)
    text = str(build_computational_graph(y))
    assert len(text.split("\n")) < 20
    assert re.search(r"\.\.\. 2\d more like \d+ to \d+, up to 1230", text)


def test_a_few_layers_alike_are_not_folded():
    h = ones(2, 3)
    for _ in range(4):
        h = F.relu(F.linear(h, Parameter(1, (3, 3), name="W")))
    assert "more like" not in str(build_computational_graph(h))


def test_many_variables_alike_are_folded():
    total, xs = 0, [ones(2, 3, name=f"x{i}") for i in range(50)]
    for x in xs:
        total = total + x
    text = str(build_computational_graph(total))
    assert "... 49 more like x0" in text
    assert len(text.split("\n")) < 20


def test_many_inputs_are_shortened():
    x = ones(2, 3)
    y = F.stack([F.exp(x) for _ in range(100)])
    assert "1, 2, ..., 100 (100)" in str(build_computational_graph(y))


def test_a_hundred_thousand_steps_are_no_matter():
    v = ones(2)
    y = v
    for _ in range(100_000):
        y = y + v
    graph = build_computational_graph(y)
    assert len(graph.functions) == 100_000
    assert "... 99,997 more like 2, up to 99999" in str(graph)
    assert graph.dump().count(" -> ") == 300_000 - 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, "0.0 us"),
        (1.25e-6, "1.2 us"),
        (999.4e-6, "999.4 us"),
        (999.6e-6, "1.0 ms"),
        (0.0123, "12.3 ms"),
        (12.34, "12.3 s"),
        (3600, "3,600.0 s"),
    ],
)
def test_times_are_in_the_unit_that_suits_them(seconds, text):
    assert time_of(seconds) == text


def test_the_same_run_gives_the_same_text():
    first, again = mlp_run(), mlp_run()
    for format in "dot", "text":
        texts = [without_times(graph.dump(format)).split() for graph in (first, again)]
        assert texts[0] == texts[1]


def test_a_graph_of_a_variable_alone_has_no_functions():
    graph = build_computational_graph(ones(2, 3, name="x"))
    assert str(graph) == "0 functions, 1 variable; all float32\n\n  x  variable  (2, 3)"
    assert repr(graph) == "<ComputationalGraph of 0 functions and 1 variable>"
    assert read_dot(graph.dump())[1].keys() == {"v1"}


@st.composite
def runs(draw):
    """A run of a few functions, each of variables before it, and its last outputs."""
    made = [ones(4, 2, name="x"), ones(4, 2)]
    for _ in range(draw(st.integers(1, 40))):
        a, b = (made[draw(st.integers(max(0, len(made) - 9), len(made) - 1))] for _ in range(2))
        kind = draw(st.sampled_from(["add", "mul", "relu", "split", "number"]))
        if kind == "split":
            made.extend(F.split_axis(F.concat([a, b], axis=0), 2, axis=0))
        elif kind == "add":
            made.append(a + b)
        elif kind == "mul":
            made.append(a * b)
        else:
            made.append(F.relu(a) if kind == "relu" else a * 2)
    return made[-draw(st.integers(1, 3)) :]


@given(data=st.data(), recorded=st.booleans(), remove=st.booleans())
@settings(max_examples=50, deadline=None)
def test_any_run_is_drawn_whole_within_the_width(data, recorded, remove):
    with Recorder() as recorder:
        outputs = data.draw(runs())
    graph = build_computational_graph(
        outputs, recorder=recorder if recorded else None, remove_variable=remove
    )
    _, nodes, edges = read_dot(graph.dump())
    functions = [n for n in nodes if re.fullmatch(r"f\d+", n)]
    assert len(functions) == len(graph.functions)
    if not remove:
        n_outputs = sum(len(f.outputs) for f in graph.functions)
        assert len(nodes) == len(functions) + len(graph.variables) + n_outputs
        used = sum(len({s for s in f.inputs if s.kind != "constant"}) for f in graph.functions)
        assert len(edges) == used + n_outputs
    assert max(map(len, str(graph).split("\n"))) <= WIDTH


# -- folding ------------------------------------------------------------------------------------


def check_fold(keys, items):
    """What stays and what is folded are the whole list, and what is folded is like its model."""
    at = 0
    for item in items:
        if isinstance(item, Fold):
            a, b = item.model
            period = b - a + 1
            assert item.first == at == b + 1
            assert item.last - item.first + 1 == item.rounds * period
            for i in range(item.first, item.last + 1):
                assert keys[i] == keys[a + (i - item.first) % period]
            at = item.last + 1
        else:
            assert item == at
            at += 1
    assert at == len(keys)


@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=4), st.integers(1, 30)), max_size=8).map(
        lambda parts: "".join(part * n for part, n in parts)
    ),
    st.integers(1, 20),
)
@settings(max_examples=100, deadline=None)
def test_what_is_folded_is_like_its_model(keys, rounds):
    keys = keys * rounds
    check_fold(keys, fold(keys))


@pytest.mark.parametrize("period", [1, 2, 7, 300])
def test_rounds_of_any_length_are_found(period):
    keys = ["start", *([*range(period)] * 40), "end"]
    items = fold(keys)
    check_fold(keys, items)
    assert len(items) == 1 + period + 1 + 1


def test_nothing_is_folded_that_hides_too_little():
    assert not any(isinstance(item, Fold) for item in fold("a" * WORTH))
    assert any(isinstance(item, Fold) for item in fold("a" * (WORTH + 1)))


def test_a_graph_is_made_of_records_only():
    graph = mlp_run()
    again = ComputationalGraph(graph.functions, graph.variables)
    assert str(again) == str(graph)
