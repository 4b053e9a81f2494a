"""Links: functions with parameters, and the trees that they form."""

from .tree import Chain, ChainList, Link, Sequential

__all__ = ["Chain", "ChainList", "Link", "Sequential"]
