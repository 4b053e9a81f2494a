"""Measuring the model in the course of the training."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from ...datasets.convert import concat_examples
from ...reporter import DictSummary, Reporter, report, report_scope
from ..evaluation import arguments_of, evaluating, rewound
from ..extension import PRIORITY_WRITER, Extension


class Evaluator(Extension):
    """Runs a model over a dataset and reports the means of what it reports.

    ``main/loss`` of the target becomes ``validation/main/loss``, ``validation`` being the
    extension's name. Each batch counts by its number of examples, so that the means are over
    examples even where the last batch is smaller. (Chainer's are over batches.)

    Args:
        iterator: over the examples, made with ``repeat=False``; or a dict of several, with one
            called ``"main"``. It is reset before; without ``reset`` a copy of it is used.
        target: the link to run; or a dict of several, with one called ``"main"``.
        converter: makes arrays of a batch; called with the list of examples and the device.
        device: where the arrays go; by default they stay where they are.
        eval_hook: called with the evaluator before each evaluation.
        eval_func: called with the arrays in place of the target.

    Raises:
        ValueError: the iterator would go on without end.

    >>> import numpy as np, dynet, dynet.links as L
    >>> examples = [(np.eye(2, dtype=np.float32)[i], np.int32(i)) for i in (0, 1)]
    >>> iterator = dynet.iterators.SerialIterator(examples, 2, repeat=False, shuffle=False)
    >>> model = L.Classifier(L.Linear(2, 2, initialW=np.eye(2, dtype=np.float32)))
    >>> dynet.training.extensions.Evaluator(iterator, model)(None)["main/accuracy"]
    1.0
    """

    trigger = 1, "epoch"
    priority = PRIORITY_WRITER
    default_name = "validation"

    def __init__(
        self,
        iterator: Any,
        target: Any,
        converter: Callable = concat_examples,
        device: Any = None,
        eval_hook: Callable | None = None,
        eval_func: Callable | None = None,
    ):
        self._iterators = dict(iterator) if isinstance(iterator, Mapping) else {"main": iterator}
        self._targets = dict(target) if isinstance(target, Mapping) else {"main": target}
        self.converter = converter
        self.device = device
        self.eval_hook = eval_hook
        self.eval_func = eval_func
        for it in self._iterators.values():
            if getattr(it, "repeat", False):
                rewound(it, by="Evaluator")  # raises the sentence that says why not

    def get_iterator(self, name: str) -> Any:
        """The iterator of a name."""
        return self._iterators[name]

    def get_target(self, name: str) -> Any:
        """The target of a name."""
        return self._targets[name]

    def __call__(self, trainer: Any = None) -> dict[str, float]:
        """Evaluate, and report the means. It can be called without a trainer, too.

        Returns:
            dict: the means.
        """
        prefix = f"{self.name}/" if self.name else ""
        reporter = Reporter()
        for name, target in self._targets.items():
            reporter.add_observers(prefix + name, target.namedlinks())
        with reporter.scope({}), evaluating():
            means = self.evaluate()
        report(means)
        return means

    def evaluate(self) -> dict[str, float]:
        """The means over all examples of the main iterator; a subclass may say otherwise.

        What it reports itself goes nowhere: it has to return what it has found.
        """
        iterator = self._iterators["main"]
        function = self.eval_func or self._targets["main"]
        if self.eval_hook:
            self.eval_hook(self)
        batches = (
            rewound(iterator, by="Evaluator") if hasattr(iterator, "reset") else copy.copy(iterator)
        )
        summary = DictSummary()
        for batch in batches:
            arguments, names = arguments_of(self.converter(batch, self.device))
            with report_scope({}) as observation:
                function(*arguments, **names)
            summary.add(observation, len(batch))
        return summary.compute_mean()

    def finalize(self) -> None:
        for iterator in self._iterators.values():
            if hasattr(iterator, "finalize"):
                iterator.finalize()

    def serialize(self, serializer: Any) -> None:
        # One that shuffles has a generator, on which the order of what is summed depends.
        for name, iterator in self._iterators.items():
            if hasattr(iterator, "serialize"):
                iterator.serialize(serializer[f"iterator:{name}"])
