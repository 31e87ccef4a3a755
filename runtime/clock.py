"""Time as a dependency: three kinds of it, and a test that runs on a virtual-time event loop controls them all.

- Deadlines, delays and back-off follow the running event loop's `time()` and are slept with `asyncio.sleep`.
- What a *person* or an API object should see ("2026-11-24T09:00:00Z") comes from a `Clock`.
- How long something took, for metrics and reports, is measured with a `timer`: event loops tell time coarsely.

Nothing else in this project reads the time.

Concurrency: clocks hold no mutable state; they may be shared between tasks and event loops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, final, runtime_checkable

__all__ = ["Clock", "LoopClock", "SystemClock", "timer"]


@runtime_checkable
class Clock(Protocol):
    """A source of wall-clock time."""

    def now(self) -> float:
        """Return the time in seconds since the Unix epoch, in UTC."""
        ...


@final
class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def __repr__(self) -> str:
        return "<SystemClock>"


@final
class LoopClock:
    """A wall clock that is driven by the running event loop's time: the clock of virtual-time tests.

    Args:
        epoch: the wall-clock time, in seconds since the Unix epoch, at loop time 0.
    """

    def __init__(self, epoch: float = 1_767_225_600.0) -> None:
        self._epoch = epoch

    def now(self) -> float:
        return self._epoch + asyncio.get_running_loop().time()

    def __repr__(self) -> str:
        return f"<LoopClock epoch={self._epoch}>"


def timer() -> Callable[[], float]:
    """Return the function that measures durations inside the running event loop, by differences, in seconds.

    uvloop's own time is a whole number of milliseconds and stands still during one turn of the loop: most tasks would take
    no time at all. A loop whose time is virtual says so (`virtual_time`), and its time is the only one there is.
    """
    loop = asyncio.get_running_loop()
    return loop.time if getattr(loop, "virtual_time", False) else time.perf_counter
