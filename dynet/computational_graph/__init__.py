"""Pictures of a recorded run: as text for the terminal, as Graphviz DOT, as SVG.

>>> import numpy as np, dynet, dynet.functions as F
>>> x = dynet.Variable(np.ones((2, 3), np.float32), name="x")
>>> with dynet.computational_graph.Recorder() as recorder:
...     y = F.relu(x * 2).sum()
...     y.backward()
>>> graph = dynet.computational_graph.build_computational_graph(y, recorder=recorder)
>>> print(graph)  # doctest: +SKIP
3 functions, 1 variable; all float32

  x  variable  (2, 3)

#  function  of    gives    forward  backward
1  Mul       x, 2  (2, 3)   46.7 us   53.4 us
2  ReLU      1     (2, 3)   15.7 us   21.6 us
3  Sum       2     ()       67.1 us   17.1 us
   all 3                   129.5 us   92.1 us
"""

from .graph import ComputationalGraph, build_computational_graph
from .recorder import Recorder

__all__ = ["ComputationalGraph", "Recorder", "build_computational_graph"]
