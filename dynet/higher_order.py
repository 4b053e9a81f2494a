"""Gradients as values: ``grad``, and how a gradient is itself put on the tape.

In an ordinary sweep a backward rule gets arrays. When its gradient is to be differentiated again
(``create_graph``), the same rule gets Variables instead, for the incoming gradient and for what
``forward`` saved, and what it does is recorded like anything else.
"""

from .backend import check_like, get_array_module, is_array
from .backprop import sweep
from .config import config
from .function import Function, Output, variable_at
from .gradient import Stack
from .terms import TERMS
from .variable import Variable


def grad(outputs, inputs, grad_outputs=None, create_graph: bool = False) -> "list[Variable | None]":
    """The gradients of some variables with respect to others; no variable's ``grad`` changes.

    Args:
        outputs: a Variable or a list of them: what is differentiated (their sum, if several).
        inputs: a Variable or a list: with respect to what. They may be computed ones.
        grad_outputs: an array or Variable for each output, or ``None`` for ones.
        create_graph: whether the gradients are themselves on the tape, to be differentiated.

    Returns:
        list: a Variable for each input, of its shape and dtype; ``None`` for an input that no
        output was computed from.

    Raises:
        RuntimeError: an output or input requires no gradient, so that nothing was recorded.
        ValueError: a gradient given for an output has another shape or dtype than that.

    >>> import numpy as np, dynet
    >>> x = dynet.Variable(np.array(3.0))
    >>> (g,) = dynet.grad([x ** 3], [x], create_graph=True)
    >>> (gg,) = dynet.grad([g], [x])
    >>> g.item(), gg.item()
    (27.0, 18.0)
    """
    if create_graph and not config.enable_backprop:
        raise RuntimeError("grad: create_graph=True under no_backprop_mode would record nothing")
    outputs, inputs = _as_list(outputs), _as_list(inputs)
    grad_outputs = [None] * len(outputs) if grad_outputs is None else _as_list(grad_outputs)
    if len(grad_outputs) != len(outputs):
        raise ValueError(
            f"grad: got {len(grad_outputs)} grad_outputs for {len(outputs)} outputs, "
            "expected one for each"
        )
    for role, variables in ("outputs", outputs), ("inputs", inputs):
        for i, v in enumerate(variables):
            if not isinstance(v, Variable) or v.node is None:
                came = "requires no gradient" if isinstance(v, Variable) else type(v).__name__
                raise RuntimeError(
                    f"grad: {role}[{i}]: {came}; expected a Variable that requires a gradient, or "
                    "that was computed from one"
                )
    seeds = {}
    for i, (y, gy) in enumerate(zip(outputs, grad_outputs, strict=True)):
        if gy is None:
            gy = y.xp.ones_like(y.array)
        check_like(f"grad: grad_outputs[{i}]", gy, y.array)
        if create_graph and is_array(gy):
            gy = variable_at(None, gy)
        elif not create_graph and not is_array(gy):
            gy = gy.array
        seeds[y.node] = gy if y.node not in seeds else seeds[y.node] + gy
    rule = backward_recorded if create_graph else None
    arrived = sweep(seeds, {x.node for x in inputs}, retain=None, record=rule)
    gradients = []
    for i, x in enumerate(inputs):
        gx = arrived.get(x.node)
        if gx is not None:
            gx = gx if create_graph else variable_at(None, get_array_module(gx).asarray(gx))
            check_like(f"grad: the gradient of inputs[{i}]", gx, x.array)
        gradients.append(gx)
    return gradients


def backward_recorded(node, gys: tuple) -> tuple:
    """The chain rule of one node in Variables, so that what it does is on the tape in its turn.

    Args:
        node: a ``Function`` or an ``Output``.
        gys: the gradients of its outputs, Variables or ``None``.

    Returns:
        tuple: a Variable or ``None`` for each input (of an ``Output``, its part of a gradient).
    """
    if isinstance(node, Output):
        return (node.backward(*gys),)
    if node.plain is not None:
        return _backward_of_plain(node, gys)
    _refuse_hidden_arrays(node)
    arrays = node.saved
    node.saved = tuple([_as_it_was(node, i, len(gys)) for i in range(len(arrays))])
    try:
        gxs = node.backward(*gys)
    finally:
        node.saved = arrays
    return tuple([_recorded(gx) for gx in (gxs if type(gxs) is tuple else (gxs,))])


class Identity(Function):
    """``y = x``: a new node with the same value"""

    __slots__ = ()

    def forward(self, x):
        return x

    def backward(self, gy):
        return gy


def _backward_of_plain(function, gys):
    """The gradients of a fused function, by way of its statement in ordinary functions."""
    # Each input goes through an identity of its own, so that the gradient asked for is that of
    # this function alone, also where one input was computed from another.
    arrays = function.saved[: len(function.inputs)]
    xs = [
        a if node is None else Identity().apply(variable_at(node, a))
        for a, node in zip(arrays, function.inputs, strict=True)
    ]
    ys = function.plain(*xs)
    ys = ys if type(ys) is tuple else (ys,)
    used = [(y, gy) for y, gy in zip(ys, gys, strict=True) if gy is not None]
    wanted = [x for x, node in zip(xs, function.inputs, strict=True) if node is not None]
    gxs = iter(grad([y for y, _ in used], wanted, [gy for _, gy in used], create_graph=True))
    return tuple([None if node is None else next(gxs) for node in function.inputs])


def _recorded(gx):
    """What a rule answered as a Variable; ``None`` as it is."""
    if type(gx) in TERMS:
        # A term is worth its while for many contributions of arrays; here it is totalled at once.
        return type(gx).total([gx], None, Stack())
    return variable_at(None, gx) if is_array(gx) else gx


def _as_it_was(function, i, n_outputs):
    """A saved array as the Variable that it was, or itself if it was a constant."""
    array = function.saved[i]
    n = len(function.inputs)
    if function.saves is not None:
        at = function.saves[i]
        places = [at if at >= 0 else n - 1 - at]
    else:
        places = [place for place, seen in enumerate(function.seen) if seen == id(array)]
    nodes = []
    for place in places:
        if place < n:
            nodes.append(function.inputs[place])
        else:
            nodes.append(function if n_outputs == 1 else Output(function, place - n, n_outputs))
    if len(set(nodes)) > 1:
        raise RuntimeError(
            f"{function.name}: one array of shape {array.shape} is saved that came in several "
            f"places ({places} of the inputs and outputs); for its gradient to be differentiated, "
            "the class must say in `saves` which of them it means"
        )
    return (
        array if not nodes or nodes[0] is None else variable_at(nodes[0], function.as_output(array))
    )


def _refuse_hidden_arrays(function):
    """An input kept in an attribute would be taken for a constant, and its gradient be lost."""
    slots = [s for c in type(function).__mro__ for s in getattr(c, "__slots__", ())]
    for attribute in (*slots, *getattr(function, "__dict__", ())):
        value = getattr(function, attribute, None)
        if is_array(value) and value.dtype.kind == "f":
            raise RuntimeError(
                f"{function.name}: keeps a floating array in self.{attribute}; a rule that is "
                "differentiated again must get it by self.save(...), or a gradient is lost"
            )


def _as_list(x):
    return list(x) if isinstance(x, (list, tuple)) else [x]
