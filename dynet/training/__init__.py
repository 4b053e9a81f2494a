"""Small parts that a hand-written training loop is composed of."""

from .evaluation import evaluate
from .interruption import Interruption
from .log import Log

__all__ = ["Interruption", "Log", "evaluate"]
