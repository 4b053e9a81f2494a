"""Rows of linear algebra."""

import numpy as np

import dynet.functions as F

from .row import Row, inputs, torch_function, x

SHAPES = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((2, 3, 4), (2, 4, 2)),
    ((2, 3, 4), (4, 2)),
    ((3, 4), (2, 4, 2)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 2)),
    ((2, 1, 2, 3), (3, 3, 2)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 3)),
]


def arrays(*shapes):
    """A case: an array of each shape."""
    return inputs(*[x(*shape) for shape in shapes])


def invertible(*shape):
    """Matrices with a determinant near 1, none of them symmetric."""

    def build(rng):
        n = shape[-1]
        return np.eye(n) + rng.uniform(-1, 1, shape) / (2 * max(n, 1) ** 0.5)

    return build


def positive_definite(*shape):
    """Symmetric matrices whose eigenvalues are positive."""

    def build(rng):
        a = invertible(*shape)(rng)
        return a @ a.swapaxes(-1, -2)

    return build


def rank(r, n, *stack):
    """Matrices ``n`` by ``n`` of rank ``r``, which is less."""
    return lambda rng: rng.normal(size=(*stack, n, r)) @ rng.normal(size=(*stack, r, n))


def of_torch(name):
    """A function of torch.linalg, found when called: PyTorch may not be there."""

    def call(a):
        import torch

        return getattr(torch.linalg, name)(a)

    return call


def einsum(subscripts, *cases, torch=True, **keywords):
    """The row of one einsum; each case is the operands' shapes."""
    return Row(
        f"einsum: {subscripts}",
        lambda *xs: F.einsum(subscripts, *xs),
        tuple(arrays(*shapes) for shapes in cases),
        lambda *xs: np.einsum(subscripts, *xs),
        (lambda *xs: torch_function("einsum")(subscripts, *xs)) if torch else None,
        rtol=1e-12,
        **keywords,
    )


def tensordot(axes, *cases, **keywords):
    return Row(
        f"tensordot: axes={axes}",
        lambda a, b: F.tensordot(a, b, axes),
        tuple(arrays(*shapes) for shapes in cases),
        lambda a, b: np.tensordot(a, b, axes),
        **keywords,
    )


STACKS = [(3, 3), (1, 1), (2, 2), (0, 0), (2, 3, 3), (0, 3, 3), (2, 1, 4, 4)]
BATCHES = [(2, 3, 3), (3, 1, 1), (0, 2, 2), (2, 0, 0)]

ROWS = [
    Row(
        "matmul",
        F.matmul,
        tuple(arrays(s, t) for s, t in SHAPES),
        np.matmul,
        lambda a, b: a @ b,
        bench=lambda n, m: arrays((n, m), (m, n)),
    ),
    Row("matmul: operator", lambda a, b: a @ b, arrays((2, 3), (3, 4)), lambda a, b: a @ b),
    Row(
        "matmul: transa",
        lambda a, b: F.matmul(a, b, transa=True),
        (
            arrays((3, 2), (3, 4)),
            arrays((3,), (3, 2)),
            arrays((2, 4, 3), (4, 2)),
            arrays((0, 2), (0, 3)),
        ),
        lambda a, b: (a.swapaxes(-1, -2) if a.ndim > 1 else a) @ b,
    ),
    Row(
        "matmul: transb",
        lambda a, b: F.matmul(a, b, transb=True),
        (arrays((2, 3), (4, 3)), arrays((4, 3), (3,)), arrays((2, 3), (5, 1, 4, 3))),
        lambda a, b: a @ (b.swapaxes(-1, -2) if b.ndim > 1 else b),
    ),
    Row(
        "matmul: both transposed",
        lambda a, b: F.matmul(a, b, True, True),
        (arrays((3, 2), (4, 3)), arrays((2, 3, 2), (2, 4, 3))),
        lambda a, b: a.swapaxes(-1, -2) @ b.swapaxes(-1, -2),
    ),
    Row(
        "tensordot",
        F.tensordot,
        (arrays((2, 3, 4), (3, 4, 2)), arrays((3, 4), (3, 4)), arrays((2, 0, 3), (0, 3, 4))),
        np.tensordot,
        torch_function("tensordot"),
    ),
    tensordot(0, ((2, 3), (4,)), ((0, 2), (3,))),
    tensordot(1, ((2, 3), (3, 4)), ((3,), (3,))),
    tensordot(((2, 0), (0, 1)), ((2, 3, 4), (4, 2, 5))),
    tensordot(((-1, 0), (0, -2)), ((2, 3, 4), (4, 5, 2, 6)), ((2, 3, 0), (0, 5, 2, 6))),
    tensordot((0, 1), ((3, 2), (4, 3))),
    Row(
        "tensordot: bench",
        lambda a, b: F.tensordot(a, b, 1),
        arrays((2, 3), (3, 4)),
        lambda a, b: np.tensordot(a, b, 1),
        lambda a, b: torch_function("tensordot", 1)(a, b),
        bench=lambda n, m: arrays((n, m), (m, n)),
    ),
    einsum("ij,jk->ik", ((2, 3), (3, 4)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 1), (3, 4))),
    einsum(
        "ij,kj->ik",
        ((2, 3), (4, 3)),
        ((40, 30), (20, 30)),
        bench=lambda n, m: arrays((n, m), (n, m)),
    ),
    einsum("ij,kj", ((2, 3), (4, 3))),
    einsum("ba", ((2, 3),), ((0, 3),)),
    einsum("ij->", ((2, 3),), ((0, 3),)),
    einsum("ij->j", ((2, 3),)),
    einsum("i,j->ij", ((2,), (3,))),
    einsum("ij,ij->i", ((2, 3), (2, 3)), ((2, 1), (2, 3)), ((1, 3), (2, 1))),
    einsum("ij,k->i", ((2, 3), (4,)), ((2, 3), (0,))),
    einsum("ii", ((3, 3),), ((0, 0),), ((1, 1),)),
    einsum("ii->i", ((3, 3),)),
    einsum("iij,ik->j", ((2, 2, 3), (2, 4)), ((2, 2, 3), (1, 4)), torch=False),
    einsum("iii,i->i", ((2, 2, 2), (2,))),
    einsum("ijij->", ((2, 3, 2, 3),)),
    einsum("ii,jj->ij", ((2, 2), (3, 3)), ((1, 1), (3, 3))),
    einsum("...ij,...jk->...ik", ((2, 3), (3, 4)), ((2, 2, 3), (3, 4)), ((2, 1, 2, 3), (3, 3, 2))),
    einsum("...ij,jk", ((2, 2, 3), (3, 4)), ((5, 0, 2, 3), (3, 4))),
    einsum("...i->...", ((2, 3),), ((3,),), ((2, 1, 3),)),
    einsum("i...,i...->...i", ((3, 2), (3, 4, 2)), ((3,), (3, 2))),
    einsum("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2)), ((10, 15), (15, 20), (20, 20))),
    einsum("i , i,i -> ", ((3,), (3,), (3,)), ((3,), (1,), (3,))),
    Row(
        "inv",
        F.inv,
        tuple(inputs(invertible(*s)) for s in STACKS),
        np.linalg.inv,
        of_torch("inv"),
        bench=lambda n, m: inputs(invertible(n, n)),
    ),
    Row(
        "batch_inv",
        F.batch_inv,
        tuple(inputs(invertible(*s)) for s in BATCHES),
        lambda a: np.linalg.inv(a),
        of_torch("inv"),
        bench=lambda n, m: inputs(invertible(n, 8, 8)),
    ),
    Row(
        "det",
        F.det,
        tuple(inputs(invertible(*s)) for s in STACKS),
        np.linalg.det,
        of_torch("det"),
        bench=lambda n, m: inputs(invertible(n, n)),
    ),
    Row(
        "det: singular",
        F.det,
        (
            inputs(lambda rng: np.zeros((1, 1))),
            inputs(lambda rng: np.zeros((3, 3))),
            inputs(lambda rng: np.diag([2.0, 0.0, 3.0])),
            inputs(lambda rng: np.ones((2, 2))),
            inputs(lambda rng: np.diag([2.0, 0.0, 3.0, 0.0])[:, ::-1]),
            inputs(rank(1, 3)),
            inputs(rank(2, 4, 2)),
            inputs(lambda rng: np.stack([np.eye(3), np.ones((3, 3)), np.zeros((3, 3))])),
        ),
        rtol=1e-12,
    ),
    Row(
        "batch_det",
        F.batch_det,
        tuple(inputs(invertible(*s)) for s in BATCHES),
        lambda a: np.linalg.det(a),
        of_torch("det"),
        bench=lambda n, m: inputs(invertible(n, 8, 8)),
    ),
    Row(
        "cholesky",
        F.cholesky,
        tuple(inputs(positive_definite(*s)) for s in STACKS),
        np.linalg.cholesky,
        of_torch("cholesky"),
        bench=lambda n, m: inputs(positive_definite(n, n)),
    ),
]
