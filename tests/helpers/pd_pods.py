"""What runs in PD pods of a test with a managed PD: a real pd-server each, on a loopback address of its own.

A server gets the configuration that the operator wrote for it, but listens at its address, and clients are sent there. Among
each other servers go by the names that the operator gave them, as in a cluster: members are known by their peer URLs, and the
operator goes by those. The names are in a hosts file that only the servers see, each in a mount namespace of its own (which
takes root, or user namespaces), and are written down for the operator (`pd_names`), those of services too: a service leads to
one of its servers that serve. Data lives as long as the volume of the pod.

Concurrency: synchronous, for the simulated kubelet's event loop. Leaving the context kills all servers.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import tomlkit

from controller_runtime.envtest.binaryprocess import Component, ProcessGroup, find_binary
from helpers.pd_names import Names
from helpers.pd_server import ENVIRONMENT, HASTE, free_host
from tikv_operator.simulation.kubelet.pdserver import PDConfigFile, parse_pd_config
from tikv_operator.simulation.kubelet.processes import Disk, FindPD
from tikv_operator.simulation.kubelet.tikvconfig import ConfigUnusable
from tikv_operator.simulation.pd import SimulatedPD
from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["PDPods", "ProcessPD"]

_STARTING: Final = 0.1
_RUNNING: Final = 0.3
_CONNECT: Final = 0.2
_HOST: Final = re.compile(r"(?<=://)[^:/,]+")
_LAUNCHER: Final = """\
#!/bin/sh
exec unshare {namespaces} sh -c 'mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"' \\
    {hosts} {resolver} {server} "$@"
"""
_NO_RESOLVER: Final = "nameserver 127.0.0.1\n"
"""Nobody listens there: a name that isn't in the hosts file is refused at once."""


class PDPods:
    """See the module docstring; `running` makes one. `make` is a `PDFactory`.

    Attributes:
        servers: those that have been started, by name.
    """

    def __init__(self, processes: ProcessGroup, names: Names) -> None:
        self.servers: dict[str, ProcessPD] = {}
        self._processes = processes
        self._names = names
        self._hosts: dict[str, str] = {}
        self._hosts_file = processes.folder / "hosts"
        self._hosts_file.touch()
        self._disks: list[Disk] = []

    @classmethod
    @contextmanager
    def running(cls, names: Path) -> Iterator[PDPods]:
        """
        Args:
            names: the file of names.
        """
        with ProcessGroup() as processes:
            yield cls(processes, Names(names))

    def make(
        self,
        *,
        version: str,
        read_config: Callable[[], str],
        open_disk: Callable[[str], tuple[Disk, int]],
        own_pd: Callable[[], SimulatedPD | None],
        find_pd: FindPD,
        settings: SimulationSettings,
    ) -> ProcessPD:
        return ProcessPD(self, read_config, open_disk)

    def client_urls(self) -> list[str]:
        """Where the servers that serve can be reached."""
        return [server.client_url for server in self.servers.values() if server.healthy]

    def kill(self, name: str) -> None:
        """Kill a server as `kill -9` does; its kubelet will start it again."""
        self.servers[name].kill()

    def lose_data(self, name: str) -> None:
        """Kill a server and empty its volume."""
        self.servers[name].lose_data()

    # -- for the servers

    def address_of(self, host: str) -> str:
        if host not in self._hosts:
            self._hosts[host] = free_host()
            self._names.set(host, self._hosts[host])
            with self._hosts_file.open("a") as file:  # in place: a new file would not be the one that is mounted
                file.write(f"{self._hosts[host]} {host}\n")
        return self._hosts[host]

    def data_of(self, disk: Disk) -> Path:
        """The folder of a volume; another volume is another folder."""
        known = next((number for number, each in enumerate(self._disks) if each is disk), None)
        if known is None:
            known = len(self._disks)
            self._disks.append(disk)
        return self._processes.folder / f"volume-{known}"

    def launch(self, name: str, config: dict[str, Any]) -> Component:
        folder = self._processes.folder
        command = folder / name
        if not command.exists():
            resolver = folder / "resolv.conf"
            resolver.write_text(_NO_RESOLVER)
            namespaces = "--mount" if os.geteuid() == 0 else "--user --map-root-user --mount"
            parts = {"hosts": self._hosts_file, "resolver": resolver, "server": find_binary("pd-server")}
            quoted = {part: shlex.quote(str(path)) for part, path in parts.items()}
            command.write_text(_LAUNCHER.format(namespaces=namespaces, **quoted))  # its name is the log's
            command.chmod(0o755)
        file = folder / f"{name}.toml"
        file.write_text(tomlkit.dumps(config))
        return self._processes.start(command, f"--config={file}", environment=ENVIRONMENT)

    def point_services(self) -> None:
        """Let each service lead to a server that serves, the same one as long as it does."""
        for service in {server.service for server in self.servers.values()}:
            serving = [server for server in self.servers.values() if server.service == service and server.healthy]
            if serving:
                self._names.set(service, urlsplit(serving[0].client_url).hostname or "")


class ProcessPD:
    """The process of a PD pod. A `tikv_operator.simulation.kubelet.processes.Process`."""

    def __init__(
        self, pods: PDPods, read_config: Callable[[], str], open_disk: Callable[[str], tuple[Disk, int]]
    ) -> None:
        self.failure = ""
        self.healthy = False
        self.client_url = ""
        self.service = ""
        self._pods = pods
        self._read_config = read_config
        self._open_disk = open_disk
        self._process: Component | None = None
        self._data = Path()

    def start(self, now: float) -> None:
        self.failure, self.healthy = "", False
        text = self._read_config()
        try:
            config = parse_pd_config(text)
        except ConfigUnusable as error:
            self.failure = str(error)
            return
        host = urlsplit(config.client_url).hostname or ""
        self.service = host.partition(".")[2].replace("-pd-peer", "-pd")
        disk, _ = self._open_disk(config.data_dir)
        self._data = self._pods.data_of(disk)
        tree = self._localized(tomllib.loads(text), config)
        if tree.get("join") == "":
            self.failure = "nobody to join"
            return
        self.client_url = str(tree["client-urls"])
        self._process = self._pods.launch(config.name, tree)
        self._pods.servers[config.name] = self

    def poll(self, now: float) -> float | None:
        process = self._process
        if process is None:
            return None
        if process.exit_code is not None:
            self.failure = f"exit code {process.exit_code}: {process.last_lines(3)}"
            self.healthy = False
            self._pods.point_services()
            return None
        self.healthy = _listens(self.client_url)
        self._pods.point_services()
        return now + (_RUNNING if self.healthy else _STARTING)

    def serve(self, ready: bool, now: float) -> None:
        """A server serves whether its pod is ready or not."""

    def stop(self, now: float) -> None:
        self.kill()
        self._process, self.healthy = None, False
        self._pods.point_services()

    def leaders(self, now: float) -> int | None:
        return None

    def known_to_pd(self, now: float) -> bool:
        return False

    def kill(self) -> None:
        if self._process is not None and self._process.exit_code is None:
            os.kill(self._process.pid, signal.SIGKILL)

    def lose_data(self) -> None:
        self.kill()
        while self._process is not None and self._process.exit_code is None:
            time.sleep(0.001)  # the kernel's own time
        shutil.rmtree(self._data)

    def _localized(self, tree: dict[str, Any], config: PDConfigFile) -> dict[str, Any]:
        """The configuration as it can work on this machine."""
        name = urlsplit(config.client_url).hostname or ""
        own = self._pods.address_of(name)
        found: dict[str, Any] = {**HASTE, **tree, "data-dir": str(self._data)}
        for host in _HOST.findall(f"{found.get('initial-cluster', '')},{found['advertise-peer-urls']}"):
            self._pods.address_of(host)  # so that the servers know it
        found["advertise-client-urls"] = str(found["advertise-client-urls"]).replace(name, own)
        for key in ("client-urls", "peer-urls"):
            found[key] = str(found[key]).replace("[::]", own)
        if "join" in found:
            found["join"] = next(iter(self._pods.client_urls()), "")
        for table, values in HASTE.items():
            if isinstance(values, dict):
                found[table] = {**values, **tree.get(table, {})}
        return found


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_CONNECT).close()
    except OSError:
        return False
    return True
