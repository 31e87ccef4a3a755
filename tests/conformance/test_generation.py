"""Generations: they rise with what is wanted, never with metadata or status; and status has a door of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
import pytest_asyncio

from helpers.rest import Answer, Api
from helpers.things import GROUP, THING_CRD, thing, things_path

PLAIN_GROUP = "plain.example.com"


def plain_crd() -> dict[str, Any]:
    """The definition of things without a status subresource."""
    crd = deepcopy(THING_CRD)
    crd["metadata"]["name"] = f"things.{PLAIN_GROUP}"
    crd["spec"]["group"] = PLAIN_GROUP
    del crd["spec"]["versions"][0]["subresources"]
    return crd


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plain(administrator: Api) -> AsyncIterator[str]:
    """The group of things without a status subresource."""
    await administrator.cluster.install_crds(plain_crd())
    yield PLAIN_GROUP
    await administrator.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{PLAIN_GROUP}")


def plain_path(namespace: str, name: str = "") -> str:
    return f"/apis/{PLAIN_GROUP}/v1/namespaces/{namespace}/things" + (f"/{name}" if name else "")


def seen(answer: Answer) -> tuple[Any, Any, Any]:
    """The generation, spec and status of a successful answer."""
    obj = answer.ok()
    return obj["metadata"].get("generation"), obj.get("spec"), obj.get("status")


METADATA = [
    {"labels": {"a": "b"}},
    {"annotations": {"a": "b"}},
    {"finalizers": ["example.com/x"]},
    {"ownerReferences": [{"apiVersion": "v1", "kind": "Nothing", "name": "n", "uid": "u", "controller": True}]},
    {"generation": 99},
]


class TestWithStatusSubresource:
    async def test_a_new_object_is_of_the_first_and_has_no_status(self, api: Api, namespace: str) -> None:
        body = {**thing("a", metadata={"generation": 5}, colour="red"), "status": {"phase": "Mine"}}
        assert seen(await api.post(things_path(namespace), body)) == (1, {"colour": "red", "size": 1}, None)

    async def test_a_changed_spec_is_a_new_one_and_the_same_spec_is_not(self, api: Api, namespace: str) -> None:
        path = things_path(namespace, "a")
        (await api.post(things_path(namespace), thing("a", colour="red"))).ok()
        for colour, generation in (("blue", 2), ("blue", 2), ("red", 3)):
            answer = await api.patch(path, {"spec": {"colour": colour}})
            assert answer.ok()["metadata"]["generation"] == generation

    @pytest.mark.parametrize("metadata", METADATA)
    async def test_metadata_is_no_reason(self, api: Api, namespace: str, metadata: dict[str, Any]) -> None:
        (await api.post(things_path(namespace), thing("a"))).ok()
        answer = await api.patch(things_path(namespace, "a"), {"metadata": metadata})
        assert answer.ok()["metadata"]["generation"] == 1
        (await api.patch(things_path(namespace, "a"), {"metadata": {"finalizers": None}})).ok()

    async def test_status_is_written_through_its_own_door_alone(self, api: Api, namespace: str) -> None:
        path = things_path(namespace, "a")
        made = (await api.post(things_path(namespace), thing("a"))).ok()
        assert (await api.patch(path, {"status": {"phase": "Main"}})).ok() == made
        assert seen(await api.patch(f"{path}/status", {"status": {"phase": "Up"}})) == (1, {"size": 1}, {"phase": "Up"})
        body = {**(await api.get(path)).ok(), "status": {"phase": "Main"}, "spec": {"size": 2}}
        assert seen(await api.put(path, body)) == (2, {"size": 2}, {"phase": "Up"})

    async def test_nothing_else_is_written_through_that_door(self, api: Api, namespace: str) -> None:
        path = things_path(namespace, "a")
        (await api.post(things_path(namespace), thing("a", metadata={"labels": {"a": "b"}}))).ok()
        patch = {
            "metadata": {"labels": {"a": "c"}, "annotations": {"x": "y"}, "finalizers": ["example.com/x"]},
            "spec": {"size": 9},
            "status": {"phase": "Up"},
        }
        patched = await api.patch(f"{path}/status", patch)
        assert seen(patched) == (1, {"size": 1}, {"phase": "Up"})
        body = {**patched.json, "spec": {"size": 9}, "status": {"phase": "Down"}}
        body["metadata"] = {**body["metadata"], "labels": {"a": "c"}, "finalizers": ["example.com/x"]}
        replaced = await api.put(f"{path}/status", body)
        assert seen(replaced) == (1, {"size": 1}, {"phase": "Down"})
        metadata = (await api.get(path)).ok()["metadata"]
        assert (metadata["labels"], set(metadata) & {"annotations", "finalizers"}) == ({"a": "b"}, set())

    async def test_the_door_shows_the_whole_object(self, api: Api, namespace: str) -> None:
        made = (await api.post(things_path(namespace), thing("a"))).ok()
        assert (await api.get(things_path(namespace, "a", "status"))).ok() == made

    async def test_the_door_checks_versions_as_the_other_does(self, api: Api, namespace: str) -> None:
        made = (await api.post(things_path(namespace), thing("a"))).ok()
        (await api.patch(things_path(namespace, "a"), {"spec": {"size": 2}})).ok()
        answer = await api.put(things_path(namespace, "a", "status"), {**made, "status": {"phase": "Up"}})
        assert (answer.status, answer.reason) == (409, "Conflict")
        missing = await api.put(things_path(namespace, "b", "status"), thing("b"))
        assert (missing.status, missing.json["message"]) == (404, f'things.{GROUP} "b" not found')

    async def test_deletion_is_a_new_one(self, api: Api, namespace: str) -> None:
        (await api.post(things_path(namespace), thing("a", metadata={"finalizers": ["example.com/x"]}))).ok()
        assert (await api.delete(things_path(namespace, "a"))).ok()["metadata"]["generation"] == 2
        (await api.patch(things_path(namespace, "a"), {"metadata": {"finalizers": None}})).ok()


class TestWithoutStatusSubresource:
    async def test_status_is_like_any_other_field(self, api: Api, namespace: str, plain: str) -> None:
        body = {**thing("a"), "apiVersion": f"{plain}/v1", "status": {"phase": "Mine"}}
        assert seen(await api.post(plain_path(namespace), body)) == (1, {"size": 1}, {"phase": "Mine"})
        patched = await api.patch(plain_path(namespace, "a"), {"status": {"phase": "Yours"}})
        assert seen(patched) == (2, {"size": 1}, {"phase": "Yours"})

    async def test_metadata_is_no_reason_either(self, api: Api, namespace: str, plain: str) -> None:
        (await api.post(plain_path(namespace), {**thing("a"), "apiVersion": f"{plain}/v1"})).ok()
        answer = await api.patch(plain_path(namespace, "a"), {"metadata": {"labels": {"a": "b"}}})
        assert answer.ok()["metadata"]["generation"] == 1

    async def test_there_is_no_door(self, api: Api, namespace: str, plain: str) -> None:
        (await api.post(plain_path(namespace), {**thing("a"), "apiVersion": f"{plain}/v1"})).ok()
        path = f"{plain_path(namespace, 'a')}/status"
        for answer in (await api.get(path), await api.patch(path, {"status": {"phase": "Up"}})):
            assert (answer.status, answer.reason) == (404, "NotFound")


class TestBuiltInKinds:
    async def test_of_a_pod_rise_with_its_spec(self, api: Api, namespace: str) -> None:
        await api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        path = f"/api/v1/namespaces/{namespace}/pods"
        body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        assert (await api.post(path, body)).ok()["metadata"]["generation"] == 1
        steps: list[tuple[str, dict[str, Any], int]] = [
            ("", {"metadata": {"labels": {"a": "b"}}}, 1),
            ("/status", {"status": {"phase": "Running"}}, 1),
            ("", {"status": {"phase": "Failed"}}, 1),
            ("", {"spec": {"activeDeadlineSeconds": 100}}, 2),
        ]
        for subresource, patch, generation in steps:
            answer = await api.patch(f"{path}/p{subresource}", patch)
            assert answer.ok()["metadata"]["generation"] == generation, patch
        target = {"apiVersion": "v1", "kind": "Node", "name": "n"}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": target}
        (await api.post(f"{path}/p/binding", binding)).ok()
        bound = (await api.get(f"{path}/p")).ok()
        assert (bound["spec"]["nodeName"], bound["metadata"]["generation"]) == ("n", 2)
        (await api.delete(f"{path}/p", gracePeriodSeconds=0)).ok()

    async def test_of_a_disruption_budget_rise_with_its_spec(self, api: Api, namespace: str) -> None:
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        body = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}
        assert (await api.post(path, body)).ok()["metadata"]["generation"] == 1
        assert (await api.patch(f"{path}/b", {"spec": {"minAvailable": 2}})).ok()["metadata"]["generation"] == 2

    @pytest.mark.parametrize(
        ("path", "body", "patch"),
        [
            ("configmaps", {"data": {"k": "1"}}, {"data": {"k": "2"}}),
            ("secrets", {"stringData": {"k": "1"}}, {"stringData": {"k": "2"}}),
            (
                "services",
                {"spec": {"ports": [{"port": 1}]}},
                {"spec": {"ports": [{"port": 2, "protocol": "TCP"}]}},
            ),
        ],
    )
    async def test_are_not_kept_for_many(
        self, api: Api, namespace: str, path: str, body: dict[str, Any], patch: dict[str, Any]
    ) -> None:
        collection = f"/api/v1/namespaces/{namespace}/{path}"
        made = (await api.post(collection, {"metadata": {"name": "a"}, **body})).ok()
        changed = (await api.patch(f"{collection}/a", patch)).ok()
        assert ["generation" in obj["metadata"] for obj in (made, changed)] == [False, False]
