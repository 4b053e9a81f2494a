"""dynet: write a recurrent network as an ordinary Python loop; the run is recorded, and played
backwards for the gradients."""

# ruff: noqa: I001 - the order is that in which a reader should meet the names.
from .variable import Variable
from .function import Function
from .higher_order import grad
from .parameter import Parameter
from . import functions
from . import random
from .scanning import scan
from . import function_hooks
from .function_hooks import FunctionHook
from .interchange import from_dlpack
from .config import config, no_backprop_mode, using_config
from .reporter import Reporter, report
from .link import Chain, ChainList, Link, Sequential
from . import links
from . import initializers
from . import optimizers, optimizer_hooks
from . import serializers
from . import iterators, datasets
from . import computational_graph
from . import training
from . import gradient_check
from . import backend
from .backend import get_array_module, get_device

__version__ = "0.1.0"

__all__ = [
    "Chain",
    "ChainList",
    "Function",
    "FunctionHook",
    "Link",
    "Parameter",
    "Reporter",
    "Sequential",
    "Variable",
    "backend",
    "computational_graph",
    "config",
    "datasets",
    "from_dlpack",
    "function_hooks",
    "functions",
    "get_array_module",
    "get_device",
    "grad",
    "gradient_check",
    "initializers",
    "iterators",
    "links",
    "no_backprop_mode",
    "optimizer_hooks",
    "optimizers",
    "random",
    "report",
    "scan",
    "serializers",
    "training",
    "using_config",
]
