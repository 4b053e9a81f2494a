"""What CuPy 14 offers, by name: what the pretended CuPy of ``pretend_cupy.py`` may offer too.

Of each function the names of its arguments: those after a star go by name only.
"""

# ruff: noqa: SIM905 - names are read best as a text

FUNCTIONS = {
    "a axis out keepdims": "all amax amin any max min nanmax nanmin ptp",
    "a b rtol atol equal_nan": "allclose isclose",
    "arr values axis": "append",
    "start stop step dtype": "arange",
    "a axis dtype out keepdims": "argmax argmin mean nanmean nanprod nansum prod sum",
    "a kth axis": "argpartition partition",
    "a axis kind": "argsort sort",
    "a": "argwhere flatnonzero fliplr flipud ndim nonzero shape",
    "a decimals out": "around round",
    "obj dtype copy order subok ndmin * blocking": "array",
    "a1 a2 equal_nan": "array_equal",
    "ary indices_or_sections axis": "array_split split",
    "a dtype order * copy blocking": "asanyarray asarray",
    "a dtype": "ascontiguousarray asfortranarray",
    "a stream order out * blocking": "asnumpy",
    "x dtype * copy": "astype",
    "*arys": "atleast_1d atleast_2d atleast_3d",
    "a axis weights returned * keepdims": "average",
    "x weights minlength": "bincount",
    "*args": "broadcast_arrays broadcast_shapes ix_",
    "array shape": "broadcast_to",
    "from_ to casting": "can_cast",
    "a a_min a_max out": "clip",
    "tup": "column_stack dstack",
    "*arrays": "common_type",
    "condition a axis out": "compress",
    "tup axis out * dtype casting": "concat concatenate stack",
    "a order": "copy ravel",
    "dst src casting where": "copyto",
    "a axis": "count_nonzero expand_dims flip size squeeze",
    "a b axisa axisb axisc axis": "cross",
    "a axis dtype out": "cumprod cumsum",
    "v k": "diag",
    "n ndim": "diag_indices",
    "a offset axis1 axis2": "diagonal",
    "a n axis prepend append": "diff",
    "x bins right": "digitize",
    "a b out": "dot outer",
    "*operands **kwargs": "einsum",
    "shape dtype order": "empty ones zeros",
    "prototype dtype order subok shape": "empty_like",
    "condition a": "extract",
    "N M k dtype order": "eye",
    "a val wrap": "fill_diagonal",
    "shape fill_value dtype order": "full",
    "a fill_value dtype order subok shape": "full_like",
    "f *varargs axis edge_order": "gradient",
    "ary indices_or_sections": "hsplit vsplit",
    "tup * dtype casting": "hstack vstack",
    "n dtype": "identity",
    "val": "imag real",
    "dimensions dtype": "indices",
    "a b": "inner kron vdot",
    "x xp fp left right period": "interp",
    "x": "iscomplexobj isrealobj matrix_transpose",
    "element test_elements assume_unique invert": "isin",
    "x out": "isneginf isposinf",
    "element": "isscalar",
    "arg1 arg2": "issubdtype",
    "keys": "lexsort",
    "start stop num endpoint retstep dtype axis": "linspace",
    "start stop num endpoint base dtype axis": "logspace",
    "*args axes axis keepdims casting dtype signature order out": "matmul",
    "a b max_work": "may_share_memory shares_memory",
    "a axis out overwrite_input keepdims": "median",
    "*xi **kwargs": "meshgrid",
    "a source destination": "moveaxis",
    "x copy nan posinf neginf": "nan_to_num",
    "a dtype order subok shape": "ones_like zeros_like",
    "array pad_width mode **kwargs": "pad",
    "a q axis out overwrite_input method keepdims * interpolation": "percentile quantile",
    "a axes": "permute_dims transpose",
    "type1 type2": "promote_types",
    "a ind v mode": "put",
    "arr indices values axis": "put_along_axis",
    "a mask values": "putmask",
    "multi_index dims mode order": "ravel_multi_index",
    "a repeats axis": "repeat",
    "a dtype requirements": "require",
    "a newshape order * copy": "reshape",
    "*arrays_and_dtypes": "result_type",
    "a shift axis": "roll",
    "a axis start": "rollaxis",
    "a k axes": "rot90",
    "a v side sorter": "searchsorted",
    "condlist choicelist default": "select",
    "a axis dtype out ddof keepdims": "std var",
    "a axis1 axis2": "swapaxes",
    "a indices axis out": "take",
    "a indices axis": "take_along_axis",
    "a b axes": "tensordot",
    "A reps": "tile",
    "a offset axis1 axis2 dtype out": "trace",
    "N M k dtype": "tri",
    "m k": "tril triu",
    "n k m": "tril_indices triu_indices",
    "ar return_index return_inverse return_counts axis * equal_nan": "unique",
    "indices dims order": "unravel_index",
    "x N increasing": "vander",
    "condition x y": "where",
}

LINALG = {
    "a": "cholesky det eig eigvals inv matrix_transpose slogdet",
    "x p": "cond",
    "x1 x2 * axis": "cross",
    "a UPLO": "eigh eigvalsh",
    "a b rcond": "lstsq",
    "*args axes axis keepdims casting dtype signature order out": "matmul",
    "M n": "matrix_power",
    "M tol": "matrix_rank",
    "x ord axis keepdims": "norm",
    "a rcond": "pinv",
    "a mode": "qr",
    "a b": "solve",
    "a full_matrices compute_uv": "svd",
    "a ind": "tensorinv",
    "a b axes": "tensorsolve",
}

METHODS = {
    "axis out keepdims": "all any max min ptp",
    "axis out dtype keepdims": "argmax argmin",
    "kth axis": "argpartition partition",
    "axis kind": "argsort sort",
    "dtype order casting subok copy": "astype",
    "min max out": "clip",
    "": "conj conjugate item nonzero tolist",
    "order": "copy flatten ravel tobytes",
    "axis dtype out": "cumprod cumsum",
    "offset axis1 axis2": "diagonal",
    "b out": "dot",
    "value": "fill",
    "stream order out blocking": "get",
    "axis dtype out keepdims": "mean prod sum",
    "indices values mode": "put",
    "repeats axis": "repeat",
    "*shape order copy": "reshape",
    "decimals out": "round",
    "slices value": "scatter_add scatter_max scatter_min",
    "v side sorter": "searchsorted",
    "arr stream": "set",
    "axis": "squeeze",
    "axis dtype out ddof keepdims": "std var",
    "axis1 axis2": "swapaxes",
    "indices axis out": "take",
    "offset axis1 axis2 dtype out": "trace",
    "*axes": "transpose",
    "dtype type": "view",
}

UFUNCS = (
    "abs absolute acos acosh add arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin "
    "asinh atan atan2 atanh bitwise_and bitwise_count bitwise_invert bitwise_left_shift "
    "bitwise_not bitwise_or bitwise_right_shift bitwise_xor cbrt ceil conj conjugate copysign "
    "cos cosh deg2rad degrees divide divmod equal exp exp2 expm1 fabs float_power floor "
    "floor_divide fmax fmin fmod frexp gcd greater greater_equal heaviside hypot invert "
    "isfinite isinf isnan lcm ldexp left_shift less less_equal log log10 log1p log2 logaddexp "
    "logaddexp2 logical_and logical_not logical_or logical_xor maximum minimum mod modf "
    "multiply negative nextafter not_equal positive pow power rad2deg radians reciprocal "
    "remainder right_shift rint sign signbit sin sinh sqrt square subtract tan tanh "
    "true_divide trunc "
).split()
# They end in a look at elements, which the host must wait for.
SYNCHRONISING = frozenset(
    "argwhere average bincount compress extract flatnonzero nanmax nanmin nonzero unique "
    "ravel_multi_index".split()
)
# They answer from shapes and dtypes, with what is no array.
ANSWERING = frozenset(
    "broadcast_shapes can_cast common_type iscomplexobj isrealobj isscalar issubdtype "
    "may_share_memory ndim promote_types result_type shape size".split()
)
# They call cuBLAS or cuSOLVER, which CuPy refuses while a stream is being captured.
PRODUCTS = frozenset("dot einsum inner kron matmul tensordot vdot".split()) | frozenset(
    " ".join(LINALG.values()).split()
)
# They write into their first argument.
WRITING = frozenset(
    "copyto fill fill_diagonal partition put put_along_axis putmask scatter_add scatter_max "
    "scatter_min sort".split()
)
