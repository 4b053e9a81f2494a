"""Function hooks hear of every function, and tell what it cost."""

import io
import threading

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable
from dynet.function_hooks import MemoryHook, TimerHook


class Diary(dynet.FunctionHook):
    def __init__(self):
        self.heard = []

    def forward_preprocess(self, function, xs):
        self.heard.append(("before", function.name, [np.shape(x) for x in xs]))

    def forward_postprocess(self, function, xs, ys):
        self.heard.append(("after", function.name, [y.shape for y in ys]))

    def backward_preprocess(self, function, gys):
        self.heard.append(("backward", function.name, [gy.shape for gy in gys]))

    def backward_postprocess(self, function, gys, gxs):
        self.heard.append(("done", function.name, [np.shape(gx) for gx in gxs]))


def names(hook, when):
    return [entry[1] for entry in hook.heard if entry[0] == when]


def test_a_hook_hears_of_each_function_before_and_after_forward_and_backward():
    x = Variable(np.ones((2, 3)))
    with Diary() as diary:
        F.exp(x).sum().backward()
    assert diary.heard == [
        ("before", "Exp", [(2, 3)]),
        ("after", "Exp", [(2, 3)]),
        ("before", "Sum", [(2, 3)]),
        ("after", "Sum", [()]),
        ("backward", "Sum", [()]),
        ("done", "Sum", [(2, 3)]),
        ("backward", "Exp", [(2, 3)]),
        ("done", "Exp", [(2, 3)]),
    ]


def test_outside_its_block_a_hook_hears_of_nothing():
    x = Variable(np.ones(3))
    diary = Diary()
    with diary:
        y = F.exp(x)
    heard = list(diary.heard)
    F.exp(x)
    y.sum().backward()
    assert diary.heard == heard


def test_a_hook_hears_of_functions_without_a_record_too():
    with Diary() as diary, dynet.no_backprop_mode():
        F.exp(Variable(np.ones(3)))
    assert names(diary, "before") == ["Exp"]


def test_several_hooks_hear_side_by_side():
    with Diary() as first, Diary() as second:
        F.exp(np.ones(3))
    assert first.heard == second.heard != []


def test_a_hook_that_is_in_force_cannot_be_entered_again():
    diary = Diary()
    with diary, pytest.raises(RuntimeError, match="Diary"):
        diary.__enter__()
    assert dynet.config.hooks == ()


def test_a_hook_can_be_used_again_later():
    diary = Diary()
    for _ in range(2):
        with diary:
            F.exp(np.ones(3))
    assert names(diary, "before") == ["Exp", "Exp"]


def test_an_error_inside_the_block_ends_the_hook():
    with pytest.raises(ZeroDivisionError), Diary():
        raise ZeroDivisionError
    assert dynet.config.hooks == ()


def test_a_hook_hears_of_its_own_thread_only():
    with Diary() as diary:
        thread = threading.Thread(target=lambda: F.exp(np.ones(3)))
        thread.start()
        thread.join()
    assert diary.heard == []


def test_a_recorded_backward_is_heard_of():
    x = Variable(np.array(2.0))
    with Diary() as diary:
        (g,) = dynet.grad(x * x, x, create_graph=True)
        g.backward()
    assert "Mul" in names(diary, "backward")


def test_debug_mode_and_hooks_go_together():
    x = Variable(np.ones(3))
    with Diary() as diary, dynet.using_config("debug", True):
        F.exp(x).sum().backward()
    assert names(diary, "done") == ["Sum", "Exp"]
    assert not dynet.config.observed


def test_a_timer_counts_the_calls_and_the_seconds_of_each_function():
    x = Variable(np.ones((100, 100)))
    with TimerHook() as timer:
        for _ in range(3):
            F.exp(x).sum().backward()
    summary = timer.summary()
    assert {name: costs["calls"] for name, costs in summary.items()} == {"Exp": 3, "Sum": 3}
    assert all(costs["forward"] > 0 and costs["backward"] > 0 for costs in summary.values())
    total = sum(costs["forward"] + costs["backward"] for costs in summary.values())
    assert timer.total_time() == pytest.approx(total)


def test_a_timer_goes_on_after_a_function_has_raised():
    with TimerHook() as timer:
        with pytest.raises(TypeError):
            F.exp(np.arange(3))
        F.exp(np.ones(3))
    assert timer.summary()["Exp"]["calls"] == 1


def test_the_report_names_the_dearest_function_first():
    class Slow(dynet.Function):
        def forward(self, x):
            threading.Event().wait(0.02)
            return x

    with TimerHook() as timer:
        F.exp(np.ones(3))
        Slow()(np.ones(3))
    out = io.StringIO()
    timer.print_report(unit="us", file=out)
    header, first, second = out.getvalue().splitlines()
    assert header.split() == ["function", "calls", "forward", "us", "backward", "us", "share"]
    assert first.startswith("Slow") and second.startswith("Exp")


def test_a_report_of_nothing_is_a_header():
    out = io.StringIO()
    TimerHook().print_report(file=out)
    assert len(out.getvalue().splitlines()) == 1


def test_the_memory_hook_says_what_a_function_keeps():
    x = Variable(np.ones((100, 1000)))
    with MemoryHook() as memory:
        y = F.exp(x)
        z = x.reshape(-1)
    summary = memory.summary()
    assert summary["Exp"]["forward"] == pytest.approx(y.array.nbytes, rel=0.01)
    assert abs(summary["Reshape"]["forward"]) < 10_000
    assert list(summary) == ["Exp", "Reshape"]
    assert z.size


def test_the_memory_hook_leaves_tracing_as_it_was():
    import tracemalloc

    with MemoryHook():
        assert tracemalloc.is_tracing()
    assert not tracemalloc.is_tracing()


@pytest.mark.parametrize("hook", [TimerHook(), MemoryHook()])
def test_an_unknown_unit_is_refused(hook):
    with pytest.raises(ValueError, match="unit is 'hours'"):
        hook.print_report(unit="hours")
