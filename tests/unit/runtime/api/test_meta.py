"""Typed objects: what is sent, what is read, and what is remembered."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import field

from controller_runtime.api import (
    Condition,
    Model,
    Object,
    ObjectKey,
    ObjectMeta,
    OwnerReference,
    Resource,
    decode,
    encode,
    source_of,
    to_builtins,
)


class WidgetSpec(Model, kw_only=True):
    replica_count: int
    zero_is_sent: int = field(default_factory=int)
    maybe: str | None = None


class Widget(Object, kw_only=True):
    resource = Resource(group="example.com", version="v1", kind="Widget", plural="widgets")
    spec: WidgetSpec | None = None


RAW = (
    b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a","namespace":"ns"},'
    b'"spec":{"replicaCount":1,"zeroIsSent":0}}'
)


def test_a_new_object_knows_its_kind() -> None:
    widget = Widget(metadata=ObjectMeta(name="a", namespace="ns"))
    assert (widget.api_version, widget.kind) == ("example.com/v1", "Widget")
    assert widget.key == ObjectKey("ns", "a")
    assert str(widget.key) == "ns/a"


def test_absent_fields_are_not_sent_and_required_zeroes_are() -> None:
    widget = Widget(metadata=ObjectMeta(name="a", namespace="ns"), spec=WidgetSpec(replica_count=1))
    assert encode(widget) == RAW
    assert to_builtins(widget) == msgspec.json.decode(RAW)


def test_reading_ignores_what_it_does_not_know() -> None:
    widget = decode(
        Widget, b'{"metadata":{"name":"a","managedFields":[{}]},"spec":{"replicaCount":2,"more":[1]},"x":1}'
    )
    assert widget.spec is not None
    assert widget.spec.replica_count == 2


def test_null_means_absent() -> None:
    widget = decode(Widget, b'{"metadata":{"name":"a","labels":null},"spec":{"replicaCount":2}}', remember=True)
    assert widget.metadata.labels == {}
    assert source_of(widget) is not None
    with pytest.raises(msgspec.ValidationError, match=r"got `str` - at `\$.spec.replicaCount`"):
        decode(Widget, b'{"metadata":{"labels":null},"spec":{"replicaCount":"three"}}')


def test_reading_refuses_a_wrong_type_with_its_path() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got `str` - at `\$.spec.replicaCount`"):
        decode(Widget, b'{"spec":{"replicaCount":"three"}}')


def test_the_source_is_remembered_only_on_demand() -> None:
    assert source_of(decode(Widget, RAW)) is None
    assert source_of(decode(Widget, RAW, remember=True)) is RAW
    assert source_of(Widget()) is None


def test_remembering_does_not_change_what_an_object_equals_or_sends() -> None:
    remembered = decode(Widget, RAW, remember=True)
    assert remembered == decode(Widget, RAW)
    assert encode(remembered) == RAW


def test_metadata_leaves_out_what_is_empty() -> None:
    assert encode(ObjectMeta(name="a", labels={}, finalizers=[], generation=0)) == b'{"name":"a"}'
    owner = OwnerReference(api_version="v1", kind="Pod", name="p", uid="u", controller=True)
    assert to_builtins(ObjectMeta(owner_references=[owner])) == {
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}]
    }


def test_a_condition_always_has_what_the_schema_requires() -> None:
    assert to_builtins(Condition(type="Ready", status="True")) == {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "",
        "lastTransitionTime": "",
    }


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (Widget.resource, ("ns", "a"), "/apis/example.com/v1/namespaces/ns/widgets/a"),
        (Widget.resource, ("ns", "a", "status"), "/apis/example.com/v1/namespaces/ns/widgets/a/status"),
        (Widget.resource, (), "/apis/example.com/v1/widgets"),
        (Resource("", "v1", "Pod", "pods"), ("ns",), "/api/v1/namespaces/ns/pods"),
        (Resource("", "v1", "Node", "nodes", namespaced=False), ("", "n/1"), "/api/v1/nodes/n%2F1"),
    ],
)
def test_paths_of_a_resource(resource: Resource, arguments: tuple[str, ...], path: str) -> None:
    assert resource.path(*arguments) == path
