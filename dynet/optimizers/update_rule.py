"""How one parameter is moved: its settings, its hooks, and what the optimizer remembers of it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from .hyperparameter import Hyperparameters

NO_HOOKS: dict[str, tuple[Callable, str]] = {}


class Hookable:
    """What hooks can be added to: an optimizer, or the rule of one parameter."""

    __slots__ = ("_hooks",)

    def __init__(self):
        self._hooks: Mapping[str, tuple[Callable, str]] = NO_HOOKS

    def add_hook(self, hook: Callable, name: str | None = None, timing: str = "auto") -> None:
        """Call a hook at every update, after those that were added before it.

        A hook with a true attribute ``call_for_each_param`` is called as ``hook(rule, parameter)``
        for each parameter that is moved; any other, of an optimizer, as ``hook(optimizer)``.
        Where one of these returns ``False`` before the update, it is skipped and counted. It may
        return a boolean of a GPU, an array without axes, which nobody waits for: where that is
        false, the parameters and the optimizer's state stay as they are, and it is counted. Only,
        the number of updates, of which schedules and Adam take note, goes on, and the other hooks
        are called.

        Args:
            hook: a callable.
            name: by default the hook's own ``name``.
            timing: ``"pre"``, before the update, or ``"post"``, after it; ``"auto"`` is the
                hook's own ``timing``, or else ``"pre"``.

        Raises:
            ValueError: there is a hook of that name, or the timing is another word.
            TypeError: ``hook`` cannot be called.
        """
        kind = type(self).__name__
        if not callable(hook) or isinstance(hook, type):
            raise TypeError(
                f"{kind}.add_hook: hook is {hook!r}, expected something to call at every update"
            )
        name = name or getattr(hook, "name", None) or getattr(hook, "__name__", "hook")
        if name in self._hooks:
            raise ValueError(
                f"{kind}.add_hook: there already is a hook called {name!r}; "
                "add_hook(hook, name) gives this one another name"
            )
        if timing == "auto":
            timing = getattr(hook, "timing", "pre")
        if timing not in ("pre", "post"):
            raise ValueError(
                f"{kind}.add_hook: timing is {timing!r}, expected 'pre', 'post' or 'auto'"
            )
        self._hooks = {**self._hooks, name: (hook, timing)}

    def remove_hook(self, name: str) -> None:
        """Forget a hook by its name.

        Raises:
            KeyError: there is none of that name.
        """
        if name not in self._hooks:
            raise KeyError(f"remove_hook: there is no hook called {name!r}")
        self._hooks = {n: hook for n, hook in self._hooks.items() if n != name}

    @property
    def has_hooks(self) -> bool:
        """Whether there are any."""
        return bool(self._hooks)

    def hooks(self, timing: str) -> list[Callable]:
        """Those hooks that are called at a time, in the order in which they were added."""
        return [hook for hook, when in self._hooks.values() if when == timing]


class UpdateRule(Hookable):
    """How one parameter is moved.

    Args:
        settings: those of the optimizer.

    Attributes:
        t (int): how often the parameter was moved.
        settings (Hyperparameters): what is in force: ``hyperparam``, or while nobody has asked for
            that, those of the optimizer.
        array: of the parameter, as it was found at the last update.
        vectors (list): that array and the state as vectors that share their memory; ``None`` where
            they are not NumPy's.
    """

    # Slots, so that a misspelt attribute is an error. Of a parameter that nobody has singled out
    # there is nothing but this object to look at: of many small ones the looking is most of it.
    __slots__ = ("_shared", "_state", "array", "settings", "t", "vectors")

    def __init__(self, settings: Hyperparameters):
        super().__init__()
        self._shared = self.settings = settings
        self._state: dict[str, Any] | None = None
        self.t = 0
        self.array = self.vectors = None

    @property
    def hyperparam(self) -> Hyperparameters:
        """Settings of this parameter alone; the optimizer's where it has none."""
        if self.settings is self._shared:
            self.settings = self._shared.of_one_parameter()
        return self.settings

    @property
    def state(self) -> Mapping[str, Any] | None:
        """The arrays that the optimizer keeps for the parameter; none before the first update."""
        return None if self._state is None else MappingProxyType(self._state)

    def keep(self, W: Any, state: dict[str, Any]) -> None:
        """Move this array from now on, with that state; both are contiguous, in one order."""
        self.array, self._state, self.vectors = W, state, None
        if type(W) is np.ndarray:
            self.vectors = [x.ravel("K") for x in (W, *state.values())]

    def __getstate__(self):
        return self._hooks, self._shared, self._state, self.settings, self.t

    def __setstate__(self, state):
        self._hooks, self._shared, self._state, self.settings, self.t = state
        self.array = self.vectors = None  # copied vectors would have memory of their own

    def add_hook(self, hook: Callable, name: str | None = None, timing: str = "auto") -> None:
        """As ``Optimizer.add_hook``, for this parameter only, called as ``hook(rule, parameter)``.

        Raises:
            TypeError: the hook is one for a whole optimizer.
        """
        if not getattr(hook, "call_for_each_param", True):
            raise TypeError(
                f"add_hook: {type(hook).__name__} looks at all parameters together; add it to the "
                "optimizer, not to the rule of one parameter"
            )
        super().add_hook(hook, name, timing)
