"""What one reconcile of a TiKV knows, and the conditions of its pipeline.

A context is made for each run and used by that run alone. Tasks fill it in the order of the pipeline: what a task needs was
found by an earlier one. Everything here is synchronous, but for writing the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from controller_runtime.api import ObjectKey, format_time
from tikv_operator.api import TiKV, TiKVStatus
from tikv_operator.common.conditions import OFFLINED, TRUE, find_condition
from tikv_operator.common.instances import current_condition
from tikv_operator.common.pods import ready_since
from tikv_operator.instance.component import InstanceComponent
from tikv_operator.instance.tasks.state import (
    InstanceContext,
    News,
    Problem,
    cluster_is_deleting,
    cluster_is_paused,
    cluster_is_suspending,
    has_no_cluster,
    is_deleting,
    is_gone,
)
from tikv_operator.pdclient import NodeState, PDHandle, Store
from tikv_operator.tikv.component import TIKV
from tikv_operator.tikv.eviction import (
    EvictionState,
    begins,
    eviction_state,
    is_borrowed,
    is_ours,
    leaders_can_leave,
)
from tikv_operator.tikv.health import Health
from tikv_operator.tikv.news import news_of
from tikv_operator.tikv.stores import is_missed

__all__ = [
    "PDs",
    "Problem",
    "TiKVContext",
    "cluster_is_deleting",
    "cluster_is_paused",
    "cluster_is_suspending",
    "has_no_cluster",
    "has_no_pd",
    "is_deleting",
    "is_gone",
    "is_offlined_for_good",
    "never_had_a_store",
    "pd_is_synced",
    "readiness_is_known",
    "store_is_gone",
    "wants_removal",
]


class PDs(Protocol):
    """Where the PD of a cluster is found."""

    def get(self, cluster: ObjectKey) -> PDHandle | None: ...


@dataclass(slots=True, kw_only=True)
class TiKVContext(InstanceContext[TiKV]):
    """The state of one run.

    Attributes:
        pd: PD's handle, if its snapshot can be trusted.
        pd_trouble: why it can't, for a person.
        pd_lost: PD is known, and doesn't answer.
        store: PD's view of the TiKV's store; None if PD has none, or can't be trusted.
        leaders_leaving: PD evicts leaders from the store.
        evict_leaders: a task of this run wants the leaders gone.
        eviction_begins: PD is to be asked for that when the status has been written.
        disruption: held by whoever takes down a pod that serves: shared by all runs, so that each sees what others did.
    """

    component: InstanceComponent = TIKV
    kind: type[TiKV] = TiKV
    news: Callable[..., News | None] = news_of
    pds: PDs
    disruption: asyncio.Lock = field(default_factory=asyncio.Lock)

    pd: PDHandle | None = None
    pd_trouble: str = ""
    pd_lost: bool = False
    store: Store | None = None
    health: Health = field(default_factory=Health)
    leaders_leaving: bool = False
    evict_leaders: bool = False
    eviction_begins: bool = False

    # What tasks ask for

    @property
    def tikv(self) -> TiKV:
        return self.instance

    @property
    def status(self) -> TiKVStatus:
        """The status that the run has worked out so far; written by `write_status`."""
        if self.tikv.status is None:
            self.tikv.status = TiKVStatus()
        return self.tikv.status

    @property
    def serves(self) -> bool:
        return self.health.healthy

    @property
    def offline(self) -> bool:
        """The store is wanted to leave the cluster."""
        return self.tikv.spec.offline is True

    @property
    def store_state(self) -> str:
        """Where the store is in its life; empty if PD has no store."""
        return self.store.node_state if self.store is not None else ""

    @property
    def store_missed(self) -> bool:
        """PD, which can be trusted, doesn't know a store that was there: nobody can say where its data is."""
        return self.pd is not None and self.store is None and is_missed(self.tikv)

    def eviction(self) -> EvictionState:
        """Return whether what needs the leaders gone may go on. It may at once where no other store could take them.

        A PD that isn't prepared counts too few leaders: then it may not, however long that has taken.
        """
        snapshot = self.pd.snapshot if self.pd is not None else None
        if self.store is not None and snapshot is not None:
            if not leaders_can_leave(self.store, snapshot):
                return EvictionState(over=True)
            if not snapshot.prepared:
                return EvictionState(over=False)
        counted_since = self.pd is not None and self.store is not None and not self.pd.awaits_eviction(self.store.id)
        leaving = self.leaders_leaving and counted_since
        timeout = self.settings.eviction_timeout
        return eviction_state(self.tikv, self.store, leaving=leaving, timeout=timeout, now=self.now)

    def is_replaced(self) -> bool:
        """The pod is down or new because another one is wanted, or the store leads nothing because we want it so."""
        return self.evict_leaders or InstanceContext.is_replaced(self)

    def replacement_news(self) -> News | None:
        """Return the Event about a store that doesn't serve for that; of its leaders' leaving people have been told."""
        return None if is_ours(self.tikv) or is_borrowed(self.tikv) else InstanceContext.replacement_news(self)

    # What tasks say

    def observe(self, type: str, status: str | bool, reason: str, message: str) -> None:  # noqa: A002 (the field's name)
        """Set a condition, and remember the Event that people should read about the change."""
        before = find_condition(self.status.conditions, type)
        old_reason = "" if before is None else before.reason
        InstanceContext.observe(self, type, status, reason, message)
        if begins(reason, old_reason) and before is not None:
            # The eviction begins now, although the status may have been False before: time-outs count from here.
            before.last_transition_time = format_time(self.now)


# The conditions of the pipeline


def has_no_pd(ctx: TiKVContext) -> bool:
    """The Cluster doesn't have a PD yet."""
    return ctx.cluster.status is None or not ctx.cluster.status.pd


def never_had_a_store(ctx: TiKVContext) -> bool:
    """A TiKV was deleted that never registered a store."""
    return ctx.deleting and not ctx.status.id


def is_offlined_for_good(ctx: TiKVContext) -> bool:
    """The store has been removed for good, of a TiKV that nobody has deleted: it goes by itself.

    A condition of an older generation decides nothing: the removal may have been taken back since.
    """
    found = current_condition(ctx.tikv, OFFLINED)
    return not ctx.deleting and found is not None and found.status == TRUE


def store_is_gone(ctx: TiKVContext) -> bool:
    """PD, which can be trusted, has buried the store of a deleted TiKV, or has never had one."""
    return ctx.deleting and ctx.pd is not None and ctx.store_state in ("", NodeState.REMOVED) and not ctx.store_missed


def wants_removal(ctx: TiKVContext) -> bool:
    """A TiKV was deleted whose store still has to leave the cluster."""
    return ctx.deleting and not ctx.offline


def pd_is_synced(ctx: TiKVContext) -> bool:
    """What PD says can be trusted."""
    return ctx.pd is not None


def readiness_is_known(ctx: TiKVContext) -> bool:
    """PD knows how the store is, or the pod alone tells that it doesn't serve.

    A PD that has only just begun to lead counts no leaders yet: a store that serves would be called unready for that.
    """
    if ctx.pd is None or ctx.pd.prepared:
        return ctx.pd is not None
    return ctx.pod_terminating or ready_since(ctx.pod) is None
