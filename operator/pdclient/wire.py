"""PD's JSON, read tolerantly into the values of `models`.

PD leaves out zero values, sends null for empty lists, and writes some numbers and booleans as strings. All of that reads as
what it means; unknown fields and unknown enum values never make an answer unreadable. Only an answer whose shape makes no
sense at all raises `msgspec.ValidationError` or `msgspec.DecodeError`.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import msgspec

from tikv_operator.pdclient.models import (
    DownPeers,
    KeptSchedulers,
    Member,
    MemberHealth,
    Members,
    NodeState,
    PDConfig,
    PlacementRule,
    Store,
    StoreState,
    TSOMember,
)

__all__ = [
    "cluster_id",
    "config",
    "down_peers",
    "evicted_store_ids",
    "health",
    "kept_schedulers",
    "members",
    "placement_rules",
    "store",
    "stores",
    "text",
    "texts",
    "tso_members",
]

T = TypeVar("T")

_STATES: Final = (StoreState.UP, StoreState.OFFLINE, StoreState.TOMBSTONE)
_NODE_STATES: Final = (NodeState.PREPARING, NodeState.SERVING, NodeState.REMOVING, NodeState.REMOVED)
_DEFAULT_MAX_REPLICAS: Final = 3
_EVICT_LEADER_TYPE: Final = "evict-leader"
_EVICT_LEADER: Final = "evict-leader-scheduler"

_Number = int | str | None
"""An enum or id: a number, or a number (or name) written as a string."""


class _Wire(msgspec.Struct, rename="kebab"):
    """Base of PD's configuration-like shapes (`location-labels`)."""


class _Label(msgspec.Struct):
    key: str = ""
    value: str = ""


class _StoreMeta(msgspec.Struct):
    id: _Number = None
    address: str | None = None
    status_address: str | None = None
    labels: list[_Label] | None = None
    version: str | None = None
    state: _Number = None
    state_name: str | None = None
    node_state: _Number = None
    start_timestamp: int | None = None
    last_heartbeat: int | None = None
    physically_destroyed: bool | None = None


class _StoreStatus(msgspec.Struct):
    leader_count: int | None = None
    region_count: int | None = None
    is_busy: bool | None = None


class _Store(msgspec.Struct):
    store: _StoreMeta | None = None
    status: _StoreStatus | None = None


class _Stores(msgspec.Struct):
    stores: list[_Store] | None = None


class _Member(msgspec.Struct):
    name: str | None = None
    member_id: _Number = None
    client_urls: list[str] | None = None
    peer_urls: list[str] | None = None
    binary_version: str | None = None
    leader_priority: int | None = None


class _Header(msgspec.Struct):
    cluster_id: _Number = None


class _Members(msgspec.Struct):
    header: _Header | None = None
    members: list[_Member] | None = None
    leader: _Member | None = None
    etcd_leader: _Member | None = None


class _Health(msgspec.Struct):
    name: str | None = None
    member_id: _Number = None
    client_urls: list[str] | None = None
    health: bool | None = None


class _Cluster(msgspec.Struct):
    id: _Number = None


class _Replication(_Wire):
    location_labels: str | list[str] | None = None
    max_replicas: int | None = None
    isolation_level: str | None = None


class _Rule(msgspec.Struct):
    group_id: str | None = None
    id: str | None = None
    role: str | None = None
    count: int | None = None
    isolation_level: str | None = None


class _Config(msgspec.Struct):
    replication: _Replication | None = None


class _Scheduler(_Wire):
    type: str | None = None
    args: list[str] | None = None
    disable: bool | None = None


class _Schedule(_Wire):
    schedulers_v2: list[_Scheduler] | None = None
    schedulers_payload: dict[str, msgspec.Raw] | None = None


class _ScheduleConfig(msgspec.Struct):
    schedule: _Schedule | None = None


class _Peer(msgspec.Struct):
    store_id: _Number = None


class _DownPeer(msgspec.Struct):
    peer: _Peer | None = None


class _Region(msgspec.Struct):
    down_peers: list[_DownPeer] | None = None


class _Regions(msgspec.Struct):
    count: int | None = None
    regions: list[_Region] | None = None


class _EvictList(_Wire):
    store_id_ranges: dict[str, Any] | None = None


class _TSOMember(_Wire):
    name: str | None = None
    service_addr: str | None = None
    version: str | None = None


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, strict=False)


def _read(kind: type[T], raw: bytes) -> T:
    answer: T = _decoder(cast("Any", kind)).decode(raw)
    return answer


def _id(value: _Number) -> str:
    """Decimal; empty for an absent id and for 0, which PD uses for "none"."""
    return "" if value in (None, 0, "0") else str(value)


def _enum(value: _Number, names: tuple[str, ...]) -> str:
    """The name of an enum's value; what this operator doesn't know keeps PD's own text."""
    if value is None or value == "":
        return names[0]
    number = int(value) if isinstance(value, int) or value.isdecimal() else -1
    return names[number] if 0 <= number < len(names) else str(value)


def _labels(labels: Iterable[_Label] | None) -> Mapping[str, str]:
    return MappingProxyType({label.key: label.value for label in labels or ()})


def _store(raw: _Store) -> Store:
    meta, status = raw.store or _StoreMeta(), raw.status or _StoreStatus()
    state = _enum(meta.state, _STATES)
    return Store(
        id=_id(meta.id),
        address=meta.address or "",
        status_address=meta.status_address or "",
        labels=_labels(meta.labels),
        version=meta.version or "",
        state=state,
        state_name=meta.state_name or state,
        node_state=_enum(meta.node_state, _NODE_STATES),
        start_timestamp=meta.start_timestamp or 0,
        last_heartbeat=(meta.last_heartbeat or 0) / 1e9,
        leader_count=status.leader_count or 0,
        region_count=status.region_count or 0,
        busy=bool(status.is_busy),
        physically_destroyed=bool(meta.physically_destroyed),
    )


def stores(raw: bytes) -> tuple[Store, ...]:
    """Read the answer of `GET stores`; entries without an id are left out."""
    return tuple(found for item in _read(_Stores, raw).stores or () if (found := _store(item)).id)


def store(raw: bytes) -> Store:
    return _store(_read(_Store, raw))


def _member(raw: _Member) -> Member:
    return Member(
        name=raw.name or "",
        id=_id(raw.member_id),
        client_urls=tuple(raw.client_urls or ()),
        peer_urls=tuple(raw.peer_urls or ()),
        version=raw.binary_version or "",
        leader_priority=raw.leader_priority or 0,
    )


def members(raw: bytes) -> Members:
    answer = _read(_Members, raw)
    return Members(
        cluster_id=_id(answer.header.cluster_id) if answer.header else "",
        members=tuple(_member(item) for item in answer.members or ()),
        leader=_member(answer.leader) if answer.leader else None,
        etcd_leader=_member(answer.etcd_leader) if answer.etcd_leader else None,
    )


def health(raw: bytes) -> tuple[MemberHealth, ...]:
    return tuple(
        MemberHealth(
            name=item.name or "",
            id=_id(item.member_id),
            client_urls=tuple(item.client_urls or ()),
            healthy=bool(item.health),
        )
        for item in _decoder(list[_Health] | None).decode(raw) or ()
    )


def cluster_id(raw: bytes) -> str:
    return _id(_read(_Cluster, raw).id)


def config(raw: bytes) -> PDConfig | None:
    """Read the answer of `GET config`; None if it says nothing about replication."""
    replication = _read(_Config, raw).replication
    if replication is None:
        return None
    labels = replication.location_labels or ()
    keys = labels.split(",") if isinstance(labels, str) else labels
    return PDConfig(
        location_labels=tuple(key.strip() for key in keys if key.strip()),
        max_replicas=_DEFAULT_MAX_REPLICAS if replication.max_replicas is None else replication.max_replicas,
        isolation_level=replication.isolation_level or "",
    )


def kept_schedulers(raw: bytes) -> KeptSchedulers:
    """Read from the answer of `GET config` which schedulers a PD that begins to lead starts.

    Those of the list `schedulers-v2`, each with its own configuration in `schedulers-payload`, if it has one: that of the
    eviction of leaders has the stores. Without one its arguments do, which are the first store that it was made for.
    """
    schedule = _read(_ScheduleConfig, raw).schedule or _Schedule()
    enabled = [scheduler for scheduler in schedule.schedulers_v2 or () if not scheduler.disable]
    evict_leader = next((scheduler for scheduler in enabled if scheduler.type == _EVICT_LEADER_TYPE), None)
    if evict_leader is None:
        return KeptSchedulers(some=bool(enabled))
    payload = (schedule.schedulers_payload or {}).get(_EVICT_LEADER)
    stores = frozenset((evict_leader.args or ())[:1]) if payload is None else evicted_store_ids(bytes(payload))
    return KeptSchedulers(some=True, evicting=stores)


def placement_rules(raw: bytes) -> tuple[PlacementRule, ...]:
    return tuple(
        PlacementRule(
            group=rule.group_id or "",
            id=rule.id or "",
            role=rule.role or "",
            count=rule.count or 0,
            isolation_level=rule.isolation_level or "",
        )
        for rule in _read(list[_Rule], raw)
    )


def down_peers(raw: bytes) -> DownPeers:
    answer = _read(_Regions, raw)
    down = (peer for region in answer.regions or () for peer in region.down_peers or () if peer.peer)
    by_store = Counter(_id(item.peer.store_id) for item in down if item.peer)
    return DownPeers(count=answer.count or 0, by_store=MappingProxyType(dict(by_store)))


def evicted_store_ids(raw: bytes) -> frozenset[str]:
    """Read the configuration of PD's evict-leader scheduler: the ids of the stores it works on."""
    return frozenset(_read(_EvictList, raw).store_id_ranges or ())


def texts(raw: bytes) -> tuple[str, ...]:
    """Read a JSON list of strings (or null)."""
    return tuple(_decoder(list[str] | None).decode(raw) or ())


def text(raw: bytes) -> str:
    """Read a JSON string (or null)."""
    return _decoder(str | None).decode(raw) or ""


def tso_members(raw: bytes) -> tuple[TSOMember, ...]:
    return tuple(
        TSOMember(name=item.name or "", service_addr=item.service_addr or "", version=item.version or "")
        for item in _decoder(list[_TSOMember] | None).decode(raw) or ()
    )
