"""One controller with everything around it faked but its queue, its workers and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from prometheus_client import CollectorRegistry

from controller_runtime.api.meta import Object, ObjectMeta
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.clock import LoopClock
from controller_runtime.controller import Controller, Services
from controller_runtime.metrics import ControllerMetrics
from controller_runtime.reconcile import Context, Request, Requeue
from controller_runtime.workqueue import ExponentialBackoff, WorkQueueMetrics
from helpers.fake_cache import FakeCache, FakeInformer
from helpers.recording_log import RecordingLog

Script = Callable[[Request], Awaitable[Requeue | None]]


class Widget(Object):
    resource = Resource(group="example.com", version="v1", kind="Widget", plural="widgets")


class Part(Object):
    resource = Resource(group="example.com", version="v1", kind="Part", plural="parts")


def widget(name: str = "a", **meta: Any) -> Widget:
    meta.setdefault("resource_version", "1")
    meta.setdefault("generation", 1)
    return Widget(metadata=ObjectMeta(name=name, namespace="ns", **meta))


def key(name: str = "a") -> ObjectKey:
    return ObjectKey("ns", name)


@dataclass
class Run:
    """One call of the reconciler: what for, and when (loop time)."""

    name: str
    began: float
    attempt: int
    id: str


class ControllerBench:
    """A controller of Widgets whose runs are recorded; `answers` are given to its runs one after another.

    An answer is returned, an exception is raised, a coroutine function is called; when they are used up, runs return None.
    """

    def __init__(self, *answers: Any, synced: bool = True, **options: Any) -> None:
        self.answers = list(answers)
        self.runs: list[Run] = []
        self.registry = CollectorRegistry()
        self.log = RecordingLog()
        self.cache = FakeCache(synced=synced)
        options.setdefault("rate_limiter", ExponentialBackoff(jitter=0))
        self.controller = Controller("widget", self._reconcile, **options)
        self.services = Services(
            client=cast("Any", None),
            cache=cast("Any", self.cache),
            clock=LoopClock(),
            log=self.log,
            events=cast("Any", None),
            elected=asyncio.Event(),
            metrics=ControllerMetrics(self.registry),
            queue_metrics=WorkQueueMetrics(self.registry),
        )

    async def _reconcile(self, _: Context, request: Request) -> Requeue | None:
        self.runs.append(Run(request.name, asyncio.get_running_loop().time(), request.attempt, request.id))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            return cast("Requeue | None", await answer(request))
        return cast("Requeue | None", answer)

    @property
    def informer(self) -> FakeInformer:
        return self.cache.declare(Widget)

    @property
    def pauses(self) -> list[float]:
        """The time between the starts of consecutive runs."""
        return [round(b.began - a.began, 6) for a, b in zip(self.runs, self.runs[1:], strict=False)]

    def names(self) -> list[str]:
        return [run.name for run in self.runs]

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"controller_runtime_{name}", {"controller": "widget", **labels})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the controller, which reconciles Widgets if it has no source yet; stop it at the end."""
        if not self.controller._sources:
            self.controller.reconciles(Widget)
        if self.controller._services is None:
            self.controller.bind(self.services)
        task = asyncio.create_task(self.controller.run())
        try:
            await asyncio.sleep(0)
            yield task
        finally:
            self.controller.stop()
            await asyncio.wait([task], timeout=60)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
