"""Elementary functions for use inside kernels: of one number, in a form that vectorises.

The C library's ``exp`` takes one number a call, and a loop over it runs at a tenth of the speed
that the processor has. The functions here are polynomials after a reduction of the range, without
branches or calls, so that LLVM turns a loop over them into vector instructions. The reductions are
those of Cody and Waite, "Software Manual for the Elementary Functions" (1980); the polynomials
are Taylor's. The results are within 3 units in the last place, in float32 and in float64; NaN,
infinities and numbers too small for the normal format come out as they should.

>>> import numpy as np
>>> from numba import njit
>>> from dynet.kernels.elementary import exp
>>> @njit
... def exp_of_each(x, y):
...     for i in range(x.size):
...         y[i] = exp(x[i])
>>> y = np.empty(2)
>>> exp_of_each(np.array([0.0, 1.0]), y)
>>> y
array([1.        , 2.71828183])
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload


class _Format(NamedTuple):
    """What the reductions need to know of a floating format."""

    float: type  # the format
    int: type  # an integer of as many bits
    mantissa: int  # how many bits of it are the mantissa,
    bias: int  # and what is added to an exponent
    rounder: float  # added and taken away again, it rounds to a whole number
    largest: float  # beyond these, exp is infinite or 0
    smallest: float
    terms: int  # of Taylor's series of exp,
    log_terms: int  # and of that of log
    ln2_digits: int  # bits of the first part of log 2: times an exponent, it is still exact


FLOAT32 = _Format(np.float32, np.int32, 23, 127, 1.5 * 2**23, 89.0, -104.0, 8, 5, 15)
FLOAT64 = _Format(np.float64, np.int64, 52, 1023, 1.5 * 2**52, 710.0, -746.0, 14, 11, 41)


def _functions(form):
    """The functions for one format.

    Numba hands the ``fastmath`` of a kernel down to what it calls, unless that says otherwise; the
    reductions below depend on the order of their operations. A product and a sum may be one
    instruction, which rounds once instead of twice and takes half the time.
    """
    float_, int_ = form.float, form.int
    one, two = float_(1), float_(2)
    ln2_high = float_(math.floor(math.log(2) * 2**form.ln2_digits) / 2**form.ln2_digits)
    # log 2 to more digits than a float64 has: the second part is what the first one lacks.
    ln2_low = float_((math.log(2) - float(ln2_high)) + 2.3190468138462996e-17)
    log2_e = float_(1 / math.log(2))
    rounder = float_(form.rounder)
    rounder_bits = rounder.view(int_)
    largest, smallest = float_(form.largest), float_(form.smallest)
    mantissa, bias = int_(form.mantissa), int_(form.bias)
    factorials = tuple(float_(1 / math.factorial(k)) for k in range(form.terms, 0, -1))
    odd = tuple(float_(2 / (2 * k + 1)) for k in range(form.log_terms, 0, -1))
    infinity, nan = float_(np.inf), float_(np.nan)
    tiny = float_(2.0 ** (1 - form.bias))  # the smallest normal number,
    scale = float_(2.0**form.mantissa)  # and what makes any below it one
    root_half_bits = float_(math.sqrt(0.5)).view(int_)
    one_bits = one.view(int_)
    mantissa_mask = int_((1 << form.mantissa) - 1)
    plenty = float_(22)

    @njit(error_model="numpy", fastmath={"contract"})
    def power_of_two(n):
        return int_((n + bias) << mantissa).view(float_)

    @njit(error_model="numpy", fastmath={"contract"})
    def split(x):
        # x = n log 2 + r with r small: exp(r) - 1 and n, for x within the exponents that there are.
        rounded = float_(x * log2_e + rounder)
        whole = rounded - rounder
        r = (x - whole * ln2_high) - whole * ln2_low
        p = factorials[0]
        for c in factorials[1:]:
            p = p * r + c
        return r * p, int_(rounded.view(int_) - rounder_bits)

    @njit(error_model="numpy", fastmath={"contract"})
    def reduced(x):
        # The same for any x, with n in two halves: one alone may be beyond those exponents.
        x = largest if x > largest else x
        x = smallest if x < smallest else x
        q, n = split(x)
        return q, int_(n >> int_(1)), int_(n - (n >> int_(1)))

    @njit(error_model="numpy", fastmath={"contract"})
    def exp(x):
        q, n1, n2 = reduced(x)
        return (one + q) * power_of_two(n1) * power_of_two(n2)

    @njit(error_model="numpy", fastmath={"contract"})
    def expm1(x):
        q, n1, n2 = reduced(x)
        s = power_of_two(n1)
        return (s * q + (s - power_of_two(int_(-n2)))) * power_of_two(n2)

    @njit(error_model="numpy", fastmath={"contract"})
    def log(x):
        small = x < tiny
        bits = int_(float_(x * scale if small else x).view(int_) + (one_bits - root_half_bits))
        n = float_(int_((bits >> mantissa) - bias - (mantissa if small else int_(0))))
        m = int_((bits & mantissa_mask) + root_half_bits).view(float_) - one
        s = m / (two + m)
        z = s * s
        p = odd[0]
        for c in odd[1:]:
            p = p * z + c
        y = n * ln2_high + (m - (s * (m - z * p) - n * ln2_low))
        y = -infinity if x == 0 else y
        y = nan if x < 0 else y
        return y if x < infinity else x + x

    @njit(error_model="numpy", fastmath={"contract"})
    def log1p(x):
        u = one + x
        # What the sum lost of the smaller one.
        lost = (x - (u - one)) if x < one else (one - (u - x))
        y = log(u)
        return y + lost / u if u > 0 and x < infinity else y

    @njit(error_model="numpy", fastmath={"contract"})
    def tanh(x):
        # Beyond `plenty` it is 1; up to there one power of two will do, where `expm1` needs two.
        a = two * (plenty if x > plenty else (-plenty if x < -plenty else x))
        q, n = split(a)
        s = power_of_two(n)
        t = s * q + (s - one)
        return t / (t + two)

    @njit(error_model="numpy", fastmath={"contract"})
    def sigmoid(x):
        return one / (one + exp(-x))

    return {f.__name__: f for f in (exp, expm1, log, log1p, tanh, sigmoid)}


_OF_FORMAT = {types.float32: _functions(FLOAT32), types.float64: _functions(FLOAT64)}


def exp(x):
    """``e ** x``, in compiled code."""


def expm1(x):
    """``e ** x - 1``, also where ``x`` is small, in compiled code."""


def log(x):
    """The natural logarithm, in compiled code."""


def log1p(x):
    """``log(1 + x)``, also where ``x`` is small, in compiled code."""


def tanh(x):
    """The hyperbolic tangent, in compiled code."""


def sigmoid(x):
    """``1 / (1 + e ** -x)``, in compiled code."""


def choose(function, functions, **jit_options):
    """Compiled code that calls ``function`` gets the one of its name for its argument's format."""

    @overload(function, inline="never", jit_options=jit_options)
    def chosen(x):
        of_format = functions.get(x)
        if of_format is None:
            return None
        chosen_one = of_format[function.__name__]
        return lambda x: chosen_one(x)


for _function in exp, expm1, log, log1p, tanh, sigmoid:
    choose(_function, _OF_FORMAT)
