"""PD's answers as JSON-ready values, exactly in PD's shapes: zero and empty values are left out where PD leaves them out.

Everything here is pure; `now` is in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Final

from controller_runtime.api import format_time
from tikv_operator.simulation.pd.core import SimulatedPD
from tikv_operator.simulation.pd.members import Member
from tikv_operator.simulation.pd.stores import Store

__all__ = ["cluster", "config", "down_peers", "evict_leader_config", "health", "leader", "members", "store", "stores"]

_GIT_HASH: Final = "5ffdcc9c2e7ca7ba61e7dd4e8be4cd8d0f7e9c1b"
_MIB: Final = 1 << 20
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_NANOSECONDS: Final = 1_000_000_000


def cluster(pd: SimulatedPD) -> dict[str, Any]:
    return {"id": pd.cluster_id, "max_peer_count": pd.replication.max_replicas}


def members(pd: SimulatedPD) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "header": {"cluster_id": pd.cluster_id},
        "members": [_member(pd, member) for member in pd.members.all()],
    }
    if (found := pd.members.leader) is not None:
        answer["leader"] = answer["etcd_leader"] = _member(pd, found)
    return answer


def leader(pd: SimulatedPD) -> dict[str, Any]:
    found = pd.members.leader
    return {} if found is None else _identity(found)


def _identity(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "member_id": member.id,
        "peer_urls": [member.peer_url],
        "client_urls": [member.client_url],
    }


def _unstarted(member: Member) -> dict[str, Any]:
    """A member that has been admitted and has not started: it has told nothing of itself yet."""
    return {"member_id": member.id, "peer_urls": [member.peer_url]}


def _member(pd: SimulatedPD, member: Member) -> dict[str, Any]:
    if not pd.members.is_started(member.name):
        return _unstarted(member)
    priority = pd.members.priority(member.name)
    return {
        **_identity(member),
        **({"leader_priority": priority} if priority else {}),
        "deploy_path": "/",
        "binary_version": member.version,
        "git_hash": _GIT_HASH,
    }


def health(pd: SimulatedPD) -> list[dict[str, Any]]:
    running = pd.members.running
    found: list[dict[str, Any]] = []
    for member in pd.members.all():
        if not pd.members.is_started(member.name):
            found.append({"name": "", "member_id": member.id, "client_urls": [], "health": False})
            continue
        healthy = member.name in running
        urls = [member.client_url]
        found.append({"name": member.name, "member_id": member.id, "client_urls": urls, "health": healthy})
    return found


def stores(pd: SimulatedPD, wanted: list[Store], now: float) -> dict[str, Any]:
    return {"count": len(wanted), "stores": [store(pd, found, now) for found in wanted]}


def store(pd: SimulatedPD, found: Store, now: float) -> dict[str, Any]:
    return {"store": _meta(pd, found, now), "status": _status(pd, found, now)}


def _meta(pd: SimulatedPD, found: Store, now: float) -> dict[str, Any]:
    meta: dict[str, Any] = {"id": found.id, "address": found.address}
    if found.state.state:
        meta["state"] = found.state.state
    if found.labels:
        meta["labels"] = [{"key": key, "value": value} for key, value in found.labels.items()]
    meta |= {
        "version": found.version.removeprefix("v"),
        "peer_address": found.address,
        "status_address": found.status_address,
        "git_hash": _GIT_HASH,
        "start_timestamp": int(found.started_at),
        "deploy_path": "/",
        "last_heartbeat": _nanoseconds(found.last_heartbeat),
    }
    if found.state:
        meta["node_state"] = found.state.value
    meta["state_name"] = pd.state_name(found, now)
    return meta


def _status(pd: SimulatedPD, found: Store, now: float) -> dict[str, Any]:
    prepared = pd.prepared(now)
    leaders = pd.regions.leader_count(found.id) if prepared else 0
    peers = pd.regions.peer_count(found.id) if prepared else 0
    size = pd.settings.region_size
    used = min(peers * size * _MIB, found.capacity)
    status: dict[str, Any] = {
        "capacity": _bytes(found.capacity),
        "available": _bytes(found.capacity - used),
        "used_size": _bytes(used),
        "leader_count": leaders,
        "leader_weight": 1,
        "leader_score": leaders,
        "leader_size": leaders * size,
        "region_count": peers,
        "region_weight": 1,
        "region_score": float(peers * size),
        "region_size": peers * size,
        "slow_score": 1,
    }
    if found.busy:
        status["is_busy"] = True
    status["start_ts"] = format_time(found.started_at)
    status["last_heartbeat_ts"] = _timestamp(found.last_heartbeat)
    status["uptime"] = _duration(max(found.last_heartbeat - found.started_at, 0.0))
    return status


def down_peers(pd: SimulatedPD, now: float) -> dict[str, Any]:
    regions = [
        {
            "id": region,
            "down_peers": [
                {"peer": {"id": peer, "store_id": store_id}, "down_seconds": seconds}
                for peer, store_id, seconds in peers
            ],
        }
        for region, peers in pd.down_peers(now)
    ]
    return {"count": len(regions), "regions": regions}


def evict_leader_config(evicting: AbstractSet[int]) -> dict[str, Any]:
    return {"store-id-ranges": {str(store_id): [{"start-key": "", "end-key": ""}] for store_id in sorted(evicting)}}


def placement_rules(pd: SimulatedPD) -> list[dict[str, Any]]:
    """The rule that PD makes from its configuration of replication, and no other."""
    return [
        {
            "group_id": "pd",
            "id": "default",
            "start_key": "",
            "end_key": "",
            "role": "voter",
            "is_witness": False,
            "count": pd.replication.max_replicas,
            "location_labels": list(pd.replication.location_labels),
            "isolation_level": pd.settings.isolation_level,
        }
    ]


def config(pd: SimulatedPD) -> dict[str, Any]:
    leader = pd.members.leader
    return {
        "client-urls": "http://0.0.0.0:2379",
        "cluster-version": leader.version.removeprefix("v") if leader else "",
        "schedule": {
            "leader-schedule-limit": 4,
            "region-schedule-limit": 2048,
            "replica-schedule-limit": 64,
            "max-store-down-time": _duration(pd.settings.down_after),
            "enable-location-replacement": "true",
            **_kept_schedulers(pd),
        },
        "replication": {
            "max-replicas": pd.replication.max_replicas,
            "location-labels": ",".join(pd.replication.location_labels),
            "strictly-match-label": "false",
            "enable-placement-rules": "true",
            "enable-placement-rules-cache": "false",
            "isolation-level": pd.settings.isolation_level,
        },
    }


def _kept_schedulers(pd: SimulatedPD) -> dict[str, Any]:
    """What a server that begins to lead takes up, once it is prepared."""
    first = [str(store_id) for store_id in sorted(pd.evicting)][:1]
    kept = [(kind, None) for kind in ("balance-region", "balance-leader", "hot-region")] + (
        [("evict-leader", first)] if first else []
    )
    return {
        "schedulers-v2": [
            {"type": kind, "args": arguments, "disable": False, "args-payload": ""} for kind, arguments in kept
        ],
        "schedulers-payload": {"evict-leader-scheduler": evict_leader_config(pd.evicting)} if first else {},
    }


def _nanoseconds(seconds: float) -> int:
    return round(seconds * _NANOSECONDS)


def _timestamp(seconds: float) -> str:
    """RFC 3339 with nanoseconds, as Go writes times: without trailing zeros."""
    whole, rest = divmod(_nanoseconds(seconds), _NANOSECONDS)
    text = format_time(whole)
    return f"{text[:-1]}.{rest:09d}".rstrip("0") + "Z" if rest else text


def _bytes(size: int) -> str:
    """A size with PD's units, e.g. `311.7GiB`."""
    value, unit = float(size), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{value:.4g}{_UNITS[unit]}"


def _duration(seconds: float) -> str:
    """A duration as Go prints it, e.g. `36m20.48s`."""
    whole, rest = divmod(_nanoseconds(seconds), 60 * _NANOSECONDS)
    hours, minutes = divmod(whole, 60)
    tail = f"{rest / _NANOSECONDS:.9f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{tail}"
    return f"{minutes}m{tail}" if minutes else tail
