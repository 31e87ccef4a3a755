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
from controller_runtime.envtest.answers import Answer, Call, ProxyAnswer, WatchAnswer
from controller_runtime.envtest.proxy import ServiceProxy
from controller_runtime.envtest.server import ApiServer
from controller_runtime.envtest.streams import OpenWatch, OpenWatches

__all__ = ["InProcessTransport"]

_USER_AGENT = "controller-runtime/in-process"


@final
class InProcessTransport:
    """See the module docstring; implements `controller_runtime.client.transport.Transport`."""

    def __init__(self, api: ApiServer, proxy: ServiceProxy, watches: OpenWatches) -> None:
        self._api = api
        self._proxy = proxy
        self._watches = watches
        self._closed = False

    async def request(self, request: Request) -> Response:
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(request.timeout):
                answer = await self._answer(request)
        except TimeoutError as error:
            msg = f"no answer within {request.timeout} s"
            raise TransportError(msg) from error
        await asyncio.sleep(0)
        return Response(answer.status, answer.headers, answer.body)

    async def _answer(self, request: Request) -> Answer:
        answer = self._call(request)
        if isinstance(answer, ProxyAnswer):
            return await self._proxy.answer(answer)
        if isinstance(answer, Answer):
            return answer
        watch = self._watches.open(answer)
        try:
            lines: list[bytes] = []
            while batch := await watch.read():
                lines += batch
        finally:
            self._watches.close(watch)
        return Answer(200, b"".join(line + b"\n" for line in lines))

    def _call(self, request: Request) -> Answer | WatchAnswer | ProxyAnswer:
        if self._closed:
            msg = "the transport is closed"
            raise TransportError(msg)
        headers = {"user-agent": _USER_AGENT, "accept": request.accept}
        headers.update((name.lower(), value) for name, value in request.headers.items())
        if request.content_type:
            headers["content-type"] = request.content_type
        return self._api.handle(
            Call(
                method=request.method,
                path=request.path,
                params=request.params,
                headers=headers,
                body=request.body or b"",
            )
        )

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        await asyncio.sleep(0)
        answer = self._call(request)
        if isinstance(answer, ProxyAnswer):
            answer = await self._proxy.answer(answer)
        if isinstance(answer, Answer):
            yield _Complete(answer)
            return
        watch = self._watches.open(answer)
        try:
            yield _Watching(watch, request.timeout)
        finally:
            self._watches.close(watch)

    async def close(self) -> None:
        self._closed = True


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
                    batch = await self._watch.read()
            except TimeoutError as error:
                msg = f"no line within {self._silence} s"
                raise TransportError(msg) from error
            if not batch:
                return
            for line in batch:
                yield line

    async def read(self) -> bytes:
        return b"".join([line + b"\n" async for line in self.lines()])
