"""A PD's pipeline run as a whole, where its order decides; what each task does is tested beside the task."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from controller_runtime import Request
from controller_runtime.api.k8s import ConfigMap
from controller_runtime.task import ReportStore, Runner, TaskMetrics
from helpers.pd_fakes import make_cluster, make_pd, pd_context
from helpers.tikv_fakes import SilentLog
from tikv_operator.api import PD
from tikv_operator.pd.controller import NAME, pipeline


async def run(ctx: Any) -> None:
    """Reconcile once.

    Raises:
        TaskFailed: a task failed.
    """
    runner: Runner[Any] = Runner(
        NAME,
        pipeline(),
        metrics=TaskMetrics(CollectorRegistry(), prefix="test"),
        reports=ReportStore(),
        clock=ctx.clock,
    )
    await runner.run(ctx, Request(ctx.key), SilentLog())


async def test_a_cluster_that_is_missing_does_not_keep_a_deleted_pd() -> None:
    pd = make_pd()
    pd.metadata.finalizers, pd.metadata.deletion_timestamp = ["pingcap.com/finalizer"], "2026-01-01T00:00:00Z"
    ctx = pd_context(pd, found=False)
    ctx.client.remove(make_cluster())

    await run(ctx)

    assert ctx.client.stored(PD, pd.metadata.name).metadata.finalizers == []


async def test_without_its_cluster_nothing_is_made_and_the_condition_says_so() -> None:
    pd = make_pd()
    ctx = pd_context(pd, found=False)
    ctx.client.remove(make_cluster())

    await run(ctx)

    stored = ctx.client.stored(PD, pd.metadata.name)
    assert [(found.type, found.reason) for found in stored.status.conditions] == [("Synced", "ClusterNotFound")]
    assert not [write for write in ctx.client.writes if ConfigMap.resource.kind in write]
