"""Every link on a GPU: NumPy's values and gradients, and nobody waits for them."""

import copy

import numpy as np
import pytest
from test_links_all import LINKS, disturbed

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Variable, get_device

rng = np.random.default_rng(0)


def batch(*shape):
    return rng.normal(size=shape).astype(np.float32)


STEPS = [batch(5, 3), batch(2, 3), batch(4, 3)]  # three sequences


def loss_of(link, *inputs):
    """A network's output, with whatever state comes along, as one tuple of Variables."""
    y = link(*inputs)
    flat = []
    for part in y if isinstance(y, tuple) else (y,):
        flat.extend(part if isinstance(part, list) else [part])
    return tuple(flat)


# How to make it, and its inputs; besides those of the table in test_links_all.
MORE = {
    "EmbedID": (lambda: L.EmbedID(7, 3, ignore_label=-1), (np.array([[2, 6], [-1, 2]], np.int32),)),
    "Classifier": (
        lambda: L.Classifier(L.Linear(6, 4)),
        (batch(3, 6), np.array([0, 3, 1], np.int32)),
    ),
    "Classifier of rows that do not count": (
        lambda: L.Classifier(L.Linear(6, 4), accfun=lambda y, t: F.accuracy(y, t, -1)),
        (batch(3, 6), np.array([0, -1, 1], np.int32)),
    ),
    **{
        cls.__name__: (lambda cls=cls: cls(2, 3, 4), (None, STEPS))
        for cls in (L.NStepGRU, L.NStepBiGRU, L.NStepRNNTanh, L.NStepBiRNNTanh, L.NStepRNNReLU)
    },
    "NStepBiRNNReLU": (lambda: L.NStepBiRNNReLU(1, 3, 4), (batch(2, 3, 4), batch(5, 3, 3))),
    "NStepLSTM": (lambda: L.NStepLSTM(2, 3, 4), (None, None, STEPS)),
    "NStepBiLSTM": (lambda: L.NStepBiLSTM(1, 3, 4), (None, None, batch(5, 3, 3), [5, 2, 4])),
}
CASES = {name: (sized, inputs) for name, (sized, _, inputs, _) in LINKS.items()} | MORE
MODES = [(name, "train") for name in CASES]
MODES += [(name, "use") for name in CASES if name.startswith("BatchNorm")]


def wrapped(x, device):
    """An input on a device: floating arrays as Variables, those in lists too."""
    if isinstance(x, list):
        return [wrapped(a, device) for a in x]
    if not isinstance(x, np.ndarray):
        return x
    x = device.send(x)
    return Variable(x) if x.dtype.kind == "f" else x


def swept(link, inputs, weights, device):
    """Outputs and all gradients, on a device; nothing is read back."""
    xs = [wrapped(x, device) for x in inputs]
    ys = loss_of(link, *xs)
    total = 0
    for y, w in zip(ys, weights or [None] * len(ys), strict=True):
        total = total + (y if w is None else (y * w).sum())
    total.backward()
    variables = [v for x in xs for v in (x if isinstance(x, list) else [x])]
    gradients = [v.grad for v in variables if isinstance(v, Variable)]
    return [y.array for y in ys], gradients + [p.grad for p in link.params()]


def both(name, mode, xp, plain_loops):
    """What a link gives here, uncompiled, and there, and what was waited for on the way there."""
    make, inputs = CASES[name]
    link = disturbed(make())
    with dynet.using_config("train", mode == "train"), dynet.no_backprop_mode():
        shapes = [y.shape for y in loss_of(copy.deepcopy(link), *inputs)]
    weights = [batch(*shape) for shape in shapes] if shapes != [()] else None
    here, gpu = get_device("cpu"), get_device("cuda:0")
    there = copy.deepcopy(link).to_device(gpu)
    weights_there = None if weights is None else gpu.send(weights)
    with dynet.using_config("train", mode == "train"):
        with plain_loops():
            expected = swept(link, inputs, weights, here)
        # A loop that is compiled for the first time is compared with the tape, which waits.
        swept(copy.deepcopy(there), inputs, weights_there, gpu)
        if hasattr(xp, "synchronisations"):
            xp.begin_anew()
        found = swept(there, inputs, weights_there, gpu)
        waited = list(getattr(xp, "synchronisations", ()))
    return expected, found, waited


@pytest.mark.parametrize("name, mode", MODES)
def test_a_link_gives_on_a_gpu_what_it_gives_on_the_cpu(name, mode, device, plain_loops):
    expected, found, waited = both(name, mode, device, plain_loops)
    assert waited == []
    for ours, theirs in zip(expected, found, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert isinstance(b, device.ndarray) and b.dtype == a.dtype
                np.testing.assert_allclose(get_device("cpu").send(b), a, rtol=1e-4, atol=1e-4)


def test_running_averages_are_those_of_the_cpu(device):
    link, x = L.BatchNormalization(4), batch(6, 4)
    there = copy.deepcopy(link).to_device("cuda:0")
    link(x)
    there(device.asarray(x))
    np.testing.assert_allclose(get_device("cpu").send(there.avg_mean), link.avg_mean, rtol=1e-5)
    np.testing.assert_allclose(get_device("cpu").send(there.avg_var), link.avg_var, rtol=1e-5)


def test_a_recurrent_link_goes_on_over_sequences_that_end_and_begin(device):
    link = L.LSTM(3, 4, clip=0.1)
    there = copy.deepcopy(link).to_device("cuda:0")
    steps = [(batch(3, 3), None), (batch(3, 3), np.array([1, 0, 1])), (batch(2, 3), np.ones(2))]
    for x, cont in steps:
        y = link(x, cont)
        z = there(device.asarray(x), None if cont is None else device.asarray(cont))
    y.sum().backward()
    z.sum().backward()
    np.testing.assert_allclose(get_device("cpu").send(there.h.array), link.h.array, rtol=1e-5)
    for p, q in zip(link.params(), there.params(), strict=True):
        np.testing.assert_allclose(get_device("cpu").send(q.grad), p.grad, rtol=1e-4, atol=1e-5)
