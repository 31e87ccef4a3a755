"""Tasks that find out what there is: the instance, its Cluster, its pod. They read the cache, and change nothing."""

from __future__ import annotations

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Pod
from controller_runtime.task import Result, complete, fail, task, wait
from tikv_operator.api import Cluster
from tikv_operator.common import names
from tikv_operator.instance.tasks.state import AnyInstance

__all__ = ["cluster", "instance", "instance_metrics", "pod"]


@task("ContextObject")
async def instance(ctx: AnyInstance) -> Result:
    """Find the instance itself."""
    ctx.found = await ctx.client.find(ctx.kind, ctx.key)
    name = ctx.component.name
    return complete(f"{name} does not exist" if ctx.found is None else f"{name} is found")


@task("ObserveInstance")
async def instance_metrics(ctx: AnyInstance) -> Result:
    """Keep the gauge of abnormal instances."""
    if ctx.found is None:
        ctx.metrics.forget(ctx.key)
    else:
        ctx.metrics.observe(ctx.found)
    return complete()


@task("ContextCluster")
async def cluster(ctx: AnyInstance) -> Result:
    """Find the Cluster. One that is missing is no failure: an event will tell when it appears.

    A deleted instance without a Cluster goes at once, with its volumes: before that the API server itself is asked.
    """
    key = ObjectKey(ctx.key.namespace, ctx.instance.spec.cluster.name)
    ctx.found_cluster = await ctx.client.find(Cluster, key)
    if ctx.found_cluster is None and ctx.deleting:
        ctx.found_cluster = await ctx.client.live.find(Cluster, key)
    if ctx.found_cluster is None:
        ctx.cluster_missing = True
        return wait(f"cluster {key.name} does not exist")
    return complete("cluster is found")


@task("ContextPod")
async def pod(ctx: AnyInstance) -> Result:
    """Find the instance's pod."""
    key = ObjectKey(ctx.key.namespace, names.pod_name(ctx.key.name, ctx.component.name))
    found = await ctx.client.find(Pod, key)
    if found is None:
        return complete("pod does not exist")
    owner = next((owner for owner in found.metadata.owner_references if owner.controller), None)
    if owner is None or owner.uid != ctx.instance.metadata.uid:
        return fail(f"pod {key.name} exists and is not controlled by this {ctx.component.name}")
    ctx.pod = found
    return complete("pod is terminating" if ctx.pod_terminating else "pod is found")
