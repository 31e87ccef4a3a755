"""Tasks about PD: where it is, a client for it, and the id it gave the cluster."""

from __future__ import annotations

from controller_runtime.task import Result, complete, retry, task
from tikv_operator.api import Feature, PDGroup
from tikv_operator.cluster.tasks.state import ClusterContext, has_feature
from tikv_operator.common.names import PD_CLIENT_PORT, cluster_pd_service_name, pd_client_port, pd_service_name, pd_url

__all__ = ["identify", "locate", "register"]


@task("PDURL")
async def locate(ctx: ClusterContext) -> Result:
    """Note PD's URL once there is a PD group. It never changes after that: every component has been told it."""
    if ctx.status.pd:
        return complete(ctx.status.pd)
    first = next((group for group in ctx.groups if isinstance(group, PDGroup)), None)
    if first is None:
        return complete("there is no PD group")
    if has_feature(ctx, Feature.MULTI_PD_GROUP):
        ctx.status.pd = pd_url(cluster_pd_service_name(ctx.cluster), PD_CLIENT_PORT, ctx.cluster)
    else:
        ctx.status.pd = pd_url(pd_service_name(first.metadata.name), pd_client_port(first), ctx.cluster)
    return complete(ctx.status.pd)


@task("PDClient")
async def register(ctx: ClusterContext) -> Result:
    """Give the cluster a PD client, which all controllers share. It begins to poll PD by itself."""
    ctx.pd = ctx.pds.register(ctx.cluster)
    return complete(f"registered {ctx.status.pd}")


@task("ClusterID")
async def identify(ctx: ClusterContext) -> Result:
    """Note the id that PD gives the cluster when it starts; until then PD is asked often, and its answer wakes the Cluster."""
    if ctx.status.id:
        return complete(ctx.status.id)
    if ctx.pd is None:
        return complete("there is no PD")
    snapshot = ctx.pd.snapshot
    if snapshot is not None and snapshot.cluster_id:
        ctx.status.id = snapshot.cluster_id
        ctx.say("PDReady", f"PD calls the cluster {ctx.status.id}")
        return complete(ctx.status.id)
    ctx.pd.hurry()
    reason = "PD has not answered yet" if ctx.pd.error is None else str(ctx.pd.error)
    return retry(ctx.settings.requeue, f"cluster id is not set: {reason}")
