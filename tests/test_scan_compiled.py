"""Compiled scans: the same as the plain loop, whatever the step, the shapes and the threads."""

import os
import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scan_steps import STEPS, build

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.scanning import compiled, explain, run
from dynet.scanning.structure import flatten

# A gradient that is not the plain loop's is told by a warning, too.
pytestmark = pytest.mark.filterwarnings("error")

FORWARD = {"f": 1e-6, "d": 1e-13}  # of the largest element
GRADIENT = {"f": 1e-5, "d": 1e-12}


def results(model, variables, compiled=None, seed=7, pick=None, **keywords):
    """The arrays that a scan gives, the gradients of a sum of them, the state of the randomness."""
    step, init, xs = model
    dynet.random.seed(seed)
    for v in variables:
        v.cleargrad()
    leaves = flatten(dynet.scan(step, init, xs, compiled=compiled, **keywords))[0]
    rng = np.random.default_rng(3)
    weighted = [
        F.cast((v * rng.standard_normal(v.shape).astype(v.dtype)).sum(), np.float64)
        for i, v in enumerate(leaves)
        if v.requires_grad and (pick is None or i in pick)
    ]
    if weighted:
        F.add(*weighted).backward()
    return [v.array for v in leaves], [v.grad for v in variables], dynet.random.get_state()


def assert_close(found, expected, tolerance):
    assert len(found) == len(expected)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        if b is None:
            assert a is None, i
            continue
        assert a.dtype == b.dtype and a.shape == b.shape, i
        if a.dtype.kind != "f":
            np.testing.assert_array_equal(a, b)
            continue
        scale = np.abs(b).max(initial=0) or 1
        assert np.abs(a - b).max(initial=0) <= tolerance[a.dtype.char] * scale, i


def assert_the_same(model, variables, **keywords):
    found = results(model, variables, **keywords)
    expected = results(model, variables, compiled=False, **keywords)
    assert_close(found[0], expected[0], FORWARD)
    assert_close(found[1], expected[1], GRADIENT)
    assert found[2] == expected[2]
    return found


# -- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", STEPS)
def test_compiled_steps_give_what_the_plain_loop_gives(name, reverse):
    model, variables = build(name)
    assert explain(*model, reverse=reverse) is None
    assert_the_same(model, variables, reverse=reverse)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_they_do_in_both_dtypes(dtype):
    model, variables = build("lstm_by_hand", dtype)
    assert explain(*model) is None
    assert_the_same(model, variables)


@settings(max_examples=30, deadline=None)
@given(
    T=st.integers(4, 30),
    N=st.integers(1, 40),
    H=st.sampled_from([1, 33]),  # each is compiled
    reverse=st.booleans(),
)
@example(T=33, N=33, H=33, reverse=True)  # no telling the axes by their lengths
def test_they_do_for_all_shapes(T, N, H, reverse):
    model, variables = build("tanh_rnn", "f8", T=T, N=N, H=H)
    assert explain(*model) is None
    assert_the_same(model, variables, reverse=reverse)


def test_they_do_for_empty_batches():
    assert_the_same(*build("tanh_rnn", N=0))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4])
def test_they_do_for_few_steps(length):
    assert_the_same(*build("tanh_rnn", T=length))


def test_where_the_same_kernels_run_the_bits_are_the_same():
    for reverse in False, True:
        model, variables = build("the_same_kernels")
        assert explain(*model) is None
        found = results(model, variables, reverse=reverse)
        expected = results(model, variables, compiled=False, reverse=reverse)
        for a, b in zip(found[0], expected[0], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("value", [0, np.nan, np.inf, -np.inf, -0.0, 1e300])
def test_ties_and_extremes_come_out_as_in_the_plain_loop(value):
    def step(h, x):
        h = F.relu(0.5 * h) + x
        y = F.maximum(h, x) + F.minimum(h, x) + F.clip(x, -1, 1) + F.sigmoid(x) + F.leaky_relu(x)
        return h, (y, F.max(h, axis=1), F.min(h, axis=1), F.softmax(x), F.exp(x), F.log(1 + x))

    h0, xs = Variable(np.zeros((5, 4))), Variable(np.zeros((6, 5, 4)))
    xs.array[2, 0, 1] = value
    with np.errstate(all="ignore"):
        assert explain(step, h0, xs) is None
        found = results((step, h0, xs), [h0, xs])
        expected = results((step, h0, xs), [h0, xs], compiled=False)
    for a, b in zip((*found[0], *found[1]), (*expected[0], *expected[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


# -- gradients ------------------------------------------------------------------------------------


# The carries are leaves 0 and 1, the outputs 2 and 3.
@pytest.mark.parametrize("pick", [{2}, {0, 3}], ids=str)
def test_only_some_of_the_outputs_may_be_used(pick):
    assert_the_same(*build("residual_stack"), pick=pick)


@pytest.mark.parametrize("wanted", [(True, False), (False, True)], ids=str)
def test_carry_and_inputs_may_be_constants(wanted):
    (step, init, xs), variables = build("tanh_rnn")
    init, xs = [v if w else v.array for v, w in zip((init, xs), wanted, strict=True)]
    assert explain(step, init, xs) is None
    found = assert_the_same((step, init, xs), variables)
    assert [g is not None for g in found[1]] == [True, True, *wanted]


def test_without_backprop_nothing_is_recorded():
    model, _ = build("tanh_rnn")
    with dynet.no_backprop_mode():
        assert explain(*model) is None
        assert_the_same(model, [])
        h, ys = dynet.scan(*model)
    assert h.creator is None and ys.creator is None


def test_backward_may_be_called_twice():
    (step, init, xs), variables = build("tanh_rnn")

    def gradients(compiled):
        for v in variables:
            v.cleargrad()
        _, ys = dynet.scan(step, init, xs, compiled=compiled)
        F.square(ys).sum().backward()
        ys[1::2].sum().backward()
        return [v.grad for v in variables]

    assert_close(gradients(None), gradients(False), GRADIENT)


def test_a_scan_may_be_differentiated_twice():
    (step, init, xs), variables = build("minimal_gated_unit")

    def second(compiled):
        h, ys = dynet.scan(step, init, xs, compiled=compiled)
        first = dynet.grad([F.square(h).sum() + (ys**3).sum()], variables, create_graph=True)
        total = F.add(*[F.square(g).sum() for g in first])
        return [g.array for g in (*first, *dynet.grad([total], variables))]

    assert_close(second(None), second(False), {"d": 1e-11})


def test_scans_are_parts_of_larger_models_and_of_each_other():
    (step, init, xs), variables = build("minimal_gated_unit", T=8)
    W = Variable(np.random.default_rng(1).standard_normal((4, 4)))

    def outer(h, x):
        h, ys = dynet.scan(step, h @ W, x)
        return h, ys.mean(axis=0)

    def gradients(compiled):
        for v in (W, *variables):
            v.cleargrad()
        h, ys = dynet.scan(step, F.tanh(init), 2 * xs, compiled=compiled)
        h, ys = dynet.scan(step, h, ys, reverse=True, compiled=compiled)
        h, ys = dynet.scan(outer, h, F.reshape(ys, (4, 2, *h.shape)), compiled=compiled)
        (h.sum() + F.square(ys).sum()).backward()
        return [h.array, ys.array, *[v.grad for v in (W, *variables)]]

    assert explain(outer, init, F.reshape(xs, (4, 2, *init.shape))) is None
    assert_close(gradients(None), gradients(False), GRADIENT)


# -- one call after another -----------------------------------------------------------------------


def test_nothing_of_an_earlier_call_is_left():
    (step, init, xs), variables = build("lstm_by_hand")
    W = variables[0]
    first = assert_the_same((step, init, xs), variables)[0]
    W.array *= 2
    in_place = assert_the_same((step, init, xs), variables)[0]
    W.array = W.array[:, ::-1].copy()
    replaced = assert_the_same((step, init, xs), variables)[0]
    assert not np.array_equal(first[0], in_place[0])
    assert not np.array_equal(in_place[0], replaced[0])
    fewer = {key: Variable(v.array[:2]) for key, v in init.items()}
    longer = Variable(np.concatenate([xs.array, xs.array])[:, :2])
    assert_the_same((step, fewer, longer), [*variables[:2], *fewer.values(), longer])


def test_constants_of_a_step_may_be_others_in_the_next_call():
    mask, ids = np.array([True, False, True]), np.array([0, 2])
    table, xs = Variable(np.arange(9.0).reshape(3, 3)), np.ones((5, 2, 3))

    def step(h, x):
        h = F.where(mask, h + x, 2 * h) + F.embed_id(ids, table)
        return h, h[:, ids]

    for _ in range(3):
        assert_the_same((step, np.ones((2, 3)), xs), [table])
        mask, ids = ~mask, (ids + 1) % 3


def test_dropout_follows_the_train_switch():
    model, variables = build("noise")
    outputs = []
    for train in True, False, True:
        with dynet.using_config("train", train):
            outputs.append(assert_the_same(model, variables)[0])
    assert np.array_equal(outputs[0][0], outputs[2][0])
    assert not np.array_equal(outputs[0][0], outputs[1][0])


def test_a_step_may_do_something_else_in_the_next_call():
    function = F.tanh
    model = lambda h, x: (function(h + x), h), np.ones((2, 3)), np.ones((5, 2, 3))
    for function in F.tanh, F.sigmoid, F.tanh:  # noqa: B007 - the step uses it
        assert_the_same(model, [])


# -- threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["lstm_by_hand", "noise", "residual_stack", "indexing", "reductions_of_a_row"]
)
def test_bits_do_not_depend_on_the_number_of_threads(name, monkeypatch):
    split = []
    share = run.share
    monkeypatch.setattr(run, "WORTH_A_THREAD", 0)
    monkeypatch.setattr(
        run, "share", lambda work, n, pieces: split.append(pieces) or share(work, n, pieces)
    )
    for N in 2, 3, 5, 17:
        model, variables = build(name, N=N)
        found = {}
        for threads in 1, 2, 3:
            monkeypatch.setattr(run, "available_cores", lambda threads=threads: threads)
            found[threads] = results(model, variables)
            assert max(split[-2:]) == threads
        for threads in 2, 3:
            for a, b in zip(found[threads][0], found[1][0], strict=True):
                np.testing.assert_array_equal(a, b)
            assert_close(found[threads][1], found[1][1], GRADIENT)
            assert found[threads][2] == found[1][2]


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0, 1, 2, 5])
@pytest.mark.parametrize("bad", [11, -1, 10**9])
def test_an_id_out_of_range_is_the_error_of_the_plain_loop(t, bad):
    (step, init, xs), _ = build("relu_rnn_without_outputs")
    xs[t, 1] = bad
    with pytest.raises(IndexError) as plain:
        dynet.scan(step, init, xs, compiled=False)
    with pytest.raises(IndexError) as error:
        dynet.scan(step, init, xs)
    assert str(error.value) == str(plain.value)


def test_an_error_in_the_step_is_that_of_the_step():
    runs = iter(range(9))

    def step(h, x):
        if next(runs) == 1:
            raise KeyError("mine")
        return h + x, h

    with pytest.raises(KeyError, match="mine"):
        dynet.scan(step, np.ones(2), np.ones((5, 2)))
    assert not dynet.config.hooks


# -- size -----------------------------------------------------------------------------------------


def test_a_hundred_thousand_steps_run():
    T = 100_000
    start, xs = Variable(np.zeros(2)), Variable(np.ones((T, 2)))
    h, ys = dynet.scan(lambda h, x: (h + x, h), start, xs, compiled=True)
    (h.sum() + ys[-1].sum()).backward()
    np.testing.assert_array_equal(ys.array[:, 0], np.arange(T))
    np.testing.assert_array_equal(h.array, [T, T])
    np.testing.assert_array_equal(xs.grad[[0, T - 1], 0], [2, 1])
    np.testing.assert_array_equal(start.grad, [2, 2])


def test_memory_peaks_no_higher_than_in_the_plain_loop():
    model, variables = build("lstm_by_hand", T=200, N=64)

    def peak(compiled):
        tracemalloc.start()
        try:
            results(model, variables, compiled)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    results(model, variables)
    assert peak(None) <= peak(False)


# -- what is kept on disk -------------------------------------------------------------------------

A_PROCESS = """
import numpy as np
import dynet
import dynet.functions as F
from numba.core import event

compiled = event.RecordingListener()
W = dynet.Variable(np.eye(3))
with event.install_listener("numba:compile", compiled):
    h, ys = dynet.scan(lambda h, x: (F.tanh(h @ W + x), h), np.ones((2, 3)), np.ones((5, 2, 3)))
    (h.sum() + ys.sum()).backward()
names = {str(e.data["dispatcher"].py_func.__module__) for _, e in compiled.buffer}
print(sum([name.startswith("dynet_scan") for name in names]), W.grad.sum())
"""


def test_a_second_process_compiles_nothing(tmp_path):
    environment = os.environ | {"DYNET_SCAN_CACHE": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", A_PROCESS],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert [int(count) for count, _ in said] == [2, 0]
    assert said[0][1] == said[1][1]


def test_a_folder_that_cannot_be_written_to_is_told_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DYNET_SCAN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(compiled, "_functions", {})
    model, variables = build("numbers_as_carry")
    with pytest.warns(RuntimeWarning, match="DYNET_SCAN_CACHE"):
        found = results(model, variables)
    assert_close(found[1], results(model, variables, compiled=False)[1], GRADIENT)


@pytest.mark.parametrize("backprop", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_carry_that_all_rows_share_is_the_same_for_each_of_them(threads, backprop, monkeypatch):
    monkeypatch.setattr(run, "WORTH_A_THREAD", 0)
    monkeypatch.setattr(run, "available_cores", lambda: threads)
    decay, W = Variable(np.array([0.9])), Variable(np.eye(3) / 2)

    def step(carry, x):
        h, weight = carry
        return (F.tanh(h @ W + x * weight), weight * 0.9), h

    def ran(compiled):
        xs = np.random.default_rng(0).standard_normal((20, 7, 3))
        with dynet.using_config("enable_backprop", backprop):
            (h, weight), ys = dynet.scan(step, (np.zeros((7, 3)), decay), xs, compiled=compiled)
        if backprop:
            for v in decay, W:
                v.cleargrad()
            (h.sum() + ys.sum() + weight.sum()).backward()
        return [h.array, weight.array, ys.array, *([decay.grad, W.grad] if backprop else [])]

    for ours, theirs in zip(ran(None), ran(False), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_step_that_is_refused_again_and_again_keeps_nothing_alive():
    def step(h, x):
        return F.cumsum(h + x, axis=1), None

    gone = []
    for _ in range(3):
        init = Variable(np.ones((2, 3)))
        gone.append(weakref.ref(init.array))
        dynet.scan(step, init, np.ones((6, 2, 3)))
        del init
    assert [array() is None for array in gone] == [True] * 3


@pytest.mark.parametrize("block", [1, 2000])
def test_gradients_do_not_depend_on_how_many_steps_are_taken_together(block, monkeypatch):
    model, variables = build("lstm_by_hand", np.float64, T=23, N=5, H=4)
    expected = results(model, variables)[1]
    monkeypatch.setattr(run, "BLOCK", block)
    assert_close(results(model, variables)[1], expected, GRADIENT)
