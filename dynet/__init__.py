from . import functions
from .config import config
from .function import Function
from .variable import Parameter, Variable, grad
