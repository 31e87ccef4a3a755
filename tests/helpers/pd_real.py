"""The real PD under PD's contract: three pd-servers, and stores that send heartbeats."""

from __future__ import annotations

from typing import Final

from helpers.pd_contract import PDUnderTest
from helpers.pd_server import PDServers
from helpers.pd_stores import HeartbeatStore, HeartbeatStores

__all__ = ["REGIONS", "RealPDServers"]

REGIONS: Final = 12


class RealPDServers(PDUnderTest):
    """
    Args:
        servers: three of them, which have a leader.
    """

    def __init__(self, servers: PDServers, stores: HeartbeatStores) -> None:
        self._servers = servers
        self._stores = stores
        self._running: dict[str, HeartbeatStore] = {}
        super().__init__(servers.requester)

    async def start_stores(self, count: int = 4) -> list[str]:
        self.start_store("tikv-0.peer.ns1:20160", {"zone": "a", "host": "h0"})
        await self._running["tikv-0.peer.ns1:20160"].registered()
        await self._servers.lift_store_limits()
        return await super().start_stores(count)

    def start_store(self, address: str, labels: dict[str, str], store_id: str = "") -> None:
        if address not in self._running:
            status = address.replace(":20160", ":20180")
            self._running[address] = self._stores.start(
                address, status_address=status, labels=labels, store_id=int(store_id or 0)
            )

    def stop_store(self, address: str) -> None:
        self._stores.stop(self._running.pop(address))

    async def kill_server(self, name: str) -> None:
        await self._servers[name].kill()

    def start_server(self, name: str) -> None:
        self._servers[name].start()
