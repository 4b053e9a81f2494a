"""Recurrent cells, and the links that keep their state: every cell, and what all have in common."""

import copy
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Variable
from dynet.initializers import Identity, Normal, Orthogonal

rng = np.random.default_rng(0)

IN, H, N, T = 3, 4, 5, 6
XS = rng.normal(size=(T, N, IN))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def sums(l, x, h):
    return x @ l.upward.W.array.T + l.upward.b.array + h @ l.lateral.W.array.T


# What the cells mean, in NumPy: the next states from those before.


def naive_lstm(l, c, h, x, w=((0,), (0,), (0,))):
    i, f, g, o = np.split(sums(l, x, h), 4, axis=1)
    c_next = sigmoid(f + w[1] * c) * c + sigmoid(i + w[0] * c) * np.tanh(g)
    return c_next, sigmoid(o + w[2] * c_next) * np.tanh(c_next)


def naive_peephole_lstm(l, c, h, x):
    return naive_lstm(l, c, h, x, l.w.array)


def naive_gru(l, h, x):
    x_r, x_z, x_n = np.split(x @ l.upward.W.array.T + l.upward.b.array, 3, axis=1)
    u_r, u_z, u_n = np.split(h @ l.lateral.W.array.T + l.lateral.b.array, 3, axis=1)
    z = sigmoid(x_z + u_z)
    return ((1 - z) * np.tanh(x_n + sigmoid(x_r + u_r) * u_n) + z * h,)


def naive_mgu(l, h, x):
    x_f, x_n = np.split(x @ l.upward.W.array.T + l.upward.b.array, 2, axis=1)
    f = sigmoid(x_f + h @ l.lateral_f.W.array.T)
    return ((1 - f) * h + f * np.tanh(x_n + (f * h) @ l.lateral_n.W.array.T),)


def naive_rnn(l, h, x):
    return (np.tanh(sums(l, x, h)),)


def naive_irnn(l, h, x):
    return (np.maximum(sums(l, x, h), 0),)


# A cell, the link that keeps its state, its settings, its number of states, its meaning.
CELLS = {
    "LSTM": (L.StatelessLSTM, L.LSTM, {}, 2, naive_lstm),
    "PeepholeLSTM": (
        L.StatelessPeepholeLSTM,
        L.StatefulPeepholeLSTM,
        {},
        2,
        naive_peephole_lstm,
    ),
    "GRU": (L.StatelessGRU, L.StatefulGRU, {}, 1, naive_gru),
    "MGU": (L.StatelessMGU, L.MGU, {}, 1, naive_mgu),
    "RNN": (L.StatelessRNN, L.RNN, {}, 1, naive_rnn),
    "IRNN": (L.StatelessRNN, L.RNN, {"activation": "relu"}, 1, naive_irnn),
}
every_cell = pytest.mark.parametrize("name", CELLS)


def disturbed(link):
    """A link whose parameters are random, all of them."""
    for parameter in link.params():
        if parameter.is_initialized:
            parameter.array[...] = rng.uniform(-0.7, 0.7, parameter.shape)
    return link


def cell_of(name, dtype=np.float64, sizes=(IN, H), **more):
    """A cell, as a function of a tuple of states and so on that returns such a tuple."""
    cls, _, settings, several, _ = CELLS[name]
    with dynet.using_config("dtype", dtype):
        cell = disturbed(cls(*sizes, **settings, **more))
    if several == 2:
        return cell, lambda states, x, cont=None: cell(*states, x, cont)
    return cell, lambda states, x, cont=None: (cell(*states, x, cont),)


def link_of(name, dtype=np.float64, sizes=(IN, H), **more):
    _, cls, settings, _, _ = CELLS[name]
    with dynet.using_config("dtype", dtype):
        return disturbed(cls(*sizes, **settings, **more))


def states_of(name, rows=N, dtype=np.float64):
    return tuple(rng.normal(size=(rows, H)).astype(dtype) for _ in range(CELLS[name][3]))


def no_state(name):
    return (None,) * CELLS[name][3]


def kept(link):
    """The state of a link."""
    return (link.c, link.h) if hasattr(link, "c") else (link.h,)


def total(ys):
    """A number that depends on every element, and on each in another way."""
    return sum((y * np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum() for y in ys)


def gradients(link):
    return [p.grad for p in link.params()]


def assert_close(a, b, rtol=1e-9, atol=1e-12):
    for u, v in zip(a, b, strict=True):
        np.testing.assert_allclose(u, v, rtol, atol)


# -- what a cell computes -------------------------------------------------------------------------


@every_cell
def test_a_cell_computes_what_it_says(name):
    cell, step = cell_of(name)
    states = expected = states_of(name)
    for x in XS[:3]:
        states = step(states, x)
        expected = CELLS[name][4](cell, *expected, x)
        assert_close([s.array for s in states], expected)


@pytest.mark.parametrize(
    "name, theirs",
    [("LSTM", "LSTMCell"), ("RNN", "RNNCell"), ("GRU", "GRUCell"), ("IRNN", "RNNCell")],
)
def test_the_weights_of_a_cell_of_pytorch_give_what_they_give_there(name, theirs):
    torch = pytest.importorskip("torch")
    more = {"nonlinearity": "relu"} if name == "IRNN" else {}
    other = getattr(torch.nn, theirs)(IN, H, dtype=torch.float64, **more)
    W, U, b, d = [p.detach().numpy() for p in other.parameters()]
    cell, step = cell_of(name)
    cell.upward.W.array[...], cell.lateral.W.array[...] = W, U
    if name == "GRU":
        cell.upward.b.array[...], cell.lateral.b.array[...] = b, d
    else:
        cell.upward.b.array[...] = b + d
    states = states_of(name)
    expected = tuple(map(torch.from_numpy, states[::-1]))  # h, c
    for x in XS:
        states = step(states, x)
        x = torch.from_numpy(x)
        expected = other(x, expected) if name == "LSTM" else (other(x, *expected),)
    assert_close([s.array for s in states[::-1]], [e.detach().numpy() for e in expected])


@pytest.mark.parametrize("conts", [(None,) * 3, ((1, 1, 0), (0, 1, 1), (1, 0, 1))])
@every_cell
def test_the_gradients_of_three_steps_are_right(name, conts):
    cell, step = cell_of(name)

    def three_steps(*arguments):
        xs, states, ys = arguments[:3], arguments[3:], []
        for x, cont in zip(xs, conts, strict=True):
            states = step(states, x, None if cont is None else np.array(cont))
            ys.append(states[-1])
        return (*ys, *states)

    arguments = tuple(XS[:3, :3]) + states_of(name, 3)
    dynet.gradient_check.check_backward(three_steps, arguments, params=tuple(cell.params()))


@every_cell
def test_a_step_is_differentiable_twice(name):
    cell, step = cell_of(name)
    cont = np.array([1, 0])
    dynet.gradient_check.check_double_backward(
        lambda x, *states: step(states, x, cont),
        (XS[0, :2], *states_of(name, 2)),
        params=tuple(cell.params()),
    )


@every_cell
def test_no_state_is_a_state_of_zeros(name):
    cell, step = cell_of(name)
    ys = step(no_state(name), XS[0])
    total(ys).backward()
    missing = gradients(cell)
    cell.cleargrads()
    zeros = step(tuple(np.zeros((N, H)) for _ in ys), XS[0])
    total(zeros).backward()
    assert_close([*missing, *[y.array for y in ys]], [*gradients(cell), *[y.array for y in zeros]])


def test_one_state_of_two_may_be_missing():
    cell, _ = cell_of("LSTM")
    c, h = states_of("LSTM")
    expected = cell(np.zeros_like(c), h, XS[0])
    assert_close([s.array for s in cell(None, h, XS[0])], [s.array for s in expected])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_cell
def test_a_state_has_the_dtype_of_the_parameters(name, dtype):
    _, step = cell_of(name, dtype)
    assert {s.dtype for s in step(no_state(name), XS[0].astype(dtype))} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "name, functions", [("LSTM", 4), ("PeepholeLSTM", 4), ("GRU", 3), ("RNN", 4), ("MGU", 12)]
)
def test_a_step_is_as_few_functions_as_it_can_be(name, functions):
    class Counter(dynet.function_hooks.FunctionHook):
        called = 0

        def forward_preprocess(self, function, xs):
            self.called += 1

    link = link_of(name)
    link(XS[0])
    with Counter() as counter:
        link(XS[1], np.ones(N))
    assert counter.called == functions


# -- parameters -----------------------------------------------------------------------------------


def test_parameters_have_the_names_of_chainers():
    assert [path for path, _ in L.LSTM(3, 4).namedparams()] == [
        "/upward/W",
        "/upward/b",
        "/lateral/W",
    ]


@pytest.mark.parametrize(
    "cls, block, sign", [(L.LSTM, 1, 1), (L.StatefulPeepholeLSTM, 1, 1), (L.StatefulGRU, 1, 1),
                         (L.MGU, 0, -1)],
)  # fmt: skip
def test_the_bias_of_the_gate_that_forgets_is_another(cls, block, sign):
    link = cls(3, 4, bias_init=0.25, forget_bias_init=5)
    biases = link.upward.b.array.reshape(-1, 4)
    expected = np.full_like(biases, 0.25)
    expected[block] = 5 * sign
    np.testing.assert_array_equal(biases, expected)


@pytest.mark.parametrize("name", ["LSTM", "PeepholeLSTM", "GRU", "MGU"])
def test_the_larger_the_bias_of_the_gate_that_forgets_the_longer_a_cell_remembers(name):
    changes = []
    for bias in -3, 0, 3:
        cls, _, _, several, _ = CELLS[name]
        cell = cls(3, 4, forget_bias_init=bias, upward_init=0, lateral_init=0)
        states = tuple(np.ones((1, 4), np.float32) for _ in range(several))
        x = np.ones((1, 3), np.float32)
        first = cell(*states, x)[0] if several == 2 else cell(*states, x)
        changes.append(1 - first.array.mean())
    assert changes == sorted(changes, reverse=True) and changes[0] > 0.9 and changes[2] < 0.1


def test_by_default_an_lstm_starts_with_a_forget_gate_of_bias_1_and_others_with_0():
    np.testing.assert_array_equal(L.LSTM(3, 1).upward.b.array, [0, 1, 0, 0])
    for cls in L.StatefulGRU, L.MGU, L.RNN:
        assert not cls(3, 1).upward.b.array.any()


def test_an_initializer_fills_the_block_of_each_gate_by_itself():
    cell = L.StatelessLSTM(4, 4, lateral_init=Orthogonal(1), upward_init=Identity())
    for block in np.split(cell.lateral.W.array, 4):
        np.testing.assert_allclose(block @ block.T, np.eye(4), atol=1e-6)
    np.testing.assert_array_equal(cell.upward.W.array, np.tile(np.eye(4), (4, 1)))


def test_arrays_are_whole_weights_and_the_biases_of_one_gate():
    W, U, b = rng.normal(size=(12, 3)), rng.normal(size=(12, 4)), np.arange(4)
    cell = L.StatelessGRU(None, 4, U, W.astype(np.float32), b, forget_bias_init=-b)
    np.testing.assert_array_equal(cell.upward.W.array, W.astype(np.float32))
    np.testing.assert_array_equal(cell.lateral.W.array, U.astype(np.float32))
    np.testing.assert_array_equal(cell.upward.b.array, [*b, *-b, *b])


def test_the_dtype_of_the_initializer_of_upward_is_that_of_all_parameters():
    cell = L.StatelessPeepholeLSTM(3, 4, upward_init=Normal(dtype=np.float64))
    assert {p.dtype for p in cell.params()} == {np.dtype(np.float64)}


@pytest.mark.parametrize("make", [lambda: L.LSTM(4), lambda: L.LSTM(None, 4)])
def test_the_first_input_teaches_its_size(make):
    link = make()
    assert not link.upward.W.is_initialized
    link(np.ones((2, 3), np.float32))
    assert link.upward.W.shape == (16, 3)


@every_cell
def test_a_first_step_that_fails_teaches_no_size(name):
    cell, step = cell_of(name, sizes=(None, H))
    for states, x, cont in [
        (states_of(name, 2), XS[0], None),
        (no_state(name), XS[0], np.ones(2)),
        (states_of(name, dtype=np.float32), XS[0], None),
    ]:
        with pytest.raises((TypeError, ValueError)):
            step(states, x, cont)
    step(no_state(name), np.ones((2, 7)))
    assert cell.upward.W.shape[1] == 7


# -- clipping -------------------------------------------------------------------------------------


def test_gradients_are_clipped_at_every_step_on_their_way_back():
    limit = 0.3
    cell, _ = cell_of("RNN", clip=limit)
    x = Variable(XS)
    h, hs = Variable(np.zeros((N, H))), []
    for t in range(T):
        h = cell(h, x[t])
        hs.append(h)
    total(hs).backward()

    W, U = cell.upward.W.array, cell.lateral.W.array
    gx, gU, gh = np.empty_like(XS), np.zeros_like(U), np.zeros((N, H))
    clipped = 0
    for t in reversed(range(T)):
        gh = gh + np.cos(np.arange(gh.size)).reshape(gh.shape)
        before = hs[t - 1].array if t else np.zeros((N, H))
        raw = gh * (1 - hs[t].array ** 2)
        ga = np.clip(raw, -limit, limit)
        clipped += (raw != ga).sum()
        gx[t], gU, gh = ga @ W, gU + ga.T @ before, ga @ U
    assert T < clipped < T * N * H
    assert_close([x.grad, cell.lateral.W.grad], [gx, gU])


@every_cell
def test_what_comes_back_from_the_gates_of_any_cell_is_clipped(name):
    cell, step = cell_of(name, clip=0.01)
    bound = T * N * 0.01 + 1e-12
    largest = {}
    for clip in 0.01, None:
        cell.clip = clip
        cell.cleargrads()
        states = no_state(name)
        for x in XS:
            states = step(states, x)
        (100 * total(states)).backward()
        largest[clip] = np.abs(cell.upward.b.grad).max()
    assert 0 < largest[0.01] <= bound < largest[None]


@every_cell
def test_a_limit_that_nothing_reaches_changes_nothing(name):
    results = []
    for clip in None, 1e6:
        cell, step = cell_of(name, clip=clip)
        for i, p in enumerate(cell.params()):
            p.array[...] = np.sin(np.arange(p.size) + i).reshape(p.shape)
        states = step(step(no_state(name), XS[0]), XS[1])
        total(states).backward()
        results.append([*[s.array for s in states], *gradients(cell)])
    assert_close(*results)


# -- sequences that start -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [bool, np.int8, np.float32, np.float64, Variable])
@every_cell
def test_cont_0_starts_a_sequence_afresh(name, kind):
    cell, step = cell_of(name)
    cont = np.ones((T, N))
    cont[0, :2] = cont[3, 1:3] = cont[5, 2] = 0
    given = [Variable(c, requires_grad=False) if kind is Variable else c.astype(kind) for c in cont]

    first = tuple(map(Variable, states_of(name)))
    x, states, ys = Variable(XS), first, []
    for t in range(T):
        states = step(states, x[t], given[t])
        ys.append(F.stack(states))
    together = F.stack(ys)  # (T, states, N, H)
    weights = np.sin(np.arange(together.size)).reshape(together.shape)
    (together * weights).sum().backward()
    got = [x.grad, *[s.grad for s in first], *gradients(cell)]

    cell.cleargrads()
    alone, loss = np.empty_like(together.array), 0
    x = Variable(XS)
    again = tuple(Variable(s.array) for s in first)
    for n in range(N):
        states = tuple(s[n : n + 1] for s in again)
        for t in range(T):
            if not cont[t, n]:
                states = no_state(name)
            states = step(states, x[t, n : n + 1])
            y = F.stack(states)[:, 0]
            alone[t, :, n] = y.array
            loss += (y * weights[t, :, n]).sum()
    loss.backward()
    np.testing.assert_allclose(together.array, alone, rtol=1e-12)
    assert_close(got, [x.grad, *[s.grad for s in again], *gradients(cell)])


@pytest.mark.parametrize("dead", [np.inf, np.nan])
@every_cell
def test_nothing_of_a_dead_state_goes_on(name, dead):
    cell, step = cell_of(name)
    states = tuple(Variable(np.full((2, H), dead)) for _ in states_of(name))
    ys = step(states, XS[0, :2], np.array([0, 0]))
    assert_close([y.array for y in ys], [y.array for y in step(no_state(name), XS[0, :2])])
    total(ys).backward()
    assert all(np.isfinite(g).all() for g in gradients(cell))
    assert not any(s.grad.any() for s in states)


# -- sequences that end ---------------------------------------------------------------------------


@every_cell
@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_sequences_of_several_lengths_give_what_each_alone_gives(name, lengths):
    lengths.sort(reverse=True)
    link = link_of(name)
    xs = [Variable(rng.normal(size=(k, IN))) for k in lengths]
    ys = [[] for _ in xs]
    for t in range(lengths[0]):
        n = sum(k > t for k in lengths)
        y = link(F.stack([x[t] for x in xs[:n]]))
        assert y.shape == (n, H) and link.h.shape == (len(xs), H)
        for i in range(n):
            ys[i].append(y[i])
    together = [*map(F.stack, ys), *kept(link)]
    total(together).backward()
    got = [*[x.grad for x in xs], *gradients(link)]

    link.cleargrads()
    ys, last = [], []
    for x in xs:
        x.cleargrad()
        link.reset_state()
        ys.append(F.concat([link(x[t : t + 1]) for t in range(len(x))], axis=0))
        last.append(kept(link))
    alone = [*ys, *[F.concat(states, axis=0) for states in zip(*last, strict=True)]]
    total(alone).backward()
    assert_close([v.array for v in together], [v.array for v in alone])
    assert_close(got, [*[x.grad for x in xs], *gradients(link)])


@every_cell
def test_a_cell_keeps_the_states_of_the_sequences_that_are_over(name):
    _, step = cell_of(name)
    states = states_of(name)
    after = step(states, XS[0, :2], np.array([1, 0]))
    for before, s, t in zip(
        states, after, step(states, XS[0], np.array([1, 0, 1, 1, 1])), strict=True
    ):
        np.testing.assert_array_equal(s.array[2:], before[2:])
        np.testing.assert_allclose(s.array[:2], t.array[:2], rtol=1e-12)


@every_cell
def test_an_input_without_rows_leaves_the_state_as_it_is(name):
    link = link_of(name)
    link(XS[0])
    before = [s.array for s in kept(link)]
    assert link(XS[1, :0]).shape == (0, H)
    assert_close([s.array for s in kept(link)], before, 0, 0)


# -- links with a state ---------------------------------------------------------------------------


@every_cell
def test_a_link_goes_on_from_the_state_that_it_has(name):
    link = link_of(name)
    cell, step = cell_of(name)
    cell.copyparams(link)
    states = no_state(name)
    for t, x in enumerate(XS):
        cont = np.arange(N) != t
        y = link(x, cont)
        states = step(states, x, cont)
        assert y is link.h
        assert_close([s.array for s in kept(link)], [s.array for s in states], 0, 0)


@every_cell
def test_a_link_starts_from_zeros_at_first_and_again_after_a_reset(name):
    link = link_of(name)
    assert kept(link) == no_state(name)
    first = link(XS[0]).array
    assert (link(XS[0]).array != first).any()
    link.reset_state()
    assert kept(link) == no_state(name)
    np.testing.assert_array_equal(link(XS[0]).array, first)
    link.reset_state()
    assert link(XS[0, :2]).shape == (2, H)


@pytest.mark.parametrize("kind", [Variable, np.asarray])
@every_cell
def test_a_link_starts_from_a_state_that_is_set(name, kind):
    link = link_of(name)
    cell, step = cell_of(name)
    cell.copyparams(link)
    arrays = states_of(name)
    states = tuple(map(kind, arrays))
    link.set_state(*states)
    assert_close([s.array for s in kept(link)], arrays, 0, 0)
    total([link(XS[0])]).backward()
    others = tuple(map(Variable, arrays))
    after = step(others, XS[0])
    assert_close([s.array for s in kept(link)], [s.array for s in after], 0, 0)
    if kind is Variable:
        total(after[-1:]).backward()
        assert_close([s.grad for s in states], [s.grad for s in others])


@every_cell
def test_a_step_that_fails_leaves_the_state_as_it_is(name):
    link = link_of(name)
    link(XS[0])
    before = kept(link)
    for x in XS[0, :, :2], XS[0].astype(np.float32), XS:
        with pytest.raises((TypeError, ValueError)):
            link(x)
    assert kept(link) == before


@every_cell
def test_a_tape_that_is_cut_ends_there_and_the_values_go_on(name):
    link = link_of(name)
    x = Variable(XS)
    link(x[0])
    total([link(x[1])]).backward()
    before = [s.array for s in kept(link)]
    loss = total([link.h])
    loss.unchain_backward()
    assert all(s.creator is None for s in kept(link))
    assert_close([s.array for s in kept(link)], before, 0, 0)
    x.cleargrad()
    link.cleargrads()
    total([link(x[2])]).backward()
    other = copy.deepcopy(link)
    other.cleargrads()
    other.set_state(*before)
    y = Variable(XS[2])
    total([other(y)]).backward()
    expected = np.zeros_like(XS)
    expected[2] = y.grad
    assert_close([x.grad, *gradients(link)], [expected, *gradients(other)])


COPIES = {
    "share": lambda link: link.copy(),
    "copy": lambda link: link.copy("copy"),
    "init": lambda link: link.copy("init"),
    "deepcopy": copy.deepcopy,
    "pickle": lambda link: pickle.loads(pickle.dumps(link)),
    "chain": lambda link: dynet.Sequential(link).copy()[0],
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@every_cell
def test_a_copy_starts_without_a_state_and_leaves_that_of_the_link_alone(name, copied):
    link = link_of(name)
    link(XS[0])
    before = kept(link)
    twin = copied(link)
    assert kept(twin) == no_state(name)
    twin(XS[0])
    assert kept(link) == before
    assert link.h.creator is not None


def test_a_state_is_not_saved(tmp_path):
    link = L.LSTM(None, 4)
    link(np.ones((2, 3), np.float32))
    dynet.serializers.save_npz(tmp_path / "m", link)
    assert set(np.load(tmp_path / "m")) == {"upward/W", "upward/b", "lateral/W"}
    other = L.LSTM(None, 4)
    other(np.ones((2, 3), np.float32))
    state = kept(other)
    dynet.serializers.load_npz(tmp_path / "m", other)
    assert kept(other) == state


# -- devices --------------------------------------------------------------------------------------


@every_cell
def test_the_state_moves_with_the_link(name, pretend_gpu):
    link = link_of(name)
    cell, step = cell_of(name)
    cell.copyparams(link)
    link(XS[0])
    before = [s.array for s in kept(link)]
    model = dynet.Sequential(link).to_device("cuda:0")
    assert {type(s.array) for s in kept(link)} == {pretend_gpu.ndarray}
    assert_close([s.array.get() for s in kept(link)], before, 0, 0)
    y = model(pretend_gpu.asarray(XS[1]))
    np.testing.assert_allclose(y.array.get(), step(before, XS[1])[-1].array, rtol=1e-12)
    model.to_device("cpu")
    assert {type(s.array) for s in kept(link)} == {np.ndarray}


@every_cell
def test_gradients_find_their_way_back_from_a_state_that_has_moved(name, pretend_gpu):
    link = link_of(name)
    x = Variable(XS[0])
    total([link(x)]).backward()
    expected = x.grad
    x.cleargrad()
    link.to_device("cuda:0")
    assert type(link.h.array) is pretend_gpu.ndarray
    link.to_device("cpu")
    total([link.h]).backward()
    assert_close([x.grad], [expected], 0, 0)


@every_cell
def test_a_state_that_is_set_is_moved_to_the_link(name, pretend_gpu):
    link = link_of(name)
    states = states_of(name)
    link.set_state(pretend_gpu.asarray(states[0]), *states[1:])
    assert {type(s.array) for s in kept(link)} == {np.ndarray}
    assert_close([s.array for s in kept(link)], states)


@every_cell
def test_arrays_of_two_devices_are_an_error(name, pretend_gpu):
    _, step = cell_of(name)
    states = states_of(name)
    with pytest.raises(ValueError, match=r"x and upward\.b are on cpu, .*h (is|are) on cuda:0"):
        step(tuple(map(pretend_gpu.asarray, states)), XS[0])
    with pytest.raises(ValueError, match=r"x is on cuda:0, .*h and upward\.b are on cpu"):
        step(states, pretend_gpu.asarray(XS[0]))


# -- in a compiled loop ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, clip, kind",
    [
        ("LSTM", None, None),
        ("PeepholeLSTM", 0.05, bool),
        ("GRU", 0.05, np.float32),
        ("MGU", None, None),
        ("IRNN", 0.05, np.int32),
    ],
)
def test_a_compiled_loop_gives_what_the_plain_one_gives(name, clip, kind):
    cell, step = cell_of(name, np.float32, clip=clip)
    xs = XS.astype(np.float32)
    cont = None if kind is None else (rng.random((T, N)) < 0.6).astype(kind)

    def scanned(states, x):
        x, k = x
        states = step(states, x, k)
        return states, states[-1]

    results = []
    for compiled in True, False:
        cell.cleargrads()
        x = Variable(xs)
        init = tuple(Variable(np.full((N, H), 0.5, np.float32)) for _ in no_state(name))
        last, ys = dynet.scan(scanned, init, (x, cont), compiled=compiled)
        total((*last, ys)).backward()
        results.append(
            [y.array for y in (*last, ys)] + [v.grad for v in (x, *init)] + gradients(cell)
        )
    assert_close(*results, 1e-4, 1e-5)


def test_a_link_with_a_state_has_no_place_in_a_compiled_loop():
    link = L.LSTM(IN, H)
    xs = XS.astype(np.float32)
    why = dynet.scanning.explain(lambda carry, x: (carry, link(x)), None, xs)
    assert "keeps a Variable outside its carry and y" in why


# -- bad input ------------------------------------------------------------------------------------

BAD_MAKINGS = [
    (lambda: L.LSTM(0, 4), "LSTM: in_size is 0, expected a positive integer"),
    (lambda: L.StatelessGRU(3, -1), "StatelessGRU: out_size is -1, expected a positive integer"),
    (lambda: L.RNN(3, 2.5), "RNN: out_size is 2.5, expected a positive integer"),
    (lambda: L.LSTM(None), "LSTM: out_size is None, expected a positive integer"),
    (lambda: L.MGU(3, 4, clip=0), "MGU: clip is 0, expected a number above 0, or None"),
    (lambda: L.LSTM(3, 4, clip=-1.5), "LSTM: clip is -1.5, expected a number above 0, or None"),
    (lambda: L.LSTM(3, 4, clip="5"), "LSTM: clip is str, expected a real number"),
    (lambda: L.LSTM(3, 4, clip=np.nan), "LSTM: clip is nan, expected a real number"),
    (lambda: L.RNN(3, 4, "sigmoid"), "RNN: activation is 'sigmoid', expected 'tanh' or 'relu'"),
    (
        lambda: L.MGU(3, 4, forget_bias_init=Normal()),
        "MGU: forget_bias_init is Normal, expected a ",
    ),
    (
        lambda: L.LSTM(3, 4, np.ones((4, 4))),
        "Parameter W: the initial array has shape (4, 4), expected (16, 4)",
    ),
    (lambda: L.LSTM(3, 4, "orthogonal"), "Parameter lateral_init: initializer is str, expected a"),
    (
        lambda: L.LSTM(3, 4, bias_init=np.zeros(16)),
        "Parameter bias_init: the initial array has shape (16,), expected (4,)",
    ),
    (
        lambda: L.LSTM(3, 4, Normal(dtype=np.float64)),
        "Parameter lateral_init: dtype is float32, that of the initializer float64",
    ),
]


@pytest.mark.parametrize("make, message", BAD_MAKINGS, ids=[m for _, m in BAD_MAKINGS])
def test_a_cell_that_cannot_be_is_refused_with_a_sentence(make, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        make()


X, S = np.ones((5, 3), np.float32), np.ones((5, 4), np.float32)
BAD_STEPS = [
    ((S, S, X[0]), ValueError, "x has shape (3,), expected (N, in_size)"),
    ((S, S, X[None]), ValueError, "x has shape (1, 5, 3), expected (N, in_size)"),
    ((S, S, X[:, :2]), ValueError, "linear: x has 2 features, W expects 3"),
    ((S, S, X.tolist()), TypeError, "x is list, expected a floating array"),
    ((S, S, X.astype(int)), TypeError, "x is int64 (5, 3), expected a floating array"),
    ((S, S, X.astype("f8")), TypeError, "x is float64 (5, 3), the parameters are float32; expecte"),
    ((S, S.astype("f8"), X), TypeError, "h is float64 (5, 4), the parameters are float32; expect"),
    ((S, S.tolist(), X), TypeError, "h is list, expected a floating array"),
    ((S[:, :3], S, X), ValueError, "c has shape (5, 3), expected (N, 4)"),
    ((S, S[0], X), ValueError, "h has shape (4,), expected (N, 4)"),
    ((S, S[:3], X), ValueError, "c and h have different numbers of rows (x: (5, 3), c: (5, 4), h:"),
    ((S[:3], S[:3], X), ValueError, "x has 5 rows, the state has 3; expected as many, or fewer wh"),
    ((S[:1], S[:1], X), ValueError, "x has 5 rows, the state has 1; expected as many, or fewer wh"),
    (
        (S, S, X, np.ones(4)),
        ValueError,
        "cont has shape (4,), expected (5,), one for each row of x",
    ),
    ((S, S, X[:2], np.ones(5)), ValueError, "cont has shape (5,), expected (2,), one for each row"),
    ((S, S, X, np.ones((5, 1))), ValueError, "cont has shape (5, 1), expected (5,), one for each "),
    ((S, S, X, [1] * 5), TypeError, "cont is list, expected an array of numbers"),
    ((S, S, X, 1), TypeError, "cont is int, expected an array of numbers"),
    (
        (S, S, X, np.array(list("abcde"))),
        TypeError,
        "cont is <U1 (5,), expected an array of numbers",
    ),
]


@pytest.mark.parametrize("arguments, error, message", BAD_STEPS, ids=[m for _, _, m in BAD_STEPS])
def test_a_step_that_cannot_be_is_refused_with_a_sentence(arguments, error, message):
    cell = L.StatelessLSTM(3, 4)
    with pytest.raises(error, match=re.escape(message)):
        cell(*arguments)


def test_a_batch_larger_than_that_of_the_state_is_told_how_to_start_anew():
    link = L.LSTM(3, 4)
    link(X[:2])
    with pytest.raises(ValueError, match=r"LSTM: x has 5 rows, the state has 2.*reset_state\(\)"):
        link(X)


@pytest.mark.parametrize(
    "link, states, error, message",
    [
        (L.LSTM, (S, S[:2]), ValueError, "LSTM.set_state: c and h have different numbers of rows"),
        (L.LSTM, (S, S[:, :2]), ValueError, "LSTM.set_state: h has shape (5, 2), expected (N, 4)"),
        (L.LSTM, (None, S), TypeError, "LSTM.set_state: c is NoneType, expected a floating array"),
        (
            L.RNN,
            (S.astype("f8"),),
            TypeError,
            "RNN.set_state: h is float64 (5, 4), the parameters ",
        ),
    ],
)
def test_a_state_that_cannot_be_set_is_refused_with_a_sentence(link, states, error, message):
    link = link(3, 4)
    with pytest.raises(error, match=re.escape(message)):
        link.set_state(*states)
    assert link.h is None
