"""What the other groups of a cluster have in motion, and so how many of its own stores a group may take down.

An instance is at rest if it serves and has carried out its spec. One that isn't has a part of the cluster's budget: it is
down, or about to be taken down, or only just back. A store that PD has given up counts no longer, or one dead machine would
hold up every change for ever; neither does an instance without data.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tikv_operator.api import TiKV
from tikv_operator.common.instances import is_offlined, is_ready, is_up_to_date
from tikv_operator.common.keys import LABEL_GROUP
from tikv_operator.pdclient import NodeState, PDSnapshot

__all__ = ["given_up", "in_motion"]

_GIVEN_UP = "Down"
"""PD's name for the state of a store that it hasn't heard of for so long that its peers are being replaced."""


def in_motion(
    tikvs: Iterable[TiKV], group: str, *, is_given_up: Callable[[TiKV], bool], is_paused: Callable[[str], bool]
) -> list[TiKV]:
    """Return the instances of other groups that hold data and are not at rest.

    Args:
        tikvs: all of the cluster.
        group: the name of the group that asks.
        is_given_up: tells whether PD has given an instance's store up.
        is_paused: tells whether a group is paused: what its instances have not carried out yet, they won't.
    """
    return [
        tikv
        for tikv in tikvs
        if tikv.metadata.labels.get(LABEL_GROUP, "") != group
        and _holds_data(tikv)
        and not _is_at_rest(tikv, paused=is_paused(tikv.metadata.labels.get(LABEL_GROUP, "")))
        and not is_given_up(tikv)
    ]


def given_up(snapshot: PDSnapshot | None) -> Callable[[TiKV], bool]:
    """Return what tells whether PD has given an instance's store up; without a snapshot that can be trusted none is."""

    def is_given_up(tikv: TiKV) -> bool:
        store_id = tikv.status.id if tikv.status is not None else None
        store = snapshot.store_by_id(store_id) if snapshot is not None and store_id else None
        return store is not None and store.state_name == _GIVEN_UP

    return is_given_up


def _holds_data(tikv: TiKV) -> bool:
    status = tikv.status
    return status is not None and bool(status.id) and status.state != NodeState.REMOVED and not is_offlined(tikv)


def _is_at_rest(tikv: TiKV, *, paused: bool) -> bool:
    return is_ready(tikv) and (paused or is_up_to_date(tikv))
