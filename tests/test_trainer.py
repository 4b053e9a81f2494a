"""The Trainer: it updates, calls extensions in their order and time, and leaves in good order."""

import functools
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.iterators import SerialIterator
from dynet.serializers import load_npz
from dynet.training import (
    PRIORITY_EDITOR,
    PRIORITY_WRITER,
    Extension,
    Interruption,
    StandardUpdater,
    Trainer,
    extensions,
    make_extension,
    triggers,
)


def make_updater(n=6, batch_size=2, **options):
    x, t = np.eye(n, 4, dtype=np.float32), np.arange(n, dtype=np.int32) % 3
    iterator = SerialIterator(list(zip(x, t, strict=True)), batch_size, rng=0)
    model = L.Classifier(L.Linear(4, 3, initialW=0.1))
    return StandardUpdater(iterator, dynet.optimizers.SGD(0.5).setup(model), **options)


@pytest.fixture
def trainer(tmp_path):
    """Of three iterations an epoch, for two epochs."""
    return Trainer(make_updater(), (2, "epoch"), out=tmp_path / "out")


# -- the loop -------------------------------------------------------------------------------------


def test_it_updates_until_the_stop_trigger_fires(trainer):
    trainer.run()
    assert (trainer.updater.iteration, trainer.updater.epoch) == (6, 2)
    assert trainer.updater.get_optimizer("main").epoch == 2


def test_the_observation_is_what_the_model_reported_in_this_iteration(trainer):
    seen = []
    trainer.extend(lambda t: seen.append(sorted(t.observation)), name="look")
    trainer.extend(lambda t: dynet.report({"mine": 1}), name="add", priority=PRIORITY_WRITER)
    trainer.run()
    assert seen == [["main/accuracy", "main/loss", "mine"]] * 6


def test_extensions_are_called_by_priority_and_then_as_they_came(trainer):
    called = []
    for name, priority in ("a", None), ("b", PRIORITY_WRITER), ("c", None), ("d", PRIORITY_EDITOR):
        trainer.extend(lambda t, name=name: called.append(name), name=name, priority=priority)
    trainer.run()
    assert "".join(called) == "bdac" * 6


def test_extensions_are_called_when_their_trigger_says_so(trainer):
    called = []

    @make_extension(trigger=(1, "epoch"))
    def own(trainer):
        called.append(("own", trainer.updater.iteration))

    trainer.extend(own)
    trainer.extend(
        lambda t: called.append(("other", t.updater.iteration)),
        name="other",
        trigger=(4, "iteration"),
    )
    trainer.run()
    assert called == [("own", 3), ("other", 4), ("own", 6)]


def test_call_before_training_calls_once_more_before_the_first_update(trainer):
    called = []
    trainer.extend(
        lambda t: called.append((t.updater.iteration, t.is_before_training)),
        name="look",
        trigger=(1, "epoch"),
        call_before_training=True,
    )
    trainer.run()
    assert called == [(0, True), (3, False), (6, False)]


def test_names_that_are_taken_get_a_number(trainer):
    first, second = extensions.LogReport(), extensions.LogReport()
    trainer.extend(first)
    trainer.extend(second)
    assert trainer.get_extension("LogReport") is first
    assert trainer.get_extension("LogReport_1") is second
    assert (first.name, second.name) == ("LogReport", "LogReport_1")


def test_extensions_can_be_given_at_once(tmp_path):
    trainer = Trainer(make_updater(), (1, "epoch"), tmp_path, [extensions.LogReport()])
    trainer.run()
    assert len(trainer.get_extension("LogReport").log) == 1


def test_any_callable_is_an_extension_that_is_initialized_and_finalized(trainer):
    called = []

    class Duck:
        def __call__(self, trainer):
            called.append("call")

        def initialize(self, trainer):
            called.append("initialize")

        def finalize(self):
            called.append("finalize")

    trainer.extend(Duck(), name="duck", trigger=(2, "epoch"))
    trainer.run()
    assert called == ["initialize", "call", "finalize"]


def test_make_extension_takes_everything_that_an_extension_has(trainer):
    called = []

    @make_extension(
        trigger=(1, "epoch"),
        default_name="mine",
        priority=7,
        initializer=lambda trainer: called.append("initialize"),
        finalizer=lambda: called.append("finalize"),
        on_error=lambda trainer, error, tb: called.append(type(error)),
    )
    def extension(trainer):
        raise ZeroDivisionError

    trainer.extend(extension)
    assert trainer.get_extension("mine") is extension
    with pytest.raises(ZeroDivisionError):
        trainer.run(show_loop_exception_msg=False)
    assert called == ["initialize", ZeroDivisionError, "finalize"]


def test_the_elapsed_time_counts_while_it_runs_and_stays_afterwards(trainer):
    times = []
    trainer.extend(lambda t: times.append(t.elapsed_time), name="look")
    assert trainer.elapsed_time == 0
    trainer.run()
    assert 0 < times[0] < times[-1] < trainer.elapsed_time == trainer.elapsed_time


def test_a_training_that_is_over_cannot_be_run_again(trainer):
    trainer.run()
    with pytest.raises(RuntimeError, match=r"Trainer\.run: this training is over"):
        trainer.run()


def test_in_another_thread_it_does_without_signals(trainer):
    thread = threading.Thread(target=trainer.run)
    thread.start()
    thread.join()
    assert trainer.updater.iteration == 6


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda t: t.extend(3), TypeError, "extension is int, expected a callable"),
        (lambda t: t.extend(functools.partial(print)), TypeError, "partial, its name None"),
        (lambda t: t.extend(print, name=5), TypeError, "its name 5; expected text"),
        (lambda t: t.extend(Extension), TypeError, r"is the class Extension, expected Extension\("),
        (lambda t: t.extend(print, name="training"), ValueError, "'training' is taken"),
        (lambda t: t.extend(print, trigger="epoch"), TypeError, "get_trigger: trigger is 'epoch'"),
        (lambda t: t.extend(print, invoke_before_training=True), TypeError, "invoke_before"),
        (lambda t: t.get_extension("x"), ValueError, "there is no extension 'x'"),
        (lambda t: Trainer(None), TypeError, "updater is NoneType, expected one such as"),
        (lambda t: Trainer(t.updater, 3), TypeError, "get_trigger: trigger is 3"),
    ],
)
def test_bad_arguments_are_refused_with_a_sentence(call, error, sentence, trainer):
    with pytest.raises(error, match=sentence):
        call(trainer)


@pytest.mark.parametrize("of_the_stop", [True, False])
def test_a_trigger_that_remembers_is_refused_a_second_time(of_the_stop, trainer):
    trigger = trainer.stop_trigger if of_the_stop else triggers.IntervalTrigger(1, "epoch")
    if not of_the_stop:
        trainer.extend(print, name="first", trigger=trigger)
    with pytest.raises(ValueError, match="trigger of 'second' is in use already"):
        trainer.extend(print, name="second", trigger=trigger)


# -- the updater ----------------------------------------------------------------------------------


def test_a_dict_of_a_converter_becomes_named_arguments(tmp_path):
    seen = []

    def loss(t, x):
        seen.append((x.shape, t.shape))
        return F.sum(model(x) * 0)

    model = L.Linear(4, 1)
    examples = [{"x": np.ones(4, np.float32), "t": np.int32(0)}] * 3
    optimizer = dynet.optimizers.SGD().setup(model)
    StandardUpdater(SerialIterator(examples, 3), optimizer, loss_func=loss).update()
    assert seen == [((3, 4), (3,))]


def test_the_converter_gets_the_batch_and_the_device():
    seen = []

    def converter(batch, device):
        seen.append((len(batch), device))
        return dynet.datasets.convert.concat_examples(batch, device)

    make_updater(converter=converter, device="cpu").update()
    assert seen == [(2, "cpu")]


def test_epochs_are_counted_only_if_wanted():
    updater = make_updater(n=2, auto_new_epoch=False)
    updater.update()
    assert (updater.epoch, updater.is_new_epoch) == (1, True)
    assert updater.get_optimizer("main").epoch == 0


def test_a_subclass_says_what_an_update_of_several_optimizers_is(tmp_path):
    class Both(StandardUpdater):
        def update_core(self):
            next(self.get_iterator("main"))
            for optimizer in self.get_all_optimizers().values():
                model = optimizer.target
                optimizer.update(lambda model=model: F.sum(model.W * 1))

    models = {"gen": L.Linear(1, 1), "dis": L.Linear(1, 1)}
    optimizers = {name: dynet.optimizers.SGD(1.0).setup(m) for name, m in models.items()}
    before = [m.W.array.copy() for m in models.values()]
    Both(SerialIterator([0], 1), optimizers).update()
    for model, w in zip(models.values(), before, strict=True):
        np.testing.assert_allclose(model.W.array, w - 1)


OPTIMIZER = dynet.optimizers.SGD().setup(L.Linear(1, 1))


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"iterator": [1, 2]}, TypeError, "iterator 'main' is list, expected one of"),
        ({"iterator": {"train": SerialIterator([1], 1)}}, ValueError, r"iterators are called \["),
        (
            {"optimizer": {"gen": OPTIMIZER}},
            ValueError,
            r"called \['gen'\], expected 'main' among them",
        ),
        ({"optimizer": "SGD"}, TypeError, "optimizer 'main' is str, expected an Optimizer"),
        ({"optimizer": {"main": dynet.optimizers.SGD()}}, ValueError, r"call setup\(link\) first"),
    ],
)
def test_an_updater_refuses_what_it_cannot_use(change, error, sentence):
    good = {"iterator": SerialIterator([1], 1), "optimizer": OPTIMIZER}
    with pytest.raises(error, match=f"StandardUpdater: .*{sentence}"):
        StandardUpdater(**(good | change))


@pytest.mark.parametrize("what", ["iterator", "optimizer"])
def test_a_name_that_an_updater_does_not_know_is_answered_with_those_it_does(what):
    with pytest.raises(KeyError, match=f"there is no {what} 'gen'; there are main"):
        getattr(make_updater(), f"get_{what}")("gen")


def test_an_iterator_that_comes_to_its_end_is_an_error_that_says_so(tmp_path):
    updater = StandardUpdater(SerialIterator([np.ones(1, "f")] * 2, 1, repeat=False), OPTIMIZER)
    updater.loss_func = lambda x: F.sum(OPTIMIZER.target(x))
    with pytest.raises(RuntimeError, match="come to its end after 2 updates, expected"):
        Trainer(updater, (3, "epoch"), tmp_path).run(show_loop_exception_msg=False)


def test_an_iterator_of_ones_own_need_not_have_finalize():
    class Endless:
        epoch, is_new_epoch = 0, False

        def __next__(self):
            return [0]

    StandardUpdater(Endless(), OPTIMIZER).finalize()


# -- errors ---------------------------------------------------------------------------------------


class Watcher(Extension):
    """Notes how it is left."""

    def __init__(self):
        self.notes = []

    def __call__(self, trainer):
        pass

    def on_error(self, trainer, exception, tb):
        self.notes.append((type(exception), tb is not None))

    def finalize(self):
        self.notes.append("finalized")


def test_an_error_of_an_extension_reaches_the_caller_after_everything_is_finalized(trainer, capsys):
    def fail(trainer):
        raise ZeroDivisionError("on purpose")

    watcher = Watcher()
    trainer.extend(fail)
    trainer.extend(watcher)
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        trainer.run()
    assert watcher.notes == [(ZeroDivisionError, True), "finalized"]
    assert "on purpose" in capsys.readouterr().err


def test_an_error_of_the_updater_reaches_the_caller_and_nothing_is_printed_if_not_wanted(
    trainer, capsys
):
    watcher = Watcher()
    trainer.extend(watcher)
    trainer.updater.update_core = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.run(show_loop_exception_msg=False)
    assert watcher.notes == [(ZeroDivisionError, True), "finalized"]
    assert capsys.readouterr().err == ""


def test_an_error_in_on_error_keeps_no_other_from_it_and_hides_nothing(trainer):
    def full(trainer, exception, tb):
        raise OSError("the disk is full")

    bad, watcher = Watcher(), Watcher()
    bad.on_error = full
    for i, extension in enumerate([bad, watcher, lambda t: 1 / 0]):
        trainer.extend(extension, name=str(i))
    with pytest.raises(OSError, match="full") as caught:
        trainer.run(show_loop_exception_msg=False)
    assert isinstance(caught.value.__context__, ZeroDivisionError)
    assert watcher.notes == [(ZeroDivisionError, True), "finalized"]


def test_an_error_while_finalizing_keeps_no_other_from_being_finalized(trainer):
    finalized = []
    bad, watcher = Watcher(), Watcher()
    bad.finalize = lambda: 1 / 0
    trainer.extend(bad)
    trainer.extend(watcher)
    trainer.updater.finalize = lambda: finalized.append("updater")
    with pytest.raises(ZeroDivisionError):
        trainer.run()
    assert watcher.notes == ["finalized"]
    assert finalized == ["updater"]


# -- signals --------------------------------------------------------------------------------------


class Terminated(Exception):
    """What SIGTERM raises in these tests, where it would end the process."""


@pytest.fixture
def handlers():
    """Those of Python for SIGINT and one that raises for SIGTERM; the old ones come back."""

    def terminate(number, frame):
        raise Terminated

    ours = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate}
    before = {number: signal.signal(number, handler) for number, handler in ours.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupt_at(iteration, number):
    def interrupt(trainer):
        if trainer.updater.iteration == iteration:
            os.kill(os.getpid(), number)

    return interrupt


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_lets_the_iteration_be_finished_and_acts_then(number, error, trainer, handlers):
    watcher, last = Watcher(), []
    trainer.extend(interrupt_at(2, number), name="interrupt", priority=PRIORITY_WRITER)
    trainer.extend(lambda t: last.append(t.updater.iteration), name="last", priority=-1000)
    trainer.extend(watcher)
    with pytest.raises(error):
        trainer.run()
    assert last == [1, 2]
    assert watcher.notes == [(KeyboardInterrupt, False), "finalized"]


def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(tmp_path, handlers):
    def make(out):
        trainer = Trainer(make_updater(), (2, "epoch"), out)
        trainer.extend(extensions.snapshot(snapshot_on_error=True, autoload=True))
        trainer.extend(extensions.LogReport())
        return trainer

    whole, broken, resumed = make(tmp_path / "a"), make(tmp_path / "b"), make(tmp_path / "b")
    whole.run()
    broken.extend(interrupt_at(4, signal.SIGINT), name="interrupt", priority=PRIORITY_WRITER)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    assert sorted(os.listdir(tmp_path / "b")) == ["log", "snapshot_iter_3", "snapshot_iter_4"]
    resumed.extend(interrupt_at(0, signal.SIGINT), name="interrupt", priority=PRIORITY_WRITER)
    resumed.run()
    weights = [t.updater.get_optimizer("main").target.predictor.W.array for t in (whole, resumed)]
    np.testing.assert_array_equal(*weights)
    logs = [t.get_extension("LogReport").log for t in (whole, resumed)]
    assert [e["main/loss"] for e in logs[0]] == [e["main/loss"] for e in logs[1]]


def test_a_second_signal_acts_at_once_and_everything_is_finalized(trainer, handlers):
    def twice(trainer):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = Watcher()
    trainer.extend(twice)
    trainer.extend(watcher)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert trainer.updater.iteration == 1
    assert watcher.notes == ["finalized"]


def test_sigterm_ends_the_process_after_the_iteration(tmp_path):
    code = """if True:
        import os, signal, sys
        sys.path.insert(0, "tests")
        from test_trainer import Trainer, extensions, interrupt_at, make_updater
        trainer = Trainer(make_updater(), (2, "epoch"), sys.argv[1])
        trainer.extend(extensions.snapshot(snapshot_on_error=True))
        trainer.extend(interrupt_at(2, signal.SIGTERM), name="interrupt", priority=1000)
        trainer.run()
        print("not reached")
    """
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")
    assert os.listdir(tmp_path) == ["snapshot_iter_2"]


def test_inside_an_interruption_of_ones_own_a_run_returns_and_can_go_on(trainer, handlers):
    trainer.extend(interrupt_at(4, signal.SIGINT), name="interrupt")
    with Interruption() as interrupted:
        trainer.run()
    assert interrupted
    assert trainer.updater.iteration == 4
    trainer.run()
    assert trainer.updater.iteration == 6


def test_a_signal_in_the_last_iteration_finds_the_training_over(trainer, handlers):
    watcher = Watcher()
    trainer.stop_trigger = lambda t: bool(interrupt_at(6, signal.SIGINT)(t)) or t.updater.epoch == 2
    trainer.extend(watcher)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert watcher.notes == ["finalized"]


# -- snapshots ------------------------------------------------------------------------------------


def test_a_finished_run_that_is_loaded_stops_at_once_or_goes_on_to_a_later_end(tmp_path):
    def make(epochs):
        trainer = Trainer(make_updater(), (epochs, "epoch"), tmp_path)
        trainer.extend(extensions.snapshot(filename="latest"))
        return trainer

    make(2).run()
    for epochs in 2, 3:
        trainer = make(epochs)
        load_npz(tmp_path / "latest", trainer)
        trainer.run()
        assert trainer.updater.epoch == epochs


def test_a_model_can_be_loaded_from_a_trainers_snapshot_as_from_chainers(trainer):
    trainer.extend(extensions.snapshot(filename="latest"))
    trainer.run()
    model = L.Classifier(L.Linear(4, 3))
    load_npz(trainer.out / "latest", model, path="updater/model:main/")
    trained = trainer.updater.get_optimizer("main").target
    np.testing.assert_array_equal(model.predictor.W.array, trained.predictor.W.array)


def test_a_snapshot_with_other_extensions_is_refused_and_they_are_named(trainer, tmp_path):
    trainer.extend(extensions.snapshot(filename="latest"))
    trainer.run()
    other = Trainer(make_updater(), (2, "epoch"), tmp_path)
    other.extend(extensions.snapshot(filename="latest"))
    other.extend(extensions.LogReport())
    with pytest.raises(ValueError, match="lacks extensions/LogReport"):
        load_npz(trainer.out / "latest", other)
    assert other.updater.iteration == 0
