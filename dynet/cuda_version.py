"""Which CUDA a machine has, found without CuPy: to say which of CuPy's wheels goes with it."""

import ctypes
import os
import re
import shutil
import subprocess

# CuPy's wheels by the major version of CUDA. A driver runs what was made for its version of CUDA
# and for older ones.
WHEELS = {11: "cupy-cuda11x", 12: "cupy-cuda12x", 13: "cupy-cuda13x"}


def what_to_install() -> str:
    """Which of CuPy's wheels goes with the CUDA on this machine, as the end of a sentence."""
    found, where = _cuda_of_driver(), "the driver here is of CUDA {}.{}"
    if found is None:
        found, where = _cuda_of_toolkit(), "there is no driver here, but the toolkit of CUDA {}.{}"
    if found is None:
        wheels = ", ".join(f"{wheel} for CUDA {major}" for major, wheel in WHEELS.items())
        return (
            "neither a driver nor a toolkit of CUDA was found; on a machine with a GPU of NVIDIA's "
            f"`pip install` that one of {wheels} which goes with its driver"
        )
    where = where.format(*found)
    if found[0] < min(WHEELS):
        return f"{where}, expected CUDA {min(WHEELS)} or newer; then `pip install {WHEELS[12]}`"
    return f"{where}: `pip install {WHEELS[min(found[0], max(WHEELS))]}`"


def _cuda_of_driver():
    """The newest CUDA that the driver runs, ``(12, 4)``; ``None`` where there is no driver."""
    library = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    version = ctypes.c_int()
    try:
        failed = ctypes.CDLL(library).cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if failed else divmod(version.value // 10, 100)  # 12040 is 12.4


def _cuda_of_toolkit():
    """The version of the CUDA toolkit by what its compiler says; ``None`` where there is none."""
    home = os.environ.get("CUDA_PATH") or os.environ.get("CUDA_HOME") or "/usr/local/cuda"
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path=os.path.join(home, "bin"))
    if nvcc is None:
        return None
    try:
        says = subprocess.run([nvcc, "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"release (\d+)\.(\d+)", says.stdout)
    return None if version is None else tuple(map(int, version.groups()))
