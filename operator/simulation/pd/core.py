"""PD, TiKV's raft and nothing else: a pure state machine over stores, regions and PD servers.

Guarantees: every method is synchronous and takes the time from its caller (`now`, seconds since the epoch, never going
back); what happens between two calls is worked out by `tick`, in rounds of fixed length, so that the same calls give the
same regions however often anybody looks. PD's own work (moving regions, burying stores) stops while PD has no leader;
raft's work (elections) doesn't.

Concurrency: none. One event loop owns an instance.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tikv_operator.simulation.pd.members import Member, Members
from tikv_operator.simulation.pd.regions import Regions
from tikv_operator.simulation.pd.scheduling import Budget, Round, elect
from tikv_operator.simulation.pd.stores import NodeState, Registration, RegistrationRefused, Store
from tikv_operator.simulation.settings import SimulationSettings

__all__ = [
    "PDRefused",
    "SimulatedPD",
    "StoreGone",
    "StoreNotFound",
]

_FIRST_STORE: Final = 1
_FIRST_REGION: Final = 1001  # PD draws all ids from one pot; two pots make stores with ids that a person can remember


class PDRefused(Exception):
    """PD understood and says no; the message is PD's."""


class StoreNotFound(PDRefused):
    """There is no store of that id."""


class StoreGone(PDRefused):
    """The store is a tombstone."""


@dataclass(slots=True)
class _Replication:
    max_replicas: int
    location_labels: tuple[str, ...]


class SimulatedPD:
    """The PD of one cluster.

    Args:
        name: where the cluster's id comes from, e.g. `"ns/cluster"`; the same name gives the same id.
        settings: speeds, and how large the cluster is.
        now: the time of its birth.
    """

    def __init__(self, name: str, settings: SimulationSettings, *, now: float) -> None:
        self.settings = settings
        ids = random.Random(name)  # noqa: S311 - ids need to differ, not to be secret
        self.cluster_id = 7_000_000_000_000_000_000 + ids.randrange(500_000_000_000_000_000)
        self.members = Members(revive_seconds=settings.pd_revive_seconds)
        self.replication = _Replication(settings.max_replicas, settings.location_labels)
        self.regions = Regions()
        self.evicting: set[int] = set()
        self._stores: dict[int, Store] = {}
        self._next_store = _FIRST_STORE
        self._next_id = _FIRST_REGION
        self._leader_budget = Budget(settings.leader_rate)
        self._peer_budget = Budget(settings.region_rate)
        self._born = self._last_look = now
        self._rounds = 0
        self._settled = False
        self._outage_until = now

    # -- looking

    @property
    def bootstrapped(self) -> bool:
        return bool(self._stores)

    def serving(self, now: float) -> bool:
        """Whether PD answers: it has a leader, and no outage holds."""
        return self.members.serving(now) and now >= self._outage_until

    def stores(self) -> list[Store]:
        """All stores, tombstones too, by id."""
        return [self._stores[store] for store in sorted(self._stores)]

    def store(self, store_id: int) -> Store:
        """
        Raises:
            StoreNotFound: there is none.
        """
        try:
            return self._stores[store_id]
        except KeyError:
            msg = f"[PD:core:ErrStoreNotFound]store {store_id} not found"
            raise StoreNotFound(msg) from None

    def store_at(self, address: str) -> Store | None:
        """The store with this address that is no tombstone."""
        return next(
            (store for store in self.stores() if store.address == address and store.state is not NodeState.REMOVED),
            None,
        )

    def state_name(self, store: Store, now: float) -> str:
        match store.state:
            case NodeState.REMOVED:
                return "Tombstone"
            case NodeState.REMOVING:
                return "Offline"
        silent = store.silent_for(now)
        if silent >= self.settings.down_after:
            return "Down"
        return "Disconnected" if silent >= self.settings.disconnect_after else "Up"

    def down_peers(self, now: float) -> list[tuple[int, list[tuple[int, int, int]]]]:
        """Regions with silent peers: (region, [(peer, store, seconds)]). A region without a living majority is silent."""
        silent = {
            store.id: int(now - store.stopped_at)
            for store in self._stores.values()
            if not store.alive and now - store.stopped_at >= self.settings.peer_down_after
        }
        found: list[tuple[int, list[tuple[int, int, int]]]] = []
        for region in self.regions:
            if not self._stores[region.leader].alive:
                continue
            down = [(peer, store, silent[store]) for store, peer in region.peers.items() if store in silent]
            if down:
                found.append((region.id, down))
        return found

    # -- what TiKVs do

    def register(self, registration: Registration, now: float) -> Store:
        """A TiKV's process starts and tells PD. The caller makes sure that PD is serving.

        Raises:
            RegistrationRefused: its volume belongs to another cluster, its store has been buried, or another store has
                its address.
        """
        self.tick(now)
        if registration.cluster_id not in (0, self.cluster_id):
            msg = f"cluster ID mismatch, local {registration.cluster_id} != remote {self.cluster_id}"
            raise RegistrationRefused(msg)
        known = self._stores.get(registration.store_id)
        if registration.store_id and (known is None or known.state is NodeState.REMOVED):
            msg = f"store is tombstone id:{registration.store_id} address:{registration.address!r}"
            raise RegistrationRefused(msg)
        namesake = self.store_at(registration.address)
        if namesake is not None and namesake is not known:
            msg = f"duplicated store address: id:{registration.store_id}, already registered by id:{namesake.id}"
            raise RegistrationRefused(msg)
        store = self._admit(registration, now) if known is None else known
        store.address, store.status_address = registration.address, registration.status_address
        store.version, store.capacity = registration.version, registration.capacity
        store.labels.update(registration.labels)
        store.started_at = store.last_heartbeat = now
        store.alive = True
        self._touch()
        return store

    def _admit(self, registration: Registration, now: float) -> Store:
        first = not self._stores
        store = Store(
            id=self._next_store,
            address=registration.address,
            status_address=registration.status_address,
            version=registration.version,
            capacity=registration.capacity,
            started_at=now,
            last_heartbeat=now,
            registered_at=now,
        )
        self._next_store += 1
        self._stores[store.id] = store
        if first:
            for _ in range(self.settings.regions):
                self.regions.add(self._new_id(), store.id, self._new_id())
        return store

    def stopped(self, store_id: int, now: float) -> None:
        """The process of a store is gone. An unknown store is none of PD's business."""
        store = self._stores.get(store_id)
        if store is None or not store.alive:
            return
        self.tick(now)
        store.alive = False
        store.stopped_at = now
        self._touch()

    def mark(self, store_id: int, *, busy: bool, stubborn: bool, now: float) -> None:
        """Say whether a store calls itself busy, and whether it clings to its leaders."""
        store = self.store(store_id)
        if (store.busy, store.stubborn) != (busy, stubborn):
            self.tick(now)
            store.busy, store.stubborn = busy, stubborn
            self._touch()

    # -- what PD servers do

    def member_joined(self, member: Member, now: float) -> None:
        """A PD server belongs to the cluster from now on, or says something new about itself."""
        self.tick(now)
        self.members.join(member, now)
        self._touch()

    def member_left(self, name: str, now: float) -> bool:
        """A PD server doesn't belong to the cluster any more; False if it never did."""
        self.tick(now)
        known = self.members.leave(name, now)
        self._touch()
        return known

    def member_runs(self, name: str, running: bool, now: float) -> None:
        """The process of a PD server is ready to serve, or gone."""
        if running is (name in self.members.running):
            return
        self.tick(now)
        if running:
            self.members.started(name, now)
        else:
            self.members.stopped(name, now)
        self._touch()

    # -- what operators of PD do

    def remove_store(self, store_id: int, now: float) -> None:
        """Begin to empty a store; it is buried when its last region has left.

        Raises:
            StoreNotFound, StoreGone: there is no such store (any more).
            PDRefused: fewer stores than replicas would be left.
        """
        self.tick(now)
        store = self._living(store_id)
        if store.state is NodeState.REMOVING:
            return
        left = sum(other.state.is_up for other in self._stores.values()) - 1
        if left < self.replication.max_replicas:
            msg = (
                f"[PD:cluster:ErrStoresNotEnough]can not remove store {store_id} since the number of up stores would be "
                f"{left} while need {self.replication.max_replicas}"
            )
            raise PDRefused(msg)
        store.state = NodeState.REMOVING
        self._touch()

    def restore_store(self, store_id: int, now: float) -> None:
        """Take `remove_store` back.

        Raises:
            StoreNotFound, StoreGone: there is no such store (any more).
        """
        self.tick(now)
        store = self._living(store_id)
        if store.state is NodeState.REMOVING:
            store.state = NodeState.SERVING
            self._touch()

    def set_labels(self, store_id: int, labels: Mapping[str, str], now: float) -> None:
        """Set these labels; others stay. An empty value removes a label.

        Raises:
            StoreNotFound: there is no such store.
        """
        self.tick(now)
        store = self.store(store_id)
        store.labels.update(labels)
        for key in [key for key, value in store.labels.items() if not value]:
            del store.labels[key]
        self._touch()

    def delete_label(self, store_id: int, key: str, now: float) -> None:
        """
        Raises:
            StoreNotFound: there is no such store.
            PDRefused: it has no such label.
        """
        self.tick(now)
        store = self.store(store_id)
        if key not in store.labels:
            msg = f"the label key {key} does not exist"
            raise PDRefused(msg)
        del store.labels[key]
        self._touch()

    def evict_leaders(self, store_id: int, now: float) -> None:
        """Begin to move all leaders off a store; does nothing if that is under way.

        Raises:
            StoreNotFound, StoreGone: there is no such store (any more).
        """
        self.tick(now)
        self._living(store_id)
        self.evicting.add(store_id)
        self._touch()

    def stop_evicting(self, store_id: int, now: float) -> bool:
        """Let a store lead again; False if its leaders weren't evicted."""
        self.tick(now)
        known = store_id in self.evicting
        self.evicting.discard(store_id)
        self._touch()
        return known

    def configure(self, *, max_replicas: int | None = None, location_labels: Iterable[str] | None = None) -> None:
        """Change the rules of replication."""
        if max_replicas is not None:
            self.replication.max_replicas = max_replicas
        if location_labels is not None:
            self.replication.location_labels = tuple(location_labels)
        self._touch()

    def silence(self, until: float, now: float) -> None:
        """Let PD answer nobody until then; a time in the past ends an outage."""
        self.tick(now)
        self._outage_until = until
        self._touch()

    # -- time

    def tick(self, now: float) -> None:
        """Work out what has happened since the last tick."""
        last = int((now - self._born) / self.settings.schedule_interval)
        while self._rounds < last:
            self._rounds = min(self._next_round(), last)
            if not self._settled or self._next_deadline(self._last_look) <= self._time_of(self._rounds):
                self._last_look = self._time_of(self._rounds)
                self._settled = not self._round(self._last_look)
        self._hear_heartbeats(now)

    def _next_round(self) -> int:
        """The number of the next round that may find something to do."""
        if not self._settled:
            return self._rounds + 1
        due = self._next_deadline(self._last_look)
        if math.isinf(due):
            return sys.maxsize
        return max(self._rounds + 1, math.ceil((due - self._born) / self.settings.schedule_interval))

    def _time_of(self, number: int) -> float:
        return self._born + number * self.settings.schedule_interval

    def _round(self, at: float) -> bool:
        """One round; whether anything is, or will soon be, in motion."""
        busy = elect(self.regions, self._stores, self.evicting, at=at, patience=self.settings.election_timeout)
        if not self.serving(at):
            return busy
        self._hear_heartbeats(at)
        for store in self._stores.values():
            if store.state is NodeState.PREPARING and store.registered_at + self.settings.preparing_seconds <= at:
                store.state = NodeState.SERVING
                busy = True
        for budget in (self._leader_budget, self._peer_budget):
            budget.refill(self.settings.schedule_interval)
        scheduling = Round(
            self.regions,
            self._stores,
            evicting=self.evicting,
            down={store.id for store in self._stores.values() if store.last_heartbeat + self.settings.down_after <= at},
            max_replicas=self.replication.max_replicas,
            location_labels=self.replication.location_labels,
            leaders=self._leader_budget,
            peers=self._peer_budget,
            new_peer=self._new_id,
        )
        scheduling.run()
        for store in self._stores.values():
            if store.state is NodeState.REMOVING and not self.regions.peer_count(store.id):
                store.state = NodeState.REMOVED
                busy = True
        return busy or scheduling.busy

    def _next_deadline(self, after: float) -> float:
        """When, later than `after`, time alone will put something in motion; infinity if nothing will."""
        settings = self.settings
        deadlines = [self._outage_until]
        if (elected := self.members.serving_at()) is not None:
            deadlines.append(elected)
        for store in self._stores.values():
            if store.state is NodeState.PREPARING:
                deadlines.append(store.registered_at + settings.preparing_seconds)
            if not store.alive:
                deadlines.append(store.stopped_at + settings.election_timeout)
                deadlines.append(store.last_heartbeat + settings.down_after)
        return min((deadline for deadline in deadlines if deadline > after), default=math.inf)

    def _hear_heartbeats(self, now: float) -> None:
        if not self.serving(now):
            return
        interval = self.settings.heartbeat_seconds
        for store in self._stores.values():
            if store.alive:
                beats = int((now - store.started_at) / interval)
                store.last_heartbeat = max(store.last_heartbeat, store.started_at + beats * interval)

    def _touch(self) -> None:
        """Something has changed that the next round must look at."""
        self._settled = False

    def _living(self, store_id: int) -> Store:
        store = self.store(store_id)
        if store.state is NodeState.REMOVED:
            msg = f"[PD:core:ErrStoreRemoved]store {store_id} has been removed"
            raise StoreGone(msg)
        return store

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1
