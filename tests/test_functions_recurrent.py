"""Recurrent cells: what the table of functions cannot say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels import recurrent as kernels

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


sizes = st.integers(0, 4)


@settings(max_examples=50, deadline=None)
@given(sizes, sizes, st.integers(0, 40), st.sampled_from([(), (1,), (2, 3)]), st.booleans())
def test_lstm_is_its_statement_in_ordinary_functions_for_all_shapes(
    rows, more, units, rest, single
):
    dtype, rtol = (np.float32, 1e-4) if single else (np.float64, 1e-11)
    arrays = [normal(rows + more, units, *rest), normal(rows, 4 * units, *rest)]
    _assert_as_plain(F.lstm, F.recurrent.LSTM(), [a.astype(dtype) for a in arrays], rtol)


@settings(max_examples=50, deadline=None)
@given(sizes, st.integers(0, 40), st.sampled_from([(), (1,), (2, 3)]), st.booleans())
def test_gru_is_its_statement_in_ordinary_functions_for_all_shapes(rows, units, rest, single):
    dtype, rtol = (np.float32, 1e-4) if single else (np.float64, 1e-11)
    arrays = [normal(rows, n * units, *rest) for n in (1, 3, 3)]
    _assert_as_plain(F.gru, F.recurrent.GRU(), [a.astype(dtype) for a in arrays], rtol)


def _assert_as_plain(function, record, arrays, rtol):
    wanted = value_and_gradients(record.plain, arrays)
    assert_all_close(value_and_gradients(function, arrays), wanted, rtol, rtol / 10)
    # Nor does it matter whether the kernels take the arrays.
    elsewhere = [a.view(Elsewhere) for a in arrays]
    assert_all_close(value_and_gradients(function, elsewhere), wanted, rtol, rtol / 10)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_float16_stays_float16(name):
    arrays = [normal(4, 3 * n, dtype=np.float16) for n in ((1, 4) if name == "lstm" else (1, 3, 3))]
    got = value_and_gradients(getattr(F, name), arrays)
    assert all(a.dtype == np.float16 for a in got)
    wanted = value_and_gradients(getattr(F, name), [a.astype(np.float32) for a in arrays])
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_allclose(g, w, rtol=0.02, atol=0.01)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("x", [-30000, 30000])
def test_gates_that_are_shut_or_open_all_the_way_give_finite_gradients(x, dtype):
    one = np.ones((2, 3), dtype)
    for function, arrays in (
        (F.lstm, [one, np.full((2, 12), x, dtype)]),
        (F.gru, [one, np.full((2, 9), x, dtype), np.ones((2, 9), dtype)]),
    ):
        assert all(np.isfinite(a).all() for a in value_and_gradients(function, arrays))


def test_nan_goes_on():
    c_next, h = F.lstm(np.full((1, 1), np.nan), np.zeros((1, 4)))
    assert np.isnan(c_next.array).all() and np.isnan(h.array).all()
    assert np.isnan(F.gru(np.zeros((1, 1)), np.full((1, 3), np.nan), np.zeros((1, 3))).array).all()


# -- a batch that shrinks, gradients that do not come ----------------------------------------------


def test_rows_without_gates_come_back_as_they_are_with_their_gradient():
    c, x = Variable(normal(5, 3)), Variable(normal(2, 12))
    c_next, h = F.lstm(c, x)
    assert c_next.shape == (5, 3) and h.shape == (2, 3)
    np.testing.assert_array_equal(c_next.array[2:], c.array[2:])
    wanted = F.lstm(c.array[:2], x.array)
    np.testing.assert_array_equal(c_next.array[:2], wanted[0].array)
    np.testing.assert_array_equal(h.array, wanted[1].array)
    gy = normal(5, 3)
    (gc,) = dynet.grad(c_next, c, gy)
    np.testing.assert_array_equal(gc.array[2:], gy[2:])


@pytest.mark.parametrize("rows", [3, 2, 0])
@pytest.mark.parametrize("used", [0, 1])
@pytest.mark.parametrize("kind", [np.ndarray, Elsewhere])
def test_an_output_of_lstm_that_nothing_was_computed_from_counts_as_gradient_0(rows, used, kind):
    c, x = Variable(normal(3, 2).view(kind)), Variable(normal(rows, 8).view(kind))
    ys = F.lstm(c, x)
    gys = [normal(*y.shape) if k == used else np.zeros(y.shape) for k, y in enumerate(ys)]
    got = dynet.grad(ys[used], [c, x], gys[used])
    wanted = dynet.grad(ys, [c, x], gys)
    assert_all_close([g.array for g in got], [g.array for g in wanted], rtol=1e-14)


def test_second_derivatives_of_one_output_alone_are_there():
    c, x = Variable(normal(3, 2)), Variable(normal(2, 8))
    c_next, h = F.lstm(c, x)
    for y in c_next, h:
        gc, gx = dynet.grad((y * y).sum(), [c, x], create_graph=True)
        ggc, ggx = dynet.grad((gc * gc).sum() + (gx * gx).sum(), [c, x])
        assert np.abs(ggc.array).sum() > 0 and np.abs(ggx.array).sum() > 0


def test_the_inputs_are_left_alone():
    arrays = [normal(3, 2), normal(3, 8)]
    before = [a.copy() for a in arrays]
    value_and_gradients(F.lstm, arrays)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


# -- what does not fit -----------------------------------------------------------------------------

C, X, U = np.zeros((2, 3)), np.zeros((2, 12)), np.zeros((2, 9))


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


FITTING = {
    "lstm_forward": [(4, 3), (2, 12), (4, 3), (2, 3), (2, 12)],
    "lstm_backward": [(4, 3), (2, 12), (4, 3), (2, 3), (4, 3), (2, 12)],
    "gru_forward": [(2, 3), (2, 9), (2, 9), (2, 3), (2, 9)],
    "gru_backward": [(2, 3), (2, 9), (2, 9), (2, 3), (2, 3), (2, 9), (2, 9)],
}


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("name", "place"), [(name, i) for name, shapes in FITTING.items() for i in range(len(shapes))]
)
def test_a_kernel_refuses_an_array_that_is_shorter_than_the_others(name, place, axis):
    shapes = [list(shape) for shape in FITTING[name]]
    getattr(kernels, name)(*map(np.zeros, shapes))
    shapes[place][axis] -= 1
    with pytest.raises(ValueError, match="shapes do not agree"):
        getattr(kernels, name)(*map(np.zeros, shapes))
