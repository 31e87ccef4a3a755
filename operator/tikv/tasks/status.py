"""Tasks that write a TiKV's status. A status that says nothing new is not written."""

from __future__ import annotations

from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.common.instances import is_ready
from tikv_operator.common.pods import ready_since
from tikv_operator.instance.tasks.status import STARTING_FOR, fill_revisions, sooner, update
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["sync", "update"]


@task("Status")
async def sync(ctx: TiKVContext) -> Result:
    """Write everything this run has found out, and say when to look again."""
    ready = is_ready(ctx.tikv)
    _fill(ctx, ready)
    left = await ctx.report()
    return sooner(_next(ctx, ready), left)


def _fill(ctx: TiKVContext, ready: bool) -> None:
    """Complete the status. What isn't known any more (a store's id, its state) keeps its last value."""
    status = ctx.status
    if ctx.store is not None:
        status.id = ctx.store.id or status.id
        status.state = ctx.store_state or status.state
    fill_revisions(ctx, ready=ready)


def _next(ctx: TiKVContext, ready: bool) -> Result:
    since = ready_since(ctx.pod)
    if not ready and since is not None and ctx.pd is not None and not ctx.pod_terminating:
        if ctx.now - since < STARTING_FOR:
            ctx.pd.hurry()
            return retry(min(ctx.health.recheck or ctx.settings.requeue, ctx.settings.requeue), "tikv is starting")
        if ctx.health.recheck is not None:
            return retry(ctx.health.recheck, "pod is ready, tikv is not yet healthy")
    if ctx.pod_terminating:
        return retry(ctx.settings.requeue, "pod is terminating")
    if not ready or not ctx.status.id:
        return wait("tikv is not ready")
    return complete("status is synced")
