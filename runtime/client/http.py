"""A `Transport` over HTTP/1.1: one aiohttp session, raw bytes in and out.

Guarantees: nothing is read from the environment (no proxies, no netrc); redirects are not followed; every exchange has a
time limit and every line of a stream a length limit; authentication headers are asked for per request, so a renewed
token never costs an open connection; a 401 is answered once with renewed credentials; every error of the layers below
is a `TransportError` that names the request and no secret.

Watches get connections of their own (the pool is unbounded): a slow reader cannot hold up other requests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from controller_runtime.client.config import ClientConfig
from controller_runtime.client.credentials import Headers
from controller_runtime.client.errors import RequestTimeout, TransportError
from controller_runtime.client.metrics import ClientMetrics
from controller_runtime.client.transport import Request, Response, Stream
from controller_runtime.clock import timer

__all__ = ["HttpTransport"]

USER_AGENT: Final = "controller-runtime-python"
_READ_BUFFER: Final = 2**21
_LONGEST_LINE: Final = 2**24  # an object is at most 1.5 MiB in etcd; JSON with managedFields can be several times that
_LONGEST_ERROR: Final = 2**16
_KEEP_ALIVE: Final = 75.0


@final
class HttpTransport:
    """See the module docstring.

    Args:
        config: where the server is and how to authenticate.
        metrics: counts every exchange, 401s and watches included.
        user_agent: sent with every request; name your program and its version.
        connect_timeout: seconds for name lookup, TCP and TLS.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        metrics: ClientMetrics | None = None,
        user_agent: str = USER_AGENT,
        connect_timeout: float = 10.0,
    ) -> None:
        self.config = config
        self._metrics = metrics
        self._user_agent = user_agent
        self._connect_timeout = connect_timeout
        self._base = config.host.rstrip("/")
        self._host = URL(self._base).authority.rpartition("@")[2]
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def host(self) -> str:
        """The server's host and port, the `host` label of the metrics."""
        return self._host

    async def request(self, request: Request) -> Response:
        timeout = aiohttp.ClientTimeout(total=request.timeout, sock_connect=self._connect_timeout)
        now = timer()
        began, status = now(), None
        try:
            response = await self._send(request, timeout)
            async with response:
                body = await response.read()
            status = response.status
            return Response(response.status, _lowered(response), body)
        except (aiohttp.ClientError, TimeoutError, OSError, HttpProcessingError) as error:
            raise _transport_error(request, error) from None
        finally:
            if self._metrics is not None:
                self._metrics.exchanged(self._host, request.method, status, now() - began)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        return self._stream(request)

    @asynccontextmanager
    async def _stream(self, request: Request) -> AsyncIterator[Stream]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout, sock_read=request.timeout)
        now = timer()
        began, status = now(), None
        try:
            response = await self._send(request, timeout)
            status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, HttpProcessingError) as error:
            raise _transport_error(request, error) from None
        finally:
            if self._metrics is not None:
                verb = "WATCH" if ("watch", "true") in request.params else request.method
                self._metrics.exchanged(self._host, verb, status, now() - began)
        try:
            yield _HttpStream(request, response)
        finally:
            response.close()

    async def close(self) -> None:
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(self, request: Request, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """Send `request`; if its credentials are rejected and there are newer ones, once more."""
        credentials = await self.config.credentials.headers()
        response = await self._send_once(request, timeout, credentials)
        if response.status == 401 and await self.config.credentials.rejected(credentials):
            response.release()
            response = await self._send_once(request, timeout, await self.config.credentials.headers())
        return response

    async def _send_once(
        self, request: Request, timeout: aiohttp.ClientTimeout, credentials: Headers
    ) -> aiohttp.ClientResponse:
        headers = [("Accept", request.accept), *credentials, *request.headers.items()]
        if request.content_type:
            headers.append(("Content-Type", request.content_type))
        url = URL(self._base + request.path, encoded=True)
        return await self._open_session().request(
            request.method,
            url.with_query(list(request.params)) if request.params else url,
            data=request.body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
            proxy=self.config.proxy or None,
            server_hostname=self.config.tls_server_name or None,
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            msg = "the transport is closed"
            raise TransportError(msg)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=_KEEP_ALIVE, ssl=True if self.config.ssl is None else self.config.ssl
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._user_agent},
                read_bufsize=_READ_BUFFER,
                trust_env=False,
            )
        return self._session

    def __repr__(self) -> str:
        return f"<HttpTransport {self._base}{' closed' if self._closed else ''}>"


@final
class _HttpStream:
    """The answer to a streaming request."""

    def __init__(self, request: Request, response: aiohttp.ClientResponse) -> None:
        self._request = request
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return _lowered(self._response)

    def lines(self) -> AsyncIterator[bytes]:
        return _Lines(self._request, self._response.content)

    async def read(self) -> bytes:
        body = bytearray()
        try:
            while len(body) < _LONGEST_ERROR:
                chunk = await self._response.content.read(_LONGEST_ERROR - len(body))
                if not chunk:
                    break
                body += chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _transport_error(self._request, error) from None
        return bytes(body)


@final
class _Lines:
    """An iterator rather than a generator: a reader may drop it half-way without leaving anything to be closed."""

    def __init__(self, request: Request, content: aiohttp.StreamReader) -> None:
        self._request = request
        self._content = content

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> bytes:
        try:
            line = await self._content.readline(max_line_length=_LONGEST_LINE)
        except (aiohttp.ClientError, TimeoutError, OSError, HttpProcessingError) as error:
            raise _transport_error(self._request, error) from None
        if not line:
            raise StopAsyncIteration
        return line.rstrip(b"\r\n") if line.endswith(b"\n") else line


def _lowered(response: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        low = name.lower()
        headers[low] = f"{headers[low]}, {value}" if low in headers else value  # as several warnings come
    return headers


def _transport_error(request: Request, error: Exception) -> TransportError:
    """Say what happened; to be raised without its cause, since aiohttp's errors show the headers of the request."""
    where = f"{request.method} {request.path}"
    if isinstance(error, TimeoutError):
        return RequestTimeout(f"{where}: timed out")
    return TransportError(f"{where}: {type(error).__name__}: {str(error).partition(chr(10))[0]}".rstrip(": "))
