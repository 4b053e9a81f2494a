"""CUDA twins of compiled kernels: on the pretended GPU, and compiled by CUDA's own compilers."""

import ast
import importlib
import itertools
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path

import cuda_on_cpu
import numpy as np
import pretend_cupy
import pytest
from numba import njit
from numba.core.registry import CPUDispatcher
from scan_steps import build

import dynet
import dynet.functions as F
from dynet.kernels import cuda
from dynet.kernels.arithmetic import each, each_runs, run
from dynet.kernels.cuda import C_TYPES, every_twin, kernel_source, launch, twin
from dynet.scanning import on_gpu
from dynet.scanning.structure import flatten, unflatten


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def random(*shape, dtype):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


# ---- kernels of all kinds


@njit
def affine_of_test(x, scale, shift, negate, y):
    for i in range(x.size):
        value = x.flat[i] * scale + shift
        y.flat[i] = -value if negate else value


twin(
    affine_of_test,
    "y",
    r"""
template <typename T> __device__ void affine_of_test(
    long long i, Array<T> x, double scale, long long shift, bool negate, Array<T> y) {
    T value = T(x[i] * scale + shift);
    y[i] = negate ? -value : value;
}
""",
)


@njit
def slope_of_test(x, slope, y):
    for i in range(x.size):
        y[i] = x[i] * slope


twin(
    slope_of_test,
    "y",
    r"""
template <typename T> __device__ void slope_of_test(long long i, Array<T> x, T slope, Array<T> y) {
    y[i] = x[i] * slope;
}
""",
)


@njit
def rows_of_test(x, total, largest):
    for i in range(x.shape[0]):
        total[i] = x[i].sum()
        largest[i] = x[i].max() if x.shape[1] else -np.inf


twin(
    rows_of_test,
    "x",
    r"""
template <typename T> __device__ void rows_of_test(
    long long row, int lane, Array<T> x, Array<T> total, Array<T> largest) {
    T sum = 0, most = log(T(0));
    for (long long j = lane; j < x.shape[1]; j += 32) {
        T value = x[row * x.shape[1] + j];
        sum += value;
        most = nan_or_max(most, value);
    }
    sum = warp_sum(sum);
    most = warp_max(most);
    if (lane == 0) {
        total[row] = sum;
        largest[row] = most;
    }
}
""",
    by_rows=True,
)


@njit
def pick_of_test(ids, table, y):
    for i in range(ids.size):
        y[i] = table[ids[i]]


twin(
    pick_of_test,
    "ids",
    r"""
template <typename I, typename T>
__device__ void pick_of_test(long long i, Array<I> ids, Array<T> table, Array<T> y) {
    y[i] = table[ids[i]];
}
""",
)


@njit
def lonely_of_test(x, y):
    y[:] = x


def test_a_twin_gets_its_settings(pretend_gpu, dtype):
    x = random(3, 5, dtype=dtype)
    for settings in ((2.5, 3, False), (0.1, -(1 << 20), True), (np.float64(2), np.int64(3), True)):
        given = [pretend_gpu.asarray(x)], [(x.shape, dtype)], settings
        (y,) = run(affine_of_test, *given)
        expected = np.empty_like(x)
        affine_of_test(x, *settings, expected)
        np.testing.assert_allclose(y.get(), expected, rtol=1e-6, strict=True)
    assert set(pretend_gpu.launched) == {"affine_of_test_of_arrays"}


def test_each_passes_settings_on_in_the_arrays_dtype(pretend_gpu, dtype):
    x = random(7, dtype=dtype)
    y = each(slope_of_test, [pretend_gpu.asarray(x)], [0.1])
    np.testing.assert_array_equal(y.get(), each(slope_of_test, [x], [0.1]), strict=True)
    assert each_runs(slope_of_test, y)
    assert not each_runs(lonely_of_test, y)


@pytest.mark.parametrize("columns", [0, 1, 31, 32, 33, 100])
def test_a_warp_works_at_a_row(pretend_gpu, dtype, columns):
    x = random(11, columns, dtype=dtype)
    outputs = [((11,), dtype)] * 2
    ours = run(rows_of_test, [pretend_gpu.asarray(x)], outputs)
    expected = run(rows_of_test, [x], outputs)
    np.testing.assert_allclose(ours[0].get(), expected[0], rtol=1e-5, strict=True)
    np.testing.assert_array_equal(ours[1].get(), expected[1], strict=True)


def test_nan_is_the_largest_of_a_row(pretend_gpu, dtype):
    x = np.zeros((40, 40), dtype)
    x[np.arange(40), np.arange(40)] = np.nan
    _, largest = run(rows_of_test, [pretend_gpu.asarray(x)], [((40,), dtype)] * 2)
    assert np.isnan(largest.get()).all()


@pytest.mark.parametrize("ids", [np.int32, np.int64])
def test_arrays_may_be_of_several_dtypes(pretend_gpu, dtype, ids):
    table, at = random(9, dtype=dtype), np.array([8, 0, 3], ids)
    (y,) = run(pick_of_test, [pretend_gpu.asarray(a) for a in (at, table)], [((3,), dtype)])
    np.testing.assert_array_equal(y.get(), table[at])


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0)])
def test_of_no_elements_nothing_is_launched(pretend_gpu, shape):
    (y,) = run(affine_of_test, [pretend_gpu.zeros(shape)], [(shape, float)], (1.0, 0, False))
    assert y.shape == shape
    assert pretend_gpu.launched == []


def test_arrays_of_any_layout_are_taken(pretend_gpu):
    x = random(4, 6, dtype=np.float64)
    for view in (lambda a: a.T, lambda a: a[::-1, ::2], lambda a: a[:, 1:2]):
        given = view(pretend_gpu.asarray(x))
        (y,) = run(affine_of_test, [given], [(given.shape, float)], (2.0, 0, False))
        np.testing.assert_array_equal(y.get(), 2 * view(x))


def test_a_thread_may_have_several_elements(pretend_gpu, monkeypatch):
    monkeypatch.setattr(cuda, "MOST_BLOCKS", 2)
    x = random(2000, 3, dtype=np.float32)
    (y,) = run(affine_of_test, [pretend_gpu.asarray(x)], [(x.shape, x.dtype)], (1.0, 0, True))
    np.testing.assert_array_equal(y.get(), -x)
    total, _ = run(rows_of_test, [pretend_gpu.asarray(x)], [((2000,), x.dtype)] * 2)
    np.testing.assert_allclose(total.get(), x.sum(1), rtol=1e-5, atol=1e-6)


def test_a_kernel_without_a_twin_says_so(pretend_gpu):
    x = pretend_gpu.zeros(3)
    with pytest.raises(NotImplementedError, match="lonely_of_test has no twin"):
        launch(lonely_of_test, [x], [x])


# ---- every kernel has what it needs


def modules():
    for found in pkgutil.walk_packages(dynet.__path__, "dynet."):
        yield importlib.import_module(found.name)


def kernels_that_run():
    """The compiled kernels named in a call of ``run`` or ``launch``, with where that stands."""
    for module in modules():
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if vars(module).get(node.func.id) not in (run, launch):
                continue
            for named in ast.walk(node.args[0]):
                kernel = None
                if isinstance(named, ast.Name):
                    kernel = vars(module).get(named.id)
                elif isinstance(named, ast.Attribute) and isinstance(named.value, ast.Name):
                    kernel = getattr(vars(module).get(named.value.id), named.attr, None)
                if isinstance(kernel, CPUDispatcher):
                    yield kernel, f"{module.__name__}:{node.lineno}"


def test_every_kernel_that_runs_on_arrays_of_any_module_has_a_twin():
    found = list(kernels_that_run())
    assert len(found) > 10
    missing = {
        f"{kernel.__name__}, {where}" for kernel, where in found if kernel not in every_twin()
    }
    assert not missing


def test_a_twin_takes_what_its_kernel_takes():
    list(modules())
    for kernel, found in every_twin().items():
        arguments = kernel.py_func.__code__.co_varnames[: kernel.py_func.__code__.co_argcount]
        names = [name for _, name in signature(found)[1]]
        assert tuple(names) == arguments, found.name


# ---- CUDA's own compilers


def signature(found):
    """The typenames of a twin, and its parameters after the element's number: type and name."""
    match = re.search(
        rf"template\s*<([^>]*)>\s*__device__\s+void\s+{found.name}\s*\(([^)]*)\)", found.source
    )
    assert match, f"{found.name}: expected `template <typename T> __device__ void {found.name}(`"
    typenames = re.findall(r"typename\s+(\w+)", match[1])
    parameters = [p.split() for p in match[2].split(",")]
    return typenames, [(" ".join(p[:-1]), p[-1]) for p in parameters[2 if found.by_rows else 1 :]]


def kinds_of(found):
    """What the arguments of a twin may be: with float and int, and with double and long long."""
    typenames, parameters = signature(found)
    chars = {"bool": "?", "int": "i", "double": "d", "long long": "l", "unsigned long long": "L"}
    for floating, integer in ("f", "i"), ("d", "l"):
        of = {**chars, **{name: floating if name == "T" else integer for name in typenames}}
        kinds = []
        for c_type, _ in parameters:
            element = re.fullmatch(r"Array<(.*)>", c_type)
            kinds.append((of[element[1]], 2) if element else (of[c_type], None))
        yield kinds


def sources_of_twins():
    list(modules())
    for found in every_twin().values():
        for kinds in kinds_of(found):
            types = ", ".join(C_TYPES[char] for char, _ in kinds)
            yield f"{found.name} of {types}", kernel_source(found, kinds)


def sources_of_updates():
    from dynet.kernels import update, update_cuda

    rules = [u.plain for u in vars(update).values() if isinstance(u, update.Update)]
    yield from update_cuda.every_source(rules).items()


STEPS = "lstm gru residual_stack attention three_axes indexing reductions_of_a_row noise dtypes"


def sources_of_scans():
    """What loops are generated for some steps, forward and backward."""
    sources, kernel = {}, cuda_on_cpu.kernel

    def note(code, name, options):
        sources.setdefault(code, f"{name} of {case}")
        return kernel(code, name, options)

    with pytest.MonkeyPatch.context() as patch:
        pretend_cupy.take_cupys_place(patch)
        patch.setattr(cuda_on_cpu, "kernel", note)
        on_gpu.functions_of.cache_clear()  # of those that were built before, nobody would hear
        gpu = dynet.get_device("cuda:0")
        for case in STEPS.split():
            (step, *trees), variables = build(case)
            for v in variables:
                v.to_device(gpu)
            for i, tree in enumerate(trees):
                leaves, structure = flatten(tree)
                sent = [gpu.send(x) if isinstance(x, np.ndarray) else x for x in leaves]
                trees[i] = unflatten(structure, sent)
            leaves, _ = flatten(dynet.scan(step, *trees, compiled=True))
            F.add(*[F.cast(v, np.float64).sum() for v in leaves if v.requires_grad]).backward()
    assert len(sources) >= 2 * len(STEPS.split())
    return [(name, code) for code, name in sources.items()]


# Whoever writes sources of CUDA adds a function here that gives their names and texts.
SOURCES = [sources_of_twins, sources_of_updates, sources_of_scans]


@pytest.fixture(scope="module")
def every_source():
    """All sources in one, as compilers start slowly: each in a namespace, under its own name."""
    parts = []
    for k, (name, source) in enumerate(itertools.chain(*[source() for source in SOURCES])):
        macros = re.findall(r"#define (\w+)", source)
        for kernel in cuda_on_cpu.parameters(source):
            source = re.sub(rf"\b{kernel}\b", f"{kernel}_{k}", source)
        part = [f"namespace source_{k} {{", f'#line 1 "{name}"', source, "}"]
        parts.append("\n".join(part + [f"#undef {macro}" for macro in macros]))
    return "\n".join(parts)


def test_nvrtc_compiles_every_source(every_source):
    pytest.importorskip("cupy", reason="CuPy is not installed here, which knows where NVRTC is")
    from cupy_backends.cuda.libs import nvrtc

    try:
        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"NVRTC is not installed here (pip install nvidia-cuda-nvrtc): {error}")
    program = nvrtc.createProgram(every_source, "kernels.cu", [], [])
    try:
        nvrtc.compileProgram(program, ("--gpu-architecture=compute_75", "-G"))
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program)[:5000])
    finally:
        nvrtc.destroyProgram(program)


def test_nvcc_compiles_every_source(every_source, tmp_path):
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc on the PATH")
    path = tmp_path / "kernels.cu"
    path.write_text(every_source)
    command = ["nvcc", "-ptx", "-G", "-arch=sm_75", path, "-o", tmp_path / "kernels.ptx"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:5000]
