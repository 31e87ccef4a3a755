"""JSON patches: each operation, what a failing one answers, and that all of a patch happens or none of it."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.definitions import refused
from helpers.rest import JSON_PATCH, Api
from helpers.things import thing, things_path

REJECTED = "the server rejected our request due to an error in our request"
LIVE = {"a": 1, "list": [1, 2, 3], "map": {"x": {"y": 1}}, "s/l~t": "z"}


async def patched(api: Api, namespace: str, *operations: Any) -> Any:
    """Patch the free part of a thing that holds LIVE, and return the answer."""
    (await api.post(things_path(namespace), thing("t", free=LIVE))).ok()
    return await api.patch(things_path(namespace, "t"), list(operations), content_type=JSON_PATCH)


def op(name: str, path: str, *value: Any, **more: Any) -> dict[str, Any]:
    return {"op": name, "path": f"/spec/free{path}", **({"value": value[0]} if value else {}), **more}


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        ([op("add", "/new", {"q": 1})], {"new": {"q": 1}}),
        ([op("add", "/a", 2)], {"a": 2}),
        ([op("add", "/list/-", 4)], {"list": [1, 2, 3, 4]}),
        ([op("add", "/list/0", 0)], {"list": [0, 1, 2, 3]}),
        ([op("replace", "/map/x/y", 5)], {"map": {"x": {"y": 5}}}),
        ([op("replace", "/list/1", 9)], {"list": [1, 9, 3]}),
        ([op("replace", "/none", 1)], {"none": 1}),
        ([op("remove", "/list/0")], {"list": [2, 3]}),
        ([op("remove", "/list/-1")], {"list": [1, 2]}),
        ([op("copy", "/copied", **{"from": "/spec/free/map/x"})], {"copied": {"y": 1}}),
        ([op("replace", "/s~1l~0t", "new")], {"s/l~t": "new"}),
        ([op("test", "/a", 1), op("replace", "/a", 2)], {"a": 2}),
        ([op("test", "/map", {"x": {"y": 1}})], {}),
        ([op("test", "/none", None)], {}),
        ([op("add", "/nothing")], {"nothing": None}),
        ([], {}),
    ],
)
async def test_an_operation_changes_what_it_says(
    api: Api, namespace: str, operations: list[Any], changed: dict[str, Any]
) -> None:
    answer = await patched(api, namespace, *operations)
    assert answer.ok()["spec"]["free"] == {**LIVE, **changed}


async def test_a_removed_and_a_moved_member_are_gone(api: Api, namespace: str) -> None:
    move = op("move", "/moved", **{"from": "/spec/free/map/x"})
    answer = await patched(api, namespace, op("remove", "/a"), move)
    assert answer.ok()["spec"]["free"] == {"list": [1, 2, 3], "map": {}, "moved": {"y": 1}, "s/l~t": "z"}


@pytest.mark.parametrize(
    "operation",
    [
        op("test", "/a", 2),
        op("test", "/none", 2),
        op("test", "/map", {"x": 1}),
        op("remove", "/none"),
        op("add", "/none/deep", 1),
        op("add", "/list/9", 1),
        op("replace", "/list/9", 1),
        op("remove", "/list/x"),
        op("move", "/b", **{"from": "/spec/free/none"}),
        op("frobnicate", "/a", 1),
        {"path": "/spec/free/a", "value": 1},
        {"op": "add", "value": 1},
        {"op": "add", "path": "spec", "value": 1},
    ],
)
async def test_an_operation_that_cannot_be_carried_out_is_rejected(api: Api, namespace: str, operation: Any) -> None:
    answer = await patched(api, namespace, op("replace", "/a", 7), operation)
    assert refused(answer, 422, "Invalid") == REJECTED
    assert (await api.get(things_path(namespace, "t"))).json["spec"]["free"] == LIVE


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ({"op": "add"}, "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ("x", "json: cannot unmarshal string into Go value of type []handlers.jsonPatchOp"),
        (["x"], "json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
        (b"{", "unexpected end of JSON input"),
        (b"", "unexpected end of JSON input"),
    ],
)
async def test_what_is_no_json_patch_is_a_bad_request(api: Api, namespace: str, patch: Any, why: str) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    answer = await api.patch(things_path(namespace, "t"), patch, content_type=JSON_PATCH)
    assert refused(answer, 400, "BadRequest") == f"error decoding patch: {why}"


async def test_a_patch_of_a_built_in_kind(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    (await api.post(path, {"metadata": {"name": "a"}, "data": {"k": "v"}})).ok()
    operations = [{"op": "test", "path": "/data/k", "value": "v"}, {"op": "add", "path": "/data/l", "value": "w"}]
    answer = await api.patch(f"{path}/a", operations, content_type=JSON_PATCH)
    assert answer.ok()["data"] == {"k": "v", "l": "w"}
    again = [{"op": "test", "path": "/data/k", "value": "x"}]
    assert refused(await api.patch(f"{path}/a", again, content_type=JSON_PATCH), 422, "Invalid") == REJECTED


async def test_a_patch_may_not_leave_what_the_kind_cannot_hold(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    (await api.post(path, {"metadata": {"name": "a"}, "data": {"k": "v"}})).ok()
    wrong = [{"op": "add", "path": "/data/k", "value": 1}]
    answer = await api.patch(f"{path}/a", wrong, content_type=JSON_PATCH)
    refused(answer, 422, "Invalid")
    [cause] = answer.json["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldValueInvalid", "patch")
    assert cause["message"].startswith('Invalid value: "{')


async def test_the_version_may_be_tested(api: Api, namespace: str) -> None:
    made = (await api.post(things_path(namespace), thing("t", size=1))).ok()
    version = made["metadata"]["resourceVersion"]
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": "/spec/size", "value": 2},
    ]
    path = things_path(namespace, "t")
    assert (await api.patch(path, operations, content_type=JSON_PATCH)).ok()["spec"]["size"] == 2
    assert refused(await api.patch(path, operations, content_type=JSON_PATCH), 422, "Invalid") == REJECTED


async def test_too_many_operations_are_too_large(api: Api, namespace: str) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    operations = [{"op": "test", "path": "/x", "value": None}] * 10_001
    answer = await api.patch(things_path(namespace, "t"), operations, content_type=JSON_PATCH)
    assert refused(answer, 413, "RequestEntityTooLarge") == (
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    )


async def test_a_patch_of_nothing_is_not_found(api: Api, namespace: str) -> None:
    answer = await api.patch(things_path(namespace, "none"), [], content_type=JSON_PATCH)
    assert refused(answer, 404, "NotFound") == 'things.conformance.example.com "none" not found'
