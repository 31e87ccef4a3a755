"""Server-side apply: who owns what, conflicts, what is removed, lists and structures that merge or don't."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.definitions import causes, refused
from helpers.rest import APPLY, JSON_PATCH, Api
from helpers.things import API_VERSION, thing, things_path

USING = f"using {API_VERSION}"


def owned(obj: dict[str, Any], manager: str, operation: str = "Apply", subresource: str = "") -> Any:
    """The fields of a manager; None if it owns nothing."""
    for entry in obj["metadata"].get("managedFields", []):
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == (manager, operation, subresource):
            return entry["fieldsV1"]
    return None


async def applied(api: Api, namespace: str, manager: str = "a", **spec: Any) -> Any:
    return (await api.apply(things_path(namespace, "t"), thing("t", **spec), manager=manager)).ok()


async def test_an_apply_creates_what_is_not_there(api: Api, namespace: str) -> None:
    answer = await api.apply(things_path(namespace, "t"), thing("t", colour="red"), manager="a")
    assert answer.status == 201
    assert answer.json["spec"] == {"colour": "red", "size": 1}
    [entry] = answer.json["metadata"]["managedFields"]
    assert entry.pop("time")
    assert entry == {
        "manager": "a",
        "operation": "Apply",
        "apiVersion": API_VERSION,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:colour": {}}},
    }


async def test_applying_the_same_again_writes_nothing(api: Api, namespace: str) -> None:
    first = await applied(api, namespace, colour="red", tags=["x"], parts=[{"name": "p"}])
    again = await applied(api, namespace, colour="red", tags=["x"], parts=[{"name": "p"}])
    assert again == first


async def test_an_apply_that_changes_nothing_has_no_time(api: Api, namespace: str) -> None:
    await applied(api, namespace, "a", colour="red")
    again = await applied(api, namespace, "b", colour="red")
    times = {entry["manager"]: entry.get("time", "") for entry in again["metadata"]["managedFields"]}
    assert times["a"]
    assert times["b"] == ""


async def test_a_quantity_may_be_applied_as_a_number(api: Api, namespace: str) -> None:
    limits = {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}
    spec = {"containers": [{"name": "c", "image": "i:1", **limits}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    made = (await api.apply(f"/api/v1/namespaces/{namespace}/pods/p", pod, manager="a")).ok()
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"labels": {"x": "y"}}, {"f:labels": {"f:x": {}}}),
        ({"whole": {"a": "1"}}, {"f:whole": {}}),
        ({"steps": ["1", "2"]}, {"f:steps": {}}),
        ({"tags": ["b", "a"]}, {"f:tags": {'v:"a"': {}, 'v:"b"': {}}}),
        (
            {"parts": [{"name": "p", "count": 2}]},
            {"f:parts": {'k:{"name":"p"}': {".": {}, "f:count": {}, "f:name": {}}}},
        ),
    ],
)
async def test_what_is_applied_is_owned(api: Api, namespace: str, spec: dict[str, Any], fields: Any) -> None:
    assert owned(await applied(api, namespace, **spec), "a") == {"f:spec": fields}


async def test_what_is_no_longer_applied_goes(api: Api, namespace: str) -> None:
    await applied(api, namespace, colour="red", labels={"x": "1", "y": "2"}, tags=["a", "b"], parts=[{"name": "p"}])
    after = await applied(api, namespace, labels={"x": "1"}, tags=["b"])
    assert after["spec"] == {"size": 1, "labels": {"x": "1"}, "tags": ["b"]}
    assert (await applied(api, namespace))["spec"] == {"size": 1}


async def test_what_somebody_else_owns_too_stays(api: Api, namespace: str) -> None:
    await applied(api, namespace, colour="red", tags=["x"])
    both = await applied(api, namespace, "b", colour="red", tags=["x"])
    assert owned(both, "a") == owned(both, "b") == {"f:spec": {"f:colour": {}, "f:tags": {'v:"x"': {}}}}
    after = await applied(api, namespace)
    assert after["spec"] == {"colour": "red", "size": 1, "tags": ["x"]}
    assert owned(after, "a") == {"f:spec": {}}


async def test_lists_and_maps_of_several_managers_merge(api: Api, namespace: str) -> None:
    await applied(api, namespace, tags=["c", "a"], labels={"x": "1"}, parts=[{"name": "p"}])
    after = await applied(api, namespace, "b", tags=["x", "b"], labels={"y": "2"}, parts=[{"name": "q"}])
    assert after["spec"]["tags"] == ["c", "a", "x", "b"]
    assert after["spec"]["labels"] == {"x": "1", "y": "2"}
    assert [part["name"] for part in after["spec"]["parts"]] == ["p", "q"]
    reordered = await applied(api, namespace, tags=["a", "y", "c"], labels={"x": "1"}, parts=[{"name": "p"}])
    assert reordered["spec"]["tags"] == ["a", "x", "b", "y", "c"]


async def test_another_manager_s_field_is_a_conflict(api: Api, namespace: str) -> None:
    await applied(api, namespace, colour="red")
    answer = await api.apply(things_path(namespace, "t"), thing("t", colour="green"), manager="b")
    assert refused(answer, 409, "Conflict") == 'Apply failed with 1 conflict: conflict with "a": .spec.colour'
    assert causes(answer) == [("FieldManagerConflict", ".spec.colour", 'conflict with "a"')]
    same = await api.apply(things_path(namespace, "t"), thing("t", colour="red"), manager="b")
    assert same.status == 200


async def test_conflicts_are_listed_by_manager(api: Api, namespace: str) -> None:
    await applied(api, namespace, colour="red", steps=["1"], labels={"x": "1"}, whole={"a": "1"})
    await applied(api, namespace, "b", limit=5)
    config = thing("t", colour="green", steps=["2"], labels={"x": "2"}, whole={"b": "1"}, limit=6)
    answer = await api.apply(things_path(namespace, "t"), config, manager="c")
    assert refused(answer, 409, "Conflict") == (
        'Apply failed with 5 conflicts: conflicts with "a":\n'
        '- .spec.colour\n- .spec.steps\n- .spec.whole\n- .spec.labels.x\nconflicts with "b":\n- .spec.limit'
    )
    assert [field for _, field, _ in causes(answer)] == [
        ".spec.colour", ".spec.labels.x", ".spec.limit", ".spec.steps", ".spec.whole",
    ]  # fmt: skip


async def test_a_conflict_with_a_plain_write_says_with_which_version(api: Api, namespace: str) -> None:
    await applied(api, namespace, limit=9)
    (await api.patch(things_path(namespace, "t"), {"spec": {"colour": "red"}}, fieldManager="editor")).ok()
    answer = await api.apply(things_path(namespace, "t"), thing("t", colour="green"), manager="b")
    assert refused(answer, 409, "Conflict") == (
        f'Apply failed with 1 conflict: conflict with "editor" {USING}: .spec.colour'
    )


async def test_force_takes_over(api: Api, namespace: str) -> None:
    await applied(api, namespace, colour="red", steps=["1"])
    path, config = things_path(namespace, "t"), thing("t", colour="green")
    after = (await api.apply(path, config, manager="b", force=True)).ok()
    assert after["spec"]["colour"] == "green"
    assert owned(after, "a") == {"f:spec": {"f:steps": {}}}
    assert owned(after, "b") == {"f:spec": {"f:colour": {}}}


async def test_a_plain_write_takes_over_what_it_changes(api: Api, namespace: str) -> None:
    made = await applied(api, namespace, colour="red", steps=["1"])
    body = {**made, "spec": {**made["spec"], "colour": "blue"}}
    after = (await api.put(things_path(namespace, "t"), body, fieldManager="editor")).ok()
    assert owned(after, "a") == {"f:spec": {"f:steps": {}}}
    assert owned(after, "editor", "Update") == {"f:spec": {"f:colour": {}}}


async def test_one_manager_s_applies_and_writes_are_apart(api: Api, namespace: str) -> None:
    await applied(api, namespace, colour="red")
    (await api.patch(things_path(namespace, "t"), {"spec": {"limit": 3}}, fieldManager="a")).ok()
    found = (await api.get(things_path(namespace, "t"))).json
    assert owned(found, "a") == {"f:spec": {"f:colour": {}}}
    assert owned(found, "a", "Update") == {"f:spec": {"f:limit": {}}}


async def test_the_status_is_applied_through_its_subresource(api: Api, namespace: str) -> None:
    await applied(api, namespace, colour="red")
    condition = {"type": "Ready", "status": "True"}
    config = {**thing("t", colour="blue"), "status": {"conditions": [condition]}}
    path = things_path(namespace, "t", "status")
    after = (await api.apply(path, config, manager="s")).ok()
    assert (after["spec"]["colour"], after["status"]) == ("red", {"conditions": [condition]})
    fields = {'k:{"type":"Ready"}': {".": {}, "f:status": {}, "f:type": {}}}
    assert owned(after, "s", subresource="status") == {"f:status": {"f:conditions": fields}}
    main = (await api.apply(things_path(namespace, "t"), config, manager="a")).ok()
    assert (main["spec"]["colour"], main["status"]) == ("blue", {"conditions": [condition]})
    assert owned(main, "a") == {"f:spec": {"f:colour": {}}}
    other = {**config, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    answer = await api.apply(path, other, manager="x")
    field = '.status.conditions[type="Ready"].status'
    assert refused(answer, 409, "Conflict") == (
        f'Apply failed with 1 conflict: conflict with "s" with subresource "status": {field}'
    )


async def test_a_status_of_nothing_is_not_created(api: Api, namespace: str) -> None:
    answer = await api.apply(things_path(namespace, "none", "status"), {**thing("none"), "status": {"phase": "x"}})
    assert refused(answer, 404, "NotFound") == 'things.conformance.example.com "none" not found'


async def test_metadata_is_applied_and_dropped_too(api: Api, namespace: str) -> None:
    metadata = {
        "labels": {"l": "1"},
        "annotations": {"n": "1"},
        "finalizers": ["example.com/f"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u1"}],
    }
    path = things_path(namespace, "t")
    made = (await api.apply(path, thing("t", metadata=metadata), manager="a")).ok()
    assert owned(made, "a") == {
        "f:metadata": {
            "f:annotations": {"f:n": {}},
            "f:finalizers": {'v:"example.com/f"': {}},
            "f:labels": {"f:l": {}},
            "f:ownerReferences": {'k:{"uid":"u1"}': {}},
        },
        "f:spec": {},
    }
    after = (await api.apply(path, thing("t"), manager="a")).ok()
    assert not after["metadata"].keys() & metadata.keys()


@pytest.mark.parametrize("reset", [[{}], []])
async def test_owners_are_reset_by_an_empty_entry(api: Api, namespace: str, reset: list[Any]) -> None:
    await applied(api, namespace, colour="red")
    path = things_path(namespace, "t")
    operation = {"op": "replace", "path": "/metadata/managedFields", "value": reset}
    after = (await api.patch(path, [operation], content_type=JSON_PATCH)).ok()
    assert ("managedFields" in after["metadata"]) is not bool(reset)


async def test_after_a_reset_what_was_there_belongs_to_whoever_was_before(api: Api, namespace: str) -> None:
    await applied(api, namespace, colour="red")
    path = things_path(namespace, "t")
    operation = {"op": "replace", "path": "/metadata/managedFields", "value": [{}]}
    (await api.patch(path, [operation], content_type=JSON_PATCH)).ok()
    answer = await api.apply(path, thing("t", colour="green"), manager="b")
    assert refused(answer, 409, "Conflict") == (
        f'Apply failed with 1 conflict: conflict with "before-first-apply" {USING}: .spec.colour'
    )


async def test_null_for_the_owners_keeps_them(api: Api, namespace: str) -> None:
    await applied(api, namespace, colour="red")
    after = (await api.patch(things_path(namespace, "t"), {"metadata": {"managedFields": None}})).ok()
    assert owned(after, "a") == {"f:spec": {"f:colour": {}}}


@pytest.mark.parametrize(
    ("manager", "why", "reason"),
    [
        ("", "fieldManager: Required value: is required for apply patch", "FieldValueRequired"),
        ("x" * 129, "fieldManager: Too long: may not be more than 128 bytes", "FieldValueTooLong"),
    ],
)
async def test_an_apply_needs_a_manager(api: Api, namespace: str, manager: str, why: str, reason: str) -> None:
    answer = await api.apply(things_path(namespace, "t"), thing("t"), manager=manager)
    assert refused(answer, 422, "Invalid") == f'PatchOptions.meta.k8s.io "" is invalid: {why}'
    assert [cause for cause, _, _ in causes(answer)] == [reason]


async def test_only_an_apply_can_be_forced(api: Api, namespace: str) -> None:
    await applied(api, namespace)
    answer = await api.patch(things_path(namespace, "t"), {}, force=True)
    assert refused(answer, 422, "Invalid") == (
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch'
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"nope": 1}, ".spec.nope: field not declared in schema"),
        ({"size": "1"}, ".spec.size: expected numeric (int or float), got string"),
        ({"colour": 1}, ".spec.colour: expected string, got &value.valueUnstructured{Value:1}"),
        ({"tags": ["a", "a"]}, '.spec.tags: duplicate entries for key [="a"]'),
        ({"parts": [{"name": "p"}, {"name": "p"}]}, '.spec.parts: duplicate entries for key [name="p"]'),
    ],
)
async def test_what_cannot_be_told_apart_is_refused(api: Api, namespace: str, spec: dict[str, Any], why: str) -> None:
    answer = await api.apply(things_path(namespace, "t"), thing("t", **spec))
    assert refused(answer, 500, "") == (f"failed to create typed patch object (/t; {API_VERSION}, Kind=Thing): {why}")


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"kind": "Other"}, 400, f"invalid object type: {API_VERSION}, Kind=Other"),
        ({"apiVersion": "v1"}, 400, "invalid object type: /v1, Kind=Thing"),
        ({"metadata": {"name": "u"}}, 400, "the name of the object (u) does not match the name on the URL (t)"),
        (
            {"metadata": {"name": "t", "namespace": "u"}},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            {"metadata": {"name": "t", "managedFields": [{"manager": "x", "operation": "Apply"}]}},
            400,
            "metadata.managedFields must be nil",
        ),
    ],
)
async def test_a_configuration_says_what_it_is_for(
    api: Api, namespace: str, change: dict[str, Any], status: int, message: str
) -> None:
    await applied(api, namespace)
    answer = await api.apply(things_path(namespace, "t"), {**thing("t"), **change})
    assert refused(answer, status, "BadRequest") == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"null", "invalid object type: /, Kind="),
        (
            b"[]",
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value "
            "of type map[string]interface {}",
        ),
    ],
)
async def test_a_configuration_is_an_object(api: Api, namespace: str, body: bytes, message: str) -> None:
    answer = await api.apply(things_path(namespace, "t"), body)
    assert refused(answer, 400, "BadRequest") == message


async def test_a_configuration_may_be_yaml(api: Api, namespace: str) -> None:
    body = f"apiVersion: {API_VERSION}\nkind: Thing\nmetadata:\n  name: t\nspec:\n  size: 3\n"
    made = (await api.apply(things_path(namespace, "t"), body.encode())).ok()
    assert made["spec"] == {"size": 3}
    broken = await api.apply(things_path(namespace, "t"), b"a: [")
    assert refused(broken, 400, "BadRequest").startswith("error decoding YAML: error converting YAML to JSON: yaml: ")


async def test_a_uid_or_a_version_must_be_the_object_s(api: Api, namespace: str) -> None:
    path = things_path(namespace, "t")
    new = await api.apply(path, thing("t", metadata={"uid": "abc"}))
    assert "uid mismatch: the provided object specified uid abc, and no existing object was found" in (
        refused(new, 409, "Conflict")
    )
    await applied(api, namespace, colour="red")
    stale = await api.apply(path, thing("t", metadata={"resourceVersion": "1"}), manager="b")
    assert "the object has been modified" in refused(stale, 409, "Conflict")
    other = await api.apply(path, thing("t", metadata={"uid": "abc"}), manager="b")
    assert 'metadata.uid: Invalid value: "abc": field is immutable' in refused(other, 422, "Invalid")


async def test_a_dry_run_stores_nothing(api: Api, namespace: str) -> None:
    path = things_path(namespace, "t")
    assert (await api.apply(path, thing("t", colour="red"), dryRun="All")).status == 201
    assert (await api.get(path)).status == 404


async def test_a_service_s_ports_merge_by_port_and_protocol(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/services/s"

    def service(**spec: Any) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}

    one, two = {"name": "x", "port": 80}, {"name": "y", "port": 81}
    made = (await api.apply(path, service(selector={"a": "b"}, ports=[one]), manager="a")).ok()
    assert owned(made, "a") == {
        "f:spec": {
            "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}},
            "f:selector": {},
        }
    }
    after = (await api.apply(path, service(ports=[two]), manager="b")).ok()
    assert [port["port"] for port in after["spec"]["ports"]] == [80, 81]
    selector = await api.apply(path, service(selector={"c": "d"}), manager="b")
    assert refused(selector, 409, "Conflict").endswith('conflict with "a": .spec.selector')
    port = await api.apply(path, service(ports=[{**one, "name": "z"}]), manager="b")
    assert refused(port, 409, "Conflict").endswith('conflict with "a": .spec.ports[port=80,protocol="TCP"].name')


async def test_another_content_type_is_no_apply(api: Api, namespace: str) -> None:
    await applied(api, namespace)
    answer = await api.patch(things_path(namespace, "t"), {}, content_type="application/json")
    assert "application/apply-patch+yaml" in refused(answer, 415, "UnsupportedMediaType")
    assert APPLY == "application/apply-patch+yaml"
