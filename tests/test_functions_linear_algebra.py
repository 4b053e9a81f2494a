"""What the table cannot say of linear algebra: refusals, singular matrices, NumPy's names."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.gradient_check import check_backward, check_double_backward

V = Variable(np.arange(6.0).reshape(2, 3) + 1)
W = Variable(np.arange(12.0).reshape(3, 4) - 5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.matmul(V, V, transa=True, transb=True), ValueError, "a (3, 2) and b (3, 2) do"),
        (lambda: F.matmul([1.0], V, transa=True), TypeError, "matmul: a is list, expected an"),
        (lambda: F.matmul(V, 2.0), TypeError, "matmul: b is 2.0, expected an array"),
        (lambda: F.tensordot(V, [1.0]), TypeError, "tensordot: b is list, expected an array"),
        (lambda: F.tensordot(V, V.array.astype("f4")), TypeError, "a is float64, b is float32"),
        (lambda: F.tensordot(V, V, 3), ValueError, "tensordot: axes is 3, expected from 0"),
        (lambda: F.tensordot(V, V, -1), ValueError, "tensordot: axes is -1, expected from 0"),
        (
            lambda: F.tensordot(V, V, 1),
            ValueError,
            "(1,) of a are [3] long, the axes (0,) of b [2]",
        ),
        (
            lambda: F.tensordot(V, V, True),
            TypeError,
            "tensordot: axes is True, expected an integer",
        ),
        (lambda: F.tensordot(V, V, 1.0), TypeError, "tensordot: axes is 1.0, expected an integer"),
        (lambda: F.tensordot(V, V, (0, 1, 1)), TypeError, "tensordot: axes is (0, 1, 1), expected"),
        (lambda: F.tensordot(V, V, ((0, 1), 0)), ValueError, "2 of a and 1 of b, expected as many"),
        (lambda: F.tensordot(V, V, ((0, -2), (0, 0))), ValueError, "names an axis twice"),
        (lambda: F.tensordot(V, V, (2, 0)), ValueError, "the axes of a: axis is 2, x has 2 axes"),
        (lambda: F.einsum(V, [0, 1]), TypeError, "einsum: subscripts is Variable, expected a str"),
        (lambda: F.einsum("ij"), ValueError, "einsum: subscripts is 'ij', for 1 operands, got 0"),
        (lambda: F.einsum("ij,jk", V), ValueError, "'ij,jk', for 2 operands, got 1"),
        (lambda: F.einsum("ij", [1.0]), TypeError, "einsum: operand 0 is list, expected an array"),
        (
            lambda: F.einsum("ijk", V),
            ValueError,
            "operand 0 has 2 axes, its subscripts 'ijk' name 3",
        ),
        (lambda: F.einsum("i", V), ValueError, "operand 0 has 2 axes, its subscripts 'i' name 1"),
        (lambda: F.einsum("...ijk", V), ValueError, "operand 0 has 2 axes"),
        (lambda: F.einsum("i1", V), ValueError, "'i1', expected letters"),
        (lambda: F.einsum("i..j", V), ValueError, "'i..j', expected letters"),
        (lambda: F.einsum("......", V), ValueError, "'......', expected letters"),
        (lambda: F.einsum("ij->->", V), ValueError, "'ij->->', expected letters"),
        (lambda: F.einsum("ij->k", V), ValueError, "in the result labels of the operands, each"),
        (lambda: F.einsum("ij->ii", V), ValueError, "in the result labels of the operands, each"),
        (lambda: F.einsum("i...->i", V), ValueError, "whose result has no '...'"),
        (lambda: F.einsum("ii", V), ValueError, "axes of different lengths (operands: (2, 3))"),
        (lambda: F.einsum("ii", np.ones((1, 3))), ValueError, "axes of different lengths"),
        (lambda: F.einsum("ij,ij", V, W), ValueError, "(operands: (2, 3), (3, 4))"),
        (lambda: F.einsum("...,...", V, W), ValueError, "(operands: (2, 3), (3, 4))"),
        (lambda: F.einsum("ij,ij", V, V.array.astype("f4")), TypeError, "operand 1 is float32"),
        (lambda: np.dot(V, V), ValueError, "a (2, 3) and b (2, 3) do not fit"),
    ],
)
def test_bad_input_is_an_error_that_says_what_came(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["inv", "det", "cholesky", "batch_inv", "batch_det"])
@pytest.mark.parametrize(
    ("a", "error", "message"),
    [
        ([[1.0]], TypeError, "a is list, expected a"),
        (np.ones((1, 2, 2), int), TypeError, "a is int64 (1, 2, 2), expected a floating array"),
        (np.ones((1, 2, 2), "f2"), TypeError, "a is float16, expected float32 or float64"),
        (np.ones((1, 2, 3)), ValueError, "a has shape (1, 2, 3), expected square matrices"),
        (np.ones(3), ValueError, "a has shape (3,), "),
    ],
)
def test_what_is_no_matrix_is_an_error(name, a, error, message):
    with pytest.raises(error) as caught:
        getattr(F, name)(a)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["batch_inv", "batch_det"])
def test_a_batch_has_three_axes(name):
    with pytest.raises(ValueError, match=rf"{name}: a has shape \(2, 2\), 2 axes, expected 3"):
        getattr(F, name)(np.eye(2))


@pytest.mark.parametrize("a", [np.zeros((2, 2)), np.stack([np.eye(2), np.ones((2, 2))])])
def test_a_singular_matrix_has_no_inverse(a):
    with pytest.raises(ValueError, match=r"inv: a holds a singular matrix.*\(a: "):
        F.inv(a)


def test_a_matrix_that_is_not_positive_definite_has_no_cholesky_factor():
    with pytest.raises(ValueError, match=r"cholesky: .* not positive definite \(a: \(2, 2\)\)"):
        F.cholesky(-np.eye(2))


def test_the_gradient_of_det_is_the_matrix_of_cofactors_also_of_a_singular_matrix():
    a = Variable(np.array([[1.0, 2.0], [2.0, 4.0]]))
    F.det(a).backward()
    np.testing.assert_allclose(a.grad, [[4, -2], [-2, 1]])


def test_the_gradient_of_det_is_right_of_a_nearly_singular_matrix():
    a = Variable(np.array([[1.0, 2.0], [2.0, 4.0 + 1e-15]]))
    F.det(a).backward()
    np.testing.assert_allclose(a.grad, [[4, -2], [-2, 1]], rtol=1e-12)


def test_a_third_derivative_of_det_is_there_of_invertible_matrices():
    def second(a):
        (g,) = dynet.grad(F.det(a), a, create_graph=True)
        return dynet.grad((g * g).sum(), a, create_graph=True)[0]

    check_backward(second, np.array([[2.0, 1.0, 0.5], [0.3, 1.5, -1.0], [0.2, 0.7, 3.0]]))
    with pytest.raises(ValueError, match="inv: a holds a singular matrix"):
        dynet.grad(second(Variable(np.zeros((3, 3)))).sum(), V)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("function", [F.inv, F.det])
def test_nan_is_carried_on(function):
    a = Variable(np.full((2, 2), np.nan))
    y = function(a)
    y.sum().backward()
    assert np.isnan(y.array).all() and np.isnan(a.grad).all()


def test_cholesky_is_that_of_the_symmetric_part():
    a = np.array([[4.0, 3.0], [1.0, 5.0]])
    np.testing.assert_allclose(F.cholesky(a).array, np.linalg.cholesky([[4, 2], [2, 5]]))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((), (2, 3)),
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((3,), (5, 3, 2)),
        ((2, 3), (5, 3, 2)),
        ((0, 3), (3, 2)),
    ],
)
def test_dot_means_what_it_means_in_numpy(a, b):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=a), rng.normal(size=b)
    for y in np.dot(Variable(a), b), np.dot(a, Variable(b)), Variable(a).dot(Variable(b)):
        np.testing.assert_allclose(y.array, np.dot(a, b), rtol=1e-13)
        assert y.requires_grad


@pytest.mark.parametrize("function", [np.inner, np.outer, np.vdot, np.dot])
@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (2, 3)), ((0,), (0,)), ((), (2,))])
def test_products_by_numpys_names_are_those_of_numpy(function, shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    try:
        expected = function(*arrays)
    except ValueError:
        with pytest.raises(ValueError, match="matmul: "):
            function(*map(Variable, arrays))
        return
    for a, b in (map(Variable, arrays), (arrays[0], Variable(arrays[1]))):
        y = function(a, b)
        np.testing.assert_allclose(y.array, expected, rtol=1e-13)
        assert y.shape == np.shape(expected) and y.requires_grad


@pytest.mark.parametrize("arguments", [(), (1,), (-1, 1, 0), (0, 0, -1)])
def test_the_trace_is_that_of_numpy(arguments):
    a = np.arange(24.0).reshape(2, 3, 4)
    y = np.trace(Variable(a), *arguments)
    np.testing.assert_array_equal(y.array, np.trace(a, *arguments))
    assert y.requires_grad


def test_einsum_and_tensordot_take_operands_without_axes():
    check_double_backward(lambda a, b: F.einsum(",->", a, b), (np.array(2.0), np.array(3.0)))
    check_double_backward(lambda a, b: F.tensordot(a, b, 0), (np.ones(2), np.array(3.0)))


def test_einsum_of_one_variable_twice_is_differentiated_twice():
    check_double_backward(lambda a: F.einsum("ij,jk", a, a), np.array([[1.0, 2.0], [3.0, 5.0]]))


def test_einsum_has_one_constant_among_its_operands():
    y = F.einsum("ij,jk", V, W.array)
    y.sum().backward()
    np.testing.assert_array_equal(V.grad, np.broadcast_to(W.array.sum(1), (2, 3)))


LENGTHS = {"a": 2, "b": 3, "c": 1, "d": 4}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_einsum_is_that_of_numpy_with_numerical_gradients(data):
    labels = st.text("abcd", max_size=3)
    terms = data.draw(st.lists(labels, min_size=1, max_size=3))
    dotted = data.draw(st.lists(st.booleans(), min_size=len(terms), max_size=len(terms)))
    shapes = []
    for i, term in enumerate(terms):
        stretched = data.draw(st.sets(st.sampled_from("abcd"), max_size=1))
        shape = [1 if x in stretched else LENGTHS[x] for x in term]
        if dotted[i]:
            shape = data.draw(st.sampled_from([[], [2], [3, 1], [3, 2]])) + shape
            terms[i] = "..." + term
        shapes.append(shape)
    subscripts = ",".join(terms)
    if data.draw(st.booleans()):
        known = sorted(set(subscripts) - {",", "."})
        result = data.draw(st.lists(st.sampled_from(known), unique=True)) if known else []
        subscripts += "->" + ("..." if any(dotted) else "") + "".join(result)
    rng = np.random.default_rng(0)
    operands = [rng.normal(size=shape) for shape in shapes]
    y = F.einsum(subscripts, *map(Variable, operands))
    expected = np.einsum(subscripts, *operands)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(y.array, expected, rtol=1e-10, atol=1e-12)
    check_backward(lambda *xs: F.einsum(subscripts, *xs), tuple(operands))
