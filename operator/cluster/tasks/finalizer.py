"""Tasks that hold the Cluster until all its groups are gone."""

from __future__ import annotations

from controller_runtime.client import add_finalizer, remove_finalizer
from controller_runtime.task import Result, complete, task, wait
from tikv_operator.cluster.tasks.state import ClusterContext
from tikv_operator.common.deletion import delete_all
from tikv_operator.common.keys import FINALIZER

__all__ = ["add", "remove"]


@task("Finalizer")
async def add(ctx: ClusterContext) -> Result:
    """Put the finalizer on the Cluster before anything is made for it."""
    if not add_finalizer(ctx.cluster, FINALIZER):
        return complete("the finalizer is there")
    ctx.found = await ctx.client.update(ctx.cluster)
    return complete("added the finalizer")


@task("Finalizer")
async def remove(ctx: ClusterContext) -> Result:
    """Delete every group once, wait until they are gone (each tells by an event), then let the Cluster go."""
    ctx.pds.deregister(ctx.key)
    if ctx.groups:
        await delete_all(ctx.client, ctx.groups)
        names = ", ".join(f"{group.kind}/{group.metadata.name}" for group in ctx.groups)
        return wait(f"deleting components: {names}")
    if remove_finalizer(ctx.cluster, FINALIZER):
        await ctx.client.update(ctx.cluster)
    ctx.found = None
    return complete("all groups are deleted")
