"""A simulated PD with a moving clock, for tests."""

from __future__ import annotations

import json
from typing import Any

from tikv_operator.simulation.pd import Member, Registration, SimulatedPD, Store
from tikv_operator.simulation.pd.http import handle
from tikv_operator.simulation.settings import SimulationSettings

START = 1_767_225_600.0


class PDWorld:
    """A PD with one running server, and time that passes when told to."""

    def __init__(self, settings: SimulationSettings | None = None, *, servers: int = 1) -> None:
        self.settings = settings or SimulationSettings()
        self.now = START
        self.pd = SimulatedPD("ns/cluster", self.settings, now=START)
        for number in range(servers):
            name = f"pd-{number}"
            url = f"http://{name}.peer.ns"
            member = Member(
                name=name, id=100 + number, client_url=f"{url}:2379", peer_url=f"{url}:2380", version="v8.5.0"
            )
            self.pd.member_joined(member, self.now)
            self.pd.member_runs(name, True, self.now)
        self.after(self.settings.pd_revive_seconds)

    def after(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.pd.tick(self.now)

    def start(self, name: str, **more: Any) -> Store:
        """A TiKV starts and registers."""
        registration = Registration(address=f"{name}:20160", status_address=f"{name}:20180", version="v8.5.0", **more)
        return self.pd.register(registration, self.now)

    def start_all(self, count: int, *, settle: float = 60.0) -> list[Store]:
        """Start so many TiKVs, one per zone in turn, and wait until the regions are spread over them."""
        started = [
            self.start(f"tikv-{number}", labels=(("zone", "abc"[number % 3]), ("host", f"h{number}")))
            for number in range(count)
        ]
        self.after(settle)
        return started

    def leaders(self, store: Store) -> int:
        return self.pd.regions.leader_count(store.id)

    def peers(self, store: Store) -> int:
        return self.pd.regions.peer_count(store.id)

    def call(self, method: str, path: str, *, body: object = None, **params: str) -> tuple[int, Any]:
        """Ask PD's API; text that is no JSON comes back as it is."""
        raw = b"" if body is None else json.dumps(body).encode()
        status, answer = handle(self.pd, method, f"/pd/api/{path}", list(params.items()), raw, now=self.now)
        try:
            return status, json.loads(answer)
        except ValueError:
            return status, answer.decode()
