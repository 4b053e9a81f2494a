"""Data sets to learn from, fetched once and kept."""

from .digits import get_digits
from .download import DownloadError, fetch
from .mnist import MNIST, Examples, get_mnist, read_idx

__all__ = ["MNIST", "DownloadError", "Examples", "fetch", "get_digits", "get_mnist", "read_idx"]
