"""Candidates for a lease, and random worlds of them: "never two leaders" as something that can be run ten thousand times."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from controller_runtime.clock import Clock, LoopClock
from controller_runtime.leaderelection import LeaderElectionLost, LeaderElector, LeaseTimings
from helpers.fake_lease import Behaviour, FakeLease, FakeLock
from helpers.recording_log import RecordingLog

TIMINGS = (LeaseTimings(), LeaseTimings(), LeaseTimings(6.0, 4.0, 1.0), LeaseTimings(30.0, 20.0, 5.0))
MOODS = ("ok", "ok", "ok", "hang", "refuse", "lose", "slow")


class Candidate:
    """An elector that works while it leads, and stops working when it is told to."""

    def __init__(
        self,
        lock: FakeLock,
        name: str,
        *,
        clock: Clock | None = None,
        timings: LeaseTimings | None = None,
        uniform: Callable[[], float] = lambda: 0.0,
        stopping: Callable[[], float] = lambda: 0.0,
        on_work: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.log = RecordingLog()
        self.changes: list[bool] = []
        self.elector = LeaderElector(
            lock,
            name,
            clock=clock or LoopClock(),
            log=self.log,
            timings=timings,
            on_change=self.changes.append,
            uniform=uniform,
        )
        self.working = False
        self.lost_at: float | None = None
        self._stopping = stopping
        self._on_work = on_work

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        await self.elector.acquire()
        self.working = True
        self._on_work(True)
        try:
            await self.elector.hold()
        except LeaderElectionLost:
            self.lost_at = loop.time()
            await asyncio.sleep(self._stopping())
            raise
        finally:
            self.working = False
            self._on_work(False)


@dataclass
class LeaseHistory:
    """What happened in a world: how often somebody began to lead, lost the lease, and gave it back."""

    led: int = 0
    lost: int = 0
    released: int = 0
    working: set[str] = field(default_factory=set)


async def lease_world(seed: int, *, seconds: float = 400.0) -> LeaseHistory:
    """Let three candidates come, go and come back, each with its own way to a server in changing moods.

    Their wall clocks differ by hours; a loser takes almost the whole margin (duration - renew_deadline) to stop its work;
    requests hang, fail, take effect without an answer, or long after their sender has given up. Run it in virtual time.

    Raises:
        AssertionError: two candidates work at the same time; the message names the seed.
    """
    chance = random.Random(seed)
    timings = chance.choice(TIMINGS)
    lease, history = FakeLease(), LeaseHistory()
    locks: list[FakeLock] = []

    async def life(number: int) -> None:
        clock = LoopClock(epoch=chance.uniform(-5000, 5000) + 1e9)
        for generation in range(1_000_000):
            lock = lease.lock(_moods(chance), delay=lambda: chance.choice([0.0, 0.0, 0.01, 0.5, 3.0]))
            locks.append(lock)
            candidate = Candidate(
                lock,
                f"candidate-{number}.{generation}",
                clock=clock,
                timings=timings,
                uniform=chance.random,
                stopping=lambda: chance.uniform(0, timings.duration - timings.renew_deadline - 0.1),
                on_work=_watch(history, f"candidate-{number}.{generation}", seed),
            )
            try:
                async with asyncio.timeout(chance.uniform(10, 120)):
                    await candidate.run()
            except TimeoutError:
                pass  # its end has come; whether it led or not
            except LeaderElectionLost:
                history.lost += 1
            if chance.random() < 0.5:
                history.released += lease.record is not None and lease.record.holder == candidate.elector.identity
                await candidate.elector.release()
            await asyncio.sleep(chance.uniform(0, 10))

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(life(number))
    late = [task for lock in locks for task in lock.late]
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return history


def _moods(chance: random.Random) -> Behaviour:
    """A server that is in one mood for a while, then in another."""
    until, mood = 0.0, "ok"

    def behaviour(_: str) -> str:
        nonlocal until, mood
        now = asyncio.get_running_loop().time()
        if now >= until:
            until, mood = now + chance.uniform(0, 20), chance.choice(MOODS)
        return mood

    return behaviour


def _watch(history: LeaseHistory, name: str, seed: int) -> Callable[[bool], None]:
    def on_work(works: bool) -> None:
        (history.working.add if works else history.working.discard)(name)
        history.led += works
        now = asyncio.get_running_loop().time()
        assert len(history.working) <= 1, f"{history.working} work at the same time (seed {seed}, at {now:g} s)"

    return on_work
