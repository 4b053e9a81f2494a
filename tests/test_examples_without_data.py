"""The examples that need no files, run in this process: what they write, and what they learn."""

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from here import run_here

from dynet.training import Log

EXAMPLES = Path(__file__).parents[1] / "examples"
# The options of a short run, the picture, and what the last lines say.
SHORT = {
    "repeat": ("--epochs 2 --limit 64 --hidden 8", "copies.png", r"copy 0\.\d+, PCA 0\.\d+"),
    "binary_addition": ("--iterations 60 --batchsize 4", "addition.png", r"\d% of 64 bits"),
    "five_shapes": ("--updates 2", "curves.png", r"in step: bits to parity +\(10, 32, 1\)"),
}
each_example = pytest.mark.parametrize("example", SHORT)


def start(example, out, *options):
    return run_here(EXAMPLES / f"{example}.py", *SHORT[example][0].split(), "--out", out, *options)


def run(example, out, *options):
    process = start(example, out, *options)
    assert process.returncode == 0, process.stderr
    return process.stdout


def numbers(out):  # all that it has logged but the times
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@each_example
def test_a_run_says_what_it_came_to_and_leaves_a_log_and_a_picture(example, tmp_path):
    assert re.search(SHORT[example][2], run(example, tmp_path))
    assert {p.name for p in tmp_path.iterdir()} == {"log.jsonl", SHORT[example][1]}
    assert (tmp_path / SHORT[example][1]).read_bytes().startswith(b"\x89PNG")


@each_example
def test_the_same_seed_gives_the_same_numbers_and_another_one_others(example, tmp_path):
    for name, seed in {"a": 3, "b": 3, "c": 4}.items():
        run(example, tmp_path / name, "--seed", seed)
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b") != numbers(tmp_path / "c")


@each_example
def test_ctrl_c_ends_a_run_with_its_log_and_picture(example, tmp_path, monkeypatch):
    write = Log.write

    def interrupted(log, **values):
        write(log, **values)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Log, "write", interrupted)
    run(example, tmp_path)
    assert len(numbers(tmp_path)) == 1 and (tmp_path / SHORT[example][1]).exists()


@each_example
def test_bad_options_are_refused_in_one_sentence(example, tmp_path):
    option = SHORT[example][0].split()[0]
    process = start(example, tmp_path, option, 0)
    said = process.stderr.splitlines()[-1]
    assert process.returncode == 2 and "error: " in said and option in said
    (tmp_path / "file").touch()
    process = start(example, tmp_path / "file")
    assert process.returncode == 1 and process.stderr.startswith(f"{example}: ")


def test_repeat_says_that_it_is_a_product_and_how_much_memory_copies_would_take(tmp_path):
    said = run("repeat", tmp_path)
    assert "differs from it by 0.0, its gradient from the transposed one by 0.0" in said
    assert "8 steps takes 3,072 bytes; copies took 24,576." in said


def test_repeat_copies_unseen_images_better_than_their_mean_does(tmp_path):
    run("repeat", tmp_path, "--limit", 2000, "--epochs", 8, "--hidden", 64)
    assert numbers(tmp_path)[-1]["test_mse"] < 0.04  # the mean image: 0.074


def test_the_compiled_loop_adds_as_the_plain_one_does(tmp_path):
    run("binary_addition", tmp_path / "loop")
    run("binary_addition", tmp_path / "scan", "--scan")
    assert numbers(tmp_path / "scan")[0] == pytest.approx(numbers(tmp_path / "loop")[0], rel=1e-3)


def test_what_learned_from_8_bits_adds_30_bits_without_an_error(tmp_path):
    run("binary_addition", tmp_path, "--iterations", 1000, "--batchsize", 64)
    assert max(line["right_30_bits"] for line in numbers(tmp_path)) == 1


def test_the_five_shapes_are_learned(tmp_path):
    said = run("five_shapes", tmp_path, "--updates", 300)
    right = [float(share) for share in re.findall(r"([\d.]+)%", said)]
    assert len(right) == 5 and np.min(right) > 80
