"""A transport that remembers what went through it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from controller_runtime.client import Request, Response, Stream, Transport


class RecordedTransport:
    """Passes everything on.

    Attributes:
        requests: method and path of each request, without watches.
        watched: the path of each watch.
        watcher: called with each request before it is passed on; what it raises comes instead of an answer.
    """

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.requests: list[tuple[str, str]] = []
        self.watched: list[str] = []
        self.watcher: Callable[[Request], None] | None = None

    async def request(self, request: Request) -> Response:
        self.requests.append((request.method, request.path))
        if self.watcher is not None:
            self.watcher(request)
        return await self.inner.request(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        self.watched.append(request.path)
        return self.inner.stream(request)

    async def close(self) -> None:
        """The transport stays open: it is shared."""

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Requests that could change something in the API server (PD's are elsewhere)."""
        return [(method, path) for method, path in self.requests if method != "GET" and "/proxy/" not in path]

    @property
    def to_pd(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.requests if "/proxy/" in path]
