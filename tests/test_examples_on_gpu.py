"""The examples on a pretended GPU: they learn what they learn on the CPU, and seldom wait."""

import json
from pathlib import Path

import pytest
from here import run_here

from dynet.optimizers import Optimizer

EXAMPLES = Path(__file__).parents[1] / "examples"
DIGITS = "--data digits --batchsize 4 --hidden 8"
# The options of a short run; and after how many updates, as the example says, it looks at what the
# GPU has come to. A bar of ``progress`` looks when it is time.
RUNS = {
    "irnn_mnist": (f"{DIGITS} --limit 180 --epochs 1 --lr 0.1", 20),
    "irnn_mnist --loop": (f"{DIGITS} --limit 100 --epochs 1 --lr 0.1", 20),
    "mnist_mlp": (f"{DIGITS} --limit 60 --epochs 2", None),
    "adding": ("--length 6 --batchsize 4 --hidden 3 --iterations 52", 50),
    "binary_addition": ("--bits 3 --batchsize 4 --iterations 52", 50),
    "char_lm": ("--hidden 8 --batchsize 4 --steps 16 --sample 3 --report 20 --dropout 0", 20),
}


@pytest.fixture
def run(tmp_path):
    """Runs an example on a device; gives its log without the times."""
    (tmp_path / "song.txt").write_text("fa la la la, " * 150)

    def run(example, device, *options):
        name, *ways = example.split()
        out = tmp_path / device.replace(":", "")
        if name == "char_lm":
            options = *options, "--data", tmp_path / "song.txt", "--epochs", "1"
        options = *ways, *options, "--device", device, "--out", out
        done = run_here(EXAMPLES / f"{name}.py", *options)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if "second" not in k} for line in lines]

    return run


@pytest.mark.parametrize("example", RUNS)
def test_on_a_gpu_an_example_learns_what_it_learns_on_the_cpu(
    example, run, pretend_gpu, plain_loops
):
    options = RUNS[example][0].split()
    with plain_loops():
        on_cpu = run(example, "cpu", *options)
    assert pretend_gpu.synchronisations == []
    on_gpu = run(example, "cuda:0", *options)
    assert pretend_gpu.synchronisations != []
    assert len(on_gpu) == len(on_cpu)
    for gpu, cpu in zip(on_gpu, on_cpu, strict=True):
        assert gpu == pytest.approx(cpu, rel=1e-3)


@pytest.mark.parametrize("example", [example for example, (_, every) in RUNS.items() if every])
def test_between_updates_it_waits_for_the_gpu_only_every_so_many(
    example, run, pretend_gpu, monkeypatch
):
    options, every = RUNS[example]
    waited = []

    def update(self, *args, original=Optimizer.update):
        waited.append(len(pretend_gpu.synchronisations))
        original(self, *args)

    monkeypatch.setattr(Optimizer, "update", update)
    run(example, "cuda:0", *options.split())
    # Before the first one a scan is compared with its first steps in Python.
    updates = range(1, len(waited))
    assert [i for i in updates if waited[i] > waited[i - 1]] == list(updates)[every - 1 :: every]
    assert len(waited) > every
