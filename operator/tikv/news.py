"""Which changes of a TiKV's conditions are worth an Event. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from tikv_operator.common.conditions import (
    LEADERS_EVICTED,
    OFFLINED,
    READY,
    RESTART_REQUIRED,
    SUSPENDED,
    SYNCED,
    TRUE,
)

__all__ = ["News", "news_of"]


class News(NamedTuple):
    """An Event: its reason, and whether it is a warning."""

    reason: str
    warning: bool = False


_PROGRESS: Final = {
    (OFFLINED, "Processing"): News("RemovingStore"),
    (OFFLINED, "Canceling"): News("KeepingStore"),
    (OFFLINED, "Completed"): News("StoreRemoved"),
    (LEADERS_EVICTED, "Evicting"): News("EvictingLeaders"),
    (LEADERS_EVICTED, "Evicted"): News("LeadersEvicted"),
    (LEADERS_EVICTED, "EvictingByOther"): News("EvictingLeaders"),
    (LEADERS_EVICTED, "EvictedByOther"): News("LeadersEvicted"),
}
_ORDINARY: Final = frozenset({"PodNotUpToDate", "PodNotDeleted"})
"""Reasons why a TiKV is not synced that every change of it goes through."""


def news_of(condition: str, *, status: bool, reason: str, old_status: str, old_reason: str) -> News | None:
    """Return the Event about a condition that changed, or None if it is no news.

    Args:
        condition: its type.
        old_status: empty, like `old_reason`, if there was no such condition.
    """
    if reason == old_reason:
        return None
    if condition == READY:
        if status:
            return News("Ready")
        return News(reason, warning=True) if old_status == TRUE else None
    if condition == SYNCED:
        return None if status or reason in _ORDINARY else News(reason, warning=True)
    if condition == SUSPENDED:
        return None if reason == "Unsuspended" and not old_reason else News(reason)
    if condition == RESTART_REQUIRED:
        return News("RestartRequired")
    return _PROGRESS.get((condition, reason))
