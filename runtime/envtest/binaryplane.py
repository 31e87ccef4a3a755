"""`ControlPlane`: the processes of a real control plane, ready to serve and bound to no event loop.

Guarantees: `start` returns one that serves, or raises with the last lines of the component that did not come up and leaves
nothing behind, also when it is cancelled. A port that somebody else took in the meantime is replaced by another. Whoever is
no administrator may do what RBAC allows, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar, final

import aiohttp

from controller_runtime.client.config import ClientConfig
from controller_runtime.envtest import binaryflags
from controller_runtime.envtest.binaryprocess import Component, PortTaken, ProcessGroup, find_binary, free_ports
from controller_runtime.envtest.contract import ADMINISTRATORS
from controller_runtime.envtest.kubeconfigs import kubeconfig_text, with_certificate, with_token
from controller_runtime.envtest.pki import Authority, private_key

__all__ = ["ControlPlane"]

T = TypeVar("T")

_ATTEMPTS: Final = 3
_POLL: Final = 0.05
_READY: Final = ("/readyz", "/api/v1/namespaces/default")  # the namespace is made shortly after the server is ready


@final
class ControlPlane:
    """See the module docstring; `start` makes one.

    Args:
        assets: the folder with the binaries; see `find_binary` for the default.
        patience: seconds for a component to get ready.
    """

    def __init__(self, assets: Path | None, patience: float) -> None:
        self._assets = assets
        self._patience = patience
        self._ports = binaryflags.Ports(*free_ports(len(binaryflags.Ports._fields)))
        self._authority = Authority()
        self._stack = ExitStack()
        self._group = self._stack.enter_context(ProcessGroup())

    @classmethod
    async def start(
        cls,
        *,
        assets: Path | None = None,
        audit_log: Path | None = None,
        flags: Sequence[str] = (),
        patience: float = 90.0,
    ) -> ControlPlane:
        """Start etcd and kube-apiserver, and wait until they serve.

        Args:
            audit_log: where to log who asked for what.
            flags: further ones of kube-apiserver.

        Raises:
            ComponentFailed: one of them did not come up.
            FileNotFoundError: a binary is missing.
        """

        async def attempt() -> ControlPlane:
            plane = cls(assets, patience)
            try:
                await plane._serve(audit_log, flags)
            except BaseException:
                plane.stop()
                raise
            return plane

        return await _on_free_ports(attempt)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._ports.api_server}"

    @property
    def etcd_url(self) -> str:
        """etcd's address, where it also answers JSON."""
        return f"http://127.0.0.1:{self._ports.etcd}"

    def kubeconfig(self, user: str, groups: Sequence[str], namespace: str) -> str:
        """Return the kubeconfig of a user, who has a certificate of their own.

        Raises:
            ValueError: the name or a group is longer than the 64 characters that a certificate can hold.
        """
        credentials = with_certificate(*self._authority.client(user, groups))
        return kubeconfig_text(self.url, self._authority.certificate, user, credentials, namespace=namespace)

    def kubeconfig_with_token(self, user: str, token: str, namespace: str) -> str:
        """Return a kubeconfig with a bearer token."""
        return kubeconfig_text(self.url, self._authority.certificate, user, with_token(token), namespace=namespace)

    def administrator(self) -> ClientConfig:
        """Return the client configuration of an administrator."""
        return ClientConfig(host=self.url, ssl=self._tls(), source="envtest")

    def stop(self) -> None:
        """End all processes and remove their folder. Idempotent."""
        self._stack.close()

    async def start_controller_manager(self) -> None:
        """Start kube-controller-manager, and wait until it serves.

        Raises:
            ComponentFailed: it did not come up.
            FileNotFoundError: the binary is missing.
        """
        binary, folder = find_binary("kube-controller-manager", self._assets), self._group.folder
        user = "system:kube-controller-manager"
        self._write("controller-manager.kubeconfig", self.kubeconfig(user, (), "default").encode())

        async def attempt() -> None:
            (port,) = free_ports(1)
            component = self._group.start(binary, *binaryflags.controller_manager(folder, port))
            await self._ready(f"https://127.0.0.1:{port}/healthz", component)

        await _on_free_ports(attempt)

    async def _serve(self, audit_log: Path | None, flags: Sequence[str]) -> None:
        etcd, api_server = find_binary("etcd", self._assets), find_binary("kube-apiserver", self._assets)
        folder = self._group.folder
        server, administrator = self._authority.server(), self._authority.client("admin", ADMINISTRATORS)
        self._write("ca.crt", self._authority.certificate)
        self._write("server.crt", server.certificate)
        self._write("server.key", server.key)
        self._write("admin.crt", administrator.certificate)
        self._write("admin.key", administrator.key)
        self._write("accounts.key", private_key())
        self._write("audit.yaml", binaryflags.AUDIT_POLICY.encode())
        store = self._group.start(etcd, *binaryflags.etcd(folder, self._ports))
        front = self._group.start(api_server, *binaryflags.api_server(folder, self._ports, audit_log), *flags)
        for path in _READY:
            await self._ready(self.url + path, store, front)

    async def _ready(self, url: str, *components: Component) -> None:
        """Wait until the last of `components` answers `url` with 200; the others are what it needs."""
        *_, awaited = components
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._tls())) as session:
            try:
                async with asyncio.timeout(self._patience):
                    while not await _answers(session, url):
                        for component in components:
                            if component.exit_code is not None:
                                raise component.failure(f"ended with exit code {component.exit_code}")
                        await asyncio.sleep(_POLL)
            except TimeoutError:
                raise awaited.failure(f"was not ready within {self._patience:g} s") from None

    def _tls(self) -> ssl.SSLContext:
        folder = self._group.folder
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
        return context

    def _write(self, name: str, content: bytes) -> None:
        (self._group.folder / name).write_bytes(content)  # nobody else can enter the folder


async def _on_free_ports(attempt: Callable[[], Awaitable[T]]) -> T:
    """Make another attempt, with other ports, if somebody took one."""
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(PortTaken):
            return await attempt()
    return await attempt()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
