"""Every optimizer follows the published rule: it is held against a second statement of it.

The rules below are plain NumPy in float64, in the form in which the sources give them: each takes
a parameter and the gradients of some updates, and yields the parameter after each of them.
"""

import inspect
import itertools

import numpy as np
import pytest

from dynet import Link, Parameter, optimizers
from dynet.kernels import update
from dynet.optimizers import schedules
from dynet.serializers import load_npz, save_npz

STEPS = 25
RNG = np.random.default_rng(0)
# Matrices, a vector, one number, and nothing at all; each in an order in memory of its own.
SHAPES = [(3, 4), (4, 3), (2, 3, 5), (7,), (), (0, 2)]
ARRAYS = [np.asarray(RNG.normal(size=shape)) for shape in SHAPES]
ORDERS = "CFFCCF"
GRADIENTS = [
    [scale * RNG.normal(0.5, 1, a.shape) for a in ARRAYS]
    for scale in RNG.choice([0.01, 1, 30], STEPS)
]


# -- the rules, as published ----------------------------------------------------------------------


def rate_at(lr, i):
    return lr(i) if callable(lr) else lr


def sgd(W, gradients, lr=0.01):
    for i, g in enumerate(gradients):
        W = W - rate_at(lr, i) * g
        yield W


def momentum_sgd(W, gradients, lr=0.01, momentum=0.9):  # Goyal et al., equation 10
    v = 0
    for i, g in enumerate(gradients):
        v = momentum * v + rate_at(lr, i) * g
        W = W - v
        yield W


def corrected_momentum_sgd(W, gradients, lr=0.01, momentum=0.9):  # Goyal et al., equation 9
    u = 0
    for i, g in enumerate(gradients):
        u = momentum * u + g
        W = W - rate_at(lr, i) * u
        yield W


def nesterov_ag(W, gradients, lr=0.01, momentum=0.9):  # Bengio et al., equations 5 and 7
    v = 0
    for i, g in enumerate(gradients):
        W = W + momentum**2 * v - (1 + momentum) * rate_at(lr, i) * g
        v = momentum * v - rate_at(lr, i) * g
        yield W


def msvag(W, gradients, lr=0.1, beta=0.9, eta=1.0, weight_decay_rate=0.0):  # algorithm 1
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m = beta * m + (1 - beta) * g
        v = beta * v + (1 - beta) * g**2
        mean, square = m / (1 - beta**t), v / (1 - beta**t)
        rho = (1 - beta) * (1 + beta**t) / ((1 + beta) * (1 - beta**t))  # equation 24
        rho = min(rho, 0.9999)
        s = (square - mean**2) / (1 - rho)
        gamma = mean**2 / (mean**2 + rho * s)
        W = W - eta * (lr * gamma * mean + weight_decay_rate * W)
        yield W


def ada_grad(W, gradients, lr=0.001, eps=1e-8):
    for t in range(1, len(gradients) + 1):
        total = sum(g**2 for g in gradients[:t])
        W = W - lr * gradients[t - 1] / (np.sqrt(total) + eps)
        yield W


def ada_delta(W, gradients, rho=0.95, eps=1e-6):  # algorithm 1
    square_g = square_dx = 0
    for g in gradients:
        square_g = rho * square_g + (1 - rho) * g**2
        dx = -np.sqrt(square_dx + eps) / np.sqrt(square_g + eps) * g
        square_dx = rho * square_dx + (1 - rho) * dx**2
        W = W + dx
        yield W


def rmsprop(W, gradients, lr=0.01, alpha=0.99, eps=1e-8, eps_inside_sqrt=False):
    ms = 0
    for g in gradients:
        ms = alpha * ms + (1 - alpha) * g**2
        W = W - lr * g / (np.sqrt(ms + eps) if eps_inside_sqrt else np.sqrt(ms) + eps)
        yield W


def rmsprop_graves(W, gradients, lr=1e-4, alpha=0.95, momentum=0.9, eps=1e-4):  # 38 to 41
    n = mean = delta = 0
    for g in gradients:
        n = alpha * n + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        delta = momentum * delta - lr * g / np.sqrt(n - mean**2 + eps)
        W = W + delta
        yield W


def smorms3(W, gradients, lr=0.001, eps=1e-16):
    mem, mean, square = 1, 0, 0
    for g in gradients:
        r = 1 / (mem + 1)
        mean = (1 - r) * mean + r * g
        square = (1 - r) * square + r * g**2
        x = mean**2 / (square + eps)
        W = W - g * np.minimum(lr, x) / (np.sqrt(square) + eps)
        mem = 1 + mem * (1 - x)
        yield W


def adam(
    W,
    gradients,
    alpha=0.001,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    eta=1.0,
    weight_decay_rate=0.0,
    amsgrad=False,
    adabound=False,
    final_lr=0.1,
    gamma=1e-3,
):  # algorithm 1, and algorithm 2 of Loshchilov and Hutter
    m = v = largest = 0
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        largest = np.maximum(largest, v)
        mean = m / (1 - beta1**t)
        root = np.sqrt((largest if amsgrad else v) / (1 - beta2**t))
        rate = alpha / (root + eps / np.sqrt(1 - beta2**t))  # eps: as at the end of section 2
        if adabound:
            rate = rate / (1 - beta1**t)
            lower = final_lr - final_lr / (gamma * t + 1)
            upper = final_lr + final_lr / (gamma * t)
            rate, mean = np.clip(rate, lower, upper), m
        W = W - eta * (rate * mean + weight_decay_rate * W)
        yield W


def adam_with(**fixed):
    def rule(W, gradients, **settings):
        return adam(W, gradients, **fixed, **settings)

    return rule


TABLE = [
    ("SGD", sgd, {}),
    ("SGD", sgd, {"lr": 0.3}),
    ("SGD", sgd, {"lr": schedules.inverse(0.1, 1)}),
    ("MomentumSGD", momentum_sgd, {}),
    ("MomentumSGD", momentum_sgd, {"lr": schedules.inverse(0.1, 1), "momentum": 0.5}),
    ("CorrectedMomentumSGD", corrected_momentum_sgd, {}),
    ("CorrectedMomentumSGD", corrected_momentum_sgd, {"lr": schedules.inverse(0.1, 1)}),
    ("NesterovAG", nesterov_ag, {}),
    ("NesterovAG", nesterov_ag, {"lr": schedules.inverse(0.1, 1), "momentum": 0.5}),
    ("MSVAG", msvag, {}),
    ("MSVAG", msvag, {"lr": 0.3, "beta": 0.7, "eta": 0.5, "weight_decay_rate": 0.01}),
    ("AdaGrad", ada_grad, {}),
    ("AdaGrad", ada_grad, {"lr": 0.1, "eps": 0.1}),
    ("AdaDelta", ada_delta, {}),
    ("AdaDelta", ada_delta, {"rho": 0.7, "eps": 1e-3}),
    ("RMSprop", rmsprop, {}),
    ("RMSprop", rmsprop, {"lr": 0.1, "alpha": 0.7, "eps": 0.1}),
    ("RMSprop", rmsprop, {"lr": 0.1, "eps": 0.1, "eps_inside_sqrt": True}),
    ("RMSpropGraves", rmsprop_graves, {}),
    ("RMSpropGraves", rmsprop_graves, {"lr": 0.1, "alpha": 0.7, "momentum": 0.5, "eps": 0.1}),
    ("SMORMS3", smorms3, {}),
    ("SMORMS3", smorms3, {"lr": 0.1, "eps": 0.1}),
    ("Adam", adam, {}),
    ("Adam", adam, {"alpha": 0.1, "beta1": 0.5, "beta2": 0.7, "eps": 0.1}),
    ("Adam", adam, {"amsgrad": True, "eta": 0.5, "weight_decay_rate": 0.1}),
    ("Adam", adam, {"adabound": True, "eta": 0.5, "weight_decay_rate": 0.1}),
    ("AdamW", adam, {"eta": 0.5, "weight_decay_rate": 0.1}),
    ("AMSGrad", adam_with(amsgrad=True), {}),
    ("AMSGrad", adam_with(amsgrad=True), {"alpha": 0.1, "beta1": 0.5, "beta2": 0.7}),
    ("AdaBound", adam_with(adabound=True), {}),
    ("AdaBound", adam_with(adabound=True), {"alpha": 0.1, "final_lr": 0.3, "gamma": 0.1}),
    ("AMSBound", adam_with(adabound=True, amsgrad=True), {"beta2": 0.7, "gamma": 0.1}),
]
NAMES = [f"{name} {', '.join(settings)}".strip() for name, _, settings in TABLE]

# Each optimizer once, by its name, as it is by default.
KINDS = sorted({name for name, _, _ in TABLE})


def link_of(arrays, orders=ORDERS, dtype=np.float64):
    """A link of parameters that start from arrays."""
    link = Link()
    with link.init_scope():
        for i, (array, order) in enumerate(zip(arrays, itertools.cycle(orders), strict=False)):
            setattr(link, f"p{i}", Parameter(array.astype(dtype), order=order))
    return link


def values(link):
    return [p.array.copy() for p in link.params()]


def walk(optimizer, gradients):
    """Update with one set of gradients after the other; the parameters after each."""
    for arrays in gradients:
        for p, g in zip(optimizer.target.params(), arrays, strict=True):
            p.grad = np.array(g, p.dtype)
        optimizer.update()
        yield values(optimizer.target)


def last(steps):
    *_, end = steps
    return end


# -- against the rules ----------------------------------------------------------------------------


def test_the_table_has_every_optimizer():
    there = {
        name
        for name, kind in vars(optimizers).items()
        if inspect.isclass(kind) and issubclass(kind, optimizers.Optimizer)
    }
    assert set(KINDS) == there - {"Optimizer", "GradientMethod"}


@pytest.mark.parametrize("name, rule, settings", TABLE, ids=NAMES)
def test_an_optimizer_follows_the_published_rule(name, rule, settings):
    optimizer = getattr(optimizers, name)(**settings).setup(link_of(ARRAYS))
    by_parameter = [
        list(rule(W, [step[i] for step in GRADIENTS], **settings)) for i, W in enumerate(ARRAYS)
    ]
    for step, arrays in enumerate(walk(optimizer, GRADIENTS)):
        for array, steps in zip(arrays, by_parameter, strict=True):
            np.testing.assert_allclose(array, steps[step], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name, rule, settings", TABLE, ids=NAMES)
def test_the_defaults_and_names_of_the_settings_are_those_of_the_table(name, rule, settings):
    mine = inspect.signature(getattr(optimizers, name)).parameters
    theirs = inspect.signature(
        adam if "bound" in rule.__name__ or rule.__name__ == "rule" else rule
    )
    for setting, parameter in mine.items():
        assert parameter.default == theirs.parameters[setting].default, setting


@pytest.mark.parametrize("name", KINDS)
def test_float32_stays_close_to_float64(name):
    walks = [
        last(walk(getattr(optimizers, name)().setup(link_of(ARRAYS, dtype=dtype)), GRADIENTS))
        for dtype in (np.float32, np.float64)
    ]
    for single, double in zip(*walks, strict=True):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_the_order_in_memory_makes_no_difference(name):
    walks = [
        last(walk(getattr(optimizers, name)().setup(link_of(ARRAYS, orders)), GRADIENTS))
        for orders in "CF"
    ]
    for plain, fortran in zip(*walks, strict=True):
        np.testing.assert_array_equal(plain, fortran)


class Elsewhere(np.ndarray):
    """Stands for the arrays of another module than NumPy."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KINDS)
def test_arrays_of_another_module_are_moved_by_the_same_rule(name, dtype):
    link = link_of(ARRAYS, dtype=dtype)
    for p in link.params():
        p.array = p.array.view(Elsewhere)
    kernel = walk(getattr(optimizers, name)().setup(link_of(ARRAYS, dtype=dtype)), GRADIENTS)
    plain = walk(getattr(optimizers, name)().setup(link), GRADIENTS)
    for ours, theirs in zip(last(kernel), last(plain), strict=True):
        assert type(theirs) is Elsewhere and theirs.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_any_number_of_threads_gives_the_very_same_bits(name, monkeypatch):
    arrays = [RNG.normal(size=shape) for shape in [1000, (37, 53), 1, (0,), 333]]
    gradients = [[RNG.normal(size=a.shape) for a in arrays] for _ in range(3)]
    monkeypatch.setattr(update, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(update, "WORTH_A_CALL", 1)
    walks = []
    for cores in 1, 2, 3:
        monkeypatch.setattr(update, "available_cores", lambda cores=cores: cores)
        link = link_of(arrays, dtype=np.float32)
        walks.append(last(walk(getattr(optimizers, name)().setup(link), gradients)))
    for one, two, three in zip(*walks, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("name, rule, settings", TABLE, ids=NAMES)
def test_saved_midway_and_resumed_it_gives_the_very_same_bits(name, rule, settings, tmp_path):
    first, second = [getattr(optimizers, name)(**settings).setup(link_of(ARRAYS)) for _ in "12"]
    last(walk(first, GRADIENTS[:7]))
    save_npz(tmp_path / "s", {"model": first.target, "optimizer": first})
    load_npz(tmp_path / "s", {"model": second.target, "optimizer": second})
    pairs = zip(last(walk(first, GRADIENTS[7:])), last(walk(second, GRADIENTS[7:])), strict=True)
    for uninterrupted, resumed in pairs:
        np.testing.assert_array_equal(resumed, uninterrupted)


@pytest.mark.parametrize("name", KINDS)
def test_nan_is_carried_on_in_its_element_alone(name):
    gradients = [[np.array([1.0, np.nan, -1.0])], [np.ones(3)]]
    end = last(walk(getattr(optimizers, name)().setup(link_of([np.ones(3)])), gradients))
    assert np.isnan(end[0]).tolist() == [False, True, False]


@pytest.mark.parametrize("name", KINDS)
def test_a_gradient_that_always_was_zero_moves_nothing(name):
    gradients = [[np.zeros(3, np.float32)]] * 3
    link = link_of([np.ones(3)], dtype=np.float32)
    end = last(walk(getattr(optimizers, name)().setup(link), gradients))
    np.testing.assert_array_equal(end[0], np.ones(3))


KERNELS = {name: u for name, u in vars(update).items() if isinstance(u, update.Update)}
STATE = {"v", "m", "h", "ms", "msg", "msdx", "n", "mean", "delta", "mem", "square", "vhat"}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_a_kernel_refuses_vectors_that_differ_in_length(kernel):
    names = list(inspect.signature(kernel.loop.py_func).parameters)
    arrays = {"W", "gW"} | STATE
    for wrong in arrays & set(names[1:]):
        given = [
            (np.zeros(3) if name == wrong else np.ones(4)) if name in arrays else 0.1
            for name in names
        ]
        with pytest.raises(ValueError, match="of one length"):
            kernel.loop(*given)


# -- against PyTorch ------------------------------------------------------------------------------

# eps is next to nothing where PyTorch adds it at another place.
TINY = 1e-30
TORCH = [
    ("SGD", {"lr": 0.1}, "SGD", {"lr": 0.1}),
    ("MomentumSGD", {"lr": 0.1, "momentum": 0.7}, "SGD", {"lr": 0.1, "momentum": 0.7}),
    ("CorrectedMomentumSGD", {"lr": 0.1}, "SGD", {"lr": 0.1, "momentum": 0.9}),
    ("NesterovAG", {"lr": 0.1}, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("AdaGrad", {"lr": 0.1, "eps": 0.01}, "Adagrad", {"lr": 0.1, "eps": 0.01}),
    ("AdaDelta", {"rho": 0.8, "eps": 0.01}, "Adadelta", {"lr": 1, "rho": 0.8, "eps": 0.01}),
    ("RMSprop", {"lr": 0.1, "eps": 0.01}, "RMSprop", {"lr": 0.1, "eps": 0.01}),
    (
        *("RMSpropGraves", {"lr": 0.1, "alpha": 0.8, "momentum": 0.7, "eps": TINY}),
        *("RMSprop", {"lr": 0.1, "alpha": 0.8, "momentum": 0.7, "eps": TINY, "centered": True}),
    ),
    ("Adam", {"alpha": 0.1, "eps": TINY}, "Adam", {"lr": 0.1, "eps": TINY}),
    (
        *("AdamW", {"alpha": 0.1, "eps": TINY, "weight_decay_rate": 0.1 * 0.2}),
        *("AdamW", {"lr": 0.1, "eps": TINY, "weight_decay": 0.2}),
    ),
    ("AMSGrad", {"alpha": 0.1, "eps": TINY}, "Adam", {"lr": 0.1, "eps": TINY, "amsgrad": True}),
]


@pytest.mark.parametrize("ours, settings, theirs, their_settings", TORCH, ids=[t[0] for t in TORCH])
def test_an_optimizer_walks_as_that_of_torch(ours, settings, theirs, their_settings):
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(a, requires_grad=True) for a in ARRAYS]
    their = getattr(torch.optim, theirs)(tensors, **their_settings)
    mine = walk(getattr(optimizers, ours)(**settings).setup(link_of(ARRAYS)), GRADIENTS)
    for arrays, gradients in zip(mine, GRADIENTS, strict=True):
        for tensor, g in zip(tensors, gradients, strict=True):
            tensor.grad = torch.tensor(g)
        their.step()
        for array, tensor in zip(arrays, tensors, strict=True):
            np.testing.assert_allclose(array, tensor.detach().numpy(), rtol=1e-9, atol=1e-12)
