"""Links: functions with parameters; chains: links made of links."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .backend import Device, get_device
from .parameter import Parameter


class Link:
    """A function with parameters. Calling it calls its ``forward``.

    Parameters assigned as attributes inside ``init_scope`` are registered: found by ``params``,
    updated by an optimizer, saved by a serializer.

    Attributes:
        name (str): what its chain calls it; ``None`` at the root.

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
    """

    def __init__(self):
        self._params: list[str] = []
        self._children: list[str] = []
        self._persistent: list[str] = []
        self._in_scope = False
        self.name: str | None = None

    @contextmanager
    def init_scope(self) -> Iterator[None]:
        """Register the parameters (and, in a chain, the links) assigned inside the block."""
        if not hasattr(self, "_params"):
            raise RuntimeError(f"{type(self).__name__}.init_scope: call super().__init__() first")
        before = self._in_scope
        self._in_scope = True
        try:
            yield
        finally:
            self._in_scope = before

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_in_scope", False):
            self._register(name, value)
        super().__setattr__(name, value)

    def _register(self, name, value):
        if isinstance(value, Parameter):
            value.name = name
            if name not in self._params:
                self._params.append(name)
        elif isinstance(value, Link):
            raise TypeError(
                f"{type(self).__name__}.{name}: a Link is assigned inside the init_scope of a "
                "Link; only a Chain has links as children"
            )

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        # To call a link is to call its forward, without one more call in between: a recurrent
        # cell is called at every time step.
        if "forward" in cls.__dict__:
            cls.__call__ = cls.forward

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the link computes; a subclass states it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    __call__ = forward

    # -- the tree -----------------------------------------------------------------------------

    def children(self) -> "Iterator[Link]":
        """The links directly below this one."""
        for name in self._children:
            yield getattr(self, name)

    def links(self) -> "Iterator[Link]":
        """This link and all below it."""
        yield self
        for child in self.children():
            yield from child.links()

    def namedparams(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter at or below this link, with its path, such as ``/recur/W``."""
        for name in self._params:
            yield f"/{name}", getattr(self, name)
        for name in self._children:
            for path, parameter in getattr(self, name).namedparams():
                yield f"/{name}{path}", parameter

    def params(self) -> Iterator[Parameter]:
        """Every parameter at or below this link, each once."""
        seen = set()
        for _, parameter in self.namedparams():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield parameter

    def count_params(self) -> int:
        """How many numbers the initialized parameters hold."""
        return sum(p.size for p in self.params() if p.is_initialized)

    def cleargrads(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.params():
            parameter.cleargrad()

    def add_persistent(self, name: str, value: Any) -> None:
        """Set an attribute that is saved and loaded though it is no parameter.

        Args:
            name: of the attribute.
            value: an array or a number.
        """
        if name not in self._persistent:
            self._persistent.append(name)
        super().__setattr__(name, value)

    def to_device(self, device: "str | int | Device") -> "Link":
        """Move every parameter and persistent array to a device, in place.

        Args:
            device: as for ``dynet.get_device``.

        Returns:
            Link: this one.
        """
        device = get_device(device)
        for link in self.links():
            for name in link._params:
                getattr(link, name).to_device(device)
            for name in link._persistent:
                value = getattr(link, name)
                if hasattr(value, "dtype"):
                    object.__setattr__(link, name, device.send(value))
        return self

    def serialize(self, serializer) -> None:
        """Give a serializer every parameter and persistent value, or take them from it."""
        for name in self._params:
            serializer(name, getattr(self, name))
        for name in self._persistent:
            object.__setattr__(self, name, serializer(name, getattr(self, name)))

    def __repr__(self) -> str:
        return self._tree("")

    def _tree(self, indent):
        shapes = ", ".join(
            f"{name}: {getattr(self, name).shape if getattr(self, name).is_initialized else '?'}"
            for name in self._params
        )
        lines = [f"{type(self).__name__}({shapes})"]
        for name in self._children:
            lines.append(f"{indent}  {name}: {getattr(self, name)._tree(indent + '  ')}")
        return "\n".join(lines)


class Chain(Link):
    """A link made of links, which are assigned as attributes inside ``init_scope``.

    Args:
        links: links by name, registered at once.

    >>> import numpy as np, dynet, dynet.links as L, dynet.functions as F
    >>> class MLP(dynet.Chain):
    ...     def __init__(self):
    ...         super().__init__()
    ...         with self.init_scope():
    ...             self.l1 = L.Linear(None, 5)
    ...             self.l2 = L.Linear(5, 2)
    ...     def forward(self, x):
    ...         return self.l2(F.relu(self.l1(x)))
    >>> MLP()(np.ones((4, 3), np.float32)).shape
    (4, 2)
    """

    def __init__(self, **links: Link):
        super().__init__()
        with self.init_scope():
            for name, link in links.items():
                setattr(self, name, link)

    def _register(self, name, value):
        if isinstance(value, Link):
            value.name = name
            if name not in self._children:
                self._children.append(name)
        else:
            super()._register(name, value)

    def serialize(self, serializer) -> None:
        super().serialize(serializer)
        for name in self._children:
            getattr(self, name).serialize(serializer[name])
