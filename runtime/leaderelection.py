"""Leader election on a Lease: at most one of several processes does the work.

Guarantees:

- Two candidates never believe at the same time that they lead, as long as their clocks run at about the same speed; that
  they show different times does not matter. Expiry is judged by when this process saw the Lease change last; the times in
  the Lease are for people.
- Every attempt is bounded, so that a server that hangs costs an attempt and never the deadline: leadership ends at the latest
  `renew_deadline` seconds after the last renewal that succeeded *was sent*, while others wait for `duration` seconds.
- The Lease is written with its resourceVersion as precondition: of several candidates one wins, the others see a conflict.
- `release` must be called only when all work of a leader is known to have stopped.

`LeaseState` decides in plain synchronous code; `LeaderElector` is the thin shell that talks and sleeps.

Concurrency: one event loop; `acquire`, `hold` and `release` are called one after another by one owner. Cancelling `acquire` or
`hold` leaves the Lease as it is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, final

from controller_runtime.api.time import format_micro_time
from controller_runtime.client.errors import AlreadyExists, ClientError, Conflict, NotFound
from controller_runtime.clock import Clock
from controller_runtime.reconcile import Logger

__all__ = ["LeaderElectionLost", "LeaderElector", "LeaseLock", "LeaseRecord", "LeaseState", "LeaseTimings"]


class LeaderElectionLost(Exception):
    """The lease could not be renewed in time, or somebody else holds it: all work of a leader must stop at once."""


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """Seconds.

    Attributes:
        duration: how long others wait after they saw the last renewal.
        renew_deadline: how long the leader tries to renew before it gives up. The rest of `duration` is left for stopping.
        retry_period: between two attempts. A candidate looks twice as often whether the lease is free: one GET, so that
            with the default a lease that was given back is taken in little more than a second.

    Raises:
        ValueError: they do not leave a safe margin.
    """

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    def __post_init__(self) -> None:
        if not (self.duration > self.renew_deadline > 1.2 * self.retry_period > 0):
            msg = f"a lease needs duration > renew_deadline > 1.2 * retry_period > 0, not {self}"
            raise ValueError(msg)

    @property
    def attempt(self) -> float:
        """How long one attempt may take."""
        return min(max(1.0, self.renew_deadline / 2), self.renew_deadline)

    def look(self, uniform: float) -> float:
        """How long a candidate waits until it looks again at a lease that somebody holds; `uniform` is in [0, 1)."""
        return self.retry_period / 2 * (1.0 + 0.2 * uniform)

    def pause(self, left: float) -> float:
        """How long to wait before the next attempt at a renewal, with `left` until the deadline: near the end, less."""
        if left <= self.retry_period / 5:
            return max(0.0, left)
        return min(self.retry_period, left / 2)


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a Lease says. `version` is its resourceVersion and no part of the contents."""

    holder: str
    duration: float
    acquire_time: str = ""
    renew_time: str = ""
    transitions: int = 0
    version: str = ""

    def same_contents(self, other: LeaseRecord | None) -> bool:
        return other is not None and replace(self, version="") == replace(other, version="")


class LeaseLock(Protocol):
    """Where the record is kept. Raises the errors of `controller_runtime.client.errors`."""

    @property
    def name(self) -> str: ...

    async def read(self) -> LeaseRecord | None: ...

    async def create(self, record: LeaseRecord) -> LeaseRecord:
        """Raises AlreadyExists if there is one."""
        ...

    async def update(self, record: LeaseRecord) -> LeaseRecord:
        """Raises Conflict if the stored version is not `record.version`, NotFound if there is none."""
        ...


@final
class LeaseState:
    """What one candidate knows, and what it should do next. All times are loop seconds but the texts in the record."""

    def __init__(self, identity: str, timings: LeaseTimings) -> None:
        if not identity:
            msg = "the identity of a candidate is empty"
            raise ValueError(msg)
        self._identity = identity
        self._timings = timings
        self._record: LeaseRecord | None = None
        self._seen_at = 0.0
        self._missing = True
        self._renewed_at: float | None = None

    @property
    def holder(self) -> str:
        """Who holds the lease, as far as this candidate knows; empty if nobody does."""
        return self._record.holder if self._record else ""

    @property
    def leading(self) -> bool:
        """This candidate has won and has not given up. Whether it may still work depends on `give_up_at`."""
        return self._renewed_at is not None

    @property
    def give_up_at(self) -> float:
        """When leadership ends unless it is renewed; only while `leading`."""
        if self._renewed_at is None:
            msg = "not leading"
            raise RuntimeError(msg)
        return self._renewed_at + self._timings.renew_deadline

    def read(self, record: LeaseRecord | None, now: float) -> None:
        """Take note of what was read, `now` being the time after the answer came."""
        self._missing = record is None
        if record is None:
            return  # somebody deleted it; its holder works on until it notices, so the last record still counts
        if not record.same_contents(self._record):
            self._seen_at = now
        self._record = record

    def wrote(self, record: LeaseRecord, sent_at: float) -> None:
        """Take note of our own successful write: leadership counts from before it was sent."""
        self._record, self._missing = record, False
        self._seen_at = self._renewed_at = sent_at

    def resign(self) -> None:
        """Stop considering this candidate the leader."""
        self._renewed_at = None

    def taken_by_other(self) -> bool:
        return bool(self.holder) and self.holder != self._identity

    def next_record(self, now: float, wall: float) -> LeaseRecord | None:
        """Return the record to write in order to lead, or None while somebody else holds a lease that has not expired.

        A record without a version has to be created.
        """
        current, text = self._record, format_micro_time(wall)
        if current is not None and self.taken_by_other() and now < self._seen_at + current.duration:
            return None
        if current is None or self._missing:
            return LeaseRecord(self._identity, self._timings.duration, text, text)
        mine = current.holder == self._identity
        return LeaseRecord(
            self._identity,
            self._timings.duration,
            current.acquire_time if mine else text,
            text,
            current.transitions + (not mine),
            current.version,
        )

    def released_record(self, wall: float) -> LeaseRecord | None:
        """Return the record that gives the lease back, or None if it is not ours."""
        if self._record is None or self._missing or self._record.holder != self._identity:
            return None
        text = format_micro_time(wall)
        return replace(self._record, holder="", duration=1.0, acquire_time=text, renew_time=text)


@final
class LeaderElector:
    """See the module docstring.

    Args:
        lock: where the record is kept.
        identity: of this candidate, unique among all.
        on_change: called with True when leadership begins and False when it ends (for metrics).
        uniform: a source of numbers in [0, 1), for the jitter between attempts.
    """

    def __init__(
        self,
        lock: LeaseLock,
        identity: str,
        *,
        clock: Clock,
        log: Logger,
        timings: LeaseTimings | None = None,
        on_change: Callable[[bool], None] | None = None,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self.identity = identity
        self._lock = lock
        self._clock = clock
        self._timings = timings or LeaseTimings()
        self._state = LeaseState(identity, self._timings)
        self._log = log.bind(lease=lock.name, identity=identity)
        self._on_change = on_change or (lambda _: None)
        self._uniform = uniform
        self._reported_holder = ""
        self._reported_error = ""

    def __repr__(self) -> str:
        role = "leading" if self._state.leading else f"following {self._state.holder or 'nobody'}"
        return f"<LeaderElector {self._lock.name} {self.identity} {role}>"

    @property
    def holder(self) -> str:
        """Who leads, as far as this candidate knows."""
        return self._state.holder

    def is_leader(self) -> bool:
        """Whether this candidate leads, and its lease is valid at this moment."""
        return self._state.leading and asyncio.get_running_loop().time() < self._state.give_up_at

    async def acquire(self) -> None:
        """Try until this candidate leads."""
        while True:
            if await self._attempt(self._timings.attempt):
                break
            pause = self._timings.look(self._uniform())
            await asyncio.sleep(2 * pause if self._reported_error else pause)  # a server in trouble is spared
        self._log.info("Became leader")
        self._on_change(True)

    async def hold(self) -> None:
        """Renew the lease for as long as that works.

        Raises:
            LeaderElectionLost: it did not work in time.
        """
        loop = asyncio.get_running_loop()
        state = self._state
        try:
            while True:
                await asyncio.sleep(self._timings.pause(state.give_up_at - loop.time()))
                left = state.give_up_at - loop.time()
                if left > 0:
                    await self._attempt(min(self._timings.attempt, left))
                if state.taken_by_other():
                    msg = f"leader election lost: {state.holder} holds the lease {self._lock.name}"
                    raise LeaderElectionLost(msg)
                if loop.time() >= state.give_up_at:
                    msg = (
                        f"leader election lost: no renewal of {self._lock.name} for {self._timings.renew_deadline:g} s"
                    )
                    raise LeaderElectionLost(msg)
        finally:
            # Whatever ends this, nobody renews any more.
            state.resign()
            self._on_change(False)

    async def release(self) -> None:
        """Give the lease back, so that another candidate need not wait. Only when all work has stopped.

        Does nothing if this candidate does not hold it. Never raises an API error: the lease expires by itself.
        """
        self._state.resign()
        try:
            async with asyncio.timeout(self._timings.attempt):
                while True:
                    if await self._try_release():
                        return
                    await asyncio.sleep(self._timings.retry_period / 10)
        except (ClientError, TimeoutError) as error:
            self._log.warning("Lease not released, it will expire", error=_describe(error))

    async def _try_release(self) -> bool:
        self._state.read(await self._lock.read(), asyncio.get_running_loop().time())
        record = self._state.released_record(self._clock.now())
        if record is None:
            return True
        try:
            self._state.read(await self._lock.update(record), asyncio.get_running_loop().time())
        except Conflict:
            return False
        self._log.info("Lease released")
        return True

    async def _attempt(self, limit: float) -> bool:
        """Try once to get or renew the lease, for at most `limit` seconds."""
        try:
            async with asyncio.timeout(limit):
                won = await self._try()
        except (Conflict, AlreadyExists):
            won = False  # somebody else was faster
        except (ClientError, TimeoutError) as error:
            self._report_error(_describe(error))
            won = False
        else:
            self._reported_error = ""
        self._report_holder()
        return won

    async def _try(self) -> bool:
        state, loop = self._state, asyncio.get_running_loop()
        if state.leading and await self._renew():
            return True
        state.read(await self._lock.read(), loop.time())
        sent_at = loop.time()
        record = state.next_record(sent_at, self._clock.now())
        if record is None:
            return False
        written = await (self._lock.update(record) if record.version else self._lock.create(record))
        state.wrote(written, sent_at)
        return True

    async def _renew(self) -> bool:
        """Write without reading first: the usual case, one request."""
        sent_at = asyncio.get_running_loop().time()
        record = self._state.next_record(sent_at, self._clock.now())
        if record is None or not record.version:
            return False
        try:
            written = await self._lock.update(record)
        except (Conflict, NotFound):
            return False
        self._state.wrote(written, sent_at)
        return True

    def _report_holder(self) -> None:
        if self._state.holder != self._reported_holder:
            self._reported_holder = self._state.holder
            self._log.info("Leader", holder=self._state.holder or "nobody")

    def _report_error(self, text: str) -> None:
        if text != self._reported_error:
            self._reported_error = text
            self._log.warning("Lease could not be read or written", error=text)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
