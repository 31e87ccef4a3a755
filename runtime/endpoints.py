"""What a manager shows of itself over HTTP: probes on one address, metrics and pages on another.

Probes are plain HTTP and open to everybody: the kubelet has no credentials for them. Metrics and pages may be served over TLS,
and then to those only whom the API server lets read them.

Concurrency: for one event loop. Checks and pages are answered inside it, as long as the endpoints are open; the task that
watches the certificate's files ends with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from controller_runtime.access import AccessReviews, Verdict
from controller_runtime.certificates import ServingCertificate
from controller_runtime.concurrency import cancel_and_wait
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
        certificate: serve metrics and pages over TLS.
        access: decides who may read them; None for everybody.

    Attributes:
        health_port, metrics_port: where they listen while they are open; None if they don't.

    Raises:
        ValueError: an address makes no sense, or callers would have to send their tokens over an open line.
    """

    def __init__(
        self,
        *,
        health_address: str,
        metrics_address: str,
        registry: CollectorRegistry,
        log: Logger,
        certificate: ServingCertificate | None = None,
        access: AccessReviews | None = None,
    ) -> None:
        if access is not None and certificate is None:
            msg = "metrics that need a token must be served over TLS (metrics_tls)"
            raise ValueError(msg)
        self.healthz = HealthChecks("healthz", log)
        self.readyz = HealthChecks("readyz", log)
        self.health_port: int | None = None
        self.metrics_port: int | None = None
        self._health_address = parse_address(health_address)
        self._metrics_address = parse_address(metrics_address)
        self._registry = registry
        self._certificate = certificate
        self._access = access
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
            CertificateUnusable: there is no pair to serve with.
        """
        self._opened = True
        async with AsyncExitStack() as servers:
            if self._health_address is not None:
                routes = {**health_routes("/healthz", self.healthz), **health_routes("/readyz", self.readyz)}
                self.health_port = await servers.enter_async_context(serve(self._health_address, routes))
            if self._metrics_address is not None:
                tls = None
                if self._certificate is not None:
                    tls = self._certificate.load()
                    watching = asyncio.create_task(self._certificate.watch(), name="endpoints: certificate")
                    servers.push_async_callback(cancel_and_wait, watching)
                pages = {path: self._guarded(route) for path, route in self._pages.items()}
                self.metrics_port = await servers.enter_async_context(serve(self._metrics_address, pages, tls=tls))
            try:
                yield
            finally:
                self.health_port = self.metrics_port = None

    def _guarded(self, route: Route) -> Route:
        access = self._access
        if access is None:
            return route

        async def guarded(request: web.Request) -> Answer:
            verdict = await access.judge(request.headers.get("Authorization", ""), request.method, request.path)
            if verdict is Verdict.ALLOWED:
                return await route(request)
            headers = {"WWW-Authenticate": "Bearer"} if verdict is Verdict.UNAUTHENTICATED else {}
            return Answer(verdict, f"{verdict.name.lower()}\n".encode(), headers=headers)

        return guarded

    async def _metrics(self, _request: object) -> Answer:
        return Answer(200, generate_latest(self._registry), CONTENT_TYPE_LATEST)
