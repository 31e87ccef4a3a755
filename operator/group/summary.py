"""Sentences about instances, for messages of conditions and tasks: which ones, and why. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tikv_operator.common.conditions import OFFLINED, READY, SYNCED, TRUE, find_condition
from tikv_operator.common.instances import Instance, is_available, is_deleting, is_ready, is_up_to_date

__all__ = ["listed", "not_available", "not_ready", "not_synced"]

_MOST_NAMED: Final = 5


def listed(items: Sequence[str]) -> str:
    """Join items with commas; of many, name the first ones and count the others."""
    if len(items) <= _MOST_NAMED:
        return ", ".join(items)
    return f"{', '.join(items[:_MOST_NAMED])} and {len(items) - _MOST_NAMED} more"


def not_ready(instances: Sequence[Instance], replicas: int) -> str:
    """Say which instances are not ready, or are too many or missing, e.g. `kv-abc123 (PodNotReady)`."""
    return _said(instances, replicas, lambda instance: None if is_ready(instance) else _why(instance, READY))


def not_synced(instances: Sequence[Instance], revision: str, replicas: int) -> str:
    """Say which instances have not been brought to the revision yet."""

    def why(instance: Instance) -> str | None:
        reached = (instance.status.current_revision if instance.status is not None else None) or ""
        return None if reached == revision else _why(instance, SYNCED)

    return _said(instances, replicas, why)


def not_available(instances: Sequence[Instance], replicas: int, min_ready_seconds: float, now: float) -> str:
    """Say which instances hold up the next step of an update."""

    def why(instance: Instance) -> str | None:
        if not is_ready(instance):
            return _why(instance, READY)
        if not is_available(instance, min_ready_seconds, now):
            return f"ready for less than {min_ready_seconds:g}s"
        return None if is_up_to_date(instance) else _why(instance, SYNCED)

    return _said(instances, replicas, why)


def _said(instances: Sequence[Instance], replicas: int, why: Callable[[Instance], str | None]) -> str:
    """List the instances that `why` has something to say about, and what is missing or too much."""
    items = []
    surplus = len(instances) - replicas
    leaving = 0
    for instance in instances:
        if surplus > 0 and is_deleting(instance):
            leaving += 1
            items.append(f"{instance.metadata.name} ({_leaving(instance)})")
        elif (reason := why(instance)) is not None:
            items.append(f"{instance.metadata.name} ({reason})")
    if surplus < 0:
        items.append(f"{-surplus} to be created")
    elif surplus > leaving:
        items.append(f"{surplus - leaving} to be removed")
    return listed(items)


def _leaving(instance: Instance) -> str:
    """Say how far the removal is. The reason, not the message: that one changes with every region that moves."""
    found = find_condition(instance.status.conditions, OFFLINED) if instance.status is not None else None
    return f"leaving: {found.reason}" if found is not None and found.reason else "leaving"


def _why(instance: Instance, condition: str) -> str:
    """Return the reason an instance gives for a condition, or that it has given none about its current state."""
    status = instance.status
    found = find_condition(status.conditions, condition) if status is not None else None
    if found is None:
        return "not reported yet"
    if found.observed_generation != instance.metadata.generation:
        return "changed, not reported yet"
    return "outdated" if found.status == TRUE else found.reason
