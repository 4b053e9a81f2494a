"""Settings: of the running thread only, and restored whatever happens."""

import threading

import numpy as np
import pytest

import dynet
from dynet import Variable, config, no_backprop_mode, using_config


def test_the_defaults_are_recording_training_float32_and_no_debugging():
    assert config.enable_backprop is True
    assert config.train is True
    assert config.dtype == np.float32
    assert config.debug is False


@pytest.mark.parametrize(
    ("name", "value"),
    [("enable_backprop", False), ("train", False), ("debug", True), ("dtype", np.float64)],
)
def test_a_setting_holds_within_the_block_and_the_old_one_comes_back(name, value):
    before = getattr(config, name)
    with using_config(name, value):
        assert getattr(config, name) == value
    assert getattr(config, name) == before


def test_a_setting_comes_back_after_an_exception():
    with pytest.raises(KeyError), using_config("train", False):
        raise KeyError
    assert config.train is True


def test_blocks_nest():
    with using_config("train", False):
        with using_config("train", True):
            assert config.train is True
        assert config.train is False


def test_an_unknown_setting_is_refused_with_the_names_of_those_there_are():
    names = r"'trian'.*enable_backprop, train, dtype and debug"
    with pytest.raises(AttributeError, match=names), using_config("trian", False):
        pass
    with pytest.raises(AttributeError, match="trian"):
        config.trian = False


def test_a_dtype_may_be_given_by_name():
    with using_config("dtype", "float64"):
        assert config.dtype is np.dtype(np.float64)


@pytest.mark.parametrize("dtype", [np.int32, np.bool_, np.complex64])
def test_a_dtype_that_is_not_floating_is_refused_and_nothing_changes(dtype):
    with pytest.raises(ValueError, match="floating"), using_config("dtype", dtype):
        pass
    assert config.dtype == np.float32


def test_a_parameter_is_made_in_the_configured_dtype():
    with using_config("dtype", np.float64):
        assert dynet.Parameter(0, (2,)).dtype == np.float64
    assert dynet.Parameter(0, (2,)).dtype == np.float32


def test_another_thread_starts_with_the_defaults_and_changes_only_its_own():
    seen = []

    def other():
        seen.append(config.train)
        config.debug = True

    with using_config("train", False):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert seen == [True]
        assert config.train is False
    assert config.debug is False


def test_a_thread_records_while_another_does_not():
    made = []
    with no_backprop_mode():
        thread = threading.Thread(target=lambda: made.append(Variable(np.ones(1)) * 2.0))
        thread.start()
        thread.join()
        assert (Variable(np.ones(1)) * 2.0).creator is None
    assert made[0].creator is not None


def test_no_backprop_mode_records_nothing():
    x = Variable(np.ones(2))
    with no_backprop_mode():
        y = (x * x).sum()
    assert y.creator is None
    assert not y.requires_grad
    assert y.item() == 2


def test_recording_goes_on_after_no_backprop_mode():
    x = Variable(np.array(3.0))
    with no_backprop_mode():
        y = x * x
    (x * y).backward()
    assert x.grad == 9


def test_what_was_recorded_before_can_be_swept_under_no_backprop_mode():
    x = Variable(np.array(3.0))
    y = x * x
    with no_backprop_mode():
        y.backward()
    assert x.grad == 6
