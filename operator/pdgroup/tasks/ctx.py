"""Tasks that look: the other groups and PDs of the cluster, and what PD says."""

from __future__ import annotations

from controller_runtime.task import Result, complete, task, wait
from tikv_operator.api import PD
from tikv_operator.common.membership import CLUSTER_INDEX, groups_of
from tikv_operator.pdgroup.tasks.state import PDGroupContext

__all__ = ["others", "pd"]


@task("ContextGroups")
async def others(ctx: PDGroupContext) -> Result:
    """Read all groups of the cluster, and the PDs of all of them."""
    if ctx.cluster is None:
        return complete("there is no cluster")
    ctx.groups = await groups_of(ctx.client, ctx.cluster)
    index = (CLUSTER_INDEX, ctx.cluster.metadata.name)
    ctx.pds_of_cluster = await ctx.client.list(PD, namespace=ctx.key.namespace, index=index)
    return complete(f"{len(ctx.groups)} groups, {len(ctx.pds_of_cluster)} pds")


@task("ContextPDClient")
async def pd(ctx: PDGroupContext) -> Result:
    """Take PD's handle, if what it says can be trusted. Its members tell by events when they change."""
    handle = ctx.pds.get(ctx.cluster.key) if ctx.cluster is not None else None
    if handle is None:
        return wait("pd client is not registered")
    if not handle.fresh(ctx.clock.now()):
        return wait("pd does not answer" if handle.error is not None else "pd has not answered yet")
    ctx.handle = handle
    return complete(f"{len(ctx.snapshot.members.members)} members")
