"""The Cluster controller: what all groups of a cluster share, and the PD client that everybody uses.

`pipeline` is one reconcile, to be read from top to bottom. Groups wake their Cluster by events; only a PD that has not
answered yet is asked again after a while.
"""

from __future__ import annotations

from controller_runtime import Controller, Manager
from controller_runtime.api.k8s import Service
from controller_runtime.predicate import annotations_changed, or_, resource_version_changed, spec_or_lifecycle_changed
from controller_runtime.task import Node, ReportStore, TaskMetrics, block, if_, if_break
from tikv_operator.api import Cluster
from tikv_operator.cluster.tasks import ctx, features, finalizer, pd, status, svc
from tikv_operator.cluster.tasks.state import ClusterContext, is_deleting, is_gone, is_paused, pd_is_known
from tikv_operator.common.membership import GROUP_KINDS, cluster_key, declare
from tikv_operator.common.settings import Settings
from tikv_operator.common.wiring import task_controller
from tikv_operator.pdclient import PDClients

__all__ = ["NAME", "controller", "pipeline"]

NAME = "cluster"


def pipeline() -> Node[ClusterContext]:
    """One reconcile of a Cluster."""
    return block(
        ctx.cluster,
        if_break(is_gone),
        ctx.groups,
        # A paused Cluster can be deleted, too: nothing that is being deleted hangs on a permission.
        if_break(is_deleting, finalizer.remove, if_break(is_gone), status.components, status.conditions, status.write),
        if_break(is_paused, ctx.paused),
        finalizer.add,
        features.copy,
        svc.services,
        pd.locate,
        if_(pd_is_known, pd.register, pd.identify),
        status.components,
        status.conditions,
        status.write,
    )


def controller(
    manager: Manager, pds: PDClients, settings: Settings, *, metrics: TaskMetrics, reports: ReportStore
) -> Controller:
    """Return the controller, to be added to the manager.

    Args:
        pds: Clusters are registered with it, and deregistered when they are deleted.
        metrics, reports: where the tasks' results go, shared by all controllers.
    """
    declare(manager.cache, Cluster, Service, *(group.kind for group in GROUP_KINDS))
    built = task_controller(
        NAME,
        pipeline(),
        lambda basics: ClusterContext(pds=pds, **basics),
        manager=manager,
        settings=settings,
        metrics=metrics,
        reports=reports,
        on_failure=status.failure,
        is_gone=is_gone,
    )
    built.reconciles(Cluster, or_(spec_or_lifecycle_changed, annotations_changed)).owns(
        Service, resource_version_changed
    )
    for group in GROUP_KINDS:
        built.watches(group.kind, cluster_key, resource_version_changed)
    return built.watches_source(pds.cluster_source())
