"""The reverse sweep: from the outputs to whatever they were computed from, newest first.

The tape is made of *nodes*. A node is where a gradient is delivered: a leaf (a variable that the
user made), a recorded function, or one output of a function that has several. All that the sweep
knows of a node is

- ``inputs``: the nodes that its own inputs came from, ``None`` for a constant; empty for a leaf
  and for a node that was cut off by ``unchain``;
- ``number``: when it was recorded. Whatever a node was computed from has a smaller number, so
  newest first is an order in which every gradient is complete before it is passed on;
- ``backward(gy)``: the chain rule of one step, from the gradient of the output to those of the
  inputs;
- ``grad``, ``notes``: where the gradient is kept, for a node that keeps it.
"""

from operator import attrgetter

from . import debugging
from .backend import get_array_module
from .config import config
from .gradient import Stack, Waiting, as_rows
from .terms import TERMS


def tape(nodes, ends=()) -> list:
    """The nodes and all that they were computed from, newest first; but not behind ``ends``."""
    seen = {None, *nodes}
    order = [node for node in seen if node is not None]
    for node in order:  # the list grows while the loop runs through it
        for below in node.inputs if node not in ends else ():
            if below not in seen:
                seen.add(below)
                order.append(below)
    order.sort(key=attrgetter("number"), reverse=True)
    return order


def leading_to(targets, order) -> list:
    """Those nodes of a tape that were computed from a target, and the targets; newest first."""
    found = set(targets)
    kept = []
    for node in reversed(order):
        if node in found or any(below in found for below in node.inputs):
            found.add(node)
            kept.append(node)
    kept.reverse()
    return kept


def sweep(seeds: dict, targets=None, retain: bool | None = False, record=None, ends=()) -> dict:
    """Play the tape backwards.

    Args:
        seeds: for each node to start from, the gradient of what is differentiated.
        targets: the nodes whose gradients are wanted; by default every leaf that is reached.
        retain: whether every node on the way keeps its gradient, or (``False``) those that
            ``Variable.retain_grad`` marked, or (``None``) none.
        record: where the gradients are to be differentiated again, what to call in place of a
            node's ``backward``, with the node and a tuple of Variables; the seeds are then
            Variables, and so are the results.
        ends: those of the targets behind which the sweep does not go.

    Returns:
        dict: the gradients that arrived at the targets: nobody else's arrays, or, without
        targets, some ``Rows`` for a large table.
    """
    order = tape(seeds, ends)
    if targets is not None:
        order = leading_to(targets, order)
    if not config.debug:
        return _play(order, seeds, targets, retain, record, ends, config.hooks, None)
    traced = [(n, n.notes.trace) for n in order if n.notes is not None and n.notes.trace]
    for node, trace in traced:
        trace.reclaim(node)
    try:
        check = debugging.check_gradients
        return _play(order, seeds, targets, retain, record, ends, config.hooks, check)
    finally:
        for _, trace in traced:
            trace.release()


def _play(order, seeds, targets, retain, record, ends, hooks, check) -> dict:
    arrived = {}
    stack = Stack()
    pending = dict.fromkeys(order)
    pending.update({node: gy for node, gy in seeds.items() if node in pending})

    for node in order:
        gy = pending.pop(node)
        if gy is None:
            continue
        inputs = node.inputs
        if not inputs and targets is None and (rows := as_rows(gy)) is not None:
            arrived[node] = rows
            continue
        owned = False  # whether the array is ours alone
        if type(gy) is Waiting:
            waiting, gy = gy, gy.total()
            owned = waiting.owned
        elif type(gy) in TERMS:
            gy, owned = type(gy).total([gy], None, stack), True
        if not inputs or targets is not None:
            if targets is None or node in targets:
                arrived[node] = gy if owned or record else _copy(gy)
            if node in ends or not any([below in pending for below in inputs]):
                continue
        if retain or (node.notes is not None and retain is not None):
            node.keep_grad(gy, retain)

        for hook in hooks:
            hook.backward_preprocess(node, gy if type(gy) is tuple else (gy,))
        if record is not None:
            gxs = record(node, gy if type(gy) is tuple else (gy,))
        else:
            gxs = node.backward(*gy) if type(gy) is tuple else node.backward(gy)
        if type(gxs) is not tuple:
            gxs = tuple(gxs) if type(gxs) is list else (gxs,)
        for hook in hooks:
            hook.backward_postprocess(node, gy if type(gy) is tuple else (gy,), gxs)
        if len(gxs) != len(inputs):
            raise ValueError(
                f"{node.name}: backward gave {len(gxs)} gradients for {len(inputs)} inputs; "
                "expected one for each, None where there is none"
            )
        if check is not None:
            check(node, gxs)

        for below, gx in zip(inputs, gxs):  # noqa: B905 - their lengths were compared above
            if gx is None:
                continue
            try:
                held = pending[below]
            except KeyError:
                continue  # a constant, or a node whose gradient nobody asked for
            if held is None:
                pending[below] = gx
            elif type(held) is Waiting:
                held.add(gx)
            else:
                held = pending[below] = Waiting(held, stack)
                held.add(gx)
    return arrived


def _copy(gy):
    # It may be a view, or stand in another gradient too; or a rule has answered with a number.
    return get_array_module(gy).array(gy, copy=True, order="K")
