"""Rows of convolutions."""

from itertools import product

import numpy as np

import dynet.functions as F

from .row import Row, inputs, torch_function, x


def pairs(*settings):
    """Each setting as a pair, for rows and columns."""
    return [s if isinstance(s, tuple) else (s, s) for s in settings]


def convolved(x, W, b=0, stride=1, pad=0, dilate=1, groups=1, out=None):
    """A convolution by its definition, one window after the other."""
    (sy, sx), (ph, pw), (dy, dx) = pairs(stride, pad, dilate)
    n, _, h, w = x.shape
    outs, channels, kh, kw = W.shape
    if out is None:
        out = (
            (h + 2 * ph - dy * (kh - 1) - 1) // sy + 1,
            (w + 2 * pw - dx * (kw - 1) - 1) // sx + 1,
        )
    # Enough zeros, also for windows that go on behind the padding.
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph + sy), (pw, pw + sx)))
    y = np.zeros((n, outs, *out))
    for o, u, v in product(range(outs), *map(range, out)):
        c = o // (outs // groups) * channels
        i, j = u * sy, v * sx
        seen = x[
            :, c : c + channels, i : i + dy * (kh - 1) + 1 : dy, j : j + dx * (kw - 1) + 1 : dx
        ]
        y[:, o, u, v] = (seen * W[o]).sum(axis=(1, 2, 3))
    return y + np.reshape(b, (-1, 1, 1))


def transposed(x, W, b=0, stride=1, pad=0, dilate=1, groups=1, more=(0, 0)):
    """A transposed convolution by its definition, one element after the other."""
    (sy, sx), (ph, pw), (dy, dx) = pairs(stride, pad, dilate)
    n, channels, h, w = x.shape
    _, outs, kh, kw = W.shape
    shape = (h - 1) * sy + dy * (kh - 1) + 1 + more[0], (w - 1) * sx + dx * (kw - 1) + 1 + more[1]
    y = np.zeros((n, outs * groups, *shape))
    for c, u, v, i, j in product(*map(range, (channels, h, w, kh, kw))):
        o = c // (channels // groups) * outs
        y[:, o : o + outs, u * sy + i * dy, v * sx + j * dx] += x[:, c, u, v, None] * W[c, :, i, j]
    return y[:, :, ph : shape[0] - ph, pw : shape[1] - pw] + np.reshape(b, (-1, 1, 1))


def convolution(name, case, torch=True, **settings):
    """A row of ``convolution_2d`` with some settings, which PyTorch names otherwise."""
    others = {"padding": settings.get("pad", 0), "dilation": settings.get("dilate", 1)}
    others |= {k: settings[k] for k in ("stride", "groups") if k in settings}
    return Row(
        f"convolution_2d: {name}",
        lambda *xs: F.convolution_2d(*xs, **settings),
        case,
        lambda *xs: convolved(*xs, **settings),
        torch_function("conv2d", **others) if torch else None,
    )


def deconvolution(name, case, more=(0, 0), torch=True, **settings):
    """A row of ``deconvolution_2d``; ``more``: rows and columns beyond the fewest."""
    others = {"padding": settings.get("pad", 0), "dilation": settings.get("dilate", 1)}
    others |= {k: settings[k] for k in ("stride", "groups") if k in settings}
    ours = {k: v for k, v in settings.items() if k != "outsize"}
    return Row(
        f"deconvolution_2d: {name}",
        lambda *xs: F.deconvolution_2d(*xs, **settings),
        case,
        lambda *xs: transposed(*xs, **ours, more=more),
        torch_function("conv_transpose2d", output_padding=more, **others) if torch else None,
    )


def _columns(x, kh, kw, stride, pad, dilate):
    """The columns of each element of a window, as a convolution that picks it out."""
    c = x.shape[1]
    picks = np.eye(c * kh * kw).reshape(c * kh * kw, c, kh, kw)
    return convolved(x, picks, 0, stride, pad, dilate)


ROWS = [
    Row(
        "convolution_2d",
        F.convolution_2d,
        (
            inputs(x(2, 3, 4, 5), x(2, 3, 3, 2), x(2)),
            inputs(x(2, 1, 3, 3), x(1, 1, 3, 3)),
            inputs(x(1, 2, 2, 3), x(3, 2, 1, 1), x(3)),
            inputs(x(0, 2, 4, 4), x(3, 2, 3, 3), x(3)),
        ),
        convolved,
        torch_function("conv2d"),
        bench={
            f"64x{c}x{size}x{size}, {o} of {k}x{k}": inputs(
                x(64, c, size, size), x(o, c, k, k), x(o)
            )
            for c, size, o, k in (
                (1, 28, 20, 5),
                (20, 12, 50, 5),
                (3, 32, 32, 3),
                (32, 14, 64, 3),
                (64, 28, 64, 3),
            )
        },
    ),
    convolution(
        "one size of stride and pad", inputs(x(2, 2, 5, 6), x(3, 2, 3, 3), x(3)), stride=2, pad=1
    ),
    convolution(
        "rows and columns apart",
        inputs(x(2, 2, 5, 7), x(3, 2, 2, 3), x(3)),
        stride=(1, 3),
        pad=(2, 0),
        dilate=(3, 2),
    ),
    convolution("a stride beyond the window", inputs(x(1, 2, 7, 7), x(2, 2, 2, 1)), stride=3),
    convolution("two groups", inputs(x(2, 4, 3, 3), x(6, 2, 2, 2), x(6)), groups=2, pad=1),
    convolution("a group a channel", inputs(x(2, 3, 4, 4), x(3, 1, 3, 3)), groups=3),
    convolution("more padding than window", inputs(x(1, 1, 2, 2), x(1, 1, 2, 2)), pad=3, stride=2),
    convolution(
        "no channels",
        (inputs(x(2, 0, 4, 4), x(3, 0, 3, 3), x(3)), inputs(x(2, 2, 4, 4), x(0, 2, 3, 3), x(0))),
        torch=False,
    ),
    Row(
        "convolution_2d: all covered",
        lambda x, W: F.convolution_2d(x, W, stride=(2, 3), cover_all=True),
        (inputs(x(2, 2, 4, 6), x(2, 2, 3, 2)), inputs(x(1, 1, 5, 5), x(1, 1, 3, 2))),
        lambda x, W: convolved(x, W, stride=(2, 3), out=(2, 3 if x.shape[3] == 6 else 2)),
    ),
    Row(
        "convolution_1d",
        F.convolution_1d,
        (
            inputs(x(2, 3, 5), x(2, 3, 3), x(2)),
            inputs(x(1, 1, 4), x(2, 1, 4)),
            inputs(x(0, 2, 4), x(3, 2, 2), x(3)),
        ),
        lambda x, W, b=0: convolved(x[:, :, None], W[:, :, None], b)[:, :, 0],
        torch_function("conv1d"),
        bench=lambda n, m: inputs(x(n, 16, 100), x(min(m, 32), 16, 3), x(min(m, 32))),
    ),
    Row(
        "convolution_1d: settings",
        lambda x, W: F.convolution_1d(x, W, stride=2, pad=3, dilate=2, groups=2),
        inputs(x(2, 4, 6), x(2, 2, 3)),
        lambda x, W: convolved(x[:, :, None], W[:, :, None], 0, (1, 2), (0, 3), (1, 2), 2)[:, :, 0],
        torch_function("conv1d", stride=2, padding=3, dilation=2, groups=2),
    ),
    Row(
        "deconvolution_2d",
        F.deconvolution_2d,
        (
            inputs(x(2, 3, 3, 2), x(3, 2, 3, 2), x(2)),
            inputs(x(2, 1, 1, 1), x(1, 2, 3, 3)),
            inputs(x(0, 2, 2, 2), x(2, 3, 3, 3), x(3)),
        ),
        transposed,
        torch_function("conv_transpose2d"),
        bench=lambda n, m: inputs(x(n, 16, 14, 14), x(16, min(m, 32), 3, 3), x(min(m, 32))),
    ),
    deconvolution("stride and pad", inputs(x(2, 2, 3, 3), x(2, 3, 3, 3), x(3)), stride=2, pad=1),
    deconvolution(
        "rows and columns apart",
        inputs(x(2, 2, 3, 2), x(2, 1, 2, 3), x(1)),
        stride=(1, 3),
        pad=(2, 0),
        dilate=(3, 2),
    ),
    deconvolution("gaps between windows", inputs(x(2, 2, 2, 2), x(2, 3, 2, 1), x(3)), stride=3),
    deconvolution("groups", inputs(x(2, 4, 2, 3), x(4, 2, 2, 2), x(4)), groups=2, stride=2),
    deconvolution(
        "a size asked for",
        inputs(x(2, 2, 2, 3), x(2, 1, 3, 2), x(1)),
        more=(1, 2),
        stride=(2, 3),
        outsize=(6, 10),
    ),
    deconvolution("no channels", inputs(x(2, 2, 2, 2), x(2, 0, 3, 3), x(0)), torch=False),
    Row(
        "im2col",
        lambda x: F.im2col(x, 2),
        (inputs(x(2, 3, 3, 4)), inputs(x(1, 1, 2, 2)), inputs(x(0, 2, 3, 3))),
        lambda x: _columns(x, 2, 2, 1, 0, 1),
        bench=lambda n, m: inputs(x(n, min(m, 16), 14, 14)),
    ),
    Row(
        "im2col: settings",
        lambda x: F.im2col(x, (3, 2), stride=(1, 2), pad=(2, 1), dilate=(2, 1)),
        inputs(x(2, 2, 4, 5)),
        lambda x: _columns(x, 3, 2, (1, 2), (2, 1), (2, 1)),
    ),
    Row(
        "im2col: all covered",
        lambda x: F.im2col(x, 2, stride=2, cover_all=True),
        inputs(x(2, 1, 3, 3)),
        lambda x: _columns(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1))), 2, 2, 2, 0, 1),
    ),
]
