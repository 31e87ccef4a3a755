"""A store as PD knows it, and the reasons why PD turns one away.

A `Store` is a plain record that only the core changes. What is known from heartbeats (`last_heartbeat`) is kept apart from
what is the case (`alive`: its process runs): PD believes the former, raft lives by the latter.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

__all__ = ["NodeState", "PDRefused", "Registration", "RegistrationRefused", "Store", "StoreGone", "StoreNotFound"]

_STATES = {0: 0, 1: 0, 2: 1, 3: 2}


class NodeState(enum.IntEnum):
    """The life of a store, with PD's numbers."""

    PREPARING = 0
    SERVING = 1
    REMOVING = 2
    REMOVED = 3

    @property
    def state(self) -> int:
        """The older, coarser enumeration: 0 Up, 1 Offline, 2 Tombstone."""
        return _STATES[self.value]

    @property
    def is_up(self) -> bool:
        return self in (NodeState.PREPARING, NodeState.SERVING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a TiKV tells PD about itself when it starts.

    Attributes:
        store_id: what the TiKV's volume says; 0 for an empty volume.
        cluster_id: likewise.
        capacity: bytes.
        labels: from its configuration.
    """

    address: str
    status_address: str
    version: str
    store_id: int = 0
    cluster_id: int = 0
    capacity: int = 100 << 30
    labels: tuple[tuple[str, str], ...] = ()


class RegistrationRefused(Exception):
    """PD turns a store away for good; a TiKV that hears this exits. The message is PD's."""


class PDRefused(Exception):
    """PD understood and says no; the message is PD's."""


class StoreNotFound(PDRefused):
    """There is no store of that id."""


class StoreGone(PDRefused):
    """The store is a tombstone."""


@dataclass(slots=True, kw_only=True)
class Store:
    """One store. Times are seconds since the epoch, sizes bytes."""

    id: int
    registered_at: float
    address: str = ""
    status_address: str = ""
    version: str = ""
    capacity: int = 0
    started_at: float = 0.0
    last_heartbeat: float = 0.0
    stopped_at: float = 0.0
    state: NodeState = NodeState.PREPARING
    labels: dict[str, str] = field(default_factory=dict)
    alive: bool = True
    busy: bool = False
    stubborn: bool = False

    def silent_for(self, now: float) -> float:
        """Seconds since PD heard of the store."""
        return now - self.last_heartbeat
