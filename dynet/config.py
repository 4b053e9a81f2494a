"""Settings of the running thread.

Every thread starts with the defaults below and changes only its own. Functions read them
while they run; nothing else in dynet is global.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Config(threading.local):
    """What the running thread has set.

    Attributes:
        enable_backprop (bool): whether calling a function leaves a record for the backward sweep.
        train (bool): whether functions that differ between training and use (dropout) train.
        dtype (numpy.dtype): the floating dtype in which initializers create parameters.
        debug (bool): whether the tape guards the arrays it needs against overwriting and looks
            for the first NaN or infinity. Slow; for finding mistakes.
        hooks (tuple): the function hooks that are in force; ``with hook:`` adds one.
        observed (bool): whether there is anything that watches functions, ``debug`` or a hook:
            the one question that an unwatched call has to ask. It follows from the two.
    """

    # Class attributes, so that a thread sees them before it has set anything.
    enable_backprop = True
    train = True
    dtype = np.dtype(np.float32)
    debug = False
    hooks = ()
    observed = False

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "dtype":
            value = np.dtype(value)
            if value.kind != "f":
                raise ValueError(f"config.dtype: got {value}, expected a floating dtype")
        elif name not in ("enable_backprop", "train", "debug", "hooks"):
            raise AttributeError(
                f"config has no setting {name!r}; it has enable_backprop, train, dtype and debug"
            )
        super().__setattr__(name, value)
        super().__setattr__("observed", bool(self.debug or self.hooks))


config = Config()


@contextmanager
def using_config(name: str, value: Any) -> Iterator[None]:
    """Change one setting of the running thread inside a ``with`` block.

    Args:
        name: ``"enable_backprop"``, ``"train"``, ``"dtype"`` or ``"debug"``.
        value: its value within the block; the old one comes back at the end, error or not.

    Raises:
        AttributeError: there is no such setting.

    >>> import dynet
    >>> with dynet.using_config("train", False):
    ...     print(dynet.config.train)
    False
    """
    if not hasattr(config, name) or name == "observed":
        setattr(config, name, value)  # raises the sentence that lists the settings
    old = getattr(config, name)
    setattr(config, name, value)
    try:
        yield
    finally:
        setattr(config, name, old)


def no_backprop_mode():
    """Record nothing inside a ``with`` block: for evaluation, where no gradient is wanted.

    >>> import numpy as np, dynet
    >>> x = dynet.Variable(np.ones(3))
    >>> with dynet.no_backprop_mode():
    ...     y = x + x
    >>> y.creator is None
    True
    """
    return using_config("enable_backprop", False)
