"""What all formats promise alike, and what each refuses of a hostile file."""

import importlib.util
import json
import os
import struct
import subprocess
import sys
import textwrap
import threading
import zlib

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import dynet
import dynet.links as L
from dynet import serializers

FORMATS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            package is not None and importlib.util.find_spec(package) is None,
            reason=f"{package} is not installed",
        ),
    )
    for name, package in (("npz", None), ("hdf5", "h5py"), ("safetensors", "safetensors"))
]
every_format = pytest.mark.parametrize("form", FORMATS)


def save(form, file, obj, **settings):
    getattr(serializers, f"save_{form}")(file, obj, **settings)


def load(form, file, obj, **settings):
    getattr(serializers, f"load_{form}")(file, obj, **settings)


def refuses(form, file, obj, **settings):
    """That loading raises ValueError, and names the function."""
    with pytest.raises(ValueError, match=f"load_{form}: ") as error:
        load(form, file, obj, **settings)
    return str(error.value)


def model():
    return dynet.Chain(embed=L.EmbedID(4, 3), l=L.Linear(3, 2))


def values(link):
    return {path: p.array.copy() for path, p in link.namedparams()}


# -- there and back -------------------------------------------------------------------------------

NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=5
).filter(lambda name: name.strip("."))
DTYPES = st.sampled_from(["?", "i1", "u2", "i4", "u8", "f2", "f4", "f8", ">f4", ">i8"])


@st.composite
def arrays(draw):
    """Of any dtype, with 0 to 3 axes, empty or not, in both orders, some of them read-only."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    array = draw(hnp.arrays(np.dtype(draw(DTYPES)), shape))
    array = np.array(array, order=draw(st.sampled_from("CF")))
    array.flags.writeable = draw(st.booleans())
    return array


LEAVES = (
    arrays()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.booleans()
    | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
)
TREES = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda t: st.dictionaries(NAMES, t, max_size=3) | st.lists(t, max_size=3)),
    max_size=4,
)


def blank(value):
    """Something of the same form, with nothing in it."""
    if isinstance(value, dict):
        return {name: blank(part) for name, part in value.items()}
    if isinstance(value, list):
        return [blank(part) for part in value]
    return np.zeros_like(value) if isinstance(value, np.ndarray) else type(value)()


@every_format
@settings(max_examples=50, deadline=None)
@given(tree=TREES)
def test_whatever_can_be_saved_comes_back(form, tree, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / f"tree.{form}"
    loaded = blank(tree)
    save(form, file, tree)
    load(form, file, loaded)
    assert_same(loaded, tree)


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            assert_same(a[name], b[name])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        np.testing.assert_array_equal(a, b, strict=True)


@every_format
def test_a_model_without_its_sizes_takes_them_from_the_file(form, tmp_path):
    saved, loaded = L.Linear(3, 2), L.Linear(None, 2)
    save(form, tmp_path / "m", saved)
    load(form, tmp_path / "m", loaded)
    np.testing.assert_equal(values(loaded), values(saved))
    assert loaded.W.array.flags.f_contiguous


@every_format
def test_random_generators_go_on_where_they_were(form, tmp_path):
    dynet.random.seed((1 << 64) - 1)
    saved = {"a": np.random.default_rng(1), "b": np.random.RandomState(2), "c": dynet.random}
    loaded = {"a": np.random.default_rng(3), "b": np.random.RandomState(4), "c": dynet.random}
    save(form, tmp_path / "m", saved)
    expected = saved["a"].random(), saved["b"].rand(), dynet.random.uniform(())
    dynet.random.seed(5)
    load(form, tmp_path / "m", loaded)
    assert (loaded["a"].random(), loaded["b"].rand(), dynet.random.uniform(())) == expected


@every_format
def test_a_part_of_a_file_can_be_loaded_and_parts_of_it_ignored(form, tmp_path):
    saved, loaded = model(), model()
    save(form, tmp_path / "m", {"model": saved, "n": 1})
    before = values(loaded)
    load(form, tmp_path / "m", loaded, path="model", ignore_names="model/embed/W")
    expected = values(saved) | {"/embed/W": before["/embed/W"]}
    np.testing.assert_equal(values(loaded), expected)


@every_format
def test_the_same_thing_makes_the_same_complaint(form, tmp_path):
    save(form, tmp_path / "m", {"a": np.ones((2, 3), np.float32), "text": "x", "n": 1})
    a = np.ones((3, 2), np.float32)
    message = refuses(form, tmp_path / "m", {"a": a, "text": "", "n": 0})
    assert "a is float32 (2, 3) in the file, expected float32 (3, 2)" in message
    message = refuses(form, tmp_path / "m", {"a": a.T, "text": 0, "n": 0})
    assert "text is text in the file, expected a number like 0" in message
    message = refuses(form, tmp_path / "m", {"a": a.T, "text": "", "k": 0})
    assert "it lacks k; it has n too many" in message


@every_format
def test_a_missing_file_or_folder_is_an_os_error(form, tmp_path):
    with pytest.raises(FileNotFoundError):
        load(form, tmp_path / "missing", model())
    with pytest.raises(FileNotFoundError, match=f"save_{form}: "):
        save(form, tmp_path / "missing" / "m", model())
    with pytest.raises(IsADirectoryError):
        load(form, tmp_path, model())


@pytest.mark.parametrize("form, package", [("hdf5", "h5py"), ("safetensors", "safetensors")])
def test_a_package_that_is_missing_is_named(form, package, tmp_path, monkeypatch):
    for module in package, f"{package}.numpy":
        monkeypatch.setitem(sys.modules, module, None)
    for function in save, load:
        with pytest.raises(ImportError, match=f"_{form}: {package} is not .*pip install {package}"):
            function(form, tmp_path / "m", model())


@every_format
@pytest.mark.parametrize("name_of", [str, os.fsencode])
def test_the_name_of_a_file_may_be_text_or_bytes(form, name_of, tmp_path):
    save(form, name_of(tmp_path / "m"), {"n": 1})
    load(form, name_of(tmp_path / "m"), {"n": 0})
    assert os.listdir(tmp_path) == ["m"]


@every_format
def test_ctrl_c_in_a_save_leaves_the_old_file_and_nothing_else(form, tmp_path, monkeypatch):
    def interrupted(handle):
        raise KeyboardInterrupt

    save(form, tmp_path / "m", {"n": 1})
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(form, tmp_path / "m", {"n": 2})
    obj = {"n": 0}
    load(form, tmp_path / "m", obj)
    assert os.listdir(tmp_path) == ["m"] and obj == {"n": 1}


@every_format
def test_what_another_thread_changes_while_it_is_saved_can_be_loaded(form, tmp_path):
    x, stop = np.zeros(200_000), threading.Event()

    def train():
        while not stop.is_set():
            np.add(x, 1, x)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for _ in range(5):
            save(form, tmp_path / "m", {"x": x})
            load(form, tmp_path / "m", {"x": np.zeros_like(x)})
    finally:
        stop.set()
        thread.join()


# -- damage ---------------------------------------------------------------------------------------


@every_format
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_file_changes_nothing(form, share, tmp_path):
    file, other = tmp_path / "m", model()
    save(form, file, model())
    os.truncate(file, int(share * os.path.getsize(file)))
    before = values(other)
    refuses(form, file, other)
    np.testing.assert_equal(values(other), before)


@every_format
def test_a_file_of_something_else_is_refused(form, tmp_path):
    for content in b"", b"hello, this is text\n", bytes(1000), b"\xff" * 1000:
        (tmp_path / "m").write_bytes(content)
        refuses(form, tmp_path / "m", model())


@every_format
def test_a_changed_byte_is_noticed_or_does_no_harm(form, tmp_path):
    file, saved = tmp_path / "m", {"x": np.arange(3.0), "n": 5, "text": "käse"}
    save(form, file, saved)
    content = file.read_bytes()
    # HDF5's own bytes are many; those of the values, all in its last part, are what can change.
    for i in range(0, len(content), 7 if form == "hdf5" else 1):
        changed = bytearray(content)
        changed[i] ^= 0x41
        file.write_bytes(changed)
        loaded = blank(saved)
        try:
            load(form, file, loaded)
        except ValueError:
            assert_same(loaded, blank(saved))
        else:
            assert_same(loaded, saved)


# -- HDF5 -----------------------------------------------------------------------------------------


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py")


@pytest.fixture
def secret(tmp_path):
    """A file that another one must not be able to make us read."""
    (tmp_path / "secret").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    return tmp_path / "secret"


def lone(shape=(4,)):
    return {"x": np.zeros(shape, np.float32)}


def assert_nothing_is_read(file, what):
    obj = lone()
    assert f"x is {what}" in refuses("hdf5", file, obj)
    serializers.load_hdf5(file, obj, strict=False)
    np.testing.assert_equal(obj, lone())


def test_groups_are_those_that_chainer_writes(h5py, tmp_path):
    serializers.save_hdf5(tmp_path / "m", {"model": model(), "epoch": 3, "name": "käse"})
    with h5py.File(tmp_path / "m") as root:
        assert sorted(root["model/l"]) == ["W", "b"]
        assert root["epoch"][()] == 3
        assert root["name"].asstr()[()] == "käse"


@pytest.mark.parametrize("level", [0, 4])
def test_a_model_that_chainer_saved_as_hdf5_is_loaded(level, h5py, tmp_path):
    W = np.arange(6, dtype=np.float32).reshape(2, 3)
    with h5py.File(tmp_path / "c", "w") as root:
        group = root.require_group("l1")
        group.create_dataset("W", data=W, compression=level or None)
        group.create_dataset("b", data=np.zeros(2, np.float32), compression=level or None)
        group.create_dataset("nothing", data=h5py.Empty("f"))
        root.create_dataset("t", data=np.asarray(3))
    loaded = {"l1": L.Linear(None, 2), "t": 0}
    serializers.load_hdf5(tmp_path / "c", loaded)
    np.testing.assert_array_equal(loaded["l1"].W.array, W)
    assert loaded["t"] == 3


def test_hdf5_can_be_compressed(h5py, tmp_path):
    for level in 0, 1, 9:
        serializers.save_hdf5(tmp_path / str(level), np.zeros(10_000), compression=level)
        serializers.load_hdf5(tmp_path / str(level), np.ones(10_000))
    assert os.path.getsize(tmp_path / "1") * 5 < os.path.getsize(tmp_path / "0")
    with pytest.raises(ValueError, match="compression is 10, expected 0 to 9"):
        serializers.save_hdf5(tmp_path / "m", np.zeros(3), compression=10)


def test_ctrl_c_within_hdf5_does_not_crash_the_process_at_its_end(h5py, tmp_path):
    script = """
        import contextlib, sys
        import h5py, numpy as np
        from dynet.serializers import save_hdf5

        def interrupted(self):
            raise KeyboardInterrupt

        h5py.File.close = interrupted
        with contextlib.suppress(KeyboardInterrupt):
            save_hdf5(sys.argv[1], {"x": np.zeros(100_000)})
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "m")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "") and not os.listdir(tmp_path)


@pytest.mark.parametrize("name", [".", "..", "a"])
def test_a_name_that_hdf5_cannot_have_is_an_error(name, h5py, tmp_path):
    class Clash:
        def serialize(self, serializer):
            serializer("a", 1)
            serializer["a" if name == "a" else name]("b", 2)

    with pytest.raises(ValueError, match="HDF5 cannot have a value called"):
        serializers.save_hdf5(tmp_path / "m", Clash())
    assert not list(tmp_path.iterdir())


def test_links_are_not_followed(h5py, secret, tmp_path):
    with h5py.File(tmp_path / "other", "w") as root:
        root["x"] = np.arange(4, dtype=np.float32)
    for link in h5py.SoftLink("/y"), h5py.ExternalLink(str(tmp_path / "other"), "x"):
        with h5py.File(tmp_path / "h", "w") as root:
            root["x"] = link
        assert_nothing_is_read(tmp_path / "h", "a link, which is not followed")


def test_data_in_other_files_is_not_read(h5py, secret, tmp_path):
    with h5py.File(tmp_path / "h", "w") as root:
        root.create_dataset("x", (4,), np.float32, external=[(str(secret), 0, 16)])
    assert_nothing_is_read(tmp_path / "h", "data in another file")
    with h5py.File(tmp_path / "other", "w") as root:
        root["x"] = np.arange(4, dtype=np.float32)
    with h5py.File(tmp_path / "h", "w") as root:
        layout = h5py.VirtualLayout((4,), np.float32)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other"), "x", (4,))
        root.create_virtual_dataset("x", layout)
    assert_nothing_is_read(tmp_path / "h", "data in another file")


def test_references_and_types_are_not_read(h5py, tmp_path):
    def reference(root):
        root.create_dataset("x", (4,), h5py.ref_dtype)[0] = root.ref

    def strings(root):
        root.create_dataset("x", data=["a"] * 4, dtype=h5py.string_dtype())

    for make in reference, strings:
        with h5py.File(tmp_path / "h", "w") as root:
            make(root)
        assert_nothing_is_read(tmp_path / "h", "nothing, or something other than numbers")
    with h5py.File(tmp_path / "h", "w") as root:
        root["x"] = np.dtype(np.float32)
    assert_nothing_is_read(tmp_path / "h", "no dataset")


def test_filters_that_could_be_plugins_are_not_used(h5py, tmp_path):
    with h5py.File(tmp_path / "h", "w") as root:
        root.create_dataset("x", data=np.zeros(4, np.float32), compression="lzf")
    assert_nothing_is_read(tmp_path / "h", "compressed in a way that is not gzip")


def test_a_group_inside_itself_is_refused(h5py, tmp_path):
    with h5py.File(tmp_path / "h", "w") as root:
        root.create_group("a")["b"] = root
    assert "the group a/b/ is there twice" in refuses("hdf5", tmp_path / "h", lone())


def test_a_group_very_deep_inside_others_is_refused(h5py, tmp_path):
    with h5py.File(tmp_path / "h", "w") as root:
        root.create_group("a/" * 500)
    assert "too deep" in refuses("hdf5", tmp_path / "h", lone())


HUGE = {
    "that was never written": {},
    "of chunks": {"chunks": (1000,), "compression": "gzip"},
    "of one chunk": {"shape": (1 << 28,), "chunks": (1 << 28,), "compression": "gzip"},
}


@pytest.mark.parametrize("settings", HUGE.values(), ids=HUGE)
def test_a_small_hdf5_file_cannot_promise_a_huge_array(settings, h5py, tmp_path):
    with h5py.File(tmp_path / "h", "w") as root:
        root.create_dataset("W", **{"shape": (10**12,), "dtype": np.float32} | settings)
    waiting = {"W": dynet.Parameter(0, (None,))}
    message = refuses("hdf5", tmp_path / "h", waiting)
    assert "W: float32 " in message and "more than the file has room for" in message


# -- safetensors ----------------------------------------------------------------------------------


@pytest.fixture
def safetensors():
    return pytest.importorskip("safetensors.numpy")


def test_a_safetensors_file_of_another_program_is_loaded(safetensors, tmp_path):
    W, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(2, np.float32)
    safetensors.save_file({"l.W": W, "l.b": b}, tmp_path / "s", {"format": "pt"})
    loaded = {"l.W": np.zeros_like(W), "l.b": np.ones_like(b)}
    serializers.load_safetensors(tmp_path / "s", loaded)
    np.testing.assert_equal(loaded, {"l.W": W, "l.b": b})


def test_other_programs_can_read_our_safetensors_file(safetensors, tmp_path):
    saved = model()
    serializers.save_safetensors(tmp_path / "s", {"m": saved, "n": 3, "name": "käse"})
    loaded = safetensors.load_file(tmp_path / "s")
    assert sorted(loaded) == ["m/embed/W", "m/l/W", "m/l/b", "n"] and loaded["n"] == 3
    np.testing.assert_array_equal(loaded["m/l/W"], saved.l.W.array)  # kept in Fortran order


@pytest.mark.parametrize("dtype", [np.complex128, np.longdouble])
def test_a_dtype_that_safetensors_lacks_is_named(dtype, safetensors, tmp_path):
    with pytest.raises(TypeError, match=f"a is of dtype {np.dtype(dtype)}, which the format lacks"):
        serializers.save_safetensors(tmp_path / "s", {"a": np.zeros(2, dtype)})
    assert not list(tmp_path.iterdir())


def test_names_of_metadata_do_not_collide_with_those_of_values(safetensors, tmp_path):
    saved = {"text:a": 1, "a": "x", "crc32:a": 2, "b": {"text:": "y"}}
    serializers.save_safetensors(tmp_path / "s", saved)
    loaded = {"text:a": 0, "a": "", "crc32:a": 0, "b": {"text:": ""}}
    serializers.load_safetensors(tmp_path / "s", loaded)
    assert loaded == saved
    with pytest.raises(ValueError, match="keeps the name __metadata__ for itself"):
        serializers.save_safetensors(tmp_path / "t", {"__metadata__": 1})


def write_safetensors(file, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    file.write_bytes(struct.pack("<Q", length) + text + data)


HEADERS = {
    "a length beyond the file": {"header": {}, "length": 1 << 40},
    "a length of all bits": {"header": {}, "length": (1 << 64) - 1},
    "no header": {"header": b"not json"},
    "something deep": {"header": b'{"a":' + b"[" * 100_000},
    "too many elements": {"header": {"W": ["F32", [10**12], [0, 4]]}},
    "too many bytes": {"header": {"W": ["F32", [10**12], [0, 4 * 10**12]]}},
    "overlapping": {"header": {"W": ["F32", [1], [0, 4]], "b": ["F32", [1], [0, 4]]}},
    "overflowing": {"header": {"W": ["F32", [1 << 62, 1 << 62], [0, 4]]}},
}


@pytest.mark.parametrize("case", HEADERS.values(), ids=HEADERS)
def test_an_absurd_header_of_safetensors_is_refused(case, safetensors, tmp_path):
    header = case["header"]
    if isinstance(header, dict):
        keys = ("dtype", "shape", "data_offsets")
        header = {n: dict(zip(keys, tensor, strict=True)) for n, tensor in header.items()}
    write_safetensors(tmp_path / "s", **case | {"header": header, "data": bytes(4)})
    refuses("safetensors", tmp_path / "s", {"W": dynet.Parameter(0, (None,))})


def test_a_dtype_that_numpy_lacks_is_named_where_it_is_wanted(safetensors, tmp_path):
    tensor = {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}
    write_safetensors(tmp_path / "s", {"W": tensor}, bytes(4))
    wanted = {"W": np.zeros(2, np.float32)}
    assert "of dtype BF16, which NumPy lacks" in refuses("safetensors", tmp_path / "s", wanted)
    serializers.load_safetensors(tmp_path / "s", {})


def test_a_checksum_is_of_form_and_content():
    checksum_of = serializers.stored.checksum_of
    assert checksum_of(np.ones((2, 3))) != checksum_of(np.ones((3, 2)))
    assert checksum_of(np.zeros(2, "f4")) != checksum_of(np.zeros(2, "i4"))
    F = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert checksum_of(F) == checksum_of(np.ascontiguousarray(F))
    assert checksum_of(np.ones(3)) == zlib.crc32(np.ones(3).tobytes(), zlib.crc32(b"float64 (3,)"))
