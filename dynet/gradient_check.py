"""Numerical gradients, to hold the written ones against; of arrays on whichever device."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backend import beside, get_array_module, get_device
from .higher_order import grad
from .variable import Variable


def numerical_grad(
    f: Callable, inputs: Sequence, grad_outputs: Sequence, eps: float = 1e-6
) -> list:
    """Gradients by central differences.

    Args:
        f: a callable without arguments that returns an array or a tuple of arrays, computed from
            the ``inputs`` as they are at the time.
        inputs: the arrays to vary, element by element, in place; they are as before afterwards.
        grad_outputs: an array for each output: the gradient of what they are a part of.
        eps: half the distance between the two points.

    Returns:
        list: a float64 array for each input, on the CPU.

    >>> import numpy as np, dynet
    >>> x = np.array([3.0])
    >>> (g,) = dynet.gradient_check.numerical_grad(lambda: x ** 2, [x], [np.ones(1)])
    >>> bool(abs(g[0] - 6) < 1e-6)
    True
    """

    host = get_device("cpu")
    grad_outputs = [host.send(gy) for gy in grad_outputs]

    def total():
        ys = f()
        ys = ys if isinstance(ys, tuple) else (ys,)
        return sum(
            float((np.asarray(host.send(y), np.float64) * gy).sum())
            for y, gy in zip(ys, grad_outputs, strict=True)
        )

    gradients = []
    for x in inputs:
        gx = np.zeros(x.shape)
        for i in np.ndindex(x.shape):
            at = float(x[i])
            try:
                x[i] = at + eps
                above = total()
                x[i] = at - eps
                below = total()
            finally:
                x[i] = at
            gx[i] = (above - below) / (2 * eps)
        gradients.append(gx)
    return gradients


def check_backward(
    func: Callable,
    x_data: Any,
    y_grad: Any = None,
    params: Any = (),
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
) -> None:
    """Compare the gradients that a function's rule gives with numerical ones.

    Args:
        func: takes Variables, returns a Variable or a tuple of them.
        x_data: an array, or a tuple of them, for the arguments; floating ones must be float64.
        y_grad: an array, or a tuple, for the gradients of the outputs; random by default.
        params: a Variable, or a tuple of them, which ``func`` uses too.
        eps: half the distance of the central differences.
        atol: how much an element may differ,
        rtol: and how much more, relative to the numerical gradient.

    Raises:
        AssertionError: a gradient is wrong or missing.
        TypeError: an array is floating, but not float64: too coarse for differences.

    >>> import numpy as np, dynet, dynet.functions as F
    >>> dynet.gradient_check.check_backward(F.exp, np.array([0.5, 1.0]))
    """
    xs = [Variable(get_array_module(x).array(x)) for x in _as_tuple(x_data)]
    wanted = [v for v in (*xs, *_as_tuple(params)) if v.requires_grad]
    for v in wanted:
        if v.dtype != np.float64:
            raise TypeError(
                f"check_backward: an array of shape {v.shape} is {v.dtype}, expected float64"
            )
    ys = _as_tuple(func(*xs))
    gys = _output_gradients(ys, y_grad)
    used = [(y, gy) for y, gy in zip(ys, gys, strict=True) if y.requires_grad]
    ours = grad([y for y, _ in used], wanted, [gy for _, gy in used])
    expected = numerical_grad(
        lambda: tuple(y.array for y in _as_tuple(func(*xs))), [v.array for v in wanted], gys, eps
    )
    for i, (g, n) in enumerate(zip(ours, expected, strict=True)):
        got = np.zeros_like(n) if g is None else get_device("cpu").send(g.array)
        np.testing.assert_allclose(
            got, n, rtol, atol, err_msg=f"check_backward: the gradient of input {i}"
        )


def check_double_backward(
    func: Callable,
    x_data: Any,
    y_grad: Any = None,
    params: Any = (),
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-4,
) -> None:
    """Compare the gradients of a function's gradients with numerical ones.

    Args:
        func, x_data, y_grad, params, eps, atol, rtol: as for ``check_backward``.

    Raises:
        AssertionError: a second derivative is wrong or missing.

    >>> import numpy as np, dynet, dynet.functions as F
    >>> dynet.gradient_check.check_double_backward(F.exp, np.array([0.5, 1.0]))
    """
    x_data, params = _as_tuple(x_data), _as_tuple(params)
    ys = _as_tuple(func(*[Variable(x) for x in x_data]))
    gys = [gy for y, gy in zip(ys, _output_gradients(ys, y_grad), strict=True) if y.requires_grad]

    def first_gradients(*arguments):
        xs, gys = arguments[: len(x_data)], arguments[len(x_data) :]
        ys = [y for y in _as_tuple(func(*xs)) if y.requires_grad]
        wanted = [v for v in (*xs, *params) if v.requires_grad]
        gxs = grad(ys, wanted, gys, create_graph=True)
        return tuple(gx for gx in gxs if gx is not None)

    check_backward(first_gradients, (*x_data, *gys), None, params, eps, atol, rtol)


def _as_tuple(x):
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _output_gradients(ys, y_grad):
    if y_grad is not None:
        return [gy.array if isinstance(gy, Variable) else gy for gy in _as_tuple(y_grad)]
    rng = np.random.default_rng(0)
    return [beside(np.asarray(rng.normal(size=y.shape)), y) for y in ys]
