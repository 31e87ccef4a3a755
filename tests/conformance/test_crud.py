"""Create, read, update: names, versions, what never changes, dry runs, and fields that nobody knows."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpers.rest import APPLY, JSON_PATCH, MERGE, STRATEGIC, Answer, Api
from helpers.things import API_VERSION, GROUP, thing, things_path

AHEAD = 1_000_000
STALE = "the object has been modified; please apply your changes to the latest version and try again"


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def config_map(name: str = "a", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"k": "1"}}


def lease(name: str = "a", **metadata: Any) -> dict[str, Any]:
    spec = {"holderIdentity": "me"}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


async def create(api: Api, namespace: str, name: str = "a", **metadata: Any) -> dict[str, Any]:
    return dict((await api.post(config_maps(namespace), config_map(name, **metadata))).ok())


def refusal(answer: Answer) -> tuple[int, str, str]:
    return answer.status, answer.reason, answer.json["message"]


def causes(answer: Answer) -> list[tuple[str, str]]:
    return [(cause["field"], cause["message"]) for cause in answer.json["details"]["causes"]]


def warnings(answer: Answer) -> list[str]:
    """The texts of all Warning headers; several come as one, separated by commas."""
    found = re.findall(r'299 - "((?:[^"\\]|\\.)*)"', answer.headers.get("warning", ""))
    return [text.replace('\\"', '"') for text in found]


class TestCreate:
    async def test_gives_what_only_the_server_may_give(self, api: Api, namespace: str) -> None:
        sent = config_map(
            uid="mine",
            creationTimestamp="2020-01-01T00:00:00Z",
            deletionTimestamp="2020-01-01T00:00:00Z",
            deletionGracePeriodSeconds=5,
            selfLink="/x",
        )
        answer = await api.post(config_maps(namespace), sent)
        assert answer.status == 201
        metadata = answer.json["metadata"]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", metadata["uid"])
        created = datetime.strptime(metadata["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)
        assert (metadata["namespace"], int(metadata["resourceVersion"]) > 0) == (namespace, True)
        assert not {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"} & set(metadata)
        assert (await api.get(f"{config_maps(namespace)}/a")).ok() == answer.json

    async def test_fills_in_kind_and_version(self, api: Api, namespace: str) -> None:
        made = (await api.post(config_maps(namespace), {"metadata": {"name": "a"}})).ok()
        assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")

    async def test_of_a_name_that_is_taken_already_exists(self, api: Api, namespace: str) -> None:
        await create(api, namespace)
        answer = await api.post(config_maps(namespace), config_map())
        assert answer.json == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'configmaps "a" already exists',
            "reason": "AlreadyExists",
            "details": {"name": "a", "kind": "configmaps"},
            "code": 409,
        }

    async def test_of_a_custom_resource_says_its_group(self, api: Api, namespace: str) -> None:
        (await api.post(things_path(namespace), thing("a"))).ok()
        answer = await api.post(things_path(namespace), thing("a"))
        assert refusal(answer) == (409, "AlreadyExists", f'things.{GROUP} "a" already exists')
        assert answer.json["details"] == {"name": "a", "group": GROUP, "kind": "things"}

    async def test_takes_no_version(self, api: Api, namespace: str) -> None:
        answer = await api.post(config_maps(namespace), config_map(resourceVersion="5"))
        assert (answer.status, answer.json["code"]) == (500, 500)
        assert answer.json["message"] == "resourceVersion should not be set on objects to be created"

    async def test_needs_a_namespace_that_is_there(self, api: Api) -> None:
        answer = await api.post(config_maps("nowhere"), config_map())
        assert refusal(answer) == (404, "NotFound", 'namespaces "nowhere" not found')
        assert answer.json["details"] == {"name": "nowhere", "kind": "namespaces"}

    async def test_needs_the_namespace_of_its_path(self, api: Api, namespace: str) -> None:
        answer = await api.post(config_maps(namespace), config_map(namespace="other"))
        message = "the namespace of the provided object does not match the namespace sent on the request"
        assert refusal(answer) == (400, "BadRequest", message)

    async def test_happens_in_one_namespace(self, api: Api) -> None:
        assert refusal(await api.post("/api/v1/configmaps", config_map()))[:2] == (405, "MethodNotAllowed")

    @pytest.mark.parametrize("body", [{}, {"metadata": {}}, {"metadata": {"name": ""}}])
    async def test_needs_a_name(self, api: Api, namespace: str, body: dict[str, Any]) -> None:
        answer = await api.post(config_maps(namespace), body)
        why = "Required value: name or generateName is required"
        assert refusal(answer) == (422, "Invalid", f'ConfigMap "" is invalid: metadata.name: {why}')
        cause = {"reason": "FieldValueRequired", "message": why, "field": "metadata.name"}
        assert answer.json["details"] == {"kind": "ConfigMap", "causes": [cause]}

    @pytest.mark.parametrize(
        ("metadata", "field", "why"),
        [
            ({"name": "Not_A_Name"}, "metadata.name", "a lowercase RFC 1123 subdomain must consist of lower case"),
            ({"name": "x" * 254}, "metadata.name", "must be no more than 253 characters"),
            ({"labels": {"a b": "c"}}, "metadata.labels", "name part must consist of alphanumeric characters"),
            ({"labels": {"a": "b c"}}, "metadata.labels", "a valid label must be an empty string or consist of"),
            ({"annotations": {"a b": "c"}}, "metadata.annotations", "name part must consist of alphanumeric"),
            ({"annotations": {"a": "x" * 262145}}, "metadata.annotations", "may not be more than 262144 bytes"),
            (
                {"finalizers": ["nodomain"]},
                "metadata.finalizers[0]",
                "name is neither a standard finalizer name nor is",
            ),
            ({"ownerReferences": [{}]}, "metadata.ownerReferences.uid", 'Invalid value: "": must not be empty'),
            (
                {"ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "1"}]},
                "metadata.ownerReferences",
                "/v1, Kind=Event is disallowed from being an owner",
            ),
            (
                {
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True}
                        for name in ("a", "b")
                    ]
                },
                "metadata.ownerReferences",
                'Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/b',
            ),
        ],
    )
    async def test_refuses_metadata_that_cannot_be(
        self, api: Api, namespace: str, metadata: dict[str, Any], field: str, why: str
    ) -> None:
        answer = await api.post(config_maps(namespace), config_map(**{"name": "a", **metadata}))
        assert refusal(answer)[:2] == (422, "Invalid")
        assert any(found == field and why in message for found, message in causes(answer)), answer.text

    async def test_advises_custom_resources_on_finalizers(self, api: Api, namespace: str) -> None:
        answer = await api.post(things_path(namespace), thing("a", metadata={"finalizers": ["nodomain"]}))
        advice = "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
        assert (answer.status, warnings(answer)) == (201, [f'metadata.finalizers: "nodomain": {advice}'])
        (await api.patch(things_path(namespace, "a"), {"metadata": {"finalizers": None}})).ok()


class TestGenerateName:
    async def test_adds_five_characters(self, api: Api, namespace: str) -> None:
        made = (await api.post(config_maps(namespace), {"metadata": {"generateName": "pre-"}})).ok()["metadata"]
        assert made["generateName"] == "pre-"
        assert re.fullmatch(r"pre-[bcdfghjklmnpqrstvwxz2456789]{5}", made["name"])

    async def test_cuts_what_is_too_long(self, api: Api, namespace: str) -> None:
        made = (await api.post(config_maps(namespace), {"metadata": {"generateName": "x" * 100}})).ok()["metadata"]
        assert (len(made["name"]), made["name"][:58]) == (63, "x" * 58)

    async def test_means_nothing_beside_a_name(self, api: Api, namespace: str) -> None:
        made = (await api.post(config_maps(namespace), config_map("named", generateName="pre-"))).ok()
        assert made["metadata"]["name"] == "named"

    async def test_makes_names_that_differ(self, api: Api, namespace: str) -> None:
        body = {"metadata": {"generateName": "many-"}}
        answers = await asyncio.gather(*(api.post(config_maps(namespace), body) for _ in range(20)))
        assert len({answer.ok()["metadata"]["name"] for answer in answers}) == 20


class TestUpdate:
    async def test_replaces_all_but_what_the_server_keeps(self, api: Api, namespace: str) -> None:
        made = await create(api, namespace, labels={"a": "b"})
        sent = {
            "metadata": {
                "name": "a",
                "creationTimestamp": "2020-01-01T00:00:00Z",
                "generation": 9,
                "selfLink": "/x",
                "resourceVersion": made["metadata"]["resourceVersion"],
            },
            "data": {"other": "1"},
        }
        answer = await api.put(f"{config_maps(namespace)}/a", sent)
        assert (answer.status, answer.json["data"]) == (200, {"other": "1"})
        metadata, before = answer.json["metadata"], made["metadata"]
        assert [metadata[name] for name in ("uid", "creationTimestamp", "namespace")] == [
            before[name] for name in ("uid", "creationTimestamp", "namespace")
        ]
        assert not {"labels", "generation", "selfLink"} & set(metadata)
        assert int(metadata["resourceVersion"]) > int(before["resourceVersion"])

    async def test_that_changes_nothing_is_no_new_version(self, api: Api, namespace: str) -> None:
        made = await create(api, namespace)
        assert (await api.put(f"{config_maps(namespace)}/a", made)).ok() == made
        assert (await api.patch(f"{config_maps(namespace)}/a", {"data": {"k": "1"}})).ok() == made

    @pytest.mark.parametrize("version", ["1", "past", "future"])
    async def test_of_another_version_is_a_conflict(self, api: Api, namespace: str, version: str) -> None:
        made = await create(api, namespace)
        latest = (await api.patch(f"{config_maps(namespace)}/a", {"data": {"k": "2"}})).ok()["metadata"]
        past, future = made["metadata"]["resourceVersion"], str(int(latest["resourceVersion"]) + AHEAD)
        sent = config_map(resourceVersion={"past": past, "future": future}.get(version, version))
        for answer in (
            await api.put(f"{config_maps(namespace)}/a", sent),
            await api.patch(f"{config_maps(namespace)}/a", {"metadata": {"resourceVersion": past}}),
        ):
            assert refusal(answer) == (409, "Conflict", f'Operation cannot be fulfilled on configmaps "a": {STALE}')
            assert answer.json["details"] == {"name": "a", "kind": "configmaps"}

    @pytest.mark.parametrize("version", [{}, {"resourceVersion": ""}, {"resourceVersion": "0"}])
    async def test_without_a_version_is_unconditional_for_most_kinds(
        self, api: Api, namespace: str, version: dict[str, str]
    ) -> None:
        await create(api, namespace)
        answer = await api.put(f"{config_maps(namespace)}/a", {**config_map(**version), "data": {"k": "2"}})
        assert answer.ok()["data"] == {"k": "2"}

    @pytest.mark.parametrize("version", [{}, {"resourceVersion": "0"}])
    async def test_without_a_version_is_refused_for_some(
        self, api: Api, namespace: str, version: dict[str, str]
    ) -> None:
        why = "Invalid value: 0: must be specified for an update"
        (await api.post(leases(namespace), lease())).ok()
        (await api.post(things_path(namespace), thing("a"))).ok()
        for path, body, group, kind in (
            (leases(namespace), lease(**version), "coordination.k8s.io", "leases"),
            (things_path(namespace), thing("a", metadata=version, size=2), GROUP, "things"),
        ):
            answer = await api.put(f"{path}/a", body)
            message = f'{kind}.{group} "a" is invalid: metadata.resourceVersion: {why}'
            assert refusal(answer) == (422, "Invalid", message)
            cause = {"reason": "FieldValueInvalid", "message": why, "field": "metadata.resourceVersion"}
            assert answer.json["details"] == {"name": "a", "group": group, "kind": kind, "causes": [cause]}

    async def test_of_what_is_not_there_is_not_found(self, api: Api, namespace: str) -> None:
        path = f"{config_maps(namespace)}/a"
        for answer in (
            await api.get(path),
            await api.put(path, config_map()),
            await api.put(path, config_map(resourceVersion="5")),
            await api.patch(path, {}),
        ):
            assert refusal(answer) == (404, "NotFound", 'configmaps "a" not found')
            assert answer.json["details"] == {"name": "a", "kind": "configmaps"}

    async def test_of_what_is_not_there_creates_it_for_some_kinds(self, api: Api, namespace: str) -> None:
        path = f"{leases(namespace)}/a"
        assert (await api.put(path, lease())).status == 201
        assert (await api.get(path)).ok()["spec"]["holderIdentity"] == "me"
        assert (await api.put(f"{leases(namespace)}/b", lease("b", resourceVersion="1"))).status == 201
        assert refusal(await api.put(f"{leases(namespace)}/c", lease("c", uid="1")))[:2] == (409, "Conflict")
        nowhere = await api.put(f"{leases('nowhere')}/a", lease())
        assert refusal(nowhere) == (404, "NotFound", 'namespaces "nowhere" not found')

    @pytest.mark.parametrize(
        ("metadata", "why"),
        [
            ({"name": "b"}, "the name of the object (b) does not match the name on the URL (a)"),
            ({"name": ""}, "the name of the object (a based on URL) was undeterminable: name must be provided"),
            (
                {"namespace": "other"},
                "the namespace of the provided object does not match the namespace sent on the request",
            ),
        ],
    )
    async def test_goes_where_the_object_says(
        self, api: Api, namespace: str, metadata: dict[str, str], why: str
    ) -> None:
        await create(api, namespace)
        answer = await api.put(f"{config_maps(namespace)}/a", config_map(**{"name": "a", **metadata}))
        assert refusal(answer) == (400, "BadRequest", why)

    async def test_of_a_predecessor_is_a_conflict(self, api: Api, namespace: str) -> None:
        uid = (await create(api, namespace))["metadata"]["uid"]
        answer = await api.put(f"{config_maps(namespace)}/a", config_map(uid="mine"))
        assert refusal(answer)[:2] == (409, "Conflict")
        why = f"Precondition failed: UID in precondition: mine, UID in object meta: {uid}"
        where = f"StorageError: invalid object, Code: 4, Key: /registry/configmaps/{namespace}/a, ResourceVersion: 0"
        start = 'Operation cannot be fulfilled on configmaps "a"'
        assert answer.json["message"] == f"{start}: {where}, AdditionalErrorMsg: {why}"

    @pytest.mark.parametrize(
        ("metadata", "field", "shown"),
        [
            ({"uid": "mine"}, "metadata.uid", '"mine"'),
            ({"deletionTimestamp": "2020-01-01T00:00:00Z"}, "metadata.deletionTimestamp", '"2020-01-01T00:00:00Z"'),
            ({"deletionGracePeriodSeconds": 3}, "metadata.deletionGracePeriodSeconds", "3"),
        ],
    )
    @pytest.mark.parametrize("custom", [False, True])
    async def test_leaves_alone_what_never_changes(
        self, api: Api, namespace: str, metadata: dict[str, Any], field: str, shown: str, custom: bool
    ) -> None:
        path = things_path(namespace) if custom else config_maps(namespace)
        (await api.post(path, thing("a") if custom else config_map())).ok()
        answer = await api.patch(f"{path}/a", {"metadata": metadata})
        kind = f"Thing.{GROUP}" if custom else "ConfigMap"
        why = f"Invalid value: {shown}: field is immutable"
        assert refusal(answer) == (422, "Invalid", f'{kind} "a" is invalid: {field}: {why}')
        assert causes(answer) == [(field, why)] * 2  # two checks say so

    async def test_gives_the_server_s_fields_back_when_they_are_taken_away(self, api: Api, namespace: str) -> None:
        made = await create(api, namespace)
        taken = {"metadata": {"creationTimestamp": None, "uid": None, "namespace": None, "resourceVersion": None}}
        assert (await api.patch(f"{config_maps(namespace)}/a", taken)).ok() == made


class TestDryRun:
    async def test_of_a_create_leaves_nothing_behind(self, api: Api, namespace: str) -> None:
        answer = await api.post(config_maps(namespace), config_map(), dryRun="All")
        assert (answer.status, "uid" in answer.json["metadata"]) == (201, True)
        named = await api.post(config_maps(namespace), {"metadata": {"generateName": "x-"}}, dryRun="All")
        assert named.ok()["metadata"]["name"].startswith("x-")
        applied = await api.apply(f"{config_maps(namespace)}/b", config_map("b"), dryRun="All")
        assert applied.status == 201
        assert (await api.get(config_maps(namespace))).ok()["items"] == []

    async def test_of_a_change_shows_it_and_does_nothing(self, api: Api, namespace: str) -> None:
        path = f"{config_maps(namespace)}/a"
        made = await create(api, namespace)
        wanted = {"k": "2"}
        for answer in (
            await api.put(path, {**config_map(), "data": wanted}, dryRun="All"),
            await api.patch(path, {"data": wanted}, dryRun="All"),
            await api.patch(path, {"data": wanted}, content_type=STRATEGIC, dryRun="All"),
            await api.patch(
                path, [{"op": "replace", "path": "/data", "value": wanted}], content_type=JSON_PATCH, dryRun="All"
            ),
            await api.apply(path, {**config_map(), "data": wanted}, dryRun="All", force=True),
        ):
            assert (answer.status, answer.json["data"]) == (200, wanted)
            assert answer.json["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
            assert (await api.get(path)).ok() == made

    async def test_refuses_what_the_real_thing_would(self, api: Api, namespace: str) -> None:
        await create(api, namespace)
        path = config_maps(namespace)
        assert (await api.post(path, config_map(), dryRun="All")).status == 409
        assert (await api.post(path, config_map("Not_A_Name"), dryRun="All")).status == 422
        assert (await api.post(config_maps("nowhere"), config_map(), dryRun="All")).status == 404
        assert (await api.put(f"{path}/a", config_map(resourceVersion="1"), dryRun="All")).status == 409

    async def test_knows_no_other_value_than_all(self, api: Api, namespace: str) -> None:
        await create(api, namespace)
        path = f"{config_maps(namespace)}/a"
        for answer, kind in (
            (await api.post(config_maps(namespace), config_map(), dryRun="Some"), "CreateOptions"),
            (await api.put(path, config_map(), dryRun="Some"), "UpdateOptions"),
            (await api.patch(path, {}, dryRun="Some"), "PatchOptions"),
        ):
            why = 'Unsupported value: ["Some"]: supported values: "All"'
            assert refusal(answer) == (422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: dryRun: {why}')
            cause = {"reason": "FieldValueNotSupported", "message": why, "field": "dryRun"}
            assert answer.json["details"] == {"group": "meta.k8s.io", "kind": kind, "causes": [cause]}


def strict_error(kind: str, version: str, *problems: str) -> str:
    why = f"strict decoding error: {', '.join(problems)}"
    return f'{kind} in version "{version}" cannot be handled as a {kind}: {why}'


UNKNOWN = {"metadata": {"name": "a", "odd": 1}, "odd": 2}
SAID = ['unknown field "metadata.odd"', 'unknown field "odd"']


class TestFieldValidation:
    async def test_strict_refuses_unknown_fields(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        answer = await api.post(path, UNKNOWN, fieldValidation="Strict")
        assert refusal(answer) == (400, "BadRequest", strict_error("ConfigMap", "v1", *SAID))
        # It is found out before anything is looked up.
        answer = await api.put(f"{path}/a", UNKNOWN, fieldValidation="Strict")
        assert refusal(answer) == (400, "BadRequest", strict_error("ConfigMap", "v1", *SAID))
        assert (await api.get(f"{path}/a")).status == 404

    @pytest.mark.parametrize("validation", ["Warn", ""])
    async def test_warn_which_is_the_default_drops_and_reports_them(
        self, api: Api, namespace: str, validation: str
    ) -> None:
        path = config_maps(namespace)
        query = {"fieldValidation": validation} if validation else {}
        answer = await api.post(path, UNKNOWN, **query)
        assert (answer.status, "odd" in answer.json, "odd" in answer.json["metadata"]) == (201, False, False)
        assert last_of(answer, SAID)
        answer = await api.put(f"{path}/a", UNKNOWN, **query)
        assert (answer.status, "odd" in answer.json) == (200, False)
        assert last_of(answer, SAID)

    async def test_ignore_drops_them_in_silence(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        answer = await api.post(path, UNKNOWN, fieldValidation="Ignore")
        assert (answer.status, "odd" in answer.json, warnings(answer)) == (201, False, [])

    @pytest.mark.parametrize(
        ("content_type", "patch"),
        [
            (MERGE, {"odd": 1}),
            (STRATEGIC, {"odd": 1}),
            (JSON_PATCH, [{"op": "add", "path": "/odd", "value": 1}]),
        ],
    )
    async def test_holds_for_patches_too(self, api: Api, namespace: str, content_type: str, patch: Any) -> None:
        made = await create(api, namespace)
        path = f"{config_maps(namespace)}/a"
        strict = await api.patch(path, patch, content_type=content_type, fieldValidation="Strict")
        assert refusal(strict)[:2] == (422, "Invalid")
        assert 'strict decoding error: unknown field "odd"' in strict.json["message"]
        told = await api.patch(path, patch, content_type=content_type)
        assert (told.ok(), warnings(told)) == (made, ['unknown field "odd"'])

    async def test_knows_lists_and_the_status_of_a_pod(self, api: Api, namespace: str) -> None:
        container = {"name": "c", "image": "i", "odd": 1, "ports": [{"containerPort": 1, "odd": 2}]}
        body = {"metadata": {"name": "p"}, "spec": {"containers": [container]}, "status": {"odd": 3}}
        answer = await api.post(f"/api/v1/namespaces/{namespace}/pods", body, fieldValidation="Strict")
        problems = [
            'unknown field "spec.containers[0].odd"',
            'unknown field "spec.containers[0].ports[0].odd"',
            'unknown field "status.odd"',
        ]
        assert refusal(answer) == (400, "BadRequest", strict_error("Pod", "v1", *problems))

    async def test_knows_the_schema_of_a_custom_resource(self, api: Api, namespace: str) -> None:
        body = thing("a", metadata={"odd": 1}, size=2, odd=2, free={"anything": 1})
        strict = await api.post(things_path(namespace), body, fieldValidation="Strict")
        problems = ['unknown field "metadata.odd"', 'unknown field "spec.odd"']
        assert refusal(strict) == (400, "BadRequest", strict_error("Thing", "v1", *problems))
        told = await api.post(things_path(namespace), body)
        assert (told.status, told.json["spec"]) == (201, {"size": 2, "free": {"anything": 1}})
        assert last_of(told, problems)

    async def test_sees_fields_that_come_twice(self, api: Api, namespace: str) -> None:
        twice = b'{"metadata": {"name": "a", "labels": {"x": "1", "x": "2"}}, "data": {"k": "1", "k": "2"}}'
        problems = ['duplicate field "metadata.labels.x"', 'duplicate field "data.k"']
        path = config_maps(namespace)
        strict = await api.post(path, twice, fieldValidation="Strict")
        assert refusal(strict) == (400, "BadRequest", strict_error("ConfigMap", "v1", *problems))
        told = await api.post(path, twice)
        assert (told.status, told.json["data"]) == (201, {"k": "2"})
        assert last_of(told, problems)
        silent = await api.put(f"{path}/a", twice, fieldValidation="Ignore")
        assert (silent.status, warnings(silent)) == (200, [])

    async def test_sees_fields_that_come_twice_in_a_merge_patch(self, api: Api, namespace: str) -> None:
        await create(api, namespace)
        told = await api.patch(f"{config_maps(namespace)}/a", b'{"data": {"k": "2", "k": "3"}}')
        assert (told.ok()["data"], warnings(told)) == ({"k": "3"}, ['duplicate field "data.k"'])

    @pytest.mark.parametrize("validation", ["Strict", "Warn", "Ignore"])
    async def test_makes_no_difference_to_an_apply(self, api: Api, namespace: str, validation: str) -> None:
        path = f"{config_maps(namespace)}/a"
        body = {**config_map(), "odd": 1}
        answer = await api.patch(path, body, content_type=APPLY, fieldManager="m", fieldValidation=validation)
        assert answer.status == 500
        assert answer.json["message"].endswith(".odd: field not declared in schema")

    async def test_has_three_values(self, api: Api, namespace: str) -> None:
        answer = await api.post(config_maps(namespace), config_map(), fieldValidation="Some")
        why = 'Unsupported value: "Some": supported values: "", "Ignore", "Strict", "Warn"'
        message = f'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: {why}'
        assert refusal(answer) == (422, "Invalid", message)


def last_of(answer: Answer, expected: list[str]) -> bool:
    """Whether all warnings are there; of several headers of that name a client may show the last alone."""
    return warnings(answer) in (expected, expected[-1:])


async def test_an_object_says_which_version_it_is_of(api: Api, namespace: str) -> None:
    made = (await api.post(things_path(namespace), thing("a"))).ok()
    assert (made["apiVersion"], made["kind"]) == (API_VERSION, "Thing")
