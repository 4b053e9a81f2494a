"""What scan promises beyond the plain loop: inputs that stand still, sums that cancel, and
recurrences that are read once."""

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.scanning import Recurrence, recurrence

pytestmark = pytest.mark.filterwarnings("error")
rng = np.random.default_rng(0)


def gradients(variables, *outputs):
    for v in variables:
        v.cleargrad()
    sum([(y * np.cos(np.arange(y.size)).reshape(y.shape)).sum() for y in outputs]).backward()
    return [v.grad for v in variables]


# -- an x that is the same at all time steps -----------------------------------------------------


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("reverse", [False, True])
def test_an_x_that_is_one_at_all_time_steps_gives_what_its_copies_give(rows, reverse):
    W, U = Variable(rng.normal(size=(4, 3))), Variable(rng.normal(size=(4, 4)) / 2)
    table, scale = Variable(rng.normal(size=(50, 4))), Variable(rng.normal(size=4))
    v, ids = Variable(rng.normal(size=(1, rows, 3))), rng.integers(0, 50, rows)
    variables = W, U, table, scale, v

    def step(h, x):
        v, ids, scale = x
        h = F.tanh(F.linear(v, W) + F.linear(h, U) + F.embed_id(ids, table) * scale)
        return h, h * scale

    found = []
    for compiled in True, False:
        xs = F.broadcast_to(v, (9, rows, 3)), np.broadcast_to(ids, (9, rows))
        xs = *xs, F.broadcast_to(scale, (9, 4))
        h, ys = dynet.scan(step, np.zeros((rows, 4)), xs, reverse=reverse, compiled=compiled)
        found.append([h.array, ys.array, *gradients(variables, h, ys)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_an_x_that_is_one_at_all_time_steps_is_not_copied(monkeypatch):
    called = []
    run = dynet.scanning.run.Run.forward

    def forward(self, length):
        outputs = run(self, length)
        called.append(self.arrays)
        return outputs

    monkeypatch.setattr(dynet.scanning.run.Run, "forward", forward)
    xs = np.broadcast_to(rng.normal(size=(5, 3)), (1000, 5, 3))
    dynet.scan(lambda h, x: (h / 2 + x, None), np.zeros((5, 3)), xs, compiled=True)
    assert {role: a.size for arrays in called for (role, _), a in arrays.items()}["still"] == 15


# -- sums that cancel ----------------------------------------------------------------------------


def test_a_y_that_nearly_cancels_out_is_rounded_and_no_reason_not_to_compile():
    h = rng.normal(size=(1, 15)).astype(np.float32)
    w = rng.normal(size=(15, 1)).astype(np.float32)
    w[-1] = -(h[:, :-1] @ w[:-1]) / h[0, -1]
    out = Variable(w)
    xs = np.zeros((8, 1, 1), np.float32)
    _, ys = dynet.scan(lambda h, x: (h, h @ out + x), h, xs, compiled=True)
    assert np.abs(ys.array).max() < 1e-5


# -- a recurrence that is read once --------------------------------------------------------------


def smooth_step(state, x, rate, W):
    h = F.tanh(rate * state + F.linear(x, W))
    return h, h * h


def arguments(n=3, T=12):
    init, rate = Variable(rng.normal(size=(n, 4))), Variable(rng.normal(size=4))
    return init, Variable(rng.normal(size=(T, n, 2))), (rate, Variable(rng.normal(size=(4, 2))))


@pytest.fixture
def scans(monkeypatch):
    """The scans that were read."""
    made, run_steps = [], recurrence.run_steps
    monkeypatch.setattr(recurrence, "run_steps", lambda s: made.append(s) or run_steps(s))
    return made


@pytest.mark.parametrize("reverse", [False, True])
def test_a_recurrence_means_the_scan_at_every_call(reverse, scans):
    smooth = Recurrence(smooth_step)
    for T in 12, 12, 30:
        init, xs, constants = arguments(T=T)
        variables = init, xs, *constants
        h, ys = smooth(init, xs, constants, reverse)
        found = h.array, ys.array, *gradients(variables, h, ys)
        h, ys = dynet.scan(
            lambda h, x, constants=constants: smooth_step(h, x, *constants),
            init,
            xs,
            reverse=reverse,
            compiled=False,
        )
        expected = h.array, ys.array, *gradients(variables, h, ys)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    assert len(scans) == 1 and scans[0].run is not None


def test_gradients_of_outputs_that_had_none_before_are_compared_with_the_loop_too(scans):
    smooth = Recurrence(smooth_step)
    init, xs, constants = arguments()
    smooth(init, xs, constants)[0].sum().backward()
    _, ys = smooth(init, xs, constants)
    found = gradients([init, *constants], ys)
    _, ys = dynet.scan(lambda h, x: smooth_step(h, x, *constants), init, xs, compiled=False)
    for a, b in zip(found, gradients([init, *constants], ys), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    assert len(scans) == 1


def test_arguments_of_another_kind_are_read_anew(scans):
    smooth = Recurrence(smooth_step)
    init, xs, (rate, W) = arguments()
    smooth(init, xs, (rate, W))
    smooth(init, xs.array, (rate, W))
    smooth(init, xs, (rate.array, W))
    with dynet.no_backprop_mode():
        smooth(init, xs, (rate, W))
    assert len(scans) == 4


def test_a_step_that_closes_over_an_array_is_read_at_every_call(scans):
    offset = Variable(rng.normal(size=4))
    shifted = Recurrence(lambda h, x: (h / 2 + x + offset, None))
    for _ in range(2):
        h, _ = shifted(np.zeros((3, 4)), np.ones((8, 3, 4)))
    assert len(scans) == 2
    offset.cleargrad()
    h.sum().backward()
    assert offset.grad is not None


def test_constants_that_are_one_array_now_may_be_two_at_the_next_call(scans):
    def step(h, x, a, b):
        return h / 2 + a * x - b, None

    both = Recurrence(step)
    one, two = rng.normal(size=(2, 4))
    for a, b in (one, one), (one, two):
        h, _ = both(np.zeros((3, 4)), np.ones((8, 3, 4)), (a, b))
        expected, _ = dynet.scan(
            lambda h, x, a=a, b=b: step(h, x, a, b), np.zeros((3, 4)), np.ones((8, 3, 4))
        )
        np.testing.assert_allclose(h.array, expected.array)


@pytest.mark.parametrize("of", [np.array, lambda r: np.full(2, r)], ids=["without axes", "with"])
def test_numbers_made_of_a_constant_are_never_those_of_an_earlier_call(of):
    smooth = Recurrence(lambda c, x, r: (r * c + (1 - r) * x, None))
    for r in 0.5, 0.9, 0.1:
        h, _ = smooth(np.zeros(2), np.ones((6, 2)), [of(r)])
        np.testing.assert_allclose(h.array, 1 - r**6)


def test_a_constant_that_is_an_index_or_a_mask_is_read_at_every_call():
    picked = Recurrence(lambda c, x, i: (c + F.get_item(x, i), None))
    for i in [0, 1], [2, 2]:
        h, _ = picked(np.zeros(2), np.arange(18.0).reshape(6, 3), [np.array(i)])
        np.testing.assert_array_equal(h.array, np.arange(18.0).reshape(6, 3).sum(axis=0)[i])
    dropped = Recurrence(lambda c, x, m: (F.dropout(c + x, mask=m), None))
    for m in [0.0, 1.0], [1.0, 0.0]:
        h, _ = dropped(np.zeros(2), np.ones((6, 2)), [np.array(m)])
        np.testing.assert_array_equal(h.array, 6 * np.array(m))


def test_what_a_constant_is_assigned_after_the_call_changes_no_gradient():
    smooth = Recurrence(smooth_step)
    init, xs, (rate, W) = arguments()
    smooth(init, xs, (rate, W))
    h, _ = smooth(init, xs, (rate, W))
    rate.array = rate.array * 2
    h.sum().backward()
    found, rate.array = rate.grad, rate.array / 2
    rate.cleargrad()
    dynet.scan(lambda h, x: smooth_step(h, x, rate, W), init, xs)[0].sum().backward()
    np.testing.assert_allclose(found, rate.grad)


@pytest.mark.parametrize(
    "step, constants, sentence",
    [
        (3, (), "Recurrence: step is int, expected a function"),
        (
            smooth_step,
            [0.5, 1.0],
            "Recurrence: constants hold float, expected Variables and arrays",
        ),
    ],
)
def test_what_is_no_step_or_no_array_is_one_clear_sentence(step, constants, sentence):
    with pytest.raises(TypeError, match=sentence):
        Recurrence(step)(np.zeros((3, 4)), np.ones((8, 3, 2)), constants)


def test_a_large_leaf_does_not_hide_what_a_small_one_does():
    count = [0]

    class Decay(dynet.Function):
        def forward(self, x):
            count[0] += 1
            return x * np.float32(1 / count[0])

        def backward(self, gy):
            return gy

    def step(carry, x):
        total, h = carry
        return (total + x * 1e6, Decay().apply(h) + x), h

    zeros = np.zeros(2, np.float32)
    reason = dynet.scanning.explain(step, (zeros, zeros), np.ones((8, 2), np.float32))
    assert "compiled, it gives something else" in reason


def test_hooks_hear_of_every_function_of_a_recurrence_that_was_read_before():
    smooth = Recurrence(smooth_step)
    init, xs, constants = arguments()
    smooth(init, xs, constants)
    heard = []

    class Ear(dynet.function_hooks.FunctionHook):
        def forward_preprocess(self, function, xs):
            heard.append(function.name)

    with Ear():
        smooth(init, xs, constants)
    assert heard.count("Tanh") == 12
