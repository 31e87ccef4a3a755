"""The facade: every promised name is there, lazily, and the same for type checkers as at run time."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import controller_runtime


@pytest.mark.parametrize("name", controller_runtime.__all__)
def test_every_name_can_be_had(name: str) -> None:
    assert getattr(controller_runtime, name) is not None


def test_type_checkers_see_what_the_table_says() -> None:
    tree = ast.parse(Path(str(controller_runtime.__file__)).read_text())
    (block,) = [
        node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    ]
    imported = {
        alias.name: str(node.module).removeprefix("controller_runtime.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == controller_runtime._MODULE_OF
    assert sorted(imported, key=str) == sorted(controller_runtime.__all__, key=str)


def test_other_names_are_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Managr'"):
        _ = controller_runtime.Managr
    assert "Manager" in dir(controller_runtime)


def test_importing_it_loads_no_http_client() -> None:
    code = "import sys, controller_runtime.api.k8s; assert 'aiohttp' not in sys.modules; controller_runtime.Manager"
    subprocess.run([sys.executable, "-c", code], check=True)
