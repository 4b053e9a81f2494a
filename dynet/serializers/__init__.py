"""Saving and loading models, optimizers and what else a training run has to remember.

An object that can be saved has a method ``serialize(serializer)`` which calls
``serializer(name, value)`` for each of its values and stores what that returns; its parts it
hands ``serializer["part"]``. A serializer that saves returns the value as it is; one that loads
returns the one from the file. So one method serves both ways.

Before anything is loaded, and after it, the same method runs with a serializer that only compares
the object with the file: it must do nothing else than pass its values on. It may raise where those
of the file do not go together; then it runs once more, to be given back what was there. What the
object does not have yet, since it waits for its size, it passes as a ``Parameter`` that waits for
it: it is left out of a file, and made from one.

``values`` knows the kinds of values, ``tree`` the passes over an object, ``files`` how a file
gets to the disk whole; ``npz``, ``hdf5`` and ``safetensors`` turn arrays by name into a file of
their format, and back.
"""

from .hdf5 import load_hdf5, save_hdf5
from .npz import load_npz, save_npz
from .safetensors import load_safetensors, save_safetensors

__all__ = [
    "load_hdf5",
    "load_npz",
    "load_safetensors",
    "save_hdf5",
    "save_npz",
    "save_safetensors",
]
