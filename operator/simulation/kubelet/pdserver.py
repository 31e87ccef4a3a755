"""What runs inside a PD pod: a PD server, which founds its cluster, joins it, or comes back to it. Synchronous; see `processes`.

A server without data goes by its configuration: with `initial-cluster` it founds the cluster together with the others that are
named there, with `join` it asks the running cluster to take it in, and starts a moment later. One with data goes by that. It is
refused as a real one is: when its name is a member's that has lost its data, when another server has been admitted and hasn't
started, when it was removed.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tikv_operator.simulation.kubelet.processes import Disk, FindPD
from tikv_operator.simulation.kubelet.tikvconfig import ConfigUnusable
from tikv_operator.simulation.pd import Member, SimulatedPD
from tikv_operator.simulation.pd.http import handle
from tikv_operator.simulation.pd.members import MemberRefused
from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["PDConfigFile", "PDServer", "parse_pd_config"]


@dataclass(frozen=True, slots=True)
class PDConfigFile:
    """The parts of PD's configuration that decide who a server is and how it comes to its cluster.

    Attributes:
        founders: name and peer URL of each founder.
        tables: the whole file.
    """

    name: str
    client_url: str
    peer_url: str
    data_dir: str
    join: str
    founders: tuple[tuple[str, str], ...]
    tables: dict[str, Any]


def parse_pd_config(text: str) -> PDConfigFile:
    """
    Raises:
        ConfigUnusable: the text is not TOML, or lacks a name or an address.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"invalid configuration file: {error}"
        raise ConfigUnusable(msg) from error
    found = PDConfigFile(
        name=str(tree.get("name") or ""),
        client_url=str(tree.get("advertise-client-urls") or ""),
        peer_url=str(tree.get("advertise-peer-urls") or ""),
        data_dir=str(tree.get("data-dir") or "/var/lib/pd"),
        join=str(tree.get("join") or ""),
        founders=tuple(_founder(item) for item in str(tree.get("initial-cluster") or "").split(",") if item),
        tables=tree,
    )
    if not found.name or not found.client_url or not found.peer_url:
        msg = "invalid configuration file: a name or an address is missing"
        raise ConfigUnusable(msg)
    return found


def _founder(item: str) -> tuple[str, str]:
    name, _, url = item.partition("=")
    return name, url


class PDServer:
    """A `Process`; see the module docstring.

    Args:
        version: what its image is tagged with.
        read_config: returns the text of its configuration file.
        open_disk: returns the disk at a path, and its capacity in bytes.
        own_pd: returns what its cluster's PD servers make up together; None while that can't be reached.
        find_pd: see `FindPD`.
    """

    def __init__(
        self,
        *,
        version: str,
        read_config: Callable[[], str],
        open_disk: Callable[[str], tuple[Disk, int]],
        own_pd: Callable[[], SimulatedPD | None],
        find_pd: FindPD,
        settings: SimulationSettings,
    ) -> None:
        self.failure = ""
        self._version = version
        self._read_config = read_config
        self._open_disk = open_disk
        self._own_pd = own_pd
        self._find_pd = find_pd
        self._settings = settings
        self._config: PDConfigFile | None = None
        self._disk = Disk()
        self._pd: SimulatedPD | None = None
        self._starts_at: float | None = None
        self._loaded_at = 0.0
        self._healthy = False

    @property
    def healthy(self) -> bool:
        return self._healthy

    def start(self, now: float) -> None:
        self.failure, self._pd, self._starts_at, self._healthy = "", None, None, False
        try:
            self._config = parse_pd_config(self._read_config())
        except ConfigUnusable as error:
            self.failure = str(error)
        else:
            self._disk, _ = self._open_disk(self._config.data_dir)

    def poll(self, now: float) -> float | None:
        config = self._config
        if self.failure or config is None:
            return None
        if self._pd is not None:
            self._healthy = now >= self._loaded_at
            return None if self._healthy else self._loaded_at
        try:
            pd = self._enter(config, now)
        except MemberRefused as refusal:
            self.failure = str(refusal)
            return None
        if pd is None:
            return now + self._settings.register_retry if self._starts_at is None else self._starts_at
        self._pd = pd
        pd.member_runs(config.name, True, now)
        self._loaded_at = now + self._settings.pd_load_seconds
        return self._loaded_at

    def answer(
        self, method: str, path: str, params: Sequence[tuple[str, str]], body: bytes, *, now: float
    ) -> tuple[int, bytes]:
        """Answer a request that was sent to this server: whether it has loaded its regions is its own, all else the cluster's."""
        if self._pd is None:
            return 503, b"the server has not started yet\n"
        if (method, path) == ("GET", "/pd/api/v2/ready"):
            return (200, b"") if now >= self._loaded_at else (500, b"regions not loaded yet\n")
        return handle(self._pd, method, path, params, body, now=now)

    def serve(self, ready: bool, now: float) -> None:
        """A server serves whether its pod is ready or not."""

    def stop(self, now: float) -> None:
        if self._pd is not None and self._config is not None:
            self._pd.member_runs(self._config.name, False, now)
        self._pd, self._config, self._healthy = None, None, False

    def leaders(self, now: float) -> int | None:
        return None

    def known_to_pd(self, now: float) -> bool:
        return False

    def _enter(self, config: PDConfigFile, now: float) -> SimulatedPD | None:
        """Come to the cluster; None if that takes longer.

        Raises:
            MemberRefused: the cluster doesn't want it.
        """
        if self._disk.member_id:
            return self._come_back(config, now)
        if config.join:
            return self._join(config, now)
        pd = self._own_pd()
        if pd is None:
            return None
        if not pd.members.all():
            pd.members_found([self._member(config, name, url) for name, url in config.founders], now)
            pd.configure_from(config.tables)
        own = pd.members.get(config.name)
        if own is None or pd.members.has_run(config.name):
            msg = f"member {config.name} has already been bootstrapped"
            raise MemberRefused(msg)
        self._disk.member_id, self._disk.cluster_id = own.id, pd.cluster_id
        self._tell_version(pd, config, own, now)
        return pd

    def _come_back(self, config: PDConfigFile, now: float) -> SimulatedPD | None:
        pd = self._own_pd()
        if pd is None:
            return None
        own = pd.members.get(config.name)
        if own is None or own.id != self._disk.member_id or pd.cluster_id != self._disk.cluster_id:
            msg = "the member has been permanently removed from the cluster"
            raise MemberRefused(msg)
        self._tell_version(pd, config, own, now)
        return pd

    def _join(self, config: PDConfigFile, now: float) -> SimulatedPD | None:
        if self._starts_at is not None and now < self._starts_at:
            return None
        pd = self._own_pd() if self._starts_at is not None else self._find_pd(config.join)
        if pd is None or (self._starts_at is None and not pd.serving(now)):
            return None
        if self._starts_at is None:
            own = self._member(config, config.name, config.peer_url, salt=str(now))
            pd.member_asks(own, now)
            self._starts_at = now + self._settings.pd_join_seconds
            return None
        found = pd.members.get(config.name)
        if found is None:
            msg = "the member has been permanently removed from the cluster"
            raise MemberRefused(msg)
        self._disk.member_id, self._disk.cluster_id = found.id, pd.cluster_id
        self._tell_version(pd, config, found, now)
        return pd

    def _member(self, config: PDConfigFile, name: str, peer_url: str, *, salt: str = "") -> Member:
        number = random.Random(f"{name} {peer_url} {salt}").getrandbits(62)  # noqa: S311 - needs to differ, not to be secret
        own = name == config.name
        return Member(
            name=name,
            id=number,
            client_url=config.client_url if own else peer_url,
            peer_url=peer_url,
            version=self._version if own else "",
        )

    def _tell_version(self, pd: SimulatedPD, config: PDConfigFile, own: Member, now: float) -> None:
        """A server that starts publishes its version and where it serves clients."""
        pd.member_joined(
            Member(
                name=own.name, id=own.id, client_url=config.client_url, peer_url=own.peer_url, version=self._version
            ),
            now,
        )
