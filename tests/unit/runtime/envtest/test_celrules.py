"""CEL rules of custom resources: where they are evaluated, on what, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.envtest.celrules import check_rules
from controller_runtime.envtest.schema import compile_schema
from controller_runtime.envtest.status import Cause


def broken(schema: dict[str, Any], value: Any, old: Any = None) -> list[str]:
    causes: list[Cause] = []
    check_rules(compile_schema(schema), value, old, "spec", causes)
    return [cause.text for cause in causes]


def rule(text: str, message: str = "no", **more: str) -> dict[str, Any]:
    return {"x-kubernetes-validations": [{"rule": text, "message": message, **more}]}


STRING = {"type": "string"}
OBJECT = {"type": "object"}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({**STRING, **rule("self.startsWith('a')")}, "b", ['spec: Invalid value: "string": no']),
        ({**STRING, **rule("self.startsWith('a')")}, "ab", []),
        (
            {**OBJECT, "properties": {"a": STRING}, **rule("has(self.a)", fieldPath=".a")},
            {},
            ['spec.a: Invalid value: "object": no'],
        ),
        ({**OBJECT, **rule("has(self.a)", reason="FieldValueRequired")}, {}, ["spec: Required value: no"]),
        ({**OBJECT, **rule("has(self.a)", reason="FieldValueForbidden")}, {}, ["spec: Forbidden: no"]),
        (
            {"type": "array", "items": {**OBJECT, **rule("self.n > 1")}},
            [{"n": 2}, {"n": 1}],
            ['spec[1]: Invalid value: "object": no'],
        ),
        (
            {**OBJECT, "additionalProperties": {**STRING, **rule("self != 'x'")}},
            {"k": "x"},
            ['spec[k]: Invalid value: "string": no'],
        ),
        ({**OBJECT, **rule("self.all(k, !k.startsWith('x'))")}, {"xa": "1"}, ['spec: Invalid value: "object": no']),
        (
            {**OBJECT, **rule("self.a > 1", messageExpression="'a is ' + string(self.a)")},
            {"a": 1},
            ['spec: Invalid value: "object": a is 1'],
        ),
        (
            {**OBJECT, **rule("self.a > 1", message="")},
            {"a": 1},
            ['spec: Invalid value: "object": failed rule: self.a > 1'],
        ),
        ({"type": "number", **rule("self > 0.5")}, 0, ['spec: Invalid value: "number": no']),
        ({"type": "number", **rule("self > 0.5")}, 1, []),
        (
            {
                **OBJECT,
                "properties": {"namespace": STRING, "a-b": STRING},
                **rule("self.__namespace__ == self.a__dash__b"),
            },
            {"namespace": "x", "a-b": "x"},
            [],
        ),
        ({"type": "array", "items": STRING, **rule("self.join('') == 'ab'")}, ["a", "b"], []),
    ],
)
def test_a_rule_must_hold_for_what_it_stands_at(schema: Any, value: Any, expected: list[str]) -> None:
    assert broken(schema, value) == expected


def test_a_rule_that_cannot_be_evaluated_counts_as_broken() -> None:
    [text] = broken({**OBJECT, **rule("self.a.b == 1")}, {})
    assert text.startswith('spec: Invalid value: "object": rule evaluation error:')


TRANSITION = {**OBJECT, "properties": {"a": {**STRING, **rule("self == oldSelf", "a is immutable")}}}


@pytest.mark.parametrize(
    ("value", "old", "expected"),
    [
        ({"a": "x"}, None, []),
        ({"a": "x"}, {}, []),
        ({"a": "x"}, {"a": "x"}, []),
        ({}, {"a": "x"}, []),
        ({"a": "y"}, {"a": "x"}, ['spec.a: Invalid value: "string": a is immutable']),
    ],
)
def test_a_transition_rule_needs_both_sides(value: Any, old: Any, expected: list[str]) -> None:
    assert broken(TRANSITION, value, old) == expected


def test_transitions_follow_the_items_of_map_lists_by_key_and_of_no_other_list() -> None:
    item = {**OBJECT, "properties": {"name": STRING}, **rule("self.v == oldSelf.v")}
    keyed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": item,
    }
    old = [{"name": "a", "v": 1}, {"name": "b", "v": 1}]
    new = [{"name": "b", "v": 2}, {"name": "a", "v": 1}, {"name": "c", "v": 9}]
    assert broken(keyed, new, old) == ['spec[0]: Invalid value: "object": no']
    assert broken({"type": "array", "items": item}, new, old) == []


def test_what_has_not_changed_is_only_judged_by_transition_rules() -> None:
    assert broken({**STRING, **rule("self == 'never'")}, "x", "x") == []
    assert broken({**STRING, **rule("self == 'never' && oldSelf != ''")}, "x", "x") == [
        'spec: Invalid value: "string": no'
    ]
