"""What runs in the TiKV pods of a test whose PD is real: stores that send heartbeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from helpers.pd_stores import HeartbeatStore, HeartbeatStores
from tikv_operator.simulation.kubelet.processes import Disk, FindPD
from tikv_operator.simulation.kubelet.tikvconfig import ConfigUnusable, parse_tikv_config
from tikv_operator.simulation.settings import SimulationSettings
from tikv_operator.simulation.troubles import Troubles

__all__ = ["HeartbeatTiKV"]

_LOOK_AGAIN: Final = 0.1


class HeartbeatTiKV:
    """The process of a TiKV pod: it reads its configuration and its disk as TiKV does, and speaks to the real PD.

    A `tikv_operator.simulation.kubelet.processes.Process`; with `stores` bound, a `TiKVFactory`.
    """

    def __init__(
        self,
        stores: HeartbeatStores,
        name: str,
        *,
        version: str,
        read_config: Callable[[], str],
        open_disk: Callable[[str], tuple[Disk, int]],
        find_pd: FindPD,
        settings: SimulationSettings,
        troubles: Troubles,
    ) -> None:
        self.failure = ""
        self._stores = stores
        self._name = name
        self._version = version
        self._read_config = read_config
        self._open_disk = open_disk
        self._disk = Disk()
        self._store: HeartbeatStore | None = None

    @property
    def healthy(self) -> bool:
        return self._store is not None and self._store.alive

    def start(self, now: float) -> None:
        self.failure = ""
        try:
            config = parse_tikv_config(self._read_config())
        except ConfigUnusable as error:
            self.failure = str(error)
            return
        self._disk, _ = self._open_disk(config.data_dir)
        self._store = self._stores.start(
            config.address,
            status_address=config.status_address,
            version=self._version,
            labels=dict(config.labels),
            store_id=self._disk.store_id,
        )

    def poll(self, now: float) -> float | None:
        store = self._store
        if store is None:
            return None
        if not store.known.is_set():
            return now + _LOOK_AGAIN
        self.failure = store.failure
        if not store.failure:
            self._disk.store_id, self._disk.cluster_id = store.id, self._stores.cluster_id
        return None

    def serve(self, ready: bool, now: float) -> None:
        """A store serves whether its pod is ready or not."""

    def stop(self, now: float) -> None:
        store, self._store = self._store, None
        if store is not None:
            self._stores.stop(store)

    def leaders(self, now: float) -> int | None:
        return None if self._store is None else self._stores.leaders(self._store.id)

    def known_to_pd(self, now: float) -> bool:
        return self.healthy
