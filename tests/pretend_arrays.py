"""The arrays of the pretended CuPy, and its functions: NumPy's, called on what the arrays hide.

Everything goes through ``_compute``, which holds the rules that are the same for all.
"""

# ruff: noqa: SIM905 - names are read best as a text

import sys

import cupy_names as names
import numpy as np
import pretend_cuda as cuda
from pretend_cuda import GUARD, state, synchronise

_SCALARS = (int, float, complex, bool, np.bool_, np.number)
_ORDINARY = "?bBhHiIlLqQefdFD"


def _dtype(dtype):
    dtype = np.dtype(float if dtype is None else dtype)
    if dtype.char not in _ORDINARY:
        raise ValueError(f"Unsupported dtype {dtype}")
    return dtype


def _fresh(shape, dtype, order="C", fill=None):
    """New memory of the current device; unless ``fill`` is given, full of NaN, -1 or True."""
    dtype = _dtype(dtype)
    order = "F" if order == "F" else "C"
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(map(int, shape))
    n = int(np.prod(shape, dtype=int)) * dtype.itemsize
    memory = np.full(n + 2 * GUARD, 0xAB, np.uint8)
    a = memory[GUARD : GUARD + n].view(dtype).reshape(shape, order=order)
    if fill is None:
        a.reshape(-1, order="A" if order == "F" else "C").view(np.uint8)[...] = 0xFF
        if dtype.kind == "b":
            a[...] = True
    else:
        a[...] = fill
    made = _hold(a)
    made._memory = memory
    return made


def _hold(a, owner=None):
    """An array over NumPy's; ``owner`` is the one whose memory it looks at."""
    made = object.__new__(ndarray)
    made._a, made._owner, made._memory = a, owner, None
    made._device = state.device if owner is None else owner._device
    made._pool = state.pool if owner is None else owner._pool
    if owner is None:
        made._pool._used[state.device] += a.nbytes
    return made


def _root(a):
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def _wrap(result, arrays):
    """What NumPy made of some arrays, in arrays: a view of one knows whose memory it sees."""
    if isinstance(result, (list, tuple)):
        wrapped = [_wrap(r, arrays) for r in result]
        return type(result)(*wrapped) if hasattr(result, "_fields") else type(result)(wrapped)
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    for x in arrays:
        if result is x._a:
            return x
    result = np.asarray(result)
    if result.base is not None:
        for x in arrays:
            if _root(x._a) is _root(result):
                return _hold(result, x if x._owner is None else x._owner)
        result = result.copy(order="K")
    return _hold(result)


def _bare(value, arrays):
    """An argument with NumPy's arrays in place of ours, which are added to ``arrays``."""
    kind = type(value)
    if kind is ndarray:
        arrays.append(value)
        return value._a
    if kind in (list, tuple):
        return kind([_bare(v, arrays) for v in value])
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {kind}")
    return value


def _check_devices(arrays):
    for x in arrays:
        if x._device != state.device:
            other = next((y._device for y in arrays if y._device != x._device), state.device)
            raise ValueError(
                "Array device must be same as the current device: "
                f"array device = {x._device} while current = {other}"
            )


def _compute(function, args, keywords, writes=None):
    """Call a function of NumPy's on what our arrays hide.

    While a stream is captured, it is noted as well; if it writes into an array, only that.
    """
    arrays = []
    args = [_bare(a, arrays) for a in args]
    keywords = {k: _bare(v, arrays) for k, v in keywords.items()}
    _check_devices(arrays)

    def call():
        with np.errstate(all="ignore"):
            return function(*args, **keywords)

    if not state.stream.is_capturing():
        return _wrap(call(), arrays)
    if writes is not None:
        state.stream._note(call, arrays)
        return writes
    result = _wrap(call(), arrays)
    several = isinstance(result, (list, tuple))
    made = [r for r in (result if several else [result]) if type(r) is ndarray]
    if any(r._owner is None and all(r is not x for x in arrays) for r in made):
        # Only the memory: whether somebody still has the arrays is to be seen.
        targets = [r._a for r in made]

        def repeat():
            again = call()
            for target, value in zip(targets, again if several else [again], strict=True):
                target[...] = value

        state.stream._note(repeat, [*arrays, *made])
        for target in targets:
            target[...] = (
                True if target.dtype.kind in "b" else -1 if target.dtype.kind in "iu" else np.nan
            )
    return result


def _check_arguments(name, signature, args, keywords):
    """Raise unless the function of CuPy's has these arguments."""
    known = signature.split()
    end = next((i for i, n in enumerate(known) if n.startswith("*")), len(known))
    takes_more = end < len(known) and len(known[end]) > 1 and known[end][1] != "*"
    if len(args) > end and not takes_more:
        raise TypeError(f"{name}() takes {end} positional arguments but {len(args)} were given")
    for k in keywords:
        if k not in known and known[-1:] != ["**kwargs"]:
            raise TypeError(f"{name}() got an unexpected keyword argument '{k}'")


def _by_name(table):
    return {name: signature for signature, said in table.items() for name in said.split()}


def _written(keywords):
    out = keywords.get("out")
    if out is not None and type(out) is not ndarray:
        raise TypeError(f"out must be a cupy.ndarray, not {type(out)}")
    return out


def _function(name, signature, function, of_arrays=False):
    """A function or a method of CuPy's that is NumPy's, with its rules."""

    def called(*args, **keywords):
        _check_arguments(name, signature, args[1:] if of_arrays else args, keywords)
        if name in names.ANSWERING:
            return function(*[_bare(a, []) for a in args], **keywords)
        if name in names.SYNCHRONISING or (name == "where" and len(args) == 1):
            synchronise(name)
        if name in names.PRODUCTS and state.stream.is_capturing():
            raise NotImplementedError(
                f"{name}: calling cuBLAS API during stream capture is currently unsupported"
            )
        if name in names.WRITING:
            if type(args[0]) is not ndarray:
                raise TypeError(f"{name}: expected a cupy.ndarray, got {type(args[0])}")
            writes = args[0]
        else:
            writes = _written(keywords)
        return _compute(function, args, keywords, writes)

    called.__name__ = called.__qualname__ = name
    called.__module__ = "cupy"
    return called


def _is_mask(i):
    return isinstance(i, np.ndarray) and i.dtype.kind == "b"


def _look_at_masks(indices):
    """CuPy counts how many booleans are true, be it to read there or to write one number."""
    if any(x.dtype == bool for x in indices):
        synchronise("indexing by booleans")


def _wrapped(ids, n):
    """CuPy does not look whether ids are in range: they begin again from 0 after the last one."""
    return ids % n if n and ids.dtype.kind in "iu" else ids


def _take(a, indices, axis=None, out=None):
    a = np.asarray(a)
    return np.take(a, np.asarray(indices), axis, out, mode="wrap")


def _take_along_axis(a, indices, axis):
    n = a.size if axis is None else a.shape[axis]
    return np.take_along_axis(a, _wrapped(indices, n), axis)


def _put_along_axis(arr, indices, values, axis):
    n = arr.size if axis is None else arr.shape[axis]
    return np.put_along_axis(arr, _wrapped(indices, n), values, axis)


def _argsort(a, axis=-1, kind=None):
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return np.argsort(a, axis, kind="stable")


def _sort(a, axis=-1, kind=None):
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return np.sort(a, axis, kind="stable")


def _repeat(a, repeats, axis=None):
    if isinstance(repeats, np.ndarray):
        raise ValueError("cupy.repeat: repeats must be int or a sequence of int, not an array")
    return np.repeat(a, repeats, axis)


def _copyto(dst, src, casting="same_kind", where=None):
    np.copyto(dst, src, casting, where=True if where is None else where)


_OURS = {
    "take": _take,
    "take_along_axis": _take_along_axis,
    "put_along_axis": _put_along_axis,
    "argsort": _argsort,
    "sort": _sort,
    "repeat": _repeat,
    "copyto": _copyto,
    "put": lambda a, ind, v, mode="wrap": np.put(a, ind, v, mode),
    "average": lambda a, axis=None, weights=None, returned=False, **kw: np.average(
        a, axis, weights, returned, **kw
    ),
}


# ---- ufuncs


class ufunc:
    """One of CuPy's, which have fewer methods than NumPy's, and no ``where``."""

    __module__ = "cupy"

    def __init__(self, name, function):
        self.name, self.__name__, self._function = f"cupy_{name}", name, function
        self.nin, self.nout, self.nargs = function.nin, function.nout, function.nargs

    def __call__(self, *args, out=None, dtype=None, casting="same_kind", **more):
        if more:
            raise TypeError(f"Wrong arguments {more}")
        if len(args) > self.nin:
            args, out = args[: self.nin], args[self.nin :]
        for a in args:
            if type(a) is not ndarray and not isinstance(a, _SCALARS):
                raise TypeError(f"Unsupported type {type(a)}")
        outs = out if isinstance(out, tuple) else (out,) * (out is not None)
        for o in outs:
            if o is not None and type(o) is not ndarray:
                raise TypeError(f"Unsupported type {type(o)}")
        keywords = {"casting": casting, "order": "C"}
        if dtype is not None:
            keywords["dtype"] = _dtype(dtype)
        if outs:
            keywords["out"] = outs
        writes = None if not outs else outs[0] if self.nout == 1 else outs
        return _compute(self._function, args, keywords, writes)

    def at(self, a, indices, b=None):
        scattered = "add subtract maximum minimum bitwise_and bitwise_or bitwise_xor"
        if self.__name__ not in scattered.split():
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        arrays = []
        target, at = a._a, a._index(indices, arrays)
        _look_at_masks(arrays)
        value = _bare(b, arrays)
        a._write(lambda: self._function.at(target, at(), value), arrays)

    def outer(self, A, B, **keywords):
        A, B = array(A), array(B)
        return self(A.reshape(A.shape + (1,) * B.ndim), B, **keywords)

    def _along(self, what, array, methods, *args):
        method = methods.get(self.__name__)
        if method is None:
            raise NotImplementedError(f"`{self.name}.{what}` is not supported yet")
        return getattr(array, method)(*args)

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        methods = {"add": "sum", "multiply": "prod"}
        return self._along("reduce", array, methods, axis, dtype, out, keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        methods = {"add": "cumsum", "multiply": "cumprod"}
        return self._along("accumulate", array, methods, axis, dtype, out)

    def __repr__(self):
        return f"<ufunc '{self.name}'>"


# ---- arrays


class ndarray:
    """An array in the memory of a pretended GPU."""

    __slots__ = ("_a", "_device", "_owner", "_memory", "_pool", "__weakref__")
    __module__ = "cupy"
    __hash__ = None
    __array_priority__ = 100

    def __new__(cls, shape, dtype=float, memptr=None, strides=None, order="C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("the pretended ndarray makes its own memory")
        return _fresh(shape, dtype, order)

    def __del__(self):
        if self._owner is None:
            self._pool._used[self._device] -= self._a.nbytes

    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    strides = property(lambda self: self._a.strides)
    base = property(lambda self: self._owner)
    device = property(lambda self: cuda.Device(self._device))
    T = property(lambda self: self if self.ndim < 2 else self.transpose())
    mT = property(lambda self: self.swapaxes(-1, -2))
    real = property(lambda self: _compute(lambda a: a.real, [self], {}))
    imag = property(lambda self: _compute(lambda a: a.imag, [self], {}))
    data = property(lambda self: _Pointer(self))
    flags = property(lambda self: _Flags(self._a.flags))
    __cuda_array_interface__ = property(lambda self: {"version": 3, "shape": self.shape})

    @property
    def shape(self):
        return self._a.shape

    @shape.setter
    def shape(self, shape):
        self._a = self._a.reshape(shape, copy=False)

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        out = keywords.get("out")
        if out is not None:
            if len(out) != 1:
                raise ValueError("The 'out' parameter must have exactly one array value")
            keywords["out"] = out[0]
        ours = getattr(sys.modules["pretend_cupy"], ufunc.__name__, None)
        if ours is None:
            return NotImplemented
        for x in (*inputs, *(out or ())):
            if not isinstance(x, (ndarray, *_SCALARS, np.ndarray)) and method != "at":
                return NotImplemented
        if ufunc.__name__ in _COMPARISONS:
            inputs = [x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs]
        if method != "__call__":
            ours = getattr(ours, method)
        return ours(*inputs, **keywords)

    def __array_function__(self, function, types, args, keywords):
        ours = sys.modules["pretend_cupy"]
        try:
            for name in [*function.__module__.split(".")[1:], function.__name__]:
                ours = getattr(ours, name)
        except AttributeError:
            return NotImplemented
        if ours is function or any(t not in (ndarray, np.ndarray) for t in types):
            return NotImplemented
        return ours(*args, **keywords)

    # Elements that the host sees.

    def get(self, stream=None, order="C", out=None, blocking=True):
        synchronise("get")
        return self._see(order, out)

    def _see(self, order="C", out=None):
        if out is None:
            return np.array(self._a, order=order)
        if type(out) is not np.ndarray:
            raise TypeError("Only numpy.ndarray can be obtained from cupy.ndarray")
        if out.dtype != self.dtype or out.shape != self.shape:
            raise ValueError(f"get: out is {out.dtype} {out.shape}, of {self.dtype} {self.shape}")
        out[...] = self._a
        return out

    def item(self):
        synchronise("item")
        return self._a.item()

    def tolist(self):
        synchronise("tolist")
        return self._a.tolist()

    def tobytes(self, order="C"):
        synchronise("tobytes")
        return self._a.tobytes(order)

    def __bool__(self):
        if self.size > 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. "
                "Use a.any() or a.all()"
            )
        synchronise("bool()")
        return bool(self._a)

    def __int__(self):
        synchronise("int()")
        return int(self._a)

    def __float__(self):
        synchronise("float()")
        return float(self._a)

    def __complex__(self):
        synchronise("complex()")
        return complex(self._a)

    def __repr__(self):
        synchronise("repr()")
        return repr(self._a)

    def __str__(self):
        synchronise("str()")
        return str(self._a)

    def __format__(self, spec):
        synchronise("format()")
        return format(self._a[()], spec)

    def __reduce__(self):
        return array, (self.get(),)

    def set(self, arr, stream=None):
        if type(arr) is not np.ndarray:
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype or arr.shape != self.shape:
            raise ValueError(f"set: got {arr.dtype} {arr.shape}, of {self.dtype} {self.shape}")
        _check_transfer()
        self._a[...] = arr

    # Copies and views.

    def copy(self, order="C"):
        if self._device != state.device:  # the one way from there to here
            a = self._a.astype(self.dtype, order, copy=False)
            if not (a.flags.c_contiguous or a.flags.f_contiguous):
                raise NotImplementedError("CuPy cannot copy non-contiguous array between devices.")
            return _hold(a.copy(order))
        return _compute(lambda a: a.copy(order), [self], {})

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        with self.device:
            return self.copy()

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if casting is not None or subok is not None:
            raise TypeError("casting and subok are not supported yet")
        dtype = _dtype(dtype)
        if not copy and dtype == self.dtype and order in ("K", "A"):
            return self
        return _compute(lambda a: a.astype(dtype, order, copy=copy), [self], {})

    def view(self, dtype=None, type=None):
        return _compute(lambda a: a.view() if dtype is None else a.view(dtype), [self], {})

    def reshape(self, *shape, order="C", copy=None):
        return _compute(lambda a: a.reshape(*shape, order=order, copy=copy), [self], {})

    # Indices.

    def __len__(self):
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return len(self._a)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def _index(self, indices, arrays):
        """A function that gives NumPy's index for ours, of what stands in the ids by then.

        It ends in an ellipsis, with which a single element is an array too.
        """
        parts = []
        for i in indices if isinstance(indices, tuple) else (indices,):
            if isinstance(i, (list, np.ndarray, bool, np.bool_)):
                i = array(np.zeros(0, int) if isinstance(i, list) and not i else i)
            parts.append(_bare(i, arrays))
        if not any(i is Ellipsis for i in parts):
            parts.append(Ellipsis)
        axes = [0 if i is None or i is Ellipsis else i.ndim if _is_mask(i) else 1 for i in parts]
        if sum(axes) > self.ndim:
            raise IndexError(
                f"too many indices for array: array is {self.ndim}-dimensional, "
                f"but {sum(axes)} were indexed"
            )
        axis, lengths = 0, []
        for i, n in zip(parts, axes, strict=True):
            lengths.append(self.shape[axis] if isinstance(i, np.ndarray) else 0)
            axis += self.ndim - sum(axes) if i is Ellipsis else n
        return lambda: tuple(
            _wrapped(i, n) if n else i for i, n in zip(parts, lengths, strict=True)
        )

    def __getitem__(self, indices):
        arrays = []
        at = self._index(indices, arrays)
        _look_at_masks(arrays)
        if not arrays:
            result = self._a[at()]
            return _hold(result, self if self._owner is None else self._owner)
        # A single id in an array makes a copy here, where NumPy has a view.
        return _compute(lambda a, *ids: a[at()].copy(), [self, *arrays], {})

    def __setitem__(self, indices, value):
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if type(value) is not ndarray and not isinstance(value, (*_SCALARS, np.ndarray)):
            raise TypeError(f"Unsupported type {type(value)}")
        arrays = []
        at = self._index(indices, arrays)
        _look_at_masks(arrays)
        if type(value) is ndarray:
            arrays.append(value)
            value = value._a
        target = self._a
        self._write(lambda: target.__setitem__(at(), value), arrays)

    def _write(self, write, arrays):
        """Do what writes into this array, or note it."""
        _check_devices([self, *arrays])
        if state.stream.is_capturing():
            state.stream._note(write, [self, *arrays])
        else:
            with np.errstate(all="ignore"):
                write()


class _Pointer:
    """What CuPy calls a ``MemoryPointer``."""

    def __init__(self, array):
        self.ptr, self.device_id = array._a.ctypes.data, array._device

    device = property(lambda self: cuda.Device(self.device_id))


class _Flags:
    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.owndata = flags.owndata

    def __getitem__(self, name):
        return getattr(self, name.lower())


_COMPARISONS = "greater greater_equal less less_equal equal not_equal".split()


def _give_operators():
    def forward(function):
        def method(self, other):
            if getattr(other, "__array_ufunc__", self) is None:
                return NotImplemented
            stronger = getattr(other, "__array_priority__", 0) > self.__array_priority__
            if stronger and not hasattr(other, "__array_ufunc__"):
                return NotImplemented
            return function(self, other)

        return method

    def backward(function):
        return forward(lambda self, other: function(other, self))

    def in_place(function):
        return forward(lambda self, other: function(self, other, out=self))

    two = {
        "add": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "truediv": np.true_divide,
        "floordiv": np.floor_divide,
        "mod": np.remainder,
        "pow": np.power,
        "lshift": np.left_shift,
        "rshift": np.right_shift,
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
        "matmul": np.matmul,
        "divmod": np.divmod,
    }
    for name, function in two.items():
        setattr(ndarray, f"__{name}__", forward(function))
        setattr(ndarray, f"__r{name}__", backward(function))
        if name not in ("matmul", "divmod"):
            setattr(ndarray, f"__i{name}__", in_place(function))
    for name, function in zip("gt ge lt le eq ne".split(), _COMPARISONS, strict=True):
        setattr(ndarray, f"__{name}__", forward(getattr(np, function)))
    one = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}
    for name, function in one.items():
        numpys = getattr(np, function)
        setattr(ndarray, f"__{name}__", lambda self, f=numpys: f(self))


def _give_methods():
    ours = {
        "take": _take,
        "argsort": _argsort,
        "sort": lambda a, axis=-1, kind=None: a.sort(axis, "stable"),
        "ptp": np.ptp,
        "repeat": _repeat,
    }
    for name, signature in _by_name(names.METHODS).items():
        if name in vars(ndarray):
            continue
        if name.startswith("scatter_"):
            function = {"add": "add", "max": "maximum", "min": "minimum"}[name[8:]]
            setattr(
                ndarray,
                name,
                lambda self, slices, value, f=function: ufuncs[f].at(self, slices, value),
            )
            continue
        function = ours.get(name) or getattr(np.ndarray, name)
        setattr(ndarray, name, _function(name, signature, function, of_arrays=True))


# ---- arrays from the host, and new ones


def _check_transfer():
    if state.stream.is_capturing():
        raise cuda.runtime.CUDARuntimeError(
            "cudaErrorStreamCaptureUnsupported: a copy from the host during capture"
        )


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    if type(obj) is ndarray:
        a = obj if obj._device == state.device else obj.copy("K")
        dtype = a.dtype if dtype is None else dtype
        a = a.astype(dtype, order or "K", copy=copy and a is obj)
        return a if a.ndim >= ndmin else a.reshape((1,) * (ndmin - a.ndim) + a.shape)
    if isinstance(obj, (list, tuple)) and _has_arrays(obj):
        made = _compute(lambda *parts: np.stack(parts), [array(o) for o in obj], {})
        return made if dtype is None else made.astype(dtype, copy=False)
    source = np.array(obj, None if dtype is None else _dtype(dtype), order=order, ndmin=ndmin)
    _check_transfer()
    _dtype(source.dtype)
    made = _fresh(source.shape, source.dtype, "F" if source.flags.fnc else "C")
    made._a[...] = source
    return made


def _has_arrays(obj):
    return any(type(o) is ndarray or (isinstance(o, (list, tuple)) and _has_arrays(o)) for o in obj)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return array(a, dtype, bool(copy), order or "K")


asanyarray = asarray


def _contiguous(order):
    def as_contiguous(a, dtype=None):
        if type(a) is not ndarray:
            raise TypeError(f"Argument 'a' has incorrect type (got {type(a)})")
        if dtype is not None and dtype != a.dtype:
            a = a.astype(dtype)
        if a.flags[f"{order}_contiguous"]:  # wherever it is
            return a if a.ndim else _hold(a._a.reshape(1), a if a._owner is None else a._owner)
        return _compute(lambda a: a.copy(order.upper()), [a], {})

    return as_contiguous


ascontiguousarray, asfortranarray = _contiguous("c"), _contiguous("f")


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    if type(a) is not ndarray:
        return np.asarray(a)
    return a.get(stream, order, out)


def _filled(shape, dtype, order, fill):
    """New memory; its filling is a piece of work, which a capture notes."""
    if type(fill) is ndarray or state.stream.is_capturing():
        made = _fresh(shape, dtype, order)
        made[...] = fill
        return made
    return _fresh(shape, dtype, order, fill)


def empty(shape, dtype=float, order="C"):
    return _fresh(shape, dtype, order)


def zeros(shape, dtype=float, order="C"):
    return _filled(shape, dtype, order, 0)


def ones(shape, dtype=float, order="C"):
    return _filled(shape, dtype, order, 1)


def full(shape, fill_value, dtype=None, order="C"):
    if dtype is None:
        dtype = getattr(fill_value, "dtype", None) or np.array(fill_value).dtype
    return _filled(shape, dtype, order, fill_value)


def _like(a, dtype, order, shape):
    if type(a) is not ndarray:
        raise TypeError(f"Unsupported type {type(a)}")
    fortran = order == "F" or (order in ("K", "A") and a._a.flags.fnc)
    return a.shape if shape is None else shape, dtype or a.dtype, "F" if fortran else "C"


def empty_like(prototype, dtype=None, order="K", subok=None, shape=None):
    return empty(*_like(prototype, dtype, order, shape))


def zeros_like(a, dtype=None, order="K", subok=None, shape=None):
    return zeros(*_like(a, dtype, order, shape))


def ones_like(a, dtype=None, order="K", subok=None, shape=None):
    return ones(*_like(a, dtype, order, shape))


def full_like(a, fill_value, dtype=None, order="K", subok=None, shape=None):
    return _filled(*_like(a, dtype, order, shape), fill_value)


def get_array_module(*args):
    return sys.modules["pretend_cupy"] if any(type(a) is ndarray for a in args) else np


def is_available():
    return True


def get_default_memory_pool():
    return cuda._default_pool


# ---- what the names stand for

ufuncs = {name: ufunc(name, getattr(np, name)) for name in names.UFUNCS}


def functions(table, module):
    """Those of a table of signatures, which are a module's of NumPy's within."""
    return {
        name: _function(name, signature, _OURS.get(name) or getattr(module, name))
        for name, signature in _by_name(table).items()
        if hasattr(module, name)
    }


_give_operators()
_give_methods()
