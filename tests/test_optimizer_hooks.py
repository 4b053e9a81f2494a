"""Hooks: each against the formula of its docstring, in plain NumPy."""

import math

import numpy as np
import pytest

import dynet
import dynet.links as L
from dynet import Link, Parameter, optimizer_hooks
from dynet.optimizer_hooks import (
    GradientClipping,
    GradientHardClipping,
    GradientLARS,
    GradientNoise,
    Lasso,
    WeightDecay,
)
from dynet.optimizers import SGD, Adam
from dynet.terms import Rows

RNG = np.random.default_rng(0)
ARRAYS = [RNG.normal(size=(3, 4)), RNG.normal(size=5), np.asarray(RNG.normal())]


def link_of(arrays=ARRAYS, order="C", dtype=np.float64):
    link = Link()
    with link.init_scope():
        for i, array in enumerate(arrays):
            setattr(link, f"p{i}", Parameter(np.asarray(array, dtype), order=order))
    return link


def with_gradients(link):
    for p in link.params():
        p.grad = RNG.normal(size=p.shape).astype(p.dtype) if p.shape else np.asarray(-2, p.dtype)
    return link


def hooked(hook, link):
    """The gradients as an update with the hook leaves them."""
    optimizer = SGD(lr=0).setup(link)
    optimizer.add_hook(hook)
    optimizer.update()
    return [p.grad for p in link.params()]


# -- clipping by the norm ---------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.1, 1.0, 100.0])
def test_gradient_clipping_is_that_of_torch(threshold):
    torch = pytest.importorskip("torch")
    link = with_gradients(link_of())
    tensors = [torch.tensor(a, requires_grad=True) for a in ARRAYS]
    for p, tensor in zip(link.params(), tensors, strict=True):
        tensor.grad = torch.tensor(p.grad)
    torch.nn.utils.clip_grad_norm_(tensors, threshold)
    for gradient, tensor in zip(hooked(GradientClipping(threshold), link), tensors, strict=True):
        # torch divides by the norm plus 1e-6.
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-5)


def test_a_clipped_gradient_has_the_norm_of_the_threshold():
    gradients = hooked(GradientClipping(0.25), with_gradients(link_of()))
    assert sum((g**2).sum() for g in gradients) == pytest.approx(0.0625, rel=1e-12)


def test_a_gradient_below_the_threshold_is_unchanged():
    link = with_gradients(link_of())
    before = [p.grad.copy() for p in link.params()]
    for gradient, old in zip(hooked(GradientClipping(1000), link), before, strict=True):
        np.testing.assert_array_equal(gradient, old)


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_the_norm_is_the_same_for_any_number_of_threads(cores, monkeypatch):
    x = RNG.normal(size=200_001).astype(np.float32)
    expected = dynet.kernels.update.sum_of_squares(x)
    monkeypatch.setattr(dynet.kernels.update, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(dynet.kernels.update, "available_cores", lambda: cores)
    assert dynet.kernels.update.sum_of_squares(x) == expected
    assert expected == pytest.approx(math.fsum(np.float64(x) ** 2), rel=1e-13)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_the_norm_of_float32_gradients_neither_overflows_nor_vanishes(size):
    link = link_of([np.zeros(4)], dtype=np.float32)
    link.p0.grad = np.full(4, size, np.float32)
    gradient = hooked(GradientClipping(size), link)[0]
    np.testing.assert_allclose(gradient, np.full(4, size / 2), rtol=1e-6)


@pytest.fixture(params=[np.nan, np.inf, -np.inf])
def broken(request):
    """A link with a gradient that is not finite, and an optimizer that clips."""
    link = with_gradients(link_of())
    optimizer = Adam().setup(link)
    optimizer.add_hook(GradientClipping(1.0))
    link.p0.grad[1, 2] = request.param
    return link, optimizer


def test_a_gradient_that_is_not_finite_leaves_the_parameters_unchanged(broken):
    link, optimizer = broken
    optimizer.update()
    for p, array in zip(link.params(), ARRAYS, strict=True):
        np.testing.assert_array_equal(p.array, array)


def test_a_gradient_that_is_not_finite_is_counted_as_skipped_and_not_as_a_step(broken):
    _, optimizer = broken
    optimizer.update()
    assert (optimizer.skipped, optimizer.t) == (1, 0)


def test_a_gradient_that_is_not_finite_raises_in_debug_mode(broken):
    with dynet.using_config("debug", True), pytest.raises(FloatingPointError):
        broken[1].update()


# -- one parameter at a time ------------------------------------------------------------------


def lars(W, g, threshold=1e-2, weight_decay=0.0, eps=1e-9):
    norm = np.linalg.norm(W)
    rate = norm / (eps + np.linalg.norm(g) + weight_decay * norm) if norm > threshold else 1
    return rate * (g + weight_decay * W)


FORMULAS = {
    "WeightDecay": (WeightDecay(0.1), lambda W, g: g + 0.1 * W),
    "Lasso": (Lasso(0.1), lambda W, g: g + 0.1 * np.sign(W)),
    "GradientHardClipping": (
        GradientHardClipping(-0.3, 0.5),
        lambda W, g: np.minimum(np.maximum(g, -0.3), 0.5),
    ),
    "GradientLARS": (GradientLARS(), lars),
    "GradientLARS, decay": (
        GradientLARS(weight_decay=0.2, eps=0.1),
        lambda W, g: lars(W, g, weight_decay=0.2, eps=0.1),
    ),
    "GradientLARS, threshold": (
        GradientLARS(2.0, 0.2),
        lambda W, g: lars(W, g, threshold=2.0, weight_decay=0.2),
    ),
}


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-5)])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("hook, formula", FORMULAS.values(), ids=FORMULAS)
def test_a_hook_does_to_the_gradient_what_it_says(hook, formula, order, dtype, tolerance):
    link = with_gradients(link_of([*ARRAYS, np.zeros(3)], order, dtype))
    expected = [formula(p.array, p.grad) for p in link.params()]
    for gradient, g in zip(hooked(hook, link), expected, strict=True):
        assert gradient.dtype == dtype
        np.testing.assert_allclose(gradient, g, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("hook, formula", FORMULAS.values(), ids=FORMULAS)
def test_a_gradient_that_lies_in_memory_otherwise_is_changed_too(hook, formula):
    link = link_of(ARRAYS[:1])
    for g in RNG.normal(size=(4, 3)).T, RNG.normal(size=(3, 8))[:, ::2]:
        link.p0.grad = g
        expected = formula(link.p0.array, g.copy())
        np.testing.assert_allclose(hooked(hook, link)[0], expected, rtol=1e-13)


@pytest.mark.parametrize("hook", [hook for hook, _ in FORMULAS.values()], ids=FORMULAS)
def test_a_nan_in_a_gradient_stays(hook):
    link = with_gradients(link_of(ARRAYS[:1]))
    link.p0.grad[1, 2] = np.nan
    assert np.isnan(hooked(hook, link)[0][1, 2])


@pytest.mark.parametrize("hook, formula", FORMULAS.values(), ids=FORMULAS)
def test_a_hook_may_be_that_of_one_parameter(hook, formula):
    link = with_gradients(link_of(ARRAYS[:2]))
    optimizer = SGD(lr=0).setup(link)
    link.p0.update_rule.add_hook(hook)
    expected = formula(link.p0.array, link.p0.grad)
    other = link.p1.grad.copy()
    optimizer.update()
    np.testing.assert_allclose(link.p0.grad, expected, rtol=1e-13)
    np.testing.assert_array_equal(link.p1.grad, other)


@pytest.mark.parametrize("hook, formula", FORMULAS.values(), ids=FORMULAS)
def test_the_gradient_of_few_rows_becomes_an_array(hook, formula):
    table = L.EmbedID(100, 4, initialW=RNG.normal(size=(100, 4)))
    optimizer = SGD(lr=0.1).setup(table)
    optimizer.add_hook(hook)
    (table(np.array([3, 70, 3])) ** 3).sum().backward()
    assert type(table.W.node.grad) is Rows
    W, g = table.W.array.copy(), np.zeros((100, 4))
    np.add.at(g, [3, 70, 3], 3 * W[[3, 70, 3]] ** 2)
    optimizer.update()
    np.testing.assert_allclose(table.W.array, W - 0.1 * formula(W, g), rtol=1e-12, atol=1e-12)


def test_weight_decay_before_clipping_is_clipped_with_the_gradient():
    link = with_gradients(link_of(ARRAYS[:1]))
    optimizer = SGD(lr=0).setup(link)
    g = link.p0.grad + 10 * link.p0.array
    optimizer.add_hook(WeightDecay(10))
    optimizer.add_hook(GradientClipping(1))
    optimizer.update()
    np.testing.assert_allclose(link.p0.grad, g / np.linalg.norm(g), rtol=1e-13)


# -- noise ----------------------------------------------------------------------------------------


def test_noise_repeats_itself_from_a_seed():
    link = link_of()
    noise = []
    for _ in range(2):
        for p in link.params():
            p.grad = np.zeros(p.shape)
        dynet.random.seed(5)
        noise.append(hooked(GradientNoise(0.3), link))
    for first, second in zip(*noise, strict=True):
        np.testing.assert_array_equal(first, second)
        assert (first != 0).all()
    assert not np.isin(noise[0][0], noise[0][1]).any()


@pytest.mark.parametrize("t", [0, 9])
def test_noise_has_the_variance_that_its_paper_states(t):
    link = link_of([np.zeros(100_000)], dtype=np.float32)
    optimizer = SGD(lr=0).setup(link)
    optimizer.add_hook(GradientNoise(0.3))
    link.p0.update_rule.t = t
    link.p0.grad = np.zeros(100_000, np.float32)
    dynet.random.seed(0)
    optimizer.update()
    assert link.p0.grad.var() == pytest.approx(0.3 / (1 + t) ** 0.55, rel=0.02)
    assert abs(link.p0.grad.mean()) < 0.01


def test_noise_of_ones_own_is_added():
    def ones(xp, shape, dtype, hook, opt):
        return xp.full(shape, hook.eta + opt.t, dtype)

    link = link_of(ARRAYS[:1])
    link.p0.grad = np.zeros((3, 4))
    np.testing.assert_array_equal(hooked(GradientNoise(2, ones), link)[0], np.full((3, 4), 2))


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: GradientClipping(0), "threshold is 0, expected a number > 0"),
        (lambda: GradientHardClipping(1, -1), "lower_bound is 1 and upper_bound is -1"),
        (lambda: GradientHardClipping(float("nan"), 1), "lower_bound is nan"),
        (lambda: GradientNoise(-1), "GradientNoise: eta is -1"),
        (lambda: WeightDecay(float("nan")), "WeightDecay: rate is nan, expected a finite number"),
        (lambda: Lasso(-1), "Lasso: rate is -1"),
        (lambda: GradientLARS(-1), "GradientLARS: threshold is -1"),
        (lambda: GradientLARS(eps=0), "GradientLARS: eps is 0, expected a number > 0"),
    ],
)
def test_a_setting_out_of_range_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["GradientHardClipping", "GradientNoise", "WeightDecay", "Lasso"])
def test_a_hook_is_found_by_its_name(name):
    hook = getattr(optimizer_hooks, name)(*[1, 2][: 1 + (name == "GradientHardClipping")])
    optimizer = SGD()
    optimizer.add_hook(hook)
    optimizer.remove_hook(name)
