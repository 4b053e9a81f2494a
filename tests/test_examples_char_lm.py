"""The character model's example, run on a short text: what it writes, says and refuses."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from here import run_script

EXAMPLE = Path(__file__).parents[1] / "examples" / "char_lm.py"
SMALL = {"--hidden": 64, "--batchsize": 4, "--steps": 16, "--epochs": 2, "--report": 20}
SMALL |= {"--sample": 9, "--dropout": 0.1, "--lr": 0.02}
SONG = "fa la la la, " * 200  # 2,340 characters to learn from: 36 updates an epoch


@pytest.fixture
def run(capsys, tmp_path):
    """Runs the example as a user does, and gives what it prints."""

    def run(out, **options):
        (tmp_path / "song.txt").write_text(SONG)
        options = {f"--{name}": value for name, value in options.items()}
        options = {"--data": tmp_path / "song.txt", "--out": out} | SMALL | options
        run_script(EXAMPLE, *[word for option in options.items() for word in option])
        return capsys.readouterr().out

    return run


def lines(out):  # all that it has logged but the times
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def test_it_learns_a_song_and_writes_log_curve_and_samples(run, tmp_path):
    out = tmp_path / "out"
    said = run(out, epochs=4, layers=2).splitlines()
    assert [line["update"] for line in lines(out)] == [20, 40, 60, 80, 100, 120, 140, 144]
    assert set(lines(out)[0]) == {"update", "epoch", "train_loss", "held_out_loss"}
    assert lines(out)[-1]["held_out_loss"] < 0.5 < lines(out)[0]["train_loss"]
    assert {p.name for p in out.iterdir()} == {"log.jsonl", "curve.png"}
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert sum(line.startswith("--- update") for line in said) == 8
    written = said[said.index(next(line for line in said if line.startswith("--- update 144"))) + 1]
    assert len(written) == 9 and set(written) <= set(SONG)
    assert said[-1].startswith("After 144 updates the loss is ")


def test_a_seed_gives_the_same_numbers_and_another_others(run, tmp_path):
    said = [run(tmp_path / str(i), seed=seed) for i, seed in enumerate((1, 1, 2))]
    logs = [lines(tmp_path / str(i)) for i in range(3)]
    assert said[0] == said[1] and logs[0] == logs[1]
    assert logs[0] != logs[2]


def test_it_stops_when_its_minutes_are_over(run, tmp_path):
    run(tmp_path / "out", minutes=1e-9)
    assert [line["update"] for line in lines(tmp_path / "out")] == [1]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"data": "nowhere"}, "get_text: there is no file nowhere"),
        ({"batchsize": 200}, r"the text is shorter than a segment: .* 2340 .*expected 3216 at"),
        ({"hidden": 0}, "out_size is 0"),
        ({"dropout": 1}, "dropout is 1"),
    ],
)
def test_bad_options_end_in_one_sentence(run, tmp_path, options, words):
    with pytest.raises(SystemExit, match=f"^char_lm: .*{words}") as end:
        run(tmp_path / "out", **options)
    assert "\n" not in end.value.code


@pytest.mark.parametrize("option", ["epochs", "batchsize", "steps", "report", "temperature"])
def test_numbers_below_their_range_are_refused(run, tmp_path, option, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path / "out", **{option: 0})
    assert "numbers from 1 up, temperature above 0" in capsys.readouterr().err


def test_it_learns_from_the_real_text(run, tmp_path):
    data = os.environ.get("DYNET_TEST_DATA")
    if not data or not Path(data, "text").is_dir():
        pytest.skip("DYNET_TEST_DATA names no folder with text/ in it")
    text = Path(data, "text", "tinyshakespeare.txt").read_text()[:60_000]
    (tmp_path / "beginning.txt").write_text(text)
    path = tmp_path / "beginning.txt"
    run(tmp_path / "out", data=path, hidden=64, batchsize=16, steps=32, epochs=1, report=1000)
    (line,) = lines(tmp_path / "out")
    assert line["held_out_loss"] < np.log(65) * 0.75
