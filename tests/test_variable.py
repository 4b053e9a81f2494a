"""Variables: operators, gradients, cutting the tape, and what is refused."""

import copy
import operator
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dynet.functions as F
from dynet import Parameter, Variable, grad, no_backprop_mode
from dynet.gradient_check import check_backward, check_double_backward

BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
]
SMOOTH = [f for f in BINARY if f is not operator.floordiv]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
SCALARS = [2, 2.5, True, np.float32(2.5), np.float64(2.5), np.int64(2)]


def by_name(x):
    return f"{type(x).__name__}({x})" if isinstance(x, (int, float, np.generic)) else x.__name__


def var(*values, dtype=np.float64, **kwargs):
    return Variable(np.array(values, dtype), **kwargs)


# -- operators ----------------------------------------------------------------------------------


@pytest.mark.parametrize("op", BINARY, ids=by_name)
def test_an_operator_gives_what_numpy_gives(op):
    x, y = np.array([1.5, 2.5, 7.0]), np.array([2.0, 0.5, 3.0])
    for a, b in [(Variable(x), Variable(y)), (Variable(x), y), (x, Variable(y))]:
        z = op(a, b)
        assert isinstance(z, Variable)
        np.testing.assert_array_equal(z.array, op(x, y))


@pytest.mark.parametrize("op", SMOOTH, ids=by_name)
@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((), ())]
)
def test_the_gradients_of_an_operator_are_right_whatever_broadcasts(op, a, b):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(1.1, 1.9, a), rng.uniform(0.3, 0.9, b)
    check_backward(op, (x, y))
    check_backward(op, (y, x))
    check_double_backward(op, (x, y))


@pytest.mark.parametrize("op", BINARY, ids=by_name)
@pytest.mark.parametrize("scalar", SCALARS, ids=by_name)
@pytest.mark.parametrize("swapped", [False, True], ids=["right", "left"])
def test_a_scalar_on_either_side_keeps_float32_forward_and_backward(op, scalar, swapped):
    x = var(1.5, 3.0, dtype=np.float32)
    y = op(scalar, x) if swapped else op(x, scalar)
    assert isinstance(y, Variable)
    assert y.dtype == np.float32
    if op is not operator.floordiv:
        y.sum().backward()
        assert x.grad.dtype == np.float32


@pytest.mark.parametrize("op", SMOOTH, ids=by_name)
@pytest.mark.parametrize("swapped", [False, True], ids=["right", "left"])
def test_a_scalar_on_either_side_has_right_gradients(op, swapped):
    x = np.array([1.5, 3.2])
    f = (lambda v: op(2.5, v)) if swapped else (lambda v: op(v, 2.5))
    check_backward(f, x)
    check_double_backward(f, x)


@pytest.mark.parametrize("op", [operator.neg, operator.pos, operator.abs], ids=by_name)
def test_a_sign_operator_gives_what_numpy_gives(op):
    x = np.array([-1.5, 2.0])
    np.testing.assert_array_equal(op(Variable(x)).array, op(x))
    check_backward(op, x)


@pytest.mark.parametrize("op", COMPARISONS, ids=by_name)
def test_a_comparison_gives_an_array_of_booleans(op):
    x, y = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    for a, b in [(Variable(x), Variable(y)), (Variable(x), y), (x, Variable(y))]:
        compared = op(a, b)
        assert isinstance(compared, np.ndarray)
        np.testing.assert_array_equal(compared, op(x, y))
    for scalar in 2, 2.0, np.float64(2):
        np.testing.assert_array_equal(op(Variable(x), scalar), op(x, scalar))
        np.testing.assert_array_equal(op(scalar, Variable(x)), op(scalar, x))


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3, 2))],
)
def test_matmul_mixes_variables_and_arrays(a, b):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=a), rng.normal(size=b)
    for z in (Variable(x) @ Variable(y), Variable(x) @ y, x @ Variable(y), Variable(x).dot(y)):
        np.testing.assert_allclose(z.array, x @ y)
    check_backward(operator.matmul, (x, y))
    check_double_backward(operator.matmul, (x, y))


def test_the_power_has_finite_derivatives_at_zero():
    x = var(0.0, 0.0, 0.0)
    (x ** np.array([0.0, 1.0, 2.0])).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 1, 0])


def test_an_assignment_operator_makes_a_new_variable():
    x = var(1.0, 2.0)
    y = x
    y += 1
    y *= x
    np.testing.assert_array_equal(x.array, [1, 2])
    np.testing.assert_array_equal(y.array, [2, 6])


def test_an_array_does_not_swallow_a_variable_in_place():
    a = np.ones(2)
    with pytest.raises(TypeError):
        a += var(1.0, 2.0)
    np.testing.assert_array_equal(a, 1)


def test_integers_and_booleans_mix_with_floats_that_can_hold_them():
    x = var(1.5, 2.0, dtype=np.float32)
    y = x * np.array([True, False]) + np.array([1, 2], np.int8)
    assert y.dtype == np.float32
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 0])


@settings(deadline=None, max_examples=60)
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), st.data())
def test_the_gradient_of_a_broadcast_sums_back_to_each_operand(shapes, data):
    x, y = (Variable(np.ones(s)) for s in shapes.input_shapes)
    op = data.draw(st.sampled_from([operator.add, operator.sub, operator.mul]))
    z = op(x, y)
    assert z.shape == shapes.result_shape
    z.sum().backward()
    for v, sign in (x, 1), (y, -1 if op is operator.sub else 1):
        copies = z.size / v.size if v.size else 0
        np.testing.assert_array_equal(v.grad, np.full(v.shape, sign * copies))


@settings(deadline=None, max_examples=60)
@given(hnp.mutually_broadcastable_shapes(num_shapes=1, max_dims=3, max_side=3))
def test_the_gradient_of_broadcast_to_counts_the_copies(shapes):
    (shape,) = shapes.input_shapes
    x = Variable(np.ones(shape))
    y = F.broadcast_to(x, shapes.result_shape)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(shape, y.size / x.size if x.size else 0))


# -- indexing -----------------------------------------------------------------------------------

SHAPE = (3, 4, 2)


def any_index(shape):
    return st.one_of(
        hnp.basic_indices(shape, allow_newaxis=True),
        hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)),
        hnp.arrays(bool, shape),
        hnp.arrays(bool, shape[:1]),
        st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4),
        st.tuples(st.just(Ellipsis), st.lists(st.integers(0, shape[-1] - 1), min_size=1)),
    )


@settings(deadline=None, max_examples=100)
@given(any_index(SHAPE))
def test_an_index_gives_what_numpy_gives_and_its_gradient_goes_back_there(index):
    x = Variable(np.arange(float(np.prod(SHAPE))).reshape(SHAPE))
    y = x[index]
    np.testing.assert_array_equal(y.array, x.array[index])
    weights = np.asarray(np.random.default_rng(0).normal(size=y.shape))
    (y * weights).sum().backward()
    expected = np.zeros(SHAPE)
    np.add.at(expected, index, weights)
    np.testing.assert_allclose(x.grad, expected)


def test_a_place_that_an_index_names_twice_gets_both_gradients():
    x = var(1.0, 2.0)
    x[[0, 0, 1]].sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 1])


def test_a_variable_can_be_iterated_over():
    x = Variable(np.arange(6.0).reshape(3, 2))
    total = 0
    for i, row in enumerate(x):
        total = total + (i + 1) * row.sum()
    total.backward()
    np.testing.assert_array_equal(x.grad, [[1, 1], [2, 2], [3, 3]])
    with pytest.raises(TypeError):
        iter(Variable(np.array(1.0)))


def test_an_index_out_of_range_is_an_index_error():
    with pytest.raises(IndexError):
        var(1.0, 2.0)[2]


# -- what it looks like -------------------------------------------------------------------------


def test_a_variable_tells_the_shape_and_dtype_of_its_array():
    x = Variable(np.zeros((2, 3), np.float32), name="x")
    assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float32, 2)
    assert x.xp is np
    assert "x" in repr(x)


def test_a_variable_of_one_element_is_a_number():
    x = Variable(np.array([[2.5]]))
    assert (float(x), int(x), x.item(), bool(x)) == (2.5, 2, 2.5, True)
    with pytest.raises(TypeError, match="expected one element"):
        float(var(1.0, 2.0))


def test_variables_are_told_apart_by_identity_as_keys():
    x, y = var(1.0), var(1.0)
    assert {x: 1, y: 2}[x] == 1


# -- gradients ----------------------------------------------------------------------------------


def test_backward_brings_the_gradient_to_every_leaf():
    x, y = var(1.0, 2.0), var(3.0, 4.0)
    (x * x * y).sum().backward()
    np.testing.assert_array_equal(x.grad, [6, 16])
    np.testing.assert_array_equal(y.grad, [1, 4])


def test_backward_starts_from_the_gradient_that_was_set():
    x = var(1.0, 2.0)
    y = x * x
    y.grad = np.array([10.0, 100.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [20, 400])


def test_cleargrad_starts_afresh():
    x = var(1.0, 2.0)
    y = (x * x).sum()
    y.backward()
    x.cleargrad()
    assert x.grad is None
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


def test_a_gradient_given_at_the_start_is_added_to():
    x = var(1.0, 2.0, grad=np.array([1.0, 1.0]))
    x.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2])


def test_the_gradient_of_a_variable_without_axes_stays_an_array():
    x = Variable(np.array(3.0))
    y = x * x
    y.backward()
    y.backward()
    assert isinstance(x.grad, np.ndarray)
    assert x.grad == 12


def test_the_gradient_that_a_variable_without_axes_retains_is_an_array():
    x = Variable(np.array(3.0))
    y = x * x
    y.retain_grad()
    (y * y).backward()
    assert isinstance(y.grad, np.ndarray)


def test_a_variable_that_requires_no_gradient_gets_none():
    x = var(1.0, 2.0, requires_grad=False)
    y = var(1.0, 2.0)
    (x * y).sum().backward()
    assert x.grad is None
    assert not x.requires_grad
    np.testing.assert_array_equal(y.grad, [1, 2])


def test_integers_require_no_gradient():
    assert not Variable(np.arange(3)).requires_grad


def test_a_computed_variable_keeps_no_gradient_by_itself():
    x = var(1.0, 2.0)
    y = x * 2
    y.sum().backward()
    assert y.grad is None


def test_retain_grad_keeps_the_gradient_of_that_variable_alone():
    x = var(1.0, 2.0)
    y = x * 2
    z = y * y
    y.retain_grad()
    z.sum().backward()
    np.testing.assert_array_equal(y.grad, [4, 8])
    assert z.grad is None


def test_a_later_sweep_replaces_a_retained_gradient():
    x = var(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    loss = (y * y).sum()
    loss.backward()
    loss.backward()
    np.testing.assert_array_equal(y.grad, [4, 8])


def test_backward_can_retain_all_gradients_on_the_way():
    x = var(1.0, 2.0)
    y = x * 2
    z = y * y
    z.sum().backward(retain_grad=True)
    np.testing.assert_array_equal(y.grad, [4, 8])
    np.testing.assert_array_equal(z.grad, [1, 1])


def test_a_retained_gradient_is_nobody_elses_array():
    x = var(1.0, 2.0)
    y = x + 1
    z = y + 1
    z.sum().backward(retain_grad=True)
    y.grad += 100
    np.testing.assert_array_equal(z.grad, 1)
    np.testing.assert_array_equal(x.grad, 1)


def test_retain_grad_of_a_leaf_is_allowed():
    x = var(1.0)
    x.retain_grad()
    x.sum().backward()
    assert x.grad == 1


def test_a_deep_copy_gets_a_gradient_of_its_own_after_the_original_is_gone():
    x = copy.deepcopy(var(1.0, 2.0))
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


def test_replacing_the_array_leaves_what_was_recorded():
    x = var(1.0, 2.0)
    y = (x * x).sum()
    x.array = np.array([10.0, 10.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


# -- grad ---------------------------------------------------------------------------------------


def test_grad_gives_gradients_and_touches_none():
    x, y = var(1.0, 2.0), var(3.0, 4.0)
    z = (x * y).sum()
    gx, gy = grad([z], [x, y])
    np.testing.assert_array_equal(gx.array, y.array)
    np.testing.assert_array_equal(gy.array, x.array)
    assert x.grad is None and y.grad is None and z.grad is None


def test_grad_touches_no_retained_gradient_either():
    x = var(1.0, 2.0)
    y = x * x
    y.retain_grad()
    grad([y.sum()], [x])
    assert y.grad is None


def test_grad_takes_variables_without_lists():
    x = var(2.0)
    (g,) = grad(x * x, x)
    assert g.array == 4


def test_grad_of_a_computed_variable_is_that_with_respect_to_it():
    x = var(1.0, 2.0)
    y = x * x
    (g,) = grad([(y * y).sum()], [y])
    np.testing.assert_array_equal(g.array, 2 * y.array)


def test_grad_of_two_inputs_of_which_one_was_computed_from_the_other():
    x = var(3.0)
    y = x * x
    z = x * y
    gx, gy = grad([z], [x, y])
    assert gy.array == 3
    assert gx.array == 27


def test_grad_of_an_unreachable_input_is_none():
    x, y = var(1.0), var(1.0)
    gx, gy = grad([x * x], [x, y])
    assert gy is None
    assert gx.array == 2


def test_grad_of_a_variable_with_respect_to_itself_is_one():
    x = var(1.0, 2.0)
    y = x * 2
    for v in x, y:
        (g,) = grad([v], [v])
        np.testing.assert_array_equal(g.array, 1)


def test_grad_sums_over_outputs_also_where_one_was_computed_from_another():
    x = var(3.0)
    y = x * x
    z = y * 2
    (g,) = grad([y, z], [x])
    assert g.array == 18


def test_grad_weighs_outputs_by_grad_outputs():
    x = var(1.0, 2.0)
    y, z = x * x, x * 3
    weights = [np.array([1.0, 10.0]), var(100.0, 1000.0)]
    (g,) = grad([y, z], [x], weights)
    np.testing.assert_array_equal(g.array, [302, 3040])
    (g,) = grad(y, x, weights[0])
    np.testing.assert_array_equal(g.array, [2, 40])
    (g,) = grad([y, z], [x], [None, weights[0]])
    np.testing.assert_array_equal(g.array, [5, 34])


def test_grad_does_not_hand_out_the_array_it_was_given():
    x = var(1.0, 2.0)
    seed = np.ones(2)
    (g,) = grad([x + 1], [x], [seed])
    g.array[:] = 7
    np.testing.assert_array_equal(seed, 1)


def test_grad_without_create_graph_records_nothing():
    x = var(3.0)
    (g,) = grad([x * x], [x])
    assert not g.requires_grad


def test_grad_refuses_what_is_not_on_the_tape():
    x, constant = var(1.0), var(1.0, requires_grad=False)
    with pytest.raises(RuntimeError, match=r"inputs\[0\]"):
        grad([x * x], [constant])
    with pytest.raises(RuntimeError, match=r"outputs\[0\]"):
        grad([constant * 2], [x])
    with pytest.raises(RuntimeError, match=r"outputs\[0\].*float"):
        grad([1.0], [x])


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones(2, np.float32), var(1.0)])
def test_grad_refuses_a_grad_output_that_is_not_like_its_output(wrong):
    x = var(1.0, 2.0)
    with pytest.raises(ValueError, match=r"grad_outputs\[0\]"):
        grad([x * x], [x], [wrong])


def test_grad_wants_one_grad_output_for_each_output():
    x = var(1.0)
    with pytest.raises(ValueError, match="2 grad_outputs for 1 outputs"):
        grad([x * x], [x], [np.ones(1), np.ones(1)])


# -- higher derivatives -------------------------------------------------------------------------


def nth_derivative(f, x, n):
    y = f(x)
    for _ in range(n):
        (y,) = grad([y.sum()], [x], create_graph=True)
    return y.array


@pytest.mark.parametrize(
    ("f", "derivatives"),
    [
        (lambda x: x**4, [lambda a: 4 * a**3, lambda a: 12 * a**2, lambda a: 24 * a]),
        (lambda x: 1 / x, [lambda a: -1 / a**2, lambda a: 2 / a**3, lambda a: -6 / a**4]),
        (F.exp, [np.exp, np.exp, np.exp]),
        (F.log, [lambda a: 1 / a, lambda a: -1 / a**2, lambda a: 2 / a**3]),
        (lambda x: x * x * x, [lambda a: 3 * a**2, lambda a: 6 * a, lambda a: 6 + 0 * a]),
        (
            lambda x: 2.0**x,
            [lambda a, n=n: np.log(2) ** n * 2.0**a for n in (1, 2, 3)],
        ),
    ],
    ids=["power", "inverse", "exp", "log", "product", "base"],
)
def test_first_second_and_third_derivatives_are_the_analytic_ones(f, derivatives):
    a = np.array([0.5, 1.0, 2.0])
    for n, expected in enumerate(derivatives, 1):
        np.testing.assert_allclose(nth_derivative(f, Variable(a), n), expected(a))


def test_a_gradient_penalty_has_the_gradient_that_differences_give():
    rng = np.random.default_rng(0)
    x, W, V = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=(1, 5))

    def penalty(x, W, V):
        hidden = F.linear(x, W)
        score = F.linear(hidden * hidden, V)
        (g,) = grad([score.sum()], [x], create_graph=True)
        return ((g * g).sum(axis=1) - 1) ** 2

    check_backward(penalty, (x, W, V), rtol=1e-4, atol=1e-4)


def test_a_mixed_second_derivative_is_right():
    x, y = var(2.0), var(3.0)
    (gx,) = grad([x * x * y], [x], create_graph=True)
    (gxy,) = grad([gx], [y])
    assert gxy.array == 4


def test_a_gradient_of_a_gradient_may_be_swept_by_backward():
    x = var(2.0)
    (g,) = grad([x**3], [x], create_graph=True)
    g.backward()
    assert x.grad == 12


def test_two_variables_that_share_an_array_stay_two_in_second_derivatives():
    a = np.array(3.0)
    x, y = Variable(a), Variable(a)
    (gx,) = grad([x * y], [x], create_graph=True)
    gxx, gxy = grad([gx], [x, y])
    assert gxx is None or gxx.array == 0
    assert gxy.array == 1


def test_a_constant_that_shares_the_variables_array_stays_a_constant_in_second_derivatives():
    x = var(3.0)
    y = x * x.array
    (g,) = grad([y * y], [x], create_graph=True)  # 2 c² x, where c is 3
    (gg,) = grad([g], [x])
    assert g.array == 54
    assert gg.array == 18


# -- cutting the tape ---------------------------------------------------------------------------


def run(W, xs, h, cut_every, cut):
    """A recurrent loop whose losses are swept and whose past is cut every few steps."""
    for t, x in enumerate(xs, 1):
        h = F.relu(F.linear(x, W) + h * 0.5)
        if t % cut_every == 0:
            loss = (h * h).sum()
            loss.backward()
            h = cut(loss, h)
    return W.grad


@pytest.mark.parametrize("cut_every", [1, 2, 3, 7])
def test_truncated_backpropagation_equals_a_loop_cut_by_hand(cut_every):
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(7, 2, 3))
    W = rng.normal(size=(4, 3))

    def unchained(loss, h):
        loss.unchain_backward()
        return h

    def by_hand(loss, h):
        return Variable(h.array)

    start = np.zeros((2, 4))
    np.testing.assert_array_equal(
        run(Variable(W), xs, Variable(start), cut_every, unchained),
        run(Variable(W), xs, Variable(start), cut_every, by_hand),
    )


def test_unchain_backward_frees_what_the_past_held():
    w = var(0.5)
    h = w * w
    past = weakref.ref(h.array)
    h = h * w
    h.unchain_backward()
    assert past() is None
    with pytest.raises(RuntimeError, match="unchained"):
        h.backward()


def test_unchain_cuts_one_variable_and_leaves_the_other_ways():
    x = var(3.0)
    y = x * x
    z = x * y
    y.unchain()
    z.backward()
    assert x.grad == 9


def test_an_unchained_variable_is_a_leaf_and_gets_its_gradient():
    x = var(3.0)
    y = x * x
    y.unchain()
    (y * y).backward()
    assert y.grad == 18
    assert x.grad is None
    assert y.creator is None


def test_unchain_cuts_earlier_records_too():
    x = var(3.0)
    y = x * x
    z = y * 2
    y.unchain()
    z.backward()
    assert x.grad is None
    assert y.grad == 2


def test_unchain_of_a_leaf_or_of_a_constant_does_nothing():
    for x in var(1.0), var(1.0, requires_grad=False):
        x.unchain()
        x.unchain_backward()


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [[1.0, 2.0], 1.0, None, np.float64(1)])
def test_a_variable_is_made_of_an_array_only(wrong):
    with pytest.raises(TypeError, match="expected a NumPy or CuPy array"):
        Variable(wrong)


def test_a_variable_of_a_variable_is_refused():
    with pytest.raises(TypeError):
        Variable(var(1.0))


@pytest.mark.parametrize("dtype", [np.int32, np.bool_])
def test_a_gradient_of_integers_cannot_be_required(dtype):
    with pytest.raises(TypeError, match="floating"):
        Variable(np.ones(2, dtype), requires_grad=True)


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((1, 2)), np.ones(2, np.float32)])
def test_a_gradient_of_another_shape_or_dtype_is_refused(wrong):
    x = var(1.0, 2.0)
    with pytest.raises(ValueError, match=r"expected float64 \(2,\)"):
        x.grad = wrong
    with pytest.raises(ValueError):
        var(1.0, 2.0, grad=wrong)
    assert x.grad is None


def test_a_gradient_that_is_no_array_is_refused():
    with pytest.raises(TypeError, match="list"):
        var(1.0, 2.0).grad = [1.0, 2.0]


def test_a_gradient_for_a_variable_that_requires_none_is_refused():
    with pytest.raises(ValueError, match="requires no gradient"):
        var(1.0, requires_grad=False).grad = np.ones(1)
    with pytest.raises(RuntimeError, match="requires no gradient"):
        var(1.0, requires_grad=False).retain_grad()


def test_backward_of_several_elements_without_a_gradient_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        (var(1.0, 2.0) * 2).backward()


def made_without_record():
    x = var(1.0)
    with no_backprop_mode():
        unrecorded = x * 2
    return {
        "leaf": x,
        "unrecorded": unrecorded,
        "constants": var(1.0, requires_grad=False) * 2,
        "integers": Variable(np.array([1])) * 2,
    }


@pytest.mark.parametrize("which", made_without_record())
def test_backward_where_nothing_was_recorded_is_refused(which):
    with pytest.raises(RuntimeError, match="nothing recorded"):
        made_without_record()[which].backward()


@pytest.mark.parametrize(
    "f",
    [
        np.sort,
        np.asarray,
        np.array,
        np.add.reduce,
        lambda x: np.add(x, 1, out=np.zeros(2)),
        lambda x: np.add(x, 1, where=[True, False]),
        lambda x: np.sum(x, dtype=np.float32),
    ],
)
def test_numpy_does_not_drop_the_gradient_of_a_variable(f):
    with pytest.raises(TypeError):
        f(var(1.0, 2.0))


@pytest.mark.parametrize("op", [*BINARY, operator.matmul], ids=by_name)
def test_float32_and_float64_do_not_mix(op):
    x, y = var(1.0, 2.0, dtype=np.float32), np.array([1.0, 2.0])
    for a, b in [(x, y), (y, x), (x, Variable(y))]:
        with pytest.raises(TypeError, match="float32"):
            op(a, b)


@pytest.mark.parametrize("op", BINARY, ids=by_name)
def test_an_operand_that_is_no_number_is_refused_by_name(op):
    with pytest.raises(TypeError, match="list"):
        op(var(1.0, 2.0), [1.0, 2.0])
    with pytest.raises(TypeError):
        op(var(1.0, 2.0), "2")
    with pytest.raises(TypeError):
        op(var(1.0, 2.0), 2j)


@pytest.mark.parametrize("op", BINARY, ids=by_name)
def test_operands_that_do_not_broadcast_are_refused_with_both_shapes(op):
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        op(var(1.0, 2.0), var(1.0, 2.0, 3.0))


# -- parameters ---------------------------------------------------------------------------------


def test_a_parameter_waits_for_its_shape():
    p = Parameter(1.5)
    assert not p.is_initialized
    p.initialize((2, 3))
    assert p.is_initialized
    np.testing.assert_array_equal(p.array, np.full((2, 3), 1.5, np.float32))


def test_a_parameter_made_of_an_array_copies_it():
    a = np.ones((2, 3))
    p = Parameter(a)
    assert p.dtype == np.float64
    p.array[:] = 0
    np.testing.assert_array_equal(a, 1)


def test_a_parameter_refuses_an_array_of_another_shape():
    with pytest.raises(ValueError, match=r"\(2,\).*expected \(3,\)"):
        Parameter(np.ones(2), (3,))


def test_a_parameter_gets_its_gradient_in_fortran_order_too():
    p = Parameter(np.arange(6.0).reshape(2, 3), order="F")
    assert p.array.flags.f_contiguous
    (p * p).sum().backward()
    np.testing.assert_array_equal(p.grad, 2 * p.array)


@pytest.mark.parametrize(
    "array",
    [np.ones(2, np.dtype(float).newbyteorder()), np.ma.masked_array([1.0, 2.0], [0, 1])],
)
def test_an_array_that_arithmetic_would_quietly_change_is_refused(array):
    with pytest.raises(TypeError, match="expected an ordinary array"):
        Variable(array)


def test_linear_takes_float16():
    x, W, b = (Variable(np.ones(s, np.float16)) for s in ((2, 3), (4, 3), (4,)))
    y = F.linear(x, W, b)
    y.sum().backward()
    assert y.dtype == b.grad.dtype == np.float16
    np.testing.assert_array_equal(y.array, np.full((2, 4), 4))
