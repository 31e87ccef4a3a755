"""Whole conversations between an informer and an API server, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from controller_runtime.api.k8s import ConfigMap
from controller_runtime.cache import Cache, CacheEvent, Informer
from controller_runtime.client.errors import TransportError
from controller_runtime.clock import LoopClock
from helpers.scripted_api import Reply, ScriptedApi, WatchReply, bookmark, config_map, event, listed, status

UNSUPPORTED = status(422, "Invalid", "sendInitialEvents is forbidden")


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **values: Any) -> None:
        self.lines.append(("info", event, values))

    def warning(self, event: str, **values: Any) -> None:
        self.lines.append(("warning", event, values))

    def error(self, event: str, **values: Any) -> None:
        self.lines.append(("error", event, values))


class Seen(list[str]):
    """A handler that writes down what it is told."""

    def __call__(self, event: CacheEvent) -> None:
        marks = ("initial " if event.initial else "") + ("unknown " if event.final_state_unknown else "")
        self.append(f"{marks}{event.type} {event.key.name}@{event.entry.meta.resource_version}")


class World:
    def __init__(self, api: ScriptedApi) -> None:
        self.api = api
        self.log = Log()
        self.cache = Cache(api, clock=LoopClock(), log=self.log)
        self.informer: Informer = self.cache.declare(ConfigMap)
        self.seen = Seen()
        self.informer.add_handler(self.seen)

    def names(self) -> list[str]:
        return [f"{entry.key.name}@{entry.meta.resource_version}" for entry in self.informer.store.entries()]


@asynccontextmanager
async def running(*answers: Reply | WatchReply | TransportError) -> AsyncIterator[World]:
    world = World(ScriptedApi(*answers))
    task = asyncio.create_task(world.cache.run())
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert world.api.open_streams == 0


async def settle() -> None:
    await asyncio.sleep(0.001)


async def test_cold_start_streams_the_collection_and_goes_on_with_the_same_request() -> None:
    stream = WatchReply(event("ADDED", config_map("a", 3)), event("ADDED", config_map("b", 7)), bookmark(9, end=True))
    async with running(stream) as world:
        await world.cache.wait_synced(timeout=5)
        assert world.seen == ["initial added a@3", "initial added b@7"]
        stream.send(event("MODIFIED", config_map("a", 10)))
        await settle()
        assert world.seen[2:] == ["updated a@10"]
        assert world.api.asked == ["STREAM rv="]


async def test_an_object_that_changes_or_goes_during_the_initial_events_is_cached_in_its_last_state() -> None:
    stream = WatchReply(
        event("ADDED", config_map("a", 3)),
        event("ADDED", config_map("b", 4)),
        event("MODIFIED", config_map("a", 5)),
        event("DELETED", config_map("b", 6)),
        bookmark(6, end=True),
    )
    async with running(stream) as world:
        await world.cache.wait_synced(timeout=5)
        assert world.seen == ["initial added a@5"]


async def test_a_server_without_streaming_lists_is_read_page_by_page() -> None:
    pages = [
        listed(20, [config_map("a", 1)], token="t1"),
        listed(20, [config_map("b", 2)], token="t2"),
        listed(20, [config_map("c", 3)]),
    ]
    async with running(UNSUPPORTED, *pages, WatchReply()) as world:
        await world.cache.wait_synced(timeout=5)
        assert world.names() == ["a@1", "b@2", "c@3"]
        await settle()
        assert world.api.asked == [
            "STREAM rv=",
            "LIST rv=0 limit=500",
            "LIST rv= limit=500 continue=t1",
            "LIST rv= limit=500 continue=t2",
            "WATCH rv=20",
        ]
