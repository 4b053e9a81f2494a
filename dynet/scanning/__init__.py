"""A step of a recurrence, written in plain Python, run over all time steps: ``scan``.

By definition that is a Python loop, which stands in ``loop``. Where the step allows it, one
compiled loop runs in its place. To follow how that comes about, read

- ``record``: two time steps run in Python, and every function that they call is noted;
- ``traced``: arrays without elements, which write down what is done to them;
- ``program``: the noted functions' forward and backward, read with such arrays;
- ``storing``: what the backward pass reads of the forward pass;
- ``grouping``: what is computed together;
- ``code``: the source of a loop, with the formulas of ``elementwise``; it calls ``runtime``;
- ``compiled``: that source compiled, in memory and on disk;
- ``cuda_code``: the same for a GPU, whose source ``cuda_source`` puts together;
- ``plan``: all that is known of a step's structure, from call to call;
- ``run``: one scan, its arrays (``memory``), and whether to trust what the loop gives;
- ``on_gpu``: the same on a GPU, and the launches of its loops;
- ``replay``: all of it together, and what stands on the tape;
- ``recurrence``: a scan whose step is a promise, which need not be read at every call.
"""

from .loop import explain, scan
from .recurrence import Recurrence

__all__ = ["Recurrence", "explain", "scan"]
