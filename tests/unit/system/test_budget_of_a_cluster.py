"""How many pods of a cluster are down together, over all its groups: what its budget says, and what a pause stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Event, Pod, PodDisruptionBudget
from controller_runtime.client import merge_patch
from helpers.disruptions import Disruptions
from helpers.whole_system import System, whole_system
from tikv_operator.api import Cluster, TiKV, TiKVGroup
from tikv_operator.common.keys import LABEL_INSTANCE
from tikv_operator.common.pods import ready_since
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS, sample_folder
from tikv_operator.simulation import SimulationSettings

CLUSTER = ObjectKey("default", "basic")
WORLD = SimulationSettings(prestop_poll=0.1, regions=12)
IN_ZONE = "core.pingcap.com/max-unavailable-in-zone"
MAX = "core.pingcap.com/max-unavailable"
PAUSED = "core.pingcap.com/paused"


def key(group: str) -> ObjectKey:
    return ObjectKey(CLUSTER.namespace, group)


def manifests(groups: dict[str, int], *, spread: bool = False, **annotations: str) -> list[dict[str, Any]]:
    """The sample's Cluster with annotations, one PD, and groups of these sizes, spread over zones or not."""
    found = load([sample_folder()])
    cluster, pd, kv = (next(m for m in found if m["kind"] == kind) for kind in ("Cluster", "PDGroup", "TiKVGroup"))
    cluster["metadata"]["annotations"] = annotations
    pd["spec"]["replicas"] = 1
    spec = {name: value for name, value in kv["spec"].items() if spread or name != "schedulePolicies"}
    spec["template"]["spec"]["updateStrategy"] = {"config": "Restart"}
    made = [
        {**kv, "metadata": {"name": name, "namespace": CLUSTER.namespace}, "spec": spec | {"replicas": replicas}}
        for name, replicas in groups.items()
    ]
    return [cluster, pd, *made]


@dataclass
class Together:
    """The most pods that did not serve, and the most stores whose leaders were moved away, at any one moment.

    Attributes:
        zones: the most zones in which pods did not serve.
    """

    pods: int = 0
    stores: int = 0
    zones: int = 0


@asynccontextmanager
async def watched(system: System, groups: dict[str, int]) -> AsyncIterator[Together]:
    seen = Together()

    async def look() -> None:
        while True:
            serving = [pod for name in groups for pod in system.world.pods(key(name)) if serves(pod)]
            seen.pods = max(seen.pods, sum(groups.values()) - len(serving))
            down = {
                tikv.metadata.name: tikv.spec.topology or {}
                for name in groups
                for tikv in system.world.tikvs(key(name))
            }
            for pod in serving:
                down.pop(pod.metadata.labels[LABEL_INSTANCE], None)
            seen.zones = max(seen.zones, len({str(topology) for topology in down.values()}))
            seen.stores = max(seen.stores, sum(store.evicting for store in system.simulation.stores(CLUSTER)))
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
        await asyncio.wait({looking})


def serves(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is None and ready_since(pod) is not None


async def created(system: System, groups: dict[str, int], *, spread: bool = False, **annotations: str) -> None:
    story = Scenario(system.user, system.world, manifests(groups, spread=spread, **annotations), timeout=120.0)
    result = await story.play(story.creation())
    assert not result.error, result.error


async def restart(system: System, *groups: str, text: str = 'log.level = "warn"') -> None:
    for group in groups:
        changes = {"spec": {"template": {"spec": {"config": text}}}}
        await system.user.patch(TiKVGroup, key(group), merge_patch(changes))


async def settled(system: System, groups: dict[str, int], timeout: float = 600.0) -> None:
    await asyncio.sleep(2)
    for name, replicas in groups.items():

        def missing(name: str = name, replicas: int = replicas) -> str:
            return system.world.missing_of_group(key(name), replicas)

        await system.world.until("settled", missing, timeout=timeout)


async def annotate(system: System, kind: Any, name: str, **annotations: str | None) -> None:
    await system.user.patch(kind, key(name), merge_patch({"metadata": {"annotations": annotations}}))


async def group_says(system: System, group: str, condition: str) -> str:
    found = await system.user.get(TiKVGroup, key(group))
    assert found.status is not None
    said = next((said for said in found.status.conditions if said.type == condition), None)
    return "" if said is None else f"{said.status}/{said.reason}: {said.message}"


async def test_groups_take_turns_and_move_the_leaders_of_one_store_at_a_time() -> None:
    groups = {"kv": 3, "other": 2, "third": 2}
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await created(system, groups)
        watch = Disruptions(system, CLUSTER)
        async with watched(system, groups) as together:
            await restart(system, *groups)
            await asyncio.sleep(1.0)
            waiting = [await group_says(system, name, "Synced") for name in groups]
            await settled(system, groups)
        assert (together.pods, together.stores) == (1, 1)
        assert watch.pods == 7
        assert watch.wrong == []
        said = [text for text in waiting if "update waits for" in text]
        assert len(said) == 2
        assert all(text.endswith("in the cluster 1 store may be down at a time") for text in said)


async def test_a_budget_of_two_takes_two_of_whatever_group_and_never_three() -> None:
    groups = {"kv": 3, "other": 3}
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await created(system, groups, **{MAX: "2"})
        async with watched(system, groups) as together:
            await restart(system, *groups)
            await settled(system, groups)
        assert together.pods == 2


@pytest.mark.parametrize("groups", [{"kv": 2}, {"kv": 1, "other": 1}], ids=["one group", "two groups"])
async def test_a_budget_for_all_stores_leaves_one_that_takes_leaders(groups: dict[str, int]) -> None:
    async with whole_system(replace(DEMO_SETTINGS, eviction_timeout=3600.0), WORLD) as system:
        await created(system, groups, **{MAX: "5"})
        async with watched(system, groups) as together:
            await restart(system, *groups)
            await settled(system, groups, timeout=120.0)
        assert together.stores == 1


async def test_evictions_that_block_each_other_make_room_for_one_after_the_other() -> None:
    """With four of five stores evicted, many regions have all their replicas on these: their leaders have nowhere to go."""
    groups = {"kv": 5}
    world = replace(WORLD, regions=120)
    async with whole_system(replace(DEMO_SETTINGS, eviction_timeout=3600.0), world) as system:
        await created(system, groups, **{MAX: "4"})
        await asyncio.sleep(60)  # until pd has spread the leaders over all stores
        async with watched(system, groups) as together:
            await restart(system, *groups)
            await settled(system, groups, timeout=300.0)
        assert together.stores == 4
        assert not any(store.evicting for store in system.simulation.stores(CLUSTER))
        told = {event.reason for event in await system.user.list(Event)}
        assert "LeaderEvictionTimeout" not in told


async def test_a_budget_that_is_raised_in_the_middle_takes_effect_at_once() -> None:
    groups = {"kv": 4}
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await created(system, groups)
        await restart(system, "kv")
        await asyncio.sleep(0.5)
        await annotate(system, Cluster, "basic", **{MAX: "3"})
        async with watched(system, groups) as together:
            await settled(system, groups)
        assert together.pods == 3
        budget = await system.user.get(PodDisruptionBudget, key("kv-tikv-pdb"))
        assert budget.spec is not None
        assert budget.spec.max_unavailable == 3


async def test_where_pd_keeps_replicas_apart_a_zone_is_restarted_together_and_then_the_next() -> None:
    groups = {"kv": 6, "other": 3}
    world = replace(WORLD, location_labels=("zone",), isolation_level="zone")
    async with whole_system(DEMO_SETTINGS, world) as system:
        await created(system, groups, spread=True, **{IN_ZONE: "9"})
        await asyncio.sleep(60)  # until every region is spread
        async with watched(system, groups) as together:
            await restart(system, "kv")
            await settled(system, groups)
        assert (together.pods, together.zones) == (2, 1)


async def test_where_pd_promises_nothing_a_zone_is_no_excuse() -> None:
    groups = {"kv": 6}
    async with whole_system(DEMO_SETTINGS, replace(WORLD, location_labels=("zone",))) as system:
        await created(system, groups, spread=True, **{IN_ZONE: "9"})
        watch = Disruptions(system, CLUSTER)
        async with watched(system, groups) as together:
            await restart(system, "kv")
            await settled(system, groups)
        assert together.pods == 1
        assert watch.wrong == []


async def test_a_store_of_another_group_that_does_not_serve_holds_up_a_restart_until_it_does() -> None:
    groups = {"kv": 3, "other": 2}
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await created(system, groups)
        victim = system.world.pods(key("other"))[0]
        system.simulation.troubles.crashing_pods.add(victim.metadata.name)
        assert system.simulation.crash_pod(victim.key)
        await asyncio.sleep(5)
        before = system.world.pod_uids(key("kv"))
        await restart(system, "kv")
        await asyncio.sleep(300)
        assert system.world.pod_uids(key("kv")) == before
        assert "update waits for other" in await group_says(system, "kv", "Synced")
        assert not any(store.evicting for store in system.simulation.stores(CLUSTER))
        system.simulation.troubles.crashing_pods.clear()
        system.simulation.look_again()
        await settled(system, groups)
        assert not before & system.world.pod_uids(key("kv"))


async def test_a_machine_that_never_comes_back_does_not_hold_up_other_groups_for_ever() -> None:
    """PD replaces the peers of a store that it has given up: then the cluster is whole without it."""
    groups = {"kv": 4, "other": 1}
    world = replace(WORLD, down_after=120.0)
    async with whole_system(DEMO_SETTINGS, world) as system:
        await created(system, groups)
        victim = system.world.pods(key("other"))[0]
        system.simulation.troubles.crashing_pods.add(victim.metadata.name)
        assert system.simulation.crash_pod(victim.key)
        await asyncio.sleep(5)
        await restart(system, "kv")
        await asyncio.sleep(60)
        assert "update waits for other" in await group_says(system, "kv", "Synced")
        await settled(system, {"kv": 4}, timeout=900.0)


async def test_a_paused_group_is_left_as_it_is_even_in_the_middle_of_a_restart() -> None:
    groups = {"kv": 3, "other": 2}
    async with whole_system(DEMO_SETTINGS, replace(WORLD, leader_rate=1.0)) as system:
        await created(system, groups)
        await asyncio.sleep(30)
        before = system.world.pod_uids(key("kv"))
        await restart(system, "kv")
        await until(lambda: any(store.evicting for store in system.simulation.stores(CLUSTER)))
        await annotate(system, TiKVGroup, "kv", **{PAUSED: "true"})
        await asyncio.sleep(60)
        assert system.world.pod_uids(key("kv")) == before
        assert not any(store.evicting for store in system.simulation.stores(CLUSTER))
        assert "the group is paused" in await group_says(system, "kv", "Synced")
        assert (await group_says(system, "kv", "Paused")).startswith("True/Paused")
        # What is broken is repaired, and other groups go on.
        victim = system.world.pods(key("kv"))[-1]
        await system.user.delete(Pod, victim.key, grace_period=0)
        await restart(system, "other")
        await settled(system, {"other": 2})
        assert len([pod for pod in system.world.pods(key("kv")) if serves(pod)]) == 3
        await annotate(system, TiKVGroup, "kv", **{PAUSED: None})
        await settled(system, groups)
        assert not before & system.world.pod_uids(key("kv"))
        assert await group_says(system, "kv", "Paused") == ""


async def test_a_paused_group_can_be_deleted_with_its_cluster() -> None:
    groups = {"kv": 3}
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await created(system, groups)
        await annotate(system, TiKVGroup, "kv", **{PAUSED: "true"})
        await system.user.patch(TiKVGroup, key("kv"), merge_patch({"spec": {"replicas": 5}}))
        await asyncio.sleep(60)
        assert len(await system.user.list(TiKV, namespace=CLUSTER.namespace)) == 3
        await system.user.delete(Cluster, CLUSTER)
        await system.world.until("deleted", system.world.leftovers, timeout=300.0)
        assert await system.user.list(PodDisruptionBudget, namespace=CLUSTER.namespace) == []


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not holds():
            await asyncio.sleep(0.05)
