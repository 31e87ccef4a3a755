"""A PD without a network: answers the client's requests from a script, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tikv_operator.pdclient import PDResponse, PDUnreachable

NOT_BOOTSTRAPPED = b'"[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first"\n'


@dataclass(frozen=True)
class Call:
    at: float
    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: Any = None
    base: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def wire_store(
    store_id: int = 1, address: str = "basic-tikv-a.basic-tikv-peer.ns1:20160", **values: Any
) -> dict[str, Any]:
    """A store in PD's own words; keywords go into `status` if they belong there, else into `store`."""
    status = {key: values.pop(key) for key in ("leader_count", "region_count", "is_busy") if key in values}
    labels = [{"key": key, "value": value} for key, value in values.pop("labels", {}).items()]
    meta = {"id": store_id, "address": address, "node_state": 1, "state_name": "Up", **values}
    return {"store": meta | ({"labels": labels} if labels else {}), "status": status}


Answer = PDResponse | Exception


@dataclass(eq=False)
class ScriptedPD:
    """A requester whose PD holds a few stores.

    Attributes:
        down: every request fails as if nobody listened.
        delay: seconds that an answer takes.
        script: answers for a `METHOD path`, used up one by one before the state answers; the last one stays.
    """

    stores: list[dict[str, Any]] = field(default_factory=list)
    evicting: set[int] = field(default_factory=set)
    location_labels: str = ""
    cluster_id: int = 7452180154224557728
    members: tuple[str, ...] = ("pd-0",)
    bootstrapped: bool = True
    down: bool = False
    delay: float = 0.0
    script: dict[str, list[Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    learned: tuple[str, ...] = ()
    renewals: int = 0
    renew_error: PDUnreachable | None = None
    closed: bool = False

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
        decoded = msgspec.json.decode(body) if body is not None else None
        self.calls.append(Call(asyncio.get_running_loop().time(), method, path, tuple(params), decoded, base))
        if self.down:
            raise PDUnreachable("cannot connect to pd: Connection refused", sent=False)
        scripted = self.script.get(f"{method} {path}")
        answer = self._answer(method, path.removeprefix("/pd/api/v1/"), decoded) if not scripted else scripted[0]
        if self.delay:
            await asyncio.sleep(self.delay)
        if scripted and len(scripted) > 1:
            scripted.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return PDResponse(answer.status, answer.body, answer.url or f"http://pd:2379{path}")

    def _answer(self, method: str, path: str, body: Any) -> PDResponse:
        match (method, path):
            case ("GET", "stores") if not self.bootstrapped:
                return PDResponse(500, NOT_BOOTSTRAPPED)
            case ("GET", "schedulers") if not self.bootstrapped:
                return PDResponse(500, NOT_BOOTSTRAPPED)
            case ("GET", "stores"):
                return _json({"count": len(self.stores), "stores": self.stores})
            case ("GET", "schedulers"):
                return _json(["balance-leader-scheduler"] + (["evict-leader-scheduler"] if self.evicting else []))
            case ("GET", "scheduler-config/evict-leader-scheduler/list"):
                ranges = {str(store_id): [{"start-key": "", "end-key": ""}] for store_id in sorted(self.evicting)}
                return _json({"store-id-ranges": ranges}) if ranges else _json("scheduler not found", status=404)
            case ("POST", "schedulers"):
                self.evicting.add(body["store_id"])
                return _json("The scheduler is created.")
            case ("DELETE", _) if path.startswith("schedulers/evict-leader-scheduler-"):
                store_id = int(path.rpartition("-")[2])
                if store_id not in self.evicting:
                    return _json("scheduler not found", status=404)
                self.evicting.remove(store_id)
                return _json("The scheduler is removed.")
            case ("GET", "config"):
                return _json({"replication": {"location-labels": self.location_labels, "max-replicas": 3}})
            case ("GET", "members"):
                members = [
                    {"name": name, "member_id": number, "client_urls": [f"http://{name}:2379"]}
                    for number, name in enumerate(self.members, 1)
                ]
                leader = members[0] if members else None
                return _json({"header": {"cluster_id": self.cluster_id}, "members": members, "leader": leader})
            case ("GET", "health"):
                return _json(
                    [{"name": name, "member_id": number, "health": True} for number, name in enumerate(self.members, 1)]
                )
            case _:
                return _json(f"no such path: {method} {path}", status=404)

    def learn(self, urls: Sequence[str]) -> None:
        self.learned = tuple(urls)

    async def renew(self) -> None:
        self.renewals += 1
        if self.renew_error is not None:
            raise self.renew_error

    async def close(self) -> None:
        self.closed = True

    def count(self, call: str = "GET /pd/api/v1/stores") -> int:
        return sum(str(made) == call for made in self.calls)

    def times(self, call: str = "GET /pd/api/v1/stores") -> list[float]:
        """When the call was made; by default once for each poll."""
        return [round(made.at, 3) for made in self.calls if str(made) == call]


def _json(value: Any, *, status: int = 200) -> PDResponse:
    return PDResponse(status, msgspec.json.encode(value))


@dataclass
class News:
    """A listener that writes down what it hears."""

    stores: list[AbstractSet[str]] = field(default_factory=list)
    clusters: int = 0
    heard: Callable[[], None] = lambda: None

    def stores_changed(self, cluster: Any, addresses: frozenset[str]) -> None:
        self.stores.append(addresses)
        self.heard()

    def members_changed(self, cluster: Any, names: frozenset[str]) -> None:
        """Not asked about by these tests."""

    def cluster_changed(self, cluster: Any) -> None:
        self.clusters += 1
        self.heard()

    def take(self) -> tuple[list[AbstractSet[str]], int]:
        """Return, and forget, what was heard: sets of addresses, and how often the cluster was named."""
        heard = (self.stores, self.clusters)
        self.stores, self.clusters = [], 0
        return heard
