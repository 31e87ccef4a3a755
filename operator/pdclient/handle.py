"""One cluster's PD, as reconcilers see it: a client for writes and questions, and a snapshot that a poller keeps fresh.

Guarantees:

- Reading the snapshot costs no request and never waits. It stays readable while PD is away, but then `fresh()` is False,
  and nothing that can't be undone may be decided on it.
- `refresh` and `hurry` return at once and are coalesced; however many reconcilers call them, PD sees one poll.
- Listeners are told which stores changed in a way that matters, and of every store when trust in the snapshot is lost or
  regained. They are called on the loop, after the new state is in place.

Concurrency: use from one event loop. `run` belongs to one owner; everything else is synchronous.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Protocol, final

from controller_runtime.api.resource import ObjectKey
from controller_runtime.clock import Clock
from controller_runtime.reconcile import Logger
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient.client import PDClient
from tikv_operator.pdclient.errors import PDError, PDUnexpectedAnswer, PDUnreachable
from tikv_operator.pdclient.listeners import Listener
from tikv_operator.pdclient.metrics import PDMetrics
from tikv_operator.pdclient.models import Store
from tikv_operator.pdclient.notes import Notes
from tikv_operator.pdclient.poll import take_snapshot
from tikv_operator.pdclient.requester import PDRequester
from tikv_operator.pdclient.schedule import PollSchedule
from tikv_operator.pdclient.snapshot import PDSnapshot, changes, is_continued, member_changes
from tikv_operator.pdclient.standstill import Standstill

__all__ = ["PDHandle", "Renewable"]

_LOST_AFTER: Final = 2  # failed polls in a row until PD counts as unreachable: one may be a leader change
_TICK: Final = (
    0.0001  # seconds: timers may fire so much early, and a rest that is shorter would be waited for in a circle
)
_LONGEST_BACKOFF: Final = 5  # times the busy interval: how often an unreachable PD is looked for


class Renewable(PDRequester, Protocol):
    """A requester whose credentials can change under it."""

    async def renew(self) -> None: ...


@final
class PDHandle:
    """See the module docstring.

    Args:
        cluster: whose PD it is.
        requester: how bytes reach it; renewed now and then, and closed when `run` ends.
        settings: how often to poll, how long to trust.
        listener: hears of changes.
        metrics: of the requests and of the snapshot's age.
        jitter: returns a number in [0, 1).
    """

    def __init__(
        self,
        cluster: ObjectKey,
        requester: Renewable,
        *,
        settings: Settings,
        clock: Clock,
        log: Logger,
        listener: Listener | None = None,
        metrics: PDMetrics | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.cluster = cluster
        self.client = PDClient(requester, timeout=settings.pd_timeout, metrics=metrics, jitter=jitter)
        self._requester = requester
        self._settings = settings
        self._clock = clock
        self._log = log.bind(cluster=str(cluster))
        self._listener = listener
        self._jitter = jitter
        self._schedule = PollSchedule(
            calm=min(settings.pd_poll, settings.pd_max_age / 2),  # or a calm PD would be mistrusted before each poll
            busy=settings.pd_poll_busy,
            busy_for=settings.pd_busy_for,
            longest=min(settings.pd_poll, _LONGEST_BACKOFF * settings.pd_poll_busy),
        )
        self._wake = asyncio.Event()
        self._snapshot: PDSnapshot | None = None
        self._error: PDError | None = None
        self._trusted = False  # what listeners were last told
        self._lost_since: float | None = None
        self._slowly_read: float | None = None
        self._members_wanted = False
        self._members_until = 0.0
        self._notes = Notes()
        self._standstill = Standstill()
        self._closed = False
        self._disconnected = False

    # -- what is known

    @property
    def snapshot(self) -> PDSnapshot | None:
        """The last good look at PD, however old; None before the first."""
        return self._snapshot

    @property
    def error(self) -> PDError | None:
        """Why the last poll failed; None if it succeeded, or none has been made."""
        return self._error

    @property
    def closed(self) -> bool:
        """The Cluster is gone, or has another PD now: get a new handle."""
        return self._closed

    @property
    def disconnected(self) -> bool:
        """`close` has been called."""
        return self._disconnected

    def fresh(self, now: float | None = None) -> bool:
        """Return whether the snapshot may be trusted: PD answers, and the last answer isn't too old.

        Args:
            now: wall-clock seconds; by default the clock's.
        """
        answering = not self._closed and self._schedule.failures < _LOST_AFTER
        return answering and self.age(now) <= self._settings.pd_max_age

    def age(self, now: float | None = None) -> float:
        """Return the snapshot's age in seconds; infinite before the first."""
        if self._snapshot is None:
            return float("inf")
        return max(0.0, (self._clock.now() if now is None else now) - self._snapshot.taken_at)

    def store(self, address: str) -> Store | None:
        """Return the store at `address` (`host:port`), or None if PD knows none, or nothing is known yet."""
        return self._snapshot.stores.get(address) if self._snapshot else None

    def is_evicting(self, store_id: str) -> bool:
        """Return whether PD moves the leaders away from this store, as far as is known."""
        return self._snapshot is not None and store_id in self._snapshot.evicting

    def awaits_eviction(self, store_id: str) -> bool:
        """Return whether no poll has begun and succeeded since a write of ours began or ended this store's eviction."""
        return self._notes.waits(store_id)

    def has_ended_eviction(self, store_id: str) -> bool:
        """Return whether a poll has confirmed that the eviction which a write of ours ended is over."""
        return self._notes.has_ended(store_id)

    @property
    def prepared(self) -> bool:
        """PD has led for long enough to know what it says of leaders and peers, see `PDSnapshot.prepared`."""
        return self._snapshot is not None and self._snapshot.prepared

    # -- what reconcilers ask for

    def refresh(self, *, members: bool = False) -> None:
        """Poll as soon as possible: something that PD does just changed. Returns at once.

        Args:
            members: look at the PD servers, too.
        """
        self._members_wanted = self._members_wanted or members
        self._schedule.refresh()
        self._wake.set()

    def hurry(self, *, members: bool = False) -> None:
        """Poll often for a while (`Settings.pd_busy_for`): something is in motion. Returns at once; call it repeatedly.

        Args:
            members: look at the PD servers, too.
        """
        now = asyncio.get_running_loop().time()
        if members:
            self._members_until = now + self._settings.pd_busy_for
        self._schedule.hurry(now)
        self._wake.set()

    def stuck_evictions(self, after: float, until: float) -> list[str]:
        """Return the stores whose evictions have got no further for between `after` and `until` seconds, the oldest first."""
        return self._standstill.stuck(asyncio.get_running_loop().time(), after=after, until=until)

    def note_eviction_begins(self, store_id: str) -> None:
        """Say that a write of ours is about to begin the eviction of a store's leaders: the end of an earlier one is history."""
        self._notes.begins(store_id)

    def note_evicting(self, store_id: str, evicting: bool) -> None:
        """Say that a write of ours just began (True) or ended the eviction of a store's leaders.

        The snapshot says so at once; a poll that is under way, and may have asked PD before the write, doesn't undo it.
        """
        self._notes.evicting(store_id, evicting)
        if self._snapshot is not None:
            self._snapshot = self._notes.on(self._snapshot)

    def note_labels(self, store_id: str, labels: Mapping[str, str | None]) -> None:
        """Say that a write of ours just set these labels of a store, or (None) removed them. See `note_evicting`."""
        self._notes.labels(store_id, labels)
        if self._snapshot is not None:
            self._snapshot = self._notes.on(self._snapshot)

    # -- the poller

    async def run(self) -> None:
        """Poll until cancelled, then close all connections."""
        try:
            while True:
                await self._pause()
                await self.poll()
        finally:
            await self.close()

    def retire(self) -> None:
        """Stop trusting the snapshot at once; `close` follows. Idempotent."""
        self._closed = True

    async def close(self) -> None:
        """Retire, and close all connections: the client's calls fail from now on. Idempotent."""
        self.retire()
        self._disconnected = True
        await self._requester.close()

    async def poll(self) -> None:
        """Look at PD once. Failure is part of the state, not an error: see `error` and `fresh`."""
        loop = asyncio.get_running_loop()
        self._schedule.started(loop.time())
        self._notes.look_begins()
        try:
            snapshot = await self._take()
        except PDError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - one PD's odd answer must not end the polling of all
            self._log.error("polling pd failed unexpectedly", exc_info=error)
            self._failed(PDUnexpectedAnswer(f"{type(error).__name__}: {error}", endpoint="poll"))
        else:
            self.observe(snapshot)

    async def _take(self) -> PDSnapshot:
        loop = asyncio.get_running_loop()
        started = loop.time()
        slow = self._slow_parts_due(started)
        self._members_wanted = False
        limit = 2 * self._settings.pd_timeout
        try:
            async with asyncio.timeout(limit):
                if slow:
                    await self._requester.renew()
                evicting = self._snapshot.evicting if self._snapshot is not None else frozenset()
                known = None if slow else self._snapshot
                snapshot = await take_snapshot(self.client, self._clock, known=known, evicting=evicting)
                if not slow and self._snapshot is not None and not is_continued(self._snapshot, snapshot):
                    slow = True  # it may be another PD that answers now: its members say which cluster's
                    snapshot = await take_snapshot(self.client, self._clock)
        except TimeoutError:
            msg = f"PD could not be read within {limit:g} s"
            raise PDUnreachable(msg, endpoint="poll", timed_out=True) from None
        if slow:
            self._slowly_read = started
            self._requester.learn(snapshot.members.client_urls)
        return snapshot

    def _slow_parts_due(self, now: float) -> bool:
        """Whether to look, too, at what seldom changes: credentials, configuration and members."""
        if self._slowly_read is None or self._snapshot is None or not self._snapshot.cluster_id:
            return True
        if self._members_wanted or now < self._members_until:
            return True
        return now - self._slowly_read >= self._settings.pd_poll

    def observe(self, snapshot: PDSnapshot) -> None:
        """Take `snapshot` as the newest look at PD, and tell the listeners what changed."""
        now = asyncio.get_running_loop().time()
        old, trusted = self._snapshot, self._trusted and self.fresh()  # it may have aged while a poll dragged on
        new = self._notes.look_succeeds(snapshot)
        self._standstill.look(new, now)
        self._schedule.succeeded(now)
        self._snapshot, self._error, self._trusted = new, None, True
        if self._lost_since is not None:
            self._log.info("pd is reachable again", away_seconds=round(now - self._lost_since, 3))
        elif old is None:
            self._log.info("pd is reachable", cluster_id=new.cluster_id, stores=len(new.stores))
        self._lost_since = None
        if old is None or not trusted:
            self._tell(new.stores.keys() | (old.stores.keys() if old else set()), cluster=True)
        else:
            changed = changes(old, new, ready_regions=self._settings.store_ready_min_regions)
            self._tell(changed, cluster=old.cluster_id != new.cluster_id)
        if self._listener is not None and (members := member_changes(old if trusted else None, new)):
            self._listener.members_changed(self.cluster, members)

    def _failed(self, error: PDError) -> None:
        now = asyncio.get_running_loop().time()
        self._schedule.failed(now, self._jitter())
        self._error = error
        self._slowly_read = None  # it may be another PD that answers next
        if self._schedule.failures == _LOST_AFTER and self._lost_since is None:
            self._lost_since = now
            report = self._log.info if self._snapshot is None else self._log.warning  # a new cluster's PD takes a while
            report("pd is unreachable", endpoint=error.endpoint, error=error.message)
        if self._trusted and not self.fresh():
            self._trusted = False
            self._tell(self._snapshot.stores.keys() if self._snapshot else frozenset(), cluster=True)

    def _tell(self, addresses: AbstractSet[str], *, cluster: bool) -> None:
        if self._listener is None:
            return
        if addresses:
            self._listener.stores_changed(self.cluster, frozenset(addresses))
        if cluster:
            self._listener.cluster_changed(self.cluster)

    async def _pause(self) -> None:
        """Sleep until the next poll is due; refresh() and hurry() can bring that forward meanwhile."""
        loop = asyncio.get_running_loop()
        while (left := self._schedule.due(loop.time()) - loop.time()) > _TICK:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()
