"""Reading a watch as time passes: the one asynchronous part that both fronts share.

Concurrency: an `OpenWatch` is read by one task. It holds no task of its own; closing it (always) forgets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, final

from controller_runtime.envtest.answers import WatchAnswer
from controller_runtime.envtest.attributes import Attributes

__all__ = ["BOOKMARK_EVERY", "ConnectionDropped", "OpenWatch", "OpenWatches"]

BOOKMARK_EVERY: Final = 60.0


class ConnectionDropped(Exception):
    """The client is to find its connection reset: a fault, or the server is away."""


@final
class OpenWatch:
    """One watch that is being read.

    Args:
        answer: the watch, and for how long.
        request: what asked for it.
    """

    def __init__(self, answer: WatchAnswer, request: Attributes) -> None:
        loop = asyncio.get_running_loop()
        self.request = request
        self._watch = answer.watch
        self._bookmarks = answer.bookmarks
        self._deadline = loop.time() + answer.timeout
        self._next_bookmark = loop.time() + BOOKMARK_EVERY
        self._wake = asyncio.Event()
        self._done = False
        self._dropped = False
        self._held = self._silent = 0
        self._watch.listen(self._wake.set)

    async def read(self) -> list[bytes]:
        """Wait for the next lines; an empty list is the end.

        The watch ends at its timeout (with a last bookmark, if wanted), after an error line, or when it is stopped.

        Raises:
            ConnectionDropped: the watch was reset.
        """
        loop = asyncio.get_running_loop()
        while not self._done:
            self._wake.clear()
            if self._silent:
                await self._wake.wait()
                continue
            lines = self._watch.pull(news=not self._held)
            if self._watch.ended:
                self._done = True
                return lines
            if lines:
                return lines
            now = loop.time()
            bookmarks = self._bookmarks and not self._held
            if now >= self._deadline:
                self._done = True
                return [self._watch.bookmark()] if bookmarks else []
            if bookmarks and now >= self._next_bookmark:
                self._next_bookmark = now + BOOKMARK_EVERY
                return [self._watch.bookmark()]
            await self._wait_until(min(self._deadline, self._next_bookmark) if bookmarks else self._deadline)
        if self._dropped:
            raise ConnectionDropped
        return []

    async def _wait_until(self, due: float) -> None:
        try:
            async with asyncio.timeout_at(due):
                await self._wake.wait()
        except TimeoutError:
            return  # it is time for a bookmark or the end

    def hold(self, *, silent: bool) -> Callable[[], None]:
        """Tell nothing new until the returned function is called once; with `silent` nothing at all, not even an end."""
        self._held += 1
        self._silent += silent

        def release() -> None:
            self._held -= 1
            self._silent -= silent
            self._wake.set()

        return release

    def stop(self) -> None:
        """End the watch now, without a last bookmark."""
        self._done = True
        self._wake.set()

    def expire(self) -> None:
        """End the watch with the error 410."""
        self._watch.expire()
        self._wake.set()

    def reset(self) -> None:
        """Break the connection."""
        self._dropped = True
        self.stop()

    def close(self) -> None:
        """Forget the watch. Idempotent."""
        self.stop()
        self._watch.unlisten(self._wake.set)


class OpenWatches:
    """All watches that are being read, in the order in which they were opened."""

    def __init__(self) -> None:
        self._open: dict[OpenWatch, None] = {}

    def open(self, answer: WatchAnswer, request: Attributes) -> OpenWatch:
        watch = OpenWatch(answer, request)
        self._open[watch] = None
        return watch

    def close(self, watch: OpenWatch) -> None:
        watch.close()
        self._open.pop(watch, None)

    def stop(self) -> None:
        for watch in self._open:
            watch.stop()

    def __iter__(self) -> Iterator[OpenWatch]:
        return iter(list(self._open))

    def __len__(self) -> int:
        return len(self._open)
