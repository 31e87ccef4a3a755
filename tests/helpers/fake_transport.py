"""An API server of one answer."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from controller_runtime.client.transport import Request, Response, Stream


@dataclass
class FakeTransport:
    """Answers every request with `answer`, or raises it, and remembers what it was asked."""

    answer: Response | Exception = field(default_factory=lambda: Response(200, {}, b"{}"))
    requests: list[Request] = field(default_factory=list)

    async def request(self, request: Request) -> Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        raise NotImplementedError

    async def close(self) -> None:
        raise AssertionError("nobody but its owner closes a transport")
