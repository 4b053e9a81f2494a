"""Compiled kernels, called with arrays that do not fit: they raise and touch no other memory.

Where a failure would write beyond an array, the array is a part of a larger one.
"""

import numpy as np
import pytest
from numba.core.errors import TypingError

from dynet.kernels import activation, connection, rows, update

IDS = np.array([0, 1])


def z(*shape):
    """Zeros, with as many again behind them."""
    return np.zeros((2 * (shape[0] + 1), *shape[1:]))[: shape[0]]


ADAM = 0.1, 0.1, 0.01, 1e-8, 0.0

MISMATCHED = [
    ("relu_forward: y", lambda: activation.relu_forward(z(4), z(3))),
    ("relu_backward: gy", lambda: activation.relu_backward(z(4), z(3), z(4))),
    ("relu_backward: gx", lambda: activation.relu_backward(z(4), z(4), z(5))),
    ("add_bias: too short", lambda: connection.add_bias_in_place(z(2, 3), z(2))),
    ("add_bias: too long", lambda: connection.add_bias_in_place(z(2, 3), z(4))),
    ("gather_rows: too few rows", lambda: rows.gather_rows(IDS, z(3, 2), False, 0, z(1, 2))),
    ("gather_rows: too narrow", lambda: rows.gather_rows(IDS, z(3, 2), False, 0, z(2, 1))),
    ("scatter_rows: too few rows", lambda: rows.scatter_rows(IDS, z(1, 2), z(3, 2))),
    ("scatter_rows: too narrow", lambda: rows.scatter_rows(IDS, z(2, 1), z(3, 2))),
    ("sum_rows_to: y", lambda: rows.sum_rows_to(z(2, 3), z(2))),
    ("sgd: gW", lambda: update.sgd.loop(z(3), z(4), 0.1)),
    ("adam: gW", lambda: update.adam.loop(z(3), z(4), z(4), z(4), *ADAM)),
    ("adam: m", lambda: update.adam.loop(z(4), z(4), z(3), z(4), *ADAM)),
    ("adam: v", lambda: update.adam.loop(z(4), z(4), z(4), z(3), *ADAM)),
]


@pytest.mark.parametrize("call", [c[1] for c in MISMATCHED], ids=[c[0] for c in MISMATCHED])
def test_a_kernel_refuses_arrays_that_do_not_fit(call):
    with pytest.raises(ValueError):
        call()


def test_a_kernel_of_vectors_refuses_matrices():
    with pytest.raises((ValueError, TypingError)):
        update.sgd.loop(z(2, 2), z(2, 2), 0.1)


@pytest.mark.parametrize("id", [-1, -3, 3, np.iinfo(np.int64).max, np.iinfo(np.int64).min + 1])
def test_gather_rows_says_where_an_id_is_out_of_range(id):
    assert rows.gather_rows(np.array([0, id]), z(3, 2), False, 0, z(2, 2)) == 1


def test_scatter_rows_passes_over_ids_out_of_range():
    table = np.zeros((2, 1))
    rows.scatter_rows(np.array([-1, 0, 2, 10**12]), np.ones((4, 1)), table)
    np.testing.assert_array_equal(table, [[1], [0]])


def test_relu_writes_into_an_output_that_is_not_contiguous():
    y = np.zeros((2, 4))[:, ::2]
    activation.relu_forward(np.ones((2, 2)), y)
    np.testing.assert_array_equal(y, np.ones((2, 2)))


def test_the_gradient_of_relu_writes_into_an_output_that_is_not_contiguous():
    gx = np.zeros((2, 4))[:, ::2]
    activation.relu_backward(np.ones((2, 2)), np.ones((2, 2)), gx)
    np.testing.assert_array_equal(gx, np.ones((2, 2)))


def test_a_sum_of_squares_is_taken_in_float64():
    x = np.full(100_000, 1e-4, np.float32)
    x[0] = 1  # in float32, 1 + 1e-8 is 1
    exact = (x.astype(np.float64) ** 2).sum()
    np.testing.assert_allclose(update.sum_of_squares(x), exact, rtol=1e-10)


def test_a_sum_of_squares_counts_each_element_of_a_strided_array_once():
    assert update.sum_of_squares(np.ones((4, 6))[:, ::2]) == 12
