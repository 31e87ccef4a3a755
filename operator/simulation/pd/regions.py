"""Regions: which stores hold a peer of each, and which of them leads.

Guarantees: a region has one leader, who is one of its peers, and never two peers on one store; the counts per store are
always those of the regions. Every change goes through a method here. Nothing else is judged: whether a change is wise is
the scheduler's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Region", "Regions"]


@dataclass(slots=True)
class Region:
    """One region. `peers` maps the id of a store to the id of its peer, oldest first."""

    id: int
    leader: int
    peers: dict[int, int]


class Regions:
    """All regions of a cluster."""

    def __init__(self) -> None:
        self._regions: list[Region] = []
        self._leaders: Counter[int] = Counter()
        self._peers: Counter[int] = Counter()

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions)

    def __len__(self) -> int:
        return len(self._regions)

    def leader_count(self, store: int) -> int:
        return self._leaders[store]

    def peer_count(self, store: int) -> int:
        return self._peers[store]

    def add(self, region: int, store: int, peer: int) -> None:
        """A new region, whose only peer leads it."""
        self._regions.append(Region(region, store, {store: peer}))
        self._leaders[store] += 1
        self._peers[store] += 1

    def add_peer(self, region: Region, store: int, peer: int) -> None:
        """
        Raises:
            ValueError: the store has a peer of this region.
        """
        if store in region.peers:
            msg = f"store {store} has a peer of region {region.id}"
            raise ValueError(msg)
        region.peers[store] = peer
        self._peers[store] += 1

    def remove_peer(self, region: Region, store: int) -> None:
        """
        Raises:
            ValueError: the peer leads the region.
            KeyError: the store has no peer of it.
        """
        if region.leader == store:
            msg = f"store {store} leads region {region.id}"
            raise ValueError(msg)
        del region.peers[store]
        self._peers[store] -= 1

    def lead(self, region: Region, store: int) -> None:
        """Make the store's peer the leader.

        Raises:
            ValueError: the store has no peer of this region.
        """
        if store not in region.peers:
            msg = f"store {store} has no peer of region {region.id}"
            raise ValueError(msg)
        self._leaders[region.leader] -= 1
        region.leader = store
        self._leaders[store] += 1
