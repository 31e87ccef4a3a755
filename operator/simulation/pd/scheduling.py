"""What happens to regions as time passes: raft elects leaders, PD moves leaders and peers.

One `Round` is one look at all stores and regions. Elections are free and need no PD; what PD does costs a budget, so that
regions move at the speed of the settings. Each rule is one generator of moves, and a move is carried out when there is
budget left; a rule that has a move but no budget makes the round `busy`. The rules, in PD's order of urgency:

1. leaders leave stores that evict them, and stores that are being removed;
2. a region with too few peers gets one more;
3. peers leave stores that are being removed, and stores that are down;
4. a region with too many peers loses one;
5. peers move to where the location labels isolate them better;
6. peers, then leaders, move from the fullest store to the emptiest.

A region without a majority of living peers cannot change at all, exactly as in raft.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tikv_operator.simulation.pd.regions import Region, Regions
from tikv_operator.simulation.pd.stores import NodeState, Store

__all__ = ["Budget", "Round", "elect"]


@dataclass(slots=True)
class Budget:
    """How many moves are allowed: it fills with time, up to one round's worth (at least one move)."""

    rate: float
    left: float = 0.0

    def refill(self, seconds: float) -> None:
        gained = self.rate * seconds
        self.left = min(self.left + gained, max(gained, 1.0))

    def take(self) -> bool:
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


def elect(
    regions: Regions, stores: Mapping[int, Store], evicting: Collection[int], *, at: float, patience: float
) -> bool:
    """Give every region whose leader has been dead for `patience` seconds a new one, if a majority of its peers lives.

    Returns:
        whether any region has a new leader.
    """
    changed = False
    for region in regions:
        leader = stores[region.leader]
        if leader.alive or leader.stopped_at + patience > at or not _has_quorum(region, stores):
            continue
        living = [store for store in region.peers if stores[store].alive]
        regions.lead(region, min(living, key=lambda store: (store in evicting, regions.leader_count(store), store)))
        changed = True
    return changed


class Round:
    """One round of PD's scheduling.

    Args:
        stores: by id; all of them, tombstones too.
        evicting: ids of the stores from which leaders are evicted.
        down: ids of the stores that have been silent for too long.
        new_peer: returns the id of a new peer.
    """

    def __init__(
        self,
        regions: Regions,
        stores: Mapping[int, Store],
        *,
        evicting: Collection[int],
        down: Collection[int],
        max_replicas: int,
        location_labels: Sequence[str],
        leaders: Budget,
        peers: Budget,
        new_peer: Callable[[], int],
    ) -> None:
        self._regions = regions
        self._stores = stores
        self._evicting = evicting
        self._down = down
        self._max_replicas = max_replicas
        self._location_labels = location_labels
        self._leaders = leaders
        self._peers = peers
        self._new_peer = new_peer
        self._takes_leaders = {
            store.id
            for store in stores.values()
            if store.alive and store.state.is_up and store.id not in evicting and not store.busy
        }
        self._takes_peers = {
            store.id for store in stores.values() if store.alive and store.state.is_up and store.id not in down
        }
        self.busy = False
        """Whether there was, or still is, something to do."""

    def run(self) -> None:
        movable = [region for region in self._regions if _has_quorum(region, self._stores)]
        self._evict_leaders(movable)
        self._make_up_replicas(movable)
        self._vacate(movable)
        self._drop_surplus(movable)
        self._isolate(movable)
        self._balance_peers(movable)
        self._balance_leaders(movable)

    # -- the rules

    def _evict_leaders(self, movable: Iterable[Region]) -> None:
        for region in movable:
            store = self._stores[region.leader]
            if store.stubborn or not self._must_not_lead(store):
                continue
            target = self._best_leader(region)
            if target is not None and not self._transfer(region, target):
                return

    def _make_up_replicas(self, movable: Iterable[Region]) -> None:
        for region in movable:
            while len(region.peers) < self._max_replicas:
                target = self._best_place(region, leaving=None)
                if target is None:
                    break
                if not self._spend(self._peers):
                    return
                self._regions.add_peer(region, target, self._new_peer())

    def _vacate(self, movable: Iterable[Region]) -> None:
        for region in movable:
            for source in [store for store in region.peers if self._must_go(store)]:
                if len(region.peers) > self._max_replicas:
                    if not self._drop(region, source):
                        return
                    continue
                target = self._best_place(region, leaving=source)
                if target is not None and not self._move(region, source, target):
                    return

    def _drop_surplus(self, movable: Iterable[Region]) -> None:
        for region in movable:
            while len(region.peers) > self._max_replicas:
                candidates = [store for store in region.peers if store != region.leader]
                if not candidates:  # one peer that leads is the least there can be
                    break
                worst = max(candidates, key=lambda store: (self._overlap(region, store), self._fullness(store), store))
                if not self._drop(region, worst):
                    return

    def _isolate(self, movable: Iterable[Region]) -> None:
        if not self._location_labels:
            return
        for region in movable:
            source = max(region.peers, key=lambda store: (self._overlap(region, store), self._fullness(store), store))
            target = self._best_place(region, leaving=source)
            if target is None or self._overlap(region, target, leaving=source) >= self._overlap(region, source):
                continue
            if not self._move(region, source, target):
                return

    def _balance_peers(self, movable: Iterable[Region]) -> None:
        for region in movable:
            source = max(region.peers, key=lambda store: (self._fullness(store), store))
            target = self._emptiest(region, source)
            if target is None or self._fullness(source) - self._fullness(target) < 2:
                continue
            if not self._move(region, source, target):
                return

    def _balance_leaders(self, movable: Iterable[Region]) -> None:
        for region in movable:
            source = region.leader
            if self._stores[source].stubborn:
                continue
            target = self._best_leader(region)
            if target is None or self._regions.leader_count(source) - self._regions.leader_count(target) < 2:
                continue
            if not self._transfer(region, target):
                return

    # -- judgement

    def _must_not_lead(self, store: Store) -> bool:
        return store.id in self._evicting or store.state is NodeState.REMOVING

    def _must_go(self, store: int) -> bool:
        return self._stores[store].state is NodeState.REMOVING or store in self._down

    def _best_leader(self, region: Region) -> int | None:
        """The peer that should lead instead of the present leader; None if no other can."""
        candidates = [store for store in region.peers if store != region.leader and store in self._takes_leaders]
        return min(candidates, key=lambda store: (self._regions.leader_count(store), store), default=None)

    def _best_place(self, region: Region, *, leaving: int | None) -> int | None:
        """The store for one more peer: best isolated from those that stay, then emptiest."""
        candidates = self._takes_peers - region.peers.keys()
        return min(
            candidates,
            key=lambda store: (self._overlap(region, store, leaving=leaving), self._fullness(store), store),
            default=None,
        )

    def _emptiest(self, region: Region, source: int) -> int | None:
        """The emptiest store that may take over the peer on `source` without isolating the region worse."""
        limit = self._overlap(region, source)
        candidates = [
            store
            for store in self._takes_peers - region.peers.keys()
            if self._overlap(region, store, leaving=source) <= limit
        ]
        return min(candidates, key=lambda store: (self._fullness(store), store), default=None)

    def _fullness(self, store: int) -> int:
        return self._regions.peer_count(store)

    def _overlap(self, region: Region, store: int, *, leaving: int | None = None) -> int:
        """How much of its location a store shares with the region's other peers; 0 is perfect isolation."""
        labels = self._stores[store].labels
        shared = 0
        for other in region.peers:
            if other in (store, leaving):
                continue
            others = self._stores[other].labels
            for key in self._location_labels:
                if key not in labels or labels[key] != others.get(key):
                    break
                shared += 1
        return shared

    # -- moves; each returns False when the budget is used up

    def _spend(self, budget: Budget) -> bool:
        self.busy = True
        return budget.take()

    def _transfer(self, region: Region, target: int) -> bool:
        if not self._spend(self._leaders):
            return False
        self._regions.lead(region, target)
        return True

    def _move(self, region: Region, source: int, target: int) -> bool:
        """Add a peer on `target`, hand the lead over if need be, remove the peer on `source`."""
        heir = region.leader
        if region.leader == source:
            if self._stores[source].stubborn:
                return True  # nothing to be done about this region
            heir = self._heir(region, source, target)
            if heir == source:
                return True
        if not self._spend(self._peers):
            return False
        self._regions.add_peer(region, target, self._new_peer())
        self._regions.lead(region, heir)
        self._regions.remove_peer(region, source)
        return True

    def _heir(self, region: Region, source: int, target: int) -> int:
        """Who leads when `source` goes and `target` comes; `source` itself if nobody should and it may stay."""
        candidates = (self._takes_leaders & {*region.peers, target}) - {source}
        last_resort = target if self._must_go(source) else source
        return min(candidates, key=lambda store: (self._regions.leader_count(store), store), default=last_resort)

    def _drop(self, region: Region, store: int) -> bool:
        if region.leader == store:
            heir = None if self._stores[store].stubborn else self._best_leader(region)
            if heir is None:
                return True
            if not self._transfer(region, heir):
                return False
        if not self._spend(self._peers):
            return False
        self._regions.remove_peer(region, store)
        return True


def _has_quorum(region: Region, stores: Mapping[int, Store]) -> bool:
    return sum(stores[store].alive for store in region.peers) * 2 > len(region.peers)
