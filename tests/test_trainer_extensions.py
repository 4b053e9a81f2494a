"""Extensions: what a Trainer does beside the updates."""

import io
import json
import os
import re
import sys

import numpy as np
import pytest
from test_trainer import make_updater
from test_training_progress import screen

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.datasets import get_digits
from dynet.iterators import SerialIterator
from dynet.serializers import load_npz
from dynet.training import StandardUpdater, Trainer, extensions, triggers


@pytest.fixture
def trainer(tmp_path):
    """Of three iterations an epoch, for two epochs."""
    return Trainer(make_updater(), (2, "epoch"), out=tmp_path / "out")


def model_of(trainer):
    return trainer.updater.get_optimizer("main").target


# -- as a user would ------------------------------------------------------------------------------


class MLP(dynet.Chain):
    def __init__(self, rng):
        super().__init__()
        with self.init_scope():
            normal = dynet.initializers.LeCunNormal(rng=rng)
            self.l1 = L.Linear(64, 32, initialW=normal)
            self.l2 = L.Linear(32, 10, initialW=normal)

    def forward(self, x):
        return self.l2(F.dropout(F.relu(self.l1(x)), 0.1))


def test_a_network_learns_digits_with_all_the_usual_extensions(tmp_path, capsys):
    train, test = [
        [(x.reshape(-1).astype(np.float32) / 16, t) for x, t in zip(*part, strict=True)]
        for part in get_digits()
    ]
    dynet.random.seed(0)
    model = L.Classifier(MLP(np.random.default_rng(0)))
    updater = StandardUpdater(
        SerialIterator(train, 32, rng=0), dynet.optimizers.Adam(0.005).setup(model)
    )
    trainer = Trainer(updater, (3, "epoch"), out=tmp_path)
    trainer.extend(extensions.Evaluator(SerialIterator(test, 100, repeat=False), model))
    trainer.extend(extensions.dump_graph("main/loss"))
    trainer.extend(extensions.FailOnNonNumber())
    trainer.extend(extensions.ExponentialShift("alpha", 0.7), trigger=(1, "epoch"))
    trainer.extend(extensions.snapshot(num_retains=1), trigger=(1, "epoch"))
    trainer.extend(
        extensions.snapshot_object(model, "best.npz"),
        trigger=triggers.MaxValueTrigger("validation/main/accuracy"),
    )
    trainer.extend(extensions.LogReport())
    trainer.extend(extensions.PlotReport(["main/loss", "validation/main/loss"], "epoch"))
    trainer.extend(
        extensions.PrintReport(["epoch", "main/loss", "validation/main/accuracy", "elapsed_time"])
    )
    trainer.extend(extensions.ProgressBar())
    trainer.run()
    assert sorted(os.listdir(tmp_path)) == [
        "best.npz",
        "cg.dot",
        "log",
        "plot.png",
        f"snapshot_iter_{updater.iteration}",
    ]
    log = json.loads((tmp_path / "log").read_text())
    assert log[-1]["validation/main/accuracy"] > 0.85
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["epoch", "main/loss", "validation/main/accuracy", "elapsed_time"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert len({len(line) for line in (header, *rows)}) == 1


# -- Evaluator ------------------------------------------------------------------------------------


def evaluator(model, n=5, **options):
    x, t = np.eye(n, 4, dtype=np.float32), np.zeros(n, np.int32)
    iterator = SerialIterator(list(zip(x, t, strict=True)), 2, repeat=False, shuffle=False)
    return extensions.Evaluator(iterator, model, **options)


def test_an_evaluators_means_are_over_examples_and_not_over_batches():
    class Mean(dynet.Chain):
        def forward(self, x):
            dynet.report({"mean": F.mean(x)}, self)

    iterator = SerialIterator([np.float32(x) for x in (0, 0, 0, 0, 5)], 2, repeat=False)
    for _ in range(2):
        assert extensions.Evaluator(iterator, Mean())() == {"main/mean": 1.0}


def test_evaluators_report_under_their_names_and_those_of_links(trainer):
    trainer.extend(evaluator(model_of(trainer)))
    trainer.extend(evaluator(model_of(trainer)), name="test")
    trainer.run()
    for name in "validation", "test":
        assert {f"{name}/main/loss", f"{name}/main/accuracy"} <= set(trainer.observation)


def test_an_evaluator_records_nothing_and_does_not_train():
    seen = []

    class Look(dynet.Chain):
        def forward(self, x, t):
            seen.append((dynet.config.train, dynet.config.enable_backprop))

    evaluator(Look())()
    assert seen == [(False, False)] * 3


def test_an_evaluator_calls_hook_function_converter_with_the_device():
    calls = []

    def converter(batch, device):
        calls.append(device)
        return {"n": len(batch)}

    evaluator(
        L.Linear(1, 1),
        converter=converter,
        device="cpu",
        eval_hook=lambda e: calls.append(type(e).__name__),
        eval_func=lambda n: calls.append(n),
    )()
    assert calls == ["Evaluator", "cpu", 2, "cpu", 2, "cpu", 1]


def test_an_iterator_without_end_is_refused_when_the_evaluator_is_made():
    with pytest.raises(ValueError, match=r"Evaluator: the iterator .* repeat=False"):
        extensions.Evaluator(SerialIterator([1], 1), L.Linear(1, 1))


def test_a_subclass_says_what_an_evaluation_is(trainer):
    class Mine(extensions.Evaluator):
        def evaluate(self):
            return {"mine": 7.0}

    trainer.extend(Mine(SerialIterator([1], 1, repeat=False), model_of(trainer)))
    trainer.run()
    assert trainer.observation["mine"] == 7.0


# -- reports --------------------------------------------------------------------------------------


def test_a_log_holds_the_means_of_each_interval(trainer):
    values = iter([1.0, 3.0, 5.0, 7.0, 9.0, np.nan])
    trainer.extend(extensions.observe_value("x", lambda t: next(values)), trigger=(1, "iteration"))
    trainer.extend(extensions.LogReport(["x"], trigger=(2, "iteration")))
    trainer.run()
    log = json.loads((trainer.out / "log").read_text())
    assert [line.pop("elapsed_time") > 0 for line in log] == [True] * 3
    assert log == [
        {"x": 2.0, "epoch": 0, "iteration": 2},
        {"x": 6.0, "epoch": 1, "iteration": 4},
        {"x": None, "epoch": 2, "iteration": 6},
    ]


def test_a_log_can_be_json_lines_or_no_file(trainer):
    trainer.extend(extensions.LogReport(filename="log.jsonl"))
    trainer.extend(extensions.LogReport(filename=None), name="silent")
    trainer.run()
    lines = [json.loads(line) for line in (trainer.out / "log.jsonl").read_text().splitlines()]
    assert lines == trainer.get_extension("LogReport").log
    assert len(trainer.get_extension("silent").log) == 2
    assert os.listdir(trainer.out) == ["log.jsonl"]


def test_postprocess_may_change_a_line(trainer):
    trainer.extend(extensions.LogReport(postprocess=lambda line: line.update(twice=2)))
    trainer.run()
    assert [line["twice"] for line in trainer.get_extension("LogReport").log] == [2, 2]


def test_a_log_before_training_has_what_was_measured_then(trainer):
    trainer.extend(evaluator(model_of(trainer)), call_before_training=True)
    trainer.extend(extensions.LogReport(), call_before_training=True)
    trainer.run()
    log = trainer.get_extension("LogReport").log
    assert [line["epoch"] for line in log] == [0, 1, 2]
    assert "validation/main/loss" in log[0]
    assert "main/loss" not in log[0]


def test_a_value_that_json_cannot_keep_leaves_the_log_file_as_it_was(trainer):
    def spoil(line):
        if line["epoch"] == 2:
            line["thing"] = object()

    trainer.extend(extensions.LogReport(postprocess=spoil))
    with pytest.raises(TypeError, match="LogReport: thing is object, expected a number, text"):
        trainer.run(show_loop_exception_msg=False)
    assert len(json.loads((trainer.out / "log").read_text())) == 1
    assert os.listdir(trainer.out) == ["log"]


@pytest.mark.parametrize("log_first", [True, False])
def test_each_line_is_printed_in_its_iteration_whichever_extension_came_first(trainer, log_first):
    out = io.StringIO()
    added = [extensions.LogReport(), extensions.PrintReport(["epoch", "main/loss"], out=out)]
    for extension in added if log_first else reversed(added):
        trainer.extend(extension)
    trainer.run()
    assert [line.split()[0] for line in out.getvalue().splitlines()] == ["epoch", "1", "2"]


def test_a_print_report_can_have_a_log_of_its_own(trainer):
    out = io.StringIO()
    log = extensions.LogReport(trigger=(2, "iteration"), filename=None)
    trainer.extend(extensions.PrintReport(["iteration"], log, out))
    trainer.run()
    assert out.getvalue().split() == ["iteration", "2", "4", "6"]


def test_a_print_report_without_its_log_fails_before_the_training(trainer):
    trainer.extend(extensions.PrintReport(["epoch"]))
    with pytest.raises(ValueError, match="no extension 'LogReport'; there are PrintReport"):
        trainer.run()
    assert trainer.updater.iteration == 0


def test_a_print_report_of_something_else_than_a_log_is_refused(trainer):
    trainer.extend(extensions.PrintReport(["epoch"], "snapshot"))
    trainer.extend(extensions.snapshot())
    with pytest.raises(TypeError, match="PrintReport: log_report is Snapshot, expected a LogR"):
        trainer.run()


def test_postprocess_may_change_the_picture_and_sees_the_sums_of_the_interval(trainer):
    seen = []

    def postprocess(figure, axes, summary):
        axes.set_yscale("log")
        seen.append((figure.axes[0] is axes, list(summary.compute_mean()), axes))

    trainer.extend(extensions.PlotReport(["main/loss"], postprocess=postprocess))
    trainer.run()
    assert [s[:2] for s in seen] == [(True, ["main/loss"])] * 2
    assert seen[-1][2].get_ylim()[0] > 0.1 * min(seen[-1][2].lines[0].get_ydata())


def test_an_x_key_that_is_not_there_is_an_error_that_says_what_is(trainer):
    trainer.extend(extensions.PlotReport(["main/loss"], "epochs"))
    with pytest.raises(KeyError, match=r"x_key is 'epochs', expected .* main/loss, main/accuracy"):
        trainer.run(show_loop_exception_msg=False)


def test_a_picture_is_drawn_and_goes_on_from_a_snapshot(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "dynet.training.extensions.reports.draw",
        lambda path, panels, *options: drawn.append(panels[""]),
    )

    def make():
        trainer = Trainer(make_updater(), (2, "epoch"), tmp_path)
        plot = extensions.PlotReport(["main/loss", "unseen"], trigger=(2, "iteration"))
        trainer.extend(plot)
        trainer.extend(
            extensions.snapshot(filename="{.updater.iteration}"), trigger=(1, "iteration")
        )
        return trainer

    make().run()
    expected = drawn[-1]
    assert list(expected) == ["main/loss"]
    assert expected["main/loss"][0] == [2, 4, 6]
    trainer = make()
    load_npz(tmp_path / "3", trainer)
    trainer.run()
    assert drawn[-1] == expected


def test_a_plot_report_without_matplotlib_fails_before_the_training(trainer, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    trainer.extend(extensions.PlotReport(["main/loss"]))
    with pytest.raises(ImportError, match="PlotReport draws with matplotlib: pip install"):
        trainer.run()
    assert trainer.updater.iteration == 0


@pytest.mark.parametrize("length", [None, (10, "iteration"), (2, "epoch")])
def test_the_progress_bar_shows_how_far_it_is_and_goes_away(trainer, length):
    out = io.StringIO()
    trainer.extend(extensions.ProgressBar(length, update_interval=1, out=out))
    trainer.run()
    assert "epoch 2, iteration 6 |" in out.getvalue()
    assert f"| {60 if length == (10, 'iteration') else 100}%, " in out.getvalue()
    assert "".join(screen(out.getvalue())).strip() == ""


def test_the_progress_bar_counts_iterations_where_no_end_is_known(trainer):
    out = io.StringIO()
    trainer.stop_trigger = lambda t: t.updater.iteration == 6
    trainer.extend(extensions.ProgressBar(update_interval=2, out=out))
    trainer.run()
    assert re.search(r"epoch 2, iteration 6, 00:0. past, +[\d.]+ iterations/s", out.getvalue())


@pytest.mark.parametrize(("columns", "width"), [(200, 50), (80, 14), (20, 1)])
def test_the_bar_leaves_room_for_the_numbers_on_a_narrow_terminal(
    columns, width, trainer, monkeypatch
):
    out = io.StringIO()
    out.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("COLUMNS", str(columns))
    trainer.extend(extensions.ProgressBar(update_interval=1))
    trainer.run()
    bar = re.search(r"iteration 6 \|(.*)\| 100%, 00:0. past, 00:00 to come", out.getvalue())
    assert len(bar[1]) == width


def test_an_error_is_not_printed_on_the_line_of_the_bar(trainer, monkeypatch):
    out = io.StringIO()
    out.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", out)
    trainer.extend(extensions.ProgressBar(update_interval=1))
    trainer.extend(lambda t: 1 / 0, name="fail")
    with pytest.raises(ZeroDivisionError):
        trainer.run()
    assert screen(out.getvalue())[0] == "Exception in the training loop:"


def test_the_progress_bar_is_left_in_order_by_an_error(trainer):
    out = io.StringIO()
    trainer.extend(extensions.ProgressBar(update_interval=1, out=out))
    trainer.extend(lambda t: 1 / 0, name="fail")
    with pytest.raises(ZeroDivisionError):
        trainer.run(show_loop_exception_msg=False)
    assert "".join(screen(out.getvalue())).strip() == ""


def test_the_progress_bar_fills_no_file_that_standard_output_goes_to(trainer, capsys):
    trainer.extend(extensions.ProgressBar(update_interval=1))
    trainer.run()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", [extensions.LogReport, extensions.PrintReport])
def test_a_string_of_keys_is_refused(kind):
    with pytest.raises(TypeError, match="string 'main/loss'"):
        kind("main/loss")


# -- snapshots ------------------------------------------------------------------------------------


def files(trainer):
    return sorted(os.listdir(trainer.out))


def test_snapshots_are_named_by_the_iteration(trainer):
    trainer.extend(extensions.snapshot())
    trainer.extend(
        extensions.snapshot_object(model_of(trainer), lambda t: f"model{t.updater.epoch}")
    )
    trainer.run()
    assert files(trainer) == ["model1", "model2", "snapshot_iter_3", "snapshot_iter_6"]


def test_only_the_newest_snapshots_are_kept_and_no_other_file_is_touched(trainer):
    os.makedirs(trainer.out)
    for name in "snapshot_iter_", "my_snapshot_iter_1", "snapshot_iter_best", "snapshot_iter_1.npz":
        (trainer.out / name).write_text("mine")
    trainer.extend(extensions.snapshot(num_retains=2), trigger=(1, "iteration"))
    trainer.run()
    assert files(trainer) == [
        "my_snapshot_iter_1",
        "snapshot_iter_",
        "snapshot_iter_1.npz",
        "snapshot_iter_5",
        "snapshot_iter_6",
        "snapshot_iter_best",
    ]


@pytest.mark.parametrize(
    "field", ["{.updater.epoch_detail:.2f}", "{.observation[x]:6.1e}", "{.observation[y]}"]
)
def test_snapshots_are_found_again_by_numbers_in_any_format(field, trainer):
    for name, value in ("x", -1e-9), ("y", np.nan):
        trainer.extend(
            extensions.observe_value(name, lambda t, v=value: v * t.updater.iteration),
            trigger=(1, "iteration"),
        )
    trainer.extend(extensions.snapshot(filename=field, num_retains=1), trigger=(1, "iteration"))
    trainer.run()
    assert len(files(trainer)) == 1


def test_a_snapshot_that_could_not_be_found_again_is_refused(trainer):
    trainer.extend(extensions.snapshot(filename="{.out.name}", autoload=True))
    with pytest.raises(ValueError, match="gives 'out', expected numbers in the place of the field"):
        trainer.run(show_loop_exception_msg=False)


def test_after_an_error_the_snapshot_stands_beside_the_good_ones(trainer):
    trainer.extend(extensions.snapshot(snapshot_on_error=True, num_retains=9), trigger=(1, "epoch"))
    trainer.extend(lambda t: 1 / (t.updater.iteration - 4), name="fail")
    with pytest.raises(ZeroDivisionError):
        trainer.run(show_loop_exception_msg=False)
    assert files(trainer) == ["snapshot_iter_3", "snapshot_iter_4.error"]


def test_autoload_takes_the_newest_snapshot_if_there_is_one(tmp_path):
    def run(epochs):
        trainer = Trainer(make_updater(), (epochs, "epoch"), tmp_path)
        started = []
        trainer.extend(extensions.snapshot(autoload=True))
        trainer.extend(extensions.LinearShift("lr", (1.0, 0.0), (0, 10)))
        trainer.extend(
            lambda t: started.append((t.updater.iteration, t.updater.get_optimizer("main").lr)),
            name="look",
            priority=1000,
        )
        trainer.run()
        return started[0]

    assert run(1) == (1, 1.0)
    (tmp_path / "snapshot_iter_9.error").write_text("not this one")
    assert run(2) == (4, pytest.approx(0.7))


def test_a_snapshot_that_cannot_be_written_is_named_and_leaves_nothing_half_done(trainer):
    trainer.extend(extensions.snapshot(filename="nowhere/latest"))
    with pytest.raises(OSError, match=r"save_npz: cannot write .*nowhere/latest"):
        trainer.run(show_loop_exception_msg=False)
    assert files(trainer) == []


def test_a_savefun_of_ones_own_gets_the_path_and_the_object(trainer):
    saved = []
    trainer.extend(extensions.snapshot(lambda path, obj: saved.append((path, obj)), "latest"))
    trainer.run()
    assert saved == [(os.path.join(trainer.out, "latest"), trainer)] * 2


@pytest.mark.parametrize(
    "options",
    [
        {"autoload": True, "savefun": print},
        {"autoload": True, "filename": lambda trainer: "x"},
        {"num_retains": 2, "filename": lambda trainer: "x"},
        {"num_retains": 2, "filename": "folder/{.updater.iteration}"},
    ],
)
def test_what_cannot_find_its_files_again_is_refused(options):
    with pytest.raises(ValueError, match="snapshot: "):
        extensions.snapshot(**options)


# -- shifts ---------------------------------------------------------------------------------------

SHIFTS = {
    "ExponentialShift": (("lr", 0.5, 8.0), [8, 4, 2, 1, 0.5, 0.25]),
    "StepShift": (("lr", 0.5, 2, 8.0), [8, 8, 4, 4, 2, 2]),
    "MultistepShift": (("lr", 0.5, [1, 4], 8.0), [8, 4, 4, 4, 2, 2]),
    "InverseShift": (("lr", 1.0, 2, 9.0), [9, 9 / 4, 1, 9 / 16, 9 / 25, 9 / 36]),
    "PolynomialShift": (("lr", 2, 4, 16.0), [16, 9, 4, 1, 0, 0]),
    "LinearShift": (("lr", (4.0, 1.0), (1, 4)), [4, 4, 3, 2, 1, 1]),
    "WarmupShift": (("lr", 1.0, 3, 4.0), [1, 2, 3, 4, 4, 4]),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_follows_its_formula_from_the_first_update_on_also_after_a_break(name, tmp_path):
    arguments, expected = SHIFTS[name]

    def make(seen):
        trainer = Trainer(make_updater(), (2, "epoch"), tmp_path)
        optimizer = trainer.updater.get_optimizer("main")
        # A hook of the optimizer sees what an update uses.
        optimizer.add_hook(lambda optimizer: seen.append(optimizer.lr), name="look")
        trainer.extend(getattr(extensions, name)(*arguments))
        trainer.extend(
            extensions.snapshot(filename="{.updater.iteration}"), trigger=(1, "iteration")
        )
        return trainer

    whole, resumed = [], []
    make(whole).run()
    trainer = make(resumed)
    load_npz(tmp_path / "2", trainer)
    trainer.run()
    assert whole == pytest.approx(expected)
    assert resumed == whole[2:]


def test_a_shift_starts_from_what_the_optimizer_has(trainer):
    optimizer = trainer.updater.get_optimizer("main")
    optimizer.lr = 3.0
    trainer.extend(extensions.ExponentialShift("lr", 0.1), trigger=(1, "epoch"))
    trainer.run()
    assert optimizer.lr == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("init", "rate", "target", "last"),
    [(1, 0.5, 0.3, 0.3), (1, 2, 3, 3), (-1, 2, -3, -3), (-1, 0.5, -0.3, -0.3)],
)
def test_a_shift_stops_at_its_target_from_either_side(init, rate, target, last):
    shift = extensions.ExponentialShift("lr", rate, init, target)
    assert (shift.value(1), shift.value(5)) == (init * rate, last)


def test_another_optimizer_can_be_shifted(trainer):
    other = dynet.optimizers.SGD(1.0).setup(L.Linear(1, 1))
    trainer.extend(extensions.StepShift("lr", 0.5, 3, optimizer=other))
    trainer.run()
    assert other.lr == 0.25


def test_a_shift_of_what_the_optimizer_has_not_fails_before_the_training(trainer):
    trainer.extend(extensions.LinearShift("beta1", (0, 1), (0, 1)))
    with pytest.raises(AttributeError, match="attr is 'beta1', which SGD does not have"):
        trainer.run()
    assert trainer.updater.iteration == 0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: extensions.ExponentialShift("lr", -1), "rate is -1, expected"),
        (lambda: extensions.StepShift("lr", 0.5, 0), "step is 0, expected"),
        (lambda: extensions.PolynomialShift("lr", 1, 0), "max_count is 0, expected"),
        (lambda: extensions.LinearShift("lr", (1, 0), (9, 2)), r"time_range is \(9, 2\), expected"),
    ],
)
def test_a_shift_that_makes_no_sense_is_refused(make, sentence):
    with pytest.raises(ValueError, match=f"Shift: {sentence}"):
        make()


def test_the_counts_of_a_multistep_shift_may_come_in_any_order():
    shift = extensions.MultistepShift("lr", 0.5, [4, 1], init=8.0)
    assert [shift.value(t) for t in range(6)] == [8, 4, 4, 4, 2, 2]


# -- watching -------------------------------------------------------------------------------------


def test_learning_rate_and_other_values_can_be_observed(trainer):
    trainer.extend(extensions.observe_lr())
    trainer.extend(extensions.observe_value("epochs", lambda t: t.updater.epoch))
    trainer.run()
    assert trainer.observation["lr"] == 0.5
    assert trainer.observation["epochs"] == 2


def test_the_learning_rate_of_adam_is_its_step_size_without_bias(trainer):
    model = model_of(trainer)
    optimizer = dynet.optimizers.Adam(0.5, beta1=0.5, beta2=0.75).setup(model)
    updater = StandardUpdater(trainer.updater.get_iterator("main"), optimizer)
    trainer = Trainer(updater, (2, "iteration"), trainer.out)
    trainer.extend(extensions.observe_lr(), trigger=(1, "iteration"))
    trainer.run()
    assert trainer.observation["lr"] == pytest.approx(0.5 * (1 - 0.75**2) ** 0.5 / (1 - 0.5**2))


def test_a_learning_rate_that_is_not_there_fails_before_the_training(tmp_path):
    optimizer = dynet.optimizers.AdaDelta().setup(L.Linear(1, 1))
    trainer = Trainer(StandardUpdater(SerialIterator([1], 1), optimizer), (1, "epoch"), tmp_path)
    trainer.extend(extensions.observe_lr())
    with pytest.raises(AttributeError, match="AdaDelta has no lr"):
        trainer.run()
    assert trainer.updater.iteration == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_parameter_that_is_not_finite_ends_the_training_and_is_named(trainer, bad):
    def spoil(trainer):
        if trainer.updater.iteration == 3:
            model_of(trainer).predictor.b.array[1] = bad

    trainer.extend(spoil, priority=1000)
    trainer.extend(extensions.FailOnNonNumber())
    with pytest.raises(RuntimeError, match=r"/predictor/b of the optimizer 'main'.* iteration 3"):
        trainer.run(show_loop_exception_msg=False)


@pytest.mark.parametrize(
    ("filename", "start"), [("cg.dot", "digraph {"), ("graph.txt", "2 functions")]
)
def test_the_graph_of_the_first_iteration_is_written_once(trainer, filename, start):
    trainer.extend(extensions.dump_graph("main/loss", filename))
    kept = []
    trainer.extend(
        lambda t: kept.append(type(t.observation["main/loss"])), name="look", priority=-1
    )
    trainer.run()
    text = (trainer.out / filename).read_text()
    assert text.startswith(start)
    assert "Linear" in text
    assert "/predictor/W" in text
    assert kept[0] is dynet.Variable
    assert dynet.Variable not in kept[1:]
    assert dynet.config.hooks == ()


def test_parameters_in_the_graph_are_those_of_the_optimizer_whose_model_reported(tmp_path):
    class Updater(StandardUpdater):
        def update_core(self):
            next(self.get_iterator("main"))
            for optimizer in self.get_all_optimizers().values():
                loss = F.sum(optimizer.target(np.ones((1, 4), np.float32), np.zeros(1, np.int32)))
                optimizer.update(lambda loss=loss: loss)

    models = {name: L.Classifier(L.Linear(4, 3)) for name in ("gen", "dis")}
    optimizers = {name: dynet.optimizers.SGD().setup(model) for name, model in models.items()}
    trainer = Trainer(Updater(SerialIterator([0], 1), optimizers), (1, "epoch"), tmp_path)
    trainer.extend(extensions.dump_graph("dis/loss", "graph.txt"))
    trainer.run()
    assert "/predictor/W" in (tmp_path / "graph.txt").read_text()


@pytest.mark.parametrize(
    ("root", "error"), [("main/los", KeyError), ("number", TypeError), ("main/loss", None)]
)
def test_a_graph_needs_a_variable_that_was_observed(trainer, root, error):
    trainer.extend(
        extensions.observe_value("number", lambda t: 1), trigger=(1, "iteration"), priority=1000
    )
    trainer.extend(extensions.dump_graph(root))
    if error is None:
        trainer.run()
    else:
        with pytest.raises(error, match="dump_graph: "):
            trainer.run(show_loop_exception_msg=False)
    assert not trainer.reporter.keep_graph
    assert dynet.config.hooks == ()
