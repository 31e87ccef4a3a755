"""Turns: how many informers may read their whole collection at the same time.

A list of a large kind costs the server and this process memory, for as long as it takes. A limit keeps the start of a
process with many kinds, and the moment after a server's restart, from becoming a burst.
"""

from __future__ import annotations

import asyncio
from typing import final

__all__ = ["Turn"]


@final
class Turn:
    """One informer's place in the queue; it has its turn or not. For one event loop.

    Args:
        places: shared by all turns.
    """

    __slots__ = ("_has", "_places")

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._has = False

    async def take(self) -> None:
        """Wait for the turn, unless it is there already. Cancellation leaves the place to others."""
        if not self._has:
            await self._places.acquire()
            self._has = True

    def give_back(self) -> None:
        """Let the next one read. Idempotent."""
        if self._has:
            self._has = False
            self._places.release()
