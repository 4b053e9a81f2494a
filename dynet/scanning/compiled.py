"""Compiling the source of a loop, once: kept in memory, and on disk for the next process.

The folder is ``DYNET_SCAN_CACHE`` from the environment, or ``dynet/scan`` in the user's folder for
caches. A file is named after a hash of what it holds, of dynet's kernels, and of the files of a
user's kernels (not of others that those call), so that it never has to change.
"""

import hashlib
import importlib.util
import os
import sys
import warnings
from functools import cache
from pathlib import Path

import numba
import numpy as np
from numba.core.errors import NumbaError

from ..files import write_atomically
from .code import Code

_HERE = Path(__file__).parent
_functions = {}  # compiled, by source and kernels
MANY_FUNCTIONS = 512


def function_of(code: Code, arguments: tuple):
    """The compiled function of a source, for arguments of the types of these."""
    key = code.source, *code.kernels
    function = _functions.get(key)
    if function is None:
        function = _load(code)
        types = tuple([numba.typeof(x) for x in arguments])
        try:
            function.compile(types)
        except NumbaError:
            raise
        except Exception as error:
            # What Numba has kept of it cannot be read.
            for file in Path(function.py_func.__code__.co_filename).parent.rglob(
                f"{function.py_func.__module__.removeprefix('dynet_scan_')}*.nb[ic]"
            ):
                file.unlink()
            warnings.warn(
                f"scan: what was kept of a compiled loop is damaged, and compiled anew: {error!r}",
                RuntimeWarning,
                stacklevel=2,
            )
            function = _load(code)
            function.compile(types)
        if len(_functions) >= MANY_FUNCTIONS:
            _functions.pop(next(iter(_functions)))
        _functions[key] = function
    return function


def _load(code):
    imports, unknown, others = [], {}, []
    for i, kernel in enumerate(code.kernels):
        module, name = kernel.__module__, kernel.__name__
        known = sys.modules.get(module)
        if module != "__main__" and getattr(known, name, None) is kernel and known.__file__:
            imports.append(f"from {module} import {name} as kernel_{i}")
            if not module.startswith("dynet."):
                others.append(Path(known.__file__).read_text())
        else:
            unknown[f"kernel_{i}"] = kernel
    head, function, body = code.source.partition("@njit")
    source = (
        "\n".join([head.rstrip(), *imports, "", f"CACHE = {not unknown}", "", "", function]) + body
    )
    if not unknown:
        module = _module_on_disk(source, _version() + "".join(others))
        if module is not None:
            return getattr(module, code.name)
        source = source.replace("CACHE = True", "CACHE = False")
    namespace = dict(unknown, __name__="dynet_scan")
    exec(compile(source, "<a loop of dynet.scan>", "exec"), namespace)
    return namespace[code.name]


def _module_on_disk(source, version):
    name = "loop_" + hashlib.sha256((source + version).encode()).hexdigest()[:32]
    file = folder() / f"{name}.py"
    try:
        if not file.exists() or file.read_text() != source:
            file.parent.mkdir(parents=True, exist_ok=True)
            with write_atomically(file, "scan") as f:
                f.write(source.encode())
    except OSError as error:
        warnings.warn(
            f"scan: what is compiled cannot be kept for the next process: {error}; the environment "
            "variable DYNET_SCAN_CACHE may name another folder",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    spec = importlib.util.spec_from_file_location(f"dynet_scan_{name}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def folder() -> Path:
    """Where compiled loops are kept."""
    given = os.environ.get("DYNET_SCAN_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "dynet" / "scan"


@cache
def _version():
    """What a compiled loop depends on besides its source."""
    digest = hashlib.sha256()
    for part in (numba.__version__, np.__version__, sys.version):
        digest.update(part.encode())
    for file in sorted((*_HERE.parent.glob("kernels/*.py"), _HERE / "runtime.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
