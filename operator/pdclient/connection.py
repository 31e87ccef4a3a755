"""The requester behind a cluster's client: made when first needed, replaced when the cluster's certificates change.

- `direct` and `through_api_server` return a `Connect`: how to make the requester that suits a Cluster now.
- A `Connection` is itself a `PDRequester`, so that a client can exist before anything has been connected.

Concurrency: a replaced requester is closed as soon as its last exchange is over; no exchange is cut off.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, final

from controller_runtime.client.transport import Transport
from tikv_operator.api import Cluster
from tikv_operator.pdclient.direct import DirectRequester
from tikv_operator.pdclient.errors import PDUnreachable
from tikv_operator.pdclient.proxy import ServiceProxyRequester
from tikv_operator.pdclient.requester import PDRequester, PDResponse
from tikv_operator.pdclient.tls import TLSProvider

__all__ = ["Connect", "Connection", "Mode", "direct", "pd_url", "requester_for", "through_api_server"]

Mode = Literal["direct", "proxy"]

Connect = Callable[[Cluster, PDRequester | None], Awaitable[PDRequester]]
"""Returns the requester that suits the Cluster now: the given current one if it still does, else a new one.

Raises `PDUnreachable` if there can be none at the moment (a missing Secret, a URL that makes no sense).
"""


def pd_url(cluster: Cluster) -> str:
    """Return the URL of the cluster's PD; empty while it isn't known."""
    return (cluster.status.pd or "") if cluster.status else ""


def requester_for(
    url: str, mode: Mode, *, transport: Transport | None = None, ssl: tls.SSLContext | None = None
) -> PDRequester:
    """Return a requester for the PD at `url`.

    Args:
        mode: `direct` in the cluster; `proxy` anywhere, through `transport`, which is then required.
        ssl: for `direct` over https.

    Raises:
        ValueError: `proxy` without a transport, or with a URL that is no service in the cluster.
    """
    if mode == "direct":
        return DirectRequester(url, ssl=ssl)
    if transport is None:
        msg = "reaching PD through the API server needs a transport to it"
        raise ValueError(msg)
    return ServiceProxyRequester(transport, url)


def direct(tls_provider: TLSProvider) -> Connect:
    """Connect to PD directly: for an operator that runs in the cluster."""

    async def connect(cluster: Cluster, current: PDRequester | None) -> PDRequester:
        ssl = await tls_provider(cluster)
        if isinstance(current, DirectRequester) and current.ssl is ssl:
            return current
        return requester_for(pd_url(cluster), "direct", ssl=ssl)

    return connect


def through_api_server(transport: Transport) -> Connect:
    """Connect to PD through the API server's service proxy: for an operator that runs anywhere else."""

    async def connect(cluster: Cluster, current: PDRequester | None) -> PDRequester:
        if current is not None:
            return current
        try:
            return requester_for(pd_url(cluster), "proxy", transport=transport)
        except ValueError as error:
            raise PDUnreachable(str(error), sent=False) from error

    return connect


@final
class Connection:
    """A `PDRequester` that connects lazily; see the module docstring.

    Args:
        connect: makes the requester.
        cluster: whose PD it is.
    """

    def __init__(self, connect: Connect, cluster: Cluster) -> None:
        self._connect = connect
        self._cluster = cluster
        self._current: PDRequester | None = None
        self._in_use: Counter[PDRequester] = Counter()
        self._lock = asyncio.Lock()
        self._closed = False

    async def renew(self) -> None:
        """Take a new requester if the current one no longer suits the Cluster.

        Raises:
            PDUnreachable: there can be none at the moment; the current one, if any, stays.
        """
        async with self._lock:
            await self._replace()

    async def _replace(self) -> PDRequester:
        self._check_open()
        fitting = await self._connect(self._cluster, self._current)
        if self._closed:  # meanwhile
            await fitting.close()
            self._check_open()
        replaced, self._current = self._current, fitting
        if replaced is not None and replaced is not fitting and not self._in_use[replaced]:
            await replaced.close()
        return fitting

    async def _connected(self) -> PDRequester:
        self._check_open()
        current = self._current
        if current is None:
            async with self._lock:
                current = self._current
                if current is None:  # nobody has connected while this task waited for its turn
                    current = await self._replace()
        return current

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
        """See `PDRequester.request`."""
        requester = await self._connected()
        self._in_use[requester] += 1
        try:
            return await requester.request(method, path, params=params, body=body, timeout=timeout, base=base)
        finally:
            self._in_use[requester] -= 1
            if not self._in_use[requester]:
                del self._in_use[requester]
                if requester is not self._current:
                    await requester.close()

    def learn(self, urls: Sequence[str]) -> None:
        if self._current is not None:
            self._current.learn(urls)

    async def close(self) -> None:
        """Close; exchanges that are under way fail. Idempotent."""
        self._closed = True
        current, self._current = self._current, None
        for requester in {*self._in_use, *([current] if current else [])}:
            await requester.close()

    def _check_open(self) -> None:
        if self._closed:
            msg = "the cluster's PD client was closed"
            raise PDUnreachable(msg, sent=False)
