"""What one reconcile of a PDGroup works with beside what every group does."""

from __future__ import annotations

from dataclasses import dataclass, field

from tikv_operator.api import PD, PDGroup, PDGroupStatus
from tikv_operator.common.instances import Group
from tikv_operator.group.tasks.state import GroupContext
from tikv_operator.pd.tasks.state import PDs
from tikv_operator.pdclient import PDHandle, PDSnapshot

__all__ = ["MS", "PDGroupContext", "is_needed", "mode_is_unsupported"]

MS = "ms"
"""The mode in which PD's parts are services of their own."""


@dataclass(slots=True, kw_only=True)
class PDGroupContext(GroupContext[PDGroup, PD]):
    """The state of one run.

    Attributes:
        handle: PD's handle, if what it says can be trusted.
        groups: all groups of the cluster, of every kind.
        pds_of_cluster: the PDs of all its groups.
        held: why instances are kept as they are, and no new ones of another kind are made; empty if nothing holds them.
    """

    pds: PDs
    handle: PDHandle | None = None
    groups: list[Group] = field(default_factory=list)
    pds_of_cluster: list[PD] = field(default_factory=list)
    held: str = ""

    @property
    def status(self) -> PDGroupStatus:
        """The group's status, to be changed in place."""
        if self.group.status is None:
            self.group.status = PDGroupStatus()
        return self.group.status

    @property
    def held_back(self) -> str:
        return "HeldBack"

    @property
    def snapshot(self) -> PDSnapshot:
        """What PD said last; empty if it can't be trusted."""
        found = self.handle.snapshot if self.handle is not None else None
        return found if found is not None else PDSnapshot()

    @property
    def pd_groups(self) -> list[PDGroup]:
        return [group for group in self.groups if isinstance(group, PDGroup)]


def is_needed(ctx: PDGroupContext) -> bool:
    """Others can't do without this group: it is the cluster's last PD, and there are groups that need one.

    A Cluster that is deleted deletes them all, so none waits for another.
    """
    if ctx.cluster is None or ctx.cluster.metadata.deletion_timestamp is not None:
        return False
    if any(other.key != ctx.key and other.metadata.deletion_timestamp is None for other in ctx.pd_groups):
        return False
    return any(not isinstance(group, PDGroup) for group in ctx.groups)


def mode_is_unsupported(ctx: PDGroupContext) -> bool:
    """The group is wanted in a mode that this operator can't run PD in."""
    return ctx.group.spec.template.spec.mode == MS
