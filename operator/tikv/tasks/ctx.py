"""Tasks that find out what there is: the TiKV, its Cluster, its pod, and what PD says of its store.

They read, and change nothing. All reads are answered by the cache or by PD's snapshot, so they cost no request.
"""

from __future__ import annotations

from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.api import Cluster, Feature
from tikv_operator.instance.tasks.ctx import cluster, instance_metrics, pod
from tikv_operator.instance.tasks.ctx import instance as tikv
from tikv_operator.pdclient import PDHandle
from tikv_operator.tikv.health import assess
from tikv_operator.tikv.stores import find_store
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["cluster", "info_from_pd", "instance_metrics", "pod", "tikv"]


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
