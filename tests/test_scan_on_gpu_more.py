"""What compiled loops on a GPU promise besides right numbers: in whatever order threads and blocks
come, however little memory there is, with nothing that makes the host wait, from several threads
and on several devices."""

import sys
import threading
from types import SimpleNamespace

import cuda_on_cpu
import numpy as np
import pytest
from scan_steps import build
from test_scan_on_gpu import WAYS, assert_close, build_on_gpu, host, run, total, use

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Variable
from dynet.scanning import on_gpu
from dynet.scanning.structure import flatten

pytestmark = pytest.mark.filterwarnings("error")

T, N, H = 6, 5, 4


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def assert_as_on_the_cpu(make, *sends, pick=None, **keywords):
    """Compare a compiled scan and its gradients with the plain loop's on the CPU.

    Args:
        make: of a function that sends arrays: the step, init, xs, and the Variables.
        sends: such functions; of each it is compiled once more.
        pick: which leaves of the outputs have a gradient; ``None`` for all.
    """
    found = []
    for send, compiled in (np.asarray, False), *[(send, True) for send in sends]:
        step, init, xs, variables = make(send)
        dynet.random.seed(7)
        leaves = flatten(dynet.scan(step, init, xs, compiled=compiled, **keywords))[0]
        loss = total([v for i, v in enumerate(leaves) if pick is None or i in pick])
        if loss is not None:
            loss.backward()
        found.append([*[v.array for v in leaves], *[v.grad for v in variables]])
    for others in found[1:]:
        assert_close(others, found[0])


# -- the order of threads and blocks; little memory ----------------------------------------------

MIXED = ["lstm_with_layer_normalization", "carries", "noise"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MIXED)
def test_threads_and_blocks_may_come_in_any_order(name, way, pretend_gpu, monkeypatch):
    use(way, monkeypatch)
    expected = run(*build(name), False)
    monkeypatch.setattr(cuda_on_cpu, "backwards", True)
    found = run(*build_on_gpu(pretend_gpu, name), True)
    assert_close(found[0], expected[0])
    assert_close(found[1], expected[1])


@pytest.mark.parametrize(
    "shared, rows, kept, from_cache",
    [
        (1 << 16, 7, 1, 0),
        (200, 3, 1, 0),
        (150, 3, 0, 1 << 20),
        (40, 1, 0, 1 << 20),
        (40, 0, 0, 0),  # graphs
    ],
)
def test_a_block_works_at_as_many_rows_as_there_is_room_for(
    shared, rows, kept, from_cache, pretend_gpu, monkeypatch
):
    monkeypatch.setattr(on_gpu, "limits_of", lambda device, xp: (2, shared))
    monkeypatch.setattr(on_gpu, "FROM_CACHE", from_cache)
    ways, way = [], on_gpu.way
    monkeypatch.setattr(on_gpu, "way", lambda *given: ways.append(way(*given)) or ways[-1])
    expected = run(*build("tanh_rnn", N=13), False)
    found = run(*build_on_gpu(pretend_gpu, "tanh_rnn", N=13), True)
    assert ways[0].rows_each == rows and ways[0].kept == kept
    assert ways[0].blocks == (-(-13 // rows) if rows else 0)
    assert_close(found[0], expected[0])
    assert_close(found[1], expected[1])


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_each_matrix_is_in_shared_memory_or_not(kept, pretend_gpu, monkeypatch):
    way = on_gpu.way
    monkeypatch.setattr(on_gpu, "way", lambda *given: way(*given)._replace(kept=kept))
    expected = run(*build("lstm", N=3), False)
    found = run(*build_on_gpu(pretend_gpu, "lstm", N=3), True)
    assert_close(found[0], expected[0])
    assert_close(found[1], expected[1])


def test_of_very_many_matrices_some_are_not_kept():
    code = SimpleNamespace(rooms=[], weights=[16] * 70, stages=[lambda rows: rows])
    how = on_gpu.way(code, 4, True, 8, 1 << 16)
    assert how.kept == (1 << 63) - 1 and how.shared == 63 * 16


# -- what a step may be --------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_gradient_that_only_a_product_over_time_reads_gets_there(way, pretend_gpu, monkeypatch):
    use(way, monkeypatch)

    def make(send):
        W, b = Variable(send(array(H, 3))), Variable(send(array(3, seed=1)))
        return lambda _, x: (None, x @ W + b), None, send(array(T, N, H, seed=2)), [W, b]

    assert_as_on_the_cpu(make, pretend_gpu.asarray)


@pytest.mark.parametrize("way", WAYS)
def test_a_carry_that_is_joined_of_parts_of_the_last_one_is_computed_from_it(
    way, pretend_gpu, monkeypatch
):
    use(way, monkeypatch)

    def make(send):
        def step(h, x):
            return F.concat([F.tanh(h[:, 1:] + x), 2 * h[:, :1]]), None

        return step, send(array(N, H + 1)), send(array(T, N, H)), []

    with dynet.no_backprop_mode():
        assert_as_on_the_cpu(make, np.asarray, pretend_gpu.asarray)


@pytest.mark.parametrize("pick", [{1}, {2}], ids=str)
def test_tables_of_positions_are_those_of_the_gradients_that_there_are(pick, pretend_gpu):
    first, second = np.array([2, 0, 0, 1]), np.array([1, 3, 3])

    def make(send):
        a = Variable(send(array(N, H)))

        def step(h, x):
            h = F.tanh(h + x + a)
            return h, (h[:, first], h[:, second])

        return step, send(array(N, H, seed=1)), send(array(T, N, H, seed=2)), [a]

    assert_as_on_the_cpu(make, np.asarray, pretend_gpu.asarray, pick=pick)


@pytest.mark.parametrize("rows", [7, 900])
@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_rows_of_a_small_and_of_a_large_table_get_their_gradients(
    rows, still, reverse, pretend_gpu
):
    ids = np.random.default_rng(0).integers(-1, 7, (T, N))

    def make(send):
        E, W = Variable(send(array(rows, H))), Variable(send(array(H, H, seed=1)))

        def step(h, i):
            return F.tanh(F.embed_id(i, E, ignore_label=-1) + F.linear(h, W)), h

        xs = send(ids)
        if still:
            xs = dynet.backend.get_array_module(xs).broadcast_to(xs[0], (T, N))
        return step, send(array(N, H, seed=2)), xs, [E, W]

    assert_as_on_the_cpu(make, *2 * [pretend_gpu.asarray], reverse=reverse)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, 1e300])
def test_ties_and_extremes_come_out_as_on_the_cpu(value, pretend_gpu):
    def step(h, x):
        h = F.relu(0.5 * h) + x
        y = F.maximum(h, x) + F.minimum(h, x) + F.clip(x, -1, 1) + F.sigmoid(x) + F.leaky_relu(x)
        return h, (y, F.max(h, axis=1), F.min(h, axis=1), F.sign(x), abs(x), F.exp(x))

    xs = np.zeros((T, N, H))
    xs[2, 0, 1] = value
    found = []
    for send, compiled in (np.asarray, False), (pretend_gpu.asarray, True):
        h0, x = Variable(send(np.zeros((N, H)))), Variable(send(xs))
        with np.errstate(all="ignore"):
            leaves = flatten(dynet.scan(step, h0, x, compiled=compiled))[0]
            total(leaves).backward()
        found.append([host(a) for a in (*[v.array for v in leaves], h0.grad, x.grad)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(0, H), (N, 0), (1, 1)], ids=str)
def test_arrays_may_be_empty_or_of_one_element(shape, way, pretend_gpu, monkeypatch):
    use(way, monkeypatch)

    def make(send):
        h0, W = Variable(send(array(*shape))), Variable(send(array(shape[1], shape[1], seed=1)))
        xs = Variable(send(array(T, *shape, seed=2)))
        return lambda h, x: (F.tanh(h @ W + x), h.sum(axis=0)), h0, xs, [h0, W, xs]

    assert_as_on_the_cpu(make, pretend_gpu.asarray)


def test_gradients_of_gradients_are_those_of_the_plain_loop(pretend_gpu):
    found = []
    for send, compiled in (np.asarray, False), *2 * [(pretend_gpu.asarray, True)]:
        pretend_gpu.synchronisations.clear()
        W, h0, xs = [Variable(send(array(*s) / 2)) for s in ((H, H), (N, H), (T, N, H))]

        def step(h, x, W=W):
            h = F.tanh(F.linear(h, W) + x)
            return h, h

        h, ys = dynet.scan(step, h0, xs, compiled=compiled)
        first = dynet.grad([(h * h).sum() + (ys**3).sum()], [W, xs], create_graph=True)
        second = dynet.grad([sum([(g * g).sum() for g in first])], [W, h0, xs])
        found.append([v.array for v in (*first, *second)])
    assert pretend_gpu.synchronisations == []  # the second time
    assert_close(found[1], found[0])
    assert_close(found[2], found[0])


# -- nothing that waits, nothing that is sent twice ----------------------------------------------


def recurrences(cupy):
    """Of each kind of recurrence a function that runs it on a GPU."""

    def send(*shape):
        return cupy.asarray(array(*shape).astype(np.float32))

    W, b, E = [Variable(send(*s)) for s in ((H, H), (H,), (60, H))]
    ids = cupy.asarray(np.arange(T * N).reshape(T, N))

    def scan(step, xs=None, **keywords):
        xs = send(T, N, H) if xs is None else xs
        return lambda: dynet.scan(step, send(N, H), xs, compiled=True, **keywords)

    def link(cls, lengths):
        net = cls(2, H, H, 0.2)
        net.to_device("cuda:0")
        state = [None] * (2 if "LSTM" in cls.__name__ else 1)
        return lambda: net(*state, send(T, N, H), lengths=lengths)

    def plain(h, x):
        h = F.tanh(F.linear(h, W, b) + 0.3 * x)
        return h, h

    return {
        "plain": scan(plain),
        "reverse": scan(plain, reverse=True),
        "noise": scan(lambda h, x: (F.tanh(F.linear(F.dropout(h, 0.3), W) + x), None)),
        "ids": scan(lambda h, x: (F.tanh(h + F.embed_id(x, E)), h), ids),
        "positions": scan(lambda h, x: (F.tanh(h + x * b)[:, [0, 2, 1, 1]], h[:, [1, 1]])),
        "still": scan(plain, F.broadcast_to(b, (T, N, H))),
        "lstm": link(L.NStepLSTM, None),
        "lengths": link(L.NStepGRU, [T, T, 4, 3, 1]),
    }


KINDS = ["plain", "reverse", "noise", "ids", "positions", "still", "lstm", "lengths"]


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_first_time_nothing_waits_and_no_constant_is_sent_again(
    kind, pretend_gpu, monkeypatch
):
    use("graphs" if kind == "reverse" else "one kernel", monkeypatch)
    call, sent, send = recurrences(pretend_gpu)[kind], [], pretend_gpu.asarray

    def asarray(x, *args, **keywords):
        if sys._getframe(1).f_code.co_filename == on_gpu.__file__:
            sent.append(x)
        return send(x, *args, **keywords)

    monkeypatch.setattr(pretend_gpu, "asarray", asarray)
    for _ in range(2):
        sent.clear()
        pretend_gpu.synchronisations.clear()
        sum([v.sum() for v in flatten(call())[0]]).backward()
    assert pretend_gpu.synchronisations == []
    assert sent == []


# -- graphs --------------------------------------------------------------------------------------


def test_every_kernel_has_run_before_it_is_captured(pretend_gpu, monkeypatch):
    use("graphs", monkeypatch)
    monkeypatch.setattr(on_gpu, "_graphs", {})
    run_before, known, call = set(), [], pretend_gpu.RawKernel.__call__

    def kernel(self, *given, **keywords):
        if pretend_gpu.cuda.get_current_stream().is_capturing():
            known.append((self.code, self.name) in run_before)
        run_before.add((self.code, self.name))
        return call(self, *given, **keywords)

    monkeypatch.setattr(pretend_gpu.RawKernel, "__call__", kernel)
    model, variables = build_on_gpu(pretend_gpu, "tanh_rnn", T=11)
    found, expected = run(model, variables, True), run(*build("tanh_rnn", T=11), False)
    assert known and all(known)
    assert_close(found[1], expected[1])


def test_the_graphs_that_were_used_last_are_kept(pretend_gpu, monkeypatch):
    use("graphs", monkeypatch)
    monkeypatch.setattr(on_gpu, "_graphs", {})
    monkeypatch.setattr(on_gpu, "MANY_LOOPS", 2)
    for rows in 2, 3, 4, 2:
        expected = run(*build("tanh_rnn", N=rows), False)
        assert_close(run(*build_on_gpu(pretend_gpu, "tanh_rnn", N=rows), True)[1], expected[1])
        assert {total for *_, total in on_gpu._graphs} == {rows}
        assert len(on_gpu._graphs) == 2  # of the loop, and of the one back


def test_two_threads_may_run_one_loop(pretend_gpu, monkeypatch):
    use("graphs", monkeypatch)
    made = on_gpu.Graphs.__init__
    waiting, order = threading.Event(), []

    def init(self, *given):
        made(self, *given)
        functions = self.functions

        def watched(name):
            if name in ("prepare", "end_of_all"):
                order.append((name, threading.get_ident()))
                if name == "prepare" and len(order) == 1:
                    waiting.wait(0.2)  # time enough for the other one to come in between
            return functions(name)

        self.functions = watched

    def step(h, x):
        return F.tanh(h + x), h

    def work(seed):
        xs = pretend_gpu.asarray(array(T, N, H, seed=seed))
        found[seed] = dynet.scan(step, h0, xs, compiled=True)[1].array.get()

    h0, found = pretend_gpu.asarray(np.zeros((N, H))), {}
    with dynet.no_backprop_mode():
        work(0)  # one may read a step at a time
    monkeypatch.setattr(on_gpu, "_graphs", {})
    monkeypatch.setattr(on_gpu.Graphs, "__init__", init)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [name for name, _ in order] == ["prepare", "end_of_all"] * (len(order) // 2)
    for seed in 1, 2:
        _, ys = dynet.scan(step, np.zeros((N, H)), array(T, N, H, seed=seed), compiled=False)
        assert_close([found[seed]], [ys.array])


@pytest.mark.parametrize("way", WAYS)
def test_each_device_has_its_own(way, pretend_gpu, monkeypatch):
    use(way, monkeypatch)
    expected = run(*build("indexing"), False)
    for number in 0, 1, 0:
        with pretend_gpu.cuda.Device(number):
            found = run(*build_on_gpu(pretend_gpu, "indexing"), True)
            assert found[0][0].device.id == number
        assert_close(found[1], expected[1])


def test_a_network_goes_to_a_gpu_and_back(pretend_gpu):
    net, xs = L.NStepLSTM(2, H, H, 0.4, initialW=0.3), array(T, N, H).astype(np.float32)
    found = {}
    for device in "cpu", "cuda:0", "cpu", "cuda:0":
        net.to_device(device)
        for train in True, False:
            net.cleargrads()
            dynet.random.seed(3)
            with dynet.using_config("train", train):
                leaves = flatten(net(None, None, dynet.get_device(device).send(xs)))[0]
            total(leaves).backward()
            result = [*[v.array for v in leaves], *[p.grad for p in net.params()]]
            assert_close(result, found.setdefault(train, result))
