"""What the other controllers want to know about an instance or a group, read from its metadata and status.

An answer counts only if it was given about the current object: a condition that observed an older generation says
nothing. The only exception is `is_deleting`, where a stale yes is the safe side. Pure functions; times are wall-clock
seconds.
"""

from __future__ import annotations

from typing import Final

from controller_runtime.api import Condition, parse_time
from tikv_operator.api import PD, CommonStatus, PDGroup, TiKV, TiKVGroup
from tikv_operator.common.conditions import FALSE, OFFLINED, READY, RUNNING, TRUE, condition_is, find_condition
from tikv_operator.common.keys import ANNOTATION_DEFER_DELETE, LABEL_INSTANCE_REVISION

__all__ = [
    "Group",
    "Instance",
    "available_in",
    "cond_true_for_cluster",
    "current_condition",
    "is_available",
    "is_deleting",
    "is_group_healthy_and_up_to_date",
    "is_not_running",
    "is_offline",
    "is_offlined",
    "is_ready",
    "is_up_to_date",
]

_JUST_AFTER: Final = 0.001  # seconds: whoever looks again after a delay must not be a moment too early

Instance = TiKV | PD
Group = TiKVGroup | PDGroup


def current_condition(obj: Instance | Group, type: str) -> Condition | None:  # noqa: A002 (the field's name)
    """Return the condition of this type if it observed the object's current generation, else None."""
    found = find_condition(_status(obj).conditions, type)
    return found if found is not None and found.observed_generation == obj.metadata.generation else None


def is_ready(instance: Instance) -> bool:
    """Return whether the instance serves, as of its current generation."""
    found = current_condition(instance, READY)
    return found is not None and found.status == TRUE


def is_not_running(instance: Instance) -> bool:
    """Return whether the instance is known not to run. Not knowing is not enough."""
    found = current_condition(instance, RUNNING)
    return found is not None and found.status == FALSE


def available_in(instance: Instance, min_ready_seconds: float, now: float) -> float | None:
    """Return after how many seconds the instance counts as available if it stays ready.

    Returns:
        0.0 if it is available; None if it is not ready, so that nobody knows.
    """
    found = current_condition(instance, READY)
    if found is None or found.status != TRUE:
        return None
    if min_ready_seconds <= 0:
        return 0.0
    if not found.last_transition_time:
        return min_ready_seconds
    # Timestamps have whole seconds: the condition may be younger than it says by almost one, hence "strictly before".
    since = parse_time(found.last_transition_time)
    return 0.0 if since + min_ready_seconds < now else since + min_ready_seconds - now + _JUST_AFTER


def is_available(instance: Instance, min_ready_seconds: float, now: float) -> bool:
    """Return whether the instance has been ready for more than `min_ready_seconds`."""
    return available_in(instance, min_ready_seconds, now) == 0.0


def is_up_to_date(instance: Instance) -> bool:
    """Return whether the instance's controller has carried out the current object at its revision."""
    status = _status(instance)
    return status.observed_generation == instance.metadata.generation and instance.metadata.labels.get(
        LABEL_INSTANCE_REVISION, ""
    ) == (status.current_revision or "")


def is_offline(instance: Instance) -> bool:
    """Return whether the instance's store is wanted to leave the cluster (only a TiKV has one)."""
    return isinstance(instance, TiKV) and instance.spec.offline is True


def is_offlined(instance: Instance) -> bool:
    """Return whether the instance's store has left the cluster."""
    return condition_is(_status(instance).conditions, OFFLINED, TRUE)


def is_deleting(instance: Instance) -> bool:
    """Return whether the instance is on its way out: it no longer counts as a place for data."""
    return (
        instance.metadata.deletion_timestamp is not None
        or ANNOTATION_DEFER_DELETE in instance.metadata.annotations
        or is_offline(instance)
        or is_offlined(instance)
    )


def cond_true_for_cluster(obj: Instance | Group, type: str, cluster_generation: int) -> bool:  # noqa: A002
    """Return whether a condition is true of the current object under the current generation of its Cluster."""
    status = _status(obj)
    found = current_condition(obj, type)
    return (
        status.observed_generation == obj.metadata.generation
        and status.observed_cluster_generation == cluster_generation
        and found is not None
        and found.status == TRUE
    )


def is_group_healthy_and_up_to_date(group: Group) -> bool:
    """Return whether all instances of a group are there, ready, and of the current revision."""
    status = group.status
    return (
        status is not None
        and status.observed_generation == group.metadata.generation
        and (status.update_revision or "") == (status.current_revision or "")
        and group.spec.replicas
        == status.replicas
        == status.ready_replicas
        == status.updated_replicas
        == status.current_replicas
    )


_NO_STATUS = CommonStatus()


def _status(obj: Instance | Group) -> CommonStatus:
    return _NO_STATUS if obj.status is None else obj.status
