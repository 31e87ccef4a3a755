"""A type becomes a structural OpenAPI schema, as a CustomResourceDefinition wants it.

The rules, which hold for every model:

- a field is required if it has no Python default, unless its `Schema` says otherwise;
- `X | None` is `X`: absence is how "none" looks on the wire (say `nullable=True` where null itself must be accepted);
- `Schema` marks apply from the inside out: the class's, the alias's, then the field's own; the outermost wins, and rules
  add up;
- a description is the field's docstring (the string literal below it), else the first paragraph of its class's.

What a real API server would refuse (recursion, list-map keys that may be missing, two types for one field) is refused
here, with the path of the field. Everything is pure; nothing is cached.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import types
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from controller_runtime.api.builtintypes import part_schema
from controller_runtime.api.docstrings import Docstrings
from controller_runtime.api.meta import Model
from controller_runtime.api.schema import Rule, Schema

__all__ = ["SchemaError", "model_schema"]

_NOTHING: Final = Schema()
_SCALARS: Final[dict[Any, str]] = {bool: "boolean", int: "integer", float: "number", str: "string"}
_ANYTHING: Final = {"x-kubernetes-preserve-unknown-fields": True}
# Attribute of Schema -> keyword, for those that are copied when they are set.
_KEYWORDS: Final = {
    "default": "default",
    "format": "format",
    "pattern": "pattern",
    "minimum": "minimum",
    "maximum": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "list_type": "x-kubernetes-list-type",
    "map_type": "x-kubernetes-map-type",
    "preserve_unknown_fields": "x-kubernetes-preserve-unknown-fields",
    "embedded_resource": "x-kubernetes-embedded-resource",
    "nullable": "nullable",
}


class SchemaError(ValueError):
    """A type cannot be written as a structural schema.

    Args:
        path: where, e.g. `TiKVSpec.volumes`.
        reason: why.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def model_schema(model: type[Model], *, exclude: Iterable[str] = (), rules: tuple[Rule, ...] = ()) -> dict[str, Any]:
    """Return the schema of a model as plain builtins.

    Args:
        exclude: attributes of `model` that are left out.
        rules: CEL rules in addition to the model's own.

    Raises:
        SchemaError: the type, or one that it is made of, has no structural schema.
    """
    return _Writer().model(model, Schema(rules=rules), model.__name__, frozenset(exclude))


class _Writer:
    """Walks types; remembers the models it is inside of, to notice recursion."""

    def __init__(self) -> None:
        self._inside: list[type] = []
        self._docstrings = Docstrings()

    def model(
        self, model: type[Model], marks: Schema, path: str, exclude: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        if model in self._inside:
            raise SchemaError(
                path, f"{model.__name__} contains itself: give the field's schema with Schema(schema=...)"
            )
        self._inside.append(model)
        descriptions = self._docstrings.of_fields(model)
        properties: dict[str, Any] = {}
        required: list[str] = []
        for field in msgspec.structs.fields(model):
            if field.name in exclude:
                continue
            where = f"{model.__name__}.{field.name}"
            written, own = self.annotation(field.type, where)
            if field.name in descriptions:
                written["description"] = descriptions[field.name]
            properties[field.encode_name] = written
            if field.required if own.required is None else own.required:
                required.append(field.encode_name)
        self._inside.pop()

        schema: dict[str, Any] = {"type": "object"}
        if description := self._docstrings.of_class(model):
            schema["description"] = description
        if properties:
            schema["properties"] = properties
        if required:
            schema["required"] = sorted(required)
        return _marked(schema, _merged(marks, _class_marks(model)), path)

    def annotation(self, annotation: Any, path: str, outer: Schema = _NOTHING) -> tuple[dict[str, Any], Schema]:
        """Return the schema of an annotation, and the marks that were found on it."""
        inner, marks = _unwrapped(annotation, path)
        marks = _merged(outer, marks)
        if marks.schema is not None:
            return copy.deepcopy(marks.schema), marks
        if marks.part_of is not None:
            return _marked(_part_of(marks.part_of, path), marks, path), marks
        return self._unmarked(inner, marks, path), marks

    def _unmarked(self, inner: Any, marks: Schema, path: str) -> dict[str, Any]:
        origin, arguments = get_origin(inner), get_args(inner)
        if inner is Any:
            schema: dict[str, Any] = dict(_ANYTHING)
        elif origin is list:
            items, _ = self.annotation(arguments[0], f"{path}[]", marks.items or _NOTHING)
            schema = {"type": "array", "items": items}
        elif origin is dict:
            schema = {"type": "object", **self._values(arguments, marks, path)}
        elif origin is Literal or (isinstance(inner, type) and issubclass(inner, enum.Enum)):
            values = arguments or tuple(member.value for member in inner)
            schema = {"type": _type_of(values, path), "enum": list(values)}
        elif isinstance(inner, type) and issubclass(inner, Model):
            return self.model(inner, marks, path)
        elif inner in _SCALARS:
            schema = {"type": _SCALARS[inner]}
        elif _is_union(inner) and set(arguments) == {int, str}:
            schema = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
        else:
            raise SchemaError(path, f"{inner} has no structural schema: give it with Schema(schema=...)")
        return _marked(schema, marks, path)

    def _values(self, arguments: tuple[Any, ...], marks: Schema, path: str) -> dict[str, Any]:
        if arguments[0] is not str:
            raise SchemaError(path, "the keys of a map must be strings")
        if arguments[1] is Any and marks.items is None:
            return dict(_ANYTHING)
        values, _ = self.annotation(arguments[1], f"{path}{{}}", marks.items or _NOTHING)
        return {"additionalProperties": values}


def _part_of(whole: type, path: str) -> dict[str, Any]:
    schema = part_schema(whole)
    if schema is None:
        raise SchemaError(
            path, f"the schema of {whole.__name__} isn't known: hack/generate_schemas.py lists those that are"
        )
    return schema


def _unwrapped(annotation: Any, path: str) -> tuple[Any, Schema]:
    """Strip `Annotated` and `| None`, at any depth, and return what is left with the marks that were found."""
    marks = _NOTHING
    while True:
        arguments = get_args(annotation)
        if get_origin(annotation) is Annotated:
            for mark in reversed(arguments[1:]):
                if isinstance(mark, Schema):
                    marks = _merged(marks, mark)
            annotation = arguments[0]
        elif _is_union(annotation) and type(None) in arguments:
            left = tuple(argument for argument in arguments if argument is not type(None))
            if not left:
                raise SchemaError(path, "nothing is left beside None")
            annotation = Union[left]  # noqa: UP007 (built from a tuple)
        else:
            return annotation, marks


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _type_of(values: Iterable[Any], path: str) -> str:
    kinds = {type(value) for value in values}
    if len(kinds) != 1 or not kinds <= _SCALARS.keys():
        raise SchemaError(path, "the values of an enumeration must be scalars of one type")
    return _SCALARS[kinds.pop()]


def _class_marks(model: type[Model]) -> Schema:
    """Merge the `__schema__` of a class with those of its bases: its own come first, also its rules."""
    marks = _NOTHING
    for base in model.__mro__:
        own = vars(base).get("__schema__", _NOTHING)
        marks = dataclasses.replace(_merged(marks, own), rules=marks.rules + own.rules)
    return marks


def _merged(outer: Schema, inner: Schema) -> Schema:
    """Combine two marks of one field: what `outer` sets wins, except that rules add up, the inner ones first."""
    if outer is _NOTHING:
        return inner
    changes = {
        field.name: value
        for field in dataclasses.fields(Schema)
        if (value := getattr(outer, field.name)) != getattr(_NOTHING, field.name)
    }
    return dataclasses.replace(inner, **{**changes, "rules": inner.rules + outer.rules})


def _marked(schema: dict[str, Any], marks: Schema, path: str) -> dict[str, Any]:
    """Add what the marks say to a schema."""
    for attribute, keyword in _KEYWORDS.items():
        value = getattr(marks, attribute)
        if value != getattr(_NOTHING, attribute):
            schema[keyword] = copy.deepcopy(value)
    if marks.description:
        schema["description"] = marks.description
    if marks.enum:
        schema["enum"] = list(marks.enum)
    if marks.int_or_string and "anyOf" not in schema:
        schema.pop("type", None)
        schema |= {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
    if marks.list_type == "map":
        schema["x-kubernetes-list-map-keys"] = _checked_keys(marks.list_map_keys, schema["items"], path)
    if marks.rules:
        schema["x-kubernetes-validations"] = [_rule(rule) for rule in marks.rules]
    return schema


def _checked_keys(keys: tuple[str, ...], items: dict[str, Any], path: str) -> list[str]:
    """Check that an item always has the keys it is merged by."""
    if not keys:
        raise SchemaError(path, "a list of type map needs list_map_keys")
    for key in keys:
        if key not in items.get("properties", {}):
            raise SchemaError(path, f"the items have no field {key!r} to be keyed by")
        if key not in items.get("required", ()) and "default" not in items["properties"][key]:
            raise SchemaError(path, f"the key {key!r} must be required, or have a default")
    return list(keys)


def _rule(rule: Rule) -> dict[str, str]:
    written = {"rule": rule.rule, "message": rule.message}
    if rule.field_path:
        written["fieldPath"] = rule.field_path
    if rule.reason:
        written["reason"] = rule.reason
    return written
