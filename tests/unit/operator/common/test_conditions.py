"""The rule by which a condition changes."""

from __future__ import annotations

from controller_runtime.api import Condition
from tikv_operator.common.conditions import (
    condition_is,
    condition_reason,
    find_condition,
    remove_condition,
    set_condition,
)

NOW = 1_800_000_000.0


def put(conditions: list[Condition], status: bool | str, reason: str, message: str = "m", *, at: float = 0.0) -> bool:
    return set_condition(conditions, "Ready", status, reason, message, generation=7, now=NOW + at)


def test_a_new_condition_is_appended_with_the_time_it_was_first_seen() -> None:
    conditions: list[Condition] = []
    assert put(conditions, True, "Ready")
    (found,) = conditions
    assert (found.type, found.status, found.reason, found.message) == ("Ready", "True", "Ready", "m")
    assert found.last_transition_time == "2027-01-15T08:00:00Z"
    assert found.observed_generation == 7


def test_setting_the_same_again_changes_nothing() -> None:
    conditions: list[Condition] = []
    put(conditions, True, "Ready")
    assert not put(conditions, True, "Ready", at=60)
    assert conditions[0].last_transition_time == "2027-01-15T08:00:00Z"


def test_another_reason_or_message_keeps_the_transition_time() -> None:
    conditions: list[Condition] = []
    put(conditions, False, "PodNotReady")
    assert put(conditions, False, "PodTerminating", at=60)
    assert put(conditions, False, "PodTerminating", "other", at=60)
    assert conditions[0].last_transition_time == "2027-01-15T08:00:00Z"


def test_another_status_moves_the_transition_time() -> None:
    conditions: list[Condition] = []
    put(conditions, False, "PodNotReady")
    assert put(conditions, True, "Ready", at=60)
    assert conditions[0].last_transition_time == "2027-01-15T08:01:00Z"


def test_another_generation_alone_is_a_change() -> None:
    conditions: list[Condition] = []
    put(conditions, True, "Ready")
    assert set_condition(conditions, "Ready", True, "Ready", "m", generation=8, now=NOW)
    assert conditions[0].observed_generation == 8


def test_unknown_is_a_status_of_its_own() -> None:
    conditions: list[Condition] = []
    put(conditions, "Unknown", "NotAsked")
    assert condition_is(conditions, "Ready", "Unknown")


def test_conditions_keep_their_order() -> None:
    conditions: list[Condition] = []
    for name in ("Suspended", "Synced", "Ready"):
        set_condition(conditions, name, False, "X", "m", generation=1, now=NOW)
    set_condition(conditions, "Suspended", True, "X", "m", generation=1, now=NOW)
    assert [condition.type for condition in conditions] == ["Suspended", "Synced", "Ready"]


def test_finding_and_removing() -> None:
    conditions: list[Condition] = []
    put(conditions, False, "PodNotReady")
    assert find_condition(conditions, "Ready") is conditions[0]
    assert condition_reason(conditions, "Ready") == "PodNotReady"
    assert remove_condition(conditions, "Ready")
    assert not remove_condition(conditions, "Ready")
    assert find_condition(conditions, "Ready") is None
    assert condition_reason(conditions, "Ready") == ""
