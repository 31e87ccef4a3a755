"""Wall-clock time that never jumps: what the simulated world runs on.

Pods, stores and leaders live by one time line, and part of it ends up in API objects. So it is wall time by its origin and
the event loop's time by its pace: a correction of the machine's clock cannot make stores silent or claims due.

Concurrency: stateless after construction; for one event loop.
"""

from __future__ import annotations

import asyncio
from typing import final

from controller_runtime.clock import Clock

__all__ = ["SteadyClock"]


@final
class SteadyClock:
    """Starts at the time of another clock and goes on with the running loop. To be made inside the loop."""

    def __init__(self, origin: Clock) -> None:
        self._offset = origin.now() - asyncio.get_running_loop().time()

    def now(self) -> float:
        return self._offset + asyncio.get_running_loop().time()
