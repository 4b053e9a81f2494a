"""Training: small parts that a hand-written loop is composed of, and a ``Trainer`` made of them.

>>> import numpy as np, dynet, dynet.links as L, os, tempfile
>>> from dynet.training import Interruption, Log, progress, resume, snapshot
>>> x, t = np.eye(8, dtype=np.float32), np.arange(8, dtype=np.int32)
>>> batches = dynet.iterators.SerialIterator(list(zip(x, t)), 2, rng=0)
>>> model = L.Classifier(L.Linear(8, 8, initialW=0))
>>> optimizer = dynet.optimizers.SGD(1.0).setup(model)
>>> folder = tempfile.mkdtemp()
>>> state = {"model": model, "optimizer": optimizer, "batches": batches}
>>> is_resumed = resume(os.path.join(folder, "snapshot.npz"), **state)
>>> log = Log(os.path.join(folder, "log.jsonl"), keep=batches.epoch, print=["epoch", "accuracy"])
>>> with Interruption() as interrupted:
...     while batches.epoch < 9 and not interrupted:
...         bar = progress(batches, f"epoch {batches.epoch + 1}", disable=True)
...         for batch in bar:
...             optimizer.update(model, *dynet.datasets.concat_examples(batch))
...             bar.add(len(batch), accuracy=model.accuracy)
...         snapshot(os.path.join(folder, "snapshot.npz"), **state)
...         if batches.epoch % 3 == 0:
...             log.write(epoch=batches.epoch, **bar.means)
     epoch    accuracy
         3     1.00000
         6     1.00000
         9     1.00000
"""

# ruff: noqa: I001 - the parts of a loop first, then what is built on them.
from .log import Log
from .table import Table
from .progress import progress
from .evaluation import evaluate
from .early_stopping import EarlyStopping
from .interruption import Interruption
from .snapshots import resume, snapshot
from . import global_random
from .extension import (
    PRIORITY_EDITOR,
    PRIORITY_READER,
    PRIORITY_WRITER,
    Extension,
    make_extension,
)
from . import triggers, updaters
from .triggers import get_trigger
from .updaters import StandardUpdater
from .trainer import Trainer
from . import extensions

__all__ = [
    "PRIORITY_EDITOR",
    "PRIORITY_READER",
    "PRIORITY_WRITER",
    "EarlyStopping",
    "Extension",
    "Interruption",
    "Log",
    "StandardUpdater",
    "Table",
    "Trainer",
    "evaluate",
    "extensions",
    "get_trigger",
    "global_random",
    "make_extension",
    "progress",
    "resume",
    "snapshot",
    "triggers",
    "updaters",
]
