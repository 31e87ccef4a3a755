"""What people do by hand, and what becomes of the data then."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import PersistentVolumeClaim, Pod
from controller_runtime.client import merge_patch
from helpers.disruptions import Disruptions
from helpers.whole_system import System, whole_system
from tikv_operator.api import Cluster, TiKV, TiKVGroup
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS, sample_folder
from tikv_operator.simulation import SimulationSettings
from tikv_operator.simulation.pd import SimulatedPD

CLUSTER = ObjectKey("default", "basic")
GROUP = ObjectKey("default", "kv")
WORLD = SimulationSettings(prestop_poll=0.1, regions=9)
SETTINGS = replace(DEMO_SETTINGS, pd_poll=30.0, pd_max_age=90.0)


def manifests() -> list[dict[str, Any]]:
    found = load([sample_folder()])
    for manifest in found:
        if manifest["kind"] == "PDGroup":
            manifest["spec"]["replicas"] = 1
        if manifest["kind"] == "TiKVGroup":
            manifest["spec"]["template"]["spec"]["updateStrategy"] = {"config": "Restart"}
    return found


async def created(system: System) -> Scenario:
    story = Scenario(system.user, system.world, manifests(), timeout=120.0)
    result = await story.play(story.creation())
    assert not result.error, result.error
    return story


async def settled(system: System, replicas: int) -> None:
    await asyncio.sleep(2)
    await system.world.until("settled", lambda: system.world.missing_of_group(GROUP, replicas), timeout=300.0)


async def change(system: System, **spec: Any) -> None:
    await system.user.patch(TiKVGroup, GROUP, merge_patch({"spec": spec}))


def said(tikv: TiKV, condition: str) -> str:
    found = next((found for found in tikv.status.conditions if found.type == condition), None) if tikv.status else None
    return "" if found is None else f"{found.status}/{found.reason}: {found.message}"


async def test_a_cluster_that_is_deleted_and_made_again_begins_anew() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        story = await created(system)
        before = {claim.metadata.uid for claim in system.world.claims(GROUP)}
        deleted = await story.play(story.steps()[-1])
        assert not deleted.error, deleted.error
        await created(system)
        claims = system.world.claims(GROUP)
        assert len(claims) == 3
        assert not before & {claim.metadata.uid for claim in claims}


def reasons(system: System) -> list[str]:
    """Why the TiKVs are not synced. One store has to keep its leaders as long as the others give up theirs."""
    texts = [said(tikv, "Synced") for tikv in system.world.tikvs(GROUP)]
    return sorted(text.partition(":")[0].removeprefix("False/") for text in texts)


async def test_scaling_to_none_keeps_what_pd_needs_and_scaling_back_keeps_it_all() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        before = {claim.metadata.uid for claim in system.world.claims(GROUP)}
        await change(system, replicas=0)
        await asyncio.sleep(120)
        assert reasons(system) == ["StoreRemovalRefused", "StoreRemovalRefused", "WaitingForPeers"]
        await change(system, replicas=3)
        await settled(system, 3)
        assert {claim.metadata.uid for claim in system.world.claims(GROUP)} == before
        await asyncio.sleep(5)
        assert not any(store.evicting for store in system.simulation.stores(CLUSTER))


async def test_a_volume_that_somebody_deleted_is_said_and_stops_restarts_elsewhere() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch = Disruptions(system, CLUSTER)
        victim = system.world.tikvs(GROUP)[0]
        claim = next(
            c for c in system.world.claims(GROUP) if victim.metadata.name.rpartition("-")[2] in c.metadata.name
        )
        pod = next(p for p in system.world.pods(GROUP) if p.metadata.name in claim.metadata.name)
        await system.user.delete(PersistentVolumeClaim, claim.key)
        await system.user.delete(Pod, pod.key, grace_period=0)
        await asyncio.sleep(30)
        await change(system, template={"spec": {"config": "log.level = 'warn'"}})
        await asyncio.sleep(300)
        assert watch.wrong == []
        assert watch.pods == 0
        left = {found.metadata.name: found for found in system.world.tikvs(GROUP)}
        assert said(left[victim.metadata.name], "Ready").startswith("False/")


async def test_a_tikv_that_somebody_made_by_hand_runs_and_leaves_like_any_other() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch = Disruptions(system, CLUSTER)
        model = system.world.tikvs(GROUP)[0]
        made = {
            "apiVersion": model.api_version,
            "kind": model.kind,
            "metadata": {"name": "lonely", "namespace": GROUP.namespace},
            "spec": {
                "cluster": {"name": CLUSTER.name},
                "subdomain": model.spec.subdomain,
                "version": "v8.1.0",
                "volumes": [{"name": "data", "mounts": [{"type": "data"}], "storage": "1Gi"}],
            },
        }
        await system.user.apply(made)
        await asyncio.sleep(30)
        lonely = await system.user.get(TiKV, ObjectKey(GROUP.namespace, "lonely"))
        assert said(lonely, "Ready").startswith("True/")
        await system.user.delete(TiKV, lonely.key)
        await asyncio.sleep(60)
        assert await system.user.find(TiKV, lonely.key) is None
        assert watch.wrong == []
        assert system.world.missing_of_group(GROUP, 3) == ""


async def test_a_finalizer_that_somebody_removed_comes_back() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch = Disruptions(system, CLUSTER)
        tikv = system.world.tikvs(GROUP)[0]
        for kind, key in ((TiKV, tikv.key), (TiKVGroup, GROUP), (Cluster, CLUSTER)):
            await system.user.patch(kind, key, merge_patch({"metadata": {"finalizers": None}}))
        await asyncio.sleep(5)
        for kind, key in ((TiKV, tikv.key), (TiKVGroup, GROUP), (Cluster, CLUSTER)):
            assert (await system.user.get(kind, key)).metadata.finalizers == ["pingcap.com/finalizer"]
        assert watch.wrong == []


async def test_a_group_that_is_deleted_while_pd_needs_its_stores_waits_and_says_so() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        await system.user.delete(TiKVGroup, GROUP)
        await asyncio.sleep(120)
        assert len(system.world.claims(GROUP)) == 3
        assert reasons(system) == ["StoreRemovalRefused", "StoreRemovalRefused", "WaitingForPeers"]
        await system.user.delete(Cluster, CLUSTER)
        await system.world.until("deleted", system.world.leftovers, timeout=300.0)


async def test_a_pd_that_lost_its_data_removes_nothing() -> None:
    """Its stores are unknown to the new one: taken for removed, each TiKV that leaves would lose the data that is left."""
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch = Disruptions(system, CLUSTER)
        core = system.simulation.pd(CLUSTER)
        assert core is not None
        before = {claim.metadata.uid for claim in system.world.claims(GROUP)}
        lost = SimulatedPD("another", core.settings, now=system.simulation.now())
        await system.user.delete(TiKV, system.world.tikvs(GROUP)[0].key)
        for name in ("cluster_id", "regions", "_stores"):
            setattr(core, name, getattr(lost, name))
        await asyncio.sleep(600)
        assert watch.wrong == []
        assert before <= {claim.metadata.uid for claim in system.world.claims(GROUP)}
        cluster = await system.user.get(Cluster, CLUSTER)
        assert cluster.status is not None
        available = next(found for found in cluster.status.conditions if found.type == "Available")
        assert "answers for cluster" in available.message
        leaving = next(found for found in system.world.tikvs(GROUP) if found.metadata.deletion_timestamp)
        assert said(leaving, "Synced").startswith("False/WaitingForPD")
