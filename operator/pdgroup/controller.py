"""The PDGroup controller: a number of alike PD servers, kept at the right number and the right revision.

`pipeline` is one reconcile, to be read from top to bottom. Nothing in it waits or polls: what has to happen elsewhere first (PD
answering, a member becoming healthy, another one having left) comes back as an event.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller_runtime import Controller, Manager
from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import ControllerRevision, PodDisruptionBudget, Service
from controller_runtime.cache import CacheEvent
from controller_runtime.predicate import spec_or_lifecycle_changed
from controller_runtime.task import Node, ReportStore, TaskMetrics, block, if_break
from tikv_operator.api import PD, Cluster, PDGroup, TiKVGroup
from tikv_operator.common.membership import cluster_key, declare, member_keys
from tikv_operator.common.settings import Settings
from tikv_operator.common.wiring import task_controller
from tikv_operator.group.allocation import NameAllocator
from tikv_operator.group.feed import feed_group
from tikv_operator.group.tasks import ctx, finalizer, pdb, revision, status
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
from tikv_operator.pdgroup.component import PD_GROUP
from tikv_operator.pdgroup.tasks import boot, mode, svc, updater
from tikv_operator.pdgroup.tasks import ctx as pd_ctx
from tikv_operator.pdgroup.tasks import finalizer as pd_finalizer
from tikv_operator.pdgroup.tasks.state import PDGroupContext, is_needed

__all__ = ["NAME", "controller", "pipeline"]

NAME = "pdgroup"


def pipeline() -> Node[PDGroupContext]:
    """One reconcile of a PDGroup."""
    return block(
        ctx.group,
        if_break(is_gone),
        ctx.instances,
        ctx.cluster,
        pd_ctx.others,
        if_break(
            is_deleting,
            if_break(is_needed, pd_finalizer.needed, status.ready, status.synced, status.replicas, status.write),
            finalizer.remove,
            if_break(is_gone),
            status.ready,
            status.synced,
            status.replicas,
            status.write,
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
        pd_ctx.pd,
        boot.boot,
        svc.services,
        pdb.budget,
        mode.mode,
        updater.update,
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
    declare(cache, PDGroup, PD, TiKVGroup, Cluster, Service, PodDisruptionBudget, ControllerRevision)
    names = NameAllocator()
    built = task_controller(
        NAME,
        pipeline(),
        lambda basics: PDGroupContext(component=PD_GROUP, names=names, pds=pds, **basics),
        manager=manager,
        settings=settings,
        metrics=metrics,
        reports=reports,
        on_failure=status.failure,
        is_gone=is_gone,
    )

    def of_cluster(cluster: ObjectKey) -> list[ObjectKey]:
        return member_keys(cache, PDGroup, cluster)

    def beside(event: CacheEvent) -> Iterable[ObjectKey]:
        """Map a group, or a PD, to all PD groups of its cluster: one founds it, and one member changes at a time."""
        for cluster in cluster_key(event):
            yield from of_cluster(cluster)

    feed_group(built, cache, PDGroup, PD)
    for kind in (PDGroup, TiKVGroup, PD):
        built.watches(kind, beside, spec_or_lifecycle_changed)
    built.watches_source(pds.member_source(lambda cluster, _: of_cluster(cluster)))
    return built.watches_source(pds.cluster_source(of_cluster))
