"""What holds for the whole suite: the collector leaves alone what is there to stay."""

import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def what_is_there_stays():
    # The tests themselves, what is compiled, and PyTorch: so many objects that it would take a
    # second to walk them at every full collection, when Numba compiles or a test looks for garbage.
    gc.collect()
    gc.freeze()
