"""Pooling: the largest elements of windows and their sums, and what undoes them.

The windows lie as in ``convolution``. Each kernel goes along a row of windows, for one element
of all of them at a time, which is a plain loop over neighbours. These innermost loops count
in unsigned integers, which Numba does not test for negative ones, and choose without a branch,
which random numbers would have the processor guess wrong half of the time.
"""

import numpy as np
from numba import njit, uint64

from ..backend import get_array_module
from .arithmetic import compiled, readable
from .convolution import add_windows, windows

# -- compiled -----------------------------------------------------------------------------------


@njit(cache=True)
def _check_windows(planes, windows, kernel, stride, pad):
    if planes.shape[0] != windows.shape[0] or min(kernel) < 1 or min(stride) < 1 or min(pad) < 0:
        raise ValueError("pooling: the arrays' shapes or the settings do not agree")


@njit(cache=True)
def _windows_meeting(kernel, stride, pad, size, count):
    """For each element of a window, which of ``count`` windows have it inside the image.

    Row ``k`` of the result has the first of these windows, and the first behind that has not.
    """
    # Elements beyond the far edge even in the first window lie inside the image in none.
    windows = np.empty((min(kernel, size + pad), 2), np.int64)
    for k in range(len(windows)):
        # The first u with u * stride + k - pad >= 0, the last with u * stride + k - pad < size.
        windows[k, 0] = max(0, -((k - pad) // stride))
        windows[k, 1] = min(count, (size - 1 - k + pad) // stride + 1)
    return windows


@njit(cache=True)
def _rows_of(u, kernel, stride, pad, size):
    """The first row of an image that window ``u`` holds, and the first behind that it does not."""
    return max(0, u * stride - pad), min(size, u * stride - pad + kernel)


@njit(cache=True)
def _holds_none(u, kernel, stride, pad, size):
    begin, end = _rows_of(u, kernel, stride, pad, size)
    return begin >= end


@njit(cache=True)
def _keep_largest(x, i, stride, place, best, places, o, n):
    """Of every ``stride``-th number of ``x`` from ``i``, what is larger than what ``best`` has."""
    i, stride, place, o = uint64(i), uint64(stride), uint64(place), uint64(o)
    for v in range(uint64(n)):
        new, old, at = x[i + v * stride], best[o + v], places[o + v]
        # The first of equals stays, and so does NaN, which any number gives way to.
        larger = (not (new <= old)) & (old == old)
        best[o + v] = new if larger else old
        places[o + v] = place + v * stride if larger else at


@njit(cache=True)
def max_of_windows(x, kernel, stride, pad, y, places):
    """The largest element of each window to ``y``, and where it lies in its image to ``places``.

    Args:
        x: images, ``(planes, h, w)``.
        kernel, stride, pad: pairs.
        y, places: ``(planes, oh, ow)``; every window must hold an element.
    """
    _check_windows(x, y, kernel, stride, pad)
    if places.shape != y.shape:
        raise ValueError("max pooling: the outputs' shapes do not agree")
    planes, h, w = x.shape
    oh, ow = y.shape[1:]
    for u in range(oh):
        if _holds_none(u, kernel[0], stride[0], pad[0], h):
            raise ValueError("max pooling: a window holds no element")
    for v in range(ow):
        if _holds_none(v, kernel[1], stride[1], pad[1], w):
            raise ValueError("max pooling: a window holds no element")
    meeting = _windows_meeting(kernel[1], stride[1], pad[1], w, ow)
    x, y, places = x.reshape(-1), y.reshape(-1), places.reshape(-1)
    for n in range(planes):
        for u in range(oh):
            o = (n * oh + u) * ow
            begin, end = _rows_of(u, kernel[0], stride[0], pad[0], h)
            for v in range(ow):
                j = max(0, v * stride[1] - pad[1])
                y[o + v] = x[(n * h + begin) * w + j]
                places[o + v] = begin * w + j
            for i in range(begin, end):
                for k in range(len(meeting)):
                    first, last = meeting[k, 0], meeting[k, 1]
                    if first < last:
                        at = i * w + first * stride[1] + k - pad[1]
                        from_, to, m = n * h * w + at, o + first, last - first
                        # Where the stride is a known number, the loop becomes one of vectors.
                        if stride[1] == 1:
                            _keep_largest(x, from_, 1, at, y, places, to, m)
                        elif stride[1] == 2:
                            _keep_largest(x, from_, 2, at, y, places, to, m)
                        else:
                            _keep_largest(x, from_, stride[1], at, y, places, to, m)


@njit(cache=True)
def scatter_to_places(gy, places, gx):
    """Add each element of ``gy`` to the place of its image that ``places`` names, from zeros.

    ``gy`` and ``places`` are ``(planes, windows)``, ``gx`` is ``(planes, elements)``.
    """
    planes, count = gy.shape
    if places.shape != gy.shape or len(gx) != planes:
        raise ValueError("max pooling: the arrays' shapes do not agree")
    size = gx.shape[1]
    for n in range(planes):
        gx[n] = 0
        for p in range(count):
            at = places[n, p]
            if at < 0 or at >= size:
                raise ValueError("max pooling: a place lies outside the image")
            gx[n, at] += gy[n, p]


@njit(cache=True)
def gather_from_places(x, places, y):
    """``y[n, p] = x[n, places[n, p]]``; the shapes are as for ``scatter_to_places``."""
    planes, count = y.shape
    if places.shape != y.shape or len(x) != planes:
        raise ValueError("max pooling: the arrays' shapes do not agree")
    size = x.shape[1]
    for n in range(planes):
        for p in range(count):
            at = places[n, p]
            if at < 0 or at >= size:
                raise ValueError("max pooling: a place lies outside the image")
            y[n, p] = x[n, at]


@njit(cache=True)
def _add_every(x, i, step, y, o, to_step, n):
    """``y[o + v * to_step] += x[i + v * step]`` for v from 0 to n - 1."""
    i, step, o, to_step = uint64(i), uint64(step), uint64(o), uint64(to_step)
    for v in range(uint64(n)):
        y[o + v * to_step] += x[i + v * step]


@njit(cache=True)
def sum_of_windows(x, kernel, stride, pad, counts, y):
    """The sum of each window's elements, divided by its count.

    ``x`` is ``(planes, h, w)``, ``counts`` ``(oh, ow)``, ``y`` ``(planes, oh, ow)``.
    """
    _check_windows(x, y, kernel, stride, pad)
    if counts.shape != y.shape[1:]:
        raise ValueError("pooling: the counts have another shape than the windows")
    planes, h, w = x.shape
    oh, ow = y.shape[1:]
    meeting = _windows_meeting(kernel[1], stride[1], pad[1], w, ow)
    x, y, counts = x.reshape(-1), y.reshape(-1), counts.reshape(-1)
    columns = np.empty(w, x.dtype)
    for n in range(planes):
        for u in range(oh):
            o = (n * oh + u) * ow
            columns[:] = 0
            begin, end = _rows_of(u, kernel[0], stride[0], pad[0], h)
            for i in range(begin, end):
                _add_every(x, (n * h + i) * w, 1, columns, 0, 1, w)
            for v in range(ow):
                y[o + v] = 0
            for k in range(len(meeting)):
                first, last = meeting[k, 0], meeting[k, 1]
                if first < last:
                    j = first * stride[1] + k - pad[1]
                    if stride[1] == 1:
                        _add_every(columns, j, 1, y, o + first, 1, last - first)
                    elif stride[1] == 2:
                        _add_every(columns, j, 2, y, o + first, 1, last - first)
                    else:
                        _add_every(columns, j, stride[1], y, o + first, 1, last - first)
            for v in range(ow):
                y[o + v] /= counts[u * ow + v]


@njit(cache=True)
def spread_over_windows(y, kernel, stride, pad, counts, x):
    """The transpose of ``sum_of_windows``: each ``y``, divided by its count, to all its window."""
    _check_windows(x, y, kernel, stride, pad)
    if counts.shape != y.shape[1:]:
        raise ValueError("pooling: the counts have another shape than the windows")
    planes, h, w = x.shape
    oh, ow = y.shape[1:]
    meeting = _windows_meeting(kernel[1], stride[1], pad[1], w, ow)
    x, y, counts = x.reshape(-1), y.reshape(-1), counts.reshape(-1)
    divided = np.empty(ow, y.dtype)
    columns = np.empty(w, y.dtype)
    for n in range(planes):
        x[n * h * w : (n + 1) * h * w] = 0
        for u in range(oh):
            for v in range(ow):
                divided[v] = y[(n * oh + u) * ow + v] / counts[u * ow + v]
            columns[:] = 0
            for k in range(len(meeting)):
                first, last = meeting[k, 0], meeting[k, 1]
                if first < last:
                    j = first * stride[1] + k - pad[1]
                    if stride[1] == 1:
                        _add_every(divided, first, 1, columns, j, 1, last - first)
                    elif stride[1] == 2:
                        _add_every(divided, first, 1, columns, j, 2, last - first)
                    else:
                        _add_every(divided, first, 1, columns, j, stride[1], last - first)
            begin, end = _rows_of(u, kernel[0], stride[0], pad[0], h)
            for i in range(begin, end):
                _add_every(columns, 0, 1, x, (n * h + i) * w, 1, w)


# -- on arrays ----------------------------------------------------------------------------------


def _planes(x):
    """Images of all examples and channels, ``(N * C, h, w)``, in one block of memory."""
    return readable(x).reshape(-1, *x.shape[2:])


def _rows(x):
    """The same, each image as one row: ``(N * C, h * w)``."""
    n, c, h, w = x.shape
    return readable(x).reshape(n * c, h * w)


def largest(x, geometry):
    """The largest of each window: ``(N, C, oh, ow)``, and its place in its image, as an integer."""
    kernel, stride, pad, (h, w) = geometry.kernel, geometry.stride, geometry.pad, geometry.image
    shape = *x.shape[:2], *geometry.out
    if compiled(x):
        y, places = (
            np.empty(shape, x.dtype),
            np.empty(shape, np.int32 if h * w < 1 << 31 else np.int64),
        )
        max_of_windows(_planes(x), kernel, stride, pad, _planes(y), _planes(places))
        return y, places
    xp = get_array_module(x)
    seen = windows(x, geometry, -xp.inf)
    seen = seen.reshape(*x.shape[:2], kernel[0] * kernel[1], *geometry.out)
    at = seen.argmax(axis=2)
    i, j = _corners(xp, geometry)
    places = (i + at // kernel[1]) * w + (j + at % kernel[1])
    return xp.take_along_axis(seen, at[:, :, None], 2)[:, :, 0], places


def _corners(xp, geometry):
    """Where in the image each window begins: its row ``(oh, 1)``, its column ``(ow,)``."""
    (oh, ow), (sy, sx), (ph, pw) = geometry.out, geometry.stride, geometry.pad
    return (xp.arange(oh) * sy - ph)[:, None], xp.arange(ow) * sx - pw


def within_windows(places, geometry):
    """The same places counted within each window, row by row."""
    i, j = _corners(get_array_module(places), geometry)
    w = geometry.image[1]
    return (places // w - i) * geometry.kernel[1] + (places % w - j)


def scatter(gy, places, geometry):
    """``gy`` (N, C, oh, ow) added to zeros (N, C, h, w) at its places."""
    shape = *gy.shape[:2], *geometry.image
    if compiled(gy):
        gx = np.empty(shape, gy.dtype)
        scatter_to_places(_rows(gy), _rows(places), _rows(gx))
        return gx
    xp = get_array_module(gy)
    gx = xp.zeros(shape, gy.dtype)
    xp.add.at(gx.reshape(-1), _flat(xp, places, geometry), gy.reshape(-1))
    return gx


def gather(x, places, geometry):
    """The elements of ``x`` (N, C, h, w) at the places: ``(N, C, oh, ow)``."""
    if compiled(x):
        y = np.empty(places.shape, x.dtype)
        gather_from_places(_rows(x), _rows(places), _rows(y))
        return y
    xp = get_array_module(x)
    return x.reshape(-1)[_flat(xp, places, geometry)].reshape(places.shape)


def _flat(xp, places, geometry):
    """Places within each image as indices into all of them."""
    h, w = geometry.image
    n, c = places.shape[:2]
    first = xp.arange(n * c).reshape(n, c, 1, 1) * (h * w)
    return (places + first).reshape(-1)


def window_sum(x, counts, geometry):
    """The sum of each window of ``x`` (N, C, h, w), divided by its count (oh, ow)."""
    if not compiled(x):
        return windows(x, geometry).sum(axis=(2, 3)) / counts
    y = np.empty((*x.shape[:2], *geometry.out), x.dtype)
    settings = geometry.kernel, geometry.stride, geometry.pad
    sum_of_windows(_planes(x), *settings, counts, _planes(y))
    return y


def window_spread(y, counts, geometry):
    """``y`` (N, C, oh, ow) divided by ``counts`` (oh, ow), added to its windows: (N, C, h, w)."""
    if not compiled(y):
        xp = get_array_module(y)
        shape = *y.shape[:2], *geometry.kernel, *geometry.out
        return add_windows(xp.broadcast_to((y / counts)[:, :, None, None], shape), geometry)
    x = np.empty((*y.shape[:2], *geometry.image), y.dtype)
    settings = geometry.kernel, geometry.stride, geometry.pad
    spread_over_windows(_planes(y), *settings, counts, _planes(x))
    return x
