"""The example that plays a signal from memory, for a few updates, in the plain loop, which needs
no compiling."""

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from here import run_here

import dynet

PATH = Path(__file__).parents[1] / "examples/lstm_sine.py"


@pytest.fixture
def example(monkeypatch):
    spec = importlib.util.spec_from_file_location("lstm_sine", PATH)
    spec.loader.exec_module(example := importlib.util.module_from_spec(spec))
    monkeypatch.setattr(example, "EVERY", 2)
    return example


@pytest.fixture
def lstm_sine(example, monkeypatch):
    """Runs the example with options; gives the lines of its log."""
    monkeypatch.setattr(dynet, "scan", partial(dynet.scan, compiled=False))

    def run(out, *options):
        monkeypatch.setattr(sys, "argv", ["lstm_sine", "--out", str(out), *options])
        example.main(example.arguments())
        return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]

    return run


def test_a_run_leaves_a_log_and_a_picture_and_says_its_error(lstm_sine, tmp_path, capsys):
    *updates, last = lstm_sine(tmp_path, "--iterations", "3")
    assert {p.name for p in tmp_path.iterdir()} == {"log.jsonl", "signal.png"}
    assert [(line["iteration"], line["steps"]) for line in updates] == [(2, 320), (3, 320)]
    assert last["variance"] == pytest.approx(0.3559, abs=1e-4)
    assert f"mean squared error {last['played_mse']:.4f}, " in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--stacked"]])
def test_the_same_seed_gives_the_same_numbers(lstm_sine, options, tmp_path):
    first, second, other = [
        lstm_sine(tmp_path / str(i), *options, "--iterations", "1", "--seed", seed)
        for i, seed in enumerate("778")
    ]
    assert first == second != other


def test_the_tutorial_goes_from_segment_to_segment(example):
    _, _, spans = example.tutorial(12, np.random.default_rng(0))
    assert spans[:2] + spans[9:11] == [(0, 320), (320, 640), (2880, 3200), (0, 320)]


def test_the_stacked_variant_goes_from_the_start_ever_further(example):
    _, _, spans = example.stacked(110, np.random.default_rng(0))
    assert {start for start, _ in spans} == {0}
    assert [spans[i][1] for i in (0, 1, 50, 90, 109)] == [320, 352, 1920, 3200, 3200]


def test_a_folder_that_is_a_file_is_refused_in_one_sentence(tmp_path):
    (file := tmp_path / "file").touch()
    done = run_here(PATH, "--out", file)
    assert done.returncode == 1
    assert done.stderr.startswith("lstm_sine: ") and done.stderr.count("\n") == 1


def test_no_updates_are_refused(lstm_sine, tmp_path, capsys):
    with pytest.raises(SystemExit):
        lstm_sine(tmp_path, "--iterations", "0")
    assert "--iterations takes numbers from 1 up" in capsys.readouterr().err
