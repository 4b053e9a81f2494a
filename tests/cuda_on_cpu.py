"""Kernels in CUDA C++, compiled by g++ and run on the CPU: for tests on machines without a GPU.

``cuda_on_cpu.h`` says what CUDA's names mean there, ``cuda_on_cpu.cpp`` runs blocks and threads.
A thread runs alone until it waits for others; so what goes wrong only when threads run at the same
time is not seen here. What is seen: wrong results, threads that wait for ever, numbers that come
with another type than the kernel declares, shared memory overrun.

Compiled kernels stay in ``$DYNET_TEST_CACHE``, or among pytest's own files.
"""

# ruff: noqa: SIM905 - names are read best as a text

import ctypes
import functools
import hashlib
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
COMPILE = (
    "g++ -std=c++17 -O0 -shared -fPIC -ffp-contract=off -fno-gnu-unique -Wl,-Bsymbolic -w".split()
)
CACHE = Path(
    os.environ.get("DYNET_TEST_CACHE", HERE.parent / ".pytest_cache" / "d" / "cuda_on_cpu")
)
STATUS = {
    1: "its threads wait for ever: not all that should come to a barrier or a shuffle do",
    2: "it wrote to shared memory beyond the bytes that it was launched with",
}

# Whether blocks and threads run in the opposite order: a result that depends on it is wrong.
backwards = False


class CompileError(RuntimeError):
    """g++ refused a kernel."""


def available():
    """Whether this machine can compile kernels."""
    return shutil.which("g++") is not None


@functools.cache
def _compiler():
    said = subprocess.run([*COMPILE, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()[0] + " ".join(COMPILE)


def _compiled(text, *more):
    """The path of the library that a source is compiled to, now or earlier."""
    key = "\0".join([_compiler(), *more, (HERE / "cuda_on_cpu.h").read_text(), text])
    path = CACHE / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.so"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            [*COMPILE, *more, "-x", "c++", "-", "-o", part],
            input=text,
            text=True,
            capture_output=True,
        )
        if done.returncode:
            raise CompileError(f"{done.stderr[:4000]}\nin\n{text}")
        part.replace(path)
    return path


@functools.cache
def _runtime():
    path = _compiled((HERE / "cuda_on_cpu.cpp").read_text(), "-O2", "-U_FORTIFY_SOURCE")
    return ctypes.PyDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def kernel(code, name, options=()):
    """A compiled kernel, as ``RawKernel(code, name)`` has it."""
    kernels = _library(code, tuple(o for o in options if o.startswith("-D")))
    if name not in kernels:
        raise CompileError(f'{name}: expected a definition `extern "C" __global__ void {name}(`')
    return kernels[name]


@functools.cache
def _library(code, defines):
    """All kernels of a source, by name: it is compiled once."""
    for line in re.findall(r"[^\n]*__shared__[^\n]*", code):
        if "extern" in line and not re.search(r"\bshared_memory\s*\[\s*\]", line):
            raise CompileError(
                f"{line.strip()!r}, expected `extern __shared__ char shared_memory[];`"
            )
    declared = parameters(code)
    text = [re.sub(r"extern\s+__shared__", "extern", code)]
    for name, types in declared.items():
        passed = ", ".join(f"*({t}*)a[{i}]" for i, t in enumerate(types))
        text.append(f'extern "C" void cuda_call_{name}(void** a) {{ {name}({passed}); }}')
    _runtime()
    path = _compiled("\n".join(text), "-include", str(HERE / "cuda_on_cpu.h"), *defines)
    library, meets = ctypes.PyDLL(str(path)), b"cuda_meet_" in path.read_bytes()
    return {
        name: Kernel(name, types, library[f"cuda_call_{name}"], meets)
        for name, types in declared.items()
    }


def parameters(code):
    """The C types of the parameters of every kernel in a source, by the kernel's name."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", code, flags=re.S)
    synonyms = dict(re.findall(r"\busing\s+(\w+)\s*=\s*([\w ]+);", code))
    synonyms |= {name: meant for meant, name in re.findall(r"\btypedef\s+([\w ]+)\s(\w+);", code)}
    found = {}
    start = r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\('
    for match in re.finditer(start + r"([^{;]*)\)\s*\{", code):
        types = found[match[1]] = []
        for parameter in match[2].split(","):
            words = re.findall(r"\w+|\*", re.sub(r"\b(const|__restrict__)\b", " ", parameter))
            if words:
                types.append(" ".join(synonyms.get(w, w) for w in words[:-1]))
    return found


DTYPES = {
    "bool": "?",
    "char": "b",
    "signed char": "b",
    "unsigned char": "B",
    "short": "h",
    "unsigned short": "H",
    "int": "i",
    "unsigned": "I",
    "unsigned int": "I",
    "long": "l",
    "long int": "l",
    "unsigned long": "L",
    "size_t": "L",
    "long long": "q",
    "unsigned long long": "Q",
    "float": "f",
    "double": "d",
}


class Kernel:
    """A kernel of a compiled library, with the types of what it takes."""

    def __init__(self, name, types, function, meets):
        self.name, self.types, self._function, self._meets = name, types, function, meets

    def prepared(self, grid, block, args, shared):
        """A function that runs it, on the memory of these arguments as it is then."""
        if len(args) != len(self.types):
            raise TypeError(f"{self.name} takes {len(self.types)} arguments, got {len(args)}")
        grid, block = [(*s, 1, 1)[:3] for s in (grid, block)]
        if not all(isinstance(n, (int, np.integer)) and n > 0 for n in (*grid, *block)):
            raise ValueError(f"{self.name}: got a grid of {grid}, blocks of {block}")
        if math.prod(block) > 1024 or max(grid[1:]) > 65535 or grid[0] >= 1 << 31:
            raise ValueError(f"{self.name}: too many, a grid of {grid} and blocks of {block}")
        values = [self._value(i, a) for i, a in enumerate(args)]
        pointers = (ctypes.c_void_p * len(values))(*[v.ctypes.data for v in values])
        sizes = [(ctypes.c_uint * 3)(*s) for s in (grid, block)]
        arrays = [a._a for a in args if hasattr(a, "_device")]

        def run():
            status = _runtime().cuda_launch(
                self._function, pointers, *sizes, int(shared), self._meets, backwards
            )
            if status:
                raise RuntimeError(f"{self.name}: {STATUS[status]}")

        run.keeps = values, arrays  # what the pointers point to
        return run

    def _value(self, i, a):
        """An argument as its bytes are passed: a pointer or a number."""
        declared = self.types[i]
        pointed = declared.replace("*", "").strip()
        stars = declared.count("*")
        if hasattr(a, "_device"):
            fits = stars > 0 and (
                pointed in ("void", "char")
                or (stars == 2 and a.dtype.kind in "iu" and a.dtype.itemsize == 8)
                or (stars == 1 and _same(DTYPES.get(pointed), a.dtype))
            )
            value = np.array(a._a.ctypes.data, np.uint64)
        elif isinstance(a, np.generic) or type(a) in (bool, int, float):
            value = np.array(a, np.int64 if type(a) is int else None)
            fits = value.dtype == np.int64 if stars else _same(DTYPES.get(pointed), value.dtype)
        else:
            raise TypeError(f"{self.name}: argument {i} is {type(a)}, expected an array or number")
        if not fits:
            raise TypeError(
                f"{self.name}: argument {i} is {a.dtype if hasattr(a, 'dtype') else type(a)}, "
                f"expected {declared}"
            )
        return value


def _same(char, dtype):
    return char is not None and (np.dtype(char).kind, np.dtype(char).itemsize) == (
        dtype.kind,
        dtype.itemsize,
    )
