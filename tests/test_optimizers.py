"""Optimizers and their hooks."""

import numpy as np
import pytest

import dynet
import dynet.links as L
from dynet import Link, Parameter
from dynet.optimizer_hooks import GradientClipping
from dynet.optimizers import SGD, Adam

RNG = np.random.default_rng(0)
ARRAYS = [RNG.normal(size=(3, 4)), RNG.normal(size=5), RNG.normal(size=())]


def link_of(arrays=ARRAYS, order="C"):
    """A link of parameters, each of which starts from an array."""
    link = Link()
    with link.init_scope():
        for i, array in enumerate(arrays):
            setattr(link, f"p{i}", Parameter(np.asarray(array), order=order))
    return link


def give_gradients(link, gradients=None):
    for i, p in enumerate(link.params()):
        p.grad = RNG.normal(size=p.shape) if gradients is None else gradients[i].copy()


def values(link):
    return [p.array.copy() for p in link.params()]


@pytest.mark.parametrize("order", "CF")
def test_sgd_subtracts_the_gradient_times_the_rate(order):
    link = link_of(order=order)
    optimizer = SGD(lr=0.1).setup(link)
    give_gradients(link)
    expected = [p.array - 0.1 * p.grad for p in link.params()]
    optimizer.update()
    np.testing.assert_allclose(link.p0.array, expected[0], rtol=1e-15)
    np.testing.assert_allclose(link.p1.array, expected[1], rtol=1e-15)
    np.testing.assert_allclose(link.p2.array, expected[2], rtol=1e-15)


@pytest.mark.parametrize("order", "CF")
def test_adam_walks_as_that_of_torch(order):
    torch = pytest.importorskip("torch")
    link = link_of(order=order)
    tensors = [torch.tensor(a, requires_grad=True) for a in ARRAYS]
    ours = Adam(alpha=0.01, beta1=0.8, beta2=0.99, eps=1e-14).setup(link)
    theirs = torch.optim.Adam(tensors, lr=0.01, betas=(0.8, 0.99), eps=1e-14)
    for _ in range(20):
        give_gradients(link)
        for p, tensor in zip(link.params(), tensors, strict=True):
            tensor.grad = torch.tensor(p.grad)
        ours.update()
        theirs.step()
        for p, tensor in zip(link.params(), tensors, strict=True):
            # eps is next to nothing: torch adds it to the root after its correction, dynet before.
            np.testing.assert_allclose(p.array, tensor.detach().numpy(), rtol=1e-10)


def test_adam_takes_the_step_that_its_paper_states():
    link = link_of([np.array([1.0, -2.0])])
    optimizer = Adam(alpha=0.1, beta1=0.5, beta2=0.75, eps=0.01).setup(link)
    W, m, v = link.p0.array.copy(), 0, 0
    for t in range(1, 4):
        give_gradients(link)
        g = link.p0.grad
        m, v = 0.5 * m + 0.5 * g, 0.75 * v + 0.25 * g * g
        step = 0.1 * np.sqrt(1 - 0.75**t) / (1 - 0.5**t)
        W = W - step * m / (np.sqrt(v) + 0.01)
        optimizer.update()
    np.testing.assert_allclose(link.p0.array, W, rtol=1e-13)


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_a_gradient_may_lie_in_memory_otherwise_than_its_parameter(optimizer):
    gradients = [RNG.normal(size=a.shape) for a in ARRAYS]
    fortran, plain = link_of(order="F"), link_of(order="C")
    for link in fortran, plain:
        give_gradients(link, gradients)
        optimizer().setup(link).update()
    np.testing.assert_array_equal(fortran.p0.array, plain.p0.array)


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_a_parameter_that_is_not_contiguous_is_refused(optimizer):
    link = link_of()
    link.p0.array = np.zeros((3, 8))[:, ::2]
    give_gradients(link)
    with pytest.raises(ValueError, match="expected a contiguous array"):
        optimizer().setup(link).update()


def test_a_refused_update_changes_nothing():
    link = link_of([ARRAYS[1], ARRAYS[0]])
    link.p1.array = np.zeros((3, 8))[:, ::2]
    give_gradients(link)
    before = values(link)
    optimizer = SGD().setup(link)
    with pytest.raises(ValueError):
        optimizer.update()
    assert optimizer.t == 0
    np.testing.assert_array_equal(link.p0.array, before[0])


def test_update_with_a_loss_function_computes_the_gradients_anew():
    link = L.Linear(3, 1, initialW=np.zeros((1, 3), np.float32))
    optimizer = SGD(lr=1).setup(link)
    link.W.grad = np.full((1, 3), 100, np.float32)
    optimizer.update(lambda x, scale: link(x).sum() * scale, np.ones((1, 3), np.float32), scale=2)
    np.testing.assert_array_equal(link.W.array, [[-2, -2, -2]])


def test_update_without_any_gradient_is_an_error():
    with pytest.raises(RuntimeError, match=r"SGD\.update: no parameter has a gradient"):
        SGD().setup(link_of()).update()


def test_update_before_setup_is_an_error():
    with pytest.raises(RuntimeError, match=r"SGD\.update: .*setup\(link\)"):
        SGD().update()


def test_setup_takes_nothing_but_a_link():
    with pytest.raises(TypeError, match="setup: link is list, expected a Link"):
        SGD().setup([])


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_a_parameter_without_a_gradient_stays(optimizer):
    link = link_of()
    give_gradients(link)
    link.p1.cleargrad()
    optimizer().setup(link).update()
    np.testing.assert_array_equal(link.p1.array, ARRAYS[1])
    assert (link.p0.array != ARRAYS[0]).all()


def test_updates_are_counted():
    link = link_of()
    optimizer = SGD().setup(link)
    give_gradients(link)
    optimizer.update()
    optimizer.update()
    assert optimizer.t == 2


def test_setup_starts_afresh():
    link = link_of()
    optimizer = Adam().setup(link)
    give_gradients(link)
    optimizer.update()
    optimizer.new_epoch()
    optimizer.setup(link)
    assert (optimizer.t, optimizer.epoch) == (0, 0)


def test_float32_parameters_stay_float32():
    link = L.Linear(3, 4)
    Adam().setup(link).update(lambda: link(np.ones((1, 3), np.float32)).sum())
    assert link.W.dtype == np.float32


@pytest.mark.parametrize("threshold", [0.1, 1.0, 100.0])
def test_gradient_clipping_is_that_of_torch(threshold):
    torch = pytest.importorskip("torch")
    link = link_of()
    give_gradients(link)
    tensors = [torch.tensor(a, requires_grad=True) for a in ARRAYS]
    for p, tensor in zip(link.params(), tensors, strict=True):
        tensor.grad = torch.tensor(p.grad)
    torch.nn.utils.clip_grad_norm_(tensors, threshold)
    GradientClipping(threshold)(SGD().setup(link))
    for p, tensor in zip(link.params(), tensors, strict=True):
        # torch divides by the norm plus 1e-6.
        np.testing.assert_allclose(p.grad, tensor.grad.numpy(), rtol=1e-5)


def test_a_clipped_gradient_has_the_norm_of_the_threshold():
    link = link_of()
    give_gradients(link)
    GradientClipping(0.25)(SGD().setup(link))
    assert sum((p.grad**2).sum() for p in link.params()) == pytest.approx(0.0625, rel=1e-12)


def test_a_gradient_below_the_threshold_is_unchanged():
    link = link_of()
    give_gradients(link)
    before = [p.grad.copy() for p in link.params()]
    GradientClipping(1000)(SGD().setup(link))
    for p, gradient in zip(link.params(), before, strict=True):
        np.testing.assert_array_equal(p.grad, gradient)


@pytest.fixture(params=[np.nan, np.inf, -np.inf])
def broken(request):
    """A link with a gradient that is not finite, and an optimizer that clips."""
    link = link_of()
    optimizer = Adam().setup(link)
    optimizer.add_hook(GradientClipping(1.0))
    give_gradients(link)
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


def test_gradient_clipping_wants_a_positive_threshold():
    with pytest.raises(ValueError, match="threshold is 0, expected a number > 0"):
        GradientClipping(0)


def test_a_hook_that_returns_false_calls_the_update_off():
    link = link_of()
    optimizer = SGD().setup(link)
    optimizer.add_hook(lambda optimizer: False)
    give_gradients(link)
    optimizer.update()
    np.testing.assert_array_equal(link.p0.array, ARRAYS[0])
    assert (optimizer.skipped, optimizer.t) == (1, 0)


def test_a_hook_that_returns_nothing_lets_the_update_be():
    link = link_of()
    optimizer = SGD().setup(link)
    optimizer.add_hook(lambda optimizer: None)
    give_gradients(link)
    optimizer.update()
    assert optimizer.t == 1


def test_hooks_are_called_in_the_order_in_which_they_were_added():
    link, called = link_of(), []
    optimizer = SGD().setup(link)
    optimizer.add_hook(lambda optimizer: called.append("first"), "z")
    optimizer.add_hook(lambda optimizer: called.append("second"), "a")
    give_gradients(link)
    optimizer.update()
    assert called == ["first", "second"]


def test_two_hooks_of_one_name_are_refused():
    optimizer = SGD()
    optimizer.add_hook(GradientClipping(1))
    with pytest.raises(ValueError, match="already is a hook called 'GradientClipping'"):
        optimizer.add_hook(GradientClipping(2))


def test_a_removed_hook_is_not_called():
    link = link_of()
    optimizer = SGD().setup(link)
    optimizer.add_hook(lambda optimizer: False, "no")
    optimizer.remove_hook("no")
    give_gradients(link)
    optimizer.update()
    assert optimizer.t == 1
