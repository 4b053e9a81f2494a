"""Links: what is registered, in what shape, under what name."""

import copy
import re

import numpy as np
import pytest

import dynet
import dynet.functions as F
import dynet.links as L
from dynet import Chain, Link, Parameter

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class MLP(Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(3, 4)
            self.l2 = L.Linear(4, 2, nobias=True)

    def forward(self, x):
        return self.l2(F.relu(self.l1(x)))


class Scaled(Link):
    """A parameter inside the scope, one outside."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.W = Parameter(1.0, (3,))
            self.n = 3
        self.outside = Parameter(1.0, (3,))


def test_only_parameters_assigned_in_init_scope_are_registered():
    assert [path for path, _ in Scaled().namedparams()] == ["/W"]


def test_an_error_inside_init_scope_leaves_it():
    link = Link()
    with pytest.raises(KeyError), link.init_scope():
        raise KeyError
    link.W = Parameter(1.0, (3,))
    assert not list(link.params())


def test_forgetting_super_init_is_said():
    class Forgetful(Link):
        def __init__(self):
            with self.init_scope():
                self.W = Parameter(1.0, (3,))

    with pytest.raises(RuntimeError, match=r"Forgetful.*super\(\).__init__\(\)"):
        Forgetful()


def test_a_link_in_a_link_is_refused():
    link = Link()
    with pytest.raises(TypeError, match=r"Link\.child.*Chain"), link.init_scope():
        link.child = L.Linear(3, 2)


def test_a_link_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Scaled has no forward"):
        Scaled()(X)


class Adding(Link):
    def forward(self, x, y=1):
        return x + y


class Prefixed:
    """A mixin."""

    def __call__(self, *args):
        return "called", super().__call__(*args)


class Doubling:
    """A mixin with a forward."""

    def forward(self, x):
        return 2 * x


class AddingBelow(Link):
    def __call__(self, x):
        return "called", self.forward(x)


CALLS = [
    (type("Plain", (Adding,), {}), 3),
    (type("Overriding", (Adding,), {"forward": lambda self, x: 7}), 7),
    (type("WithBoth", (Link,), {"__call__": lambda self, x: 8, "forward": lambda self, x: 7}), 8),
    (type("WithCall", (Adding,), {"__call__": lambda self, x: 8}), 8),
    (type("Mixed", (Prefixed, Adding), {}), ("called", 3)),
    (type("MixedLater", (Prefixed, Link), {"forward": lambda self, x: 7}), ("called", 7)),
    (type("BelowACall", (AddingBelow,), {"forward": lambda self, x: 7}), ("called", 7)),
    (type("ForwardOfAMixin", (Doubling, Link), {}), 4),
    (type("ForwardOfAMixinFirst", (Doubling, Adding), {}), 4),
    (type("Static", (Link,), {"forward": staticmethod(lambda x: 7)}), 7),
]


@pytest.mark.parametrize("kind, expected", CALLS, ids=[kind.__name__ for kind, _ in CALLS])
def test_a_call_is_that_of_the_class_or_else_its_forward(kind, expected):
    assert kind()(2) == expected


def test_a_call_passes_on_all_arguments():
    assert Adding()(2, y=5) == 7


@pytest.mark.parametrize("in_scope", [False, True])
def test_a_forward_of_one_link_alone_is_refused_since_a_call_would_not_see_it(in_scope):
    link = Adding()
    link._in_scope = in_scope
    with pytest.raises(AttributeError, match=r"Adding\.forward: .*state it in a class"):
        link.forward = lambda x: x
    assert link(2) == 3


def test_paths_lead_through_the_tree():
    paths = [path for path, _ in Chain(mlp=MLP(), out=L.EmbedID(2, 2)).namedparams()]
    assert paths == ["/mlp/l1/W", "/mlp/l1/b", "/mlp/l2/W", "/out/W"]


def test_children_are_the_links_directly_below():
    mlp = MLP()
    assert list(Chain(mlp=mlp).children()) == [mlp]


def test_links_are_the_whole_tree_from_the_root():
    mlp = MLP()
    assert list(mlp.links()) == [mlp, mlp.l1, mlp.l2]


def test_count_params_counts_numbers():
    assert MLP().count_params() == 3 * 4 + 4 + 4 * 2


def test_count_params_leaves_out_what_has_no_size_yet_and_says_so():
    with pytest.warns(UserWarning, match="/l/W"):
        assert Chain(l=L.Linear(None, 5)).count_params() == 5


def test_a_shared_parameter_comes_once():
    a, b = L.Linear(3, 3, nobias=True), L.Linear(3, 3, nobias=True)
    with b.init_scope():
        b.W = a.W
    assert len(list(Chain(a=a, b=b).params())) == 1


def test_a_link_keeps_its_path_in_one_chain_when_it_joins_another():
    shared = L.Linear(3, 3, nobias=True)
    first = Chain(encoder=shared)
    Chain(other=shared)
    assert [path for path, _ in first.namedparams()] == ["/encoder/W"]


def test_cleargrads_clears_every_gradient():
    mlp = MLP()
    mlp(X).sum().backward()
    mlp.cleargrads()
    assert all(p.grad is None for p in mlp.params())


def test_repr_is_a_tree():
    assert repr(Chain(mlp=MLP(), out=L.Linear(None, 2))) == (
        "Chain (parameters: 26+?)\n"
        "  mlp: MLP       24\n"
        "    l1: Linear   16  W (4, 3), b (4,)\n"
        "    l2: Linear    8  W (2, 4)\n"
        "  out: Linear   2+?  W (2, ?), b (2,)"
    )


def test_to_device_cpu_changes_nothing_and_gives_the_link_back():
    mlp = MLP()
    before = mlp.l1.W.array
    assert mlp.to_device("cpu") is mlp and mlp.l1.W.array is before


def test_a_persistent_value_is_an_attribute_and_no_parameter():
    link = Link()
    link.add_persistent("count", 3)
    assert link.count == 3 and not list(link.params())


def test_a_deep_copy_has_parameters_of_its_own():
    mlp = MLP()
    twin = copy.deepcopy(mlp)
    twin.l1.W.array[...] = 0
    assert mlp.l1.W.array.any()


def test_a_deep_copy_outlives_its_original():
    mlp = MLP()
    twin = copy.deepcopy(mlp)
    del mlp
    twin(X).sum().backward()
    assert all(p.grad is not None for p in twin.params())


def test_linear_without_a_size_takes_it_from_its_first_input():
    link = L.Linear(None, 4)
    assert not link.W.is_initialized
    link(X)
    assert link.W.shape == (4, 3)


def test_linear_sized_at_the_first_call_gets_its_gradient_from_it():
    link = L.Linear(None, 4)
    link(X).sum().backward()
    np.testing.assert_array_equal(link.W.grad, np.tile(X.sum(0), (4, 1)))


def test_linear_with_one_size_means_the_output():
    assert L.Linear(4)(X).shape == (2, 4)


def test_a_first_call_that_fails_leaves_linear_without_a_size():
    link = L.Linear(None, 4)
    with pytest.raises(ValueError):
        link(X[0])
    assert not link.W.is_initialized


def test_nobias_leaves_out_b():
    link = L.Linear(3, 4, nobias=True)
    assert link.b is None and [path for path, _ in link.namedparams()] == ["/W"]


def test_linear_starts_from_an_array():
    W = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(L.Linear(3, 4, initialW=W)(X).array, X @ W.T)


def test_linear_learns_its_size_from_an_initial_array():
    assert L.Linear(None, 4, initialW=np.ones((4, 3), np.float32)).W.shape == (4, 3)


def test_linear_copies_its_initial_array():
    W = np.ones((4, 3), np.float32)
    L.Linear(3, 4, initialW=W).W.array[...] = 7
    assert (W == 1).all()


@pytest.mark.parametrize("number", [0.5, 1, np.float32(0.5), np.float64(0.5)], ids=repr)
def test_linear_starts_from_a_number_in_the_configured_dtype(number):
    link = L.Linear(3, 4, initialW=number, initial_bias=number)
    assert (link.W.array == number).all() and (link.b.array == number).all()
    assert link.W.dtype == link.b.dtype == np.float32


def test_linear_starts_from_an_initializer():
    link = L.Linear(3, 3, initialW=dynet.initializers.Identity(2))
    np.testing.assert_array_equal(link.W.array, 2 * np.eye(3))


def test_linear_with_an_initial_array_in_float64_can_be_called():
    link = L.Linear(3, 3, initialW=np.eye(3))
    assert link(X.astype(link.W.dtype)).shape == (2, 3)


def is_fortran(array):
    return array.flags.f_contiguous and not array.flags.c_contiguous


@pytest.mark.parametrize("size", [3, None])
def test_the_weight_of_linear_lies_in_fortran_order(size):
    link = L.Linear(size, 4)
    link(X)
    assert is_fortran(link.W.array)


def test_the_weight_of_linear_stays_in_fortran_order_when_updated():
    link = L.Linear(3, 4)
    optimizer = dynet.optimizers.Adam().setup(link)
    optimizer.update(lambda: link(X).sum())
    assert is_fortran(link.W.array)


@pytest.mark.parametrize("size", [3, None])
def test_the_weight_of_linear_stays_in_fortran_order_when_loaded(size, tmp_path):
    dynet.serializers.save_npz(tmp_path / "m", L.Linear(3, 4))
    link = L.Linear(size, 4)
    dynet.serializers.load_npz(tmp_path / "m", link)
    assert is_fortran(link.W.array)


def test_linear_takes_more_batch_axes():
    x = np.ones((2, 5, 3), np.float32)
    assert L.Linear(None, 4)(x, n_batch_axes=2).shape == (2, 5, 4)


def test_embed_id_looks_up_its_rows():
    link = L.EmbedID(4, 2)
    np.testing.assert_array_equal(link(np.array([[3, 0]])).array, link.W.array[[[3, 0]]])


def test_embed_id_gives_zeros_for_the_ignored_label():
    assert not L.EmbedID(4, 2, ignore_label=-1)(np.array([-1])).array.any()


@pytest.mark.parametrize("label", [1.0, "a", [1]])
def test_the_ignored_label_is_an_integer(label):
    with pytest.raises(TypeError, match=r"EmbedID: ignore_label is .*, expected an integer"):
        L.EmbedID(4, 2, ignore_label=label)


def test_embed_id_starts_from_an_array():
    W = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(L.EmbedID(4, 2, initialW=W).W.array, W)


BAD_SIZES = [
    (lambda: L.Linear(3, 0), "Linear: out_size is 0, expected a positive integer"),
    (lambda: L.Linear(-1, 4), "Linear: in_size is -1, expected a positive integer"),
    (lambda: L.Linear(None), "Linear: out_size is None, expected a positive integer"),
    (lambda: L.Linear(3, 2.5), "Linear: out_size is 2.5, expected a positive integer"),
    (lambda: L.EmbedID(0, 4), "EmbedID: in_size is 0, expected a positive integer"),
    (lambda: L.EmbedID(4, None), "EmbedID: out_size is None, expected a positive integer"),
    (
        lambda: L.Linear(3, 4, initialW=np.ones((3, 4))),
        "Parameter W: the initial array has shape (3, 4), expected (4, 3)",
    ),
    (
        lambda: L.Linear(None, 4, initialW=np.ones(())),
        "Linear: initialW has shape (), expected (4, in_size)",
    ),
    (
        lambda: L.Linear(3, 4, initial_bias=np.ones(3)),
        "Parameter b: the initial array has shape (3,), expected (4,)",
    ),
    (
        lambda: L.EmbedID(3, 4, initialW=np.ones((4, 3))),
        "Parameter W: the initial array has shape (4, 3), expected (3, 4)",
    ),
]


@pytest.mark.parametrize("make, message", BAD_SIZES, ids=[m for _, m in BAD_SIZES])
def test_a_bad_size_is_said(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
