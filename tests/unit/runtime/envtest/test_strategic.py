"""Strategic merge patches."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import k8s
from controller_runtime.envtest.builtinschema import builtin_schema
from controller_runtime.envtest.status import StatusError
from controller_runtime.envtest.strategic import strategic_merge

POD = builtin_schema(k8s.Pod)


def merged(live: Any, patch: Any) -> Any:
    return strategic_merge({"spec": live}, {"spec": patch}, POD)["spec"]


ONE, TWO = {"name": "one", "image": "1"}, {"name": "two", "image": "2"}


@pytest.mark.parametrize(
    ("live", "patch", "expected"),
    [
        ({"a": 1, "b": {"c": 1}}, {"b": {"d": 2}, "a": None}, {"b": {"c": 1, "d": 2}}),
        (
            {"containers": [ONE, TWO]},
            {"containers": [{"name": "two", "image": "9"}]},
            {"containers": [ONE, {"name": "two", "image": "9"}]},
        ),
        ({"containers": [ONE]}, {"containers": [TWO]}, {"containers": [TWO, ONE]}),
        ({"containers": [ONE, TWO]}, {"containers": [{"name": "one", "$patch": "delete"}]}, {"containers": [TWO]}),
        ({"containers": [ONE, TWO]}, {"containers": [TWO, {"$patch": "replace"}]}, {"containers": [TWO]}),
        (
            {"containers": [ONE, TWO]},
            {"$setElementOrder/containers": [{"name": "two"}, {"name": "one"}]},
            {"containers": [TWO, ONE]},
        ),
        (
            {"containers": [ONE]},
            {"$setElementOrder/containers": [{"name": "two"}, {"name": "one"}], "containers": [TWO]},
            {"containers": [TWO, ONE]},
        ),
        ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"$patch": "replace", "b": "2"}}, {"nodeSelector": {"b": "2"}}),
        ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"$patch": "delete"}}, {"nodeSelector": {}}),
        (
            {"volumes": [{"name": "v", "emptyDir": {}}]},
            {"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]},
            {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
        ),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}),
        (
            {"containers": [{"name": "one", "env": [{"name": "A", "value": "1"}]}]},
            {"containers": [{"name": "one", "env": [{"name": "B", "value": "2"}]}]},
            {"containers": [{"name": "one", "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]}]},
        ),
    ],
)
def test_lists_with_a_merge_key_merge_item_by_item(live: Any, patch: Any, expected: Any) -> None:
    assert merged(live, patch) == expected


def test_finalizers_are_a_set_with_deletions_by_value() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}
    added = strategic_merge(live, {"metadata": {"finalizers": ["b", "c"]}}, POD)
    assert added["metadata"]["finalizers"] == ["a", "b", "c"]
    removed = strategic_merge(live, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, POD)
    assert removed["metadata"]["finalizers"] == ["b"]


def test_neither_the_object_nor_the_patch_is_changed() -> None:
    live = {"spec": {"containers": [dict(ONE)]}}
    patch = {"spec": {"containers": [{"name": "one", "image": "9"}]}}
    strategic_merge(live, patch, POD)
    assert live == {"spec": {"containers": [ONE]}}
    assert patch == {"spec": {"containers": [{"name": "one", "image": "9"}]}}


@pytest.mark.parametrize("items", [[{"image": "x"}], ["text"]])
def test_an_item_without_its_key_is_refused(items: Any) -> None:
    with pytest.raises(StatusError):
        merged({}, {"containers": items})
