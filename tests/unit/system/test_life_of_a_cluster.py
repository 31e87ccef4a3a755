"""The whole system at once, in virtual time: what a user does, what goes wrong, and where it must end.

The steps are the demo's own, so each of them has the demo's end states: every instance ready and up to date, no instance and
no volume too many, nothing left after deletion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Pod
from helpers.whole_system import System, whole_system
from tikv_operator.common.conditions import LEADERS_EVICTED, condition_reason
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS
from tikv_operator.simulation import SimulationSettings

SAMPLE = Path(__file__).parents[3] / "config" / "samples" / "basic"
CLUSTER = ObjectKey("default", "basic")
GROUP = ObjectKey("default", "kv")
WORLD = SimulationSettings(prestop_poll=0.1)
STEPS = ("create", "scale out", "roll", "scale in", "delete")


def scenario(system: System, manifests: list[dict[str, Any]] | None = None) -> Scenario:
    return Scenario(system.user, system.world, manifests or load([SAMPLE]), timeout=120.0)


async def play(
    story: Scenario, *, until: str = "delete", trouble: dict[str, Callable[[], Awaitable[None]]] | None = None
) -> None:
    """Play the steps up to and with `until`; at the start of a step that has trouble, make it, beside the step."""
    for step in story.steps():
        async with asyncio.TaskGroup() as group:
            for name, make in (trouble or {}).items():
                if step.name.startswith(name):
                    group.create_task(make())
            result = await story.play(step)
        assert not result.error, result.error
        if step.name.startswith(until):
            return


async def test_a_cluster_is_created_scaled_rolled_and_deleted() -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        story = scenario(system)
        await play(story)
        assert system.log.events("error") == []


async def test_a_roll_takes_down_one_pod_at_a_time() -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await play(scenario(system), until="roll")
        assert system.world.lowest_ready[GROUP] == 4


async def test_stores_that_leave_hand_over_everything_before_their_volumes_go() -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await play(scenario(system), until="scale in")
        stores = system.simulation.stores(CLUSTER)
        assert sorted(store.node_state for store in stores) == ["Removed"] * 2 + ["Serving"] * 3
        assert all(store.regions == 0 for store in stores if store.node_state == "Removed")
        assert all(store.regions == 60 for store in stores if store.node_state == "Serving")
        assert not any(store.evicting for store in stores)


async def test_a_settled_cluster_costs_nothing_for_an_hour() -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await play(scenario(system), until="create")
        await asyncio.sleep(60)
        system.traffic.requests.clear()
        await asyncio.sleep(3600)
        assert system.traffic.writes == []
        polls = 3600 / DEMO_SETTINGS.pd_poll
        assert len(system.traffic.to_pd) <= 5 * polls + 5


NAMES = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: core.pingcap.com/v1alpha1
kind: Cluster
metadata: {name: orders, namespace: shop}
spec: {}
---
apiVersion: core.pingcap.com/v1alpha1
kind: PDGroup
metadata: {name: brain, namespace: shop}
spec:
  cluster: {name: orders}
  replicas: 1
  template: {spec: {version: v8.5.0, volumes: [{name: data, mounts: [{type: data}], storage: 1Gi}]}}
---
apiVersion: core.pingcap.com/v1alpha1
kind: TiKVGroup
metadata: {name: hot-data, namespace: shop}
spec:
  cluster: {name: orders}
  replicas: 4
  schedulePolicies:
  - type: EvenlySpread
    evenlySpread: {topologies: [{topology: {rack: r1}}, {topology: {rack: r2}}]}
  template:
    spec:
      version: v8.5.0
      config: |
        [server]
        grpc-concurrency = 2
      volumes:
      - {name: data, mounts: [{type: data, mountPath: /kv}], storage: 20Gi}
      - {name: raft, mounts: [{type: raft, mountPath: /raft}], storage: 5Gi}
---
apiVersion: core.pingcap.com/v1alpha1
kind: TiKVGroup
metadata: {name: cold, namespace: shop}
spec:
  cluster: {name: orders}
  replicas: 1
  minReadySeconds: 2
  template: {spec: {version: v8.5.0, volumes: [{name: data, mounts: [{type: data}], storage: 1Gi}]}}
"""


async def test_names_sizes_zones_volumes_and_the_number_of_groups_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(NAMES)
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        story = scenario(system, load([tmp_path / "shop.yaml"]))
        await play(story, until="create")
        hot = ObjectKey("shop", "hot-data")
        racks = sorted((tikv.spec.topology or {})["rack"] for tikv in system.world.tikvs(hot))
        assert racks == ["r1", "r1", "r2", "r2"]
        assert len(system.world.claims(hot)) == 8
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await play(scenario(system, load([tmp_path / "shop.yaml"])))


@pytest.mark.parametrize("step", STEPS)
async def test_pd_dies_in_the_middle(step: str) -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:

        async def kill() -> None:
            await asyncio.sleep(0.7)
            await system.simulation.kill_pd(CLUSTER)

        await play(scenario(system), trouble={step: kill})


@pytest.mark.parametrize("left", [4, 0], ids=["the first of five", "the last"])
async def test_pd_dies_when_a_pod_is_made_anew_and_takes_up_the_eviction_of_its_leaders_late(left: int) -> None:
    """Meanwhile nothing else may go: PD says that no store leads anything. And what it takes up again must be ended."""
    async with whole_system(DEMO_SETTINGS, replace(WORLD, pd_prepare_seconds=40.0)) as system:
        patient = Scenario(system.user, system.world, load([SAMPLE]), timeout=900.0)
        await play(patient, until="scale out")
        before = system.world.pod_uids(GROUP)

        async def kill_pd() -> None:
            while len(before & {pod.metadata.uid for pod in system.world.pods(GROUP) if not deleted(pod)}) != left:
                await asyncio.sleep(0.01)
            await system.simulation.kill_pd(CLUSTER)
            await asyncio.sleep(30)
            assert len(before & system.world.pod_uids(GROUP)) == left
            assert len([store for store in system.simulation.stores(CLUSTER) if store.evicting]) == 1

        async with asyncio.TaskGroup() as group:
            group.create_task(kill_pd())
            result = await patient.play(next(step for step in patient.steps() if step.name.startswith("roll")))
            assert not result.error, result.error
        await asyncio.sleep(60)
        assert not any(store.evicting for store in system.simulation.stores(CLUSTER))
        for tikv in system.world.tikvs(GROUP):
            assert tikv.status is not None
            assert condition_reason(tikv.status.conditions, LEADERS_EVICTED) == "NotEvicted"


def deleted(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is not None


@pytest.mark.parametrize("step", STEPS[:4])
async def test_pods_are_deleted_in_the_middle(step: str) -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:

        async def delete_one() -> None:
            await asyncio.sleep(0.7)
            for pod in system.world.pods(GROUP)[:1]:
                await system.user.delete(Pod, pod.key, grace_period=0)

        await play(scenario(system), trouble={step: delete_one})


@pytest.mark.parametrize("step", STEPS)
async def test_the_operator_is_killed_and_started_again_in_the_middle(step: str) -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:

        async def restart() -> None:
            for delay in (0.4, 0.9):
                await asyncio.sleep(delay)
                await system.stop_operator(kill=True)
                await asyncio.sleep(0.5)
                system.start_operator()

        await play(scenario(system), trouble={step: restart})
        if step == "scale in":
            assert system.world.leftovers() == ""


async def test_while_pd_is_away_no_pod_is_taken_down() -> None:
    async with whole_system(DEMO_SETTINGS, WORLD) as system:
        await play(scenario(system), until="scale out")
        before = system.world.pod_uids(GROUP)
        system.simulation.silence_pd(CLUSTER, seconds=600.0)
        await asyncio.sleep(60)
        patient = Scenario(system.user, system.world, load([SAMPLE]), timeout=900.0)
        roll = next(step for step in patient.steps() if step.name.startswith("roll"))
        async with asyncio.TaskGroup() as group:
            rolling = group.create_task(patient.play(roll))
            await asyncio.sleep(300)
            assert system.world.pod_uids(GROUP) == before
        assert not rolling.result().error
