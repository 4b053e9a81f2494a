"""Recurrent links: the cells of ``links/recurrent_cells.py`` with a state that they keep.

A link starts from zeros, at the first call and after ``reset_state``. Its state is on the tape of
all steps so far; ``loss.unchain_backward()`` cuts that, and the values go on. It is no parameter:
it is not saved, and copies and pickles of the link start without one. But it moves with the link to
another device. A tape that reaches back behind such a move cannot be swept, since the gradients
of the parameters would be on two devices: ``unchain_backward`` before.
"""

from typing import Any

import numpy as np

from ..backend import get_device_from_array
from ..functions.array import copy
from ..functions.checks import as_variable
from ..variable import Variable
from .recurrent_cells import (
    StatelessGRU,
    StatelessLSTM,
    StatelessMGU,
    StatelessPeepholeLSTM,
    StatelessRNN,
    check_state,
)


class State:
    """What makes a link of a cell whose state is ``h``: it keeps that from call to call."""

    _states: tuple[Any, ...] = (None,)  # until the first call, and again after reset_state
    _hint = "; reset_state() makes room for a new batch"

    def forward(self, x: Any, cont: Any = None) -> Variable:
        """A time step, from the state that the link has to the next one.

        Args:
            x: the input, ``(N, in)``. With fewer rows than before, ``(n, in)``, the first n
                sequences take a step and the others keep their state: sort them by length, the
                longest first.
            cont: ``(n,)``, numbers or booleans: 0 where a sequence starts afresh, with zeros for
                its state, to which no gradient goes back; anything else where it goes on. It gets
                no gradient itself.

        Returns:
            Variable: ``h`` of the sequences that took a step, ``(n, H)``.

        Raises:
            ValueError: there are more rows than before, a shape does not fit, or the arrays are on
                several devices.
            TypeError: the dtypes are not that of the parameters, or an argument is no array.
        """
        self._states = self._advance(self._current(), x, cont)
        h, rows = self._states[-1], x.shape[0]
        return h if h.shape[0] == rows else h[:rows]

    @property
    def h(self) -> Variable | None:
        """The state, ``(N, H)``; ``None`` where the next step starts from zeros."""
        return self._current()[-1]

    def reset_state(self) -> None:
        """Let the next step start from zeros."""
        self._states = type(self)._states

    def set_state(self, h: Any) -> None:
        """Let the next step start from a given state.

        Args:
            h: ``(N, H)``, an array or a Variable, of the dtype of the parameters. It is moved to
                their device if it is on another one; gradients go back to where it came from. It
                is not copied: what changes it in place changes the state.

        Raises:
            ValueError: it has another shape.
            TypeError: it is of another dtype, or no array.
        """
        self._set(h=h)

    def _set(self, **states):
        who, dtype = f"{type(self).__name__}.set_state", self.upward.b.array.dtype
        for name, state in states.items():
            check_state(who, name, state, self.out_size, dtype)
        if len({state.shape for state in states.values()}) > 1:
            came = ", ".join(f"{name}: {state.shape}" for name, state in states.items())
            raise ValueError(f"{who}: c and h have different numbers of rows ({came})")
        self._states = tuple([self._here(as_variable(state)) for state in states.values()])

    def _current(self):
        """The states, on the device of the parameters: they move where those have moved."""
        h = self._states[-1]
        if h is not None and self._here(h) is not h:
            self._states = tuple([self._here(state) for state in self._states])
        return self._states

    def _here(self, state):
        """A state on the device of the parameters; it is the same one if it was there."""
        home = self.upward.b.array
        if type(state.array) is type(home) is np.ndarray:
            return state  # looked at in every step
        device = get_device_from_array(home)
        if state.device == device:
            return state
        with state.device:
            return copy(state, device)

    def __getstate__(self):
        # For copies and pickles: a state is on a tape, which cannot be copied.
        return {name: value for name, value in self.__dict__.items() if name != "_states"}


class StateOfTwo(State):
    """What makes a link of a cell whose state is ``c`` and ``h``."""

    _states = None, None

    @property
    def c(self) -> Variable | None:
        """The cells, ``(N, H)``; ``None`` where the next step starts from zeros."""
        return self._current()[0]

    def set_state(self, c: Any, h: Any) -> None:
        """Let the next step start from a given state.

        Args:
            c, h: ``(N, H)`` each, arrays or Variables, of the dtype of the parameters. They are
                moved to their device if they are on another one; gradients go back to where they
                came from. They are not copied: what changes them in place changes the state.

        Raises:
            ValueError: one has another shape.
            TypeError: one is of another dtype, or no array.
        """
        self._set(c=c, h=h)


class LSTM(StateOfTwo, StatelessLSTM):
    """Long short-term memory with the state kept from call to call, ``h = link(x)``.

    Args:
        in_size, out_size, lateral_init, upward_init, bias_init, forget_bias_init, clip: as for
            ``StatelessLSTM``, which says what it computes.

    Attributes:
        upward, lateral, out_size, clip: as of ``StatelessLSTM``.
        c, h (Variable): the state, ``(N, H)`` each; ``None`` where the next step starts from zeros.

    Raises:
        ValueError: as for ``StatelessLSTM``.

    Source: as of ``StatelessLSTM``.

    >>> import numpy as np, dynet.links as L
    >>> lstm = L.LSTM(3, 5)
    >>> for x in np.ones((7, 2, 3), np.float32):  # 7 steps of 2 sequences
    ...     y = lstm(x)
    >>> y.shape, lstm.c.shape, y is lstm.h
    ((2, 5), (2, 5), True)
    >>> y = lstm(np.ones((1, 3), np.float32))  # the second sequence is over
    >>> y.shape, lstm.h.shape
    ((1, 5), (2, 5))
    >>> lstm.reset_state()
    >>> lstm(np.ones((4, 3), np.float32)).shape
    (4, 5)
    """


class StatefulPeepholeLSTM(StateOfTwo, StatelessPeepholeLSTM):
    """Long short-term memory whose gates see the cells, with its state, ``h = link(x)``.

    Args:
        in_size, out_size, lateral_init, upward_init, bias_init, forget_bias_init, clip: as for
            ``StatelessPeepholeLSTM``, which says what it computes.

    Attributes:
        upward, lateral, w, out_size, clip: as of ``StatelessPeepholeLSTM``.
        c, h (Variable): the state, ``(N, H)`` each; ``None`` where the next step starts from zeros.

    Raises:
        ValueError: as for ``StatelessLSTM``.

    Source: as of ``StatelessPeepholeLSTM``.

    >>> import numpy as np, dynet.links as L
    >>> lstm = L.StatefulPeepholeLSTM(3, 5)
    >>> lstm(np.ones((2, 3), np.float32)).shape
    (2, 5)
    """


class StatefulGRU(State, StatelessGRU):
    """Gated recurrent units with the state kept from call to call, ``h = link(x)``.

    Args:
        in_size, out_size, lateral_init, upward_init, bias_init, forget_bias_init, clip: as for
            ``StatelessGRU``, which says what it computes.

    Attributes:
        upward, lateral, out_size, clip: as of ``StatelessGRU``.
        h (Variable): the state, ``(N, H)``; ``None`` where the next step starts from zeros.

    Raises:
        ValueError: as for ``StatelessLSTM``.

    Source: as of ``StatelessGRU``.

    >>> import numpy as np, dynet.links as L
    >>> gru = L.StatefulGRU(3, 5)
    >>> gru(np.ones((2, 3), np.float32)).shape
    (2, 5)
    """


class MGU(State, StatelessMGU):
    """Minimal gated units with the state kept from call to call, ``h = link(x)``.

    Args:
        in_size, out_size, lateral_init, upward_init, bias_init, forget_bias_init, clip: as for
            ``StatelessMGU``, which says what it computes.

    Attributes:
        upward, lateral_f, lateral_n, out_size, clip: as of ``StatelessMGU``.
        h (Variable): the state, ``(N, H)``; ``None`` where the next step starts from zeros.

    Raises:
        ValueError, TypeError: as for ``StatelessMGU``.

    Source: as of ``StatelessMGU``.

    >>> import numpy as np, dynet.links as L
    >>> mgu = L.MGU(3, 5)
    >>> mgu(np.ones((2, 3), np.float32)).shape
    (2, 5)
    """


class RNN(State, StatelessRNN):
    """A recurrent network without gates, with the state kept from call to call, ``h = link(x)``.

    Args:
        in_size, out_size, activation, lateral_init, upward_init, bias_init, clip: as for
            ``StatelessRNN``, which says what it computes.

    Attributes:
        upward, lateral, out_size, activation, clip: as of ``StatelessRNN``.
        h (Variable): the state, ``(N, H)``; ``None`` where the next step starts from zeros.

    Raises:
        ValueError: as for ``StatelessRNN``.

    Source: as of ``StatelessRNN``.

    >>> import numpy as np, dynet.links as L
    >>> rnn = L.RNN(3, 5, activation="relu")
    >>> rnn(np.ones((2, 3), np.float32)).shape
    (2, 5)
    """
