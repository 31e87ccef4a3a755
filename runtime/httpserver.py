"""A small HTTP server for probes, metrics and pages: GET only, plain text or JSON, a few routes.

Concurrency: handlers run inside the event loop; they are quick functions or coroutines. The server belongs to the task that
enters it; leaving it closes the socket and every connection.
"""

from __future__ import annotations

import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web

from controller_runtime.health import HealthChecks

__all__ = ["Address", "AddressInUse", "Answer", "PageHandler", "health_routes", "page_route", "parse_address", "serve"]

_TEXT: Final = "text/plain; charset=utf-8"
_HEADERS: Final = {"X-Content-Type-Options": "nosniff"}
_SHUTDOWN_SECONDS: Final = 5.0

PageHandler = Callable[[Mapping[str, str]], "object | Awaitable[object]"]
"""Given the query, returns a text (sent as it is) or anything that JSON can say. KeyError and LookupError mean 404."""


class AddressInUse(Exception):
    """The server could not listen; the message names the address."""


class Address(NamedTuple):
    """Where to listen; an empty host means all interfaces, port 0 a free port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = _TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


Route = Callable[[web.Request], Awaitable[Answer]]


def parse_address(text: str) -> Address | None:
    """Parse `:8080`, `127.0.0.1:8080` or `[::1]:8080`; `0` and the empty text mean "off".

    Raises:
        ValueError: it is none of these.
    """
    if text in ("", "0"):
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        msg = f"{text!r} is no address like :8080 or 127.0.0.1:8080 (0 switches the server off)"
        raise ValueError(msg)
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


@asynccontextmanager
async def serve(
    address: Address, routes: Mapping[str, Route], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve the routes while the context lasts, over TLS if there is a context for it; yields the port.

    Raises:
        AddressInUse: the address cannot be bound.
    """
    app = web.Application()
    for path, route in routes.items():
        app.router.add_get(path, _adapt(route))
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host or None, address.port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            msg = f"cannot listen on {address.host}:{address.port}: {error.strerror or error}"
            raise AddressInUse(msg) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def health_routes(path: str, checks: HealthChecks) -> dict[str, Route]:
    """Return the routes of one health endpoint: all checks, and each by its name."""

    async def all_checks(request: web.Request) -> Answer:
        query = request.query
        answer = checks.answer(exclude=query.getall("exclude", []), verbose="verbose" in query)
        return Answer(answer.status, answer.body.encode())

    async def one_check(request: web.Request) -> Answer:
        answer = checks.answer_one(request.match_info["check"])
        return Answer(answer.status, answer.body.encode())

    return {path: all_checks, f"{path}/": all_checks, f"{path}/{{check}}": one_check}


def page_route(handler: PageHandler) -> Route:
    """Return the route of a page."""

    async def page(request: web.Request) -> Answer:
        try:
            content: Any = handler(dict(request.query))
            if inspect.isawaitable(content):
                content = await content
        except LookupError as error:
            return Answer(404, f"not found: {error}\n".encode())
        except ValueError as error:
            return Answer(400, f"bad request: {error}\n".encode())
        if isinstance(content, str):
            return Answer(200, content.encode())
        return Answer(200, orjson.dumps(content, default=str, option=orjson.OPT_INDENT_2), "application/json")

    return page


def _adapt(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        answer = await route(request)
        headers = {**_HEADERS, **answer.headers, "Content-Type": answer.content_type}
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    return handle
