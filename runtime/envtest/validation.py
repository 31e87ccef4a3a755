"""Validation of values against compiled schemas, in a real server's words.

Unchanged parts of an object are not validated again (ratcheting), so an object that was stored under a laxer schema can
still be updated. Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

import orjson

from controller_runtime.envtest.equality import identical
from controller_runtime.envtest.formats import fits_format, fits_size
from controller_runtime.envtest.jsontypes import json_type
from controller_runtime.envtest.schema import Node, type_fits
from controller_runtime.envtest.status import Cause

__all__ = ["MISSING", "validate"]


@final
class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
_TYPE_FIELDS: Final = ("apiVersion", "kind")


def validate(node: Node, value: Any, old: Any, path: str, out: list[Cause], *, root: bool = False) -> None:
    """Collect what is wrong with `value`; `old` is what stood there before (or `MISSING`), and unchanged is accepted."""
    if old is not MISSING and identical(value, old):
        return
    if value is None and node.nullable:
        return
    if not type_fits(node, value):
        _tell_type(node, value, path, out)
        _validate_junctures(node, value, path, out)
        return
    _validate_value(node, value, path, out)
    if isinstance(value, dict):
        for name in (*node.required, *(_TYPE_FIELDS if node.embedded else ())):
            if name not in value:
                below = f"{path}.{name}" if path else name
                out.append(Cause(below, "Required value", "FieldValueRequired"))
        before = old if isinstance(old, dict) else None
        for name, inner in value.items():
            child = node.child(name)
            if child is None or (root and name in ("apiVersion", "kind", "metadata")):
                continue
            was = MISSING if before is None else before.get(name, MISSING)
            validate(child, inner, was, f"{path}.{name}" if path else name, out)
    elif isinstance(value, list) and node.items is not None:
        before_items = _correlated(node, old)
        for index, item in enumerate(value):
            was = before_items.get(_item_key(node, item), MISSING) if before_items else MISSING
            validate(node.items, item, was, f"{path}[{index}]", out)
        if node.list_type in ("set", "map"):
            _check_unique(node, value, path, out)


def _tell_type(node: Node, value: Any, path: str, out: list[Cause]) -> None:
    """Say that a value is of another type; a fraction is also told by the format that it cannot have, and of no field."""
    expected, found = node.type or "integer,string", json_type(value)
    fraction = node.type == "integer" and found == "number"
    if fraction and node.format:
        expected, found = node.format, "float64"
    message = f'Invalid value: "{found}": {_body(path)} must be of type {expected}: "{found}"'
    out.append(Cause(path or "<nil>", message, "FieldValueTypeInvalid"))
    if fraction:
        wanted = f"integer with format {node.format}" if node.format else "integer (default format)"
        out.append(_of_nothing(f"Checked value must be of type {wanted} in {path}"))


def _correlated(node: Node, old: Any) -> dict[bytes, Any]:
    """The items of the old list by key, if the list is a map; nothing else can be told apart."""
    if not isinstance(old, list) or node.list_type != "map":
        return {}
    return {_item_key(node, item): item for item in old}


def _item_key(node: Node, item: Any) -> bytes:
    if node.list_type == "map" and isinstance(item, dict):
        return orjson.dumps({key: item[key] for key in node.keys if key in item})
    return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)


def _check_unique(node: Node, items: list[Any], path: str, out: list[Cause]) -> None:
    for index, item in enumerate(items):
        if node.list_type == "map" and item is not None and not isinstance(item, dict):
            message = f"Invalid value: {orjson.dumps(item).decode()}: must be an object for an array of list-type map"
            out.append(Cause(f"{path}[{index}]", message))
            return
    seen: set[bytes] = set()
    for index, item in enumerate(items):
        key = _item_key(node, item)
        if key in seen:
            out.append(Cause(f"{path}[{index}]", f"Duplicate value: {key.decode()}", "FieldValueDuplicate"))
        seen.add(key)


def _body(path: str) -> str:
    return f"{path} in body" if path else "in body"


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f'"{json_type(value)}"'
    return orjson.dumps(value).decode()


def _validate_value(node: Node, value: Any, path: str, out: list[Cause]) -> None:
    field = path or "<nil>"

    def wrong(rule: str, shown: str | None = None) -> None:
        out.append(Cause(field, f"Invalid value: {_shown(value) if shown is None else shown}: {_body(path)} {rule}"))

    if node.enum is not None and value not in node.enum:
        supported = ", ".join(_shown(item) if isinstance(item, str) else f'"{_shown(item)}"' for item in node.enum)
        message = f"Unsupported value: {_shown(value)}: supported values: {supported}"
        out.append(Cause(field, message, "FieldValueNotSupported"))
    if isinstance(value, str):
        if node.max_length is not None and len(value) > node.max_length:
            message = f"Too long: may not be more than {node.max_length} bytes"
            out.append(Cause(field, message, "FieldValueTooLong"))
        if node.min_length is not None and len(value) < node.min_length:
            wrong(f"should be at least {node.min_length} chars long")
        if node.pattern is not None and not node.pattern.search(value):
            wrong(f"should match '{node.pattern_text}'")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _validate_number(node, value, wrong)
    elif isinstance(value, list):
        if node.max_items is not None and len(value) > node.max_items:
            message = f"Too many: {len(value)}: must have at most {node.max_items} items"
            out.append(Cause(field, message, "FieldValueTooMany"))
        if node.min_items is not None and len(value) < node.min_items:
            wrong(f"should have at least {node.min_items} items", str(len(value)))
    elif isinstance(value, dict):
        if node.max_properties is not None and len(value) > node.max_properties:
            message = f"Too many: {len(value)}: must have at most {node.max_properties} items"
            out.append(Cause(field, message, "FieldValueTooMany"))
        if node.min_properties is not None and len(value) < node.min_properties:
            wrong(f"should have at least {node.min_properties} properties", str(len(value)))
    if node.format:
        _validate_format(node, value, path, out)
    _validate_junctures(node, value, path, out)


def _validate_number(node: Node, value: float, wrong: Callable[[str], None]) -> None:
    low, high = node.minimum, node.maximum
    if low is not None and (value < low or (node.exclusive_minimum and value == low)):
        wrong(f"should be greater than {'' if node.exclusive_minimum else 'or equal to '}{low}")
    if high is not None and (value > high or (node.exclusive_maximum and value == high)):
        wrong(f"should be less than {'' if node.exclusive_maximum else 'or equal to '}{high}")
    if node.multiple_of is not None and value % node.multiple_of:
        wrong(f"should be a multiple of {node.multiple_of}")


def _validate_format(node: Node, value: Any, path: str, out: list[Cause]) -> None:
    if isinstance(value, str):
        if not fits_format(node.format, value):
            message = f'Invalid value: "{value}": {_body(path)} must be of type {node.format}: "{value}"'
            out.append(Cause(path or "<nil>", message, "FieldValueTypeInvalid"))
    elif not fits_size(node.format, value):
        text = f"Checked value must be of type {node.type} with format {node.format} in {path}"
        out.append(_of_nothing(text))


def _validate_junctures(node: Node, value: Any, path: str, out: list[Cause]) -> None:
    """Alternatives: what is wrong is said of no field, as a real server does it, with what is wrong in the first of them."""

    def problems(inner: Node) -> list[Cause]:
        found: list[Cause] = []
        validate(inner, value, MISSING, path, found)
        return found

    shown = f'"{path}"'
    every = [cause for inner in node.all_of for cause in problems(inner)]
    if every:
        out += [*every, _of_nothing(f"{shown} must validate all the schemas (allOf)")]
    any_of = [problems(inner) for inner in node.any_of]
    if any_of and all(any_of):
        out += [_of_nothing(f"{shown} must validate at least one schema (anyOf)"), *any_of[0]]
    one_of = [problems(inner) for inner in node.one_of]
    valid = sum(not found for found in one_of)
    if one_of and valid != 1:
        count = f"Found {valid} valid alternatives" if valid else "Found none valid"
        out.append(_of_nothing(f"{shown} must validate one and only one schema (oneOf). {count}"))
        out += [] if valid else one_of[0]
    if node.unless is not None and not problems(node.unless):
        out.append(_of_nothing(f"{shown} must not validate the schema (not)"))


def _of_nothing(text: str) -> Cause:
    return Cause("<nil>", f'Invalid value: "": {text}')
