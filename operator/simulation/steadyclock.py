"""Wall-clock time that never jumps: what the simulated world runs on.

Pods, stores and leaders live by one time line, and part of it ends up in API objects. So it is wall time by its origin and
the event loop's time by its pace: a correction of the machine's clock cannot make stores silent or claims due.

Concurrency: stateless after construction; for one event loop.
"""

from __future__ import annotations

import asyncio
from typing import Final, final

from controller_runtime.clock import Clock
from controller_runtime.reconcile import Requeue

__all__ = ["SteadyClock", "look_again_at"]

_SHORTEST: Final = 0.001


@final
class SteadyClock:
    """Starts at the time of another clock and goes on with the running loop. To be made inside the loop."""

    def __init__(self, origin: Clock) -> None:
        self._offset = origin.now() - asyncio.get_running_loop().time()

    def now(self) -> float:
        return self._offset + asyncio.get_running_loop().time()


def look_again_at(due: float, now: float) -> Requeue:
    """Ask to be run again when something is due (both in seconds since the epoch).

    Never sooner than in a millisecond: a float of that size is exact to a quarter of a microsecond only, and a shorter
    wait could end just before its time, again and again.
    """
    return Requeue(after=max(due - now, _SHORTEST))
