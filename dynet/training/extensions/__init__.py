"""Extensions: what a ``Trainer`` does beside the updates.

>>> import numpy as np, dynet, dynet.links as L, tempfile
>>> from dynet.training import StandardUpdater, Trainer, extensions, triggers
>>> x, t = np.eye(8, dtype=np.float32), np.arange(8, dtype=np.int32)
>>> train = dynet.iterators.SerialIterator(list(zip(x, t)), 2)
>>> test = dynet.iterators.SerialIterator(list(zip(x, t)), 5, repeat=False, shuffle=False)
>>> model = L.Classifier(L.Linear(8, 8, initialW=0))
>>> optimizer = dynet.optimizers.SGD(2.0).setup(model)
>>> trainer = Trainer(StandardUpdater(train, optimizer), (9, "epoch"), out=tempfile.mkdtemp())
>>> trainer.extend(extensions.Evaluator(test, model))  # reports validation/main/loss
>>> trainer.extend(extensions.ExponentialShift("lr", 0.9), trigger=(1, "epoch"))
>>> trainer.extend(extensions.LogReport(trigger=(3, "epoch")))
>>> trainer.extend(extensions.PrintReport(["epoch", "iteration", "validation/main/accuracy"]))
>>> trainer.extend(extensions.snapshot(num_retains=2))
>>> trainer.extend(
...     extensions.snapshot_object(model, "best.npz"),
...     trigger=triggers.MaxValueTrigger("validation/main/accuracy"),
... )
>>> trainer.run()
     epoch   iteration  validation/main/accuracy
         3          12                   1.00000
         6          24                   1.00000
         9          36                   1.00000
"""

from .evaluator import Evaluator
from .observation import FailOnNonNumber, dump_graph, observe_lr, observe_value
from .reports import LogReport, PlotReport, PrintReport, ProgressBar
from .saving import snapshot, snapshot_object
from .shifts import (
    ExponentialShift,
    InverseShift,
    LinearShift,
    MultistepShift,
    PolynomialShift,
    Shift,
    StepShift,
    WarmupShift,
)

__all__ = [
    "Evaluator",
    "ExponentialShift",
    "FailOnNonNumber",
    "InverseShift",
    "LinearShift",
    "LogReport",
    "MultistepShift",
    "PlotReport",
    "PolynomialShift",
    "PrintReport",
    "ProgressBar",
    "Shift",
    "StepShift",
    "WarmupShift",
    "dump_graph",
    "observe_lr",
    "observe_value",
    "snapshot",
    "snapshot_object",
]
