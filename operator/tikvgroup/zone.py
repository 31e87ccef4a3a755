"""Which instances of a group may be taken down together because they stand in one zone that the cluster can spare.

Pure functions of what PD has said lately.
"""

from __future__ import annotations

from collections.abc import Sequence

from tikv_operator.api import TiKV
from tikv_operator.pdclient import PDSnapshot, Store
from tikv_operator.updater.isolation import Placement, can_be_down_together, place_of

__all__ = ["zone_mates"]


def zone_mates(snapshot: PDSnapshot, candidates: Sequence[TiKV], moving: Sequence[TiKV]) -> frozenset[str]:
    """Return the names of the candidates that may go down with those that are in motion; none if PD doesn't promise enough.

    Args:
        candidates: instances that serve, the first one first.
        moving: instances of the whole cluster that are down, or about to be taken down. They set the zone; without any, the
            first candidate does.
    """
    config = snapshot.config
    placement = Placement(
        location_labels=config.location_labels, isolation_level=config.isolation_level, replicas=config.max_replicas
    )
    stores = [store.labels for store in snapshot.stores.values() if store.engine == "tikv" and not store.tombstone]
    down = [_store(snapshot, tikv) for tikv in moving or candidates[:1]]
    known = [store.labels for store in down if store is not None]
    if not known or len(known) < len(down) or not can_be_down_together(known, stores, placement):
        return frozenset()
    zone = place_of(known[0], placement)
    found = ((tikv.metadata.name, _store(snapshot, tikv)) for tikv in candidates)
    return frozenset(name for name, store in found if store is not None and place_of(store.labels, placement) == zone)


def _store(snapshot: PDSnapshot, tikv: TiKV) -> Store | None:
    store_id = tikv.status.id if tikv.status is not None else None
    return snapshot.store_by_id(store_id) if store_id else None
