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


def rule(text: str, message: str = "no", **more: Any) -> dict[str, Any]:
    return {"x-kubernetes-validations": [{"rule": text, "message": message, **more}]}


STRING = {"type": "string"}
OBJECT = {"type": "object"}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({**STRING, **rule("self.startsWith('a')")}, "b", ['spec: Invalid value: "b": no']),
        ({**STRING, **rule("self.startsWith('a')")}, "ab", []),
        (
            {**OBJECT, "properties": {"a": STRING}, **rule("has(self.a)", fieldPath=".a")},
            {},
            ["spec.a: Invalid value: no"],
        ),
        ({**OBJECT, **rule("has(self.a)", reason="FieldValueRequired")}, {}, ["spec: Required value: no"]),
        ({**OBJECT, **rule("has(self.a)", reason="FieldValueForbidden")}, {}, ["spec: Forbidden: no"]),
        (
            {"type": "array", "items": {**OBJECT, **rule("self.n > 1")}},
            [{"n": 2}, {"n": 1}],
            ["spec[1]: Invalid value: no"],
        ),
        (
            {**OBJECT, "additionalProperties": {**STRING, **rule("self != 'x'")}},
            {"k": "x"},
            ['spec[k]: Invalid value: "x": no'],
        ),
        ({**OBJECT, **rule("self.all(k, !k.startsWith('x'))")}, {"xa": "1"}, ["spec: Invalid value: no"]),
        (
            {**OBJECT, **rule("self.a > 1", messageExpression="'a is ' + string(self.a)")},
            {"a": 1},
            ["spec: Invalid value: a is 1"],
        ),
        (
            {**OBJECT, **rule("self.a > 1", message="")},
            {"a": 1},
            ["spec: Invalid value: failed rule: self.a > 1"],
        ),
        ({"type": "number", **rule("self > 0.5")}, 0, ["spec: Invalid value: 0: no"]),
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
    assert text == 'spec: Invalid value: "object": no such key: a evaluating rule: no'


TRANSITION = {**OBJECT, "properties": {"a": {**STRING, **rule("self == oldSelf", "a is immutable")}}}


@pytest.mark.parametrize(
    ("value", "old", "expected"),
    [
        ({"a": "x"}, None, []),
        ({"a": "x"}, {}, []),
        ({"a": "x"}, {"a": "x"}, []),
        ({}, {"a": "x"}, []),
        ({"a": "y"}, {"a": "x"}, ['spec.a: Invalid value: "y": a is immutable']),
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
    assert broken(keyed, new, old) == ["spec[0]: Invalid value: no"]
    assert broken({"type": "array", "items": item}, new, old) == []


def test_of_what_has_not_changed_other_rules_only_warn() -> None:
    causes: list[Cause] = []
    check_rules(compile_schema({**STRING, **rule("self == 'never'")}), "x", "x", "spec", causes)
    assert [(cause.text, cause.warning) for cause in causes] == [('spec: Invalid value: "x": no', True)]
    causes = []
    check_rules(compile_schema({**STRING, **rule("self == 'never' && oldSelf != ''")}), "x", "x", "spec", causes)
    assert [(cause.text, cause.warning) for cause in causes] == [('spec: Invalid value: "x": no', False)]


OPTIONAL = rule("!oldSelf.hasValue() || oldSelf.value() <= self", optionalOldSelf=True)


@pytest.mark.parametrize(("value", "old", "holds"), [(1, None, True), (2, 1, True), (1, 2, False)])
def test_an_optional_old_value_may_be_missing(value: int, old: int | None, holds: bool) -> None:
    assert broken({"type": "integer", **OPTIONAL}, value, old) == (
        [] if holds else [f"spec: Invalid value: {value}: no"]
    )


@pytest.mark.parametrize(
    ("expression", "value", "holds"),
    [
        ("quantity(self).isLessThan(quantity('1Gi'))", "512Mi", True),
        ("quantity(self).isGreaterThan(quantity('1Gi'))", "512Mi", False),
        ("quantity(self).compareTo(quantity('1000m')) == 0", "1", True),
        ("quantity(self).add(quantity('1')).asInteger() == 3", "2", True),
        ("quantity(self).sub(1).sign() == -1", "500m", True),
        ("isQuantity(self)", "1Qi", False),
        ("quantity(self).isInteger()", "1500m", False),
        ("isURL(self)", "https://example.com/a", True),
        ("isURL(self)", "example", False),
        ("isIP(self)", "10.0.0.1", True),
        ("isIP(self)", "10.0.0", False),
        ("isCIDR(self)", "10.0.0.0/8", True),
        ("isCIDR(self)", "10.0.0.0", False),
        ("self.find('[0-9]+') == '12'", "a12b3", True),
        ("self.findAll('[0-9]+') == ['12', '3']", "a12b3", True),
        ("self.indexOf('b') == 1 && self.lastIndexOf('b') == 2", "abb", True),
        ("[1, 2, 2].isSorted() && ![2, 1].isSorted()", "", True),
        ("[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(3) == -1", "", True),
    ],
)
def test_functions_that_kubernetes_adds(expression: str, value: str, holds: bool) -> None:
    assert bool(broken({**STRING, **rule(expression)}, value)) is not holds


def test_the_word_in_a_string_is_not_the_old_value() -> None:
    assert broken({**STRING, **rule("self == 'oldSelf' || oldSelf.hasValue()", optionalOldSelf=True)}, "oldSelf") == []
