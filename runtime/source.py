"""Where a controller's keys come from: a watched kind, a channel, a poll of something outside, or any function.

A source is started as an async context manager, inside a task of the controller. Entering it returns when everything that
exists at that moment has been enqueued; leaving it stops the flow and leaves nothing behind. One source may feed
several controllers, and may be started again after it was stopped.

An error in a predicate or handler never costs an event of another object: it is logged and counted, and a predicate
that fails lets its event through, because a superfluous run is cheaper than a missing one.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, final

from controller_runtime.api.meta import Object
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.cache import Cache, CacheEvent
from controller_runtime.handler import Enqueue, Handler
from controller_runtime.predicate import Predicate
from controller_runtime.reconcile import Logger
from controller_runtime.workqueue import LOW_PRIORITY, ExponentialBackoff

__all__ = ["ChannelSource", "Feed", "FunctionSource", "KindSource", "PollSource", "Source"]


@dataclass(frozen=True, slots=True)
class Feed:
    """What a source is given when it starts.

    Attributes:
        enqueue: asks for a run.
        cache: where watched kinds are found.
        failed: counts one error of a handler, a predicate or a poll.
    """

    enqueue: Enqueue
    cache: Cache
    log: Logger
    failed: Callable[[], None]


class Source(Protocol):
    def prepare(self, cache: Cache) -> None:
        """Declare what the cache must hold. Called before the source is started; idempotent."""
        ...

    def start(self, feed: Feed) -> AbstractAsyncContextManager[None]:
        """Feed keys while the context lasts. Entering it waits until the initial state has been enqueued."""
        ...

    def trouble(self, cache: Cache) -> str | None:
        """Return why this source cannot get in sync, or None if no reason is known."""
        ...


@final
class KindSource:
    """Events of every object of a kind in the cache.

    Args:
        kind: a typed class or a `Resource`. It is declared to the cache; scope and indexes stay as others declared them.
        handler: turns events into keys.
        predicates: all must let an event through.
        resync: seconds after which every cached object comes again as an event, for reconcilers that compare it with
            something outside of the cluster; no request is made for that. 0 for never.
    """

    def __init__(
        self, kind: type[Object] | Resource, handler: Handler, *predicates: Predicate, resync: float = 0.0
    ) -> None:
        self._kind = kind
        self._resource = kind if isinstance(kind, Resource) else kind.resource
        self._handler = handler
        self._predicates = predicates
        self._resync = resync

    def __str__(self) -> str:
        return f"kind source: {self._resource}"

    def prepare(self, cache: Cache) -> None:
        cache.declare(self._kind)

    @asynccontextmanager
    async def start(self, feed: Feed) -> AsyncIterator[None]:
        low = functools.partial(feed.enqueue, priority=LOW_PRIORITY)

        def on_event(event: CacheEvent) -> None:
            for predicate in self._predicates:
                if not self._passes(predicate, event, feed):
                    return
            try:
                self._handler(event, low if event.initial or _is_resync(event) else feed.enqueue)
            except Exception as error:  # noqa: BLE001 - a bug of one handler must not stop the kind's informer
                self._complain("handler", error, event, feed)

        registration = feed.cache.informer(self._kind).add_handler(on_event, resync=self._resync)
        try:
            await registration.wait_synced()
            yield
        finally:
            registration.remove()

    def trouble(self, cache: Cache) -> str | None:
        informer = cache.informer(self._kind)
        return informer.health() or (None if informer.synced else "not synced yet")

    def _passes(self, predicate: Predicate, event: CacheEvent, feed: Feed) -> bool:
        try:
            return predicate(event)
        except Exception as error:  # noqa: BLE001 - a bug of one predicate must not stop the kind's informer
            self._complain("predicate", error, event, feed)
            return True

    def _complain(self, what: str, error: Exception, event: CacheEvent, feed: Feed) -> None:
        feed.failed()
        feed.log.error(
            f"{what} failed",  # noqa: G004 - two fixed texts
            source=str(self),
            event_type=event.type,
            namespace=event.key.namespace,
            name=event.key.name,
            error=f"{type(error).__name__}: {error}",
            exc_info=error,
        )


def _is_resync(event: CacheEvent) -> bool:
    new, old = event.new, event.old
    return new is not None and old is not None and new.meta.resource_version == old.meta.resource_version


@final
class ChannelSource:
    """Keys that other code of the process sends: `source.send(key)`.

    Keys that are sent while nobody listens are kept, each once, for the first controller that starts.
    """

    def __init__(self, name: str = "channel") -> None:
        self._name = name
        self._listeners: list[Enqueue] = []
        self._backlog: dict[ObjectKey, int] = {}

    def __str__(self) -> str:
        return f"channel source: {self._name}"

    def send(self, key: ObjectKey, *, after: float = 0.0, priority: int = 0) -> None:
        """Ask for a run of `key` from every controller that listens. Never blocks."""
        for enqueue in self._listeners:
            enqueue(key, after=after, priority=priority)
        if not self._listeners:
            self._backlog[key] = max(priority, self._backlog.get(key, priority))

    def prepare(self, cache: Cache) -> None:
        """Nothing to declare."""

    @asynccontextmanager
    async def start(self, feed: Feed) -> AsyncIterator[None]:
        self._listeners.append(feed.enqueue)
        try:
            backlog, self._backlog = self._backlog, {}
            for key, priority in backlog.items():
                feed.enqueue(key, priority=priority)
            yield
        finally:
            self._listeners.remove(feed.enqueue)

    def trouble(self, cache: Cache) -> str | None:
        return None


@final
class FunctionSource:
    """Anything: `function(enqueue)` returns the context manager that feeds keys while it lasts.

    Example:
        @asynccontextmanager
        async def changes(enqueue: Enqueue) -> AsyncIterator[None]:
            with broker.listening(lambda name: enqueue(ObjectKey("", name))):
                yield

        controller.watches_source(FunctionSource(changes))
    """

    def __init__(self, function: Callable[[Enqueue], AbstractAsyncContextManager[object]], *, name: str = "") -> None:
        self._function = function
        self._name = name or getattr(function, "__qualname__", repr(function))

    def __str__(self) -> str:
        return f"function source: {self._name}"

    def prepare(self, cache: Cache) -> None:
        """Nothing to declare."""

    @asynccontextmanager
    async def start(self, feed: Feed) -> AsyncIterator[None]:
        async with self._function(feed.enqueue):
            yield

    def trouble(self, cache: Cache) -> str | None:
        return None


@final
class PollSource:
    """Asks something outside the cluster again and again, and enqueues the keys it names.

    Args:
        poll: returns the keys that need a run; what it raises is logged, counted and answered with back-off.
        interval: seconds between the end of one poll and the start of the next.
        longest_pause: seconds; failing polls are never further apart.
    """

    def __init__(
        self,
        poll: Callable[[], Awaitable[Iterable[ObjectKey]]],
        interval: float,
        *,
        longest_pause: float = 60.0,
        name: str = "",
    ) -> None:
        self._poll = poll
        self._interval = interval
        self._longest_pause = max(interval, longest_pause)
        self._name = name or getattr(poll, "__qualname__", repr(poll))

    def __str__(self) -> str:
        return f"poll source: {self._name}"

    def prepare(self, cache: Cache) -> None:
        """Nothing to declare."""

    @asynccontextmanager
    async def start(self, feed: Feed) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            poller = group.create_task(self._run(feed), name=str(self))
            try:
                yield
            finally:
                poller.cancel()

    def trouble(self, cache: Cache) -> str | None:
        return None

    async def _run(self, feed: Feed) -> None:
        backoff = ExponentialBackoff(self._interval, self._longest_pause)
        while True:
            try:
                for key in await self._poll():
                    feed.enqueue(key)
            except Exception as error:  # noqa: BLE001 - the outside may fail in any way; it is asked again
                feed.failed()
                feed.log.warning("poll failed", source=str(self), error=f"{type(error).__name__}: {error}")
                pause = backoff.when(self)
            else:
                backoff.forget(self)
                pause = self._interval
            await asyncio.sleep(pause)
