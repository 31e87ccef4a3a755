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
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from tikv_operator.simulation.pd.evictions import Evictions
from tikv_operator.simulation.pd.items import check_items
from tikv_operator.simulation.pd.members import Member, Members
from tikv_operator.simulation.pd.regions import Regions
from tikv_operator.simulation.pd.registry import StoreRegistry
from tikv_operator.simulation.pd.rounds import Rounds
from tikv_operator.simulation.pd.scheduling import Budget, Round, elect
from tikv_operator.simulation.pd.stores import NodeState, PDRefused, Registration, Store
from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["SimulatedPD"]

_FIRST_REGION: Final = 1001  # PD draws all ids from one pot; two pots make stores with ids that a person can remember


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
        self.configured: dict[str, Any] = {}
        """What PD was told of its configuration over its API, by dotted names."""
        self.regions = Regions()
        self._evictions = Evictions()
        self._stores = StoreRegistry(self.cluster_id)
        self._next_id = _FIRST_REGION
        self._leader_budget = Budget(settings.leader_rate)
        self._peer_budget = Budget(settings.region_rate)
        self._rounds = Rounds(now, settings.schedule_interval)
        self._outage_until = now
        self._bootstrapped_at = now

    # -- looking

    @property
    def bootstrapped(self) -> bool:
        return len(self._stores) > 0

    def serving(self, now: float) -> bool:
        """Whether PD answers: it has a leader, and no outage holds."""
        return self.members.serving(now) and now >= self._outage_until

    def prepared(self, now: float) -> bool:
        """Whether the server that leads has collected what it must know, runs its schedulers and counts leaders and peers."""
        return self._unprepared_since(now) is None

    @property
    def evicting(self) -> AbstractSet[int]:
        """The stores whose leaders are evicted, or will be as soon as PD is prepared."""
        return self._evictions.kept

    def evicting_now(self, now: float) -> AbstractSet[int]:
        """The same without those that PD has yet to take up again."""
        return self._evictions.running(self._unprepared_since(now))

    def _unprepared_since(self, now: float) -> float | None:
        since = self._leads_since()
        return since if since is not None and now < since + self.settings.pd_prepare_seconds else None

    def _leads_since(self) -> float | None:
        """When the server that leads began to collect what it must know: it needs stores for that."""
        serving = self.members.serving_at()
        return None if serving is None else max(serving, self._bootstrapped_at)

    def stores(self) -> list[Store]:
        """All stores, tombstones too, by id."""
        return list(self._stores)

    def store(self, store_id: int) -> Store:
        """
        Raises:
            StoreNotFound: there is none.
        """
        return self._stores.get(store_id)

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
        if not self.prepared(now):
            return []
        silent = {
            store.id: int(now - store.stopped_at)
            for store in self._stores
            if not store.alive and now - store.stopped_at >= self.settings.peer_down_after
        }
        found: list[tuple[int, list[tuple[int, int, int]]]] = []
        for region in self.regions:
            if not self._stores.get(region.leader).alive:
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
        first = not self.bootstrapped
        store = self._stores.admit(registration, now)
        if first:
            self._bootstrapped_at = now
            for _ in range(self.settings.regions):
                self.regions.add(self._new_id(), store.id, self._new_id())
        self._touch()
        return store

    def stopped(self, store_id: int, now: float) -> None:
        """The process of a store is gone. An unknown store is none of PD's business."""
        store = self._stores.by_id.get(store_id)
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

    def members_found(self, members: Iterable[Member], now: float) -> None:
        """PD servers begin a cluster together.

        Raises:
            MemberRefused: there is one already.
        """
        self.tick(now)
        self.members.found(members, now)
        self._touch()

    def member_asks(self, member: Member, now: float) -> None:
        """A PD server without data asks to be taken in.

        Raises:
            MemberRefused: it can't be.
        """
        self.tick(now)
        self.members.admit(member, now)
        self._touch()

    def member_left(self, name: str, now: float) -> bool:
        """A PD server doesn't belong to the cluster any more; False if it never did.

        Raises:
            MemberRefused: it is the last one, or too few of the others run.
        """
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
            self.members.started(name, now, load_seconds=self.settings.pd_load_seconds)
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
        store = self._stores.living(store_id)
        if store.state is NodeState.REMOVING:
            return
        left = sum(other.state.is_up for other in self._stores) - 1
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
        store = self._stores.living(store_id)
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
        """Begin to move all leaders off a store, even off a tombstone; does nothing if that is under way.

        Raises:
            StoreNotFound: there is no such store.
        """
        self.tick(now)
        self._stores.get(store_id)
        self._evictions.begin(store_id, self._unprepared_since(now))
        self._touch()

    def stop_evicting(self, store_id: int, now: float) -> bool:
        """Let a store lead again; False if its leaders weren't evicted, as far as the server that leads knows."""
        self.tick(now)
        known = self._evictions.end(store_id, self._unprepared_since(now))
        self._touch()
        return known

    def configure_from(self, tables: Mapping[str, Any]) -> None:
        """Take the rules of replication from the configuration file of a founder; later PD has rules of its own."""
        found = tables.get("replication")
        replication = found if isinstance(found, dict) else {}
        labels, replicas = replication.get("location-labels"), replication.get("max-replicas")
        if isinstance(labels, str):
            labels = [label.strip() for label in labels.split(",") if label.strip()]
        self.configure(
            max_replicas=replicas if isinstance(replicas, int) and replicas > 0 else None,
            location_labels=tuple(map(str, labels)) if isinstance(labels, list) else None,
        )

    def set_config(self, items: Mapping[str, Any]) -> None:
        """Take items of the configuration that PD keeps itself, by their dotted names.

        Raises:
            PDRefused: there is no such item, or its value is of the wrong kind.
        """
        check_items(items)
        self.configured.update(items)
        tables: dict[str, Any] = {}
        for name, value in items.items():
            table, _, key = name.partition(".")
            tables.setdefault(table, {})[key] = value
        self.configure_from(tables)

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
        self._rounds.play_until(now, self._round, self._next_deadline)
        self._hear_heartbeats(now)

    def _round(self, at: float) -> bool:
        """One round; whether anything is, or will soon be, in motion."""
        busy = elect(self.regions, self._stores.by_id, self.evicting, at=at, patience=self.settings.election_timeout)
        if not self.serving(at):
            return busy
        self._hear_heartbeats(at)
        for store in self._stores:
            if store.state is NodeState.PREPARING and store.registered_at + self.settings.preparing_seconds <= at:
                store.state = NodeState.SERVING
                busy = True
        if not self.prepared(at):
            return busy
        for budget in (self._leader_budget, self._peer_budget):
            budget.refill(self.settings.schedule_interval)
        scheduling = Round(
            self.regions,
            self._stores.by_id,
            evicting=self.evicting,
            down={store.id for store in self._stores if store.last_heartbeat + self.settings.down_after <= at},
            max_replicas=self.replication.max_replicas,
            location_labels=self.replication.location_labels,
            leaders=self._leader_budget,
            peers=self._peer_budget,
            new_peer=self._new_id,
        )
        scheduling.run()
        for store in self._stores:
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
        if (since := self._leads_since()) is not None:
            deadlines.append(since + settings.pd_prepare_seconds)
        for store in self._stores:
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
        for store in self._stores:
            if store.alive:
                beats = int((now - store.started_at) / interval)
                store.last_heartbeat = max(store.last_heartbeat, store.started_at + beats * interval)

    def _touch(self) -> None:
        """Something has changed that the next round must look at."""
        self._rounds.settled = False

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1
