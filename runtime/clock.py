"""Wall-clock time as a dependency.

Durations (time-outs, delays, back-off) are measured with the running event loop's `time()` and slept with
`asyncio.sleep`; what a *person* or an API object should see ("2026-11-24T09:00:00Z") comes from a `Clock`. Nothing else
in this project reads the time, so a test that runs on a virtual-time event loop controls all of it.

Concurrency: clocks hold no mutable state; they may be shared between tasks and event loops.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, final, runtime_checkable

__all__ = ["Clock", "LoopClock", "SystemClock"]


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
