"""An HTTP proxy that behaves like a bad network and a busy API server: for the soak run.

It forwards every request as it is, watches line by line. On demand it resets all connections, goes away for a while like
a server that restarts, and answers a share of all requests with 429 and Retry-After.
"""

from __future__ import annotations

import asyncio
import random
from types import TracebackType
from typing import Final, Self, cast, final

import aiohttp
from aiohttp import web

__all__ = ["FaultProxy"]

_OWN_HEADERS: Final = frozenset({"transfer-encoding", "content-length", "connection", "host", "keep-alive"})


@final
class FaultProxy:
    """Forwards to `target`; an async context manager.

    Args:
        target: base URL of the server.
        chance: random numbers in [0, 1).

    Attributes:
        busy: the share of requests that are answered with 429.
        resets: connections that were reset.
        refused: requests that were answered with 429.
        port: where it listens.
    """

    def __init__(self, target: str, *, chance: random.Random) -> None:
        self._target = target
        self._chance = chance
        self._runner: web.ServerRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._connections: set[asyncio.WriteTransport] = set()
        self.busy = 0.0
        self.resets = 0
        self.refused = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
        )
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close()
        if self._session is not None:
            await self._session.close()

    def reset(self) -> None:
        """Reset every connection that carries a request right now."""
        for transport in self._connections:
            transport.abort()
            self.resets += 1
        self._connections.clear()

    async def restart(self, seconds: float) -> None:
        """Reset everything, refuse connections for so long, and listen again on the same port."""
        await self._close()
        await asyncio.sleep(seconds)
        await self._listen()

    async def _listen(self) -> None:
        self._runner = web.ServerRunner(
            web.Server(self._forward, handler_cancellation=True, access_log=None), shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = int(self._runner.addresses[0][1])

    async def _close(self) -> None:
        self.reset()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _forward(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._chance.random() < self.busy:
            self.refused += 1
            return web.Response(status=429, headers={"Retry-After": "1"}, text="too many requests")
        assert self._session is not None
        transport = cast("asyncio.WriteTransport", request.transport)  # uvloop's is no subclass, but acts like one
        self._connections.add(transport)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OWN_HEADERS}
        body = await request.read() if request.body_exists else None
        url = f"{self._target}{request.raw_path}"
        try:
            async with self._session.request(request.method, url, data=body, headers=headers) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN_HEADERS}
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
        except ConnectionError:
            return web.Response(status=502)  # the client is gone, or was reset: nobody reads this
        finally:
            self._connections.discard(transport)
        return response
