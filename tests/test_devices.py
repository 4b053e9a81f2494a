"""The CPU and GPUs: their names, what moves between them, and what may not be mixed."""

import copy
import ctypes
import io
import os
import pickle
import stat
import sys

import numpy as np
import pytest

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Parameter, Variable, backend, get_device
from dynet.backend import Device, check_one_device, get_device_from_array
from dynet.datasets import concat_examples
from dynet.gradient_check import check_backward, check_double_backward
from dynet.initializers import LeCunNormal, Normal, Orthogonal
from dynet.reporter import DictSummary, as_number
from dynet.training import extensions, progress, resume, snapshot

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 3)).astype(np.float32)
W = rng.normal(size=(2, 3)).astype(np.float32)
T = np.array([0, 1, 1, 0], np.int32)


def host(x):
    return get_device("cpu").send(x.array if isinstance(x, Variable) else x)


def where(x):
    return get_device_from_array(x).name


@pytest.mark.gpu
def test_a_gpu_that_is_there_is_found_and_is_tested_on(gpu):
    x = get_device(0).send(X)
    assert isinstance(x, gpu.ndarray)
    np.testing.assert_array_equal(host(x), X)


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["cuda", "cuda:0", 0, np.int32(0)], ids=repr)
def test_a_gpu_has_several_names(spec, device):
    assert get_device(spec) == get_device("cuda:0") and get_device(spec).xp is device
    assert repr(get_device(spec)) == "<device cuda:0>"


def test_a_gpu_that_there_is_not_is_refused(pretend_gpu):
    with pytest.raises(RuntimeError, match=r"got 'cuda:7', but this machine has \d GPU\(s\)"):
        get_device("cuda:7")


def test_cupy_without_a_gpu_says_why(pretend_gpu, monkeypatch):
    def no_driver():
        raise pretend_gpu.cuda.runtime.CUDARuntimeError("cudaErrorNoDevice: none is detected")

    monkeypatch.setattr(pretend_gpu.cuda.runtime, "getDeviceCount", no_driver)
    with pytest.raises(RuntimeError, match=r"CuPy .* finds no GPU here: cudaErrorNoDevice"):
        get_device("cuda:0")


@pytest.fixture
def without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)


class Driver:
    """The driver's library, as ctypes opens it."""

    def __init__(self, version):
        self.version = version

    def cuDriverGetVersion(self, pointer):
        pointer._obj.value = self.version
        return 0


WHEELS = {11080: "cupy-cuda11x", 12040: "cupy-cuda12x", 13000: "cupy-cuda13x", 14010: "cuda13x"}


@pytest.mark.parametrize("version, wheel", WHEELS.items())
def test_without_cupy_the_wheel_for_the_driver_is_named(version, wheel, without_cupy, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda library: Driver(version))
    major = version // 1000
    with pytest.raises(
        RuntimeError, match=rf"driver here is of CUDA {major}\..*install .*{wheel}`"
    ):
        get_device("cuda:0")


def test_a_driver_that_is_too_old_is_said_to_be(without_cupy, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda library: Driver(10020))
    with pytest.raises(RuntimeError, match=r"driver here is of CUDA 10\.2, expected CUDA 11 or"):
        get_device("cuda:0")


def no_library(library):
    raise OSError(f"{library}: cannot open shared object file")


@pytest.mark.skipif(os.name == "nt", reason="a script stands for the compiler")
def test_without_a_driver_the_toolkit_names_the_wheel(without_cupy, monkeypatch, tmp_path):
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.6, V12.6.20'\n")
    nvcc.chmod(nvcc.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(ctypes, "CDLL", no_library)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(
        RuntimeError, match=r"no driver here.*CUDA 12\.6: `pip install cupy-cuda12x"
    ):
        get_device("cuda:0")


def test_without_any_cuda_all_wheels_are_named(without_cupy, monkeypatch, tmp_path):
    monkeypatch.setattr(ctypes, "CDLL", no_library)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"neither a driver nor .*pip install.*cupy-cuda13x"):
        get_device("cuda:0")


def test_cupy_that_cannot_be_imported_says_why(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('libnvrtc is missing')")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="installed but cannot be imported: libnvrtc is missing"):
        get_device("cuda:0")


def test_a_link_that_cannot_move_stays_as_it_is(without_cupy):
    link = L.Linear(3, 2)
    before = link.W.array
    with pytest.raises(RuntimeError, match="CuPy"):
        link.to_device("cuda:0")
    assert link.W.array is before and link.W.wanted_device is None


# -- arrays move ----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_comes_back_as_it_went_also_how_it_lies_in_memory(order, device):
    x = np.array(W, order=order)
    there = get_device("cuda:0").send(x)
    assert isinstance(there, device.ndarray) and there.strides == x.strides
    back = get_device("cpu").send(there)
    np.testing.assert_array_equal(back, x, strict=True)
    assert back.strides == x.strides


def test_an_array_that_is_there_already_is_not_copied(device):
    x = device.asarray(X)
    assert get_device("cuda:0").send(x) is x


def test_several_arrays_are_sent_at_once(device):
    x, [t] = get_device("cuda:0").send((X, [T]))
    assert where(x) == where(t) == "cuda:0" and t.dtype == T.dtype


@pytest.mark.parametrize("x", [3.0, "text", Variable(X)], ids=lambda x: type(x).__name__)
def test_what_is_no_array_is_not_sent(x):
    with pytest.raises(TypeError, match=r"Device\.send: got .*, expected an array"):
        get_device("cpu").send(x)


def test_text_is_not_sent_to_a_gpu(pretend_gpu):
    with pytest.raises(TypeError, match=r"array of <U1 to be sent to cuda:0, expected numbers"):
        get_device("cuda:0").send(np.array(["a"]))


def test_arrays_go_from_gpu_to_gpu(pretend_gpu):
    x = get_device("cuda:1").send(pretend_gpu.asarray(X))
    assert where(x) == "cuda:1"
    np.testing.assert_array_equal(host(x), X)


def test_what_is_not_contiguous_goes_from_gpu_to_gpu_too(pretend_gpu):
    part = pretend_gpu.asarray(X)[:, ::2]
    assert get_device("cuda:0").send(part) is part
    there = get_device("cuda:1").send(part)
    assert where(there) == "cuda:1"
    np.testing.assert_array_equal(host(there), X[:, ::2])


def test_the_current_device_is_what_was_made_so(pretend_gpu):
    with get_device("cuda:1"), get_device("cpu"):
        assert where(pretend_gpu.zeros(3)) == "cuda:1"
    assert where(pretend_gpu.zeros(3)) == "cuda:0"
    get_device("cpu").use()
    get_device("cuda:1").use()
    assert where(pretend_gpu.zeros(3)) == "cuda:1"


def test_a_device_can_be_copied_and_pickled(pretend_gpu):
    device = get_device("cuda:1")
    assert copy.deepcopy(device) == pickle.loads(pickle.dumps(device)) == device


def test_a_variable_moves_with_its_gradient(device):
    x = Variable(X, grad=2 * X)
    x.to_device("cuda:0")
    assert x.xp is device and x.device.name == where(x.grad) == "cuda:0"
    x.to_device(-1)
    np.testing.assert_array_equal(x.array, X)
    np.testing.assert_array_equal(x.grad, 2 * X)


def test_a_gradient_of_a_few_rows_moves_as_an_array(pretend_gpu):
    table = Variable(np.ones((1000, 2)))
    F.embed_id(np.array([3, 3]), table).sum().backward()
    table.to_device("cuda:0")
    assert where(table.grad) == "cuda:0" and host(table.grad)[3].tolist() == [2, 2]


def test_a_copy_on_another_gpu_sends_its_gradient_back(pretend_gpu):
    x = Variable(pretend_gpu.asarray(X))
    y = F.copy(F.copy(x, 1), "cpu")
    assert y.device.name == "cpu"
    (y * y).sum().backward()
    np.testing.assert_allclose(host(x.grad), 2 * X)
    assert where(x.grad) == "cuda:0"


# -- parameters and links -------------------------------------------------------------------------


def model():
    return dynet.Sequential(L.Linear(3, 4), L.BatchNormalization(4), F.relu, L.Linear(None, 2))


def test_a_link_moves_with_all_it_has(device):
    m = model().to_device("cuda:0")
    assert m.xp is device and m.device.name == "cuda:0"
    y = m(device.asarray(X))
    y.sum().backward()
    arrays = [a for p in m.params() for a in (p.array, p.grad)] + [m[1].avg_mean, m[1].avg_var]
    assert {where(a) for a in arrays} == {where(y)} == {"cuda:0"}
    m.to_device("cpu")
    arrays = [a for p in m.params() for a in (p.array, p.grad)] + [m[1].avg_mean, m[1].avg_var]
    assert {type(a) for a in arrays} == {np.ndarray} and m.xp is np


def test_a_link_that_has_nothing_is_on_the_cpu():
    assert dynet.Chain().device.name == "cpu"


def test_persistent_arrays_say_where_a_link_without_parameters_is(pretend_gpu):
    link = dynet.Link()
    link.add_persistent("count", 0)
    link.add_persistent("mean", np.zeros(3))
    assert link.to_device(0).device.name == "cuda:0"


def test_a_parameter_that_waits_is_made_where_it_was_sent(pretend_gpu):
    link = L.Linear(None, 2).to_device("cuda:0")
    assert link.device.name == link.W.device.name == "cuda:0"
    link(pretend_gpu.asarray(X))
    assert where(link.W.array) == "cuda:0"


def test_what_waits_on_a_gpu_does_not_go_to_a_batch_on_the_cpu(pretend_gpu):
    link = L.Linear(None, 2).to_device("cuda:0")
    with pytest.raises(ValueError, match=r"x is on cpu, W and b are on cuda:0"):
        link(X)
    assert link.W.array is None


def test_what_was_never_sent_anywhere_is_made_beside_its_first_input(pretend_gpu):
    link = L.Linear(None, 2, nobias=True)
    link(pretend_gpu.asarray(X))
    assert link.device.name == "cuda:0"


def test_averages_that_wait_are_made_where_they_were_sent(pretend_gpu):
    link = L.BatchNormalization().to_device("cuda:0")
    link(pretend_gpu.asarray(X))
    assert where(link.avg_mean) == where(link.gamma) == "cuda:0"


@pytest.mark.parametrize(
    "initializer", [LeCunNormal(rng=1), Orthogonal(rng=1), Normal(rng=1), 2, W]
)
def test_initial_numbers_are_the_same_on_every_device(initializer, device):
    here = Parameter(copy.deepcopy(initializer), (2, None))
    there = Parameter(copy.deepcopy(initializer), (2, None))
    there.to_device("cuda:0")
    here.initialize((2, 3))
    there.initialize((2, 3))
    assert where(there) == "cuda:0"
    np.testing.assert_array_equal(host(there), here.array)


def test_an_initializer_fills_an_array_on_a_gpu(device):
    there, here = device.empty((2, 3), order="F"), np.empty((2, 3))
    LeCunNormal(rng=1)(there)
    LeCunNormal(rng=1)(here)
    np.testing.assert_array_equal(host(there), here)


def test_an_initial_array_may_be_on_a_gpu(pretend_gpu):
    there = pretend_gpu.asarray(W)
    assert Parameter(there).device.name == "cuda:0"
    link = L.LSTM(3, 1, bias_init=pretend_gpu.ones(1, np.float32))
    assert where(link.upward.b.array) == "cpu" and link.upward.b.array.tolist() == [1] * 4


@pytest.mark.parametrize("mode", ["share", "copy", "init"])
def test_copies_stay_on_the_device(mode, device):
    twin = L.Linear(3, 2).to_device("cuda:0").copy(mode)
    assert {where(p.array) for p in twin.params()} == {"cuda:0"}


@pytest.mark.parametrize("waits", [False, True])
def test_values_are_copied_from_one_device_to_the_other(waits, device):
    source, target = L.Linear(3, 2), L.Linear(None if waits else 3, 2).to_device("cuda:0")
    target.copyparams(source)
    assert where(target.W.array) == "cuda:0"
    np.testing.assert_array_equal(host(target.W), source.W.array)
    source.copyparams(target)
    assert type(source.W.array) is np.ndarray


def test_gradients_are_added_from_one_device_to_the_other(pretend_gpu):
    a, b = L.Linear(3, 2), L.Linear(3, 2).to_device("cuda:0")
    a(X).sum().backward()
    b.addgrads(a)
    assert where(b.W.grad) == "cuda:0"
    np.testing.assert_array_equal(host(b.W.grad), a.W.grad)


def test_a_state_follows_its_link_from_gpu_to_gpu(pretend_gpu):
    link = L.LSTM(3, 2).to_device("cuda:0")
    link(pretend_gpu.asarray(X))
    before = host(link.h)
    link.to_device("cuda:1")
    assert link.c.device.name == link.h.device.name == "cuda:1"
    link.to_device("cuda:0")
    assert link.c.device.name == link.h.device.name == "cuda:0"
    np.testing.assert_array_equal(host(link.h), before)


# -- devices are not mixed ------------------------------------------------------------------------


def test_a_number_on_another_gpu_than_the_current_one_is_read(pretend_gpu):
    assert as_number(get_device("cuda:1").send(X[:1, 0])) == X[0, 0]


def test_a_number_of_pythons_beside_an_array_on_a_gpu_is_an_error(device):
    x = device.asarray(X)
    with pytest.raises(ValueError, match=r"column 0: example 0 is on cpu, example 1 is on cuda:0"):
        concat_examples([(1.5, 0), (x[0, 0], 1)])
    with pytest.raises(TypeError, match="column 0: got a list that is no array: Implicit conv"):
        concat_examples([([x], 0), ([x], 1)])


MIXED = {
    "linear": lambda xp: F.linear(Variable(X), xp.asarray(W)),
    "linear of constants": lambda xp: F.linear(xp.asarray(X), W),
    "matmul": lambda xp: F.matmul(X, Variable(xp.asarray(W.T))),
    "embed_id": lambda xp: F.embed_id(T, Variable(xp.asarray(W))),
    "lstm": lambda xp: F.lstm(np.ones((2, 1), "f"), Variable(xp.ones((2, 4), "f"))),
    "softmax_cross_entropy": lambda xp: F.softmax_cross_entropy(Variable(xp.asarray(X)), T),
    "where": lambda xp: F.where(X > 0, Variable(xp.asarray(X)), xp.asarray(X)),
    "concat": lambda xp: F.concat([Variable(X), xp.asarray(X)]),
    "array + variable": lambda xp: X + Variable(xp.asarray(X)),
    "variable + array": lambda xp: Variable(X) + xp.asarray(X),
    "array on the GPU + variable": lambda xp: xp.asarray(X) + Variable(X),
    "variable on the GPU * array": lambda xp: Variable(xp.asarray(X)) * X,
    "array on the GPU @ variable": lambda xp: xp.asarray(X) @ Variable(W.T),
    "np.maximum": lambda xp: np.maximum(Variable(X), xp.asarray(X)),
    "variable < array": lambda xp: Variable(X) < xp.asarray(X),
    "variable on the GPU == array": lambda xp: Variable(xp.asarray(X)) == X,
    "an index on the GPU": lambda xp: Variable(X)[xp.asarray(T)],
    "one of two indices on the GPU": lambda xp: F.scatter_add(X, (xp.asarray(T), 0), X[:, 0]),
    "permutate": lambda xp: F.permutate(xp.asarray(X), np.arange(4)),
    "running averages": lambda xp: F.batch_normalization(
        *map(xp.asarray, (X, W[0], W[0])), running_mean=np.zeros(3, "f")
    ),
    "accuracy": lambda xp: F.accuracy(xp.asarray(X), T),
    "binary_accuracy": lambda xp: F.binary_accuracy(X[:, 0], xp.asarray(T)),
    "precision": lambda xp: F.precision(X, xp.asarray(T)),
    "r2_score": lambda xp: F.r2_score(X, xp.asarray(X)),
    "hinge": lambda xp: F.hinge(xp.asarray(X), T),
    "negative_sampling": lambda xp: F.negative_sampling(
        xp.asarray(X), T, xp.asarray(W), lambda shape: np.zeros(shape, int), 1
    ),
    "connectionist_temporal_classification": lambda xp: F.connectionist_temporal_classification(
        [xp.asarray(X)], T[:, None] + 1, blank_symbol=0
    ),
}


@pytest.mark.parametrize("call", MIXED.values(), ids=MIXED)
def test_arrays_of_two_devices_are_an_error_that_names_both(call, device):
    with pytest.raises(ValueError, match=r"\w+: .* cpu.* cuda:0|.* cuda:0.* cpu") as raised:
        call(device)
    assert "expected all on one device" in str(raised.value)


def test_the_error_says_which_argument_is_where_and_what_to_do(pretend_gpu):
    model = L.Linear(3, 2).to_device("cuda:0")
    with pytest.raises(ValueError) as raised:
        model(X)
    assert str(raised.value) == (
        "Linear: x is on cpu, W and b are on cuda:0; expected all on one device: "
        "`dynet.get_device('cuda:0').send(...)` moves an array like x there, "
        "`link.to_device('cuda:0')` a whole link"
    )


def test_arguments_without_names_are_numbered(pretend_gpu):
    with pytest.raises(ValueError, match=r"Concat: xs\[0\] is on cpu, xs\[1\] is on cuda:0"):
        F.concat([X, Variable(pretend_gpu.asarray(X))])


def test_two_gpus_in_one_operation_are_an_error(pretend_gpu):
    x = Variable(pretend_gpu.asarray(X))
    y = get_device("cuda:1").send(X)
    with pytest.raises(ValueError, match=r"is on cuda:0, .* is on cuda:1; expected all on one"):
        x + y


def test_a_gpu_that_is_not_the_current_one_is_an_error(pretend_gpu):
    link = L.Linear(3, 2).to_device("cuda:1")
    x = link.device.send(X)
    with pytest.raises(
        ValueError, match=r"Linear: the arrays are on cuda:1, the current device is"
    ):
        link(x)
    with link.device:
        assert link(x).device.name == "cuda:1"


def test_what_is_no_array_does_not_count(pretend_gpu):
    check_one_device("f", {"x": pretend_gpu.ones(3), "size": 3, "b": None})
    check_one_device("f", [1, 2.0, None])


def test_a_gradient_from_another_device_is_an_error(pretend_gpu):
    x = Variable(X)
    with pytest.raises(ValueError, match=r"gradient is on cuda:0, the variable's array on cpu"):
        x.grad = pretend_gpu.asarray(X)
    with pytest.raises(ValueError, match=r"grad_outputs\[0\] is on cuda:0, .* on cpu"):
        dynet.grad([x * 2], [x], [pretend_gpu.asarray(X)])


def test_a_parameter_that_moved_before_its_gradient_came_is_an_error(pretend_gpu):
    link = L.Linear(3, 2)
    y = link(X).sum()
    link.to_device("cuda:0")
    with pytest.raises(ValueError, match=r"gradient of [Wb] is on cpu, .* on cuda:0"):
        y.backward()


# -- files ----------------------------------------------------------------------------------------

FORMATS = "npz", "hdf5", "safetensors"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("source, target", [("cuda:0", "cpu"), ("cpu", "cuda:0"), ("cuda:0",) * 2])
def test_what_is_saved_on_one_device_is_loaded_on_another(form, source, target, device, tmp_path):
    saved, loaded = model(), model().to_device(target)
    saved(X)
    saved.to_device(source)
    getattr(dynet.serializers, f"save_{form}")(tmp_path / "f", saved)
    getattr(dynet.serializers, f"load_{form}")(tmp_path / "f", loaded)
    pairs = zip(saved.params(), loaded.params(), strict=True)
    arrays = [(p.array, q.array) for p, q in pairs] + [(saved[1].avg_mean, loaded[1].avg_mean)]
    for a, b in arrays:
        assert where(b) == target
        np.testing.assert_array_equal(host(a), host(b))


def test_a_file_is_loaded_to_a_gpu_that_is_not_the_current_one(pretend_gpu, tmp_path):
    dynet.serializers.save_npz(tmp_path / "f", model())
    link = dynet.Sequential(*model()).to_device("cuda:1")
    dynet.serializers.load_npz(tmp_path / "f", link, strict=False)
    assert {where(p.array) for p in link.params(include_uninit=False)} == {"cuda:1"}


def training(device):
    """A model, its optimizer, and a function that takes a few steps on a device."""
    np.random.seed(0)
    m = L.Classifier(model()).to_device(device)
    optimizer = dynet.optimizers.MomentumSGD(0.1).setup(m)

    def steps(n):
        for _ in range(n):
            optimizer.update(m, *get_device(device).send((X, T)))

    return {"model": m, "optimizer": optimizer}, steps


@pytest.mark.parametrize("first, second", [("cuda:0", "cpu"), ("cpu", "cuda:0")])
def test_a_training_goes_on_on_another_device(first, second, device, tmp_path):
    state, steps = training(first)
    steps(2)
    snapshot(tmp_path / "snapshot.npz", **state)
    other, further = training(second)
    assert resume(tmp_path / "snapshot.npz", **other)
    steps(2)
    further(2)
    for p, q in zip(state["model"].params(), other["model"].params(), strict=True):
        np.testing.assert_allclose(host(p), host(q), rtol=1e-4, atol=1e-6)


# -- training -------------------------------------------------------------------------------------


def test_a_batch_is_put_together_and_sent(device):
    x, t = concat_examples(list(zip(X, T, strict=True)), "cuda:0")
    assert where(x) == where(t) == "cuda:0"
    np.testing.assert_array_equal(host(x), X)


def test_examples_on_a_gpu_make_a_batch_there(device):
    examples = [(device.asarray(x), device.asarray(t)) for x, t in zip(X, T, strict=True)]
    x, t = concat_examples(examples)
    np.testing.assert_array_equal(host(x), X)
    np.testing.assert_array_equal(host(t), T)
    padded = concat_examples([device.ones(2), device.ones(3)], padding=0)
    assert host(padded).tolist() == [[1, 1, 0], [1, 1, 1]]


def test_examples_of_two_devices_are_an_error(pretend_gpu):
    with pytest.raises(ValueError, match=r"column 0: example 0 is on cpu, example 2 is on cuda:0"):
        concat_examples([(X[0],), (X[1],), (pretend_gpu.asarray(X[2]),)])


def test_what_is_reported_stays_on_the_gpu_until_it_is_asked_for(pretend_gpu):
    summary = DictSummary()
    loss = Variable(pretend_gpu.asarray(np.float32(0.5)))
    summary.add({"loss": loss, "text": "no number", "x": pretend_gpu.ones(3)})
    summary.add({"loss": pretend_gpu.asarray([2], np.int32)}, 3)
    summary.add({"loss": 1.0})
    assert pretend_gpu.synchronisations == []
    assert summary.compute_mean() == {"loss": 7.5 / 5}


def test_sums_on_a_gpu_are_saved_as_numbers(pretend_gpu, tmp_path):
    summary, other = DictSummary(), DictSummary()
    summary.add({"loss": pretend_gpu.ones(1, np.float32)})
    dynet.serializers.save_npz(tmp_path / "f", summary)
    dynet.serializers.load_npz(tmp_path / "f", other)
    assert other.compute_mean() == {"loss": 1.0}


def test_a_number_on_a_gpu_is_one(pretend_gpu):
    assert as_number(pretend_gpu.asarray([2.0])) == 2.0
    assert as_number(pretend_gpu.ones(2)) is None


def trainer_of(folder, device, n=3):
    iterator = dynet.iterators.SerialIterator(list(zip(X, T, strict=True)), 2, shuffle=False)
    m = L.Classifier(dynet.Sequential(L.Linear(3, 4), F.relu, L.Linear(4, 2))).to_device(device)
    optimizer = dynet.optimizers.SGD(0.1).setup(m)
    updater = dynet.training.StandardUpdater(iterator, optimizer, device=device)
    return dynet.training.Trainer(updater, (n, "epoch"), out=folder), m


def test_a_trainer_waits_for_the_gpu_only_where_it_writes_a_line(pretend_gpu, tmp_path):
    trainer, _ = trainer_of(tmp_path, "cuda:0")
    trainer.extend(extensions.LogReport())
    trainer.extend(extensions.PrintReport(["epoch", "main/loss"], out=io.StringIO()))
    waited = []

    def count(trainer):
        waited.append(len(pretend_gpu.synchronisations))

    trainer.extend(count, priority=dynet.training.PRIORITY_WRITER + 1)
    pretend_gpu.begin_anew()
    trainer.run()
    # Two iterations make an epoch; a line has a loss and an accuracy.
    assert waited == [0, 0, 2, 2, 4, 4]
    log = trainer.get_extension("LogReport").log
    assert len(log) == 3 and log[2]["main/loss"] < log[0]["main/loss"]


def test_an_evaluator_waits_once_for_each_mean(pretend_gpu):
    batches = dynet.iterators.SerialIterator(list(zip(X, T, strict=True)), 1, False, False)
    m = L.Classifier(L.Linear(3, 2)).to_device("cuda:0")
    evaluator = extensions.Evaluator(batches, m, device="cuda:0")
    pretend_gpu.begin_anew()
    means = evaluator(None)
    assert len(pretend_gpu.synchronisations) == 2
    m.to_device("cpu")
    np.testing.assert_allclose(means["main/loss"], m(X, T).item(), rtol=1e-5)


def test_evaluate_waits_once_for_each_measure(pretend_gpu):
    m = L.Linear(3, 2).to_device("cuda:0")
    x, t = get_device("cuda:0").send((X, T))
    pretend_gpu.begin_anew()
    found = dynet.training.evaluate(
        lambda x, t: F.softmax_cross_entropy(m(x), t), x, t, batchsize=1
    )
    assert len(pretend_gpu.synchronisations) == 1
    m.to_device("cpu")
    np.testing.assert_allclose(found, [F.softmax_cross_entropy(m(X), T).item()], rtol=1e-5)


def test_a_progress_bar_looks_only_when_it_is_drawn(pretend_gpu):
    for _ in (bar := progress(range(50), file=io.StringIO(), mininterval=1000)):
        bar.add(loss=pretend_gpu.ones((), np.float32))
    # At the first batch, so that it shows something, and at the end.
    assert len(pretend_gpu.synchronisations) == 2
    assert bar.means == {"loss": 1.0}


def test_a_watch_for_nan_waits_once_for_all_parameters(pretend_gpu, tmp_path):
    trainer, m = trainer_of(tmp_path, "cuda:0", 1)
    watch = extensions.FailOnNonNumber()
    pretend_gpu.begin_anew()
    watch(trainer)
    assert len(pretend_gpu.synchronisations) == 1
    m.predictor[2].b.array[...] = np.nan
    with pytest.raises(RuntimeError, match=r"the parameter /predictor/1/b of .* is not finite"):
        watch(trainer)


# -- what looks on --------------------------------------------------------------------------------


def test_a_variable_on_a_gpu_shows_its_numbers(device):
    assert repr(Variable(device.asarray(np.array([1.0, 2.0])))) == "variable([1., 2.])"


def test_gradients_are_checked_on_a_gpu(device):
    x = device.asarray(np.array([0.5, 1.0]))
    check_backward(F.exp, x)
    check_double_backward(lambda x: F.exp(x) * x, x)
    with pytest.raises(AssertionError, match="the gradient of input 0"):
        check_backward(lambda x: F.clip_gradient(x * 9, 0.1), x)


def test_debug_mode_finds_nan_on_a_gpu(device):
    x = Variable(device.asarray(np.array([-1.0])))
    with (
        dynet.using_config("debug", True),
        pytest.raises(FloatingPointError, match="output 0 of the forward pass holds NaN"),
    ):
        F.log(x)


def test_a_timer_waits_for_the_gpu_and_adds_up(pretend_gpu):
    link, x = L.Linear(3, 2).to_device("cuda:0"), pretend_gpu.asarray(X)
    pretend_gpu.begin_anew()
    with dynet.function_hooks.TimerHook() as timer:
        link(x).sum().backward()
    assert timer.summary()["Linear"]["backward"] > 0
    # Before and after two functions, forward and backward.
    assert len(pretend_gpu.synchronisations) == 8


def test_memory_on_a_gpu_is_that_of_its_pool(pretend_gpu):
    x = Variable(pretend_gpu.ones((100, 100), np.float32))
    with dynet.function_hooks.MemoryHook() as memory:
        y = F.exp(x)
    assert memory.summary()["Exp"]["forward"] >= y.array.nbytes


def test_gradients_of_rows_are_arrays_on_a_gpu_so_that_nobody_waits(pretend_gpu):
    table = Variable(pretend_gpu.ones((1000, 2), np.float32))
    ids = pretend_gpu.asarray(np.array([3, 3], np.int32))
    pretend_gpu.begin_anew()
    for _ in range(2):
        F.embed_id(ids, table).sum().backward()
    assert type(table.node.grad) is pretend_gpu.ndarray
    assert pretend_gpu.synchronisations == []
    assert host(table.grad)[3].tolist() == [4, 4]


def test_a_loop_of_steps_waits_for_nothing(pretend_gpu):
    link = L.StatelessRNN(3, 4).to_device("cuda:0")
    xs = pretend_gpu.asarray(np.stack([X] * 5))
    pretend_gpu.begin_anew()
    h = None
    for x in xs:
        h = link(h, x)
    h.sum().backward()
    assert pretend_gpu.synchronisations == []


def test_stand_ins_are_nowhere():
    class Nothing(backend.StandIn):
        shape, dtype = (4, 3), X.dtype

    check_one_device("f", [Nothing(), X])
    backend.check_like("the gradient", Nothing(), X)


def test_a_device_is_equal_to_one_of_its_name_only():
    assert Device("cpu", np) == get_device("cpu") != "cpu"
