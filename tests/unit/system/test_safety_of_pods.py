"""Which pods the operator takes down, and when: never two that serve, always those that don't, whatever set it in motion."""

from __future__ import annotations

import asyncio
from typing import Any

from controller_runtime.api import ObjectKey
from controller_runtime.client import merge_patch
from helpers.disruptions import Disruptions
from helpers.whole_system import System, whole_system
from tikv_operator.api import TiKVGroup
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS, sample_folder
from tikv_operator.simulation import SimulationSettings

CLUSTER = ObjectKey("default", "basic")
GROUP = ObjectKey("default", "kv")
WORLD = SimulationSettings(prestop_poll=0.1, regions=12)


def manifests(*, replicas: int = 3, groups: tuple[str, ...] = ("kv",)) -> list[dict[str, Any]]:
    """The sample, with one PD and as many equal groups as wanted."""
    found = load([sample_folder()])
    pd = next(manifest for manifest in found if manifest["kind"] == "PDGroup")
    kv = next(manifest for manifest in found if manifest["kind"] == "TiKVGroup")
    cluster = next(manifest for manifest in found if manifest["kind"] == "Cluster")
    pd["spec"]["replicas"] = 1
    made = []
    for name in groups:
        spec = {key: value for key, value in kv["spec"].items() if key != "schedulePolicies"} | {"replicas": replicas}
        made.append({**kv, "metadata": {"name": name, "namespace": GROUP.namespace}, "spec": spec})
    return [cluster, pd, *made]


async def created(system: System, found: list[dict[str, Any]]) -> None:
    story = Scenario(system.user, system.world, found, timeout=120.0)
    result = await story.play(story.creation())
    assert not result.error, result.error


async def change(system: System, name: str = "kv", **spec: Any) -> None:
    await system.user.patch(TiKVGroup, ObjectKey(GROUP.namespace, name), merge_patch({"spec": spec}))


def restarting(text: str) -> dict[str, Any]:
    return {"template": {"spec": {"config": text, "updateStrategy": {"config": "Restart"}}}}


async def settled(system: System, replicas: int, name: str = "kv") -> None:
    await asyncio.sleep(2)
    await system.world.until(
        "settled", lambda: system.world.missing_of_group(ObjectKey(GROUP.namespace, name), replicas), timeout=300.0
    )


async def test_instances_that_are_kept_with_another_template_restart_one_by_one() -> None:
    slow = SimulationSettings(prestop_poll=0.1, regions=12, region_rate=1.0)
    async with whole_system(DEMO_SETTINGS, slow) as system:
        await created(system, manifests(replicas=5))
        await asyncio.sleep(60)  # until the regions are spread
        watch = Disruptions(system, CLUSTER)
        await change(system, replicas=3)
        await asyncio.sleep(5)
        assert sum(store.node_state == "Removing" for store in system.simulation.stores(CLUSTER)) == 2
        await change(system, replicas=5, **restarting('log.level = "warn"'))
        await settled(system, 5)
        assert watch.pods == 5
        assert watch.wrong == []


async def test_groups_of_one_cluster_restart_one_pod_at_a_time() -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await created(system, manifests(replicas=2, groups=("kv", "other")))
        watch = Disruptions(system, CLUSTER)
        for name in ("kv", "other"):
            await change(system, name, **restarting('log.level = "warn"'))
        for name in ("kv", "other"):
            await settled(system, 2, name)
        assert watch.pods == 4
        assert watch.wrong == []


async def test_pods_that_are_all_down_are_all_repaired() -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await created(system, manifests())
        pods = system.world.pods(GROUP)
        system.simulation.troubles.crashing_pods |= {pod.metadata.name for pod in pods}
        for pod in pods:
            assert system.simulation.crash_pod(pod.key)
        await asyncio.sleep(60)
        assert {store.state for store in system.simulation.stores(CLUSTER)} == {"Disconnected"}
        before = system.world.pod_uids(GROUP)
        await change(system, **restarting('log.level = "warn"'))
        await asyncio.sleep(30)
        assert not before & system.world.pod_uids(GROUP)
        system.simulation.troubles.crashing_pods.clear()
        system.simulation.look_again()
        await settled(system, 3)
