"""The orthogonal initializer: a random rotation."""

import math
from typing import Any

import numpy as np

from ..functions.checks import check_choice
from .base import RandomInitializer


class Orthogonal(RandomInitializer):
    """A random matrix whose rows or columns are orthogonal, each of length ``scale``.

    The array ``(out, in, ...)`` is taken for a matrix of ``out`` rows. Where there are no more rows
    than columns, the rows are orthogonal to each other; where there are no fewer, the columns are
    (then lengths are kept, but for the scale, in going through the matrix). All such matrices are
    equally likely: the matrix is the Q of the QR decomposition of a Gaussian one, with the signs
    that make the diagonal of R positive.

    Args:
        scale: the length of each row or column.
        dtype: of the parameter; ``config.dtype`` by default.
        mode: what shapes will do. ``"embedding"``: no fewer rows than columns; ``"projection"``: no
            more; ``"basis"``: as many; ``"auto"``: any.
        rng: a seed or generator; NumPy's global state by default.

    Raises:
        ValueError: ``scale`` is negative or not finite, there is no such mode; or, when called, the
            array has no elements, or a shape that the mode rules out.

    Source: Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks" (2014); the signs: Mezzadri, "How to generate random matrices from
    the classical compact groups" (2007), section 5.

    >>> import numpy as np, dynet
    >>> w = np.empty((2, 3))
    >>> dynet.initializers.Orthogonal(1, rng=0)(w)
    >>> bool(np.allclose(w @ w.T, np.eye(2)))
    True
    """

    def __init__(self, scale: float = 1.1, dtype: Any = None, mode: str = "auto", rng: Any = None):
        super().__init__(scale, dtype, rng)
        check_choice("Orthogonal", ("auto", "embedding", "projection", "basis"), mode=mode)
        self.mode = mode

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = (shape[0], math.prod(shape[1:])) if shape else (1, 1)
        if rows * columns == 0:
            raise ValueError(f"Orthogonal: the array has shape {shape}, expected some elements")
        if (rows < columns and self.mode in ("embedding", "basis")) or (
            rows > columns and self.mode in ("projection", "basis")
        ):
            raise ValueError(
                f"Orthogonal: the array has shape {shape}, {rows} rows of {columns}; the mode "
                f"{self.mode!r} takes {_TAKES[self.mode]}"
            )
        drawn = self.rng.normal(0.0, 1.0, (rows, columns))
        q, r = np.linalg.qr(drawn if rows >= columns else drawn.T)
        q *= np.copysign(self.scale, np.diag(r))
        return (q if rows >= columns else q.T).reshape(shape)


_TAKES = {
    "embedding": "no fewer rows than columns",
    "projection": "no more rows than columns",
    "basis": "as many rows as columns",
}
