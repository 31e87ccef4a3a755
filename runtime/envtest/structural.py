"""Whether a schema is structural: every part has a type, defaults fit, and lists that are maps have their keys.

A real server refuses a CustomResourceDefinition whose schema isn't (Kubernetes documentation, "Specifying a structural
schema"). Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from controller_runtime.envtest.schema import compile_schema, prune
from controller_runtime.envtest.status import Cause
from controller_runtime.envtest.validation import MISSING, validate

__all__ = ["structural_problems"]

Schema = Mapping[str, Any]

_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_LIST_TYPES: Final = ("atomic", "set", "map")
_JUNCTURES: Final = ("allOf", "anyOf", "oneOf")
_VALUES_ONLY: Final = ("default", "description", "type", "nullable", "title")
_REASONS: Final = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")


def structural_problems(schema: Schema, path: str) -> list[Cause]:
    """Return what keeps a schema from being structural."""
    if schema.get("type") != "object":
        return [Cause(f"{path}.type", f'Invalid value: "{schema.get("type", "")}": must be object at the root')]
    causes = list(_check(schema, path))
    metadata = schema.get("properties", {}).get("metadata", {})
    if set(metadata.get("properties", {})) - {"name", "generateName"}:
        message = "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
        causes.append(Cause(f"{path}.properties[metadata]", message, "FieldValueForbidden"))
    return causes


def _check(schema: Schema, path: str) -> Iterator[Cause]:
    yield from _check_keywords(schema, path)
    if schema.get("x-kubernetes-list-type"):
        yield from _check_list(schema, path)
    if schema.get("default") is not None and not any(True for _ in _wrong_below(schema, path)):
        yield from _check_default(schema, path)
    for index, rule in enumerate(schema.get("x-kubernetes-validations", ())):
        yield from _check_rule(rule, f"{path}.x-kubernetes-validations[{index}]")
    for below, where, what in _below(schema, path):
        loose = below.get("x-kubernetes-int-or-string") or below.get("x-kubernetes-preserve-unknown-fields")
        if not below.get("type") and not loose and "$ref" not in below:
            message = f"Required value: must not be empty for specified {what}"
            yield Cause(f"{where}.type", message, "FieldValueRequired")
        else:
            yield from _check(below, where)
    for keyword in _JUNCTURES:
        for index, alternative in enumerate(schema.get(keyword, ())):
            if not schema.get("x-kubernetes-int-or-string"):  # whose alternatives name both types
                yield from _check_alternative(alternative, f"{path}.{keyword}[{index}]")
    if "not" in schema:
        yield from _check_alternative(schema["not"], f"{path}.not")


def _below(schema: Schema, path: str) -> Iterator[tuple[Schema, str, str]]:
    """The schemas below one, with their places and what they describe."""
    for name, below in schema.get("properties", {}).items():
        yield below, f"{path}.properties[{name}]", "object fields"
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        yield additional, f"{path}.additionalProperties", "object fields"
    if isinstance(schema.get("items"), Mapping):
        yield schema["items"], f"{path}.items", "array items"


def _wrong_below(schema: Schema, path: str) -> Iterator[Cause]:
    for below, where, _ in _below(schema, path):
        yield from _check(below, where)


def _check_keywords(schema: Schema, path: str) -> Iterator[Cause]:
    kind = schema.get("type")
    if kind and kind not in _TYPES:
        supported = ", ".join(f'"{name}"' for name in _TYPES)
        message = f'Unsupported value: "{kind}": supported values: {supported}'
        yield Cause(f"{path}.type", message, "FieldValueNotSupported")
    if "$ref" in schema:
        yield Cause(f"{path}.$ref", "Forbidden: $ref is not supported", "FieldValueForbidden")
    if schema.get("uniqueItems"):
        message = "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield Cause(f"{path}.uniqueItems", message, "FieldValueForbidden")
    if schema.get("properties") and isinstance(schema.get("additionalProperties"), Mapping):
        message = "Forbidden: additionalProperties and properties are mutual exclusive"
        yield Cause(f"{path}.additionalProperties", message, "FieldValueForbidden")
    if kind == "array" and "items" not in schema:
        yield Cause(f"{path}.items", "Required value: must be specified", "FieldValueRequired")
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield Cause(f"{path}.x-kubernetes-preserve-unknown-fields", "Invalid value: false: must be true or undefined")


def _check_list(schema: Schema, path: str) -> Iterator[Cause]:
    list_type, kind, items = schema["x-kubernetes-list-type"], schema.get("type", ""), schema.get("items", {})
    if kind != "array":
        yield Cause(f"{path}.type", f'Invalid value: "{kind}": must be array if x-kubernetes-list-type is specified')
    if list_type not in _LIST_TYPES:
        supported = ", ".join(f'"{name}"' for name in _LIST_TYPES)
        message = f'Unsupported value: "{list_type}": supported values: {supported}'
        yield Cause(f"{path}.x-kubernetes-list-type", message, "FieldValueNotSupported")
    if list_type == "set" and items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        message = "Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set"
        yield Cause(f"{path}.items.x-kubernetes-map-type", message)
    if list_type == "map":
        keys, properties = schema.get("x-kubernetes-list-map-keys") or [], items.get("properties", {})
        field = f"{path}.x-kubernetes-list-map-keys"
        if not keys:
            message = "Required value: must not be empty if x-kubernetes-list-type is map"
            yield Cause(field, message, "FieldValueRequired")
        elif not set(keys) <= set(properties):
            shown = orjson.dumps(keys).decode()
            yield Cause(field, f"Invalid value: {shown}: entries must all be names of item properties")
        for key in keys:
            if key in properties and key not in items.get("required", ()) and "default" not in properties[key]:
                message = (
                    "Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a "
                    "required property"
                )
                yield Cause(f"{path}.items.properties[{key}].default", message, "FieldValueRequired")


def _check_default(schema: Schema, path: str) -> Iterator[Cause]:
    node, value = compile_schema(schema), orjson.loads(orjson.dumps(schema["default"]))
    unknown: list[str] = []
    prune(node, value, "", unknown)
    if unknown:
        shown = orjson.dumps(schema["default"]).decode()
        yield Cause(f"{path}.default", f"Invalid value: {shown}: must not have unknown fields")
        return
    causes: list[Cause] = []
    validate(node, value, MISSING, "", causes)
    for cause in causes:
        yield Cause(f"{path}.default", cause.message.replace(": in body", ":  in body", 1), cause.reason)


def _check_rule(rule: Mapping[str, Any], path: str) -> Iterator[Cause]:
    text = str(rule.get("rule") or "")
    if not text.strip():
        yield Cause(f"{path}.rule", "Required value: rule is not specified", "FieldValueRequired")
    if "\n" in text.strip() and not rule.get("message"):
        message = "Required value: message must be specified if rule contains line breaks"
        yield Cause(f"{path}.message", message, "FieldValueRequired")
    reason = rule.get("reason")
    if reason and reason not in _REASONS:
        supported = ", ".join(f'"{name}"' for name in _REASONS)
        message = f'Unsupported value: "{reason}": supported values: {supported}'
        yield Cause(f"{path}.reason", message, "FieldValueNotSupported")


def _check_alternative(schema: Schema, path: str) -> Iterator[Cause]:
    """In an alternative only values may be restricted: what is there, and what it is like, is said outside of it."""
    for keyword in _VALUES_ONLY:
        if schema.get(keyword):
            yield Cause(f"{path}.{keyword}", "Forbidden: must be undefined to be structural", "FieldValueForbidden")
    for name, below in schema.get("properties", {}).items():
        yield from _check_alternative(below, f"{path}.properties[{name}]")
    if isinstance(schema.get("items"), Mapping):
        yield from _check_alternative(schema["items"], f"{path}.items")
