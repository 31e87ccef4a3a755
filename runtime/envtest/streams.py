"""Reading a watch as time passes: the one asynchronous part that both fronts share.

Concurrency: an `OpenWatch` is read by one task. It holds no task of its own; closing it (always) forgets it.
"""

from __future__ import annotations

import asyncio
from typing import Final, final

from controller_runtime.envtest.answers import WatchAnswer

__all__ = ["BOOKMARK_EVERY", "OpenWatch", "OpenWatches"]

BOOKMARK_EVERY: Final = 60.0


@final
class OpenWatch:
    """One watch that is being read."""

    def __init__(self, answer: WatchAnswer) -> None:
        loop = asyncio.get_running_loop()
        self._watch = answer.watch
        self._bookmarks = answer.bookmarks
        self._deadline = loop.time() + answer.timeout
        self._next_bookmark = loop.time() + BOOKMARK_EVERY
        self._wake = asyncio.Event()
        self._done = False
        self._watch.listen(self._wake.set)

    async def read(self) -> list[bytes]:
        """Wait for the next lines; an empty list is the end.

        The watch ends at its timeout (with a last bookmark, if wanted), after an error line, or when it is stopped.
        """
        loop = asyncio.get_running_loop()
        while not self._done:
            self._wake.clear()
            lines = self._watch.pull()
            if self._watch.ended:
                self._done = True
                return lines
            if lines:
                return lines
            now = loop.time()
            if now >= self._deadline:
                self._done = True
                return [self._watch.bookmark()] if self._bookmarks else []
            if self._bookmarks and now >= self._next_bookmark:
                self._next_bookmark = now + BOOKMARK_EVERY
                return [self._watch.bookmark()]
            due = min(self._deadline, self._next_bookmark) if self._bookmarks else self._deadline
            await self._wait_until(due)
        return []

    async def _wait_until(self, due: float) -> None:
        try:
            async with asyncio.timeout_at(due):
                await self._wake.wait()
        except TimeoutError:
            return  # it is time for a bookmark or the end

    def stop(self) -> None:
        """End the watch now, without a last bookmark."""
        self._done = True
        self._wake.set()

    def close(self) -> None:
        """Forget the watch. Idempotent."""
        self.stop()
        self._watch.unlisten(self._wake.set)


class OpenWatches:
    """All watches that are being read, so that the server can end them when it stops."""

    def __init__(self) -> None:
        self._open: set[OpenWatch] = set()

    def open(self, answer: WatchAnswer) -> OpenWatch:
        watch = OpenWatch(answer)
        self._open.add(watch)
        return watch

    def close(self, watch: OpenWatch) -> None:
        watch.close()
        self._open.discard(watch)

    def stop(self) -> None:
        for watch in self._open:
            watch.stop()

    def __len__(self) -> int:
        return len(self._open)
