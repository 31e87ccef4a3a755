"""Where new instances go and where instances are taken away, so that a group stays spread as its weights say.

A `Spread` counts the instances of each topology. A `TopologyPolicy` keeps two of them: one over all instances and one over
the instances of the wanted revision, so that a rolling update with surge ends evenly spread too.

Both are plain mutable values for one run of an update: they start from the instances that exist and are told of every
action, so that several actions of one run don't land in the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import final

from tikv_operator.api import EvenlySpread, SchedulePolicy
from tikv_operator.common.errors import SpecInvalid

__all__ = ["Spread", "TopologyPolicy", "evenly_spread"]

Topology = Mapping[str, str]


def evenly_spread(policies: Sequence[SchedulePolicy] | None) -> EvenlySpread | None:
    """Return the last schedule policy that spreads instances, or None: a group may have policies that we don't know."""
    spreads = [policy.evenly_spread for policy in policies or () if policy.type == "EvenlySpread"]
    return spreads[-1] if spreads else None


@final
class Spread:
    """The instances of each topology, and which topology has least or most of what it should have.

    Args:
        topologies: the places, each with its weight.
    """

    def __init__(self, topologies: Sequence[tuple[Topology, int]]) -> None:
        self._topologies = [dict(topology) for topology, _ in topologies]
        self._weights = [weight for _, weight in topologies]
        self._total_weight = sum(self._weights)
        self._names: list[set[str]] = [set() for _ in topologies]
        self._elsewhere: set[str] = set()

    def add(self, name: str, topology: Topology | None) -> None:
        """Count an instance; one that is in none of the topologies is elsewhere. A name counts once."""
        self.remove(name)
        index = self._index(topology)
        (self._elsewhere if index is None else self._names[index]).add(name)

    def remove(self, name: str) -> None:
        """Stop counting an instance; an unknown name is ignored."""
        self._elsewhere.discard(name)
        for names in self._names:
            names.discard(name)

    def next_add(self) -> list[int]:
        """Return the topologies, by index, that lack most of their share; empty if there are no topologies."""
        counts = [len(names) for names in self._names]
        total = sum(counts)
        scores = {}
        for index, (count, weight) in enumerate(zip(counts, self._weights, strict=True)):
            # An empty place goes before any other, whatever its weight, so that no place starves.
            effective = count or -len(counts)
            scores[index] = weight * total - effective * self._total_weight
        best = max(scores.values(), default=0)
        return [index for index, score in scores.items() if score == best and score >= 0]

    def next_del(self) -> list[str]:
        """Return the names, sorted, of the instances that are elsewhere; if there are none, of the topologies with most
        above their share."""
        if self._elsewhere:
            return sorted(self._elsewhere)
        counts = [len(names) for names in self._names]
        total = sum(counts)
        scores = {}
        for index, (count, weight) in enumerate(zip(counts, self._weights, strict=True)):
            if count:
                # The last instance of a place goes after all others.
                effective = count if count > 1 else -len(counts)
                scores[index] = effective * self._total_weight - weight * total
        best = max(scores.values(), default=0)
        return sorted(name for index, score in scores.items() if score == best for name in self._names[index])

    def topology(self, index: int) -> dict[str, str]:
        return dict(self._topologies[index])

    def _index(self, topology: Topology | None) -> int | None:
        known = dict(topology or {})
        return self._topologies.index(known) if known in self._topologies else None


@final
class TopologyPolicy:
    """Chooses topologies for new instances, and the instances whose removal keeps the group spread.

    Args:
        spread: the policy of the group; None places nothing.
        instances: name, topology and "is of the wanted revision" of every instance that stays.

    Raises:
        SpecInvalid: a topology is empty, so that nothing could be placed by it.
    """

    def __init__(
        self, spread: EvenlySpread | None, instances: Iterable[tuple[str, Topology | None, bool]] = ()
    ) -> None:
        places = [(place.topology, place.weight or 1) for place in (spread.topologies if spread is not None else ())]
        if any(not topology for topology, _ in places):
            msg = "a topology of the policy EvenlySpread is empty"
            raise SpecInvalid(msg)
        self._all = Spread(places)
        self._updated = Spread(places)
        for name, topology, updated in instances:
            self._all.add(name, topology)
            if updated:
                self._updated.add(name, topology)

    def place(self) -> dict[str, str] | None:
        """Return the topology for a new instance, or None if it may run anywhere."""
        overall, updated = self._all.next_add(), self._updated.next_add()
        if not overall:
            return None
        return self._all.topology(next((index for index in overall if index in updated), overall[0]))

    def added(self, name: str, topology: Topology | None) -> None:
        """Count an instance of the wanted revision: a new one, or one that was moved to it where it is."""
        self._all.add(name, topology)
        self._updated.add(name, topology)

    def removed(self, name: str) -> None:
        """Stop counting an instance."""
        self._all.remove(name)
        self._updated.remove(name)

    def surplus(self) -> list[str]:
        """Return the names of the instances that should be removed first."""
        return self._all.next_del()
