"""What TiDB Operator's end-to-end tests expect of a single store, on a whole system in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Node, PersistentVolumeClaim, Pod
from controller_runtime.client import merge_patch
from helpers.tikv_fakes import condition, summary
from helpers.whole_system import System, whole_system
from tikv_operator.api import Cluster, PDGroup, TiKV, TiKVGroup
from tikv_operator.common.instances import is_group_healthy_and_up_to_date
from tikv_operator.common.settings import Settings
from tikv_operator.demo.manifests import load
from tikv_operator.demo.stage import sample_folder
from tikv_operator.simulation import SimulationSettings

SLOW = SimulationSettings(regions=30, region_rate=0.5)


class Basic:
    """The basic sample, with a group of `replicas` TiKVs."""

    def __init__(self, system: System) -> None:
        self.system, self.user = system, system.user

    async def group(self, **spec: Any) -> None:
        found = (await self.user.list(TiKVGroup))[0]
        await self.user.patch(TiKVGroup, found.key, merge_patch({"spec": spec}))

    async def template(self, **spec: Any) -> None:
        await self.group(template={"spec": spec})

    async def settled(self) -> None:
        async with asyncio.timeout(1800):
            await asyncio.sleep(1)
            while not [found for found in await self.user.list(TiKVGroup) if is_group_healthy_and_up_to_date(found)]:
                await asyncio.sleep(0.5)

    async def pods(self) -> dict[str, str]:
        return {
            pod.metadata.name: pod.metadata.uid
            for pod in await self.user.list(Pod)
            if pod.metadata.labels["pingcap.com/component"] == "tikv"
        }

    def stores(self) -> list[Any]:
        return self.system.simulation.stores(self.system.simulation.clusters()[0])

    def labels(self) -> list[dict[str, str]]:
        return [dict(store.labels) for store in self.stores()]

    async def leaving(self) -> TiKV:
        """Wait until PD removes the store of some TiKV; return that, after checking that its leaders had gone before."""
        async with asyncio.timeout(600):
            while True:
                for tikv in await self.user.list(TiKV):
                    if tikv.status is not None and tikv.status.state == "Removing":
                        assert summary(tikv)["LeadersEvicted"] == "True/Evicted"
                        return tikv
                await asyncio.sleep(0.5)


@asynccontextmanager
async def basic(replicas: int = 3, simulation: SimulationSettings | None = None) -> AsyncIterator[Basic]:
    async with whole_system(Settings(), simulation) as system:
        for manifest in load((sample_folder(),)):
            if manifest["kind"] == "TiKVGroup":
                manifest["spec"]["replicas"] = replicas
            await system.user.apply(manifest)
        found = Basic(system)
        await found.settled()
        yield found


async def test_exclusive_changes_labels_of_stores_and_no_pod() -> None:
    async with basic() as found:
        pods = await found.pods()
        await found.template(placement={"exclusive": True})
        await found.settled()
        assert {labels.get("$k/exclusive") for labels in found.labels()} == {"true"}
        await found.template(placement={"exclusive": False})
        await found.settled()
        assert {labels.get("$k/exclusive") for labels in found.labels()} == {None}
        assert await found.pods() == pods


async def test_a_pod_that_is_lost_while_its_store_is_removed_is_made_again_and_all_of_it_goes_in_the_end() -> None:
    async with basic(4, SLOW) as found:
        await found.group(replicas=3)
        tikv = await found.leaving()
        (name,) = [name for name in await found.pods() if name.endswith(tikv.metadata.name.rpartition("-")[2])]
        key = ObjectKey(tikv.metadata.namespace, name)
        lost = (await found.user.get(Pod, key)).metadata.uid
        await found.user.delete(Pod, key, grace_period=0)
        async with asyncio.timeout(120):
            while (await found.pods()).get(name) in (None, lost):
                await asyncio.sleep(0.5)
        assert [store.node_state for store in found.stores()].count("Removing") == 1
        async with asyncio.timeout(3600):
            while tikv.metadata.name in {left.metadata.name for left in await found.user.list(TiKV)}:
                await asyncio.sleep(1)
        assert name not in await found.pods()
        claims = {claim.metadata.name for claim in await found.user.list(PersistentVolumeClaim)}
        assert f"data-{name}" not in claims


async def test_suspending_keeps_the_volumes_and_says_under_which_cluster() -> None:
    async with basic() as found:
        before = {claim.metadata.name: claim.metadata.uid for claim in await found.user.list(PersistentVolumeClaim)}
        cluster = (await found.user.list(Cluster))[0]
        await found.user.patch(Cluster, cluster.key, merge_patch({"spec": {"suspendAction": {"suspendCompute": True}}}))
        async with asyncio.timeout(600):
            while {summary(tikv).get("Suspended") for tikv in await found.user.list(TiKV)} != {"True/Suspended"}:
                await asyncio.sleep(1)
        assert await found.pods() == {}
        generation = (await found.user.list(Cluster))[0].metadata.generation
        for tikv in await found.user.list(TiKV):
            assert tikv.status is not None
            assert tikv.status.observed_generation == tikv.metadata.generation
            assert tikv.status.observed_cluster_generation == generation
        await found.user.patch(Cluster, cluster.key, merge_patch({"spec": {"suspendAction": None}}))
        await found.settled()
        assert len(await found.pods()) == 3
        after = {claim.metadata.name: claim.metadata.uid for claim in await found.user.list(PersistentVolumeClaim)}
        assert after == before


async def test_volumes_grow_and_no_pod_is_made_again() -> None:
    async with basic() as found:
        pods = await found.pods()
        await found.template(volumes=[{"name": "data", "mounts": [{"type": "data"}], "storage": "20Gi"}])
        await found.settled()
        claims = [claim for claim in await found.user.list(PersistentVolumeClaim) if "-tikv-" in claim.metadata.name]
        sizes = {
            claim.spec.resources.requests["storage"]
            for claim in claims
            if claim.spec is not None and claim.spec.resources is not None and claim.spec.resources.requests
        }
        assert sizes == {"20Gi"}
        assert await found.pods() == pods


async def test_another_configuration_makes_every_pod_again_one_at_a_time() -> None:
    async with basic() as found:
        before, fewest = await found.pods(), 3
        await found.template(config='log.level = "warn"\n')
        async with asyncio.timeout(1800):
            while set((await found.pods()).values()) & set(before.values()) or len(await found.pods()) < 3:
                ready = sum(summary(tikv).get("Ready") == "True/Ready" for tikv in await found.user.list(TiKV))
                fewest = min(fewest, ready)
                await asyncio.sleep(0.5)
        assert fewest == 2
        assert (await found.pods()).keys() == before.keys()


async def test_what_was_said_of_readiness_stays_while_pd_says_nothing() -> None:
    async with basic() as found:
        before = {tikv.metadata.name: condition(tikv, "Ready") for tikv in await found.user.list(TiKV)}
        found.system.simulation.silence_pd(found.system.simulation.clusters()[0], 600)
        await asyncio.sleep(120)
        await found.template(placement={"exclusive": True})
        await asyncio.sleep(120)
        tikvs = await found.user.list(TiKV)
        assert {tikv.metadata.name: condition(tikv, "Ready") for tikv in tikvs} == before
        assert max(tikv.metadata.generation for tikv in tikvs) > 1, "it is of an older generation by now"


@pytest.mark.parametrize(
    ("location", "label"),
    [
        ("region", "topology.kubernetes.io/region"),
        ("zone", "topology.kubernetes.io/zone"),
        ("host", "kubernetes.io/hostname"),
    ],
)
async def test_a_location_of_a_store_is_that_of_its_node(location: str, label: str) -> None:
    async with basic() as found:
        for node in await found.user.list(Node):
            if label not in node.metadata.labels:
                value = merge_patch({"metadata": {"labels": {label: f"{location}-of-{node.metadata.name}"}}})
                await found.user.patch(Node, node.key, value)
        group = (await found.user.list(PDGroup))[0]
        config = f'[replication]\nlocation-labels = ["{location}"]\n'
        await found.user.patch(PDGroup, group.key, merge_patch({"spec": {"template": {"spec": {"config": config}}}}))
        await asyncio.sleep(180)
        nodes = {node.metadata.name: node.metadata.labels[label] for node in await found.user.list(Node)}
        expected = {
            pod.metadata.name: nodes[pod.spec.node_name or ""]
            for pod in await found.user.list(Pod)
            if "-tikv-" in pod.metadata.name and pod.spec is not None
        }
        said = {store.address.split(".")[0]: dict(store.labels).get(location) for store in found.stores()}
        assert said == expected
