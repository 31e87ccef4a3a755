"""The work queue: which key is worked on next, and when.

Guarantees:

- A key is never handed to two workers at once. An add while it is in work is not lost: it comes back after `done`.
- Adds of a key that is queued merge into one. With a delay the earliest wins: "now" beats any delay, a shorter delay beats
  a longer one, and the highest priority asked for stays.
- Higher priorities go first, and nothing starves: a key gains one point of priority with every `ageing` seconds it waits.
- Back-off is counted once per hand-out, however often a key is added with back-off meanwhile.
- `get` may be cancelled at any moment without losing a key.
- After `shutdown` all queued keys are still handed out, also those that were added while in work; then `get` raises.

How priorities age. A key of priority p that waits since t outranks another if `t - p * ageing` is smaller. Both ranks grow
old at the same speed, so their order never changes while they wait, and no rank is ever computed anew. Each priority keeps
a plain FIFO, and only the heads are compared: O(1) as long as priorities are few. A key whose priority rises joins the
end of the higher FIFO and keeps its place in the lower one; whichever comes up first hands it out, and the other slot
is recognised as stale by identity.

Concurrency: every method but `get` and `drain` is synchronous and must be called from the loop in which the queue was made
(other threads use `add_threadsafe`). No task runs per key: delays share one timer. They end at whole milliseconds, never
before what was asked for; keys that become due together share one entry of the heap, so that it stays small however many
keys wait. Deletion is lazy.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar, final

from controller_runtime.clock import timer
from controller_runtime.metrics import WORKQUEUE_BUCKETS, HistogramCounts
from controller_runtime.workqueue.metrics import WorkQueueMetrics
from controller_runtime.workqueue.ratelimit import ExponentialBackoff, RateLimiter
from controller_runtime.workqueue.statistics import QueueStatistics

__all__ = ["LOW_PRIORITY", "Item", "QueueShutDown", "WorkQueue"]

K = TypeVar("K", bound=Hashable)

LOW_PRIORITY: Final = -100
"""For work that nobody waits for: initial lists and resyncs."""

_MANY_LEVELS: Final = 8  # beyond this, levels that are empty are dropped when a new one is made
_TICKS: Final = 1000  # in a second: delays end at whole ones
_NOISE: Final = 0.001  # of a tick: less is what floating-point numbers add, and no time
_SLACK: Final = 64  # stale slots that are tolerated before all are looked through, on top of one per delayed key


def _tick_at(deadline: float, now: float) -> int:
    """Return the tick at which a delay ends: the first that is not before `deadline`, rounding errors aside, but is after `now`.

    A delay that ended at once would be a circle without end: whoever is woken by a rounding error too early asks for the
    rest, and is woken at the same time again.
    """
    tick = math.ceil(deadline * _TICKS - _NOISE)
    while tick / _TICKS <= now:
        tick += 1
    return tick


class QueueShutDown(Exception):
    """The queue was shut down and has no key left."""


@final
class Item(Generic[K]):
    """A key that was handed out. Treat it as read-only.

    Attributes:
        key: what to work on.
        priority: the highest that was asked for; a retry should keep it.
        since: when it was first added, or its delay ended, by the queue's timer (see `clock.timer`).
    """

    __slots__ = ("_again", "_started", "key", "priority", "since")

    def __init__(self, key: K, priority: int, since: float) -> None:
        self.key = key
        self.priority = priority
        self.since = since
        self._started: float | None = None  # when it was handed out
        self._again: Item[K] | None = None  # what was asked for since then

    def __repr__(self) -> str:
        return f"<Item {self.key} priority={self.priority} since={self.since:g}>"


@final
class WorkQueue(Generic[K]):
    """See the module docstring. Make it inside a running event loop.

    Args:
        name: of the controller; appears in metrics.
        rate_limiter: for `add_rate_limited`; exponential from 5 ms to 1000 s by default.
        metrics: where the queue shows its statistics; None for nowhere.
        ageing: seconds of waiting that are worth one point of priority. By default work of `LOW_PRIORITY` is overtaken only
            by ordinary work that is added within the next 30 s.
    """

    def __init__(
        self,
        name: str = "",
        *,
        rate_limiter: RateLimiter | None = None,
        metrics: WorkQueueMetrics | None = None,
        ageing: float = 0.3,
    ) -> None:
        self.name = name
        self._loop = asyncio.get_running_loop()
        self._now = timer()  # measures; delays follow the loop's time, since that is what its timers follow
        self._limiter = rate_limiter or ExponentialBackoff()
        self._ageing = ageing

        # A key is in `_items` while it is queued or in work. A queued item has a slot in a FIFO of `_levels`; one that
        # was handed out has none (or stale ones), and what was asked for meanwhile waits in its `_again`.
        self._items: dict[K, Item[K]] = {}
        self._levels: dict[int, deque[Item[K]]] = {}
        self._queued = 0
        self._in_work = 0
        # A delayed key is in `_delayed` and not queued. It has a slot in the list of the tick at which it becomes due; the
        # heap orders the ticks that have a list. A slot whose item is not in `_delayed` is stale.
        self._delayed: dict[K, Item[K]] = {}
        self._due: dict[int, list[Item[K]]] = {}
        self._ticks: list[int] = []
        self._slots = 0
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0
        # Keys that were added with back-off since they were last handed out.
        self._backed_off: set[K] = set()

        self._waiters: deque[asyncio.Future[None]] = deque()
        self._shut_down = False
        self._empty = asyncio.Event()

        self._adds = 0
        self._retries = 0
        self._queue_duration = HistogramCounts(WORKQUEUE_BUCKETS)
        self._work_duration = HistogramCounts(WORKQUEUE_BUCKETS)
        if metrics is not None and name:
            metrics.track(name, self.statistics)

    def __len__(self) -> int:
        """The number of keys that are due and not taken."""
        return self._queued

    def __repr__(self) -> str:
        state = " shut down" if self._shut_down else ""
        return (
            f"<WorkQueue {self.name or '(unnamed)'} queued={self._queued} delayed={len(self._delayed)} "
            f"processing={self._in_work}{state}>"
        )

    # Adding

    def add(self, key: K, *, after: float = 0.0, priority: int = 0) -> None:
        """Ask for a run of `key`. Ignored after shutdown.

        Args:
            after: seconds to wait; 0 or less for now.
            priority: higher goes first.
        """
        if self._shut_down:
            return
        item = self._items.get(key)
        if item is not None and item._started is not None:
            item = item._again
        if item is not None:
            if priority > item.priority:
                self._raise_priority(item, priority)
            self._retries += after > 0
        elif after > 0:
            self._add_delayed(key, self._loop.time() + after, priority)
        else:
            if self._delayed:
                delayed = self._delayed.pop(key, None)
                if delayed is not None and delayed.priority > priority:
                    priority = delayed.priority
            self._enqueue(Item(key, priority, self._now()))

    def add_rate_limited(self, key: K, *, priority: int = 0, at_least: float = 0.0) -> float:
        """Ask for another run of `key` after its back-off.

        Call it once for each run that failed. A second call before the key is handed out again changes nothing: the failure
        has been counted.

        Args:
            at_least: seconds; the delay is not shorter (what a server's `Retry-After` asked for).

        Returns:
            The delay in seconds; 0 if the queue is shut down or the failure was counted before.
        """
        if self._shut_down or key in self._backed_off:
            return 0.0
        self._backed_off.add(key)
        delay = max(self._limiter.when(key), at_least)
        self.add(key, after=delay, priority=priority)
        return delay

    def add_threadsafe(self, key: K, *, after: float = 0.0, priority: int = 0) -> None:
        """Like `add`, from any thread. The delay starts when the loop sees the call."""
        self._loop.call_soon_threadsafe(lambda: self.add(key, after=after, priority=priority))

    def forget(self, key: K) -> None:
        """Start the back-off of `key` anew with its next failure. Does not touch what is queued."""
        self._limiter.forget(key)

    def retries(self, key: K) -> int:
        """Return how many failures of `key` in a row are counted."""
        return self._limiter.retries(key)

    # Taking

    async def get(self) -> Item[K]:
        """Wait for the next key and hand it out; the caller must call `done` for it, whatever happens.

        Does not suspend if a key is due. If cancelled, no key is lost.

        Raises:
            QueueShutDown: the queue is shut down and no key will come any more.
        """
        while True:
            item = self._take()
            if item is not None:
                return item
            if self._shut_down and not self._queued:
                raise QueueShutDown(self.name)
            await self._wait()

    def done(self, key: K) -> None:
        """Say that the work on `key` has ended. If it was added meanwhile, it is queued now.

        Raises:
            ValueError: the key was not handed out.
        """
        item = self._items.get(key)
        if item is None or item._started is None:
            msg = f"done({key!r}), but this key is not in work"
            raise ValueError(msg)
        self._work_duration.observe(self._now() - item._started)
        self._in_work -= 1
        again = item._again
        if again is not None:
            self._items[key] = again
            self._push(again)
            return
        del self._items[key]
        if self._shut_down:
            self._notice_end()

    # Ending

    @property
    def shutting_down(self) -> bool:
        return self._shut_down

    def shutdown(self, *, discard: bool = False) -> None:
        """Take no more keys. Idempotent.

        Delayed keys are dropped: their time will not come. Queued ones are still handed out unless `discard` is set.
        """
        self._shut_down = True
        self._delayed.clear()
        self._drop_stale_slots()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if discard:
            self._discard_queued()
        self._notice_end()

    async def drain(self) -> None:
        """Shut down and wait until all queued keys were handed out and are done.

        Wrap it in `asyncio.timeout` to bound it; a cancelled `drain` leaves the queue shut down.
        """
        self.shutdown()
        await self._empty.wait()

    def statistics(self) -> QueueStatistics:
        """Return a snapshot. Counting the depth by priority is linear in the number of queued keys."""
        now = self._now()
        ages = [now - item._started for item in self._items.values() if item._started is not None]
        due = (item if item._started is None else item._again for item in self._items.values())
        return QueueStatistics(
            depth=dict(Counter(item.priority for item in due if item is not None)),
            delayed=len(self._delayed),
            processing=self._in_work,
            waiters=len(self._waiters),
            adds=self._adds,
            retries=self._retries,
            unfinished=sum(ages),
            longest_running=max(ages, default=0.0),
            queue_duration=self._queue_duration,
            work_duration=self._work_duration,
        )

    # State transitions

    def _enqueue(self, item: Item[K]) -> None:
        """Make a key due that is neither queued nor delayed."""
        self._adds += 1
        self._queued += 1
        current = self._items.setdefault(item.key, item)
        if current is item:
            self._push(item)
        else:
            current._again = item  # in work: it comes back with done()

    def _push(self, item: Item[K]) -> None:
        level = self._levels.get(item.priority)
        if level is None:
            level = self._new_level(item.priority)
        level.append(item)
        if self._waiters:
            self._wake_one()

    def _raise_priority(self, item: Item[K], priority: int) -> None:
        item.priority = priority
        if self._items[item.key] is item:
            self._push(item)  # its slot in the lower level stays: see the module docstring

    def _take(self) -> Item[K] | None:
        level = self._best_level()
        if level is None:
            return None
        item = level.popleft()
        item._started = now = self._now()
        self._queued -= 1
        self._in_work += 1
        self._queue_duration.observe(now - item.since)
        if self._backed_off:
            self._backed_off.discard(item.key)
        return item

    def _best_level(self) -> deque[Item[K]] | None:
        """Return the level whose head is next, with no stale slot in front."""
        best: deque[Item[K]] | None = None
        best_rank = 0.0
        for priority, level in self._levels.items():
            while level:
                head = level[0]
                if head._started is None:
                    rank = head.since - priority * self._ageing
                    if best is None or rank < best_rank:
                        best, best_rank = level, rank
                    break
                level.popleft()
        return best

    def _new_level(self, priority: int) -> deque[Item[K]]:
        if len(self._levels) >= _MANY_LEVELS:
            self._levels = {other: level for other, level in self._levels.items() if level}
        level = self._levels[priority] = deque()
        return level

    def _discard_queued(self) -> None:
        in_work = {key: item for key, item in self._items.items() if item._started is not None}
        for item in in_work.values():
            item._again = None
        self._items = in_work
        self._levels.clear()
        self._queued = 0

    def _notice_end(self) -> None:
        """After shutdown: if nothing is queued, no waiter will ever get a key; if nothing is in work, all is over."""
        if self._queued:
            return
        while self._waiters:
            self._wake_one()
        if not self._in_work:
            self._empty.set()

    # Delays

    def _add_delayed(self, key: K, deadline: float, priority: int) -> None:
        self._retries += 1
        earlier = self._delayed.get(key)
        if earlier is not None:
            priority = max(priority, earlier.priority)
            if earlier.since <= deadline:
                earlier.priority = priority
                return
        item = Item(key, priority, deadline)  # its time is the loop's until it is due
        self._delayed[key] = item
        tick = _tick_at(deadline, self._loop.time())
        together = self._due.get(tick)
        if together is not None:
            together.append(item)
        else:
            self._due[tick] = [item]
            heappush(self._ticks, tick)
        self._slots += 1
        if self._slots > 2 * len(self._delayed) + _SLACK:
            self._drop_stale_slots()
        self._arm()

    def _drop_stale_slots(self) -> None:
        live = {
            tick: [item for item in together if self._delayed.get(item.key) is item]
            for tick, together in self._due.items()
        }
        self._due = {tick: together for tick, together in live.items() if together}
        self._ticks = sorted(self._due)
        self._slots = len(self._delayed)

    def _arm(self) -> None:
        """Keep the one timer set for the earliest tick, whose slots may all be stale."""
        if not self._ticks:
            return
        tick = self._ticks[0]
        if self._timer is not None:
            if self._timer_at <= tick:
                return
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(tick / _TICKS, self._release_due), tick

    def _release_due(self) -> None:
        self._timer = None
        now, measured = self._loop.time(), self._now()
        while self._ticks and self._ticks[0] / _TICKS <= now:
            together = self._due.pop(heappop(self._ticks))
            self._slots -= len(together)
            for item in together:
                if self._delayed.get(item.key) is item:
                    del self._delayed[item.key]
                    item.since = measured - max(0.0, now - item.since)
                    self._enqueue(item)
        self._arm()

    # Waiting

    async def _wait(self) -> None:
        """Sleep until woken. A wake-up that meets a cancelled waiter is passed on to the next one."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._waiters.remove(waiter)
            else:
                self._wake_one()  # woken and cancelled in the same turn
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
