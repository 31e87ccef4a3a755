"""The task that keeps the last PD of a cluster while others need it."""

from __future__ import annotations

from controller_runtime.task import Result, task, wait
from tikv_operator.api import PDGroup
from tikv_operator.group.summary import listed
from tikv_operator.pdgroup.tasks.state import PDGroupContext

__all__ = ["needed"]


@task("StillNeeded")
async def needed(ctx: PDGroupContext) -> Result:
    """Say that the deletion waits for the groups that can't live without PD: their data would be lost with it."""
    names = [f"{group.kind}/{group.metadata.name}" for group in ctx.groups if not isinstance(group, PDGroup)]
    ctx.waiting_for = f"deletion waits: {listed(names)} cannot do without PD; delete them first, or the Cluster"
    return wait(ctx.waiting_for)
