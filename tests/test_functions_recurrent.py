"""Recurrent cells: what the table of functions cannot say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels import recurrent, recurrent_peephole, recurrent_trees

rng = np.random.default_rng(0)


def normal(*shape, dtype=np.float64):
    return np.asarray(rng.normal(size=shape), dtype)


class Elsewhere(np.ndarray):
    """Stands for an array of another module than NumPy: it does not go to the kernels."""


def value_and_gradients(function, arrays):
    """Of one output or several, which get different gradients."""
    xs = [Variable(a) for a in arrays]
    ys = function(*xs)
    ys = ys if isinstance(ys, tuple) else (ys,)
    gys = [np.cos(np.arange(y.size, dtype=y.dtype) + k).reshape(y.shape) for k, y in enumerate(ys)]
    return [y.array for y in ys] + [g.array for g in dynet.grad(ys, xs, gys)]


def assert_all_close(got, wanted, rtol, atol=0):
    for g, w in zip(got, wanted, strict=True):
        assert g.dtype == w.dtype and g.shape == w.shape
        np.testing.assert_allclose(g, w, rtol=rtol, atol=atol)


# -- next to others --------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [4, 1, 0])
def test_lstm_between_linear_maps_is_lstm_cell_of_torch(rows):
    torch = pytest.importorskip("torch")
    cell = torch.nn.LSTMCell(3, 5, dtype=torch.float64)
    _assert_same_cell(
        torch,
        lambda x, h, c: cell(x, (h, c))[::-1],
        lambda x, h, c, W, U, b, d: F.lstm(c, F.linear(x, W, b) + F.linear(h, U, d)),
        [normal(rows, 3), normal(rows, 5), normal(rows, 5)],
        cell,
    )


@pytest.mark.parametrize("rows", [4, 1, 0])
def test_gru_between_linear_maps_is_gru_cell_of_torch(rows):
    torch = pytest.importorskip("torch")
    cell = torch.nn.GRUCell(3, 5, dtype=torch.float64)
    _assert_same_cell(
        torch,
        lambda x, h: (cell(x, h),),
        lambda x, h, W, U, b, d: F.gru(h, F.linear(x, W, b), F.linear(h, U, d)),
        [normal(rows, 3), normal(rows, 5)],
        cell,
    )


def _assert_same_cell(torch, theirs, ours, arrays, cell):
    """Values, and the gradients of the inputs and of the cell's parameters."""
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    ys = theirs(*tensors)
    gys = [
        torch.cos(torch.arange(y.numel(), dtype=y.dtype) + k).reshape(y.shape)
        for k, y in enumerate(ys)
    ]
    torch.autograd.backward(ys, gys)
    leaves = [*tensors, *cell.parameters()]
    wanted = [y.detach().numpy() for y in ys] + [t.grad.numpy() for t in leaves]
    xs = [Variable(t.detach().numpy()) for t in leaves]
    outputs = ours(*xs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    gxs = dynet.grad(outputs, xs, [gy.numpy() for gy in gys])
    got = [y.array for y in outputs] + [g.array for g in gxs]
    assert_all_close(got, wanted, rtol=1e-11, atol=1e-13)


def test_the_gates_of_chainer_are_put_in_order_as_the_docstring_says():
    c, x = normal(2, 3), normal(2, 12)
    a, i, f, o = (x.reshape(2, 3, 4)[:, :, k] for k in range(4))
    ordered = x.reshape(2, 3, 4)[:, :, [1, 2, 0, 3]].swapaxes(1, 2).reshape(2, 12)
    np.testing.assert_array_equal(ordered, np.concatenate([i, f, a, o], axis=1))
    wanted = c / (1 + np.exp(-f)) + np.tanh(a) / (1 + np.exp(-i))
    np.testing.assert_allclose(F.lstm(c, ordered)[0].array, wanted, rtol=1e-12)


def test_the_blocks_of_chainers_tree_lstm_are_put_in_order_as_the_docstring_says():
    c1, c2, x = normal(2, 3), normal(2, 3), normal(2, 15)
    a, i, o, f1, f2 = np.split(x, 5, axis=1)
    c, h = F.tree_lstm(c1, c2, np.concatenate([i, f1, f2, a, o], axis=1))
    wanted = np.tanh(a) / (1 + np.exp(-i)) + c1 / (1 + np.exp(-f1)) + c2 / (1 + np.exp(-f2))
    np.testing.assert_allclose(c.array, wanted, rtol=1e-12)
    np.testing.assert_allclose(h.array, np.tanh(wanted) / (1 + np.exp(-o)), rtol=1e-12)


# -- next to each other ----------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [4, 2])
def test_peepholes_that_let_nothing_through_make_an_lstm(rows):
    c, x, w = normal(4, 5), normal(rows, 20), np.zeros((3, 5))
    *found, _ = value_and_gradients(F.peephole_lstm, [c, x, w])
    assert_all_close(found, value_and_gradients(F.lstm, [c, x]), rtol=1e-13)


def test_a_tree_lstm_with_one_child_is_an_lstm():
    arrays = [normal(4, 5), normal(4, 20)]
    found = value_and_gradients(F.tree_lstm, arrays)
    assert_all_close(found, value_and_gradients(F.lstm, arrays), rtol=1e-13)


def test_slstm_is_a_tree_lstm_of_two_children_whose_blocks_are_added_but_for_the_forget_gates():
    def added(c1, c2, x1, x2):
        (i1, f1, g1, o1), (i2, f2, g2, o2) = (
            F.split_axis(x1, 4, axis=1),
            F.split_axis(x2, 4, axis=1),
        )
        return F.tree_lstm(c1, c2, F.concat([i1 + i2, f1, f2, g1 + g2, o1 + o2], axis=1))

    arrays = [normal(4, 5), normal(4, 5), normal(4, 20), normal(4, 20)]
    assert_all_close(
        value_and_gradients(F.slstm, arrays), value_and_gradients(added, arrays), rtol=1e-13
    )


def test_the_gradient_of_peepholes_adds_up_over_a_loop():
    w, c0, xs = normal(3, 5), normal(4, 5), normal(30, 4, 20)

    def last(w, cell):
        c = c0
        for x in xs:
            c, h = cell(c, x, w)
        return (c * h).sum()

    gradients = []
    for cell in F.peephole_lstm, F.recurrent.PeepholeLSTM().plain:
        variable = Variable(w)
        last(variable, cell).backward()
        gradients.append(variable.grad)
    np.testing.assert_allclose(*gradients, rtol=1e-11)


sizes = st.integers(0, 4)
rests = st.sampled_from([(), (1,), (2, 3)])


@settings(max_examples=50, deadline=None)
@given(sizes, sizes, st.integers(0, 40), rests, st.booleans())
def test_lstm_is_its_statement_in_ordinary_functions_for_all_shapes(
    rows, more, units, rest, single
):
    arrays = [normal(rows + more, units, *rest), normal(rows, 4 * units, *rest)]
    _assert_as_plain(F.lstm, F.recurrent.LSTM(), arrays, single)


@settings(max_examples=50, deadline=None)
@given(sizes, sizes, st.integers(0, 40), rests, st.booleans())
def test_peephole_lstm_is_its_statement_for_all_shapes(rows, more, units, rest, single):
    arrays = [normal(rows + more, units, *rest), normal(rows, 4 * units, *rest)]
    arrays.append(normal(3, units, *rest))
    _assert_as_plain(F.peephole_lstm, F.recurrent.PeepholeLSTM(), arrays, single)


@settings(max_examples=50, deadline=None)
@given(sizes, st.integers(0, 40), rests, st.booleans())
def test_gru_is_its_statement_in_ordinary_functions_for_all_shapes(rows, units, rest, single):
    arrays = [normal(rows, n * units, *rest) for n in (1, 3, 3)]
    _assert_as_plain(F.gru, F.recurrent.GRU(), arrays, single)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), sizes, st.integers(0, 40), rests, st.booleans())
def test_tree_lstm_is_its_statement_for_all_shapes(children, rows, units, rest, single):
    arrays = [normal(rows, n * units, *rest) for n in (*[1] * children, 3 + children)]
    _assert_as_plain(F.tree_lstm, F.recurrent_trees.TreeLSTM(), arrays, single)


@settings(max_examples=50, deadline=None)
@given(sizes, st.integers(0, 40), rests, st.booleans())
def test_slstm_is_its_statement_for_all_shapes(rows, units, rest, single):
    arrays = [normal(rows, n * units, *rest) for n in (1, 1, 4, 4)]
    _assert_as_plain(F.slstm, F.recurrent_trees.SLSTM(), arrays, single)


def _assert_as_plain(function, record, arrays, single):
    dtype, rtol = (np.float32, 1e-4) if single else (np.float64, 1e-11)
    arrays = [a.astype(dtype) for a in arrays]
    wanted = value_and_gradients(record.plain, arrays)
    assert_all_close(value_and_gradients(function, arrays), wanted, rtol, rtol / 10)
    # Nor does it matter whether the kernels take the arrays.
    elsewhere = [a.view(Elsewhere) for a in arrays]
    assert_all_close(value_and_gradients(function, elsewhere), wanted, rtol, rtol / 10)


# Of each function the blocks that its arguments consist of; 0 for peepholes, which have 3 rows.
BLOCKS = {
    "lstm": (1, 4),
    "peephole_lstm": (1, 4, 0),
    "gru": (1, 3, 3),
    "tree_lstm": (1, 1, 1, 6),
    "slstm": (1, 1, 4, 4),
}


def arguments_of(name, rows=4, units=3):
    return [normal(rows, n * units) if n else normal(3, units) for n in BLOCKS[name]]


@pytest.mark.parametrize("name", BLOCKS)
def test_float16_stays_float16(name):
    arrays = [a.astype(np.float16) for a in arguments_of(name)]
    got = value_and_gradients(getattr(F, name), arrays)
    assert all(a.dtype == np.float16 for a in got)
    wanted = value_and_gradients(getattr(F, name), [a.astype(np.float32) for a in arrays])
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_allclose(g, w, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("x", [-30000, 30000])
@pytest.mark.parametrize("name", BLOCKS)
def test_gates_that_are_shut_or_open_all_the_way_give_finite_gradients(name, x, dtype):
    arrays = [np.ones(a.shape, dtype) for a in arguments_of(name)]
    arrays[BLOCKS[name].index(max(BLOCKS[name]))][:] = x
    assert all(np.isfinite(a).all() for a in value_and_gradients(getattr(F, name), arrays))


@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name, blocks in BLOCKS.items() for i in range(len(blocks))]
)
def test_nan_goes_on(name, i):
    arrays = arguments_of(name, rows=1, units=1)
    arrays[i][:] = np.nan
    ys = getattr(F, name)(*arrays)
    assert all(np.isnan(y.array).all() for y in (ys if isinstance(ys, tuple) else (ys,)))


@pytest.mark.parametrize("name", BLOCKS)
def test_the_inputs_are_left_alone(name):
    arrays = arguments_of(name)
    before = [a.copy() for a in arrays]
    value_and_gradients(getattr(F, name), arrays)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


# -- in a compiled loop ----------------------------------------------------------------------------


def _scanned(name, dtype, compiled):
    """What a loop of a function gives, and its gradients; ``h`` serves as a second cell too."""
    own = np.random.default_rng(1)

    def variable(*shape):
        return Variable(np.asarray(own.normal(size=shape), dtype))

    N, H = 6, 5
    c0, h0, xs = variable(N, H), variable(N, H), variable(9, N, H)
    counts = [n for n in BLOCKS[name][1:] if n > 1]
    Ws = [variable(n * H, H) for n in counts]
    w = variable(3, H)

    def step(state, x):
        c, h = state
        sums = [F.linear(h, W) + F.concat([x] * n, axis=1) for W, n in zip(Ws, counts, strict=True)]
        cells = {1: h, 0: w}
        others = [cells[n] if n in cells else sums.pop(0) for n in BLOCKS[name][1:]]
        y = getattr(F, name)(c, *others)
        c, h = y if isinstance(y, tuple) else (y, h + y)
        return (c, h), h

    (c, h), hs = dynet.scan(step, (c0, h0), xs, compiled=compiled)
    leaves = [c0, h0, xs, *Ws, *([w] if 0 in BLOCKS[name] else [])]
    return [c, h, hs], dynet.grad([(c * h).sum() + (hs * hs).sum()], leaves)


@pytest.mark.parametrize(  # the others stand among the tests of ``scan``
    ("name", "dtype"), [("peephole_lstm", "f4"), ("tree_lstm", "f8"), ("slstm", "f4")]
)
def test_a_compiled_loop_gives_what_the_plain_one_gives(name, dtype):
    rtol = 1e-4 if dtype == "f4" else 1e-11
    found, expected = [_scanned(name, dtype, compiled) for compiled in (True, False)]
    for got, wanted in zip(found, expected, strict=True):
        assert_all_close([a.array for a in got], [a.array for a in wanted], rtol, rtol / 10)


# -- a batch that shrinks, gradients that do not come ----------------------------------------------


@pytest.mark.parametrize("name", ["lstm", "peephole_lstm"])
def test_rows_without_gates_come_back_as_they_are_with_their_gradient(name):
    c, x, w = Variable(normal(5, 3)), Variable(normal(2, 12)), [normal(3, 3)]
    w = w if name == "peephole_lstm" else []
    c_next, h = getattr(F, name)(c, x, *w)
    assert c_next.shape == (5, 3) and h.shape == (2, 3)
    np.testing.assert_array_equal(c_next.array[2:], c.array[2:])
    wanted = getattr(F, name)(c.array[:2], x.array, *w)
    np.testing.assert_array_equal(c_next.array[:2], wanted[0].array)
    np.testing.assert_array_equal(h.array, wanted[1].array)
    gy = normal(5, 3)
    (gc,) = dynet.grad(c_next, c, gy)
    np.testing.assert_array_equal(gc.array[2:], gy[2:])


@pytest.mark.parametrize("rows", [3, 2, 0])
@pytest.mark.parametrize("used", [0, 1])
@pytest.mark.parametrize("kind", [np.ndarray, Elsewhere])
@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "gru"])
def test_an_output_that_nothing_was_computed_from_counts_as_gradient_0(name, kind, used, rows):
    arrays = arguments_of(name, rows)
    if name in ("lstm", "peephole_lstm"):
        arrays[0] = normal(3, 3)  # cells that have no gates among them
    xs = [Variable(a.view(kind)) for a in arrays]
    ys = getattr(F, name)(*xs)
    gys = [normal(*y.shape) if k == used else np.zeros(y.shape) for k, y in enumerate(ys)]
    got = dynet.grad(ys[used], xs, gys[used])
    wanted = dynet.grad(ys, xs, gys)
    assert_all_close([g.array for g in got], [g.array for g in wanted], rtol=1e-14)


@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "gru"])
def test_second_derivatives_of_one_output_alone_are_there(name):
    xs = [Variable(a) for a in arguments_of(name)]
    for y in getattr(F, name)(*xs):
        gxs = dynet.grad((y * y).sum(), xs, create_graph=True)
        ggxs = dynet.grad(sum([(g * g).sum() for g in gxs]), xs)
        assert all(np.abs(g.array).sum() > 0 for g in ggxs)


# -- what does not fit -----------------------------------------------------------------------------

C, X, U, W, T = [np.zeros(s) for s in ((2, 3), (2, 12), (2, 9), (3, 3), (2, 15))]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((C, X[:, :9]), ValueError, r"x has shape \(2, 9\), expected \(2, 12\).*c: \(2, 3\)"),
        ((C, np.zeros((3, 12))), ValueError, r"x has 3 rows, c has 2; .*c: \(2, 3\), x: \(3, 12\)"),
        ((C, np.zeros((3, 9))), ValueError, r"x has shape \(3, 9\), expected \(2, 12\)"),
        ((C, X[..., None]), ValueError, r"x has shape \(2, 12, 1\), expected \(2, 12\)"),
        ((C[..., None], X), ValueError, r"x has shape \(2, 12\), expected \(2, 12, 1\)"),
        ((C, X[0]), ValueError, r"x has shape \(12,\), expected \(2, 12\)"),
        ((C, np.zeros(())), ValueError, r"x has shape \(\), expected \(2, 12\)"),
        ((C[0], X[0]), ValueError, r"c has shape \(3,\), expected \(N, H, \.\.\.\) \(x: \(12,\)\)"),
        ((C, X.astype("f")), TypeError, r"c is float64 \(2, 3\), x is float32 \(2, 12\); expected"),
        ((C.astype(int), X), TypeError, r"c is int64 \(2, 3\), expected a floating array"),
        ((C.astype(int), X.astype(int)), TypeError, r"c is int64 \(2, 3\), expected a floating"),
        ((C, X.tolist()), TypeError, "x is list, expected a floating array"),
        ((None, X), TypeError, "c is NoneType, expected a floating array"),
    ],
)
def test_lstm_says_what_does_not_fit(arguments, error, message):
    with pytest.raises(error, match=f"^lstm: {message}"):
        F.lstm(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((C, X, U), ValueError, r"x has shape \(2, 12\), expected \(2, 9\).*h: \(2, 3\)"),
        ((C, U, X), ValueError, r"u has shape \(2, 12\), expected \(2, 9\).*h: \(2, 3\)"),
        ((C, U[:1], U), ValueError, r"x has shape \(1, 9\), expected \(2, 9\)"),
        ((C, U, U[:1]), ValueError, r"u has shape \(1, 9\), expected \(2, 9\)"),
        ((C[0], U, U), ValueError, r"h has shape \(3,\), expected \(N, H, \.\.\.\)"),
        ((C, U, U.astype("f")), TypeError, r"h is float64 .*, u is float32 \(2, 9\); expected one"),
        ((C, U, [1.0]), TypeError, "u is list, expected a floating array"),
        ((C, 1.0, U), TypeError, "x is float, expected a floating array"),
    ],
)
def test_gru_says_what_does_not_fit(arguments, error, message):
    with pytest.raises(error, match=f"^gru: {message}"):
        F.gru(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (C, X, U),
            ValueError,
            r"w has shape \(2, 9\), expected \(3, 3\), three peep.*c: \(2, 3\)",
        ),
        ((C, X, W[0]), ValueError, r"w has shape \(3,\), expected \(3, 3\)"),
        ((C, X[:1], W[:2]), ValueError, r"w has shape \(2, 3\), expected \(3, 3\)"),
        ((C, U, W), ValueError, r"x has shape \(2, 9\), expected \(2, 12\).*c: \(2, 3\)"),
        ((C[:1], X, W), ValueError, r"x has 2 rows, c has 1; .*c: \(1, 3\), x: \(2, 12\)"),
        ((C[0], X, W), ValueError, r"c has shape \(3,\), expected \(N, H, \.\.\.\)"),
        ((C, X, W.astype("f")), TypeError, r"c is float64 .*, w is float32 \(3, 3\); expected one"),
        ((C, X, None), TypeError, "w is NoneType, expected a floating array"),
    ],
)
def test_peephole_lstm_says_what_does_not_fit(arguments, error, message):
    with pytest.raises(error, match=f"^peephole_lstm: {message}"):
        F.peephole_lstm(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((), TypeError, "got 0 arguments, expected the cells of at least one child, and x"),
        ((X,), TypeError, "got 1 arguments, expected the cells of at least one child, and x"),
        ((C, C, X), ValueError, r"x has shape \(2, 12\), expected \(2, 15\), the 5 .* 2 arrays"),
        ((C, C, T[:1]), ValueError, r"x has shape \(1, 15\), expected \(2, 15\).*c1: \(2, 3\)"),
        ((C, C[:1], T), ValueError, r"c2 has shape \(1, 3\), expected \(2, 3\), the shape of c1"),
        ((C[0], C[0], T), ValueError, r"c1 has shape \(3,\), expected \(N, H, \.\.\.\)"),
        (
            (C, C.astype("f"), T),
            TypeError,
            r"c1 is float64 .*, c2 is float32 \(2, 3\), x is float64",
        ),
        ((C, [[0.0]], T), TypeError, "c2 is list, expected a floating array"),
        ((C, C, None), TypeError, "x is NoneType, expected a floating array"),
    ],
)
def test_tree_lstm_says_what_does_not_fit(arguments, error, message):
    with pytest.raises(error, match=f"^tree_lstm: {message}"):
        F.tree_lstm(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((C, C, U, X), ValueError, r"x1 has shape \(2, 9\), expected \(2, 12\).*x2: \(2, 12\)"),
        ((C, C, X, X[:1]), ValueError, r"x2 has shape \(1, 12\), expected \(2, 12\)"),
        (
            (C, C[:1], X, X),
            ValueError,
            r"c2 has shape \(1, 3\), expected \(2, 3\), the shape of c1",
        ),
        ((C[0], C, X, X), ValueError, r"c1 has shape \(3,\), expected \(N, H, \.\.\.\)"),
        (
            (C, C, X, X.astype("f")),
            TypeError,
            r"c1 is float64 .*, x2 is float32 \(2, 12\); expected",
        ),
        ((C, C, 1.0, X), TypeError, "x1 is float, expected a floating array"),
    ],
)
def test_slstm_says_what_does_not_fit(arguments, error, message):
    with pytest.raises(error, match=f"^slstm: {message}"):
        F.slstm(*arguments)


FITTING = {
    recurrent.lstm_forward: [(4, 3), (2, 12), (4, 3), (2, 3), (2, 12)],
    recurrent.lstm_backward: [(4, 3), (2, 12), (4, 3), (2, 3), (4, 3), (2, 12)],
    recurrent_peephole.peephole_lstm_forward: [(4, 2), (3, 8), (6,), (4, 2), (3, 2), (3, 8)],
    recurrent_peephole.peephole_lstm_backward: [
        *[(4, 2), (6,), (4, 2), (3, 8), (4, 2), (3, 2)],
        *[(4, 2), (3, 8), (3, 6)],
    ],
    recurrent.gru_forward: [(2, 3), (2, 9), (2, 9), (2, 3), (2, 9)],
    recurrent.gru_backward: [(2, 3), (2, 9), (2, 9), (2, 3), (2, 3), (2, 9), (2, 9)],
    recurrent_trees.tree_lstm_forward: [(2, 6), (2, 15), (2, 3), (2, 3), (2, 15)],
    recurrent_trees.tree_lstm_backward: [
        *[(2, 6), (2, 3), (2, 15), (2, 3), (2, 3)],
        *[(2, 6), (2, 15)],
    ],
    recurrent_trees.slstm_forward: [*[(2, 3)] * 2, *[(2, 12)] * 2, *[(2, 3)] * 2, (2, 15)],
    recurrent_trees.slstm_backward: [
        *[*[(2, 3)] * 3, (2, 15), *[(2, 3)] * 2],
        *[*[(2, 3)] * 2, *[(2, 12)] * 2],
    ],
}


@pytest.mark.parametrize(
    ("kernel", "place", "axis"),
    [
        pytest.param(kernel, place, axis, id=f"{kernel.py_func.__name__} {place} {axis}")
        for kernel, shapes in FITTING.items()
        for place, shape in enumerate(shapes)
        for axis in range(len(shape))
    ],
)
def test_a_kernel_refuses_an_array_that_is_shorter_than_the_others(kernel, place, axis):
    shapes = [list(shape) for shape in FITTING[kernel]]
    kernel(*map(np.zeros, shapes))
    shapes[place][axis] -= 1
    with pytest.raises(ValueError, match="shapes do not agree"):
        kernel(*map(np.zeros, shapes))
