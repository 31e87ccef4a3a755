"""Schemas of built-in types, for the field of a CRD that holds a part of one: `Schema(part_of=PodSpec)`.

They are what kube-apiserver publishes (`k8s/schemas.json`, which says of which version; hack/generate_schemas.py says what of
it), with two differences:

- none of the fields of the type itself is required, as a part need not have them. What it is made of is told apart by what is
  required there: a container without a name is no container of anything.
- what a schema doesn't know is kept, in every structure of it. Kubernetes adds fields at any depth, and does so before the
  CRD hears of it. Those that it does know are checked wherever they stand.

Everything is pure; nothing is cached.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import orjson

from controller_runtime.api import k8s

__all__ = ["part_schema"]


def part_schema(whole: type) -> dict[str, Any] | None:
    """Return the structural schema of a part of a built-in type; None if there is none for this type.

    Args:
        whole: one of the classes in `controller_runtime.api.k8s`.
    """
    types = orjson.loads(resources.files(k8s).joinpath("schemas.json").read_bytes())["types"]
    if (name := _published_name(whole)) not in types:
        return None
    schema = _inlined(types[name], types)
    schema.pop("required", None)
    return schema


def _published_name(model: type) -> str:
    package, _, module = model.__module__.rpartition(".")
    return f"io.k8s.api.{module.replace('_', '.')}.{model.__name__}" if package == k8s.__name__ else ""


def _inlined(schema: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without references, and with room for unknown fields."""
    if "$ref" in schema:
        schema = {**types[schema["$ref"]], **schema}
    inlined: dict[str, Any] = {}
    for keyword, value in schema.items():
        match keyword:
            case "properties":
                inlined[keyword] = {name: _inlined(field, types) for name, field in value.items()}
            case "items" | "additionalProperties":
                inlined[keyword] = _inlined(value, types)
            case "$ref":
                pass
            case _:
                inlined[keyword] = value
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        inlined["x-kubernetes-preserve-unknown-fields"] = True
    return inlined
