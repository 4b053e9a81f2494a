"""The CUDA twins of activations, recurrent cells, noise and rows: they do what the kernels do."""

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels import (
    activation,
    error_function,
    recurrent,
    recurrent_peephole,
    recurrent_trees,
    reduction,
    rows,
)
from dynet.kernels.cuda import every_twin, launch

# Of each kernel that does the same to every element: how many arrays it takes, and its settings.
OF_ELEMENTS = {
    activation.relu_forward: (1, ()),
    activation.relu_backward: (2, ()),
    activation.sigmoid_forward: (1, ()),
    activation.sigmoid_backward: (2, ()),
    activation.tanh_backward: (2, ()),
    activation.silu_forward: (1, ()),
    activation.silu_backward: (2, ()),
    activation.softplus_forward: (1, (1.5,)),
    activation.softplus_backward: (2, (1.5,)),
    activation.elu_forward: (1, (0.7, 1.1)),
    activation.elu_backward: (2, (0.7, 1.1)),
    activation.gelu_forward: (1, ()),
    activation.gelu_backward: (2, ()),
    activation.leaky_relu_forward: (1, (0.2,)),
    activation.leaky_relu_backward: (2, (0.2,)),
    error_function.erf_forward: (1, ()),
    error_function.erfc_forward: (1, ()),
}

# Of each kernel that goes by rows: the shapes of what it takes and of what it writes, for n rows of
# W units, and N rows of those cells of which the first n take a step.
OF_ROWS = {
    activation.softmax_forward: lambda N, n, W: ([(n, W), (n,)], [(n, W)]),
    activation.softmax_backward: lambda N, n, W: ([(n, W), (n, W)], [(n, W)]),
    activation.log_softmax_forward: lambda N, n, W: ([(n, W), (n,)], [(n, W)]),
    activation.log_softmax_backward: lambda N, n, W: ([(n, W), (n, W)], [(n, W)]),
    reduction.product_of_others_to: lambda N, n, W: ([(n, W), (n,)], [(n, W)]),
    reduction.cumprod_backward: lambda N, n, W: ([(n, W), (n, W)], [(n, W)]),
    recurrent.lstm_forward: lambda N, n, W: (
        [(N, W), (n, 4 * W)],
        [(N, W), (n, W), (n, 4 * W)],
    ),
    recurrent.lstm_backward: lambda N, n, W: (
        [(N, W), (n, 4 * W), (N, W), (n, W)],
        [(N, W), (n, 4 * W)],
    ),
    recurrent_peephole.peephole_lstm_forward: lambda N, n, W: (
        [(N, W), (n, 4 * W), (3 * W,)],
        [(N, W), (n, W), (n, 4 * W)],
    ),
    recurrent_peephole.peephole_lstm_backward: lambda N, n, W: (
        [(N, W), (3 * W,), (N, W), (n, 4 * W), (N, W), (n, W)],
        [(N, W), (n, 4 * W), (n, 3 * W)],
    ),
    recurrent.gru_forward: lambda N, n, W: (
        [(n, W), (n, 3 * W), (n, 3 * W)],
        [(n, W), (n, 3 * W)],
    ),
    recurrent.gru_backward: lambda N, n, W: (
        [(n, W), (n, 3 * W), (n, 3 * W), (n, W)],
        [(n, W), (n, 3 * W), (n, 3 * W)],
    ),
    recurrent_trees.tree_lstm_forward: lambda N, n, W: (
        [(n, 2 * W), (n, 5 * W)],
        [(n, W), (n, W), (n, 5 * W)],
    ),
    recurrent_trees.tree_lstm_backward: lambda N, n, W: (
        [(n, 2 * W), (n, W), (n, 5 * W), (n, W), (n, W)],
        [(n, 2 * W), (n, 5 * W)],
    ),
    recurrent_trees.slstm_forward: lambda N, n, W: (
        [(n, W), (n, W), (n, 4 * W), (n, 4 * W)],
        [(n, W), (n, W), (n, 5 * W)],
    ),
    recurrent_trees.slstm_backward: lambda N, n, W: (
        [(n, W), (n, W), (n, W), (n, 5 * W), (n, W), (n, W)],
        [(n, W), (n, W), (n, 4 * W), (n, 4 * W)],
    ),
}

SIZES = [(1, 1, 1), (4, 4, 5), (3, 2, 70), (2, 0, 3), (0, 0, 3)]

EXTREMES = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1000.0, -1000.0, 1e-30, 20.0, -20.0]

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-13}

both = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def named(kernels):
    return pytest.mark.parametrize("kernel", kernels, ids=lambda k: k.py_func.__name__)


def check_twin(cupy, kernel, arrays, outputs, settings, dtype):
    written = [np.zeros(shape, dtype) for shape in outputs]
    kernel(*arrays, *settings, *written)
    of_twin = [cupy.empty(shape, dtype) for shape in outputs]
    launch(kernel, [cupy.asarray(a) for a in arrays], of_twin, settings)
    for expected, got in zip(written, of_twin, strict=True):
        tolerance = TOLERANCE[dtype]
        np.testing.assert_allclose(got.get(), expected, rtol=tolerance, atol=tolerance)


@both
@named(OF_ELEMENTS)
def test_a_twin_does_to_each_element_what_its_kernel_does(device, kernel, dtype):
    count, settings = OF_ELEMENTS[kernel]
    draw = np.random.default_rng(0)
    for size in 0, 1, 300:
        arrays = [draw.normal(size=size).astype(dtype) for _ in range(count)]
        if size > len(EXTREMES):
            arrays[0][: len(EXTREMES)] = EXTREMES
        check_twin(device, kernel, arrays, [(size,)], [dtype(s) for s in settings], dtype)


@both
@named(OF_ROWS)
def test_a_twin_does_to_each_row_what_its_kernel_does(device, kernel, dtype):
    draw = np.random.default_rng(0)
    for size in SIZES:
        takes, writes = OF_ROWS[kernel](*size)
        arrays = [draw.normal(size=shape).astype(dtype) for shape in takes]
        check_twin(device, kernel, arrays, writes, (), dtype)


def test_no_twin_of_these_files_goes_untested():
    files = {k.py_func.__module__ for k in (*OF_ELEMENTS, *OF_ROWS)}
    twins = {k for k in every_twin() if k.py_func.__module__ in files}
    assert twins - {rows.gather_rows, rows.scatter_rows} == {*OF_ELEMENTS, *OF_ROWS}


@both
@pytest.mark.parametrize("ratio", [0.0, 0.3, 1 - 2.0**-53])
def test_dropout_and_zoneout_draw_the_same_numbers_on_a_gpu(device, ratio, dtype):
    draw = np.random.default_rng(0)
    x, h = [draw.normal(size=(7, 43)).astype(dtype) for _ in range(2)]

    def drawn(x, h):
        dynet.random.seed(3)
        F.dropout(x, ratio)
        return F.dropout(x, ratio).array, F.zoneout(h, x, ratio).array

    on_gpu = [y.get() for y in drawn(device.asarray(x), device.asarray(h))]
    for expected, got in zip(drawn(x, h), on_gpu, strict=True):
        np.testing.assert_array_equal(got, expected)


# -- rows of a table ------------------------------------------------------------------------------

IDS = [[2, 0, 2], [5, 3, 2]]


@both
@pytest.mark.parametrize("ids", [np.int64, np.int32, np.uint8, np.uint64], ids=lambda d: d.__name__)
@pytest.mark.parametrize("ignored", [None, 2, -1])
def test_embed_id_on_a_gpu_is_as_on_the_cpu(device, ids, ignored, dtype):
    draw = np.random.default_rng(0)
    table = draw.normal(size=(6, 3)).astype(dtype)
    gy = draw.normal(size=(2, 3, 3)).astype(dtype)
    grads, values = [], []
    for send in np.asarray, device.asarray:
        W = Variable(send(table), requires_grad=True)
        y = F.embed_id(send(np.array(IDS, ids)), W, ignore_label=ignored)
        y.grad = send(gy)
        y.backward()
        values.append(y.array)
        grads.append(W.grad)
    np.testing.assert_array_equal(values[1].get(), values[0])
    np.testing.assert_allclose(grads[1].get(), grads[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_on_a_gpu_an_id_outside_the_table_gives_nan_and_gets_no_gradient(pretend_gpu, dtype):
    W = Variable(pretend_gpu.asarray(np.arange(6, dtype=dtype).reshape(3, 2)), requires_grad=True)
    ids = pretend_gpu.asarray([1, 3, -1, -7])
    y = F.embed_id(ids, W, ignore_label=-7)
    y.grad = pretend_gpu.ones((4, 2), dtype)
    y.backward()
    gW = W.grad
    assert pretend_gpu.synchronisations == []
    nan = np.nan
    np.testing.assert_array_equal(y.array.get(), [[2, 3], [nan, nan], [nan, nan], [0, 0]])
    np.testing.assert_array_equal(gW.get(), [[0, 0], [1, 1], [0, 0]])


def test_in_debug_mode_an_id_outside_the_table_is_an_error_on_a_gpu_too(pretend_gpu):
    W, ids = pretend_gpu.zeros((3, 2), np.float32), pretend_gpu.asarray([1, 3])
    message = r"embed_id: x holds the id 3, expected ids from 0 to 2 \(W: \(3, 2\)\)"
    with dynet.using_config("debug", True), pytest.raises(IndexError, match=message):
        F.embed_id(ids, W)


def test_rows_are_added_into_a_table_of_any_layout_on_a_gpu(device):
    table = device.zeros((2, 3), np.float32).T
    rows.scatter_add(device.asarray([2, 0, 2, 9]), device.ones((4, 2), np.float32), table)
    np.testing.assert_array_equal(table.get(), [[1, 1], [0, 0], [2, 2]])


# -- functions ------------------------------------------------------------------------------------

SHRINKING = (3, 4), (2, 16)  # of three sequences one is over

CELLS = {
    "lstm": (lambda c, x: F.concat(F.lstm(c, x), axis=0), SHRINKING),
    "lstm, one output": (lambda c, x: F.lstm(c, x)[1], SHRINKING),
    "peephole_lstm": (lambda c, x, w: F.concat(F.peephole_lstm(c, x, w), 0), (*SHRINKING, (3, 4))),
    "gru": (F.gru, ((3, 4), (3, 12), (3, 12))),
    "gru, more axes": (F.gru, ((2, 4, 3), (2, 12, 3), (2, 12, 3))),
    "tree_lstm": (lambda *a: F.concat(F.tree_lstm(*a), axis=0), ((3, 4), (3, 4), (3, 20))),
    "slstm": (lambda *a: F.concat(F.slstm(*a), axis=0), ((3, 4), (3, 4), (3, 16), (3, 16))),
    "softmax, first axis": (lambda x: F.softmax(x, axis=0), ((3, 4),)),
    "log_softmax": (F.log_softmax, ((3, 4, 2),)),
    "relu": (F.relu, ((3, 4),)),
    "crelu": (F.crelu, ((3, 4),)),
    "erf": (F.erf, ((3, 4),)),
    "gelu": (F.gelu, ((3, 4),)),
    "prod": (F.prod, ((3, 4),)),
    "cumprod": (lambda x: F.cumprod(x, axis=0), ((3, 4),)),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64], ids=lambda d: d.__name__)
@pytest.mark.parametrize("cell", CELLS)
def test_a_function_with_a_twin_has_the_value_and_gradients_that_it_has_on_the_cpu(
    device, cell, dtype
):
    function, shapes = CELLS[cell]
    draw = np.random.default_rng(0)
    arrays = [draw.normal(size=shape).astype(dtype) for shape in shapes]
    results = []
    for send in np.asarray, device.asarray:
        xs = [Variable(send(a), requires_grad=True) for a in arrays]
        y = function(*xs)
        y.grad = send(np.linspace(-1, 1, y.size, dtype=dtype).reshape(y.shape))
        y.backward()
        results.append([y.array, *[x.grad for x in xs]])
    assert getattr(device, "synchronisations", []) == []
    tolerance = 1e-2 if dtype == np.float16 else 10 * TOLERANCE[dtype]
    for expected, got in zip(*results, strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got.get(), expected, rtol=tolerance, atol=tolerance)


def test_the_gradient_of_a_sum_on_a_gpu_may_be_written_to(pretend_gpu):
    x = Variable(pretend_gpu.ones((2, 3), np.float32), requires_grad=True)
    F.sum(x).backward()
    x.grad[0, 0] = 5
    assert x.grad.get().tolist() == [[5, 1, 1], [1, 1, 1]]


def test_on_a_gpu_weights_that_sum_to_0_give_nan_and_in_debug_mode_an_error(pretend_gpu):
    x, weights = pretend_gpu.zeros(2, np.float32), pretend_gpu.zeros(2, np.float32)
    y = F.average(x, weights=weights)
    assert pretend_gpu.synchronisations == []
    assert np.isnan(y.array.get())
    with dynet.using_config("debug", True), pytest.raises(ZeroDivisionError, match="sum to 0"):
        F.average(x, weights=weights)
