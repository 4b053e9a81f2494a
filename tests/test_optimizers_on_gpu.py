"""Optimizers and hooks on a GPU: what they do there is what they do on the CPU, and nothing waits.

On machines without a GPU all but the runs on ``cuda:0`` go on a pretended one.
"""

import ast
import copy

import numpy as np
import pytest
from numba import njit

import dynet
import dynet.links as L
from dynet import Link, Parameter, optimizers
from dynet.kernels import update, update_cuda
from dynet.optimizer_hooks import (
    GradientClipping,
    GradientHardClipping,
    GradientLARS,
    GradientNoise,
    Lasso,
    WeightDecay,
)
from dynet.optimizers import SGD, Adam, MomentumSGD, Optimizer
from dynet.serializers import load_npz, save_npz
from dynet.terms import Rows

RNG = np.random.default_rng(0)
# More than one block of threads, matrices, a vector, one number, nothing at all.
ARRAYS = [
    np.asarray(RNG.normal(size=shape)) for shape in [(70, 80), (3, 4), (2, 3, 5), (7,), (), (0, 2)]
]
ORDERS = "CFFCCF"
STEPS = [[scale * RNG.normal(0.5, 1, a.shape) for a in ARRAYS] for scale in (1, 0.01, 30, 1, 0.1)]
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}

OPTIMIZERS = {
    "SGD": lambda: SGD(0.1),
    "MomentumSGD": lambda: MomentumSGD(0.1),
    "CorrectedMomentumSGD": lambda: optimizers.CorrectedMomentumSGD(0.1),
    "NesterovAG": lambda: optimizers.NesterovAG(0.1),
    "MSVAG": lambda: optimizers.MSVAG(weight_decay_rate=0.01),
    "AdaGrad": lambda: optimizers.AdaGrad(0.1),
    "AdaDelta": lambda: optimizers.AdaDelta(),
    "RMSprop": lambda: optimizers.RMSprop(0.1),
    "RMSprop, eps_inside_sqrt": lambda: optimizers.RMSprop(0.1, eps_inside_sqrt=True),
    "RMSpropGraves": lambda: optimizers.RMSpropGraves(0.1, eps=0.1),
    "SMORMS3": lambda: optimizers.SMORMS3(0.1),
    "Adam": lambda: Adam(0.1),
    "AdamW": lambda: optimizers.AdamW(0.1, weight_decay_rate=0.01),
    "AMSGrad": lambda: optimizers.AMSGrad(0.1),
    "AdaBound": lambda: optimizers.AdaBound(0.1),
    "AMSBound": lambda: optimizers.AMSBound(0.1),
}

HOOKS = {
    "GradientClipping": lambda: GradientClipping(1.0),
    "GradientHardClipping": lambda: GradientHardClipping(-0.3, 0.5),
    "GradientLARS": lambda: GradientLARS(weight_decay=0.2),
    "GradientLARS, threshold": lambda: GradientLARS(2.0, 0.2),
    "GradientNoise": lambda: GradientNoise(0.3),
    "Lasso": lambda: Lasso(0.1),
    "WeightDecay": lambda: WeightDecay(0.1),
}


def link_of(arrays=ARRAYS, dtype=np.float64, xp=np):
    """A link of parameters that start from arrays, in an order in memory each."""
    link = Link()
    with link.init_scope():
        for i, array in enumerate(arrays):
            setattr(link, f"p{i}", Parameter(array.astype(dtype), order=ORDERS[i % len(ORDERS)]))
    if xp is not np:
        link.to_device("cuda:0")
    return link


def give(link, gradients):
    for p, g in zip(link.params(), gradients, strict=False):
        p.grad = p.xp.asarray(np.asarray(g, p.dtype))


def walk(optimizer, steps=STEPS):
    for gradients in steps:
        give(optimizer.target, gradients)
        optimizer.update()
    return optimizer


def on_cpu(x):
    return x if isinstance(x, np.ndarray) else x.get()


def values(link):
    return [on_cpu(p.array).copy() for p in link.params()]


def states(optimizer):
    return [
        on_cpu(state).copy()
        for p in optimizer.target.params()
        for state in (p.update_rule.state or {}).values()
    ]


def assert_close(ours, theirs, tolerance=1e-12):
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# -- the same as on the CPU -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer_moves_parameters_on_a_gpu_as_on_the_cpu(make, dtype, device):
    ours = walk(make().setup(link_of(dtype=dtype, xp=device)))
    theirs = walk(make().setup(link_of(dtype=dtype)))
    assert all(p.xp is device for p in ours.target.params())
    assert_close(values(ours.target), values(theirs.target), TOLERANCE[dtype])
    assert_close(states(ours), states(theirs), TOLERANCE[dtype])


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_parameter_is_moved_by_one_kernel(make, pretend_gpu):
    optimizer = make().setup(link_of(ARRAYS[:1], xp=pretend_gpu))
    walk(optimizer, STEPS[:1])
    assert pretend_gpu.launched == [update_cuda.kernel_name(optimizer.kernel.plain)]


@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_a_gradient_may_lie_in_memory_in_any_way(order, device):
    theirs = walk(Adam(0.1).setup(link_of()), STEPS[:1])
    link = link_of(xp=device)
    for p, g in zip(link.params(), STEPS[0], strict=True):
        if order == "strided":
            p.grad = device.asarray(np.repeat(g.reshape(*g.shape, 1), 2, -1))[..., 0]
        else:
            p.grad = device.asarray(np.asarray(g, order=order))
    Adam(0.1).setup(link).update()
    assert_close(values(link), values(theirs.target))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("make", HOOKS.values(), ids=HOOKS)
def test_a_hook_changes_gradients_on_a_gpu_as_on_the_cpu(make, dtype, device):
    results = []
    for xp in device, np:
        dynet.random.seed(0)
        optimizer = SGD(0.1).setup(link_of(dtype=dtype, xp=xp))
        optimizer.add_hook(make())
        walk(optimizer)
        gradients = [on_cpu(p.grad) for p in optimizer.target.params()]
        results.append([*values(optimizer.target), *gradients])
    assert_close(*results, TOLERANCE[dtype])


@pytest.mark.parametrize("make", HOOKS.values(), ids=HOOKS)
def test_a_gradient_that_is_not_contiguous_is_changed_too(make, device):
    g = RNG.normal(size=(4, 6))
    results = []
    for xp in device, np:
        dynet.random.seed(0)
        link = link_of([ARRAYS[1]], xp=xp)
        link.p0.grad = xp.asarray(g)[:, ::2].T
        optimizer = SGD(0.1).setup(link)
        optimizer.add_hook(make())
        optimizer.update()
        results.append(values(link))
    assert_close(*results)


@pytest.mark.parametrize("make", HOOKS.values(), ids=HOOKS)
def test_a_nan_in_a_gradient_stays_on_a_gpu(make, device):
    link = link_of(ARRAYS[1:2], xp=device)
    g = STEPS[0][1].copy()
    g[1, 2] = np.nan
    give(link, [g])
    optimizer = SGD(0).setup(link)
    optimizer.add_hook(make())
    optimizer.update()
    assert np.isnan(on_cpu(link.p0.grad)[1, 2])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, 0.0])
@pytest.mark.parametrize("make", [optimizers.AMSBound, optimizers.SMORMS3, optimizers.MSVAG])
def test_what_is_no_ordinary_number_goes_the_same_way(make, value, device):
    """Through ``np.maximum`` and ``np.minimum``."""
    ends = []
    for xp in device, np:
        optimizer = make().setup(link_of([np.zeros(3)], xp=xp))
        with np.errstate(all="ignore"):
            walk(optimizer, [[[value, 1, 0]], [[1, value, 1]]])
        ends.append([*values(optimizer.target), *states(optimizer)])
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# -- rows of a table ------------------------------------------------------------------------------

IDS = np.array([[3, 70, 3], [99, 3, 70]])
TABLE = RNG.normal(size=(100, 4))


def with_rows(xp, order="C"):
    """A table of which three rows have a gradient."""
    link = L.EmbedID(100, 4, initialW=TABLE)
    link.W.array = np.asarray(TABLE, order=order)
    (link(IDS) ** 3).sum().backward()
    rows = link.W.node.grad
    if xp is not np:
        link.W.array = xp.asarray(link.W.array)
        rows = Rows(xp.asarray(rows.ids), xp.asarray(rows.gy), rows.shape)
        link.W.node.grad = rows
    return link


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("make", [SGD, Adam])
@pytest.mark.parametrize("threshold", [0.5, 1e9, None])
def test_rows_of_a_table_are_moved_as_on_the_cpu(make, order, threshold, device):
    ends = []
    for xp in device, np:
        link = with_rows(xp, order)
        optimizer = make(0.1).setup(link)
        if threshold is not None:
            optimizer.add_hook(GradientClipping(threshold))
        optimizer.update()
        ends.append(values(link))
    assert_close(*ends)


def test_a_row_outside_the_table_is_left_alone(pretend_gpu):
    link = with_rows(pretend_gpu)
    link.W.node.grad.ids[:2] = pretend_gpu.asarray(np.array([-1, 100]))
    SGD(0.1).setup(link).update()
    moved = (on_cpu(link.W.array) != TABLE).any(axis=1)
    assert moved.nonzero()[0].tolist() == [99]


def test_rows_of_another_number_than_the_ids_are_refused(device):
    with pytest.raises(ValueError, match="SGD: expected a row of the gradient for each of the ids"):
        update.sgd_rows(device.zeros((9, 4)), device.zeros(2, int), device.zeros((3, 4)), 0.1)


def test_rows_whose_gradient_is_not_finite_stay(device):
    link = with_rows(device)
    link.W.node.grad.gy[0, 0] = np.nan
    optimizer = SGD(0.1).setup(link)
    optimizer.add_hook(GradientClipping(1))
    optimizer.update()
    np.testing.assert_array_equal(on_cpu(link.W.array), TABLE)
    assert optimizer.skipped == 1


# -- an update that is called off -----------------------------------------------------------------


class Halving(Optimizer):
    """An optimizer as a user would write one."""

    state_names = ("before",)
    rate = optimizers.Hyperparameter()

    def update_param(self, W, gW, rule):
        rule.state["before"][...] = W
        W -= self.rate * np.sign(gW) * 0.5**rule.t


CLIPPED = {**OPTIMIZERS, "one of a user's own": lambda: Halving(rate=0.1)}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("make", CLIPPED.values(), ids=CLIPPED)
def test_a_gradient_that_is_not_finite_moves_nothing(make, value, device):
    optimizer = make().setup(link_of(ARRAYS[:2], xp=device))
    optimizer.add_hook(GradientClipping(1.0))
    walk(optimizer, STEPS[:2])
    before = [*values(optimizer.target), *states(optimizer)]
    bad = [g.copy() for g in STEPS[2]]
    bad[1][1, 2] = value
    walk(optimizer, [bad])
    after = [*values(optimizer.target), *states(optimizer)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    give(optimizer.target, STEPS[3])
    optimizer.update()
    assert (values(optimizer.target)[0] != before[0]).all()
    assert optimizer.skipped == 1


def test_the_gradients_of_a_skipped_update_stay(device):
    link = link_of(ARRAYS[:2], xp=device)
    bad = [STEPS[0][0], np.full((3, 4), np.inf)]
    optimizer = SGD(0.1).setup(link)
    optimizer.add_hook(GradientClipping(1.0))
    walk(optimizer, [bad])
    for p, g in zip(link.params(), bad, strict=True):
        np.testing.assert_array_equal(on_cpu(p.grad), g)


def clipping(xp, make=Adam):
    optimizer = make().setup(link_of(ARRAYS[:1], xp=xp))
    optimizer.add_hook(GradientClipping(1.0))
    return optimizer


def skip(optimizer, times=1):
    return walk(optimizer, [[np.full((70, 80), np.nan)]] * times)


def test_skipped_updates_are_counted_on_the_gpu_until_someone_looks(pretend_gpu):
    optimizer = clipping(pretend_gpu)
    skip(walk(skip(optimizer, 2)))
    assert not pretend_gpu.synchronisations
    assert optimizer.skipped == 3
    assert len(pretend_gpu.synchronisations) == 1
    assert optimizer.skipped == 3
    assert len(pretend_gpu.synchronisations) == 1
    assert skip(optimizer).skipped == 4


def test_a_skipped_update_on_a_gpu_counts_as_a_step(device):
    optimizer = skip(clipping(device))
    assert optimizer.t == optimizer.target.p0.update_rule.t == 1


def test_a_copy_and_a_file_have_the_count(device, tmp_path):
    optimizer = skip(clipping(device), 2)
    assert copy.deepcopy(optimizer).skipped == 2
    save_npz(tmp_path / "o", optimizer)
    other = skip(clipping(device))
    load_npz(tmp_path / "o", other)
    assert skip(other).skipped == 3


def test_setup_forgets_what_was_skipped(device):
    optimizer = skip(clipping(device))
    assert optimizer.setup(optimizer.target).skipped == 0


def test_in_debug_mode_a_gradient_that_is_not_finite_raises(device):
    optimizer = clipping(device)
    with dynet.using_config("debug", True):
        walk(optimizer, STEPS[:1])
        with pytest.raises(FloatingPointError, match="norm of the gradients is nan, expected"):
            skip(optimizer)


@pytest.mark.parametrize("answers", [(True, False), (False, True), (True, True)])
def test_an_update_is_made_where_all_hooks_that_answer_on_the_gpu_let_it_be(answers, device):
    optimizer = SGD(0.1).setup(link_of(ARRAYS[:1], xp=device))
    for i, answer in enumerate(answers):
        optimizer.add_hook(lambda optimizer, a=answer: device.asarray(a), f"hook {i}")
    walk(optimizer, STEPS[:1])
    assert (values(optimizer.target)[0] != ARRAYS[0]).all() == all(answers)
    assert optimizer.skipped == 1 - all(answers)


def test_several_answers_of_one_hook_are_refused(device):
    optimizer = SGD().setup(link_of(ARRAYS[:1], xp=device))
    optimizer.add_hook(lambda optimizer: device.asarray([True, False]))
    with pytest.raises(ValueError, match=r"booleans of shape \(2,\), expected one, without axes"):
        walk(optimizer, STEPS[:1])


def test_what_else_a_hook_returns_counts_for_nothing(device):
    optimizer = SGD().setup(link_of(ARRAYS[:1], xp=device))
    optimizer.add_hook(lambda optimizer: device.asarray(0.0))
    walk(optimizer, STEPS[:1])
    assert (values(optimizer.target)[0] != ARRAYS[0]).all() and optimizer.skipped == 0


def test_a_hook_that_returns_false_calls_the_update_off_at_once(device):
    optimizer = clipping(device)
    optimizer.add_hook(lambda optimizer: False, "no")
    walk(optimizer, STEPS[:1])
    assert (optimizer.skipped, optimizer.t) == (1, 0)


# -- waiting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", CLIPPED.values(), ids=CLIPPED)
def test_an_update_does_not_wait_for_the_gpu(make, pretend_gpu):
    optimizer = make().setup(link_of(ARRAYS[:2], np.float32, pretend_gpu))
    for hook in HOOKS.values():
        if (hook := hook()).name not in optimizer._hooks:
            optimizer.add_hook(hook)
    walk(optimizer, STEPS[:2])
    assert pretend_gpu.synchronisations == []


@pytest.mark.parametrize("other", [np.zeros((4, 3)), np.zeros((3, 4), np.float32)])
def test_a_kernel_refuses_arrays_that_are_not_alike(other, device):
    array = device.zeros((3, 4))
    with pytest.raises(
        ValueError, match=r"update_add_sign: .* got float(64|32) \(.*float64 \(3, 4"
    ):
        update.change(update.add_sign, device.asarray(other), array, 0.1)


def test_rows_do_not_wait_for_the_gpu(pretend_gpu):
    optimizer = SGD(0.1).setup(with_rows(pretend_gpu))
    optimizer.add_hook(GradientClipping(1.0))
    optimizer.update()
    assert pretend_gpu.synchronisations == []


def test_clipping_takes_one_pass_over_each_gradient_for_the_norm(pretend_gpu):
    optimizer = SGD(0.1).setup(link_of(ARRAYS[:3], xp=pretend_gpu))
    optimizer.add_hook(GradientClipping(1.0))
    walk(optimizer, STEPS[:1])
    assert pretend_gpu.launched == [
        *["sum_of_squares_d"] * 3,
        "clipping",
        *["update_multiple"] * 3,
        *["update_sgd"] * 3,
    ]


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_the_norm_of_float32_neither_overflows_nor_vanishes(size, device):
    x = device.full(100_001, size, np.float32)
    norm, rate, finite = update_cuda.clipping([x, x[:99]], size)
    exact = np.float64(np.float32(size)) * np.sqrt(100_100)
    assert float(norm) == pytest.approx(exact, rel=1e-13)
    assert float(rate) == pytest.approx(size / exact, rel=1e-13) and bool(finite)


# -- moving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_state_follows_its_parameter_to_a_gpu_and_back(make, device):
    moving, staying = [make().setup(link_of()) for _ in range(2)]
    for where, step in zip(["cpu", "cuda:0", "cuda:0", "cpu"], STEPS, strict=False):
        moving.target.to_device(where)
        walk(moving, [step])
        walk(staying, [step])
        assert_close(states(moving), states(staying))
    assert_close(values(moving.target), values(staying.target))


def test_a_state_is_moved_once(pretend_gpu):
    optimizer = walk(Adam().setup(link_of()), STEPS[:1])
    optimizer.target.to_device("cuda:0")
    walk(optimizer, STEPS[:1])
    m = optimizer.target.p0.update_rule.state["m"]
    walk(optimizer, STEPS[:1])
    assert optimizer.target.p0.update_rule.state["m"] is m
    assert pretend_gpu.get_array_module(m) is pretend_gpu


def test_a_gradient_on_another_device_than_its_parameter_is_an_error_that_names_both(device):
    link = link_of(ARRAYS[:2], xp=device)
    optimizer = Adam().setup(link)
    give(link, STEPS[0])
    link.p1.node.grad = STEPS[0][1]
    with pytest.raises(ValueError, match=r"p1 \(3, 4\) is on cuda:0, its gradient on cpu, expect"):
        optimizer.update()
    np.testing.assert_array_equal(on_cpu(link.p0.array), ARRAYS[0])


def test_a_parameter_on_a_gpu_that_is_not_the_current_one_is_an_error(pretend_gpu):
    link = link_of(ARRAYS[:1], xp=pretend_gpu).to_device("cuda:1")
    optimizer = Adam().setup(link)
    link.p0.grad = link.device.send(STEPS[0][0])
    message = "the arrays are on cuda:1, the current device is cuda:0; .* makes that the current"
    with pytest.raises(ValueError, match=f"^Adam.update: {message}"):
        optimizer.update()
    with link.device:
        optimizer.update()
    assert link.p0.update_rule.state["m"].device.id == 1
    with pytest.raises(ValueError, match=f"^update_adam: {message}"):
        optimizer.update()
    with pytest.raises(ValueError, match=f"^sum_of_squares: {message}"):
        update_cuda.sum_of_squares(link.p0.array)


def test_gradients_on_several_devices_have_no_common_norm(device):
    link = link_of(ARRAYS[:2])
    link.p1.to_device("cuda:0")
    give(link, STEPS[0])
    optimizer = SGD().setup(link)
    optimizer.add_hook(GradientClipping(1))
    with pytest.raises(ValueError, match="GradientClipping: the gradient 0 of p0 is on cpu, the"):
        optimizer.update()


def test_a_model_on_two_devices_waits_for_a_hook_that_answers_on_the_gpu(device):
    link = link_of(ARRAYS[:2])
    link.p1.to_device("cuda:0")
    optimizer = SGD(0.1).setup(link)
    optimizer.add_hook(lambda optimizer: device.asarray(False))
    walk(optimizer, STEPS[:1])
    assert (optimizer.skipped, optimizer.t) == (1, 0)


@pytest.mark.parametrize("of", ["cpu", "cuda:0"])
@pytest.mark.parametrize("make", [Adam, optimizers.RMSpropGraves])
def test_a_state_that_was_saved_on_one_device_is_loaded_on_the_other(make, of, device, tmp_path):
    to = "cuda:0" if of == "cpu" else "cpu"
    saved, loaded = [make().setup(link_of().to_device(where)) for where in (of, to)]
    walk(saved, STEPS[:2])
    save_npz(tmp_path / "s", {"model": saved.target, "optimizer": saved})
    load_npz(tmp_path / "s", {"model": loaded.target, "optimizer": loaded})
    assert_close(states(loaded), states(saved), 0)
    for optimizer in saved, loaded:
        walk(optimizer, STEPS[2:])
    assert_close(values(loaded.target), values(saved.target))


# -- rules in CUDA --------------------------------------------------------------------------------


def power(g, w):
    return w - g**2


def branch(g, w):
    return w if g > 0 else g


def loop(g, w):
    for _ in range(2):
        w = w - g
    return w


def exponential(g, w):
    return np.exp(g) * w


def three_of_them(g, w):
    return np.maximum(g, w, g)


def of_python(g, w):
    return abs(g) + w


def unknown(g, w):
    return w - rate * g  # noqa: F821


def both_at_once(g, w):
    g, w = w, g
    return w


def truth(g, w):
    return w + True


def nothing(g, w):
    g = w  # noqa: F841


def returning_none(g, w):
    return


REFUSED = {
    power: "g ** 2",
    branch: "w if g > 0 else g",
    loop: "for _ in range",
    exponential: "np.exp(g)",
    three_of_them: "np.maximum(g, w, g)",
    of_python: "abs(g)",
    unknown: "rate",
    both_at_once: ast.unparse(ast.parse("g, w = w, g")),
    truth: "True",
    nothing: "g = w",
    returning_none: "return",
}


@pytest.mark.parametrize("rule, what", REFUSED.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_a_rule_that_cuda_cannot_say_is_refused_with_what_it_cannot_say(rule, what):
    with pytest.raises(ValueError, match="cannot be said in CUDA; expected a rule of") as info:
        update_cuda.in_cuda(rule)
    assert str(info.value).startswith(f"{rule.__name__}: `{what}")


def of_one_value(g, w, m):
    return w - g


def test_a_rule_that_returns_fewer_values_than_it_is_to_write_is_refused():
    with pytest.raises(ValueError, match="of_one_value: takes 3 arguments and returns 1 values"):
        update_cuda.kernel_of(of_one_value, "f", 2, [], False)


def new(g, int, double, rate):
    """All that a rule may do; and names that are words of C++."""
    double = -double + 0.5 * (g - double) / 2
    short = np.sign(int) * np.sqrt(np.maximum(double, 1))
    rate = rate * 2
    return int - rate * np.minimum(short, double), double


def test_a_new_rule_needs_no_second_statement(device):
    @update.loop_of(njit(new))
    def kernel(g, w, m, rate):
        raise NotImplementedError("this is for the CPU")

    g, w, m = RNG.normal(size=(3, 10_000))
    w[:3] = 0, np.nan, -0.0
    ours = [device.asarray(x) for x in (w, m)]
    kernel.on_arrays(device.asarray(g), ours, [0.25])
    for a, b in zip(ours, new(g, w, m, 0.25), strict=True):
        np.testing.assert_array_equal(on_cpu(a), b)
