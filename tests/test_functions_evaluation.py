"""Measures: their values, where they are undefined, and bad input. Accuracy is in test_loss.py."""

import re

import numpy as np
import pytest

import dynet.functions as F
from dynet import Variable

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(50, 4))
LABELS = RNG.integers(-1, 4, 50)
Y = np.ones((2, 3))
T = np.array([0, 2])

CASES = [
    (
        lambda: F.binary_accuracy(Y, np.ones((2, 1), int)),
        ValueError,
        "binary_accuracy: y has shape (2, 3), t has shape (2, 1); expected one shape",
    ),
    (
        lambda: F.binary_accuracy(Y, np.full((2, 3), 2)),
        ValueError,
        "binary_accuracy: t holds the label 2, expected 0, 1, or -1",
    ),
    (
        lambda: F.binary_accuracy(Y, Y > 0),
        TypeError,
        "binary_accuracy: t is bool (2, 3), expected an array of integers",
    ),
    (lambda: F.accuracy(Y, T[:, None]), ValueError, "accuracy: t has shape (2, 1), expected (2,)"),
    (lambda: F.precision(Y, T[:, None]), ValueError, "precision: t has shape (2, 1), expected"),
    (lambda: F.precision(Y, T, label_num=2), ValueError, "precision: t holds the label 2, expect"),
    (lambda: F.recall(Y, T - 2), ValueError, "recall: t holds the label -2, expected labels from"),
    (lambda: F.recall(Y, T, label_num=-1), ValueError, "recall: label_num is -1, expected 0, 1"),
    (lambda: F.f1_score(Y, T, label_num=2.0), TypeError, "f1_score: label_num is 2.0, expected an"),
    (lambda: F.f1_score(Y[:0], T[:0]), ValueError, "f1_score: y holds no scores"),
    (lambda: F.f1_score(Y, T * 1.0), TypeError, "f1_score: t is an array of float64, expected an"),
    (lambda: F.r2_score(Y, Y[:1]), ValueError, "r2_score: pred has shape (2, 3), true has shape"),
    (lambda: F.r2_score(Y[:0], Y[:0]), ValueError, "r2_score: pred has shape (0, 3), expected an"),
    (lambda: F.r2_score(Y, Y, sample_weight=Y), ValueError, "r2_score: sample_weight has shape"),
    (lambda: F.r2_score(Y, Y, multioutput="all"), ValueError, "r2_score: multioutput is 'all'"),
    (lambda: F.r2_score(T, T), TypeError, "r2_score: pred is int64 (2,), expected a floating"),
]


@pytest.mark.parametrize("call, error, message", CASES, ids=[c[2] for c in CASES])
def test_a_bad_input_is_named_in_one_sentence(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_measure_keeps_the_dtype_of_the_scores_and_has_no_gradient(dtype):
    y = Variable(SCORES.astype(dtype))
    measures = [
        F.accuracy(y, LABELS, ignore_label=-1),
        F.binary_accuracy(y, np.ones(y.shape, int)),
        F.r2_score(y, y),
        F.r2_score(y, y, multioutput="raw_values"),
        *[f(y, LABELS)[0] for f in (F.precision, F.recall, F.f1_score)],
    ]
    assert all(m.dtype == dtype and not m.requires_grad for m in measures)


def test_binary_accuracy_leaves_out_ignored_labels():
    y = np.array([[-2.0, 0.0], [3.0, -5.0]])
    assert F.binary_accuracy(y, np.array([[0, 1], [0, -1]])).item() == pytest.approx(2 / 3)
    assert F.binary_accuracy(y, np.full((2, 2), -1)).item() == 0
    assert F.binary_accuracy(y[:0], np.zeros((0, 2), int)).item() == 0


def test_a_score_that_is_nan_is_never_right():
    y = np.full((1, 2), np.nan)
    assert F.binary_accuracy(y, np.array([[0, 1]])).item() == 0


def test_precision_recall_and_f1_are_those_of_counting():
    kept = LABELS != -1
    found, labels = SCORES.argmax(axis=1)[kept], LABELS[kept]
    for k in range(4):
        right = ((found == k) & (labels == k)).sum()
        p, r = right / (found == k).sum(), right / (labels == k).sum()
        for f, expected in (F.precision, p), (F.recall, r), (F.f1_score, 2 * p * r / (p + r)):
            share, support = f(SCORES, LABELS)
            assert share.array[k] == pytest.approx(expected, rel=1e-14)
            assert support.array[k] == (labels == k).sum() and support.dtype.kind == "i"


def test_precision_recall_and_f1_take_more_axes():
    y = RNG.normal(size=(5, 4, 3, 2))
    t = RNG.integers(0, 4, (5, 3, 2))
    for f in F.precision, F.recall, F.f1_score:
        flat = f(y.transpose(0, 2, 3, 1).reshape(30, 4), t.reshape(30))
        for a, b in zip(f(y, t), flat, strict=True):
            np.testing.assert_array_equal(a.array, b.array)


# Class 0 is found and belongs, 1 is found only, 2 belongs only, 3 does neither.
UNDEFINED = np.eye(4)[[0, 1, 0]], np.array([0, 0, 2])


@pytest.mark.parametrize(
    "f, expected",
    [
        (F.precision, [1 / 2, 0, np.nan, np.nan]),
        (F.recall, [1 / 2, np.nan, 0, np.nan]),
        (F.f1_score, [1 / 2, 0, 0, np.nan]),
    ],
)
def test_a_share_of_nothing_is_nan(f, expected):
    share, support = f(*UNDEFINED, label_num=4)
    np.testing.assert_array_equal(share.array, expected)
    np.testing.assert_array_equal(support.array, [2, 0, 1, 0])


def test_the_number_of_classes_is_by_default_one_more_than_the_largest_label():
    for f in F.precision, F.recall, F.f1_score:
        np.testing.assert_array_equal(f(*UNDEFINED)[0].array, f(*UNDEFINED, 3)[0].array)


def test_where_all_labels_are_ignored_there_are_no_classes():
    share, support = F.precision(Y, np.array([-1, -1]))
    assert share.shape == support.shape == (0,)


def test_the_ignored_label_may_be_a_class():
    share, support = F.recall(np.eye(3), np.array([0, 1, 2]), ignore_label=1)
    np.testing.assert_array_equal(share.array, [1, np.nan, 1])
    np.testing.assert_array_equal(support.array, [1, 0, 1])


def test_r2_is_0_for_the_mean_and_1_for_the_targets():
    true = RNG.normal(size=(10, 3))
    assert F.r2_score(true, true).item() == 1
    mean = np.broadcast_to(true.mean(axis=0), true.shape)
    assert F.r2_score(mean, true).item() == pytest.approx(0, abs=1e-14)


def test_r2_of_several_outputs_is_the_mean_of_theirs():
    pred, true = RNG.normal(size=(2, 10, 3, 2))
    each = F.r2_score(pred, true, multioutput="raw_values").array
    assert each.shape == (3, 2)
    expected = 1 - ((true - pred) ** 2).sum(axis=0) / (10 * true.var(axis=0))
    np.testing.assert_allclose(each, expected, rtol=1e-13)
    assert F.r2_score(pred, true).item() == pytest.approx(expected.mean())


def test_r2_is_0_where_the_targets_do_not_vary():
    pred, true = RNG.normal(size=(10, 2)), np.ones((10, 2))
    np.testing.assert_array_equal(F.r2_score(pred, true, multioutput="raw_values").array, [0, 0])


def test_an_example_of_weight_2_counts_as_two_in_r2():
    pred, true = RNG.normal(size=(2, 3, 2))
    weight = np.array([1.0, 2.0, 0.0])
    twice = [0, 1, 1]
    expected = F.r2_score(pred[twice], true[twice]).item()
    assert F.r2_score(pred, true, sample_weight=weight).item() == pytest.approx(expected)
