"""Losses of distances: they draw together what belongs together, and push the rest apart."""

from numbers import Real

from ..kernels.labels import may_look, outside
from ..variable import Variable
from .activation import relu
from .arithmetic import where
from .checks import check_choice, check_floating, check_integers, check_ndim, check_shape, elements
from .indexing import nan_if
from .linear_algebra import matmul
from .loss_regression import alike
from .math import sqrt, square

__all__ = ["contrastive", "cross_covariance", "triplet"]


def contrastive(x0, x1, y, margin: float = 1, reduce: str = "mean") -> Variable:
    """Draws similar pairs together, and others apart until a margin is between them.

    ``d ** 2 / 2`` for a similar pair, ``max(0, margin - d) ** 2 / 2`` for another, of the
    distance ``d = ||x0 - x1||`` (Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning
    an Invariant Mapping", 2006). A pair that coincides and should not has the gradient 0: there is
    no direction in which to part.

    Args:
        x0, x1: vectors, ``(N, K)``, floating.
        y: labels, integers, ``(N,)``: 1 for a similar pair, 0 for another.
        margin: positive.
        reduce: ``"mean"`` for one number, ``"no"`` for each pair's.

    Returns:
        Variable: one number, or ``(N,)``.

    Raises:
        ValueError: shapes do not fit, a label is something else, or there is nothing to average.
            On a GPU, where looking would make the program wait, the loss of such a label is NaN,
            unless in debug mode.
        TypeError: a vector is not floating, or the labels are not integers.

    >>> import numpy as np, dynet.functions as F
    >>> x0, x1 = np.zeros((2, 2)), np.array([[3.0, 4.0], [0.0, 0.5]])
    >>> F.contrastive(x0, x1, np.array([1, 0]), reduce="no").array
    array([12.5  ,  0.125])
    """
    x0, x1 = alike("contrastive", x0=x0, x1=x1)
    check_ndim("contrastive", 2, x0=x0)
    labels = elements(y)
    check_integers("contrastive", y=labels)
    check_shape("contrastive", x0.shape[:1], y=labels)
    margin = _checked_margin("contrastive", margin)
    strange = outside(labels, 2)
    if may_look(labels):
        if strange.any():
            raise ValueError(
                f"contrastive: y holds the label {int(labels[strange][0])}, expected 0 or 1"
            )
        strange = None
    similar = labels == 1
    squared = square(x0 - x1).sum(axis=1)
    # The slope of the root at 0 is infinite: it is taken elsewhere, and 0 put in its place.
    apart = elements(squared) != 0
    distance = sqrt(squared + ~apart) * apart
    gap = relu(margin - distance)
    # Chosen, not multiplied by 0: the other of the two may be infinite.
    losses = where(similar, squared, square(gap)) / 2
    return _averaged("contrastive", nan_if(strange, losses), reduce)


def triplet(anchor, positive, negative, margin: float = 0.2, reduce: str = "mean") -> Variable:
    """Draws an anchor nearer to its positive example than to its negative one, by a margin.

    ``max(0, ||anchor - positive|| ** 2 - ||anchor - negative|| ** 2 + margin)`` (Schroff et al.,
    "FaceNet", 2015).

    Args:
        anchor, positive, negative: vectors, ``(N, K)``, floating.
        margin: positive.
        reduce: ``"mean"`` for one number, ``"no"`` for each triplet's.

    Returns:
        Variable: one number, or ``(N,)``.

    Raises:
        ValueError: the shapes differ, or there is nothing to average.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> F.triplet(np.zeros((1, 2)), np.ones((1, 2)), np.ones((1, 2))).item()
    0.2
    """
    anchor, positive, negative = alike(
        "triplet", anchor=anchor, positive=positive, negative=negative
    )
    check_ndim("triplet", 2, anchor=anchor)
    margin = _checked_margin("triplet", margin)
    further = (square(anchor - positive) - square(anchor - negative)).sum(axis=1)
    return _averaged("triplet", relu(further + margin), reduce)


def _checked_margin(function, margin):
    if not isinstance(margin, Real) or not margin > 0:
        raise ValueError(f"{function}: margin is {margin!r}, expected a positive number")
    return float(margin)


def _averaged(function, losses, reduce):
    check_choice(function, ("mean", "no"), reduce=reduce)
    if reduce == "no":
        return losses
    if losses.size == 0:
        raise ValueError(f"{function}: there are no examples, expected at least one to average")
    return losses.sum() / len(losses)


def cross_covariance(y, z, reduce: str = "half_squared_sum") -> Variable:
    """A penalty on what the columns of ``y`` and those of ``z`` have in common.

    Their covariances over the batch, ``(y - mean(y)).T @ (z - mean(z)) / N``; half the sum of the
    squares (Cheung et al., "Discovering Hidden Factors of Variation in Deep Networks", 2014).

    Args:
        y: ``(N, K)``, floating.
        z: ``(N, L)``, of the same dtype.
        reduce: ``"half_squared_sum"`` for one number, ``"no"`` for the covariances.

    Returns:
        Variable: one number, or ``(K, L)``.

    Raises:
        ValueError: shapes do not fit, or there is no row.
        TypeError: an argument is not floating, or the dtypes differ.

    >>> import numpy as np, dynet.functions as F
    >>> y = np.array([[-1.0], [1.0]])
    >>> F.cross_covariance(y, y).item()
    0.5
    """
    check_floating("cross_covariance", y=y, z=z)
    check_ndim("cross_covariance", 2, y=y, z=z)
    check_choice("cross_covariance", ("half_squared_sum", "no"), reduce=reduce)
    if len(y) != len(z) or len(y) == 0:
        raise ValueError(
            f"cross_covariance: y has shape {y.shape}, z has shape {z.shape}; expected rows, and "
            "as many of the one as of the other"
        )
    y = y - y.mean(axis=0, keepdims=True)
    z = z - z.mean(axis=0, keepdims=True)
    covariance = matmul(y.transpose(), z) / len(y)
    return covariance if reduce == "no" else square(covariance).sum() / 2
