"""What runs inside a pod's main container: a TiKV (a PD server is in `pdserver`), or something that just runs.

A process is told when it starts, stops and becomes ready, and is asked to go on (`poll`) whenever its pod is looked at. It
acts on the simulated PD directly, as a real one would over gRPC. Everything is synchronous; times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tikv_operator.simulation.kubelet.statusapi import StatusAPI
from tikv_operator.simulation.kubelet.tikvconfig import ConfigUnusable, TiKVConfig, parse_tikv_config
from tikv_operator.simulation.pd import Registration, RegistrationRefused, SimulatedPD
from tikv_operator.simulation.settings import SimulationSettings
from tikv_operator.simulation.troubles import Troubles

__all__ = ["Disk", "FindPD", "PlainProcess", "Process", "TiKVServer"]

FindPD = Callable[[str], SimulatedPD | None]
"""Finds the PD behind a URL, as DNS and the network would."""


@dataclass(slots=True)
class Disk:
    """What a process has written to its volume: who it is. Zeros on an empty volume."""

    store_id: int = 0
    member_id: int = 0
    cluster_id: int = 0


class Process(Protocol):
    """The process of a main container."""

    @property
    def failure(self) -> str:
        """Why the process has ended by itself; empty while it runs."""
        ...

    @property
    def healthy(self) -> bool:
        """What a readiness probe would find."""
        ...

    def start(self, now: float) -> None: ...

    def poll(self, now: float) -> float | None:
        """Go on with what is due; return when to be asked again at the latest, or None."""
        ...

    def serve(self, ready: bool, now: float) -> None:
        """The pod has become ready, or is not ready any more."""
        ...

    def stop(self, now: float) -> None:
        """The process is gone. Idempotent."""
        ...

    def leaders(self, now: float) -> int | None:
        """How many regions it leads, by its own metrics; None if it has no such metric."""
        ...

    def known_to_pd(self, now: float) -> bool:
        """Whether PD answers, and lists this process among its stores."""
        ...


class PlainProcess:
    """Runs, and has nothing to do with PD."""

    failure = ""
    healthy = True

    def start(self, now: float) -> None:
        """Nothing to be done."""

    def poll(self, now: float) -> float | None:
        return None

    def serve(self, ready: bool, now: float) -> None:
        """Nobody depends on it."""

    def stop(self, now: float) -> None:
        """Nothing to be done."""

    def leaders(self, now: float) -> int | None:
        return None

    def known_to_pd(self, now: float) -> bool:
        return False


class TiKVServer:
    """A TiKV. It registers its store as soon as PD answers, under the identity on its disk.

    Args:
        name: of its pod, which troubles go by.
        read_config: returns the text of its configuration file.
        open_disk: returns the disk at a path, and its capacity in bytes.
        find_pd: see `FindPD`.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str,
        read_config: Callable[[], str],
        open_disk: Callable[[str], tuple[Disk, int]],
        find_pd: FindPD,
        settings: SimulationSettings,
        troubles: Troubles,
    ) -> None:
        self.name = name
        self.failure = ""
        self._version = version
        self._read_config = read_config
        self.status = StatusAPI(read_config)
        self._open_disk = open_disk
        self._find_pd = find_pd
        self._settings = settings
        self._troubles = troubles
        self._config: TiKVConfig | None = None
        self._disk = Disk()
        self._capacity = 0
        self._pd: SimulatedPD | None = None

    @property
    def healthy(self) -> bool:
        return self._pd is not None

    def start(self, now: float) -> None:
        self.failure = ""
        self._pd = None
        self.status.start()
        try:
            self._config = parse_tikv_config(self._read_config())
        except ConfigUnusable as error:
            self.failure = str(error)
        else:
            self._disk, self._capacity = self._open_disk(self._config.data_dir)

    def poll(self, now: float) -> float | None:
        """Register if that is still to be done, and let troubles take effect."""
        if self.failure or self._config is None:
            return None
        if self.name in self._troubles.dead_stores:
            self._disconnect(now)
            return None
        if self._pd is None and self._must_retry(self._config, now):
            return now + self._settings.register_retry
        if self._pd is not None:
            busy, stubborn = self.name in self._troubles.busy_stores, self.name in self._troubles.stubborn_stores
            self._pd.mark(self._disk.store_id, busy=busy, stubborn=stubborn, now=now)
        return None

    def serve(self, ready: bool, now: float) -> None:
        """A store serves whether its pod is ready or not."""

    def stop(self, now: float) -> None:
        self._disconnect(now)
        self.status.stop()
        self._config = None

    def leaders(self, now: float) -> int | None:
        if self._pd is None:
            return None
        self._pd.tick(now)
        return self._pd.regions.leader_count(self._disk.store_id)

    def known_to_pd(self, now: float) -> bool:
        return self._pd is not None and self._pd.serving(now)

    def _must_retry(self, config: TiKVConfig, now: float) -> bool:
        """Register with the first PD that answers. Trying again helps if none does, not if one refuses."""
        for url in config.pd_endpoints:
            pd = self._find_pd(url)
            if pd is None or not pd.serving(now):
                continue
            registration = Registration(
                address=config.address,
                status_address=config.status_address,
                version=self._version,
                store_id=self._disk.store_id,
                cluster_id=self._disk.cluster_id,
                capacity=self._capacity,
                labels=config.labels,
            )
            try:
                store = pd.register(registration, now)
            except RegistrationRefused as refusal:
                self.failure = str(refusal)
                return False
            self._disk.store_id, self._disk.cluster_id = store.id, pd.cluster_id
            self._pd = pd
            return False
        return True

    def _disconnect(self, now: float) -> None:
        if self._pd is not None:
            self._pd.stopped(self._disk.store_id, now)
            self._pd = None
