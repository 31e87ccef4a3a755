"""Whether the membership of a PD cluster may change now, as its group sees it. Pure functions.

Members come and go one at a time, over all groups of the cluster: each change waits until all members are healthy, and until
every PD is a member and every member a PD.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller_runtime.api import parse_time
from tikv_operator.api import PD
from tikv_operator.common.conditions import READY, TRUE, find_condition
from tikv_operator.pd.quorum import obstacle_to_joining, obstacle_to_removal
from tikv_operator.pdclient import PDSnapshot

__all__ = ["failed", "obstacle_to_change", "strangers"]


def obstacle_to_change(snapshot: PDSnapshot, pds: Sequence[PD]) -> str:
    """Return why no PD can be added now, or an empty text.

    Args:
        pds: of the whole cluster.
    """
    by_name = {member.name: member for member in snapshot.members.members}
    for pd in pds:
        if pd.metadata.deletion_timestamp is None:
            continue
        member = by_name.get(pd.metadata.name)
        if member is None or not obstacle_to_removal(snapshot.members, snapshot.healthy, member):
            return f"{pd.metadata.name} is still leaving"
        # It can't leave before another one has come: waiting for each other they would wait for ever.
    names = by_name.keys()
    joining = [pd.metadata.name for pd in pds if pd.metadata.name not in names]
    if joining:
        return f"{', '.join(joining)} is still joining"
    return obstacle_to_joining(snapshot.members, snapshot.healthy)


def strangers(snapshot: PDSnapshot, pds: Iterable[PD]) -> list[str]:
    """Return the members that no PD stands for: others' servers, or what was left behind."""
    names = {pd.metadata.name for pd in pds}
    return [
        member.name or f"member {member.id}, which never started"
        for member in snapshot.members.members
        if member.name not in names and (member.name or not any(_may_be(pd, member.peer_urls) for pd in pds))
    ]


def _may_be(pd: PD, peer_urls: Sequence[str]) -> bool:
    prefix, _, suffix = pd.metadata.name.rpartition("-")
    return any(f"//{prefix}-pd-{suffix}." in url for url in peer_urls)


def failed(instances: Iterable[PD], snapshot: PDSnapshot, *, after: float, now: float) -> list[PD]:
    """Return the instances that PD has missed for so long that they won't come back, while all others are healthy.

    Args:
        after: seconds.
        now: wall-clock seconds.
    """
    ill = [member for member in snapshot.members.members if member.id not in snapshot.healthy]
    if len(ill) != 1 or len(snapshot.members.members) < 3:
        return []
    return [
        pd
        for pd in instances
        if pd.metadata.name == ill[0].name
        and pd.metadata.deletion_timestamp is None
        and (since := _unready_since(pd)) is not None
        and now - since > after
    ]


def _unready_since(pd: PD) -> float | None:
    found = find_condition(pd.status.conditions, READY) if pd.status is not None else None
    if found is None or found.status == TRUE or not found.last_transition_time:
        return None
    return parse_time(found.last_transition_time)
