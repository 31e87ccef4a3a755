"""What the answer to a delete says about the object."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_runtime.api.k8s import ConfigMap, Pod, Service
from controller_runtime.api.meta import Object
from controller_runtime.client.deletion import ended_uid


def said(kind: type[Object], answer: Any) -> str | None:
    return ended_uid(kind.resource, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def a_status(**changes: Any) -> dict[str, Any]:
    details = {"name": "a", "kind": "configmaps", "uid": "u"}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details, **changes}


def test_a_status_that_names_a_uid_says_that_it_is_gone() -> None:
    assert said(ConfigMap, a_status()) == "u"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "Failure"},
        {"status": {"phase": "Success"}},
        {"details": {"name": "a", "kind": "configmaps"}},
        {"details": {"uid": ""}},
        {"details": None},
        {"details": "gone"},
        {"details": {"uid": 5}},
    ],
)
def test_any_other_status_says_nothing(changes: dict[str, Any]) -> None:
    assert said(ConfigMap, a_status(**changes)) is None


def test_a_status_without_details_says_nothing() -> None:
    assert said(ConfigMap, {"kind": "Status", "status": "Success"}) is None


def test_the_last_state_of_an_object_says_that_it_is_gone() -> None:
    answer = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "a", "uid": "u"},
        "status": {"loadBalancer": {}},
    }
    assert said(Service, answer) == "u"


@pytest.mark.parametrize("metadata", [{"finalizers": ["x"]}, {"deletionGracePeriodSeconds": 30}, {}])
def test_an_object_that_is_being_deleted_may_be_there_still(metadata: dict[str, Any]) -> None:
    metadata = {"name": "a", "uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z", **metadata}
    assert said(Pod, {"kind": "Pod", "metadata": metadata}) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "Secret", "metadata": {"name": "a", "uid": "u"}},
        {"metadata": {"name": "a", "uid": "u"}},
        {"kind": "ConfigMap", "metadata": {"name": "a"}},
        {"kind": "ConfigMap"},
        {"kind": "ConfigMapList", "metadata": {}, "items": []},
        [],
        None,
        b"",
        b"accepted",
    ],
)
def test_anything_else_says_nothing(answer: Any) -> None:
    assert said(ConfigMap, answer) is None
