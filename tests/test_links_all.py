"""What every link promises: its function's values and gradients, its size, its way to a file."""

import copy
import re

import numpy as np
import pytest

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.serializers import load_npz, save_npz

rng = np.random.default_rng(0)


def batch(*shape):
    return rng.normal(size=shape).astype(np.float32)


ROWS, IMAGES, SOUNDS = batch(4, 6), batch(2, 4, 5, 6), batch(2, 4, 7)


class FirstStep(dynet.Chain):
    """The first step of a recurrent link of 3 units, from zeros: the states after it, joined."""

    def __init__(self, link):
        super().__init__()
        with self.init_scope():
            self.link = link

    def forward(self, x):
        if hasattr(self.link, "reset_state"):
            self.link.reset_state()
            self.link(x)
            states = (self.link.c, self.link.h) if hasattr(self.link, "c") else (self.link.h,)
        elif isinstance(self.link, L.StatelessLSTM):
            states = self.link(None, None, x)
        else:
            states = (self.link(None, x),)
        return F.concat(states)


def first_step(*links, meaning):
    """The lines of the table for recurrent links that mean the same, of what ``upward`` gives."""

    def meant(step, x):
        l = step.link
        zeros = np.zeros((len(x), 3), x.dtype)
        return F.concat(meaning(l, zeros, F.linear(x, l.upward.W, l.upward.b)))

    return {
        cls.__name__: (
            lambda cls=cls: FirstStep(cls(6, 3)),
            lambda cls=cls: FirstStep(cls(None, 3)),
            (ROWS,),
            meant,
        )
        for cls in links
    }


# How to make it, with a size and without; its input; what it means.
LINKS = {
    "Linear": (
        lambda: L.Linear(6, 3),
        lambda: L.Linear(None, 3),
        (ROWS,),
        lambda l, x: F.linear(x, l.W, l.b),
    ),
    "Bilinear": (
        lambda: L.Bilinear(6, 6, 2, initial_bias=(None, None, 0.5)),
        None,
        (ROWS, ROWS[::-1]),
        lambda l, x, y: F.bilinear(x, y, l.W, l.V1, l.V2, l.b),
    ),
    "Bilinear nobias": (
        lambda: L.Bilinear(6, 6, 2, nobias=True),
        None,
        (ROWS, ROWS[::-1]),
        lambda l, x, y: F.bilinear(x, y, l.W),
    ),
    "Bias": (lambda: L.Bias(1, (4, 5)), None, (IMAGES,), lambda l, x: F.bias(x, l.b, 1)),
    "Bias given": (lambda: L.Bias(0), None, (ROWS, ROWS[:, 0]), lambda l, x, y: F.bias(x, y, 0)),
    "Scale": (
        lambda: L.Scale(2, 5, bias_term=True),
        None,
        (IMAGES,),
        lambda l, x: F.bias(F.scale(x, l.W, 2), l.bias.b, 2),
    ),
    "Scale given": (
        lambda: L.Scale(1, bias_term=True, bias_shape=(6,)),
        None,
        (ROWS, ROWS[0]),
        lambda l, x, y: F.bias(F.scale(x, y, 1), l.bias.b, 1),
    ),
    "Convolution2D": (
        lambda: L.Convolution2D(4, 6, (3, 2), 2, 1, dilate=(1, 2), groups=2, initial_bias=0.5),
        lambda: L.Convolution2D(6, (3, 2), None, 2, 1, dilate=(1, 2), groups=2, initial_bias=0.5),
        (IMAGES,),
        lambda l, x: F.convolution_2d(x, l.W, l.b, 2, 1, dilate=(1, 2), groups=2),
    ),
    "Convolution1D": (
        lambda: L.Convolution1D(4, 6, 3, 2, 1, cover_all=True, dilate=2, groups=2),
        lambda: L.Convolution1D(None, 6, 3, 2, 1, cover_all=True, dilate=2, groups=2),
        (SOUNDS,),
        lambda l, x: F.convolution_1d(x, l.W, l.b, 2, 1, True, 2, 2),
    ),
    "Deconvolution2D": (
        lambda: L.Deconvolution2D(4, 6, 3, 2, 1, outsize=(10, 12), groups=2),
        lambda: L.Deconvolution2D(None, 6, 3, 2, 1, outsize=(10, 12), groups=2),
        (IMAGES,),
        lambda l, x: F.deconvolution_2d(x, l.W, l.b, 2, 1, (10, 12), groups=2),
    ),
    "BatchNormalization": (
        lambda: L.BatchNormalization(4, eps=0.1),
        lambda: L.BatchNormalization(eps=0.1),
        (IMAGES,),
        lambda l, x: F.batch_normalization(x, l.gamma, l.beta, 0.1),
    ),
    "BatchNormalization axis": (
        lambda: L.BatchNormalization((5, 6), axis=(0, 1)),
        lambda: L.BatchNormalization(axis=(0, 1)),
        (IMAGES,),
        lambda l, x: F.batch_normalization(x, l.gamma, l.beta, axis=(0, 1)),
    ),
    "BatchNormalization bare": (
        lambda: L.BatchNormalization(4, use_gamma=False, use_beta=False),
        lambda: L.BatchNormalization(use_gamma=False, use_beta=False),
        (IMAGES,),
        lambda l, x: F.batch_normalization(x, np.ones(4, x.dtype), np.zeros(4, x.dtype)),
    ),
    "LayerNormalization": (
        lambda: L.LayerNormalization(6, eps=0.1, initial_gamma=2, initial_beta=3),
        lambda: L.LayerNormalization(eps=0.1, initial_gamma=2, initial_beta=3),
        (ROWS,),
        lambda l, x: F.layer_normalization(x, l.gamma, l.beta, 0.1),
    ),
    "GroupNormalization": (
        lambda: L.GroupNormalization(2, 4, eps=0.1),
        lambda: L.GroupNormalization(2, eps=0.1),
        (IMAGES,),
        lambda l, x: F.group_normalization(x, 2, l.gamma, l.beta, 0.1),
    ),
    "PReLU": (lambda: L.PReLU(4, init=0.5), None, (IMAGES,), lambda l, x: F.prelu(x, l.W)),
    "Maxout": (
        lambda: L.Maxout(6, 2, 3),
        lambda: L.Maxout(None, 2, 3),
        (ROWS,),
        lambda l, x: F.maxout(F.linear(x, l.linear.W, l.linear.b), 3),
    ),
    **first_step(L.LSTM, L.StatelessLSTM, meaning=lambda l, zeros, x: F.lstm(zeros, x)),
    **first_step(
        L.StatefulPeepholeLSTM,
        L.StatelessPeepholeLSTM,
        meaning=lambda l, zeros, x: F.peephole_lstm(zeros, x, l.w),
    ),
    **first_step(
        L.StatefulGRU,
        L.StatelessGRU,
        meaning=lambda l, zeros, x: [F.gru(zeros, x, F.linear(zeros, l.lateral.W, l.lateral.b))],
    ),
    **first_step(
        L.MGU,
        L.StatelessMGU,
        meaning=lambda l, zeros, x: [F.sigmoid(x[:, :3]) * F.tanh(x[:, 3:])],
    ),
    **first_step(L.RNN, L.StatelessRNN, meaning=lambda l, zeros, x: [F.tanh(x)]),
}

every_link = pytest.mark.parametrize("sized, unsized, inputs, meaning", LINKS.values(), ids=LINKS)
LAZY = {name: (sized, unsized, x) for name, (sized, unsized, x, _) in LINKS.items() if unsized}
every_lazy_link = pytest.mark.parametrize("sized, unsized, inputs", LAZY.values(), ids=LAZY)


def disturbed(link):
    """A link whose parameters are random, all of them."""
    for parameter in link.params():
        parameter.array[...] = rng.uniform(0.5, 1.5, parameter.shape)
    return link


def shapes(link):
    return {path: p.shape if p.is_initialized else None for path, p in link.namedparams()}


def outputs(link, inputs):
    """What it gives in training, and then in use, where the running averages count."""
    link = copy.deepcopy(link)
    trained = link(*inputs).array
    with dynet.using_config("train", False):
        return trained, link(*inputs).array


def assert_same_outputs(link, other, inputs):
    for a, b in zip(outputs(link, inputs), outputs(other, inputs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_link_there_is_stands_in_the_table():
    others = {name for name in L.__all__ if name.startswith("NStep")} | {"EmbedID", "Classifier"}
    assert {name.split()[0] for name in LINKS} == set(L.__all__) - others


@every_link
def test_a_link_gives_what_its_function_gives_of_its_parameters(sized, unsized, inputs, meaning):
    link = disturbed(sized())
    np.testing.assert_array_equal(link(*inputs).array, meaning(link, *inputs).array)


@every_link
def test_the_gradients_of_a_link_are_right(sized, unsized, inputs, meaning):
    with dynet.using_config("dtype", np.float64):
        link = disturbed(sized())
    inputs = tuple(x.astype(np.float64) for x in inputs)
    dynet.gradient_check.check_backward(link, inputs, params=tuple(link.params()))


@every_link
def test_parameters_are_of_the_configured_dtype(sized, unsized, inputs, meaning):
    with dynet.using_config("dtype", np.float64):
        link = sized()
    assert {p.dtype for p in link.params()} <= {np.dtype(np.float64)}


@every_link
def test_a_deep_copy_gives_the_same_and_shares_nothing(sized, unsized, inputs, meaning):
    link = disturbed(sized())
    twin = copy.deepcopy(link)
    assert_same_outputs(twin, link, inputs)
    for p, q in zip(link.params(), twin.params(), strict=True):
        assert not np.shares_memory(p.array, q.array)


@every_link
def test_a_trained_link_comes_back_from_a_file(sized, unsized, inputs, meaning, tmp_path):
    link = disturbed(sized())
    link(*inputs)
    save_npz(tmp_path / "m", link)
    loaded = sized()
    load_npz(tmp_path / "m", loaded)
    assert_same_outputs(loaded, link, inputs)


@every_lazy_link
def test_a_first_input_teaches_the_sizes_that_could_have_been_given(sized, unsized, inputs):
    link = unsized()
    link(*inputs)
    assert shapes(link) == shapes(sized())


@every_lazy_link
def test_the_first_call_brings_gradients(sized, unsized, inputs):
    link = unsized()
    xs = [dynet.Variable(x) for x in inputs]
    link(*xs).sum().backward()
    assert all(v.grad is not None for v in (*xs, *link.params()))


@every_lazy_link
def test_a_link_without_a_size_takes_it_from_a_file(sized, unsized, inputs, tmp_path):
    link = disturbed(sized())
    link(*inputs)
    save_npz(tmp_path / "m", link)
    loaded = unsized()
    load_npz(tmp_path / "m", loaded)
    assert shapes(loaded) == shapes(link)
    assert_same_outputs(loaded, link, inputs)


@every_lazy_link
def test_a_link_without_a_size_can_be_saved_and_loaded_as_such(sized, unsized, inputs, tmp_path):
    link = unsized()
    save_npz(tmp_path / "m", link)
    loaded = unsized()
    load_npz(tmp_path / "m", loaded)
    assert shapes(loaded) == shapes(link)


@every_lazy_link
def test_a_deep_copy_of_a_link_without_a_size_learns_its_own(sized, unsized, inputs):
    link = unsized()
    before = shapes(link)
    copy.deepcopy(link)(*inputs)
    assert shapes(link) == before


BAD_FIRST = {
    "dtype": lambda *xs: [x.astype(np.float64) for x in xs],
    "integers": lambda *xs: [x.astype(np.int32) for x in xs],
    "axes": lambda *xs: [x.reshape(-1) for x in xs],
    "list": lambda *xs: [x.tolist() for x in xs],
    "nothing": lambda *xs: [np.zeros((2,) + (0,) * (x.ndim - 1), np.float32) for x in xs],
}


@pytest.mark.parametrize("spoil", BAD_FIRST.values(), ids=BAD_FIRST)
@every_lazy_link
def test_a_first_call_that_fails_teaches_no_size(sized, unsized, inputs, spoil):
    link = unsized()
    before = shapes(link)
    with pytest.raises((TypeError, ValueError), match=r"\w+: .*(expected|x has)"):
        link(*spoil(*inputs))
    assert shapes(link) == before
    link(*inputs)
    assert shapes(link) == shapes(sized())


BAD_SIZES = [
    (lambda: L.Bilinear(0, 2, 3), "Bilinear: left_size is 0, expected a positive integer"),
    (lambda: L.Bilinear(2, None, 3), "Bilinear: right_size is None, expected a positive"),
    (lambda: L.Bilinear(2, 2, True), "Bilinear: out_size is True, expected a positive"),
    (lambda: L.Bilinear(2, 2, 3, initial_bias=0), "Bilinear: initial_bias is int, expected a tu"),
    (
        lambda: L.Bilinear(2, 2, 3, initial_bias=(np.ones((3, 2)), None, None)),
        "Parameter V1: the initial array has shape (3, 2), expected (2, 3)",
    ),
    (lambda: L.Bias(shape=(3, 0)), "Bias: shape is (3, 0), expected a positive integer or a"),
    (lambda: L.Scale(W_shape="3"), "Scale: W_shape is '3', expected a positive integer or a"),
    (lambda: L.Scale(bias_term=True), "Scale: bias_term is True, but neither W_shape nor bias_s"),
    (lambda: L.Scale(bias_shape=3), "Scale: bias_shape is (3,), but bias_term is False"),
    (
        lambda: L.Scale(1, 3, bias_term=True, bias_shape=4),
        "Scale: bias_shape is (4,), expected (3,) like W_shape",
    ),
    (lambda: L.Convolution2D(3, 0, 5), "Convolution2D: out_channels is 0, expected a positive"),
    (lambda: L.Convolution2D(None, 5), "Convolution2D: out_channels is None, expected a positive"),
    (lambda: L.Convolution2D(16), "Convolution2D: ksize is None, expected an integer, or a tuple"),
    (lambda: L.Convolution2D(3, 16, (5, 5, 5)), "Convolution2D: ksize is (5, 5, 5), expected an"),
    (lambda: L.Convolution2D(3, 16, 5, stride=0), "Convolution2D: stride is 0, expected an integ"),
    (lambda: L.Convolution2D(3, 16, 5, pad=(1, -1)), "Convolution2D: pad is (1, -1), expected an"),
    (lambda: L.Convolution2D(3, 16, 5, dilate=1.5), "Convolution2D: dilate is 1.5, expected an i"),
    (
        lambda: L.Convolution2D(3, 16, 5, groups=2),
        "Convolution2D: in_channels is 3, expected a multiple of groups, which is 2",
    ),
    (
        lambda: L.Convolution2D(None, 16, 5, groups=3),
        "Convolution2D: out_channels is 16, expected a multiple of groups, which is 3",
    ),
    (lambda: L.Convolution2D(4, 16, 5, groups=0), "Convolution2D: groups is 0, expected a posit"),
    (
        lambda: L.Convolution2D(3, 16, 5, initialW=np.ones((16, 3, 5, 4))),
        "Parameter W: the initial array has shape (16, 3, 5, 4), expected (16, 3, 5, 5)",
    ),
    (
        lambda: L.Convolution2D(None, 16, 5, initialW=np.ones((16, 3))),
        "Convolution2D: initialW has shape (16, 3), expected (16, channels, 5, 5)",
    ),
    (lambda: L.Convolution1D(3, 4, (5, 5)), "Convolution1D: ksize is (5, 5), expected an integer "),
    (lambda: L.Deconvolution2D(-3, 4, 5), "Deconvolution2D: in_channels is -3, expected a posit"),
    (lambda: L.Deconvolution2D(3, 4, 5, outsize=0), "Deconvolution2D: outsize is 0, expected an"),
    (lambda: L.BatchNormalization(0), "BatchNormalization: size is 0, expected a positive integer"),
    (lambda: L.BatchNormalization((3, 2.0)), "BatchNormalization: size is (3, 2.0), expected a p"),
    (lambda: L.BatchNormalization(3, eps=-1), "BatchNormalization: eps is -1, expected 0 or a po"),
    (lambda: L.BatchNormalization(3, dtype=int), "Parameter gamma: dtype is int64, expected a f"),
    (
        lambda: L.BatchNormalization(3, initial_avg_var=np.ones(2)),
        "Parameter avg_var: the initial array has shape (2,), expected (3,)",
    ),
    (lambda: L.LayerNormalization((3, 2)), "LayerNormalization: size is (3, 2), expected a posit"),
    (lambda: L.LayerNormalization(3, eps=-1), "LayerNormalization: eps is -1, expected 0 or"),
    (lambda: L.GroupNormalization(0), "GroupNormalization: groups is 0, expected a positive inte"),
    (
        lambda: L.GroupNormalization(2, 3),
        "GroupNormalization: size is 3, expected a multiple of groups, which is 2",
    ),
    (
        lambda: L.GroupNormalization(2, initial_gamma=np.ones((2, 2))),
        "GroupNormalization: an initial array has shape (2, 2), expected one axis",
    ),
    (lambda: L.PReLU(0), "PReLU: shape is 0, expected a positive integer or a tuple of them"),
    (lambda: L.Maxout(3, 0, 2), "Maxout: out_size is 0, expected a positive integer"),
    (lambda: L.Maxout(3, 4, 0), "Maxout: pool_size is 0, expected a positive integer"),
    (
        lambda: L.Maxout(3, 4, 2, initialW=np.ones((8, 3))),
        "Maxout: initialW has shape (8, 3), expected (4, 2, 3)",
    ),
    (
        lambda: L.Maxout(None, 4, 2, initialW=np.ones((2, 4, 3))),
        "Maxout: initialW has shape (2, 4, 3), expected (4, 2, in_size)",
    ),
    (
        lambda: L.Maxout(3, 4, 2, initial_bias=np.ones(8)),
        "Maxout: initial_bias has shape (8,), expected (4, 2)",
    ),
]


@pytest.mark.parametrize("make, message", BAD_SIZES, ids=[m for _, m in BAD_SIZES])
def test_a_bad_size_is_said(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("link", [L.Bias(shape=3), L.Scale(W_shape=3)], ids=["Bias", "Scale"])
def test_a_second_argument_that_would_not_be_used_is_refused(link):
    with pytest.raises(TypeError, match="expected x alone, got two arguments"):
        link(batch(2, 3), batch(3))


@pytest.mark.parametrize("link", [L.Bias(), L.Scale()], ids=["Bias", "Scale"])
def test_a_second_argument_that_is_missing_is_asked_for(link):
    with pytest.raises(TypeError, match="expected a second argument"):
        link(batch(2, 3))


def test_an_initial_array_tells_a_convolution_its_channels():
    W = batch(6, 2, 3, 3)
    link = L.Convolution2D(None, 6, 3, groups=2, initialW=W)
    np.testing.assert_array_equal(link.W.array, W)


def test_an_initial_array_tells_a_deconvolution_its_channels():
    assert L.Deconvolution2D(None, 6, 3, initialW=batch(4, 6, 3, 3)).W.shape == (4, 6, 3, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.Convolution2D(6, 3),
        lambda: L.Convolution2D(6, ksize=3),
        lambda: L.Convolution2D(None, 6, 3),
        lambda: L.Convolution2D(None, 6, (3, 3)),
    ],
)
def test_the_short_forms_of_a_convolution_leave_out_the_input(make):
    link = make()
    link(IMAGES)
    assert link.W.shape == (6, 4, 3, 3)


def test_bilinear_takes_an_initial_value_for_each_parameter():
    V1, b = np.full((2, 4), 2, np.float32), np.arange(4, dtype=np.float32)
    link = L.Bilinear(2, 3, 4, initialW=7, initial_bias=(V1, dynet.initializers.Constant(3), b))
    found = [np.unique(p.array).tolist() for p in (link.W, link.V1, link.V2, link.b)]
    assert found == [[7], [2], [3], [0, 1, 2, 3]]


def test_maxout_without_an_initial_bias_has_none():
    assert L.Maxout(3, 2, 2, initial_bias=None).linear.b is None


def test_maxout_takes_arrays_with_an_axis_of_pools():
    W, b = batch(2, 3, 6), batch(2, 3)
    y = L.Maxout(6, 2, 3, initialW=W, initial_bias=b)(ROWS)
    expected = (np.einsum("ni,opi->nop", ROWS, W) + b).max(axis=2)
    np.testing.assert_allclose(y.array, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("link", [L.LayerNormalization, L.BatchNormalization])
def test_an_initial_array_tells_a_normalization_its_size(link):
    made = link(initial_beta=np.arange(6, dtype=np.float32))
    assert made.gamma.shape == made.beta.shape == (6,)
