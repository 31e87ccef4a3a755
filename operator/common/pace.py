"""When a status is written: what somebody waits for at once, what people read a little later, several changes in one write.

An object's status changes a dozen times while its pod is replaced. Controllers wait for a few of these changes: that an
instance is ready, at which revision it is, that its store is gone. Those are written when they are seen, together with whatever
else is new. The others are for people: they are kept back for a moment, in which more of them come, or the change that makes
them outdated. Nothing is lost by that: a status says how things are, not what happened, and every run works it out anew.

`urgency` is pure. A `StatusPace` is the memory of one controller; it is lost with the process, and whatever was kept back then
is written by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, final

from controller_runtime.api import Condition, Object, ObjectKey, decode, source_of
from tikv_operator.common.conditions import OFFLINED, READY, SUSPENDED, SYNCED, TRUE, find_condition

__all__ = [
    "OF_CLUSTER",
    "OF_GROUP",
    "OF_INSTANCE",
    "StatusPace",
    "Urgency",
    "WaitedFor",
    "persisted_status",
    "urgency",
]


class Urgency(IntEnum):
    """How soon a changed status has to be written."""

    NOTHING = 0
    """It has not changed."""
    LATER = 1
    """Messages have: how far something is."""
    SOON = 2
    """People should know."""
    AT_ONCE = 3
    """Somebody waits for it."""


@dataclass(frozen=True, slots=True)
class WaitedFor:
    """What of a status somebody waits for.

    Attributes:
        conditions: that let others go on as soon as they are True.
        fields: whose values decide what others do.
        first: how soon a first status is written that nobody waits for. That of what people make themselves at once: they look.
    """

    conditions: frozenset[str]
    fields: frozenset[str]
    first: Urgency


_DECISIVE: Final = frozenset(
    {"collision_count", "current_revision", "observed_cluster_generation", "observed_generation", "update_revision"}
)

_TICK: Final = 0.001
"""Seconds. A timer may fire so much early, by rounding alone, and a rest that is shorter would be waited for in a circle."""

OF_INSTANCE: Final = WaitedFor(frozenset({READY, SUSPENDED, OFFLINED}), _DECISIVE, Urgency.LATER)
OF_GROUP: Final = WaitedFor(frozenset({READY, SUSPENDED, SYNCED}), _DECISIVE | {"version"}, Urgency.AT_ONCE)
OF_CLUSTER: Final = WaitedFor(frozenset({READY, SUSPENDED, SYNCED}), _DECISIVE | {"id", "pd"}, Urgency.AT_ONCE)


def urgency(before: Any, after: Any, waited_for: WaitedFor) -> Urgency:
    """Return how soon a status has to be written.

    Args:
        before: as it is persisted; None if there is none.
        after: as it should be; None if a run has said nothing.
    """
    if after is None:
        return Urgency.NOTHING
    if before is None:
        reached = any(found.type in waited_for.conditions and found.status == TRUE for found in after.conditions)
        return Urgency.AT_ONCE if reached else waited_for.first
    return max(_changes(before, after, waited_for), default=Urgency.NOTHING)


def _changes(before: Any, after: Any, waited_for: WaitedFor) -> Iterator[Urgency]:
    for name in after.__struct_fields__:
        if name == "conditions":
            yield from _conditions(before.conditions, after.conditions, waited_for.conditions)
        elif getattr(before, name) != getattr(after, name):
            yield Urgency.AT_ONCE if name in waited_for.fields else Urgency.SOON


def _conditions(before: list[Condition], after: list[Condition], waited_for: frozenset[str]) -> Iterator[Urgency]:
    yield from (Urgency.SOON for old in before if find_condition(after, old.type) is None)
    for new in after:
        old = find_condition(before, new.type)
        if old == new:
            continue
        if new.type in waited_for and new.status == TRUE and (old is None or old.status != TRUE):
            yield Urgency.AT_ONCE
        elif old is None or (old.status, old.reason) != (new.status, new.reason):
            yield Urgency.SOON
        else:
            yield Urgency.LATER


def persisted_status(obj: Object) -> Any:
    """Return the status that an object had when it was read, whatever was done to it in memory since; None if it had none."""
    raw = source_of(obj)
    return None if raw is None else decode(type(obj), raw).status  # type: ignore[attr-defined]  # each of our kinds has one


@final
class StatusPace:
    """See the module docstring. Plain synchronous state, for the tasks of one event loop.

    Args:
        soon: seconds for which a change is kept back that people should know.
        later: the same for a change of messages alone.
    """

    def __init__(self, soon: float = 0.0, later: float = 0.0) -> None:
        self._soon = soon
        self._later = later
        self._kept_back: dict[ObjectKey, _KeptBack] = {}

    def __len__(self) -> int:
        """How many objects have something that is kept back."""
        return len(self._kept_back)

    def left(self, key: ObjectKey, how: Urgency, now: float) -> float:
        """Return after how many seconds the object's status has to be written: 0.0 if that is now.

        Args:
            now: seconds of a clock that never goes back: the event loop's.
        """
        if how in (Urgency.NOTHING, Urgency.AT_ONCE):
            return 0.0
        known = self._kept_back.setdefault(key, _KeptBack(now))
        due = known.since + self._later
        if how is Urgency.SOON:
            known.soon_since = now if known.soon_since is None else known.soon_since
            due = min(due, known.soon_since + self._soon)
        else:
            known.soon_since = None  # what was to be written soon has become untrue
        return due - now if due - now > _TICK else 0.0

    def settled(self, key: ObjectKey) -> None:
        """Note that nothing of the object is kept back any more: it is written, has become untrue, or the object is gone."""
        self._kept_back.pop(key, None)


@dataclass(slots=True)
class _KeptBack:
    """Since when something of an object is kept back, and since when something that people should know soon."""

    since: float
    soon_since: float | None = None
