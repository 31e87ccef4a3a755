"""Several versions of one kind: one is stored, every served one shows the same object."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from helpers.definitions import CRDS, GROUP, definition, path_of, refused
from helpers.rest import Api

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}


def versioned(name: str, version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{version}", "kind": "Versioned", "metadata": {"name": name}, "spec": spec}


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def crd(administrator: Api) -> AsyncIterator[None]:
    crd = definition("versioneds", "Versioned", SCHEMA)
    [stored] = crd["spec"]["versions"]
    wider = {**SCHEMA, "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": "new"}}}
    root = {**stored["schema"]["openAPIV3Schema"], "properties": {"spec": wider}}
    other = {"name": "v1beta1", "served": True, "storage": False, "schema": {"openAPIV3Schema": root}}
    hidden = {**stored, "name": "v1alpha1", "served": False, "storage": False}
    crd["spec"]["versions"] = [stored, other, hidden]
    await administrator.cluster.install_crds(crd)
    yield
    (await administrator.delete(f"{CRDS}/versioneds.{GROUP}")).ok()


async def test_an_object_is_there_in_every_served_version(api: Api, namespace: str) -> None:
    made = (await api.post(path_of("versioneds", namespace), versioned("a", a="1"))).ok()
    beta = (await api.get(path_of("versioneds", namespace, "a", version="v1beta1"))).ok()
    assert (made["apiVersion"], beta["apiVersion"]) == (f"{GROUP}/v1", f"{GROUP}/v1beta1")
    assert beta["metadata"]["uid"] == made["metadata"]["uid"]
    assert (made["spec"], beta["spec"]) == ({"a": "1"}, {"a": "1"})


async def test_lists_and_watches_speak_their_version(api: Api, namespace: str) -> None:
    (await api.post(path_of("versioneds", namespace), versioned("a", a="1"))).ok()
    path = path_of("versioneds", namespace, version="v1beta1")
    listed = (await api.get(path)).ok()
    assert listed["apiVersion"] == f"{GROUP}/v1beta1"
    assert [item["apiVersion"] for item in listed["items"]] == [f"{GROUP}/v1beta1"]
    async with api.watch(path, resourceVersion="0") as events:
        event = await anext(events)
    assert (event["type"], event["object"]["apiVersion"]) == ("ADDED", f"{GROUP}/v1beta1")


async def test_what_is_written_in_one_version_is_read_in_the_other(api: Api, namespace: str) -> None:
    path = path_of("versioneds", namespace, version="v1beta1")
    (await api.post(path, versioned("a", "v1beta1", a="1", b="2"))).ok()
    (await api.patch(path_of("versioneds", namespace, "a"), {"spec": {"a": "3"}})).ok()
    assert (await api.get(f"{path}/a")).ok()["spec"]["a"] == "3"


async def test_a_version_that_is_not_served_is_not_there(api: Api, namespace: str) -> None:
    answer = await api.get(path_of("versioneds", namespace, version="v1alpha1"))
    assert answer.status == 404
    stored = (await api.get(f"{CRDS}/versioneds.{GROUP}")).ok()["status"]["storedVersions"]
    assert stored == ["v1"]


async def test_an_object_of_another_version_is_refused(api: Api, namespace: str) -> None:
    answer = await api.post(path_of("versioneds", namespace), versioned("a", "v1beta1"))
    assert refused(answer, 400, "BadRequest") == (
        f"the API version in the data ({GROUP}/v1beta1) does not match the expected API version ({GROUP}/v1)"
    )


async def test_the_group_prefers_its_most_stable_version(api: Api) -> None:
    found = (await api.get(f"/apis/{GROUP}")).ok()
    assert found["preferredVersion"]["version"] == "v1"
    assert [each["version"] for each in found["versions"]] == ["v1", "v1beta1"]
