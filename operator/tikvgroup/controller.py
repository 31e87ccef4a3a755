"""The TiKVGroup controller: a number of alike TiKVs, kept at the right number and the right revision.

`pipeline` is one reconcile, to be read from top to bottom. Nothing in it waits or polls: what has to happen elsewhere first
(an instance becoming ready, a PD group being upgraded, a Cluster appearing) comes back as an event.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller_runtime import Controller, Manager
from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import ControllerRevision, PodDisruptionBudget, Service
from controller_runtime.cache import CacheEvent
from controller_runtime.predicate import resource_version_changed
from controller_runtime.task import Node, ReportStore, TaskMetrics, block, if_, if_break, if_not
from tikv_operator.api import Cluster, PDGroup, TiKV, TiKVGroup
from tikv_operator.common.membership import cluster_key, declare, member_keys
from tikv_operator.common.settings import Settings
from tikv_operator.common.wiring import task_controller
from tikv_operator.group.allocation import NameAllocator
from tikv_operator.group.feed import feed_group
from tikv_operator.group.tasks import ctx, finalizer, pdb, revision, status, svc
from tikv_operator.group.tasks.state import (
    cluster_is_deleting,
    cluster_is_missing,
    cluster_is_paused,
    features_are_not_copied,
    is_deleting,
    is_gone,
    is_suspending,
)
from tikv_operator.pdclient import PDClients
from tikv_operator.tikvgroup.component import TIKV_GROUP
from tikv_operator.tikvgroup.rollouts import Rollouts
from tikv_operator.tikvgroup.tasks import annotated, updater
from tikv_operator.tikvgroup.tasks.state import TiKVGroupContext, group_is_paused
from tikv_operator.tikvgroup.upgrade import BEFORE_TIKV, is_upgrade

__all__ = ["NAME", "controller", "pipeline"]

NAME = "tikvgroup"


def pipeline() -> Node[TiKVGroupContext]:
    """One reconcile of a TiKVGroup."""
    return block(
        ctx.group,
        if_break(is_gone),
        ctx.instances,
        ctx.cluster,
        # Deletion needs neither the Cluster nor its permission: a group never hangs on a Cluster that is gone or paused.
        if_break(
            is_deleting, finalizer.remove, if_break(is_gone), status.ready, status.synced, status.replicas, status.write
        ),
        if_break(cluster_is_missing, status.cluster_missing, status.selected, status.replicas, status.write),
        if_break(cluster_is_deleting, ctx.deleting),
        if_break(cluster_is_paused, ctx.paused),
        if_break(features_are_not_copied, ctx.features),
        finalizer.add,
        revision.choose,
        if_break(
            is_suspending, status.suspended, status.ready, status.synced, status.selected, status.replicas, status.write
        ),
        svc.service,
        pdb.budget,
        if_(group_is_paused, updater.paused),
        if_not(group_is_paused, updater.update),
        annotated.annotated,
        status.selected,
        status.suspended,
        status.ready,
        status.synced,
        status.replicas,
        status.write,
        revision.truncate,
    )


def controller(
    manager: Manager, pds: PDClients, settings: Settings, *, metrics: TaskMetrics, reports: ReportStore
) -> Controller:
    """Return the controller, to be added to the manager.

    Args:
        pds: what PD has said lately; a group never asks it anything.
        metrics, reports: where the tasks' results go, shared by all controllers.
    """
    cache = manager.cache
    declare(cache, TiKVGroup, TiKV, Cluster, PDGroup, Service, PodDisruptionBudget, ControllerRevision)
    names, rollouts = NameAllocator(), Rollouts()

    def leave_the_line(run: TiKVGroupContext) -> None:
        if run.found is None:
            rollouts.leave(run.key)

    built = task_controller(
        NAME,
        pipeline(),
        lambda basics: TiKVGroupContext(component=TIKV_GROUP, names=names, pds=pds, rollouts=rollouts, **basics),
        manager=manager,
        settings=settings,
        metrics=metrics,
        reports=reports,
        on_failure=status.failure,
        is_gone=is_gone,
        afterwards=leave_the_line,
    )

    def held_back(event: CacheEvent) -> Iterable[ObjectKey]:
        """Map a group that is upgraded before TiKV to the groups that may be waiting for it."""
        for cluster in cluster_key(event):
            for key in member_keys(cache, TiKVGroup, cluster):
                group = cache.find(TiKVGroup, key)
                if group is not None and is_upgrade(group):
                    yield key

    def in_line(event: CacheEvent) -> Iterable[ObjectKey]:
        """Map an instance to the groups of its cluster that wait for others' instances."""
        for cluster in cluster_key(event):
            yield from rollouts.waiting(cluster)

    feed_group(built, cache, TiKVGroup, TiKV)
    built.watches(TiKV, in_line, resource_version_changed)
    for predecessor in BEFORE_TIKV:
        built.watches(predecessor, held_back, resource_version_changed)
    return built
