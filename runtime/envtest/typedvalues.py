"""What keeps a configuration from being applied: values that don't fit their type, and list items that are there twice.

An apply must know whose every part is, so it is stricter than other writes, and says it in words of its own
[structured-merge-diff]. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from controller_runtime.envtest.fieldset import element_of, path_text
from controller_runtime.envtest.mergetypes import MergeType

__all__ = ["typed_problems"]


def typed_problems(schema: Mapping[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """Yield what is wrong with a value, each with its path (`.spec.ports`); null fits everywhere."""
    if value is None:
        return
    kind = schema.get("type")
    if kind in ("integer", "number"):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"{path}: expected numeric (int or float), got {_type_name(value)}"
    elif kind == "string":
        if not isinstance(value, str):
            yield f"{path}: expected string, got &value.valueUnstructured{{Value:{_go_value(value)}}}"
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield f"{path}: expected boolean, got &value.valueUnstructured{{Value:{_go_value(value)}}}"
    elif isinstance(value, dict):
        yield from _of_map(schema, value, path)
    elif isinstance(value, list):
        yield from _of_list(schema, value, path)


def _of_map(schema: Mapping[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    additional = schema.get("additionalProperties")
    for name, inner in value.items():
        below = properties.get(name, additional)
        if isinstance(below, Mapping):
            yield from typed_problems(below, inner, f"{path}.{name}")


def _of_list(schema: Mapping[str, Any], items: list[Any], path: str) -> Iterator[str]:
    shape = MergeType(schema)
    seen: set[str] = set()
    for index, item in enumerate(items):
        place = f"[{index}]"
        if shape.merge in ("set", "map"):
            element = element_of(shape, item)
            place = path_text((element,))
            if element in seen:
                yield f"{path}: duplicate entries for key {place}"
            seen.add(element)
        yield from typed_problems(schema.get("items", {}), item, f"{path}{place}")


def _type_name(value: Any) -> str:
    names = {bool: "bool", str: "string", list: "[]interface {}", dict: "map[string]interface {}"}
    return names.get(type(value), "interface {}")


def _go_value(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
