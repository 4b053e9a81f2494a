"""Batch normalization as a link: its running averages, and when they move."""

import numpy as np
import pytest

import dynet
import dynet.links as L
from dynet.serializers import load_npz, save_npz

rng = np.random.default_rng(0)


def batches(n, *shape):
    return [rng.normal(2, 3, shape).astype(np.float32) for _ in range(n)]


def averages(link):
    return link.avg_mean.copy(), link.avg_var.copy()


def in_use(link, x):
    with dynet.using_config("train", False):
        return link(x).array


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 5), (4, 3, 2, 5)], ids=str)
def test_values_and_averages_are_those_of_pytorch(shape):
    torch = pytest.importorskip("torch")
    kind = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}[len(shape)]
    theirs, ours = kind(3, eps=2e-5, momentum=0.3), L.BatchNormalization(3, decay=0.7)
    for x in batches(4, *shape):
        y = ours(x)
        np.testing.assert_allclose(y.array, theirs(torch.tensor(x)).detach(), 1e-4, 1e-5)
    np.testing.assert_allclose(ours.avg_mean, theirs.running_mean, 1e-4)
    np.testing.assert_allclose(ours.avg_var, theirs.running_var, 1e-4)
    theirs.eval()
    np.testing.assert_allclose(in_use(ours, x), theirs(torch.tensor(x)).detach(), 1e-4, 1e-5)


def test_finetuning_makes_averages_in_which_every_batch_counts_the_same():
    link = L.BatchNormalization(3)
    link(batches(1, 8, 3)[0])
    link.start_finetuning()
    xs = batches(4, 8, 3)
    for x in xs:
        link(x, finetune=True)
    assert link.N == 4
    np.testing.assert_allclose(link.avg_mean, np.mean([x.mean(0) for x in xs], 0), 1e-5)
    np.testing.assert_allclose(link.avg_var, np.mean([x.var(0, ddof=1) for x in xs], 0), 1e-5)


def test_a_pass_of_finetuning_can_be_interrupted_by_a_file(tmp_path):
    xs = batches(4, 8, 3)
    through, saved, loaded = (L.BatchNormalization(3) for _ in range(3))
    for x in xs:
        through(x, finetune=True)
    for x in xs[:2]:
        saved(x, finetune=True)
    save_npz(tmp_path / "m", saved)
    load_npz(tmp_path / "m", loaded)
    for x in xs[2:]:
        loaded(x, finetune=True)
    np.testing.assert_array_equal(averages(loaded), averages(through))


@pytest.mark.parametrize("finetune", [False, True])
def test_in_use_nothing_moves(finetune):
    link = L.BatchNormalization(3)
    before = averages(link)
    with dynet.using_config("train", False):
        link(batches(1, 8, 3)[0], finetune=finetune)
    np.testing.assert_array_equal(averages(link), before)
    assert link.N == 0


def test_in_use_an_example_does_not_depend_on_the_others():
    link = L.BatchNormalization(3)
    (x,) = batches(1, 8, 3)
    link(x)
    np.testing.assert_array_equal(in_use(link, x[:1]), in_use(link, x)[:1])


def test_a_call_that_fails_moves_nothing():
    link = L.BatchNormalization(3)
    link(batches(1, 8, 3)[0], finetune=True)
    before = averages(link)
    with pytest.raises(ValueError):
        link(batches(1, 8, 4)[0], finetune=True)
    np.testing.assert_array_equal(averages(link), before)
    assert link.N == 1


def test_a_first_call_that_fails_leaves_no_averages():
    link = L.BatchNormalization()
    with pytest.raises(TypeError, match="expected one floating dtype"):
        link(np.ones((4, 3)))
    assert not link.avg_mean.is_initialized and not link.avg_var.is_initialized


@pytest.mark.parametrize(
    "dtype, kept", [(np.float16, np.float32), (np.float32,) * 2, (np.float64,) * 2]
)
def test_averages_are_float32_at_the_least(dtype, kept):
    link = L.BatchNormalization(3, dtype=dtype, initial_gamma=np.ones(3))
    assert link.gamma.dtype == link.beta.dtype == dtype
    assert link.avg_mean.dtype == link.avg_var.dtype == kept


def test_a_link_of_float64_stays_in_float64():
    link = L.BatchNormalization(dtype=np.float64)
    x = batches(1, 8, 3)[0].astype(np.float64)
    assert link(x).dtype == in_use(link, x).dtype == link.avg_var.dtype == np.float64


@pytest.mark.parametrize("size", [3, None])
def test_averages_start_where_they_are_told(size):
    link = L.BatchNormalization(size, initial_avg_mean=np.arange(3.0), initial_avg_var=4)
    (x,) = batches(1, 8, 3)
    np.testing.assert_allclose(in_use(link, x), (x - np.arange(3)) / np.sqrt(4 + 2e-5), 1e-5)


def test_names_in_the_file_are_those_that_chainer_writes(tmp_path):
    save_npz(tmp_path / "m", L.BatchNormalization(3))
    with np.load(tmp_path / "m") as npz:
        assert sorted(npz.files) == ["N", "avg_mean", "avg_var", "beta", "gamma"]


def test_a_file_without_averages_is_refused_by_a_link_that_has_them(tmp_path):
    save_npz(tmp_path / "m", L.BatchNormalization())
    with pytest.raises(ValueError, match=r"lacks gamma, beta, avg_mean, avg_var"):
        load_npz(tmp_path / "m", L.BatchNormalization(3))


def test_averages_of_another_dtype_in_a_file_leave_a_link_without_a_size(tmp_path):
    save_npz(tmp_path / "m", L.BatchNormalization(3, dtype=np.float64))
    link = L.BatchNormalization()
    with pytest.raises(ValueError, match="float64"):
        load_npz(tmp_path / "m", link)
    assert not link.avg_mean.is_initialized and not link.gamma.is_initialized


def test_what_a_file_lacks_is_sized_by_the_first_input(tmp_path):
    save_npz(tmp_path / "m", {"gamma": np.full(3, 2, np.float32)})
    link = L.BatchNormalization()
    load_npz(tmp_path / "m", link, strict=False)
    link(batches(1, 8, 3)[0])
    assert link.gamma.array.tolist() == [2, 2, 2] and link.avg_var.shape == (3,)


def test_averages_are_no_parameters_with_a_size_or_without():
    for link in L.BatchNormalization(3), L.BatchNormalization():
        assert [path for path, _ in link.namedparams()] == ["/gamma", "/beta"]


def test_a_link_without_a_size_takes_it_from_another_link():
    source, link = L.BatchNormalization(3), L.BatchNormalization()
    (x,) = batches(1, 8, 3)
    source(x)
    link.copyparams(source)
    np.testing.assert_array_equal(in_use(link, x), in_use(source, x))
    assert not np.shares_memory(link.avg_mean, source.avg_mean)


def test_a_negative_axis_counts_from_the_back():
    link = L.BatchNormalization(axis=(0, -1))
    link(batches(1, 4, 3, 5)[0])
    assert link.avg_mean.shape == (3,)


def test_an_input_without_channels_is_said():
    with pytest.raises(ValueError, match=r"BatchNormalization: x has shape \(4,\), expected"):
        L.BatchNormalization()(np.ones(4, np.float32))


def test_averages_move_with_to_device():
    link = L.BatchNormalization(3)
    assert link.to_device("cpu") is link and isinstance(link.avg_mean, np.ndarray)


@pytest.mark.parametrize("affine", [True, False])
def test_groups_of_channels_are_those_of_pytorch(affine):
    torch = pytest.importorskip("torch")
    (x,) = batches(1, 2, 6, 3, 2)
    theirs = torch.nn.GroupNorm(3, 6, affine=affine)(torch.tensor(x)).detach()
    np.testing.assert_allclose(L.GroupNormalization(3)(x).array, theirs, 1e-4, 1e-5)
