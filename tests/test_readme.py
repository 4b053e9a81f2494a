"""The README's code runs, and what it says of the project holds."""

import re
from pathlib import Path

import numpy as np
import pytest

import dynet

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMPLETE = [block for block in BLOCKS if "..." not in block]


@pytest.mark.parametrize("block", COMPLETE, ids=range(len(COMPLETE)))
def test_a_block_of_code_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    x = dynet.Variable(np.ones(3))
    exec(block, {"dynet": dynet, "np": np, "x": x})


def test_the_linked_files_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_it_says_how_many_lines_the_first_four_files_have():
    names = "variable", "function", "backprop", "gradient"
    total = sum(len((ROOT / f"dynet/{n}.py").read_text().splitlines()) for n in names)
    assert f"these four, {total} lines together" in README


def test_it_says_how_many_lines_the_example_has():
    total = len((ROOT / "examples/irnn_mnist.py").read_text().splitlines())
    assert f"{total} lines" in README


def test_it_names_every_function_and_no_other():
    section = README.partition("## Functions")[2].partition("## Speed")[0]
    rows = re.findall(r"^\| .+: \[.*\| (.+) \|$", section, re.MULTILINE)
    assert sorted(", ".join(rows).split(", ")) == dynet.functions.__all__
    assert f"{len(dynet.functions.__all__)} of them" in section


def test_it_names_every_link_and_optimizer():
    base_classes = {"GradientMethod", "Hyperparameter", "Optimizer"}
    names = {*dynet.links.__all__, *dynet.optimizers.__all__} - base_classes
    assert [name for name in names if not re.search(rf"\b{name}\b", README)] == []
