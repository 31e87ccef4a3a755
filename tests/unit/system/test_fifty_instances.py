"""Five groups of ten in one Cluster, with the waits of production: created, restarted by another configuration, at rest."""

from __future__ import annotations

import asyncio
from typing import Any

from controller_runtime.api import ObjectKey
from controller_runtime.client import merge_patch
from helpers.whole_system import System, whole_system
from tikv_operator.api import TiKVGroup
from tikv_operator.common.settings import Settings
from tikv_operator.demo.manifests import load
from tikv_operator.demo.stage import sample_folder
from tikv_operator.simulation import SimulationSettings

CLUSTER = ObjectKey("default", "basic")
GROUPS = [f"kv{number}" for number in range(5)]
WORLD = SimulationSettings(prestop_poll=0.1, regions=60, leader_rate=200.0)


def manifests(budget: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A Cluster with its PD, and the groups."""
    found = load([sample_folder()])
    cluster, pd, kv = (next(m for m in found if m["kind"] == kind) for kind in ("Cluster", "PDGroup", "TiKVGroup"))
    cluster["metadata"]["annotations"] = {"core.pingcap.com/max-unavailable": budget}
    pd["spec"]["replicas"] = 1
    spec = {name: value for name, value in kv["spec"].items() if name not in ("schedulePolicies", "minReadySeconds")}
    spec["replicas"] = 10
    groups = [{**kv, "metadata": {"name": name, "namespace": "default"}, "spec": spec} for name in GROUPS]
    return [cluster, pd], groups


async def settled(system: System, timeout: float) -> None:
    for name in GROUPS:

        def missing(name: str = name) -> str:
            return system.world.missing_of_group(ObjectKey("default", name), 10)

        await system.world.until("settled", missing, timeout=timeout)


async def test_fifty_instances_are_created_restarted_and_cost_nothing_at_rest() -> None:
    async with whole_system(Settings(), WORLD) as system:
        before, groups = manifests("5")
        for manifest in before:
            await system.user.apply(manifest)
        pd = ObjectKey("default", before[1]["metadata"]["name"])
        await system.world.until("pd", lambda: system.world.missing_of_pd_group(pd, 1), timeout=300.0)
        system.traffic.requests.clear()
        began = system.clock.now()
        for manifest in groups:
            await system.user.apply(manifest)
        await settled(system, 300.0)
        created = system.clock.now() - began
        changes = {"template": {"spec": {"config": 'log.level = "warn"', "updateStrategy": {"config": "Restart"}}}}
        began = system.clock.now()
        for name in GROUPS:
            await system.user.patch(TiKVGroup, ObjectKey("default", name), merge_patch({"spec": changes}))
        await asyncio.sleep(1)
        await settled(system, 900.0)
        restarted = system.clock.now() - began
        figures = (created, restarted, len(system.traffic.writes), len(system.traffic.to_pd))
        # What TiDB Operator took and asked for: 34 s and 593 s, 3,250 writes (none of them Events), 5,730 requests to PD.
        assert created + restarted <= 0.35 * (34 + 593), figures
        assert len(system.traffic.writes) <= 0.35 * 3250, figures
        assert len(system.traffic.to_pd) <= 0.25 * 5730, figures
        await asyncio.sleep(600)  # until Events of the same kind are no longer counted up
        system.traffic.requests.clear()
        await asyncio.sleep(600)
        assert system.traffic.writes == []
