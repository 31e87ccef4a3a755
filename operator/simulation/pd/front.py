"""How requests reach a simulated PD: over a loopback port, or within the process.

A front opens one address per PD. `LoopbackFront` listens on real ports, for any API server on this machine;
`InProcessFront` registers invented addresses with the proxy of an embedded API server, that of services and pods, which works in
virtual time.

Concurrency: for one event loop. Handlers are synchronous and quick. Leaving a front's context closes all its addresses.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, final, runtime_checkable

from aiohttp import web

from controller_runtime.client import Request, Response
from tikv_operator.simulation.pd.http import Answer

__all__ = ["Address", "InProcessFront", "LoopbackFront", "PDFront", "PDHandler", "PodNetwork", "ServiceProxy"]

PDHandler = Callable[[str, str, Sequence[tuple[str, str]], bytes], Answer]
"""Method, quoted path, query and body to status and body."""

_PORT: Final = 2379


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


class ServiceProxy(Protocol):
    """What an embedded API server offers: backends within the process, by the address that its proxy would dial."""

    def add_backend(self, host: str, port: int, handler: Callable[[Request], Awaitable[Response]]) -> None: ...

    def remove_backend(self, host: str, port: int) -> None: ...


class PDFront(Protocol):
    async def open(self, handler: PDHandler) -> Address:
        """Let `handler` answer under an address of its own."""
        ...

    async def close(self, address: Address) -> None:
        """Give up an address. Idempotent."""
        ...


@runtime_checkable
class PodNetwork(Protocol):
    """Pods that answer under their own addresses: a front has it if addresses that are invented can be dialled."""

    def listen(self, address: Address, handler: PDHandler) -> None: ...

    def stop_listening(self, address: Address) -> None:
        """Idempotent."""
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
            return web.Response(status=status, body=body, headers={"content-type": _content_type(body)})

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


@final
class InProcessFront:
    """A front behind the proxy of an embedded API server, that of services and that of pods."""

    def __init__(self, proxy: ServiceProxy) -> None:
        self._proxy = proxy
        self._numbers = itertools.count(1)

    async def open(self, handler: PDHandler) -> Address:
        number = next(self._numbers)
        address = Address(f"10.255.{number // 250}.{number % 250 + 1}", _PORT)
        self.listen(address, handler)
        return address

    async def close(self, address: Address) -> None:
        self.stop_listening(address)

    def listen(self, address: Address, handler: PDHandler) -> None:
        """See `PodNetwork`."""

        async def serve(request: Request) -> Response:
            status, body = handler(request.method, request.path, request.params, request.body or b"")
            return Response(status, {"content-type": _content_type(body)}, body)

        self._proxy.add_backend(address.host, address.port, serve)

    def stop_listening(self, address: Address) -> None:
        """See `PodNetwork`."""
        self._proxy.remove_backend(address.host, address.port)


def _content_type(body: bytes) -> str:
    return "application/json" if body.startswith((b"{", b"[", b'"', b"null")) else "text/plain"
