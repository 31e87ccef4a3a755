"""How far the eviction of a store's leaders is, as the TiKV's condition LeadersEvicted tells. Pure functions.

The condition is the operator's memory: it is persisted before PD is asked to evict, its transition time is the start of the
eviction, and only a store that it names as evicting is released again. It does so until PD, asked anew after it has agreed,
doesn't evict any more (`Ending`): a request whose answer was lost, or a PD server that has only just begun to lead, can bring
back what had ended. An evict-leader scheduler that an administrator has added is none of our business: one that is found when
an eviction of ours begins does its work for us, and stays when we are done (the reasons that end in `ByOther`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller_runtime.api import parse_time
from tikv_operator.api import TiKV
from tikv_operator.common.conditions import LEADERS_EVICTED, condition_reason
from tikv_operator.common.instances import current_condition
from tikv_operator.pdclient import PDSnapshot, Store, StoreState

__all__ = [
    "ENDING",
    "EVICTED",
    "EVICTED_BY_OTHER",
    "EVICTING",
    "EVICTING_BY_OTHER",
    "NOT_EVICTED",
    "STORE_NOT_EXIST",
    "EvictionState",
    "begins",
    "eviction_state",
    "is_borrowed",
    "is_ending",
    "is_ours",
    "leaders_can_leave",
    "leaves_a_taker",
]

ENDING: Final = "Ending"
EVICTED: Final = "Evicted"
EVICTING: Final = "Evicting"
EVICTED_BY_OTHER: Final = "EvictedByOther"
EVICTING_BY_OTHER: Final = "EvictingByOther"
NOT_EVICTED: Final = "NotEvicted"
STORE_NOT_EXIST: Final = "StoreNotExist"

_UNDER_WAY: Final = frozenset({EVICTING, EVICTING_BY_OTHER})
_DONE: Final = frozenset({EVICTED, EVICTED_BY_OTHER})


@dataclass(frozen=True, slots=True)
class EvictionState:
    """Whether what needs the leaders gone may go on.

    Attributes:
        over: it may.
        timed_out: because it has waited long enough.
        left: seconds until it has; None if no eviction has begun.
    """

    over: bool
    timed_out: bool = False
    left: float | None = None


def eviction_state(tikv: TiKV, store: Store | None, *, leaving: bool, timeout: float, now: float) -> EvictionState:
    """Judge an eviction by the condition that an earlier run has persisted for the current generation.

    Args:
        store: None if PD, which was asked, doesn't have it: then there are no leaders to evict.
        leaving: PD evicts the leaders, and has counted them since.
        timeout: seconds after its beginning at which an eviction has taken long enough.
        now: wall-clock seconds.
    """
    found = current_condition(tikv, LEADERS_EVICTED)
    if found is None:
        return EvictionState(over=False)
    if found.status == "True":
        if store is None:
            return EvictionState(over=found.reason == STORE_NOT_EXIST)
        return EvictionState(over=found.reason in _DONE and store.leader_count == 0)  # they may have come back since
    if found.reason not in _UNDER_WAY or not found.last_transition_time:
        return EvictionState(over=False)
    if leaving and store is not None and store.leader_count == 0:
        return EvictionState(over=True)
    left = parse_time(found.last_transition_time) + timeout - now
    return EvictionState(over=left < 0, timed_out=left < 0, left=max(left, 0.0) + _JUST_AFTER)


_JUST_AFTER: Final = 0.001


def leaders_can_leave(store: Store, snapshot: PDSnapshot) -> bool:
    """Return whether there is another store, with other replicas, that could ever take this one's leaders.

    A store that is down right now could: it is waited for, like its peers, as long as an eviction may take.
    """
    if snapshot.config.max_replicas <= 1:
        return False
    return any(
        other.id != store.id and other.engine == store.engine and other.state == StoreState.UP
        for other in snapshot.stores.values()
    )


def leaves_a_taker(store: Store, snapshot: PDSnapshot) -> bool:
    """Return whether, of the stores that could ever take this one's leaders, one is left whose own are not evicted.

    Evictions from all stores at once would wait for each other until their time is over. One that is down counts: it is waited
    for, but no longer than an eviction may take.
    """
    return any(
        other.id != store.id
        and other.engine == store.engine
        and other.state == StoreState.UP
        and other.id not in snapshot.evicting
        for other in snapshot.stores.values()
    )


def begins(reason: str, old_reason: str) -> bool:
    """Return whether the condition LeadersEvicted, by its reasons, tells now of an eviction that it didn't tell of before."""
    return reason in _UNDER_WAY and old_reason not in _UNDER_WAY


def is_borrowed(tikv: TiKV) -> bool:
    """Return whether an eviction that others have begun was found when one of ours should have."""
    return _reason(tikv) in (EVICTING_BY_OTHER, EVICTED_BY_OTHER)


def is_ours(tikv: TiKV) -> bool:
    """Return whether this operator has evicted the store's leaders, and nobody has seen yet that they may come back."""
    return _reason(tikv) in (EVICTING, EVICTED, ENDING)


def is_ending(tikv: TiKV) -> bool:
    """Return whether PD was told to end an eviction of ours, and has agreed."""
    return _reason(tikv) == ENDING


def _reason(tikv: TiKV) -> str:
    return condition_reason(tikv.status.conditions if tikv.status is not None else [], LEADERS_EVICTED)
