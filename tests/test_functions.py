"""What holds for every differentiable function, one row of the table after the other."""

import inspect

import numpy as np
import pytest
from table import TABLE, arrays_of

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.functions.numpy_protocol import IMPLEMENTATIONS
from dynet.gradient_check import check_backward, check_double_backward

CASES = [(row, case) for row in TABLE for case in row.cases]


def over(*cases):
    """A test of each row of the table, which is run for each of these cases of the row."""
    of_row = {}
    for row, case in cases:
        of_row.setdefault(row.name, []).append((row, case))

    def decorate(test):
        def of_each_case(name, **others):
            for row, case in of_row[name]:
                test(row, case, **others)

        # Pytest reads here what to call it with. A test of each case would take longer to start
        # than to run.
        names = ["name", *list(inspect.signature(test).parameters)[2:]]
        kind = inspect.Parameter.KEYWORD_ONLY
        of_each_case.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])
        of_each_case.__name__ = test.__name__
        return pytest.mark.parametrize("name", of_row)(of_each_case)

    return decorate


every_case = over(*CASES)


def value_and_gradients(row, xs):
    """The value, and the gradient of every Variable among the inputs."""
    y = row.function(*xs)
    if isinstance(y, tuple):
        y = F.concat([v.reshape(-1) for v in y], axis=0)
    if y.requires_grad:
        y.grad = np.asarray(np.random.default_rng(1).normal(size=y.shape), y.dtype)
        y.backward()
    return y.array, [x.grad for x in xs if isinstance(x, Variable) and x.requires_grad]


def outputs_of(y):
    """The arrays of one or several outputs."""
    return [v.array for v in (y if isinstance(y, tuple) else (y,))]


def strided(a):
    """The same numbers, at every other place of a larger array."""
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]) if a.ndim else (2,), a.dtype)
    view = wide[..., ::2] if a.ndim else wide[0:1].reshape(())
    view[...] = a
    return view


def fortran_ordered(a):
    return np.asarray(a, order="F")  # np.asfortranarray gives every array an axis


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def rows_by_function():
    rows = {}
    for row in TABLE:
        rows.setdefault(row.name.partition(":")[0], []).append(row)
    return rows


@pytest.mark.parametrize("name", F.__all__)
def test_a_function_has_rows_in_the_table_with_several_shapes_and_an_empty_array(name):
    rows = rows_by_function().get(name, [])
    cases = [arrays_of(case) for row in rows for case in row.cases]
    assert len({tuple(a.shape for a in arrays) for arrays in cases}) >= 3
    if not any(row.never_empty for row in rows):
        assert any(a.size == 0 for arrays in cases for a in arrays)


@pytest.mark.parametrize("name", F.__all__)
def test_a_function_has_inputs_for_the_benchmark(name):
    assert any(row.bench for row in rows_by_function().get(name, []))


def test_every_row_has_a_name_of_its_own():
    assert len({row.name for row in TABLE}) == len(TABLE)


@over(*[(r, c) for r, c in CASES if r.measure])
def test_a_measure_requires_no_gradient(row, case):
    assert not row.function(*[Variable(a) for a in arrays_of(case)]).requires_grad


@over(*[(r, c) for r, c in CASES if not r.measure])
def test_the_gradient_is_the_numerical_one(row, case):
    check_backward(row.function, tuple(arrays_of(case)))


@over(*[(r, c) for r, c in CASES if not (r.flat or r.measure)])
def test_the_gradient_of_the_gradient_is_the_numerical_one(row, case):
    check_double_backward(row.function, tuple(arrays_of(case)))


@every_case
def test_float32_stays_float32_in_value_and_gradients(row, case):
    arrays = arrays_of(case, np.float32)
    y, gradients = value_and_gradients(row, [Variable(a) for a in arrays])
    assert y.dtype == np.float32 or y.dtype.kind == "i"  # positions are integers
    assert all(g.dtype == np.float32 for g in gradients if g is not None)


@every_case
def test_float32_gives_nearly_what_float64_gives(row, case):
    arrays = arrays_of(case, np.float32)
    y, gradients = value_and_gradients(row, [Variable(a) for a in arrays])
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    expected, expected_gradients = value_and_gradients(row, [Variable(a) for a in wide])
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    for got, wanted in zip(gradients, expected_gradients, strict=True):
        if wanted is not None:
            np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


@over(*[(r, c) for r, c in CASES if r.numpy])
def test_the_value_is_that_of_numpy(row, case):
    arrays = arrays_of(case)
    y = outputs_of(row.function(*[Variable(a) for a in arrays]))
    expected = row.numpy(*arrays)
    for got, wanted in zip(
        y, expected if isinstance(expected, (tuple, list)) else (expected,), strict=True
    ):
        assert got.shape == np.shape(wanted)
        np.testing.assert_allclose(got, wanted, rtol=row.rtol, atol=1e-15)


@over(*[(r, c) for r, c in CASES if r.numpy in IMPLEMENTATIONS])
def test_the_function_of_numpy_gives_the_same_of_variables(row, case):
    arrays = arrays_of(case)
    y = row.numpy(*[Variable(a) for a in arrays])
    np.testing.assert_array_equal(y.array, row.function(*[Variable(a) for a in arrays]).array)
    assert y.requires_grad or row.flat


@over(*[(r, c) for r, c in CASES if r.torch])
def test_value_and_gradients_are_those_of_torch(row, case):
    torch = pytest.importorskip("torch")
    arrays = arrays_of(case)
    y, gradients = value_and_gradients(row, [Variable(a) for a in arrays])
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    expected = row.torch(*tensors)
    if isinstance(expected, (tuple, list)):
        expected = torch.cat([e.reshape(-1) for e in expected])
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-11, atol=1e-14)
    if not expected.requires_grad:
        return
    expected.backward(torch.tensor(np.random.default_rng(1).normal(size=y.shape)))
    for gradient, tensor in zip(gradients, [t for t in tensors if t.requires_grad], strict=True):
        wanted = 0 if tensor.grad is None else tensor.grad.numpy()
        got = np.zeros(tensor.shape) if gradient is None else gradient
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-13)


@every_case
def test_raw_arrays_are_constants(row, case):
    y = row.function(*arrays_of(case))
    for v in y if isinstance(y, tuple) else (y,):
        assert not getattr(v, "requires_grad", False)


@every_case
def test_one_variable_among_raw_arrays_gets_its_gradient(row, case):
    arrays = arrays_of(case)
    _, expected = value_and_gradients(row, [Variable(a) for a in arrays])
    floating = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    for i, gradient in zip(floating, expected, strict=True):
        xs = [Variable(a) if j == i else a for j, a in enumerate(arrays)]
        got = value_and_gradients(row, xs)[1]
        if gradient is None:
            assert got == [None]
        else:
            np.testing.assert_allclose(got[0], gradient, rtol=1e-12, atol=1e-15)


@every_case
def test_under_no_backprop_mode_the_value_is_there_and_no_record(row, case):
    arrays = arrays_of(case)
    with dynet.no_backprop_mode():
        y = row.function(*[Variable(a) for a in arrays])
    assert all(v.creator is None for v in (y if isinstance(y, tuple) else (y,)))
    expected = row.function(*[Variable(a) for a in arrays])
    for got, wanted in zip(outputs_of(y), outputs_of(expected), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("layout", [strided, fortran_ordered, read_only])
@every_case
def test_the_layout_of_the_inputs_changes_nothing(row, case, layout):
    arrays = arrays_of(case)
    y, gradients = value_and_gradients(row, [Variable(layout(a)) for a in arrays])
    expected, expected_gradients = value_and_gradients(row, [Variable(a) for a in arrays])
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-15)
    for got, wanted in zip(gradients, expected_gradients, strict=True):
        if wanted is not None:
            np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-14)


@every_case
def test_debug_mode_changes_nothing(row, case):
    arrays = arrays_of(case)
    y, gradients = value_and_gradients(row, [Variable(a) for a in arrays])
    with dynet.using_config("debug", True):
        watched, watched_gradients = value_and_gradients(row, [Variable(a) for a in arrays])
    np.testing.assert_array_equal(watched, y)
    for got, wanted in zip(watched_gradients, gradients, strict=True):
        np.testing.assert_array_equal(got, wanted)


INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_embed_id_takes_ids_of_every_integer_dtype(dtype):
    W = Variable(np.arange(6.0).reshape(3, 2))
    y = F.embed_id(np.array([2, 0, 2], dtype), W)
    np.testing.assert_array_equal(y.array, [[4, 5], [0, 1], [4, 5]])
    y.sum().backward()
    np.testing.assert_array_equal(W.grad, [[1, 1], [0, 0], [2, 2]])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_softmax_cross_entropy_takes_labels_of_every_integer_dtype(dtype):
    x = Variable(np.zeros((2, 3)))
    F.softmax_cross_entropy(x, np.array([2, 0], dtype)).backward()
    np.testing.assert_allclose(x.grad * 6, [[1, 1, -2], [-2, 1, 1]])


def test_one_table_takes_ids_of_different_dtypes_in_one_tape():
    W = Variable(np.ones((3, 2)))
    y = F.embed_id(np.array([1], np.int64), W) + F.embed_id(np.array([1], np.uint64), W)
    y.sum().backward()
    np.testing.assert_array_equal(W.grad, [[0, 0], [2, 2], [0, 0]])


def test_an_index_into_an_empty_selection_has_a_gradient_of_zeros():
    x = Variable(np.ones(3))
    x[np.zeros(3, bool)].sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros(3))


def test_iterating_over_a_variable_gives_its_rows():
    x = Variable(np.arange(6.0).reshape(3, 2))
    for i, row in enumerate(x):
        (row * i).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 0], [1, 1], [2, 2]])


def test_relu_carries_nan_on():
    assert np.isnan(F.relu(np.array([np.nan])).array).all()


def test_relu_has_gradient_0_at_0():
    x = Variable(np.zeros(2))
    F.relu(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0])


def test_absolute_has_gradient_0_at_0():
    x = Variable(np.zeros(2))
    F.absolute(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0])


def test_the_power_0_has_gradient_0_also_of_0():
    x = Variable(np.zeros(2))
    (x**0).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0])


def test_an_exponent_of_0_gets_a_finite_gradient():
    y = Variable(np.array(2.0))
    (0**y).backward()
    assert y.grad == 0


def test_a_constant_that_shares_its_array_with_a_variable_stays_a_constant_in_second_order():
    x = Variable(np.array([1.0, 2.0]))
    (gx,) = dynet.grad((x * x.array * x).sum(), x, create_graph=True)  # 2 * c * x
    (ggx,) = dynet.grad(gx.sum(), x)
    np.testing.assert_array_equal(ggx.array, 2 * x.array)


def test_two_variables_of_one_array_are_told_apart_in_second_order():
    array = np.array([1.0, 2.0])
    x, y = Variable(array), Variable(array)
    (gx,) = dynet.grad((x * y).sum(), x, create_graph=True)
    gxx, gxy = dynet.grad(gx.sum(), [x, y])
    assert gxx is None and gxy is not None


def test_a_comparison_gives_booleans():
    x = Variable(np.array([1.0, 3.0]))
    np.testing.assert_array_equal(x > 2, [False, True])
