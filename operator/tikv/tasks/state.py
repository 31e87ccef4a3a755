"""What one reconcile of a TiKV knows, and the conditions of its pipeline.

A context is made for each run and used by that run alone. Tasks fill it in the order of the pipeline: what a task needs was
found by an earlier one. Everything here is synchronous, but for writing the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from controller_runtime.api import ObjectKey, format_time
from controller_runtime.api.k8s import Pod
from controller_runtime.client import Client
from controller_runtime.clock import Clock
from controller_runtime.reconcile import EventRecorder, Logger
from tikv_operator.api import Cluster, TiKV, TiKVStatus
from tikv_operator.common.conditions import (
    OFFLINED,
    TRUE,
    find_condition,
    remove_condition,
    set_condition,
)
from tikv_operator.common.features import enabled_features
from tikv_operator.common.instances import current_condition
from tikv_operator.common.metrics import InstanceMetrics
from tikv_operator.common.pods import is_terminating
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient import NodeState, PDHandle, Store
from tikv_operator.tikv.eviction import EvictionState, begins, eviction_state, leaders_can_leave
from tikv_operator.tikv.health import Health
from tikv_operator.tikv.news import News, news_of
from tikv_operator.tikv.stores import is_missed
from tikv_operator.tikv.volumemodification import VolumeModifier

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
    "store_is_gone",
    "wants_removal",
]

T = TypeVar("T")


class PDs(Protocol):
    """Where the PD of a cluster is found."""

    def get(self, cluster: ObjectKey) -> PDHandle | None: ...


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps the TiKV from being what its spec says, without stopping the rest of the run.

    Attributes:
        reason: one CamelCase word, for the condition Synced and an Event.
        message: a sentence for a person.
    """

    reason: str
    message: str


@dataclass(slots=True, kw_only=True)
class TiKVContext:
    """The state of one run.

    Attributes:
        tikv: what is reconciled. Its status is changed in memory and written at the end.
        missing: there is no TiKV of that name (any more).
        cluster_missing: its Cluster doesn't exist.
        pd: PD's handle, if its snapshot can be trusted.
        pd_trouble: why it can't, for a person.
        pd_lost: PD is known, and doesn't answer.
        store: PD's view of the TiKV's store; None if PD has none, or can't be trusted.
        leaders_leaving: PD evicts leaders from the store.
        evict_leaders: a task of this run wants the leaders gone.
        problems: what the condition Synced must tell.
        restart: what the condition RestartRequired must tell; None: nobody has looked.
        pod_waits: what the pod waits for before it can be what it should be.
        volume_modifiers: change volumes through the API of their cloud, by the driver.
        disruption: held by whoever takes down a pod that serves: shared by all runs, so that each sees what others did.
    """

    key: ObjectKey
    client: Client
    clock: Clock
    log: Logger
    events: EventRecorder
    settings: Settings
    pds: PDs
    metrics: InstanceMetrics
    disruption: asyncio.Lock = field(default_factory=asyncio.Lock)
    volume_modifiers: Mapping[str, VolumeModifier] = field(default_factory=dict)

    found: TiKV | None = None
    found_cluster: Cluster | None = None
    cluster_missing: bool = False
    pod: Pod | None = None
    pod_deleted: bool = False
    pd: PDHandle | None = None
    pd_trouble: str = ""
    pd_lost: bool = False
    store: Store | None = None
    health: Health = field(default_factory=Health)
    leaders_leaving: bool = False
    evict_leaders: bool = False
    problems: list[Problem] = field(default_factory=list)
    restart: list[Problem] | None = None
    pod_waits: str = ""
    _news: list[tuple[News, str]] = field(default_factory=list)

    # What tasks ask for

    @property
    def tikv(self) -> TiKV:
        return _present(self.found, "the TiKV")

    @property
    def cluster(self) -> Cluster:
        return _present(self.found_cluster, "the Cluster")

    @property
    def status(self) -> TiKVStatus:
        """The status that the run has worked out so far; written by `write_status`."""
        if self.tikv.status is None:
            self.tikv.status = TiKVStatus()
        return self.tikv.status

    @property
    def now(self) -> float:
        """Wall-clock seconds."""
        return self.clock.now()

    @property
    def generation(self) -> int:
        return self.tikv.metadata.generation

    @property
    def deleting(self) -> bool:
        return self.tikv.metadata.deletion_timestamp is not None

    @property
    def offline(self) -> bool:
        """The store is wanted to leave the cluster."""
        return self.tikv.spec.offline is True

    @property
    def suspending(self) -> bool:
        action = self.cluster.spec.suspend_action
        return action is not None and action.suspend_compute is True

    @property
    def pod_terminating(self) -> bool:
        return self.pod_deleted or is_terminating(self.pod)

    @property
    def store_state(self) -> str:
        """Where the store is in its life; empty if PD has no store."""
        return self.store.node_state if self.store is not None else ""

    @property
    def store_missed(self) -> bool:
        """PD, which can be trusted, doesn't know a store that was there: nobody can say where its data is."""
        return self.pd is not None and self.store is None and is_missed(self.tikv)

    @property
    def features(self) -> frozenset[str]:
        return enabled_features(self.tikv, self.cluster)

    def eviction(self) -> EvictionState:
        """Return whether what needs the leaders gone may go on. It may at once where no other store could take them."""
        snapshot = self.pd.snapshot if self.pd is not None else None
        if self.store is not None and snapshot is not None and not leaders_can_leave(self.store, snapshot):
            return EvictionState(over=True)
        return eviction_state(self.tikv, self.store, timeout=self.settings.eviction_timeout, now=self.now)

    # What tasks say

    def observe(self, type: str, status: bool, reason: str, message: str) -> None:  # noqa: A002 (the field's name)
        """Set a condition, and remember the Event that people should read about the change."""
        conditions = self.status.conditions
        before = find_condition(conditions, type)
        old_status, old_reason = ("", "") if before is None else (before.status, before.reason)
        set_condition(conditions, type, status, reason, message, generation=self.generation, now=self.now)
        if begins(reason, old_reason) and before is not None:
            # The eviction begins now, although the status may have been False before: time-outs count from here.
            before.last_transition_time = format_time(self.now)
        news = news_of(type, status=status, reason=reason, old_status=old_status, old_reason=old_reason)
        if news is not None:
            self._news.append((news, message))

    def drop(self, type: str) -> None:  # noqa: A002 (the field's name)
        """Remove a condition."""
        remove_condition(self.status.conditions, type)

    def problem(self, reason: str, message: str) -> None:
        """Say what can't be done; the run goes on."""
        self.problems.append(Problem(reason, message))

    def needs_restart(self, reason: str, message: str) -> None:
        """Say what takes effect only when the pod is next recreated. Nothing of that kind recreates it."""
        self.restart = [*(self.restart or ()), Problem(reason, message)]

    async def write_status(self) -> None:
        """Write the status if it differs from the persisted one, then the Events about what changed.

        Raises:
            Conflict: the TiKV has changed since it was read.
        """
        self.found = await self.client.update_status(self.tikv)
        for news, message in self._news:
            say = self.events.warning if news.warning else self.events.normal
            say(self.tikv, news.reason, message)
        self._news.clear()


def _present(value: T | None, what: str) -> T:
    if value is None:
        msg = f"a task that needs {what} ran although there is none: the pipeline must break before it"
        raise RuntimeError(msg)
    return value


# The conditions of the pipeline


def is_gone(ctx: TiKVContext) -> bool:
    """The TiKV doesn't exist."""
    return ctx.found is None


def has_no_cluster(ctx: TiKVContext) -> bool:
    """The Cluster doesn't exist."""
    return ctx.cluster_missing


def cluster_is_paused(ctx: TiKVContext) -> bool:
    """Nobody may touch anything."""
    return ctx.cluster.spec.paused is True


def cluster_is_deleting(ctx: TiKVContext) -> bool:
    """The whole cluster goes: its data needn't be moved anywhere."""
    return ctx.cluster.metadata.deletion_timestamp is not None


def has_no_pd(ctx: TiKVContext) -> bool:
    """The Cluster doesn't have a PD yet."""
    return ctx.cluster.status is None or not ctx.cluster.status.pd


def is_deleting(ctx: TiKVContext) -> bool:
    """Somebody has deleted the TiKV."""
    return ctx.deleting


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


def cluster_is_suspending(ctx: TiKVContext) -> bool:
    """Pods are to go and volumes to stay."""
    return ctx.suspending


def pd_is_synced(ctx: TiKVContext) -> bool:
    """What PD says can be trusted."""
    return ctx.pd is not None
