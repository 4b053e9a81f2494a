"""Updaters: how a ``Trainer`` makes one step, from a batch to moved parameters."""

from collections.abc import Callable, Mapping
from typing import Any

from ..datasets.convert import concat_examples
from ..optimizers import Optimizer
from .evaluation import arguments_of


class StandardUpdater:
    """Takes a batch from an iterator, and has an optimizer update its target on it.

    Where there are several of either, a subclass says in ``update_core`` what an update is.

    Args:
        iterator: over the training examples; or a dict of several, with one called ``"main"``.
        optimizer: which has its target already (``setup``); or a dict of several, with one called
            ``"main"`` unless ``update_core`` is a subclass's own.
        converter: makes arrays of a batch: called with the list of examples and the device. A
            tuple that it returns becomes the arguments of the loss, a dict those with names.
        device: where the arrays go; by default they stay where they are. The model is moved by
            ``model.to_device``.
        loss_func: gives the loss of a batch; by default the optimizer's target, a
            ``links.Classifier``, say.
        auto_new_epoch: whether ``optimizer.new_epoch()`` is called when an epoch has ended.

    Attributes:
        iteration (int): how many updates there were.

    Raises:
        TypeError: an iterator or optimizer is something else.
        ValueError: of several none is called ``"main"``, or an optimizer has no target.

    >>> import numpy as np, dynet, dynet.links as L
    >>> examples = [(np.ones(3, np.float32), np.int32(0)), (np.zeros(3, np.float32), np.int32(1))]
    >>> iterator = dynet.iterators.SerialIterator(examples, 2)
    >>> optimizer = dynet.optimizers.SGD(0.1).setup(L.Classifier(L.Linear(3, 2)))
    >>> updater = dynet.training.StandardUpdater(iterator, optimizer)
    >>> updater.update()
    >>> updater.iteration, updater.epoch
    (1, 1)
    """

    def __init__(
        self,
        iterator: Any,
        optimizer: Optimizer | Mapping[str, Optimizer],
        converter: Callable = concat_examples,
        device: Any = None,
        loss_func: Callable | None = None,
        auto_new_epoch: bool = True,
    ):
        kind = type(self).__name__
        iterators = dict(iterator) if isinstance(iterator, Mapping) else {"main": iterator}
        optimizers = dict(optimizer) if isinstance(optimizer, Mapping) else {"main": optimizer}
        for name, it in iterators.items():
            if not hasattr(it, "__next__") or not hasattr(it, "is_new_epoch"):
                raise TypeError(
                    f"{kind}: iterator {name!r} is {type(it).__name__}, expected one of "
                    "dynet.iterators"
                )
        for name, opt in optimizers.items():
            if not isinstance(opt, Optimizer):
                raise TypeError(
                    f"{kind}: optimizer {name!r} is {type(opt).__name__}, expected an Optimizer"
                )
            if opt.target is None:
                raise ValueError(
                    f"{kind}: optimizer {name!r} has nothing to update; call setup(link) first"
                )
        if "main" not in iterators:
            raise ValueError(
                f"{kind}: the iterators are called {sorted(iterators)}, expected 'main' among them"
            )
        if "main" not in optimizers and type(self).update_core is StandardUpdater.update_core:
            raise ValueError(
                f"{kind}: the optimizers are called {sorted(optimizers)}, expected 'main' among "
                "them, or a subclass whose update_core says what an update of these is"
            )
        self._iterators = iterators
        self._optimizers = optimizers
        self.converter = converter
        self.device = device
        self.loss_func = loss_func
        self.auto_new_epoch = auto_new_epoch
        self.iteration = 0

    def update(self) -> None:
        """Make one step, and count it.

        Raises:
            RuntimeError: an iterator has come to its end.
        """
        try:
            self.update_core()
        except StopIteration as error:
            raise RuntimeError(
                f"{type(self).__name__}: an iterator has come to its end after {self.iteration} "
                "updates, expected one that goes on: repeat=True"
            ) from error
        self.iteration += 1

    def update_core(self) -> None:
        """What one step is; a subclass may say otherwise."""
        iterator, optimizer = self._iterators["main"], self._optimizers["main"]
        arguments, names = arguments_of(self.converter(next(iterator), self.device))
        optimizer.update(self.loss_func or optimizer.target, *arguments, **names)
        if self.auto_new_epoch and iterator.is_new_epoch:
            for opt in self._optimizers.values():
                opt.new_epoch()

    @property
    def epoch(self) -> int:
        """How many passes the main iterator has completed."""
        return self._iterators["main"].epoch

    @property
    def epoch_detail(self) -> float:
        """The same, with the part of the pass that is under way."""
        return self._iterators["main"].epoch_detail

    @property
    def previous_epoch_detail(self) -> float:
        """The same before the last batch; -1 before the first."""
        return self._iterators["main"].previous_epoch_detail

    @property
    def is_new_epoch(self) -> bool:
        """Whether the last batch completed a pass."""
        return self._iterators["main"].is_new_epoch

    def get_iterator(self, name: str) -> Any:
        """The iterator of a name."""
        return _named("iterator", self._iterators, name)

    def get_optimizer(self, name: str) -> Optimizer:
        """The optimizer of a name."""
        return _named("optimizer", self._optimizers, name)

    def get_all_optimizers(self) -> dict[str, Optimizer]:
        """All optimizers by name."""
        return dict(self._optimizers)

    def connect_trainer(self, trainer: Any) -> None:
        """Called by a trainer when it is made, for a subclass that has to know it."""

    def finalize(self) -> None:
        """Let iterators go of their threads and processes."""
        for iterator in self._iterators.values():
            if hasattr(iterator, "finalize"):
                iterator.finalize()

    def serialize(self, serializer: Any) -> None:
        """Save or load the iterators, the optimizers with their targets, and the count."""
        for name, iterator in self._iterators.items():
            iterator.serialize(serializer[f"iterator:{name}"])
        for name, optimizer in self._optimizers.items():
            # The target first: a parameter that waits for its size may get it from the file.
            optimizer.target.serialize(serializer[f"model:{name}"])
            optimizer.serialize(serializer[f"optimizer:{name}"])
        self.iteration = serializer("iteration", self.iteration)


def _named(what, several, name):
    if name not in several:
        raise KeyError(f"there is no {what} {name!r}; there are {', '.join(several)}")
    return several[name]
