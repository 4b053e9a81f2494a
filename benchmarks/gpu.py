"""What the measurements on a GPU share: who runs there, in which precision, and what it is.

*Waiting.* A GPU works on while Python goes on to the next line. So a turn there is some steps of
training in a row, and ends when the GPU has done them: every contender has ``wait``. What a first
step needs, kernels to build or a graph to capture, lies before all that is timed.

*Precision.* All compute in float32. TF32, in which a matrix product keeps 10 of the 23 bits behind
its operands' point, is turned off in PyTorch, in cuDNN, in JAX and in CuPy.
"""

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from .contenders import load

os.environ["CUPY_TF32"] = "0"
# XLA takes most of a GPU's memory at its start otherwise, and nothing is left for the others.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

IN_A_ROW = 5  # steps in a turn


def require(name: str) -> str:
    """The full name of a device, on which arrays are made from now on.

    Raises:
        SystemExit: there is no such device, or what dynet needs for it is missing.
    """
    from dynet import get_device  # not before the process is confined to its cores

    try:
        device = get_device(name)
    except (ValueError, RuntimeError) as error:
        raise SystemExit(f"--device: {error}") from error
    if device.name != "cpu":
        device.use()
    return device.name


def those_that_run(
    names: Iterable[str], places: dict[str, str], device: str
) -> tuple[list[str], list[str]]:
    """The contenders that can run on a device, made ready for it; and why others cannot."""
    running, skipped = [], []
    for name in names:
        missing = load(name, places) is None
        why = "not installed" if missing else prepare(name.partition("-")[0], device)
        if why is None:
            running.append(name)
        else:
            skipped.append(f"{name}: {why}")
    return running, skipped


def torch_for(device: str) -> tuple[Any, list[str]]:
    """PyTorch, made ready for a device; ``None``, and why, where it is not to be had for it."""
    try:
        import torch  # only where it is installed and asked for
    except ModuleNotFoundError:
        return None, ["torch: not installed"]
    why = prepare("torch", device)
    return (torch, []) if why is None else (None, [f"torch: {why}"])


def prepare(framework: str, device: str) -> str | None:
    """Let an installed framework compute in float32 on a GPU; or say why it does not run there."""
    if device == "cpu" or framework == "dynet":
        return None
    module = importlib.import_module(framework)
    if framework == "torch":
        found = module.cuda.device_count()
        module.backends.cuda.matmul.allow_tf32 = False
        module.backends.cudnn.allow_tf32 = False
    else:
        try:
            found = len(module.devices("cuda"))
        except RuntimeError:  # a JAX without CUDA
            found = 0
        module.config.update("jax_default_matmul_precision", "highest")
    if _number(device) < found:
        return None
    return f"{framework} {module.__version__} finds {found} GPU(s) here"


def in_a_row(device: str) -> int:
    """How many steps a turn has."""
    return 1 if device == "cpu" else IN_A_ROW


def results_name(benchmark: str, device: str) -> str:
    """What the file of a benchmark's results is called."""
    return f"{benchmark}.json" if device == "cpu" else f"{benchmark}_cuda.json"


def description(device: str) -> dict[str, Any]:
    """The card, its driver, and the libraries that use it, with their versions."""
    import cupy  # optional dependency; it has been asked for

    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(_number(device))
    found = {
        "card": properties["name"].decode(),
        "memory_bytes": properties["totalGlobalMem"],
        "multiprocessors": properties["multiProcessorCount"],
        "driver": _driver_version(),
        "cuda_of_driver": _version(runtime.driverGetVersion()),
        "cuda_runtime": _version(runtime.runtimeGetVersion()),
        "cupy": cupy.__version__,
        "tf32": False,
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["cuda_of_torch"] = torch.version.cuda
        found["cudnn_of_torch"] = torch.backends.cudnn.version()
    return found


def _number(device):
    return int(device.partition(":")[2])


def _version(number):
    """Such as 12.4, which CUDA writes as 12040."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _driver_version():
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else None
