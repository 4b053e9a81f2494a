"""What all optimizers share: the target, the hooks, the count of steps, the state to save."""

from collections.abc import Callable
from typing import Any

from ..link import Link
from ..parameter import Parameter


class Optimizer:
    """Moves the parameters of a link by their gradients.

    A subclass states ``update_param``, and in ``state_names`` which arrays like the parameter it
    keeps for each.

    Attributes:
        target (Link): whose parameters it moves.
        t (int): how many updates there were.
        epoch (int): how often ``new_epoch`` was called.
        skipped (int): how many updates a hook has called off.
    """

    state_names: tuple[str, ...] = ()

    def __init__(self):
        self.target: Link | None = None
        self.t = 0
        self.epoch = 0
        self.skipped = 0
        self._hooks: dict[str, Callable] = {}
        self._states: dict[Parameter, dict[str, Any]] = {}

    def setup(self, link: Link) -> "Optimizer":
        """Take a link's parameters to move, and start afresh.

        Returns:
            Optimizer: this one.
        """
        if not isinstance(link, Link):
            raise TypeError(f"setup: link is {type(link).__name__}, expected a Link")
        self.target = link
        self.t = self.epoch = self.skipped = 0
        self._states = {}
        return self

    def add_hook(self, hook: Callable, name: str | None = None) -> None:
        """Call a hook with this optimizer before every update.

        Args:
            hook: a callable; if it returns ``False``, the update is skipped and counted.
            name: by default the hook's own ``name``.

        Raises:
            ValueError: there is a hook of that name.
        """
        name = name or getattr(hook, "name", None) or getattr(hook, "__name__", "hook")
        if name in self._hooks:
            raise ValueError(f"add_hook: there already is a hook called {name!r}")
        self._hooks[name] = hook

    def remove_hook(self, name: str) -> None:
        """Forget a hook by its name."""
        del self._hooks[name]

    def update(self, lossfun: Callable | None = None, *args: Any, **kwargs: Any) -> None:
        """Move every parameter that has a gradient, one step.

        Args:
            lossfun: where given, it is called with the other arguments for the loss, whose
                gradients replace those that there were; else the gradients there are count.

        Raises:
            RuntimeError: ``setup`` was not called, or no parameter has a gradient.
        """
        kind = type(self).__name__
        if self.target is None:
            raise RuntimeError(f"{kind}.update: there is nothing to update; call setup(link) first")
        if lossfun is not None:
            self.target.cleargrads()
            lossfun(*args, **kwargs).backward()
        parameters = [p for p in self.target.params() if p.grad is not None]
        if not parameters:
            raise RuntimeError(
                f"{kind}.update: no parameter has a gradient; call loss.backward() first"
            )
        for p in parameters:
            self._check_writable(p)
        for hook in self._hooks.values():
            if hook(self) is False:
                self.skipped += 1
                return
        self.t += 1
        for p in parameters:
            self.update_param(p.array, p.grad, self._state(p))

    def _check_writable(self, parameter):
        flags = parameter.array.flags
        if not getattr(flags, "writeable", True):
            raise RuntimeError(
                f"{type(self).__name__}.update: the parameter {parameter.name} {parameter.shape} "
                "is read-only: in debug mode it is while a tape that was not swept needs it"
            )
        if not (flags.c_contiguous or flags.f_contiguous):
            raise ValueError(
                f"{type(self).__name__}.update: the parameter {parameter.name} {parameter.shape} "
                f"has the strides {parameter.array.strides}, expected a contiguous array"
            )

    def update_param(self, W: Any, gW: Any, state: dict[str, Any]) -> None:
        """Move one parameter's array, in place.

        Args:
            W: the array.
            gW: its gradient, of the same shape.
            state: the arrays that ``state_names`` asks for, zeros at first, to be changed in
                place.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update_param")

    def _state(self, parameter):
        state = self._states.get(parameter)
        if state is None:
            zeros_like = parameter.xp.zeros_like
            state = {name: zeros_like(parameter.array) for name in self.state_names}
            self._states[parameter] = state
        return state

    def new_epoch(self) -> None:
        """Count an epoch."""
        self.epoch += 1

    def serialize(self, serializer) -> None:
        """Give a serializer the counts and every parameter's state, or take them from it."""
        if self.target is None:
            raise RuntimeError(
                f"{type(self).__name__}: there is no state to save or load; call setup(link) first"
            )
        for name in "t", "epoch", "skipped":
            setattr(self, name, serializer(name, getattr(self, name)))
        for path, parameter in self.target.namedparams():
            if parameter.array is not None:
                for name, array in self._state(parameter).items():
                    serializer(f"{path[1:]}/{name}", array)
