"""The narrow door through which every byte to and from an API server goes.

A `Transport` knows URLs, headers and bytes; it knows nothing of kinds, caches or retries. Two implementations exist: HTTP
over aiohttp (`controller_runtime.client.http`) and a call into an API server in the same process
(`controller_runtime.envtest`), which lets a whole system run in virtual time.

Concurrency: a transport may be used by any number of tasks of one event loop. Cancelling a call abandons the exchange;
whether the server has carried out the request is then unknown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Request", "Response", "Stream", "Transport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Args:
        method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
        path: the absolute path, already quoted, without the query.
        params: the query, in order, unquoted.
        timeout: seconds until the exchange (or, of a stream, the silence between two lines) counts as failed.
    """

    method: str
    path: str
    params: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    content_type: str = ""
    accept: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer, whatever its status. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Stream(Protocol):
    """An answer that is read line by line. Its body has been checked for nothing but the status."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def lines(self) -> AsyncIterator[bytes]:
        """Yield the lines, without their line ends, until the server ends the stream.

        Raises:
            TransportError: the connection broke, or no line came within the request's timeout.
        """
        ...

    async def read(self) -> bytes:
        """Read the rest as one body (bounded): for an error answer."""
        ...


class Transport(Protocol):
    async def request(self, request: Request) -> Response:
        """Carry out one exchange.

        Raises:
            TransportError: no complete answer came (connection refused or broken, time-out, TLS failure).
        """
        ...

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Open a streaming exchange; leaving the context closes the connection.

        Raises:
            TransportError: no answer head came.
        """
        ...

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        ...
