"""What a newer version has written into our objects survives what this version writes there."""

from __future__ import annotations

import asyncio
from typing import Any

from controller_runtime.api import ObjectKey
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.client import merge_patch
from helpers.whole_system import System, whole_system
from tikv_operator.api import Cluster, TiKV, TiKVGroup
from tikv_operator.common.instances import is_group_healthy_and_up_to_date
from tikv_operator.common.settings import Settings
from tikv_operator.demo.manifests import load
from tikv_operator.demo.stage import sample_folder

NEWER: dict[str, Any] = {"type": "object", "properties": {"deep": {"type": "string"}}}


def newer_definition() -> dict[str, Any]:
    """Return the CRD of a TiKV with a field more in its spec and in its status."""
    crd = custom_resource_definition(TiKV)
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for part in ("spec", "status"):
        properties[part]["properties"]["newer"] = NEWER
    return crd


async def settled(system: System) -> None:
    while not [found for found in await system.user.list(TiKVGroup) if is_group_healthy_and_up_to_date(found)]:
        await asyncio.sleep(1)


async def raw(system: System, key: ObjectKey) -> dict[str, Any]:
    found: dict[str, Any] = await system.user.get(TiKV.resource, key)
    return found


async def test_a_field_of_a_newer_version_survives_writes_of_spec_metadata_and_status() -> None:
    async with whole_system(Settings()) as system:
        await system.user.apply(newer_definition())
        for manifest in load((sample_folder(),)):
            await system.user.apply(manifest)
        await settled(system)
        key = (await system.user.list(TiKV))[0].key
        newer = {"newer": {"deep": "kept"}}
        await system.user.patch(TiKV, key, merge_patch({"spec": newer}))
        await system.user.patch(TiKV, key, merge_patch({"status": newer}), subresource="status")
        await system.user.patch(TiKV, key, merge_patch({"metadata": {"finalizers": ["example.com/other"]}}))
        cluster = (await system.user.list(Cluster))[0]
        await system.user.patch(Cluster, cluster.key, merge_patch({"spec": {"upgradePolicy": "NoConstraints"}}))
        await asyncio.sleep(60)

        found = await raw(system, key)
        assert found["metadata"]["finalizers"] == ["example.com/other", "pingcap.com/finalizer"], "metadata was written"
        generation = (await system.user.list(Cluster))[0].metadata.generation
        assert found["status"]["observedClusterGeneration"] == generation, "the status was written"
        assert (found["spec"]["newer"], found["status"]["newer"]) == ({"deep": "kept"}, {"deep": "kept"})

        group = (await system.user.list(TiKVGroup))[0]
        await system.user.patch(TiKVGroup, group.key, merge_patch({"spec": {"replicas": 2}}))
        await asyncio.sleep(30)
        assert (await raw(system, key))["spec"]["newer"] == {"deep": "kept"}
        await system.user.patch(TiKV, key, merge_patch({"metadata": {"finalizers": ["pingcap.com/finalizer"]}}))


async def test_a_field_of_a_newer_kubernetes_in_an_overlay_goes_from_the_group_to_its_instances_and_stays() -> None:
    overlay = {"pod": {"spec": {"newer": {"deep": "kept"}, "containers": [{"name": "tikv", "newer": ["kept"]}]}}}
    async with whole_system(Settings()) as system:
        for manifest in load((sample_folder(),)):
            await system.user.apply(manifest)
        await settled(system)
        group = (await system.user.list(TiKVGroup))[0]
        change = {"spec": {"template": {"spec": {"overlay": overlay}}}}
        await system.user.patch(TiKVGroup, group.key, merge_patch(change))
        await asyncio.sleep(1)
        await settled(system)
        await system.user.patch(TiKVGroup, group.key, merge_patch({"spec": {"replicas": 4}}))
        await asyncio.sleep(1)
        await settled(system)

        assert (await system.user.get(TiKVGroup.resource, group.key))["spec"]["template"]["spec"]["overlay"] == overlay
        found = [await raw(system, tikv.key) for tikv in await system.user.list(TiKV)]
        assert [tikv["spec"]["overlay"] for tikv in found] == [overlay] * 4
