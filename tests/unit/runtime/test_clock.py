"""Time in virtual time: all kinds of it go together."""

from __future__ import annotations

import asyncio

from controller_runtime.clock import LoopClock, timer


async def test_a_wall_clock_and_a_timer_follow_virtual_time() -> None:
    clock, now = LoopClock(epoch=1000.0), timer()
    wall, began = clock.now(), now()
    await asyncio.sleep(3600)
    assert clock.now() - wall == 3600
    assert now() - began == 3600
