"""What a ``Trainer`` calls beside the updates: any callable that takes the trainer.

One that also has to be prepared, cleaned up or saved is an ``Extension``.
"""

from collections.abc import Callable
from typing import Any

# Extensions are called in the order of their priorities, the highest first: those that add values
# to the observation, those that change what is there, those that read it.
PRIORITY_WRITER = 300
PRIORITY_EDITOR = 200
PRIORITY_READER = 100


class Extension:
    """Base class of what a ``Trainer`` calls beside the updates.

    Attributes:
        trigger: when it is called, unless ``Trainer.extend`` is told otherwise; see
            ``dynet.training.get_trigger``.
        priority (int): the higher, the earlier it is called.
        name (str): under which the trainer knows it; ``None`` for ``default_name``.

    >>> import dynet
    >>> class CountUpdates(dynet.training.Extension):
    ...     trigger = 1, "epoch"
    ...     priority = dynet.training.PRIORITY_WRITER
    ...     def __call__(self, trainer):
    ...         dynet.report({"updates": trainer.updater.iteration})
    """

    trigger: Any = (1, "iteration")
    priority: int = PRIORITY_READER
    name: str | None = None

    @property
    def default_name(self) -> str:
        """The name where no other is given: that of the class."""
        return type(self).__name__

    def __call__(self, trainer: Any) -> None:
        """What the extension does."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def initialize(self, trainer: Any) -> None:
        """Called once, when the run begins, or goes on after a snapshot was loaded."""

    def finalize(self) -> None:
        """Called once, when the run ends, with an error or without."""

    def on_error(self, trainer: Any, exception: BaseException, tb: Any) -> None:
        """Called when the run ends early, before ``finalize``.

        Args:
            trainer: the trainer.
            exception: what was raised in the middle of an iteration; or, where Ctrl-C or SIGTERM
                came, after which the iteration was finished, a ``KeyboardInterrupt``.
            tb: the traceback; ``None`` for Ctrl-C and SIGTERM.
        """

    def serialize(self, serializer: Any) -> None:
        """Save or load what the extension has to remember."""


def make_extension(
    trigger: Any = (1, "iteration"),
    default_name: str | None = None,
    priority: int = PRIORITY_READER,
    finalizer: Callable | None = None,
    initializer: Callable | None = None,
    on_error: Callable | None = None,
) -> Callable:
    """Decorates a function of the trainer with what an ``Extension`` has.

    Args:
        trigger: as in ``Extension``, as are the next two.
        default_name: by default the function's own name.
        priority: the higher, the earlier it is called.
        finalizer: called as ``Extension.finalize`` is.
        initializer: called as ``Extension.initialize`` is.
        on_error: called as ``Extension.on_error`` is.

    >>> import dynet
    >>> @dynet.training.make_extension(trigger=(1, "epoch"))
    ... def say_epoch(trainer):
    ...     print("epoch", trainer.updater.epoch)
    """

    def decorate(function):
        function.trigger = trigger
        function.default_name = default_name or function.__name__
        function.priority = priority
        function.finalize = finalizer
        function.initialize = initializer
        function.on_error = on_error
        return function

    return decorate
