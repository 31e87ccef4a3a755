"""Checks an object against a generated schema the way an API server does: keywords, CEL rules, transitions.

It knows the keywords that our own CRDs use. A rule that mentions `oldSelf` is evaluated only where the old object has a
value at the same place (list items are matched by their map keys); items of other lists have no old value.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import cel

from controller_runtime.api import Object
from controller_runtime.api.crd import custom_resource_definition

_MISSING: Any = object()


def violations(kind: type[Object], new: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    """Return what is wrong with `new` (as an update of `old`, if given), as `path: message`."""
    schema = _schema(kind)
    found = list(_keywords(schema, new, ""))
    return found + list(_rules(schema, new, _MISSING if old is None else old, ""))


@functools.cache
def _schema(kind: type[Object]) -> dict[str, Any]:
    schema = custom_resource_definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert isinstance(schema, dict)
    return schema


def _keywords(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    if schema.get("type") == "object" and isinstance(value, dict):
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{_join(path, name)}: Required value"
        if len(value) < schema.get("minProperties", 0):
            yield f"{path}: should have at least {schema['minProperties']} properties"
        if len(value) > schema.get("maxProperties", len(value)):
            yield f"{path}: must have at most {schema['maxProperties']} properties"
    elif schema.get("type") == "array" and isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            yield f"{path}: must have at most {schema['maxItems']} items"
    elif schema.get("type") == "integer" and value < schema.get("minimum", value):
        yield f"{path}: should be greater than or equal to {schema['minimum']}"
    elif schema.get("type") == "integer" and value > schema.get("maximum", value):
        yield f"{path}: should be less than or equal to {schema['maximum']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: Unsupported value"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{path}: should match the pattern"
    for inner, item, _, where in _children(schema, value, _MISSING, path):
        yield from _keywords(inner, item, where)


def _rules(schema: dict[str, Any], value: Any, old: Any, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        variables = {"self": value}
        if "oldSelf" in rule["rule"]:
            if old is _MISSING:
                continue
            variables["oldSelf"] = old
        if not cel.evaluate(rule["rule"], variables):
            yield f"{path}{rule.get('fieldPath', '')}: {rule['message']}"
    for inner, item, before, where in _children(schema, value, old, path):
        yield from _rules(inner, item, before, where)


def _children(
    schema: dict[str, Any], value: Any, old: Any, path: str
) -> Iterator[tuple[dict[str, Any], Any, Any, str]]:
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if inner is not None:
                yield inner, item, before.get(name, _MISSING), _join(path, name)
    elif isinstance(value, list) and "items" in schema:
        keys = schema.get("x-kubernetes-list-map-keys", ())
        by_key = {_key(item, keys): item for item in old} if keys and isinstance(old, list) else {}
        for position, item in enumerate(value):
            yield (
                schema["items"],
                item,
                by_key.get(_key(item, keys), _MISSING) if keys else _MISSING,
                f"{path}[{position}]",
            )


def _key(item: dict[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key) for key in keys)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
