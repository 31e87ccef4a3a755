"""PD's quorum is never lost by our own doing, whatever users do and whatever goes wrong, and all comes to rest in the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import PersistentVolumeClaim, Pod
from controller_runtime.client import NotFound, merge_patch
from helpers.pd_quorum import PDQuorum, pods_of
from helpers.whole_system import System, whole_system
from tikv_operator.api import PD, Cluster, PDGroup, TiKVGroup
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS, sample_folder
from tikv_operator.demo.world import TimedOut
from tikv_operator.simulation import SimulationSettings

CLUSTER = ObjectKey("default", "basic")
GROUP = ObjectKey("default", "pd")
KV = ObjectKey("default", "kv")
WORLD = SimulationSettings(prestop_poll=0.1, regions=9)
SETTINGS = replace(DEMO_SETTINGS, pd_poll=30.0, pd_max_age=90.0)


def manifests(*kinds: str) -> list[dict[str, Any]]:
    return [found for found in load([sample_folder()]) if found["kind"] in ("Cluster", "PDGroup", *kinds)]


async def created(system: System, *kinds: str) -> None:
    story = Scenario(system.user, system.world, manifests(*kinds), timeout=120.0)
    result = await story.play(story.creation())
    assert not result.error, result.error


async def change(system: System, **spec: Any) -> None:
    await system.user.patch(PDGroup, GROUP, merge_patch({"spec": spec}))


async def settled(system: System, replicas: int = 3, *, timeout: float = 300.0) -> None:
    await asyncio.sleep(2)
    await system.world.until("settled", lambda: system.world.missing_of_pd_group(GROUP, replicas), timeout=timeout)
    pd = system.simulation.pd(CLUSTER)
    assert pd is not None
    names = sorted(found.metadata.name for found in system.world.pds(GROUP))
    assert [member.name for member in pd.members.all()] == names
    assert pd.members.running == set(names)


def cluster_id(system: System) -> int:
    pd = system.simulation.pd(CLUSTER)
    assert pd is not None
    return pd.cluster_id


def said(system: System, name: str, condition: str = "Synced") -> str:
    pd = next(found for found in system.world.pds() if found.metadata.name == name)
    found = next((found for found in pd.status.conditions if found.type == condition), None) if pd.status else None
    return "" if found is None else f"{found.status}/{found.reason}: {found.message}"


async def test_a_roll_restarts_each_member_once_and_the_leader_last_after_it_has_handed_over() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch = PDQuorum(system, CLUSTER)
        await change(system, template={"spec": {"version": "v8.1.1"}})
        await settled(system)
        assert watch.wrong == []
        assert (watch.restarts, watch.transfers) == (3, 1)


async def test_members_come_and_go_one_at_a_time() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch, before = PDQuorum(system, CLUSTER), cluster_id(system)
        for replicas in (5, 3, 1, 3):
            await change(system, replicas=replicas)
            await settled(system, replicas)
        assert watch.wrong == []
        assert watch.removals == 4
        assert cluster_id(system) == before
        assert len(await system.user.list(PersistentVolumeClaim, namespace="default")) == 3


async def test_a_pod_killed_between_admission_and_start_leaves_no_member_behind() -> None:
    slow = replace(WORLD, pd_join_seconds=5.0)
    async with whole_system(SETTINGS, slow) as system:
        await created(system)
        watch = PDQuorum(system, CLUSTER)
        await change(system, replicas=4)
        pd = system.simulation.pd(CLUSTER)
        assert pd is not None
        while all(map(pd.members.is_started, (member.name for member in pd.members.all()))):
            await asyncio.sleep(0.1)
        phantom = next(member.name for member in pd.members.all() if not pd.members.is_started(member.name))
        await system.user.delete(PD, ObjectKey("default", phantom))
        await change(system, replicas=3)
        await settled(system)
        assert watch.wrong == []
        assert pd.members.get(phantom) is None


async def test_while_one_member_is_down_no_other_one_is_restarted_or_removed() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch = PDQuorum(system, CLUSTER)
        victim = pods_of(system, GROUP)[0]
        system.simulation.troubles.crashing_pods.add(victim.metadata.name)
        system.simulation.crash_pod(victim.key)
        await asyncio.sleep(30)
        await change(system, replicas=2)
        await asyncio.sleep(300)
        assert watch.wrong == []
        system.simulation.troubles.crashing_pods.clear()
        await settled(system, 2)
        assert watch.wrong == []


async def test_deleting_more_than_half_of_the_pds_by_hand_loses_no_quorum() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch, before = PDQuorum(system, CLUSTER), cluster_id(system)
        for found in system.world.pds(GROUP)[:2]:
            await system.user.delete(PD, found.key)
        await settled(system)
        assert watch.wrong == []
        assert cluster_id(system) == before


async def test_a_member_that_is_to_leave_and_cannot_yet_is_kept_running() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch = PDQuorum(system, CLUSTER)
        for found in system.world.pds(GROUP)[1:]:
            await system.user.delete(PD, found.key)
        await change(system, replicas=1)
        for pod in pods_of(system, GROUP):
            await system.user.delete(Pod, pod.key, grace_period=0)
        await settled(system, 1)
        assert watch.wrong == []


async def test_a_leader_whose_pod_is_drained_hands_over_at_once() -> None:
    slow = replace(WORLD, stop_seconds=5.0)
    async with whole_system(SETTINGS, slow) as system:
        await created(system)
        pd = system.simulation.pd(CLUSTER)
        assert pd is not None
        leader = pd.members.leader
        assert leader is not None
        prefix, _, suffix = leader.name.rpartition("-")
        await system.user.delete(Pod, ObjectKey("default", f"{prefix}-pd-{suffix}"))
        await asyncio.sleep(3)
        assert pd.members.leader is not None
        assert pd.members.leader.name != leader.name
        assert leader.name in pd.members.running
        await settled(system)


async def test_a_lost_volume_is_said_and_replaced_when_that_is_asked_for() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch, before = PDQuorum(system, CLUSTER), cluster_id(system)
        victim = system.world.pds(GROUP)[0].metadata.name
        pod = next(found for found in pods_of(system, GROUP) if found.metadata.labels["pingcap.com/instance"] == victim)
        await system.user.delete(PersistentVolumeClaim, ObjectKey("default", f"data-{pod.metadata.name}"))
        await system.user.delete(Pod, pod.key, grace_period=0)
        await asyncio.sleep(200)
        assert said(system, victim, "Ready").startswith("False/")
        asked = {"metadata": {"annotations": {"core.pingcap.com/replace-failed-members": "60"}}}
        await system.user.patch(PDGroup, GROUP, merge_patch(asked))
        await settled(system)
        assert victim not in {found.metadata.name for found in system.world.pds(GROUP)}
        assert watch.wrong == []
        assert cluster_id(system) == before


async def test_configuration_that_pd_keeps_is_changed_without_a_restart() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        watch = PDQuorum(system, CLUSTER)
        await change(
            system,
            template={
                "spec": {"config": "[schedule]\nleader-schedule-limit = 9\n", "updateStrategy": {"config": "Restart"}}
            },
        )
        await settled(system)
        pd = system.simulation.pd(CLUSTER)
        assert pd is not None
        assert pd.configured == {"schedule.leader-schedule-limit": 9}
        assert watch.restarts == 0


async def test_a_second_group_joins_the_first_and_the_first_leaves_member_by_member() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        objects = manifests()
        for manifest in objects:
            if manifest["kind"] == "Cluster":
                manifest["spec"] = {
                    "featureGates": [{"name": "FeatureModification"}, {"name": "MultiPDGroup"}],
                }
        second = next(dict(found) for found in manifests() if found["kind"] == "PDGroup")
        second["metadata"] = {**second["metadata"], "name": "zz-pd"}
        story = Scenario(system.user, system.world, [*objects, second], timeout=300.0)
        result = await story.play(story.creation())
        assert not result.error, result.error
        pd = system.simulation.pd(CLUSTER)
        assert pd is not None
        assert len(pd.members.running) == 6
        watch = PDQuorum(system, CLUSTER)
        await system.user.delete(PDGroup, GROUP)

        def left() -> str:
            return f"{len(system.world.pds(GROUP))} are left" if system.world.pd_group(GROUP) is not None else ""

        await system.world.until("gone", left, timeout=600.0)
        assert watch.wrong == []
        assert watch.removals == 3
        assert {member.name.rpartition("-")[0] for member in pd.members.all()} == {"zz-pd"}


async def test_the_last_pd_group_stays_while_tikv_needs_it() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system, "TiKVGroup")
        await system.user.delete(PDGroup, GROUP)
        await asyncio.sleep(60)
        group = system.world.pd_group(GROUP)
        assert group is not None
        assert group.status is not None
        synced = next(found for found in group.status.conditions if found.type == "Synced")
        assert "TiKVGroup/kv cannot do without PD" in synced.message
        assert len(system.world.pds(GROUP)) == 3


async def test_suspended_and_resumed_pd_is_the_same_cluster() -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system)
        before = cluster_id(system)
        await system.user.patch(Cluster, CLUSTER, merge_patch({"spec": {"suspendAction": {"suspendCompute": True}}}))
        await system.world.until("suspended", lambda: "pods" if pods_of(system, GROUP) else "", timeout=120.0)
        await asyncio.sleep(10)
        await system.user.patch(Cluster, CLUSTER, merge_patch({"spec": {"suspendAction": None}}))
        await settled(system)
        assert cluster_id(system) == before


@pytest.mark.parametrize("delay", [0.05, 0.3, 0.8, 1.5, 2.5])
async def test_an_operator_that_is_killed_at_any_moment_brings_pd_up_all_the_same(delay: float) -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        watch = PDQuorum(system, CLUSTER)
        story = Scenario(system.user, system.world, manifests(), timeout=120.0)
        async with asyncio.TaskGroup() as group:
            creation = group.create_task(story.play(story.creation()))
            for _ in range(3):
                await asyncio.sleep(delay)
                await system.stop_operator(kill=True)
                system.start_operator()
        assert not creation.result().error, creation.result().error
        await settled(system)
        assert watch.wrong == []


class History:
    """What users do to PD and what goes wrong, in any order and on top of each other."""

    def __init__(self, system: System, seed: int) -> None:
        self.system = system
        self.random = random.Random(seed)
        self.told: list[str] = []
        self._number = 0

    async def play(self, steps: int) -> None:
        actions: list[Callable[[], Awaitable[None]]] = [
            self.scale,
            self.roll,
            self.roll_tikv,
            self.delete_pod,
            self.crash_pod,
            self.delete_pd,
            self.silence_pd,
            self.restart_operator,
        ]
        for _ in range(steps):
            action = self.random.choice(actions)
            self.told.append(f"{self.system.clock.now():.1f} {action.__name__}")
            await action()
            await asyncio.sleep(self.random.choice((0.1, 1.0, 5.0, 30.0)))

    async def scale(self) -> None:
        await change(self.system, replicas=self.random.choice((1, 3, 4, 5)))

    async def roll(self) -> None:
        self._number += 1
        await change(self.system, template={"spec": {"version": f"v8.1.{self._number}"}})

    async def roll_tikv(self) -> None:
        self._number += 1
        spec = {
            "template": {"spec": {"config": f"log.level = 'l{self._number}'", "updateStrategy": {"config": "Restart"}}}
        }
        await self.system.user.patch(TiKVGroup, KV, merge_patch({"spec": spec}))

    async def delete_pod(self) -> None:
        pods = pods_of(self.system, GROUP)
        if pods:
            await _unless_gone(self.system.user.delete(Pod, self.random.choice(pods).key, grace_period=30))

    async def crash_pod(self) -> None:
        pods = pods_of(self.system, GROUP)
        if pods:
            self.system.simulation.crash_pod(self.random.choice(pods).key)

    async def delete_pd(self) -> None:
        pds = self.system.world.pds(GROUP)
        if pds:
            await _unless_gone(self.system.user.delete(PD, self.random.choice(pds).key))

    async def silence_pd(self) -> None:
        self.system.simulation.silence_pd(CLUSTER, seconds=self.random.choice((1.0, 20.0)))

    async def restart_operator(self) -> None:
        await self.system.stop_operator(kill=True)
        await asyncio.sleep(self.random.choice((0.0, 2.0)))
        self.system.start_operator()


async def _unless_gone(asked: Awaitable[Any]) -> None:
    try:
        await asked
    except NotFound:
        return


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_whatever_happens_pd_keeps_its_quorum_and_comes_to_rest(seed: int) -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        await created(system, "TiKVGroup")
        watch, before = PDQuorum(system, CLUSTER), cluster_id(system)
        history = History(system, seed)
        await history.play(14)
        await change(system, replicas=3)
        try:
            await settled(system, timeout=3600.0)
            await system.world.until("rest", lambda: system.world.missing_of_group(KV, 3), timeout=3600.0)
        except (TimedOut, AssertionError) as error:
            error.add_note("\n".join(history.told))
            raise
        assert watch.wrong == [], "\n".join(history.told)
        assert cluster_id(system) == before
