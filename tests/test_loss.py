"""softmax_cross_entropy and accuracy."""

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(6, 4))
LABELS = np.array([3, -1, 0, 1, -1, 3])
WEIGHT = np.array([0.5, 2.0, 1.0, 3.0])


def loss_and_gradient(x, t, **settings):
    x = Variable(x)
    loss = F.softmax_cross_entropy(x, t, **settings)
    loss.backward()
    return loss.item(), x.grad


def test_weights_are_those_of_torch_but_for_the_divisor():
    torch = pytest.importorskip("torch")
    x = torch.tensor(SCORES, requires_grad=True)
    expected = (
        torch.nn.functional.cross_entropy(
            x, torch.tensor(LABELS), torch.tensor(WEIGHT), ignore_index=-1, reduction="sum"
        )
        / (LABELS != -1).sum().item()
    )
    expected.backward()
    loss, gradient = loss_and_gradient(SCORES, LABELS, class_weight=WEIGHT)
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-13)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-12, atol=1e-16)


def test_the_ignored_label_may_be_a_class():
    loss, gradient = loss_and_gradient(SCORES, np.abs(LABELS), ignore_label=1)
    kept = np.abs(LABELS) != 1
    expected, _ = loss_and_gradient(SCORES[kept], LABELS[kept])
    assert loss == pytest.approx(expected, rel=1e-14)
    assert not gradient[~kept].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_large_scores_are_no_matter(scale, dtype):
    loss, gradient = loss_and_gradient(np.array([[scale, 0, -scale]], dtype), np.array([1]))
    assert loss == pytest.approx(1e4)
    np.testing.assert_allclose(np.abs(gradient), [[1, 1, 0]] if scale > 0 else [[0, 1, 1]])


def test_a_nan_among_the_scores_makes_the_loss_nan():
    for j in range(3):
        x = np.zeros((2, 3))
        x[1, j] = np.nan
        assert np.isnan(F.softmax_cross_entropy(x, np.array([0, 1])).item())


def test_a_score_of_infinity_makes_the_loss_nan():
    x = np.array([[0.0, np.inf, 0.0]])
    assert np.isnan(F.softmax_cross_entropy(x, np.array([1])).item())


def test_a_class_with_score_minus_infinity_is_out_of_the_question():
    loss, gradient = loss_and_gradient(np.array([[0.0, -np.inf, 0.0]]), np.array([0]))
    assert loss == pytest.approx(np.log(2))
    np.testing.assert_allclose(gradient, [[-0.5, 0, 0.5]])


def test_where_all_labels_are_ignored_loss_and_gradient_are_0():
    loss, gradient = loss_and_gradient(SCORES, np.full(6, -1))
    assert loss == 0 and not gradient.any()


def test_nan_in_an_ignored_row_counts_for_nothing():
    x = SCORES.copy()
    x[1] = np.nan
    loss, gradient = loss_and_gradient(x, LABELS)
    assert loss == loss_and_gradient(SCORES, LABELS)[0] and np.isfinite(gradient).all()


def recorded_gradient(x, t):
    """The gradient as a sweep finds it that can be differentiated again: through `plain`."""
    x = Variable(x)
    (gx,) = dynet.grad(F.softmax_cross_entropy(x, t), x, create_graph=True)
    return gx.array


def test_nan_in_an_ignored_row_counts_for_nothing_in_a_recorded_sweep():
    x = SCORES.copy()
    x[1] = np.nan
    assert np.isfinite(recorded_gradient(x, LABELS)).all()


def test_minus_infinity_in_an_ignored_row_counts_for_nothing_in_a_recorded_sweep():
    x = SCORES.copy()
    x[:, 0] = -np.inf
    assert np.isfinite(recorded_gradient(x, np.array([3, -1, 2, 1, -1, 3]))).all()


SETTINGS = [
    {},
    {"normalize": False},
    {"class_weight": WEIGHT},
    {"reduce": "no"},
    {"ignore_label": 3, "class_weight": WEIGHT, "reduce": "no"},
    {"label_smoothing": 0.3},
    {"label_smoothing": 1, "class_weight": WEIGHT, "normalize": False},
]


every_setting = pytest.mark.parametrize(
    "settings", SETTINGS, ids=lambda s: ", ".join(s) or "defaults"
)


@every_setting
def test_the_kernel_agrees_with_the_plain_statement(settings):
    t = np.abs(LABELS) if settings.get("ignore_label") == 3 else LABELS
    x = Variable(SCORES)
    y = F.softmax_cross_entropy(x, t, **settings)
    plain = y.creator.plain(x, t)
    gradients = [dynet.grad(v.sum(), x)[0].array for v in (y, plain)]
    np.testing.assert_allclose(y.array, plain.array, rtol=1e-14)
    np.testing.assert_allclose(*gradients, rtol=1e-12, atol=1e-16)


def test_with_smoothed_labels_a_class_out_of_the_question_costs_infinitely_much():
    x = np.array([[0.0, -np.inf, 0.0]])
    assert F.softmax_cross_entropy(x, np.array([0]), label_smoothing=0.1).item() == np.inf


def test_accuracy_is_the_share_of_labels_with_the_largest_score():
    y = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], np.float32)
    assert F.accuracy(y, np.array([1, 0, 0])).item() == pytest.approx(2 / 3)


def test_accuracy_leaves_out_ignored_labels():
    y = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert F.accuracy(y, np.array([1, -1, 0]), ignore_label=-1).item() == 0.5


def test_accuracy_is_0_where_all_labels_are_ignored():
    assert F.accuracy(np.ones((2, 2)), np.array([1, 1]), ignore_label=1).item() == 0


def test_accuracy_takes_more_axes():
    y = np.zeros((2, 3, 4))
    y[:, 2] = 1
    assert F.accuracy(y, np.full((2, 4), 2)).item() == 1


def test_accuracy_keeps_the_dtype_of_the_scores_and_has_no_gradient():
    a = F.accuracy(Variable(np.ones((2, 2), np.float32)), np.array([0, 1]))
    assert a.dtype == np.float32 and not a.requires_grad
