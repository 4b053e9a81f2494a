"""The benchmarks run, at their smallest, and write what they measured; on a GPU too, in parts."""

import argparse
import contextlib
import importlib.util
import io
import json
import os
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from test_example import write_mnist

import dynet

ROOT = Path(__file__).parents[1]
PEAKS = {"peak", "peak_of_first", "above_built", "above_first_batch"}
ABOUT = {"date", "machine", "versions", "settings", "skipped"}
SUMMARY = {"median", "low", "high", "mean"}


@pytest.fixture(autouse=True, scope="module")
def found():
    """The benchmarks can be imported, for as long as they are tested."""
    with mock.patch.object(sys, "path", [str(ROOT), *sys.path]):
        yield


@pytest.fixture
def module():
    """Imports a benchmark, which measures nothing yet."""
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def run_as_main(name, *options):
    """What a benchmark prints, run as by ``python -m``, but in this process, whose cores and
    threads stay as they are."""
    import benchmarks.common

    sys.modules.pop(f"benchmarks.{name}", None)
    said = io.StringIO()
    with (
        mock.patch.multiple(
            benchmarks.common, PAUSE=0, keep_to_cores=mock.DEFAULT, limit_thread_pools=mock.DEFAULT
        ),
        mock.patch("time.sleep"),
        mock.patch.object(sys, "argv", [name, *map(str, options)]),
        contextlib.redirect_stdout(said),
    ):
        runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=False)
    return said.getvalue()


def run(name, file, *options):
    """What a benchmark prints, and what it writes."""
    said = run_as_main(name, "--peers=none", "--threads=1", "--json", file, *options)
    return said, json.loads(file.read_text())


@pytest.fixture
def refusal(capsys, tmp_path):
    """Runs a benchmark that refuses its options; gives its exit status, or what it says last."""

    def refusal(name, *options):
        with pytest.raises(SystemExit) as end:
            run(name, tmp_path / "f.json", *options)
        return end.value.code, capsys.readouterr().err

    return refusal


def alone_here(*which):
    """Contenders that are measured in this process where it should be one of their own."""
    from benchmarks import alone

    def output_of(command, environment=None, original=alone._output_of):
        if not {f"--alone={name}" for name in which} & {*command}:
            return original(command, environment)
        _, _, module, *options = command
        return run_as_main(module.removeprefix("benchmarks."), *options)

    return mock.patch.object(alone, "_output_of", output_of)


@pytest.fixture(scope="module")
def irnn(tmp_path_factory):
    """What the first one prints and writes; the folder of its file is not there yet."""
    folder = tmp_path_factory.mktemp("irnn")
    write_mnist(folder, n=10)  # of which 8 are there to train on
    file = folder / "results" / "irnn.json"
    # With more ids than the table has rows, as the images have: so it is one loop that is compiled.
    sizes = ["--batch=3", "--hidden=4", "--steps=90", "--batches=3", "--warmup=1"]
    with alone_here("dynet-scan"):  # and "dynet" as a user does
        return run("irnn", file, *sizes, "--data", folder, "--epoch-of=8")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    file = tmp_path_factory.mktemp("cells") / "cells.json"
    sizes = ["--steps=6", "--batch=2", "--features=3", "--hidden=10", "--batches=2", "--warmup=1"]
    with alone_here("dynet-scan", "dynet"):
        return run("cells", file, *sizes, "--only=two-layers")


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    import benchmarks.embedding

    file = tmp_path_factory.mktemp("recurrent") / "recurrent.json"
    sizes = ["--sizes=7x2x3x5,6x2x3x5", "--batches=2", "--warmup=1", "--words=50"]
    with mock.patch.object(benchmarks.embedding, "SIZE", (7, 2, 3, 5)):
        return run("recurrent", file, *sizes, "--networks=relu", "--ways=hand,whole")


@pytest.fixture(scope="module")
def overhead(tmp_path_factory):
    file = tmp_path_factory.mktemp("overhead") / "overhead.json"
    return run("overhead", file, "--rounds=1", "--repeats=1", "--lengths=200,400")


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    file = tmp_path_factory.mktemp("functions") / "functions.json"
    return run("functions", file, "--only=exp,absolute", "--sizes=3x4,2x2", "--rounds=2")


def test_functions_writes_each_function_at_each_size(functions):
    assert set(functions[1]) == {*ABOUT, "functions"}
    for name in "exp", "absolute":
        by_size = functions[1]["functions"][name]
        assert set(by_size) == {"3x4", "2x2"}
        assert set(by_size["3x4"]["dynet"]) == SUMMARY
        assert name in functions[0]


def test_functions_refuses_a_name_that_the_table_lacks(refusal):
    status, said = refusal("functions", "--only=expp")
    assert status == 2 and "expp" in said


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
        **{"batch": 3, "hidden": 4, "steps": 90, "device": "cpu", "threads": 1},
        **{"batches": 3, "warmup": 1, "in_a_row": 1},
    }


def test_irnn_takes_an_epoch_for_sixty_thousand_images(irnn):
    dynet = irnn[1]["contenders"]["dynet"]
    assert dynet["epoch_minutes"] == pytest.approx(dynet["ms"]["median"] * 60_000 / 3 / 60e3)


def test_irnn_prints_a_line_for_each_in_each_table(irnn):
    for label in "dynet, scan", "dynet, Python loop":
        assert sum(line.startswith(label) for line in irnn[0].splitlines()) == 2


def test_irnn_writes_the_seconds_of_an_epoch_of_images(irnn):
    assert irnn[1]["epoch"]["images"] == 8
    assert list(irnn[1]["epoch"]["seconds"]) == ["dynet-scan"]


def test_irnn_without_images_says_that_it_skips_their_epoch(module, capsys):
    module("irnn").report_epoch({}, argparse.Namespace(epoch_of=8000, device="cpu"))
    assert "An epoch of 8,000 images: skipped, no --data" in capsys.readouterr().out


def test_irnn_refuses_an_epoch_of_more_images_than_there_are(tmp_path, refusal):
    write_mnist(tmp_path, n=10)
    said, _ = refusal("irnn", "--data", tmp_path, "--epoch-of=9")
    assert "--epoch-of: got 9, but" in said and "8 images to train on" in said


def test_irnn_writes_a_file_for_each_size_of_a_batch(module, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["irnn", "--device=cuda:0", "--json=folder/found.json"])
    sizes = module("irnn").of_each_size(module("irnn").parse())
    assert [(args.batch, args.json.as_posix()) for args in sizes] == [
        (16, "folder/found_batch_16.json"),
        (512, "folder/found_batch_512.json"),
    ]


def test_irnn_refuses_a_peer_that_it_does_not_know(refusal):
    status, said = refusal("irnn", "--peers=abacus")
    assert status == 2 and "--peers: got 'abacus', expected some of torch" in said


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
def test_cells_refuses_a_name_that_it_does_not_know(option, refusal):
    status, said = refusal("cells", f"{option}=abacus")
    assert status == 2 and f"{option}: got 'abacus', expected some of" in said


def test_recurrent_writes_the_times_of_each_way_at_each_size(recurrent):
    assert set(recurrent[1]) == {*ABOUT, "networks", "embedding"}
    by_size = recurrent[1]["networks"]["relu"]
    assert list(by_size) == ["7x2x3x5", "6x2x3x5"]
    for by_name in by_size.values():
        assert list(by_name) == ["dynet-hand", "dynet-whole"]
        assert all(set(ms) == SUMMARY for ms in by_name.values())


def test_recurrent_prints_a_table_of_each_network_at_each_size(recurrent):
    lines = recurrent[0].splitlines()
    for size in "7 steps, batch 2, input 3, hidden 5", "6 steps, batch 2, input 3, hidden 5":
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
def test_recurrent_refuses_what_it_does_not_know(option, value, refusal):
    status, said = refusal("recurrent", f"{option}={value}")
    assert status == 2 and f"{option}: got {value!r}, expected" in said


# -- every contender computes the same ------------------------------------------------------------


def check_cells(framework):
    """Raise unless each cell computes in a framework what it does in dynet's plain loop."""
    from benchmarks.contenders import cells, check_gradients, load

    for cell in cells.SHAPES:
        task = cells.make_task(cell, steps=7, batch=2, features=3, hidden=10)
        other = "dynet-scan" if framework == "dynet" else framework
        places = cells.OWN | cells.PEERS
        made = {name: load(name, places)(cell, task.weights, "cpu", 1) for name in ("dynet", other)}
        check_gradients(made, {name: c.prepare(*task[1:]) for name, c in made.items()}, 1e-4)


def check_recurrent(framework):
    """Raise unless each network computes in a framework what the loop written by hand does."""
    from benchmarks.contenders import check_gradients, load, recurrent

    def check(places, task, network, first, *given):
        names = [name for name in places if name == first or name.startswith(framework)]
        made = {name: load(name, places)(network, task.weights, "cpu", 1, *given) for name in names}
        batches = {name: c.prepare(task.xs, task.coefficients) for name, c in made.items()}
        check_gradients(made, batches, 1e-4)

    for network in recurrent.GATES:
        task = recurrent.make_task(network, 7, 2, 3, 5)
        check(recurrent.PLACES, task, network, "dynet-hand")
    task = recurrent.make_task("relu", 7, 2, 3, 5, words=50)
    check(recurrent.EMBEDDING_PLACES, task, "relu", "dynet-loop", "table")


# JAX starts threads that a process which is still to fork should not have: so it gets its own,
# in which it compiles quickly rather than well.
IN_JAX = """
import json, traceback
from test_benchmarks import check_cells, check_recurrent
failures = {}
for check in check_cells, check_recurrent:
    try:
        check("jax")
    except Exception:
        failures[check.__name__] = traceback.format_exc()
print(json.dumps(failures))
"""


@cache
def failures_in_jax():
    """What has gone wrong in the checks, by name."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", IN_JAX],
        env=os.environ | {"PYTHONPATH": path, "XLA_FLAGS": "--xla_backend_optimization_level=0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("framework", ["dynet", "torch", "jax"])
@pytest.mark.parametrize("check", [check_cells, check_recurrent])
def test_it_computes_what_dynets_plain_loop_does_in(framework, check):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    if framework == "jax":
        assert check.__name__ not in failures_in_jax(), failures_in_jax()[check.__name__]
        return
    torch = sys.modules.get("torch")
    threads = torch and torch.get_num_threads()
    try:
        check(framework)
    finally:
        if torch:
            torch.set_num_threads(threads)


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
    said, written = run("optimizers", tmp_path / "o.json", *sizes)
    assert set(written) == {*ABOUT, "updates", "tables"}
    assert list(written["updates"]["1"]["SGD"]) == ["one array", "perceptron", "many small"]
    assert list(written["updates"]["1"]["MSVAG"]) == ["one array"]
    assert set(written["updates"]["1"]["SGD"]["one array"]["dynet"]) == SUMMARY
    assert list(written["tables"]["1"]) == ["5,000", "2,000"]
    assert "Updates of 20,000 parameters, cpu, on 1 core(s)" in said


def test_of_two_processes_the_first_finds_nothing_and_the_second_what_the_first_left(
    module, monkeypatch
):
    found = []

    def output_of(command, environment):
        folder = Path(environment["DYNET_SCAN_CACHE"])
        found.append([path.name for path in folder.iterdir()])
        (folder / "loop").touch()
        return json.dumps({"first_step": 1, "memory": {"peak": 2}})

    monkeypatch.setattr(module("alone"), "_output_of", output_of)
    module("alone").in_two_processes("benchmarks.irnn")
    assert found == [[], ["loop"]]


@pytest.mark.parametrize("name", ["irnn", "cells", "recurrent", "overhead"])
def test_the_file_says_when_on_what_and_with_which_versions(name, request):
    written = request.getfixturevalue(name)[1]
    assert set(written) > ABOUT
    assert set(written["machine"]) == {"cpu", "cores", "system", "python"}
    assert written["versions"]["numpy"] is not None
    assert written["skipped"] == []


# -- on a GPU ---------------------------------------------------------------------------------


def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(refusal):
    said, _ = refusal("irnn", "--device=cuda:99")
    assert said.startswith("--device: get_device: ") and "\n" not in said


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
    task = recurrent.make_task(network, 7, 2, 3, 5)
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
