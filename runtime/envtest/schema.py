"""Structural OpenAPI schemas, compiled once: pruning and defaulting (validation is in `validation`).

`compile_schema` turns an `openAPIV3Schema` into a tree of nodes; everything else walks that tree.

Pure functions; compiled nodes are immutable and shared. `prune` and `set_defaults` change the object that they are given.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, final

import orjson

from controller_runtime.envtest.celrules import CompiledRule, escaped
from controller_runtime.envtest.jsontypes import json_type

__all__ = ["Node", "SchemaProblem", "compile_schema", "prune", "set_defaults", "type_fits"]


class SchemaProblem(ValueError):
    """A schema cannot be compiled; the message starts with the path below `openAPIV3Schema`."""


@final
class Node:
    """One compiled schema. Attributes are the keywords of the same name."""

    __slots__ = (
        "additional", "all_of", "any_of", "default", "embedded", "enum", "exclusive_maximum", "exclusive_minimum",
        "format", "has_defaults", "has_rules", "int_or_string", "items", "keys", "list_type", "max_items", "max_length",
        "max_properties", "maximum", "min_items", "min_length", "min_properties", "minimum", "multiple_of", "nullable",
        "one_of", "pattern", "pattern_text", "preserve", "properties", "prunes", "required", "reshaped", "rules", "type",
        "unless",
    )  # fmt: skip

    def __init__(self, schema: Mapping[str, Any], path: str) -> None:
        self.type: str = schema.get("type", "")
        self.nullable: bool = schema.get("nullable", False)
        self.int_or_string: bool = schema.get("x-kubernetes-int-or-string", False)
        self.preserve: bool = schema.get("x-kubernetes-preserve-unknown-fields", False)
        self.embedded: bool = schema.get("x-kubernetes-embedded-resource", False)
        self.list_type: str = schema.get("x-kubernetes-list-type", "")
        self.keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        self.default: bytes | None = orjson.dumps(schema["default"]) if "default" in schema else None
        self._compile_values(schema, path)
        self._compile_children(schema, path)
        self.rules: tuple[CompiledRule, ...] = tuple(
            _compile_rule(rule, f"{path}.x-kubernetes-validations[{index}]")
            for index, rule in enumerate(schema.get("x-kubernetes-validations", ()))
        )
        self._summarise()

    def _compile_values(self, schema: Mapping[str, Any], path: str) -> None:
        self.required: tuple[str, ...] = tuple(schema.get("required", ()))
        self.enum: tuple[Any, ...] | None = tuple(schema["enum"]) if "enum" in schema else None
        self.format: str = schema.get("format", "")
        self.pattern_text: str = schema.get("pattern", "")
        self.pattern: re.Pattern[str] | None = None
        if self.pattern_text:
            try:
                self.pattern = re.compile(_python_pattern(self.pattern_text), re.ASCII)
            except re.error as error:
                message = f"{path}.pattern: Invalid value: {self.pattern_text!r}: {error}"
                raise SchemaProblem(message) from error
        self.minimum: float | None = schema.get("minimum")
        self.maximum: float | None = schema.get("maximum")
        self.exclusive_minimum: bool = schema.get("exclusiveMinimum", False)
        self.exclusive_maximum: bool = schema.get("exclusiveMaximum", False)
        self.multiple_of: float | None = schema.get("multipleOf")
        self.min_length: int | None = schema.get("minLength")
        self.max_length: int | None = schema.get("maxLength")
        self.min_items: int | None = schema.get("minItems")
        self.max_items: int | None = schema.get("maxItems")
        self.min_properties: int | None = schema.get("minProperties")
        self.max_properties: int | None = schema.get("maxProperties")

    def _compile_children(self, schema: Mapping[str, Any], path: str) -> None:
        self.properties: dict[str, Node] = {
            name: Node(inner, f"{path}.properties[{name}]") for name, inner in schema.get("properties", {}).items()
        }
        additional = schema.get("additionalProperties")
        self.additional: Node | None = None
        if isinstance(additional, Mapping):
            self.additional = Node(additional, f"{path}.additionalProperties")
        elif additional is True:
            self.preserve = True
        self.items: Node | None = Node(schema["items"], f"{path}.items") if "items" in schema else None

        def juncture(keyword: str) -> tuple[Node, ...]:
            return tuple(Node(inner, f"{path}.{keyword}[{i}]") for i, inner in enumerate(schema.get(keyword, ())))

        self.all_of = juncture("allOf")
        self.any_of = juncture("anyOf")
        self.one_of = juncture("oneOf")
        self.unless: Node | None = Node(schema["not"], f"{path}.not") if "not" in schema else None

    def _summarise(self) -> None:
        """Note what a walk may skip."""
        children = self.children()
        self.has_rules: bool = bool(self.rules) or any(child.has_rules for child in children)
        self.has_defaults: bool = any(child.default is not None or child.has_defaults for child in children)
        self.prunes: bool = self.type in ("object", "array") or bool(children)
        # Whether a value must be rewritten before a CEL expression may see it.
        self.reshaped: bool = (
            self.type == "number"
            or any(child.reshaped for child in children)
            or any(escaped(name) != name for name in self.properties)
        )

    def unknown_functions(self) -> list[str]:
        """The functions of the rules at and below this node that a real server knows and this one doesn't."""
        found = {name for rule in self.rules for name in rule.unknown}
        for child in self.children():
            found.update(child.unknown_functions())
        return sorted(found)

    def children(self) -> list[Node]:
        children = list(self.properties.values())
        if self.additional is not None:
            children.append(self.additional)
        if self.items is not None:
            children.append(self.items)
        return children

    def child(self, name: str) -> Node | None:
        return self.properties.get(name) or self.additional


def compile_schema(schema: Mapping[str, Any]) -> Node:
    """Compile an `openAPIV3Schema`.

    The last ones are remembered, for all servers of a process: a definition is compiled when it is checked, when it is
    served, and in each cluster that it is installed in; one with a pod's spec in it takes some ten milliseconds.

    Raises:
        SchemaProblem: a pattern or a CEL rule in it cannot be compiled.
    """
    return _compiled(orjson.dumps(schema))


@functools.lru_cache(maxsize=64)
def _compiled(schema: bytes) -> Node:
    return Node(orjson.loads(schema), "openAPIV3Schema")


def _compile_rule(rule: Mapping[str, Any], path: str) -> CompiledRule:
    try:
        return CompiledRule(rule)
    except ValueError as error:
        raise SchemaProblem(
            f"{path}.rule: Invalid value: {rule.get('rule', '')!r}: compilation failed: {error}"
        ) from error


def _python_pattern(pattern: str) -> str:
    """RE2's `$` matches at the end alone, Python's also before a final newline."""
    pattern = pattern.replace(r"\z", r"\Z")
    if pattern.endswith("$") and not pattern.endswith(r"\$"):
        pattern = pattern[:-1] + r"\Z"
    return pattern


def prune(node: Node, value: Any, path: str, unknown: list[str], *, root: bool = False) -> None:
    """Remove the fields that the schema does not know, and nulls where null is no value; collect the paths of the former.

    `apiVersion`, `kind` and `metadata` of the root and of embedded resources are always known.
    """
    if isinstance(value, dict):
        for name in list(value):
            if root and name in ("apiVersion", "kind", "metadata"):
                continue
            child = node.child(name)
            inner = value[name]
            if child is None:
                if not node.preserve:
                    del value[name]
                    unknown.append(f"{path}.{name}" if path else name)
            elif inner is None and not child.nullable:
                del value[name]
            elif child.prunes:
                below = f"{path}.{name}" if path else name
                prune(child, inner, below, unknown, root=child.embedded)
    elif isinstance(value, list) and node.items is not None and node.items.prunes:
        for index, item in enumerate(value):
            prune(node.items, item, f"{path}[{index}]", unknown, root=node.items.embedded)


def set_defaults(node: Node, value: Any) -> None:
    """Set the schema's defaults where a field is missing."""
    if not node.has_defaults:
        return
    if isinstance(value, dict):
        for name, child in node.properties.items():
            if child.default is not None and name not in value:
                value[name] = orjson.loads(child.default)
            if child.has_defaults and name in value:
                set_defaults(child, value[name])
        if node.additional is not None and node.additional.has_defaults:
            for name, inner in value.items():
                if name not in node.properties:
                    set_defaults(node.additional, inner)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            set_defaults(node.items, item)


def type_fits(node: Node, value: Any) -> bool:
    """Whether a value has the JSON type that the schema asks for."""
    if node.int_or_string:
        return isinstance(value, (int, str)) and not isinstance(value, bool)
    if not node.type:
        return True
    found = json_type(value)
    return found == node.type or (node.type == "number" and found == "integer")
