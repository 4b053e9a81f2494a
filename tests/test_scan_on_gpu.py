"""Compiled loops on a GPU, one kernel for all time steps or CUDA graphs, against the CPU's loop."""

import numpy as np
import pytest
from scan_steps import STEPS, Maker, build

import dynet
import dynet.functions as F
from dynet.scanning import on_gpu
from dynet.scanning.structure import flatten, unflatten

pytestmark = pytest.mark.filterwarnings("error")

TOLERANCE = {"f": 1e-4, "d": 1e-10}  # of the largest element

WAYS = ["one kernel", "graphs"]


class GpuMaker(Maker):
    """Makes arrays of a GPU."""

    def __init__(self, cupy, dtype, seed=0):
        super().__init__(dtype, seed)
        self.cupy = cupy

    def constant(self, array):
        return self.cupy.asarray(array)

    def variable(self, array):
        return super().variable(self.cupy.asarray(array))


def build_on_gpu(cupy, name, **sizes):
    """As ``build``, of a GPU's arrays."""
    builder, dtype, its_sizes = STEPS[name]
    make = GpuMaker(cupy, dtype)
    step, *trees = builder(make, **its_sizes | sizes)
    sent = []
    for tree in trees:
        leaves, structure = flatten(tree)
        leaves = [cupy.asarray(x) if isinstance(x, np.ndarray) else x for x in leaves]
        sent.append(unflatten(structure, leaves))
    return (step, *sent), make.variables


def use(way, monkeypatch):
    if way == "graphs":
        monkeypatch.setattr(on_gpu, "way", lambda *given: on_gpu.Launch())


def host(x):
    return x.get() if dynet.backend.is_cupy(x) else x


def assert_close(found, expected):
    assert len(found) == len(expected)
    for i, (a, b) in enumerate(zip(map(host, found), map(host, expected), strict=True)):
        if b is None:
            assert a is None, i
            continue
        assert a.dtype == b.dtype and a.shape == b.shape, i
        scale = np.abs(b).max(initial=0) if b.dtype.kind == "f" else 0
        tolerance = TOLERANCE[b.dtype.char] * (scale or 1) if b.dtype.kind == "f" else 0
        assert np.abs(a.astype(float) - b).max(initial=0) <= tolerance, i


def total(leaves):
    """A number that depends on all of some Variables, by fixed weights."""
    rng = np.random.default_rng(3)
    parts = []
    for v in leaves:
        weights = v.xp.asarray(rng.standard_normal(v.shape).astype(v.dtype))
        if v.requires_grad:
            parts.append(F.cast((v * weights).sum(), np.float64))
    return F.add(*parts) if parts else None


def run(model, variables, compiled, **keywords):
    """What a scan gives, and its gradients."""
    step, init, xs = model
    dynet.random.seed(7)
    for v in variables:
        v.cleargrad()
    leaves = flatten(dynet.scan(step, init, xs, compiled=compiled, **keywords))[0]
    loss = total(leaves)
    if loss is not None:
        loss.backward()
    return [v.array for v in leaves], [v.grad for v in variables]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_gives_on_a_gpu_what_it_gives_on_the_cpu(name, way, device, monkeypatch):
    use(way, monkeypatch)
    reverse = way == "graphs"
    expected = run(*build(name), False, reverse=reverse)
    model, variables = build_on_gpu(device, name)
    found = run(model, variables, True, reverse=reverse)
    assert_close(found[0], expected[0])
    assert_close(found[1], expected[1])
