"""A kind whose CRD comes late, goes and comes back, on the embedded API server."""

from __future__ import annotations

import asyncio

from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.api.k8s import CustomResourceDefinition
from controller_runtime.api.meta import Model, Object, ObjectMeta
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.schema import CustomResource
from controller_runtime.cache import Cache
from controller_runtime.client import LiveClient
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.informer_world import Log, Seen


class LateSpec(Model):
    size: int


class Late(Object):
    resource = Resource(group="example.com", version="v1", kind="Late", plural="lates")
    definition = CustomResource()
    spec: LateSpec


def late(name: str) -> Late:
    return Late(metadata=ObjectMeta(name=name, namespace="default"), spec=LateSpec(size=1))


async def test_a_kind_is_found_when_it_appears_and_its_end_is_seen() -> None:
    definition = custom_resource_definition(Late)
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        client = LiveClient(cluster.transport, field_manager="test")
        cache = Cache(cluster.transport, clock=LoopClock(), log=Log())
        informer = cache.declare(Late)
        seen = Seen()
        informer.add_handler(lambda event: seen.append(f"{event.type} {event.key.name}"))
        task = asyncio.create_task(cache.run())

        await asyncio.sleep(120)
        assert "NotFound" in str(cache.health())
        assert not informer.synced

        cluster.install(definition)
        await cache.wait_synced(timeout=60)
        await client.create(late("a"))
        await asyncio.sleep(1)
        assert cache.health() is None
        assert seen.take() == ["added a"]

        await client.delete(CustomResourceDefinition, ObjectKey("", "lates.example.com"))
        await asyncio.sleep(120)
        assert seen.take() == ["deleted a"]
        assert cache.list(Late) == []
        assert "NotFound" in str(cache.health())

        cluster.install(definition)
        await asyncio.sleep(120)
        await client.create(late("b"))
        await asyncio.sleep(1)
        assert cache.health() is None
        assert seen.take() == ["added b"]

        task.cancel()
        await asyncio.wait([task])
