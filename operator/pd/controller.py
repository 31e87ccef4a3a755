"""The PD controller: one PD server, with its pod, its configuration, its volumes and its membership.

`pipeline` is one reconcile, to be read from top to bottom. It is run again for every event of the PD and of what it owns, when
its Cluster or one of its peers changes in a way that matters, and when PD reports a change of its members; nothing in it polls
an API server or PD. A PD that is as it should be costs no request to either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from controller_runtime import Controller, Manager
from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import ConfigMap, ControllerRevision, PersistentVolumeClaim, Pod
from controller_runtime.cache import Cache, CacheEvent
from controller_runtime.predicate import spec_or_lifecycle_changed
from controller_runtime.task import Node, ReportStore, TaskMetrics, block, if_, if_break, if_not
from tikv_operator.api import PD, Cluster, PDGroup
from tikv_operator.common.membership import cluster_changed, cluster_key, declare, member_keys, members
from tikv_operator.common.metrics import InstanceMetrics
from tikv_operator.common.settings import Settings
from tikv_operator.common.wiring import task_controller
from tikv_operator.instance.tasks import conditions, ctx, finalizer, state
from tikv_operator.instance.tasks.pod import suspend
from tikv_operator.pd.component import PD_SERVER
from tikv_operator.pd.config import bootstraps
from tikv_operator.pd.tasks import cm, member, pod, pvc, status
from tikv_operator.pd.tasks import ctx as pd_ctx
from tikv_operator.pd.tasks.state import PDContext
from tikv_operator.pdclient import PDClients
from tikv_operator.volume.modifier import VolumeModifier

__all__ = ["NAME", "controller", "pipeline"]

NAME = "pd"


def pipeline() -> Node[PDContext]:
    """One reconcile of a PD."""
    return block(
        ctx.instance,
        ctx.instance_metrics,
        if_break(state.is_gone),
        ctx.cluster,
        if_break(
            state.has_no_cluster,
            if_break(state.is_deleting, finalizer.remove),
            conditions.cluster_missing,
        ),
        # A Cluster that is deleted needs no permission to go: its PDs go with it, paused or not.
        if_break(state.cluster_is_deleting, if_(state.is_deleting, finalizer.remove)),
        if_break(state.cluster_is_paused, if_(state.is_deleting, conditions.deletion_paused)),
        ctx.pod,
        pd_ctx.peers,
        pd_ctx.info_from_pd,
        if_break(
            state.is_deleting,
            member.leave,
            if_(member.left, finalizer.remove),
            if_break(state.is_gone),
            if_not(member.left, cm.config_map, pvc.volume_claims, pod.repair),
            conditions.synced,
            conditions.ready,
            conditions.running,
            status.update,
        ),
        finalizer.add,
        conditions.suspended,
        if_break(
            state.cluster_is_suspending, conditions.synced, conditions.ready, conditions.running, status.update, suspend
        ),
        cm.config_map,
        pvc.volume_claims,
        pod.pod,
        conditions.synced,
        if_(health_is_known, conditions.ready),
        conditions.running,
        status.initialized,
        conditions.restart_required,
        status.sync,
    )


def health_is_known(ctx: PDContext) -> bool:
    """PD tells how its members are, or the pod alone tells that this one isn't well: unknown is not the same as unhealthy."""
    if ctx.handle is not None:
        return True
    return not ctx.status.id or ctx.pod is None or ctx.pod_terminating


def controller(
    manager: Manager,
    pds: PDClients,
    settings: Settings,
    *,
    metrics: TaskMetrics,
    reports: ReportStore,
    instances: InstanceMetrics | None = None,
    volume_modifiers: Iterable[VolumeModifier] = (),
) -> Controller:
    """Wire the controller: what feeds it, what it needs, and how it fails.

    Args:
        instances: the gauge of abnormal instances, if other controllers keep it, too.
        volume_modifiers: change volumes through the API of their cloud. With any, the operator must be allowed to read
            persistent volumes and storage classes.
    """
    cache = manager.cache
    declare(cache, PD, PDGroup, Cluster, Pod, ConfigMap, PersistentVolumeClaim, ControllerRevision)
    gauge = instances or InstanceMetrics(manager.registry)
    change = asyncio.Lock()
    modifiers = {modifier.provisioner: modifier for modifier in volume_modifiers}
    built = task_controller(
        NAME,
        pipeline(),
        lambda basics: PDContext(
            component=PD_SERVER,
            kind=PD,
            pds=pds,
            metrics=gauge,
            change=change,
            volume_modifiers=modifiers,
            **basics,
        ),
        manager=manager,
        settings=settings,
        metrics=metrics,
        reports=reports,
        on_failure=conditions.record_failure,
        is_gone=state.is_gone,
    )
    built.reconciles(PD).owns(Pod).owns(ConfigMap).owns(PersistentVolumeClaim)
    built.watches(Cluster, members(cache, PD), cluster_changed)
    built.watches(PD, _fellow_founders(cache), spec_or_lifecycle_changed)
    built.watches(PDGroup, _members_of_a_leaving_group(cache), spec_or_lifecycle_changed)
    built.watches_source(pds.member_source(_members(cache)))
    return built.watches_source(pds.cluster_source(lambda cluster: member_keys(cache, PD, cluster)))


def _members(cache: Cache) -> Callable[[ObjectKey, frozenset[str]], Iterable[ObjectKey]]:
    """Return what names the PDs that a change of members concerns: all of the cluster, as each decides by what the others are."""
    return lambda cluster, _: member_keys(cache, PD, cluster)


def _fellow_founders(cache: Cache) -> Callable[[CacheEvent], Iterable[ObjectKey]]:
    """Return what maps a PD to those of its cluster whose configuration names it, or waits for it."""

    def founders(event: CacheEvent) -> Iterable[ObjectKey]:
        for cluster in cluster_key(event):
            for key in member_keys(cache, PD, cluster):
                pd = cache.find(PD, key)
                if pd is not None and bootstraps(pd):
                    yield key

    return founders


def _members_of_a_leaving_group(cache: Cache) -> Callable[[CacheEvent], Iterable[ObjectKey]]:
    """Return what maps a PD group that is being deleted to the PDs of its cluster: they may go as a whole then."""

    def members_of(event: CacheEvent) -> Iterable[ObjectKey]:
        if event.new is not None and event.new.meta.deletion_timestamp is None:
            return
        for cluster in cluster_key(event):
            yield from member_keys(cache, PD, cluster)

    return members_of
