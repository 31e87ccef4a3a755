"""Structural schemas: pruning, defaults and validation, in a real server's words."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.envtest.schema import SchemaProblem, compile_schema, prune, set_defaults
from controller_runtime.envtest.status import Cause
from controller_runtime.envtest.validation import MISSING, validate


def problems(schema: dict[str, Any], value: Any, old: Any = MISSING) -> list[str]:
    causes: list[Cause] = []
    validate(compile_schema(schema), value, old, "f", causes)
    return [cause.text for cause in causes]


STRING = {"type": "string"}
INTEGER = {"type": "integer"}
WHOLE = '<nil>: Invalid value: "": Checked value must be of type integer (default format) in f'


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (INTEGER, "x", ['f: Invalid value: "string": f in body must be of type integer: "string"']),
        (INTEGER, 1.5, ['f: Invalid value: "number": f in body must be of type integer: "number"', WHOLE]),
        (INTEGER, True, ['f: Invalid value: "boolean": f in body must be of type integer: "boolean"']),
        (STRING, None, ['f: Invalid value: "null": f in body must be of type string: "null"']),
        ({"type": "object"}, [], ['f: Invalid value: "array": f in body must be of type object: "array"']),
        (
            {"x-kubernetes-int-or-string": True},
            {},
            ['f: Invalid value: "object": f in body must be of type integer,string: "object"'],
        ),
        ({**INTEGER, "minimum": 0}, -1, ["f: Invalid value: -1: f in body should be greater than or equal to 0"]),
        (
            {**INTEGER, "minimum": 0, "exclusiveMinimum": True},
            0,
            ["f: Invalid value: 0: f in body should be greater than 0"],
        ),
        ({**INTEGER, "maximum": 9}, 10, ["f: Invalid value: 10: f in body should be less than or equal to 9"]),
        ({**INTEGER, "multipleOf": 2}, 3, ["f: Invalid value: 3: f in body should be a multiple of 2"]),
        (
            {**INTEGER, "format": "int32"},
            2**31,
            ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in f'],
        ),
        ({**STRING, "minLength": 1}, "", ['f: Invalid value: "": f in body should be at least 1 chars long']),
        ({**STRING, "maxLength": 2}, "abc", ["f: Too long: may not be more than 2 bytes"]),
        ({**STRING, "pattern": "^a+$"}, "b", ["f: Invalid value: \"b\": f in body should match '^a+$'"]),
        ({**STRING, "pattern": "^a+$"}, "a\n", ["f: Invalid value: \"a\\n\": f in body should match '^a+$'"]),
        ({**STRING, "enum": ["A", "B"]}, "C", ['f: Unsupported value: "C": supported values: "A", "B"']),
        (
            {**STRING, "format": "date-time"},
            "today",
            ['f: Invalid value: "today": f in body must be of type date-time: "today"'],
        ),
        (
            {"type": "object", "minProperties": 1},
            {},
            ["f: Invalid value: 0: f in body should have at least 1 properties"],
        ),
        (
            {"type": "object", "maxProperties": 1, "additionalProperties": STRING},
            {"a": "", "b": ""},
            ["f: Too many: 2: must have at most 1 items"],
        ),
        ({"type": "array", "minItems": 1}, [], ["f: Invalid value: 0: f in body should have at least 1 items"]),
        ({"type": "array", "maxItems": 1}, [1, 2], ["f: Too many: 2: must have at most 1 items"]),
        ({"type": "object", "required": ["a"]}, {}, ["f.a: Required value"]),
        (
            {"type": "array", "items": {"type": "object", "properties": {"n": INTEGER}}},
            [{"n": 1}, {"n": "x"}],
            ['f[1].n: Invalid value: "string": f[1].n in body must be of type integer: "string"'],
        ),
        (
            {"type": "object", "additionalProperties": INTEGER},
            {"k": "x"},
            ['f.k: Invalid value: "string": f.k in body must be of type integer: "string"'],
        ),
        (
            {"type": "array", "x-kubernetes-list-type": "set", "items": STRING},
            ["a", "b", "a"],
            ['f[2]: Duplicate value: "a"'],
        ),
        (
            {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": STRING}},
            },
            [{"name": "a"}, {"name": "a"}],
            ['f[1]: Duplicate value: {"name":"a"}'],
        ),
        (
            {"anyOf": [INTEGER, STRING]},
            [],
            [
                '<nil>: Invalid value: "": "f" must validate at least one schema (anyOf)',
                'f: Invalid value: "array": f in body must be of type integer: "array"',
            ],
        ),
        (
            {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"},
            {"a": 1, "b": 1},
            [
                '<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). Found 2 valid alternatives',
            ],
        ),
        ({"not": STRING}, "x", ['<nil>: Invalid value: "": "f" must not validate the schema (not)']),
        (
            {"allOf": [{"minLength": 2}], **STRING},
            "x",
            [
                'f: Invalid value: "x": f in body should be at least 2 chars long',
                '<nil>: Invalid value: "": "f" must validate all the schemas (allOf)',
            ],
        ),
        ({**STRING, "nullable": True}, None, []),
        ({"type": "number"}, 1, []),
        (INTEGER, 2.0, []),
        ({"x-kubernetes-int-or-string": True}, "50%", []),
        ({**STRING, "format": "unheard-of"}, "x", []),
    ],
)
def test_what_a_value_may_be(schema: dict[str, Any], value: Any, expected: list[str]) -> None:
    assert problems(schema, value) == expected


def test_what_has_not_changed_is_not_judged_again() -> None:
    schema = {"type": "object", "properties": {"a": {**INTEGER, "maximum": 1}, "b": {**INTEGER, "maximum": 1}}}
    assert problems(schema, {"a": 5, "b": 5}, {"a": 5, "b": 1}) == [
        "f.b: Invalid value: 5: f.b in body should be less than or equal to 1"
    ]


def test_items_of_a_map_list_are_compared_by_key_when_they_move() -> None:
    schema = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "properties": {"name": STRING, "n": {**INTEGER, "maximum": 1}}},
    }
    old = [{"name": "a", "n": 5}]
    assert problems(schema, [{"name": "b", "n": 1}, {"name": "a", "n": 5}], old) == []


@pytest.mark.parametrize(
    ("schema", "value", "left", "unknown"),
    [
        ({"type": "object", "properties": {"a": STRING}}, {"a": "1", "b": "2"}, {"a": "1"}, ["b"]),
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            {"b": {"c": 1}},
            {"b": {"c": 1}},
            [],
        ),
        (
            {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {"a": {"type": "object", "properties": {"x": STRING}}},
            },
            {"b": 1, "a": {"x": "1", "y": 2}},
            {"b": 1, "a": {"x": "1"}},
            ["a.y"],
        ),
        (
            {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": STRING}}},
            {"k": {"y": 1}},
            {"k": {}},
            ["k.y"],
        ),
        (
            {"type": "object", "properties": {"l": {"type": "array", "items": {"type": "object"}}}},
            {"l": [{"x": 1}]},
            {"l": [{}]},
            ["l[0].x"],
        ),
        ({"type": "object", "properties": {"a": STRING}}, {"a": None}, {}, []),
        ({"type": "object", "properties": {"a": {**STRING, "nullable": True}}}, {"a": None}, {"a": None}, []),
        (
            {"type": "object", "properties": {"t": {"type": "object", "x-kubernetes-embedded-resource": True}}},
            {"t": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}, "spec": {}}},
            {"t": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}}},
            ["t.spec"],
        ),
    ],
)
def test_what_the_schema_does_not_know_is_pruned(schema: Any, value: Any, left: Any, unknown: list[str]) -> None:
    found: list[str] = []
    prune(compile_schema(schema), value, "", found)
    assert value == left
    assert found == unknown


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"properties": {"a": {**INTEGER, "default": 5}}}, {}, {"a": 5}),
        ({"properties": {"a": {**INTEGER, "default": 5}}}, {"a": 0}, {"a": 0}),
        ({"properties": {"o": {"properties": {"a": {**INTEGER, "default": 5}}}}}, {}, {}),
        ({"properties": {"o": {"properties": {"a": {**INTEGER, "default": 5}}}}}, {"o": {}}, {"o": {"a": 5}}),
        (
            {"properties": {"o": {"default": {}, "properties": {"a": {**INTEGER, "default": 5}}}}},
            {},
            {"o": {"a": 5}},
        ),
        (
            {"properties": {"l": {"items": {"properties": {"a": {**INTEGER, "default": 5}}}}}},
            {"l": [{}, {"a": 1}]},
            {"l": [{"a": 5}, {"a": 1}]},
        ),
        ({"additionalProperties": {"properties": {"a": {**INTEGER, "default": 5}}}}, {"k": {}}, {"k": {"a": 5}}),
    ],
)
def test_defaults_fill_what_is_missing_where_there_is_something_to_fill(schema: Any, value: Any, expected: Any) -> None:
    set_defaults(compile_schema(schema), value)
    assert value == expected


def test_defaults_are_never_shared() -> None:
    node = compile_schema({"properties": {"l": {"type": "array", "default": ["x"]}}})
    one: dict[str, Any] = {}
    two: dict[str, Any] = {}
    set_defaults(node, one)
    one["l"].append("y")
    set_defaults(node, two)
    assert two == {"l": ["x"]}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"properties": {"a": {"pattern": "("}}}, "openAPIV3Schema.properties[a].pattern"),
        ({"x-kubernetes-validations": [{"rule": "self +"}]}, "openAPIV3Schema.x-kubernetes-validations[0].rule"),
    ],
)
def test_a_schema_that_cannot_be_compiled_is_refused_with_the_path(schema: Any, path: str) -> None:
    with pytest.raises(SchemaProblem, match=r"^" + path.replace("[", r"\[").replace("]", r"\]")):
        compile_schema(schema)
