"""A tree of links as text, for a terminal: names, classes, numbers of parameters, shapes."""

import functools
import reprlib

from ..parameter import Parameter
from .registry import Registry


def tree_text(link):
    """A line for every link and function; numbers stand in one column."""
    (_, count, shapes), *rows = _rows(link, "", "")
    lines = [f"{type(link).__name__} (parameters: {count})  {shapes}"]
    labels = max((len(label) for label, _, _ in rows), default=0)
    counts = max((len(count) for _, count, _ in rows), default=0)
    lines += [f"{label:<{labels}}  {count:>{counts}}  {shapes}" for label, count, shapes in rows]
    return "\n".join(line.rstrip() for line in lines)


def _rows(link, label, indent):
    """Label, number and shapes of a link, then of what is below it."""
    waiting = any(not p.is_initialized for p in link.params())
    count = sum(p.size for p in link.params(include_uninit=False))
    yield f"{label}{type(link).__name__}", f"{count:,}{'+?' if waiting else ''}", _shapes(link)
    for name, part in link._parts():
        label = f"{indent}  {name}: "
        if isinstance(part, Registry):
            yield from _rows(part, label, indent + "  ")
        else:
            yield label + _call_text(part), "", ""


def _shapes(link):
    own = ", ".join(_value_text(*pair) for pair in link._attributes("parameter"))
    persistent = ", ".join(_value_text(*pair) for pair in link._attributes("persistent value"))
    return "; ".join(part for part in (own, persistent and f"persistent {persistent}") if part)


def _value_text(name, value):
    """A name with the shape, so far as it is known; with the value where it has none."""
    if isinstance(value, Parameter) and value.array is None:
        wanted = "?" if value.wanted_shape is None else str(value.wanted_shape)
        return f"{name} {wanted.replace('None', '?')}"
    if hasattr(value, "shape"):
        return f"{name} {value.shape}"
    return f"{name} {reprlib.repr(value)}"


def type_name_of(layer):
    """The name of a link's class or of a function."""
    if isinstance(layer, functools.partial):
        return type_name_of(layer.func)
    return getattr(layer, "__name__", type(layer).__name__)


def _call_text(layer):
    """A function by its name, with the settings that a ``partial`` gives it."""
    if not isinstance(layer, functools.partial):
        return type_name_of(layer)
    settings = [reprlib.repr(value) for value in layer.args]
    settings += [f"{name}={reprlib.repr(value)}" for name, value in layer.keywords.items()]
    return f"{type_name_of(layer)}({', '.join(settings)})"
