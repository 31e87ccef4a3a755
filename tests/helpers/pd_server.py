"""The real pd-server: any number of processes on loopback addresses of their own, which are one PD cluster.

    async with PDServers(count=3) as pd:
        await pd.wait_for_leader()
        await pd["pd-1"].kill()

Each server has its data in a folder that is thrown away, so that it can be stopped, killed and started again. Leaving the
context kills what still runs and removes everything, and so does the end of this process. Where a server ends by itself,
the error quotes the last lines of its log.

Concurrency: for one event loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

import grpc
import tomlkit

from controller_runtime.envtest.binaryprocess import Component, ProcessGroup, find_binary
from helpers.certificates import Authority
from tikv_operator.pdclient import PDClient, PDError, PDRequester, requester_for
from tikv_operator.pdclient.tls import TLSMaterial, client_context

__all__ = ["ENVIRONMENT", "HASTE", "PEER_PORT", "PDServer", "PDServerFailed", "PDServers", "free_host"]

CLIENT_PORT: Final = 2379
PEER_PORT: Final = 2380

_STOP_TIMEOUT: Final = 15.0
_START_TIMEOUT: Final = 30.0
_POLL: Final = 0.05
_LOG_LINES: Final = 8

HASTE: Final[Mapping[str, Any]] = {
    "lease": 1,
    "tick-interval": "100ms",
    "election-interval": "600ms",
    "schedule": {
        "leader-schedule-limit": 64,
        "region-schedule-limit": 2048,
        "replica-schedule-limit": 512,
        "max-merge-region-size": 0,
    },
}
"""Configuration for elections and schedulers in a hurry: what takes minutes in production takes seconds."""

ENVIRONMENT: Final[Mapping[str, str]] = {"GODEBUG": "httpmuxgo121=1"}
"""PD registers routes that the router of newer Go refuses."""


class PDServerFailed(Exception):
    """A server didn't start, or not in time. The message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """Files by which a server or a client is known, and knows others."""

    ca: Path
    certificate: Path
    key: Path


@final
class PDServer:
    """One server. Made by `PDServers`."""

    def __init__(self, processes: ProcessGroup, name: str, host: str, *, scheme: str, arguments: list[str]) -> None:
        self.name = name
        self.host = host
        self.client_url = f"{scheme}://{host}:{CLIENT_PORT}"
        self.peer_url = f"{scheme}://{host}:{PEER_PORT}"
        self.data = processes.folder / f"{name}.data"
        self._processes = processes
        self._command = processes.folder / name
        self._command.symlink_to(find_binary("pd-server"))  # whose name is the log's
        self._arguments = [
            f"--name={name}",
            f"--data-dir={self.data}",
            f"--client-urls={self.client_url}",
            f"--advertise-client-urls={self.client_url}",
            f"--peer-urls={self.peer_url}",
            f"--advertise-peer-urls={self.peer_url}",
            *arguments,
        ]
        self._process: Component | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.exit_code is None

    def start(self, *arguments: str) -> None:
        """Start the process; it needs a moment until it serves. Data that is there is used again."""
        if not self.running:
            self._arguments += arguments
            self._process = self._processes.start(self._command, *self._arguments, environment=ENVIRONMENT)

    def rejoin(self, url: str) -> None:
        """Start it as a new server would be started that joins the one at a URL."""
        self._arguments = [each for each in self._arguments if not each.startswith("--initial-cluster")]
        self.start(f"--join={url}")

    async def stop(self) -> None:
        """End it as a kubelet does: politely, then by force. Idempotent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self._end(signal.SIGTERM)
                return
        await self.kill()

    async def kill(self) -> None:
        """End it at once. Idempotent."""
        await self._end(signal.SIGKILL)

    async def ended(self, timeout: float = _START_TIMEOUT) -> str:
        """Wait until it has ended by itself, and return the last lines of its log."""
        assert self._process is not None
        async with asyncio.timeout(timeout):
            while self.running:
                await asyncio.sleep(_POLL)
        return self._process.last_lines(_LOG_LINES)

    def lose_data(self) -> None:
        """Empty its disk. It must not run."""
        assert not self.running
        shutil.rmtree(self.data)

    def last_lines(self) -> str:
        return self._process.last_lines(_LOG_LINES) if self._process is not None else "(never started)"

    def check(self) -> None:
        """
        Raises:
            PDServerFailed: it has ended by itself.
        """
        if self._process is not None and self._process.exit_code is not None:
            msg = f"{self.name} ended with {self._process.exit_code}:\n{self.last_lines()}"
            raise PDServerFailed(msg)

    async def _end(self, how: signal.Signals) -> None:
        process = self._process
        while process is not None and process.exit_code is None:
            os.kill(process.pid, how)
            await asyncio.sleep(_POLL)
        self._process = None


@final
class PDServers:
    """See the module docstring. An async context manager.

    Args:
        count: servers to begin with, called `pd-0` and so on.
        authority: signs certificates; without it there is no TLS.
        max_replicas: peers of each region.
    """

    def __init__(self, *, count: int = 1, authority: Authority | None = None, max_replicas: int = 3) -> None:
        self._count = count
        self._authority = authority
        self._config = {
            **HASTE,
            "replication": {"max-replicas": max_replicas, "location-labels": ["zone", "host"]},
        }
        self._stack = AsyncExitStack()
        self._processes = ProcessGroup()
        self._servers: dict[str, PDServer] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.enter_context(self._processes)
            (self._processes.folder / "config.toml").write_text(tomlkit.dumps(self._config))
            first = [self._make(f"pd-{number}") for number in range(self._count)]
            cluster = ",".join(f"{server.name}={server.peer_url}" for server in first)
            for server in first:
                server.start(f"--initial-cluster={cluster}")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def __getitem__(self, name: str) -> PDServer:
        return self._servers[name]

    def __iter__(self) -> Iterator[PDServer]:
        return iter(self._servers.values())

    @property
    def client_urls(self) -> list[str]:
        return [server.client_url for server in self]

    @cached_property
    def requester(self) -> PDRequester:
        """A way to all the servers that there are when it is first asked for."""
        requester = requester_for(self.client_urls[0], "direct", ssl=self.ssl)
        requester.learn(self.client_urls)
        self._stack.push_async_callback(requester.close)
        return requester

    @cached_property
    def client(self) -> PDClient:
        """A client over `requester`."""
        return PDClient(self.requester)

    @cached_property
    def ssl(self) -> ssl.SSLContext | None:
        """How clients talk TLS; None without."""
        identity = self._client_identity
        if identity is None:
            return None
        files = (identity.ca, identity.certificate, identity.key)
        return client_context(TLSMaterial(*(file.read_bytes() for file in files)))

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """The same for gRPC."""
        identity = self._client_identity
        if identity is None:
            return None
        return grpc.ssl_channel_credentials(
            identity.ca.read_bytes(), identity.key.read_bytes(), identity.certificate.read_bytes()
        )

    def join(self, name: str) -> PDServer:
        """Start one more server, which joins those that run."""
        running = next(server.client_url for server in self if server.running)
        server = self.prepare(name)
        server.rejoin(running)
        return server

    def prepare(self, name: str) -> PDServer:
        """Make one more server, and don't start it."""
        return self._make(name)

    async def leader(self) -> str:
        """Return the name of the leader; empty while there is none."""
        try:
            members = await self.client.members()
        except PDError:
            return ""
        return members.leader.name if members.leader else ""

    async def wait_for_leader(self, *, other_than: str = "", timeout: float = _START_TIMEOUT) -> str:
        """Wait until PD answers, and return the name of its leader.

        Raises:
            PDServerFailed: a server has ended by itself, or there is no leader in time.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    for server in self:
                        server.check()
                    if (leader := await self.leader()) and leader != other_than:
                        return leader
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            logs = "\n".join(f"-- {server.name}\n{server.last_lines()}" for server in self)
            msg = f"PD has no leader after {timeout:g} s\n{logs}"
            raise PDServerFailed(msg) from None

    async def lift_store_limits(self) -> None:
        """Let all stores that exist, and later ones, add and remove peers as fast as they can: 15 a minute by default."""
        for kind in ("add-peer", "remove-peer"):
            await self.post("stores/limit", {"type": kind, "rate": 100_000})

    async def post(self, path: str, body: Any) -> None:
        """Change something that an operator never changes.

        Args:
            path: after `/pd/api/v1/`.

        Raises:
            PDError: PD refuses, or doesn't answer.
        """
        answer = await self.requester.request(
            "POST", f"/pd/api/v1/{path}", body=json.dumps(body).encode(), timeout=_START_TIMEOUT
        )
        if answer.status != 200:
            raise PDError(answer.body.decode(errors="replace"), endpoint=path, status=answer.status)

    @cached_property
    def _client_identity(self) -> _Identity | None:
        return self._sign("client")

    def _make(self, name: str) -> PDServer:
        host = free_host()
        arguments = [f"--config={self._processes.folder / 'config.toml'}"]
        identity = self._sign(name, host, "127.0.0.1")  # which is where its peers see its connections come from
        if identity is not None:
            arguments += [f"--cacert={identity.ca}", f"--cert={identity.certificate}", f"--key={identity.key}"]
        scheme = "http" if identity is None else "https"
        server = self._servers[name] = PDServer(self._processes, name, host, scheme=scheme, arguments=arguments)
        return server

    def _sign(self, name: str, *hosts: str) -> _Identity | None:
        if self._authority is None:
            return None
        signed = self._authority.sign(name, hosts=hosts)
        folder = self._processes.folder
        identity = _Identity(folder / f"{name}.ca", folder / f"{name}.crt", folder / f"{name}.key")
        identity.ca.write_bytes(self._authority.certificate)
        identity.certificate.write_bytes(signed.certificate)
        identity.key.write_bytes(signed.key)
        return identity


def free_host() -> str:
    """A loopback address on which nobody uses PD's ports: all of 127.0.0.0/8 is this machine."""
    while True:
        host = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(2, 255)}"
        try:
            for port in (CLIENT_PORT, PEER_PORT):
                with socket.socket() as probe:
                    probe.bind((host, port))
        except OSError:
            continue
        return host
