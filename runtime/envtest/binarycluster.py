"""`BinaryCluster`: the real etcd and kube-apiserver, behind the same door as the embedded cluster.

    async with BinaryCluster(crds=[...]) as cluster:
        Path("kubeconfig").write_text(cluster.kubeconfig("jane", groups=["developers"]))
        ...

It starts in some seconds, and everything is real: access control by RBAC, admission, watch caches. The binaries come from
the folder that KUBEBUILDER_ASSETS names, or from the cache folder that hack/envtest/build.sh fills.

There are no nodes and no scheduler. With `controller_manager=True`, kube-controller-manager cleans up: what belonged to an
object that is gone, and what was in a namespace that is deleted. Kinds that are installed later it notices within half a
minute; those of `crds` it knows from the start.

Concurrency: for one event loop. Leaving the block ends the processes and removes their folder at once, as does the end of
this process, however it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from controller_runtime.client.http import HttpTransport
from controller_runtime.client.transport import Transport
from controller_runtime.envtest.binaryplane import ControlPlane
from controller_runtime.envtest.clustersetup import install_crds, service_account_token
from controller_runtime.envtest.contract import ADMINISTRATORS

__all__ = ["BinaryCluster"]


@final
class BinaryCluster:
    """See the module docstring; implements `controller_runtime.envtest.Cluster`.

    Args:
        crds: CustomResourceDefinitions to install at once.
        assets: the folder with the binaries, instead of those named above.
        controller_manager: start kube-controller-manager too.
        audit_log: a file to which kube-apiserver appends who asked for what, and the answer's code, as lines of JSON.
        flags: further ones of kube-apiserver.
        patience: seconds that a component may need to get ready.
    """

    def __init__(
        self,
        *,
        crds: Iterable[dict[str, Any]] = (),
        assets: Path | None = None,
        controller_manager: bool = False,
        audit_log: Path | None = None,
        flags: Sequence[str] = (),
        patience: float = 90.0,
    ) -> None:
        self._crds = list(crds)
        self._assets = assets
        self._controller_manager = controller_manager
        self._audit_log = audit_log
        self._flags = flags
        self._patience = patience
        self._shared: ControlPlane | None = None
        self._plane: ControlPlane | None = None
        self._transport: HttpTransport | None = None

    @classmethod
    def of(cls, plane: ControlPlane, *, crds: Iterable[dict[str, Any]] = ()) -> BinaryCluster:
        """Return a cluster whose processes run already and go on when its block is left: for tests that share them."""
        cluster = cls(crds=crds)
        cluster._shared = plane
        return cluster

    @property
    def transport(self) -> Transport:
        """An administrator's way in.

        Raises:
            RuntimeError: the cluster is not running.
        """
        if self._transport is None:
            raise _not_running()
        return self._transport

    @property
    def url(self) -> str:
        """The HTTPS address of kube-apiserver.

        Raises:
            RuntimeError: the cluster is not running.
        """
        return self._running.url

    @property
    def etcd_url(self) -> str:
        """The address of etcd, which listens to everybody on this machine.

        Raises:
            RuntimeError: the cluster is not running.
        """
        return self._running.etcd_url

    def kubeconfig(
        self, user: str = "admin", *, groups: Sequence[str] = ADMINISTRATORS, namespace: str = "default"
    ) -> str:
        """Return a kubeconfig (YAML) of any user in any groups, with a certificate of their own.

        Raises:
            RuntimeError: the cluster is not running.
            ValueError: a name is longer than the 64 characters that a certificate can hold.
        """
        return self._running.kubeconfig(user, groups, namespace)

    async def service_account_kubeconfig(self, name: str, *, namespace: str = "default") -> str:
        """Return a kubeconfig (YAML) with a token of a service account, good for an hour.

        Raises:
            NotFound: there is no such service account.
            RuntimeError: the cluster is not running.
        """
        token = await service_account_token(self.transport, name, namespace)
        return self._running.kubeconfig_with_token(name, token, namespace)

    async def install_crds(self, *crds: dict[str, Any]) -> None:
        """Create CustomResourceDefinitions, or change those that exist, and wait until they are served.

        Raises:
            ApiError: one of them is not valid.
            RuntimeError: the cluster is not running.
            TimeoutError: one of them was not served in time.
        """
        await install_crds(self.transport, crds)

    @property
    def _running(self) -> ControlPlane:
        if self._plane is None:
            raise _not_running()
        return self._plane

    async def __aenter__(self) -> Self:
        self._plane = self._shared or await ControlPlane.start(
            assets=self._assets, audit_log=self._audit_log, flags=self._flags, patience=self._patience
        )
        try:
            self._transport = HttpTransport(self._plane.administrator())
            await self.install_crds(*self._crds)
            if self._controller_manager:
                await self._plane.start_controller_manager()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        plane, self._plane = self._plane, None
        transport, self._transport = self._transport, None
        if plane is not None and plane is not self._shared:
            plane.stop()  # first, since nothing can cancel it
        if transport is not None:
            await transport.close()


def _not_running() -> RuntimeError:
    return RuntimeError("the cluster is not running: use it inside `async with`")
