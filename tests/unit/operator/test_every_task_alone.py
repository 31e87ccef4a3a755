"""Every task of every pipeline is called alone by some test: by name, not as a part of its pipeline."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tikv_operator
from controller_runtime.task import Task

TESTS = Path(__file__).parents[2]
PACKAGES = [
    name
    for _, name, is_package in pkgutil.walk_packages(tikv_operator.__path__, "tikv_operator.")
    if is_package and name.endswith(".tasks")
]
TASKS = {
    f"{module.__name__}.{name}": found
    for package in PACKAGES
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    for module in [importlib.import_module(info.name)]
    for name, found in vars(module).items()
    if isinstance(found, Task) and found.function.__module__ == module.__name__
}


def called(tree: ast.Module) -> Iterator[object]:
    """Yield the tasks that a test module calls, however it has imported them, or their modules."""
    known: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and ".tasks" in (node.module or ""):
            for alias in node.names:
                known[alias.asname or alias.name] = _imported(str(node.module), alias.name)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)) if module in known:
                found = getattr(known[module], name, None)
            case ast.Call(func=ast.Name(id=name)):
                found = known.get(name)
            case _:
                continue
        if isinstance(found, Task):
            yield found


def _imported(module: str, name: str) -> object:
    try:
        return importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), name)


@pytest.fixture(scope="module")
def called_alone() -> set[object]:
    texts = (path.read_text() for path in (TESTS / "unit" / "operator").rglob("test_*.py"))
    return {found for text in texts if ".tasks" in text for found in called(ast.parse(text))}


def test_there_are_tasks() -> None:
    assert len(TASKS) > 50


@pytest.mark.parametrize("name", TASKS)
def test_is_called_alone(name: str, called_alone: set[object]) -> None:
    assert TASKS[name] in called_alone, f"no test calls {name} by itself"
