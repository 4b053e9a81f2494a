"""The film reviews' example, run on a few made-up sentences, in the plain loop, which needs no
compiling: what it writes, says and refuses."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from here import run_script

EXAMPLE = Path(__file__).parents[1] / "examples" / "sentiment.py"
SMALL = ["--hidden", "32", "--embedding", "32", "--epochs", "2", "--lr", "0.03", "--dropout", "0.1"]


@pytest.fixture
def run(capsys, plain_loops):
    """Runs the example as a user does, and gives what it prints."""

    def run(out, *options):
        with plain_loops():
            run_script(EXAMPLE, "--out", out, *options)
        return capsys.readouterr().out

    return run


@pytest.fixture
def reviews(tmp_path):
    """Sentences of 3 to 12 words: praise speaks of joy, the contrary of a bore."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "reviews"
    folder.mkdir()
    for name, word in (("pos", "joy"), ("neg", "bore")):
        lines = []
        for length in rng.integers(3, 13, 60):
            words = rng.choice(["a", "film", "of", "it", "."], length)
            words[rng.integers(length)] = word
            lines.append(" ".join(words))
        (folder / f"rt-polarity.{name}").write_text("\n".join(lines))
    return folder


@pytest.fixture
def imdb(tmp_path):
    """The same in the layout of aclImdb, 20 texts in each part."""
    for part in ("train", "test"):
        for name, word in (("pos", "Joy"), ("neg", "Bore")):
            folder = tmp_path / "aclImdb" / part / name
            folder.mkdir(parents=True)
            for i in range(10):
                (folder / f"{i}_1.txt").write_text(f"It is a {word}!<br />" + "film " * i)
    return tmp_path / "aclImdb"


def lines(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_it_learns_to_tell_them_apart_and_writes_log_curve_and_model(run, reviews, tmp_path):
    said = run(tmp_path / "out", *SMALL, "--data", reviews, "--epochs", 6)
    last = said.splitlines()[-1]
    told = re.fullmatch(r"Of 12 held-out texts it judges (\d+) right: accuracy (.*)\.", last)
    assert int(told[1]) >= 10 and float(told[2]) == pytest.approx(int(told[1]) / 12, abs=1e-4)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"log.jsonl", "curve.png", "model.npz"}
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")
    names = "epoch,train_loss,train_accuracy,validation_loss,validation_accuracy"
    assert {",".join(line) for line in lines(tmp_path / "out")} == {names}


def test_a_seed_gives_the_same_numbers_and_another_others(run, reviews, tmp_path):
    said, logs = [], []
    for i, seed in enumerate((1, 1, 2)):
        said.append(run(tmp_path / str(i), *SMALL, "--data", reviews, "--seed", seed))
        logs.append(lines(tmp_path / str(i)))
    assert said[0] == said[1] and logs[0] == logs[1]
    assert logs[0] != logs[2]


def test_it_reads_the_layout_of_imdb_in_both_directions(run, imdb, tmp_path):
    said = run(tmp_path / "out", *SMALL, "--data", imdb, "--length", 5, "--bidirectional")
    assert "Of 20 held-out texts" in said


def test_it_stops_when_validation_gets_no_better(run, reviews, tmp_path):
    out = tmp_path / "out"
    run(out, *SMALL, "--data", reviews, "--epochs", 9, "--lr", 0, "--patience", 1)
    assert [line["epoch"] for line in lines(out)] == [1, 2]


@pytest.mark.parametrize(
    "options, words",
    [
        (["--data", "nowhere"], "get_sentiment: folder nowhere is no folder"),
        (["--vocabulary", 1], "vocabulary_size is 1, expected"),
        (["--hidden", 0], "out_size is 0"),
        (["--patience", 0], "patience is 0, expected at least 1"),
        (["--epochs", 0], 2),
    ],
)
def test_bad_options_end_in_one_sentence(run, reviews, tmp_path, options, words, capsys):
    with pytest.raises(SystemExit) as end:
        run(tmp_path / "out", *SMALL, "--data", reviews, *options)
    if words == 2:  # argparse's exit status; the sentence is on stderr
        assert end.value.code == 2 and "take numbers from 1 up" in capsys.readouterr().err
    else:
        assert end.value.code.startswith("sentiment: ") and words in end.value.code
        assert "\n" not in end.value.code


def test_too_few_texts_are_refused(run, reviews, tmp_path):
    for kind in ("pos", "neg"):
        (reviews / f"rt-polarity.{kind}").write_text("a\nb\n")
    with pytest.raises(SystemExit, match="sentiment: there are 4 texts to train and 0 to test"):
        run(tmp_path / "out", *SMALL, "--data", reviews)


def test_it_learns_from_the_real_sentences(tmp_path):
    data = os.environ.get("DYNET_TEST_DATA")
    if not data or not Path(data, "sentiment").is_dir():
        pytest.skip("DYNET_TEST_DATA names no folder with sentiment/ in it")
    options = ["--data", Path(data, "sentiment"), "--epochs", 1, "--embedding", 32, "--hidden", 32]
    options += ["--lr", 0.005, "--dropout", 0.2, "--forget", 0]
    run_script(EXAMPLE, "--out", tmp_path, *options)
    assert lines(tmp_path)[0]["validation_accuracy"] > 0.65
