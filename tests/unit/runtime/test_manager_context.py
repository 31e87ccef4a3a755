"""Leaving the context of `Manager.from_environment` while the manager still runs in a task that lives longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio

from controller_runtime import Context, Controller, GracePeriodExceeded, Manager, ObjectKey, ObjectMeta, Request
from controller_runtime import manager as module
from controller_runtime.api.k8s import ConfigMap
from controller_runtime.client.transport import Request as HttpRequest
from controller_runtime.client.transport import Response
from controller_runtime.clock import LoopClock
from controller_runtime.concurrency import background_tasks
from controller_runtime.envtest import EmbeddedCluster
from controller_runtime.predicate import any_state
from helpers.recording_log import RecordingLog


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        yield cluster


class ClosingTransport:
    """The way to the cluster; once it is closed, whoever still uses it fails with what no client expects."""

    def __init__(self, cluster: EmbeddedCluster, diary: list[str]) -> None:
        self._inner = cluster.transport
        self._diary = diary
        self._closed = False
        self.stream = cluster.transport.stream

    async def request(self, request: HttpRequest) -> Response:
        if self._closed:
            raise RuntimeError("used after it was closed")
        return await self._inner.request(request)

    async def close(self) -> None:
        self._closed = True
        self._diary.append("transport closed")


class Scene:
    """A manager from the environment whose controller works for some seconds and then writes."""

    def __init__(self, cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        self.diary: list[str] = []
        self.log = RecordingLog()
        transport = ClosingTransport(cluster, self.diary)

        async def no_config(*_: object) -> None:
            return None

        monkeypatch.setattr(module, "load_config", no_config)
        monkeypatch.setattr(module, "HttpTransport", lambda *_, **__: transport)

    def manager(self, **options: Any) -> AbstractAsyncContextManager[Manager]:
        return Manager.from_environment(
            field_manager="test",
            health_address="0",
            metrics_address="0",
            log=self.log,
            handle_signals=False,
            **options,
        )

    def controller(self, *, seconds: float) -> Controller:
        async def reconcile(ctx: Context, request: Request) -> None:
            self.diary.append(f"{request.name} starts")
            await asyncio.sleep(seconds)
            await ctx.client.apply(ConfigMap(metadata=ObjectMeta(name="written", namespace="default")))
            self.diary.append(f"{request.name} ends")

        return Controller("configmap", reconcile, workers=3).reconciles(
            ConfigMap, any_state(lambda entry: entry.meta.name != "written")
        )


@pytest_asyncio.fixture
async def scene(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(cluster, monkeypatch)


async def create(manager: Manager, *names: str) -> None:
    for name in names:
        await manager.client.create(ConfigMap(metadata=ObjectMeta(name=name, namespace="default")))


async def test_running_reconciles_finish_before_the_way_to_the_server_is_closed(scene: Scene) -> None:
    async with background_tasks() as start:
        async with scene.manager() as manager:
            manager.add(scene.controller(seconds=10))
            start(manager.run(), "manager")
            await asyncio.sleep(1)
            await create(manager, "a", "b", "c", "d")
            await asyncio.sleep(1)
        scene.diary.append("left")
    starts, ends = [f"{name} starts" for name in "abc"], [f"{name} ends" for name in "abc"]
    assert scene.diary == [*starts, *ends, "transport closed", "left"], "no further key is taken"
    assert scene.log.events("warning", "error") == []
    assert scene.log.events()[-1] == "Stopped"


async def test_an_error_of_the_block_stops_the_manager_in_order_too(scene: Scene) -> None:
    async def main() -> None:
        async with background_tasks() as start, scene.manager() as manager:
            manager.add(scene.controller(seconds=10))
            start(manager.run(), "manager")
            await asyncio.sleep(1)
            await create(manager, "a")
            await asyncio.sleep(1)
            raise LookupError("of the block")

    with pytest.raises(LookupError, match="of the block"):
        await main()
    assert scene.diary == ["a starts", "a ends", "transport closed"]
    assert scene.log.events("warning", "error") == []


async def test_a_cancellation_meanwhile_skips_the_rest_of_the_grace_period(scene: Scene) -> None:
    runs: list[asyncio.Task[None]] = []

    async def main() -> None:
        async with scene.manager(grace_period=None) as manager:
            manager.add(scene.controller(seconds=1000))
            runs.append(asyncio.create_task(manager.run()))
            await asyncio.sleep(1)
            await create(manager, "a")
            await asyncio.sleep(1)

    leaving = asyncio.create_task(main())
    await asyncio.sleep(7)
    assert scene.diary == ["a starts"]
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert scene.diary == ["a starts", "transport closed"]
    with pytest.raises(GracePeriodExceeded, match="configmap"):
        await runs[0]
    assert asyncio.get_running_loop().time() == pytest.approx(7, abs=0.1)


async def test_a_run_that_has_not_begun_ends_as_soon_as_it_does(scene: Scene) -> None:
    async with scene.manager() as manager:
        manager.add(scene.controller(seconds=10))
        run = asyncio.create_task(manager.run())
    assert scene.diary == ["transport closed"]
    await run
    assert scene.log.events() == ["Stopping", "Stopped"]


async def test_a_run_that_has_ended_is_not_waited_for(scene: Scene) -> None:
    async with scene.manager() as manager:
        manager.add(scene.controller(seconds=0))
        run = asyncio.create_task(manager.run())
        await asyncio.sleep(1)
        await create(manager, "a")
        await asyncio.sleep(1)
        run.cancel()
        await asyncio.wait([run])
        assert await manager.client.live.find(ConfigMap, ObjectKey("default", "written")) is not None
    assert scene.diary == ["a starts", "a ends", "transport closed"]


async def test_a_manager_that_never_ran_is_only_closed(scene: Scene) -> None:
    async with scene.manager():
        pass
    assert scene.diary == ["transport closed"]
    assert scene.log.events() == []
