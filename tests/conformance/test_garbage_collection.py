"""Garbage collection: dependents follow their owners, and how, is the deleter's choice; namespaces empty themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helpers.rest import Answer, Api
from helpers.things import API_VERSION, thing, things_path

FINALIZER = "example.com/hold"


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


async def create(api: Api, path: str, name: str, *owners: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    body = {"metadata": {"name": name, "ownerReferences": list(owners), **metadata}}
    return dict((await api.post(path, body)).ok())


async def owned(api: Api, path: str, name: str, *owners: dict[str, Any], **metadata: Any) -> str:
    await create(api, path, name, *owners, **metadata)
    return f"{path}/{name}"


def reference(owner: dict[str, Any], *, blocks: bool = False, **changes: Any) -> dict[str, Any]:
    metadata = owner["metadata"]
    blocking = {"blockOwnerDeletion": True} if blocks else {}
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    return {**kind, "name": metadata["name"], "uid": metadata["uid"], **blocking, **changes}


async def gone(api: Api, *paths: str) -> None:
    await asyncio.gather(*(api.gone(path) for path in paths))


async def known_to_the_collector(api: Api, path: str) -> None:
    """Wait until the collector has learned of a dependent, as seen by what it does with another of the same owner's."""
    witness = await create(api, path, "witness")
    await create(api, path, "witnessed", reference(witness))
    (await api.delete(f"{path}/witness")).ok()
    await api.gone(f"{path}/witnessed")


class TestBackground:
    async def test_the_owner_goes_first_and_its_dependents_follow(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        owner = await create(api, path, "owner")
        child = await owned(api, path, "child", reference(owner))
        grandchild = await owned(api, path, "grandchild", reference((await api.get(child)).ok()))
        (await api.delete(f"{path}/owner", {"propagationPolicy": "Background"})).ok()
        assert (await api.get(f"{path}/owner")).status == 404
        await gone(api, child, grandchild)

    async def test_is_what_happens_without_a_policy(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        owner = await create(api, path, "owner")
        child = await owned(api, path, "child", reference(owner))
        (await api.delete(f"{path}/owner")).ok()
        await gone(api, child)

    async def test_a_dependent_with_a_finalizer_is_marked(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        owner = await create(api, path, "owner")
        child = await owned(api, path, "child", reference(owner), finalizers=[FINALIZER])
        (await api.delete(f"{path}/owner")).ok()
        await api.eventually(child, lambda answer: "deletionTimestamp" in answer.ok()["metadata"])
        (await api.patch(child, {"metadata": {"finalizers": None}})).ok()
        await gone(api, child)

    async def test_a_dependent_with_another_owner_stays_and_loses_the_one(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        one, two = await create(api, path, "one"), await create(api, path, "two")
        child = await owned(api, path, "child", reference(one), reference(two))
        (await api.delete(f"{path}/one")).ok()
        await api.eventually(child, lambda answer: answer.ok()["metadata"]["ownerReferences"] == [reference(two)])
        (await api.delete(f"{path}/two")).ok()
        await gone(api, child)

    async def test_a_custom_resource_owns_as_others_do(self, api: Api, namespace: str) -> None:
        owner = (await api.post(things_path(namespace), thing("owner"))).ok()
        by = reference(owner, apiVersion=API_VERSION, kind="Thing")
        child = await owned(api, config_maps(namespace), "child", by)
        (await api.delete(things_path(namespace, "owner"))).ok()
        await gone(api, child)


class TestOwnersThatAreNot:
    async def test_let_a_dependent_be_collected(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        owner = await create(api, path, "owner")
        (await api.delete(f"{path}/owner")).ok()
        await gone(api, await owned(api, path, "late", reference(owner)))

    async def test_have_another_uid_though_the_name_is_right(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        first = await create(api, path, "owner")
        (await api.delete(f"{path}/owner")).ok()
        await create(api, path, "owner")
        await gone(api, await owned(api, path, "child", reference(first)))
        assert (await api.get(f"{path}/owner")).status == 200

    async def test_are_in_another_namespace(self, api: Api, namespace: str) -> None:
        owner = await create(api, config_maps("default"), f"owner-of-{namespace}")
        await gone(api, await owned(api, config_maps(namespace), "child", reference(owner)))
        (await api.delete(f"{config_maps('default')}/owner-of-{namespace}")).ok()

    async def test_are_of_a_kind_that_nobody_knows(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        unknown = {"apiVersion": "nothing.example.com/v1", "kind": "Nothing", "name": "n", "uid": "1"}
        child = await owned(api, path, "child", unknown)
        await known_to_the_collector(api, path)
        assert (await api.get(child)).status == 200  # when in doubt, nothing is deleted


class TestForeground:
    async def test_the_owner_waits_for_dependents_that_block_it(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        owner = await create(api, path, "owner")
        child = await owned(api, path, "child", reference(owner, blocks=True), finalizers=[FINALIZER])
        await known_to_the_collector(api, path)
        marked = (await api.delete(f"{path}/owner", {"propagationPolicy": "Foreground"})).ok()["metadata"]
        assert marked["finalizers"] == ["foregroundDeletion"]
        await api.eventually(child, lambda answer: "deletionTimestamp" in answer.ok()["metadata"])
        assert (await api.get(f"{path}/owner")).ok()["metadata"]["finalizers"] == ["foregroundDeletion"]
        (await api.patch(child, {"metadata": {"finalizers": None}})).ok()
        await gone(api, child, f"{path}/owner")

    async def test_the_owner_does_not_wait_for_others(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        owner = await create(api, path, "owner")
        child = await owned(api, path, "child", reference(owner), finalizers=[FINALIZER])
        await known_to_the_collector(api, path)
        (await api.delete(f"{path}/owner", {"propagationPolicy": "Foreground"})).ok()
        await gone(api, f"{path}/owner")
        assert "deletionTimestamp" in (await api.get(child)).ok()["metadata"]
        (await api.patch(child, {"metadata": {"finalizers": None}})).ok()

    async def test_without_dependents_the_owner_goes(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, "owner")
        (await api.delete(f"{path}/owner", {"propagationPolicy": "Foreground"})).ok()
        await gone(api, f"{path}/owner")


class TestOrphans:
    @pytest.mark.parametrize("options", [{"propagationPolicy": "Orphan"}, {"orphanDependents": True}])
    async def test_stay_and_forget_their_owner(self, api: Api, namespace: str, options: dict[str, Any]) -> None:
        path = config_maps(namespace)
        owner, other = await create(api, path, "owner"), await create(api, path, "other")
        alone = await owned(api, path, "alone", reference(owner))
        shared = await owned(api, path, "shared", reference(owner), reference(other))
        await known_to_the_collector(api, path)
        marked = (await api.delete(f"{path}/owner", options)).ok()["metadata"]
        assert marked["finalizers"] == ["orphan"]
        await gone(api, f"{path}/owner")
        assert "ownerReferences" not in (await api.get(alone)).ok()["metadata"]
        assert (await api.get(shared)).ok()["metadata"]["ownerReferences"] == [reference(other)]


class TestNamespaces:
    async def make(self, api: Api) -> str:
        made = await api.post("/api/v1/namespaces", {"metadata": {"generateName": "ending-"}})
        return str(made.ok()["metadata"]["name"])

    async def test_end_with_all_that_is_in_them(self, api: Api) -> None:
        name = await self.make(api)
        (await api.post(config_maps(name), {"metadata": {"name": "a"}})).ok()
        (await api.post(things_path(name), thing("t"))).ok()
        ending = (await api.delete(f"/api/v1/namespaces/{name}")).ok()
        assert (ending["status"]["phase"], ending["spec"]["finalizers"]) == ("Terminating", ["kubernetes"])
        assert "deletionGracePeriodSeconds" not in ending["metadata"]
        await gone(api, f"/api/v1/namespaces/{name}")
        assert (await api.get(config_maps(name))).ok()["items"] == []
        assert (await api.get(things_path(name))).ok()["items"] == []

    async def test_wait_for_finalizers_and_take_nothing_new_meanwhile(self, api: Api) -> None:
        name = await self.make(api)
        held = await owned(api, config_maps(name), "held", finalizers=[FINALIZER])
        (await api.delete(f"/api/v1/namespaces/{name}")).ok()
        await api.eventually(held, lambda answer: "deletionTimestamp" in answer.ok()["metadata"])
        assert (await api.get(f"/api/v1/namespaces/{name}")).ok()["status"]["phase"] == "Terminating"
        for body, called in (({"name": "new"}, "new"), ({"generateName": "new-"}, "new-")):
            refused = await api.post(config_maps(name), {"metadata": body})
            self.check_refusal(refused, name, called)
        self.check_refusal(await api.apply(f"{config_maps(name)}/new", self.config_map()), name, "new")
        assert (await api.patch(held, {"data": {"k": "v"}})).status == 200
        (await api.patch(held, {"metadata": {"finalizers": None}})).ok()
        await gone(api, f"/api/v1/namespaces/{name}")

    @staticmethod
    def config_map() -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}

    @staticmethod
    def check_refusal(answer: Answer, namespace: str, name: str) -> None:
        assert (answer.status, answer.reason) == (403, "Forbidden")
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        assert answer.json["message"] == f'configmaps "{name}" is forbidden: {why}'
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        assert answer.json["details"] == {"name": name, "kind": "configmaps", "causes": [cause]}

    @pytest.mark.parametrize("name", ["default", "kube-system"])
    async def test_of_the_system_stay(self, api: Api, name: str) -> None:
        answer = await api.delete(f"/api/v1/namespaces/{name}")
        assert (answer.status, answer.reason) == (403, "Forbidden")
        assert answer.json["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'
