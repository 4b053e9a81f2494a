"""Every example runs, and every public name says what it is."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import dynet

ROOMS = [
    dynet,
    dynet.computational_graph,
    dynet.datasets,
    dynet.function_hooks,
    dynet.functions,
    dynet.initializers,
    dynet.iterators,
    dynet.links,
    dynet.optimizer_hooks,
    dynet.optimizers,
    dynet.optimizers.schedules,
    dynet.reporter,
    dynet.serializers,
    dynet.training,
    dynet.training.extensions,
    dynet.training.triggers,
    dynet.training.updaters,
]

MODULES = [
    "dynet",
    *(
        module.name
        for module in pkgutil.walk_packages(dynet.__path__, "dynet.")
        if not module.name.endswith("__main__")
    ),
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_give_what_they_say(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_holds(name):
    assert importlib.import_module(name).__doc__


def public_names():
    for module in ROOMS:
        names = getattr(module, "__all__", None)
        if names is None:
            names = [
                name
                for name, value in vars(module).items()
                if not name.startswith("_") and getattr(value, "__module__", 0) == module.__name__
            ]
        for name in names:
            yield pytest.param(getattr(module, name), id=f"{module.__name__}.{name}")


@pytest.mark.parametrize("thing", list(public_names()))
def test_every_public_name_has_a_docstring_of_its_own(thing):
    assert (inspect.getdoc(thing) or "").strip()
    if inspect.isclass(thing):
        assert thing.__dict__.get("__doc__"), "the docstring is only inherited"


def public_methods():
    for name in "Variable", "Parameter", "Function", "Link", "Chain", "ChainList", "Sequential":
        for attribute, value in vars(getattr(dynet, name)).items():
            if not attribute.startswith("_") and (callable(value) or isinstance(value, property)):
                yield pytest.param(value, id=f"{name}.{attribute}")


@pytest.mark.parametrize("method", list(public_methods()))
def test_every_public_method_of_the_core_has_a_docstring(method):
    assert (inspect.getdoc(method) or "").strip()
