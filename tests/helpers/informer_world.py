"""A cache of ConfigMaps on a scripted API server, with a handler that writes down what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from controller_runtime.api.k8s import ConfigMap
from controller_runtime.cache import Cache, CacheEvent, Informer
from controller_runtime.client.errors import TransportError
from controller_runtime.clock import LoopClock
from helpers.scripted_api import Reply, ScriptedApi, WatchReply

__all__ = ["Log", "Seen", "World", "running", "settle"]


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    @property
    def texts(self) -> list[str]:
        return [f"{level}: {text}" for level, text, _ in self.lines]

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

    def take(self) -> list[str]:
        """Return what has come since the last call."""
        taken = list(self)
        self.clear()
        return taken


class World:
    """Everything a test of an informer looks at."""

    def __init__(self, api: ScriptedApi, **options: Any) -> None:
        self.api = api
        self.log = Log()
        self.registry = CollectorRegistry()
        self.cache = Cache(api, clock=LoopClock(), log=self.log, registry=self.registry)
        self.informer: Informer = self.cache.declare(ConfigMap, **options)
        self.seen = Seen()
        self.registration = self.informer.add_handler(self.seen)

    def names(self) -> list[str]:
        return [f"{entry.key.name}@{entry.meta.resource_version}" for entry in self.informer.store.entries()]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"resource": "configmaps/v1", **labels})


@asynccontextmanager
async def running(*answers: Reply | WatchReply | TransportError, **options: Any) -> AsyncIterator[World]:
    """A world whose cache runs; afterwards no stream is open."""
    world = World(ScriptedApi(*answers), **options)
    task = asyncio.create_task(world.cache.run())
    await settle()
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert world.api.open_streams == 0


async def settle() -> None:
    """Let everything happen that needs no time."""
    await asyncio.sleep(0.001)
