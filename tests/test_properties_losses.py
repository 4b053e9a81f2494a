"""Losses and measures against statements of others, at random points; and at extreme ones."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import LAYOUTS
from scipy import special, stats

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.gradient_check import check_backward, check_double_backward

RNGS = st.integers(0, 2**32 - 1).map(np.random.default_rng)
SIDES = st.integers(1, 4)
EXTRA = st.lists(st.integers(1, 3), max_size=2).map(tuple)
LAYOUT = st.sampled_from(sorted(LAYOUTS)).map(LAYOUTS.get)
DTYPES = st.sampled_from([np.float32, np.float64])
LABEL_DTYPES = st.sampled_from(["int8", "int32", "int64"])


def for_many(count, **strategies):
    """A property test, which may take its time: a kernel is compiled at its first call."""
    return lambda test: settings(deadline=None, max_examples=count)(given(**strategies)(test))


def agree(ours, theirs):
    """Equal, but for what the dtype of ours cannot tell apart."""
    single = ours.dtype == np.float32
    rtol, atol = (1e-4, 1e-5) if single else (1e-11, 1e-12)
    np.testing.assert_allclose(ours.array, theirs, rtol, atol)


def of_all_sizes(rng, shape, dtype, layout=np.asarray):
    """Scores of very different sizes."""
    x = rng.normal(size=shape) * rng.choice([0.1, 1, 30], size=shape)
    return layout(np.asarray(x, dtype))


# -- losses of labels ------------------------------------------------------------------------------


@for_many(
    60,
    rng=RNGS,
    n=SIDES,
    classes=SIDES,
    extra=EXTRA,
    dtype=DTYPES,
    layout=LAYOUT,
    label_dtype=LABEL_DTYPES,
    ignore=st.sampled_from([-1, 0, 2, 100]),
    smoothing=st.sampled_from([0, 0.1, 1]),
    weighted=st.booleans(),
    normalize=st.booleans(),
    reduce=st.sampled_from(["mean", "no"]),
)
def test_softmax_cross_entropy_is_that_of_each_label_by_itself(
    rng,
    n,
    classes,
    extra,
    dtype,
    layout,
    label_dtype,
    ignore,
    smoothing,
    weighted,
    normalize,
    reduce,
):
    x = of_all_sizes(rng, (n, classes, *extra), dtype, layout)
    choices = [*range(classes), ignore]
    t = layout(rng.choice(choices, size=(n, *extra)).astype(label_dtype))
    weight = rng.random(classes).astype(dtype) if weighted else np.ones(classes, dtype)
    expected = np.zeros(t.shape)
    for at in np.ndindex(t.shape):
        if t[at] != ignore:
            log_p = weight * special.log_softmax(np.moveaxis(x, 1, -1)[at].astype(np.float64))
            expected[at] = -(1 - smoothing) * log_p[t[at]] - smoothing * log_p.mean()
    if reduce == "mean":
        expected = expected.sum() / max((t != ignore).sum() if normalize else n, 1)
    loss = F.softmax_cross_entropy(
        Variable(x),
        t,
        normalize,
        class_weight=weight if weighted else None,
        ignore_label=ignore,
        reduce=reduce,
        label_smoothing=smoothing,
    )
    assert loss.dtype == dtype
    agree(loss, expected)


@for_many(
    40,
    rng=RNGS,
    shape=st.lists(st.integers(0, 3), max_size=3).map(tuple),
    dtype=DTYPES,
    layout=LAYOUT,
    normalize=st.booleans(),
    reduce=st.sampled_from(["mean", "no"]),
)
def test_sigmoid_cross_entropy_is_that_of_each_label_by_itself(
    rng, shape, dtype, layout, normalize, reduce
):
    x, t = of_all_sizes(rng, shape, dtype, layout), layout(np.asarray(rng.integers(-1, 2, shape)))
    log_p = special.log_expit(np.where(t == 1, x, -x).astype(np.float64))
    expected = np.where(t == -1, 0, -log_p)
    if reduce == "mean":
        if x.size == 0:
            return
        count = (t >= 0).sum() if normalize else len(x) if x.ndim else 1
        expected = expected.sum() / max(count, 1)
    loss = F.sigmoid_cross_entropy(Variable(x), t, normalize, reduce)
    assert loss.dtype == dtype
    agree(loss, expected)


@for_many(30, rng=RNGS, n=SIDES, classes=SIDES, layout=LAYOUT, norm=st.sampled_from(["L1", "L2"]))
def test_hinge_is_that_of_each_score_by_itself(rng, n, classes, layout, norm):
    x, t = of_all_sizes(rng, (n, classes), np.float64, layout), rng.integers(0, classes, n)
    expected = np.zeros((n, classes))
    for i, j in np.ndindex(n, classes):
        expected[i, j] = max(0, 1 - x[i, j] if j == t[i] else 1 + x[i, j]) ** int(norm[1])
    agree(F.hinge(x, t, norm, "no"), expected)
    agree(F.hinge(x, t, norm), expected.sum() / n)


# -- losses of numbers and distances ---------------------------------------------------------------


@for_many(40, rng=RNGS, n=SIDES, extra=EXTRA, layout=LAYOUT)
def test_losses_of_numbers_are_those_of_scipy(rng, n, extra, layout):
    x, y, z = [of_all_sizes(rng, (n, *extra), np.float64, layout) for _ in range(3)]
    ln_var = z.clip(-8, 8)
    delta = rng.uniform(0.1, 3)
    error = abs(x - y)
    normal = stats.norm(y, np.exp(ln_var / 2))
    agree(F.squared_error(x, y), error**2)
    agree(F.absolute_error(x, y), error)
    agree(F.mean_squared_error(x, y), (error**2).mean())
    agree(F.mean_absolute_error(x, y), error.mean())
    agree(F.huber_loss(x, y, delta, reduce="no"), special.huber(delta, error))
    if extra:
        agree(F.huber_loss(x, y, delta), special.huber(delta, error).sum(axis=1))
    agree(F.gaussian_nll(x, y, ln_var, "no"), -normal.logpdf(x))
    agree(F.gaussian_nll(x, y, ln_var), -normal.logpdf(x).sum())
    # The mean of log(p / q) under p: minus p's entropy, and minus log q's mean.
    cross = (np.log(2 * np.pi) + y**2 + np.exp(ln_var)) / 2
    np.testing.assert_allclose(
        F.gaussian_kl_divergence(y, ln_var, "no").array, cross - normal.entropy(), 1e-9, 1e-9
    )
    bits = rng.integers(0, 2, x.shape)
    nll = -stats.bernoulli(special.expit(ln_var)).logpmf(bits)
    np.testing.assert_allclose(
        F.bernoulli_nll(bits * 1.0, ln_var, "no").array, nll, rtol=1e-9, atol=1e-12
    )


@for_many(30, rng=RNGS, n=SIDES, k=SIDES, layout=LAYOUT)
def test_losses_of_distances_are_those_of_each_pair_by_itself(rng, n, k, layout):
    a, b, c = [layout(rng.normal(size=(n, k))) for _ in range(3)]
    y, margin = rng.integers(0, 2, n), rng.uniform(0.1, 4)
    near, far = np.linalg.norm(a - b, axis=1), np.linalg.norm(a - c, axis=1)
    pairs = [d**2 / 2 if s else max(0, margin - d) ** 2 / 2 for d, s in zip(near, y, strict=True)]
    agree(F.contrastive(a, b, y, margin, "no"), pairs)
    agree(F.contrastive(a, b, y, margin), np.mean(pairs))
    triplets = [max(0, p**2 - q**2 + margin) for p, q in zip(near, far, strict=True)]
    agree(F.triplet(a, b, c, margin, "no"), triplets)
    agree(F.triplet(a, b, c, margin), np.mean(triplets))
    covariance = sum(map(np.outer, a - a.mean(axis=0), b - b.mean(axis=0))) / n
    agree(F.cross_covariance(a, b, "no"), covariance)
    agree(F.cross_covariance(a, b), (covariance**2).sum() / 2)


# -- label sequences -------------------------------------------------------------------------------


def spelled(way, blank):
    """What is left of a succession of symbols."""
    return tuple(s for s, _ in itertools.groupby(way) if s != blank)


@for_many(40, rng=RNGS, steps=SIDES, batch=SIDES, symbols=st.integers(1, 3), most=st.integers(0, 3))
def test_ctc_adds_up_every_way(rng, steps, batch, symbols, most):
    blank = int(rng.integers(symbols))
    x = of_all_sizes(rng, (steps, batch, symbols), np.float64)
    labels = [s for s in range(symbols) if s != blank]
    most = most if labels else 0
    t = rng.choice(labels, (batch, most)) if labels else np.zeros((batch, 0), int)
    n_steps, n_labels = rng.integers(0, steps + 1, batch), rng.integers(0, most + 1, batch)
    log_p = special.log_softmax(x, axis=2)
    expected = np.full(batch, np.inf)
    for b in range(batch):
        ways = [
            sum(log_p[i, b, s] for i, s in enumerate(way))
            for way in itertools.product(range(symbols), repeat=n_steps[b])
            if spelled(way, blank) == tuple(t[b, : n_labels[b]])
        ]
        if ways:
            expected[b] = -special.logsumexp(ways)
    arguments = [*x], t, blank, n_steps, n_labels
    agree(F.connectionist_temporal_classification(*arguments, reduce="no"), expected)
    agree(F.connectionist_temporal_classification(*arguments), expected.mean())


@for_many(30, rng=RNGS, steps=st.integers(1, 8), batch=SIDES, symbols=st.integers(2, 5))
def test_ctc_is_that_of_torch_with_its_gradient(rng, steps, batch, symbols):
    torch = pytest.importorskip("torch")
    blank = int(rng.integers(symbols))
    x = Variable(of_all_sizes(rng, (steps, batch, symbols), np.float64))
    t = rng.choice([s for s in range(symbols) if s != blank], (batch, 3))
    n_steps, n_labels = rng.integers(1, steps + 1, batch), rng.integers(0, 4, batch)
    loss = F.connectionist_temporal_classification([*x], t, blank, n_steps, n_labels, "no")
    theirs = torch.tensor(x.array, requires_grad=True)
    expected = torch.nn.functional.ctc_loss(
        torch.log_softmax(theirs, 2),
        *[torch.tensor(a) for a in (t, n_steps, n_labels)],
        blank=blank,
        reduction="none",
        zero_infinity=True,
    )
    there = np.isfinite(loss.array)
    agree(loss[there], expected.detach().numpy()[there])
    loss[there].sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(x.grad, theirs.grad.numpy(), rtol=1e-8, atol=1e-10)


# -- samples ---------------------------------------------------------------------------------------


@for_many(
    40,
    rng=RNGS,
    n=st.integers(0, 4),
    d=SIDES,
    words=SIDES,
    size=st.integers(0, 3),
    reduce=st.sampled_from(["sum", "no"]),
)
def test_negative_sampling_is_that_of_each_row_by_itself(rng, n, d, words, size, reduce):
    x, W = Variable(rng.normal(size=(n, d))), Variable(rng.normal(size=(words, d)))
    t, drawn = rng.integers(-1, words, n), rng.integers(0, words, (n, size + 1))
    weight = rng.normal(size=n if reduce == "no" else ())
    loss = F.negative_sampling(x, t, W, lambda shape: drawn, size, reduce)
    expected, gx, gW = np.zeros(n), np.zeros((n, d)), np.zeros((words, d))
    for i in np.flatnonzero(t >= 0):
        for k, sign in [(t[i], -1), *[(k, 1) for k in drawn[i, 1:]]]:
            score = sign * x.array[i] @ W.array[k]
            expected[i] -= special.log_expit(-score)
            slope = sign * special.expit(score) * (weight[i] if reduce == "no" else weight)
            gx[i] += slope * W.array[k]
            gW[k] += slope * x.array[i]
    agree(loss, expected if reduce == "no" else expected.sum())
    loss.grad = np.asarray(weight)
    loss.backward()
    np.testing.assert_allclose(x.grad, gx, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(W.grad, gW, rtol=1e-11, atol=1e-13)


# -- measures --------------------------------------------------------------------------------------


@for_many(40, rng=RNGS, n=SIDES, classes=SIDES, extra=EXTRA, layout=LAYOUT)
def test_measures_of_labels_are_those_of_scikit_learn(rng, n, classes, extra, layout):
    metrics = pytest.importorskip("sklearn.metrics")
    y = layout(rng.normal(size=(n, classes, *extra)))
    t = layout(rng.integers(-1, classes, (n, *extra)))
    kept = t != -1
    found, true = np.argmax(y, axis=1)[kept], t[kept]
    right = metrics.accuracy_score(true, found) if true.size else 0
    agree(F.accuracy(y, t, ignore_label=-1), right)
    if not true.size:
        return
    *expected, support = metrics.precision_recall_fscore_support(
        true, found, labels=range(classes), zero_division=np.nan
    )
    measures = F.precision, F.recall, F.f1_score
    for measure, share in zip(measures, expected, strict=True):
        ours = measure(y, t, label_num=classes)
        agree(ours[0], share)
        np.testing.assert_array_equal(ours[1].array, support)


@for_many(30, rng=RNGS, n=st.integers(2, 6), k=SIDES, layout=LAYOUT)
def test_r2_score_is_that_of_scikit_learn(rng, n, k, layout):
    metrics = pytest.importorskip("sklearn.metrics")
    pred, true = layout(rng.normal(size=(n, k))), layout(rng.normal(size=(n, k)))
    weight = rng.random(n) + 0.1
    for weights in None, weight:
        for multioutput in "uniform_average", "raw_values":
            expected = metrics.r2_score(true, pred, sample_weight=weights, multioutput=multioutput)
            agree(F.r2_score(pred, true, weights, multioutput), expected)


# -- derivatives -----------------------------------------------------------------------------------


def cross_entropy(rng, reduce):
    classes, extra = rng.integers(1, 4), rng.choice([1, 2], size=rng.integers(0, 3))
    x, t = rng.normal(size=(2, classes, *extra)), rng.integers(-1, classes, (2, *extra))
    keywords = dict(
        normalize=bool(rng.integers(2)),
        class_weight=rng.choice([None, 1]) and rng.random(classes),
        label_smoothing=rng.choice([0, 0.3]),
        reduce=reduce,
    )
    return lambda x: F.softmax_cross_entropy(x, t, **keywords), x


def binary_cross_entropy(rng, reduce):
    shape = tuple(rng.integers(1, 4, rng.integers(0, 3)))
    t = rng.integers(-1, 2, shape)
    return lambda x: F.sigmoid_cross_entropy(x, t, True, reduce), rng.normal(size=shape)


def ctc(rng, reduce):
    t = rng.integers(1, 3, (2, 2))
    lengths = rng.integers(0, 5, 2), rng.integers(0, 3, 2)
    # Where there is no way the loss is infinite, and no numerical gradient can be had.
    lengths[1][lengths[0] < 4] = 0

    def loss(x):
        return F.connectionist_temporal_classification([*x], t, 0, *lengths, reduce)

    return loss, rng.normal(size=(4, 2, 3))


def sampled(rng, reduce):
    t, drawn = rng.integers(-1, 3, 3), rng.integers(0, 3, (3, 3))
    reduce = {"mean": "sum"}.get(reduce, reduce)

    def loss(x, W):
        return F.negative_sampling(x, t, W, lambda shape: drawn, 2, reduce)

    return loss, rng.normal(size=(3, 2)), rng.normal(size=(3, 2))


def of_labels(f, **keywords):
    def case(rng, reduce):
        t = rng.integers(0, 3, 2)
        return lambda x: f(x, t, reduce=reduce, **keywords), rng.normal(size=(2, 3)) * 2

    return case


def of_pairs(rng, reduce):
    y = rng.integers(0, 2, 3)
    return lambda a, b: F.contrastive(a, b, y, 2.0, reduce), *rng.normal(size=(2, 3, 2))


def of_numbers(f, n, plain_reduce="sum", **keywords):
    def case(rng, reduce):
        shape = (2, *rng.integers(1, 3, rng.integers(1, 3)))
        if plain_reduce is None:
            return f, *rng.normal(size=(n, *shape))
        keywords["reduce"] = plain_reduce if reduce == "mean" else reduce
        return lambda *xs: f(*xs, **keywords), *rng.normal(size=(n, *shape))

    return case


def of_vectors(f, n, plain_reduce="mean"):
    def case(rng, reduce):
        reduce = plain_reduce if reduce == "mean" else reduce
        return lambda *xs: f(*xs, reduce=reduce), *rng.normal(size=(n, 3, 2))

    return case


DIFFERENTIABLE = {
    "softmax_cross_entropy": cross_entropy,
    "sigmoid_cross_entropy": binary_cross_entropy,
    "hinge": of_labels(F.hinge, norm="L2"),
    "squared_error": of_numbers(F.squared_error, 2, None),
    "absolute_error": of_numbers(F.absolute_error, 2, None),
    "mean_squared_error": of_numbers(F.mean_squared_error, 2, None),
    "mean_absolute_error": of_numbers(F.mean_absolute_error, 2, None),
    "huber_loss": of_numbers(F.huber_loss, 2, "sum_along_second_axis", delta=0.7),
    "bernoulli_nll": of_numbers(F.bernoulli_nll, 2),
    "gaussian_nll": of_numbers(F.gaussian_nll, 3),
    "gaussian_kl_divergence": of_numbers(F.gaussian_kl_divergence, 2),
    "contrastive": of_pairs,
    "triplet": of_vectors(F.triplet, 3),
    "cross_covariance": of_vectors(F.cross_covariance, 2, "half_squared_sum"),
    "connectionist_temporal_classification": ctc,
    "negative_sampling": sampled,
}


@pytest.mark.parametrize("reduce", ["mean", "no"])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
@for_many(6, rng=RNGS)
def test_both_derivatives_agree_with_numerical_ones_at_random_points(name, reduce, rng):
    f, *xs = DIFFERENTIABLE[name](rng, reduce)
    check_backward(f, tuple(xs))
    check_double_backward(f, tuple(xs), rtol=1e-3)


# -- extremes --------------------------------------------------------------------------------------


def derived(f, *xs):
    """A loss and its gradients, of both kinds of sweep."""
    vs = [Variable(x) for x in xs]
    loss = f(*vs)
    gs = dynet.grad([loss.sum()], vs)
    again = dynet.grad([loss.sum()], vs, create_graph=True)
    for g, h in zip(gs, again, strict=True):
        np.testing.assert_allclose(g.array, h.array, rtol=1e-5, atol=1e-5)
    return loss.array, *[g.array for g in gs]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("label, loss, g", [(0, 0, [0, 0, 0]), (1, 2e30, [1, -1, 0])])
def test_scores_of_any_finite_size_have_a_cross_entropy(dtype, label, loss, g):
    x = np.array([[1e30, -1e30, 0]], dtype)
    got = derived(lambda x: F.softmax_cross_entropy(x, np.array([label])), x)
    np.testing.assert_allclose(got[0], loss, rtol=1e-6)
    np.testing.assert_array_equal(got[1], [g])
    got = derived(lambda x: F.sigmoid_cross_entropy(x, np.array([[0, 1, -1]]), reduce="no"), x)
    np.testing.assert_allclose(got[0], [[1e30, 1e30, 0]], rtol=1e-6)
    np.testing.assert_array_equal(got[1], [[1, -1, 0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_any_finite_size_have_a_ctc_loss(dtype):
    x = np.array([[1e30, -1e30, 0]], dtype)
    t = np.array([[1, 2]])
    loss, g = derived(lambda x: F.connectionist_temporal_classification([x] * 3, t, 0), -x)
    np.testing.assert_allclose(loss, 1e30, rtol=1e-6)
    np.testing.assert_array_equal(g, [[0, 1, -1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_symbol_that_never_comes_is_left_out_of_long_sequences_too(dtype):
    x = np.zeros((200, 1, 3), dtype)
    x[:, :, 0] = -np.inf  # the blank: the one label comes until the other does, of 199 ways
    t = np.array([[1, 2]])
    loss, g = derived(lambda x: F.connectionist_temporal_classification([*x], t, 0), x)
    np.testing.assert_allclose(loss, 200 * math.log(2) - math.log(199), rtol=1e-5)
    assert np.isfinite(g).all() and not g[:, :, 0].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_class_that_is_impossible_gets_no_gradient_and_an_infinite_loss_at_its_label(dtype):
    x = np.array([[-np.inf, 0, 0]] * 2, dtype)
    v = Variable(x)
    losses = F.softmax_cross_entropy(v, np.array([1, 0]), reduce="no")
    np.testing.assert_allclose(losses.array, [math.log(2), np.inf], rtol=1e-6)
    losses.sum().backward()
    np.testing.assert_array_equal(v.grad, [[0, -0.5, 0.5], [-1, 0.5, 0.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pair_too_far_apart_to_square_has_no_loss_and_no_gradient(dtype):
    far = np.array([[np.sqrt(np.finfo(dtype).max) * 10, 0]], dtype)
    with np.errstate(over="ignore"):
        got = derived(lambda a, b: F.contrastive(a, b, np.array([0])), far, np.zeros((1, 2), dtype))
    for array in got:
        np.testing.assert_array_equal(array, np.zeros(array.shape))


@pytest.mark.parametrize("error", [0, 1e-25, 1e-21])
def test_a_tiny_variance_of_float32_leaves_a_finite_loss_and_gradients(error):
    # The inverse of the variance is out of range, the square of the error too.
    x, mean, ln_var = [np.array([value], np.float32) for value in (error, 0, -100)]
    loss, gx, gmean, gln_var = derived(F.gaussian_nll, x, mean, ln_var)
    squared = float(x[0]) ** 2 * math.exp(100)
    np.testing.assert_allclose(loss, (math.log(2 * math.pi) - 100 + squared) / 2, rtol=1e-5)
    np.testing.assert_allclose(gx, float(x[0]) * math.exp(100), rtol=1e-4)
    np.testing.assert_array_equal(gmean, -gx)
    np.testing.assert_allclose(gln_var, (1 - squared) / 2, rtol=1e-4)


IGNORED = {
    "softmax_cross_entropy": lambda x: F.softmax_cross_entropy(x, np.full(3, -1)),
    "weighted": lambda x: F.softmax_cross_entropy(x, np.full(3, -1), class_weight=np.ones(3)),
    "smoothed": lambda x: F.softmax_cross_entropy(x, np.full(3, -1), label_smoothing=0.5),
    "sigmoid_cross_entropy": lambda x: F.sigmoid_cross_entropy(x, np.full((3, 3), -1)),
    "negative_sampling": lambda x: F.negative_sampling(
        x, np.full(3, -1), np.ones((2, 3)), lambda shape: np.zeros(shape, int), 2
    ),
}


@pytest.mark.parametrize("name", IGNORED)
@pytest.mark.parametrize("score", [0.0, np.nan, np.inf])
def test_what_is_ignored_has_loss_and_gradient_0_whatever_its_scores(name, score):
    loss, g = derived(IGNORED[name], np.full((3, 3), score))
    assert loss == 0
    np.testing.assert_array_equal(g, np.zeros((3, 3)))
