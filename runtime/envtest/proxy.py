"""The proxy of services and pods: finding an address, and passing a request on to it.

`service_target` is pure: it follows the Service to its EndpointSlices and picks the first ready address; so is `pod_target`,
which takes the pod's own. `ServiceProxy` does the I/O: to a backend in this process, if one is registered for the address,
else over HTTP. Where time is virtual nothing is dialled: a connection takes real time, in which the clock would run away.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import aiohttp

from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.client.transport import Request, Response
from controller_runtime.envtest.answers import Answer, ProxyAnswer, answer_status
from controller_runtime.envtest.status import StatusError, bad_request, not_found, service_unavailable
from controller_runtime.envtest.storage import Json, Storage

__all__ = ["Backend", "ServiceProxy", "pod_target", "service_target"]

Backend = Callable[[Request], Awaitable[Response]]

_SERVICES: Final = Resource("", "v1", "Service", "services")
_PODS: Final = Resource("", "v1", "Pod", "pods")
_HTTP: Final = 80
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5)
# Headers that belong to one connection, or to this server alone.
_HOP: Final = frozenset(
    ("authorization", "connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
     "accept-encoding", "content-encoding")
)  # fmt: skip


class Where(NamedTuple):
    scheme: str
    host: str
    port: int


def service_target(storage: Storage, namespace: str, text: str) -> Where:
    """Resolve `[scheme:]name[:port]`.

    Raises:
        StatusError: 404 without such a service, 400 for a port that it lacks, 503 without a ready endpoint.
    """
    scheme, name, port = _split(text, "service")
    service = storage.get(("", "services"), ObjectKey(namespace, name))
    if service is None:
        raise not_found(_SERVICES, name)
    wanted = _port_of(service.obj, port)
    if wanted is None:
        raise service_unavailable(f"no service port {port!r} found for service {name!r}")
    for stored in storage.table(("discovery.k8s.io", "endpointslices")).objects.values():
        if stored.key.namespace != namespace or stored.labels.get("kubernetes.io/service-name") != name:
            continue
        number = _slice_port(stored.obj, wanted)
        address = _ready_address(stored.obj)
        if number is not None and address is not None:
            return Where(scheme or "http", address, number)
    raise service_unavailable(f"no endpoints available for service {name!r}")


def pod_target(storage: Storage, namespace: str, text: str) -> Where:
    """Resolve `[scheme:]name[:port]`; without a port it is the first that a container of the pod names, else 80.

    Raises:
        StatusError: 404 without such a pod, 400 for a port that is no number, 503 while it has no address.
    """
    scheme, name, port = _split(text, "pod")
    pod = storage.get(("", "pods"), ObjectKey(namespace, name))
    if pod is None:
        raise not_found(_PODS, name)
    if port and not port.isdecimal():
        raise bad_request(f"invalid pod request {text!r}")
    address = (pod.obj.get("status") or {}).get("podIP")
    if not address:
        raise service_unavailable(f"pod {name!r} has no address yet")
    named = (
        port["containerPort"] for container in pod.obj["spec"]["containers"] for port in container.get("ports") or []
    )
    return Where(scheme or "http", str(address), int(port) if port else next(named, _HTTP))


def _split(text: str, what: str) -> tuple[str, str, str]:
    parts = text.split(":")
    scheme, name, port = {1: ("", text, ""), 2: ("", *parts), 3: tuple(parts)}.get(len(parts), ("", "", ""))
    if not name or scheme not in ("", "http", "https"):
        raise bad_request(f"invalid {what} request {text!r}")
    return scheme, name, port


def _port_of(service: Json, text: str) -> Json | None:
    """The service's port of that name or number; the only one if none is named."""
    ports: list[Json] = service["spec"].get("ports") or []
    if not text:
        return ports[0] if len(ports) == 1 else None
    for port in ports:
        if port.get("name") == text or str(port.get("port")) == text:
            return port
    return None


def _slice_port(endpoints: Json, wanted: Json) -> int | None:
    for port in endpoints.get("ports") or []:
        if (port.get("name") or "") == (wanted.get("name") or ""):
            number = port.get("port")
            return number if isinstance(number, int) else None
    return None


def _ready_address(endpoints: Json) -> str | None:
    for endpoint in endpoints.get("endpoints") or []:
        ready = (endpoint.get("conditions") or {}).get("ready")
        if ready is not False and endpoint.get("addresses"):
            return str(endpoint["addresses"][0])
    return None


class ServiceProxy:
    """Passes requests on to the endpoints of services, and to pods.

    Concurrency: for one event loop. The HTTP session is opened at the first request that needs it; `close` ends it.
    """

    def __init__(self) -> None:
        self._backends: dict[tuple[str, int], Backend] = {}
        self._session: aiohttp.ClientSession | None = None

    def add(self, host: str, port: int, backend: Backend) -> None:
        """Let `backend` answer for an address, instead of a connection to it."""
        self._backends[host, port] = backend

    def remove(self, host: str, port: int) -> None:
        """Forget the backend of an address; unknown addresses are ignored."""
        self._backends.pop((host, port), None)

    async def answer(self, answer: ProxyAnswer) -> Answer:
        """Carry out the request; trouble on the way is a 502 or 503 Status."""
        call = answer.call
        headers = {name: value for name, value in call.headers.items() if name not in _HOP}
        backend = self._backends.get((answer.host, answer.port))
        if backend is not None:
            request = Request(
                method=call.method,
                path=answer.path,
                params=call.params,
                body=call.body or None,
                content_type=headers.get("content-type", ""),
                accept=headers.get("accept", ""),
                headers=headers,
            )
            response = await backend(request)
            return Answer(response.status, response.body, _passed_back(response.headers))
        if getattr(asyncio.get_running_loop(), "virtual_time", False):
            why = f"error trying to reach service: nothing listens at {answer.host}:{answer.port}"
            return answer_status(StatusError(503, "ServiceUnavailable", why))
        try:
            return await self._over_http(answer, headers)
        except (aiohttp.ClientError, TimeoutError) as error:
            why = f"error trying to reach service: {str(error) or type(error).__name__}"
            return answer_status(StatusError(503, "ServiceUnavailable", why))

    async def _over_http(self, answer: ProxyAnswer, headers: dict[str, str]) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=True)
        call = answer.call
        host = f"[{answer.host}]" if ":" in answer.host else answer.host
        async with self._session.request(
            call.method,
            f"{answer.scheme}://{host}:{answer.port}{answer.path}",
            params=list(call.params),
            data=call.body or None,
            headers=headers,
            allow_redirects=False,
            ssl=_unverified() if answer.scheme == "https" else True,
        ) as response:
            body = await response.read()
            return Answer(response.status, body, _passed_back(response.headers))

    async def close(self) -> None:
        """Close the HTTP session. Idempotent."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


def _passed_back(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() not in _HOP}


def _unverified() -> ssl.SSLContext:
    """A real API server does not verify a backend's certificate either."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
