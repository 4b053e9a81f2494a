"""Linear algebra: products, inverses, determinants and factors of matrices, and sums of products.

A matrix stands in the last two axes; the axes before, if any, count the matrices of a stack.
"""

import math
from functools import lru_cache
from string import ascii_letters

import numpy as np

from ..backend import get_array_module, is_array, is_cupy
from ..function import Function
from ..kernels.product import dot
from ..kernels.reduction import product_of_others
from ..variable import Variable
from .array import reshape, sum_to
from .checks import check_array, check_floating, check_ndim, check_numbers, described, normal_axes
from .elementary import public_name
from .numpy_protocol import implements

__all__ = [
    "batch_det",
    "batch_inv",
    "cholesky",
    "det",
    "einsum",
    "inv",
    "matmul",
    "tensordot",
]


class MatMul(Function):
    """``a @ b``, with NumPy's meaning for vectors and for stacks of matrices"""

    __slots__ = ()
    saves = (0, 1)

    def forward(self, a, b):
        for name, x in ("a", a), ("b", b):
            if not is_array(x) or x.ndim == 0:
                raise TypeError(
                    f"matmul: {name} is {described(x) if is_array(x) else repr(x)}, "
                    "expected an array with at least one axis"
                )
        if a.dtype != b.dtype:
            raise TypeError(f"matmul: a is {a.dtype}, b is {b.dtype}, expected one dtype")
        self.save(a, b)
        try:
            return dot(a, b) if a.ndim == b.ndim == 2 else a @ b
        except (TypeError, ValueError):
            check_numbers("matmul", a=a, b=b)
            raise ValueError(
                f"matmul: a {a.shape} and b {b.shape} do not fit: the last axis of a must be as "
                "long as the last but one of b, and the axes before must broadcast"
            ) from None

    def backward(self, gy):
        a, b = self.saved
        if a.ndim == b.ndim == 2:
            return (gy @ b.T if self.wants(0) else None), (a.T @ gy if self.wants(1) else None)
        # A vector is a matrix of one row on the left, of one column on the right.
        A = a.reshape(1, -1) if a.ndim == 1 else a
        B = b.reshape(-1, 1) if b.ndim == 1 else b
        rows = () if a.ndim == 1 else (a.shape[-2],)
        columns = () if b.ndim == 1 else (b.shape[-1],)
        stack = gy.shape[: gy.ndim - len(rows) - len(columns)]
        gy = gy.reshape(*stack, *(rows or (1,)), *(columns or (1,)))
        ga = gb = None
        if self.wants(0):
            ga = sum_to(gy @ _transposed(B), A.shape).reshape(a.shape)
        if self.wants(1):
            gb = sum_to(_transposed(A) @ gy, B.shape).reshape(b.shape)
        return ga, gb


def _transposed(a):
    """Each matrix of an array or Variable transposed."""
    n = a.ndim
    return a.transpose(*range(n - 2), n - 1, n - 2)


@implements(np.matmul)
def matmul(a, b, transa: bool = False, transb: bool = False) -> Variable:
    """The matrix product ``a @ b``.

    Args:
        a: ``(..., n, k)`` or a vector ``(k,)``.
        b: ``(..., k, m)`` or a vector ``(k,)``; of the same dtype.
        transa: whether each matrix of ``a`` is transposed first; a vector stays as it is.
        transb: likewise of ``b``.

    Returns:
        Variable: ``(..., n, m)``, without the axis that a vector lacks.

    Raises:
        ValueError: the lengths do not fit, or the stacks do not broadcast.
        TypeError: an argument is no array or has no axes, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.matmul(np.eye(2), np.array([3.0, 4.0])).array
    array([3., 4.])
    """
    if transa or transb:
        check_array("matmul", a=a, b=b)
        a = _transposed(a) if transa and a.ndim > 1 else a
        b = _transposed(b) if transb and b.ndim > 1 else b
    return MatMul().apply(a, b)


class TensorDot(Function):
    """The sum of products over some axes of ``a`` and as many of ``b``"""

    __slots__ = ("axes", "summed")
    saves = (0, 1)

    def __init__(self, axes):
        self.axes = axes

    def forward(self, a, b):
        check_numbers("tensordot", a=a, b=b)
        if a.dtype != b.dtype:
            raise TypeError(f"tensordot: a is {a.dtype}, b is {b.dtype}, expected one dtype")
        in_a, in_b = self.summed = _summed_axes(self.axes, a, b)
        lengths = [a.shape[i] for i in in_a], [b.shape[i] for i in in_b]
        if lengths[0] != lengths[1]:
            raise ValueError(
                f"tensordot: the axes {in_a} of a are {lengths[0]} long, the axes {in_b} of b "
                f"{lengths[1]}, expected the same (a: {a.shape}, b: {b.shape})"
            )
        self.save(a, b)
        return get_array_module(a).tensordot(a, b, axes=(in_a, in_b))

    def backward(self, gy):
        a, b = self.saved
        in_a, in_b = self.summed
        # Tuples, because of arrays without axes CuPy knows `((), ())` only.
        free_a = tuple([i for i in range(a.ndim) if i not in in_a])
        free_b = tuple([i for i in range(b.ndim) if i not in in_b])
        # The axes of gy are the free ones of a, then those of b.
        of_a = tuple(range(len(free_a)))
        of_b = tuple(range(len(free_a), gy.ndim))
        ga = gb = None
        if self.wants(0):
            ga = np.tensordot(gy, b, axes=(of_b, free_b))
            ga = _in_order(ga, [*free_a, *[i for _, i in sorted(zip(in_b, in_a, strict=True))]])
        if self.wants(1):
            gb = np.tensordot(a, gy, axes=(free_a, of_a))
            gb = _in_order(gb, [*[i for _, i in sorted(zip(in_a, in_b, strict=True))], *free_b])
        return ga, gb


def _summed_axes(axes, a, b):
    """The axes of ``a`` and those of ``b`` that are summed together, counted from the front."""
    if isinstance(axes, (int, np.integer)) and not isinstance(axes, bool):
        if not 0 <= axes <= np.minimum(a.ndim, b.ndim):
            raise ValueError(
                f"tensordot: axes is {axes}, expected from 0 to the number of axes of a and of b "
                f"(a: {a.shape}, b: {b.shape})"
            )
        return tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    try:
        in_a, in_b = [tuple(i) if isinstance(i, (tuple, list)) else (i,) for i in axes]
    except (TypeError, ValueError):
        raise TypeError(
            f"tensordot: axes is {axes!r}, expected an integer, or two: the axes of a and of b"
        ) from None
    in_a = normal_axes("tensordot: the axes of a", in_a, a)
    in_b = normal_axes("tensordot: the axes of b", in_b, b)
    if len(in_a) != len(in_b):
        raise ValueError(
            f"tensordot: axes is {axes}, {len(in_a)} of a and {len(in_b)} of b, "
            f"expected as many (a: {a.shape}, b: {b.shape})"
        )
    return in_a, in_b


def _in_order(x, axes):
    """The axes moved to where they belong: the first becomes axis ``axes[0]``, and so on."""
    return x.transpose(*[int(i) for i in np.argsort(axes)])


@implements(np.tensordot)
def tensordot(a, b, axes=2) -> Variable:
    """The sum of the products of ``a`` and ``b`` over some axes of both.

    Args:
        a: any shape.
        b: any shape, of the same dtype.
        axes: how many of the last axes of ``a`` and the first of ``b`` are summed over; or two
            axes or sequences of axes, of ``a`` and of ``b``.

    Returns:
        Variable: with the axes of ``a`` that are left, then those of ``b``.

    Raises:
        ValueError: the axes are not there, are named twice, or differ in number or length.
        TypeError: an argument is no array, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), axes=((1, 2), (1, 0))).shape
    (2, 5)
    """
    return TensorDot(axes).apply(a, b)


class EinSum(Function):
    """A sum of products of several arrays, in Einstein's notation"""

    __slots__ = ("subscripts", "terms", "result", "lengths")
    saves = property(lambda f: tuple(range(len(f.inputs))))  # all operands

    def __init__(self, subscripts):
        self.subscripts = subscripts

    def forward(self, *operands):
        for i, x in enumerate(operands):
            check_numbers("einsum", **{f"operand {i}": x})
            if x.dtype != operands[0].dtype:
                raise TypeError(
                    f"einsum: operand 0 is {operands[0].dtype}, operand {i} is {x.dtype}, "
                    "expected one dtype"
                )
        self.terms, self.result = _parse(self.subscripts, tuple([x.ndim for x in operands]))
        self.lengths = self._lengths(operands)
        self.save(*operands)
        # BLAS pays where there is much to multiply; finding out how it may be used takes a while.
        many = len(operands) > 1 and math.prod(self.lengths.values()) > MANY_PRODUCTS
        return get_array_module(*operands).einsum(
            f"{','.join(self.terms)}->{self.result}", *operands, optimize=many
        )

    def _lengths(self, operands):
        """How long the axis of each label is; one of length 1 is stretched to another's length."""
        lengths = {}
        for x, term in zip(operands, self.terms, strict=True):
            seen = {}
            for label, n in zip(term, x.shape, strict=True):
                if seen.setdefault(label, n) != n or 1 != n != lengths.get(label, 1) != 1:
                    shapes = ", ".join(str(x.shape) for x in operands)
                    raise ValueError(
                        f"einsum: the shapes do not fit {self.subscripts!r}: one label stands "
                        f"for axes of different lengths (operands: {shapes})"
                    )
                if n != 1 or label not in lengths:
                    lengths[label] = n
        return lengths

    def backward(self, gy):
        return tuple(
            [self._gradient(i, gy) if self.wants(i) else None for i in range(len(self.inputs))]
        )

    def _gradient(self, i, gy):
        """The gradient of one operand: the sum of the products of ``gy`` and the others."""
        x, term = self.saved[i], self.terms[i]
        terms = [self.result, *self.terms[:i], *self.terms[i + 1 :]]
        # Its axes for which the sum can tell elements apart: not those that were stretched, those
        # that it alone has, or a label's second one.
        told = [
            label in "".join(terms) and term.index(label) == axis and n == self.lengths[label]
            for axis, (label, n) in enumerate(zip(term, x.shape, strict=True))
        ]
        target = "".join([label for label, t in zip(term, told, strict=True) if t])
        others = self.saved[:i] + self.saved[i + 1 :]
        gx = EinSum(f"{','.join(terms)}->{target}").evaluate(gy, *others)
        lengths = iter(gx.shape)
        gx = gx.reshape([next(lengths) if t else 1 for t in told])
        if gx.shape != x.shape:
            gx = np.broadcast_to(gx, x.shape)
        if len(set(term)) < len(term):
            gx = gx * _on_diagonal(term, x.shape, get_array_module(gx))
        return gx


# From so many products on, `einsum` looks for a way to multiply matrices.
MANY_PRODUCTS = 50_000


def _on_diagonal(term, shape, xp):
    """Where in a ``shape`` the places along the axes of one label agree, for every label."""
    agree = xp.ones(shape, bool)
    for axis, label in enumerate(term):
        first = term.index(label)
        if first != axis:
            places = xp.arange(shape[axis])
            here = places.reshape([-1 if i == axis else 1 for i in range(len(shape))])
            there = places.reshape([-1 if i == first else 1 for i in range(len(shape))])
            agree &= here == there
    return agree


@lru_cache(maxsize=1024)
def _parse(subscripts, ndims):
    """Subscripts spelled out: the operands' labels and the result's, a letter for every axis.

    The axes that an ellipsis stands for get letters that the subscripts leave.
    """
    terms, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = terms.split(",")
    for term in (*terms, result):
        if not set(term.replace("...", "", 1)) <= set(ascii_letters):
            raise ValueError(
                f"einsum: subscripts is {subscripts!r}, expected letters, at most one '...' an "
                "operand, commas between operands, and '->' before the result"
            )
    if len(terms) != len(ndims):
        raise ValueError(
            f"einsum: subscripts is {subscripts!r}, for {len(terms)} operands, got {len(ndims)}"
        )
    dotted = []  # for each operand, how many axes its ellipsis stands for
    for i, (term, ndim) in enumerate(zip(terms, ndims, strict=True)):
        named = len(term.replace("...", ""))
        if named > ndim or (named < ndim and "..." not in term):
            raise ValueError(
                f"einsum: operand {i} has {ndim} axes, its subscripts {term!r} name {named} "
                f"(subscripts: {subscripts!r})"
            )
        dotted.append(ndim - named)
    most = sorted(dotted)[-1]
    unused = [letter for letter in ascii_letters if letter not in subscripts]
    if most > len(unused):
        raise ValueError(f"einsum: there are not letters enough for all axes of {subscripts!r}")
    dots = "".join(unused[:most])
    named = "".join(terms).replace(".", "")
    if not arrow:
        result = "..." + "".join(sorted([x for x in set(named) if named.count(x) == 1]))
    elif most and "..." not in result:
        raise ValueError(
            f"einsum: subscripts is {subscripts!r}, whose result has no '...', though that stands "
            f"for {most} axes of an operand; expected '...' there too"
        )
    result = result.replace("...", dots)
    if len(set(result)) < len(result) or not set(result) <= set(named + dots):
        raise ValueError(
            f"einsum: subscripts is {subscripts!r}, expected in the result labels of the operands, "
            "each once"
        )
    terms = [t.replace("...", dots[most - n :]) for t, n in zip(terms, dotted, strict=True)]
    return tuple(terms), result


@implements(np.einsum)
def einsum(subscripts: str, *operands) -> Variable:
    """A sum of products, written with a letter for each axis.

    Axes with one letter are multiplied element by element; a letter that the result lacks is
    summed over. ``"ij,jk->ik"`` is the matrix product, ``"ii"`` the trace, ``"ij->ji"`` the
    transpose, ``"...ij,...jk->...ik"`` the product of stacks of matrices.

    Args:
        subscripts: the operands' letters, ``","`` between operands, and after ``"->"`` the
            result's; by default those that stand once, in alphabetical order. ``"..."`` is the
            axes that are not named, which broadcast.
        operands: arrays or Variables of one dtype. An axis of length 1 is stretched to the length
            of others with its letter.

    Raises:
        ValueError: the subscripts cannot be read, or do not fit the shapes.
        TypeError: an operand is no array, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.einsum("ij,ij->i", np.array([[3.0, 4.0]]), np.array([[3.0, 4.0]])).array
    array([25.])
    """
    if not isinstance(subscripts, str):
        raise TypeError(
            f"einsum: subscripts is {type(subscripts).__name__}, expected a string first, then "
            "the operands"
        )
    return EinSum(subscripts).apply(*operands)


def _check_square(function, a):
    """Raise unless ``a`` holds square matrices of a dtype that LAPACK knows."""
    check_floating(function, a=a)
    if a.dtype.itemsize not in (4, 8):
        raise TypeError(f"{function}: a is {a.dtype}, expected float32 or float64")
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{function}: a has shape {a.shape}, expected square matrices (..., n, n)")


class Inv(Function):
    """The inverse of each matrix"""

    __slots__ = ()
    saves = (-1,)

    def forward(self, a):
        _check_square(public_name(self), a)
        try:
            y = get_array_module(a).linalg.inv(a)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"{public_name(self)}: a holds a singular matrix, which has no inverse "
                f"(a: {a.shape})"
            ) from None
        self.save(y)
        return y

    def backward(self, gy):
        (y,) = self.saved
        return -(_transposed(y) @ gy @ _transposed(y))


@implements(np.linalg.inv)
def inv(a) -> Variable:
    """The inverse of a matrix, or of each of a stack.

    Args:
        a: ``(n, n)`` or ``(..., n, n)``, float32 or float64.

    Returns:
        Variable: of the shape of ``a``.

    Raises:
        ValueError: a matrix is singular or not square. On a GPU, where looking would make the
            program wait, the inverse of a singular one has infinity or NaN in it.
        TypeError: ``a`` is not floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.inv(np.array([[2.0, 0.0], [0.0, 4.0]])).array
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return Inv().apply(a)


class BatchInv(Inv):
    """The same of a batch"""

    __slots__ = ()


def batch_inv(a) -> Variable:
    """The inverse of each matrix of a batch.

    Args:
        a: ``(N, n, n)``, float32 or float64.

    Returns:
        Variable: ``(N, n, n)``.

    Raises:
        ValueError: ``a`` has not three axes, or a matrix is singular or not square; on a GPU see
            ``inv``.
        TypeError: ``a`` is not floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.batch_inv(np.array([[[2.0]], [[4.0]]])).array.ravel()
    array([0.5 , 0.25])
    """
    check_array("batch_inv", a=a)
    check_ndim("batch_inv", 3, a=a)
    return BatchInv().apply(a)


class Det(Function):
    """The determinant of each matrix"""

    __slots__ = ()
    saves = (0,)

    def forward(self, a):
        _check_square(public_name(self), a)
        self.save(a)
        return get_array_module(a).linalg.det(a)

    def backward(self, gy):
        (a,) = self.saved
        return gy.reshape(*gy.shape, 1, 1) * Cofactors().evaluate(a)


class Cofactors(Function):
    """The derivative of the determinant: ``det(a) * inv(a).T``, also where ``a`` is singular

    With ``a = U diag(s) V.T`` it is ``det(U) det(V) U diag(t) V.T``, where ``t[i]`` is the product
    of all ``s`` but ``s[i]``: the determinant of ``U.T b V`` is that of ``b`` up to a sign, and
    that of a diagonal matrix the product of its elements. In these coordinates its second
    derivatives are plain too: products of all ``s`` but two. The same way serves where the
    determinant alone is too large a number.
    """

    __slots__ = ()
    saves = (0,)

    def forward(self, a):
        xp = get_array_module(a)
        self.save(a)
        det = xp.linalg.det(a)[..., None, None]
        lost = (det == 0) | xp.isinf(det)
        invertible = xp.where(lost, xp.eye(a.shape[-1], dtype=a.dtype), a)
        y = xp.where(lost, 1, det) * _transposed(xp.linalg.inv(invertible))
        if lost.any():
            at = lost[..., 0, 0]
            u, s, vt, sign = _svd(a[at])
            y[at] = (u * product_of_others(s, sign)[:, None, :]) @ vt
        return y

    def backward(self, gy):
        (a,) = self.saved
        xp = get_array_module(a)
        n = a.shape[-1]
        stack = math.prod(a.shape[:-2])
        u, s, vt, sign = _svd(a.reshape(stack, n, n))
        gy = sign[:, None, None] * (_transposed(u) @ gy.reshape(stack, n, n) @ _transposed(vt))
        same = xp.eye(n, dtype=bool)
        but_two = xp.where(same[:, None] | same[None, :], 1, s[:, None, None, :]).prod(axis=-1)
        # Moving s[i] changes every other t; moving an element beside the diagonal, the cofactor
        # of its mirror image, with the opposite sign.
        on_diagonal = xp.where(same, 0, but_two) @ (gy * same).sum(axis=-1)[:, :, None]
        gs = xp.where(same, on_diagonal, -but_two * _transposed(gy))
        return (u @ gs @ vt).reshape(a.shape)

    def plain(self, a):
        """The same in ordinary functions, for matrices that have an inverse."""
        y = Det().apply(a)
        return y.reshape(*y.shape, 1, 1) * _transposed(Inv().apply(a))


def _svd(a):
    """Singular values and vectors of a stack ``(N, n, n)``, and the sign of ``det(U) det(V)``.

    The singular values of a matrix with NaN or infinity, for which there is no telling, are NaN.
    """
    xp = get_array_module(a)
    finite = xp.isfinite(a).all(axis=(1, 2))
    u, s, vt = xp.linalg.svd(xp.where(finite[:, None, None], a, 0))
    s = xp.where(finite[:, None], s, xp.nan)
    return u, s, vt, (xp.linalg.det(u) * xp.linalg.det(vt)).round()


@implements(np.linalg.det)
def det(a) -> Variable:
    """The determinant of a matrix, or of each of a stack.

    The gradient, the matrix of cofactors, and the gradient of that are right for singular matrices
    too. What comes after, from a second derivative that is itself recorded, goes by way of the
    inverse: it is there for invertible matrices only, and as exact as that. On a GPU the program
    waits in the backward pass, to see whether a matrix is singular.

    Args:
        a: ``(n, n)`` or ``(..., n, n)``, float32 or float64.

    Returns:
        Variable: one number, or ``(...)``.

    Raises:
        ValueError: a matrix is not square.
        TypeError: ``a`` is not floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.det(np.array([[2.0, 0.0], [0.0, 4.0]])).array
    array(8.)
    """
    return Det().apply(a)


class BatchDet(Det):
    """The same of a batch"""

    __slots__ = ()


def batch_det(a) -> Variable:
    """The determinant of each matrix of a batch; of its gradient, see ``det``.

    Args:
        a: ``(N, n, n)``, float32 or float64.

    Returns:
        Variable: ``(N,)``.

    Raises:
        ValueError: ``a`` has not three axes, or the matrices are not square.
        TypeError: ``a`` is not floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.batch_det(np.array([[[2.0]], [[4.0]]])).array
    array([2., 4.])
    """
    check_array("batch_det", a=a)
    check_ndim("batch_det", 3, a=a)
    return BatchDet().apply(a)


class Cholesky(Function):
    """The lower triangular ``L`` with ``L @ L.T = a``, of each symmetric matrix

    Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527, equation 10.
    """

    __slots__ = ()
    saves = (-1,)

    def forward(self, a):
        _check_square("cholesky", a)
        try:
            y = get_array_module(a).linalg.cholesky((a + _transposed(a)) / 2)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"cholesky: a holds a matrix that is not positive definite (a: {a.shape})"
            ) from None
        if is_cupy(y):  # which does not say where there is none, unless the program waits
            positive = (y.diagonal(axis1=-2, axis2=-1) > 0).all(axis=-1)
            y = np.where(positive[..., None, None], y, y.dtype.type(np.nan))
        self.save(y)
        return y

    def backward(self, gy):
        (y,) = self.saved
        xp = get_array_module(y)
        n = y.shape[-1]
        lower = xp.tri(n, dtype=y.dtype) - xp.eye(n, dtype=y.dtype) / 2
        inverse = Inv().evaluate(y)
        ga = _transposed(inverse) @ (_transposed(y) @ gy * lower) @ inverse
        return (ga + _transposed(ga)) / 2


@implements(np.linalg.cholesky)
def cholesky(a) -> Variable:
    """The Cholesky factor of a positive definite matrix, or of each of a stack.

    Args:
        a: ``(n, n)`` or ``(..., n, n)``, float32 or float64, symmetric: what counts of a matrix
            that is not is its symmetric part, ``(a + a.T) / 2``. So the gradient is symmetric.

    Returns:
        Variable: lower triangular ``L``, of the shape of ``a``, with ``L @ L.T = a``.

    Raises:
        ValueError: a matrix is not positive definite, or not square. On a GPU, where looking would
            make the program wait, the factor of one that is not positive definite is NaN.
        TypeError: ``a`` is not floating.

    >>> import numpy as np, dynet.functions as F
    >>> F.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]])).array
    array([[2., 0.],
           [1., 2.]])
    """
    return Cholesky().apply(a)


@implements(np.dot)
def _dot(a, b):
    """The product of numbers, vectors, matrices and larger arrays, as that of NumPy's ``dot``."""
    if 0 in (getattr(a, "ndim", 0), getattr(b, "ndim", 0)):
        return a * b
    return MatMul().apply(a, b) if b.ndim <= 2 else tensordot(a, b, axes=(-1, -2))


@implements(np.inner)
def _inner(a, b):
    if 0 in (getattr(a, "ndim", 0), getattr(b, "ndim", 0)):
        return a * b
    return tensordot(a, b, axes=(-1, -1))


@implements(np.outer)
def _outer(a, b):
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


@implements(np.vdot)
def _vdot(a, b):
    return MatMul().apply(reshape(a, (-1,)), reshape(b, (-1,)))


@implements(np.trace)
def _trace(a, offset=0, axis1=0, axis2=1):
    return np.diagonal(a, offset, axis1, axis2).sum(axis=-1)


Variable.__matmul__ = lambda a, b: MatMul().apply(a, b)
Variable.__rmatmul__ = lambda b, a: MatMul().apply(a, b)
Variable.dot = _dot
