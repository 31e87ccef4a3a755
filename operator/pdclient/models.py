"""What PD tells about a cluster, as plain immutable values.

These are the operator's own shapes; `wire` turns PD's JSON into them. Ids are decimal strings, as everywhere in the
Kubernetes objects (PD's are unsigned 64-bit numbers). Being immutable, the values may be shared freely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = [
    "ENGINE_LABEL",
    "DownPeers",
    "Evictions",
    "KeptSchedulers",
    "Member",
    "MemberHealth",
    "Members",
    "NodeState",
    "PDConfig",
    "PlacementRule",
    "Store",
    "StoreState",
    "TSOMember",
]

ENGINE_LABEL: Final = "engine"
"""The store label that tells TiFlash stores (`tiflash`) from TiKV stores (absent, or `tikv`)."""


class StoreState:
    """The values of `Store.state`: what PD has decided about the store."""

    UP: Final = "Up"
    OFFLINE: Final = "Offline"
    TOMBSTONE: Final = "Tombstone"


class NodeState:
    """The values of `Store.node_state`: where the store is in its life."""

    PREPARING: Final = "Preparing"
    SERVING: Final = "Serving"
    REMOVING: Final = "Removing"
    REMOVED: Final = "Removed"


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """One store: the identity of a TiKV's data.

    Attributes:
        id: decimal.
        address: `host:port` for clients; what maps a store to its TiKV.
        status_address: `host:port` of TiKV's HTTP server.
        labels: the store's location and other labels.
        version: e.g. `8.5.2`, without a `v`.
        state: one of `StoreState`; a value that this operator doesn't know keeps PD's own text.
        state_name: PD's judgement for a person: like `state`, but `Disconnected` or `Down` when heartbeats are missing.
        node_state: one of `NodeState`; a value that this operator doesn't know keeps PD's own text.
        start_timestamp: when the TiKV process started, seconds since the Unix epoch; 0 if unknown.
        last_heartbeat: when PD last heard from it, seconds since the Unix epoch; 0 if never.
        leader_count: regions that it leads.
        region_count: regions that it holds a peer of.
        busy: the store asked PD to leave it alone for a while.
        physically_destroyed: an administrator has said that the data is gone for good.
    """

    id: str
    address: str
    status_address: str = ""
    labels: Mapping[str, str] = {}
    version: str = ""
    state: str = StoreState.UP
    state_name: str = StoreState.UP
    node_state: str = NodeState.PREPARING
    start_timestamp: int = 0
    last_heartbeat: float = 0.0
    leader_count: int = 0
    region_count: int = 0
    busy: bool = False
    physically_destroyed: bool = False

    @property
    def engine(self) -> str:
        """`tikv` or `tiflash`."""
        return self.labels.get(ENGINE_LABEL, "") or "tikv"

    @property
    def tombstone(self) -> bool:
        return self.state == StoreState.TOMBSTONE or self.node_state == NodeState.REMOVED


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One PD server.

    Attributes:
        id: the etcd member id, decimal.
        client_urls: where it serves, with scheme.
        leader_priority: how much a user wants it to lead; PD moves leadership to the member with most.
    """

    name: str
    id: str
    client_urls: tuple[str, ...] = ()
    peer_urls: tuple[str, ...] = ()
    version: str = ""
    leader_priority: int = 0


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """All PD servers of a cluster.

    Attributes:
        cluster_id: decimal; empty while PD has none.
        leader: the PD leader; None while there is none.
        etcd_leader: the leader of the embedded etcd; None while there is none.
    """

    cluster_id: str = ""
    members: tuple[Member, ...] = ()
    leader: Member | None = None
    etcd_leader: Member | None = None

    @property
    def client_urls(self) -> tuple[str, ...]:
        """Every address of every member, the leader's first."""
        leader = self.leader.client_urls if self.leader else ()
        others = (url for member in self.members for url in member.client_urls)
        return tuple(dict.fromkeys((*leader, *others)))


class MemberHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one PD server answers its peers. `id` is the etcd member id, decimal."""

    name: str
    id: str
    client_urls: tuple[str, ...] = ()
    healthy: bool = False


class PDConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of PD's configuration that the operator uses.

    Attributes:
        location_labels: the label keys by which PD spreads replicas, outermost first.
        max_replicas: peers of a region.
        isolation_level: the one of `location_labels` at which PD never puts two voters of a region into one place. Empty if it
            promises no such thing, or there are placement rules for voters beside PD's own, which may say otherwise.
    """

    location_labels: tuple[str, ...] = ()
    max_replicas: int = 3
    isolation_level: str = ""


class PlacementRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of some of the peers of the regions in a range of keys.

    Attributes:
        group, id: the rule's name; PD's own is `pd`, `default`.
        role: `voter`, `leader`, `follower` or `learner`.
        count: peers of a region that it is about.
        isolation_level: no two of them are put into one place of this level; empty if that isn't promised.
    """

    group: str = ""
    id: str = ""
    role: str = "voter"
    count: int = 0
    isolation_level: str = ""

    @property
    def is_default(self) -> bool:
        """Whether it is the rule that PD makes from its own configuration of replication."""
        return (self.group, self.id) == ("pd", "default")


class DownPeers(msgspec.Struct, frozen=True, kw_only=True):
    """The regions with a peer that doesn't answer.

    Attributes:
        count: how many such regions.
        by_store: how many peers are down on each store, by store id; empty where PD gave no details.
    """

    count: int = 0
    by_store: Mapping[str, int] = {}

    def elsewhere(self, store_id: str = "") -> int:
        """Return how many down peers are left without those of `store_id`; all of them if it is empty or unknown."""
        return max(0, self.count - self.by_store.get(store_id, 0))


class Evictions(msgspec.Struct, frozen=True, kw_only=True):
    """From which stores PD moves all leaders away, whoever asked for it.

    Attributes:
        stores: their ids, also of those whose eviction PD has yet to take up again.
        prepared: PD runs its schedulers. One that has only just begun to lead doesn't: it first waits, for five minutes at most,
            until it has heard from most regions. Before that it moves nothing, its counts of leaders, regions and down peers
            are too low, and the end of an eviction that it has not taken up again isn't heeded.
    """

    stores: frozenset[str] = frozenset()
    prepared: bool = True


class KeptSchedulers(msgspec.Struct, frozen=True, kw_only=True):
    """What PD keeps of its schedulers while no server leads, and a new leader takes up again.

    Attributes:
        some: there are any that are not disabled.
        evicting: ids of the stores whose leaders are evicted.
    """

    some: bool = False
    evicting: frozenset[str] = frozenset()


class TSOMember(msgspec.Struct, frozen=True, kw_only=True):
    """One server of the timestamp service (microservice mode)."""

    name: str
    service_addr: str
    version: str = ""
