"""Tasks that find out what there is: the TiKV, its Cluster, its pod, and what PD says of its store.

They read, and change nothing. All reads are answered by the cache or by PD's snapshot, so they cost no request.
"""

from __future__ import annotations

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Pod
from controller_runtime.task import Result, complete, fail, retry, task, wait
from tikv_operator.api import Cluster, Feature, TiKV
from tikv_operator.common import names
from tikv_operator.pdclient import PDHandle
from tikv_operator.tikv.health import assess
from tikv_operator.tikv.stores import find_store
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["cluster", "info_from_pd", "instance_metrics", "pod", "tikv"]


@task("ContextObject")
async def tikv(ctx: TiKVContext) -> Result:
    """Find the TiKV itself."""
    ctx.found = await ctx.client.find(TiKV, ctx.key)
    return complete("tikv does not exist" if ctx.found is None else "tikv is found")


@task("ObserveInstance")
async def instance_metrics(ctx: TiKVContext) -> Result:
    """Keep the gauge of abnormal instances."""
    if ctx.found is None:
        ctx.metrics.forget(ctx.key)
    else:
        ctx.metrics.observe(ctx.found)
    return complete()


@task("ContextCluster")
async def cluster(ctx: TiKVContext) -> Result:
    """Find the Cluster. One that is missing is no failure: an event will tell when it appears.

    A deleted TiKV without a Cluster goes at once, with its volumes: before that the API server itself is asked.
    """
    key = ObjectKey(ctx.key.namespace, ctx.tikv.spec.cluster.name)
    ctx.found_cluster = await ctx.client.find(Cluster, key)
    if ctx.found_cluster is None and ctx.deleting:
        ctx.found_cluster = await ctx.client.live.find(Cluster, key)
    if ctx.found_cluster is None:
        ctx.cluster_missing = True
        return wait(f"cluster {key.name} does not exist")
    return complete("cluster is found")


@task("ContextPod")
async def pod(ctx: TiKVContext) -> Result:
    """Find the TiKV's pod."""
    key = ObjectKey(ctx.key.namespace, names.tikv_pod_name(ctx.key.name))
    found = await ctx.client.find(Pod, key)
    if found is None:
        return complete("pod does not exist")
    owner = next((owner for owner in found.metadata.owner_references if owner.controller), None)
    if owner is None or owner.uid != ctx.tikv.metadata.uid:
        return fail(f"pod {key.name} exists and is not controlled by this tikv")
    ctx.pod = found
    return complete("pod is terminating" if ctx.pod_terminating else "pod is found")


@task("ContextInfoFromPD")
async def info_from_pd(ctx: TiKVContext) -> Result:
    """Look up the store. A snapshot that is too old counts as no snapshot: nothing may be decided on it."""
    pd = ctx.pds.get(ctx.cluster.key)
    if pd is None:
        ctx.pd_trouble = "pd client is not registered"
        return retry(ctx.settings.requeue, ctx.pd_trouble)
    if not pd.fresh(ctx.now):
        pd.refresh()
        ctx.pd_lost = pd.error is not None
        ctx.pd_trouble = (
            f"pd does not answer: {pd.error.message}" if pd.error is not None else "pd has not answered yet"
        )
        return wait(ctx.pd_trouble)  # its handle tells when PD answers again
    if other := _another_cluster(pd, ctx.cluster):
        ctx.pd_lost, ctx.pd_trouble = True, other
        return wait(other)
    ctx.pd = pd
    ctx.store = find_store(pd.snapshot, ctx.tikv, ctx.cluster) if pd.snapshot is not None else None
    ready_api = Feature.USE_TIKV_READY_API in ctx.features
    ctx.health = assess(ctx.store, ctx.pod, ready_api=ready_api, settings=ctx.settings, now=ctx.now)
    if ctx.store is None:
        return complete("store does not exist")
    ctx.leaders_leaving = pd.is_evicting(ctx.store.id)
    return complete(f"store {ctx.store.id} is {ctx.store.node_state}")


def _another_cluster(pd: PDHandle, cluster: Cluster) -> str:
    """Return what is wrong if PD answers for another cluster (it lost its data, or isn't the one it was); else nothing."""
    said = pd.snapshot.cluster_id if pd.snapshot is not None else ""
    known = cluster.status.id if cluster.status is not None else ""
    if not said or not known or said == known:
        return ""
    return f"pd answers for cluster {said}, not for {known}"
