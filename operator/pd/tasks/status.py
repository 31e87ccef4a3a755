"""Tasks that write a PD's status. A status that says nothing new is not written."""

from __future__ import annotations

from typing import Final

from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.common.conditions import find_condition
from tikv_operator.common.instances import is_ready
from tikv_operator.common.pods import ready_since
from tikv_operator.instance.tasks.status import STARTING_FOR, fill_revisions, sooner, update
from tikv_operator.pd.tasks.state import PDContext

__all__ = ["INITIALIZED", "initialized", "sync", "update"]

INITIALIZED: Final = "Initialized"


@task("CondInitialized")
async def initialized(ctx: PDContext) -> Result:
    """Say whether PD has answered since this instance was made."""
    if ctx.handle is not None:
        ctx.observe(INITIALIZED, True, "Initialized", "instance is initialized")
        return complete("initialized")
    known = find_condition(ctx.status.conditions, INITIALIZED)
    if known is None or known.status == "False":
        ctx.observe(INITIALIZED, False, "Uninitialized", "instance has not been initialized yet")
        return wait("not initialized yet")
    ctx.observe(INITIALIZED, "Unknown", "Unavailable", "pd is unavailable")
    return wait("pd is unavailable")


@task("Status")
async def sync(ctx: PDContext) -> Result:
    """Write everything this run has found out, and say when to look again."""
    ready = is_ready(ctx.instance)
    status = ctx.status
    if ctx.member is not None:
        status.id = ctx.member.id
    if ctx.leads is not None:
        status.is_leader = ctx.leads  # unknown leadership leaves what was known last
    fill_revisions(ctx, ready=ready)
    left = await ctx.report()
    return sooner(_next(ctx, ready), left)


def _next(ctx: PDContext, ready: bool) -> Result:
    since = ready_since(ctx.pod)
    handle = ctx.pds.get(ctx.cluster.key)
    starting = since is not None and ctx.now - since < STARTING_FOR
    if not ready and starting and not ctx.pod_terminating and handle is not None:
        handle.hurry(members=True)
        return retry(ctx.settings.requeue, "pd is starting")
    if ctx.pod_terminating:
        return retry(ctx.settings.requeue, "pod is terminating")
    if not ready or ctx.handle is None:
        return wait("pd is not ready")
    return complete("status is synced")
