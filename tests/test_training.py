"""The parts of a training loop: the log, leaving in good order, measuring."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from matplotlib.figure import Figure

import dynet
import dynet.functions as F
from dynet.iterators import SerialIterator
from dynet.serializers import load_npz, save_npz
from dynet.training import EarlyStopping, Interruption, Log, evaluate

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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.int64(3), "3"),
        (np.array([[0.5]]), "0.5"),
        (dynet.Variable(np.array(2.0, np.float32)), "2.0"),
        (True, "true"),
        ("text", '"text"'),
        ([1, np.float32(0.25)], "[1, 0.25]"),
        ({"lr": np.array(0.5)}, '{"lr": 0.5}'),
        (float("nan"), "null"),
        (np.float32("inf"), "null"),
        ([-np.inf], "[null]"),
        (None, "null"),
    ],
)
def test_values_become_strict_json(value, text, tmp_path):
    log = Log(tmp_path / "log")
    log.write(value=value)
    assert (tmp_path / "log").read_text() == f'{{"value": {text}}}\n'
    assert Log(tmp_path / "log", keep=1).lines == log.lines


@pytest.mark.parametrize("value", [np.zeros(2), object(), 1j, dynet.Variable(np.zeros((2, 3)))])
def test_what_is_no_json_is_refused_by_name_and_nothing_is_written(value, path):
    log = Log(path, keep=3)
    with pytest.raises(TypeError, match=r"Log\.write: loss is .*expected a number"):
        log.write(epoch=4, loss=value)
    assert epochs(path) == [1, 2, 3]
    assert len(log.lines) == 3


def test_a_log_prints_a_row_of_a_table_for_each_new_line(path, capsys):
    log = Log(path, keep=2, print=["epoch", "loss"])
    log.write(epoch=3, loss=0.5, other=1)
    log.write(epoch=4, loss=np.nan)
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert words == [["epoch", "loss"], ["3", "0.500000"], ["4", "nan"]]


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


def test_a_line_that_was_cut_short_does_not_count(path):
    with open(path, "a") as f:
        f.write('{"epoch": 4, "tra')
    with pytest.raises(ValueError, match="has 3 lines, expected at least 4"):
        Log(path, keep=4)


@pytest.mark.parametrize(("line", "what"), [("{,}", "no JSON"), ("[1]", "expected an object")])
def test_a_file_that_is_no_log_is_refused_and_stays(line, what, tmp_path):
    (tmp_path / "log").write_text(line + "\n")
    with pytest.raises(ValueError, match=f"line 1 of .*{what}"):
        Log(tmp_path / "log", keep=1)
    assert (tmp_path / "log").read_text() == line + "\n"


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


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_half_of_it(path):
    log, before = Log(path, keep=3), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(OSError):
            log.write(epoch=4, loss=0.25)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    log.write(epoch=5)
    assert epochs(path) == [e["epoch"] for e in log.lines] == [1, 2, 3, 5]


def test_to_keep_a_negative_number_of_lines_is_refused(path):
    with pytest.raises(ValueError, match="keep is -1, expected"):
        Log(path, keep=-1)
    assert epochs(path) == [1, 2, 3]


# -- its picture ----------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """The figures that are saved, with nothing drawn."""
    monkeypatch.chdir(tmp_path)
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


def test_the_vertical_axis_begins_at_zero_unless_something_is_below(tmp_path, drawn):
    log = Log(tmp_path / "log")
    for epoch in 1, 2:
        log.write(epoch=epoch, loss=5.0 + epoch, likelihood=-5.0 - epoch)
    log.plot("curve.png", "loss", "likelihood")
    loss, likelihood = drawn[0].axes
    assert loss.get_ylim()[0] == 0
    assert likelihood.get_ylim()[0] < -7 < likelihood.get_ylim()[1] < 0


def test_what_is_not_finite_leaves_a_gap(tmp_path, drawn):
    log = Log(tmp_path / "log")
    for epoch, loss in (1, 0.5), (2, np.nan), (3, 0.25):
        log.write(epoch=epoch, loss=loss)
    log.plot("curve.png", "loss")
    np.testing.assert_array_equal(curves(drawn[0].axes[0])["loss"], [0.5, None, 0.25])


def test_a_line_without_the_horizontal_value_is_passed_over(path, drawn):
    log = Log(path, keep=3)
    log.write(train_loss=9.0)
    log.plot("curve.png", "train_loss")
    assert len(drawn[0].axes[0].lines[0].get_xdata()) == 3


def test_an_empty_log_can_be_drawn(tmp_path):
    Log(tmp_path / "log").plot(tmp_path / "curve.png", "loss")
    assert (tmp_path / "curve.png").exists()


def test_a_plot_of_nothing_is_refused(path):
    with pytest.raises(ValueError, match=r"Log\.plot: there is nothing to draw"):
        Log(path).plot("curve.png")


def test_a_format_that_cannot_be_drawn_leaves_no_file(path, tmp_path):
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ValueError, match="not supported"):
        Log(path, keep=3).plot(tmp_path / "curve.xyz", "loss")
    assert sorted(os.listdir(tmp_path)) == before


def test_without_matplotlib_the_error_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"Log\.plot draws with matplotlib: pip install"):
        Log(path, keep=3).plot("curve.png", "loss")


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


@pytest.mark.parametrize("number", SIGNALS)
def test_it_says_which_signal_came(number):
    with Interruption() as interrupted:
        assert interrupted.signal is None
        send(number)
    assert interrupted.signal is number


def test_a_signal_that_the_program_ignores_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption() as interrupted:
        send(signal.SIGINT)
        assert not interrupted
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_only_the_main_thread_may_use_it():
    errors = []

    def enter():
        try:
            Interruption().__enter__()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert "expected the main thread" in errors[0]


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


@pytest.mark.parametrize("means", [None, "0.5", {"loss": 1.0}, [1.0], np.zeros(2), (1.0, None)])
def test_a_measure_that_is_no_number_is_refused(means):
    with pytest.raises(TypeError, match=r"evaluate: measure gave \w+( \(2,\))?, expected a number"):
        evaluate(lambda x: means, np.ones(3))


EXAMPLES = [(np.float32(i), np.float32(2 * i)) for i in range(5)]


@pytest.mark.parametrize(
    "data",
    [
        EXAMPLES,
        SerialIterator(EXAMPLES, 2, repeat=False),
        SerialIterator(EXAMPLES, 9, repeat=False),
    ],
)
def test_a_dataset_or_an_iterator_is_measured_in_batches_of_arrays(data):
    for _ in range(2):
        means = evaluate(lambda x, t: (F.mean(x), F.mean(t)), data, batchsize=2)
        np.testing.assert_allclose(means, [2.0, 4.0])


def test_examples_that_are_dicts_become_named_arguments():
    examples = [{"x": np.float32(i), "t": np.float32(-i)} for i in range(3)]
    assert evaluate(lambda t, x: F.mean(x - t), examples, batchsize=2) == [2.0]


def test_an_iterator_without_end_is_refused():
    with pytest.raises(ValueError, match=r"evaluate: the iterator .* repeat=False"):
        evaluate(lambda x: 0.0, SerialIterator([1, 2], 1))


def test_arrays_in_a_tuple_are_refused_with_the_way_to_write_it():
    with pytest.raises(TypeError, match=r"expected arrays one by one, as in evaluate\(measure, \*"):
        evaluate(lambda x, t: 0.0, (np.zeros(3), np.zeros(3)))


# -- early stopping -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "values", "stops"),
    [
        ("min", [3, 2, 2, 1, 1.5, 1], [False, False, False, False, False, True]),
        ("max", [1, 2, 1, 2], [False, False, False, True]),
        ("min", [np.nan, np.nan], [False, True]),
        ("min", [5, np.nan, 4, np.nan, np.nan], [False, False, False, False, True]),
    ],
)
def test_it_is_time_to_stop_after_so_many_values_that_are_not_better(mode, values, stops):
    stopping = EarlyStopping(2, mode)
    assert [stopping.should_stop(np.float32(value)) for value in values] == stops


def test_early_stopping_goes_on_from_a_file(tmp_path):
    one, other = EarlyStopping(2), EarlyStopping(2)
    one.should_stop(1.0), one.should_stop(2.0)
    save_npz(tmp_path / "f", one)
    load_npz(tmp_path / "f", other)
    assert (other.best, other.count) == (1.0, 1)
    assert other.should_stop(1.0)


@pytest.mark.parametrize("arguments", [{"patience": 0}, {"patience": 1, "mode": "auto"}])
def test_early_stopping_refuses_no_patience_and_unknown_modes(arguments):
    with pytest.raises(ValueError, match=r"EarlyStopping: (patience is 0|mode is 'auto')"):
        EarlyStopping(**arguments)
