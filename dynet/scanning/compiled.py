"""Compiling the source of a loop, once: kept in memory, and on disk for the next process.

The folder is ``DYNET_SCAN_CACHE`` from the environment, or ``dynet/scan`` in the user's folder for
caches. A file is named after a hash of what it holds and of everything that it calls, so that it
never has to change.
"""

import hashlib
import importlib.util
import os
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numba
import numpy as np

from .code import Code

_HERE = Path(__file__).parent
_functions = {}  # compiled, by source and kernels


def function_of(code: Code):
    """The compiled function of a source."""
    key = code.source, *code.kernels
    function = _functions.get(key)
    if function is None:
        function = _functions[key] = _load(code)
    return function


def _load(code):
    imports, unknown = [], {}
    for i, kernel in enumerate(code.kernels):
        module, name = kernel.__module__, kernel.__name__
        if module != "__main__" and getattr(sys.modules.get(module), name, None) is kernel:
            imports.append(f"from {module} import {name} as kernel_{i}")
        else:
            unknown[f"kernel_{i}"] = kernel
    head, function, body = code.source.partition("@njit")
    source = "\n".join([head.rstrip(), *imports, "", f"CACHE = {not unknown}", "", "", function]) + body
    if not unknown:
        module = _module_on_disk(source)
        if module is not None:
            return getattr(module, code.name)
        source = source.replace("CACHE = True", "CACHE = False")
    namespace = dict(unknown, __name__="dynet_scan")
    exec(compile(source, "<a loop of dynet.scan>", "exec"), namespace)
    return namespace[code.name]


def _module_on_disk(source):
    name = "loop_" + hashlib.sha256((source + _version()).encode()).hexdigest()[:32]
    file = folder() / f"{name}.py"
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, source)
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


def _write(file, source):
    """Write a file at once: another process sees all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "w") as f:
            f.write(source)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


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
