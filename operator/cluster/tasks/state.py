"""What one reconcile of a Cluster works with and has found out so far.

A context belongs to one run: tasks read it and write it, one after the other. Conditions of the pipeline are plain functions
of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from controller_runtime.api import ObjectKey
from tikv_operator.api import Cluster, ClusterStatus, Feature
from tikv_operator.common.instances import Group
from tikv_operator.common.pace import OF_CLUSTER, WaitedFor
from tikv_operator.common.run import RunContext
from tikv_operator.pdclient import PDError, PDSnapshot

__all__ = [
    "ClusterContext",
    "PDRegistry",
    "PDView",
    "has_feature",
    "is_deleting",
    "is_gone",
    "is_paused",
    "is_suspending",
    "pd_is_known",
    "pd_is_lost",
    "pd_of_another_cluster",
]


class PDView(Protocol):
    """The part of a `PDHandle` that this controller uses."""

    @property
    def snapshot(self) -> PDSnapshot | None: ...

    @property
    def error(self) -> PDError | None: ...

    def fresh(self, now: float | None = None) -> bool: ...

    def hurry(self) -> None: ...


class PDRegistry(Protocol):
    """The part of `PDClients` that this controller uses."""

    def register(self, cluster: Cluster) -> PDView: ...

    def deregister(self, cluster: ObjectKey) -> None: ...


@dataclass(slots=True, kw_only=True)
class ClusterContext(RunContext[Cluster]):
    """See the module docstring.

    Attributes:
        groups: all its groups: kind by kind, each sorted by name.
        pd: what is known of the cluster's PD; None if it has none.
    """

    waited_for: ClassVar[WaitedFor] = OF_CLUSTER

    pds: PDRegistry
    groups: list[Group] = field(default_factory=list)
    pd: PDView | None = None

    @property
    def cluster(self) -> Cluster:
        """The Cluster, in tasks that run only if there is one."""
        return self.present()

    @property
    def status(self) -> ClusterStatus:
        """The Cluster's status, to be changed in place."""
        if self.cluster.status is None:
            self.cluster.status = ClusterStatus()
        return self.cluster.status


def is_gone(ctx: ClusterContext) -> bool:
    return ctx.found is None


def is_deleting(ctx: ClusterContext) -> bool:
    return ctx.cluster.metadata.deletion_timestamp is not None


def is_paused(ctx: ClusterContext) -> bool:
    return bool(ctx.cluster.spec.paused)


def is_suspending(ctx: ClusterContext) -> bool:
    action = ctx.cluster.spec.suspend_action
    return action is not None and bool(action.suspend_compute)


def pd_is_known(ctx: ClusterContext) -> bool:
    return bool(ctx.status.pd)


def pd_is_lost(ctx: ClusterContext) -> bool:
    """Whether a PD that has answered before doesn't answer any more."""
    return ctx.pd is not None and bool(ctx.status.id) and not ctx.pd.fresh() and ctx.pd.error is not None


def pd_of_another_cluster(ctx: ClusterContext) -> str:
    """Return the id of the cluster that PD answers for, if it isn't this one: it was replaced, or has lost its data."""
    snapshot = ctx.pd.snapshot if ctx.pd is not None else None
    said = snapshot.cluster_id if snapshot is not None else ""
    return said if said and ctx.status.id and said != ctx.status.id else ""


def has_feature(ctx: ClusterContext, feature: Feature) -> bool:
    return any(gate.name == feature for gate in ctx.cluster.spec.feature_gates or ())
