"""What all optimizers share: the target, the settings, the hooks, the state to save.

The optimizer's settings are in its ``hyperparam``; each parameter has an ``UpdateRule`` with
settings of its own, which come first. An optimizer states what an update does to one array.
"""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from ..backend import get_array_module
from ..link import Link
from ..parameter import Parameter
from ..terms import Rows


class Hyperparameter:
    """A setting of an optimizer, as an attribute: ``optimizer.lr`` is ``optimizer.hyperparam.lr``.

    Args:
        expected: what it must be, in words.
        test: whether a number is that.
    """

    def __init__(
        self, expected: str = "a number >= 0", test: Callable[[float], bool] = lambda v: v >= 0
    ):
        self.expected = expected
        self.test = test

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, optimizer, owner=None):
        return self if optimizer is None else getattr(optimizer.hyperparam, self.name)

    def __set__(self, optimizer, value):
        setattr(optimizer.hyperparam, self.name, value)


def fraction() -> Hyperparameter:
    """A setting from 0 up to, not including, 1: how much of an average stays."""
    return Hyperparameter("a number >= 0 and < 1", lambda v: 0 <= v < 1)


class Hyperparameters:
    """Settings by name; a parameter's own ones hide those of its optimizer.

    A setting is a number, or a schedule: a function of the number of updates that there were
    before (see ``dynet.optimizers.schedules``). To read it gives the number.

    Args:
        kind (type): of the optimizer, whose ``Hyperparameter`` attributes say what there is.
        parent: the settings of the optimizer, for those of a parameter.
    """

    def __init__(self, kind: type, parent: "Hyperparameters | None" = None):
        self.__dict__.update(_kind=kind, _parent=parent, _schedules={})

    def __getattr__(self, name):  # asked only for what this object has not itself
        if name.startswith("_") or self._parent is None:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return getattr(self._parent, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setting = getattr(self._kind, name, None)
        if not isinstance(setting, Hyperparameter):
            there = [
                n for n in dir(self._kind) if isinstance(getattr(self._kind, n), Hyperparameter)
            ]
            raise AttributeError(
                f"{self._kind.__name__} has no hyperparameter {name!r}; it has {', '.join(there)}"
            )
        schedule = value if callable(value) else None
        value = self._check(name, schedule(0) if schedule else value)
        self._schedules.pop(name, None)
        if schedule:
            self._schedules[name] = schedule
        self.__dict__[name] = value

    def _check(self, name, value):
        setting = getattr(self._kind, name)
        if not isinstance(value, (Real, bool)):
            raise TypeError(
                f"{self._kind.__name__}: {name} is {type(value).__name__}, expected "
                f"{setting.expected}, or a function of the number of updates that gives one"
            )
        if not setting.test(value):
            raise ValueError(
                f"{self._kind.__name__}: {name} is {value}, expected {setting.expected}"
            )
        return value

    def advance(self, t: int) -> None:
        """Set what has a schedule to its value after ``t`` updates."""
        for name, schedule in self._schedules.items():
            self.__dict__[name] = self._check(name, schedule(t))


class Hookable:
    """What hooks can be added to: an optimizer, or the rule of one parameter."""

    def __init__(self):
        self._hooks: dict[str, tuple[Callable, str]] = {}

    def add_hook(self, hook: Callable, name: str | None = None, timing: str = "auto") -> None:
        """Call a hook at every update.

        A hook with a true attribute ``call_for_each_param`` is called as ``hook(rule, parameter)``
        for each parameter that is moved; any other, of an optimizer, as ``hook(optimizer)``.
        Where one of these returns ``False`` before the update, it is skipped and counted.

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
        if not callable(hook):
            raise TypeError(f"{kind}.add_hook: hook is {type(hook).__name__}, expected a callable")
        name = name or getattr(hook, "name", None) or getattr(hook, "__name__", "hook")
        if name in self._hooks:
            raise ValueError(f"add_hook: there already is a hook called {name!r}")
        if timing == "auto":
            timing = getattr(hook, "timing", "pre")
        if timing not in ("pre", "post"):
            raise ValueError(
                f"{kind}.add_hook: timing is {timing!r}, expected 'pre', 'post' or 'auto'"
            )
        self._hooks[name] = hook, timing

    def remove_hook(self, name: str) -> None:
        """Forget a hook by its name.

        Raises:
            KeyError: there is none of that name.
        """
        if name not in self._hooks:
            raise KeyError(f"remove_hook: there is no hook called {name!r}")
        del self._hooks[name]

    def hooks(self, timing: str, for_each: bool) -> list[Callable]:
        """Those hooks that are called at a time, for each parameter or once."""
        return [
            hook
            for hook, when in self._hooks.values()
            if when == timing and getattr(hook, "call_for_each_param", False) == for_each
        ]


class UpdateRule(Hookable):
    """How one parameter is moved.

    Attributes:
        hyperparam (Hyperparameters): settings of this parameter alone; the optimizer's where
            it has none.
        state (dict): the arrays that the optimizer keeps for the parameter; ``None`` before the
            first update.
        t (int): how often the parameter was moved.
    """

    def __init__(self, hyperparam: Hyperparameters):
        super().__init__()
        self.hyperparam = hyperparam
        self.state: dict[str, Any] | None = None
        self.t = 0

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

    def hooks(self, timing: str, for_each: bool = True) -> list[Callable]:
        """Those hooks that are called at a time."""
        return [hook for hook, when in self._hooks.values() if when == timing]


class Optimizer(Hookable):
    """Moves the parameters of a link by their gradients.

    A subclass has a ``Hyperparameter`` for each of its settings, states ``update_param``, and in
    ``state_names`` which arrays like the parameter it keeps for each.

    Attributes:
        target (Link): whose parameters it moves.
        hyperparam (Hyperparameters): the settings; each is an attribute of the optimizer too.
        t (int): how many updates there were.
        epoch (int): how often ``new_epoch`` was called.
        skipped (int): how many updates a hook has called off.

    >>> import numpy as np, dynet, dynet.links as L
    >>> model = L.Linear(3, 1)
    >>> optimizer = dynet.optimizers.MomentumSGD(lr=0.1).setup(model)
    >>> model.b.update_rule.hyperparam.lr = 0.2  # of the bias alone
    >>> optimizer.update(lambda x: model(x).sum(), np.ones((1, 3), np.float32))
    >>> optimizer.t
    1
    """

    state_names: tuple[str, ...] = ()

    # The update of a table of which only some rows have a gradient, as `update_param` with the
    # rows' numbers before the gradient: a method where a row without a gradient stays as it is.
    update_rows: Callable | None = None

    def __init__(self):
        super().__init__()
        self.target: Link | None = None
        self.hyperparam = Hyperparameters(type(self))
        self.t = 0
        self.epoch = 0
        self.skipped = 0
        self._rules: dict[Parameter, UpdateRule] = {}

    def setup(self, link: Link) -> "Optimizer":
        """Take a link's parameters to move, and start afresh.

        Returns:
            Optimizer: this one.
        """
        if not isinstance(link, Link):
            raise TypeError(f"setup: link is {type(link).__name__}, expected a Link")
        self.target = link
        self.t = self.epoch = self.skipped = 0
        self._rules = {}
        for parameter in link.params():
            parameter.update_rule = self.rule(parameter)
        return self

    def rule(self, parameter: Parameter) -> UpdateRule:
        """The update rule of a parameter, made where there is none yet."""
        rule = self._rules.get(parameter)
        if rule is None:
            rule = UpdateRule(Hyperparameters(type(self), self.hyperparam))
            self._rules[parameter] = rule
        return rule

    def params(self) -> list[Parameter]:
        """The parameters that an update moves: those enabled ones that have a gradient."""
        # Asked of the node, for to read the gradient itself would make an array of some rows.
        return [p for p in self.target.params() if p.update_enabled and p.node.grad is not None]

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
        parameters = self.params()
        if not parameters:
            raise RuntimeError(
                f"{kind}.update: no parameter has a gradient, of those that disable_update leaves; "
                "call loss.backward() first"
            )
        for p in parameters:
            self._check_writable(p)
        self._advance()
        for hook in self.hooks("pre", for_each=False):
            if hook(self) is False:
                self.skipped += 1
                return
        self._call_for_each("pre", parameters)
        self.t += 1
        for p in parameters:
            self._move(p)
        for hook in self.hooks("post", for_each=False):
            hook(self)
        self._call_for_each("post", parameters)

    def _advance(self):
        self.hyperparam.advance(self.t)
        for rule in self._rules.values():
            rule.hyperparam.advance(self.t)

    def _call_for_each(self, timing, parameters):
        shared = self.hooks(timing, for_each=True)
        for p in parameters:
            rule = self.rule(p)
            for hook in (*shared, *rule.hooks(timing)):
                hook(rule, p)

    def _move(self, parameter):
        rule = parameter.update_rule = self.rule(parameter)
        rule.t += 1
        self._prepare_state(rule, parameter.array)
        gradient = parameter.node.grad
        if type(gradient) is Rows and self.update_rows is not None:
            self.update_rows(parameter.array, gradient.ids, gradient.gy, rule)
        else:
            self.update_param(parameter.array, parameter.grad, rule)

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

    def update_param(self, W: Any, gW: Any, rule: UpdateRule) -> None:
        """Move one parameter's array, in place.

        Args:
            W: the array.
            gW: its gradient, of the same shape.
            rule: has the settings in ``hyperparam``, in ``state`` the arrays that
                ``state_names`` asks for, to be changed in place, and in ``t`` the number of this
                update, from 1.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update_param")

    def init_state(self, name: str, W: Any) -> Any:
        """What an array of the state is before the first update: zeros like ``W``."""
        return get_array_module(W).zeros_like(W)

    def _prepare_state(self, rule, W):
        if rule.state is None:
            rule.state = {name: self.init_state(name, W) for name in self.state_names}
        for name, array in rule.state.items():
            if type(array) is not type(W):  # the parameter has moved to another device
                array = array if get_array_module(array) is np else array.get()
                rule.state[name] = get_array_module(W).asarray(array)

    def new_epoch(self) -> None:
        """Count an epoch."""
        self.epoch += 1

    def serialize(self, serializer) -> None:
        """Give a serializer the counts and every parameter's state, or take them from it.

        The settings are not among them: a program that goes on states them as it did at first.
        """
        if self.target is None:
            raise RuntimeError(
                f"{type(self).__name__}: there is no state to save or load; call setup(link) first"
            )
        for name in "t", "epoch", "skipped":
            setattr(self, name, serializer(name, getattr(self, name)))
        for path, parameter in self.target.namedparams():
            self._serialize_rule(serializer[path[1:]], parameter, self.rule(parameter))
        self._advance()

    def _serialize_rule(self, serializer, parameter, rule):
        if parameter.array is None:
            # A parameter that waits for its shape may get it from the same file. Its state waits
            # with it, as parameters, which a serializer knows how to make.
            waiting = {}
            for name in self.state_names:
                state = Parameter(0, parameter.wanted_shape, order=parameter.order)
                state.wanted_dtype = parameter.wanted_dtype
                waiting[name] = serializer(name, state)
            if waiting and all(state.is_initialized for state in waiting.values()):
                rule.state = {name: state.array for name, state in waiting.items()}
        else:
            self._prepare_state(rule, parameter.array)
            for name, array in rule.state.items():
                serializer(name, array)
        rule.t = serializer("t", rule.t)
