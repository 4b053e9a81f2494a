"""Recurrent cells: one time step each, from a state and an input to the next state.

A cell is matrix products, ``upward`` from the input and ``lateral`` from the state, and the gates
behind them (``functions/recurrent.py``). What all cells do besides, they do in ``RecurrentCell``:
check what they are given, make zeros of a missing state, start sequences afresh, let sequences end,
clip gradients. A cell keeps nothing from step to step; those that do are in ``links/recurrent.py``.
"""

from typing import Any

import numpy as np

from ..backend import check_one_device, fill, get_array_module, is_array
from ..function import Function
from ..functions.activation import relu, sigmoid, tanh
from ..functions.checks import (
    check_choice,
    check_floating,
    check_numbers,
    described,
    real,
)
from ..functions.joining import concat, split_axis
from ..functions.recurrent import gru, lstm, peephole_lstm
from ..functions.util import clip_gradient
from ..initializers import LeCunNormal
from ..kernels.arithmetic import where
from ..link import Chain
from ..parameter import Parameter
from ..variable import Variable
from .connection import Linear
from .sizes import check_size


class EachGate:
    """Fills the blocks of the gates one by one, as if each were a parameter of its own.

    Args:
        name: of the argument that says with what, for messages.
        initials: for each gate an initializer, a number, or an array of the shape of a block.
        dtype: that the parameter is to have; ``None`` if that is said elsewhere.
    """

    def __init__(self, name: str, initials: list[Any], dtype: Any = None):
        self.name = name
        self.initials = initials
        self.dtype = dtype

    def __call__(self, array: Any) -> None:
        """Fill the blocks, stretches of the first axis."""
        n = len(array) // len(self.initials)
        for i, initial in enumerate(self.initials):
            block = array[i * n : (i + 1) * n]
            fill(block, Parameter(initial, block.shape, name=self.name, dtype=array.dtype).array)


class GoOn(Function):
    """The state of the sequences that go on, and zeros for those that start afresh"""

    __slots__ = ()
    saves = (1,)

    def forward(self, state, cont):
        self.save(cont)
        # Not a product: an infinity or NaN of a sequence that is over would stay.
        return where(cont[:, None] != 0, state, 0)

    def backward(self, gy):
        (cont,) = self.saved
        return where(cont[:, None] != 0, gy, 0), None


class RecurrentCell(Chain):
    """What all cells share; a cell says in ``_step`` what a time step is."""

    _names: tuple[str, ...] = ("h",)  # of the states
    _hint = ""  # how to go on where the states are those of another batch

    def __init__(self, in_size, out_size, upward_init, biases, clip):
        super().__init__()
        who = type(self).__name__
        if out_size is None:
            in_size, out_size = None, in_size
        check_size(who, out_size=out_size)
        if in_size is not None:
            check_size(who, in_size=in_size)
        if clip is not None and not real(who, clip=clip) > 0:
            raise ValueError(f"{who}: clip is {clip!r}, expected a number above 0, or None")
        self.out_size = out_size
        self.clip = clip
        gates = len(biases)
        weights = upward_init
        if not is_array(upward_init):
            dtype = getattr(upward_init, "dtype", None) if callable(upward_init) else None
            weights = _each_gate("upward_init", upward_init, gates, dtype)
        biases = EachGate("bias_init", [0 if b is None else b for b in biases])
        with self.init_scope():
            self.upward = Linear(in_size, gates * out_size, False, weights, biases)

    def _lateral(self, gates, lateral_init, nobias=True):
        """The linear map of a state, of the dtype of that of the input."""
        dtype = self.upward.W.wanted_dtype
        if is_array(lateral_init):
            check_numbers(type(self).__name__, lateral_init=lateral_init)
            weights = lateral_init.astype(dtype)
        else:
            weights = _each_gate("lateral_init", lateral_init, gates, dtype)
        return Linear(self.out_size, gates * self.out_size, nobias, weights)

    def _clipped(self, sums):
        """What goes into the gates; the gradient that comes back from them is clipped."""
        return sums if self.clip is None else clip_gradient(sums, self.clip)

    def forward(self, h: Any, x: Any, cont: Any = None) -> Variable:
        """The next state.

        Args:
            h: the state, ``(N, H)``, of the dtype of the parameters; ``None`` for zeros.
            x: the input, ``(N, in)``. With fewer rows, ``(n, in)``, the first n sequences take a
                step and the others keep their state: sort them by length, the longest first.
            cont: ``(n,)``, numbers or booleans: 0 where a sequence starts afresh, with zeros for
                its state, to which no gradient goes back; anything else where it goes on. It gets
                no gradient itself.

        Returns:
            Variable: the next ``h``, ``(N, H)``.

        Raises:
            ValueError: a shape does not fit, or the arrays are on several devices.
            TypeError: the dtypes are not that of the parameters, or an argument is no array.
        """
        (h,) = self._advance((h,), x, cont)
        return h

    def _step(self, *states_and_x):
        """The next states, a tuple, from those before and the input, all of as many rows."""
        raise NotImplementedError

    def _advance(self, states, x, cont):
        """The next states, a tuple, from whatever a call was given: ``_step`` and all around it."""
        dtype, rest = self.upward.b.array.dtype, None
        try:
            rows, _ = x.shape
            shape = rows, self.out_size
            fits = x.dtype == dtype
            for state in states:
                fits = fits and state.shape == shape and state.dtype == dtype
        except (AttributeError, ValueError):
            fits = False
        if not fits:
            states, rest = self._fitted(states, x, dtype)
        if cont is not None:
            check_numbers(type(self).__name__, cont=cont)
            if cont.shape != (rows,):
                raise ValueError(
                    f"{type(self).__name__}: cont has shape {cont.shape}, expected ({rows},), one "
                    f"for each row of x (x: {x.shape})"
                )
            if type(cont) is np.ndarray and cont.all():
                cont = None  # as at most steps there is nothing to be done
        try:
            if cont is not None:
                states = [GoOn().apply(state, cont) for state in states]
            states = self._step(*states, x)
        except (TypeError, ValueError):
            named = dict(zip(self._names, states, strict=True))
            given = {"x": x, **named, "cont": cont, "upward.b": self.upward.b}
            check_one_device(type(self).__name__, given)
            raise
        if rest is None:
            return states
        return tuple([concat(parts, axis=0) for parts in zip(states, rest, strict=True)])

    def _fitted(self, states, x, dtype):
        """The states that take a step, zeros for ``None``; and the rows of states that do not.

        There are such rows where ``x`` has fewer; else they are ``None``. What does not fit is an
        error.
        """
        who = type(self).__name__
        check_floating(who, x=x)
        if x.ndim != 2:
            raise ValueError(f"{who}: x has shape {x.shape}, expected (N, in_size)")
        if x.dtype != dtype:
            raise TypeError(
                f"{who}: x is {described(x)}, the parameters are {dtype}; expected one floating "
                "dtype"
            )
        given = {n: s for n, s in zip(self._names, states, strict=True) if s is not None}
        for name, state in given.items():
            check_state(who, name, state, self.out_size, dtype)
        rows = x.shape[0]
        lengths = {state.shape[0] for state in given.values()} or {rows}
        shapes = ", ".join(f"{name}: {a.shape}" for name, a in {"x": x, **given}.items())
        if len(lengths) > 1:
            raise ValueError(f"{who}: c and h have different numbers of rows ({shapes})")
        (n,) = lengths
        if rows > n:
            raise ValueError(
                f"{who}: x has {rows} rows, the state has {n}; expected as many, or fewer where "
                f"sequences are over ({shapes}){self._hint}"
            )
        if len(given) < len(states):
            zeros = get_array_module(self.upward.b).zeros((n, self.out_size), dtype)
            states = [zeros if state is None else state for state in states]
        if n == rows:
            return states, None
        return zip(*[split_axis(state, [rows], axis=0) for state in states], strict=True)


def _each_gate(name, initial, gates, dtype):
    return EachGate(name, [LeCunNormal() if initial is None else initial] * gates, dtype)


def check_state(link: str, name: str, state: Any, width: int, dtype: Any) -> None:
    """Raise unless something is a state, of any number of rows."""
    check_floating(link, **{name: state})
    if state.dtype != dtype:
        raise TypeError(
            f"{link}: {name} is {described(state)}, the parameters are {dtype}; expected one "
            "floating dtype"
        )
    if state.ndim != 2 or state.shape[1] != width:
        raise ValueError(f"{link}: {name} has shape {state.shape}, expected (N, {width})")


class StatelessLSTM(RecurrentCell):
    """A step of long short-term memory, ``c, h = cell(c, h, x)``.

    ``F.lstm`` says what it computes, of ``upward(x) + lateral(h)``, whose blocks are those of the
    gates ``i, f, g, o``, as in PyTorch: ``upward.W`` is its ``weight_ih``, ``lateral.W`` its
    ``weight_hh``, ``upward.b`` the sum of its two biases.

    Args:
        in_size: how many features the input has; ``None`` to learn it from the first one.
        out_size: how many units there are, H; ``StatelessLSTM(n)`` alone means
            ``StatelessLSTM(None, n)``.
        lateral_init: for ``lateral.W``: an initializer, which fills the block ``(H, H)`` of each
            gate as if it were alone, a number, or the whole as an array ``(4H, H)``, which is
            converted to the dtype of ``upward.W``; ``LeCunNormal()`` by default.
        upward_init: for ``upward.W``: likewise, blocks ``(H, in)``, the whole ``(4H, in)``.
        bias_init: for the block of ``upward.b`` of each gate but the forget gate: an initializer,
            a number or an array ``(H,)``; 0 by default.
        forget_bias_init: for that of the forget gate, likewise. The larger it is, the longer the
            cell remembers at first.
        clip: the largest that an element of the gradient may be that comes back from the gates to
            the sums which go into them; ``None`` to leave gradients alone. As all that goes back
            through time passes there, it acts at every time step.

    Attributes:
        upward (Linear): of the input, with a bias.
        lateral (Linear): of the state, without one.
        out_size, clip: as given.

    Raises:
        ValueError: a size is no positive integer, or ``clip`` is not above 0; or an initial array
            has another shape than its parameter.

    Source: Hochreiter, Schmidhuber, "Long Short-Term Memory", Neural Computation, 1997; with the
    forget gate of Gers, Schmidhuber, Cummins, "Learning to Forget", 2000, whose bias starts at 1
    as in Jozefowicz, Zaremba, Sutskever, "An Empirical Exploration of Recurrent Network
    Architectures", 2015. Clipping: Graves, "Generating Sequences With Recurrent Neural Networks",
    2013, section 2.1.

    >>> import numpy as np, dynet.links as L
    >>> cell = L.StatelessLSTM(3, 5)
    >>> c = h = None
    >>> for x in np.ones((7, 2, 3), np.float32):  # 7 steps of 2 sequences
    ...     c, h = cell(c, h, x)
    >>> c.shape, h.shape
    ((2, 5), (2, 5))
    """

    _names = "c", "h"

    def __init__(
        self,
        in_size: int | None,
        out_size: int | None = None,
        lateral_init: Any = None,
        upward_init: Any = None,
        bias_init: Any = None,
        forget_bias_init: Any = 1,
        clip: float | None = None,
    ):
        biases = [bias_init, forget_bias_init, bias_init, bias_init]
        super().__init__(in_size, out_size, upward_init, biases, clip)
        with self.init_scope():
            self.lateral = self._lateral(4, lateral_init)

    def forward(self, c: Any, h: Any, x: Any, cont: Any = None) -> tuple[Variable, Variable]:
        """The next state, ``c`` and ``h``, ``(N, H)`` each.

        Args:
            c, h: the state, likewise; ``None`` for zeros.
            x, cont: as for the other cells: ``(N, in)`` or fewer rows, ``(N,)`` or as few.

        Raises:
            ValueError: a shape does not fit, or the arrays are on several devices.
            TypeError: the dtypes are not that of the parameters, or an argument is no array.
        """
        return self._advance((c, h), x, cont)

    def _step(self, c, h, x):
        return lstm(c, self._clipped(self.upward(x) + self.lateral(h)))


class StatelessPeepholeLSTM(StatelessLSTM):
    """A step of long short-term memory whose gates see the cells, ``c, h = cell(c, h, x)``.

    ``F.peephole_lstm`` says what it computes, of ``upward(x) + lateral(h)``, whose blocks are those
    of the gates ``i, f, g, o``; each of ``i``, ``f`` and ``o`` sees its own unit's cell.

    Args:
        in_size, out_size, lateral_init, upward_init, bias_init, forget_bias_init, clip: as for
            ``StatelessLSTM``.

    Attributes:
        upward, lateral, out_size, clip: as of ``StatelessLSTM``.
        w (Parameter): what the gates ``i``, ``f`` and ``o`` see their cell with, ``(3, H)``; 0 at
            first.

    Raises:
        ValueError: as for ``StatelessLSTM``.

    Source: Gers, Schraudolph, Schmidhuber, "Learning Precise Timing with LSTM Recurrent
    Networks", JMLR, 2002.

    >>> import numpy as np, dynet.links as L
    >>> cell = L.StatelessPeepholeLSTM(3, 5)
    >>> c, h = cell(None, None, np.ones((2, 3), np.float32))
    >>> c.shape, h.shape, cell.w.shape
    ((2, 5), (2, 5), (3, 5))
    """

    def __init__(
        self,
        in_size: int | None,
        out_size: int | None = None,
        lateral_init: Any = None,
        upward_init: Any = None,
        bias_init: Any = None,
        forget_bias_init: Any = 1,
        clip: float | None = None,
    ):
        super().__init__(
            in_size, out_size, lateral_init, upward_init, bias_init, forget_bias_init, clip
        )
        with self.init_scope():
            self.w = Parameter(0, (3, self.out_size), dtype=self.upward.W.wanted_dtype)

    def _step(self, c, h, x):
        return peephole_lstm(c, self._clipped(self.upward(x) + self.lateral(h)), self.w)


class StatelessGRU(RecurrentCell):
    """A step of gated recurrent units, ``h = cell(h, x)``.

    ``F.gru`` says what it computes, of ``upward(x)`` and ``lateral(h)``, whose blocks are those of
    the gates ``r, z, n``, as in PyTorch: ``upward`` has its ``weight_ih`` and ``bias_ih``,
    ``lateral`` its ``weight_hh`` and ``bias_hh``.

    Args:
        in_size, out_size, lateral_init, upward_init, bias_init, clip: as for ``StatelessLSTM``,
            with three gates.
        forget_bias_init: for the block of ``upward.b`` of the update gate ``z``. The larger it is,
            the longer the state stays at first.

    Attributes:
        upward (Linear): of the input, with a bias.
        lateral (Linear): of the state, with a bias, 0 at first.
        out_size, clip: as given.

    Raises:
        ValueError: as for ``StatelessLSTM``.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
    Machine Translation", 2014, https://arxiv.org/abs/1406.1078

    >>> import numpy as np, dynet.links as L
    >>> cell = L.StatelessGRU(3, 5)
    >>> cell(None, np.ones((2, 3), np.float32)).shape
    (2, 5)
    """

    def __init__(
        self,
        in_size: int | None,
        out_size: int | None = None,
        lateral_init: Any = None,
        upward_init: Any = None,
        bias_init: Any = None,
        forget_bias_init: Any = 0,
        clip: float | None = None,
    ):
        biases = [bias_init, forget_bias_init, bias_init]
        super().__init__(in_size, out_size, upward_init, biases, clip)
        with self.init_scope():
            self.lateral = self._lateral(3, lateral_init, nobias=False)

    def _step(self, h, x):
        return (gru(h, self._clipped(self.upward(x)), self._clipped(self.lateral(h))),)


class StatelessMGU(RecurrentCell):
    """A step of minimal gated units, ``h = cell(h, x)``: with one gate, which forgets. ::

        f = sigmoid(x_f + lateral_f(h))
        n = tanh(x_n + lateral_n(f * h))
        h_next = (1 - f) * h + f * n

    Here ``x_f`` and ``x_n`` are the two blocks of ``upward(x)``. As in the paper the state is
    forgotten where ``f`` is large.

    Args:
        in_size, out_size, lateral_init, upward_init, bias_init, clip: as for ``StatelessLSTM``;
            an array for ``lateral_init`` is ``(H, H)``, for both of ``lateral_f`` and
            ``lateral_n``.
        forget_bias_init: a number or an array ``(H,)``: the block of ``upward.b`` of the gate is
            *minus* this, so that, as in the other cells, the larger it is, the longer the state
            stays at first.

    Attributes:
        upward (Linear): of the input, with a bias.
        lateral_f (Linear): of the state, for the gate, without a bias.
        lateral_n (Linear): of what the gate lets through, without a bias.
        out_size, clip: as given.

    Raises:
        ValueError: as for ``StatelessLSTM``.
        TypeError: ``forget_bias_init`` is neither a number nor an array.

    Source: Zhou, Wu, Zhang, Zhou, "Minimal Gated Unit for Recurrent Neural Networks", 2016,
    https://arxiv.org/abs/1603.09420

    >>> import numpy as np, dynet.links as L
    >>> cell = L.StatelessMGU(3, 5)
    >>> cell(None, np.ones((2, 3), np.float32)).shape
    (2, 5)
    """

    def __init__(
        self,
        in_size: int | None,
        out_size: int | None = None,
        lateral_init: Any = None,
        upward_init: Any = None,
        bias_init: Any = None,
        forget_bias_init: Any = 0,
        clip: float | None = None,
    ):
        if not is_array(forget_bias_init):
            forget_bias_init = real(type(self).__name__, forget_bias_init=forget_bias_init)
        super().__init__(in_size, out_size, upward_init, [-forget_bias_init, bias_init], clip)
        with self.init_scope():
            self.lateral_f = self._lateral(1, lateral_init)
            self.lateral_n = self._lateral(1, lateral_init)

    def _step(self, h, x):
        x_f, x_n = split_axis(self.upward(x), 2, axis=1)
        f = sigmoid(self._clipped(x_f + self.lateral_f(h)))
        n = tanh(self._clipped(x_n + self.lateral_n(f * h)))
        return (h + f * (n - h),)


class StatelessRNN(RecurrentCell):
    """A step of a recurrent network without gates: ``h = tanh(upward(x) + lateral(h))``.

    Args:
        in_size, out_size: as for ``StatelessLSTM``.
        activation: ``"tanh"`` or ``"relu"``. With ``"relu"``, and ``initializers.Identity()`` for
            ``lateral_init``, it is the network of Le, Jaitly, Hinton, "A Simple Way to Initialize
            Recurrent Networks of Rectified Linear Units", 2015, https://arxiv.org/abs/1504.00941
        lateral_init, upward_init, bias_init, clip: as for ``StatelessLSTM``, with one block.

    Attributes:
        upward (Linear): of the input, with a bias; as PyTorch's ``weight_ih``.
        lateral (Linear): of the state, without one; as PyTorch's ``weight_hh``.
        out_size, activation, clip: as given.

    Raises:
        ValueError: as for ``StatelessLSTM``, or there is no such activation.

    Source: Elman, "Finding Structure in Time", Cognitive Science, 1990.

    >>> import numpy as np, dynet.links as L
    >>> cell = L.StatelessRNN(3, 5, activation="relu")
    >>> cell(None, np.ones((2, 3), np.float32)).shape
    (2, 5)
    """

    def __init__(
        self,
        in_size: int | None,
        out_size: int | None = None,
        activation: str = "tanh",
        lateral_init: Any = None,
        upward_init: Any = None,
        bias_init: Any = None,
        clip: float | None = None,
    ):
        check_choice(type(self).__name__, ("tanh", "relu"), activation=activation)
        super().__init__(in_size, out_size, upward_init, [bias_init], clip)
        self.activation = activation
        with self.init_scope():
            self.lateral = self._lateral(1, lateral_init)

    def _step(self, h, x):
        sums = self._clipped(self.upward(x) + self.lateral(h))
        return (tanh(sums) if self.activation == "tanh" else relu(sums),)
