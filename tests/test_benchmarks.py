"""The benchmarks run, at their smallest, and write what they measured; on a GPU too, in parts."""

import argparse
import importlib.util
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_example import write_mnist

import dynet

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
        **{"batches": 3, "warmup": 1, "in_a_row": 1},
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
    module("irnn").report_epoch({}, argparse.Namespace(epoch_of=8000, device="cpu"))
    assert "An epoch of 8,000 images: skipped, no --data" in capsys.readouterr().out


def test_irnn_refuses_an_epoch_of_more_images_than_there_are(tmp_path):
    write_mnist(tmp_path, n=10)
    done = run("irnn", tmp_path / "f.json", "--data", str(tmp_path), "--epoch-of=9")
    assert done.returncode != 0 and "--epoch-of: got 9, but" in done.stderr
    assert "8 images to train on" in done.stderr


def test_irnn_writes_a_file_for_each_size_of_a_batch(module, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["irnn", "--device=cuda:0", "--json=folder/found.json"])
    sizes = module("irnn").of_each_size(module("irnn").parse())
    assert [(args.batch, args.json.as_posix()) for args in sizes] == [
        (16, "folder/found_batch_16.json"),
        (512, "folder/found_batch_512.json"),
    ]


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
        **{"steps": 6, "batch": 2, "features": 3, "hidden": 10, "device": "cpu", "threads": 1},
        **{"batches": 2, "warmup": 1, "in_a_row": 1},
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
    assert settings == {
        **{"device": "cpu", "threads": 1, "batches": 2, "warmup": 1, "words": 50, "in_a_row": 1}
    }


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
        made = {name: load(name, places)(cell, task.weights, "cpu", 1) for name in ("dynet", other)}
        check_gradients(made, {name: c.prepare(*task[1:]) for name, c in made.items()}, 1e-4)
def check(places, task, network, first, *given):
    names = [name for name in places if name == first or name.startswith(framework)]
    made = {name: load(name, places)(network, task.weights, "cpu", 1, *given) for name in names}
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
    assert "Updates of 20,000 parameters, cpu, on 1 core(s)" in done.stdout


@pytest.mark.parametrize("name", ["irnn", "cells", "recurrent", "overhead"])
def test_the_file_says_when_on_what_and_with_which_versions(name, request):
    written = request.getfixturevalue(name)[1]
    assert set(written) > ABOUT
    assert set(written["machine"]) == {"cpu", "cores", "system", "python"}
    assert written["versions"]["numpy"] is not None
    assert written["skipped"] == []


# -- on a GPU ---------------------------------------------------------------------------------


def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(tmp_path):
    done = run("irnn", tmp_path / "f.json", "--device=cuda:99")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("--device: get_device: ")


def test_a_turn_ends_when_the_device_has_done_all_its_steps(module, monkeypatch):
    monkeypatch.setattr(module("common"), "PAUSE", 0)
    done = []
    module("common").turn(lambda: done.append("step"), lambda: done.append("wait"), calls=3)()
    assert done == ["step", "step", "step", "wait"] * 2  # the first one does not count


def test_pytorch_computes_in_float32_on_a_gpu_and_is_left_out_where_it_has_none(
    module, monkeypatch
):
    torch = pytest.importorskip("torch")
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    try:
        for backend in backends:
            backend.allow_tf32 = True
        assert module("gpu").prepare("torch", "cuda:0") is None
        assert [backend.allow_tf32 for backend in backends] == [False, False]
        assert "finds 1 GPU(s) here" in module("gpu").prepare("torch", "cuda:1")
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed


def test_the_file_says_on_which_card_and_with_which_cuda(module, monkeypatch):
    properties = {"name": b"Card", "totalGlobalMem": 8, "multiProcessorCount": 2}
    runtime = SimpleNamespace(
        getDeviceProperties=lambda number: properties,
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 12090,
    )
    cupy = SimpleNamespace(__version__="14.2.0", cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    found = module("gpu").description("cuda:0")
    assert [found[key] for key in ("card", "cupy", "tf32")] == ["Card", "14.2.0", False]
    assert (found["cuda_of_driver"], found["cuda_runtime"]) == ("13.0", "12.9")


def test_the_irnn_of_dynet_computes_on_a_gpu_what_it_does_on_the_cpu_and_is_timed(
    module, pretend_gpu, monkeypatch, capsys
):
    irnn, contenders = module("irnn"), module("contenders")
    monkeypatch.setattr("gc.freeze", lambda: None)
    sizes = {"hidden": 4, "steps": 7, "batch": 2, "threads": 1, "warmup": 1, "batches": 2}
    args = argparse.Namespace(**sizes, device=module("gpu").require("cuda"))
    on_cpu = contenders.load("dynet")(contenders.make_weights(4), irnn.RATE, "cpu", 1)
    on_gpu = {f"{name} on a GPU": irnn.build(name, args) for name in contenders.OWN}
    times = irnn.measure_times({"dynet": on_cpu, **on_gpu}, args)
    assert "Checked: dynet, dynet-scan on a GPU, dynet on a GPU compute the same" in (
        capsys.readouterr().out
    )
    assert all(len(seconds) == 2 for seconds in times.values())
    assert pretend_gpu.synchronisations


@pytest.mark.parametrize("network", ["lstm", "gru", "relu"])
def test_a_recurrent_network_of_dynet_computes_on_a_gpu_what_it_does_on_the_cpu(
    network, module, pretend_gpu
):
    contenders, recurrent = module("contenders"), module("contenders.recurrent")
    task = recurrent.make_task(network, 5, 2, 3, 4)
    made = {
        (way, device): contenders.load(f"dynet-{way}", recurrent.PLACES)(
            network, task.weights, device, 1
        )
        for way in recurrent.WAYS
        for device in ("cpu", "cuda:0")
    }
    batches = {key: c.prepare(task.xs, task.coefficients) for key, c in made.items()}
    contenders.check_gradients(made, batches, 1e-4)


def test_a_backward_with_an_embedding_is_timed_on_a_gpu(module, pretend_gpu, monkeypatch):
    embedding = module("embedding")
    monkeypatch.setattr(embedding, "SIZE", (5, 2, 3, 4))
    monkeypatch.setattr(module("common"), "PAUSE", 0)
    monkeypatch.setattr("gc.freeze", lambda: None)
    args = argparse.Namespace(words=9, peers=[], device="cuda:0", threads=1, warmup=1, batches=1)
    found = embedding.measure_network("relu", args)
    assert list(found) == ["dynet-loop", "dynet-scan"]


@pytest.mark.parametrize("cell", ["clockwork", "layer-norm-lstm", "two-layers"])
def test_a_cell_of_dynet_computes_on_a_gpu_what_it_does_on_the_cpu(cell, module, pretend_gpu):
    contenders, cells = module("contenders"), module("contenders.cells")
    task = cells.make_task(cell, 5, 2, 3, 10)
    made = {
        device: contenders.load("dynet", cells.OWN)(cell, task.weights, device, 1)
        for device in ("cpu", "cuda:0")
    }
    contenders.check_gradients(made, {d: c.prepare(*task[1:]) for d, c in made.items()}, 1e-4)


def test_functions_and_optimizers_are_timed_on_a_gpu(module, pretend_gpu, monkeypatch):
    device = dynet.get_device("cuda:0")
    functions, optimizers = module("functions"), module("optimizers")
    for benchmark in functions, optimizers:
        monkeypatch.setattr(benchmark, "TURN", 0)
    monkeypatch.setattr("gc.freeze", lambda: None)
    rows = [row for row in functions.table_of_tests() if row.name in ("exp", "absolute")]
    found = functions.measure(rows, [(3, 4)], 1, 1, device, None, skipped := [])
    assert set(found) == {"exp", "absolute"} and skipped == []
    updates = optimizers.measure_updates(["SGD"], 2000, 1, device, None)
    assert list(updates["SGD"]) == ["one array", "perceptron", "many small"]
    assert list(optimizers.measure_tables([50], 1, device, None)) == ["50"]
