"""Which objects belong to which Cluster, as the cache sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from controller_runtime.api import ObjectKey
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.api.k8s import Namespace, Service
from controller_runtime.cache import Cache, CacheEvent
from controller_runtime.client import LiveClient
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.group_fakes import FakeCluster, quiet_log
from helpers.group_world import make_cluster, make_group, make_pd_group
from tikv_operator.api import KINDS, Cluster, PDGroup, TiKV, TiKVGroup
from tikv_operator.common.membership import cluster_key, declare, groups_of, member_keys, members

TC = ObjectKey("ns1", "tc")


@asynccontextmanager
async def cached() -> AsyncIterator[tuple[Cache, LiveClient]]:
    crds = [custom_resource_definition(kind) for kind in KINDS]
    async with EmbeddedCluster(clock=LoopClock(), crds=crds) as server:
        client = LiveClient(server.transport, field_manager="user")
        namespace = Namespace()
        namespace.metadata.name = "ns1"
        await client.create(namespace)
        cache = Cache(server.transport, clock=LoopClock(), log=quiet_log())
        running = asyncio.create_task(cache.run())
        try:
            yield cache, client
        finally:
            running.cancel()
            await asyncio.wait({running})


async def create(client: LiveClient, *objects: Cluster | TiKVGroup | PDGroup) -> None:
    for obj in objects:
        obj.metadata.uid, obj.metadata.generation = "", 0
        await client.create(obj)


async def test_groups_are_found_by_the_cluster_they_name() -> None:
    async with cached() as (cache, client):
        declare(cache, TiKVGroup)
        await create(client, make_group("a"), make_group("b"), make_group("c", cluster={"name": "other"}))
        await asyncio.sleep(1)
        assert member_keys(cache, TiKVGroup, TC) == [ObjectKey("ns1", "a"), ObjectKey("ns1", "b")]
        assert member_keys(cache, TiKVGroup, ObjectKey("ns2", "tc")) == []


async def test_an_event_of_a_group_concerns_its_cluster_also_when_the_group_is_gone() -> None:
    async with cached() as (cache, client):
        declare(cache, TiKVGroup)
        heard: list[tuple[str, list[ObjectKey]]] = []

        def handler(event: CacheEvent) -> None:
            heard.append((event.type, list(cluster_key(event))))

        cache.informer(TiKVGroup).add_handler(handler)
        await cache.wait_synced(timeout=5)
        await create(client, make_group("a"))
        await client.delete(TiKVGroup, ObjectKey("ns1", "a"))
        await asyncio.sleep(1)
        assert heard == [("added", [TC]), ("deleted", [TC])]


async def test_an_event_of_a_cluster_concerns_its_members() -> None:
    async with cached() as (cache, client):
        declare(cache, Cluster, TiKVGroup)
        await create(client, make_group("a"))
        await asyncio.sleep(1)
        heard: list[list[ObjectKey]] = []
        mapped = members(cache, TiKVGroup)
        cache.informer(Cluster).add_handler(lambda event: heard.append(list(mapped(event))))
        await create(client, make_cluster())
        await asyncio.sleep(1)
        assert heard == [[ObjectKey("ns1", "a")]]


async def test_before_the_members_are_known_there_are_none() -> None:
    async with EmbeddedCluster(clock=LoopClock()) as server:
        cache = Cache(server.transport, clock=LoopClock(), log=quiet_log())
        declare(cache, TiKVGroup)
        assert member_keys(cache, TiKVGroup, TC) == []


async def test_all_controllers_declare_a_kind_alike() -> None:
    async with EmbeddedCluster(clock=LoopClock()) as server:
        cache = Cache(server.transport, clock=LoopClock(), log=quiet_log())
        declare(cache, Cluster, TiKVGroup, TiKV, Service)
        declare(cache, Service, TiKV, PDGroup)
        with pytest.raises(ValueError, match="services"):
            cache.declare(Service, namespace="ns1")


async def test_the_groups_of_a_cluster_come_kind_by_kind() -> None:
    world = FakeCluster()
    world.add(make_group("b"), make_group("a"), make_pd_group("z"), make_group("c", cluster={"name": "other"}))
    found = await groups_of(world.client, make_cluster())
    assert [f"{group.kind}/{group.metadata.name}" for group in found] == ["PDGroup/z", "TiKVGroup/a", "TiKVGroup/b"]
