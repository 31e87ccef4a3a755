"""The scale of a custom resource: read, set and patched, with its own owner of the replicas."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.definitions import causes, refused
from helpers.rest import JSON_PATCH, STRATEGIC, Api
from helpers.things import thing, things_path


def scale(replicas: Any, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "t", **metadata},
        "spec": {"replicas": replicas},
    }


async def made(api: Api, namespace: str, **spec: Any) -> str:
    """Create a thing with a status, and return the path of its scale."""
    (await api.post(things_path(namespace), thing("t", **spec))).ok()
    status = {"status": {"size": 2, "selector": "app=t"}}
    (await api.patch(things_path(namespace, "t", "status"), status)).ok()
    return things_path(namespace, "t", "scale")


async def test_it_shows_what_the_paths_lead_to(api: Api, namespace: str) -> None:
    path = await made(api, namespace, size=3)
    found = (await api.get(path)).ok()
    whole = (await api.get(things_path(namespace, "t"))).ok()["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    assert found == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: whole[name] for name in names},
        "spec": {"replicas": 3},
        "status": {"replicas": 2, "selector": "app=t"},
    }


async def test_it_is_set(api: Api, namespace: str) -> None:
    path = await made(api, namespace, size=3)
    assert (await api.put(path, scale(5, namespace=namespace), fieldManager="scaler")).ok()["spec"] == {"replicas": 5}
    whole = (await api.get(things_path(namespace, "t"))).ok()
    assert (whole["spec"]["size"], whole["metadata"]["generation"]) == (5, 2)
    [entry] = [entry for entry in whole["metadata"]["managedFields"] if entry["manager"] == "scaler"]
    assert (entry["subresource"], entry["operation"]) == ("scale", "Update")
    assert entry["fieldsV1"] == {"f:spec": {"f:size": {}}}


@pytest.mark.parametrize(
    ("patch", "media"),
    [
        ({"spec": {"replicas": 6}}, "application/merge-patch+json"),
        ([{"op": "replace", "path": "/spec/replicas", "value": 6}], JSON_PATCH),
    ],
)
async def test_it_is_patched(api: Api, namespace: str, patch: Any, media: str) -> None:
    path = await made(api, namespace, size=3)
    assert (await api.patch(path, patch, content_type=media)).ok()["spec"] == {"replicas": 6}
    assert (await api.get(things_path(namespace, "t"))).json["spec"]["size"] == 6


async def test_a_dry_run_scales_nothing(api: Api, namespace: str) -> None:
    path = await made(api, namespace, size=3)
    assert (await api.patch(path, {"spec": {"replicas": 6}}, dryRun="All")).ok()["spec"] == {"replicas": 6}
    assert (await api.get(path)).json["spec"] == {"replicas": 3}


async def test_what_was_scaled_is_in_conflict_with_an_apply(api: Api, namespace: str) -> None:
    path = await made(api, namespace)
    (await api.put(path, scale(5, namespace=namespace), fieldManager="scaler")).ok()
    answer = await api.apply(things_path(namespace, "t"), thing("t", size=1), manager="a")
    assert refused(answer, 409, "Conflict") == (
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using '
        "conformance.example.com/v1: .spec.size"
    )


async def test_an_apply_is_in_conflict_with_who_scaled_before(api: Api, namespace: str) -> None:
    path = await made(api, namespace)
    (await api.put(path, scale(5, namespace=namespace), fieldManager="scaler")).ok()
    answer = await api.apply(path, scale(6), manager="a")
    who = 'conflict with "scaler" with subresource "scale" using autoscaling/v1'
    assert refused(answer, 409, "Conflict") == f"Apply failed with 1 conflict: {who}: .spec.replicas"
    assert causes(answer) == [("FieldManagerConflict", ".spec.replicas", who)]


async def test_an_apply_that_changes_the_replicas_fails(api: Api, namespace: str) -> None:
    """A fault of kube-apiserver, which cannot store what was applied to the scale of a custom resource."""
    path = await made(api, namespace, size=3)
    answer = await api.apply(path, scale(6), manager="a", force=True)
    assert refused(answer, 500, "") == (
        "failed to convert new object (/t; autoscaling/v1, Kind=Scale) to proper version: request to convert CR to an "
        "invalid group/version: autoscaling/v1"
    )


async def test_a_negative_number_is_refused(api: Api, namespace: str) -> None:
    path = await made(api, namespace, size=3)
    answer = await api.put(path, scale(-4, namespace=namespace))
    assert refused(answer, 422, "Invalid") == (
        'Thing.conformance.example.com "t" is invalid: [spec.size: Invalid value: -4: spec.size in body should be greater '
        "than or equal to 0, .spec.size: Invalid value: -4: should be a non-negative integer]"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"name": "u"}}, "the name of the object (u) does not match the name on the URL (t)"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "no kind is registered for the type v1.Scale in scheme"),
    ],
)
async def test_another_object_is_refused(api: Api, namespace: str, change: Any, message: str) -> None:
    path = await made(api, namespace)
    answer = await api.put(path, {**scale(4, namespace=namespace), **change})
    assert message in refused(answer, 400, "BadRequest")


async def test_a_stale_version_is_a_conflict(api: Api, namespace: str) -> None:
    path = await made(api, namespace)
    answer = await api.put(path, scale(4, namespace=namespace, resourceVersion="1"))
    assert "the object has been modified" in refused(answer, 409, "Conflict")


async def test_it_has_no_strategic_merge(api: Api, namespace: str) -> None:
    path = await made(api, namespace)
    answer = await api.patch(path, {"spec": {"replicas": 4}}, content_type=STRATEGIC)
    refused(answer, 415, "UnsupportedMediaType")


async def test_it_is_neither_created_nor_deleted(api: Api, namespace: str) -> None:
    path = await made(api, namespace)
    refused(await api.post(path, {}), 405, "MethodNotAllowed")
    refused(await api.delete(path), 405, "MethodNotAllowed")


async def test_nothing_has_no_scale(api: Api, namespace: str) -> None:
    answer = await api.get(things_path(namespace, "none", "scale"))
    assert refused(answer, 404, "NotFound") == 'things.conformance.example.com "none" not found'
