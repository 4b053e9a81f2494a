"""What the table cannot say of losses: bad input, ties and limits, what is infinite."""

import re

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.kernels import ctc as ctc_kernels
from dynet.kernels import loss as kernels

X = np.ones((2, 3), np.float32)
T = np.array([0, 2])
YES_NO = np.array([[0, 1, 1], [1, -1, 0]])
STEPS = [np.zeros((2, 3))] * 4
LABELS = np.array([[1, 2], [1, 1]])
ctc = F.connectionist_temporal_classification


def zeros(shape):
    return np.zeros(shape, int)


def sampling(x=X, t=T, W=X, sampler=zeros, sample_size=2, **keywords):
    return F.negative_sampling(x, t, W, sampler, sample_size, **keywords)


def gradients(loss, *xs):
    return [g.array for g in dynet.grad(loss.sum(), xs)]


# -- bad input ----------------------------------------------------------------------------------

# The call, the error, and what its message says.
CASES = [
    (
        lambda: F.softmax_cross_entropy(X, T, label_smoothing=1.5),
        ValueError,
        "softmax_cross_entropy: label_smoothing is 1.5, expected a number from 0 to 1",
    ),
    (
        lambda: F.softmax_cross_entropy(X, T[:, None]),
        ValueError,
        "softmax_cross_entropy: t has shape (2, 1), expected (2,)",
    ),
    (
        lambda: F.softmax_cross_entropy(X.astype(">f4"), T),
        TypeError,
        "softmax_cross_entropy: x is >f4, expected float32 or float64",
    ),
    (
        lambda: F.softmax_cross_entropy(X.astype(np.float16), T),
        TypeError,
        "softmax_cross_entropy: x is float16, expected float32 or float64",
    ),
    (
        lambda: F.softmax_cross_entropy(X, T, ignore_label=2**70),
        TypeError,
        "softmax_cross_entropy: ignore_label is 1180591620717411303424, expected an integer of 64",
    ),
    (
        lambda: F.softmax_cross_entropy(X, np.array([0, 2**64 - 1], np.uint64)),
        ValueError,
        "softmax_cross_entropy: t holds the label 18446744073709551615, expected",
    ),
    (
        lambda: F.sigmoid_cross_entropy(X, np.ones((2, 1), int)),
        ValueError,
        "sigmoid_cross_entropy: x has shape (2, 3), t has shape (2, 1); expected one shape",
    ),
    (
        lambda: F.sigmoid_cross_entropy(X, np.full((2, 3), 2)),
        ValueError,
        "sigmoid_cross_entropy: t holds the label 2, expected 0, 1, or -1",
    ),
    (
        lambda: F.sigmoid_cross_entropy(X, X),
        TypeError,
        "sigmoid_cross_entropy: t is float32 (2, 3), expected an array of integers",
    ),
    (
        lambda: F.sigmoid_cross_entropy(X, X > 0),
        TypeError,
        "sigmoid_cross_entropy: t is bool (2, 3), expected an array of integers",
    ),
    (
        lambda: F.sigmoid_cross_entropy(X.astype(np.float16), YES_NO),
        TypeError,
        "sigmoid_cross_entropy: x is float16, expected float32 or float64",
    ),
    (
        lambda: F.sigmoid_cross_entropy(X[:0], YES_NO[:0]),
        ValueError,
        "sigmoid_cross_entropy: x holds no scores",
    ),
    (
        lambda: F.sigmoid_cross_entropy(X, YES_NO, reduce="sum"),
        ValueError,
        "sigmoid_cross_entropy: reduce is 'sum', expected 'mean' or 'no'",
    ),
    (lambda: F.hinge(X, T[:, None]), ValueError, "hinge: t has shape (2, 1), expected (2,)"),
    (lambda: F.hinge(X, T + 1), ValueError, "hinge: t holds the label 3, expected labels from 0"),
    (lambda: F.hinge(X, T - 1), ValueError, "hinge: t holds the label -1, expected labels from 0"),
    (lambda: F.hinge(X, T, norm="L3"), ValueError, "hinge: norm is 'L3', expected 'L1' or 'L2'"),
    (lambda: F.hinge(X[:0], T[:0]), ValueError, "hinge: x holds no scores"),
    (
        lambda: F.huber_loss(X, X, delta=-1),
        ValueError,
        "huber_loss: delta is -1, expected a number of at least 0",
    ),
    (
        lambda: F.huber_loss(X[0], X[0], delta=1),
        ValueError,
        "huber_loss: x has shape (3,), expected a second axis",
    ),
    (
        lambda: F.huber_loss(X, X, 1, reduce="mean"),
        ValueError,
        "huber_loss: reduce is 'mean', expected 'sum_along_second_axis' or 'no'",
    ),
    (
        lambda: F.gaussian_nll(X, X, X[0]),
        ValueError,
        "gaussian_nll: x has shape (2, 3), mean has shape (2, 3), ln_var has shape (3,); expected",
    ),
    (
        lambda: F.bernoulli_nll(X.astype(int), X),
        TypeError,
        "bernoulli_nll: x is int64 (2, 3), expected a floating array",
    ),
    (
        lambda: F.gaussian_kl_divergence(X, X, reduce="mean"),
        ValueError,
        "gaussian_kl_divergence: reduce is 'mean', expected 'sum' or 'no'",
    ),
    (
        lambda: F.contrastive(X, X, T),
        ValueError,
        "contrastive: y holds the label 2, expected 0 or 1",
    ),
    (
        lambda: F.contrastive(X, X, np.zeros((2, 1), int)),
        ValueError,
        "contrastive: y has shape (2, 1), expected (2,)",
    ),
    (
        lambda: F.contrastive(X, X, X[:, 0]),
        TypeError,
        "contrastive: y is float32 (2,), expected an array of integers",
    ),
    (
        lambda: F.contrastive(X, X, T // 2, margin=0),
        ValueError,
        "contrastive: margin is 0, expected a positive number",
    ),
    (
        lambda: F.contrastive(X[:0], X[:0], T[:0]),
        ValueError,
        "contrastive: there are no examples",
    ),
    (lambda: F.triplet(X, X, X[:1]), ValueError, "triplet: anchor has shape (2, 3), positive"),
    (lambda: F.triplet(X[0], X[0], X[0]), ValueError, "triplet: anchor has shape (3,), 1 axes"),
    (lambda: F.triplet(X[:0], X[:0], X[:0]), ValueError, "triplet: there are no examples"),
    (
        lambda: F.cross_covariance(X, X[:1]),
        ValueError,
        "cross_covariance: y has shape (2, 3), z has shape (1, 3); expected rows",
    ),
    (lambda: F.cross_covariance(X[:0], X[:0]), ValueError, "cross_covariance: y has shape (0, 3)"),
    (
        lambda: F.cross_covariance(X, X.astype(np.float64)),
        TypeError,
        "cross_covariance: y is float32 (2, 3), z is float64 (2, 3); expected one floating dtype",
    ),
    (lambda: ctc(np.zeros((4, 2, 3)), LABELS, 0), TypeError, "x is ndarray, expected a list"),
    (lambda: ctc([], LABELS, 0), TypeError, "x holds no time steps, expected a list"),
    (lambda: ctc([X[0]], LABELS, 0), ValueError, "x[0] has shape (3,), 1 axes, expected 2"),
    (lambda: ctc([X, X[:1]], LABELS, 0), ValueError, "x[0] has shape (2, 3), x[1] has shape (1,"),
    (lambda: ctc([X.astype(int)], LABELS, 0), TypeError, "x[0] is int64 (2, 3), expected a float"),
    (lambda: ctc([X.astype(np.float16)], LABELS, 0), TypeError, "x is float16, expected float32"),
    (lambda: ctc(STEPS, LABELS, 3), ValueError, "blank_symbol is 3, expected an integer from 0"),
    (lambda: ctc(STEPS, LABELS, -1), ValueError, "blank_symbol is -1, expected an integer from 0"),
    (lambda: ctc(STEPS, LABELS, 1), ValueError, "t holds the label 1, expected labels from 0 to 2"),
    (lambda: ctc(STEPS, LABELS + 2, 0), ValueError, "t holds the label 3, expected labels from 0"),
    (lambda: ctc(STEPS, LABELS - 2, 0), ValueError, "t holds the label -1, expected labels from"),
    (lambda: ctc(STEPS, LABELS[0], 0), ValueError, "t has shape (2,), 1 axes, expected 2"),
    (lambda: ctc(STEPS, LABELS[:1], 0), ValueError, "t has shape (1, 2), expected 2 rows"),
    (lambda: ctc(STEPS, LABELS * 1.0, 0), TypeError, "t is float64 (2, 2), expected an array of"),
    (lambda: ctc(STEPS, LABELS, 0, [4, 4]), TypeError, "input_length is list, expected an array"),
    (lambda: ctc(STEPS, LABELS, 0, np.array([4])), ValueError, "input_length has shape (1,), exp"),
    (lambda: ctc(STEPS, LABELS, 0, np.array([5, 4])), ValueError, "input_length holds 5, expected"),
    (
        lambda: ctc(STEPS, LABELS, 0, label_length=np.array([2, 3])),
        ValueError,
        "label_length holds 3, expected lengths from 0 to 2",
    ),
    (lambda: ctc(STEPS, LABELS, 0, reduce="sum"), ValueError, "reduce is 'sum', expected 'mean'"),
    (
        lambda: ctc([np.zeros((0, 3))], np.zeros((0, 2), int), 0),
        ValueError,
        "x[0] has shape (0, 3), expected a sequence to average",
    ),
    (lambda: sampling(t=T[:, None]), ValueError, "negative_sampling: t has shape (2, 1), expected"),
    (lambda: sampling(t=T - 2), ValueError, "negative_sampling: t holds the label -2, expected"),
    (lambda: sampling(t=T), ValueError, "negative_sampling: t holds the label 2, expected labels"),
    (
        lambda: sampling(t=T // 2, sampler=lambda shape: np.full(shape, 7)),
        ValueError,
        "negative_sampling: what the sampler drew holds the label 7, expected labels from 0 to 1",
    ),
    (
        lambda: sampling(sampler=lambda shape: np.zeros(3, int)),
        ValueError,
        "negative_sampling: what the sampler drew has shape (3,), expected (2, 3)",
    ),
    (
        lambda: sampling(sampler=np.zeros),
        TypeError,
        "negative_sampling: what the sampler drew is float64 (2, 3), expected an array of integers",
    ),
    (lambda: sampling(sampler=None), TypeError, "negative_sampling: sampler is NoneType, expected"),
    (lambda: sampling(sample_size=-1), ValueError, "negative_sampling: sample_size is -1, expect"),
    (lambda: sampling(W=X[:, :2]), ValueError, "negative_sampling: x has shape (2, 3), W has"),
    (lambda: sampling(reduce="mean"), ValueError, "negative_sampling: reduce is 'mean', expected"),
]


@pytest.mark.parametrize("call, error, message", CASES, ids=[c[2] for c in CASES])
def test_a_bad_input_is_named_in_one_sentence(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


TWO_ALIKE = [
    "squared_error",
    "absolute_error",
    "mean_squared_error",
    "mean_absolute_error",
    "bernoulli_nll",
    "gaussian_kl_divergence",
]


@pytest.mark.parametrize("name", TWO_ALIKE)
@pytest.mark.parametrize(
    "other", [X[:, :1], X[0], np.ones((), np.float32)], ids=lambda a: str(a.shape)
)
def test_nothing_is_broadcast(name, other):
    for pair in (X, other), (Variable(other), Variable(X)):
        with pytest.raises(ValueError, match=rf"{name}: \w+ has shape .*; expected one shape"):
            getattr(F, name)(*pair)


@pytest.mark.parametrize("name", TWO_ALIKE)
@pytest.mark.parametrize("other", [X.astype(np.float64), T, 1.0, [1.0]], ids=str)
def test_two_dtypes_are_an_error(name, other):
    with pytest.raises(TypeError, match=f"{name}: .*expected"):
        getattr(F, name)(X, other)


@pytest.mark.parametrize("name", ["mean_squared_error", "mean_absolute_error"])
def test_nothing_has_no_mean(name):
    with pytest.raises(ValueError, match=f"{name}: x0 holds no elements, expected at least one"):
        getattr(F, name)(X[:0], X[:0])


# -- sigmoid_cross_entropy ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "uint64"])
def test_sigmoid_cross_entropy_takes_labels_of_every_integer_dtype(dtype):
    x = Variable(np.zeros((1, 2)))
    F.sigmoid_cross_entropy(x, np.array([[1, 0]], dtype)).backward()
    np.testing.assert_array_equal(x.grad, [[-0.25, 0.25]])


def test_a_label_of_uint64_is_not_taken_for_a_negative_one():
    with pytest.raises(ValueError, match="holds the label 18446744073709551615"):
        F.sigmoid_cross_entropy(np.zeros(1), np.array([2**64 - 1], np.uint64))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_large_scores_no_digit_is_lost(dtype):
    x = Variable(np.array([40, -40, 1e4, -1e4], dtype))
    loss = F.sigmoid_cross_entropy(x, np.array([1, 0, 0, 1]), reduce="no")
    np.testing.assert_allclose(loss.array, np.array([np.exp(-40), np.exp(-40), 1e4, 1e4]), 1e-6)
    (g,) = gradients(loss, x)
    np.testing.assert_allclose(g, np.array([-np.exp(-40), np.exp(-40), 1, -1]), 1e-6)


@pytest.mark.parametrize("reduce", ["mean", "no"])
def test_nan_counts_where_its_label_counts_and_nowhere_else(reduce):
    x = Variable(np.array([np.nan, 1.0]))
    loss = F.sigmoid_cross_entropy(x, np.array([-1, 1]), reduce=reduce)
    assert np.isfinite(loss.array).all() and np.isfinite(gradients(loss, x)).all()
    assert np.isnan(F.sigmoid_cross_entropy(x, np.array([0, 1])).item())
    (recorded,) = dynet.grad(loss.sum(), x, create_graph=True)
    np.testing.assert_allclose(recorded.array, gradients(loss, x)[0], rtol=1e-13)


def test_where_all_labels_are_ignored_loss_and_gradient_are_0():
    x = Variable(np.ones((2, 3)))
    loss = F.sigmoid_cross_entropy(x, np.full((2, 3), -1))
    assert loss.item() == 0 and not gradients(loss, x)[0].any()


def test_a_strange_label_is_found_anywhere():
    for at in 0, 2047, 2048, 4999:
        t = np.zeros(5000, int)
        t[at] = 3
        with pytest.raises(ValueError, match="holds the label 3"):
            F.sigmoid_cross_entropy(np.zeros(5000), t)


def test_large_batches_are_summed_without_losing_digits():
    x = np.full(3_000_000, 0.1, np.float32)
    one = F.sigmoid_cross_entropy(x[:1].astype(np.float64), np.ones(1, int)).item()
    assert F.sigmoid_cross_entropy(x, np.ones(x.size, int)).item() == pytest.approx(one, rel=1e-6)


# -- regression and distances -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["absolute_error", "mean_absolute_error"])
def test_the_gradient_of_no_error_is_0(name):
    x = Variable(np.ones(2))
    assert not gradients(getattr(F, name)(x, np.ones(2)), x)[0].any()


def test_huber_is_the_absolute_error_far_away_without_losing_digits():
    loss = F.huber_loss(np.full((1, 1), 1e6, np.float32), np.zeros((1, 1), np.float32), delta=1)
    assert loss.item() == np.float32(1e6 - 0.5)
    assert F.huber_loss(np.full((1, 1), np.inf), np.zeros((1, 1)), delta=1).item() == np.inf


def test_hinge_has_gradient_0_at_the_corner():
    x = Variable(np.array([[1.0, -1.0]]))
    assert not gradients(F.hinge(x, np.array([0])), x)[0].any()


def test_vectors_that_coincide_have_a_finite_gradient_in_contrastive_of_both_orders():
    x0, x1 = Variable(np.ones((2, 3))), Variable(np.ones((2, 3)))
    loss = F.contrastive(x0, x1, np.array([0, 1]))
    assert loss.item() == 0.25  # half the squared margin of one pair, averaged over two
    gs = dynet.grad(loss, [x0, x1], create_graph=True)
    assert not any(g.array.any() for g in gs)
    (gg,) = dynet.grad((gs[0] * gs[0]).sum(), x0)
    assert np.isfinite(gg.array).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.mean_squared_error(x, x),
        lambda x: F.huber_loss(x, np.zeros((1, 2)), 1),
        lambda x: F.bernoulli_nll(x, x),
        lambda x: F.gaussian_nll(x, x, x),
        lambda x: F.triplet(x, x, x),
        lambda x: F.contrastive(x, np.zeros((1, 2)), np.array([0])),
        lambda x: F.hinge(x, np.array([0])),
        lambda x: F.cross_covariance(x, x),
        lambda x: ctc([x, x], np.array([[1]]), 0),
    ],
)
def test_nan_is_carried_on(call):
    assert np.isnan(call(np.array([[np.nan, 1.0]])).array).any()


# -- connectionist_temporal_classification ------------------------------------------------------


def ctc_losses(x, *arguments, **keywords):
    """The losses, and their gradient, of scores given as one array."""
    x = Variable(np.asarray(x))
    loss = ctc([*x], *arguments, reduce="no", **keywords)
    return loss.array, gradients(loss, x)[0], x, loss


def test_every_way_is_counted_once():
    # All scores are equal: the probability is the number of ways, among 3 ** 4.
    losses, *_ = ctc_losses(np.zeros((4, 2, 3)), LABELS, 0)
    spelled = []
    for way in np.ndindex(3, 3, 3, 3):
        once = [s for i, s in enumerate(way) if i == 0 or s != way[i - 1]]
        spelled.append([s for s in once if s != 0])
    ways = [spelled.count([*labels]) for labels in LABELS]
    np.testing.assert_allclose(np.exp(-losses), np.array(ways) / 3**4, rtol=1e-13)


def test_the_gradient_of_ctc_is_that_of_torch_for_many_lengths():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for blank in 0, 4:
        steps, batch, symbols, most = 12, 40, 5, 4
        x = rng.normal(size=(steps, batch, symbols)) * 3
        t = rng.integers(0, symbols - 1, (batch, most)) + (blank == 0)
        n_steps, n_labels = rng.integers(8, steps + 1, batch), rng.integers(0, most + 1, batch)
        losses, g, *_ = ctc_losses(x, t, blank, n_steps, n_labels)
        tensor = torch.tensor(x, requires_grad=True)
        expected = torch.nn.functional.ctc_loss(
            torch.log_softmax(tensor, 2),
            *[torch.tensor(a) for a in (t, n_steps, n_labels)],
            blank=blank,
            reduction="none",
        )
        expected.sum().backward()
        np.testing.assert_allclose(losses, expected.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(g, tensor.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_a_sequence_without_a_way_has_an_infinite_loss_and_no_gradient():
    # Two equal labels need a blank between them, and so three steps.
    losses, g, x, loss = ctc_losses(np.zeros((2, 2, 3)), LABELS, 0)
    assert losses[0] == pytest.approx(np.log(9)) and losses[1] == np.inf
    assert g[:, 0].any() and not g[:, 1].any()
    (recorded,) = dynet.grad(loss[:1].sum() + loss[1], x, create_graph=True)
    np.testing.assert_allclose(recorded.array, g, rtol=1e-13, atol=1e-15)


def test_scores_of_minus_infinity_leave_no_way():
    x = np.zeros((4, 2, 3))
    x[:, 0, 1] = -np.inf
    losses, g, *_ = ctc_losses(x, LABELS, 0)
    assert losses[0] == np.inf and np.isfinite(losses[1])
    assert not g[:, 0].any() and np.isfinite(g).all()


def test_a_sequence_of_no_steps_can_have_no_labels():
    losses, g, x, loss = ctc_losses(np.zeros((4, 2, 3)), LABELS, 0, zeros(2), np.array([0, 1]))
    np.testing.assert_array_equal(losses, [0, np.inf])
    plain = loss.creator.plain(LABELS, zeros(2), np.array([0, 1]), *x)
    np.testing.assert_array_equal(plain.array, losses)
    assert not g.any()


def test_what_stands_behind_the_lengths_is_not_looked_at():
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    n_steps, n_labels = np.array([4, 3]), np.array([1, 2])
    expected, g, *_ = ctc_losses(x, np.array([[1, 2], [2, 1]]), 0, n_steps, n_labels)
    x[3, 1] = np.nan
    losses, g_of_nan, *_ = ctc_losses(x, np.array([[1, -5], [2, 1]]), 0, n_steps, n_labels)
    np.testing.assert_array_equal(losses, expected)
    np.testing.assert_array_equal(g_of_nan, g)
    assert not g[3, 1].any()


@pytest.mark.parametrize("scale", [1, 1e3])
def test_long_sequences_lose_no_digits(scale):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2, 8)) * scale
    t = rng.integers(1, 8, (2, 40))
    losses, g, x, loss = ctc_losses(x, t, 0)
    plain = loss.creator.plain(t, np.full(2, 400), np.full(2, 40), *x)
    np.testing.assert_allclose(plain.array, losses, rtol=1e-12)
    np.testing.assert_allclose(gradients(plain, x)[0], g, rtol=1e-7, atol=1e-9)
    x32 = x.array.astype(np.float32)
    np.testing.assert_allclose(ctc_losses(x32, t, 0)[0], losses, rtol=1e-5)


def test_an_empty_batch_has_no_losses():
    assert ctc([np.zeros((0, 3))], np.zeros((0, 2), int), 0, reduce="no").shape == (0,)


# -- negative_sampling --------------------------------------------------------------------------


def test_the_samples_are_returned_with_the_labels_first():
    asked = []

    def sampler(shape):
        asked.append(shape)
        return np.arange(6, dtype=np.int32).reshape(shape)

    W = np.ones((6, 3), np.float32)
    loss, samples = sampling(t=np.array([4, -1]), W=W, sampler=sampler, return_samples=True)
    assert asked == [(2, 3)]
    np.testing.assert_array_equal(samples, [[4, 1, 2], [-1, 4, 5]])
    assert isinstance(loss, Variable)


def test_what_the_sampler_returned_is_left_alone():
    kept = np.full((2, 3), 5)
    sampling(W=np.ones((6, 3), np.float32), sampler=lambda shape: kept)
    assert (kept == 5).all()


def test_the_gradient_of_the_table_is_that_of_the_rows_looked_up():
    W = Variable(np.ones((1000, 3), np.float32))
    loss = sampling(t=np.array([7, -1]), W=W, sampler=lambda shape: np.full(shape, 9))
    loss.backward()
    np.testing.assert_array_equal(W.grad.any(axis=1).nonzero()[0], [7, 9])


def test_nan_in_an_ignored_row_counts_for_nothing():
    x = Variable(X.astype(np.float64))
    x.array[1] = np.nan
    loss = sampling(x=x, t=np.array([0, -1]), W=np.ones((2, 3)), reduce="no")
    assert loss.array[1] == 0 and np.isfinite(loss.array).all()
    assert not gradients(loss, x)[0][1].any()


# -- kernels ------------------------------------------------------------------------------------


def z(*shape):
    """Zeros, with as many again behind them."""
    return np.zeros((2 * (shape[0] + 1), *shape[1:]))[: shape[0]]


def forward(x=(2, 3), bits=(2, 3), t=T, weight=3, e=(2, 3), totals=2, losses=2):
    bits = z(*bits).view(np.int64)
    return kernels.softmax_cross_entropy_forward(
        z(*x), bits, t, z(weight), -1, 0.1, z(*e), z(totals), z(losses)
    )


def backward(e=(2, 3), totals=2, t=T, weight=3, glosses=2, gx=(2, 3)):
    return kernels.softmax_cross_entropy_backward(
        z(*e), z(totals), t, z(weight), z(glosses), -1, 0.1, 1.0, z(*gx)
    )


def of_ctc(x=(4, 2, 3), t=LABELS, blank=0, steps=(4, 4), labels=(2, 2), losses=2, slopes=(4, 2, 3)):
    steps, labels = np.array(steps), np.array(labels)
    return ctc_kernels.ctc_forward(z(*x), t, blank, steps, labels, z(losses), z(*slopes))


MISMATCHED = [
    lambda: forward(t=T[:1]),
    lambda: forward(bits=(2, 2)),
    lambda: forward(weight=2),
    lambda: forward(weight=4),
    lambda: forward(e=(2, 2)),
    lambda: forward(totals=1),
    lambda: forward(losses=1),
    lambda: forward(x=(2, 0), bits=(2, 0), weight=0, e=(2, 0)),
    lambda: backward(totals=1),
    lambda: backward(t=T[:1]),
    lambda: backward(t=T + 1),
    lambda: backward(t=T - 2),
    lambda: backward(weight=2),
    lambda: backward(glosses=3),
    lambda: backward(gx=(2, 2)),
    lambda: kernels.sigmoid_cross_entropy_forward(z(3), zeros(2), z(3), z(3)),
    lambda: kernels.sigmoid_cross_entropy_forward(z(3), zeros(3), z(2), z(3)),
    lambda: kernels.sigmoid_cross_entropy_forward(z(3), zeros(3), z(3), z(2)),
    lambda: of_ctc(t=LABELS[:1]),
    lambda: of_ctc(t=LABELS + 2),
    lambda: of_ctc(t=-LABELS),
    lambda: of_ctc(blank=3),
    lambda: of_ctc(blank=-1),
    lambda: of_ctc(steps=(4,)),
    lambda: of_ctc(steps=(4, 5)),
    lambda: of_ctc(steps=(4, -1)),
    lambda: of_ctc(labels=(2,)),
    lambda: of_ctc(labels=(2, 3)),
    lambda: of_ctc(losses=1),
    lambda: of_ctc(slopes=(3, 2, 3)),
]


@pytest.mark.parametrize("call", MISMATCHED, ids=range(len(MISMATCHED)))
def test_a_kernel_refuses_arrays_that_do_not_fit(call):
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize("label", [-1, -3, 3, np.iinfo(np.int64).max])
def test_cross_entropy_says_where_a_label_is_out_of_range(label):
    x = z(2, 3)
    at, _, _ = kernels.softmax_cross_entropy_forward(
        x, x.view(np.int64), np.array([0, label]), z(0), -100, 0.0, z(2, 3), z(2), z(2)
    )
    assert at == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_of_floating_numbers_is_found_by_their_bits(dtype):
    rng = np.random.default_rng(0)
    bits = {np.float32: np.int32, np.float64: np.int64}[dtype]
    rows = [rng.normal(size=9), -abs(rng.normal(size=9)), [-0.0], [0.0, -0.0], [-np.inf, -1e30]]
    rows += [[-np.inf], [np.inf, 1], [1e-42, -1e-42, 0]]
    for row in rows:
        row = np.array(row, dtype)
        found = np.array([kernels._largest(row.view(bits))], bits).view(dtype)[0]
        assert found == row.max()
