"""Recurrent networks over whole sequences, of several layers, in one or in both directions.

Each layer is one matrix product for the inputs of all time steps, and a recurrence that
``dynet.scan`` compiles. Sequences of different lengths run side by side in one array: behind its
end a sequence's state stays what it is, in either direction, so that what comes out is what each
sequence alone would give.

The parameters have PyTorch's names, shapes and order of gates, so that what ``torch.nn.LSTM``,
``GRU`` and ``RNN`` saved is read as it is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import check_one_device, get_array_module, is_array, is_integer
from ..functions.activation import relu, tanh
from ..functions.arithmetic import where
from ..functions.array import swapaxes
from ..functions.checks import described, not_negative
from ..functions.connection import linear
from ..functions.indexing import get_item
from ..functions.joining import concat, pad_sequence, stack
from ..functions.noise import dropout
from ..functions.recurrent import gru, lstm
from ..initializers import LeCunNormal
from ..link import Link
from ..parameter import Parameter
from ..scanning import Recurrence
from ..variable import Variable
from .recurrent_cells import EachGate
from .sizes import check_size, sized

# The inputs of all time steps are multiplied at once, in one product, if there are fewer sequences
# than this, or the weights are too large to stay in a core's cache from step to step. Otherwise
# each step multiplies its own: it works as fast, and its sums never leave the cache.
FEW_ROWS = 4
MANY_BYTES = 1 << 20


def _is_array(x):
    return isinstance(x, Variable) or is_array(x)


class _OverTime(Recurrence):
    """The recurrence of one kind of network.

    Args:
        formula: the new state, from the state, a tuple with ``h`` first, and from what the input
            and ``h`` contribute to the gates.
        apart: whether what ``h`` contributes has a bias of its own; if not, both biases are added
            to what the input contributes.
    """

    def __init__(self, formula, apart=False):
        super().__init__(self._take_step)
        self.formula, self.apart = formula, apart

    def _take_step(self, state, x, W_hh, *others):
        x, going = x
        b_hh, *others = others if self.apart else (None, *others)
        if others:  # W_ih and b_ih: x is not multiplied yet
            x = linear(x, *others)
        new = self.formula(state, x, linear(state[0], W_hh, b_hh))
        if going is not None:
            new = tuple([where(going, s, old) for s, old in zip(new, state, strict=True)])
        return new, new[0]


def _lstm_step(state, x, u):
    c, h = lstm(state[1], x + u)
    return h, c


def _gru_step(state, x, u):
    return (gru(state[0], x, u),)


class _NStep(Link):
    """What the networks over whole sequences share: layers, directions, lengths.

    A subclass says of how many blocks its gates are, which states it has, and what a step does.
    """

    _gates = 1
    _directions = ("",)
    _states: tuple[str, ...] = ("hx",)
    _recurrence: _OverTime

    def __init__(
        self,
        n_layers: int,
        in_size: int | None,
        out_size: int,
        dropout: float = 0.0,
        initialW: Any = None,
        initial_bias: Any = None,
    ):
        super().__init__()
        who = type(self).__name__
        check_size(who, n_layers=n_layers, out_size=out_size)
        if in_size is not None:
            check_size(who, in_size=in_size)
        self.n_layers, self.out_size = n_layers, out_size
        self.dropout = not_negative(who, dropout=dropout)
        if self.dropout >= 1:
            raise ValueError(f"{who}: dropout is {dropout}, expected a number from 0 up to 1")
        W = LeCunNormal() if initialW is None else initialW
        b = 0 if initial_bias is None else initial_bias
        rows = self._gates * out_size
        with self.init_scope():
            for layer in range(n_layers):
                width = in_size if layer == 0 else out_size * len(self._directions)
                for direction in self._directions:
                    shapes = {"weight_ih": (rows, width), "weight_hh": (rows, out_size)}
                    for name, shape in shapes.items():
                        name = f"{name}_l{layer}{direction}"
                        # Fortran order makes x @ W.T the faster, as in Linear.
                        setattr(self, name, Parameter(W, shape, name=name, order="F"))
                    dtype = getattr(self, name).wanted_dtype
                    for name, initial in ("bias_ih", b), ("bias_hh", 0):
                        name = f"{name}_l{layer}{direction}"
                        setattr(self, name, Parameter(initial, (rows,), name=name, dtype=dtype))

    def _run(self, states, xs, lengths):
        """The last states, and what comes out: as ``xs`` came, a list or an array."""
        who = type(self).__name__
        several = isinstance(xs, (list, tuple))
        if several:
            if lengths is not None:
                raise ValueError(
                    f"{who}: xs is a list, whose lengths are known; expected no lengths"
                )
            lengths = self._check_list(xs)
            x = swapaxes(pad_sequence(xs), 0, 1)
        else:
            x = xs
            lengths = self._check_array(x, lengths)
        named = dict(zip(self._states, states, strict=True))
        check_one_device(who, {"xs": x, **named, "weight_hh_l0": self.weight_hh_l0})
        steps, n = x.shape[:2]
        going = None  # whether a sequence is not over yet; None if all are of one length
        if lengths is not None and min(lengths) < steps:
            xp = get_array_module(x)
            going = xp.asarray(np.arange(steps)[:, None, None] < np.array(lengths)[:, None])
            if not several:
                x = where(going, x, 0)  # whatever is behind the end, an infinity too, counts not
        states = self._initial(states, x, n)
        waiting = [p for p in self.params() if p.array is None]
        with sized(x, (self._gates * self.out_size, x.shape[2]), *waiting):
            last, y = self._layers(states, x, going)
        if several:
            ys = [get_item(y, (slice(k), i)) for i, k in enumerate(lengths)]
            return *last, ys
        return *last, (y if going is None else where(going, y, 0))

    def _layers(self, states, x, going):
        """The last states, stacked, and the outputs of the last layer, ``(T, N, width)``."""
        last = []
        for layer in range(self.n_layers):
            if layer > 0 and self.dropout:
                x = dropout(x, self.dropout)
            ys = []
            for direction in self._directions:
                state = tuple([get_item(s, len(last)) for s in states])
                state, y = self._scan(f"_l{layer}{direction}", state, x, going, bool(direction))
                last.append(state)
                ys.append(y)
            x = ys[0] if len(ys) == 1 else concat(ys, axis=2)
        return [stack(s) for s in zip(*last, strict=True)], x

    def _scan(self, place, state, x, going, reverse):
        """One layer in one direction: the last state, and ``h`` of all time steps."""
        W_ih, W_hh, b_ih, b_hh = [
            getattr(self, name + place) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        weights, b = ([W_hh, b_hh], b_ih) if self._recurrence.apart else ([W_hh], b_ih + b_hh)
        if x.shape[1] < FEW_ROWS or W_ih.array.nbytes + W_hh.array.nbytes > MANY_BYTES:
            x = linear(x, W_ih, b, n_batch_axes=2)
        else:
            weights += [W_ih, b]
        return self._recurrence(state, (x, going), weights, reverse)

    @property
    def _dtype(self):
        return self.weight_ih_l0.wanted_dtype

    # -- what comes in --------------------------------------------------------------------------

    def _initial(self, states, x, n):
        """The states to start from, each ``(layers * directions, n, out)``; zeros for ``None``."""
        who = type(self).__name__
        shape = self.n_layers * len(self._directions), n, self.out_size
        xp = get_array_module(x)
        made = []
        for name, state in zip(self._states, states, strict=True):
            if state is None:
                state = xp.zeros(shape, x.dtype)
            elif not _is_array(state) or state.dtype != x.dtype:
                raise TypeError(
                    f"{who}: {name} is {described(state)}, expected {x.dtype} {shape}, as xs are"
                )
            elif state.shape != shape:
                raise ValueError(
                    f"{who}: {name} has shape {state.shape}, expected {shape}: layers times "
                    f"directions, sequences, units (xs: {n} sequences)"
                )
            made.append(state)
        return made

    def _check_list(self, xs):
        """The lengths of sequences in a list."""
        who = type(self).__name__
        if not xs:
            raise ValueError(f"{who}: xs is an empty list, expected at least one sequence")
        for i, x in enumerate(xs):
            if not _is_array(x) or x.dtype != self._dtype:
                raise TypeError(
                    f"{who}: xs[{i}] is {described(x)}, expected {self._dtype} (length, features)"
                )
            if x.ndim != 2:
                raise ValueError(
                    f"{who}: xs[{i}] has shape {x.shape}, expected two axes, (length, features)"
                )
            if x.shape[0] == 0:
                raise ValueError(
                    f"{who}: xs[{i}] is an empty sequence, expected at least one time step each"
                )
            self._check_width(f"xs[{i}]", x)
            if x.shape[1] != xs[0].shape[1]:
                raise ValueError(
                    f"{who}: xs[{i}] has {x.shape[1]} features, xs[0] has {xs[0].shape[1]} "
                    f"(xs[{i}]: {x.shape}, xs[0]: {xs[0].shape})"
                )
        return [x.shape[0] for x in xs]

    def _check_array(self, x, lengths):
        """The lengths of sequences in one array; ``None`` if all fill it."""
        who = type(self).__name__
        if not _is_array(x) or x.dtype != self._dtype:
            raise TypeError(
                f"{who}: xs is {described(x)}, expected {self._dtype} (steps, sequences, features) "
                "or a list of sequences"
            )
        if x.ndim != 3 or 0 in x.shape:
            raise ValueError(
                f"{who}: xs has shape {x.shape}, expected three axes, (steps, sequences, "
                "features), of which none is empty"
            )
        self._check_width("xs", x)
        if lengths is None:
            return None
        given = lengths.tolist() if _is_array(lengths) else lengths
        if not isinstance(given, (list, tuple)) or not all(map(is_integer, given)):
            raise TypeError(f"{who}: lengths is {lengths!r}, expected a list of integers")
        if len(given) != x.shape[1]:
            raise ValueError(
                f"{who}: lengths are {len(given)}, expected {x.shape[1]}, one for each sequence "
                f"(xs: {x.shape})"
            )
        for i, n in enumerate(given):
            if not 1 <= n <= x.shape[0]:
                what = (
                    "an empty sequence" if n == 0 else "beyond the array" if n > 0 else "negative"
                )
                raise ValueError(
                    f"{who}: lengths[{i}] is {n}, {what}; expected 1 to {x.shape[0]} "
                    f"(xs: {x.shape})"
                )
        return list(given)

    def _check_width(self, name, x):
        W = self.weight_ih_l0.array
        if W is not None and x.shape[-1] != W.shape[1]:
            raise ValueError(
                f"{type(self).__name__}: {name} has {x.shape[-1]} features, expected {W.shape[1]} "
                f"({name}: {x.shape}, weight_ih_l0: {W.shape})"
            )


class NStepLSTM(_NStep):
    """Long short-term memory over whole sequences: ``F.lstm`` at each step, in several layers.

    Args:
        n_layers: how many layers there are; each reads what the one below puts out.
        in_size: how many features a time step has; ``None`` to learn it from the first input.
        out_size: how many units each layer has, H.
        dropout: the probability with which what goes from layer to layer is dropped in training.
        initialW: an initializer for all weights; ``LeCunNormal()`` by default.
        initial_bias: an initializer, number or array ``(4H,)`` for every ``bias_ih``; by default 0,
            and ``forget_bias_init`` for the forget gates. ``bias_hh`` starts at 0.
        forget_bias_init: an initializer, number or array ``(H,)`` for the forget gates' biases; 1
            by default.

    Attributes:
        weight_ih_l0, weight_hh_l0 (Parameter): ``(4H, in)`` and ``(4H, H)``, blocks ``i, f, g, o``;
            of layer k ``_lk``, of the other direction, where there is one, ``_lk_reverse``.
        bias_ih_l0, bias_hh_l0 (Parameter): ``(4H,)``, of which the sum counts.

    Names, shapes and blocks are those of ``torch.nn.LSTM``: what its ``state_dict()`` holds is
    loaded as it is, from an npz or safetensors file.

    >>> import numpy as np, dynet.links as L
    >>> rnn = L.NStepLSTM(2, 3, 5)
    >>> hy, cy, ys = rnn(None, None, [np.ones((4, 3), "f"), np.ones((2, 3), "f")])
    >>> hy.shape, cy.shape, [y.shape for y in ys]
    ((2, 2, 5), (2, 2, 5), [(4, 5), (2, 5)])
    >>> hy, cy, ys = rnn(hy, cy, np.ones((7, 2, 3), "f"), lengths=[5, 7])
    >>> ys.shape
    (7, 2, 5)

    Source: Hochreiter, Schmidhuber, "Long Short-Term Memory", Neural Computation, 1997.
    """

    _gates = 4
    _states = ("hx", "cx")
    _recurrence = _OverTime(_lstm_step)

    def __init__(
        self,
        n_layers: int,
        in_size: int | None,
        out_size: int,
        dropout: float = 0.0,
        initialW: Any = None,
        initial_bias: Any = None,
        forget_bias_init: Any = 1,
    ):
        if initial_bias is None:
            initial_bias = EachGate("forget_bias_init", [0, forget_bias_init, 0, 0])
        super().__init__(n_layers, in_size, out_size, dropout, initialW, initial_bias)

    def forward(
        self, hx: Any, cx: Any, xs: Any, lengths: Sequence[int] | None = None
    ) -> tuple[Variable, Variable, "Variable | list[Variable]"]:
        """Run all layers over all time steps.

        Args:
            hx, cx: the state to start from, ``(layers * directions, N, H)``; ``None`` for zeros.
            xs: a list of N sequences ``(length, in)``, or one array of them with time first,
                ``(T, N, in)``.
            lengths: with an array, the length of each sequence, in any order: N integers from 1 to
                T, a list, since the program looks at them (an array on a GPU it would wait for);
                by default all have T. What ``xs`` holds behind a sequence's end counts for nothing.

        Returns:
            tuple: ``hy`` and ``cy``, the states at the end of each sequence, shaped like ``hx``;
            and ``ys``, the outputs ``h`` of the last layer, a list as ``xs`` is, of
            ``(length, H * directions)``, or an array ``(T, N, H * directions)`` with zeros behind
            each sequence's end.

        Raises:
            ValueError: a sequence is empty, a length is beyond the array, or shapes do not fit.
            TypeError: ``xs`` or a state is of another dtype than the parameters.
        """
        return self._run((hx, cx), xs, lengths)


class NStepBiLSTM(NStepLSTM):
    """``NStepLSTM`` in both directions: each layer reads what both of the layer below put out.

    Arguments and what comes out are those of ``NStepLSTM``, with two directions: states
    ``(layers * 2, N, H)``, those of a layer next to each other, forward first; outputs ``2H`` wide.

    >>> import numpy as np, dynet.links as L
    >>> hy, cy, ys = L.NStepBiLSTM(1, 3, 5)(None, None, np.ones((7, 2, 3), "f"))
    >>> hy.shape, ys.shape
    ((2, 2, 5), (7, 2, 10))

    Source: Schuster, Paliwal, "Bidirectional Recurrent Neural Networks", IEEE Transactions on
    Signal Processing 45 (1997).
    """

    _directions = ("", "_reverse")


class _OneState(_NStep):
    """The networks whose state is ``h`` alone."""

    def forward(
        self, hx: Any, xs: Any, lengths: Sequence[int] | None = None
    ) -> tuple[Variable, "Variable | list[Variable]"]:
        """Run all layers over all time steps.

        Args:
            hx: the state to start from, ``(layers * directions, N, H)``; ``None`` for zeros.
            xs, lengths: as for ``NStepLSTM``: a list of sequences ``(length, in)``, or one array
                ``(T, N, in)`` and the length of each.

        Returns:
            tuple: ``hy``, the states at the end of each sequence, shaped like ``hx``; and ``ys``,
            what the last layer puts out, as for ``NStepLSTM``.

        Raises:
            ValueError: a sequence is empty, a length is beyond the array, or shapes do not fit.
            TypeError: ``xs`` or ``hx`` is of another dtype than the parameters.
        """
        return self._run((hx,), xs, lengths)


class NStepGRU(_OneState):
    """Gated recurrent units over whole sequences: ``F.gru`` at each step, in several layers.

    Args:
        n_layers, in_size, out_size, dropout: as for ``NStepLSTM``.
        initialW, initial_bias: initializers for all weights and for every ``bias_ih``, ``(3H,)``;
            ``LeCunNormal()`` and 0 by default.

    Attributes:
        weight_ih_l0, weight_hh_l0 (Parameter): ``(3H, in)`` and ``(3H, H)``, blocks ``r, z, n``;
            of layer k ``_lk``, of the other direction, where there is one, ``_lk_reverse``.
        bias_ih_l0, bias_hh_l0 (Parameter): ``(3H,)``.

    Names, shapes, blocks and formula are those of ``torch.nn.GRU``.

    >>> import numpy as np, dynet.links as L
    >>> hy, ys = L.NStepGRU(2, 3, 5)(None, [np.ones((4, 3), "f"), np.ones((2, 3), "f")])
    >>> hy.shape, [y.shape for y in ys]
    ((2, 2, 5), [(4, 5), (2, 5)])

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
    Machine Translation", 2014, https://arxiv.org/abs/1406.1078
    """

    _gates = 3
    _recurrence = _OverTime(_gru_step, apart=True)


class NStepBiGRU(NStepGRU):
    """``NStepGRU`` in both directions, as ``NStepBiLSTM`` is of ``NStepLSTM``.

    >>> import numpy as np, dynet.links as L
    >>> hy, ys = L.NStepBiGRU(1, 3, 5)(None, np.ones((7, 2, 3), "f"))
    >>> hy.shape, ys.shape
    ((2, 2, 5), (7, 2, 10))
    """

    _directions = ("", "_reverse")


class NStepRNNTanh(_OneState):
    """Plain recurrent units over whole sequences: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    Args:
        n_layers, in_size, out_size, dropout: as for ``NStepLSTM``.
        initialW, initial_bias: initializers for all weights and for every ``bias_ih``, ``(H,)``;
            ``LeCunNormal()`` and 0 by default.

    Attributes:
        weight_ih_l0, weight_hh_l0 (Parameter): ``(H, in)`` and ``(H, H)``; of layer k ``_lk``, of
            the other direction, where there is one, ``_lk_reverse``.
        bias_ih_l0, bias_hh_l0 (Parameter): ``(H,)``, of which the sum counts.

    Names and shapes are those of ``torch.nn.RNN``.

    >>> import numpy as np, dynet.links as L
    >>> hy, ys = L.NStepRNNTanh(2, 3, 5)(None, [np.ones((4, 3), "f"), np.ones((2, 3), "f")])
    >>> hy.shape, [y.shape for y in ys]
    ((2, 2, 5), [(4, 5), (2, 5)])

    Source: Elman, "Finding Structure in Time", Cognitive Science 14 (1990).
    """

    _recurrence = _OverTime(lambda state, x, u: (tanh(x + u),))


class NStepBiRNNTanh(NStepRNNTanh):
    """``NStepRNNTanh`` in both directions, as ``NStepBiLSTM`` is of ``NStepLSTM``.

    >>> import numpy as np, dynet.links as L
    >>> hy, ys = L.NStepBiRNNTanh(1, 3, 5)(None, np.ones((7, 2, 3), "f"))
    >>> hy.shape, ys.shape
    ((2, 2, 5), (7, 2, 10))
    """

    _directions = ("", "_reverse")


class NStepRNNReLU(NStepRNNTanh):
    """The same as ``NStepRNNTanh`` with ReLU in place of tanh.

    >>> import numpy as np, dynet, dynet.links as L
    >>> rnn = L.NStepRNNReLU(1, 3, 5)
    >>> rnn.weight_hh_l0.array[...] = np.eye(5)  # the start that makes it an IRNN
    >>> hy, ys = rnn(None, np.ones((7, 2, 3), "f"))
    >>> hy.shape, ys.shape
    ((1, 2, 5), (7, 2, 5))

    Source: Le, Jaitly, Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear
    Units", 2015, https://arxiv.org/abs/1504.00941
    """

    _recurrence = _OverTime(lambda state, x, u: (relu(x + u),))


class NStepBiRNNReLU(NStepRNNReLU):
    """``NStepRNNReLU`` in both directions, as ``NStepBiLSTM`` is of ``NStepLSTM``.

    >>> import numpy as np, dynet.links as L
    >>> hy, ys = L.NStepBiRNNReLU(1, 3, 5)(None, np.ones((7, 2, 3), "f"))
    >>> hy.shape, ys.shape
    ((2, 2, 5), (7, 2, 10))
    """

    _directions = ("", "_reverse")
