"""Rows of losses."""

import numpy as np

import dynet.functions as F
from dynet.backend import get_array_module

from .row import (
    SHAPES,
    Row,
    exactly,
    inputs,
    integers,
    torch_function,
    uniform,
    x,
)

WEIGHT = np.array([0.5, 2.0, 1.0])


# -- of labels ----------------------------------------------------------------------------------


def _nll(p, t):
    return -np.log(np.take_along_axis(p, t[:, None], 1)[:, 0])


def _softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def _weighted(**keywords):
    return lambda x, t: F.softmax_cross_entropy(
        x, t, class_weight=get_array_module(x).array(WEIGHT, x.dtype), **keywords
    )


def _torch_weighted(x, t, **keywords):
    import torch

    return torch.nn.functional.cross_entropy(
        x, t, torch.tensor(WEIGHT), ignore_index=-1, reduction="none", **keywords
    )


def _cross_entropy(**keywords):
    return lambda x, t: F.softmax_cross_entropy(x, t, **keywords)


def _composed_cross_entropy(x, t):
    return -F.mean(F.log_softmax(x)[np.arange(len(t)), t])


def _torch_binary(x, t, **keywords):
    """PyTorch takes floating targets."""
    return torch_function("binary_cross_entropy_with_logits", **keywords)(x, t.to(x.dtype))


def _torch_binary_of_each(x, t):
    """And ignores none: they are weighted here."""
    return _torch_binary(x, t, weight=(t >= 0).to(x.dtype), reduction="none")


def _sigmoid_cross_entropy(**keywords):
    return lambda x, t: F.sigmoid_cross_entropy(x, t, **keywords)


def _hinge(norm, x, t):
    towards = np.where(np.arange(x.shape[1]) == t[:, None], 1, -1)
    losses = np.maximum(0, 1 - towards * x)
    return losses if norm == "L1" else losses**2


SCORES = inputs(x(4, 3), exactly([2, 0, 1, 2]))
SCORES_AND_IGNORED = inputs(x(4, 3), exactly([2, -1, 1, -1]))
SCORES_WITH_AXES = inputs(x(2, 3, 2, 2), exactly([[[0, 1], [2, -1]], [[1, 1], [-1, 0]]]))
BINARY = inputs(x(3, 4), exactly([[0, 1, 1, 0], [1, -1, 0, -1], [1, 1, 0, 0]]))

OF_LABELS = [
    Row(
        "softmax_cross_entropy",
        F.softmax_cross_entropy,
        (
            SCORES,
            inputs(x(1, 1), exactly([0])),
            inputs(x(2, 3, 1), exactly([[0], [2]])),
        ),
        torch=torch_function("cross_entropy"),
        never_empty="an empty batch has no mean",
        bench=lambda n, m: inputs(x(n, m), integers(0, m, n)),
        composed=_composed_cross_entropy,
    ),
    Row(
        "softmax_cross_entropy: ignored labels",
        F.softmax_cross_entropy,
        SCORES_AND_IGNORED,
        torch=torch_function("cross_entropy", ignore_index=-1),
    ),
    Row(
        "softmax_cross_entropy: more axes",
        F.softmax_cross_entropy,
        SCORES_WITH_AXES,
        torch=torch_function("cross_entropy", ignore_index=-1),
    ),
    Row(
        "softmax_cross_entropy: weights of classes",
        _weighted(),
        SCORES,
        lambda x, t: (_nll(_softmax(x), t) * WEIGHT[t]).mean(),
    ),
    Row(
        "softmax_cross_entropy: divided by the batch",
        _cross_entropy(normalize=False),
        SCORES_AND_IGNORED,
        lambda x, t: _nll(_softmax(x), t)[t >= 0].sum() / len(x),
    ),
    Row(
        "softmax_cross_entropy: each loss",
        _cross_entropy(reduce="no"),
        SCORES_WITH_AXES,
        torch=torch_function("cross_entropy", ignore_index=-1, reduction="none"),
    ),
    Row(
        "softmax_cross_entropy: smoothed labels",
        _cross_entropy(label_smoothing=0.2),
        (SCORES_AND_IGNORED, SCORES_WITH_AXES),
        torch=torch_function("cross_entropy", ignore_index=-1, label_smoothing=0.2),
    ),
    Row(
        "softmax_cross_entropy: each loss, of weights and smoothed labels",
        _weighted(label_smoothing=0.2, reduce="no"),
        (SCORES_AND_IGNORED, SCORES_WITH_AXES),
        torch=lambda x, t: _torch_weighted(x, t, label_smoothing=0.2),
    ),
    Row(
        "sigmoid_cross_entropy",
        F.sigmoid_cross_entropy,
        (
            inputs(x(3, 4), exactly([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]])),
            inputs(x(), exactly(1)),
            inputs(x(2, 1, 3), exactly([[[0, 1, 1]], [[1, 0, 0]]])),
        ),
        torch=_torch_binary,
        bench=lambda n, m: inputs(x(n, m), integers(0, 2, n, m)),
        composed=lambda x, t: F.mean(F.softplus(x) - x * t.astype(x.dtype)),
    ),
    Row(
        "sigmoid_cross_entropy: ignored labels",
        F.sigmoid_cross_entropy,
        BINARY,
        torch=lambda x, t: _torch_binary_of_each(x, t).sum() / (t >= 0).sum(),
    ),
    Row(
        "sigmoid_cross_entropy: divided by the batch",
        _sigmoid_cross_entropy(normalize=False),
        BINARY,
        lambda x, t: np.log1p(np.exp(np.where(t > 0, -x, x)))[t >= 0].sum() / len(x),
    ),
    Row(
        "sigmoid_cross_entropy: each loss",
        _sigmoid_cross_entropy(reduce="no"),
        (BINARY, inputs(x(0, 3), integers(0, 2, 0, 3)), inputs(x(), exactly(-1))),
        torch=_torch_binary_of_each,
    ),
    Row(
        "hinge",
        F.hinge,
        (SCORES, inputs(x(1, 1), exactly([0])), inputs(x(2, 5), exactly([4, 0]))),
        lambda x, t: _hinge("L1", x, t).sum() / len(x),
        never_empty="an empty batch has no mean",
        bench=lambda n, m: inputs(x(n, m), integers(0, m, n)),
    ),
    Row(
        "hinge: squared",
        lambda x, t: F.hinge(x, t, norm="L2"),
        SCORES,
        lambda x, t: _hinge("L2", x, t).sum() / len(x),
    ),
    Row(
        "hinge: each loss",
        lambda x, t: F.hinge(x, t, reduce="no"),
        SCORES,
        lambda x, t: _hinge("L1", x, t),
    ),
]


# -- of numbers ---------------------------------------------------------------------------------


def _alike(number, shapes=SHAPES):
    """So many inputs of one shape, several shapes."""
    return tuple(inputs(*[x(*shape)] * number) for shape in shapes)


def _many(number):
    return lambda n, m: inputs(*[x(n, m)] * number)


NOT_EMPTY = ((3, 4), (), (2, 1, 3))


def _torch_gaussian_nll(x, mean, ln_var):
    import torch

    return torch.nn.functional.gaussian_nll_loss(mean, x, ln_var.exp(), full=True, reduction="sum")


def _torch_kl(mean, ln_var):
    import torch
    from torch.distributions import Normal, kl_divergence

    return kl_divergence(Normal(mean, (ln_var / 2).exp()), Normal(0.0, torch.tensor(1.0))).sum()


def _huber(x, t):
    a = abs(x - t)
    return np.where(a <= 0.7, a * a / 2, 0.7 * (a - 0.35))


OF_NUMBERS = [
    Row(
        "squared_error",
        F.squared_error,
        _alike(2),
        lambda x, y: (x - y) ** 2,
        torch_function("mse_loss", reduction="none"),
        bench=_many(2),
    ),
    Row(
        "absolute_error",
        F.absolute_error,
        _alike(2),
        lambda x, y: abs(x - y),
        torch_function("l1_loss", reduction="none"),
        bench=_many(2),
    ),
    Row(
        "mean_squared_error",
        F.mean_squared_error,
        _alike(2, NOT_EMPTY),
        lambda x, y: np.mean((x - y) ** 2),
        torch_function("mse_loss"),
        never_empty="nothing has no mean",
        bench=_many(2),
    ),
    Row(
        "mean_absolute_error",
        F.mean_absolute_error,
        _alike(2, NOT_EMPTY),
        lambda x, y: np.mean(abs(x - y)),
        torch_function("l1_loss"),
        never_empty="nothing has no mean",
        bench=_many(2),
    ),
    Row(
        "huber_loss",
        lambda x, t: F.huber_loss(x, t, delta=0.7),
        _alike(2, ((3, 4), (2, 0), (0, 3), (2, 3, 2))),
        lambda x, t: _huber(x, t).sum(axis=1),
    ),
    Row(
        "huber_loss: each loss",
        lambda x, t: F.huber_loss(x, t, delta=0.7, reduce="no"),
        _alike(2),
        _huber,
        torch_function("huber_loss", delta=0.7, reduction="none"),
        bench=_many(2),
    ),
    Row(
        "bernoulli_nll",
        F.bernoulli_nll,
        tuple(inputs(uniform(0, 1, *shape), x(*shape)) for shape in SHAPES),
        torch=lambda t, y: torch_function("binary_cross_entropy_with_logits", reduction="sum")(
            y, t
        ),
        bench=lambda n, m: inputs(uniform(0, 1, n, m), x(n, m)),
    ),
    Row(
        "bernoulli_nll: each loss",
        lambda x, y: F.bernoulli_nll(x, y, reduce="no"),
        inputs(uniform(0, 1, 3, 4), x(3, 4)),
        lambda x, y: np.log1p(np.exp(y)) - x * y,
    ),
    Row(
        "gaussian_nll",
        F.gaussian_nll,
        _alike(3),
        torch=_torch_gaussian_nll,
        bench=_many(3),
    ),
    Row(
        "gaussian_nll: each loss",
        lambda x, m, v: F.gaussian_nll(x, m, v, reduce="no"),
        _alike(3),
        lambda x, m, v: (
            -np.log(np.exp(-((x - m) ** 2) / np.exp(v) / 2))
            + np.log(np.sqrt(2 * np.pi * np.exp(v)))
        ),
    ),
    Row(
        "gaussian_kl_divergence",
        F.gaussian_kl_divergence,
        _alike(2),
        torch=_torch_kl,
        bench=_many(2),
    ),
    Row(
        "gaussian_kl_divergence: each loss",
        lambda m, v: F.gaussian_kl_divergence(m, v, reduce="no"),
        _alike(2),
        lambda m, v: (m * m + np.exp(v) - v - 1) / 2,
    ),
]


# -- of distances -------------------------------------------------------------------------------


def _contrastive(a, b, y):
    d = np.linalg.norm(a - b, axis=1)
    return np.where(y == 1, d**2, np.maximum(3 - d, 0) ** 2) / 2


def _triplet(a, p, n):
    return np.maximum(((a - p) ** 2).sum(axis=1) - ((a - n) ** 2).sum(axis=1) + 0.2, 0)


def _covariance(y, z):
    return np.cov(y, z, rowvar=False, bias=True)[: y.shape[1], y.shape[1] :]


OF_DISTANCES = [
    Row(
        "contrastive",
        lambda a, b, y: F.contrastive(a, b, y, margin=3),
        (
            inputs(x(4, 3), x(4, 3), exactly([0, 1, 0, 1])),
            inputs(x(1, 1), x(1, 1), exactly([0])),
            inputs(x(2, 3), x(2, 3), exactly([0, 0])),
        ),
        lambda a, b, y: _contrastive(a, b, y).mean(),
        bench=lambda n, m: inputs(x(n, m), x(n, m), integers(0, 2, n)),
    ),
    Row(
        "contrastive: each loss",
        lambda a, b, y: F.contrastive(a, b, y, margin=3, reduce="no"),
        (
            inputs(x(4, 3), x(4, 3), exactly([0, 1, 0, 1])),
            inputs(x(0, 3), x(0, 3), integers(0, 2, 0)),
            inputs(x(2, 0), x(2, 0), exactly([0, 1])),
        ),
        _contrastive,
    ),
    Row(
        "triplet",
        F.triplet,
        (_alike(3, ((4, 3), (1, 1), (8, 2)))),
        lambda a, p, n: _triplet(a, p, n).mean(),
        bench=_many(3),
    ),
    Row(
        "triplet: each loss",
        lambda a, p, n: F.triplet(a, p, n, reduce="no"),
        _alike(3, ((4, 3), (0, 3))),
        _triplet,
    ),
    Row(
        "cross_covariance",
        F.cross_covariance,
        (inputs(x(5, 3), x(5, 2)), inputs(x(4, 2), x(4, 3))),
        lambda y, z: (_covariance(y, z) ** 2).sum() / 2,
        bench=lambda n, m: inputs(x(n, m), x(n, m)),
    ),
    Row(
        "cross_covariance: each",
        lambda y, z: F.cross_covariance(y, z, reduce="no"),
        (inputs(x(5, 3), x(5, 2)), inputs(x(5, 0), x(5, 2))),
        lambda y, z: (y - y.mean(axis=0)).T @ (z - z.mean(axis=0)) / len(y),
    ),
]


# -- of sequences -------------------------------------------------------------------------------

# Four sequences of at most 6 symbols, of at most 3 labels: some repeated, some lengths less than
# all, one without any label.
LABELS = exactly([[1, 2, 2], [3, 1, 0], [2, 0, 0], [1, 1, 1]])
INPUT_LENGTH = np.array([6, 4, 3, 6])
LABEL_LENGTH = np.array([3, 2, 0, 3])


def _ctc(reduce="mean", lengths=True):
    def call(x, t):
        n = map(get_array_module(t).asarray, (INPUT_LENGTH, LABEL_LENGTH) if lengths else ())
        return F.connectionist_temporal_classification([*x], t, 0, *n, reduce=reduce)

    return call


def _torch_ctc(reduce="mean", lengths=True):
    def call(x, t):
        import torch

        n = INPUT_LENGTH, LABEL_LENGTH
        if not lengths:
            n = np.full(x.shape[1], len(x)), np.full(x.shape[1], t.shape[1])
        losses = torch.nn.functional.ctc_loss(
            torch.log_softmax(x, 2), t, *[torch.tensor(a) for a in n], reduction="none"
        )
        return losses.mean() if reduce == "mean" else losses

    return call


def _bench_ctc(n, m):
    """As many steps as rows, up to 64; as many symbols as columns; a batch of 4."""
    return inputs(x(min(n, 64), 4, m), integers(1, m, 4, 8))


OF_SEQUENCES = [
    Row(
        "connectionist_temporal_classification",
        _ctc(lengths=False),
        (
            inputs(x(5, 3, 4), exactly([[1, 2], [3, 3], [2, 1]])),
            inputs(x(2, 1, 2), exactly([[1]])),
            inputs(x(3, 2, 2), integers(0, 1, 2, 0)),
        ),
        torch=_torch_ctc(lengths=False),
        bench=_bench_ctc,
    ),
    Row(
        "connectionist_temporal_classification: lengths",
        _ctc(),
        inputs(x(6, 4, 4), LABELS),
        torch=_torch_ctc(),
    ),
    Row(
        "connectionist_temporal_classification: each loss",
        _ctc("no"),
        inputs(x(6, 4, 4), LABELS),
        torch=_torch_ctc("no"),
    ),
]


# -- of samples ---------------------------------------------------------------------------------


def _sampler(shape):
    """Not random, so that the value is the same every time."""
    return np.arange(int(np.prod(shape))).reshape(shape) % 5


def _negative_sampling(reduce):
    return lambda x, t, W: F.negative_sampling(x, t, W, _sampler, 3, reduce)


def _negative_sampling_losses(x, t, W):
    samples = _sampler((len(t), 4))
    losses = np.zeros(len(t))
    for i in (t >= 0).nonzero()[0]:
        losses[i] = np.log1p(np.exp(-x[i] @ W[t[i]]))
        losses[i] += np.log1p(np.exp(W[samples[i, 1:]] @ x[i])).sum()
    return losses


OF_SAMPLES = [
    Row(
        "negative_sampling",
        _negative_sampling("sum"),
        (
            inputs(x(4, 3), exactly([4, 0, 1, 1]), x(5, 3)),
            inputs(x(3, 2), exactly([4, -1, 1]), x(6, 2)),
            inputs(x(0, 3), integers(0, 5, 0), x(5, 3)),
            inputs(x(2, 1), exactly([-1, -1]), x(5, 1)),
        ),
        lambda x, t, W: _negative_sampling_losses(x, t, W).sum(),
        bench=lambda n, m: inputs(x(n, m), integers(0, 1000, n), x(1000, m)),
    ),
    Row(
        "negative_sampling: each loss",
        _negative_sampling("no"),
        (
            inputs(x(4, 3), exactly([4, 0, 1, 1]), x(5, 3)),
            inputs(x(3, 2), exactly([4, -1, 1]), x(6, 2)),
        ),
        _negative_sampling_losses,
    ),
]

ROWS = [*OF_LABELS, *OF_NUMBERS, *OF_DISTANCES, *OF_SEQUENCES, *OF_SAMPLES]
