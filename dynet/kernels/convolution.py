"""Convolution of images, its transpose, and the gradient of its weight.

All three are sums of one kind. With an image, padded, laid out as one row of numbers ``a``,

    convolution:   y[o, p] = sum over k of a[places[p] + taps[k]] * W[o, k]
    its weight:   gW[o, k] = sum over p of a[taps[k] + places[p]] * gy[o, p]

where ``places`` says where in ``a`` the window of output ``p`` begins, and ``taps`` how far from
there each element of the window lies: stride and dilation are in these tables. The transpose is
a convolution of ``gy`` with the weight turned round, or, with a stride, one for each
remainder of the place by the stride, each with those elements of the window that meet it. So
nothing is unrolled into columns, and one innermost loop, ``tile``, computes all.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from ..backend import get_array_module
from . import tile
from .arithmetic import compiled, readable
from .threads import available_cores, share
from .tile import ROWS, VECTOR_BYTES

# So many windows are gone through at a time: of the smallest images several, of a large one a
# part. What belongs to them stays in a core's second cache.
PANEL = 512

# The results of so many windows are gathered before they go where they belong.
RESULTS = 128

# Nor has a frame of several images more numbers than this.
FRAME = 1 << 17

# Fewer multiplications than this are over sooner than one more thread has begun.
WORTH_A_THREAD = 4_000_000


class Geometry(NamedTuple):
    """How windows lie on images: each attribute but ``groups`` is for rows and columns."""

    image: tuple[int, int]
    kernel: tuple[int, int]
    out: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilate: tuple[int, int]
    groups: int


# -- compiled -----------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _check_tables(places, taps, size):
    """Raise unless every sum of a place and a tap is an index into ``size`` numbers."""
    if places.size and taps.size:
        low, high = places.min() + taps.min(), places.max() + taps.max()
        if low < 0 or high >= size:
            raise ValueError("convolution: a window lies outside the padded image")


@njit(cache=True, nogil=True)
def _frame_images(x, first, group, top, left, frame):
    """Copy a part of images ``first``, ... into the frame, shifted by ``top`` and ``left``.

    ``x`` is ``(N, C, h, w)``, the frame ``(images, channels, H, W)``, for the channels of one
    group. What lies outside the image stays as it is in the frame, outside the frame is left out.
    """
    _, channels, H, W = frame.shape
    h, w = x.shape[2:]
    from_i, to_i = max(0, top), min(H, h + top)
    from_j, to_j = max(0, left), min(W, w + left)
    rows, length = to_i - from_i, to_j - from_j
    if rows <= 0 or length <= 0:
        return
    if length == w == W:
        rows, length = 1, rows * w
    source, target = x.reshape(-1), frame.reshape(-1)
    for n in range(min(len(frame), len(x) - first)):
        for c in range(channels):
            plane = (first + n) * x.shape[1] + group * channels + c
            begin = (plane * h + from_i - top) * w + from_j - left
            to = ((n * channels + c) * H + from_i) * W + from_j
            for i in range(rows):
                tile.copy(source, begin + i * w, target, to + i * W, length)


@njit(cache=True, nogil=True)
def correlate_images(x, top, left, frame, places, taps, spans, B, start, width, first, last, y):
    """``y[n, o, p] = start[o] + sum over k of a[places[p] + taps[k]] * B[.., k, o]``.

    Args:
        x: ``(N, groups * channels, h, w)``.
        top, left: how far the image is shifted in the frame.
        frame: zeros, ``(images, channels, H, W)``: so many images are taken at a time.
        places: of the windows of as many images; the last one repeated up to a multiple of ROWS.
        taps: ``(K,)``.
        spans: for each ROWS places from which to which tap there is anything but zeros.
        B: ``(groups, blocks, K, lanes)``, the weights, ``width`` channels in each group.
        start: ``(groups, blocks, lanes)``.
        first, last: which of the images.
        y: ``(N, groups * width, P)``.
    """
    images, channels = frame.shape[:2]
    groups, blocks, K, lanes = B.shape
    P = y.shape[2]
    one = VECTOR_BYTES // x.itemsize
    if (
        x.shape[1] != groups * channels
        or y.shape[:2] != (x.shape[0], groups * width)
        or start.shape != (groups, blocks, lanes)
        or (lanes != one and lanes != 2 * one)
        or not (blocks - 1) * lanes < width <= blocks * lanes
        or taps.size != K
        or places.size % ROWS
        or places.size < images * P
        or spans.shape != (places.size // ROWS, 2)
        or not 0 <= first <= last <= len(x)
    ):
        raise ValueError("convolution: the arrays' shapes do not agree")
    for k in spans.reshape(-1):
        if not 0 <= k <= K:
            raise ValueError("convolution: there is no such tap")
    _check_tables(places, taps, frame.size)
    a, to = frame.reshape(-1), y.reshape(-1)
    b, s = B.reshape(-1), start.reshape(-1)
    results = np.empty(lanes * RESULTS, x.dtype)
    for begin in range(first, last, images):
        count = min(images, last - begin) * P
        for group in range(groups):
            _frame_images(x, begin, group, top, left, frame)
            for block in range(blocks):
                at_s = (group * blocks + block) * lanes
                channel = group * width + block * lanes
                outs = min(lanes, width - block * lanes)
                for p in range(0, count, RESULTS):
                    n = min(RESULTS, count - p)
                    for r in range(0, n, ROWS):
                        block_of_rows = (p + r) // ROWS
                        k, end = spans[block_of_rows, 0], spans[block_of_rows, 1]
                        at_b = at_s * K + k * lanes
                        if lanes == one:
                            tile.correlate_one(
                                a,
                                places,
                                p + r,
                                taps,
                                k,
                                end - k,
                                b,
                                at_b,
                                s,
                                at_s,
                                results,
                                r,
                                RESULTS,
                            )
                        else:
                            tile.correlate_two(
                                a,
                                places,
                                p + r,
                                taps,
                                k,
                                end - k,
                                b,
                                at_b,
                                s,
                                at_s,
                                results,
                                r,
                                RESULTS,
                            )
                    # The results of one channel and one image are neighbours in y.
                    r = 0
                    while r < n:
                        image, at = divmod(p + r, P)
                        m = min(n - r, P - at)
                        for o in range(outs):
                            plane = (begin + image) * groups * width + channel + o
                            tile.copy(results, o * RESULTS + r, to, plane * P + at, m)
                        r += m


@njit(cache=True, nogil=True)
def _lay_out_gradients(gy, image, at, m, channel, outs, panel, r):
    """``gy[image, channel + o, at + i]`` to ``panel[r + i, o]``, for m places and outs channels."""
    channels, P = gy.shape[1:]
    lanes = panel.shape[1]
    vector = VECTOR_BYTES // gy.itemsize
    source, target = gy.reshape(-1), panel.reshape(-1)
    begin, to = (image * channels + channel) * P + at, r * lanes
    for o in range(0, outs, ROWS):
        # Whole blocks at once, and what is left at the edges one by one.
        blocks = m // vector if outs - o >= ROWS else 0
        for i in range(0, blocks * vector, vector):
            tile.transpose(source, begin + o * P + i, P, target, to + i * lanes + o, lanes)
        for k in range(o, min(o + ROWS, outs)):
            for i in range(blocks * vector, m):
                target[to + i * lanes + k] = source[begin + k * P + i]


@njit(cache=True, nogil=True)
def correlate_with_gradients(x, top, left, frame, places, taps, gy, width, first, last, gB):
    """Add to ``gB[.., k, o]`` the sum over n and p of ``a[taps[k] + places[p]] * gy[n, o, p]``.

    Args:
        x, top, left, frame, first, last: as for ``correlate_images``.
        places: of the windows of as many images as the frame holds.
        taps: the last one repeated up to a multiple of ROWS.
        gy: ``(N, groups * width, P)``.
        gB: ``(groups, blocks, taps, lanes)``, as ``B`` there.
    """
    images, channels = frame.shape[:2]
    groups, blocks, K, lanes = gB.shape
    P = gy.shape[2]
    one = VECTOR_BYTES // x.itemsize
    if (
        x.shape[1] != groups * channels
        or gy.shape[:2] != (x.shape[0], groups * width)
        or (lanes != one and lanes != 2 * one)
        or not (blocks - 1) * lanes < width <= blocks * lanes
        or taps.size != K
        or K % ROWS
        or places.size != images * P
        or not 0 <= first <= last <= len(x)
    ):
        raise ValueError("convolution: the arrays' shapes do not agree")
    _check_tables(places, taps, frame.size)
    a, sums = frame.reshape(-1), gB.reshape(-1)
    panel = np.empty((PANEL, lanes), x.dtype)
    b = panel.reshape(-1)
    for begin in range(first, last, images):
        count = min(images, last - begin) * P
        for group in range(groups):
            _frame_images(x, begin, group, top, left, frame)
            for p in range(0, count, PANEL):
                n = min(PANEL, count - p)
                for block in range(blocks):
                    channel = group * width + block * lanes
                    outs = min(lanes, width - block * lanes)
                    r = 0
                    while r < n:
                        image, at = divmod(p + r, P)
                        m = min(n - r, P - at)
                        _lay_out_gradients(gy, begin + image, at, m, channel, outs, panel, r)
                        r += m
                    if outs < lanes:
                        panel[:, outs:] = 0
                    to = (group * blocks + block) * K * lanes
                    for k in range(0, K, ROWS):
                        if lanes == one:
                            tile.accumulate_one(
                                a, taps, k, places, p, n, b, 0, sums, to + k * lanes
                            )
                        else:
                            tile.accumulate_two(
                                a, taps, k, places, p, n, b, 0, sums, to + k * lanes
                            )


# -- on arrays ----------------------------------------------------------------------------------


def _share(work, n, multiplications):
    """``work(first, last)`` of ``n`` images, on as many threads as are worth their while."""
    return share(work, n, min(available_cores(), 1 + multiplications // WORTH_A_THREAD))


def _lanes(width, dtype):
    """The lanes of a block: two vectors, or one where that holds all the channels."""
    one = VECTOR_BYTES // dtype.itemsize
    return one if width <= one else 2 * one


def _up_to_rows(table):
    """The last entry of a table repeated until their number is a multiple of ROWS."""
    return np.concatenate([table, table[-1:].repeat(-len(table) % ROWS, axis=0)])


@lru_cache(maxsize=32)  # a network asks for the same few ones at every step
class _Tables:
    """The frame, and where in it the windows and their elements lie, for some images at a time.

    Row ``i`` of a window at output row ``u`` is row ``u * stride + rows[i] - top`` of the image;
    columns likewise. Taps are in the order of rows, channels and columns: so those that see the
    image from a certain place, and not only zeros above or below it, are neighbours.
    """

    def __init__(self, n, height, channels, out, stride, rows, columns, top, left):
        self.top, self.left = top, left
        H = (out[0] - 1) * stride[0] + max(rows) + 1
        W = (out[1] - 1) * stride[1] + max(columns) + 1
        self.images = max(1, min(n, PANEL // math.prod(out), FRAME // (channels * H * W)))
        self.shape = self.images, channels, H, W
        image, c, u, v = (np.arange(m) for m in (self.images, channels, *out))
        image, c, v = image * (channels * H * W), c * (H * W), v * stride[1]
        u, rows, columns = u * stride[0], np.array(rows), np.array(columns)
        self.places = (image[:, None, None] + u[:, None] * W + v).reshape(-1)
        self.taps = (rows[:, None, None] * W + c[:, None] + columns).reshape(-1)
        # For each ROWS places, from which to which tap they see the image of this height.
        seen = (u[:, None] + rows >= top) & (u[:, None] + rows < top + height)
        seen = np.tile(np.repeat(seen, out[1], axis=0), (self.images, 1))
        seen = _up_to_rows(seen).reshape(-1, ROWS, len(rows)).any(axis=1)
        first, behind = seen.argmax(axis=1), len(rows) - seen[:, ::-1].argmax(axis=1)
        behind[~seen.any(axis=1)] = 0
        self.spans = np.stack([first, behind], axis=1) * (channels * len(columns))


def _correlate(x, W, b, tables, out):
    """``W`` is ``(groups, rows, channels, columns, width)``, ``b`` all its outputs, or ``None``."""
    groups, width = W.shape[0], W.shape[-1]
    K, n = len(tables.taps), len(x)
    y = np.empty((n, groups * width, *out), x.dtype)
    lanes = _lanes(width, x.dtype)
    blocks = -(-width // lanes)
    B = np.zeros((groups, blocks, K, lanes), x.dtype)
    W = W.reshape(groups, K, width)
    for block in range(blocks):
        part = W[..., block * lanes : (block + 1) * lanes]
        B[:, block, :, : part.shape[-1]] = part
    start = np.zeros((groups, blocks * lanes), x.dtype)
    if b is not None:
        start[:, :width] = b.reshape(groups, width)
    start = start.reshape(groups, blocks, lanes)
    places, taps, spans = _up_to_rows(tables.places), tables.taps, tables.spans
    flat = y.reshape(n, groups * width, -1)

    def work(first, last):
        frame = np.zeros(tables.shape, x.dtype)
        correlate_images(
            x,
            tables.top,
            tables.left,
            frame,
            places,
            taps,
            spans,
            B,
            start,
            width,
            first,
            last,
            flat,
        )

    _share(work, n, flat.size * K)
    return y


def convolve(x, W, b, geometry):
    """``x`` (N, C, h, w), ``W`` (O, C / groups, kh, kw), ``b`` (O,) or ``None``: (N, O, oh, ow)."""
    out, groups = geometry.out, geometry.groups
    O, C = W.shape[:2]
    if x.size == 0 or W.size == 0:
        return _bias_alone(x, b, (len(x), O, *out))
    if not compiled(x):
        xp = get_array_module(x)
        cols = windows(x, geometry).reshape(len(x), groups, -1, *geometry.kernel, *out)
        Ws = W.reshape(groups, O // groups, *W.shape[1:])
        ys = [
            xp.tensordot(Ws[g], cols[:, g], ((1, 2, 3), (1, 2, 3))).swapaxes(0, 1)
            for g in range(groups)
        ]
        return _with_bias(xp.concatenate(ys, axis=1), b)
    tables = _window_tables(x, C, geometry)
    W = W.reshape(groups, O // groups, *W.shape[1:]).transpose(0, 3, 2, 4, 1)
    return _correlate(readable(x), W, b, tables, out)


def _window_tables(x, channels, geometry):
    (kh, kw), (sy, sx) = geometry.kernel, geometry.stride
    (dy, dx), (ph, pw) = geometry.dilate, geometry.pad
    rows, columns = range(0, kh * dy, dy), range(0, kw * dx, dx)
    return _Tables(len(x), x.shape[2], channels, geometry.out, (sy, sx), rows, columns, ph, pw)


def deconvolve(y, W, b, geometry):
    """The transpose: ``y`` (N, O, oh, ow), ``b`` (C,) or ``None``: (N, C, h, w)."""
    groups, (h, w) = geometry.groups, geometry.image
    O, C = W.shape[:2]
    if y.size == 0 or W.size == 0:
        return _bias_alone(y, b, (len(y), groups * C, h, w))
    W = W.reshape(groups, O // groups, *W.shape[1:])
    if not compiled(y):
        xp = get_array_module(y)
        ys = y.reshape(len(y), groups, O // groups, *geometry.out)
        cols = [
            xp.tensordot(ys[:, g], W[g], ((1,), (0,))).transpose(0, 3, 4, 5, 1, 2)
            for g in range(groups)
        ]
        return _with_bias(add_windows(xp.concatenate(cols, axis=1), geometry), b)
    y = readable(y)
    (sy, sx), size = geometry.stride, (len(y), y.shape[2])
    x = np.empty((len(y), groups * C, h, w), y.dtype) if sy * sx > 1 else None
    for i, rows, row_taps, top in _phases(geometry, 0):
        for j, columns, column_taps, left in _phases(geometry, 1):
            if not row_taps or not column_taps:
                x[:, :, i::sy, j::sx] = 0 if b is None else b[:, None, None]
                continue
            out = len(range(i, h, sy)), len(range(j, w, sx))
            tables = _Tables(*size, O // groups, out, (1, 1), rows, columns, top, left)
            part = W[..., row_taps, :][..., column_taps].transpose(0, 3, 1, 4, 2)
            part = _correlate(y, part, b, tables, out)
            if x is None:
                return part
            x[:, :, i::sy, j::sx] = part
    return x


def _phases(geometry, axis):
    """For each remainder of the image's rows (or columns) by the stride, what meets it.

    Yields the remainder, how far from each other the outputs lie that its windows' elements
    belong to, which elements of the window these are, and how far before the outputs they begin.
    """
    stride, pad, dilate = geometry.stride[axis], geometry.pad[axis], geometry.dilate[axis]
    for remainder in range(min(stride, geometry.image[axis])):
        distances = [remainder + pad - k * dilate for k in range(geometry.kernel[axis])]
        taps = [k for k, d in enumerate(distances) if d % stride == 0]
        outputs = [distances[k] // stride for k in taps]
        nearest = min(outputs, default=0)
        yield remainder, tuple([o - nearest for o in outputs]), taps, -nearest


def convolution_weight(x, gy, geometry):
    """The weight's gradient: ``x`` (N, C, h, w), ``gy`` (N, O, oh, ow): (O, C / groups, kh, kw)."""
    groups, n = geometry.groups, len(x)
    O, C = gy.shape[1], x.shape[1] // groups
    shape = (O, C, *geometry.kernel)
    xp = get_array_module(x)
    if x.size == 0 or gy.size == 0:
        return xp.zeros(shape, x.dtype)
    width = O // groups
    if not compiled(x):
        cols = windows(x, geometry).reshape(n, groups, C, *geometry.kernel, *geometry.out)
        gys = gy.reshape(n, groups, width, *geometry.out)
        gWs = [xp.tensordot(gys[:, g], cols[:, g], ((0, 2, 3), (0, 4, 5))) for g in range(groups)]
        return xp.concatenate(gWs, axis=0)
    x, gy = readable(x), readable(gy).reshape(n, O, -1)
    tables = _window_tables(x, C, geometry)
    K = len(tables.taps)
    lanes = _lanes(width, x.dtype)
    taps = _up_to_rows(tables.taps)

    def work(first, last):
        gB = np.zeros((groups, -(-width // lanes), len(taps), lanes), x.dtype)
        frame = np.zeros(tables.shape, x.dtype)
        correlate_with_gradients(
            x, tables.top, tables.left, frame, tables.places, taps, gy, width, first, last, gB
        )
        return gB

    first, *others = _share(work, n, gy.size * K)
    for other in others:
        first += other
    gW = first[:, :, :K].swapaxes(1, 2).reshape(groups, K, -1)[:, :, :width]
    kh, kw = geometry.kernel
    gW = gW.reshape(groups, kh, C, kw, width).transpose(0, 4, 2, 1, 3)
    return np.ascontiguousarray(gW).reshape(shape)


def _bias_alone(x, b, shape):
    return _with_bias(get_array_module(x).zeros(shape, x.dtype), b)


def _with_bias(y, b):
    return y if b is None else y + b[:, None, None]


def windows(x, geometry, beyond=0):
    """What each element of the windows sees, a view: ``(N, C, kh, kw, oh, ow)``.

    Beyond the edges of the images it sees the number ``beyond``.
    """
    xp = get_array_module(x)
    (kh, kw), (oh, ow) = geometry.kernel, geometry.out
    (sy, sx), (ph, pw), (dy, dx) = geometry.stride, geometry.pad, geometry.dilate
    n, c, h, w = x.shape
    # Windows may end before the padded image does, or, to cover all of it, behind.
    below = max((oh - 1) * sy + (kh - 1) * dy + 1 - ph - h, 0)
    right = max((ow - 1) * sx + (kw - 1) * dx + 1 - pw - w, 0)
    x = xp.pad(x, ((0, 0), (0, 0), (ph, below), (pw, right)), constant_values=beyond)
    sn, sc, si, sj = x.strides
    return xp.lib.stride_tricks.as_strided(
        x, (n, c, kh, kw, oh, ow), (sn, sc, si * dy, sj * dx, si * sy, sj * sx)
    )


def add_windows(cols, geometry):
    """The transpose of ``windows``: each element added where it was seen, ``(N, C, h, w)``."""
    n, c, kh, kw, oh, ow = cols.shape
    (sy, sx), (ph, pw), (dy, dx) = geometry.stride, geometry.pad, geometry.dilate
    h, w = geometry.image
    H = max((oh - 1) * sy + (kh - 1) * dy + 1, ph + h)
    W = max((ow - 1) * sx + (kw - 1) * dx + 1, pw + w)
    x = get_array_module(cols).zeros((n, c, H, W), cols.dtype)
    for i in range(kh):
        for j in range(kw):
            to = x[:, :, i * dy :, j * dx :]
            to[:, :, : oh * sy : sy, : ow * sx : sx] += cols[:, :, i, j]
    return x[:, :, ph : ph + h, pw : pw + w]
