"""The generators under hack/, which are scripts and no modules of a package, loaded for the time of a test."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

__all__ = ["loaded"]

_HACK = Path(__file__).parents[2] / "hack"


@contextmanager
def loaded(name: str) -> Iterator[ModuleType]:
    """Load a script by its name without `.py`; its classes are found under that name meanwhile."""
    spec = importlib.util.spec_from_file_location(name, _HACK / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[name]
