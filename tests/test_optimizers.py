"""Optimizers: what they move, when, and with which settings; test_optimizer_rules has the rules."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet
import dynet.links as L
from dynet import Link, Parameter
from dynet.optimizers import SGD, AdaDelta, Adam, MomentumSGD, Optimizer, RMSprop, schedules
from dynet.serializers import load_npz, save_npz

RNG = np.random.default_rng(0)
ARRAYS = [RNG.normal(size=(3, 4)), RNG.normal(size=5), np.asarray(RNG.normal())]


def link_of(arrays=ARRAYS, order="C"):
    """A link of parameters, each of which starts from an array."""
    link = Link()
    with link.init_scope():
        for i, array in enumerate(arrays):
            setattr(link, f"p{i}", Parameter(np.asarray(array), order=order))
    return link


def give_gradients(link, gradients=None):
    for i, p in enumerate(link.params()):
        p.grad = np.asarray(RNG.normal(size=p.shape)) if gradients is None else gradients[i].copy()


def values(link):
    return [p.array.copy() for p in link.params()]


def assert_same(link, expected):
    for p, array in zip(link.params(), expected, strict=True):
        np.testing.assert_array_equal(p.array, array)


def model(out=2):
    return dynet.Chain(l1=L.Linear(3, 4), l2=L.Linear(4, out))


X = np.arange(6, dtype=np.float32).reshape(2, 3) / 6


def loss_of(link):
    return (link.l2(link.l1(X)) ** 2).sum()


# -- an update --------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4).map(tuple),
    orders=st.tuples(st.sampled_from("CF"), st.sampled_from(["C", "F", "reversed"])),
    kind=st.sampled_from([SGD, Adam]),
)
def test_a_gradient_may_lie_in_memory_in_any_way(shape, orders, kind):
    W, g = np.asarray(RNG.normal(size=shape)), np.asarray(RNG.normal(size=shape))
    plain, other = link_of([W]), link_of([W], order=orders[0])
    plain.p0.grad = g
    reverse = orders[1] == "reversed"
    turned = np.asarray(np.flip(np.flip(g).copy())) if reverse else np.asarray(g, order=orders[1])
    other.p0.grad = turned
    for link in plain, other:
        optimizer = kind(0.1).setup(link)
        optimizer.update()
        optimizer.update()
    np.testing.assert_array_equal(plain.p0.array, other.p0.array)


def test_update_with_a_loss_function_computes_the_gradients_anew():
    link = L.Linear(3, 1, initialW=np.zeros((1, 3), np.float32))
    optimizer = SGD(lr=1).setup(link)
    link.W.grad = np.full((1, 3), 100, np.float32)
    optimizer.update(lambda x, scale: link(x).sum() * scale, np.ones((1, 3), np.float32), scale=2)
    np.testing.assert_array_equal(link.W.array, [[-2, -2, -2]])


def test_a_loss_function_that_gives_no_variable_is_an_error():
    with pytest.raises(TypeError, match=r"SGD\.update: lossfun returned float"):
        SGD().setup(link_of()).update(lambda: 0.5)


def test_update_without_any_gradient_is_an_error():
    with pytest.raises(RuntimeError, match=r"SGD\.update: no parameter has a gradient"):
        SGD().setup(link_of()).update()


def test_update_before_setup_is_an_error():
    with pytest.raises(RuntimeError, match=r"SGD\.update: .*setup\(link\)"):
        SGD().update()


def test_setup_takes_nothing_but_a_link():
    with pytest.raises(TypeError, match="setup: link is list, expected a Link"):
        SGD().setup([])


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_parameter_without_a_gradient_stays(kind):
    link = link_of()
    give_gradients(link)
    link.p1.cleargrad()
    kind().setup(link).update()
    np.testing.assert_array_equal(link.p1.array, ARRAYS[1])
    assert (link.p0.array != ARRAYS[0]).all()


def test_a_disabled_parameter_stays_and_moves_again_when_it_is_enabled():
    link = model()
    optimizer = Adam().setup(link)
    link.l1.disable_update()
    before = values(link)
    optimizer.update(loss_of, link)
    after = values(link)
    assert [np.array_equal(*pair) for pair in zip(before, after, strict=True)] == [
        *[True, True],
        *[False, False],
    ]
    link.l1.enable_update()
    optimizer.update(loss_of, link)
    assert not np.array_equal(link.l1.W.array, before[0])
    assert (link.l1.W.update_rule.t, link.l2.W.update_rule.t) == (1, 2)


def test_a_parameter_that_gets_its_size_after_setup_is_moved():
    link = L.Linear(None, 2)
    optimizer = MomentumSGD().setup(link)
    link.W.update_rule.hyperparam.lr = 0.5
    optimizer.update(lambda: link(X).sum())
    assert link.W.update_rule.hyperparam.lr == 0.5
    np.testing.assert_allclose(link.W.update_rule.state["v"], -0.5 * link.W.grad)


def test_a_parameter_that_came_after_setup_is_moved():
    link = link_of()
    optimizer = SGD(lr=1).setup(link)
    with link.init_scope():
        link.late = Parameter(np.zeros(2))
    give_gradients(link, [*ARRAYS, np.ones(2)])
    optimizer.update()
    np.testing.assert_array_equal(link.late.array, [-1, -1])


def test_a_parameter_under_two_names_is_moved_once():
    W = Parameter(np.zeros(2))
    link = Link()
    with link.init_scope():
        link.a = link.b = W
    W.grad = np.ones(2)
    SGD(lr=1).setup(link).update()
    np.testing.assert_array_equal(W.array, [-1, -1])


def test_updates_are_counted():
    link = link_of()
    optimizer = SGD().setup(link)
    give_gradients(link)
    optimizer.update()
    optimizer.update()
    assert (optimizer.t, link.p0.update_rule.t) == (2, 2)


def test_setup_starts_afresh():
    link = link_of()
    optimizer = Adam().setup(link)
    give_gradients(link)
    optimizer.update()
    optimizer.new_epoch()
    optimizer.setup(link)
    assert (optimizer.t, optimizer.epoch, link.p0.update_rule.t) == (0, 0, 0)


def test_a_state_follows_its_parameter_into_another_order():
    links = link_of(), link_of()
    optimizers = [Adam().setup(link) for link in links]
    gradients = [RNG.normal(size=a.shape) for a in ARRAYS]
    for link, optimizer in zip(links, optimizers, strict=True):
        give_gradients(link, list(map(np.asarray, gradients)))
        optimizer.update()
    links[1].p0.array = np.asfortranarray(links[1].p0.array)
    for optimizer in optimizers:
        optimizer.update()
    assert links[1].p0.update_rule.state["m"].flags.f_contiguous
    assert_same(links[0], values(links[1]))


class Halving(Optimizer):
    """An optimizer as a user would write one."""

    state_names = ("before",)
    rate = dynet.optimizers.Hyperparameter()

    def update_param(self, W, gW, rule):
        rule.state["before"][...] = W
        W -= rule.settings.rate * np.sign(gW) * 0.5**rule.t


def test_an_optimizer_of_ones_own_states_what_happens_to_one_array():
    link = link_of([np.zeros(2)])
    optimizer = Halving(rate=2).setup(link)
    for _ in range(2):
        link.p0.grad = np.array([3.0, -3.0])
        optimizer.update()
    np.testing.assert_array_equal(link.p0.array, [-1.5, 1.5])
    np.testing.assert_array_equal(link.p0.update_rule.state["before"], [-1, 1])


# -- what it refuses ------------------------------------------------------------------------------


def strided():
    link = link_of([ARRAYS[1], ARRAYS[0]])
    link.p1.array = np.zeros((3, 8))[:, ::2]
    give_gradients(link)
    return link


def in_half_precision():
    link = link_of([ARRAYS[1], ARRAYS[0].astype(np.float16)])
    give_gradients(link, [ARRAYS[1], ARRAYS[0].astype(np.float16)])
    return link


def replaced_by(array):
    link = link_of([ARRAYS[1], ARRAYS[0]])
    give_gradients(link)
    link.p1.array = array
    return link


def read_only():
    link = link_of([ARRAYS[1], ARRAYS[0]])
    give_gradients(link)
    link.p1.array.flags.writeable = False
    return link


def with_a_recorded_gradient():
    link = link_of([ARRAYS[1], ARRAYS[0]])
    give_gradients(link)
    link.p1.grad = dynet.Variable(np.zeros((3, 4)))
    return link


REFUSED = {
    "strides": (strided, ValueError, r"p1 \(3, 4\) has the strides \(64, 16\), expected a contig"),
    "half": (in_half_precision, TypeError, r"p1 \(3, 4\) is float16, expected float32 or float64"),
    "dtype": (
        lambda: replaced_by(ARRAYS[0].astype(np.float32)),
        ValueError,
        r"p1 \(3, 4\) is float32, its gradient float64 \(3, 4\)",
    ),
    "shape": (lambda: replaced_by(np.zeros((4, 3))), ValueError, r"p1 \(4, 3\) .*float64 \(3, 4\)"),
    "read-only": (read_only, RuntimeError, r"p1 \(3, 4\) is read-only"),
    "recorded": (with_a_recorded_gradient, TypeError, "p1 .*ndarray, its gradient Variable"),
}


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("make, error, message", REFUSED.values(), ids=REFUSED)
def test_a_refused_update_says_why_and_changes_nothing(make, error, message, kind):
    link = make()
    before = values(link)
    gradient = link.p0.grad.copy()
    optimizer = kind().setup(link)
    optimizer.add_hook(dynet.optimizer_hooks.WeightDecay(1))
    with pytest.raises(error, match=rf"{kind.__name__}\.update: the parameter {message}"):
        optimizer.update()
    assert optimizer.t == 0
    assert_same(link, before)
    np.testing.assert_array_equal(link.p0.grad, gradient)


def test_a_parameter_that_has_another_shape_than_its_state_is_refused():
    link = link_of()
    optimizer = Adam().setup(link)
    give_gradients(link)
    optimizer.update()
    link.p0.array = np.zeros((2, 2))
    link.p0.grad = np.zeros((2, 2))
    before = values(link)
    with pytest.raises(ValueError, match=r"shape \(2, 2\), and had \(3, 4\) when it was moved"):
        optimizer.update()
    assert_same(link, before)
    assert optimizer.t == 1


# -- settings -------------------------------------------------------------------------------------


def test_a_setting_of_one_parameter_comes_before_that_of_the_optimizer():
    link = link_of([np.zeros(2), np.zeros(2)])
    optimizer = SGD(lr=1).setup(link)
    link.p1.update_rule.hyperparam.lr = 10
    give_gradients(link, [np.ones(2)] * 2)
    optimizer.update()
    optimizer.lr = 2
    optimizer.update()
    assert_same(link, [[-3, -3], [-20, -20]])


def test_what_a_parameter_does_not_set_it_has_from_the_optimizer():
    link = link_of()
    optimizer = Adam(beta1=0.5).setup(link)
    link.p0.update_rule.hyperparam.alpha = 0.5
    optimizer.beta1 = 0.75
    hyperparam = link.p0.update_rule.hyperparam
    assert (hyperparam.alpha, hyperparam.beta1, link.p1.update_rule.hyperparam.alpha) == (
        *(0.5, 0.75),
        0.001,
    )


def test_adam_with_settings_of_one_parameter_moves_it_as_alone():
    both, alone = link_of(ARRAYS[:2]), link_of(ARRAYS[1:2])
    first = Adam(0.1).setup(both)
    both.p1.update_rule.hyperparam.beta2 = 0.5
    second = Adam(0.1, beta2=0.5).setup(alone)
    for _ in range(3):
        give_gradients(both)
        alone.p0.grad = both.p1.grad.copy()
        first.update()
        second.update()
    np.testing.assert_array_equal(both.p1.array, alone.p0.array)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SGD(lr=-1), "SGD: lr is -1, expected a finite number >= 0"),
        (lambda: SGD(lr=float("nan")), "SGD: lr is nan"),
        (lambda: SGD(lr=float("inf")), "SGD: lr is inf"),
        (lambda: MomentumSGD(momentum=1), "MomentumSGD: momentum is 1, expected a number >= 0 and"),
        (lambda: Adam(beta2=1.0), r"Adam: beta2 is 1\.0"),
        (lambda: AdaDelta(eps=1e-50), "AdaDelta: eps is 1e-50, expected 0, or a finite number >="),
        (lambda: Adam(gamma=0), "Adam: gamma is 0, expected a finite number > 0"),
        (lambda: SGD(lambda t: -1), "SGD: lr is -1"),
    ],
)
def test_a_setting_out_of_range_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("value", ["0.1", None, np.ones(1), 1j])
def test_a_setting_that_is_no_number_is_an_error(value):
    with pytest.raises(TypeError, match=f"SGD: lr is {type(value).__name__}, expected a finite"):
        SGD(value)


def test_a_setting_that_is_not_there_is_an_error_that_lists_those_that_are():
    link = link_of()
    MomentumSGD().setup(link)
    with pytest.raises(AttributeError, match="no hyperparameter 'alpha'; it has lr, momentum"):
        link.p0.update_rule.hyperparam.alpha = 1


def test_an_attribute_that_a_rule_does_not_have_is_an_error():
    link = link_of()
    SGD().setup(link)
    with pytest.raises(AttributeError):
        link.p0.update_rule.enabled = False


def test_which_kind_of_adam_it_is_cannot_be_changed_later():
    with pytest.raises(AttributeError):
        Adam().amsgrad = True


def test_eps_may_move_into_the_root_between_updates():
    optimizer = RMSprop()
    optimizer.eps_inside_sqrt = True
    assert optimizer.kernel is dynet.kernels.update.rmsprop_eps_inside


def test_adam_tells_its_step_with_the_biases_made_up_for():
    link = link_of()
    optimizer = Adam(alpha=0.1, beta1=0.5, beta2=0.75).setup(link)
    assert optimizer.alpha_t == 0.1
    give_gradients(link)
    optimizer.update()
    assert optimizer.alpha_t == pytest.approx(0.1 * 0.25**0.5 / 0.5)


# -- schedules ------------------------------------------------------------------------------------


def test_a_schedule_is_asked_for_each_update():
    link = link_of([np.zeros(1)])
    optimizer = SGD(lr=lambda t: 10.0**t).setup(link)
    give_gradients(link, [np.ones(1)])
    seen = []
    for _ in range(3):
        optimizer.update()
        seen.append(optimizer.lr)
    assert seen == [1, 10, 100]
    assert_same(link, [[-111]])


def test_a_schedule_may_be_that_of_one_parameter_and_be_replaced_by_a_number():
    link = link_of([np.zeros(1), np.zeros(1)])
    optimizer = SGD(lr=1).setup(link)
    give_gradients(link, [np.ones(1)] * 2)
    link.p1.update_rule.hyperparam.lr = lambda t: 10.0**t
    optimizer.update()
    optimizer.update()
    link.p1.update_rule.hyperparam.lr = 1000
    optimizer.update()
    assert_same(link, [[-3], [-1011]])


def test_a_skipped_update_does_not_advance_a_schedule():
    link = link_of()
    optimizer = SGD(lr=lambda t: t).setup(link)
    give_gradients(link)
    optimizer.update()
    optimizer.add_hook(lambda optimizer: False, "no")
    optimizer.update()
    optimizer.remove_hook("no")
    optimizer.update()
    assert (optimizer.t, optimizer.lr) == (2, 1)


def test_a_schedule_that_leaves_its_range_is_an_error_and_nothing_moves():
    link = link_of()
    optimizer = SGD(lr=lambda t: 1 - t).setup(link)
    give_gradients(link)
    optimizer.update()
    optimizer.update()
    before = values(link)
    with pytest.raises(ValueError, match="SGD: lr is -1, expected"):
        optimizer.update()
    assert_same(link, before)


def test_a_schedule_goes_on_where_it_was_saved(tmp_path):
    link = link_of()
    saved, loaded = [SGD(lr=schedules.inverse(1, 1)).setup(link) for _ in "12"]
    give_gradients(link)
    for _ in range(4):
        saved.update()
    save_npz(tmp_path / "o", saved)
    load_npz(tmp_path / "o", loaded)
    assert loaded.lr == 1 / 5


# -- hooks ----------------------------------------------------------------------------------------


def for_each(called, name):
    def hook(rule, parameter):
        called.append((name, parameter.name))

    hook.call_for_each_param = True
    return hook


def test_a_hook_that_returns_false_calls_the_update_off():
    link = link_of()
    optimizer = SGD().setup(link)
    optimizer.add_hook(lambda optimizer: False)
    give_gradients(link)
    optimizer.update()
    assert_same(link, ARRAYS)
    assert (optimizer.skipped, optimizer.t) == (1, 0)


def test_a_hook_that_returns_nothing_lets_the_update_be():
    link = link_of()
    optimizer = SGD().setup(link)
    optimizer.add_hook(lambda optimizer: None)
    give_gradients(link)
    optimizer.update()
    assert optimizer.t == 1


def test_hooks_are_called_in_the_order_in_which_they_were_added_of_either_kind():
    link, called = link_of(ARRAYS[:2]), []
    optimizer = SGD().setup(link)
    optimizer.add_hook(lambda optimizer: called.append("first"), "z")
    optimizer.add_hook(for_each(called, "second"), "y")
    optimizer.add_hook(lambda optimizer: called.append("third"), "a")
    link.p1.update_rule.add_hook(for_each(called, "own"))
    give_gradients(link)
    optimizer.update()
    assert called == ["first", ("second", "p0"), ("second", "p1"), "third", ("own", "p1")]


def test_a_hook_is_called_before_the_update_or_after_it():
    link, seen = link_of([np.zeros(1)]), []
    optimizer = SGD(lr=1).setup(link)
    give_gradients(link, [np.ones(1)])
    optimizer.add_hook(lambda o: seen.append((o.t, link.p0.array[0])), "a", timing="pre")
    optimizer.add_hook(lambda o: seen.append((o.t, link.p0.array[0])), "b", timing="post")
    optimizer.update()
    assert seen == [(0, 0), (1, -1)]


def test_a_hook_says_itself_when_it_is_called():
    link, seen = link_of([np.zeros(1)]), []

    def hook(rule, parameter):
        seen.append(parameter.array[0])

    hook.timing = "post"
    optimizer = SGD(lr=1).setup(link)
    link.p0.update_rule.add_hook(hook)
    give_gradients(link, [np.ones(1)])
    optimizer.update()
    assert seen == [-1]


def test_a_hook_may_clear_a_gradient_and_the_parameter_stays():
    link = link_of(ARRAYS[:2])
    optimizer = SGD().setup(link)
    optimizer.add_hook(lambda optimizer: link.p0.cleargrad(), "clear")
    optimizer.add_hook(dynet.optimizer_hooks.WeightDecay(0.1))
    link.p0.update_rule.add_hook(dynet.optimizer_hooks.WeightDecay(0.1))
    give_gradients(link)
    optimizer.update()
    np.testing.assert_array_equal(link.p0.array, ARRAYS[0])
    assert (link.p1.array != ARRAYS[1]).all()


def test_two_hooks_of_one_name_are_refused():
    optimizer = SGD()
    optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(1))
    with pytest.raises(ValueError, match="already is a hook called 'GradientClipping'"):
        optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(2))


def test_a_removed_hook_is_not_called():
    link = link_of()
    optimizer = SGD().setup(link)
    optimizer.add_hook(lambda optimizer: False, "no")
    optimizer.remove_hook("no")
    give_gradients(link)
    optimizer.update()
    assert optimizer.t == 1
    with pytest.raises(KeyError, match="no hook called 'no'"):
        optimizer.remove_hook("no")


@pytest.mark.parametrize("hook", ["clip", None, dynet.optimizer_hooks.WeightDecay])
def test_a_hook_that_cannot_be_called_is_refused(hook):
    with pytest.raises(TypeError, match=r"SGD\.add_hook: hook is .*expected something to call"):
        SGD().add_hook(hook)


def test_another_timing_is_refused():
    with pytest.raises(ValueError, match="timing is 'before', expected 'pre', 'post' or 'auto'"):
        SGD().add_hook(print, timing="before")


def test_a_hook_for_all_parameters_together_is_not_one_for_one():
    link = link_of()
    SGD().setup(link)
    with pytest.raises(TypeError, match="GradientClipping looks at all parameters together"):
        link.p0.update_rule.add_hook(dynet.optimizer_hooks.GradientClipping(1))


# -- copies and files -----------------------------------------------------------------------------


def both_ways():
    return [
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(lambda o: pickle.loads(pickle.dumps(o)), id="pickle"),
    ]


def trained_adam():
    link = model()
    optimizer = Adam(schedules.warmup(5, 0.1)).setup(link)
    link.l1.b.update_rule.hyperparam.alpha = schedules.exponential(0.1, 0.5)
    optimizer.add_hook(dynet.optimizer_hooks.GradientClipping(1))
    link.l2.W.update_rule.add_hook(dynet.optimizer_hooks.WeightDecay(0.1))
    for _ in range(3):
        optimizer.update(loss_of, link)
    return optimizer


@pytest.mark.parametrize("copied", both_ways())
def test_a_copy_with_its_model_goes_on_as_the_original_would(copied):
    original = trained_adam()
    twin, link = copied((original, original.target))
    assert twin.target is link
    for _ in range(3):
        original.update(loss_of, original.target)
        twin.update(loss_of, link)
    assert_same(link, values(original.target))


@pytest.mark.parametrize("copied", both_ways())
def test_the_parameters_of_a_copy_know_their_rules_and_do_not_share_them(copied):
    original = trained_adam()
    twin = copied(original)
    b = twin.target.l1.b
    assert b.update_rule is twin.rule(b) is not original.target.l1.b.update_rule
    b.update_rule.hyperparam.beta1 = 0.5
    twin.alpha = 7
    assert original.target.l1.b.update_rule.hyperparam.beta1 == 0.9
    assert original.alpha != 7 and twin.target.l1.W.update_rule.hyperparam.alpha == 7


def test_a_copy_of_the_model_alone_is_known_to_no_optimizer():
    link = copy.deepcopy(trained_adam().target)
    assert link.l1.W.update_rule is None


def unsized():
    return dynet.Chain(l1=L.Linear(None, 4), l2=L.Linear(None, 2))


def mapping(optimizer):
    return {"model": optimizer.target, "optimizer": optimizer}


@pytest.mark.parametrize("turned", [False, True], ids=["model first", "optimizer first"])
def test_a_model_without_its_sizes_is_loaded_with_its_optimizer_from_one_file(turned, tmp_path):
    saved, loaded = Adam(0.1).setup(model()), Adam(0.1).setup(unsized())
    for _ in range(3):
        saved.update(loss_of, saved.target)
    save_npz(tmp_path / "s", mapping(saved))
    into = mapping(loaded)
    load_npz(tmp_path / "s", dict(reversed(into.items())) if turned else into)
    for optimizer in saved, loaded:
        optimizer.update(loss_of, optimizer.target)
    assert_same(loaded.target, values(saved.target))
    assert loaded.target.l1.W.update_rule.t == 4


def test_an_optimizer_is_saved_before_its_model_has_sizes(tmp_path):
    save_npz(tmp_path / "s", mapping(Adam().setup(unsized())))
    loaded = Adam().setup(unsized())
    load_npz(tmp_path / "s", mapping(loaded))
    loaded.update(loss_of, loaded.target)
    assert loaded.t == 1


@pytest.mark.parametrize("other", [lambda: SGD().setup(model()), lambda: Adam().setup(model(3))])
def test_a_file_of_another_optimizer_or_model_is_refused_and_nothing_changes(other, tmp_path):
    saved = Adam().setup(model())
    saved.update(loss_of, saved.target)
    save_npz(tmp_path / "s", saved)
    optimizer = other()
    with pytest.raises(ValueError, match="l2/W/m"):
        load_npz(tmp_path / "s", optimizer)
    assert optimizer.t == 0


def test_an_optimizer_without_a_target_has_nothing_to_save(tmp_path):
    with pytest.raises(RuntimeError, match=r"Adam: .*setup\(link\)"):
        save_npz(tmp_path / "s", Adam())
