"""Trees of arrays: what a step takes and gives, taken apart into a list and put together again.

A tree is a Variable, an array, ``None``, or a tuple (also a named one), list or dict of trees. Its
leaves are the Variables and arrays; its structure is all the rest.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..backend import is_array
from ..variable import Variable


class Structure:
    """What a tree is without its leaves.

    Two dicts with the same keys are of one structure whatever the order of the keys: their leaves
    stand in a list in the order of ``keys``, which is sorted; only a tree that is put together
    has them as the user wrote them.

    Attributes:
        kind (type): of the container; ``None``'s own for ``None``, ``Variable`` for a leaf.
        keys (tuple): of a dict, sorted.
        children (tuple): the structures within, in the order of ``keys``.
        order (tuple): the keys in the user's order.
    """

    __slots__ = ("kind", "keys", "children", "order")

    def __init__(self, kind: type, children: tuple = (), keys: tuple = (), order: tuple = ()):
        self.kind = kind
        self.keys = keys
        self.children = children
        self.order = order

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Structure)
            and self.kind is other.kind
            and self.keys == other.keys
            and self.children == other.children
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.keys, self.children))


LEAF = Structure(Variable)
NOTHING = Structure(type(None))


def flatten(tree: Any, where: str = "the tree{}") -> tuple[list, Structure]:
    """The leaves of a tree, and its structure.

    Args:
        tree: a Variable, an array, ``None``, or tuples, lists and dicts of them.
        where: what the message of an error calls the tree, with braces for a place in it.

    Raises:
        TypeError: a leaf is neither a Variable nor an array.

    >>> import numpy as np
    >>> leaves, structure = flatten((np.ones(2), {"c": np.zeros(3), "a": None}))
    >>> describe(structure, leaves)
    "(float64 (2,), {'c': float64 (3,), 'a': None})"
    """
    leaves = []
    structure = _take_apart(tree, leaves)
    for i, leaf in enumerate(leaves):
        if not _is_leaf(leaf):
            raise TypeError(
                f"scan: {where.format(places(structure)[i])} is {_named(leaf)}, expected an "
                "ordinary array, a Variable, None, or a tuple, list or dict of them"
            )
    return leaves, structure


def _take_apart(tree, leaves):
    kind = type(tree)
    if tree is None:
        return NOTHING
    if kind is dict:
        try:
            keys = sorted(tree)
        except TypeError:  # keys of several types
            keys = sorted(tree, key=repr)
        children = tuple([_take_apart(tree[key], leaves) for key in keys])
        return Structure(dict, children, tuple(keys), tuple(tree))
    if kind is tuple or kind is list or (isinstance(tree, tuple) and hasattr(kind, "_fields")):
        return Structure(kind, tuple([_take_apart(child, leaves) for child in tree]))
    leaves.append(tree)
    return LEAF


def _is_leaf(x):
    array = x.array if isinstance(x, Variable) else x
    if type(array) is not np.ndarray and (
        not is_array(array) or isinstance(array, (np.matrix, np.ma.MaskedArray))
    ):
        return False
    return array.dtype.isnative


def _named(x):
    """What is no leaf, for the message."""
    array = x.array if isinstance(x, Variable) else x
    if array is None:
        return f"a {type(x).__name__} that has no array yet"
    return f"{type(array).__name__} of {array.dtype}" if is_array(array) else type(array).__name__


def unflatten(structure: Structure, leaves: Sequence) -> Any:
    """A new tree of a structure, with these leaves."""
    return _put_together(structure, iter(leaves))


def _put_together(structure: Structure, leaves: Iterator):
    if structure is LEAF:
        return next(leaves)
    if structure is NOTHING:
        return None
    children = [_put_together(child, leaves) for child in structure.children]
    kind = structure.kind
    if kind is dict:
        by_key = dict(zip(structure.keys, children, strict=True))
        return {key: by_key[key] for key in structure.order}
    if kind is tuple or kind is list:
        return kind(children)
    return kind._make(children)


def places(structure: Structure, path: str = "") -> list[str]:
    """Of each leaf where in the tree it is: ``"[0]['c']"``."""
    if structure is LEAF:
        return [path]
    if structure.kind is dict:
        steps = [f"[{key!r}]" for key in structure.keys]
    elif hasattr(structure.kind, "_fields"):
        steps = [f".{field}" for field in structure.kind._fields]
    else:
        steps = [f"[{i}]" for i in range(len(structure.children))]
    return [
        place
        for step, child in zip(steps, structure.children, strict=True)
        for place in places(child, path + step)
    ]


class _Text(str):
    """Stands in a tree that is to be printed for a leaf."""

    __slots__ = ()
    __repr__ = str.__str__


def describe(structure: Structure, leaves: Sequence) -> str:
    """A tree for messages: ``(float32 (16, 100), {'c': float32 (16, 100)}, None)``.

    Args:
        structure: of the tree.
        leaves: anything with a ``dtype`` and a ``shape``.
    """
    return repr(unflatten(structure, [_Text(f"{x.dtype} {x.shape}") for x in leaves]))
