"""The virtual-time loop jumps over waiting and notices a deadlock."""

from __future__ import annotations

import asyncio
import time

import pytest

from controller_runtime.clock import LoopClock
from controller_runtime.envtest.virtual import Deadlock, run_virtual


async def test_an_hour_takes_no_time() -> None:
    clock, started = LoopClock(epoch=100.0), time.monotonic()
    await asyncio.sleep(3600)
    assert clock.now() == pytest.approx(3700.0)
    assert time.monotonic() - started < 5


async def test_deadlines_fire_in_order() -> None:
    seen: list[str] = []

    async def note(name: str, delay: float) -> None:
        await asyncio.sleep(delay)
        seen.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(note("late", 30))
        group.create_task(note("soon", 10))
        group.create_task(note("between", 20))
    assert seen == ["soon", "between", "late"]


async def test_what_a_deadline_wakes_finds_that_its_time_has_come() -> None:
    """Deadlines this near to each other fire together, also those that rounding has made a little later than the jump."""
    loop = asyncio.get_running_loop()
    late: list[float] = []
    deadlines = [3600.1 + part * 3e-7 for part in range(12)]
    for deadline in deadlines:
        loop.call_at(deadline, lambda deadline=deadline: late.append(loop.time() - deadline))
    await asyncio.sleep(3601)
    assert len(late) == 12
    assert min(late) >= 0.0
    assert max(late) < 1e-4


def test_waiting_for_nothing_is_a_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller_runtime.envtest.virtual._JumpingSelector.patience", 0.01)

    async def wait_for_nothing() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run_virtual(wait_for_nothing())
