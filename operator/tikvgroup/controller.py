"""The TiKVGroup controller: a number of alike TiKVs, kept at the right number and the right revision.

`pipeline` is one reconcile, to be read from top to bottom. Nothing in it waits or polls: what has to happen elsewhere first
(an instance becoming ready, a PD group being upgraded, a Cluster appearing) comes back as an event.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller_runtime import Controller, ExponentialBackoff, Manager
from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import ControllerRevision, PodDisruptionBudget, Service
from controller_runtime.cache import CacheEvent
from controller_runtime.predicate import (
    annotations_changed,
    generation_changed,
    or_,
    resource_version_changed,
    spec_or_lifecycle_changed,
)
from controller_runtime.reconcile import Context, Request, Requeue
from controller_runtime.task import Node, ReportStore, Runner, TaskMetrics, block, if_, if_break, if_not
from tikv_operator.api import Cluster, PDGroup, TiKV, TiKVGroup
from tikv_operator.common.membership import cluster_key, declare, member_keys, members
from tikv_operator.common.settings import Settings
from tikv_operator.group.allocation import NameAllocator
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
    runner = Runner(
        NAME,
        pipeline(),
        metrics=metrics,
        reports=reports,
        clock=manager.clock,
        on_failure=status.failure,
        is_gone=is_gone,
    )

    async def reconcile(context: Context, request: Request) -> Requeue | None:
        run = TiKVGroupContext(
            component=TIKV_GROUP,
            client=context.client,
            clock=context.clock,
            log=context.log,
            events=context.events,
            key=request.key,
            settings=settings,
            names=names,
            pds=pds,
            rollouts=rollouts,
        )
        try:
            return await runner.run(run, request, context.log)
        finally:
            if run.found is None:
                rollouts.leave(request.key)

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

    built = Controller(
        NAME,
        reconcile,
        workers=settings.workers,
        rate_limiter=ExponentialBackoff(settings.backoff_base, settings.backoff_max),
    )
    built.reconciles(TiKVGroup, or_(spec_or_lifecycle_changed, annotations_changed))
    for owned in (TiKV, Service, PodDisruptionBudget, ControllerRevision):
        built.owns(owned, spec_or_lifecycle_changed if owned is PodDisruptionBudget else resource_version_changed)
    built.watches(TiKV, in_line, resource_version_changed)
    for predecessor in BEFORE_TIKV:
        built.watches(predecessor, held_back, resource_version_changed)
    return built.watches(Cluster, members(cache, TiKVGroup), or_(generation_changed, annotations_changed))
