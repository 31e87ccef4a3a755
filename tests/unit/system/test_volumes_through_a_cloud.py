"""Volumes of a whole cluster that a cloud changes in place: claim, cloud, file system, and what is said on the way.

The cloud is played, in virtual time; everything else is what runs in production, the pacing of requests included.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Event, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass
from controller_runtime.client import merge_patch
from helpers.clouds import make_class
from helpers.whole_system import System, whole_system
from tikv_operator.api import PDGroup, TiKVGroup
from tikv_operator.common.conditions import find_condition
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS, sample_folder
from tikv_operator.simulation import SimulationSettings
from tikv_operator.volume.modifier import CloudError, CloudUnavailable, ModificationRefused, gibibytes
from tikv_operator.volume.pacing import PacedModifier

CONFIG = Path(__file__).parents[3] / "config"
DRIVER = "simulated.pingcap.com"
GROUP, PDS = ObjectKey("default", "kv"), ObjectKey("default", "pd")
TAKES, WAIT = 30.0, 900.0
REVISIONS = ("spec.tidb.pingcap.com/revision", "status.tidb.pingcap.com/revision")


class SlowCloud:
    """Takes a while for each change, and refuses what `refuses` names.

    Attributes:
        begun: the volume, the size and the class of each change that it began.
        looks: how often it was asked at all.
    """

    provisioner = DRIVER
    wait = WAIT

    def __init__(self) -> None:
        self.begun: list[tuple[str, str, str]] = []
        self.looks = 0
        self.trouble: CloudError | None = None
        self.refuses = ""
        self._volumes: dict[str, tuple[int, str, float]] = {}

    def refusal(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        return ""

    async def modify(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        self.looks += 1
        name, wish, now = (
            volume.metadata.name,
            (gibibytes(size), target.metadata.name),
            asyncio.get_running_loop().time(),
        )
        if self.trouble is not None:
            raise self.trouble
        if target.metadata.name == self.refuses:
            msg = f"the cloud refuses: {self.refuses} is not for you"
            raise ModificationRefused(msg)
        known = self._volumes.get(name)
        if known is None or known[:2] != wish:
            assert known is None or known[0] <= wish[0], "a volume was asked to shrink"
            self.begun.append((name, size, target.metadata.name))
            self._volumes[name] = (*wish, now + TAKES)
            return f"the cloud has begun to modify {name}"
        return f"the cloud is modifying {name}" if now < known[2] else ""


@asynccontextmanager
async def running(cloud: SlowCloud) -> AsyncIterator[System]:
    """A cluster of one PD and three TiKVs, and two storage classes beside the one that it was made with."""
    manifests = load([sample_folder()])
    for manifest in manifests:
        if manifest["kind"] == "PDGroup":
            manifest["spec"]["replicas"] = 1
    paced = PacedModifier(cloud, poll=DEMO_SETTINGS.requeue, retry=DEMO_SETTINGS.cloud_retry)
    world = SimulationSettings(prestop_poll=0.1, regions=9)
    async with whole_system(DEMO_SETTINGS, world, volume_modifiers=[paced]) as system:
        story = Scenario(system.user, system.world, manifests, timeout=120.0)
        result = await story.play(story.creation())
        assert not result.error, result.error
        for name in ("fast", "odd"):
            await system.user.create(make_class(name, DRIVER))
        yield system


async def want(system: System, kind: Any, key: ObjectKey, size: str, storage_class: str) -> None:
    volume = {"name": "data", "mounts": [{"type": "data"}], "storage": size, "storageClassName": storage_class}
    await system.user.patch(kind, key, merge_patch({"spec": {"template": {"spec": {"volumes": [volume]}}}}))


def claims(system: System) -> list[PersistentVolumeClaim]:
    return sorted(system.world.claims(GROUP), key=lambda claim: claim.metadata.name)


def capacities(system: System) -> set[str]:
    return {(claim.status.capacity or {})["storage"] for claim in claims(system) if claim.status is not None}


def revisions(system: System) -> set[tuple[str, ...]]:
    return {tuple(claim.metadata.annotations.get(name, "") for name in REVISIONS) for claim in claims(system)}


def synced(system: System) -> set[tuple[str, str]]:
    """The reason and the message of the condition Synced of all TiKVs, without the names in it."""
    found = [
        find_condition((tikv.status.conditions if tikv.status else None) or [], "Synced")
        for tikv in system.world.tikvs(GROUP)
    ]
    return {(condition.reason, condition.message.partition(": ")[2]) for condition in found if condition is not None}


async def until(what: Callable[[], bool], *, within: float) -> float:
    """Wait until it is so; return how long that took."""
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(within):
        while not what():
            await asyncio.sleep(1)
    return asyncio.get_running_loop().time() - began


async def events(system: System, reason: str) -> list[Event]:
    return [event for event in await system.user.list(Event) if event.reason == reason]


def is_done(system: System, revision: str) -> Callable[[], bool]:
    return lambda: (
        revisions(system) == {(revision, revision)} and {reason for reason, _ in synced(system)} == {"Synced"}
    )


async def test_claims_go_from_step_to_step_while_the_database_serves() -> None:
    cloud = SlowCloud()
    async with running(cloud) as system:
        pods = {pod.metadata.uid for pod in await system.user.list(Pod)}
        await want(system, TiKVGroup, GROUP, "20Gi", "fast")
        await asyncio.sleep(10)
        assert revisions(system) == {("1", "")}  # it is written down what is asked for
        assert len(cloud.begun) == 3
        assert {size for _, size, _ in cloud.begun} == {"20Gi"}
        assert capacities(system) == {"10Gi"}  # nothing is resized before the cloud has done its part
        assert {reason for reason, _ in synced(system)} == {"VolumeBeingModified"}

        assert await until(is_done(system, "1"), within=120) < TAKES + 30
        assert capacities(system) == {"20Gi"}
        told = {claim.metadata.annotations["status.tidb.pingcap.com/storage-class"] for claim in claims(system)}
        assert told == {"fast"}
        assert {pod.metadata.uid for pod in await system.user.list(Pod)} == pods
        assert len(await events(system, "ModifyingVolume")) == len(await events(system, "VolumeModified")) == 3

        looks = cloud.looks
        await asyncio.sleep(600)
        assert cloud.looks == looks  # a cloud isn't asked about what is settled


async def test_the_volumes_of_pd_are_changed_the_same_way() -> None:
    cloud = SlowCloud()
    async with running(cloud) as system:
        await want(system, PDGroup, PDS, "20Gi", "fast")

        async def annotations() -> dict[str, str]:
            found = await system.user.list(PersistentVolumeClaim)
            (claim,) = (claim for claim in found if claim.metadata.labels["pingcap.com/component"] == "pd")
            return claim.metadata.annotations

        await asyncio.sleep(10)
        assert (await annotations()).get("status.tidb.pingcap.com/revision") is None
        await asyncio.sleep(TAKES + 30)
        assert (await annotations())["status.tidb.pingcap.com/storage-class"] == "fast"
        assert [wish for _, *wish in cloud.begun] == [["20Gi", "fast"]]


async def test_an_operator_that_is_killed_in_the_middle_goes_on_and_asks_for_nothing_twice() -> None:
    cloud = SlowCloud()
    async with running(cloud) as system:
        await want(system, TiKVGroup, GROUP, "20Gi", "fast")
        await until(lambda: len(cloud.begun) == 3, within=60)
        await system.stop_operator(kill=True)
        await asyncio.sleep(TAKES)
        assert capacities(system) == {"10Gi"}
        system.start_operator()
        await until(is_done(system, "1"), within=120)
        assert capacities(system) == {"20Gi"}
        assert len(cloud.begun) == 3


async def test_a_cloud_that_throttles_is_asked_seldom_and_holds_up_nothing_else() -> None:
    cloud = SlowCloud()
    async with running(cloud) as system:
        cloud.trouble = CloudUnavailable("AWS does not answer: RequestLimitExceeded: Request limit exceeded.")
        await want(system, TiKVGroup, GROUP, "20Gi", "fast")
        await asyncio.sleep(20)
        assert synced(system) == {("CloudUnavailable", str(cloud.trouble))}
        assert {event.type for event in await events(system, "CloudUnavailable")} == {"Warning"}

        victim = system.world.pods(GROUP)[0]
        await system.user.delete(Pod, victim.key, grace_period=0)
        await asyncio.sleep(20)
        back = system.world.pod(victim.key)
        assert back is not None
        assert back.metadata.uid != victim.metadata.uid

        await asyncio.sleep(600)
        assert cloud.looks <= 3 * (640 / DEMO_SETTINGS.cloud_retry + 1)
        cloud.trouble = None
        await until(is_done(system, "1"), within=200)
        assert capacities(system) == {"20Gi"}


async def test_what_a_cloud_refuses_is_told_and_can_be_corrected_without_a_wait() -> None:
    cloud = SlowCloud()
    async with running(cloud) as system:
        cloud.refuses = "odd"
        await want(system, TiKVGroup, GROUP, "10Gi", "odd")
        await asyncio.sleep(20)
        assert synced(system) == {("VolumeModificationRefused", "the cloud refuses: odd is not for you")}
        assert len(await events(system, "VolumeModificationRefused")) == 3
        assert cloud.begun == []

        await want(system, TiKVGroup, GROUP, "10Gi", "fast")
        assert await until(is_done(system, "2"), within=120) < TAKES + 30
        assert {storage_class for _, _, storage_class in cloud.begun} == {"fast"}


async def test_within_the_wait_window_a_cloud_is_left_alone_and_the_time_is_told() -> None:
    cloud = SlowCloud()
    async with running(cloud) as system:
        await want(system, TiKVGroup, GROUP, "20Gi", "fast")
        await until(is_done(system, "1"), within=120)
        looks = cloud.looks
        await want(system, TiKVGroup, GROUP, "30Gi", "fast")
        await asyncio.sleep(WAIT - 300)
        assert {reason for reason, _ in synced(system)} == {"VolumeModificationPending"}
        assert (cloud.looks, capacities(system)) == (looks, {"20Gi"})
        await until(is_done(system, "2"), within=600)
        assert capacities(system) == {"30Gi"}


async def test_a_volume_never_shrinks_whatever_is_wanted() -> None:
    cloud = SlowCloud()
    async with running(cloud) as system:
        await want(system, TiKVGroup, GROUP, "20Gi", "fast")
        await until(is_done(system, "1"), within=120)
        await want(system, TiKVGroup, GROUP, "10Gi", "fast")
        await asyncio.sleep(WAIT)
        assert {reason for reason, _ in synced(system)} == {"VolumeShrinkRefused"}
        assert capacities(system) == {"20Gi"}
        assert len(cloud.begun) == 3


async def test_the_role_for_volumes_is_what_that_needs() -> None:
    role = yaml.safe_load((CONFIG / "volumes" / "role.yaml").read_text())
    allowed = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    cloud = SlowCloud()
    async with running(cloud) as system:
        await want(system, TiKVGroup, GROUP, "20Gi", "fast")
        await until(is_done(system, "1"), within=120)
        asked = {
            (method, "/".join(part for part in path.split("/") if part)) for method, path in system.traffic.requests
        }
    of_volumes = {
        ("storage.k8s.io" if path.startswith("apis/storage.k8s.io/v1") else "", path.split("/")[-2], method)
        for method, path in asked
        if "persistentvolumes/" in path or "storageclasses" in path
    }
    assert of_volumes == {(group, resource, "GET") for group, resource, _ in allowed}
    assert {verb for *_, verb in allowed} == {"get"}
    assert not any("persistentvolumes" in path or "storageclasses" in path for path in system.traffic.watched)
