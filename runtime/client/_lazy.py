"""Imports kubernetes_asyncio without its thousand generated modules.

Importing any part of that package runs an `__init__` that imports every API and every model: 60 MB and two seconds. While
`lazy_generated_modules()` is active, the packages that do so get their names on first use instead (PEP 562), which is never
for almost all of them. So does the package itself, whose parts for watches and streams are not used here; and urllib3, of
which one function is called, for proxies with passwords, is loaded with its first use. Nothing of the installed packages is
changed; if kubernetes_asyncio has been imported already, nothing is done.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

__all__ = ["lazy_generated_modules"]

_GENERATED: Final = frozenset(
    {
        "kubernetes_asyncio",
        "kubernetes_asyncio.client",
        "kubernetes_asyncio.client.api",
        "kubernetes_asyncio.client.models",
    }
)
_RARELY_USED: Final = "urllib3"
_NAME: Final = re.compile(r"^from (\S+) import (\w+)(?: as (\w+))?", re.MULTILINE)
_PART: Final = re.compile(r"^import (\S+) as (\w+)", re.MULTILINE)


class _LazyLoader(importlib.abc.Loader):
    """Reads which names a package would import, and imports each when it is asked for."""

    def __init__(self, loader: importlib.abc.InspectLoader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        source = self._loader.get_source(module.__name__) or ""
        origins = {found[3] or found[2]: (found[1], found[2]) for found in _NAME.finditer(source)}
        parts = {found[2]: found[1] for found in _PART.finditer(source)}

        def load(name: str) -> Any:
            if name in parts:
                return importlib.import_module(parts[name])  # which makes it an attribute of its package
            try:
                origin, original = origins[name]
            except KeyError:
                msg = f"module {module.__name__!r} has no attribute {name!r}"
                raise AttributeError(msg) from None
            value = getattr(importlib.import_module(origin), original)
            setattr(module, name, value)
            return value

        module.__getattr__ = load  # type: ignore[method-assign]


class _LazyFinder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _GENERATED and fullname != _RARELY_USED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return spec
        if fullname == _RARELY_USED:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        elif isinstance(spec.loader, importlib.abc.InspectLoader):
            spec.loader = _LazyLoader(spec.loader)
        return spec


@contextmanager
def lazy_generated_modules() -> Iterator[None]:
    """Make imports of kubernetes_asyncio inside the context cheap."""
    if not _GENERATED.isdisjoint(sys.modules):
        yield
        return
    finder = _LazyFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
