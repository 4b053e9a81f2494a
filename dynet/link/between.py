"""What goes from one tree of links to another: values and gradients, by their paths.

Everything is checked before anything is changed.
"""

import copy

from ..backend import beside, fill, is_array
from .registry import Registry


def add_gradients(link, source):
    """Add to the gradients of a link's parameters those of another's; see ``Link.addgrads``."""
    who = f"{type(link).__name__}.addgrads"
    pairs = {}
    for path, _, _, mine, its in _matched(who, link, source, "parameter"):
        if its.grad is not None:
            if mine.array is None:
                raise ValueError(f"{who}: {path} has no array before the first call of its link")
            _check_like(who, f"the gradient of {path}", its.grad, mine.array)
            pairs[id(mine), id(its)] = mine, its  # two paths may lead to one parameter
    for mine, its in pairs.values():
        gradient = beside(its.grad, mine.array)
        mine.grad = gradient.copy() if mine.grad is None else mine.grad + gradient


def copy_values(link, source, copy_persistent):
    """Fill a link's parameters with the values of another's; see ``Link.copyparams``."""
    who = f"{type(link).__name__}.copyparams"
    parameters = list(_matched(who, link, source, "parameter"))
    persistents = list(_matched(who, link, source, "persistent value")) if copy_persistent else []
    for path, _, _, mine, its in parameters:
        if its.array is None:
            raise ValueError(
                f"{who}: {path} of the other has no array before the first call of its link"
            )
        if mine.array is not None:
            _check_fills(who, path, its.array, mine.array)
        elif its.dtype != mine.wanted_dtype or not mine.takes(its.shape):
            raise ValueError(
                f"{who}: {path} is {its.dtype} {its.shape}, "
                f"expected {mine.wanted_dtype} {mine.wanted_shape}"
            )
    for path, _, _, mine, its in persistents:
        if is_array(mine):
            _check_fills(who, path, its, mine)
    for _, _, _, mine, its in parameters:
        if mine.array is None:
            # A copy, and one that lies in memory as this is to.
            copied = its.xp.array(its.array, order=mine.order)
            mine.array = mine.wanted_device.send(copied) if mine.wanted_device else copied
        else:
            fill(mine.array, its.array)
    for _, owner, name, mine, its in persistents:
        if is_array(mine):
            fill(mine, its)
        else:
            setattr(owner, name, copy.deepcopy(its))


def _matched(who, link, source, kind):
    """Each registered attribute of a kind: path, owner, name, value here, value there."""
    if not isinstance(source, Registry):
        raise TypeError(f"{who}: link is {type(source).__name__}, expected a Link")
    theirs = {path: its for path, _, _, its in source._named_attributes(kind)}
    for path, owner, name, mine in link._named_attributes(kind):
        if path not in theirs:
            raise ValueError(f"{who}: the other, a {type(source).__name__}, has no {kind} {path}")
        yield path, owner, name, mine, theirs[path]


def _check_like(who, what, its, mine):
    if not is_array(its) or its.shape != mine.shape or its.dtype != mine.dtype:
        came = f"{its.dtype} {its.shape}" if is_array(its) else type(its).__name__
        raise ValueError(f"{who}: {what} is {came}, expected {mine.dtype} {mine.shape}")


def _check_fills(who, path, its, mine):
    _check_like(who, path, its, mine)
    if not getattr(mine.flags, "writeable", True):
        raise ValueError(
            f"{who}: {path} is read-only: in debug mode it is while a tape that was not swept "
            "needs it"
        )
