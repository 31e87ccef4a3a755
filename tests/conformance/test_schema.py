"""Structural schemas: pruning, defaults, nullable, int-or-string, list types, and every kind of wrong value."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from helpers.definitions import CRDS, GROUP, causes, definition, path_of, refused
from helpers.rest import Api

TEXT = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["must"],
    "properties": {
        "must": TEXT,
        "int": {"type": "integer", "minimum": 1, "maximum": 10},
        "open": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 5, "exclusiveMaximum": True},
        "even": {"type": "integer", "multipleOf": 2},
        "number": {"type": "number"},
        "flag": {"type": "boolean"},
        "sized": {"type": "string", "minLength": 2, "maxLength": 4},
        "pattern": {"type": "string", "pattern": "^[a-z]+$"},
        "enum": {"type": "string", "enum": ["A", "B"]},
        "intEnum": {"type": "integer", "enum": [1, 2]},
        "either": {"x-kubernetes-int-or-string": True},
        "nullable": {"type": "string", "nullable": True},
        "nullableDefault": {"type": "string", "nullable": True, "default": "d"},
        "default": {"type": "string", "default": "d"},
        "array": {"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "integer"}},
        "object": {"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": TEXT},
        "time": {"type": "string", "format": "date-time"},
        "small": {"type": "integer", "format": "int32"},
        "address": {"type": "string", "format": "ipv4"},
        "bytes": {"type": "string", "format": "byte"},
        "duration": {"type": "string", "format": "duration"},
        "uuid": {"type": "string", "format": "uuid"},
        "cidr": {"type": "string", "format": "cidr"},
        "uri": {"type": "string", "format": "uri"},
        "email": {"type": "string", "format": "email"},
        "hostname": {"type": "string", "format": "hostname"},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
        "map": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": {
                "type": "object",
                "required": ["k"],
                "properties": {"k": TEXT, "v": {"type": "integer", "minimum": 0}},
            },
        },
        "anyOf": {
            "type": "object",
            "properties": {"a": TEXT, "b": TEXT},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        "oneOf": {
            "type": "object",
            "properties": {"a": TEXT, "b": TEXT},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        "not": {"type": "object", "properties": {"a": TEXT}, "not": {"required": ["a"]}},
        "allOf": {"type": "integer", "allOf": [{"minimum": 3}, {"maximum": 5}]},
        "deep": {
            "type": "object",
            "default": {},
            "properties": {
                "x": {"type": "integer", "default": 7},
                "y": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"z": {"type": "string", "default": "q"}}},
                },
            },
        },
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"known": {"type": "object", "properties": {"k": TEXT}}},
        },
        "embedded": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
    },
}
DEFAULTS = {"must": "x", "nullableDefault": "d", "default": "d", "deep": {"x": 7}}


def shaped(name: str = "a", **spec: Any) -> dict[str, Any]:
    body = {"apiVersion": f"{GROUP}/v1", "kind": "Shaped", "metadata": {"name": name}}
    return {**body, "spec": {"must": "x", **spec}}


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def crd(administrator: Api) -> AsyncIterator[None]:
    await administrator.cluster.install_crds(definition("shapeds", "Shaped", SCHEMA))
    yield
    (await administrator.delete(f"{CRDS}/shapeds.{GROUP}")).ok()


def invalid(field: str, value: Any, rule: str) -> list[tuple[str, str, str]]:
    return [("FieldValueInvalid", f"spec.{field}", f"Invalid value: {value}: spec.{field} in body {rule}")]


def mistyped(field: str, found: str, expected: str) -> list[tuple[str, str, str]]:
    message = f'Invalid value: "{found}": spec.{field} in body must be of type {expected}: "{found}"'
    return [("FieldValueTypeInvalid", f"spec.{field}", message)]


def of_nothing(text: str) -> tuple[str, str, str]:
    return ("FieldValueInvalid", "<nil>", f'Invalid value: "": {text}')


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"int": 0}, invalid("int", 0, "should be greater than or equal to 1")),
        ({"int": 11}, invalid("int", 11, "should be less than or equal to 10")),
        ({"open": 0}, invalid("open", 0, "should be greater than 0")),
        ({"open": 5}, invalid("open", 5, "should be less than 5")),
        ({"even": 3}, invalid("even", 3, "should be a multiple of 2")),
        ({"sized": "a"}, invalid("sized", '"a"', "should be at least 2 chars long")),
        ({"sized": "abcde"}, [("FieldValueTooLong", "spec.sized", "Too long: may not be more than 4 bytes")]),
        ({"pattern": "A1"}, invalid("pattern", '"A1"', "should match '^[a-z]+$'")),
        (
            {"enum": "C"},
            [("FieldValueNotSupported", "spec.enum", 'Unsupported value: "C": supported values: "A", "B"')],
        ),
        (
            {"intEnum": 3},
            [("FieldValueNotSupported", "spec.intEnum", 'Unsupported value: 3: supported values: "1", "2"')],
        ),
        ({"array": [1]}, invalid("array", 1, "should have at least 2 items")),
        (
            {"array": [1, 2, 3, 4]},
            [("FieldValueTooMany", "spec.array", "Too many: 4: must have at most 3 items")],
        ),
        ({"object": {}}, invalid("object", 0, "should have at least 1 properties")),
        (
            {"object": {"a": "1", "b": "2", "c": "3"}},
            [("FieldValueTooMany", "spec.object", "Too many: 3: must have at most 2 items")],
        ),
        ({"object": {"a": 1}}, mistyped("object.a", "integer", "string")),
        ({"array": [1, "a"]}, mistyped("array[1]", "string", "integer")),
        ({"flag": "true"}, mistyped("flag", "string", "boolean")),
        ({"int": "3"}, mistyped("int", "string", "integer")),
        ({"int": True}, mistyped("int", "boolean", "integer")),
        ({"must": 1}, mistyped("must", "integer", "string")),
        (
            {"int": 3.5},
            [
                of_nothing("Checked value must be of type integer (default format) in spec.int"),
                *mistyped("int", "number", "integer"),
            ],
        ),
        (
            {"small": 3.5},
            [
                of_nothing("Checked value must be of type integer with format int32 in spec.small"),
                (
                    "FieldValueTypeInvalid",
                    "spec.small",
                    'Invalid value: "float64": spec.small in body must be of type int32: "float64"',
                ),
            ],
        ),
        ({"small": "3"}, mistyped("small", "string", "integer")),
        ({"either": True}, mistyped("either", "boolean", "integer,string")),
        ({"either": {}}, mistyped("either", "object", "integer,string")),
        ({"time": "yesterday"}, mistyped("time", "yesterday", "date-time")),
        ({"address": "1.2.3"}, mistyped("address", "1.2.3", "ipv4")),
        ({"bytes": "***"}, mistyped("bytes", "***", "byte")),
        ({"duration": "5 parsecs"}, mistyped("duration", "5 parsecs", "duration")),
        ({"uuid": "x"}, mistyped("uuid", "x", "uuid")),
        ({"cidr": "10.0.0.0"}, mistyped("cidr", "10.0.0.0", "cidr")),
        ({"uri": "::"}, mistyped("uri", "::", "uri")),
        ({"email": "x"}, mistyped("email", "x", "email")),
        ({"hostname": "a_b"}, mistyped("hostname", "a_b", "hostname")),
        (
            {"small": 3_000_000_000},
            [of_nothing("Checked value must be of type integer with format int32 in spec.small")],
        ),
        ({"set": ["a", "b", "a"]}, [("FieldValueDuplicate", "spec.set[2]", 'Duplicate value: "a"')]),
        (
            {"map": [{"k": "a"}, {"k": "a"}]},
            [("FieldValueDuplicate", "spec.map[1]", 'Duplicate value: {"k":"a"}')],
        ),
        ({"map": [{"v": 1}]}, [("FieldValueRequired", "spec.map[0].k", "Required value")]),
        (
            {"map": [{"v": 1}, {"v": 2}]},
            [
                ("FieldValueDuplicate", "spec.map[1]", "Duplicate value: {}"),
                ("FieldValueRequired", "spec.map[0].k", "Required value"),
                ("FieldValueRequired", "spec.map[1].k", "Required value"),
            ],
        ),
        (
            {"map": [{"k": "a"}, "b", {"k": "a"}]},
            [
                (
                    "FieldValueInvalid",
                    "spec.map[1]",
                    'Invalid value: "b": must be an object for an array of list-type map',
                ),
                *mistyped("map[1]", "string", "object"),
            ],
        ),
        ({"map": [None, {"k": "a"}]}, mistyped("map[0]", "null", "object")),
        ({"map": [{"k": "a", "v": -1}]}, invalid("map[0].v", -1, "should be greater than or equal to 0")),
        (
            {"anyOf": {}},
            [
                of_nothing('"spec.anyOf" must validate at least one schema (anyOf)'),
                ("FieldValueRequired", "spec.anyOf.a", "Required value"),
            ],
        ),
        ({"anyOf": "a"}, mistyped("anyOf", "string", "object")),
        (
            {"oneOf": {}},
            [
                of_nothing('"spec.oneOf" must validate one and only one schema (oneOf). Found none valid'),
                ("FieldValueRequired", "spec.oneOf.a", "Required value"),
            ],
        ),
        (
            {"oneOf": {"a": "1", "b": "2"}},
            [of_nothing('"spec.oneOf" must validate one and only one schema (oneOf). Found 2 valid alternatives')],
        ),
        ({"not": {"a": "1"}}, [of_nothing('"spec.not" must not validate the schema (not)')]),
        (
            {"allOf": 6},
            [
                of_nothing('"spec.allOf" must validate all the schemas (allOf)'),
                *invalid("allOf", 6, "should be less than or equal to 5"),
            ],
        ),
        (
            {"embedded": {}},
            [
                ("FieldValueRequired", "spec.embedded.apiVersion", "Required value"),
                ("FieldValueRequired", "spec.embedded.kind", "Required value"),
            ],
        ),
    ],
)
async def test_a_wrong_value_is_refused_by_its_field(
    api: Api, namespace: str, spec: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    answer = await api.post(path_of("shapeds", namespace), shaped(**spec))
    refused(answer, 422, "Invalid")
    assert causes(answer) == expected


async def test_all_that_is_wrong_is_told(api: Api, namespace: str) -> None:
    answer = await api.post(path_of("shapeds", namespace), shaped(int=0, enum="C"))
    message = refused(answer, 422, "Invalid")
    assert message.startswith(f'Shaped.{GROUP} "a" is invalid: [spec.')
    assert [field for _, field, _ in causes(answer)] == ["spec.int", "spec.enum"]
    assert answer.json["details"]["group"] == GROUP
    assert answer.json["details"]["kind"] == "Shaped"


@pytest.mark.parametrize(("spec", "found"), [("x", "string"), ([], "array"), (5, "integer")])
async def test_the_spec_must_be_an_object(api: Api, namespace: str, spec: Any, found: str) -> None:
    answer = await api.post(path_of("shapeds", namespace), {**shaped(), "spec": spec})
    refused(answer, 422, "Invalid")
    message = f'Invalid value: "{found}": spec in body must be of type object: "{found}"'
    assert causes(answer) == [("FieldValueTypeInvalid", "spec", message)]


async def test_what_is_required_must_be_there(api: Api, namespace: str) -> None:
    answer = await api.post(path_of("shapeds", namespace), {**shaped(), "spec": {}})
    assert refused(answer, 422, "Invalid") == f'Shaped.{GROUP} "a" is invalid: spec.must: Required value'


@pytest.mark.parametrize(
    ("spec", "stored"),
    [
        ({}, {}),
        ({"either": 1}, {"either": 1}),
        ({"either": "50%"}, {"either": "50%"}),
        ({"nullable": None}, {"nullable": None}),
        ({"nullableDefault": None}, {"nullableDefault": None}),
        ({"default": None}, {"default": "d"}),
        ({"default": "e"}, {"default": "e"}),
        ({"int": 3.0}, {"int": 3}),
        ({"number": 1}, {"number": 1}),
        ({"number": 1.5}, {"number": 1.5}),
        ({"deep": {"y": [{}, {"z": "1"}]}}, {"deep": {"x": 7, "y": [{"z": "q"}, {"z": "1"}]}}),
        ({"nope": 1, "deep": {"x": 1, "nope": 2}}, {"deep": {"x": 1}}),
        ({"free": {"a": {"b": 1}, "known": {"k": "1", "z": 2}}}, {"free": {"a": {"b": 1}, "known": {"k": "1"}}}),
        (
            {"embedded": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "x": 1}},
            {"embedded": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "x": 1}},
        ),
    ],
)
async def test_what_is_stored_has_defaults_and_nothing_unknown(
    api: Api, namespace: str, spec: dict[str, Any], stored: dict[str, Any]
) -> None:
    answer = await api.post(path_of("shapeds", namespace), shaped(**spec))
    assert answer.ok()["spec"] == {**DEFAULTS, **stored}


async def test_without_a_spec_nothing_is_defaulted(api: Api, namespace: str) -> None:
    body = shaped()
    del body["spec"]
    assert "spec" not in (await api.post(path_of("shapeds", namespace), body)).ok()


async def test_unknown_fields_follow_the_request_s_wish(api: Api, namespace: str) -> None:
    path = path_of("shapeds", namespace)
    warned = await api.post(path, shaped("warned", nope=1))
    assert (warned.status, warned.headers["warning"]) == (201, '299 - "unknown field \\"spec.nope\\""')
    ignored = await api.post(path, shaped("ignored", nope=1), fieldValidation="Ignore")
    assert (ignored.status, "warning" in ignored.headers) == (201, False)
    strict = await api.post(path, shaped("strict", nope=1), fieldValidation="Strict")
    assert refused(strict, 400, "BadRequest") == (
        'Shaped in version "v1" cannot be handled as a Shaped: strict decoding error: unknown field "spec.nope"'
    )


async def test_a_field_that_comes_twice_follows_it_too(api: Api, namespace: str) -> None:
    path = path_of("shapeds", namespace)
    body = b'{"apiVersion":"%s/v1","kind":"Shaped","metadata":{"name":"a"},"spec":{"must":"a","must":"b"}}'
    body = body % GROUP.encode()
    strict = await api.post(path, body, fieldValidation="Strict")
    assert refused(strict, 400, "BadRequest").endswith('strict decoding error: duplicate field "spec.must"')
    warned = await api.post(path, body)
    assert (warned.status, warned.headers["warning"]) == (201, '299 - "duplicate field \\"spec.must\\""')


async def test_new_defaults_show_in_what_was_stored_before(api: Api, namespace: str) -> None:
    crd = definition("laters", "Later", {"type": "object", "properties": {"a": TEXT}})
    await api.cluster.install_crds(crd)
    body = {"apiVersion": f"{GROUP}/v1", "kind": "Later", "metadata": {"name": "a"}, "spec": {"a": "1"}}
    (await api.post(path_of("laters", namespace), body)).ok()
    schema = {"type": "object", "properties": {"a": TEXT, "b": {"type": "string", "default": "new"}}}
    await api.cluster.install_crds(definition("laters", "Later", schema))
    answer = await api.eventually(path_of("laters", namespace, "a"), lambda answer: "b" in answer.json.get("spec", ()))
    assert answer.json["spec"] == {"a": "1", "b": "new"}
    # A real server that has just taken a new schema may still answer 429 to a list.
    listed = await api.eventually(path_of("laters", namespace), lambda answer: answer.status == 200)
    assert [item["spec"] for item in listed.json["items"]] == [{"a": "1", "b": "new"}]
    (await api.delete(f"{CRDS}/laters.{GROUP}")).ok()
