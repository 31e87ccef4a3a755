"""`EmbeddedCluster`: a Kubernetes API server in this process, ready in milliseconds.

    async with EmbeddedCluster(clock=SystemClock(), crds=[...], http=True) as cluster:
        Path("kubeconfig").write_text(cluster.kubeconfig())
        ...

Inside the block `cluster.transport` reaches the server without sockets (also in virtual time); with `http=True`, or after
`serve()`, kubectl and any other client reach it on loopback. There are no nodes, no scheduler and no controllers except
those that clean up (owner references, namespaces, CRDs).

Concurrency: for one event loop. The cluster owns one background task (the collector's) and, when it serves HTTP, the
connections; leaving the block ends them all and waits for them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, final

import orjson

from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.transport import Transport
from controller_runtime.clock import Clock, SystemClock
from controller_runtime.envtest.certificate import Certificate, make_certificate
from controller_runtime.envtest.checks import WriteOptions
from controller_runtime.envtest.clustersetup import install_crds, service_account_token
from controller_runtime.envtest.collector import CRDS
from controller_runtime.envtest.contract import ADMINISTRATORS
from controller_runtime.envtest.faults import Faults
from controller_runtime.envtest.gate import Gate
from controller_runtime.envtest.httpfront import HttpFront
from controller_runtime.envtest.inprocess import InProcessTransport
from controller_runtime.envtest.kubeconfigs import kubeconfig_text, with_token
from controller_runtime.envtest.proxy import Backend, ServiceProxy
from controller_runtime.envtest.server import ApiServer
from controller_runtime.envtest.storage import HISTORY
from controller_runtime.envtest.streams import OpenWatches

__all__ = ["EmbeddedCluster"]


@final
class EmbeddedCluster:
    """See the module docstring.

    Args:
        clock: the time that objects show; the machine's by default.
        crds: CustomResourceDefinitions to install at once.
        port: where HTTP is served; 0 for a free port.
        http: serve HTTP from the start.
        tls: serve HTTPS with a certificate of the cluster's own. Without it kubectl cannot log in, because it sends no
            token over plain HTTP; other clients can.
        seed: of uids and generated names.
        history: changes kept of each resource.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        crds: Iterable[dict[str, Any]] = (),
        port: int = 0,
        http: bool = False,
        tls: bool = True,
        seed: int = 0,
        history: int = HISTORY,
    ) -> None:
        self.api = ApiServer(clock or SystemClock(), seed=seed, history=history)
        self._crds = list(crds)
        self._port = port
        self._http = http
        self._tls = tls
        self._certificate: Certificate | None = None
        self._token = secrets.token_urlsafe(32)
        self.api.accounts.register(self._token, "admin", ADMINISTRATORS)
        self._proxy = ServiceProxy()
        self._watches = OpenWatches()
        self._faults = Faults(self.api.storage, self._watches, seed=seed)
        self._gate = Gate(self.api, self._proxy, self._watches, self._faults)
        self._transport = InProcessTransport(self._gate)
        self._front: HttpFront | None = None
        self._collecting: asyncio.Task[None] | None = None

    @property
    def transport(self) -> Transport:
        """The way in without sockets."""
        return self._transport

    @property
    def url(self) -> str:
        """The HTTP address.

        Raises:
            RuntimeError: HTTP is not served.
        """
        if self._front is None:
            msg = "this cluster does not serve HTTP: pass http=True or await serve()"
            raise RuntimeError(msg)
        return f"{'http' if self._certificate is None else 'https'}://127.0.0.1:{self._front.port}"

    @property
    def token(self) -> str:
        """The bearer token of an administrator."""
        return self._token

    @property
    def faults(self) -> Faults:
        """Trouble on demand."""
        return self._faults

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Be away inside the block: connections are reset and refused. Afterwards it is back with the same data."""
        self._gate.closed = True
        for watch in self._watches:
            watch.reset()
        front, self._front = self._front, None
        if front is not None:
            self._port = front.port
            await front.stop()
        try:
            yield
        finally:
            self._gate.closed = False
            if front is not None:
                await self.serve()

    async def restart(self, down_for: float = 0.0) -> None:
        """Be away for so many seconds, and come back with the same data."""
        async with self.outage():
            await asyncio.sleep(down_for)

    @property
    def open_watches(self) -> int:
        """How many watches are being read right now."""
        return len(self._watches)

    def kubeconfig(
        self, user: str = "admin", *, groups: Sequence[str] = ADMINISTRATORS, namespace: str = "default"
    ) -> str:
        """Return a kubeconfig (YAML) for the HTTP address, with a token of a user in these groups.

        Raises:
            RuntimeError: HTTP is not served.
        """
        token = secrets.token_urlsafe(32)
        self.api.accounts.register(token, user, groups)
        return self._kubeconfig(user, token, namespace)

    async def service_account_kubeconfig(self, name: str, *, namespace: str = "default") -> str:
        """Return a kubeconfig (YAML) with a token of a service account.

        Raises:
            NotFound: there is no such service account.
            RuntimeError: HTTP is not served.
        """
        return self._kubeconfig(name, await service_account_token(self._transport, name, namespace), namespace)

    def _kubeconfig(self, user: str, token: str, namespace: str) -> str:
        authority = None if self._certificate is None else self._certificate.authority
        return kubeconfig_text(self.url, authority, user, with_token(token), namespace=namespace)

    async def install_crds(self, *crds: dict[str, Any]) -> None:
        """Create CustomResourceDefinitions, or change those that exist, as a user would: by server-side apply.

        Raises:
            ApiError: one of them is not valid.
        """
        await install_crds(self._transport, crds)

    def install(self, crd: dict[str, Any]) -> None:
        """Create a CustomResourceDefinition, or replace the spec of the one of that name; it is served at once.

        Raises:
            StatusError: it is not valid.
        """
        name = str(crd.get("metadata", {}).get("name", ""))
        stored = self.api.storage.get(CRDS, ObjectKey("", name))
        copy: dict[str, Any] = orjson.loads(orjson.dumps(crd))
        if stored is None:
            self.api.create("apiextensions.k8s.io/v1", "CustomResourceDefinition", copy)
            return
        merged = {**stored.copy(), "spec": copy["spec"]}
        kind = self.api.kinds.by_storage(CRDS)
        if kind is not None:
            self.api.writer.update(kind, stored.key, merged, WriteOptions(manager="envtest"))

    def add_backend(self, host: str, port: int, handler: Backend) -> None:
        """Let `handler` answer what the service proxy sends to an address."""
        self._proxy.add(host, port, handler)

    def remove_backend(self, host: str, port: int) -> None:
        """Forget a backend; the proxy dials the address again."""
        self._proxy.remove(host, port)

    async def serve(self) -> None:
        """Serve HTTP from now on. Idempotent.

        Raises:
            OSError: the port is taken.
        """
        if self._front is None:
            front = HttpFront(self._gate, self.api.accounts)
            if self._tls and self._certificate is None:
                self._certificate = make_certificate()
            await front.start(self._port, None if self._certificate is None else self._certificate.context)
            self._front = front

    async def __aenter__(self) -> Self:
        for crd in self._crds:
            self.install(crd)
        self._collecting = asyncio.get_running_loop().create_task(self._collect(), name="envtest-collector")
        try:
            if self._http:
                await self.serve()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        self._faults.clear()
        self._watches.stop()
        if self._front is not None:
            front, self._front = self._front, None
            await front.stop()
        if self._collecting is not None:
            task, self._collecting = self._collecting, None
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        await self._proxy.close()
        await self._transport.close()

    async def _collect(self) -> None:
        """Let the collector work whenever there is something to clean up."""
        wake = asyncio.Event()
        collector = self.api.collector
        collector.wake = wake.set
        while True:
            while collector.busy:
                await asyncio.sleep(0)
                collector.step()
            wake.clear()
            await wake.wait()
