"""What can be in the way, one after the other: it is said where people look, and what can go on goes on.

Each trouble has its sentence in a condition and in an Event of the object concerned; scaling out, repair and deletion don't
wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Event, Pod
from controller_runtime.client import merge_patch
from helpers.whole_system import System, whole_system
from tikv_operator.api import Cluster, TiKV, TiKVGroup
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS, sample_folder
from tikv_operator.simulation import SimulationSettings

CLUSTER = ObjectKey("default", "basic")
GROUP = ObjectKey("default", "kv")
WORLD = SimulationSettings(prestop_poll=0.1, regions=9)


def manifests(**template: Any) -> list[dict[str, Any]]:
    """The sample with one PD, and a group whose template has these fields, too."""
    found = load([sample_folder()])
    for manifest in found:
        if manifest["kind"] == "PDGroup":
            manifest["spec"]["replicas"] = 1
        if manifest["kind"] == "TiKVGroup":
            manifest["spec"]["template"]["spec"] |= {"updateStrategy": {"config": "Restart"}} | template
    return found


@asynccontextmanager
async def running(world: SimulationSettings = WORLD) -> AsyncIterator[System]:
    async with whole_system(DEMO_SETTINGS, world) as system:
        story = Scenario(system.user, system.world, manifests(), timeout=120.0)
        result = await story.play(story.creation())
        assert not result.error, result.error
        yield system


async def change(system: System, kind: Any, key: ObjectKey, **spec: Any) -> None:
    await system.user.patch(kind, key, merge_patch({"spec": spec}))


def says(obj: Any, condition: str) -> str:
    found = next((found for found in obj.status.conditions if found.type == condition), None) if obj.status else None
    return "" if found is None else f"{found.status}/{found.reason}: {found.message}"


async def group_says(system: System, condition: str) -> str:
    return says(await system.user.get(TiKVGroup, GROUP), condition)


async def warned(system: System, reason: str) -> list[str]:
    """Return the objects that a warning of this reason is about."""
    events = await system.user.list(Event)
    return sorted(
        f"{event.regarding.kind}/{event.regarding.name}"
        for event in events
        if event.reason == reason and event.type == "Warning" and event.regarding is not None
    )


async def repaired(system: System) -> None:
    """Delete a pod, and see that it comes back."""
    victim = system.world.pods(GROUP)[0]
    await system.user.delete(Pod, victim.key, grace_period=0)
    await asyncio.sleep(10)
    back = system.world.pod(victim.key)
    assert back is not None
    assert back.metadata.uid != victim.metadata.uid


async def gone(system: System) -> None:
    await system.world.until("deleted", system.world.leftovers, timeout=300.0)


async def delete_cluster(system: System) -> None:
    await system.user.delete(Cluster, CLUSTER)
    await gone(system)


class TestAClusterThatDoesNotExist:
    async def test_any_more_is_said_by_group_and_instances_which_can_all_be_deleted(self) -> None:
        async with running() as system:
            # As if somebody had removed the finalizer by force, with the operator away.
            await system.stop_operator()
            await system.user.delete(Cluster, CLUSTER)
            await system.user.patch(Cluster, CLUSTER, merge_patch({"metadata": {"finalizers": None}}))
            system.start_operator()
            await asyncio.sleep(10)
            assert await group_says(system, "Synced") == "False/ClusterNotFound: cluster basic does not exist"
            for tikv in system.world.tikvs(GROUP):
                assert says(tikv, "Synced") == "False/ClusterNotFound: cluster basic does not exist"
            names = [f"TiKV/{tikv.metadata.name}" for tikv in system.world.tikvs(GROUP)]
            names += [f"PD/{pd.metadata.name}" for pd in system.world.pds()]
            assert await warned(system, "ClusterNotFound") == sorted([*names, "PDGroup/pd", "TiKVGroup/kv"])
            await system.user.delete(TiKVGroup, GROUP)
            await system.world.until("deleted", lambda: str(len(system.world.tikvs())).strip("0"), timeout=60.0)
            assert system.world.claims(GROUP) == []


class TestAPausedCluster:
    async def test_can_be_deleted_with_all_that_belongs_to_it(self) -> None:
        async with running() as system:
            await change(system, Cluster, CLUSTER, paused=True)
            await asyncio.sleep(5)
            await delete_cluster(system)

    async def test_keeps_a_tikv_that_is_deleted_says_so_and_lets_it_go_later(self) -> None:
        async with running() as system:
            await change(system, TiKVGroup, GROUP, replicas=4)
            await system.world.until("4", lambda: system.world.missing_of_group(GROUP, 4), timeout=120.0)
            await change(system, Cluster, CLUSTER, paused=True)
            victim = system.world.tikvs(GROUP)[0]
            await system.user.delete(TiKV, victim.key)
            await asyncio.sleep(60)
            waits = await system.user.get(TiKV, victim.key)
            assert says(waits, "Synced") == "False/ClusterPaused: deletion waits: cluster basic is paused"
            assert await warned(system, "ClusterPaused") == [f"TiKV/{victim.metadata.name}"]
            await change(system, Cluster, CLUSTER, paused=False)
            await asyncio.sleep(120)
            assert system.world.missing_of_group(GROUP, 4) == ""
            assert victim.metadata.name not in {tikv.metadata.name for tikv in system.world.tikvs(GROUP)}


class TestAPDThatIsGoneForEver:
    async def test_keeps_data_where_it_is_and_nothing_else(self) -> None:
        async with running() as system:
            assert system.simulation.silence_pd(CLUSTER, seconds=1e9)
            await asyncio.sleep(60)
            await repaired(system)
            await change(system, TiKVGroup, GROUP, replicas=4)
            await asyncio.sleep(10)
            assert len(system.world.pods(GROUP)) == 4
            await change(system, TiKVGroup, GROUP, replicas=2)
            await asyncio.sleep(120)
            assert len(system.world.claims(GROUP)) == 4
            leaving = [tikv for tikv in system.world.tikvs(GROUP) if tikv.spec.offline]
            assert len(leaving) == 2
            with_store = [tikv for tikv in leaving if tikv.status is not None and tikv.status.id]
            for tikv in with_store:
                assert says(tikv, "Synced").startswith("False/WaitingForPD: the store cannot be removed: pd does not")
            assert set(await warned(system, "WaitingForPD")) >= {f"TiKV/{tikv.metadata.name}" for tikv in with_store}
            cluster = await system.user.get(Cluster, CLUSTER)
            assert "does not answer" in says(cluster, "Available")
            assert await warned(system, "PDUnreachable") == ["Cluster/basic"]
            await delete_cluster(system)


class TestPDsRefusal:
    async def test_is_said_and_holds_up_neither_repair_nor_scaling_nor_the_end_of_the_cluster(self) -> None:
        async with running() as system:
            await change(system, TiKVGroup, GROUP, replicas=1)
            await asyncio.sleep(60)
            leaving = [tikv for tikv in system.world.tikvs(GROUP) if tikv.spec.offline]
            assert len(leaving) == 2
            for tikv in leaving:
                assert says(tikv, "Synced").startswith("False/StoreRemovalRefused: pd refuses to remove the store")
            assert await warned(system, "StoreRemovalRefused") == sorted(f"TiKV/{t.metadata.name}" for t in leaving)
            await repaired(system)
            await change(system, TiKVGroup, GROUP, replicas=4)
            await system.world.until("4", lambda: system.world.missing_of_group(GROUP, 4), timeout=300.0)
            await delete_cluster(system)


class TestAnUpgradeThatPDIsNotReadyFor:
    async def test_waits_alone(self) -> None:
        async with running() as system:
            await change(system, TiKVGroup, GROUP, template={"spec": {"version": "v9.0.0"}})
            await asyncio.sleep(10)
            assert "upgrade to v9.0.0 waits: PDGroup/" in await group_says(system, "Synced")
            assert await warned(system, "UpgradeHeldBack") == ["TiKVGroup/kv"]
            await repaired(system)
            await change(system, TiKVGroup, GROUP, replicas=4)
            await asyncio.sleep(60)
            found = system.world.tikvs(GROUP)
            assert len(found) == 4
            assert "v9.0.0" not in {tikv.spec.version for tikv in found}
            assert all(says(tikv, "Ready").startswith("True/") for tikv in found)
            await change(system, TiKVGroup, GROUP, replicas=3)
            await asyncio.sleep(60)
            assert len(system.world.tikvs(GROUP)) == 3
            await delete_cluster(system)


def volume(**changes: Any) -> dict[str, Any]:
    return {
        "template": {"spec": {"volumes": [{"name": "data", "mounts": [{"type": "data"}], "storage": "1Gi"} | changes]}}
    }


class TestAStorageClassThatDoesNotExist:
    async def test_is_named_and_holds_up_only_the_instances_that_want_it(self) -> None:
        world = SimulationSettings(prestop_poll=0.1, regions=9, provision_storage_classes=False)
        async with running(world) as system:
            old = {tikv.metadata.name for tikv in system.world.tikvs(GROUP)}
            await change(system, TiKVGroup, GROUP, replicas=4, **volume(storageClassName="fast"))
            await asyncio.sleep(150)
            (new,) = [tikv for tikv in system.world.tikvs(GROUP) if tikv.metadata.name not in old]
            said = says(new, "Synced")
            assert said.startswith("False/VolumeNotBound: volume claim data-")
            assert "storage class fast" in said
            assert await warned(system, "VolumeNotBound") == [f"TiKV/{new.metadata.name}"]
            assert new.metadata.name in await group_says(system, "Ready")
            await repaired(system)
            await change(system, TiKVGroup, GROUP, replicas=3, **volume(storageClassName=None))
            await system.world.until("3", lambda: system.world.missing_of_group(GROUP, 3), timeout=300.0)
            assert new.metadata.name not in {tikv.metadata.name for tikv in system.world.tikvs(GROUP)}
            await delete_cluster(system)
