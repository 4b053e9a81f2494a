"""A bad input raises one sentence: the function, the argument, what came, what was expected."""

import re

import numpy as np
import pytest

import dynet.functions as F
from dynet import Variable

X = np.ones((2, 3), np.float32)
V = Variable(X)
IDS = np.array([0, 1])
TABLE = np.ones((5, 2))

# What is wrong, the call, the error, and what its message says in this order.
CASES = [
    ("+: shapes", lambda: V + np.ones(4, np.float32), ValueError, "add: x (2, 3) and y (4,)"),
    ("+: dtypes", lambda: V + np.ones((2, 3)), TypeError, "add: x is float32, y is float64"),
    ("*: integers that need float64", lambda: V * np.ones(3, int), TypeError, "mul: x is float32"),
    ("-: a list", lambda: V - [1, 2, 3], TypeError, "sub: y is list, expected"),
    ("/: None", lambda: V / None, TypeError, "div: y is NoneType, expected"),
    ("**: a complex number", lambda: V**1j, TypeError, "pow: y is complex, expected"),
    ("*: text", lambda: "a" * V, TypeError, "mul: x is str, expected"),
    ("@: shapes", lambda: V @ V, ValueError, "matmul: a (2, 3) and b (2, 3) do not fit"),
    ("@: dtypes", lambda: V @ np.ones((3, 2)), TypeError, "matmul: a is float32, b is float64"),
    ("@: a number", lambda: V @ 2, TypeError, "matmul: b is 2, expected an array"),
    ("@: no axes", lambda: F.matmul(V, np.float32(1) * np.ones(())), TypeError, "matmul: b is"),
    ("reshape: sizes", lambda: F.reshape(V, (4, 2)), ValueError, "reshape: x has shape (2, 3)"),
    ("transpose: axes", lambda: F.transpose(V, (0, 0)), ValueError, "transpose: axes is (0, 0)"),
    ("transpose: no such axis", lambda: F.transpose(V, (0, 2)), ValueError, "transpose: axes is"),
    (
        "broadcast_to: shape",
        lambda: F.broadcast_to(V, (4,)),
        ValueError,
        "broadcast_to: x has shape (2, 3)",
    ),
    ("get_item: too large", lambda: V[2], IndexError, "get_item: "),
    ("get_item: too many", lambda: V[0, 0, 0], IndexError, "get_item: "),
    ("sum: axis", lambda: F.sum(V, 2), ValueError, "sum: axis is 2, x has 2 axes (x: (2, 3))"),
    ("mean: axis", lambda: F.mean(V, 2), ValueError, "mean: axis is 2, x has 2 axes (x: (2, 3))"),
    ("mean: empty", lambda: F.mean(np.ones((0, 3))), ValueError, "mean: x holds no elements"),
    (
        "linear: W's axes",
        lambda: F.linear(X, X[0]),
        ValueError,
        "linear: W has 1 axes, expected 2, (out, in) (x: (2, 3), W: (3,))",
    ),
    (
        "linear: b's shape",
        lambda: F.linear(X, X, np.ones(3, np.float32)),
        ValueError,
        "linear: b has shape (3,), expected (2,)",
    ),
    (
        "linear: b as a row",
        lambda: F.linear(X, X, np.ones((1, 2), np.float32)),
        ValueError,
        "linear: b has shape (1, 2), expected (2,)",
    ),
    ("linear: dtypes", lambda: F.linear(X, np.ones((2, 3))), TypeError, "linear: x is float32, W"),
    (
        "linear: b's dtype",
        lambda: F.linear(X, X, np.ones(2)),
        TypeError,
        "linear: x is float32, W is float32, b is float64; expected one floating dtype",
    ),
    ("linear: a list", lambda: F.linear([[1.0]], X), TypeError, "linear: x is list, expected an"),
    ("linear: one axis", lambda: F.linear(X[0], X), ValueError, "linear: x has 1 axes and n_batch"),
    (
        "linear: batch axes only",
        lambda: F.linear(X, X, n_batch_axes=2),
        ValueError,
        "linear: x has 2 axes and n_batch_axes is 2",
    ),
    (
        "linear: no batch axis",
        lambda: F.linear(X, X, n_batch_axes=0),
        ValueError,
        "linear: x has 2 axes and n_batch_axes is 0",
    ),
    (
        "embed_id: too large",
        lambda: F.embed_id(np.array([1, 5]), TABLE),
        IndexError,
        "embed_id: x holds the id 5, expected ids from 0 to 4 (W: (5, 2))",
    ),
    (
        "embed_id: negative",
        lambda: F.embed_id(np.array([[1], [-1]]), TABLE),
        IndexError,
        "embed_id: x holds the id -1, expected ids from 0 to 4",
    ),
    (
        "embed_id: the least integer",
        lambda: F.embed_id(np.array([np.iinfo(np.int64).min]), TABLE),
        IndexError,
        "embed_id: x holds the id -9223372036854775808",
    ),
    (
        "embed_id: the largest integer",
        lambda: F.embed_id(np.array([np.iinfo(np.uint64).max]), TABLE),
        IndexError,
        "embed_id: x holds the id 18446744073709551615",
    ),
    (
        "embed_id: another id than the ignored",
        lambda: F.embed_id(np.array([-1, -2]), TABLE, ignore_label=-1),
        IndexError,
        "embed_id: x holds the id -2",
    ),
    (
        "embed_id: floating ids",
        lambda: F.embed_id(np.array([1.0]), TABLE),
        TypeError,
        "embed_id: x is an array of float64, expected integers",
    ),
    ("embed_id: a list", lambda: F.embed_id([1], TABLE), TypeError, "embed_id: x is list"),
    ("embed_id: W", lambda: F.embed_id(IDS, TABLE[0]), ValueError, "embed_id: W has shape (2,)"),
]

# softmax_cross_entropy and accuracy take the same labels; scores are called x here and y there.
for f, name in (F.softmax_cross_entropy, "x"), (F.accuracy, "y"):
    says = f.__name__
    CASES += [
        (
            f"{says}: a label too large",
            lambda f=f: f(X, np.array([0, 3])),
            ValueError,
            f"{says}: t holds the label 3, expected labels from 0 to 2",
        ),
        (
            f"{says}: a negative label",
            lambda f=f: f(X, np.array([0, -7])),
            ValueError,
            f"{says}: t holds the label -7, expected labels from 0 to 2",
        ),
        (
            f"{says}: a label beside the ignored",
            lambda f=f: f(X, np.array([9, 8]), ignore_label=9),
            ValueError,
            f"{says}: t holds the label 8",
        ),
        (
            f"{says}: floating labels",
            lambda f=f: f(X, np.array([0.0, 1.0])),
            TypeError,
            f"{says}: t is an array of float64, expected an array of integers",
        ),
        (f"{says}: a list of labels", lambda f=f: f(X, [0, 1]), TypeError, f"{says}: t is list"),
        (
            f"{says}: too few labels",
            lambda f=f: f(X, np.array([0])),
            ValueError,
            f"{says}: t has shape (1,), expected (2,)",
        ),
        (
            f"{says}: one-hot labels",
            lambda f=f: f(X, np.ones((2, 3), int)),
            ValueError,
            f"{says}: t has shape (2, 3), expected (2,)",
        ),
        (
            f"{says}: an empty batch",
            lambda f=f: f(X[:0], IDS[:0]),
            ValueError,
            f"{says}: {name} holds no scores, expected at least one",
        ),
        (
            f"{says}: no classes",
            lambda f=f: f(X[:, :0], IDS),
            ValueError,
            f"{says}: {name} holds no scores, expected at least one",
        ),
        (
            f"{says}: integer scores",
            lambda f=f: f(np.ones((2, 3), int), IDS),
            TypeError,
            f"{says}: {name} is an array of int64 (2, 3), expected floating scores",
        ),
        (
            f"{says}: scores without classes",
            lambda f=f: f(X[0], IDS),
            TypeError,
            f"{says}: {name} is an array of float32 (3,), expected floating scores",
        ),
    ]
CASES += [
    (
        "softmax_cross_entropy: reduce",
        lambda: F.softmax_cross_entropy(X, IDS, reduce="sum"),
        ValueError,
        "softmax_cross_entropy: reduce is 'sum', expected 'mean' or 'no'",
    ),
    (
        "softmax_cross_entropy: too few weights",
        lambda: F.softmax_cross_entropy(X, IDS, class_weight=np.ones(2, np.float32)),
        ValueError,
        "softmax_cross_entropy: class_weight is float32 (2,), expected an array of float32 (3,)",
    ),
    (
        "softmax_cross_entropy: the weights' dtype",
        lambda: F.softmax_cross_entropy(X, IDS, class_weight=np.ones(3)),
        ValueError,
        "softmax_cross_entropy: class_weight is float64 (3,), expected an array of float32 (3,)",
    ),
    (
        "softmax_cross_entropy: a list of weights",
        lambda: F.softmax_cross_entropy(X, IDS, class_weight=[1.0, 1.0, 1.0]),
        TypeError,
        "softmax_cross_entropy: class_weight is list, expected",
    ),
    (
        "softmax_cross_entropy: an ignore_label that is no integer",
        lambda: F.softmax_cross_entropy(X, IDS, ignore_label="none"),
        TypeError,
        "softmax_cross_entropy: ignore_label is ",
    ),
    (
        "softmax_cross_entropy: names what is ignored",
        lambda: F.softmax_cross_entropy(X, np.array([0, -1]), ignore_label=-100),
        ValueError,
        "softmax_cross_entropy: t holds the label -1, expected labels from 0 to 2 or "
        "ignore_label, -100",
    ),
]


@pytest.mark.parametrize("call, error, message", [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_bad_input_is_named_in_one_sentence(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_linear_says_exactly_what_does_not_fit():
    message = "linear: x has 3 features, W expects 5 (x: (16, 3), W: (100, 5))"
    with pytest.raises(ValueError) as error:
        F.linear(np.ones((16, 3)), np.ones((100, 5)))
    assert str(error.value) == message


@pytest.mark.parametrize("position", range(7))
def test_a_wrong_id_is_found_at_every_position(position):
    ids = np.zeros(7, int)
    ids[position] = 5
    with pytest.raises(IndexError, match="holds the id 5"):
        F.embed_id(ids, TABLE)


@pytest.mark.parametrize("position", [0, 50_000, 99_999])
def test_a_wrong_id_is_found_in_a_large_batch(position):
    ids = np.zeros(100_000, int)
    ids[position] = -1
    with pytest.raises(IndexError, match="holds the id -1"):
        F.embed_id(ids, TABLE)


@pytest.mark.parametrize("position", range(7))
def test_a_wrong_label_is_found_at_every_position(position):
    t = np.zeros(7, int)
    t[position] = 2
    with pytest.raises(ValueError, match="holds the label 2"):
        F.softmax_cross_entropy(np.zeros((7, 2)), t)


def test_a_wrong_label_is_found_at_the_end_of_a_large_batch():
    t = np.zeros(100_000, int)
    t[-1] = 2
    with pytest.raises(ValueError, match="holds the label 2"):
        F.softmax_cross_entropy(np.zeros((100_000, 2), np.float32), t)


def test_labels_overwritten_after_the_forward_pass_never_reach_beyond_the_scores():
    # The weights and scores are parts of larger arrays, so that a failure harms nothing.
    weight = np.ones(6)[:3]
    x = Variable(np.zeros((4, 3)))
    t = np.zeros(4, int)
    loss = F.softmax_cross_entropy(x, t, class_weight=weight)
    t[0] = 3
    with pytest.raises((ValueError, IndexError), match="label"):
        loss.backward()
