"""Merge patches (RFC 7386): members come, change and go; lists are replaced whole."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.definitions import causes, refused
from helpers.rest import MERGE, Api
from helpers.things import thing, things_path

LIVE = {"a": 1, "list": [1, 2, 3], "map": {"x": {"y": 1}, "z": 2}}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"b": {"c": 1}}, {**LIVE, "b": {"c": 1}}),
        ({"a": None}, {"list": [1, 2, 3], "map": {"x": {"y": 1}, "z": 2}}),
        ({"never": None}, LIVE),
        ({"list": [9]}, {**LIVE, "list": [9]}),
        ({"map": {"x": {"y": None, "w": 3}}}, {**LIVE, "map": {"x": {"w": 3}, "z": 2}}),
        ({"a": {"x": None, "y": 1}}, {**LIVE, "a": {"y": 1}}),
        ({"fresh": {"x": None, "y": 1}}, {**LIVE, "fresh": {"y": 1}}),
        ({"map": 5}, {**LIVE, "map": 5}),
        ({}, LIVE),
    ],
)
async def test_a_patch_merges(api: Api, namespace: str, patch: Any, expected: Any) -> None:
    (await api.post(things_path(namespace), thing("t", free=LIVE))).ok()
    answer = await api.patch(things_path(namespace, "t"), {"spec": {"free": patch}})
    assert answer.ok()["spec"]["free"] == expected


async def test_what_is_null_in_an_object_of_a_built_in_kind_goes(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    (await api.post(path, {"metadata": {"name": "a", "labels": {"l": "1", "m": "2"}}, "data": {"k": "v"}})).ok()
    answer = await api.patch(f"{path}/a", {"metadata": {"labels": {"l": None}}, "data": None})
    assert answer.ok()["metadata"]["labels"] == {"m": "2"}
    assert "data" not in answer.json
    emptied = await api.patch(f"{path}/a", {"metadata": {"labels": None}})
    assert "labels" not in emptied.ok()["metadata"]


async def test_a_patch_that_changes_nothing_writes_nothing(api: Api, namespace: str) -> None:
    made = (await api.post(things_path(namespace), thing("t", size=2))).ok()
    again = await api.patch(things_path(namespace, "t"), {"spec": {"size": 2}})
    assert again.ok()["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_version_in_the_patch_must_be_the_current_one(api: Api, namespace: str) -> None:
    made = (await api.post(things_path(namespace), thing("t", size=2))).ok()
    path, version = things_path(namespace, "t"), made["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "spec": {"size": 3}}
    (await api.patch(path, patch)).ok()
    assert refused(await api.patch(path, {**patch, "spec": {"size": 4}}), 409, "Conflict") == (
        'Operation cannot be fulfilled on things.conformance.example.com "t": the object has been modified; please apply '
        "your changes to the latest version and try again"
    )


async def test_a_uid_in_the_patch_must_be_the_object_s(api: Api, namespace: str) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    answer = await api.patch(things_path(namespace, "t"), {"metadata": {"uid": "other"}})
    assert refused(answer, 422, "Invalid") == (
        'Thing.conformance.example.com "t" is invalid: metadata.uid: Invalid value: "other": field is immutable'
    )
    assert set(causes(answer)) == {("FieldValueInvalid", "metadata.uid", 'Invalid value: "other": field is immutable')}


@pytest.mark.parametrize(
    ("patch", "status", "message"),
    [
        ({"metadata": {"name": "u"}}, 400, "the name of the object (u) does not match the name on the URL (t)"),
        (
            {"metadata": {"namespace": "u"}},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            {"metadata": None},
            400,
            "the name of the object (t based on URL) was undeterminable: name must be provided",
        ),
        (
            {"kind": "Other"},
            422,
            'Other.conformance.example.com "t" is invalid: kind: Invalid value: "Other": must be Thing',
        ),
    ],
)
async def test_what_an_object_is_cannot_be_patched(
    api: Api, namespace: str, patch: Any, status: int, message: str
) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    answer = await api.patch(things_path(namespace, "t"), patch)
    assert refused(answer, status, "BadRequest" if status == 400 else "Invalid") == message


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        (b"{", "error decoding patch: unexpected end of JSON input"),
        (b"", "error decoding patch: unexpected end of JSON input"),
        ([], "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("x", "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}"),
    ],
)
async def test_what_is_no_merge_patch_is_a_bad_request(api: Api, namespace: str, patch: Any, why: str) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    answer = await api.patch(things_path(namespace, "t"), patch, content_type=MERGE)
    assert refused(answer, 400, "BadRequest") == why


async def test_an_unknown_field_is_warned_of_or_refused(api: Api, namespace: str) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    path, patch = things_path(namespace, "t"), {"spec": {"nope": 1}}
    warned = await api.patch(path, patch)
    assert "nope" not in warned.ok()["spec"]
    assert warned.headers["warning"] == '299 - "unknown field \\"spec.nope\\""'
    strict = await api.patch(path, patch, fieldValidation="Strict")
    assert refused(strict, 422, "Invalid").endswith('strict decoding error: unknown field "spec.nope"')
    ignored = await api.patch(path, patch, fieldValidation="Ignore")
    assert "warning" not in ignored.headers


async def test_a_status_is_patched_through_its_subresource_alone(api: Api, namespace: str) -> None:
    (await api.post(things_path(namespace), thing("t", size=2))).ok()
    both = {"spec": {"size": 3}, "status": {"phase": "Up"}}
    main = (await api.patch(things_path(namespace, "t"), both)).ok()
    assert (main["spec"]["size"], main.get("status")) == (3, None)
    sub = (await api.patch(things_path(namespace, "t", "status"), {**both, "spec": {"size": 9}})).ok()
    assert (sub["spec"]["size"], sub["status"]) == (3, {"phase": "Up"})
