"""Which of PD's stores is a TiKV's, and whether a store that PD doesn't have can be called gone. Pure functions.

PD forgets nothing by itself: a store that leaves is buried, and its tombstone stays for weeks. So a store that was there and
isn't any more tells of a PD that was restored, started anew or replaced, not of data that has been moved away.
"""

from __future__ import annotations

from controller_runtime.api import parse_time
from tikv_operator.api import Cluster, TiKV
from tikv_operator.common import names
from tikv_operator.common.conditions import OFFLINED, TRUE
from tikv_operator.common.instances import current_condition
from tikv_operator.pdclient import NodeState, PDSnapshot, Store

__all__ = ["find_store", "is_missed"]


def find_store(snapshot: PDSnapshot, tikv: TiKV, cluster: Cluster) -> Store | None:
    """Find a TiKV's store: the living one at its address, else the one with the id it had, else its tombstone.

    A store whose address has changed (with the cluster's DNS mode) is still the TiKV's store. A tombstone may be that of an
    earlier TiKV with the same name. Either mistake would call a store removed that isn't, and the TiKV would lose its data.
    """
    found = snapshot.stores.get(names.tikv_client_address(tikv, cluster))
    if found is not None and not found.tombstone:
        return found
    known = tikv.status.id if tikv.status is not None else None
    if known:
        same = snapshot.store_by_id(known)
        return same if same is not None and _is_of(same, tikv) else found
    return None if found is not None and _is_older(found, tikv) else found


def is_missed(tikv: TiKV) -> bool:
    """Return whether the TiKV had a store that nobody has seen buried, so that it cannot be gone if PD doesn't have it."""
    status = tikv.status
    if status is None or not status.id or status.state == NodeState.REMOVED:
        return False
    found = current_condition(tikv, OFFLINED)
    return found is None or found.status != TRUE


def _is_of(store: Store, tikv: TiKV) -> bool:
    """An id says little alone: another PD gives the same ones to other stores."""
    return names.tikv_key_of_address(store.address, tikv.metadata.namespace) == tikv.key


def _is_older(store: Store, tikv: TiKV) -> bool:
    """A start of 0 means that PD doesn't know it: then nothing is concluded."""
    created = tikv.metadata.creation_timestamp
    return bool(created) and 0 < store.start_timestamp < int(parse_time(created or ""))
