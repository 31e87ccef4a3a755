"""Requests to PD through the API server's proxy: how an operator outside of the cluster reaches PD.

The API server dials the service (or pod) on our behalf. What it says itself, that it has no such service or no endpoint or
that we may not use the proxy, must never be taken for PD's answer: a 404 of PD means "that store is gone", a 404 of the API
server means "there is no PD".

Limits: the API server presents no client certificate of the cluster, so a PD that demands one can only be reached directly.

Concurrency: see `requester`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, final
from urllib.parse import urlsplit

import msgspec

from controller_runtime.client.errors import ClientError, RequestTimeout
from controller_runtime.client.transport import Request, Response, Transport
from tikv_operator.pdclient.errors import PDUnexpectedAnswer, PDUnreachable
from tikv_operator.pdclient.requester import MAX_BODY, PDResponse

__all__ = ["ServiceProxyRequester", "proxy_path"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class _Status(msgspec.Struct):
    """As much of a Kubernetes Status as tells it from any other JSON."""

    kind: str
    api_version: str = msgspec.field(name="apiVersion")
    message: str = ""


class _Target(NamedTuple):
    namespace: str
    plural: str
    name: str


def proxy_path(url: str) -> str:
    """Return the API server's path under which it passes requests on to `url`.

    Args:
        url: of a service, `http://<service>.<namespace>[.svc.<domain>]:<port>`, or of one pod of a headless service,
            `http://<pod>.<service>.<namespace>[.svc.<domain>]:<port>`.

    Raises:
        ValueError: the URL's host is neither.
    """
    parts = urlsplit(url)
    target = _target((parts.hostname or "").split("."))
    if parts.scheme not in _DEFAULT_PORTS or target is None:
        msg = f"{url!r} is no URL of a service or pod in this Kubernetes cluster"
        raise ValueError(msg)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    namespace, plural, name = target
    return f"/api/v1/namespaces/{namespace}/{plural}/{parts.scheme}:{name}:{port}/proxy{parts.path.rstrip('/')}"


def _target(labels: list[str]) -> _Target | None:
    if not all(labels):
        return None
    match labels:
        case [service, namespace] | [service, namespace, "svc", *_]:
            return _Target(namespace, "services", service)
        case [pod, _, namespace] | [pod, _, namespace, "svc", *_]:
            return _Target(namespace, "pods", pod)
        case _:
            return None


@final
class ServiceProxyRequester:
    """A `PDRequester` through the API server.

    Args:
        transport: to the API server; stays open when the requester is closed.
        url: the cluster's PD, as components inside the cluster know it.

    Raises:
        ValueError: `url` is no service in this Kubernetes cluster.
    """

    def __init__(self, transport: Transport, url: str, *, max_body: int = MAX_BODY) -> None:
        self.url = url.rstrip("/")
        self._transport = transport
        self._path = proxy_path(url)
        self._max_body = max_body
        self._closed = False

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
        if self._closed:
            msg = f"the client of {self.url} was closed"
            raise PDUnreachable(msg, sent=False)
        request = Request(
            method=method,
            path=f"{proxy_path(base) if base else self._path}{path}",
            params=params,
            body=body,
            content_type="application/json",
            timeout=timeout,
        )
        try:
            response = await self._transport.request(request)
        except ClientError as error:
            msg = f"cannot reach PD through the API server: {error}"
            raise PDUnreachable(msg, timed_out=isinstance(error, RequestTimeout)) from error
        if len(response.body) > self._max_body:
            msg = f"PD's answer to {method} {path} is longer than {self._max_body} bytes"
            raise PDUnexpectedAnswer(msg, status=response.status)
        refusal = _refusal(response)
        if refusal is not None:
            msg = f"the API server does not reach {base or f'PD at {self.url}'}: {refusal} ({response.status})"
            raise PDUnreachable(msg, sent=response.status >= 500)
        return PDResponse(response.status, response.body, f"{base.rstrip('/') or self.url}{path}")

    def learn(self, urls: Sequence[str]) -> None:
        """Ignored: behind the service, the API server picks a PD that is ready."""

    async def close(self) -> None:
        self._closed = True


def _refusal(response: Response) -> str | None:
    """Return what the API server itself said, or None if the answer is PD's."""
    if response.status < 400:
        return None
    try:
        status = msgspec.json.decode(response.body, type=_Status)
    except (msgspec.DecodeError, ValueError):
        return None
    return status.message if status.kind == "Status" and status.api_version == "v1" else None
