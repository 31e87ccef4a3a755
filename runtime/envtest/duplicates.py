"""Fields that come twice in a JSON document: parsers keep the last and say nothing, the API server says something.

Concurrency: pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

__all__ = ["duplicate_fields"]


def duplicate_fields(body: bytes) -> list[str]:
    """Return the paths of the fields that come more than once; nothing for what is no JSON."""
    try:
        if orjson.dumps(orjson.loads(body)) == body:
            return []  # compact, as most clients write, and nothing was lost: no need to look closer
        return list(_found(json.loads(body, object_pairs_hook=_Pairs), ""))
    except ValueError:
        return []


class _Pairs(list[tuple[str, Any]]):
    """An object with every field that was written, whether it came before or not."""


def _found(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        told: set[str] = set()
        for name, item in value:
            where = f"{path}.{name}" if path else name
            if name in seen and name not in told:
                told.add(name)
                yield where
            seen.add(name)
            yield from _found(item, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _found(item, f"{path}[{index}]")
