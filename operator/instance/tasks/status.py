"""What every instance writes into its status. A status that says nothing new is not written."""

from __future__ import annotations

from typing import Final

from controller_runtime.task import Result, complete, retry, task
from tikv_operator.common.keys import LABEL_INSTANCE_REVISION
from tikv_operator.instance.tasks.state import AnyInstance

__all__ = ["STARTING_FOR", "fill_revisions", "sooner", "update"]

STARTING_FOR: Final = 300.0
"""Seconds after its pod became ready in which an instance counts as starting, so that PD is asked often about it. One that is not
healthy by then has another trouble than a slow PD."""


@task("UpdateStatus")
async def update(ctx: AnyInstance) -> Result:
    """Write the conditions alone, while the instance goes or is suspended."""
    ctx.status.observed_generation = ctx.generation
    left = await ctx.report()
    return retry(left, "status is written together with what comes next") if left else complete("status is written")


def sooner(result: Result, left: float) -> Result:
    """Return what a task says if it has also kept back a status for `left` seconds: another look, not later than that."""
    if not left:
        return result
    return retry(min(left, result.after or left), result.message)


def fill_revisions(ctx: AnyInstance, *, ready: bool) -> None:
    """Say which generation and which revisions this run has seen. What isn't known any more keeps its last value."""
    status = ctx.status
    status.observed_generation = ctx.generation
    status.update_revision = ctx.instance.metadata.labels.get(LABEL_INSTANCE_REVISION) or status.update_revision
    if ready and ctx.pod is not None:
        status.current_revision = ctx.pod.metadata.labels.get(LABEL_INSTANCE_REVISION) or status.current_revision
