"""The error function for use inside kernels: of one number, in a form that vectorises.

Up to 1 it is Taylor's series; beyond, ``erfc(x) = exp(-x * x) * t * p(t)`` with
``t = 2 / (2 + x)``, where the polynomial p goes through values of SciPy's ``erfcx``. Both are
computed for every number and one is chosen, so that there is no branch. Like those of
``kernels.elementary``, the functions come in float32 and in float64.
"""

import math

import numpy as np
from numba import njit, types
from scipy import special

from .cuda import twin
from .elementary import choose, exp


def _functions(float_, terms, degree):
    """The functions for one format, with so many terms of the series and of the polynomial."""
    one, two, three = float_(1), float_(2), float_(3)
    series = [
        2 / math.sqrt(math.pi) * (-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(terms)
    ]

    # p, as a function of u = 3 * t - 1, which is from -1 to 1 while x is from infinity to 1.
    def p(u):
        t = np.maximum(u + 1, 1e-300) / 3
        return special.erfcx(2 / t - 2) / t

    chebyshev = np.polynomial.chebyshev
    coefficients = chebyshev.cheb2poly(chebyshev.chebinterpolate(p, degree))

    def polynomial(coefficients):
        # Even and odd powers apart: LLVM writes out in full only loops as short as these.
        even = tuple(float_(c) for c in coefficients[::2][::-1])
        odd = tuple(float_(c) for c in coefficients[1::2][::-1])

        @njit(error_model="numpy", forceinline=True)
        def value(x):
            z = x * x
            a = even[0]
            for c in even[1:]:
                a = a * z + c
            b = odd[0]
            for c in odd[1:]:
                b = b * z + c
            return a + x * b

        return value

    inner, outer = polynomial(series), polynomial(coefficients)

    @njit(error_model="numpy", forceinline=True)
    def near(x):
        return x * inner(x * x)

    @njit(error_model="numpy", forceinline=True)
    def far(a):
        t = two / (two + a)
        return exp(-a * a) * (t * outer(three * t - one))

    @njit(error_model="numpy", forceinline=True)
    def erf(x):
        beyond = one - far(abs(x))
        inside = near(x)
        return inside if abs(x) < one else (beyond if x > 0 else -beyond)

    @njit(error_model="numpy", forceinline=True)
    def erfc(x):
        beyond = far(abs(x))
        inside = one - near(x)
        return inside if abs(x) < one else (beyond if x > 0 else two - beyond)

    return {"erf": erf, "erfc": erfc}


_OF_FORMAT = {
    types.float32: _functions(np.float32, 10, 8),
    types.float64: _functions(np.float64, 18, 18),
}


def erf(x):
    """The error function, in compiled code."""


def erfc(x):
    """``1 - erf(x)``, also where that is small, in compiled code."""


for _function in erf, erfc:
    choose(_function, _OF_FORMAT, forceinline=True)


@njit(cache=True, error_model="numpy")
def erf_forward(x, y):
    if x.size != y.size:
        raise ValueError("erf: the arrays have different sizes")
    for i in range(y.size):
        y[i] = erf(x[i])


@njit(cache=True, error_model="numpy")
def erfc_forward(x, y):
    if x.size != y.size:
        raise ValueError("erfc: the arrays have different sizes")
    for i in range(y.size):
        y[i] = erfc(x[i])


twin(
    erf_forward,
    "y",
    r"""
template <typename T> __device__ void erf_forward(long long i, Array<T> x, Array<T> y) {
    y[i] = erf(x[i]);
}
""",
)

twin(
    erfc_forward,
    "y",
    r"""
template <typename T> __device__ void erfc_forward(long long i, Array<T> x, Array<T> y) {
    y[i] = erfc(x[i]);
}
""",
)
