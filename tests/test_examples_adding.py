"""The adding problem's example for a few updates, in the plain loop, which needs no compiling."""

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path

import pytest
from here import run_here

import dynet

PATH = Path(__file__).parents[1] / "examples/adding.py"
SMALL = ["--length", "6", "--batchsize", "4", "--hidden", "3", "--iterations", "51"]


@pytest.fixture
def adding(monkeypatch):
    """Runs the example with options; gives the lines of its log."""
    spec = importlib.util.spec_from_file_location("adding", PATH)
    spec.loader.exec_module(example := importlib.util.module_from_spec(spec))
    monkeypatch.setattr(dynet, "scan", partial(dynet.scan, compiled=False))

    def run(out, *options):
        monkeypatch.setattr(sys, "argv", ["adding", *SMALL, "--out", str(out), *options])
        example.main(example.arguments())
        return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]

    return run


def test_a_run_leaves_a_log_and_a_picture_and_says_its_error(adding, tmp_path, capsys):
    lines = adding(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"log.jsonl", "learning.png"}
    assert [line["iteration"] for line in lines] == [50, 51]
    said = f"mean squared error {lines[-1]['test_mse']:.5f} on 1000 sequences of 6 to 6 steps"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("cell", ["gru", "lstm", "mgu"])
def test_the_same_seed_gives_the_same_numbers(adding, cell, tmp_path):
    first, second, other = [
        adding(tmp_path / str(i), "--cell", cell, "--seed", seed) for i, seed in enumerate("778")
    ]
    assert first == second != other


def test_a_length_without_room_for_two_marks_is_refused_in_one_sentence(tmp_path):
    done = run_here(PATH, "--length", "1", "--out", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("adding: ") and done.stderr.count("\n") == 1


def test_sizes_of_nothing_are_refused(adding, tmp_path, capsys):
    with pytest.raises(SystemExit):
        adding(tmp_path, "--hidden", "0")
    assert "--hidden take numbers from 1 up" in capsys.readouterr().err
