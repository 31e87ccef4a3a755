"""The task that notes the birth of the cluster: before it, the servers of the group found it together; after it, servers join.

The flag is `spec.bootstrapped`, and the servers that found the cluster carry an annotation until all of them have started: one
that hasn't could neither found the cluster, which exists, nor join it, being a member already.
"""

from __future__ import annotations

from controller_runtime.client import merge_patch
from controller_runtime.task import Result, complete, task, wait
from tikv_operator.api import PD, PDGroup
from tikv_operator.common.instances import is_ready
from tikv_operator.common.keys import ANNOTATION_INITIAL_CLUSTER_NUM
from tikv_operator.pd.config import bootstraps
from tikv_operator.pdgroup.tasks.state import PDGroupContext

__all__ = ["boot"]


@task("Boot")
async def boot(ctx: PDGroupContext) -> Result:
    """Set `bootstrapped` once PD answers, then let the founders forget that they are.

    A cluster that has an id was born, whether its PD answers now or not: nobody founds it a second time.
    """
    if not ctx.group.spec.bootstrapped:
        if ctx.handle is None and not _has_been_seen(ctx):
            return wait(_unborn(ctx))
        patch = {
            "metadata": {"resourceVersion": ctx.group.metadata.resource_version},
            "spec": {"bootstrapped": True},
        }
        status = ctx.group.status
        ctx.found = await ctx.client.patch(PDGroup, ctx.key, merge_patch(patch))
        ctx.found.status = status
        ctx.events.normal(ctx.group, "Bootstrapped", "PD answers: servers that are added from now on join it")
    elif ctx.handle is None and not _has_been_seen(ctx) and not any(map(is_ready, ctx.pds_of_cluster)):
        where = (ctx.cluster.status.pd if ctx.cluster is not None and ctx.cluster.status is not None else None) or ""
        ctx.waiting_for = (
            f"bootstrapped is set, so that servers join the PD at {where}, and there none answers; a new cluster is founded by "
            "a group without it"
        )
    unready = [pd.metadata.name for pd in ctx.instances if bootstraps(pd) and not is_ready(pd)]
    if unready:
        return wait(f"wait until pds {', '.join(unready)} are ready")
    for pd in ctx.instances:
        if bootstraps(pd):
            await _forget(ctx, pd)
    return complete("bootstrapped")


async def _forget(ctx: PDGroupContext, pd: PD) -> None:
    patch = {
        "metadata": {
            "resourceVersion": pd.metadata.resource_version,
            "annotations": {ANNOTATION_INITIAL_CLUSTER_NUM: None},
        }
    }
    changed = await ctx.client.patch(PD, pd.key, merge_patch(patch))
    pd.metadata.resource_version = changed.metadata.resource_version
    pd.metadata.annotations.pop(ANNOTATION_INITIAL_CLUSTER_NUM, None)


def _unborn(ctx: PDGroupContext) -> str:
    """Say what the birth waits for, and note what keeps it from happening."""
    if elder := _elder(ctx):
        ctx.held = f"PDGroup {elder} founds the cluster; this one joins when that is done"
        ctx.waiting_for = ctx.held
        return ctx.held
    if not ctx.group.spec.replicas:
        ctx.waiting_for = "a group without replicas founds no cluster, and cannot be scaled before; create it anew"
    return "wait until pd answers"


def _elder(ctx: PDGroupContext) -> str:
    """Return the group that founds the cluster if it isn't this one: two would found two clusters."""
    able = [
        group
        for group in ctx.pd_groups
        if group.metadata.deletion_timestamp is None and not group.spec.bootstrapped and group.spec.replicas
    ]
    first = min(
        able, key=lambda group: (group.metadata.creation_timestamp or "", group.metadata.name), default=ctx.group
    )
    return "" if first.key == ctx.key else first.metadata.name


def _has_been_seen(ctx: PDGroupContext) -> bool:
    return ctx.cluster is not None and ctx.cluster.status is not None and bool(ctx.cluster.status.id)
