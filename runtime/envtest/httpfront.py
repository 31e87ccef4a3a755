"""HTTP(S) on loopback in front of the API server, for kubectl and everything else that speaks it.

Thin by intention: read the request, see whose it is, call `ApiServer.handle`, write the answer. A watch streams
its lines as they come and ends when the client goes away or the server stops.

Concurrency: one task per connection, owned by aiohttp's runner; `stop` ends them all and waits for them.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Final, final

from aiohttp import web

from controller_runtime.envtest.answers import Answer, Call, answer_status
from controller_runtime.envtest.gate import Gate
from controller_runtime.envtest.server import BODY_LIMIT
from controller_runtime.envtest.status import StatusError, too_large, unauthorized
from controller_runtime.envtest.streams import ConnectionDropped, OpenWatch
from controller_runtime.envtest.users import ANONYMOUS, Accounts, User

__all__ = ["HttpFront"]

_log: Final = logging.getLogger(__name__)
_JSON_STREAM: Final = "application/json"


@final
class HttpFront:
    """Serves one API server on a loopback port.

    Args:
        accounts: know whose a request's bearer token is; one without a token is anonymous.
    """

    def __init__(self, gate: Gate, accounts: Accounts) -> None:
        self._gate = gate
        self._accounts = accounts
        self._runner: web.ServerRunner | None = None
        self.port = 0

    async def start(self, port: int, context: ssl.SSLContext | None = None) -> None:
        """Listen on `port` of 127.0.0.1, or on a free one if it is 0; with TLS if there is a context for it.

        Raises:
            OSError: the port is taken.
        """
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context)
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """End all connections. Idempotent."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            answer = await self._answer(request)
        except StatusError as error:
            return _response(answer_status(error))
        except ConnectionDropped:
            return _reset(request)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a Status for the client, the traceback in the log
            _log.exception("request failed: %s %s", request.method, request.path)
            return _response(answer_status(StatusError(500, "InternalError", f"Internal error occurred: {error!r}")))
        if isinstance(answer, OpenWatch):
            return await self._stream(request, answer)
        return _response(answer)

    async def _answer(self, request: web.BaseRequest) -> Answer | OpenWatch:
        user = self._user(request)
        if request.content_length is not None and request.content_length > BODY_LIMIT:
            raise too_large(BODY_LIMIT)
        body = await _read(request)
        call = Call(
            method=request.method,
            path=request.url.raw_path,
            params=list(request.query.items()),
            headers=_joined(request.headers),
            body=body,
            user=user,
        )
        return await self._gate.answer(call)

    def _user(self, request: web.BaseRequest) -> User:
        """Whose request this is.

        Raises:
            StatusError: 401, the token is nobody's.
        """
        given = request.headers.get("Authorization", "")
        if not given:
            return ANONYMOUS
        scheme, _, token = given.partition(" ")
        user = self._accounts.user_of(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user

    async def _stream(self, request: web.BaseRequest, watch: OpenWatch) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": _JSON_STREAM, "Cache-Control": "no-cache, private"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            while lines := await watch.read():
                await response.write(b"\n".join(lines) + b"\n")
            await response.write_eof()
        except ConnectionDropped:
            return _reset(request)
        except ConnectionError:
            pass  # the client has gone: that is how watches usually end
        finally:
            self._gate.close(watch)
        return response


def _reset(request: web.BaseRequest) -> web.Response:
    """Break the connection; the answer reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def _joined(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by lower-case names; those that come several times as one, separated by commas."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        name = name.lower()
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))


async def _read(request: web.BaseRequest) -> bytes:
    """Read the body.

    Raises:
        StatusError: 413, as soon as it is longer than the limit.
    """
    if not request.body_exists:
        return b""
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > BODY_LIMIT:
            raise too_large(BODY_LIMIT)
        parts.append(part)
    return b"".join(parts)
