"""Conditions: the types and reasons that our kinds share, and the one rule by which a condition changes.

The rule is that of apimachinery's `meta.SetStatusCondition`: the transition time moves with the status alone, and the
conditions keep the order in which they were added. Pure functions over a list that the caller owns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from controller_runtime.api import Condition, format_time

__all__ = [
    "FALSE",
    "LEADERS_EVICTED",
    "OFFLINED",
    "READY",
    "RESTART_REQUIRED",
    "RUNNING",
    "SUSPENDED",
    "SYNCED",
    "TRUE",
    "condition_is",
    "condition_reason",
    "find_condition",
    "remove_condition",
    "set_condition",
]

TRUE: Final = "True"
FALSE: Final = "False"

READY: Final = "Ready"
SYNCED: Final = "Synced"
SUSPENDED: Final = "Suspended"
RUNNING: Final = "Running"
OFFLINED: Final = "Offlined"
LEADERS_EVICTED: Final = "LeadersEvicted"
RESTART_REQUIRED: Final = "RestartRequired"
"""There only while it is True: something takes effect when the pod is next recreated, and nothing does that by itself."""


def find_condition(conditions: Iterable[Condition], type: str) -> Condition | None:  # noqa: A002 (the field's name)
    """Return the condition of this type, or None."""
    return next((condition for condition in conditions if condition.type == type), None)


def condition_is(conditions: Iterable[Condition], type: str, status: str) -> bool:  # noqa: A002
    """Return whether the condition of this type exists and has this status, whatever generation it observed."""
    found = find_condition(conditions, type)
    return found is not None and found.status == status


def condition_reason(conditions: Iterable[Condition], type: str) -> str:  # noqa: A002
    """Return the reason of the condition of this type; empty if there is none."""
    found = find_condition(conditions, type)
    return "" if found is None else found.reason


def set_condition(
    conditions: list[Condition],
    type: str,  # noqa: A002
    status: str | bool,
    reason: str,
    message: str,
    *,
    generation: int,
    now: float,
) -> bool:
    """Add or change one condition in place.

    Args:
        conditions: the list to change.
        status: `"True"`, `"False"`, `"Unknown"`, or a bool.
        generation: the `metadata.generation` of the object that was looked at.
        now: wall time in seconds; becomes the transition time if the status changes.

    Returns:
        Whether anything changed, so that the status has to be written.
    """
    text = status if isinstance(status, str) else (TRUE if status else FALSE)
    found = find_condition(conditions, type)
    if found is None:
        found = Condition(type=type, status="")
        conditions.append(found)
    elif (found.status, found.reason, found.message, found.observed_generation) == (text, reason, message, generation):
        return False
    if found.status != text:
        found.status = text
        found.last_transition_time = format_time(now)
    found.reason = reason
    found.message = message
    found.observed_generation = generation
    return True


def remove_condition(conditions: list[Condition], type: str) -> bool:  # noqa: A002
    """Remove the condition of this type in place; return whether there was one."""
    found = find_condition(conditions, type)
    if found is None:
        return False
    conditions.remove(found)
    return True
