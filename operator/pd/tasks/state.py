"""What one reconcile of a PD server knows beside what every instance does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from controller_runtime.api import ObjectKey
from tikv_operator.api import PD, PDGroup, PDStatus
from tikv_operator.common import names
from tikv_operator.instance.tasks.state import InstanceContext
from tikv_operator.pd.quorum import find_member, is_leader
from tikv_operator.pdclient import Member, Members, PDHandle, PDSnapshot

__all__ = ["PDContext", "PDs", "pd_goes_as_a_whole", "pd_is_known"]


class PDs(Protocol):
    """Where the PD of a cluster is found."""

    def get(self, cluster: ObjectKey) -> PDHandle | None: ...


@dataclass(slots=True, kw_only=True)
class PDContext(InstanceContext[PD]):
    """The state of one run.

    Attributes:
        change: held by whoever changes PD's membership or takes down a server that serves: shared by all runs.
        groups: the PD groups of the cluster, by name.
        peers: the PDs of the whole cluster, itself included, by name.
        handle: PD's handle, if what it says can be trusted.
        trouble: why it can't, for a person.
        lost: PD was known, and doesn't answer.
        member: what PD says of this server; None if it is no member, or PD can't be trusted.
    """

    pds: PDs
    change: asyncio.Lock = field(default_factory=asyncio.Lock)

    groups: list[PDGroup] = field(default_factory=list)
    peers: list[PD] = field(default_factory=list)
    handle: PDHandle | None = None
    trouble: str = ""
    lost: bool = False
    member: Member | None = None

    @property
    def status(self) -> PDStatus:
        """The status that the run has worked out so far."""
        if self.instance.status is None:
            self.instance.status = PDStatus()
        return self.instance.status

    @property
    def snapshot(self) -> PDSnapshot:
        """What PD said last; empty if it can't be trusted."""
        found = self.handle.snapshot if self.handle is not None else None
        return found if found is not None else PDSnapshot()

    @property
    def leads(self) -> bool | None:
        """Whether this server leads PD; None if nobody knows."""
        if self.handle is None:
            return None
        return is_leader(self.snapshot.members, self.member) if self.member is not None else False

    @property
    def group(self) -> PDGroup | None:
        """The group that owns this PD; None for one that somebody made by hand, or whose group is gone."""
        owner = next((owner for owner in self.instance.metadata.owner_references if owner.controller), None)
        return next((group for group in self.groups if owner is not None and group.metadata.uid == owner.uid), None)

    @property
    def peer_url(self) -> str:
        """The address under which the other members know this server."""
        return names.pd_advertise_url(self.instance, self.cluster, names.pd_peer_port(self.instance))

    def own_member(self, members: Members) -> Member | None:
        return find_member(members, self.instance.metadata.name, self.peer_url)


def pd_is_known(ctx: PDContext) -> bool:
    """What PD says can be trusted."""
    return ctx.handle is not None


def pd_goes_as_a_whole(ctx: PDContext) -> bool:
    """The Cluster is being deleted, or its only PD group: no member has to leave, because none stays."""
    if ctx.cluster.metadata.deletion_timestamp is not None:
        return True
    group = ctx.group
    if group is None or group.metadata.deletion_timestamp is None:
        return False
    return all(other.metadata.deletion_timestamp is not None for other in ctx.groups) and all(
        peer.metadata.deletion_timestamp is not None for peer in ctx.peers
    )
