"""Tasks that look: the Cluster and its groups."""

from __future__ import annotations

from controller_runtime.task import Result, complete, task, wait
from tikv_operator.api import Cluster
from tikv_operator.cluster.tasks.state import ClusterContext
from tikv_operator.common.membership import groups_of

__all__ = ["cluster", "groups", "paused"]


@task("Context")
async def cluster(ctx: ClusterContext) -> Result:
    """Read the Cluster; None if it is gone. Then nobody needs its PD client any more."""
    ctx.found = await ctx.client.find(Cluster, ctx.key)
    if ctx.found is None:
        ctx.pds.deregister(ctx.key)
        return complete("the cluster is gone")
    return complete("read the cluster")


@task("ContextGroups")
async def groups(ctx: ClusterContext) -> Result:
    """Read all groups that name this Cluster."""
    ctx.groups = await groups_of(ctx.client, ctx.cluster)
    return complete(f"{len(ctx.groups)} groups")


@task("Paused")
async def paused(ctx: ClusterContext) -> Result:
    """Do nothing while the Cluster is paused."""
    return wait("the cluster is paused")
