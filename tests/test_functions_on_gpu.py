"""What holds for every function on a GPU: what comes there is what comes on the CPU, unasked.

On machines without a GPU the module ``pretend_cupy`` stands in its place.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from table import TABLE, arrays_of

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.backend import get_array_module, is_cupy
from dynet.kernels.arithmetic import run
from dynet.kernels.normalization import groups_backward, groups_forward

# During which rows the program waits for the GPU, and why that cannot be otherwise.
MASK = "how many are true says how large the result is"
LARGEST = "the largest label says how large the result is"
SINGULAR = "the gradient of a singular matrix is computed in another way"
WAITS = {
    "get_item: a boolean mask": MASK,
    "get_item: a boolean": MASK,
    "scatter_add: a mask": MASK,
    "copy": "the result is on the CPU",
    "precision": LARGEST,
    "recall": LARGEST,
    "f1_score": LARGEST,
    "det": SINGULAR,
    "det: singular": SINGULAR,
    "batch_det": SINGULAR,
}

# In float64 too: one kernel, or none, of each kind.
IN_FLOAT64 = (
    "accuracy",
    "batch_normalization",
    "connectionist_temporal_classification",
    "convolution_2d",
    "det",
    "einsum: ij,jk->ik",
    "layer_normalization",
    "lstm",
    "max_pooling_2d",
    "negative_sampling",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sum",
)

ROWS = {row.name: row for row in TABLE}
every_row = pytest.mark.parametrize("name", ROWS)


class Outcome(NamedTuple):
    """What a function gave: its values, the gradients of its inputs, and where it waited."""

    values: list
    gradients: list
    waited: list


def outcome(xp, function, arrays):
    """What a function makes of arrays that a module holds, and its rule of some gradients."""
    xs = [Variable(xp.asarray(a)) for a in arrays]
    waited = getattr(xp, "synchronisations", [])
    start = len(waited)
    ys = function(*xs)
    ys = list(ys) if isinstance(ys, tuple) else [ys]
    outputs = [y for y in ys if y.requires_grad]
    rng = np.random.default_rng(1)
    gys = [
        get_array_module(y.array).asarray(np.asarray(rng.normal(size=y.shape), y.dtype))
        for y in outputs
    ]
    gradients = dynet.grad(outputs, [x for x in xs if x.requires_grad], gys) if outputs else []
    return Outcome(
        [y.array for y in ys], [None if g is None else g.array for g in gradients], waited[start:]
    )


@cache
def of_row(xp, name):
    """The outcomes of all cases of a row, in float32."""
    row = ROWS[name]
    return [outcome(xp, row.function, arrays_of(case, np.float32)) for case in row.cases]


def on_the_cpu(array):
    return array.get() if is_cupy(array) else array


def check(got, expected, rtol):
    """Raise unless arrays of a device are those of NumPy's, but for the rounding."""
    for y, wanted in zip(got, expected, strict=True):
        if wanted is None:
            assert y is None
        else:
            np.testing.assert_allclose(on_the_cpu(y), wanted, rtol=rtol, atol=rtol / 10)


@every_row
def test_a_function_and_its_gradient_are_on_a_gpu_what_they_are_on_the_cpu(device, name):
    for got, expected in zip(of_row(device, name), of_row(np, name), strict=True):
        check(got.values, expected.values, 1e-4)
        check(got.gradients, expected.gradients, 1e-4)


OF_MANY_AXES = {
    "relu": F.relu,
    "softplus": F.softplus,
    "erf": F.erf,
    "dropout": F.dropout,
    "zoneout": lambda x: F.zoneout(x, 2 * x),
    "softmax": F.softmax,
    "sigmoid_cross_entropy": lambda x: F.sigmoid_cross_entropy(x, np.sign(x.array).astype("i")),
}


@pytest.mark.parametrize("function", OF_MANY_AXES.values(), ids=OF_MANY_AXES)
def test_arrays_of_more_axes_than_a_kernel_counts_are_looked_at_element_by_element(
    device, function
):
    x = np.random.default_rng(0).standard_normal((2, 1, 3, 1, 2, 2)).astype(np.float32)
    found = []
    for xp in device, np:
        dynet.random.seed(1)
        v = Variable(xp.asarray(x))
        y = function(v)
        F.sum(y * y).backward()
        found.append((y.array, v.grad))
    check(*found, 1e-5)


@pytest.mark.parametrize("name", IN_FLOAT64)
def test_in_float64_they_agree_to_more_digits(device, name):
    row = ROWS[name]
    arrays = arrays_of(row.cases[0], np.float64)
    got, expected = (outcome(xp, row.function, arrays) for xp in (device, np))
    check(got.values, expected.values, 1e-10)
    check(got.gradients, expected.gradients, 1e-10)


@every_row
def test_what_comes_of_arrays_on_a_gpu_is_there_and_has_the_dtype_and_shape_of_the_cpu(
    device, name
):
    for got, expected in zip(of_row(device, name), of_row(np, name), strict=True):
        for y, wanted in zip(
            [*got.values, *got.gradients], [*expected.values, *expected.gradients], strict=True
        ):
            if wanted is not None:
                assert (y.dtype, y.shape) == (wanted.dtype, wanted.shape)
        assert all(is_cupy(y) for y in got.values) or name == "copy"
        assert all(is_cupy(g) for g in got.gradients if g is not None)


@every_row
def test_no_function_makes_the_program_wait_for_the_gpu_but_those_that_must(pretend_gpu, name):
    waited = [at for got in of_row(pretend_gpu, name) for at in got.waited]
    assert bool(waited) == (name in WAITS), waited


def test_random_numbers_are_the_same_on_every_device(device):
    def draw(xp):
        dynet.random.seed(3)
        x = xp.ones((7, 50), np.float32)
        ys = F.dropout(x, 0.4), F.zoneout(x, 2 * x), F.gaussian(x, x), F.gumbel_softmax(x)
        return [y.array for y in ys]

    check(draw(device), draw(np), 1e-5)


# -- wrong labels ---------------------------------------------------------------------------------


def vectors(xp, n=3):
    return Variable(xp.asarray(np.random.default_rng(0).normal(size=(n, 4)), np.float32))


def ctc(x, t):
    return F.connectionist_temporal_classification([x, x, -x], t[:, None], 0, reduce="no")


def sampled(x, t):
    W = get_array_module(x).ones((4, 4), x.dtype)
    return F.negative_sampling(x, t, W, lambda shape: np.full(shape, 2), 1, "no")


# Of vectors (3, 4) and three labels, and a label that is none.
OF_EACH = {
    "softmax_cross_entropy": (lambda x, t: F.softmax_cross_entropy(x, t, reduce="no"), 4),
    "softmax_cross_entropy of negative labels": (
        lambda x, t: F.softmax_cross_entropy(x, t, reduce="no", label_smoothing=0.1),
        -2,
    ),
    "sigmoid_cross_entropy": (lambda x, t: F.sigmoid_cross_entropy(x[:, 0], t, reduce="no"), 2),
    "hinge": (lambda x, t: F.hinge(x, t, reduce="no").sum(axis=1), 4),
    "select_item": (F.select_item, -1),
    "contrastive": (lambda x, t: F.contrastive(x, x * x, t, reduce="no"), 3),
    "connectionist_temporal_classification": (ctc, 0),
    "negative_sampling": (sampled, 4),
}


@pytest.mark.parametrize("name", OF_EACH)
def test_a_wrong_label_gives_nan_in_its_row_alone_without_waiting(device, name):
    function, wrong = OF_EACH[name]
    x, right = vectors(device), np.array([1, 1, 1])
    start = list(getattr(device, "synchronisations", []))
    y = function(x, device.asarray(np.array([1, wrong, 1])))
    (gx,) = dynet.grad(y, x, device.ones(3, np.float32))
    assert list(getattr(device, "synchronisations", [])) == start
    x = vectors(np)
    expected = function(x, right)
    (expected_gx,) = dynet.grad(expected, x, np.ones(3, np.float32))
    assert np.isnan(on_the_cpu(y.array)[1])
    slopes = on_the_cpu(gx.array)[1]
    assert (np.isnan(slopes) | (slopes == 0)).all()
    check([y.array[::2], gx.array[::2]], [expected.array[::2], expected_gx.array[::2]], 1e-4)


# Of vectors (3, 4), and labels of which one is none.
OF_ALL = {
    "softmax_cross_entropy": (F.softmax_cross_entropy, [1, 4, 1]),
    "sigmoid_cross_entropy": (lambda x, t: F.sigmoid_cross_entropy(x[:, 0], t), [1, -2, 1]),
    "accuracy": (F.accuracy, [1, 4, 1]),
    "accuracy with labels to ignore": (lambda x, t: F.accuracy(x, t, 0), [1, -1, 0]),
    "binary_accuracy": (lambda x, t: F.binary_accuracy(x[:, 0], t), [1, 2, 1]),
    "precision": (lambda x, t: F.precision(x, t, 4)[0], [1, 4, 1]),
    "f1_score": (lambda x, t: F.f1_score(x, t, 4)[0], [1, -2, 1]),
    "permutate": (F.permutate, [0, 3, 2]),
    "permutate with a number twice": (F.permutate, [0, 2, 2]),
}


@pytest.mark.parametrize("name", OF_ALL)
def test_a_wrong_label_gives_nan_without_waiting_where_all_are_taken_together(device, name):
    function, labels = OF_ALL[name]
    start = list(getattr(device, "synchronisations", []))
    y = function(vectors(device), device.asarray(np.array(labels)))
    assert list(getattr(device, "synchronisations", [])) == start
    assert np.isnan(on_the_cpu(y.array)).all()


@pytest.mark.parametrize("name", {**OF_EACH, **OF_ALL})
def test_in_debug_mode_a_wrong_label_is_an_error(device, name):
    function, labels = OF_ALL[name] if name in OF_ALL else OF_EACH[name]
    labels = labels if name in OF_ALL else [1, labels, 1]
    with dynet.using_config("debug", True), pytest.raises((ValueError, IndexError)):
        function(vectors(device), device.asarray(np.array(labels)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_labels_may_be_of_any_dtype_of_integers(device, dtype):
    for labels, ignore_label in (([1, 0, 3], -1), ([1, 2, 3], 2), ([1, 255, 3], 255)):
        t = np.array(labels, dtype)
        losses = [
            F.softmax_cross_entropy(vectors(xp), xp.asarray(t), ignore_label=ignore_label)
            for xp in (device, np)
        ]
        check([losses[0].array], [losses[1].array], 1e-5)


def test_a_label_of_uint64_that_is_no_int64_is_out_of_range(device):
    t = device.asarray(np.array([1, 2**64 - 1, 1], np.uint64))  # the bits of -1, which is ignored
    losses = F.softmax_cross_entropy(vectors(device), t, reduce="no").array
    assert np.isnan(on_the_cpu(losses)).tolist() == [False, True, False]


def test_weights_of_classes_on_another_device_are_an_error(device):
    with pytest.raises(ValueError, match="class_weight is an array of numpy"):
        t = device.asarray(np.array([1, 0, 3]))
        F.softmax_cross_entropy(vectors(device), t, class_weight=np.ones(4, np.float32))


# -- rows that are longer than a warp -------------------------------------------------------------


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("smoothing", [0, 0.1])
@pytest.mark.parametrize("weight", [None, abs(random(77))])
def test_softmax_cross_entropy_takes_many_classes(device, weight, smoothing):
    def loss(x, t):
        xp = get_array_module(x)
        weights = None if weight is None else xp.asarray(weight)
        return F.softmax_cross_entropy(x, t, class_weight=weights, label_smoothing=smoothing)

    arrays = 5 * random(4, 77), np.array([3, 76, -1, 40])
    got, expected = (outcome(xp, loss, arrays) for xp in (device, np))
    check(got.values, expected.values, 1e-5)
    check(got.gradients, expected.gradients, 1e-5)


@pytest.mark.parametrize(
    ("width", "channels", "groups"),
    [(77, 77, 1), (132, 132, 3), (60, 12, 4), (70, 2, 1), (6, 6, 3)],
)
def test_the_twins_of_group_normalization_do_what_the_kernels_do(device, width, channels, groups):
    x, gy, gamma, beta = random(4, width), random(width, 4).T, random(channels), random(channels)
    settings = groups, 1e-5
    results = []
    for xp in device, np:
        x_, gy_, gamma_, beta_ = map(xp.asarray, (x, gy, gamma, beta))
        outputs = [(x.shape, x.dtype), ((4, 2 * groups), x.dtype)]
        y, stats = run(groups_forward, (x_, gamma_, beta_), outputs, settings)
        outputs = [(x.shape, x.dtype), ((4, 2 * channels), x.dtype)]
        gx, sums = run(groups_backward, (x_, gamma_, stats, gy_), outputs, settings)
        results.append((y, stats, gx, sums))
    check(*results, 1e-4)


# -- gradients of gradients -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "batch_normalization",
        "connectionist_temporal_classification: lengths",
        "convolution_2d",
        "det",
        "group_normalization",
        "layer_normalization",
        "max_pooling_2d",
        "select_item",
        "sigmoid_cross_entropy: ignored labels",
        "softmax_cross_entropy: ignored labels",
    ],
)
def test_a_gradient_is_differentiated_on_a_gpu_as_on_the_cpu(device, name):
    row = ROWS[name]

    def length_of_gradient(*xs):
        wanted = [x for x in xs if x.requires_grad]
        gradients = dynet.grad(row.function(*xs).sum(), wanted, create_graph=True)
        return sum([(g * g).sum() for g in gradients])

    arrays = arrays_of(row.cases[0], np.float32)
    got, expected = (outcome(xp, length_of_gradient, arrays) for xp in (device, np))
    check(got.values, expected.values, 1e-3)
    check(got.gradients, expected.gradients, 1e-3)
