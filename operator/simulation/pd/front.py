"""How requests reach a simulated PD: over a loopback port, or within the process.

A front opens one address per PD. `LoopbackFront` is an aiohttp server for the demo and for anything else that has its own
connection to the API server; an in-process front is whatever the test's API server offers, see `RegisteredFront`.

Concurrency: for one event loop. Handlers are synchronous and quick. Leaving a front's context closes all its addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, final

from aiohttp import web

from tikv_operator.simulation.pd.http import Answer

__all__ = ["Address", "LoopbackFront", "PDFront", "PDHandler"]

PDHandler = Callable[[str, str, Sequence[tuple[str, str]], bytes], Answer]
"""Method, quoted path, query and body to status and body."""

_MAX_BODY: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


class PDFront(Protocol):
    async def open(self, handler: PDHandler) -> Address:
        """Let `handler` answer under an address of its own."""
        ...

    async def close(self, address: Address) -> None:
        """Give up an address. Idempotent."""
        ...


@final
class LoopbackFront:
    """A front on free ports of the loopback interface. An async context manager."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._runners: dict[Address, web.ServerRunner] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for address in list(self._runners):
            await self.close(address)

    async def open(self, handler: PDHandler) -> Address:
        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            path = request.raw_path.partition("?")[0]
            status, body = handler(request.method, path, list(request.query.items()), await request.read())
            content_type = "application/json" if body.startswith((b"{", b"[", b'"', b"null")) else "text/plain"
            return web.Response(status=status, body=body, content_type=content_type)

        runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, 0).start()
        except BaseException:
            await runner.cleanup()
            raise
        address = Address(self._host, runner.addresses[0][1])
        self._runners[address] = runner
        return address

    async def close(self, address: Address) -> None:
        runner = self._runners.pop(address, None)
        if runner is not None:
            await runner.cleanup()
