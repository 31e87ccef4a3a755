"""How many cases a test has, without running or collecting it: what `parametrize` says of it and of its class.

The module of the test is imported once more, under another name. That costs milliseconds and has no other effect.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, Final

__all__ = ["Cases", "cases_of"]

_READABLE: Final = (str, int, float, type(None), Enum, type)
"""Values that pytest makes a name of that tells something; of any other it makes one like `spec0`."""


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of one test function.

    Attributes:
        nameless: those without a name that tells which case they are.
    """

    count: int
    nameless: tuple[str, ...]


def cases_of(tests: Path, name: str) -> Cases:
    """Return the cases of a test, or of all tests of a class.

    Args:
        tests: the folder of all tests.
        name: the test's file below it, the classes and the function, as pytest writes them; or without the function.

    Raises:
        AttributeError: there is no such class or function.
        FileNotFoundError: nor such a file.
    """
    file, *parts = name.split("::")
    found: Any = _module(tests / file)
    marks: list[Any] = []
    for part in parts:
        found = getattr(found, part)
        marks += _parametrized(found)
    if not inspect.isclass(found):
        return Cases(_product(marks), tuple(_nameless(marks)))
    own = [_parametrized(value) for key, value in vars(found).items() if key.startswith("test_")]
    nameless = (case for function in own for case in _nameless(marks + function))
    return Cases(sum(_product(marks + function) for function in own), tuple(nameless))


@functools.cache
def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"cases_of_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look there for the module that they are made in
    spec.loader.exec_module(module)
    return module


def _parametrized(found: Any) -> list[Any]:
    return [mark for mark in vars(found).get("pytestmark", ()) if mark.name == "parametrize"]


def _product(marks: list[Any]) -> int:
    count = 1
    for mark in marks:
        count *= len(mark.args[1])
    return count


def _nameless(marks: list[Any]) -> Iterator[str]:
    for mark in marks:
        if mark.kwargs.get("ids") is None:
            yield from (f"{mark.args[0]}: case {n}" for n, case in enumerate(mark.args[1]) if not _has_name(case))


def _has_name(case: Any) -> bool:
    made_by_param = hasattr(case, "marks")
    if made_by_param and case.id is not None:
        return True
    values = case.values if made_by_param else case if isinstance(case, tuple | list) else (case,)
    return any(isinstance(value, _READABLE) for value in values)
