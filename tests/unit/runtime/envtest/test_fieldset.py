"""Sets of fields in the form of managedFields."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller_runtime.envtest.fieldset import (
    applied_fields,
    compare,
    contains,
    minus,
    path_text,
    paths_of,
    plus,
    union,
)
from controller_runtime.envtest.mergetypes import DEDUCED, MergeType

paths = st.lists(st.lists(st.sampled_from(["f:a", "f:b", 'v:"x"', 'k:{"n":1}']), min_size=1, max_size=4).map(tuple))


@given(paths)
def test_a_set_holds_what_was_put_in(members: list[tuple[str, ...]]) -> None:
    fields = plus({}, members)
    assert set(paths_of(fields)) == set(members)
    assert all(contains(fields, member) for member in members)


@given(paths, paths)
def test_sets_behave_as_sets_do(left: list[tuple[str, ...]], right: list[tuple[str, ...]]) -> None:
    one, two = plus({}, left), plus({}, right)
    assert set(paths_of(union(one, two))) == set(left) | set(right)
    assert set(paths_of(minus(one, right))) == set(left) - set(right)
    assert set(paths_of(one)) == set(left), "an operation must not change its operands"
    assert set(paths_of(two)) == set(right)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:spec", "f:containers", 'k:{"name":"x"}', "f:image"), '.spec.containers[name="x"].image'),
        (("f:ports", 'k:{"containerPort":80,"protocol":"TCP"}'), '.ports[containerPort=80,protocol="TCP"]'),
        (("f:metadata", "f:finalizers", 'v:"a/b"'), '.metadata.finalizers[="a/b"]'),
    ],
)
def test_paths_are_written_for_people(path: tuple[str, ...], text: str) -> None:
    assert path_text(path) == text


SHAPE = MergeType(
    {
        "properties": {
            "s": {"properties": {"x": {}, "y": {}}},
            "m": {"additionalProperties": {}},
            "set": {"x-kubernetes-list-type": "set"},
            "map": {
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["n"],
                "items": {"properties": {"n": {}}},
            },
            "whole": {"x-kubernetes-map-type": "atomic"},
        }
    }
)


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({"s": {"x": 1}}, {"f:s": {"f:x": {}}}),
        ({"s": {}}, {"f:s": {}}),
        ({"m": {"k": 1}}, {"f:m": {"f:k": {}}}),
        ({"set": ["a"]}, {"f:set": {'v:"a"': {}}}),
        ({"set": []}, {}),
        ({"map": [{"n": 1}]}, {"f:map": {'k:{"n":1}': {".": {}, "f:n": {}}}}),
        ({"whole": {"a": {"b": 1}}}, {"f:whole": {}}),
        ({"unknown": [1]}, {"f:unknown": {".": {}}}),
    ],
)
def test_an_applied_value_owns_its_leaves_items_and_keys(value: Any, fields: Any) -> None:
    found = applied_fields(value, SHAPE)
    assert set(paths_of(found)) == set(paths_of(fields))


@pytest.mark.parametrize(
    ("old", "new", "added", "modified", "removed"),
    [
        ({"s": {"x": 1}}, {"s": {"x": 2}}, [], [".s.x"], []),
        ({"s": {}}, {"s": {"y": 1}}, [".s.y"], [], []),
        ({}, {"s": {"y": 1}}, [".s", ".s.y"], [], []),
        ({"s": {"y": 1}}, {}, [], [], [".s", ".s.y"]),
        ({"set": ["a", "b"]}, {"set": ["b", "c"]}, ['.set[="c"]'], [], ['.set[="a"]']),
        ({"map": [{"n": 1, "v": 1}]}, {"map": [{"n": 1, "v": 2}]}, [], [".map[n=1].v"], []),
        ({"whole": {"a": 1}}, {"whole": {"a": 2}}, [], [".whole"], []),
        ({"l": [1]}, {"l": [2]}, [], [".l"], []),
        ({"s": {"x": 1}}, {"s": {"x": True}}, [], [".s.x"], []),
    ],
)
def test_a_comparison_names_what_differs(
    old: Any, new: Any, added: list[str], modified: list[str], removed: list[str]
) -> None:
    difference = compare(old, new, SHAPE)
    assert [path_text(path) for path in difference.added] == added
    assert [path_text(path) for path in difference.modified] == modified
    assert [path_text(path) for path in difference.removed] == removed


json_values = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(max_size=2), json_values, max_size=4)


@given(json_objects)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert not compare(value, value, DEDUCED)
    assert not compare(value, dict(value), DEDUCED)
