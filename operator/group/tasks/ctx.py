"""Tasks that look: the group, its instances, its Cluster."""

from __future__ import annotations

from controller_runtime.api import ObjectKey, selector
from controller_runtime.task import Result, complete, task, wait
from tikv_operator.api import Cluster
from tikv_operator.group.build import group_labels
from tikv_operator.group.tasks.state import AnyGroup

__all__ = ["cluster", "deleting", "features", "group", "instances", "paused"]


@task("ContextObject")
async def group(ctx: AnyGroup) -> Result:
    """Read the group; None if it is gone."""
    ctx.found = await ctx.client.find(ctx.component.group, ctx.key)
    if ctx.found is None:
        ctx.names.forget(ctx.key)
        return complete("the group is gone")
    return complete("read the group")


@task("ContextSlice")
async def instances(ctx: AnyGroup) -> Result:
    """Read the group's instances, by name."""
    labels = selector(group_labels(ctx.component, ctx.group))
    ctx.instances = await ctx.client.list(ctx.component.instance, namespace=ctx.key.namespace, labels=labels)
    ctx.names.observe(ctx.group, [instance.metadata.name for instance in ctx.instances])
    return complete(f"{len(ctx.instances)} instances")


@task("ContextCluster")
async def cluster(ctx: AnyGroup) -> Result:
    """Read the group's Cluster; a missing one is waited for."""
    name = ctx.group.spec.cluster.name
    ctx.cluster = await ctx.client.find(Cluster, ObjectKey(ctx.key.namespace, name))
    return complete("read the cluster") if ctx.cluster is not None else wait(f"cluster {name} does not exist")


@task("ClusterDeleting")
async def deleting(ctx: AnyGroup) -> Result:
    """Make nothing more for a Cluster that is going: its controller deletes this group, too."""
    return wait(f"cluster {ctx.group.spec.cluster.name} is being deleted: wait until the group is, too")


@task("Paused")
async def paused(ctx: AnyGroup) -> Result:
    """Do nothing while the Cluster is paused."""
    return wait(f"cluster {ctx.group.spec.cluster.name} is paused")


@task("Features")
async def features(ctx: AnyGroup) -> Result:
    """Make nothing from features that the Cluster doesn't have (any more)."""
    return wait("wait until the features of the cluster are copied to the group")
