"""Requests to PD over HTTP(S), from inside the cluster.

One pooled session per PD cluster. Any of its servers can answer (followers pass requests on to the leader), so when one
doesn't, the next request goes to the next address: the URL from the Cluster's status first, then whatever addresses the
members were heard to have.

Concurrency: see `requester`. The session is opened by the first request, in the loop that makes it.
"""

from __future__ import annotations

import ssl as tls
from collections.abc import Sequence
from typing import Final, final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from tikv_operator.pdclient.errors import PDUnexpectedAnswer, PDUnreachable
from tikv_operator.pdclient.requester import MAX_BODY, PDResponse

__all__ = ["DirectRequester"]

_CONNECT_SHARE: Final = (
    3  # an address that accepts no connection may take a third of a request's time, so others get a turn
)
_POOL: Final = 16  # connections at the same time
_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}


@final
class DirectRequester:
    """A `PDRequester` over aiohttp.

    Args:
        url: the cluster's PD, e.g. `http://basic-pd.default:2379`.
        ssl: for https; None for the system's trust and no client certificate.
        max_body: bytes; a longer answer is refused.
    """

    def __init__(self, url: str, *, ssl: tls.SSLContext | None = None, max_body: int = MAX_BODY) -> None:
        self.url = url.rstrip("/")
        self.ssl = ssl
        self._max_body = max_body
        self._bases: tuple[str, ...] = (self.url,)
        self._base = self.url
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def base(self) -> str:
        """The address that the next request goes to."""
        return self._base

    def learn(self, urls: Sequence[str]) -> None:
        """Take the members' addresses as ways to reach PD, after the cluster's own; earlier ones are forgotten."""
        self._bases = tuple(dict.fromkeys((self.url, *(url.rstrip("/") for url in urls))))
        if self._base not in self._bases:
            self._base = self.url

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: float,
        base: str = "",
    ) -> PDResponse:
        """See `PDRequester.request`. A failure makes the next request try another address."""
        chosen = base.rstrip("/") or self._base
        url = (
            URL(f"{chosen}{path}", encoded=True).with_query(list(params))
            if params
            else URL(chosen + path, encoded=True)
        )
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=timeout / _CONNECT_SHARE)
        try:
            async with self._open().request(method, url, data=body, timeout=limits, headers=_JSON) as response:
                answer = PDResponse(response.status, await self._read(response), str(url))
        except aiohttp.ClientConnectorError as error:
            raise self._failed(chosen, f"cannot connect to {chosen}: {_say(error)}", sent=False) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise self._failed(chosen, f"no connection to {chosen} in time", sent=False, timed_out=True) from error
        except TimeoutError as error:
            message = f"no answer from {url} within {timeout:g} s"
            raise self._failed(chosen, message, timed_out=True) from error
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise self._failed(chosen, f"the exchange with {url} broke: {_say(error)}") from error
        if answer.status in (502, 503, 504):
            self._move_on(chosen)
        return answer

    async def close(self) -> None:
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            msg = f"the client of {self.url} was closed"
            raise PDUnreachable(msg, sent=False)
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=_POOL, ssl=True if self.ssl is None else self.ssl)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """Read the body; one that is too long is abandoned, and its connection closed."""
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_body:
                response.close()
                msg = f"the answer of {response.url} is longer than {self._max_body} bytes"
                raise PDUnexpectedAnswer(msg, status=response.status)
        return bytes(body)

    def _failed(self, base: str, message: str, *, sent: bool = True, timed_out: bool = False) -> PDUnreachable:
        self._move_on(base)
        return PDUnreachable(message, sent=sent, timed_out=timed_out)

    def _move_on(self, base: str) -> None:
        """Let the next request use the address after `base`, unless another task has already moved on."""
        if base == self._base and base in self._bases:
            self._base = self._bases[(self._bases.index(base) + 1) % len(self._bases)]


def _say(error: aiohttp.ClientError | HttpProcessingError | OSError) -> str:
    """Return what went wrong, without aiohttp's repetition of where."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return str(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return str(error.os_error)
        case _:
            return str(error) or type(error).__name__
