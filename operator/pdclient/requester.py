"""How bytes reach PD: the protocol that the client is written against.

A requester carries out one exchange and judges nothing: whatever PD answers is a `PDResponse`, whatever keeps PD from
answering is a `PDUnreachable`. Retries and success rules are the client's business. Two implementations exist: `direct`
(in the cluster) and `proxy` (through the API server, from anywhere).

Concurrency: a requester may be used by any number of tasks of one event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["MAX_BODY", "PDRequester", "PDResponse"]

MAX_BODY = 64 * 1024 * 1024
"""Bytes; a longer answer is refused. The stores of a thousand-node cluster take about one megabyte."""


@dataclass(frozen=True, slots=True)
class PDResponse:
    """A complete answer of PD, whatever its status. `url` is where it came from, for messages."""

    status: int
    body: bytes = b""
    url: str = ""


class PDRequester(Protocol):
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
        """Carry out one exchange.

        Args:
            method: `GET`, `POST` or `DELETE`.
            path: from the root, e.g. `/pd/api/v1/stores`, quoted.
            params: the query, in order, unquoted.
            body: JSON.
            timeout: seconds for the whole exchange.
            base: the URL of one particular PD server; by default any server of the cluster may answer.

        Raises:
            PDUnreachable: no complete answer came.
            PDUnexpectedAnswer: the answer is longer than anything PD has to say.
        """
        ...

    def learn(self, urls: Sequence[str]) -> None:
        """Hear of the addresses at which the cluster's PD servers can be reached, too. May be ignored."""
        ...

    async def close(self) -> None:
        """Close all connections; later requests raise `PDUnreachable`. Idempotent."""
        ...
