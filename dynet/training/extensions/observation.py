"""Watching a training: values that the model does not report, what diverges, the graph."""

import os
from collections.abc import Callable
from typing import Any

from ...backend import get_device
from ...computational_graph import Recorder, build_computational_graph
from ...variable import Variable
from ..extension import PRIORITY_WRITER, Extension, make_extension


def observe_value(observation_key: str, target_func: Callable[[Any], Any]) -> Callable:
    """An extension that adds a value to the observation, once an epoch by default.

    Args:
        observation_key: the value's name there.
        target_func: gives the value, called with the trainer.

    >>> import dynet
    >>> extension = dynet.training.extensions.observe_value(
    ...     "momentum", lambda trainer: trainer.updater.get_optimizer("main").momentum
    ... )
    """

    @make_extension(trigger=(1, "epoch"), priority=PRIORITY_WRITER)
    def observe_value(trainer):
        trainer.observation[observation_key] = target_func(trainer)

    return observe_value


def observe_lr(optimizer_name: str = "main", observation_key: str = "lr") -> Callable:
    """An extension that adds an optimizer's learning rate to the observation, once an epoch.

    Of Adam and its kin, which have no ``lr``, it is ``alpha_t``, the step size without bias.

    Args:
        optimizer_name: which of the updater's optimizers.
        observation_key: the value's name in the observation.

    Raises:
        AttributeError: when the run begins and the optimizer has neither.

    >>> import dynet
    >>> extension = dynet.training.extensions.observe_lr()
    """

    def look(trainer):
        optimizer = trainer.updater.get_optimizer(optimizer_name)
        for name in "lr", "alpha_t":
            if hasattr(optimizer, name):
                return getattr(optimizer, name)
        raise AttributeError(
            f"observe_lr: {type(optimizer).__name__} has no lr, expected an optimizer with one; "
            "for other settings there is observe_value"
        )

    extension = observe_value(observation_key, look)
    extension.initialize = look  # so that it fails before the training, not after an epoch
    return extension


class FailOnNonNumber(Extension):
    """Ends the training with an error as soon as a parameter is NaN or infinite.

    On a GPU every call waits until all work is done: a trigger such as ``(100, "iteration")`` makes
    that rare.

    Raises:
        RuntimeError: when it is called and there is one; the sentence names it.

    >>> import dynet
    >>> extension = dynet.training.extensions.FailOnNonNumber()
    """

    def __call__(self, trainer: Any) -> None:
        for name, optimizer in trainer.updater.get_all_optimizers().items():
            flags = {}
            for path, parameter in optimizer.target.namedparams(include_uninit=False):
                is_finite = parameter.xp.isfinite(parameter.array).all()
                flags.setdefault(parameter.device, {})[path] = is_finite
            for device, of_paths in flags.items():
                together = get_device("cpu").send(device.xp.stack(list(of_paths.values())))
                for path, is_finite in zip(of_paths, together, strict=True):
                    if not is_finite:
                        raise RuntimeError(
                            f"FailOnNonNumber: the parameter {path} of the optimizer {name!r} is "
                            f"not finite after iteration {trainer.updater.iteration}: the training "
                            "has diverged"
                        )


class dump_graph(Extension):
    """Writes the graph of the first iteration to a file, then nothing more.

    For that the trainer's reporter keeps the tape until it is called. In a run that goes on after
    a snapshot there is nothing to do.

    Args:
        root_name: the name of a Variable in the observation from which the graph is followed
            back, such as ``"main/loss"``.
        filename: of the file in the trainer's folder. Its ending says the format: ``.dot``,
            ``.svg`` or ``.txt``; see ``dynet.computational_graph``.
        variable_style: how Graphviz draws variables; see ``build_computational_graph``.
        function_style: how it draws functions.

    Raises:
        KeyError: when it is called and nothing of that name was observed.
        TypeError: when it is called and that is no Variable.

    >>> import dynet
    >>> extension = dynet.training.extensions.dump_graph("main/loss", "graph.txt")
    """

    def __init__(
        self,
        root_name: str,
        filename: str = "cg.dot",
        variable_style: dict | None = None,
        function_style: dict | None = None,
    ):
        self._root_name = root_name
        self._filename = filename
        styles = {"variable_style": variable_style, "function_style": function_style}
        self._styles = {name: style for name, style in styles.items() if style is not None}
        self._recorder: Recorder | None = None
        self._reporter: Any = None

    @staticmethod
    def trigger(trainer: Any) -> bool:
        return trainer.updater.iteration == 1

    def initialize(self, trainer: Any) -> None:
        if trainer.is_before_training:
            self._reporter = trainer.reporter
            self._reporter.keep_graph = True
            self._recorder = Recorder()
            self._recorder.__enter__()

    def __call__(self, trainer: Any) -> None:
        if self._recorder is None:
            return
        recorder = self._recorder
        self.finalize()
        if self._root_name not in trainer.observation:
            raise KeyError(
                f"dump_graph: root_name is {self._root_name!r}, expected one of what was observed: "
                f"{', '.join(trainer.observation) or 'nothing'}"
            )
        root = trainer.observation[self._root_name]
        if not isinstance(root, Variable):
            raise TypeError(
                f"dump_graph: {self._root_name!r} is {type(root).__name__}, expected a Variable"
            )
        optimizers = trainer.updater.get_all_optimizers()
        # Parameters are called by their paths: below who reported the root, where that is known.
        optimizer = optimizers.get(self._root_name.split("/")[0], optimizers.get("main"))
        link = optimizer and optimizer.target
        graph = build_computational_graph(root, recorder=recorder, link=link, **self._styles)
        graph.save(os.path.join(trainer.out, self._filename))

    def finalize(self) -> None:
        if self._recorder is not None:
            self._recorder.__exit__(None, None, None)
            self._recorder = None
            self._reporter.keep_graph = False
