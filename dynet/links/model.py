"""Links that make something to be trained of a network that predicts."""

from collections.abc import Callable
from typing import Any

from ..functions.evaluation import accuracy
from ..functions.loss import softmax_cross_entropy
from ..link import Chain, Link
from ..reporter import report
from ..variable import Variable


class Classifier(Chain):
    """A network with its loss: called with inputs and labels, it gives what is to be minimised.

    It reports the loss and the accuracy, as ``loss`` and ``accuracy``, to the ``Reporter`` whose
    scope is open, and keeps what it computed last in its attributes. As ``loss`` leads to the
    tape, that stays in memory until the next call begins; set ``loss`` and ``y`` to ``None`` to
    be rid of it before. Copies of the link start without them.

    Args:
        predictor: the network, a link.
        lossfun: takes the predictor's output and the labels, returns the loss.
        accfun: takes the same, returns the accuracy.
        label_key: which of the arguments are the labels: the position among those without a name,
            or the name.

    Attributes:
        predictor (Link): as given.
        lossfun, accfun, label_key: as given.
        compute_accuracy (bool): whether ``accfun`` is called, ``True`` at first.
        y: what the predictor gave in the last call; ``None`` before the first.
        loss (Variable): of the last call.
        accuracy (Variable): of the last call.

    >>> import numpy as np, dynet, dynet.links as L
    >>> model = L.Classifier(L.Linear(3, 2))
    >>> x, t = np.ones((4, 3), np.float32), np.zeros(4, np.int32)
    >>> optimizer = dynet.optimizers.SGD(0.5).setup(model)
    >>> before = model(x, t).item()
    >>> optimizer.update(model, x, t)
    >>> model(x, t).item() < before
    True
    >>> model.accuracy.item()
    1.0
    """

    compute_accuracy = True

    def __init__(
        self,
        predictor: Link,
        lossfun: Callable = softmax_cross_entropy,
        accfun: Callable = accuracy,
        label_key: int | str = -1,
    ):
        super().__init__()
        if not isinstance(predictor, Link):
            raise TypeError(f"Classifier: predictor is {type(predictor).__name__}, expected a Link")
        if not isinstance(label_key, (int, str)) or isinstance(label_key, bool):
            raise TypeError(
                f"Classifier: label_key is {label_key!r}, expected a position or a name"
            )
        self.lossfun = lossfun
        self.accfun = accfun
        self.label_key = label_key
        self._forget()
        with self.init_scope():
            self.predictor = predictor

    def forward(self, *args: Any, **kwargs: Any) -> Variable:
        """The loss of the predictor's output for all arguments but the labels.

        Raises:
            ValueError: the labels are not among the arguments.
        """
        args, kwargs, t = self._split(args, kwargs)
        self._forget()  # before the next tape, not after it: memory for one of them is enough
        y = self.predictor(*args, **kwargs)
        loss = self.lossfun(y, t)
        measures = {"loss": loss}
        if self.compute_accuracy:
            measures["accuracy"] = self.accfun(y, t)
        self.y, self.loss, self.accuracy = y, loss, measures.get("accuracy")
        report(measures, self)
        return loss

    def _split(self, args, kwargs):
        """The arguments without the labels, and the labels."""
        key = self.label_key
        if isinstance(key, str):
            if key not in kwargs:
                raise ValueError(
                    f"Classifier: label_key is {key!r}, expected an argument of that name among "
                    f"{sorted(kwargs)}"
                )
            return args, {name: x for name, x in kwargs.items() if name != key}, kwargs[key]
        if not -len(args) <= key < len(args):
            raise ValueError(
                f"Classifier: label_key is {key}, expected a position among the {len(args)} "
                "arguments without a name"
            )
        i = key % len(args)
        return args[:i] + args[i + 1 :], kwargs, args[i]

    def _forget(self):
        self.y = self.loss = self.accuracy = None

    def __getstate__(self):
        # For copies and pickles: what was computed is on a tape, which cannot be copied.
        return self.__dict__ | {"y": None, "loss": None, "accuracy": None}
