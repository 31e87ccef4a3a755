"""The stores of one cluster: who may register, under which id, and who is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tikv_operator.simulation.pd.stores import (
    NodeState,
    Registration,
    RegistrationRefused,
    Store,
    StoreGone,
    StoreNotFound,
)

__all__ = ["StoreRegistry"]

_FIRST_ID: Final = 1


class StoreRegistry:
    """See the module docstring. Stores are never forgotten: a removed one stays as a tombstone."""

    def __init__(self, cluster_id: int) -> None:
        self._cluster_id = cluster_id
        self._stores: dict[int, Store] = {}  # ids only grow, so they are in order
        self._next_id = _FIRST_ID

    def __iter__(self) -> Iterator[Store]:
        return iter(self._stores.values())

    def __len__(self) -> int:
        return len(self._stores)

    @property
    def by_id(self) -> Mapping[int, Store]:
        return self._stores

    def get(self, store_id: int) -> Store:
        """
        Raises:
            StoreNotFound: there is none.
        """
        try:
            return self._stores[store_id]
        except KeyError:
            msg = f"[PD:core:ErrStoreNotFound]store {store_id} not found"
            raise StoreNotFound(msg) from None

    def living(self, store_id: int) -> Store:
        """
        Raises:
            StoreNotFound: there is none.
            StoreGone: it is a tombstone.
        """
        store = self.get(store_id)
        if store.state is NodeState.REMOVED:
            msg = f"[PD:core:ErrStoreRemoved]store {store_id} has been removed"
            raise StoreGone(msg)
        return store

    def admit(self, registration: Registration, now: float) -> Store:
        """Return the store that registers: the one it says it is, or a new one.

        Raises:
            RegistrationRefused: its volume belongs to another cluster, its store has been buried, or another store has
                its address.
        """
        store = self._known(registration)
        if store is None:
            store = Store(id=self._next_id, registered_at=now)
            self._next_id += 1
            self._stores[store.id] = store
        store.address, store.status_address = registration.address, registration.status_address
        store.version, store.capacity = registration.version, registration.capacity
        store.labels.update(registration.labels)
        store.started_at = store.last_heartbeat = now
        store.alive = True
        return store

    def _known(self, registration: Registration) -> Store | None:
        if registration.cluster_id not in (0, self._cluster_id):
            msg = f"cluster ID mismatch, local {registration.cluster_id} != remote {self._cluster_id}"
            raise RegistrationRefused(msg)
        known = self._stores.get(registration.store_id)
        if registration.store_id and (known is None or known.state is NodeState.REMOVED):
            msg = f"store is tombstone id:{registration.store_id} address:{registration.address!r}"
            raise RegistrationRefused(msg)
        for other in self:
            if other is not known and other.address == registration.address and other.state is not NodeState.REMOVED:
                msg = f"duplicated store address: id:{registration.store_id}, already registered by id:{other.id}"
                raise RegistrationRefused(msg)
        return known
