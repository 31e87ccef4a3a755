"""CEL rules of CRDs: where they are evaluated, transitions, what they say, and ratcheting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from helpers.definitions import CRDS, GROUP, causes, definition, path_of, refused
from helpers.rest import Api

TEXT = {"type": "string", "maxLength": 9}


def rules(*found: dict[str, Any]) -> dict[str, Any]:
    return {"x-kubernetes-validations": list(found)}


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "min": {"type": "integer"},
        "max": {"type": "integer"},
        "frozen": TEXT,
        "computed": {"type": "integer"},
        "forbidden": TEXT,
        "required": TEXT,
        "duplicate": TEXT,
        "silent": {"type": "integer"},
        "list": {"type": "array", "maxItems": 10, "items": TEXT},
        "quantity": TEXT,
        "key": TEXT,
        "map": {"type": "object", "maxProperties": 5, "additionalProperties": TEXT},
        "growing": {"type": "integer", **rules({"rule": "self >= oldSelf", "message": "may not shrink"})},
        "optional": {
            "type": "integer",
            **rules(
                {
                    "rule": "!oldSelf.hasValue() || self >= oldSelf.value()",
                    "message": "optional may not shrink",
                    "optionalOldSelf": True,
                },
                {"rule": "oldSelf.hasValue() || self > 0", "message": "starts positive", "optionalOldSelf": True},
            ),
        },
        "items": {
            "type": "array",
            "maxItems": 10,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": {
                "type": "object",
                "required": ["k"],
                "properties": {
                    "k": TEXT,
                    "v": {
                        "type": "integer",
                        **rules(
                            {"rule": "self == oldSelf", "message": "v is immutable"},
                            {"rule": "self < 100", "message": "v is too big"},
                        ),
                    },
                },
            },
        },
        "values": {
            "type": "object",
            "maxProperties": 5,
            "additionalProperties": {"type": "integer", **rules({"rule": "self < 10", "message": "too big"})},
        },
        "dash-ed": {
            "type": "object",
            "properties": {"namespace": TEXT},
            **rules({"rule": "self.__namespace__ != 'x'", "message": "not x"}),
        },
        "number": {"type": "number", **rules({"rule": "self < 1.5", "message": "too big"})},
        "word": {**TEXT, **rules({"rule": "self != 'bad'", "message": "bad word"})},
    },
    **rules(
        {"rule": "!has(self.min) || !has(self.max) || self.min <= self.max", "message": "min must not exceed max"},
        {"rule": "!has(self.frozen) || self.frozen == oldSelf.frozen", "message": "frozen is immutable"},
        {"rule": "!has(self.computed) || self.computed < 5", "messageExpression": "'more than ' + 'four'"},
        {
            "rule": "!has(self.forbidden) || self.forbidden != 'bad'",
            "message": "not that",
            "fieldPath": ".forbidden",
            "reason": "FieldValueForbidden",
        },
        {"rule": "!has(self.required) || self.required != 'bad'", "message": "more", "reason": "FieldValueRequired"},
        {
            "rule": "!has(self.duplicate) || self.duplicate != 'bad'",
            "message": "again",
            "reason": "FieldValueDuplicate",
        },
        {"rule": "!has(self.silent) || self.silent > 1"},
        {"rule": "!has(self.list) || self.list.all(i, i.startsWith('a'))", "message": "all with a"},
        {
            "rule": "!has(self.quantity) || quantity(self.quantity).isLessThan(quantity('1Gi'))",
            "message": "less than 1Gi",
        },
        {"rule": "!has(self.key) || self.map[self.key] == 'x'", "message": "key must lead to x"},
    ),
}


def rated(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1", "kind": "Rated", "metadata": {"name": name}, "spec": spec}


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def crd(administrator: Api) -> AsyncIterator[None]:
    crd = definition("rateds", "Rated", SCHEMA)
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root["x-kubernetes-validations"] = [
        {"rule": "self.metadata.name != 'forbidden'", "message": "name is forbidden"},
        {"rule": "!has(self.spec.min) || self.spec.min != 77", "message": "not 77", "fieldPath": ".spec.min"},
    ]
    root["required"] = ["spec"]
    await administrator.cluster.install_crds(crd)
    yield
    (await administrator.delete(f"{CRDS}/rateds.{GROUP}")).ok()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"min": 1, "max": 2, "values": {"a": 9}, "number": 1, "quantity": "512Mi"}, []),
        ({"min": 3, "max": 2}, [("FieldValueInvalid", "spec", "Invalid value: min must not exceed max")]),
        ({"computed": 9}, [("FieldValueInvalid", "spec", "Invalid value: more than four")]),
        ({"forbidden": "bad"}, [("FieldValueForbidden", "spec.forbidden", "Forbidden: not that")]),
        ({"required": "bad"}, [("FieldValueRequired", "spec", "Required value: more")]),
        ({"duplicate": "bad"}, [("FieldValueDuplicate", "spec", "Duplicate value")]),
        (
            {"silent": 0},
            [("FieldValueInvalid", "spec", "Invalid value: failed rule: !has(self.silent) || self.silent > 1")],
        ),
        ({"list": ["b"]}, [("FieldValueInvalid", "spec", "Invalid value: all with a")]),
        ({"quantity": "2Gi"}, [("FieldValueInvalid", "spec", "Invalid value: less than 1Gi")]),
        (
            {"key": "none", "map": {}},
            [("FieldValueInvalid", "spec", 'Invalid value: "object": no such key: none evaluating rule: key must lead to x')],
        ),
        ({"optional": 0}, [("FieldValueInvalid", "spec.optional", "Invalid value: 0: starts positive")]),
        ({"items": [{"k": "a", "v": 100}]}, [("FieldValueInvalid", "spec.items[0].v", "Invalid value: 100: v is too big")]),
        ({"values": {"a": 10, "b": 1}}, [("FieldValueInvalid", "spec.values[a]", "Invalid value: 10: too big")]),
        ({"dash-ed": {"namespace": "x"}}, [("FieldValueInvalid", "spec.dash-ed", "Invalid value: not x")]),
        ({"number": 2}, [("FieldValueInvalid", "spec.number", "Invalid value: 2: too big")]),
        ({"word": "bad"}, [("FieldValueInvalid", "spec.word", 'Invalid value: "bad": bad word')]),
        ({"min": 77}, [("FieldValueInvalid", "spec.min", "Invalid value: not 77")]),
        (
            {"min": 3, "max": 2, "computed": 9, "values": {"x": 11}},
            [
                ("FieldValueInvalid", "spec", "Invalid value: min must not exceed max"),
                ("FieldValueInvalid", "spec", "Invalid value: more than four"),
                ("FieldValueInvalid", "spec.values[x]", "Invalid value: 11: too big"),
            ],
        ),
    ],
)  # fmt: skip
async def test_a_rule_must_hold(api: Api, namespace: str, spec: dict[str, Any], expected: Any) -> None:
    answer = await api.post(path_of("rateds", namespace), rated("a", **spec))
    if not expected:
        assert answer.status == 201, answer.text
        return
    refused(answer, 422, "Invalid")
    assert causes(answer) == expected


async def test_a_rule_at_the_root_sees_the_name(api: Api, namespace: str) -> None:
    answer = await api.post(path_of("rateds", namespace), rated("forbidden"))
    assert refused(answer, 422, "Invalid") == (
        f'Rated.{GROUP} "forbidden" is invalid: <nil>: Invalid value: name is forbidden'
    )


async def test_rules_wait_until_the_types_are_right(api: Api, namespace: str) -> None:
    answer = await api.post(path_of("rateds", namespace), rated("a", min="x", computed=9))
    refused(answer, 422, "Invalid")
    unchecked = (
        "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
        "errors to complete validation"
    )
    wrong = 'Invalid value: "string": spec.min in body must be of type integer: "string"'
    assert causes(answer) == [("FieldValueInvalid", "<nil>", unchecked), ("FieldValueTypeInvalid", "spec.min", wrong)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"growing": 5}, {"growing": 6}, ""),
        ({"growing": 5}, {"growing": 4}, "spec.growing: Invalid value: 4: may not shrink"),
        ({}, {"growing": 1}, ""),
        ({"growing": 5}, {"growing": None}, ""),
        ({"optional": 3}, {"optional": 5}, ""),
        ({"optional": 3}, {"optional": 1}, "spec.optional: Invalid value: 1: optional may not shrink"),
        ({}, {"optional": 0}, "spec.optional: Invalid value: 0: starts positive"),
        ({"frozen": "a"}, {"frozen": "b"}, "spec: Invalid value: frozen is immutable"),
        ({"frozen": "a"}, {"frozen": None}, ""),
        (
            {"items": [{"k": "a", "v": 1}, {"k": "b", "v": 2}]},
            {"items": [{"k": "b", "v": 3}, {"k": "a", "v": 1}]},
            "spec.items[0].v: Invalid value: 3: v is immutable",
        ),
        ({"items": [{"k": "a", "v": 1}]}, {"items": [{"k": "c", "v": 3}, {"k": "a", "v": 1}]}, ""),
    ],
)
async def test_transition_rules_compare_with_what_was(
    api: Api, namespace: str, before: Any, after: Any, expected: str
) -> None:
    (await api.post(path_of("rateds", namespace), rated("a", **before))).ok()
    answer = await api.patch(path_of("rateds", namespace, "a"), {"spec": after})
    if expected:
        assert refused(answer, 422, "Invalid") == f'Rated.{GROUP} "a" is invalid: {expected}'
    else:
        answer.ok()


async def test_what_was_valid_before_may_stay_under_stricter_rules(api: Api, namespace: str) -> None:
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    entry = {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "string"}}}
    properties: dict[str, Any] = {
        "a": {"type": "string", "maxLength": 99},
        "b": {"type": "string"},
        "keyed": {"type": "array", "items": entry, **keyed},
        "plain": {"type": "array", "items": {"type": "string"}},
    }
    lax = definition("ratchets", "Ratchet", {"type": "object", "properties": properties})
    await api.cluster.install_crds(lax)
    path = path_of("ratchets", namespace, "r")
    spec = {"a": "long-value", "b": "x", "keyed": [{"k": "1", "v": "zzzz"}], "plain": ["zzzz"]}
    body = {"apiVersion": f"{GROUP}/v1", "kind": "Ratchet", "metadata": {"name": "r"}, "spec": spec}
    (await api.post(path_of("ratchets", namespace), body)).ok()
    rule = {"rule": "self.size() < 3", "message": "a is too long"}
    strict_entry = {**entry, "properties": {"k": {"type": "string"}, "v": {"type": "string", "maxLength": 2}}}
    strict = {
        **properties,
        "a": {"type": "string", "maxLength": 3, "x-kubernetes-validations": [rule]},
        "keyed": {"type": "array", "items": strict_entry, **keyed},
        "plain": {"type": "array", "items": {"type": "string", "maxLength": 2}},
    }
    await api.cluster.install_crds(definition("ratchets", "Ratchet", {"type": "object", "properties": strict}))
    other = {**body, "metadata": {"name": "probe"}}
    for _ in range(600):
        if (await api.post(path_of("ratchets", namespace), other, dryRun="All")).status == 422:
            break  # the stricter schema is in force
    unrelated = await api.patch(path, {"spec": {"b": "y"}})
    assert unrelated.ok()["spec"]["b"] == "y"
    assert unrelated.headers["warning"] == '299 - "spec.a: Invalid value: \\"long-value\\": a is too long"'
    moved = await api.patch(path, {"spec": {"keyed": [{"k": "0", "v": "a"}, {"k": "1", "v": "zzzz"}]}})
    assert moved.status == 200
    plain = await api.patch(path, {"spec": {"plain": ["zzzz", "a"]}})
    assert "spec.plain[0]: Too long: may not be more than 2 bytes" in refused(plain, 422, "Invalid")
    changed = await api.patch(path, {"spec": {"a": "other-long"}})
    assert "spec.a: Too long: may not be more than 3 bytes" in refused(changed, 422, "Invalid")
    (await api.delete(f"{CRDS}/ratchets.{GROUP}")).ok()
