"""Networks over whole sequences: PyTorch's numbers, each sequence as if alone, one clear error."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Variable
from dynet.links import sequences
from dynet.serializers import load_npz, load_safetensors, save_npz

LINKS = {
    "NStepLSTM": ("LSTM", {}),
    "NStepBiLSTM": ("LSTM", {"bidirectional": True}),
    "NStepGRU": ("GRU", {}),
    "NStepBiGRU": ("GRU", {"bidirectional": True}),
    "NStepRNNTanh": ("RNN", {}),
    "NStepBiRNNTanh": ("RNN", {"bidirectional": True}),
    "NStepRNNReLU": ("RNN", {"nonlinearity": "relu"}),
    "NStepBiRNNReLU": ("RNN", {"bidirectional": True, "nonlinearity": "relu"}),
}
every_link = pytest.mark.parametrize("name", LINKS)
# Each of these is compiled for each kind of arguments, in a second or two. So the tests ask for one
# kind where it does not matter: three sequences, whose inputs are multiplied at once, with states
# that get a gradient, and a gradient from the last states and all outputs.
some_links = pytest.mark.parametrize("name", ["NStepLSTM", "NStepBiGRU", "NStepRNNReLU"])
rng = np.random.default_rng(0)


def made(name, n_layers=2, in_size=3, out_size=4, dtype=np.float64, **kwargs):
    with dynet.using_config("dtype", dtype):
        initialW = dynet.initializers.Normal(0.5, rng=1)
        return getattr(L, name)(n_layers, in_size, out_size, initialW=initialW, **kwargs)


def states(rnn, n, dtype=np.float64):
    shape = rnn.n_layers * len(rnn._directions), n, rnn.out_size
    return [Variable(rng.normal(size=shape).astype(dtype)) for _ in rnn._states]


def sequences_of(*lengths, features=3):
    return [rng.normal(size=(n, features)) for n in lengths]


def gradients(rnn, *outputs):
    """The gradients of the parameters for a sum of everything, weighted."""
    rnn.cleargrads()
    total = sum([(v * np.cos(np.arange(v.size)).reshape(v.shape)).sum() for v in outputs])
    total.backward()
    return {name: p.grad for name, p in rnn.namedparams()}


def assert_close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# -- PyTorch -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, form", [*[(name, "npz") for name in LINKS], ("NStepBiLSTM", "safetensors")]
)
def test_weights_that_pytorch_saved_load_as_they_are_and_give_its_numbers(name, form, tmp_path):
    torch = pytest.importorskip("torch")
    kind, kwargs = LINKS[name]
    module = getattr(torch.nn, kind)(3, 4, 2, **kwargs).double()
    arrays = {k: v.numpy() for k, v in module.state_dict().items()}
    rnn = made(name)
    if form == "npz":
        np.savez(tmp_path / "weights.npz", **arrays)
        load_npz(tmp_path / "weights.npz", rnn)
    else:
        save_file = pytest.importorskip("safetensors.numpy").save_file
        save_file(arrays, tmp_path / "weights.safetensors")
        load_safetensors(tmp_path / "weights.safetensors", rnn)
    xs, hx = sequences_of(4, 7, 1), states(rnn, 3)
    *last, ys = rnn(*hx, xs)

    packed = torch.nn.utils.rnn.pack_sequence([torch.tensor(x) for x in xs], enforce_sorted=False)
    h = [torch.tensor(s.array) for s in hx]
    y, h = module(packed, tuple(h) if kind == "LSTM" else h[0])
    h = h if kind == "LSTM" else [h]
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
    for i, x in enumerate(xs):
        assert_close(ys[i].array, y[: len(x), i].detach().numpy())
    for mine, its in zip(last, h, strict=True):
        assert_close(mine.array, its.detach().numpy())
    sum([v.square().sum() for v in (y, *h)]).backward()
    rnn.cleargrads()
    sum([(v * v).sum() for v in (*last, *ys)]).backward()
    for k, p in module.named_parameters():
        assert_close(getattr(rnn, k).grad, p.grad.numpy())


# -- lengths -------------------------------------------------------------------------------------


@some_links
def test_sequences_of_any_lengths_give_the_values_and_gradients_of_each_alone(name):
    rnn = made(name)
    xs, hx = [Variable(x) for x in sequences_of(5, 9, 1)], states(rnn, 3)
    *last, ys = rnn(*hx, xs)
    together = gradients(rnn, *last, *ys)
    of_inputs = [v.grad for v in (*xs, *hx)]
    for v in (*xs, *hx):
        v.cleargrad()
    alone = [rnn(*[s[:, i : i + 1] for s in hx], [x]) for i, x in enumerate(xs)]
    joined = [F.concat([a[k] for a in alone], axis=1) for k in range(len(last))]
    for a, b in zip((*last, *ys), (*joined, *[a[-1][0] for a in alone]), strict=True):
        assert_close(a.array, b.array)
    apart = gradients(rnn, *joined, *[a[-1][0] for a in alone])
    for path, gradient in together.items():
        assert_close(gradient, apart[path])
    for g, v in zip(of_inputs, (*xs, *hx), strict=True):
        assert_close(g, v.grad)


@some_links
def test_a_padded_array_gives_what_a_list_does_and_zeros_behind_the_end(name):
    rnn = made(name)
    xs, hx = sequences_of(5, 9, 1), states(rnn, 3)
    padded = np.full((11, 3, 3), np.nan)  # what stands behind the end counts for nothing
    for i, x in enumerate(xs):
        padded[: len(x), i] = x
    *last, ys = rnn(*hx, xs)
    *padded_last, y = rnn(*hx, padded, lengths=[5, 9, 1])
    for a, b in zip(last, padded_last, strict=True):
        assert_close(a.array, b.array)
    for i, x in enumerate(xs):
        assert_close(y.array[: len(x), i], ys[i].array)
        assert not y.array[len(x) :, i].any()
    expected = gradients(rnn, *last, sum([(v * v).sum() for v in ys]))
    for path, gradient in gradients(rnn, *padded_last, (y * y).sum()).items():
        assert_close(gradient, expected[path])


@pytest.mark.parametrize("lengths", [(6, 6, 6), np.array([2, 6, 4]), (1, 1, 1)])
def test_lengths_may_come_in_any_order_and_as_an_array(lengths):
    rnn = made("NStepLSTM")
    x, hx = rng.normal(size=(6, 3, 3)), states(rnn, 3)
    *_, y = rnn(*hx, x, lengths=lengths)
    for i, n in enumerate(lengths):
        alone = rnn(*[s[:, i : i + 1] for s in hx], x[:n, i : i + 1])[-1]
        assert_close(y.array[:n, i], alone.array[:, 0])


# -- what it computes ----------------------------------------------------------------------------


def one_layer(name, x, h, W_ih, W_hh, b_ih, b_hh):
    """The formula once more, step by step in NumPy."""
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    c, hs = h[-1], []
    h = h[0]
    for x_t in x:
        a, u = x_t @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        if "LSTM" in name:
            i, f, g, o = np.split(a + u, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif "GRU" in name:
            (r, z, n), (u_r, u_z, u_n) = np.split(a, 3, axis=1), np.split(u, 3, axis=1)
            r, z = sigmoid(r + u_r), sigmoid(z + u_z)
            n = np.tanh(n + r * u_n)
            h = (1 - z) * n + z * h
        else:
            h = np.tanh(a + u) if "Tanh" in name else np.maximum(a + u, 0)
        hs.append(h)
    return np.stack(hs)


@pytest.mark.parametrize("name", ["NStepLSTM", "NStepGRU", "NStepRNNTanh", "NStepBiRNNReLU"])
def test_each_step_is_the_formula_that_the_link_is_named_for(name):
    rnn, n = made(name, n_layers=1), 3
    for p in rnn.params():
        p.array[...] = rng.normal(size=p.shape)
    x, hx = rng.normal(size=(6, n, 3)), states(rnn, n)
    *_, y = rnn(*hx, x)
    for d, direction in enumerate(rnn._directions):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(rnn, f"{w}_l0{direction}").array for w in names]
        expected = one_layer(name, x[::-1] if d else x, [s.array[d] for s in hx], *weights)
        assert_close(y.array[:, :, 4 * d : 4 * d + 4], expected[::-1] if d else expected)


@every_link
def test_gradients_are_the_numerical_ones(name):
    rnn = made(name, n_layers=1, out_size=2)
    for p in rnn.params():
        p.array[...] = rng.normal(size=p.shape)
    x, hx = rng.normal(size=(3, 2, 3)), [s.array for s in states(rnn, 2)]

    def f(x, *hx):
        return rnn(*hx, x, lengths=[3, 2])

    dynet.gradient_check.check_backward(f, (x, *hx), params=list(rnn.params()))


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["NStepLSTM", "NStepBiGRU", "NStepRNNReLU"]),
    st.lists(st.integers(1, 12), min_size=2, max_size=6),
)
def test_inputs_are_multiplied_at_once_or_step_by_step_to_the_same_end(name, lengths):
    rnn, xs = made(name, n_layers=1), sequences_of(max(lengths) + 1, *lengths)
    hx, found = states(rnn, len(xs)), []
    for few in 0, 100:
        before, sequences.FEW_ROWS = sequences.FEW_ROWS, few
        try:
            *last, ys = rnn(*hx, xs)
        finally:
            sequences.FEW_ROWS = before
        found.append([[v.array for v in (*last, *ys)], gradients(rnn, *last, *ys)])
    for a, b in zip(found[0][0], found[1][0], strict=True):
        assert_close(a, b)
    for path, gradient in found[0][1].items():
        assert_close(gradient, found[1][1][path])


def test_the_step_is_compiled_and_read_once_for_each_kind_of_arguments(monkeypatch):
    from dynet.scanning import recurrence

    scans = []
    run_steps = recurrence.run_steps
    monkeypatch.setattr(
        recurrence, "run_steps", lambda steps: scans.append(steps) or run_steps(steps)
    )
    rnn = made("NStepGRU", n_layers=1, out_size=7)
    for _ in range(3):
        _, y = rnn(None, rng.normal(size=(20, 5, 3)))
        gradients(rnn, y)
    assert len(scans) == 1 and scans[0].run is not None
    rnn(None, rng.normal(size=(33, 5, 3)))  # another length is of the same kind
    assert len(scans) == 1


def test_dropout_is_between_layers_and_in_training_only():
    rnn = made("NStepLSTM", n_layers=2, dropout=0.5)
    x, hx = rng.normal(size=(6, 3, 3)), states(rnn, 3)
    outputs = [rnn(*hx, x)[-1].array for _ in range(2)]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3
    with dynet.using_config("train", False):
        used = [rnn(*hx, x)[-1].array for _ in range(2)]
    np.testing.assert_array_equal(*used)
    single = made("NStepLSTM", n_layers=1, dropout=0.5)
    hx = states(single, 3)
    np.testing.assert_array_equal(single(*hx, x)[-1].array, single(*hx, x)[-1].array)


def test_the_state_carries_one_segment_on_to_the_next():
    rnn = made("NStepLSTM")
    x = rng.normal(size=(12, 2, 3))
    hx = states(rnn, 2)
    hy, cy, whole = rnn(*hx, x)
    h, c, first = rnn(*hx, x[:5])
    h, c, second = rnn(h, c, x[5:])
    assert_close(whole.array, np.concatenate([first.array, second.array]))
    assert_close(hy.array, h.array)
    assert_close(cy.array, c.array)


@some_links
def test_a_width_of_none_is_learned_from_the_first_input_or_from_a_file(name, tmp_path):
    rnn, other = made(name, in_size=None), made(name, in_size=None)
    nothing = [None] * len(rnn._states)
    assert rnn.weight_ih_l0.array is None
    xs = sequences_of(4, 2)
    expected = rnn(*nothing, xs)[-1]
    save_npz(tmp_path / "rnn.npz", rnn)
    load_npz(tmp_path / "rnn.npz", other)
    for a, b in zip(expected, other(*nothing, xs)[-1], strict=True):
        np.testing.assert_array_equal(a.array, b.array)
    third = made(name, in_size=None)
    with pytest.raises(ValueError, match="lengths"):
        third(*nothing, np.ones((3, 2, 5)), lengths=[4, 4])
    assert third.weight_ih_l0.array is None


def test_a_width_that_was_learned_is_asked_for_afterwards():
    rnn = L.NStepGRU(1, None, 4)
    rnn(None, X)
    with pytest.raises(ValueError, match=r"NStepGRU: xs has 2 features, expected 3 \(xs"):
        rnn(None, X[:, :, :2])


def test_a_gradient_of_a_gradient_goes_through_every_step():
    rnn, x, found = made("NStepLSTM", n_layers=1), rng.normal(size=(5, 3, 3)), []
    hx = states(rnn, 3)
    for compiled in True, False:
        with dynet.using_config("debug", not compiled):  # in debug mode the plain loop runs
            *_, y = rnn(*hx, x)
            (g,) = dynet.grad([(y * y).sum()], [rnn.weight_ih_l0], create_graph=True)
            rnn.cleargrads()
            (g * g).sum().backward()
        found.append(rnn.weight_hh_l0.grad)
    assert_close(*found)


def test_a_copy_shares_no_parameters():
    rnn = made("NStepGRU")
    other = copy.deepcopy(rnn)
    other.weight_hh_l0.array[...] = 0
    assert rnn.weight_hh_l0.array.any()


def test_forget_gates_start_open():
    rnn = L.NStepLSTM(1, 3, 2, forget_bias_init=5)
    np.testing.assert_array_equal(rnn.bias_ih_l0.array, [0, 0, 5, 5, 0, 0, 0, 0])
    np.testing.assert_array_equal(L.NStepLSTM(1, 3, 2, initial_bias=7).bias_ih_l0.array, [7] * 8)


# -- bad input -----------------------------------------------------------------------------------

X = np.zeros((5, 2, 3), np.float32)
H = np.zeros((1, 2, 4), np.float32)
BAD = {
    "an empty sequence": (
        (None, None, [X[:, 0], X[:0, 0]]),
        {},
        r"NStepLSTM: xs\[1\] is an empty sequence, expected at least one time step each",
    ),
    "no sequence": ((None, None, []), {}, "NStepLSTM: xs is an empty list, expected at least one"),
    "one array for a sequence": (
        (None, None, X[:, 0]),
        {},
        r"NStepLSTM: xs has shape \(5, 3\), expected three axes",
    ),
    "another width": (
        (None, None, X[:, :, :2]),
        {},
        r"NStepLSTM: xs has 2 features, expected 3 \(xs: \(5, 2, 2\), weight_ih_l0: \(16, 3\)\)",
    ),
    "another width in a list": (
        (None, None, [X[:, 0], X[:, 0, :2]]),
        {},
        r"NStepLSTM: xs\[1\] has 2 features, expected 3",
    ),
    "another dtype": (
        (None, None, X.astype(np.float64)),
        {},
        r"NStepLSTM: xs is float64 \(5, 2, 3\), expected float32 \(steps, sequences, features\)",
    ),
    "a length beyond the array": (
        (None, None, X),
        {"lengths": [5, 6]},
        r"NStepLSTM: lengths\[1\] is 6, beyond the array; expected 1 to 5 \(xs: \(5, 2, 3\)\)",
    ),
    "a length of 0": (
        (None, None, X),
        {"lengths": [0, 5]},
        r"NStepLSTM: lengths\[0\] is 0, an empty sequence; expected 1 to 5",
    ),
    "lengths that are not as many": (
        (None, None, X),
        {"lengths": [5]},
        "NStepLSTM: lengths are 1, expected 2, one for each sequence",
    ),
    "lengths that are no integers": (
        (None, None, X),
        {"lengths": [5.0, 2.0]},
        r"NStepLSTM: lengths is \[5.0, 2.0\], expected a list of integers",
    ),
    "lengths that are no numbers": (
        (None, None, X),
        {"lengths": [[1], True]},
        r"NStepLSTM: lengths is \[\[1\], True\], expected a list of integers",
    ),
    "a negative length": (
        (None, None, X),
        {"lengths": [5, -1]},
        r"NStepLSTM: lengths\[1\] is -1, negative; expected 1 to 5",
    ),
    "lengths of a list": (
        (None, None, [X[:, 0]]),
        {"lengths": [5]},
        "NStepLSTM: xs is a list, whose lengths are known; expected no lengths",
    ),
    "a state of another batch": (
        (H[:, :1], None, X),
        {},
        r"NStepLSTM: hx has shape \(1, 1, 4\), expected \(1, 2, 4\): layers times directions",
    ),
    "a state of another dtype": (
        (None, H.astype(np.float64), X),
        {},
        r"NStepLSTM: cx is float64 \(1, 2, 4\), expected float32 \(1, 2, 4\)",
    ),
}


@pytest.mark.parametrize("arguments, named, sentence", BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_sentence(arguments, named, sentence):
    rnn = L.NStepLSTM(1, 3, 4)
    with pytest.raises((TypeError, ValueError), match=sentence):
        rnn(*arguments, **named)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ((0, 3, 4), "NStepGRU: n_layers is 0, expected a positive integer"),
        ((1, 0, 4), "NStepGRU: in_size is 0, expected a positive integer"),
        ((1, 3, None), "NStepGRU: out_size is None, expected a positive integer"),
        ((1, 3, 4, 1.0), "NStepGRU: dropout is 1.0, expected a number from 0 up to 1"),
        ((1, 3, 4, -0.1), "NStepGRU: dropout is -0.1, expected 0 or a positive number"),
    ],
)
def test_bad_settings_are_one_clear_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        L.NStepGRU(*arguments)


@pytest.mark.parametrize("which", ["xs", "hx"])
def test_arrays_of_two_devices_are_one_clear_sentence(which, pretend_gpu):
    given = {"xs": X, "hx": H}
    given[which] = pretend_gpu.asarray(given[which])
    sentence = rf"NStepLSTM: .*{which} is on cuda:0.*; expected all on one device"
    with pytest.raises(ValueError, match=sentence):
        L.NStepLSTM(1, 3, 4)(given["hx"], None, given["xs"])
