"""How many stores of a cluster may be down at the same time, as annotations of the Cluster and of its groups say.

A budget counts stores, of whatever group: one that doesn't serve for another reason has used up its part of it.

- `core.pingcap.com/max-unavailable` of a Cluster: so many of all its stores together; 1 if it isn't set.
- The same of a group: so many of the group's; what its Cluster allows if it isn't set. More than the Cluster allows may go
  only while all stores of other groups serve.
- `core.pingcap.com/max-unavailable-in-zone` of a Cluster: so many, if they all stand together where PD's placement of
  replicas makes that safe (see `isolation`).

Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tikv_operator.common.keys import ANNOTATION_MAX_UNAVAILABLE, ANNOTATION_MAX_UNAVAILABLE_IN_ZONE

__all__ = ["Budget", "budget_of", "invalid_budgets"]

_DEFAULT: Final = 1
_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The budget of one group in its cluster.

    Attributes:
        cluster: stores of the whole cluster that may be down at once.
        group: stores of the group that may.
        zone: stores that may if they all stand in one zone that the cluster can spare; 0 if that is not wanted.
    """

    cluster: int = _DEFAULT
    group: int = _DEFAULT
    zone: int = 0

    def most(self, elsewhere: int) -> int:
        """Return how many stores of the group may be down together while `elsewhere` stores of other groups are."""
        return self.group if not elsewhere else min(self.group, max(0, self.cluster - elsewhere))

    def allows(self, *, own: int, elsewhere: int) -> bool:
        """Return whether one more store of the group may go down.

        Args:
            own: stores of the group that are down.
            elsewhere: those of other groups, and of nobody's.
        """
        return own < self.most(elsewhere)

    def allows_in_zone(self, *, own: int, elsewhere: int) -> bool:
        """Return the same for a zone that the cluster can spare, in which all that are down stand, and the one more."""
        return own + elsewhere < self.zone


def budget_of(cluster: Mapping[str, str], group: Mapping[str, str]) -> Budget:
    """Return the budget of a group by the annotations of its Cluster and its own. What isn't a number above 0 isn't heeded."""
    whole = _number(cluster.get(ANNOTATION_MAX_UNAVAILABLE)) or _DEFAULT
    return Budget(
        cluster=whole,
        group=_number(group.get(ANNOTATION_MAX_UNAVAILABLE)) or whole,
        zone=_number(cluster.get(ANNOTATION_MAX_UNAVAILABLE_IN_ZONE)) or 0,
    )


def invalid_budgets(annotations: Mapping[str, str]) -> str:
    """Return which annotations of a Cluster or a group are not heeded because they are no number above 0; empty if none."""
    keys = (ANNOTATION_MAX_UNAVAILABLE, ANNOTATION_MAX_UNAVAILABLE_IN_ZONE)
    wrong = [key for key in keys if key in annotations and _number(annotations[key]) is None]
    return f"not a number above 0, so it is not heeded: annotation {', '.join(wrong)}" if wrong else ""


def _number(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        return None
    return int(text) or None
