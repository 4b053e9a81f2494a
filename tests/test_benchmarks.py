"""The benchmarks run, at their smallest, and write what they measured."""

import argparse
import importlib.util
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from test_example import write_mnist

ROOT = Path(__file__).parents[1]
PEAKS = {"peak", "peak_of_first", "above_built", "above_first_batch"}
ABOUT = {"date", "machine", "versions", "settings", "skipped"}
SUMMARY = {"median", "low", "high", "mean"}


def run(name, file, *options):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--peers", "none", "--threads", "1"]
    return subprocess.run(
        [*command, "--json", str(file), *options], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture
def module(monkeypatch):
    """Imports a benchmark, which measures nothing yet."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture(scope="module")
def irnn(tmp_path_factory):
    """What the first one prints and writes; the folder of its file is not there yet."""
    folder = tmp_path_factory.mktemp("irnn")
    write_mnist(folder, n=10)  # of which 8 are there to train on
    file = folder / "results" / "irnn.json"
    sizes = ["--batch=2", "--hidden=4", "--steps=5", "--batches=3", "--warmup=1"]
    done = run("irnn", file, *sizes, "--data", str(folder), "--epoch-of=7")
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    file = tmp_path_factory.mktemp("cells") / "cells.json"
    sizes = ["--steps=6", "--batch=2", "--features=3", "--hidden=10", "--batches=2", "--warmup=1"]
    done = run("cells", file, *sizes, "--only=two-layers")
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    file = tmp_path_factory.mktemp("recurrent") / "recurrent.json"
    sizes = ["--sizes=7x2x3x5,6x2x1x5", "--batches=2", "--warmup=1", "--words=50"]
    done = run("recurrent", file, *sizes, "--networks=relu", "--ways=hand,whole")
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


def test_irnn_writes_time_and_memory_of_the_scan_and_of_the_loop(irnn):
    contenders = irnn[1]["contenders"]
    assert list(contenders) == ["dynet-scan", "dynet"]
    for contender in contenders.values():
        assert set(contender) == {
            *{"label", "ms", "epoch_minutes", "memory", "first_step", "times_that_of"}
        }
        assert set(contender["ms"]) == SUMMARY
        assert set(contender["memory"]) == {*PEAKS, "above_bare"}
        assert set(contender["first_step"]) == {"empty_cache", "second_process"}


def test_irnn_writes_how_many_times_as_long_as_the_scan_and_the_loop_each_takes(irnn):
    scan, loop = irnn[1]["contenders"].values()
    ratio = scan["ms"]["median"] / loop["ms"]["median"]
    assert scan["times_that_of"] == pytest.approx({"dynet-scan": 1, "dynet": ratio})
    assert loop["times_that_of"] == pytest.approx({"dynet-scan": 1 / ratio, "dynet": 1})


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


def test_irnn_prints_a_line_for_each_in_each_table(irnn):
    for label in "dynet, scan", "dynet, Python loop":
        assert sum(line.startswith(label) for line in irnn[0].splitlines()) == 2


def test_irnn_writes_the_seconds_of_an_epoch_of_images(irnn):
    assert irnn[1]["epoch"]["images"] == 7
    assert list(irnn[1]["epoch"]["seconds"]) == ["dynet-scan"]


def test_irnn_without_images_says_that_it_skips_their_epoch(module, capsys):
    module("irnn").report_epoch({}, argparse.Namespace(epoch_of=8000))
    assert "An epoch of 8,000 images: skipped, no --data" in capsys.readouterr().out


def test_irnn_refuses_an_epoch_of_more_images_than_there_are(tmp_path):
    write_mnist(tmp_path, n=10)
    done = run("irnn", tmp_path / "f.json", "--data", str(tmp_path), "--epoch-of=9")
    assert done.returncode != 0 and "--epoch-of: got 9, but" in done.stderr
    assert "8 images to train on" in done.stderr


def test_irnn_refuses_a_peer_that_it_does_not_know(tmp_path):
    done = run("irnn", tmp_path / "file", "--peers=abacus")
    assert done.returncode == 2
    assert "--peers: got 'abacus', expected some of torch" in done.stderr


def test_cells_writes_time_first_sweep_and_memory_of_each_cell(cells):
    by_cell = cells[1]["cells"]
    assert list(by_cell) == ["two-layers"]
    for by_name in by_cell.values():
        assert list(by_name) == ["dynet-scan", "dynet"]
        for result in by_name.values():
            assert set(result) == {"label", "ms", "first_step", "memory"}
            assert set(result["ms"]) == SUMMARY
            assert set(result["first_step"]) == {"empty_cache", "second_process"}
            assert set(result["memory"]) == PEAKS


def test_cells_prints_a_line_for_each_cell_in_each_table(cells):
    assert sum(line.startswith("two-layers") for line in cells[0].splitlines()) == 3


def test_cells_writes_the_settings_that_it_ran_with(cells):
    settings = cells[1]["settings"]
    del settings["load_at_start"]
    assert settings == {
        **{"steps": 6, "batch": 2, "features": 3, "hidden": 10, "threads": 1},
        **{"batches": 2, "warmup": 1},
    }


@pytest.mark.parametrize("option", ["--only", "--peers"])
def test_cells_refuses_a_name_that_it_does_not_know(option, tmp_path):
    done = run("cells", tmp_path / "f.json", f"{option}=abacus")
    assert done.returncode == 2 and f"{option}: got 'abacus', expected some of" in done.stderr


def test_recurrent_writes_the_times_of_each_way_at_each_size(recurrent):
    assert set(recurrent[1]) == {*ABOUT, "networks", "embedding"}
    by_size = recurrent[1]["networks"]["relu"]
    assert list(by_size) == ["7x2x3x5", "6x2x1x5"]
    for by_name in by_size.values():
        assert list(by_name) == ["dynet-hand", "dynet-whole"]
        assert all(set(ms) == SUMMARY for ms in by_name.values())


def test_recurrent_prints_a_table_of_each_network_at_each_size(recurrent):
    lines = recurrent[0].splitlines()
    for size in "7 steps, batch 2, input 3, hidden 5", "6 steps, batch 2, input 1, hidden 5":
        assert sum(line.startswith(f"relu, {size}") for line in lines) == 1
    assert sum(line.startswith("whole sequences") for line in lines) == 2


def test_recurrent_writes_which_share_of_a_backward_the_gradient_of_an_embedding_is(recurrent):
    by_name = recurrent[1]["embedding"]["relu"]
    assert list(by_name) == ["dynet-loop", "dynet-scan"]
    for result in by_name.values():
        ms = {given: summary["median"] for given, summary in result["ms"].items()}
        assert list(ms) == ["table", "vectors", "constants"]
        assert result["share"] == pytest.approx((ms["table"] - ms["vectors"]) / ms["table"])


def test_recurrent_writes_the_settings_that_it_ran_with(recurrent):
    settings = recurrent[1]["settings"]
    del settings["load_at_start"]
    assert settings == {"threads": 1, "batches": 2, "warmup": 1, "words": 50}


@pytest.mark.parametrize(
    "option, value",
    [("--networks", "abacus"), ("--ways", "abacus"), ("--peers", "abacus"), ("--sizes", "5x2x3")],
)
def test_recurrent_refuses_what_it_does_not_know(option, value, tmp_path):
    done = run("recurrent", tmp_path / "f.json", f"{option}={value}")
    assert done.returncode == 2 and f"{option}: got {value!r}, expected" in done.stderr


# Both checks of a framework run in one process, in which it is imported once.
CHECKS = """
import json, sys, traceback
from benchmarks.contenders import check_gradients, load
from benchmarks.contenders import cells, recurrent
framework = sys.argv[1]
def check_cells():
    for cell in cells.SHAPES:
        task = cells.make_task(cell, steps=7, batch=2, features=3, hidden=10)
        other = "dynet-scan" if framework == "dynet" else framework
        places = cells.OWN | cells.PEERS
        made = {name: load(name, places)(cell, task.weights, 1) for name in ("dynet", other)}
        check_gradients(made, {name: c.prepare(*task[1:]) for name, c in made.items()}, 1e-4)
def check(places, task, network, first, *given):
    names = [name for name in places if name == first or name.startswith(framework)]
    made = {name: load(name, places)(network, task.weights, 1, *given) for name in names}
    batches = {name: c.prepare(task.xs, task.coefficients) for name, c in made.items()}
    check_gradients(made, batches, 1e-4)
def check_recurrent():
    for network in recurrent.GATES:
        task = recurrent.make_task(network, 7, 2, 3, 5)
        check(recurrent.PLACES, task, network, "dynet-hand")
    task = recurrent.make_task("relu", 7, 2, 3, 5, words=40)
    check(recurrent.EMBEDDING_PLACES, task, "relu", "dynet-loop", "table")
failures = {}
for run in check_cells, check_recurrent:
    try:
        run()
    except Exception:
        failures[run.__name__] = traceback.format_exc()
print(json.dumps(failures))
"""


@cache
def failures(framework):
    """What has gone wrong in the checks, by name."""
    command = [sys.executable, "-c", CHECKS, framework]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


each_framework = pytest.mark.parametrize("name", ["dynet", "torch", "jax"])


@each_framework
def test_each_cell_computes_the_same_as_in_the_plain_loop_in(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    assert "check_cells" not in failures(name), failures(name)["check_cells"]


@each_framework
def test_each_recurrent_network_computes_the_same_as_the_hand_written_loop_in(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    assert "check_recurrent" not in failures(name), failures(name)["check_recurrent"]


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


def test_overhead_prints_loops_too_short_to_need_memory(module, capsys):
    short = {"steps": 5, "us_per_step": 1.0, "us_per_step_with_collector": 1.0}
    short["bytes_per_step"] = 0.0
    short |= {"memory": {"before": 10, "peak": 10, "after": 10}}
    rows = [short, short | {"bytes_per_step": 1.0}]
    module("long_loops").report_lengths("a loop", rows)
    assert "a loop" in capsys.readouterr().out


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


@pytest.mark.parametrize("name", ["irnn", "cells", "recurrent", "overhead"])
def test_the_file_says_when_on_what_and_with_which_versions(name, request):
    written = request.getfixturevalue(name)[1]
    assert set(written) > ABOUT
    assert set(written["machine"]) == {"cpu", "cores", "system", "python"}
    assert written["versions"]["numpy"] is not None
    assert written["skipped"] == []
