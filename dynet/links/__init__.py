"""Functions with parameters."""

from .connection import EmbedID, Linear

__all__ = ["EmbedID", "Linear"]
