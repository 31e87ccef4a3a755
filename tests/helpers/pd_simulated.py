"""The simulated PD under PD's contract: time is the loop's, requests go nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from controller_runtime.clock import Clock
from helpers.pd_contract import PDUnderTest
from tikv_operator.pdclient import PDResponse, PDUnreachable
from tikv_operator.simulation.pd import Member, Registration, SimulatedPD
from tikv_operator.simulation.pd.http import handle
from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["SimulatedPDServers"]

_SETTINGS: Final = replace(
    SimulationSettings(), regions=16, location_labels=("zone", "host"), peer_down_after=0.0, heartbeat_seconds=1.0
)


class _Requester:
    """Asks any server that runs, or the one that is named."""

    def __init__(self, pd: SimulatedPD, clock: Clock) -> None:
        self._pd = pd
        self._clock = clock

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: float,
        base: str = "",
    ) -> PDResponse:
        running = {self._pd.members.get(name) for name in self._pd.members.running}
        if not any(member is not None and base in ("", member.client_url) for member in running):
            msg = f"cannot connect to {base or 'any PD server'}: Connection refused"
            raise PDUnreachable(msg, sent=False)
        status, answer = handle(self._pd, method, path, params, body or b"", now=self._clock.now())
        return PDResponse(status, answer, f"{base or 'http://pd:2379'}{path}")

    def learn(self, urls: Sequence[str]) -> None:
        """It knows all servers."""

    async def close(self) -> None:
        """Nothing is open."""


class SimulatedPDServers(PDUnderTest):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pd = SimulatedPD("ns1/cluster", _SETTINGS, now=clock.now())
        for number, name in enumerate(self.names):
            url = f"http://{name}.peer.ns1"
            member = Member(
                name=name, id=100 + number, client_url=f"{url}:2379", peer_url=f"{url}:2380", version="v8.1.0"
            )
            self._pd.member_joined(member, clock.now())
            self.start_server(name)
        self._ids: dict[str, int] = {}
        super().__init__(_Requester(self._pd, clock))

    def start_store(self, address: str, labels: dict[str, str], store_id: str = "") -> None:
        registration = Registration(
            address=address,
            status_address=address.replace(":20160", ":20180"),
            version="8.1.0",
            store_id=int(store_id or 0),
            labels=tuple(labels.items()),
        )
        self._ids[address] = self._pd.register(registration, self._clock.now()).id

    def stop_store(self, address: str) -> None:
        self._pd.stopped(self._ids[address], self._clock.now())

    async def kill_server(self, name: str) -> None:
        self._pd.member_runs(name, False, self._clock.now())

    def start_server(self, name: str) -> None:
        self._pd.member_runs(name, True, self._clock.now())
