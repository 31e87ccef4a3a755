"""What an apply sends."""

from __future__ import annotations

import pytest

from controller_runtime.api.k8s import ConfigMap, Pod, PodSpec, PodStatus
from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.client.errors import DecodeError
from controller_runtime.client.objects import apply_body, as_object, key_of, missing


def test_what_only_the_server_sets_is_not_applied() -> None:
    meta = ObjectMeta(
        name="p",
        namespace="ns",
        uid="u",
        resource_version="7",
        generation=2,
        creation_timestamp="t",
        deletion_timestamp="t",
        deletion_grace_period_seconds=3,
        labels={"a": "1"},
        finalizers=["f"],
    )
    pod = Pod(metadata=meta, spec=PodSpec(node_name="n"), status=PodStatus(phase="Running"))
    assert apply_body(pod) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": "ns",
            "uid": "u",
            "resourceVersion": "7",
            "labels": {"a": "1"},
            "finalizers": ["f"],
        },
        "spec": {"nodeName": "n"},
    }


def test_an_apply_to_the_status_sends_nothing_else() -> None:
    pod = Pod(
        metadata=ObjectMeta(name="p", namespace="ns", labels={"a": "1"}),
        spec=PodSpec(node_name="n"),
        status=PodStatus(phase="Running"),
    )
    assert apply_body(pod, "status") == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns"},
        "status": {"phase": "Running"},
    }


def test_an_untyped_manifest_is_treated_the_same_and_not_changed() -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"name": "x", "managedFields": [1], "selfLink": "/x", "creationTimestamp": None},
        "spec": {"a": None},
        "status": {},
    }
    before = repr(manifest)
    assert apply_body(manifest) == {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"a": None}}
    assert repr(manifest) == before


def test_keys_of_typed_and_untyped_objects() -> None:
    assert key_of(ConfigMap(metadata=ObjectMeta(name="a", namespace="ns"))) == ObjectKey("ns", "a")
    assert key_of({"metadata": {"name": "a", "namespace": "ns"}}) == ObjectKey("ns", "a")
    assert key_of({"metadata": {"name": "a"}}) == ObjectKey("", "a")
    assert key_of({}) == ObjectKey("", "")


def test_a_missing_object_is_named_as_the_server_would() -> None:
    widgets = Resource("example.com", "v1", "Widget", "widgets")
    assert str(missing(widgets, ObjectKey("ns", "w"))) == 'widgets.example.com "w" not found'
    assert str(missing(ConfigMap.resource, ObjectKey("ns", "w"))) == 'configmaps "w" not found'


def test_json_that_does_not_fit_is_an_error_of_ours() -> None:
    with pytest.raises(DecodeError, match="an object of configmaps/v1 cannot be read as ConfigMap"):
        as_object(ConfigMap, b'{"data": 1}')
    with pytest.raises(DecodeError, match="cannot be read as JSON"):
        as_object(ConfigMap.resource, b"[]")
