"""What holds for every differentiable function, one row of the table after the other."""

import numpy as np
import pytest
from table import TABLE

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.gradient_check import check_backward, check_double_backward

every_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)


def arrays_of(row, dtype=np.float64):
    arrays = row.inputs(np.random.default_rng(0))
    return [np.asarray(a, dtype) if a.dtype.kind == "f" else a for a in arrays]


def value_and_gradients(row, xs):
    """The value, and the gradient of every Variable among the inputs."""
    y = row.function(*xs)
    y.grad = np.asarray(np.random.default_rng(1).normal(size=y.shape), y.dtype)
    y.backward()
    return y.array, [x.grad for x in xs if isinstance(x, Variable) and x.requires_grad]


def strided(a):
    """The same numbers, at every other place of a larger array."""
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]) if a.ndim else (2,), a.dtype)
    view = wide[..., ::2] if a.ndim else wide[0:1].reshape(())
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def test_every_function_has_a_row_in_the_table():
    named = {row.name.partition(":")[0] for row in TABLE}
    assert set(F.__all__) - {"accuracy"} <= named


def test_every_row_has_a_name_of_its_own():
    assert len({row.name for row in TABLE}) == len(TABLE)


@every_row
def test_the_gradient_is_the_numerical_one(row):
    check_backward(row.function, tuple(arrays_of(row)))


@pytest.mark.parametrize("row", [r for r in TABLE if not r.flat], ids=lambda row: row.name)
def test_the_gradient_of_the_gradient_is_the_numerical_one(row):
    check_double_backward(row.function, tuple(arrays_of(row)))


@every_row
def test_float32_stays_float32_in_value_and_gradients(row):
    y, gradients = value_and_gradients(row, [Variable(a) for a in arrays_of(row, np.float32)])
    assert {y.dtype, *(g.dtype for g in gradients if g is not None)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("row", [r for r in TABLE if r.numpy], ids=lambda row: row.name)
def test_the_value_is_that_of_numpy(row):
    arrays = arrays_of(row)
    y = row.function(*[Variable(a) for a in arrays])
    expected = row.numpy(*arrays)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(y.array, expected, rtol=1e-13)


@pytest.mark.parametrize("row", [r for r in TABLE if r.torch], ids=lambda row: row.name)
def test_value_and_gradients_are_those_of_torch(row):
    torch = pytest.importorskip("torch")
    arrays = arrays_of(row)
    y, gradients = value_and_gradients(row, [Variable(a) for a in arrays])
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    expected = row.torch(*tensors)
    expected.backward(torch.tensor(np.random.default_rng(1).normal(size=y.shape)))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12)
    for gradient, tensor in zip(gradients, [t for t in tensors if t.requires_grad], strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-12, atol=1e-15)


@every_row
def test_raw_arrays_are_constants(row):
    y = row.function(*arrays_of(row))
    assert not getattr(y, "requires_grad", False)


@every_row
def test_one_variable_among_raw_arrays_gets_its_gradient(row):
    arrays = arrays_of(row)
    _, expected = value_and_gradients(row, [Variable(a) for a in arrays])
    floating = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    for i, gradient in zip(floating, expected, strict=True):
        xs = [Variable(a) if j == i else a for j, a in enumerate(arrays)]
        np.testing.assert_equal(value_and_gradients(row, xs)[1], [gradient])


@every_row
def test_under_no_backprop_mode_the_value_is_there_and_no_record(row):
    arrays = arrays_of(row)
    with dynet.no_backprop_mode():
        y = row.function(*[Variable(a) for a in arrays])
    assert y.creator is None
    np.testing.assert_array_equal(y.array, row.function(*[Variable(a) for a in arrays]).array)


@pytest.mark.parametrize("layout", [strided, np.asfortranarray, read_only])
@every_row
def test_the_layout_of_the_inputs_changes_nothing(row, layout):
    arrays = arrays_of(row)
    y, gradients = value_and_gradients(row, [Variable(layout(a)) for a in arrays])
    expected, expected_gradients = value_and_gradients(row, [Variable(a) for a in arrays])
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    for got, wanted in zip(gradients, expected_gradients, strict=True):
        if wanted is not None:
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-15)


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
