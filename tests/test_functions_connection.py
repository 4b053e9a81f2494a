"""What the table of functions cannot say of connections: bad input, missing parts."""

import numpy as np
import pytest

import dynet
import dynet.functions as F
from dynet import Variable


def z(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("missing", [("V1",), ("V2",), ("b",), ("V1", "b")])
def test_bilinear_does_without_any_of_its_parts(missing):
    rng = np.random.default_rng(0)
    e1, e2, W = rng.normal(size=(4, 2)), rng.normal(size=(4, 3)), rng.normal(size=(2, 3, 5))
    V1, V2, b = rng.normal(size=(2, 5)), rng.normal(size=(3, 5)), rng.normal(size=5)
    parts = {"V1": V1, "V2": V2, "b": b}
    values = {"V1": e1 @ V1, "V2": e2 @ V2, "b": b}
    y = F.bilinear(e1, e2, W, **{k: v for k, v in parts.items() if k not in missing})
    expected = np.einsum("nj,nk,jkl->nl", e1, e2, W)
    expected += sum(v for k, v in values.items() if k not in missing)
    np.testing.assert_allclose(y.array, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("arguments", "error", "names"),
    [
        ((z(4, 2), z(3, 3), z(2, 3, 5)), ValueError, "e1 has 4 rows, e2 has 3"),
        ((z(4, 3), z(4, 3), z(2, 3, 5)), ValueError, "e1 has shape (4, 3)"),
        ((z(4, 2), z(4), z(2, 3, 5)), ValueError, "e2 has shape (4,)"),
        ((z(4, 2), z(1, 3), z(2, 3, 5)), ValueError, "e2 has 1"),
        ((z(4, 2), z(4, 3), z(2, 3)), ValueError, "W has shape (2, 3)"),
        ((z(4, 2), z(4, 3), z(2, 3, 5), z(5, 2)), ValueError, "V1 has shape (5, 2)"),
        ((z(4, 2), z(4, 3), z(2, 3, 5), None, z(1, 5)), ValueError, "V2 has shape (1, 5)"),
        ((z(4, 2), z(4, 3), z(2, 3, 5), None, None, z(1)), ValueError, "b has shape (1,)"),
        (([[1.0, 2.0]], z(1, 3), z(2, 3, 5)), TypeError, "e1 is list"),
        ((z(4, 2), None, z(2, 3, 5)), TypeError, "e2 is NoneType"),
        ((z(4, 2), z(4, 3, dtype=int), z(2, 3, 5)), TypeError, "e2 is int64"),
        ((z(4, 2), z(4, 3), z(2, 3, 5, dtype=np.float32)), TypeError, "one floating dtype"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: Variable(x)], ids=["arrays", "Variables"])
def test_bilinear_says_what_does_not_fit(arguments, error, names, wrap):
    arguments = [wrap(a) if isinstance(a, np.ndarray) else a for a in arguments]
    with pytest.raises(error, match=r"^bilinear: ") as caught:
        F.bilinear(*arguments)
    assert names in str(caught.value)


def test_a_linear_map_of_an_array_has_second_derivatives():
    x, W = np.arange(12.0).reshape(3, 4) / 10, Variable(np.ones((5, 4)) / 3)
    (g,) = dynet.grad([F.sum(F.tanh(F.linear(x, W)) ** 2)], [W], create_graph=True)
    F.sum(g * g).backward()
    found = W.grad
    W.cleargrad()
    (g,) = dynet.grad([F.sum(F.tanh(x @ F.transpose(W)) ** 2)], [W], create_graph=True)
    F.sum(g * g).backward()
    np.testing.assert_allclose(found, W.grad)
