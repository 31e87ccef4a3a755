"""What an update sends: no more than what changed, and nothing that the type does not know is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_runtime.api.k8s import ConfigMap, Container, Pod
from controller_runtime.api.meta import Condition, Model, Object, decode
from controller_runtime.api.resource import Resource
from controller_runtime.client.update import update_body


class WidgetSpec(Model):
    size: int | None = None
    tags: list[str] | None = None
    parts: list[WidgetPart] | None = None


class WidgetPart(Model):
    name: str | None = None
    weight: int | None = None
    inner: list[WidgetPart] | None = None


class WidgetStatus(Model):
    conditions: list[Condition] | None = None
    phase: str | None = None


class Widget(Object):
    resource = Resource("example.com", "v1", "Widget", "widgets")
    spec: WidgetSpec | None = None
    status: WidgetStatus | None = None


def widget(**content: Any) -> Widget:
    """A widget as it was read."""
    metadata = {"name": "w", "namespace": "ns", "resourceVersion": "7", "labels": {"a": "1"}}
    obj = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, **content}
    return decode(Widget, json.dumps(obj).encode(), remember=True)


def body(obj: Object, subresource: str = "") -> Any:
    sent = update_body(obj, subresource)
    return None if sent is None else json.loads(sent)


def test_nothing_is_sent_if_nothing_changed() -> None:
    assert body(widget(spec={"size": 1, "unknown": 2}, status={"phase": "x"})) is None


def test_only_what_changed_is_sent_with_the_version_that_was_read() -> None:
    obj = widget(spec={"size": 1, "tags": ["x"]})
    assert obj.spec is not None
    obj.spec.size = 2
    obj.metadata.labels["b"] = "2"
    del obj.metadata.labels["a"]
    assert body(obj) == {
        "metadata": {"labels": {"a": None, "b": "2"}, "resourceVersion": "7"},
        "spec": {"size": 2},
    }


def test_a_version_changed_by_hand_does_not_change_the_precondition() -> None:
    obj = widget(spec={"size": 1})
    assert obj.spec is not None
    obj.spec.size = 2
    obj.metadata.resource_version = "999"
    assert body(obj)["metadata"] == {"resourceVersion": "7"}


def test_a_field_that_was_removed_is_sent_as_null() -> None:
    obj = widget(spec={"size": 1, "tags": ["x"]})
    assert obj.spec is not None
    obj.spec.tags = None
    assert body(obj)["spec"] == {"tags": None}


def test_status_and_the_rest_are_separate_writes() -> None:
    obj = widget(spec={"size": 1}, status={"phase": "old"})
    assert obj.spec is not None
    assert obj.status is not None
    obj.spec.size = 2
    obj.status.phase = "new"
    assert body(obj) == {"metadata": {"resourceVersion": "7"}, "spec": {"size": 2}}
    assert body(obj, "status") == {"metadata": {"resourceVersion": "7"}, "status": {"phase": "new"}}


def test_a_first_status_is_sent_whole() -> None:
    obj = widget()
    obj.status = WidgetStatus(phase="new")
    assert body(obj, "status")["status"] == {"phase": "new"}
    assert body(obj) is None


def test_an_object_that_was_not_read_cannot_be_updated() -> None:
    with pytest.raises(ValueError, match="Widget ns/w was not read from a server or a cache"):
        update_body(Widget(metadata=widget().metadata))


# Fields that the type does not know, in lists


def parts(*items: dict[str, Any]) -> Widget:
    return widget(spec={"parts": list(items)})


def sent_parts(obj: Widget) -> Any:
    return body(obj)["spec"]["parts"]


def test_unknown_fields_of_a_changed_item_survive() -> None:
    obj = parts({"name": "a", "weight": 1, "new": {"x": 1}}, {"name": "b", "colour": "red"})
    assert obj.spec is not None
    assert obj.spec.parts is not None
    obj.spec.parts[0].weight = 5
    assert sent_parts(obj) == [{"name": "a", "weight": 5, "new": {"x": 1}}, {"name": "b", "colour": "red"}]


def test_items_are_recognised_by_their_key_wherever_they_go() -> None:
    obj = parts({"name": "a", "new": 1}, {"name": "b", "new": 2}, {"name": "c", "new": 3})
    assert obj.spec is not None
    assert obj.spec.parts is not None
    a, _, c = obj.spec.parts
    obj.spec.parts = [c, WidgetPart(name="d"), a]
    assert sent_parts(obj) == [{"name": "c", "new": 3}, {"name": "d"}, {"name": "a", "new": 1}]


def test_a_known_field_removed_from_an_item_is_gone_and_the_unknown_stay() -> None:
    obj = parts({"name": "a", "weight": 1, "new": 1})
    assert obj.spec is not None
    assert obj.spec.parts is not None
    obj.spec.parts[0].weight = None
    assert sent_parts(obj) == [{"name": "a", "new": 1}]


def test_items_without_a_key_keep_their_unknown_fields_only_while_they_are_unchanged() -> None:
    obj = parts({"weight": 1, "new": 1}, {"weight": 2, "new": 2})
    assert obj.spec is not None
    assert obj.spec.parts is not None
    del obj.spec.parts[0]
    obj.spec.parts.append(WidgetPart(weight=3))
    assert sent_parts(obj) == [{"weight": 2, "new": 2}, {"weight": 3}]


def test_lists_within_items_are_treated_the_same() -> None:
    obj = parts({"name": "a", "inner": [{"name": "x", "weight": 1, "new": 1}], "new": 2})
    assert obj.spec is not None
    assert obj.spec.parts is not None
    assert obj.spec.parts[0].inner is not None
    obj.spec.parts[0].inner[0].weight = 9
    assert sent_parts(obj) == [{"name": "a", "inner": [{"name": "x", "weight": 9, "new": 1}], "new": 2}]


def test_a_condition_of_a_newer_api_keeps_what_we_do_not_know() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "X", "message": "", "lastTransitionTime": "t"}
    other = {**condition, "type": "Other", "extra": 1}
    obj = widget(status={"conditions": [other, {**condition, "extra": 2}]})
    assert obj.status is not None
    assert obj.status.conditions is not None
    obj.status.conditions[1].status = "True"
    assert body(obj, "status")["status"]["conditions"] == [other, {**condition, "status": "True", "extra": 2}]


def test_a_pods_container_keeps_what_we_do_not_know() -> None:
    container = {"name": "c", "image": "one", "futureField": {"deep": True}}
    raw = {"metadata": {"name": "p", "resourceVersion": "1"}, "spec": {"containers": [container]}}
    pod = decode(Pod, json.dumps(raw).encode(), remember=True)
    assert pod.spec is not None
    pod.spec.containers[0].image = "two"
    pod.spec.containers.append(Container(name="d"))
    assert body(pod)["spec"]["containers"] == [{**container, "image": "two"}, {"name": "d"}]


def test_a_plain_map_is_compared_key_by_key() -> None:
    raw = {"metadata": {"name": "m", "resourceVersion": "1"}, "data": {"a": "1", "b": "2"}}
    obj = decode(ConfigMap, json.dumps(raw).encode(), remember=True)
    obj.data = {"a": "1", "c": "3"}
    assert body(obj)["data"] == {"b": None, "c": "3"}
