"""The controller as it is wired: with a real manager, API server, simulated kubelet and PD, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controller_runtime import Manager
from controller_runtime.api import ObjectKey, encode
from controller_runtime.api.k8s import ConfigMap, Event, PersistentVolumeClaim, Pod
from controller_runtime.cache import CacheEvent, Entry
from controller_runtime.cache.meta import EntryDecoder
from controller_runtime.client import Request, Response, merge_patch
from helpers.tikv_fakes import make_cluster, summary
from helpers.whole_system import System, whole_system
from tikv_operator.api import (
    Cluster,
    ClusterStatus,
    SuspendAction,
    TiKV,
    TiKVGroup,
)
from tikv_operator.app import FIELD_MANAGER, PDAccess, assemble
from tikv_operator.common import names
from tikv_operator.common.instances import is_group_healthy_and_up_to_date
from tikv_operator.common.settings import Settings
from tikv_operator.demo.manifests import load
from tikv_operator.demo.stage import sample_folder
from tikv_operator.tikv.controller import cluster_changed


class TestWhichChangesOfAClusterMatter:
    @pytest.mark.parametrize(
        ("part", "after", "matters"),
        [
            pytest.param("status", {"pd": "http://other:2379"}, True, id="status.pd"),
            pytest.param("status", {"id": "1"}, True, id="status.id"),
            pytest.param("spec", {"suspend_action": SuspendAction(suspend_compute=True)}, True, id="suspendAction"),
            pytest.param("spec", {"paused": True}, True, id="paused"),
            pytest.param("spec", {"upgrade_policy": "NoConstraints"}, True, id="any other part of the spec"),
            pytest.param("metadata", {"deletion_timestamp": "2026-01-01T00:00:00Z"}, True, id="its deletion"),
            pytest.param("metadata", {"labels": {"a": "b"}}, False, id="its labels"),
            pytest.param("status", {"observed_generation": 7, "conditions": []}, False, id="counts and conditions"),
        ],
    )
    def test_a_change(self, part: str, after: dict[str, Any], matters: bool) -> None:
        before, cluster = make_cluster(), make_cluster()
        for name, value in after.items():
            setattr(getattr(cluster, part), name, value)
        cluster.metadata.generation += part == "spec"  # as the API server does
        assert cluster_changed(event(before, cluster)) is matters

    def test_its_coming_and_going(self) -> None:
        assert cluster_changed(event(None, make_cluster()))
        assert cluster_changed(event(make_cluster(), None))

    def test_a_cluster_without_a_status_has_neither_pd_nor_id(self) -> None:
        unborn = make_cluster()
        unborn.status = None
        assert cluster_changed(event(unborn, make_cluster()))
        empty = make_cluster()
        empty.status = ClusterStatus()
        assert not cluster_changed(event(unborn, empty))


def event(old: Cluster | None, new: Cluster | None) -> CacheEvent:
    kind = "added" if old is None else "deleted" if new is None else "updated"
    return CacheEvent(type=kind, key=make_cluster().key, old=entry(old), new=entry(new))


def entry(cluster: Cluster | None) -> Entry | None:
    return None if cluster is None else EntryDecoder(Cluster.resource).entry(encode(cluster))


class Counting:
    """A transport that counts requests by method and by where they go (`PATCH pods`, `GET pd`)."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.counts: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def request(self, request: Request) -> Response:
        parts = request.path.split("/namespaces/")[-1].split("/")
        place = "pd" if "proxy" in parts else parts[1] if len(parts) > 1 else parts[0]
        self.counts[f"{request.method} {place}"] += 1
        response: Response = await self._inner.request(request)
        return response


class Sample:
    """The basic sample (a group of three TiKVs) on a whole system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.user = system.user

    async def create(self) -> None:
        for manifest in load((sample_folder(),)):
            await self.user.apply(manifest)
        await self.until_settled()

    async def group(self) -> TiKVGroup:
        return (await self.user.list(TiKVGroup))[0]

    async def tikvs(self) -> list[TiKV]:
        return await self.user.list(TiKV)

    async def change_group(self, **spec: Any) -> None:
        await self.user.patch(TiKVGroup, (await self.group()).key, merge_patch({"spec": spec}))

    async def change_cluster(self, **spec: Any) -> None:
        cluster = (await self.user.list(Cluster))[0]
        await self.user.patch(Cluster, cluster.key, merge_patch({"spec": spec}))

    async def until_settled(self) -> None:
        async def settled() -> bool:
            found = await self.user.list(TiKVGroup)
            return bool(found) and is_group_healthy_and_up_to_date(found[0])

        await until(settled)


async def until(condition: Callable[[], Awaitable[bool]], *, timeout: float = 1800.0) -> None:
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.5)


@asynccontextmanager
async def sample(**settings: Any) -> AsyncIterator[Sample]:
    async with whole_system(Settings(**settings)) as system:
        found = Sample(system)
        await found.create()
        yield found


async def events_of(user: Any, reason: str) -> list[Event]:
    return [found for found in await user.list(Event) if found.reason == reason]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        pytest.param(Pod, {"metadata": {"annotations": {"prometheus.io/path": "/mine"}}}, id="Pod"),
        pytest.param(ConfigMap, {"data": {"config.toml": "mine"}}, id="ConfigMap"),
        pytest.param(
            PersistentVolumeClaim,
            {"metadata": {"labels": {"app.kubernetes.io/name": "mine"}}},
            id="PersistentVolumeClaim",
        ),
    ],
)
async def test_what_a_tikv_owns_is_put_right_at_once(kind: type[Any], change: dict[str, Any]) -> None:
    async with sample() as found:
        tikv = (await found.tikvs())[0]
        name = names.pod_name(tikv.metadata.name, "tikv")
        key = ObjectKey(tikv.metadata.namespace, f"data-{name}" if kind is PersistentVolumeClaim else name)
        before = mine(await found.user.get(kind, key))
        changed = mine(await found.user.patch(kind, key, merge_patch(change)))
        assert changed != before
        await asyncio.sleep(1)
        assert mine(await found.user.get(kind, key)) == before


def mine(obj: Any) -> tuple[Any, ...]:
    """Return what the operator says in an object, beside its spec."""
    return obj.metadata.labels, obj.metadata.annotations, getattr(obj, "data", None)


class TestOnAWholeSystem:
    async def test_a_settled_group_costs_no_write_and_no_request_to_pd_but_the_polls(self) -> None:
        async with whole_system(Settings()) as system:
            await system.stop_operator()
            transport = Counting(system.cluster.transport)
            manager = Manager(transport, field_manager=FIELD_MANAGER, clock=system.clock, log=system.log)
            assemble(manager, system.settings, PDAccess.PROXY)
            task = asyncio.create_task(manager.run())
            found = Sample(system)
            await found.create()
            await asyncio.sleep(60)
            transport.counts.clear()
            await asyncio.sleep(3600)
            polls, others = transport.counts.pop("GET pd"), dict(transport.counts)
            task.cancel()
            await asyncio.wait({task})
        assert polls <= 3600 / Settings().pd_poll * 5, "stores, evictions, configuration, members and their health"
        assert others == {}

    async def test_a_new_operator_takes_over_without_changing_anything(self) -> None:
        async with sample() as found:
            before = {pod.metadata.name: pod.metadata.uid for pod in await found.user.list(Pod)}
            versions = {tikv.metadata.name: tikv.metadata.resource_version for tikv in await found.tikvs()}
            await found.system.stop_operator(kill=True)
            found.system.start_operator()
            await asyncio.sleep(120)
            assert {pod.metadata.name: pod.metadata.uid for pod in await found.user.list(Pod)} == before
            assert {tikv.metadata.name: tikv.metadata.resource_version for tikv in await found.tikvs()} == versions

    async def test_a_configuration_that_is_no_toml_is_said_where_kubectl_describe_looks(self) -> None:
        async with sample() as found:
            configs = {obj.metadata.name: obj.data for obj in await found.user.list(ConfigMap)}
            pods = {pod.metadata.name: pod.metadata.uid for pod in await found.user.list(Pod)}
            await found.change_group(template={"spec": {"config": "this is no TOML"}})
            await asyncio.sleep(60)
            said = [tikv for tikv in await found.tikvs() if summary(tikv).get("Synced") == "False/ConfigInvalid"]
            assert len(said) == 1
            assert await events_of(found.user, "ConfigInvalid")
            assert {obj.metadata.name: obj.data for obj in await found.user.list(ConfigMap)} == configs
            assert {pod.metadata.name: pod.metadata.uid for pod in await found.user.list(Pod)} == pods
            await found.change_group(template={"spec": {"config": 'log.level = "warn"\n'}})
            await found.until_settled()
            assert {summary(tikv)["Synced"] for tikv in await found.tikvs()} == {"True/Synced"}

    async def test_metadata_that_users_add_restarts_nothing(self) -> None:
        async with sample() as found:
            pods = {pod.metadata.name: pod.metadata.uid for pod in await found.user.list(Pod)}
            for tikv in await found.tikvs():
                annotations = {"annotations": {"core.pingcap.com/priority": "0"}, "labels": {"cost": "7"}}
                await found.user.patch(TiKV, tikv.key, merge_patch({"metadata": annotations}))
            await asyncio.sleep(300)
            assert {pod.metadata.name: pod.metadata.uid for pod in await found.user.list(Pod)} == pods

    async def test_suspending_takes_the_pods_and_resuming_brings_them_back(self) -> None:
        async with sample() as found:
            await found.change_cluster(suspendAction={"suspendCompute": True})

            async def suspended() -> bool:
                return all(summary(tikv)["Suspended"] == "True/Suspended" for tikv in await found.tikvs())

            await until(suspended)
            assert not [pod for pod in await found.user.list(Pod) if "-tikv-" in pod.metadata.name]
            assert {tikv.spec.offline for tikv in await found.tikvs()} <= {None, False}
            await found.change_cluster(suspendAction=None)
            await found.until_settled()

    async def test_a_scale_in_without_pd_waits_says_so_and_goes_on_when_pd_is_back(self) -> None:
        async with sample() as found:
            await found.change_group(replicas=5)
            await found.until_settled()
            cluster = (await found.user.list(Cluster))[0].key
            found.system.simulation.silence_pd(cluster, 600)
            await asyncio.sleep(120)
            await found.change_group(replicas=3)
            await asyncio.sleep(300)
            assert len(await found.tikvs()) == 5
            assert "False/WaitingForPD" in {summary(tikv)["Synced"] for tikv in await found.tikvs()}

            async def three() -> bool:
                return len(await found.tikvs()) == 3

            await until(three)
            await found.until_settled()

    async def test_pd_refuses_to_go_below_its_replicas_which_is_said_and_can_be_taken_back(self) -> None:
        async with sample() as found:
            await found.change_group(replicas=2)

            async def refused() -> bool:
                return "False/StoreRemovalRefused" in {summary(tikv)["Synced"] for tikv in await found.tikvs()}

            await until(refused)
            await found.change_group(replicas=3)
            await found.until_settled()
            assert {summary(tikv)["Synced"] for tikv in await found.tikvs()} == {"True/Synced"}
            assert len(await found.tikvs()) == 3
