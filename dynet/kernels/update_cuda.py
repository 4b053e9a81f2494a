"""An optimizer's rule as one CUDA kernel, and the norm of all gradients, without waiting for it.

A rule of ``update`` is read, by ``ast``, as arithmetic on one element and said again in C++: so the
method that is stated there in Python is stated nowhere else. The kernels are compiled without fused
multiply-adds, which they would not be faster for, as they wait for memory: what comes out is the
very number that comes out on the CPU.

What is known only on the GPU stays there: a setting may be an array without axes, and so may the
answer to whether the update is to be made at all. Nothing here reads an element.
"""

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..backend import check_one_device, is_cupy
from .cuda import BLOCK, C_TYPES, MOST_BLOCKS, PRELUDE, WARP

OPTIONS = ("--fmad=false",)

# What the kernels begin with. What NumPy makes of NaN, these functions do too.
START = (
    PRELUDE
    + r"""
template <typename T> __device__ T nan_or_min(T a, T b) { return (a <= b || a != a) ? a : b; }

template <typename T> __device__ T sign(T x) {
    return x > 0 ? T(1) : x < 0 ? T(-1) : x == 0 ? T(0) : x;
}

}
"""
)

# Of the functions that a rule may call, by their names in NumPy: C++'s, and of how many numbers.
CALLS = {
    "sqrt": ("sqrt", 1),
    "maximum": ("dynet::nan_or_max", 2),
    "minimum": ("dynet::nan_or_min", 2),
    "sign": ("dynet::sign", 1),
}
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
LOOP = (
    "for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; "
    "i += (long long)gridDim.x * blockDim.x)"
)


# -- a rule in C++ --------------------------------------------------------------------------------


def in_cuda(rule: Callable) -> tuple[list[str], list[str], list[str]]:
    """What a rule does, in C++ for numbers of the type ``T``.

    Args:
        rule: a Python function of numbers: assignments of arithmetic to names, then a return.

    Returns:
        tuple: the names of its arguments, its statements, and the expressions that it returns. In
        these each name of the rule ends in an underscore, as no word of C++ does.

    Raises:
        ValueError: it does something else.
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(rule))).body
    names = [a.arg for a in definition.args.args]
    known, lines = set(names), []
    *statements, last = definition.body
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                value = _expression(rule, value, known)
                lines.append(f"{'' if name in known else 'T '}{name}_ = {value};")
                known.add(name)
            case ast.Expr(value=ast.Constant(value=str())):
                pass  # words about it
            case _:
                _refuse(rule, statement)
    match last:
        case ast.Return(value=ast.Tuple(elts=values)):
            pass
        case ast.Return(value=ast.expr() as value):
            values = [value]
        case _:
            _refuse(rule, last)
    return names, lines, [_expression(rule, value, known) for value in values]


def _expression(rule, node, known):
    match node:
        case ast.Name(id=name) if name in known:
            return f"{name}_"
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return f"T({number!r})"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"(-{_expression(rule, operand, known)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            left, right = [_expression(rule, side, known) for side in (left, right)]
            return f"({left} {OPERATORS[type(op)]} {right})"
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="np"), attr=name), args=given, keywords=[]
        ) if name in CALLS and len(given) == CALLS[name][1]:
            given = [_expression(rule, argument, known) for argument in given]
            return f"{CALLS[name][0]}({', '.join(given)})"
    _refuse(rule, node)


def _refuse(rule, node):
    raise ValueError(
        f"{rule.__name__}: `{ast.unparse(node)}` cannot be said in CUDA; expected a rule of "
        "assignments to names, of + - * /, numbers, "
        f"{', '.join(f'np.{name}' for name in CALLS)}, and of one return, at its end"
    )


def kernel_of(
    rule: Callable, char: str, written: int, on_device: Sequence[bool], guarded: bool
) -> str:
    """The kernel that does to each element of some vectors what a rule says, to follow ``START``.

    Args:
        rule: of the gradient, what is written, and the settings.
        char: of the dtype of all arrays.
        written: how many arrays it writes.
        on_device: of each setting, whether it is a float64 on the GPU, not a number.
        guarded: whether the kernel begins by asking a boolean there if it is to do anything.
    """
    names, lines, values = in_cuda(rule)
    c_type, arrays = C_TYPES[char], 1 + written
    if len(values) != written or len(names) != arrays + len(on_device):
        raise ValueError(
            f"{rule.__name__}: takes {len(names)} arguments and returns {len(values)} values, "
            f"expected {arrays + len(on_device)} and {written}: the gradient, as many as it "
            "returns, and the settings"
        )
    parameters = ["const bool* proceed"] if guarded else []
    parameters += ["long long n", f"const {c_type}* p0"]
    parameters += [f"{c_type}* p{k}" for k in range(1, arrays)]
    taken = [f"p{k}[i]" for k in range(arrays)]
    for k, far in enumerate(on_device, arrays):
        parameters.append(f"const double* p{k}" if far else f"{c_type} p{k}")
        taken.append(f"T(*p{k})" if far else f"p{k}")
    body = [
        *[f"T {name}_ = {value};" for name, value in zip(names, taken, strict=True)],
        *lines,
        *[f"T new{k} = {value};" for k, value in enumerate(values, 1)],
        *[f"p{k}[i] = new{k};" for k in range(1, arrays)],
    ]
    return "\n".join(
        [
            f'extern "C" __global__ void {kernel_name(rule)}({", ".join(parameters)}) {{',
            f"    typedef {c_type} T;",
            *["    if (!*proceed) return;"] * guarded,
            f"    {LOOP} {{",
            *[f"        {line}" for line in body],
            "    }",
            "}",
        ]
    )


def kernel_name(rule: Callable) -> str:
    """What a rule's kernel is called."""
    return f"update_{rule.__name__.strip('_')}"


def launch(
    rule: Callable, gradient: Any, written: list, settings: Sequence, proceed: Any = None
) -> None:
    """Do to arrays what a rule says, in one kernel.

    Args:
        rule: of one element.
        gradient: CuPy's, of any layout.
        written: contiguous in one order, of one shape and of the gradient's dtype, float32 or
            float64.
        settings: numbers, which are rounded to that dtype, or float64 arrays without axes.
        proceed: a boolean without axes; where it is false, nothing is written.

    Raises:
        ValueError: the arrays are not of one shape and dtype, or not on the current device.
    """
    import cupy  # optional dependency; there are arrays of it

    # CuPy does not look; a kernel that reads another device's memory is the end of the process.
    check_one_device(kernel_name(rule), [gradient, *written])
    first = written[0]
    for x in gradient, *written:
        if x.shape != first.shape or x.dtype != first.dtype:
            raise ValueError(
                f"{kernel_name(rule)}: expected arrays of one shape and dtype, got "
                f"{', '.join(f'{x.dtype} {x.shape}' for x in (gradient, *written))}"
            )
    if first.size == 0:
        return
    orders = [(x.flags.c_contiguous, x.flags.f_contiguous) for x in (first, gradient)]
    if not any(map(all, zip(*orders, strict=True))):
        arranged = cupy.empty_like(first)
        arranged[...] = gradient
        gradient = arranged
    char = first.dtype.char
    on_device = tuple([is_cupy(s) for s in settings])
    kernel = _built(rule, char, len(written), on_device, proceed is not None, cupy.RawKernel)
    cast = [s if far else first.dtype.type(s) for s, far in zip(settings, on_device, strict=True)]
    guard = () if proceed is None else (proceed,)
    arguments = (*guard, np.int64(first.size), gradient, *written, *cast)
    kernel((min(math.ceil(first.size / BLOCK), MOST_BLOCKS),), (BLOCK,), arguments)


@cache
def _built(rule, char, written, on_device, guarded, RawKernel):
    source = START + kernel_of(rule, char, written, on_device, guarded)
    return RawKernel(source, kernel_name(rule), OPTIONS)


# -- the norm of gradients ------------------------------------------------------------------------

# So many elements are worth a block of threads, of which there are so many at most. That depends on
# nothing but the size: so the total does not either, to the last digit.
WORTH_A_BLOCK = 16 * BLOCK
MOST_PARTS = 1024

# Each block adds up its part in float64; then one block adds up the parts.
NORM_SOURCE = (
    (
        PRELUDE
        + r"""
// Of the numbers that the threads of a block hold; the first thread gets the result.
__device__ double block_sum(double x) {
    __shared__ double of_warps[WARPS];
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = x;
    __syncthreads();
    return warp_sum(threadIdx.x < WARPS ? of_warps[threadIdx.x] : 0.0);
}

template <typename T> __device__ void sum_of_squares(long long n, const T* x, double* parts) {
    double total = 0;
    LOOP total += double(x[i]) * double(x[i]);
    total = block_sum(total);
    if (threadIdx.x == 0) parts[blockIdx.x] = total;
}

}

extern "C" __global__ void sum_of_squares_f(long long n, const float* x, double* parts) {
    dynet::sum_of_squares(n, x, parts);
}

extern "C" __global__ void sum_of_squares_d(long long n, const double* x, double* parts) {
    dynet::sum_of_squares(n, x, parts);
}

extern "C" __global__ void clipping(
    long long n, const double* parts, double threshold, double* norm, double* rate, bool* finite
) {
    double total = 0;
    LOOP total += parts[i];
    total = dynet::block_sum(total);
    if (threadIdx.x == 0) {
        *norm = sqrt(total);
        *finite = *norm - *norm == 0;
        *rate = *finite && *norm > threshold ? threshold / *norm : 1.0;
    }
}
"""
    )
    .replace("LOOP", LOOP)
    .replace("WARPS", str(BLOCK // WARP))
)


@cache
def _norm_kernel(name, RawKernel):
    return RawKernel(NORM_SOURCE, name)


def _sums_of_squares(xs):
    """An array whose elements add up to the squares of all elements of some arrays."""
    import cupy  # optional dependency; there are arrays of it

    blocks = [min(math.ceil(x.size / WORTH_A_BLOCK), MOST_PARTS) for x in xs]
    parts = cupy.empty(sum(blocks), np.float64)
    start = 0
    for x, n in zip(xs, blocks, strict=True):
        if n == 0:
            continue
        if not (x.flags.c_contiguous or x.flags.f_contiguous):
            x = cupy.ascontiguousarray(x)
        kernel = _norm_kernel(f"sum_of_squares_{x.dtype.char}", cupy.RawKernel)
        kernel((n,), (BLOCK,), (np.int64(x.size), x, parts[start:]))
        start += n
    return parts


def sum_of_squares(x: Any) -> Any:
    """The sum of the squared elements of a CuPy array: an array without axes, of float64.

    Raises:
        ValueError: the array is not on the current device.
    """
    check_one_device("sum_of_squares", [x])
    return _sums_of_squares([x]).sum()


def clipping(xs: list, threshold: float) -> tuple[Any, Any, Any]:
    """How to scale arrays for their norm, as one vector, to be at most a threshold.

    Args:
        xs: CuPy's, on the current device, of float32 or float64.
        threshold: the largest norm.

    Returns:
        tuple: of arrays without axes: the norm; what to multiply by, in float64; and whether the
        norm is finite. Where it is not, the second is 1.
    """
    import cupy  # optional dependency; there are arrays of it

    parts = _sums_of_squares(xs)
    norm, rate, finite = [cupy.empty((), dtype) for dtype in (np.float64, np.float64, np.bool_)]
    arguments = np.int64(parts.size), parts, np.float64(threshold), norm, rate, finite
    _norm_kernel("clipping", cupy.RawKernel)((1,), (BLOCK,), arguments)
    return norm, rate, finite


# -- all of it ------------------------------------------------------------------------------------


def every_source(rules: Iterable[Callable]) -> dict[str, str]:
    """By a name each, sources with all kernels of some rules, and of the norm, for a compiler."""
    of_float, of_double = [], []
    for rule in rules:
        names, _, values = in_cuda(rule)
        settings = len(names) - 1 - len(values)
        of_float.append(kernel_of(rule, "f", len(values), [False] * settings, False))
        of_double.append(kernel_of(rule, "d", len(values), [True] * settings, True))
    return {
        "update of float": "\n".join([START, *of_float]),
        "update of double": "\n".join([START, *of_double]),
        "norm": NORM_SOURCE,
    }
