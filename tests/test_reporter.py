"""Reports: numbers from inside a model reach whoever collects them, and are averaged."""

import threading

import numpy as np
import pytest

import dynet
from dynet.reporter import DictSummary, Reporter, as_number, report, report_scope
from dynet.serializers import load_npz, save_npz


class Loud(dynet.Chain):
    """Reports a value when it is called."""

    def forward(self, value):
        report({"value": value}, self)


def observed(model, name="main"):
    reporter = Reporter()
    reporter.add_observers(name, model.namedlinks())
    return reporter


def test_a_report_goes_under_the_name_of_who_reports():
    inner = Loud()
    outer = Loud(inner=inner)
    with observed(outer).scope({}) as observation:
        outer(1)
        inner(2)
        report({"free": 3})
    assert observation == {"main/value": 1, "main/inner/value": 2, "free": 3}


def test_without_a_scope_a_report_goes_nowhere():
    Loud()(1)


def test_the_innermost_scope_gets_the_report():
    a, b = Reporter(), Reporter()
    with a.scope({}) as outer, b.scope({}) as inner:
        report({"x": 1})
    assert (outer, inner) == ({}, {"x": 1})


def test_a_reporter_shows_the_observation_of_its_open_scope():
    reporter = Reporter()
    with reporter.scope({"a": 1}):
        assert reporter.observation == {"a": 1}
    assert reporter.observation == {}


def test_a_scope_is_closed_by_an_error():
    with pytest.raises(ZeroDivisionError), Reporter().scope({}):
        raise ZeroDivisionError
    with pytest.raises(RuntimeError, match="no Reporter is open"), report_scope({}):
        pass


def test_report_scope_diverts_what_goes_to_the_open_reporter():
    link = Loud()
    with observed(link).scope({}) as whole, report_scope({}) as part:
        link(1)
    assert (whole, part) == ({}, {"main/value": 1})


def test_an_unknown_observer_is_an_error_that_says_how_to_add_it():
    with (
        pytest.raises(KeyError, match="Loud is no observer of this Reporter"),
        Reporter().scope({}),
    ):
        Loud()(1)


def test_a_variable_is_reported_without_the_tape_that_leads_to_it():
    x = dynet.Variable(np.ones(2))
    with Reporter().scope({}) as observation:
        report({"sum": (x * x).sum()})
    assert isinstance(observation["sum"], (np.ndarray, np.generic))


def test_keep_graph_keeps_variables_as_they_are():
    reporter, x = Reporter(), dynet.Variable(np.ones(2))
    reporter.keep_graph = True
    with reporter.scope({}) as observation:
        report({"x": x})
    assert observation["x"] is x


def test_each_thread_has_scopes_of_its_own():
    with Reporter().scope({}) as observation:
        thread = threading.Thread(target=report, args=({"x": 1},))
        thread.start()
        thread.join()
    assert observation == {}


# -- summaries ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (2, 2.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.bool_(True), 1.0),
        (np.array([[3]], np.int8), 3.0),
        (dynet.Variable(np.array(1.5, np.float32)), 1.5),
        (np.zeros(2), None),
        (np.zeros(0), None),
        ("1", None),
        (None, None),
        (1j, None),
        (np.array("x"), None),
        ([1], None),
    ],
)
def test_as_number_takes_one_real_number_however_it_comes(value, number):
    assert as_number(value) == number
    assert number is None or type(as_number(value)) is float


def test_a_summary_averages_each_value_over_the_times_that_it_came():
    summary = DictSummary()
    summary.add({"a": 1, "b": np.array([4.0])})
    summary.add({"a": 2, "text": "passed over", "array": np.zeros(3)})
    assert summary.compute_mean() == {"a": 1.5, "b": 4.0}


def test_weights_say_how_much_values_count():
    summary = DictSummary()
    summary.add({"a": 1.0}, 3)
    summary.add({"a": 5.0}, 1)
    assert summary.compute_mean() == {"a": 2.0}


def test_the_mean_of_nothing_is_nan():
    summary = DictSummary()
    summary.add({"a": 1.0}, 0)
    assert np.isnan(summary.compute_mean()["a"])


def test_a_summary_goes_on_from_a_file_to_the_same_bits(tmp_path):
    rng = np.random.default_rng(0)
    one, other = DictSummary(), DictSummary()
    for _ in range(10):
        one.add({"a": rng.normal(), "b/c": rng.normal()}, rng.random())
    one.add({"bad": np.nan, "worse": -np.inf})
    save_npz(tmp_path / "f", one)
    other.add({"old": 1.0})
    load_npz(tmp_path / "f", other)
    for summary in one, other:
        summary.add({"a": 0.1})
    assert repr(one.compute_mean()) == repr(other.compute_mean())
