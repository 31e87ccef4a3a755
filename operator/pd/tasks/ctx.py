"""Tasks that find out what there is beside the PD itself: its groups and peers, and what PD says of it."""

from __future__ import annotations

from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.api import PD, PDGroup
from tikv_operator.common.membership import CLUSTER_INDEX
from tikv_operator.pd.tasks.state import PDContext

__all__ = ["info_from_pd", "peers"]


@task("ContextPeerSlice")
async def peers(ctx: PDContext) -> Result:
    """Read the PDs and the PD groups of the whole cluster."""
    index = (CLUSTER_INDEX, ctx.cluster.metadata.name)
    ctx.peers = await ctx.client.list(PD, namespace=ctx.key.namespace, index=index)
    ctx.groups = await ctx.client.list(PDGroup, namespace=ctx.key.namespace, index=index)
    return complete(f"{len(ctx.peers)} pds in the cluster")


@task("ContextInfoFromPD")
async def info_from_pd(ctx: PDContext) -> Result:
    """Look the member up. What is too old, or said by another cluster's PD, counts as nothing said: who leads is unknown."""
    handle = ctx.pds.get(ctx.cluster.key)
    if handle is None:
        ctx.trouble = "pd client is not registered"
        return retry(ctx.settings.requeue, ctx.trouble) if ctx.deleting else wait(ctx.trouble)
    if not handle.fresh(ctx.now):
        handle.refresh(members=True)
        known = ctx.cluster.status is not None and bool(ctx.cluster.status.id)
        ctx.lost = handle.error is not None and known
        ctx.trouble = (
            f"pd does not answer: {handle.error.message}" if handle.error is not None else "pd has not answered yet"
        )
        return wait(ctx.trouble)  # its handle tells when PD answers
    said = handle.snapshot.cluster_id if handle.snapshot is not None else ""
    expected = ctx.cluster.status.id if ctx.cluster.status is not None else ""
    if said and expected and said != expected:
        ctx.lost, ctx.trouble = True, f"pd answers for cluster {said}, not for {expected}"
        return wait(ctx.trouble)
    ctx.handle = handle
    ctx.member = ctx.own_member(ctx.snapshot.members)
    if ctx.member is None:
        return complete("not a member")
    ctx.healthy = bool(ctx.member.name) and ctx.member.id in ctx.snapshot.healthy
    if not ctx.healthy:
        handle.hurry(members=True)
        return wait(f"member {ctx.member.id} is not healthy")
    return complete(f"member {ctx.member.id} {'leads' if ctx.leads else 'is healthy'}")
