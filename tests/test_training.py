"""The parts of a training loop: the log, leaving in good order, measuring."""

import json
import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

import dynet
import dynet.functions as F
from dynet.training import Interruption, Log, evaluate

# -- log ------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    """A log of three lines."""
    log = Log(tmp_path / "log.jsonl")
    for epoch in 1, 2, 3:
        log.write(epoch=epoch, train_loss=1 / epoch, test_loss=2 / epoch, accuracy=0.1)
    return log.path


def epochs(path):
    return [json.loads(line)["epoch"] for line in path.read_text().splitlines()]


def test_each_line_of_a_log_is_json(path):
    first = json.loads(path.read_text().splitlines()[0])
    assert first == {"epoch": 1, "train_loss": 1.0, "test_loss": 2.0, "accuracy": 0.1}


def test_a_line_is_in_the_file_as_soon_as_it_is_written(tmp_path):
    log = Log(tmp_path / "log")
    log.write(epoch=1)
    assert log.path.read_text() == '{"epoch": 1}\n'


def test_the_name_of_a_log_may_be_a_string(tmp_path):
    Log(str(tmp_path / "log")).write(epoch=1)
    assert epochs(tmp_path / "log") == [1]


def test_a_log_remembers_its_lines(tmp_path):
    log = Log(tmp_path / "log")
    log.write(a=1)
    log.write(b=2.5)
    assert log.lines == [{"a": 1}, {"b": 2.5}]


def test_a_log_may_hold_what_numpy_computed(tmp_path):
    Log(tmp_path / "log").write(loss=np.float64(0.5))
    assert (tmp_path / "log").read_text() == '{"loss": 0.5}\n'


def test_a_new_log_starts_an_empty_file(path):
    Log(path)
    assert path.read_text() == ""


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_resumed_log_keeps_so_many_lines_and_drops_the_rest(keep, path):
    log = Log(path, keep=keep)
    assert epochs(path) == [e["epoch"] for e in log.lines] == [1, 2, 3][:keep]


def test_a_resumed_log_goes_on_after_the_lines_that_it_kept(path):
    Log(path, keep=2).write(epoch=7)
    assert epochs(path) == [1, 2, 7]


def test_a_last_line_that_was_cut_short_is_dropped(path):
    with open(path, "a") as f:
        f.write('{"epoch": 4, "tra')
    Log(path, keep=3).write(epoch=4)
    assert epochs(path) == [1, 2, 3, 4]


def test_a_log_of_fewer_lines_than_are_to_be_kept_is_refused_and_stays(path):
    with pytest.raises(ValueError, match=r"log\.jsonl has 3 lines, expected at least 4"):
        Log(path, keep=4)
    assert epochs(path) == [1, 2, 3]


def test_a_log_to_be_kept_has_to_be_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Log(tmp_path / "log", keep=1)


def test_a_full_disk_takes_no_kept_line_away(path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))  # bytes of a file
    try:
        Log(path, keep=2)
    except OSError:
        pass  # it may say so, or do without writing
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert epochs(path)[:2] == [1, 2]


# -- its picture ----------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, with nothing written."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    return figures


def curves(ax):
    return {line.get_label(): list(line.get_ydata()) for line in ax.lines}


def test_plot_writes_a_png(path, tmp_path):
    Log(path, keep=3).plot(tmp_path / "curve.png", "loss", "accuracy")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_an_ending_draws_all_values_whose_names_end_so(path, drawn):
    Log(path, keep=2).plot("curve.png", "loss")
    (ax,) = drawn[0].axes
    assert curves(ax) == {"train_loss": [1.0, 0.5], "test_loss": [2.0, 1.0]}


def test_each_ending_has_a_panel_of_its_own(path, drawn):
    Log(path, keep=2).plot("curve.png", "test_loss", "accuracy")
    assert [list(curves(ax)) for ax in drawn[0].axes] == [["test_loss"], ["accuracy"]]


def test_the_horizontal_axis_is_the_epoch_or_what_x_names(path, drawn):
    log = Log(path, keep=3)
    log.plot("curve.png", "accuracy")
    log.plot("curve.png", "accuracy", x="train_loss")
    first, second = [list(figure.axes[0].lines[0].get_xdata()) for figure in drawn]
    assert (first, second) == ([1, 2, 3], [1, 1 / 2, 1 / 3])


def test_a_value_that_some_lines_lack_is_drawn_where_it_is(path, drawn):
    log = Log(path, keep=2)
    log.write(epoch=3, speed=9.0)
    log.plot("curve.png", "speed")
    assert list(drawn[0].axes[0].lines[0].get_xdata()) == [3]


def test_a_log_does_without_matplotlib_until_it_is_plotted():
    code = "import sys, dynet.training; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# -- interruption ---------------------------------------------------------------------------------

SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Terminated(Exception):
    """What SIGTERM raises in these tests, where it would end the process."""


@pytest.fixture(autouse=True)
def handlers():
    """Those of Python for SIGINT and one that raises for SIGTERM; the old ones come back."""

    def terminate(number, frame):
        raise Terminated

    before = [signal.getsignal(number) for number in SIGNALS]
    ours = [signal.default_int_handler, terminate]
    for number, handler in zip(SIGNALS, ours, strict=True):
        signal.signal(number, handler)
    yield ours
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


def test_an_interruption_is_false_as_long_as_no_signal_comes():
    with Interruption() as interrupted:
        assert not interrupted


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_makes_it_true_and_raises_nothing(number):
    with Interruption() as interrupted:
        send(number)
        assert interrupted


def test_it_stays_true_after_the_block():
    with Interruption() as interrupted:
        send(signal.SIGINT)
    assert interrupted


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_acts_as_without_it(first, second):
    error = KeyboardInterrupt if second == signal.SIGINT else Terminated
    with Interruption():
        send(first)
        with pytest.raises(error):
            send(second)


@pytest.mark.parametrize("sent", [[], [signal.SIGINT], [signal.SIGTERM]])
def test_the_handlers_from_before_come_back_after_the_block(sent, handlers):
    with Interruption():
        for number in sent:
            send(number)
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


def test_the_handlers_from_before_come_back_after_an_error(handlers):
    with pytest.raises(ZeroDivisionError), Interruption():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


# -- evaluate -------------------------------------------------------------------------------------


def test_the_last_batch_is_smaller_and_the_mean_is_over_examples():
    sizes = []

    def measure(x):
        sizes.append(len(x))
        return F.mean(x)

    means = evaluate(measure, np.array([0.0, 0.0, 0.0, 8.0]), batchsize=3)
    assert sizes == [3, 1]
    np.testing.assert_array_equal(means, [2.0])


def test_several_measures_give_one_mean_each():
    means = evaluate(lambda x: (F.mean(x), 3, np.float32(2)), np.arange(5.0), batchsize=2)
    np.testing.assert_array_equal(means, [2.0, 3.0, 2.0])
    assert means.dtype == np.float64


def test_batches_of_several_arrays_belong_together():
    x = np.arange(7.0)
    assert evaluate(lambda a, b: np.mean(b - a), x, x + 1, batchsize=3) == [1.0]


def test_nothing_is_recorded_inside():
    w = dynet.Parameter(np.ones(1, np.float32))
    made = []

    def measure(x):
        made.append(F.sum(w * x))
        return made[0]

    evaluate(measure, np.ones(1, np.float32))
    assert made[0].creator is None


def test_train_is_off_inside_and_on_again_after():
    seen = []
    evaluate(lambda x: seen.append(dynet.config.train) or 0.0, np.ones(3), batchsize=2)
    assert seen == [False, False]
    assert dynet.config.train


def test_an_error_of_the_measure_leaves_the_configuration_as_it_was():
    with pytest.raises(ZeroDivisionError):
        evaluate(lambda x: 1 / 0, np.ones(3))
    assert (dynet.config.train, dynet.config.enable_backprop) == (True, True)


@pytest.mark.parametrize("lengths", [(3, 2), (2, 3), (0,), (0, 0)])
def test_arrays_of_different_lengths_or_none_are_refused(lengths):
    with pytest.raises(ValueError, match=r"evaluate: the arrays have lengths \["):
        evaluate(lambda *x: 0.0, *[np.zeros(n) for n in lengths])


@pytest.mark.parametrize("batchsize", [0, -1])
def test_a_batchsize_that_is_not_positive_is_refused(batchsize):
    with pytest.raises(ValueError, match=f"batchsize is {batchsize}"):
        evaluate(lambda x: F.mean(x), np.ones(3), batchsize=batchsize)
