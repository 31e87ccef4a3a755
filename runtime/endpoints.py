"""What a manager shows of itself over HTTP: probes on one address, metrics and pages on another.

Concurrency: for one event loop. Checks and pages are answered inside it, as long as the endpoints are open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from controller_runtime.health import HealthChecks, ping
from controller_runtime.httpserver import Answer, PageHandler, Route, health_routes, page_route, parse_address, serve
from controller_runtime.reconcile import Logger

__all__ = ["Endpoints"]


@final
class Endpoints:
    """See the module docstring.

    Args:
        health_address: of `/healthz` and `/readyz`; `"0"` for none.
        metrics_address: of `/metrics` and pages; `"0"` for none.

    Attributes:
        health_port, metrics_port: where they listen while they are open; None if they don't.

    Raises:
        ValueError: an address makes no sense.
    """

    def __init__(self, *, health_address: str, metrics_address: str, registry: CollectorRegistry, log: Logger) -> None:
        self.healthz = HealthChecks("healthz", log)
        self.readyz = HealthChecks("readyz", log)
        self.health_port: int | None = None
        self.metrics_port: int | None = None
        self._health_address = parse_address(health_address)
        self._metrics_address = parse_address(metrics_address)
        self._registry = registry
        self._pages: dict[str, Route] = {"/metrics": self._metrics}
        self._opened = False
        self.healthz.add("ping", ping)

    def add_page(self, path: str, handler: PageHandler) -> None:
        """Serve a page beside `/metrics`.

        Raises:
            ValueError: the path is taken, or is none.
            RuntimeError: the endpoints are open already.
        """
        if self._opened:
            msg = f"page {path} cannot be added any more: the manager is running"
            raise RuntimeError(msg)
        if path in self._pages or not path.startswith("/"):
            msg = f"page {path!r} exists already, or is no path"
            raise ValueError(msg)
        self._pages[path] = page_route(handler)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Answer requests while the context lasts.

        Raises:
            AddressInUse: an address cannot be bound.
        """
        self._opened = True
        async with AsyncExitStack() as servers:
            if self._health_address is not None:
                routes = {**health_routes("/healthz", self.healthz), **health_routes("/readyz", self.readyz)}
                self.health_port = await servers.enter_async_context(serve(self._health_address, routes))
            if self._metrics_address is not None:
                self.metrics_port = await servers.enter_async_context(serve(self._metrics_address, self._pages))
            try:
                yield
            finally:
                self.health_port = self.metrics_port = None

    async def _metrics(self, _request: object) -> Answer:
        return Answer(200, generate_latest(self._registry), CONTENT_TYPE_LATEST)
