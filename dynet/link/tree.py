"""Links: functions with parameters; and links made of links, which form a tree.

A ``Link`` has parameters, a ``Chain`` also child links by name, a ``ChainList`` child links by
number; a ``Sequential`` is a ChainList that calls one after the other. Whatever there is to be done
with all parameters of a model (finding, clearing, copying, saving, moving to a device) is a method
of ``Link`` and goes down the tree.
"""

import copy
import inspect
import warnings
from collections.abc import Iterator, MutableSequence
from typing import Any

import numpy as np

from ..backend import Device, get_device, get_device_from_array, is_array
from ..parameter import Parameter
from .between import add_gradients, copy_values
from .registry import Registry
from .text import tree_text, type_name_of


class Link(Registry):
    """A function with parameters. Calling it calls its ``forward``.

    Parameters assigned as attributes inside ``init_scope`` are registered: found by ``params``,
    updated by an optimizer, saved by a serializer. So are persistent values (``add_persistent``),
    but for the update. What is assigned to a registered name later takes the place of what was
    there, and must be of its kind; ``del`` takes the name out.

    Attributes:
        name (str): what its chain calls it; ``None`` at the root.

    Raises:
        AttributeError: what is registered would hide something of Link's own, such as ``copy``; or
            what is assigned is ``forward``, which a class states.
        TypeError: what is assigned to the name of a parameter is none.
        ValueError: a name has a slash in it, which is for paths.

    >>> import numpy as np, dynet
    >>> class Scale(dynet.Link):
    ...     def __init__(self):
    ...         super().__init__()
    ...         with self.init_scope():
    ...             self.W = dynet.Parameter(dynet.initializers.Constant(2), (3,))
    ...     def forward(self, x):
    ...         return x * self.W
    >>> Scale()(np.ones(3, np.float32)).array
    array([2., 2., 2.], dtype=float32)
    >>> Scale()
    Scale (parameters: 3)  W (3,)
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        # To call a link is to call its forward, without one more call in between: a recurrent
        # cell is called at every time step. A __call__ that a class states itself stays.
        call = inspect.getattr_static(cls, "__call__")
        if call is Link.__call__ or any(call is vars(c).get("forward") for c in cls.__mro__):
            cls.__call__ = inspect.getattr_static(cls, "forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the link computes; a subclass states it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    # -- the tree -----------------------------------------------------------------------------

    def _parts(self):
        """What the link is made of, by name: its children, and in a Sequential functions too."""
        return self._attributes("child")

    def _named_children(self):
        return [(name, part) for name, part in self._parts() if isinstance(part, Link)]

    def _named_attributes(self, kind):
        """Each registered attribute of a kind at or below this: its path, link, name and value."""
        for path, link in self._placed():
            for name, value in link._attributes(kind):
                yield f"{path}/{name}", link, name, value

    def _placed(self, path=""):
        """This link and all below it, each with its path, that of the root being empty."""
        yield path, self
        for name, child in self._named_children():
            yield from child._placed(f"{path}/{name}")

    def children(self) -> "Iterator[Link]":
        """The links directly below this one."""
        for _, child in self._named_children():
            yield child

    def links(self, skipself: bool = False) -> "Iterator[Link]":
        """This link and all below it, each once.

        Args:
            skipself: whether to leave this one out.
        """
        yield from _once(link for _, link in self.namedlinks(skipself))

    def namedlinks(self, skipself: bool = False) -> "Iterator[tuple[str, Link]]":
        """This link, ``/``, and all below it, each with its path, such as ``/encoder/recur``.

        Args:
            skipself: whether to leave this one out.
        """
        for path, link in self._placed():
            if path or not skipself:
                yield path or "/", link

    def params(self, include_uninit: bool = True) -> Iterator[Parameter]:
        """Every parameter at or below this link, each once.

        Args:
            include_uninit: whether those come too that have no array yet.
        """
        yield from _once(
            parameter
            for _, link in self._placed()
            for _, parameter in link._attributes("parameter")
            if include_uninit or parameter.array is not None
        )

    def namedparams(self, include_uninit: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Every parameter at or below this link, with its path, such as ``/recur/W``.

        Args:
            include_uninit: whether those come too that have no array yet.
        """
        for path, _, _, parameter in self._named_attributes("parameter"):
            if include_uninit or parameter.is_initialized:
                yield path, parameter

    def count_params(self) -> int:
        """How many numbers the parameters hold, those that are used twice counted once.

        A warning names the parameters that have no array yet: they are not in the count.
        """
        waiting = [path for path, p in self.namedparams() if not p.is_initialized]
        if waiting:
            warnings.warn(
                f"{type(self).__name__}.count_params: not counted, since they have no size before "
                f"the first call: {', '.join(waiting)}",
                stacklevel=2,
            )
        return sum(p.size for p in self.params(include_uninit=False))

    def serialize(self, serializer) -> None:
        """Give a serializer every parameter and persistent value, or take them from it.

        Those of a child go by its name: ``l1/W``.
        """
        for name, parameter in self._attributes("parameter"):
            serializer(name, parameter)
        for name, value in self._attributes("persistent value"):
            setattr(self, name, serializer(name, value))
        for name, child in self._named_children():
            child.serialize(serializer[name])

    def to_device(self, device: "str | int | Device") -> "Link":
        """Move every parameter and persistent array to a device, in place.

        Gradients move along; a parameter that waits for its size is made there when it has one.
        The states of recurrent links and of optimizers follow when they are next asked for.

        Args:
            device: as for ``dynet.get_device``.

        Returns:
            Link: this one.
        """
        device = get_device(device)
        moved = {}  # an array that parameters share is still shared
        for parameter in self.params():
            before = parameter.array
            parameter.to_device(device)
            if before is not None:
                parameter.array, _ = moved.setdefault(id(before), (parameter.array, before))
        for _, link, name, value in self._named_attributes("persistent value"):
            if isinstance(value, Parameter):
                value.to_device(device)
            elif is_array(value):
                setattr(link, name, device.send(value))
        return self

    @property
    def device(self) -> Device:
        """Where the parameters are, or without any the persistent arrays; by default the CPU."""
        for kind in "parameter", "persistent value":
            for _, _, _, value in self._named_attributes(kind):
                if isinstance(value, Parameter):
                    return value.device
                if is_array(value):
                    return get_device_from_array(value)
        return get_device("cpu")

    @property
    def xp(self) -> Any:
        """The array module of the device: ``numpy`` or ``cupy``."""
        return self.device.xp

    # -- gradients and updates ----------------------------------------------------------------

    def cleargrads(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.params():
            parameter.cleargrad()

    def enable_update(self) -> None:
        """Let optimizers move all parameters again."""
        for parameter in self.params():
            parameter.update_enabled = True

    def disable_update(self) -> None:
        """Let optimizers leave all parameters as they are."""
        for parameter in self.params():
            parameter.update_enabled = False

    @property
    def update_enabled(self) -> bool:
        """Whether optimizers move any of the parameters."""
        return any(parameter.update_enabled for parameter in self.params())

    def addgrads(self, link: "Link") -> None:
        """Add to the gradients of all parameters those of another link's, by their paths.

        The two may be on different devices.

        Args:
            link: one that has all the parameters of this, and may have more; those without a
                gradient add nothing.

        Raises:
            TypeError: it is no Link.
            ValueError: it lacks a parameter, or a gradient has another shape or dtype than the
                parameter here. Then nothing is added.
        """
        add_gradients(self, link)

    # -- copies -------------------------------------------------------------------------------

    def copy(self, mode: str = "share") -> "Link":
        """A copy of the tree, whose root has no name.

        Args:
            mode: ``"share"``: the links and parameters are new, with gradients of their own, but
                the parameters' arrays are the same, as is everything else. ``"copy"``: everything
                is copied. ``"init"``: everything is copied but the parameters, which are drawn
                afresh from their initializers (the same, so that another copy gets other numbers).

        Raises:
            ValueError: there is no such mode, or an array to be shared is not there yet.

        >>> import dynet, dynet.links as L
        >>> link = L.Linear(3, 2)
        >>> link.copy().W.array is link.W.array
        True
        """
        if mode == "share":
            for path, parameter in self.namedparams():
                if not parameter.is_initialized:
                    raise ValueError(
                        f"{type(self).__name__}.copy: {path} has no array to share before the "
                        "first call; call the link once, or choose mode 'copy' or 'init'"
                    )
            twin = self._share({})
        elif mode == "copy":
            twin = copy.deepcopy(self)
        elif mode == "init":
            twin = copy.deepcopy(self, {id(p): _afresh(p) for p in self.params()})
        else:
            raise ValueError(
                f"{type(self).__name__}.copy: mode is {mode!r}, expected 'share', 'copy' or 'init'"
            )
        twin.name = None
        return twin

    def _share(self, done):
        """A copy that shares arrays; what was copied already is in ``done``, by id."""
        if id(self) not in done:
            done[id(self)] = twin = copy.copy(self)
            twin._registered = dict(self._registered)
            for name, parameter in self._attributes("parameter"):
                if id(parameter) not in done:
                    done[id(parameter)] = copy.copy(parameter)
                    done[id(parameter)].cleargrad()
                object.__setattr__(twin, name, done[id(parameter)])
            twin._share_children(done)
        return done[id(self)]

    def _share_children(self, done):
        for name, child in self._attributes("child"):
            object.__setattr__(self, name, child._share(done))

    def repeat(self, n_repeat: int, mode: str = "init") -> "Sequential":
        """This link's copies, one after the other.

        Args:
            n_repeat: how many.
            mode: as for ``copy``.

        Raises:
            ValueError: ``n_repeat`` is no integer or negative, or there is no such mode.

        >>> import dynet, dynet.links as L
        >>> L.Linear(3, 3).repeat(2)
        Sequential (parameters: 24)
          0: Linear  12  W (3, 3), b (3,)
          1: Linear  12  W (3, 3), b (3,)
        """
        if not isinstance(n_repeat, (int, np.integer)) or n_repeat < 0:
            raise ValueError(
                f"{type(self).__name__}.repeat: n_repeat is {n_repeat!r}, expected 0 or a positive "
                "integer"
            )
        return Sequential(*(self.copy(mode) for _ in range(n_repeat)))

    def copyparams(self, link: "Link", copy_persistent: bool = True) -> None:
        """Fill all parameters with the values of another link's, by their paths.

        Gradients stay as they are. The two may be on different devices.

        Args:
            link: one that has all the parameters of this, and may have more.
            copy_persistent: whether persistent values are copied too.

        Raises:
            TypeError: it is no Link.
            ValueError: it lacks something, or has no array for it yet, or one of another shape or
                dtype; or an array here cannot be written to. Then nothing is changed.
        """
        copy_values(self, link, copy_persistent)

    def __repr__(self) -> str:
        return tree_text(self)


def _once(things):
    """Each thing once, in order."""
    seen = set()
    for thing in things:
        if id(thing) not in seen:
            seen.add(id(thing))
            yield thing


def _afresh(parameter):
    """A copy of a parameter, with an array of its own from the same initializer."""
    twin = copy.copy(parameter)
    twin.cleargrad()
    if twin.array is not None:
        twin.initialize(twin.shape, like=parameter.array)
    return twin


class Chain(Link):
    """A link made of links, which are assigned as attributes inside ``init_scope``.

    Args:
        links: links by name, registered at once.

    Raises:
        AttributeError: a link is assigned in the scope to the name of something that is there;
            outside it takes the place of the link of that name.
        ValueError: the chain would be part of itself.

    >>> import numpy as np, dynet, dynet.links as L, dynet.functions as F
    >>> class MLP(dynet.Chain):
    ...     def __init__(self):
    ...         super().__init__()
    ...         with self.init_scope():
    ...             self.l1 = L.Linear(3, 5)
    ...             self.l2 = L.Linear(5, 2)
    ...     def forward(self, x):
    ...         return self.l2(F.relu(self.l1(x)))
    >>> MLP()(np.ones((4, 3), np.float32)).shape
    (4, 2)
    >>> MLP()
    MLP (parameters: 32)
      l1: Linear  20  W (5, 3), b (5,)
      l2: Linear  12  W (2, 5), b (2,)
    """

    def __init__(self, **links: Link):
        super().__init__()
        for name, link in links.items():
            self.add_link(name, link)

    def __getitem__(self, name: str) -> Any:
        """The child, parameter or persistent value of that name.

        Raises:
            KeyError: there is none.
        """
        if name not in self._registered:
            raise KeyError(
                f"{type(self).__name__} has nothing registered as {name!r}; what it has: "
                f"{', '.join(self._registered) or 'nothing'}"
            )
        return getattr(self, name)

    def add_link(self, name: str, link: Link) -> None:
        """Register a child: an assignment in ``init_scope``, in one call.

        Args:
            name: of the attribute.
            link: the child.

        Raises:
            AttributeError: there is an attribute of that name.
            TypeError: it is no Link.
        """
        self._check_new("add_link", name)
        if not isinstance(link, Link):
            raise TypeError(
                f"{type(self).__name__}.add_link: {name!r} is {type(link).__name__}, expected a "
                "Link"
            )
        with self.init_scope():
            setattr(self, name, link)

    def _check_child(self, name, link):
        # In the scope it is most likely a slip: another layer of the same name.
        if self._in_scope and getattr(self, name, None) is not None:
            raise AttributeError(
                f"{type(self).__name__}.{name}: there is an attribute of that name already; "
                "assign outside of init_scope to replace a child"
            )
        _check_no_circle(self, link)


def _check_no_circle(chain, link):
    if any(part is chain for part in link.links()):
        raise ValueError(f"{type(chain).__name__}: the chain would be part of itself")


class ChainList(Link, MutableSequence):
    """A link made of links in a list, called ``0``, ``1``, ... in paths.

    It has the methods of a list: ``append``, ``extend``, ``insert``, ``pop``, ``remove``, ``index``
    and so on.

    Args:
        links: the children.

    Raises:
        TypeError: one is no Link.
        ValueError: the list would be part of itself.

    >>> import dynet, dynet.links as L
    >>> layers = dynet.ChainList(L.Linear(3, 4), L.Linear(4, 2))
    >>> layers.append(L.Linear(2, 2))
    >>> layers
    ChainList (parameters: 32)
      0: Linear  16  W (4, 3), b (4,)
      1: Linear  10  W (2, 4), b (2,)
      2: Linear   6  W (2, 2), b (2,)
    >>> [layer.name for layer in layers]
    ['0', '1', '2']
    """

    def __init__(self, *links: Link):
        super().__init__()
        self._entries: list[Any] = []
        self.extend(links)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int | slice) -> Any:
        return self._entries[index]

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            value = list(value)
            for entry in value:
                self._check_entry(entry)
        else:
            self._check_entry(value)
        self._entries[index] = value
        self._number()

    def __delitem__(self, index: int | slice) -> None:
        del self._entries[index]
        self._number()

    def insert(self, index: int, value: Any) -> None:
        """Put one in before that of the given number."""
        self._check_entry(value)
        self._entries.insert(index, value)
        self._number()

    def add_link(self, link: Link) -> None:
        """Append a child; Chainer's name for ``append``."""
        self.append(link)

    def _number(self):
        for name, child in self._named_children():
            child.name = name

    def _parts(self):
        return ((str(i), link) for i, link in enumerate(self._entries))

    def _check_entry(self, entry):
        if not isinstance(entry, Link):
            raise TypeError(
                f"{type(self).__name__}: got {type(entry).__name__}, expected a Link; a Sequential "
                "takes functions too"
            )
        _check_no_circle(self, entry)

    def _share_children(self, done):
        self._entries = [e._share(done) if isinstance(e, Link) else e for e in self._entries]


class Sequential(ChainList):
    """Links and functions, called one after the other.

    Each is called with what the one before returned; a tuple counts as several arguments. Only
    the links are children, and numbered: in ``Sequential(L.Linear(2), F.relu, L.Linear(2))`` they
    are ``0`` and ``1``. It is a list otherwise; a slice is a Sequential of the same links.

    Args:
        layers: links and other callables. Where it is to be pickled, ``functools.partial`` gives a
            function its settings; a lambda cannot be pickled.

    Raises:
        TypeError: one cannot be called, or is a class of links in place of a link.
        ValueError: the list would be part of itself.

    >>> import numpy as np, dynet, dynet.links as L, dynet.functions as F
    >>> model = dynet.Sequential(L.Linear(3, 4), F.relu, L.Linear(4, 2))
    >>> model(np.ones((5, 3), np.float32)).shape
    (5, 2)
    >>> model
    Sequential (parameters: 26)
      0: Linear  16  W (4, 3), b (4,)
      -: relu
      1: Linear  10  W (2, 4), b (2,)
    >>> model[:2](np.ones((5, 3), np.float32)).shape
    (5, 4)
    """

    def forward(self, *x: Any) -> Any:
        """What the last layer returns; without layers, ``x``."""
        for layer in self._entries:
            x = layer(*x) if isinstance(x, tuple) else layer(x)
        return x[0] if isinstance(x, tuple) and len(x) == 1 else x

    def __getitem__(self, index: int | slice) -> Any:
        part = self._entries[index]
        return _sequence(part) if isinstance(index, slice) else part

    def __add__(self, other: "Sequential") -> "Sequential":
        if not isinstance(other, Sequential):
            return NotImplemented
        return _sequence([*self, *other])

    def flatten(self) -> "Sequential":
        """The same layers, those of Sequentials within this one in their places."""
        layers = []
        for layer in self:
            layers.extend(layer.flatten() if isinstance(layer, Sequential) else [layer])
        return _sequence(layers)

    def remove_by_layer_type(self, type_name: str) -> None:
        """Take out all layers of a type.

        Args:
            type_name: the name of a link's class, or of a function, such as ``"relu"``.
        """
        _check_type_name("remove_by_layer_type", type_name)
        self[:] = [layer for layer in self if type_name_of(layer) != type_name]

    def count_by_layer_type(self, type_name: str) -> int:
        """How many layers are of a type.

        Args:
            type_name: the name of a link's class, or of a function, such as ``"relu"``.
        """
        _check_type_name("count_by_layer_type", type_name)
        return sum(type_name_of(layer) == type_name for layer in self)

    def _parts(self):
        number = 0
        for entry in self._entries:
            if isinstance(entry, Link):
                yield str(number), entry
                number += 1
            else:
                yield "-", entry

    def _check_entry(self, entry):
        if isinstance(entry, Link):
            _check_no_circle(self, entry)
        elif isinstance(entry, type) and issubclass(entry, Link):
            raise TypeError(
                f"{type(self).__name__}: got the class {entry.__name__}, expected a link of it: "
                f"{entry.__name__}(...)"
            )
        elif not callable(entry):
            raise TypeError(
                f"{type(self).__name__}: got {type(entry).__name__}, expected a Link or something "
                "else that can be called"
            )


def _sequence(layers):
    """A Sequential of layers that belong to another: they keep the names they have there."""
    sequence = Sequential()
    sequence._entries = layers
    return sequence


def _check_type_name(method, type_name):
    if not isinstance(type_name, str):
        raise TypeError(
            f"Sequential.{method}: type_name is {type_name!r}, expected the name of a class or "
            "function, a string"
        )
