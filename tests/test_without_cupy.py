"""On the CPU nothing imports CuPy: neither where it is missing, nor where it is installed."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Chain, Variable

FILES = sorted(Path(dynet.__file__).parent.rglob("*.py"))


class Model(Chain):
    """A link of each kind that has kernels of its own."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.embed = L.EmbedID(10, 6)
            self.cell = L.StatelessLSTM(6, 5)
            self.norm = L.LayerNormalization(5)
            self.out = L.Linear(5, 3)

    def __call__(self, ids):
        xs = self.embed(ids)
        zeros = np.zeros((ids.shape[1], 5), np.float32)

        def step(carry, x):
            c, h = self.cell(*carry, x)
            return (c, h), h

        (_, h), _ = dynet.scan(step, (zeros, zeros), xs)
        return self.out(F.dropout(F.relu(self.norm(h)), 0.2))


def test_no_file_imports_cupy_when_it_is_imported_itself():
    for path in FILES:
        tree = ast.parse(path.read_text())
        inside = {
            node
            for function in ast.walk(tree)
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] in ("cupy", "cupyx") for name in names):
                assert node in inside, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(
    "optimizer", [dynet.optimizers.SGD, dynet.optimizers.Adam], ids=["SGD", "Adam"]
)
def test_training_on_the_cpu_imports_no_cupy(monkeypatch, tmp_path, optimizer):
    monkeypatch.setitem(sys.modules, "cupy", None)  # to import it is an error
    rng = np.random.default_rng(0)
    model = Model()
    optimizer = optimizer(0.1).setup(model)
    optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(1.0))
    optimizer.add_hook(dynet.optimizer_hooks.WeightDecay(1e-3))
    for _ in range(3):
        ids, t = rng.integers(0, 10, (7, 4)), rng.integers(0, 3, 4)
        loss = F.softmax_cross_entropy(model(ids), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        dynet.report({"loss": loss}, model)
    assert np.isfinite(float(loss.array))
    model.to_device("cpu")
    dynet.serializers.save_npz(tmp_path / "model.npz", model)
    dynet.serializers.load_npz(tmp_path / "model.npz", model)
    dynet.serializers.save_npz(tmp_path / "optimizer.npz", optimizer)
    dynet.serializers.load_npz(tmp_path / "optimizer.npz", optimizer)
    x = Variable(rng.standard_normal((3, 3)))
    (gx,) = dynet.grad([F.sum(F.tanh(x) ** 2)], [x], create_graph=True)
    F.sum(gx * gx).backward()
    assert x.grad.shape == (3, 3)
    dynet.datasets.concat_examples([(x.array, 1), (x.array, 2)])
