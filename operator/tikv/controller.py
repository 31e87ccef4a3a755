"""The TiKV controller: one store of a TiKV cluster, with its pod, its configuration and its volumes.

`pipeline` is one reconcile, to be read from top to bottom. It is run again for every event of the TiKV and of what it owns,
when its Cluster changes in a way that matters, when the labels of its node change, and when PD reports a change of its store;
nothing in it polls an API server or PD. A TiKV that is as it should be costs no request to either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from controller_runtime import Controller, Manager
from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import ConfigMap, ControllerRevision, Node, PersistentVolumeClaim, Pod
from controller_runtime.cache import Cache, CacheEvent
from controller_runtime.predicate import labels_changed
from controller_runtime.task import Node as Pipeline
from controller_runtime.task import ReportStore, TaskMetrics, block, if_, if_break
from tikv_operator.api import Cluster, TiKV, TiKVGroup
from tikv_operator.common.keys import ANNOTATION_PAUSED, LABEL_GROUP
from tikv_operator.common.membership import (
    CLUSTER_INDEX,
    cluster_changed,
    cluster_key,
    declare,
    member_keys,
    members,
)
from tikv_operator.common.metrics import InstanceMetrics
from tikv_operator.common.settings import Settings
from tikv_operator.common.wiring import task_controller
from tikv_operator.pdclient import PDClients
from tikv_operator.tikv.placement import NODE_INDEX, node_names, tikvs_on_node
from tikv_operator.tikv.tasks import (
    claim_trouble,
    cm,
    conditions,
    ctx,
    evict_leader,
    finalizer,
    offline,
    pod,
    pvc,
    state,
    status,
    store_labels,
)
from tikv_operator.tikv.tasks.state import TiKVContext
from tikv_operator.volume.modifier import VolumeModifier

__all__ = ["NAME", "cluster_changed", "controller", "pipeline"]

NAME = "tikv"


def pipeline() -> Pipeline[TiKVContext]:
    """One reconcile of a TiKV."""
    return block(
        ctx.tikv,
        ctx.instance_metrics,
        if_break(state.is_gone),
        ctx.cluster,
        if_break(
            state.has_no_cluster,
            if_break(state.is_deleting, finalizer.remove),
            conditions.cluster_missing,
        ),
        # A pause doesn't hold up the end of the whole cluster, which somebody has asked for, too.
        if_break(state.cluster_is_deleting, finalizer.remove),
        if_break(state.cluster_is_paused, if_(state.is_deleting, conditions.deletion_paused)),
        if_break(state.has_no_pd, if_(state.never_had_a_store, finalizer.remove)),
        if_break(state.is_offlined_for_good, offline.delete_offlined),
        ctx.pod,
        ctx.info_from_pd,
        if_break(state.store_is_gone, evict_leader.end, finalizer.remove),
        if_break(state.wants_removal, offline.set_offline),
        finalizer.add,
        conditions.suspended,
        if_break(
            state.cluster_is_suspending,
            conditions.synced,
            conditions.ready,
            conditions.running,
            if_(state.pd_is_synced, conditions.offlined),
            status.update,
            pod.suspend,
        ),
        offline.offline_store,
        cm.config_map,
        pvc.volume_claims,
        claim_trouble.claim_trouble,
        pod.pod,
        store_labels.server_labels,
        evict_leader.evict_leader,
        conditions.synced,
        conditions.restart_required,
        if_(state.readiness_is_known, conditions.ready),
        if_(state.pd_is_synced, conditions.offlined),
        conditions.running,
        status.sync,
        evict_leader.begin,
    )


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
    declare(manager.cache, TiKV, TiKVGroup, Cluster, Pod, ConfigMap, PersistentVolumeClaim, ControllerRevision)
    manager.cache.declare(Pod, indexes={NODE_INDEX: node_names})
    manager.cache.declare(Node, metadata_only=True)
    gauge = instances or InstanceMetrics(manager.registry)
    disruption = asyncio.Lock()
    modifiers = {modifier.provisioner: modifier for modifier in volume_modifiers}
    built = task_controller(
        NAME,
        pipeline(),
        lambda basics: TiKVContext(pds=pds, metrics=gauge, disruption=disruption, volume_modifiers=modifiers, **basics),
        manager=manager,
        settings=settings,
        metrics=metrics,
        reports=reports,
        on_failure=conditions.record_failure,
        is_gone=state.is_gone,
    )
    built.reconciles(TiKV).owns(Pod).owns(ConfigMap).owns(PersistentVolumeClaim)
    built.watches(Cluster, members(manager.cache, TiKV), cluster_changed)
    built.watches(TiKVGroup, _tikvs_of_group(manager.cache), pause_changed)
    built.watches(Node, tikvs_on_node(manager.cache), labels_changed)
    built.watches_source(pds.source())
    return built.watches_source(pds.cluster_source(_tikvs_of(manager.cache)))


def pause_changed(event: CacheEvent) -> bool:
    """A group was paused, or is so no longer. Everything else of a group reaches its TiKVs through their specs."""
    if event.old is None or event.new is None:
        return False
    return event.old.annotations.get(ANNOTATION_PAUSED) != event.new.annotations.get(ANNOTATION_PAUSED)


def _tikvs_of_group(cache: Cache) -> Callable[[CacheEvent], Iterable[ObjectKey]]:
    """Return what names the TiKVs of a group, given an event of the group."""

    def named(event: CacheEvent) -> Iterable[ObjectKey]:
        for cluster in cluster_key(event):
            for entry in cache.entries(TiKV, namespace=cluster.namespace, index=(CLUSTER_INDEX, cluster.name)):
                if entry.meta.labels.get(LABEL_GROUP) == event.key.name:
                    yield entry.key

    return named


def _tikvs_of(cache: Cache) -> Callable[[ObjectKey], Iterable[ObjectKey]]:
    """Return what names all TiKVs of a cluster: its PD becoming known, being lost or coming back concerns them all."""
    return lambda cluster: member_keys(cache, TiKV, cluster)
