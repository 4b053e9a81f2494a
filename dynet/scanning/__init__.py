"""A step of a recurrence, written in plain Python, run over all time steps: ``scan``.

By definition that is a Python loop, which stands in ``loop``; where the step allows it, what two
time steps recorded is compiled, and runs the others.
"""

from .loop import explain, scan

__all__ = ["explain", "scan"]
