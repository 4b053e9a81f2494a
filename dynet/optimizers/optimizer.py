"""What all optimizers share: the target, the hooks, the update itself, the state to save.

A subclass states what an update does to one array, in ``update_param``; those of dynet do so
through ``GradientMethod``.
"""

from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backend import beside, check_one_device, get_array_module, get_device_from_array, is_cupy
from ..kernels.arithmetic import COMPILED
from ..link import Link
from ..parameter import Parameter
from ..terms import Rows
from ..variable import Variable
from .hyperparameter import Hyperparameters
from .update_rule import Hookable, UpdateRule


class Optimizer(Hookable):
    """Moves the parameters of a link, of float32 or float64, by their gradients.

    A subclass has a ``Hyperparameter`` for each of its settings, states ``update_param``, and in
    ``state_names`` which arrays like the parameter it keeps for each.

    Args:
        settings: values of the hyperparameters.

    Attributes:
        target (Link): whose parameters it moves.
        hyperparam (Hyperparameters): the settings; each is an attribute of the optimizer too.
        t (int): how many updates there were.
        epoch (int): how often ``new_epoch`` was called.
        proceed: within an update whose being called off only the GPU knows, a boolean there: an
            array without axes. Else ``None``.

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

    def __init__(self, **settings: Any):
        super().__init__()
        self.target: Link | None = None
        self.hyperparam = Hyperparameters(type(self))
        self.t = 0
        self.epoch = 0
        self.skipped = 0
        self.proceed: Any = None
        self._rules: dict[Parameter, UpdateRule] = {}
        for name, value in settings.items():
            setattr(self.hyperparam, name, value)

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
            rule = self._rules[parameter] = UpdateRule(self.hyperparam)
        return rule

    def params(self) -> list[Parameter]:
        """The parameters that an update moves: those enabled ones that have a gradient."""
        # Asked of the node, for to read the gradient itself would make an array of some rows.
        return [p for p in self.target.params() if p.update_enabled and p.node.grad is not None]

    @property
    def skipped(self) -> int:
        """How many updates a hook has called off.

        Where that was found on a GPU, to look at it waits for the GPU.
        """
        if self._asked:
            self.skipped = self._skipped + self._asked - int(self._went)
        return self._skipped

    @skipped.setter
    def skipped(self, n: int) -> None:
        # And what is not yet added to it: of so many updates it is the GPU that knows how many
        # were made, and counts them, in an array without axes.
        self._skipped, self._asked, self._went = n, 0, None

    # -- an update --------------------------------------------------------------------------------

    def update(self, lossfun: Callable | None = None, *args: Any, **kwargs: Any) -> None:
        """Move every parameter that has a gradient, one step.

        Args:
            lossfun: where given, it is called with the other arguments for the loss, whose
                gradients replace those that there were; else the gradients there are count.

        Raises:
            RuntimeError: ``setup`` was not called, no parameter has a gradient, or one of them is
                read-only.
            TypeError: a parameter is not float32 or float64, or ``lossfun`` gives no Variable.
            ValueError: a gradient is not like its parameter, or on another device, or the parameter
                is not contiguous.
        """
        kind = type(self).__name__
        if self.target is None:
            raise RuntimeError(f"{kind}.update: there is nothing to update; call setup(link) first")
        if lossfun is not None:
            self.target.cleargrads()
            loss = lossfun(*args, **kwargs)
            if not isinstance(loss, Variable):
                raise TypeError(
                    f"{kind}.update: lossfun returned {type(loss).__name__}, expected a Variable"
                )
            loss.backward()
        moves = self._moves()
        if not moves:
            raise RuntimeError(
                f"{kind}.update: no parameter has a gradient, of those that disable_update leaves; "
                "call loss.backward() first"
            )
        self._advance(rule for _, rule in moves)
        own = [(p, rule) for p, rule in moves if rule.has_hooks]
        proceed = self._call_hooks("pre", moves)
        if is_cupy(proceed) and not all([is_cupy(rule.array) for _, rule in moves]):
            proceed = bool(proceed)  # a parameter on the CPU has to wait for it
        if proceed is False:
            self._skipped += 1
            return
        try:
            if proceed is not True:
                self.proceed = proceed
                self._asked += 1
                self._went = proceed + (0 if self._went is None else self._went)
            self._call_own_hooks("pre", own)
            self.t += 1
            self.update_params(self._gradients(moves))
        finally:
            self.proceed = None
        self._call_own_hooks("post", own)
        self._call_hooks("post", moves)

    def _moves(self):
        """The parameters that are to be moved, each with its rule, all checked."""
        moves = []
        for p in self.params():
            rule = self.rule(p)
            if p.update_rule is not rule:
                p.update_rule = rule
            W, gradient = p.array, p.node.grad
            given = gradient.gy if type(gradient) is Rows else gradient
            if (
                given.dtype != W.dtype
                or gradient.shape != W.shape
                or type(given) is not type(W)
                or given.device != W.device
                or not getattr(W.flags, "writeable", True)
            ):
                self._check_gradient(p, given)
            if rule.array is not W:
                self._take_array(p, rule)  # a view of it, which of a read-only one would stay so
            moves.append((p, rule))
        return moves

    def _take_array(self, parameter, rule):
        W = parameter.array
        if W.dtype not in COMPILED:
            raise TypeError(f"{self._on(parameter)} is {W.dtype}, expected float32 or float64")
        if not (W.flags.c_contiguous or W.flags.f_contiguous):
            raise ValueError(
                f"{self._on(parameter)} has the strides {W.strides}, expected a contiguous array"
            )
        # Of several GPUs the state would be made on the current one, whose kernels cannot read W.
        check_one_device(f"{type(self).__name__}.update", {parameter.name: W})
        self._keep_state(rule, W)

    def _check_gradient(self, parameter, given):
        W, shape = parameter.array, parameter.node.grad.shape
        if not getattr(W.flags, "writeable", True):
            raise RuntimeError(
                f"{self._on(parameter)} is read-only: in debug mode it is while a tape that was "
                "not swept needs it"
            )
        if given.dtype != W.dtype or shape != W.shape:
            raise ValueError(
                f"{self._on(parameter)} is {W.dtype}, its gradient {given.dtype} {shape}, expected "
                "both alike"
            )
        if isinstance(given, Variable):
            raise TypeError(
                f"{self._on(parameter)} is {type(W).__name__}, its gradient "
                f"{type(given).__name__}, expected an array"
            )
        if given.device != W.device:
            raise ValueError(
                f"{self._on(parameter)} is on {get_device_from_array(W).name}, its gradient on "
                f"{get_device_from_array(given).name}, expected both on one device"
            )

    def _on(self, parameter):
        return f"{type(self).__name__}.update: the parameter {parameter.name} {parameter.shape}"

    def _advance(self, rules):
        self.hyperparam.advance(self.t)
        for rule in rules:
            if rule.settings is not self.hyperparam:
                rule.settings.advance(self.t)

    def _call_hooks(self, timing, moves):
        """Call the optimizer's hooks; whether the update goes on, which only a GPU may know."""
        proceed = True
        for hook in self.hooks(timing):
            if getattr(hook, "call_for_each_param", False):
                for p, rule in moves:
                    if p.node.grad is not None:  # another hook may have cleared it
                        hook(rule, p)
                continue
            said = hook(self)
            if timing == "pre" and said is False:
                return False
            if timing == "pre" and is_cupy(said) and said.dtype == bool:
                if said.shape != ():
                    raise ValueError(
                        f"{type(self).__name__}.update: a hook answered with booleans of shape "
                        f"{said.shape}, expected one, without axes"
                    )
                proceed = said if proceed is True else proceed & said
        return proceed

    def _call_own_hooks(self, timing, moves):
        for p, rule in moves:
            for hook in rule.hooks(timing):
                if p.node.grad is not None:
                    hook(rule, p)

    def _gradients(self, moves):
        """Each gradient with the rule to move its parameter by; rows are moved on the way."""
        for p, rule in moves:
            gradient = p.node.grad
            if gradient is None:
                continue  # a hook has cleared it
            if rule.array is not p.array:
                self._take_array(p, rule)  # a hook has replaced it
            rule.t += 1
            if type(gradient) is Rows:
                if self.update_rows is not None:
                    with self._undone(rule, gradient.ids):
                        self.update_rows(rule.array, gradient.ids, gradient.gy, rule)
                    continue
                gradient = p.grad
            yield gradient, rule

    def update_params(self, moves: Iterable[tuple[Any, UpdateRule]]) -> None:
        """Move several parameters' arrays, by ``update_param`` one after the other.

        A subclass that states this itself leaves all as it is where ``proceed`` is false.

        Args:
            moves: for each its gradient, and its rule, which has the array in ``array``.
        """
        for gW, rule in moves:
            with self._undone(rule, ...):
                self.update_param(rule.array, gW, rule)

    @contextmanager
    def _undone(self, rule, index):
        """Where the GPU finds that the update is not to be, put back what the block changes."""
        if self.proceed is None:
            yield
            return
        arrays = [rule.array, *rule.state.values()]
        before = [x[index].copy() for x in arrays]
        yield
        for x, old in zip(arrays, before, strict=True):
            x[index] = np.where(self.proceed, x[index], old)

    def update_param(self, W: Any, gW: Any, rule: UpdateRule) -> None:
        """Move one parameter's array, in place.

        Args:
            W: the array.
            gW: its gradient, of the same shape and dtype.
            rule: has the settings in ``settings``, in ``state`` the arrays that
                ``state_names`` asks for, to be changed in place, and in ``t`` the number of this
                update, from 1.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update_param")

    def init_state(self, name: str, W: Any) -> Any:
        """What an array of the state is before the first update: zeros like ``W``."""
        return get_array_module(W).zeros_like(W)

    def _keep_state(self, rule, W):
        """Make the state, or bring it to where and how the parameter lies by now."""
        if rule.state is None:
            rule.keep(W, {name: self.init_state(name, W) for name in self.state_names})
            return
        state = dict(rule.state)
        for name, array in state.items():
            if array.shape != W.shape:
                raise ValueError(
                    f"{type(self).__name__}: a parameter has shape {W.shape}, and had "
                    f"{array.shape} when it was moved first; setup(link) starts afresh"
                )
            like = type(array) is type(W) and array.device == W.device and array.dtype == W.dtype
            if not like or array.strides != W.strides:
                state[name] = get_array_module(W).empty_like(W)
                state[name][...] = beside(array, W)
        rule.keep(W, state)

    def new_epoch(self) -> None:
        """Count an epoch."""
        self.epoch += 1

    # -- saving and copying -----------------------------------------------------------------------

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
        self._advance(self._rules.values())

    def _serialize_rule(self, serializer, parameter, rule):
        if parameter.array is None:
            # A parameter that waits for its shape may get it from the same file. Its state waits
            # with it, as parameters, which a serializer knows how to make.
            waiting = {}
            for name in self.state_names:
                state = Parameter(
                    0, parameter.wanted_shape, order=parameter.order, dtype=parameter.wanted_dtype
                )
                waiting[name] = serializer(name, state)
            # All of it, or, where a file is refused in the end, none.
            loaded = waiting and all(state.is_initialized for state in waiting.values())
            rule.keep(None, {n: s.array for n, s in waiting.items()} if loaded else None)
        else:
            self._keep_state(rule, parameter.array)
            for name, array in rule.state.items():
                serializer(name, array)
        rule.t = serializer("t", rule.t)

    def __getstate__(self):
        self.skipped = self.skipped  # as a number
        return self.__dict__ | {"_hooks": self._hooks}

    def __setstate__(self, state):
        for name, value in state.items():
            setattr(self, name, value)
        # A copied parameter knows no optimizer; that of its own it does, once this is copied.
        for parameter, rule in self._rules.items():
            parameter.update_rule = rule
