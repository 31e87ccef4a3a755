"""Sentences about instances, for messages of conditions and tasks: which ones, and why. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tikv_operator.api import TiKV
from tikv_operator.common.conditions import OFFLINED, READY, SYNCED, TRUE, find_condition
from tikv_operator.common.instances import is_available, is_deleting, is_ready, is_up_to_date

__all__ = ["listed", "not_available", "not_ready", "not_synced"]

_MOST_NAMED: Final = 5


def listed(items: Sequence[str]) -> str:
    """Join items with commas; of many, name the first ones and count the others."""
    if len(items) <= _MOST_NAMED:
        return ", ".join(items)
    return f"{', '.join(items[:_MOST_NAMED])} and {len(items) - _MOST_NAMED} more"


def not_ready(instances: Sequence[TiKV], replicas: int) -> str:
    """Say which instances are not ready, or are too many or missing, e.g. `kv-abc123 (PodNotReady)`."""
    found = [f"{instance.metadata.name} ({_why(instance, READY)})" for instance in instances if not is_ready(instance)]
    return listed(found + _count(instances, replicas))


def not_synced(instances: Sequence[TiKV], revision: str, replicas: int) -> str:
    """Say which instances have not been brought to the revision yet."""
    found = [
        f"{instance.metadata.name} ({_why(instance, SYNCED)})"
        for instance in instances
        if instance.status is None or (instance.status.current_revision or "") != revision
    ]
    return listed(found + _count(instances, replicas))


def not_available(instances: Sequence[TiKV], replicas: int, min_ready_seconds: float, now: float) -> str:
    """Say which instances hold up the next step of an update."""
    found = []
    for instance in instances:
        name = instance.metadata.name
        if not is_ready(instance):
            found.append(f"{name} ({_why(instance, READY)})")
        elif not is_available(instance, min_ready_seconds, now):
            found.append(f"{name} (ready for less than {min_ready_seconds:g}s)")
        elif not is_up_to_date(instance):
            found.append(f"{name} ({_why(instance, SYNCED)})")
    return listed(found + _count(instances, replicas))


def _count(instances: Sequence[TiKV], replicas: int) -> list[str]:
    if len(instances) < replicas:
        return [f"{replicas - len(instances)} to be created"]
    leaving = (
        [_leaving(instance) for instance in instances if is_deleting(instance)] if len(instances) > replicas else []
    )
    return leaving or ([f"{len(instances) - replicas} to be removed"] if len(instances) > replicas else [])


def _leaving(instance: TiKV) -> str:
    found = find_condition(instance.status.conditions, OFFLINED) if instance.status is not None else None
    return f"{instance.metadata.name} (leaving{f': {found.message}' if found is not None else ''})"


def _why(instance: TiKV, condition: str) -> str:
    """Return the reason an instance gives for a condition, or that it has given none about its current state."""
    status = instance.status
    found = find_condition(status.conditions, condition) if status is not None else None
    if found is None:
        return "not reported yet"
    if found.observed_generation != instance.metadata.generation:
        return "changed, not reported yet"
    return "outdated" if found.status == TRUE else found.reason
