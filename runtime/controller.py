"""A controller: sources fill its queue, workers take keys from it and call the reconciler.

    Controller("widget", reconcile).reconciles(Widget).owns(ConfigMap).watches(Cluster, to_widgets)

Guarantees:

- One key is never reconciled twice at the same time; an event during a run leads to exactly one more run.
- No worker starts before every source has enqueued its initial state. A source that cannot get in sync (no permission, no
  such kind) degrades this controller, visibly, and no other.
- A failed key is retried with back-off; whatever a reconciler raises, it concerns its own key only.
- `stop` lets running reconciles finish; cancelling `run` interrupts them. When `run` has ended, nothing is left.
- With `warm_up` a standby's sources are open and its queue is full before it is elected: the new leader works at once.

| a run ends with | then |
|---|---|
| None | the key's failures are forgotten |
| `Requeue(after=t)` | forgotten, and run again after t seconds |
| `Requeue()` | run again after the key's back-off |
| `Conflict` | run again at once, quietly; after several in a row with back-off |
| `TerminalError` | not run again before the next event |
| any other exception, or the reconcile time-out | run again after the key's back-off |

Concurrency: methods are synchronous and for the event loop's thread, except `run`. A controller may run again after it has
ended (a new queue each time), but not twice at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from controller_runtime.api.meta import Object
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.cache import Cache
from controller_runtime.client.interface import Client
from controller_runtime.clock import Clock
from controller_runtime.concurrency import first_error
from controller_runtime.handler import MapFunction, enqueue_mapped, enqueue_object, enqueue_owner
from controller_runtime.metrics import ControllerMetrics
from controller_runtime.predicate import Predicate
from controller_runtime.reconcile import Context, EventRecorder, Logger, Reconciler, Request
from controller_runtime.source import Feed, KindSource, Source
from controller_runtime.worker import Policy, WorkerPool
from controller_runtime.workqueue import QueueStatistics, RateLimiter, WorkQueue, WorkQueueMetrics

__all__ = ["Controller", "Services", "SourcesNotSynced"]


class SourcesNotSynced(Exception):
    """Sources did not get in sync in time; the message names each with its reason."""


@dataclass(frozen=True, slots=True)
class Services:
    """What a controller needs from its manager. `elected` is set while the manager leads."""

    client: Client
    cache: Cache
    clock: Clock
    log: Logger
    events: EventRecorder
    elected: asyncio.Event
    metrics: ControllerMetrics
    queue_metrics: WorkQueueMetrics


@final
class Controller:
    """See the module docstring.

    Args:
        name: unique in its manager; a label of all metrics and logs.
        reconcile: called with a `Context` and a `Request`.
        workers: how many keys are reconciled at the same time.
        rate_limiter: back-off of failed keys; exponential from 5 ms to 1000 s by default.
        timeout: seconds after which a run is cancelled and counts as failed; None for no limit.
        needs_leader: run on the elected leader only.
        warm_up: on a standby, start the sources and fill the queue already; the workers wait until it is elected. The
            backlog shows in the queue's metrics, and counts as waiting time when it is worked off.
        max_retries: give a key up after so many failures in a row, until its next event; None for never.
        on_give_up: called with the request and the last error of a key that is given up; it must not block or raise.
        sync_timeout: seconds until sources that are not in sync are reported.
        must_sync: such sources make `run` raise `SourcesNotSynced`, which stops the manager. By default the controller goes
            on waiting and is reported as degraded, while other controllers work.

    Raises:
        ValueError: a parameter is out of range.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconciler,
        *,
        workers: int = 1,
        rate_limiter: RateLimiter | None = None,
        timeout: float | None = None,
        needs_leader: bool = True,
        warm_up: bool = False,
        max_retries: int | None = None,
        on_give_up: Callable[[Request, BaseException], None] | None = None,
        sync_timeout: float = 120.0,
        must_sync: bool = False,
    ) -> None:
        if not name or workers < 1:
            msg = f"a controller needs a name and at least one worker, not {name=}, {workers=}"
            raise ValueError(msg)
        if warm_up and not needs_leader:
            msg = f"controller {name!r} has nothing to warm up for: it needs no leader, so it runs everywhere"
            raise ValueError(msg)
        self.name = name
        self.needs_leader = needs_leader
        self.warm_up = warm_up
        self._reconcile = reconcile
        self._rate_limiter = rate_limiter
        self._policy = Policy(workers, timeout, max_retries, on_give_up)
        self._sync_timeout = sync_timeout
        self._must_sync = must_sync
        self._primary: Resource | None = None
        self._sources: list[Source] = []
        self._services: Services | None = None
        self._running: _Running | None = None

    def __repr__(self) -> str:
        return f"<Controller {self.name} {self._running.queue if self._running else 'not running'}>"

    # What feeds it

    def reconciles(self, kind: type[Object] | Resource, *predicates: Predicate) -> Controller:
        """Run for every object of this kind that exists, appears, changes or goes. Once per controller.

        Raises:
            ValueError: called twice.
        """
        if self._primary is not None:
            msg = f"controller {self.name!r} reconciles {self._primary} already; use watches() for a second kind"
            raise ValueError(msg)
        self._primary = kind if isinstance(kind, Resource) else kind.resource
        return self.watches_source(KindSource(kind, enqueue_object, *predicates))

    def owns(self, kind: type[Object] | Resource, *predicates: Predicate, every_owner: bool = False) -> Controller:
        """Run for the reconciled object that owns an object of this kind, when that one changes.

        Args:
            every_owner: not only the owner that is marked as the controller.

        Raises:
            ValueError: `reconciles` was not called before.
        """
        if self._primary is None:
            msg = f"controller {self.name!r}: owns() needs reconciles() before it, to know the owner's kind"
            raise ValueError(msg)
        handler = enqueue_owner(self._primary, every_owner=every_owner)
        return self.watches_source(KindSource(kind, handler, *predicates))

    def watches(self, kind: type[Object] | Resource, map_fn: MapFunction, *predicates: Predicate) -> Controller:
        """Run for the keys that `map_fn` returns for an event of this kind (see `handler.each_state`)."""
        return self.watches_source(KindSource(kind, enqueue_mapped(map_fn), *predicates))

    def watches_source(self, source: Source) -> Controller:
        """Run for the keys of any source.

        Raises:
            RuntimeError: the controller is running.
        """
        if self._running is not None:
            msg = f"controller {self.name!r} is running; add its sources before it starts"
            raise RuntimeError(msg)
        self._sources.append(source)
        return self

    # Its life

    def bind(self, services: Services) -> None:
        """Give the controller to a manager.

        Raises:
            ValueError: it has no source, so it would never run anything.
            RuntimeError: it belongs to a manager already.
        """
        if not self._sources:
            msg = f"controller {self.name!r} watches nothing: it would never be triggered"
            raise ValueError(msg)
        if self._services is not None:
            msg = f"controller {self.name!r} was added to a manager already"
            raise RuntimeError(msg)
        self._services = services

    def prepare(self) -> None:
        """Declare to the cache what the sources need, so that it fills before this controller is started."""
        services = self._bound()
        for source in self._sources:
            source.prepare(services.cache)

    async def run(self) -> None:
        """Work until `stop` is called; then return when the last running reconcile has ended. Once at a time.

        Raises:
            SourcesNotSynced: only with `must_sync`.
            RuntimeError: the controller runs already, or has no manager.
        """
        if self._running is not None:
            msg = f"controller {self.name!r} is running already"
            raise RuntimeError(msg)
        services = self._bound()
        self.prepare()
        queue: WorkQueue[ObjectKey] = WorkQueue(
            self.name, rate_limiter=self._rate_limiter, metrics=services.queue_metrics
        )
        log = services.log.bind(controller=self.name, **self._kind_of_log())
        self._running = running = _Running(queue, dict.fromkeys(self._sources, False))
        try:
            await self._feed_and_work(running, services, log)
        except BaseExceptionGroup as group:
            raise first_error(group) from group
        finally:
            queue.shutdown(discard=True)
            self._running = None

    def stop(self) -> None:
        """Ask `run` to end: no further key is taken, running reconciles finish. Harmless if it does not run."""
        if self._running is not None:
            self._running.stop()

    def trouble(self) -> str | None:
        """Return why this controller is degraded (sources that are late with their initial state), or None."""
        return self._running.trouble if self._running else None

    def statistics(self) -> QueueStatistics | None:
        """Return the statistics of the queue, or None if the controller does not run."""
        return self._running.queue.statistics() if self._running else None

    async def _feed_and_work(self, running: _Running, services: Services, log: Logger) -> None:
        metrics = services.metrics.of(self.name, self._policy.workers)
        feed = Feed(running.queue.add, services.cache, log, metrics.source_failed)
        async with asyncio.TaskGroup() as group:
            feeders = [
                group.create_task(_hold(source, feed, running), name=f"{self.name}: {source}")
                for source in self._sources
            ]
            await self._wait_synced(running, services, log)
            if self.warm_up:
                feeders.append(group.create_task(_await_election(services, running), name=f"{self.name}: election"))
                log.info("Warmed up", keys=len(running.queue))
                await running.until(lambda: running.elected)
            if not running.stopping:
                log.info("Starting workers", workers=self._policy.workers)
                context = Context(services.client, services.clock, log, services.events)
                pool = WorkerPool(self.name, self._reconcile, running.queue, context, self._policy, metrics)
                await pool.run()
                log.info("All workers finished")
            for feeder in feeders:
                feeder.cancel()

    async def _wait_synced(self, running: _Running, services: Services, log: Logger) -> None:
        """Return when all sources are in sync, or the controller was asked to stop."""
        try:
            async with asyncio.timeout(self._sync_timeout):
                await running.until(running.all_synced)
        except TimeoutError:
            late = SourcesNotSynced(self._describe_late(running, services.cache))
            if self._must_sync:
                raise late from None
            running.trouble = str(late)
            log.error("Sources are not in sync; this controller waits for them", error=str(late))
            await running.until(running.all_synced)
            running.trouble = None

    def _describe_late(self, running: _Running, cache: Cache) -> str:
        late = [source for source, synced in running.synced.items() if not synced]
        reasons = (f"{source}: {source.trouble(cache) or 'no reason known'}" for source in late)
        return f"controller {self.name!r} waits for its sources since {self._sync_timeout:g} s: {'; '.join(reasons)}"

    def _kind_of_log(self) -> dict[str, str]:
        if self._primary is None:
            return {}
        return {"controllerGroup": self._primary.group, "controllerKind": self._primary.kind}

    def _bound(self) -> Services:
        if self._services is None:
            msg = f"controller {self.name!r} has no manager: use manager.add(controller)"
            raise RuntimeError(msg)
        return self._services


class _Running:
    """The state of one run of a controller."""

    def __init__(self, queue: WorkQueue[ObjectKey], synced: dict[Source, bool]) -> None:
        self.queue = queue
        self.synced = synced
        self.elected = False
        self.stopping = False
        self.trouble: str | None = None
        self._changed = asyncio.Event()

    def mark_synced(self, source: Source) -> None:
        self.synced[source] = True
        self._changed.set()

    def mark_elected(self) -> None:
        self.elected = True
        self._changed.set()

    def all_synced(self) -> bool:
        return all(self.synced.values())

    def stop(self) -> None:
        self.stopping = True
        self.queue.shutdown(discard=True)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds, or the controller was asked to stop."""
        while not self.stopping and not condition():
            self._changed.clear()
            await self._changed.wait()


async def _hold(source: Source, feed: Feed, running: _Running) -> None:
    """Keep one source open until this task is cancelled."""
    async with source.start(feed):
        running.mark_synced(source)
        await asyncio.Event().wait()


async def _await_election(services: Services, running: _Running) -> None:
    await services.elected.wait()
    running.mark_elected()
