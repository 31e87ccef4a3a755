"""Notes every write that passes through a transport, and tells afterwards which of them changed nothing.

Each version of an object is made by one write. A write that is answered with a version that another one has made already
has changed nothing, neither has one that was refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, final

import msgspec

from controller_runtime.client import Request, Response, Stream, Transport

__all__ = ["Recorder", "Write", "without_effect"]

_WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_REVIEWS: Final = ("/apis/authentication.k8s.io/", "/apis/authorization.k8s.io/")


class Write(NamedTuple):
    """One write that was answered.

    Attributes:
        sent, answered: nanoseconds since the epoch.
        version: of the object in the answer; empty if there is none.
        gone: the object is not there any more.
        size: bytes of the request's body.
    """

    sent: int
    answered: int
    method: str
    path: str
    status: int
    version: str
    gone: bool
    size: int


class _Metadata(msgspec.Struct):
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    deletion: str | None = msgspec.field(name="deletionTimestamp", default=None)
    grace: int | None = msgspec.field(name="deletionGracePeriodSeconds", default=None)
    finalizers: list[str] | None = None


class _Answer(msgspec.Struct):
    kind: str = ""
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


_decoder: Final = msgspec.json.Decoder(_Answer)


@final
class Recorder:
    """A `Transport` in front of another one.

    Attributes:
        writes: all writes that were answered so far, in the order of their answers.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.writes: list[Write] = []

    async def request(self, request: Request) -> Response:
        sent = time.time_ns()
        response = await self._transport.request(request)
        if request.method in _WRITING and not request.path.startswith(_REVIEWS):
            self.writes.append(_noted(request, response, sent))
        return response

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        return self._transport.stream(request)

    async def close(self) -> None:
        await self._transport.close()


def _noted(request: Request, response: Response, sent: int) -> Write:
    answer = _decoder.decode(response.body) if response.status < 300 else _Answer()
    meta = answer.metadata
    return Write(
        sent,
        time.time_ns(),
        request.method,
        request.path,
        response.status,
        meta.resource_version,
        _is_gone(request.method, answer),
        len(request.body or b""),
    )


def _is_gone(method: str, answer: _Answer) -> bool:
    """Return whether the write was the object's last one: the answer then has the version that the object had before."""
    meta = answer.metadata
    if meta.deletion is None:
        return method == "DELETE"
    return not meta.finalizers and not meta.grace


def without_effect(writes: Iterable[Write], of_others: Iterable[Write]) -> list[Write]:
    """Return those of `writes` that changed nothing.

    Two processes may note two answers in another order than the API server gave them: in doubt it is our write, not the
    other's, that changed nothing.

    Args:
        of_others: what everybody else wrote.
    """
    makers: dict[str, int] = {}
    for write in of_others:
        if write.version and not write.gone:
            makers[write.version] = min(write.sent, makers.get(write.version, write.sent))
    return [
        write
        for write in sorted(writes, key=lambda write: write.answered)
        if write.status >= 300 or (not write.gone and _made_before(write, makers))
    ]


def _made_before(write: Write, makers: dict[str, int]) -> bool:
    """Return whether another write has made the version that this one was answered with; if not, this one has."""
    return bool(write.version) and makers.setdefault(write.version, write.answered) < write.answered
