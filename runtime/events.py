"""Events for people: what `kubectl describe` and `kubectl events` show, in `events.k8s.io/v1`.

Guarantees:

- Recording never blocks, never waits and never raises. Too many Events are dropped and counted, never the program's time.
- Equal Events (object, type, reason, note) form a series: one is created, the second turns it into a series with a count,
  further ones are only counted and written every half hour and when the series ends.
- One object cannot flood the server: it gets a burst of 25 different Events and then one in five minutes.

`EventSeries` decides in plain synchronous code what must be written; a work queue orders the writes, one at a time for each
series, and repeats those that did not get through.

Concurrency: record from the event loop's thread. Writing happens inside `run`, which owns all of it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, final

from prometheus_client import CollectorRegistry, Counter

from controller_runtime.api.k8s import Event, ObjectReference
from controller_runtime.api.k8s import EventSeries as SeriesOfEvent
from controller_runtime.api.meta import Object, ObjectMeta
from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.time import format_micro_time
from controller_runtime.client.errors import AlreadyExists, ApiError, ClientError, NotFound
from controller_runtime.client.interface import Client
from controller_runtime.client.patch import merge_patch
from controller_runtime.clock import Clock
from controller_runtime.reconcile import Logger
from controller_runtime.workqueue import ExponentialBackoff, QueueShutDown, TokenBucket, WorkQueue

__all__ = ["EventSeries", "Recorder", "SeriesKey"]

EventType = Literal["Normal", "Warning"]

_SERIES_ENDS: Final = 360.0
_HEARTBEAT: Final = 1800.0
_LONGEST_NOTE: Final = 1024
_LONGEST_NAME: Final = 128
_TRIES: Final = 12
_WRITERS: Final = 4
_OBJECTS_REMEMBERED: Final = 4096


class SeriesKey(NamedTuple):
    """Events that are equal in all of this are one series."""

    type: EventType
    reason: str
    note: str
    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(slots=True)
class EventSeries:
    """One series: what happened, and what of it the server knows. Times are loop seconds, but the texts.

    Attributes:
        event: the name of the Event object.
        first_time, last_time: MicroTime texts.
        written: the count that the server knows; 0 before the Event is created.
    """

    event: ObjectKey
    first_time: str
    last_time: str
    last_seen: float
    count: int = 1
    written: int = 0
    written_at: float = 0.0

    def due(self, now: float) -> Literal["create", "patch"] | None:
        """Say what must be written now."""
        if self.written == 0:
            return "create"
        if self.count == self.written:
            return None
        ended = now >= self.last_seen + _SERIES_ENDS
        return "patch" if self.written == 1 or ended or now >= self.written_at + _HEARTBEAT else None

    def over(self, now: float) -> bool:
        """Whether the series has ended and everything is written."""
        return self.count == self.written and now >= self.last_seen + _SERIES_ENDS

    def next_look(self, now: float) -> float:
        """Return the seconds until something may be due."""
        end = self.last_seen + _SERIES_ENDS
        moment = min(end, self.written_at + _HEARTBEAT) if self.count > self.written else end
        return max(0.0, moment - now)


@final
class Recorder:
    """An `EventRecorder` that writes to the API server while `run` runs. Before that, Events wait.

    Args:
        controller: the `reportingController` of all Events.
        instance: the `reportingInstance`, e.g. the pod's name.
        capacity: how many series are remembered; further ones are dropped.
    """

    needs_leader = False
    name = "events"

    def __init__(
        self,
        client: Client,
        *,
        controller: str,
        instance: str,
        clock: Clock,
        log: Logger,
        registry: CollectorRegistry | None = None,
        capacity: int = 1000,
    ) -> None:
        self._client = client.live
        self._controller = controller[:_LONGEST_NAME]
        self._instance = instance[:_LONGEST_NAME]
        self._clock = clock
        self._log = log
        self._capacity = capacity
        self._series: dict[SeriesKey, EventSeries] = {}
        self._budgets: OrderedDict[tuple[str, str, str, str], TokenBucket] = OrderedDict()
        self._queue: WorkQueue[SeriesKey] | None = None
        self._sequence = 0
        self._dropped = Counter(
            "controller_runtime_events_dropped", "Events that were not written.", ("reason",), registry=registry
        )

    def normal(self, regarding: Object, reason: str, message: str) -> None:
        self.record("Normal", regarding, reason, message)

    def warning(self, regarding: Object, reason: str, message: str) -> None:
        self.record("Warning", regarding, reason, message)

    def record(self, event_type: EventType, regarding: Object, reason: str, message: str) -> None:
        """Record one Event about `regarding`.

        Args:
            reason: a CamelCase word that stays the same.
            message: one sentence for a person; cut to 1 KiB.
        """
        meta, note = regarding.metadata, message.encode()[:_LONGEST_NOTE].decode(errors="ignore")
        key = SeriesKey(
            event_type, reason, note, regarding.api_version, regarding.kind, meta.namespace, meta.name, meta.uid
        )
        now, wall = asyncio.get_running_loop().time(), self._clock.now()
        series = self._series.get(key)
        if series is not None:
            series.count += 1
            series.last_seen, series.last_time = now, format_micro_time(wall)
            if series.due(now) is None:
                return
        elif len(self._series) >= self._capacity:
            self._dropped.labels("capacity").inc()
            return
        elif self._over_budget(key):
            self._dropped.labels("rate").inc()
            return
        else:
            text = format_micro_time(wall)
            self._series[key] = EventSeries(self._name(key, wall), text, text, now)
        if self._queue is not None:
            self._queue.add(key)

    async def run(self) -> None:
        """Write Events until `stop` is called; then write those that are due and return."""
        queue: WorkQueue[SeriesKey] = WorkQueue(rate_limiter=ExponentialBackoff(1.0, 30.0))
        self._queue = queue
        for key in self._series:
            queue.add(key)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(_WRITERS):
                    group.create_task(self._write_all(queue), name=f"events: writer {number}")
        finally:
            self._queue = None

    def stop(self) -> None:
        """Ask `run` to end."""
        if self._queue is not None:
            self._queue.shutdown()

    async def _write_all(self, queue: WorkQueue[SeriesKey]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                item = await queue.get()
            except QueueShutDown:
                return
            key = item.key
            series = self._series.get(key)
            if series is None:  # given up while it was queued once more
                queue.done(key)
                continue
            try:
                await self._write(key, series)
            except ClientError as error:
                self._not_written(queue, key, error)
            else:
                queue.forget(key)
                if series.over(loop.time()):
                    del self._series[key]
                else:
                    queue.add(key, after=series.next_look(loop.time()))
            finally:
                queue.done(key)

    async def _write(self, key: SeriesKey, series: EventSeries) -> None:
        now, count = asyncio.get_running_loop().time(), series.count
        due = series.due(now)
        if due == "patch":
            state = {"series": {"count": count, "lastObservedTime": series.last_time}}
            try:
                await self._client.patch(Event, series.event, merge_patch(state))
            except NotFound:
                due = "create"  # Events live for an hour; the series outlived it
        if due == "create":
            try:
                await self._client.create(self._event(key, series, count))
            except AlreadyExists:
                count = 1  # an earlier try got through after all
        if due is not None:
            series.written, series.written_at = count, now

    def _not_written(self, queue: WorkQueue[SeriesKey], key: SeriesKey, error: ClientError) -> None:
        """Repeat what did not get through; give up what the server refused."""
        refused = isinstance(error, ApiError) and not error.retryable
        if not refused and queue.retries(key) < _TRIES and not queue.shutting_down:
            queue.add_rate_limited(key)
            return
        del self._series[key]
        queue.forget(key)
        self._dropped.labels("refused" if refused else "unreachable").inc()
        self._log.warning(
            "Event not written", reason=key.reason, namespace=key.namespace, name=key.name, error=str(error)
        )

    def _event(self, key: SeriesKey, series: EventSeries, count: int) -> Event:
        regarding = ObjectReference(
            api_version=key.api_version,
            kind=key.kind,
            namespace=key.namespace or None,
            name=key.name,
            uid=key.uid or None,
        )
        repeated = SeriesOfEvent(count=count, last_observed_time=series.last_time) if count > 1 else None
        return Event(
            metadata=ObjectMeta(name=series.event.name, namespace=series.event.namespace),
            event_time=series.first_time,
            reporting_controller=self._controller,
            reporting_instance=self._instance,
            action=key.reason[:_LONGEST_NAME],
            reason=key.reason[:_LONGEST_NAME],
            regarding=regarding,
            note=key.note,
            type=key.type,
            series=repeated,
        )

    def _name(self, key: SeriesKey, wall: float) -> ObjectKey:
        self._sequence += 1
        name = f"{key.name[:200]}.{int(wall * 1e9) + self._sequence:x}"
        return ObjectKey(key.namespace or "default", name)

    def _over_budget(self, key: SeriesKey) -> bool:
        about = (key.kind, key.namespace, key.name, key.type)
        budget = self._budgets.get(about)
        if budget is None:
            budget = self._budgets[about] = TokenBucket(1 / 300, 25)
        self._budgets.move_to_end(about)
        if len(self._budgets) > _OBJECTS_REMEMBERED:
            self._budgets.popitem(last=False)
        return not budget.take()
