"""Gradients of large tables of which a step touches few rows."""

import copy

import numpy as np
import pytest

import dynet
import dynet.functions as F
import dynet.links as L
from dynet.optimizer_hooks import GradientClipping
from dynet.optimizers import SGD, Adam
from dynet.terms import Rows

IDS = np.array([[3, 70, 3], [99, 3, 70]])


def table(rows=100):
    return L.EmbedID(rows, 4, initialW=np.random.default_rng(0).normal(size=(rows, 4)))


def loss_of(link, ids=IDS):
    y = link(ids)
    return (y * y * y).sum()


def dense_gradient(link, ids=IDS):
    W = link.W.array
    gradient = np.zeros_like(W)
    np.add.at(gradient, ids, 3 * W[ids] ** 2)
    return gradient


def test_the_gradient_of_few_rows_is_kept_as_rows_each_once():
    link = table()
    loss_of(link).backward()
    kept = link.W.node.grad
    assert type(kept) is Rows and kept.ids.tolist() == [3, 70, 99]


def test_the_gradient_of_many_rows_is_an_array():
    link = table(10)
    loss_of(link, IDS % 10).backward()
    assert type(link.W.node.grad) is np.ndarray


def test_to_whoever_looks_the_gradient_is_an_array():
    link = table()
    loss_of(link).backward()
    np.testing.assert_allclose(link.W.grad, dense_gradient(link), rtol=1e-14)


@pytest.mark.parametrize("looked", [False, True], ids=["rows", "array"])
@pytest.mark.parametrize("second", [IDS, np.arange(90)], ids=["few", "many"])
def test_gradients_of_two_sweeps_add_up(looked, second):
    link = table()
    loss_of(link).backward()
    if looked:
        assert link.W.grad is not None
    loss_of(link, second).backward()
    expected = dense_gradient(link) + dense_gradient(link, second)
    np.testing.assert_allclose(link.W.grad, expected, rtol=1e-14)


def test_a_table_that_is_also_multiplied_gets_both_gradients():
    link = table()
    x = np.ones((2, 4))
    (loss_of(link) + F.linear(x, link.W).sum()).backward()
    np.testing.assert_allclose(link.W.grad, dense_gradient(link) + 2, rtol=1e-14)


def test_a_loop_of_look_ups_keeps_its_rows():
    link = table(100_000)
    total = 0
    for step in range(50):
        total = total + link(np.array([step % 7, 99_999])).sum()
    total.backward()
    kept = link.W.node.grad
    assert type(kept) is Rows and kept.gy[-1].tolist() == [50] * 4


def test_a_table_that_was_computed_gets_its_gradient():
    W = dynet.Variable(np.random.default_rng(0).normal(size=(100, 4)))
    F.embed_id(IDS, W * 2).sum().backward()
    assert W.grad.sum() == 2 * IDS.size * 4


def test_grad_gives_an_array():
    W = dynet.Variable(np.zeros((100, 4)))
    (gradient,) = dynet.grad([F.embed_id(IDS, W).sum()], [W])
    assert gradient.shape == (100, 4)


def test_a_table_replaced_by_another_shape_before_the_sweep_is_an_error():
    link = table()
    loss = loss_of(link)
    link.W.array = np.zeros((50, 4))
    with pytest.raises(ValueError, match=r"\(100, 4\).*expected float64 \(50, 4\)"):
        loss.backward()


def test_sgd_moves_the_rows_alone():
    link = table()
    expected = link.W.array - 0.1 * dense_gradient(link)
    optimizer = SGD(lr=0.1).setup(link)
    optimizer.update(loss_of, link)
    np.testing.assert_allclose(link.W.array, expected, rtol=1e-14)
    assert type(link.W.node.grad) is Rows


def test_an_optimizer_that_moves_every_row_gets_an_array():
    sparse, dense = table(), table()
    for link in sparse, dense:
        loss_of(link).backward()
    assert dense.W.grad is not None
    for link in sparse, dense:
        Adam().setup(link).update()
    np.testing.assert_array_equal(sparse.W.array, dense.W.array)


def test_clipping_scales_rows_as_it_would_the_array():
    sparse, dense = table(), table()
    for link in sparse, dense:
        loss_of(link).backward()
    assert dense.W.grad is not None
    for link in sparse, dense:
        optimizer = SGD(lr=0.1).setup(link)
        optimizer.add_hook(GradientClipping(0.5))
        optimizer.update()
    assert type(sparse.W.node.grad) is Rows
    np.testing.assert_allclose(sparse.W.array, dense.W.array, rtol=1e-13)


def test_a_copy_has_its_gradient_too():
    link = table()
    loss_of(link).backward()
    np.testing.assert_array_equal(copy.deepcopy(link).W.grad, link.W.grad)
