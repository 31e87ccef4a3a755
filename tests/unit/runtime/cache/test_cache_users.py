"""Who keeps an informer going, and what each of its handlers asked for: leases, resyncs and turns, in virtual time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api.k8s import ConfigMap, Pod, Secret, Service
from controller_runtime.cache import Cache
from controller_runtime.client.errors import NotCached, TransportError
from controller_runtime.clock import LoopClock
from helpers.informer_world import Log, Seen, running, settle
from helpers.scripted_api import Reply, ScriptedApi, WatchReply, bookmark, config_map, event, listed, status


def full(*objects: dict[str, Any], version: int = 10) -> WatchReply:
    return WatchReply(*(event("ADDED", obj) for obj in objects), bookmark(version, end=True))


class Place:
    """A cache in which nobody has declared anything yet."""

    def __init__(self, *answers: Reply | WatchReply | TransportError, **options: Any) -> None:
        self.api = ScriptedApi(*answers)
        self.registry = CollectorRegistry()
        self.cache = Cache(self.api, clock=LoopClock(), log=Log(), registry=self.registry, **options)

    def tracked(self) -> bool:
        return self.registry.get_sample_value("informer_synced", {"resource": "configmaps/v1"}) is not None


@asynccontextmanager
async def empty(*answers: Reply | WatchReply | TransportError, **options: Any) -> AsyncIterator[Place]:
    place = Place(*answers, **options)
    task = asyncio.create_task(place.cache.run())
    await settle()
    try:
        yield place
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert place.api.open_streams == 0


# Users


async def test_an_informer_stops_with_its_last_lease() -> None:
    async with empty(stream := full(config_map("a", 3))) as place:
        with place.cache.use(ConfigMap) as informer:
            with place.cache.use(ConfigMap.resource) as same:
                await settle()
                assert same is informer
                assert len(place.cache.list(ConfigMap)) == 1
            await settle()
            assert not stream.closed.is_set()
        await settle()
        assert stream.closed.is_set()
        assert place.api.asked == ["STREAM rv="]
        assert place.cache.informers() == ()
        assert not place.tracked()
        with pytest.raises(NotCached):
            place.cache.list(ConfigMap)


async def test_a_handler_keeps_its_informer_going() -> None:
    async with empty(stream := full(config_map("a", 3))) as place:
        with place.cache.use(ConfigMap) as informer:
            seen = Seen()
            registration = informer.add_handler(seen)
        await settle()
        stream.send(event("MODIFIED", config_map("a", 11)))
        await settle()
        assert seen == ["initial added a@3", "updated a@11"]
        registration.remove()
        registration.remove()
        await settle()
        assert stream.closed.is_set()


async def test_a_handler_may_end_its_informer_from_inside() -> None:
    async with empty(stream := full()) as place:
        with place.cache.use(ConfigMap) as informer:
            registration = informer.add_handler(lambda _: registration.remove())
        await settle()
        stream.send(event("ADDED", config_map("a", 11)))
        await settle()
        assert stream.closed.is_set()


async def test_a_declared_kind_stays_whoever_leaves() -> None:
    async with empty(stream := full()) as place:
        with place.cache.use(ConfigMap) as informer:
            place.cache.declare(ConfigMap)
            place.cache.declare(ConfigMap)
        informer.add_handler(Seen()).remove()
        await settle()
        assert not stream.closed.is_set()
        assert place.cache.informers() == (informer,)


async def test_a_kind_that_is_used_again_is_read_again() -> None:
    async with empty(full(config_map("a", 3)), full(config_map("b", 14), version=20)) as place:
        with place.cache.use(ConfigMap) as first:
            await place.cache.wait_synced(timeout=1)
        with place.cache.use(ConfigMap) as second:
            await place.cache.wait_synced(timeout=1)
            assert second is not first
            assert [found.metadata.name for found in place.cache.list(ConfigMap)] == ["b"]
            assert place.tracked()


async def test_a_stopped_informer_says_so() -> None:
    async with empty(full()) as place:
        with place.cache.use(ConfigMap) as informer:
            pass
        assert informer.health() == "stopped, since nobody used it any more"
        with pytest.raises(RuntimeError, match="ask the cache for it again"):
            informer.add_handler(Seen())


async def test_a_lease_contradicts_a_declaration_like_another_declaration() -> None:
    async with empty(full()) as place:
        place.cache.declare(ConfigMap, namespace="a")
        with (
            pytest.raises(ValueError, match="declared with namespace"),
            place.cache.use(ConfigMap, namespace="b"),
        ):
            pass


async def test_a_lease_taken_before_the_cache_runs_counts_too() -> None:
    place = Place(full())
    with place.cache.use(ConfigMap):
        task = asyncio.create_task(place.cache.run())
        await settle()
        assert place.api.asked == ["STREAM rv="]
    await settle()
    assert place.api.open_streams == 0
    task.cancel()
    await asyncio.wait([task])
    with place.cache.use(ConfigMap):
        pass
    assert place.cache.informers() == ()


# Kinds that come and go


async def test_a_kind_whose_crd_goes_shows_in_health_and_nothing_is_taken_for_deleted() -> None:
    first = full(config_map("a", 3))
    async with running(first) as world:
        world.api.then(*[status(404, "NotFound", "the server could not find the requested resource")] * 20)
        world.seen.clear()
        await asyncio.sleep(60)
        first.end()
        await asyncio.sleep(60)
        assert "could not find the requested resource" in str(world.cache.health())
        assert world.metric("informer_healthy") == 0
        assert world.names() == ["a@3"]
        assert world.seen == []
        assert 4 <= len(world.api.requests) < 20  # it keeps looking, ever less often
        world.api.answers.clear()
        world.api.then(full(config_map("b", 40), version=50))
        await asyncio.sleep(120)
        assert world.cache.health() is None
        assert world.seen == ["unknown deleted a@3", "added b@40"]


async def test_the_objects_of_a_crd_that_is_deleted_are_seen_to_go() -> None:
    first = full(config_map("a", 3))
    async with running(first) as world:
        world.seen.clear()
        world.api.then(*[status(404, "NotFound")] * 20)
        first.send(event("DELETED", config_map("a", 12)))
        first.end()
        await asyncio.sleep(5)
        assert world.seen == ["deleted a@12"]


# Resyncs


async def test_a_handler_that_asked_for_it_hears_everything_again_without_a_request() -> None:
    async with running(stream := full(config_map("a", 3), config_map("b", 4))) as world:
        often, rarely = Seen(), Seen()
        world.informer.add_handler(often, resync=100.0)
        world.informer.add_handler(rarely, resync=1000.0)
        for handler in (world.seen, often, rarely):
            handler.clear()
        for _ in range(5):  # bookmarks keep the watch alive
            await asyncio.sleep(60)
            stream.send(bookmark(20))
        assert often.take()[:2] == ["updated a@3", "updated b@4"]
        assert (world.seen, rarely) == ([], [])
        for _ in range(14):
            await asyncio.sleep(60)
            stream.send(bookmark(30))
        assert rarely.take() == ["updated a@3", "updated b@4"]
        assert 16 <= len(often) <= 20
        assert world.seen == []
        assert world.api.asked == ["STREAM rv="]


async def test_a_resync_tells_of_the_same_state_twice() -> None:
    async with running(full(config_map("a", 3))) as world:
        told = []
        world.informer.add_handler(told.append, resync=10.0)
        await asyncio.sleep(12)
        assert told[1].type == "updated"
        assert told[1].new is told[1].old is world.informer.store.get(told[1].key)
        assert not told[1].initial


async def test_a_long_resync_lets_others_work_and_tells_the_newest_state() -> None:
    async with running(stream := full(*(config_map(f"c{n:03}", n + 1) for n in range(300)), version=400)) as world:
        seen = Seen()

        def slow_start(event: Any) -> None:
            seen(event)
            if event.key.name == "c000" and event.new is event.old:
                stream_events()

        def stream_events() -> None:
            stream.send(event("MODIFIED", config_map("c299", 500)), event("DELETED", config_map("c298", 501)))

        world.informer.add_handler(slow_start, resync=10.0)
        seen.clear()
        await asyncio.sleep(12)
        told = seen.take()
        assert told.index("updated c299@500") < told.index("updated c200@201")
        assert told[-1] == "updated c299@500"
        assert not any(line.startswith("updated c298") for line in told)


async def test_a_resync_ends_with_its_handler() -> None:
    async with running(full(config_map("a", 3))) as world:
        seen = Seen()
        registration = world.informer.add_handler(seen, resync=10.0)
        await asyncio.sleep(12)
        registration.remove()
        seen.clear()
        await asyncio.sleep(50)
        assert seen == []


async def test_nothing_is_told_again_before_everything_was_told_once() -> None:
    async with running(WatchReply()) as world:
        world.informer.accept(b'{"metadata": {"name": "a", "namespace": "ns", "resourceVersion": "5"}}')
        seen = Seen()
        world.informer.add_handler(seen, resync=10.0)
        await asyncio.sleep(50)
        assert seen == ["initial added a@5"]


async def test_a_resync_every_moment_is_refused() -> None:
    async with running(full()) as world:
        with pytest.raises(ValueError, match="too often"):
            world.informer.add_handler(Seen(), resync=0.5)


# Turns


async def test_only_so_many_kinds_are_read_at_the_same_time() -> None:
    first, second, third = WatchReply(), WatchReply(), full(version=3)
    async with empty(first, second, third, concurrent_lists=2) as place:
        for kind in (ConfigMap, Secret, Pod):
            place.cache.declare(kind)
        await settle()
        assert len(place.api.requests) == 2
        first.send(bookmark(5, end=True))
        await settle()
        assert len(place.api.requests) == 3
        assert place.cache.informer(Pod).synced


async def test_who_waits_after_a_failure_lets_others_read() -> None:
    async with empty(status(403, "Forbidden"), status(403, "Forbidden"), full(), concurrent_lists=1) as place:
        place.cache.declare(ConfigMap)
        place.cache.declare(Secret)
        await settle()
        assert place.cache.informer(Secret).synced


async def test_pages_are_one_turn() -> None:
    pages = (status(422, "Invalid"), listed(5, [config_map("a", 1)], token="t"), listed(5), WatchReply(), full())
    async with empty(*pages, concurrent_lists=1) as place:
        place.cache.declare(ConfigMap)
        place.cache.declare(Secret)
        await settle()
        assert [request.path.rpartition("/")[2] for request in place.api.requests] == ["configmaps"] * 4 + ["secrets"]


async def test_who_is_stopped_while_it_reads_or_waits_gives_its_turn_back() -> None:
    async with empty(WatchReply(), full(), concurrent_lists=1) as place:
        with place.cache.use(ConfigMap), place.cache.use(Secret):
            await settle()
            place.cache.declare(Service)
            await settle()
            assert len(place.api.requests) == 1
        await settle()
        assert place.cache.informer(Service).synced


async def test_freezing_is_asked_for_and_waits_for_what_is_declared() -> None:
    frozen = gc.get_freeze_count()
    async with empty(full(config_map("a", 3))) as place:
        place.cache.declare(ConfigMap)
        await place.cache.wait_synced(timeout=5)
        await settle()
        assert gc.get_freeze_count() == frozen
    place = Place(stream := WatchReply(event("ADDED", config_map("a", 3))), freeze=True)
    place.cache.declare(ConfigMap)
    task = asyncio.create_task(place.cache.run())
    try:
        await settle()
        assert gc.get_freeze_count() == frozen
        stream.send(bookmark(5, end=True))
        await settle()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
        task.cancel()
        await asyncio.wait([task])


def test_a_cache_that_could_never_read_is_refused() -> None:
    with pytest.raises(ValueError, match="concurrent_lists=0"):
        Place(concurrent_lists=0)
