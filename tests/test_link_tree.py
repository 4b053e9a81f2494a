"""The tree of links: registering, walking, copying, and the links that are lists."""

import copy
import functools
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Chain, Link, Parameter
from dynet.initializers import Normal
from dynet.link import ChainList, Sequential
from dynet.serializers import load_npz, save_npz

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Counted(Chain):
    """A chain with a parameter, a persistent array and number, and a child of its own."""

    def __init__(self, size=3):
        super().__init__()
        with self.init_scope():
            self.s = Parameter(Normal(1), ())
            self.l = L.Linear(size, 4)
        self.add_persistent("mean", np.zeros(3, np.float32))
        self.add_persistent("count", 0)

    def forward(self, x):
        return self.l(x) * self.s


def model():
    return Chain(a=Counted(), b=Sequential(L.Linear(3, 2), F.relu, ChainList(L.Linear(2, 2))))


def paths(link):
    return [path for path, _ in link.namedparams()]


def values(link):
    return {path: p.array.copy() for path, p in link.namedparams()}


# -- registering ----------------------------------------------------------------------------------


def test_a_scope_says_that_it_is_open():
    link = Link()
    assert not link.within_init_scope
    with link.init_scope():
        assert link.within_init_scope
    assert not link.within_init_scope


def test_a_parameter_assigned_again_takes_the_place_of_the_first():
    link = Counted()
    with link.init_scope():
        link.s = Parameter(7.0, ())
    assert paths(link) == ["/s", "/l/W", "/l/b"] and link.s.array == 7


def test_outside_of_the_scope_a_child_is_replaced_by_a_link():
    link = Counted()
    link.l = L.Linear(3, 2, nobias=True)
    assert paths(link) == ["/s", "/l/W"] and link.l.name == "l"


def test_inside_the_scope_a_second_child_of_the_name_is_an_error():
    link = Counted()
    first = link.l
    with (
        pytest.raises(AttributeError, match=r"Counted\.l: there is an attribute"),
        link.init_scope(),
    ):
        link.l = L.Linear(3, 3)
    assert link.l is first


def test_a_child_may_be_assigned_to_a_name_that_holds_none():
    chain = Chain()
    chain.l = None
    with chain.init_scope():
        chain.l = L.Linear(3, 2)
    assert paths(chain) == ["/l/W", "/l/b"]


@pytest.mark.parametrize("name", ["s", "l"])
@pytest.mark.parametrize("value", [None, np.zeros(3), L.Linear(3, 2), Parameter(0, ())], ids=type)
def test_what_is_assigned_to_a_registered_name_is_of_its_kind(name, value):
    link = Counted()
    before = getattr(link, name)
    if isinstance(value, (Link if name == "l" else Parameter)):
        setattr(link, name, value)
        assert getattr(link, name) is value
    else:
        with pytest.raises(TypeError, match=rf"Counted\.{name} is a registered .*del"):
            setattr(link, name, value)
        assert getattr(link, name) is before


def test_a_persistent_value_may_be_replaced_by_anything():
    link = Counted()
    link.mean = np.ones(5)
    link.count = None
    assert link.mean.shape == (5,) and link.count is None


@pytest.mark.parametrize("name", ["copy", "params", "name", "forward", "_registered"])
def test_nothing_registered_hides_what_a_link_has(name):
    link = Chain()
    with pytest.raises(AttributeError, match=f"Chain.{name}"), link.init_scope():
        setattr(link, name, Parameter(0, ()))
    assert not list(link.params())


@pytest.mark.parametrize("name", ["a/b", ""])
def test_a_name_has_no_slash(name):
    with pytest.raises(ValueError, match="slash"):
        Chain(**{name: L.Linear(3, 2)})
    with pytest.raises(ValueError, match="slash"):
        Link().add_persistent(name, 3)


def test_a_chain_within_itself_is_an_error():
    chain = Chain(a=Chain())
    with pytest.raises(ValueError, match="part of itself"):
        chain.a.add_link("b", chain)
    assert list(chain.a.children()) == []


def test_add_param_makes_a_parameter_and_registers_it():
    link = Link()
    link.add_param("W", (2, 3), np.float64, initializer=dynet.initializers.One())
    np.testing.assert_array_equal(dict(link.namedparams())["/W"].array, np.ones((2, 3), np.float64))
    assert link.W.dtype == np.float64 and link.W.name == "W"


def test_add_param_without_an_initializer_fills_with_nan_in_the_configured_dtype():
    link = Link()
    link.add_param("W", (2,))
    assert np.isnan(link.W.array).all() and link.W.dtype == np.float32


def test_add_param_without_a_shape_waits_for_one():
    link = Link()
    link.add_param("W", initializer=0)
    assert not link.W.is_initialized


TWICE = [
    lambda link: link.add_param("s", ()),
    lambda link: link.add_param("l", ()),
    lambda link: link.add_param("forward", ()),
    lambda link: link.add_link("l", L.Linear(3, 3)),
    lambda link: link.add_link("s", L.Linear(3, 3)),
    lambda link: link.add_persistent("mean", 3),
    lambda link: link.add_persistent("s", 3),
]


@pytest.mark.parametrize("add", TWICE)
def test_what_is_registered_twice_is_an_error_and_changes_nothing(add):
    link = Counted()
    before = dict(vars(link))
    with pytest.raises(AttributeError, match=r"Counted\.add_\w+: there is an attribute '\w+' alr"):
        add(link)
    assert vars(link) == before


def test_add_link_takes_only_links():
    with pytest.raises(TypeError, match="'f' is function, expected a Link"):
        Chain().add_link("f", F.relu)


@pytest.mark.parametrize("method", ["add_param", "add_persistent", "register_persistent"])
def test_registering_before_super_init_is_said(method):
    class Forgetful(Link):
        def __init__(self):
            getattr(self, method)(*["x", 3][: 2 if method == "add_persistent" else 1])

    with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\)"):
        Forgetful()


def test_an_attribute_becomes_a_persistent_value():
    link = Link()
    link.seen = 5
    link.register_persistent("seen")
    saved = {}
    link.serialize(lambda name, value: saved.setdefault(name, value))
    assert saved == {"seen": 5}


def test_a_parameter_that_becomes_a_persistent_value_is_no_parameter_any_more():
    link = Counted()
    link.register_persistent("s")
    assert paths(link) == ["/l/W", "/l/b"]


def test_an_attribute_that_is_not_there_cannot_become_persistent():
    with pytest.raises(AttributeError, match="there is no attribute 'x'"):
        Link().register_persistent("x")


def test_a_link_is_no_persistent_value():
    with pytest.raises(TypeError, match="'x' is a Linear, expected an array, a number or a string"):
        Link().add_persistent("x", L.Linear(3, 2))


@pytest.mark.parametrize("name", ["s", "l", "mean"])
def test_what_is_deleted_is_registered_no_more(name):
    link = Counted()
    delattr(link, name)
    with pytest.raises(KeyError):
        link[name]
    setattr(link, name, None)  # an attribute like any other


def test_deleting_what_is_not_there_is_an_error():
    with pytest.raises(AttributeError):
        del Counted().nothing


def test_a_chain_gives_what_is_registered_by_name():
    link = Counted()
    assert link["l"] is link.l and link["s"] is link.s and link["count"] == 0
    with pytest.raises(KeyError, match="nothing registered as 'x'; what it has: s, l, mean, count"):
        link["x"]


# -- walking --------------------------------------------------------------------------------------


def test_paths_of_links_start_at_the_root():
    root = model()
    assert [path for path, _ in root.namedlinks()] == [
        "/",
        "/a",
        "/a/l",
        "/b",
        "/b/0",
        "/b/1",
        "/b/1/0",
    ]
    assert dict(root.namedlinks())["/b/1"] is root.b[2]


@pytest.mark.parametrize("walk", ["links", "namedlinks"])
def test_the_root_can_be_left_out(walk):
    root = model()
    assert list(getattr(root, walk)(skipself=True)) == list(getattr(root, walk)())[1:]


def test_a_shared_link_has_two_paths_and_comes_once():
    shared = L.Linear(3, 3)
    root = Chain(a=shared, b=ChainList(shared, shared))
    assert [path for path, _ in root.namedlinks()] == ["/", "/a", "/b", "/b/0", "/b/1"]
    assert list(root.links()) == [root, shared, root.b]
    assert list(root.params()) == [shared.W, shared.b]
    assert root.count_params() == 12


def test_parameters_without_an_array_can_be_left_out():
    root = Chain(l=L.Linear(None, 2))
    assert list(root.params()) == [root.l.W, root.l.b]
    assert list(root.params(include_uninit=False)) == [root.l.b]
    assert [path for path, _ in root.namedparams(include_uninit=False)] == ["/l/b"]


def test_updates_are_switched_off_and_on_for_a_subtree():
    root = model()
    root.a.disable_update()
    assert not root.a.update_enabled and root.update_enabled
    assert not any(p.update_enabled for p in root.a.params())
    root.a.enable_update()
    assert all(p.update_enabled for p in root.params())


def test_repr_shows_functions_persistent_values_and_what_has_no_size():
    class Free(Link):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.W = Parameter(0)

    dropout = functools.partial(F.dropout, ratio=0.25)
    assert repr(Sequential(Counted(1000), F.relu, dropout, Free())) == (
        "Sequential (parameters: 4,005+?)\n"
        "  0: Counted              4,005  s (); persistent mean (3,), count 0\n"
        "    l: Linear             4,004  W (4, 1000), b (4,)\n"
        "  -: relu\n"
        "  -: dropout(ratio=0.25)\n"
        "  1: Free                   0+?  W ?"
    )


# -- saving ---------------------------------------------------------------------------------------


def test_the_keys_of_a_file_are_paths(tmp_path):
    save_npz(tmp_path / "m", model())
    with np.load(tmp_path / "m") as file:
        assert set(file) == {
            "a/s", "a/mean", "a/count", "a/l/W", "a/l/b", "b/0/W", "b/0/b", "b/1/0/W", "b/1/0/b"
        }  # fmt: skip


def test_a_tree_comes_back_from_a_file(tmp_path):
    saved, loaded = model(), model()
    saved.a.mean[:], saved.a.count = 3, 5
    save_npz(tmp_path / "m", saved)
    load_npz(tmp_path / "m", loaded)
    np.testing.assert_equal(values(loaded), values(saved))
    assert (loaded.a.mean == 3).all() and loaded.a.count == 5


def test_a_tree_without_sizes_gets_them_from_a_file(tmp_path):
    saved, loaded = Sequential(L.Linear(3, 2), F.relu), Sequential(L.Linear(None, 2), F.relu)
    save_npz(tmp_path / "m", saved)
    load_npz(tmp_path / "m", loaded)
    np.testing.assert_equal(values(loaded), values(saved))


# -- copies ---------------------------------------------------------------------------------------


def test_a_sharing_copy_has_links_and_parameters_of_its_own_and_the_same_arrays():
    root = model()
    twin = root.copy()
    for (path, link), (its_path, its) in zip(root.namedlinks(), twin.namedlinks(), strict=True):
        assert path == its_path and link is not its and type(link) is type(its)
    for p, its in zip(root.params(), twin.params(), strict=True):
        assert p is not its and p.array is its.array
    assert twin.a.mean is root.a.mean


def test_a_sharing_copy_has_gradients_of_its_own():
    link = L.Linear(3, 2)
    link(X).sum().backward()
    twin = link.copy()
    assert twin.W.grad is None
    (2 * twin(X)).sum().backward()
    np.testing.assert_array_equal(twin.W.grad, 2 * link.W.grad)


def test_registering_in_a_copy_leaves_the_original_alone():
    root = model()
    twin = root.copy()
    twin.b.append(L.Linear(2, 2))
    twin.add_param("x", ())
    assert len(root.b) == 3 and "/x" not in paths(root)


def test_a_parameter_without_an_array_cannot_be_shared():
    with pytest.raises(ValueError, match=r"copy: /l/W has no array to share before the first call"):
        Chain(l=L.Linear(None, 2)).copy()


def test_a_full_copy_has_arrays_of_its_own():
    root = model()
    twin = root.copy("copy")
    np.testing.assert_equal(values(twin), values(root))
    for p, its in zip(root.params(), twin.params(), strict=True):
        assert not np.shares_memory(p.array, its.array)
    assert not np.shares_memory(root.a.mean, twin.a.mean)


def test_an_initialized_copy_is_drawn_afresh_throughout():
    root = model()
    root.a.l.b.array.fill(5)
    root.a.s.grad = np.ones((), np.float32)
    twin = root.copy("init")
    assert (twin.a.l.b.array == 0).all() and twin.a.s.grad is None
    for path in "/a/s", "/a/l/W", "/b/0/W", "/b/1/0/W":
        assert (dict(root.namedparams())[path].array != dict(twin.namedparams())[path].array).all()
    assert twin.a.l.W.array.flags.f_contiguous and (root.a.l.b.array == 5).all()


def test_an_initialized_copy_of_what_waits_for_its_size_waits_too():
    assert not L.Linear(None, 2).copy("init").W.is_initialized


@pytest.mark.parametrize("mode", ["share", "copy", "init"])
def test_what_is_shared_within_a_tree_is_shared_within_its_copy(mode):
    tied = L.Linear(3, 3)
    other = L.Linear(3, 3)
    other.W = tied.W
    twin = Chain(a=tied, b=tied, c=other, d=Sequential(tied)).copy(mode)
    assert twin.a is twin.b is twin.d[0] and twin.c.W is twin.a.W
    assert len(list(twin.params())) == 3


@pytest.mark.parametrize("mode", ["share", "copy", "init"])
def test_only_the_root_of_a_copy_loses_its_name(mode):
    root = Chain(a=model())
    twin = root.a.copy(mode)
    assert root.a.name == "a" and twin.name is None
    assert [link.name for link in twin.children()] == ["a", "b"]


@pytest.mark.parametrize("mode", ["share", "copy", "init"])
def test_a_copy_leaves_to_optimizers_what_the_original_does(mode):
    link = L.Linear(3, 2)
    link.W.update_enabled = False
    twin = link.copy(mode)
    assert not twin.W.update_enabled and twin.b.update_enabled


def test_a_copy_in_no_mode_is_an_error():
    with pytest.raises(ValueError, match="mode is 'deep', expected 'share', 'copy' or 'init'"):
        Link().copy("deep")


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_tree_survives_deepcopy_and_pickle(twin_of):
    root = model()
    twin = twin_of(root)
    assert repr(twin) == repr(root)
    np.testing.assert_equal(values(twin), values(root))
    twin.a(X).sum().backward()
    assert twin.a.l.W.grad is not None and root.a.l.W.grad is None
    with twin.init_scope():
        twin.more = Parameter(0, ())
    assert "/more" in paths(twin) and "/more" not in paths(root)


def test_repeat_gives_links_that_start_from_other_numbers_even_with_a_seed():
    first = L.Linear(3, 3, initialW=Normal(1, rng=0))
    a, b, c = first.repeat(3)
    for x, y in (first, a), (a, b), (b, c):
        assert (x.W.array != y.W.array).all()


def test_repeat_in_the_mode_copy_gives_links_with_the_same_numbers_apart():
    a, b = L.Linear(3, 3).repeat(2, mode="copy")
    assert (a.W.array == b.W.array).all() and a.W.array is not b.W.array


def test_repeat_in_the_mode_share_gives_links_with_one_array():
    a, b = L.Linear(3, 3).repeat(2, mode="share")
    assert a.W.array is b.W.array and a.W is not b.W


def test_repeated_links_are_called_one_after_the_other():
    link = L.Linear(3, 3)
    expected = link(link(link(X))).array
    np.testing.assert_array_equal(link.repeat(3, mode="copy")(X).array, expected)


def test_nothing_repeated_gives_what_it_got():
    assert L.Linear(3, 3).repeat(0)(X) is X


@pytest.mark.parametrize("n", [-1, 1.5, None])
def test_a_link_is_not_repeated_so_often(n):
    with pytest.raises(ValueError, match=r"n_repeat is .*, expected 0 or a positive integer"):
        L.Linear(3, 3).repeat(n)


def test_arrays_that_parameters_share_are_still_shared_on_another_device(pretend_gpu):
    both = L.Linear(3, 3).repeat(2, mode="share")
    both.to_device("cuda:0")
    assert both[0].W.array is both[1].W.array and both.xp is pretend_gpu


# -- from one tree to another ---------------------------------------------------------------------


def test_copyparams_copies_parameters_and_persistent_values():
    root, other = model(), model()
    array = root.a.l.W.array
    other.a.mean[:], other.a.count = 3, 7
    root.copyparams(other)
    np.testing.assert_equal(values(root), values(other))
    assert root.a.l.W.array is array and (root.a.mean == 3).all() and root.a.count == 7
    other.a.l.W.array[:] = 0
    other.a.mean[:] = 0
    assert root.a.l.W.array.all() and root.a.mean.all()


def test_copyparams_leaves_persistent_values_alone_if_told_to():
    root, other = model(), model()
    other.a.count = 7
    root.copyparams(other, copy_persistent=False)
    assert root.a.count == 0


def test_copyparams_leaves_gradients_alone():
    link, other = L.Linear(3, 2), L.Linear(3, 2)
    other(X).sum().backward()
    link.copyparams(other)
    assert link.W.grad is None


def test_copyparams_gives_a_size_to_what_waits_for_one():
    link, other = L.Linear(None, 2), L.Linear(3, 2)
    link.copyparams(other)
    np.testing.assert_equal(values(link), values(other))
    assert link.W.array.flags.f_contiguous and link.W.array is not other.W.array


def test_copyparams_takes_from_a_link_that_has_more():
    root, other = Chain(l=L.Linear(3, 2)), Chain(l=L.Linear(3, 2), head=L.Linear(2, 1))
    root.copyparams(other)
    np.testing.assert_equal(values(root.l), values(other.l))


def lacking(other):
    del other.b[2][0]


def of_another_shape(other):
    other.b[2][0] = L.Linear(2, 3)


def of_another_dtype(other):
    other.b[2][0].W.array = other.b[2][0].W.array.astype(np.float64)


def without_an_array(other):
    other.b[2][0] = L.Linear(None, 2)


def with_another_persistent_value(other):
    other.a.mean = np.zeros(4, np.float32)


def without_a_persistent_value(other):
    del other.a.count


BAD_SOURCES = [
    (lacking, "has no parameter /b/1/0/W"),
    (of_another_shape, "/b/1/0/W is float32 (3, 2), expected float32 (2, 2)"),
    (of_another_dtype, "/b/1/0/W is float64 (2, 2), expected float32 (2, 2)"),
    (without_an_array, "/b/1/0/W of the other has no array before the first call of its link"),
    (with_another_persistent_value, "/a/mean is float32 (4,), expected float32 (3,)"),
    (without_a_persistent_value, "has no persistent value /a/count"),
]


@pytest.mark.parametrize("spoil, message", BAD_SOURCES, ids=[f.__name__ for f, _ in BAD_SOURCES])
def test_copyparams_from_what_does_not_fit_says_where_and_changes_nothing(spoil, message):
    root, other = model(), model()
    spoil(other)
    before = values(root)
    with pytest.raises(ValueError, match=r"Chain\.copyparams: .*" + re.escape(message)):
        root.copyparams(other)
    np.testing.assert_equal(values(root), before)


def test_copyparams_into_a_read_only_array_changes_nothing():
    link, other = L.Linear(3, 2), L.Linear(3, 2)
    link.b.array.flags.writeable = False
    before = values(link)
    with pytest.raises(ValueError, match="/b is read-only"):
        link.copyparams(other)
    np.testing.assert_equal(values(link), before)


def test_a_size_that_does_not_fit_what_waits_is_an_error():
    with pytest.raises(ValueError, match=r"/W is float32 \(2, 3\), expected float32 \(4, None\)"):
        L.Linear(None, 4, nobias=True).copyparams(L.Linear(3, 2, nobias=True))


def test_addgrads_adds_what_there_is():
    root, other = L.Linear(3, 2), L.Linear(3, 2)
    other(X).sum().backward()
    root.addgrads(other)
    np.testing.assert_array_equal(root.W.grad, other.W.grad)
    other.b.cleargrad()
    root.addgrads(other)
    np.testing.assert_array_equal(root.W.grad, 2 * other.W.grad)
    np.testing.assert_array_equal(root.b.grad, [2, 2])
    assert not np.shares_memory(root.W.grad, other.W.grad)


def test_addgrads_adds_once_to_a_parameter_with_two_paths():
    shared, its = L.Linear(3, 2), L.Linear(3, 2)
    its(X).sum().backward()
    Chain(a=shared, b=shared).addgrads(Chain(a=its, b=its))
    np.testing.assert_array_equal(shared.W.grad, its.W.grad)


def test_addgrads_of_what_does_not_fit_adds_nothing():
    root = Chain(a=L.Linear(3, 2), b=L.Linear(3, 2))
    other = Chain(a=L.Linear(3, 2), b=L.Linear(3, 4))
    (other.a(X).sum() + other.b(X).sum()).backward()
    with pytest.raises(ValueError, match=r"the gradient of /b/W is float32 \(4, 3\), expected"):
        root.addgrads(other)
    assert root.a.W.grad is None


@pytest.mark.parametrize("method", ["copyparams", "addgrads"])
@pytest.mark.parametrize("source, kind", [({}, "dict"), (L.Linear, "type")])
def test_only_a_link_gives_to_a_link(method, source, kind):
    with pytest.raises(TypeError, match=f"Linear.{method}: link is {kind}, expected a Link"):
        getattr(L.Linear(3, 2), method)(source)


# -- lists ----------------------------------------------------------------------------------------


def test_the_children_of_a_list_are_numbered():
    layers = ChainList(L.Linear(3, 2), L.Linear(2, 1))
    layers.add_link(L.Linear(1, 1))
    layers.append(L.Linear(1, 2, nobias=True))
    assert paths(layers)[-3:] == ["/2/W", "/2/b", "/3/W"]
    assert [child.name for child in layers] == ["0", "1", "2", "3"]


def test_a_list_has_parameters_of_its_own_too():
    layers = ChainList(L.Linear(3, 2))
    with layers.init_scope():
        layers.g = Parameter(1, ())
    assert paths(layers) == ["/g", "/0/W", "/0/b"]


def test_a_child_of_a_list_is_not_assigned_as_an_attribute():
    layers = ChainList()
    with pytest.raises(TypeError, match=r"ChainList\.l"), layers.init_scope():
        layers.l = L.Linear(3, 2)


OPERATIONS = st.sampled_from(
    ["append", "insert", "pop", "set", "slice", "delete", "reverse", "cut"]
)


@pytest.mark.parametrize("kind", [ChainList, Sequential])
@given(st.lists(st.tuples(OPERATIONS, st.integers(-4, 4)), max_size=12))
@settings(max_examples=50, deadline=None)
def test_a_list_of_links_behaves_as_a_list(kind, steps):
    ours, numpys = kind(), []
    for operation, i in steps:
        link = Link()
        change = {
            "append": lambda x, i=i, link=link: x.append(link),
            "insert": lambda x, i=i, link=link: x.insert(i, link),
            "pop": lambda x, i=i, link=link: x.pop(i),
            "set": lambda x, i=i, link=link: x.__setitem__(i, link),
            "slice": lambda x, i=i, link=link: x.__setitem__(slice(i, i + 2), [link]),
            "delete": lambda x, i=i, link=link: x.__delitem__(i),
            "reverse": lambda x, i=i, link=link: x.reverse(),
            "cut": lambda x, i=i, link=link: x.__delitem__(slice(i, None)),
        }[operation]
        try:
            change(numpys)
        except IndexError:
            with pytest.raises(IndexError):
                change(ours)
        else:
            change(ours)
        assert list(ours) == numpys and len(ours) == len(numpys)
        assert [child.name for child in ours.children()] == [str(n) for n in range(len(ours))]


@pytest.mark.parametrize("entry", [F.relu, 3, None])
def test_a_list_takes_only_links(entry):
    layers = ChainList(Link())
    before = list(layers)
    for change in (
        lambda: layers.append(entry),
        lambda: layers.__setitem__(0, entry),
        lambda: layers.__setitem__(slice(0, 1), [Link(), entry]),
    ):
        with pytest.raises(TypeError, match="expected a Link"):
            change()
    assert list(layers) == before


def test_a_list_within_itself_is_an_error():
    layers = ChainList(Chain())
    with pytest.raises(ValueError, match="part of itself"):
        layers[0].add_link("layers", layers)
    with pytest.raises(ValueError, match="part of itself"):
        layers.append(layers)


# -- Sequential -----------------------------------------------------------------------------------


def double(x):
    return 2 * x


def test_a_sequential_calls_one_after_the_other():
    link = L.Linear(3, 2)
    np.testing.assert_array_equal(
        Sequential(double, link, F.relu)(X).array, F.relu(link(2 * X)).array
    )


def test_a_tuple_is_several_arguments():
    split = Sequential(lambda x, y: (x + y, x - y), lambda x, y: x * y)
    np.testing.assert_array_equal(split(X, X[::-1]), (X + X[::-1]) * (X - X[::-1]))


def test_only_the_links_of_a_sequential_are_children_and_numbered():
    layers = Sequential(F.relu, L.Linear(3, 2), double, L.Linear(2, 1))
    assert paths(layers) == ["/0/W", "/0/b", "/1/W", "/1/b"]
    assert list(layers.children()) == [layers[1], layers[3]] and layers[3].name == "1"


def test_a_link_put_in_front_moves_the_numbers_of_those_behind():
    layers = Sequential(double, L.Linear(3, 2))
    layers.insert(0, L.Linear(3, 3))
    assert [layer.name for layer in (layers[0], layers[2])] == ["0", "1"]


def test_a_slice_is_a_sequential_of_the_same_links_which_keep_their_names():
    layers = Sequential(L.Linear(3, 3), F.relu, L.Linear(3, 2))
    part = layers[1:]
    assert isinstance(part, Sequential) and list(part) == [layers[1], layers[2]]
    assert paths(part) == ["/0/W", "/0/b"] and layers[2].name == "1"
    part.append(double)
    assert len(layers) == 3


def test_sequentials_are_added_and_extended():
    a, b = Sequential(L.Linear(3, 3), F.relu), Sequential(L.Linear(3, 2))
    assert list(a + b) == [*a, *b] and len(a) == 2
    a += b
    assert len(a) == 3 and paths(a) == ["/0/W", "/0/b", "/1/W", "/1/b"]


def test_nothing_but_a_sequential_is_added_to_one():
    with pytest.raises(TypeError):
        Sequential() + [F.relu]


def test_flatten_puts_nested_layers_in_their_places():
    a, b, c = L.Linear(3, 3), L.Linear(3, 3), L.Linear(3, 3)
    nested = Sequential(a, Sequential(F.relu, Sequential(b)), ChainList(c))
    flat = nested.flatten()
    assert list(flat) == [a, F.relu, b, nested[2]] and len(nested) == 3


def test_layers_are_counted_and_removed_by_type():
    dropout = functools.partial(F.dropout, ratio=0.5)
    layers = Sequential(L.Linear(3, 3), F.relu, dropout, L.Linear(3, 3), F.relu)
    counts = {name: layers.count_by_layer_type(name) for name in ("Linear", "relu", "dropout", "x")}
    assert counts == {"Linear": 2, "relu": 2, "dropout": 1, "x": 0}
    layers.remove_by_layer_type("relu")
    layers.remove_by_layer_type("x")
    assert [type(layer) for layer in layers] == [L.Linear, functools.partial, L.Linear]


@pytest.mark.parametrize("method", ["remove_by_layer_type", "count_by_layer_type"])
def test_a_type_is_given_by_its_name(method):
    with pytest.raises(TypeError, match=f"{method}: type_name is .*a string"):
        getattr(Sequential(), method)(L.Linear)


@pytest.mark.parametrize(
    "entry, message",
    [(3, "got int, expected a Link or something"), (L.Linear, "got the class Linear, expected")],
)
def test_a_sequential_takes_only_what_can_be_called(entry, message):
    layers = Sequential(double)
    with pytest.raises(TypeError, match=message):
        layers.append(entry)
    assert list(layers) == [double]


def test_a_sequential_of_functions_with_names_can_be_pickled():
    layers = Sequential(L.Linear(3, 2), functools.partial(F.leaky_relu, slope=0.1), double)
    twin = pickle.loads(pickle.dumps(layers))
    np.testing.assert_array_equal(twin(X).array, layers(X).array)


@pytest.mark.parametrize("mode", ["share", "copy", "init"])
def test_a_copied_sequential_has_the_same_functions(mode):
    layers = Sequential(L.Linear(3, 2), double, F.relu)
    twin = layers.copy(mode)
    assert list(twin)[1:] == [double, F.relu] and twin[0] is not layers[0]
