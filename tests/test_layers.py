"""The rooms of the house: imports go down the list only, and the core stays short."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dynet

ROOT = Path(dynet.__file__).parent

# From the ground up. A file may import from its own room and from those before it.
ROOMS = [
    "config",
    "cuda_version",
    "backend",
    "files",
    "debugging",
    "random",
    "kernels",
    "terms",
    "gradient",
    "backprop",
    "variable",
    "interchange",
    "function",
    "function_hooks",
    "higher_order",
    "functions",
    "scanning",
    "parameter",
    "reporter",
    "link",
    "initializers",
    "links",
    "optimizers",
    "optimizer_hooks",
    "serializers",
    "iterators",
    "datasets",
    "computational_graph",
    "training",
    "gradient_check",
    "__init__",
]

# Rooms that know less than their place in the list would let them.
NOTHING_FROM = {
    "debugging": set(ROOMS),
    "optimizers": {"initializers"},
    "kernels": {"debugging"},
    "functions": {"parameter"},
}

OPTIONAL = {"cupy", "h5py", "matplotlib", "safetensors", "sklearn"}

FILES = sorted(p for p in ROOT.rglob("*.py"))


def name_of(path):
    """``functions.array``, ``functions`` for a package, ``__init__`` for dynet itself."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


MODULES = {name_of(path) for path in FILES}


def imports_within_dynet(path):
    """The modules of dynet that a file imports, as ``name_of`` names them."""
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "dynet":
                    yield alias.name.partition(".")[2] or "__init__"
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            if node.level:
                parts = package[: len(package) - node.level + 1] + parts
            elif parts[0] == "dynet":
                parts = parts[1:]
            else:
                continue
            base = ".".join(parts)
            for alias in node.names:
                below = f"{base}.{alias.name}" if base else alias.name
                yield below if below in MODULES else base or "__init__"


def room(module):
    return module.split(".")[0]


def test_every_file_of_dynet_has_its_place_in_the_list():
    assert {room(m) for m in MODULES} <= set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_down_the_list_only(path):
    mine = room(name_of(path))
    for imported in imports_within_dynet(path):
        theirs = room(imported)
        assert theirs == mine or ROOMS.index(theirs) < ROOMS.index(mine), imported
        assert theirs not in NOTHING_FROM.get(mine, ()), imported


def test_no_imports_go_in_a_circle():
    imported_by = {name_of(p): set(imports_within_dynet(p)) - {name_of(p)} for p in FILES}
    while imported_by:
        free = {m for m, below in imported_by.items() if not below & set(imported_by)}
        assert free, f"in a circle, or above one: {sorted(imported_by)}"
        for module in free:
            del imported_by[module]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_optional_packages_are_imported_inside_functions(path):
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for node in ast.walk(function):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = ["." * node.level + (node.module or "")]
            for name in names:
                assert name.split(".")[0] in OPTIONAL, f"{path.name}:{node.lineno} imports {name}"


def test_the_four_files_of_the_core_can_be_read_in_one_sitting():
    core = ["variable.py", "function.py", "backprop.py", "gradient.py"]
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in core}
    assert sum(lines.values()) < 800, lines


def test_importing_dynet_imports_no_optional_package():
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, dynet\n"
            "optional = {'cupy', 'h5py', 'matplotlib', 'safetensors', 'sklearn', 'torch'}\n"
            "print(*optional & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT.parent,
    )
    assert found.stdout.strip() == ""
