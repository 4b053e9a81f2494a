"""Functions that users write."""

import numpy as np
import pytest

import dynet.functions as F
from dynet import Function, Variable, grad, no_backprop_mode
from dynet.gradient_check import check_backward, check_double_backward


class Cube(Function):
    def forward(self, x):
        self.save(x)
        return x * x * x

    def backward(self, gy):
        (x,) = self.saved
        return gy * 3 * x * x


class WeightedSum(Function):
    """Several inputs, and a setting."""

    def __init__(self, weight):
        self.weight = weight

    def forward(self, x, y, z):
        self.save(x, y)
        return x * y + self.weight * z

    def backward(self, gy):
        x, y = self.saved
        return gy * y, gy * x, gy * self.weight


class SumAndProduct(Function):
    """Several outputs, any of which may go unused."""

    seen = None

    def forward(self, x, y):
        self.save(x, y)
        return x + y, x * y

    def backward(self, gsum, gproduct):
        type(self).seen = gsum is not None, gproduct is not None
        x, y = self.saved
        gx = gy = 0.0
        if gsum is not None:
            gx, gy = gx + gsum, gy + gsum
        if gproduct is not None:
            gx, gy = gx + gproduct * y, gy + gproduct * x
        return gx, gy


class TwoPowers(Function):
    """Two outputs, in terms of which the rule is stated."""

    def forward(self, x):
        y, z = np.exp(x), np.exp(2 * x)
        self.save(y, z)
        return y, z

    def backward(self, gy, gz):
        y, z = self.saved
        gx = 0.0
        if gy is not None:
            gx = gx + gy * y
        if gz is not None:
            gx = gx + gz * 2 * z
        return gx


class Answering(Function):
    """Twice its inputs' sum; the rule answers whatever it was told to."""

    def __init__(self, answer):
        self.answer = answer

    def forward(self, *xs):
        return 2 * sum(xs)

    def backward(self, gy):
        return self.answer(gy)


class FusedSquare(Function):
    """The rule is a kernel that works on arrays only; ``plain`` says what it means."""

    def forward(self, x, scale):
        self.save(x, scale)
        return x * x * scale

    def backward(self, gy):
        x, scale = self.saved
        assert all(isinstance(a, np.ndarray) for a in (gy, x, scale))
        return 2 * gy * x * scale, (gy * x * x).sum()

    def plain(self, x, scale):
        return x * x * scale


def var(*values, dtype=np.float64):
    return Variable(np.array(values, dtype))


def test_a_function_of_one_input_is_its_forward_and_its_backward():
    x = var(1.0, 2.0)
    y = Cube()(x)
    np.testing.assert_array_equal(y.array, [1, 8])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 12])


def test_one_rule_serves_all_orders():
    a = np.array([0.5, 2.0])
    check_backward(lambda x: Cube()(x), a)
    check_double_backward(lambda x: Cube()(x), a)
    x = Variable(a)
    y = Cube()(x)
    for expected in 3 * a**2, 6 * a, 6 + 0 * a:
        (y,) = grad([y.sum()], [x], create_graph=True)
        np.testing.assert_allclose(y.array, expected)


def test_a_function_of_several_inputs_takes_its_settings_when_it_is_made():
    xs = tuple(np.random.default_rng(0).normal(size=(3, 2)))
    check_backward(lambda *xs: WeightedSum(2.5)(*xs), xs)
    check_double_backward(lambda *xs: WeightedSum(2.5)(*xs), xs)


def test_a_function_may_be_given_one_variable_for_all_its_inputs():
    x = var(3.0)
    WeightedSum(2.0)(x, x, x).backward()
    assert x.grad == 8


def test_an_array_among_the_inputs_is_a_constant():
    x = var(3.0)
    y = WeightedSum(2.0)(x, np.array([4.0]), np.array([5.0]))
    y.backward()
    assert y.array == 22
    assert x.grad == 4


def test_what_is_no_array_reaches_forward_as_it_was_given():
    class Named(Function):
        def forward(self, x, name):
            assert name == "something"
            return x * 2

        def backward(self, gy):
            return gy * 2, None

    x = var(1.0)
    Named()(x, "something").backward()
    assert x.grad == 2


def test_an_input_that_wants_no_gradient_is_known_to_the_rule():
    class Product(Function):
        def forward(self, x, y):
            self.save(x, y)
            return x * y

        def backward(self, gy):
            assert self.wants(0) and not self.wants(1)
            return gy * self.saved[1], None

    x = var(3.0)
    Product()(x, np.array([2.0])).backward()
    assert x.grad == 2


def test_a_rule_may_answer_none_for_an_input():
    x, y = var(3.0), var(4.0)
    Answering(lambda gy: (None, gy * 2))(x, y).backward()
    assert x.grad is None
    assert y.grad == 2


def test_integers_are_passed_to_forward_and_get_no_gradient():
    class Pick(Function):
        def forward(self, x, ids):
            self.save(ids)
            self.shape = x.shape
            return x[ids]

        def backward(self, gy):
            (ids,) = self.saved
            gx = np.zeros(self.shape)
            np.add.at(gx, ids, gy)
            return gx, None

    x = var(1.0, 2.0, 3.0)
    ids = Variable(np.array([2, 2, 0]))
    Pick()(x, ids).sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 0, 2])
    assert ids.grad is None


def test_a_function_may_have_several_outputs():
    xs = tuple(np.random.default_rng(0).normal(size=(2, 3)))
    check_backward(lambda x, y: SumAndProduct()(x, y), xs)
    check_double_backward(lambda x, y: SumAndProduct()(x, y), xs)


@pytest.mark.parametrize("used", [0, 1])
def test_an_output_that_goes_unused_has_none_for_its_gradient(used):
    x, y = var(3.0), var(4.0)
    SumAndProduct()(x, y)[used].backward()
    assert SumAndProduct.seen == (used == 0, used == 1)
    assert (x.grad, y.grad) == [(1, 1), (4, 3)][used]


def test_an_output_that_is_used_often_gets_all_its_gradients():
    x, y = var(3.0), var(4.0)
    s, p = SumAndProduct()(x, y)
    (s * s + p + p + p).backward()
    assert x.grad == 2 * 7 + 3 * 4
    assert y.grad == 2 * 7 + 3 * 3


def test_each_of_several_outputs_retains_its_own_gradient():
    x, y = var(3.0), var(4.0)
    s, p = SumAndProduct()(x, y)
    s.retain_grad()
    p.retain_grad()
    (s * 2 + p * 3).backward()
    assert (s.grad, p.grad) == (2, 3)


def test_grad_with_respect_to_one_of_several_outputs():
    s, p = SumAndProduct()(var(3.0), var(4.0))
    gs, gp = grad([s * p], [s, p])
    assert (gs.array, gp.array) == (12, 7)


def test_several_outputs_that_the_rule_is_stated_in_have_right_second_derivatives():
    a = np.array(0.5)
    x = Variable(a)
    y, z = TwoPowers()(x)
    (g,) = grad([y * y + z * z], [x], create_graph=True)  # of exp(2x) + exp(4x)
    (gg,) = grad([g], [x])
    np.testing.assert_allclose(g.array, 2 * np.exp(2 * a) + 4 * np.exp(4 * a))
    np.testing.assert_allclose(gg.array, 4 * np.exp(2 * a) + 16 * np.exp(4 * a))


def test_a_tuple_of_one_output_is_a_tuple_and_has_second_derivatives():
    class One(Function):
        def forward(self, x):
            y = np.exp(x)
            self.save(y)
            return (y,)

        def backward(self, gy):
            return gy * self.saved[0]

    x = var(0.5)
    (y,) = One()(x)
    (g,) = grad([y * y], [x], create_graph=True)
    (gg,) = grad([g], [x])
    np.testing.assert_allclose(g.array, 2 * np.exp(1))
    np.testing.assert_allclose(gg.array, 4 * np.exp(1))


def test_cutting_one_of_several_outputs_off_with_its_past_cuts_the_function():
    x, y = var(3.0), var(4.0)
    s, p = SumAndProduct()(x, y)
    s.unchain_backward()
    (p * 2).backward()
    assert x.grad is None and y.grad is None


def test_a_scalar_that_forward_computes_becomes_an_array():
    class Total(Function):
        def forward(self, x):
            self.shape = x.shape
            return x.sum()

        def backward(self, gy):
            return np.full(self.shape, gy)

    x = var(1.0, 2.0)
    y = Total()(x)
    assert isinstance(y.array, np.ndarray)
    y.backward()
    np.testing.assert_array_equal(x.grad, 1)


# -- fused functions ----------------------------------------------------------------------------


def test_the_kernel_of_a_fused_function_serves_an_ordinary_sweep():
    x, scale = var(1.0, 2.0), Variable(np.array(3.0))
    FusedSquare()(x, scale).sum().backward()
    np.testing.assert_array_equal(x.grad, [6, 12])
    assert scale.grad == 5


def test_the_plain_statement_of_a_fused_function_serves_second_derivatives():
    f = lambda x, scale: FusedSquare()(x, scale)  # noqa: E731
    check_double_backward(f, (np.array([0.5, 2.0]), np.array(3.0)))


def test_a_fused_function_of_a_constant_has_second_derivatives_too():
    x = var(2.0)
    (g,) = grad([FusedSquare()(x, np.array([3.0]))], [x], create_graph=True)
    (gg,) = grad([g], [x])
    assert (g.array, gg.array) == (12, 6)


def test_a_fused_function_may_get_an_input_that_another_was_computed_from():
    x = var(2.0)
    (g,) = grad([FusedSquare()(x * x, x)], [x], create_graph=True)  # x ** 5
    (gg,) = grad([g], [x])
    assert (g.array, gg.array) == (80, 160)


# -- calling ------------------------------------------------------------------------------------


def test_a_record_cannot_be_called_again():
    f = Cube()
    f(var(1.0))
    with pytest.raises(RuntimeError, match="make a new one for every call"):
        f(var(1.0))


def test_a_call_on_constants_leaves_no_record():
    assert Cube()(np.array([2.0])).creator is None
    assert not Cube()(Variable(np.array([2.0]), requires_grad=False)).requires_grad
    with no_backprop_mode():
        assert Cube()(var(2.0)).creator is None


def test_the_record_is_the_function_itself():
    f = Cube()
    assert f(var(1.0)).creator is f
    s, p = SumAndProduct()(var(1.0), var(2.0))
    assert s.creator is p.creator
    assert isinstance(s.creator, SumAndProduct)


# -- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [lambda gy: (gy, gy), lambda gy: ()], ids=["two", "none"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_wrong_number_of_gradients_is_refused_with_the_functions_name(answer, create_graph):
    x = var(1.0)
    y = Answering(answer)(x)
    with pytest.raises(ValueError, match=r"Answering: backward gave \d gradients for 1 input"):
        grad([y], [x], create_graph=create_graph)


def test_one_gradient_for_two_inputs_is_refused():
    with pytest.raises(ValueError, match="1 gradients for 2 inputs"):
        Answering(lambda gy: gy)(var(1.0), var(1.0)).backward()


WRONG = {
    "shape": lambda gy: np.ones(7),
    "dtype": lambda gy: (gy * 2).astype(np.float32),
    "number": lambda gy: 2.0,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_gradient_of_the_wrong_shape_or_dtype_is_refused_at_the_leaf(wrong):
    x = Variable(np.ones(2), name="weight")
    with pytest.raises(ValueError, match=r"gradient of weight.*expected float64 \(2,\)"):
        Answering(WRONG[wrong])(x).sum().backward()
    assert x.grad is None


@pytest.mark.parametrize("wrong", WRONG)
def test_a_gradient_of_the_wrong_shape_or_dtype_is_refused_by_grad(wrong):
    x = Variable(np.ones(2))
    with pytest.raises(ValueError, match=r"expected float64 \(2,\)"):
        grad([Answering(WRONG[wrong])(x).sum()], [x])


@pytest.mark.parametrize("wrong", [[1.0], None, 1.0, "y"])
def test_a_forward_that_returns_no_array_is_refused_with_the_functions_name(wrong):
    class Wrong(Function):
        def forward(self, x):
            return wrong

    with pytest.raises(TypeError, match=f"Wrong: forward returned {type(wrong).__name__}"):
        Wrong()(var(1.0))


def test_a_function_without_a_rule_says_so():
    class NoRule(Function):
        def forward(self, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="NoRule has no backward"):
        NoRule()(var(1.0)).backward()


class Hiding(Function):
    """Keeps an array that its rule needs where a recorded sweep cannot find it."""

    def forward(self, x):
        self.hidden = x
        return x * x

    def backward(self, gy):
        return gy * 2 * self.hidden


class HidingInSlots(Hiding):
    __slots__ = ("hidden",)


@pytest.mark.parametrize("kind", [Hiding, HidingInSlots])
def test_an_array_kept_in_an_attribute_is_refused_where_it_would_lose_a_gradient(kind):
    x = var(3.0)
    with pytest.raises(RuntimeError, match=r"self\.hidden.*self\.save"):
        grad([kind()(x)], [x], create_graph=True)
    kind()(x).backward()
    assert x.grad == 6


def test_the_rule_of_a_variable_with_respect_to_which_is_differentiated_is_not_run():
    y = Hiding()(var(3.0))
    (g,) = grad([y * y], [y], create_graph=True)
    assert g.array == 18


def test_a_failed_recorded_sweep_leaves_the_record_as_it_was():
    class Failing(Cube):
        fail = True

        def backward(self, gy):
            if self.fail:
                raise KeyError
            return super().backward(gy)

    x = var(2.0)
    y = Failing()(x)
    with pytest.raises(KeyError):
        grad([y], [x], create_graph=True)
    Failing.fail = False
    y.backward()
    assert x.grad == 12


def test_grad_gives_variables_also_where_a_rule_answers_with_arrays():
    x = var(3.0)
    y = Answering(lambda gy: 2 * getattr(gy, "array", gy))(x)
    (g,) = grad([y], [x], create_graph=True)
    assert isinstance(g, Variable)
    assert g.array == 2


def test_the_functions_of_dynet_take_arrays_too():
    assert F.exp(np.zeros(2)).creator is None
