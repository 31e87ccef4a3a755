"""Which changes of a TiKV's conditions are worth an Event. Pure."""

from __future__ import annotations

from typing import Final

from tikv_operator.common.conditions import LEADERS_EVICTED, OFFLINED, RESTART_REQUIRED
from tikv_operator.instance.tasks.state import News, common_news

__all__ = ["News", "news_of"]


_PROGRESS: Final = {
    (OFFLINED, "Processing"): News("RemovingStore"),
    (OFFLINED, "Canceling"): News("KeepingStore"),
    (OFFLINED, "Completed"): News("StoreRemoved"),
    (LEADERS_EVICTED, "Evicting"): News("EvictingLeaders"),
    (LEADERS_EVICTED, "Evicted"): News("LeadersEvicted"),
    (LEADERS_EVICTED, "EvictingByOther"): News("EvictingLeaders"),
    (LEADERS_EVICTED, "EvictedByOther"): News("LeadersEvicted"),
}


def news_of(condition: str, *, status: bool, reason: str, old_status: str, old_reason: str) -> News | None:
    """Return the Event about a condition that changed, or None if it is no news.

    Args:
        condition: its type.
        old_status: empty, like `old_reason`, if there was no such condition.
    """
    if news := common_news(condition, status=status, reason=reason, old_status=old_status, old_reason=old_reason):
        return news
    if reason == old_reason:
        return None
    if condition == RESTART_REQUIRED:
        return News("RestartRequired")
    return _PROGRESS.get((condition, reason))
