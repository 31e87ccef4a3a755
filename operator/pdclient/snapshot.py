"""What the operator knows of one cluster's PD at one moment, and who must be woken when that changes.

Pure functions of immutable values: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from tikv_operator.pdclient.models import Members, NodeState, PDConfig, Store

__all__ = ["PDSnapshot", "by_address", "changes", "is_continued", "member_changes"]


class PDSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One consistent-enough look at PD: its parts were read one after the other, starting at `taken_at`.

    Attributes:
        stores: by address; of several stores with one address the one that counts (`by_address`).
        evicting: ids of the stores whose leaders PD moves away, whoever asked for it.
        prepared: what PD says of leaders and of down peers can be believed, see `Evictions.prepared`.
        config: as of the last time it was read, which happens less often than the rest.
        members: likewise.
        healthy: likewise: the ids of the members that answer each other. Unlike a member, health is found out anew each time.
        taken_at: seconds since the Unix epoch.
    """

    stores: Mapping[str, Store] = {}
    evicting: frozenset[str] = frozenset()
    prepared: bool = True
    config: PDConfig = PDConfig()
    members: Members = Members()
    healthy: frozenset[str] = frozenset()
    taken_at: float = 0.0

    @property
    def cluster_id(self) -> str:
        """Decimal; empty while the cluster has none."""
        return self.members.cluster_id

    def store_by_id(self, store_id: str) -> Store | None:
        return next((store for store in self.stores.values() if store.id == store_id), None)

    def with_labels(self, notes: Mapping[str, Mapping[str, str | None]]) -> PDSnapshot:
        """Return this snapshot as if it had been taken after these labels of stores were set, or (None) removed."""
        noted = {
            address: msgspec.structs.replace(store, labels=MappingProxyType(_relabelled(store.labels, notes[store.id])))
            for address, store in self.stores.items()
            if store.id in notes
        }
        return msgspec.structs.replace(self, stores=MappingProxyType({**self.stores, **noted})) if noted else self

    def with_evicting(self, notes: Mapping[str, bool]) -> PDSnapshot:
        """Return this snapshot as if it had been taken after the noted stores' evictions began (True) or ended."""
        begun = {store_id for store_id, evicting in notes.items() if evicting}
        evicting = (self.evicting - notes.keys()) | begun
        return self if evicting == self.evicting else msgspec.structs.replace(self, evicting=evicting)


def _relabelled(labels: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    merged: dict[str, str | None] = {**labels, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def by_address(stores: Iterable[Store]) -> Mapping[str, Store]:
    """Index stores by address.

    A TiKV that came back with a new, empty disk registers a new store; the old one stays in PD's list as a tombstone of
    the same address for ever. A store that lives wins over one that doesn't, then the newer one, whatever PD's order.
    """
    found: dict[str, Store] = {}
    for store in stores:
        other = found.get(store.address)
        if other is None or _standing(store) > _standing(other):
            found[store.address] = store
    return MappingProxyType(found)


def _standing(store: Store) -> tuple[bool, int]:
    return (not store.tombstone, int(store.id) if store.id.isdecimal() else 0)


def is_continued(old: PDSnapshot, new: PDSnapshot) -> bool:
    """Return whether `new` can be a later look at the same PD: PD buries stores, but it doesn't forget living ones."""
    ids = {store.id for store in new.stores.values()}
    return all(store.id in ids for store in old.stores.values() if not store.tombstone)


def changes(old: PDSnapshot | None, new: PDSnapshot, *, ready_regions: int) -> frozenset[str]:
    """Return the addresses of the stores that a TiKV's reconciler would treat differently now.

    Leaders and regions wander all the time; their counts matter only where a decision hangs on them: whether the store
    leads anything, whether it has so many regions that it must, and, while it is being emptied, how far that has come.

    Args:
        old: None if there was nothing, or nothing that was trusted: then every store counts as changed.
        ready_regions: a store with at least as many regions must lead some to be ready.
    """
    if old is None:
        return frozenset(new.stores)
    if old.config.location_labels != new.config.location_labels or old.prepared != new.prepared:
        return frozenset(old.stores.keys() | new.stores.keys())
    moved = old.evicting ^ new.evicting
    changed = {
        address
        for address, store in new.stores.items()
        if store.id in moved or _differs(old.stores.get(address), store, store.id in new.evicting, ready_regions)
    }
    return frozenset(changed | (old.stores.keys() - new.stores.keys()))


def member_changes(old: PDSnapshot | None, new: PDSnapshot) -> frozenset[str]:
    """Return the names of the members that came, went or changed: in what they say, in health or in who leads.

    A member that hasn't started yet has no name, and is told by none.
    """
    before, after = ({} if old is None else _members(old)), _members(new)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return frozenset(changed - {""})


def _members(snapshot: PDSnapshot) -> dict[str, tuple[object, ...]]:
    leader = snapshot.members.leader.id if snapshot.members.leader is not None else ""
    known = leader != ""
    return {
        member.name: (member, member.id in snapshot.healthy, member.id == leader, known)
        for member in snapshot.members.members
    }


def _differs(old: Store | None, new: Store, evicting: bool, ready_regions: int) -> bool:
    if old is None or _identity(old) != _identity(new):
        return True
    if (old.leader_count == 0) != (new.leader_count == 0):
        return True
    if (old.region_count >= ready_regions) != (new.region_count >= ready_regions):
        return True
    emptying = evicting or new.node_state == NodeState.REMOVING
    return emptying and (old.leader_count, old.region_count) != (new.leader_count, new.region_count)


def _identity(store: Store) -> tuple[object, ...]:
    """Everything of a store that seldom changes, and always matters."""
    return (
        store.id,
        store.labels,
        store.version,
        store.state,
        store.state_name,
        store.node_state,
        store.start_timestamp,
        store.busy,
        store.physically_destroyed,
    )
