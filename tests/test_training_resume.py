"""A run that was broken off at any batch goes on to the very bits of one that was not."""

import random
from pathlib import Path

import numpy as np
import pytest

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import optimizers, training
from dynet.initializers import LeCunNormal
from dynet.iterators import SerialIterator
from dynet.serializers import load_npz
from dynet.training import extensions, triggers

OPTIMIZERS = [
    kind
    for kind in vars(optimizers).values()
    if isinstance(kind, type)
    and issubclass(kind, optimizers.Optimizer)
    and kind not in (optimizers.Optimizer, optimizers.GradientMethod)
]
BATCHES = 9  # of 4 out of 10 examples: epochs end within batches, and with them


class Model(dynet.Chain):
    """With dropout, running statistics, and noise from every place that noise comes from."""

    def __init__(self, seed):
        super().__init__()
        rng = np.random.default_rng(seed)
        with self.init_scope():
            self.embed = L.EmbedID(10, 6, initialW=LeCunNormal(rng=rng))
            self.l1 = L.Linear(None, 8)  # waits, and then draws from NumPy's global state
            self.bn = L.BatchNormalization(8)
            self.l2 = L.Linear(8, 3, initialW=LeCunNormal(rng=rng))

    def forward(self, ids, x):
        noise = np.float32(1 + 0.1 * np.random.normal() + 0.1 * random.random())
        h = F.concat([self.embed(ids), x * noise], axis=1)
        return self.l2(F.dropout(F.relu(self.bn(self.l1(h))), 0.3))


def make(kind, seed):
    """A model, an optimizer and an iterator, made anew, in a world with other random states."""
    data = np.random.default_rng(7)
    examples = [
        (np.int32(i), data.normal(size=5).astype(np.float32), np.int32(data.integers(3)))
        for i in range(10)
    ]
    dynet.random.seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    model = L.Classifier(Model(seed))
    optimizer = kind().setup(model)
    return model, optimizer, SerialIterator(examples, 4, rng=seed)


def bits(model):
    return {path: p.array.tobytes() for path, p in model.namedparams()}


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_a_hand_written_loop_goes_on_from_any_batch(kind, tmp_path):
    def train(run, path, losses, stop=BATCHES):
        model, optimizer, iterator = run
        while len(losses) < stop:
            if path:
                save(run, losses, path / str(len(losses)))
            ids, x, t = dynet.datasets.convert.concat_examples(next(iterator))
            optimizer.update(model, ids, x, t)
            losses.append(model.loss.item())
        return losses, bits(model)

    def objects(run, losses):
        model, optimizer, iterator = run
        return {"model": model, "optimizer": optimizer, "iterator": iterator}

    def save(run, losses, path):
        training.snapshot(path, **objects(run, losses), state={"losses": list(losses)})

    expected = train(make(kind, 0), tmp_path, [])
    for batch in range(BATCHES):
        run = make(kind, 100 + batch)
        state = {"losses": [0.0] * batch}
        assert training.resume(tmp_path / str(batch), **objects(run, []), state=state)
        assert train(run, None, state["losses"]) == expected, f"after batch {batch}"


def make_trainer(kind, seed, out, savefun=None):
    model, optimizer, iterator = make(kind, seed)
    test = SerialIterator(iterator.dataset[:7], 3, repeat=False, rng=seed)  # shuffled, too
    trainer = training.Trainer(
        training.StandardUpdater(iterator, optimizer),
        triggers.EarlyStoppingTrigger(
            (1, "epoch"), "validation/main/loss", patience=2, max_trigger=(BATCHES, "iteration")
        ),
        out=out,
    )
    rate = next(name for name in ("lr", "alpha", "rho", "eps") if hasattr(optimizer, name))
    trainer.extend(extensions.Evaluator(test, model))
    trainer.extend(extensions.LogReport(trigger=(1, "epoch")))
    trainer.extend(extensions.LogReport(trigger=(2, "iteration"), filename="often.jsonl"))
    trainer.extend(extensions.ExponentialShift(rate, 0.9), trigger=(2, "iteration"))
    trainer.extend(
        extensions.observe_value("rate", lambda trainer: getattr(optimizer, rate)),
        trigger=(1, "iteration"),
    )
    best = []
    trainer.extend(
        lambda trainer: best.append(trainer.updater.iteration),
        name="best",
        trigger=triggers.MinValueTrigger("main/loss", (2, "iteration")),
    )
    trainer.extend(
        extensions.snapshot(savefun, "at_{.updater.iteration}"), trigger=(1, "iteration")
    )
    return trainer, model, best


def outcome(trainer, model, best):
    logs = [
        [
            {name: value for name, value in line.items() if name != "elapsed_time"}
            for line in trainer.get_extension(name).log
        ]
        for name in ("LogReport", "LogReport_1")
    ]
    return repr(logs), trainer.updater.iteration, best, bits(model)


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_a_trainer_goes_on_from_any_batch(kind, tmp_path):
    out = tmp_path / "whole"
    trainer, model, best = make_trainer(kind, 0, out)
    trainer.run()
    expected = outcome(trainer, model, best)
    end = trainer.updater.iteration
    for batch in range(1, end + 1):
        trainer, model, best = make_trainer(
            kind, 100 + batch, tmp_path / "resumed", savefun=lambda path, obj: None
        )
        load_npz(out / f"at_{batch}", trainer)
        best += [i for i in expected[2] if i <= batch]  # what this test itself remembers
        trainer.run()
        assert outcome(trainer, model, best) == expected, f"after batch {batch}"


def test_a_log_file_is_the_same_after_the_run_was_broken_off(tmp_path):
    def lines(folder):
        return [line for line in (folder / "log").read_text().splitlines() if "elapsed" not in line]

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    make_trainer(optimizers.SGD, 0, whole)[0].run()
    trainer, _, _ = make_trainer(optimizers.SGD, 0, broken)
    trainer.stop_trigger = triggers.IntervalTrigger(4, "iteration")
    trainer.run()
    trainer, _, _ = make_trainer(optimizers.SGD, 1, broken)
    load_npz(broken / "at_4", trainer, ignore_names=lambda name: name.startswith("stop_trigger"))
    load_npz(whole / "at_4", trainer)
    trainer.run()
    assert lines(whole) == lines(broken)
    assert Path(whole / "often.jsonl").exists()
