"""A transport into an API server in the same process: no sockets, no threads, the same order every time.

Every request gives way to the event loop once before it is carried out and once after, so that concurrent tasks interleave
as they would over a network; time passes only if the loop's clock does. It works on a virtual-time loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import final

from controller_runtime.client.errors import TransportError
from controller_runtime.client.transport import Request, Response, Stream
from controller_runtime.envtest.answers import Answer, Call
from controller_runtime.envtest.gate import Gate
from controller_runtime.envtest.streams import ConnectionDropped, OpenWatch

__all__ = ["InProcessTransport"]

_USER_AGENT = "controller-runtime/in-process"


@final
class InProcessTransport:
    """See the module docstring; implements `controller_runtime.client.transport.Transport`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._closed = False

    async def request(self, request: Request) -> Response:
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(request.timeout):
                answer = await self._answer(request)
        except TimeoutError as error:
            raise _no_answer(request) from error
        await asyncio.sleep(0)
        return Response(answer.status, answer.headers, answer.body)

    async def _answer(self, request: Request) -> Answer:
        watch = await self._open(request)
        if isinstance(watch, Answer):
            return watch
        try:
            lines: list[bytes] = []
            while batch := await _read(watch):
                lines += batch
        finally:
            self._gate.close(watch)
        return Answer(200, b"".join(line + b"\n" for line in lines))

    async def _open(self, request: Request) -> Answer | OpenWatch:
        if self._closed:
            msg = "the transport is closed"
            raise TransportError(msg)
        headers = {"user-agent": _USER_AGENT, "accept": request.accept}
        headers.update((name.lower(), value) for name, value in request.headers.items())
        if request.content_type:
            headers["content-type"] = request.content_type
        call = Call(
            method=request.method, path=request.path, params=request.params, headers=headers, body=request.body or b""
        )
        try:
            return await self._gate.answer(call)
        except ConnectionDropped as error:
            raise _reset() from error

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(request.timeout):
                watch = await self._open(request)
        except TimeoutError as error:
            raise _no_answer(request) from error
        if isinstance(watch, Answer):
            yield _Complete(watch)
            return
        try:
            yield _Watching(watch, request.timeout)
        finally:
            self._gate.close(watch)

    async def close(self) -> None:
        self._closed = True


def _no_answer(request: Request) -> TransportError:
    return TransportError(f"no answer within {request.timeout} s")


def _reset() -> TransportError:
    return TransportError("the connection was reset")


async def _read(watch: OpenWatch) -> list[bytes]:
    try:
        return await watch.read()
    except ConnectionDropped as error:
        raise _reset() from error


@final
class _Complete:
    """A complete answer, read as a stream."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    async def lines(self) -> AsyncIterator[bytes]:
        for line in self._answer.body.splitlines():
            yield line

    async def read(self) -> bytes:
        return self._answer.body


@final
class _Watching:
    """An open watch, read as a stream."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "application/json"}

    def __init__(self, watch: OpenWatch, silence: float) -> None:
        self._watch = watch
        self._silence = silence

    async def lines(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            try:
                async with asyncio.timeout(self._silence):
                    batch = await _read(self._watch)
            except TimeoutError as error:
                msg = f"no line within {self._silence} s"
                raise TransportError(msg) from error
            if not batch:
                return
            for line in batch:
                yield line

    async def read(self) -> bytes:
        return b"".join([line + b"\n" async for line in self.lines()])
