"""Groups of runnables: start, failure, and an end that is certain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from controller_runtime.runnables import Grace, RunnableGroup, name_of
from helpers.recording_log import RecordingLog


class Job:
    """Runs until cancelled; takes its time to clean up."""

    def __init__(self, name: str, diary: list[str], *, cleaning: float = 0.0) -> None:
        self.name = name
        self.diary = diary
        self.cleaning = cleaning

    async def run(self) -> None:
        self.diary.append(f"{self.name} starts")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(self.cleaning)
            self.diary.append(f"{self.name} ends")


class PoliteJob(Job):
    """Ends by itself some time after it was asked to."""

    def __init__(self, name: str, diary: list[str], *, needs: float) -> None:
        super().__init__(name, diary)
        self.needs = needs
        self.asked = asyncio.Event()

    def stop(self) -> None:
        self.diary.append(f"{self.name} asked")
        self.asked.set()

    async def run(self) -> None:
        self.diary.append(f"{self.name} starts")
        try:
            await self.asked.wait()
            await asyncio.sleep(self.needs)
            self.diary.append(f"{self.name} finishes")
        except asyncio.CancelledError:
            self.diary.append(f"{self.name} cancelled")
            raise


class FailingJob(Job):
    async def run(self) -> None:
        raise RuntimeError(self.name)


class StubbornJob(Job):
    """Ignores its first cancellations: what no runnable should do."""

    async def run(self) -> None:
        end = asyncio.get_running_loop().time() + 60
        while (now := asyncio.get_running_loop().time()) < end:
            try:
                await asyncio.sleep(end - now)
            except asyncio.CancelledError:
                continue


class Bench:
    def __init__(self) -> None:
        self.diary: list[str] = []
        self.failures: list[str] = []
        self.log = RecordingLog()
        self.group = RunnableGroup(
            "group", self.log, lambda who, error: self.failures.append(f"{name_of(who)}: {error}")
        )


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.group.stop(Grace(0))


async def test_runnables_start_with_the_group_or_at_once_when_it_has_started(bench: Bench) -> None:
    bench.group.add(Job("early", bench.diary))
    await asyncio.sleep(1)
    assert bench.diary == []
    bench.group.start()
    bench.group.start()
    await asyncio.sleep(1)
    assert bench.diary == ["early starts"]
    bench.group.add(Job("late", bench.diary))
    await asyncio.sleep(1)
    assert bench.diary == ["early starts", "late starts"]
    assert bench.group.running == ["early", "late"]


async def test_those_that_warm_up_start_before_the_group(bench: Bench) -> None:
    early, ordinary, late = (Job(name, bench.diary) for name in ("early", "ordinary", "late"))
    early.warm_up = late.warm_up = True  # type: ignore[attr-defined]
    bench.group.add(ordinary)
    bench.group.add(early)
    bench.group.warm_up()
    bench.group.warm_up()
    await asyncio.sleep(1)
    assert bench.diary == ["early starts"]
    bench.group.add(late)
    await asyncio.sleep(1)
    assert bench.diary == ["early starts", "late starts"]
    bench.group.start()
    await asyncio.sleep(1)
    assert bench.diary == ["early starts", "late starts", "ordinary starts"]
    await bench.group.stop_to_start_again()
    bench.diary.clear()
    bench.group.warm_up()
    await asyncio.sleep(1)
    assert bench.diary == ["early starts", "late starts"]


async def test_nothing_can_be_added_or_started_after_stop(bench: Bench) -> None:
    bench.group.add(Job("waiting", bench.diary))
    await bench.group.stop(Grace(10))
    bench.group.warm_up()
    bench.group.start()
    with pytest.raises(RuntimeError, match="late cannot be added any more"):
        bench.group.add(Job("late", bench.diary))
    await asyncio.sleep(1)
    assert bench.diary == []


async def test_stop_asks_politely_first_and_cancels_what_they_use_afterwards(bench: Bench) -> None:
    bench.group.add(Job("client", bench.diary))
    bench.group.add(PoliteJob("controller", bench.diary, needs=5))
    bench.group.start()
    await asyncio.sleep(0)
    late = await bench.group.stop(Grace(30))
    assert late == []
    assert bench.diary[2:] == ["controller asked", "controller finishes", "client ends"]
    assert asyncio.get_running_loop().time() == pytest.approx(5)


async def test_the_grace_period_is_an_upper_bound(bench: Bench) -> None:
    bench.group.add(PoliteJob("slow", bench.diary, needs=100))
    bench.group.add(PoliteJob("quick", bench.diary, needs=1))
    bench.group.start()
    await asyncio.sleep(0)
    assert await bench.group.stop(Grace(30)) == ["slow"]
    assert bench.diary[-1] == "slow cancelled"
    assert asyncio.get_running_loop().time() == pytest.approx(30)


async def test_a_grace_period_can_end_early(bench: Bench) -> None:
    bench.group.add(PoliteJob("slow", bench.diary, needs=100))
    bench.group.start()
    grace = Grace(None)
    asyncio.get_running_loop().call_later(3, grace.end)
    await asyncio.sleep(0)
    assert await bench.group.stop(grace) == ["slow"]
    assert asyncio.get_running_loop().time() == pytest.approx(3)


async def test_clean_up_after_a_cancellation_is_waited_for(bench: Bench) -> None:
    bench.group.add(Job("careful", bench.diary, cleaning=2))
    bench.group.start()
    await asyncio.sleep(0)
    assert await bench.group.stop(Grace(0)) == []
    assert bench.diary == ["careful starts", "careful ends"]


async def test_a_failure_is_reported_once(bench: Bench) -> None:
    bench.group.add(FailingJob("bad", bench.diary))
    bench.group.start()
    await asyncio.sleep(1)
    assert bench.failures == ["bad: bad"]
    assert bench.group.running == []


async def test_a_runnable_that_ignores_its_cancellation_is_named() -> None:
    bench = Bench()
    bench.group.add(StubbornJob("stubborn", bench.diary))
    bench.group.start()
    await asyncio.sleep(0)
    assert await bench.group.stop(Grace(0)) == ["stubborn"]
    assert bench.group.running == ["stubborn"]
    assert bench.log.only("Runnables ignore their cancellation")["runnables"] == ["stubborn"]
    await asyncio.sleep(60)
    assert bench.group.running == []


async def test_a_group_can_be_made_ready_to_start_again(bench: Bench) -> None:
    bench.group.add(Job("again", bench.diary))
    bench.group.start()
    await asyncio.sleep(0)
    await bench.group.stop_to_start_again()
    assert bench.group.running == []
    bench.group.start()
    await asyncio.sleep(0)
    assert bench.diary == ["again starts", "again ends", "again starts"]
