"""The benchmarks run, at their smallest, and write what they measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ABOUT = {"date", "machine", "versions", "settings", "skipped"}
SUMMARY = {"median", "low", "high", "mean"}


def run(name, file, *options):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--peers", "none", "--threads", "1"]
    return subprocess.run(
        [*command, "--json", str(file), *options], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def irnn(tmp_path_factory):
    """What the first one prints and writes; the folder of its file is not there yet."""
    file = tmp_path_factory.mktemp("irnn") / "results" / "irnn.json"
    sizes = ["--batch=2", "--hidden=4", "--steps=5", "--batches=3", "--warmup=1"]
    done = run("irnn", file, *sizes)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


@pytest.fixture(scope="module")
def overhead(tmp_path_factory):
    file = tmp_path_factory.mktemp("overhead") / "overhead.json"
    done = run("overhead", file, "--rounds=1", "--repeats=1", "--lengths=200,400")
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    file = tmp_path_factory.mktemp("functions") / "functions.json"
    done = run("functions", file, "--only=exp,absolute", "--sizes=3x4,2x2", "--rounds=2")
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


def test_functions_writes_each_function_at_each_size(functions):
    assert set(functions[1]) == {*ABOUT, "functions"}
    for name in "exp", "absolute":
        by_size = functions[1]["functions"][name]
        assert set(by_size) == {"3x4", "2x2"}
        assert set(by_size["3x4"]["dynet"]) == SUMMARY
        assert name in functions[0]


def test_functions_refuses_a_name_that_the_table_lacks(tmp_path):
    done = run("functions", tmp_path / "f.json", "--only=expp")
    assert done.returncode == 2 and "expp" in done.stderr


def test_irnn_writes_time_and_memory_of_dynet(irnn):
    (contender,) = irnn[1]["contenders"].values()
    assert set(contender) == {"label", "ms", "epoch_minutes", "memory"}
    assert set(contender["ms"]) == SUMMARY
    assert set(contender["memory"]) == {"peak", "above_bare", "above_built", "above_first_batch"}


def test_irnn_writes_the_settings_that_it_ran_with(irnn):
    settings = irnn[1]["settings"]
    del settings["load_at_start"]
    assert settings == {
        **{"batch": 2, "hidden": 4, "steps": 5, "device": "cpu", "threads": 1},
        **{"batches": 3, "warmup": 1},
    }


def test_irnn_takes_an_epoch_for_sixty_thousand_images(irnn):
    dynet = irnn[1]["contenders"]["dynet"]
    assert dynet["epoch_minutes"] == pytest.approx(dynet["ms"]["median"] * 60_000 / 2 / 60e3)


def test_irnn_prints_one_line_for_dynet(irnn):
    assert sum(line.startswith("dynet, ") for line in irnn[0].splitlines()) == 1


def test_irnn_refuses_a_peer_that_it_does_not_know(tmp_path):
    done = run("irnn", tmp_path / "file", "--peers=abacus")
    assert done.returncode == 2
    assert "--peers: got 'abacus', expected some of torch" in done.stderr


def test_overhead_writes_record_sweep_and_free_of_each_chain(overhead):
    operations = overhead[1]["operations"]
    assert list(operations) == ["y + c", "y + y", "y * c", "y * y", "relu(y)"]
    for by_name in operations.values():
        assert {name: list(phases) for name, phases in by_name.items()} == {
            "dynet": ["record", "sweep", "free"]
        }
        assert all(set(phase) == SUMMARY for phase in by_name["dynet"].values())


def test_overhead_writes_time_and_memory_per_step_of_each_length(overhead):
    loops = overhead[1]["loops"]
    assert len(loops) == 2
    for results in loops.values():
        assert [result["steps"] for result in results] == [200, 400]
        for result in results:
            assert set(result) == {
                "steps",
                "us_per_step",
                "us_per_step_with_collector",
                "bytes_per_step",
                "memory",
            }
            assert set(result["memory"]) == {"before", "peak", "after"}


def test_overhead_prints_loops_too_short_to_need_memory():
    short = {"steps": 5, "us_per_step": 1.0, "us_per_step_with_collector": 1.0}
    short["bytes_per_step"] = 0.0
    short |= {"memory": {"before": 10, "peak": 10, "after": 10}}
    rows = [short, short | {"bytes_per_step": 1.0}]
    code = f"from benchmarks.long_loops import *; report_lengths('a loop', {rows})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_optimizers_writes_the_updates_of_each_and_the_steps_of_each_table(tmp_path):
    sizes = ["--size=20000", "--rows=5000,2000", "--rounds=1", "--only=SGD,MSVAG"]
    done = run("optimizers", tmp_path / "o.json", *sizes)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "o.json").read_text())
    assert set(written) == {*ABOUT, "updates", "tables"}
    assert list(written["updates"]["1"]["SGD"]) == ["one array", "perceptron", "many small"]
    assert list(written["updates"]["1"]["MSVAG"]) == ["one array"]
    assert set(written["updates"]["1"]["SGD"]["one array"]["dynet"]) == SUMMARY
    assert list(written["tables"]["1"]) == ["5,000", "2,000"]
    assert "Updates of 20,000 parameters on 1 core(s)" in done.stdout


@pytest.mark.parametrize("name", ["irnn", "overhead"])
def test_the_file_says_when_on_what_and_with_which_versions(name, request):
    written = request.getfixturevalue(name)[1]
    assert set(written) > ABOUT
    assert set(written["machine"]) == {"cpu", "cores", "system", "python"}
    assert written["versions"]["numpy"] is not None
    assert written["skipped"] == []
