"""The cache over HTTPS, on a network that cuts connections and a server that forgets its history."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from controller_runtime.api.k8s import ConfigMap
from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache import Cache, CacheEvent, Informer
from controller_runtime.client import (
    CachedClient,
    HttpTransport,
    LiveClient,
    NotFound,
    TransportError,
    load_config,
    merge_patch,
)
from controller_runtime.clock import SystemClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.flaky_proxy import FlakyProxy
from helpers.informer_world import Log


@dataclass
class Site:
    cluster: EmbeddedCluster
    proxy: FlakyProxy
    admin: LiveClient
    cache: Cache
    informer: Informer
    client: CachedClient


@asynccontextmanager
async def site(tmp_path: Path, *, history: int = 10_000, objects: int = 0) -> AsyncIterator[Site]:
    """A cluster, somebody who works on it directly, and a cache that reaches it through a proxy."""
    async with EmbeddedCluster(http=True, history=history) as cluster:
        target = urlsplit(cluster.url).port
        assert target is not None
        async with FlakyProxy(target) as proxy:
            path = tmp_path / "kubeconfig"
            path.write_text(cluster.kubeconfig().replace(f":{target}", f":{proxy.port}"))
            transport = HttpTransport(await load_config(str(path)))
            admin = LiveClient(cluster.transport, field_manager="admin")
            for number in range(objects):
                await admin.create(config_map(f"o{number:04}", "0"))
            cache = Cache(transport, clock=SystemClock(), log=Log())
            informer = cache.declare(ConfigMap, namespace="default")
            client = CachedClient(LiveClient(transport, field_manager="tester"), cache)
            running = asyncio.create_task(cache.run())
            try:
                yield Site(cluster, proxy, admin, cache, informer, client)
            finally:
                running.cancel()
                await asyncio.wait([running])
                await transport.close()


def config_map(name: str, value: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data={"value": value})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def versions(informer: Informer) -> dict[str, str]:
    return {entry.key.name: entry.meta.resource_version for entry in informer.store}


async def test_thousands_of_objects_come_as_one_stream(tmp_path: Path) -> None:
    async with site(tmp_path, objects=2000) as place:
        await place.cache.wait_synced(timeout=20)
        assert len(place.cache.list(ConfigMap)) == 2000
        assert (place.informer.statistics.lists, place.informer.statistics.watches) == (1, 1)


async def test_a_cut_connection_is_resumed_where_it_was(tmp_path: Path) -> None:
    async with site(tmp_path, objects=10) as place:
        await place.cache.wait_synced(timeout=20)
        for number in range(3):
            place.proxy.cut()
            await place.admin.create(config_map(f"new{number}", "1"))
            await until(lambda name=f"new{number}": name in versions(place.informer))  # type: ignore[misc]
        assert place.informer.statistics.lists == 1
        assert place.informer.health() is None


async def test_what_happened_in_a_gap_that_the_server_forgot_is_found_by_reading_again(tmp_path: Path) -> None:
    async with site(tmp_path, history=5, objects=10) as place:
        await place.cache.wait_synced(timeout=20)
        heard: list[str] = []
        registration = place.informer.add_handler(
            lambda event: heard.append(f"{event.type} {event.key.name} {event.final_state_unknown}")
        )
        heard.clear()
        place.proxy.cut()
        await place.admin.delete(ConfigMap, ObjectKey("default", "o0003"))
        for number in range(20):
            await place.admin.patch(
                ConfigMap, ObjectKey("default", "o0005"), merge_patch({"data": {"value": str(number)}})
            )
        await until(lambda: len(heard) >= 2)
        assert heard == ["deleted o0003 True", "updated o0005 False"]
        registration.remove()


async def test_what_a_delete_has_ended_is_deleted_once_however_late_the_watch_is(tmp_path: Path) -> None:
    async with site(tmp_path, objects=20) as place:
        await place.cache.wait_synced(timeout=20)
        heard: list[str] = []
        registration = place.informer.add_handler(lambda event: heard.append(f"{event.type} {event.key.name}"))
        heard.clear()
        for number in range(20):
            key = ObjectKey("default", f"o{number:04}")
            await place.admin.patch(ConfigMap, key, merge_patch({"data": {"value": "late news"}}))
            await place.client.delete(ConfigMap, key)
            assert await place.client.find(ConfigMap, key) is None
            if number % 5 == 0:
                place.proxy.cut()
        await place.admin.create(config_map("last", "1"))
        await until(lambda: "last" in versions(place.informer))
        ended = [told for told in heard if told.startswith("deleted")]
        assert sorted(ended) == [f"deleted o{number:04}" for number in range(20)]
        assert [found.metadata.name for found in place.cache.list(ConfigMap)] == ["last"]
        registration.remove()


async def test_under_fire_the_cache_ends_up_as_the_server_is_and_no_handler_is_misled(tmp_path: Path) -> None:
    """Writers on both sides, cuts, and a history of 30 changes: a short soak with every kind of trouble."""
    chance = random.Random(20_260_101)  # the same story each time
    async with site(tmp_path, history=30, objects=50) as place:
        await place.cache.wait_synced(timeout=20)
        mirror: dict[ObjectKey, str] = {}

        def follow(event: CacheEvent) -> None:
            """Be a handler that knows only what it is told."""
            if event.new is None:
                del mirror[event.key]
                return
            assert (event.key in mirror) == (event.type == "updated")
            if event.old is not None and event.old.meta.uid == event.new.meta.uid:
                assert int(event.new.meta.resource_version) > int(mirror[event.key])
            mirror[event.key] = event.new.meta.resource_version

        place.informer.add_handler(follow)
        for step in range(1500):
            key = ObjectKey("default", f"o{chance.randrange(80):04}")
            writer = place.client if chance.random() < 0.3 else place.admin
            if step % 200 == 100:
                place.proxy.cut()
            try:
                if chance.random() < 0.2:
                    await place.admin.delete(ConfigMap, key)
                else:
                    written = await writer.apply(config_map(key.name, str(step)))
                    if writer is place.client:
                        seen = await place.client.find(ConfigMap, key)
                        assert seen is not None, "a read after the write does not see it"
                        assert int(seen.metadata.resource_version) >= int(written.metadata.resource_version)
            except (NotFound, TransportError):  # nothing to delete; or cut off in the middle of a write
                continue
            await asyncio.sleep(0)
        truth = {obj.metadata.name: obj.metadata.resource_version for obj in await place.admin.list(ConfigMap)}
        await until(lambda: versions(place.informer) == truth)
        assert {key.name: version for key, version in mirror.items()} == truth
        assert place.informer.statistics.handler_errors == 0
        assert place.informer.statistics.lists > 1, "the server has not forgotten anything: the test tests nothing"
        assert place.proxy.cuts > 5
