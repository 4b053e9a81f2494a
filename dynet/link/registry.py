"""What happens when an attribute of a link is assigned: some are registered, each with its kind."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from ..parameter import Parameter

_PACKAGE = f"{__package__}."  # where the classes are whose names nothing may hide


class Registry:
    """An object that knows which of its attributes are parameters, children, persistent values.

    What is assigned to a registered name later takes the place of what was there, and must be of
    its kind; ``del`` takes the name out.
    """

    # Until __init__ is called.
    name: str | None = None
    _in_scope = False
    _registered: Mapping[str, str] = MappingProxyType({})

    def __init__(self):
        # The kinds of attributes: "parameter", "child" or "persistent value".
        self._registered: dict[str, str] = {}

    @contextmanager
    def init_scope(self) -> Iterator[None]:
        """Register the parameters (and, in a chain, the links) assigned inside the block."""
        self._check_made("init_scope")
        before = self._in_scope
        self._in_scope = True
        try:
            yield
        finally:
            self._in_scope = before

    @property
    def within_init_scope(self) -> bool:
        """Whether an ``init_scope`` of this link is open."""
        return self._in_scope

    def __setattr__(self, name: str, value: Any) -> None:
        # Recurrent links keep their state this way: what is not registered must be quick.
        if self._in_scope or name in self._registered or name == "forward":
            self._register(name, value)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in self._registered:
            del self._registered[name]

    def _register(self, name, value):
        """Check what is assigned in the scope or to a registered name, and register it."""
        if name == "forward":
            raise AttributeError(
                f"{type(self).__name__}.forward: a call would not see that of a single link; "
                "state it in a class"
            )
        before = self._registered.get(name)
        kind = None
        if isinstance(value, Parameter):
            kind = "parameter"
        elif isinstance(value, Registry):
            kind = "child"
        if before in ("parameter", "child") and kind != before:
            raise TypeError(
                f"{type(self).__name__}.{name} is a registered {before}: got "
                f"{type(value).__name__} in its place; `del` it first to take it out"
            )
        if kind is None or not (self._in_scope or kind == before):
            return
        if any(name in vars(c) for c in type(self).__mro__ if c.__module__.startswith(_PACKAGE)):
            raise AttributeError(
                f"{type(self).__name__}.{name}: every link has something else of that "
                "name; choose another"
            )
        self._check_name(name)
        if kind == "child":
            self._check_child(name, value)
        value.name = name
        self._registered[name] = kind

    def _check_child(self, name, link):
        raise TypeError(
            f"{type(self).__name__}.{name}: a Link is assigned inside the init_scope of a "
            "Link; only a Chain has links as children by name"
        )

    def _check_name(self, name):
        if not name or "/" in name:
            raise ValueError(
                f"{type(self).__name__}: the name {name!r} is empty or has a slash, which is for "
                "paths"
            )

    def _check_made(self, method):
        # Not looked up in self.__dict__: once that was asked for, attributes are read more slowly.
        if self._registered is Registry._registered:
            raise RuntimeError(f"{type(self).__name__}.{method}: call super().__init__() first")

    def _check_new(self, method, name):
        self._check_made(method)
        if hasattr(self, name):
            raise AttributeError(
                f"{type(self).__name__}.{method}: there is an attribute {name!r} already"
            )

    def add_param(
        self, name: str, shape: Any = None, dtype: Any = None, initializer: Any = None
    ) -> None:
        """Make a parameter and register it: an assignment in ``init_scope``, in one call.

        Args:
            name: of the attribute.
            shape: as for ``Parameter``.
            dtype: as for ``Parameter``.
            initializer: as for ``Parameter``; NaN by default.

        Raises:
            AttributeError: there is an attribute of that name.
        """
        self._check_new("add_param", name)
        with self.init_scope():
            setattr(self, name, Parameter(initializer, shape, name=name, dtype=dtype))

    def add_persistent(self, name: str, value: Any) -> None:
        """Set an attribute that is saved and loaded though it is no parameter.

        Args:
            name: of the attribute.
            value: an array, a number or a string.

        Raises:
            AttributeError: there is an attribute of that name.
            TypeError: the value is a Link.
            ValueError: the name has a slash in it.
        """
        self._check_new("add_persistent", name)
        self._check_persistent("add_persistent", name, value)
        self._registered[name] = "persistent value"
        object.__setattr__(self, name, value)

    def register_persistent(self, name: str) -> None:
        """Let an attribute that there is be saved and loaded, though it is no parameter.

        A parameter is one no more: ``params`` leaves it out, so that no optimizer moves it.

        Raises:
            AttributeError: there is no such attribute.
            TypeError: it is a Link.
        """
        self._check_made("register_persistent")
        if name not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}.register_persistent: there is no attribute {name!r}"
            )
        self._check_persistent("register_persistent", name, self.__dict__[name])
        self._registered[name] = "persistent value"

    def _check_persistent(self, method, name, value):
        self._check_name(name)
        if isinstance(value, Registry):
            raise TypeError(
                f"{type(self).__name__}.{method}: {name!r} is a {type(value).__name__}, expected "
                "an array, a number or a string"
            )

    def _attributes(self, kind):
        """Names and values of the registered attributes of a kind."""
        return [(name, getattr(self, name)) for name, k in self._registered.items() if k == kind]
