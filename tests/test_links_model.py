"""The Classifier: what it computes, reports, keeps and lets go."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import dynet
import dynet.functions as F
import dynet.links as L

X, T = np.eye(3, dtype=np.float32), np.array([0, 1, 1])


def classifier(**settings):
    return L.Classifier(L.Linear(3, 2, initialW=np.eye(2, 3, dtype=np.float32)), **settings)


def test_the_loss_is_that_of_the_predictor_and_the_labels():
    model = classifier()
    expected = F.softmax_cross_entropy(model.predictor(X), T).item()
    assert model(X, T).item() == expected == model.loss.item()


def test_it_keeps_what_it_computed():
    model = classifier()
    model(X, T)
    np.testing.assert_array_equal(model.y.array, model.predictor(X).array)
    assert model.accuracy.item() == F.accuracy(model.y, T).item()


def test_loss_and_accuracy_are_reported_under_its_name():
    model = classifier()
    reporter = dynet.Reporter()
    reporter.add_observer("main", model)
    with reporter.scope({}) as observation:
        model(X, T)
    assert observation == {"main/loss": model.loss.array, "main/accuracy": model.accuracy.array}


def test_accuracy_may_be_left_out():
    model = classifier(accfun=None)
    model.compute_accuracy = False
    model(X, T)
    assert model.accuracy is None


def test_loss_and_accuracy_may_be_others():
    model = classifier(
        lossfun=lambda y, t: F.sum(y) * 0 + 3, accfun=lambda y, t: np.float32(len(t))
    )
    assert model(X, T).item() == 3 and model.accuracy == 3


@pytest.mark.parametrize(
    "key, args, kwargs",
    [
        (-1, (X, T), {}),
        (0, (T, X), {}),
        (1, (X, T), {}),
        (-2, (T, X), {}),
        ("t", (X,), {"t": T}),
        ("t", (), {"t": T, "x": X}),
    ],
)
def test_the_labels_are_where_label_key_says(key, args, kwargs):
    assert classifier(label_key=key)(*args, **kwargs).item() == classifier()(X, T).item()


@pytest.mark.parametrize("key, args", [(2, (X, T)), (-3, (X, T)), (-1, ()), ("t", (X, T))])
def test_labels_that_are_not_there_are_an_error(key, args):
    with pytest.raises(ValueError, match=f"Classifier: label_key is {key!r}, expected"):
        classifier(label_key=key)(*args)


@pytest.mark.parametrize("settings", [{"label_key": 1.5}, {"label_key": True}])
def test_a_label_key_of_another_type_is_an_error(settings):
    with pytest.raises(
        TypeError, match=r"Classifier: label_key is .*expected a position or a name"
    ):
        classifier(**settings)


def test_a_predictor_that_is_no_link_is_an_error():
    with pytest.raises(TypeError, match="Classifier: predictor is function, expected a Link"):
        L.Classifier(lambda x: x)


def test_the_last_tape_is_gone_before_the_next_one_begins():
    seen = []

    class Watching(L.Linear):
        def forward(self, x):
            seen.append(model.loss)
            return super().forward(x)

    model = L.Classifier(Watching(3, 2))
    model(X, T)
    model(X, T)
    assert seen == [None, None]


def test_a_call_that_fails_leaves_nothing_of_the_one_before():
    model = classifier()
    model(X, T)
    with pytest.raises(ValueError):
        model(X, T[:2])
    assert model.y is model.loss is model.accuracy is None


def test_it_is_in_no_cycle_of_references():
    gc.collect()
    gc.disable()
    try:
        model = classifier()
        model(X, T).backward()
        gone = weakref.ref(model.loss), weakref.ref(model)
        del model
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_starts_without_what_was_computed(copied):
    model = classifier()
    model(X, T)
    twin = copied(model)
    assert twin.y is twin.loss is twin.accuracy is None
    assert twin(X, T).item() == model.loss.item()


def test_it_learns():
    model = classifier()
    optimizer = dynet.optimizers.SGD(1).setup(model)
    before = model(X, T).item()
    for _ in range(10):
        optimizer.update(model, X, T)
    assert model.loss.item() < before / 2 and model.accuracy.item() == 1


def test_its_file_is_that_of_its_predictor(tmp_path):
    model = classifier()
    model(X, T)
    dynet.serializers.save_npz(tmp_path / "m", model)
    with np.load(tmp_path / "m") as npz:
        assert sorted(npz.files) == ["predictor/W", "predictor/b"]
