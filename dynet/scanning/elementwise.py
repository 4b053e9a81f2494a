"""The formulas of NumPy's element-wise functions, as source text for a compiled loop.

A formula is of names of its operands, which have the dtypes that NumPy computes in. Those that
have a counterpart in ``kernels.elementary`` are computed by that, as by the functions' kernels.
"""

FORMULAS = {
    "copy": "{0}",
    "positive": "{0}",
    "where": "({1} if {0} else {2})",
    "add": "({0} + {1})",
    "subtract": "({0} - {1})",
    "multiply": "({0} * {1})",
    "divide": "({0} / {1})",
    "negative": "(-{0})",
    "absolute": "abs({0})",
    "fabs": "abs({0})",
    "square": "({0} * {0})",
    "reciprocal": "({one} / {0})",
    "sign": "({one} if {0} > {zero} else (-{one} if {0} < {zero} else {0}))",
    # Written so that NaN is the largest and the smallest, as it is in NumPy.
    "maximum": "({0} if ({0} >= {1}) | ({0} != {0}) else {1})",
    "minimum": "({0} if ({0} <= {1}) | ({0} != {0}) else {1})",
    "greater": "({0} > {1})",
    "greater_equal": "({0} >= {1})",
    "less": "({0} < {1})",
    "less_equal": "({0} <= {1})",
    "equal": "({0} == {1})",
    "not_equal": "({0} != {1})",
    "logical_and": "({0} & {1})",
    "logical_or": "({0} | {1})",
    "logical_xor": "({0} ^ {1})",
    "logical_not": "(not {0})",
    "bitwise_and": "({0} & {1})",
    "bitwise_or": "({0} | {1})",
    "bitwise_xor": "({0} ^ {1})",
    "invert": "(not {0})",
    "isnan": "({0} != {0})",
    "isfinite": "(abs({0}) < math.inf)",
    "isinf": "(abs({0}) == math.inf)",
    "sqrt": "math.sqrt({0})",
    "exp": "elementary.exp({0})",
    "expm1": "elementary.expm1({0})",
    "log": "elementary.log({0})",
    "log1p": "elementary.log1p({0})",
    "tanh": "elementary.tanh({0})",
    "erf": "error_function.erf({0})",
    "erfc": "error_function.erfc({0})",
    "power": "({0} ** {1})",
    "fmod": "np.fmod({0}, {1})",
    "floor_divide": "np.floor_divide({0}, {1})",
    "remainder": "np.remainder({0}, {1})",
    "arctan2": "math.atan2({0}, {1})",
}
FORMULAS |= {
    name: f"np.{name}({{0}})"
    for name in (
        "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh",
        "floor", "ceil", "trunc", "rint", "exp2", "log2", "log10", "cbrt",
    )
}  # fmt: skip

# The same in C++, for CUDA, whose functions are for float and double.
IN_C = {
    "copy": "({0})",
    "positive": "({0})",
    "where": "({0} ? {1} : {2})",
    "negative": "(-{0})",
    "absolute": "({0} < {zero} ? -{0} : {0} + {zero})",  # of -0 the sum is 0
    "square": "({0} * {0})",
    "reciprocal": "({one} / {0})",
    "sign": "({0} > {zero} ? {one} : ({0} < {zero} ? -{one} : {0}))",
    "maximum": "({0} >= {1} || {0} != {0} ? {0} : {1})",
    "minimum": "({0} <= {1} || {0} != {0} ? {0} : {1})",
    "logical_not": "(!{0})",
    "invert": "(!{0})",
    "isnan": "({0} != {0})",
    "isfinite": "isfinite({0})",
    "isinf": "isinf({0})",
    "power": "pow({0}, {1})",
    "fmod": "fmod({0}, {1})",
    "floor_divide": "floor_divided({0}, {1})",
    "remainder": "remainder_of({0}, {1})",
    "arctan2": "atan2({0}, {1})",
}
IN_C["fabs"] = IN_C["absolute"]
IN_C |= {
    name: f"({{0}} {operator} {{1}})"
    for name, operator in {
        "add": "+", "subtract": "-", "multiply": "*", "divide": "/",
        "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=",
        "equal": "==", "not_equal": "!=",
        "logical_and": "&&", "logical_or": "||", "logical_xor": "!=",
        "bitwise_and": "&&", "bitwise_or": "||", "bitwise_xor": "!=",
    }.items()
}  # fmt: skip
IN_C |= {
    name: f"{'a' + name.removeprefix('arc') if name.startswith('arc') else name}({{0}})"
    for name in (
        "sqrt", "exp", "expm1", "log", "log1p", "tanh", "erf", "erfc",
        "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh",
        "floor", "ceil", "trunc", "rint", "exp2", "log2", "log10", "cbrt",
    )
}  # fmt: skip
