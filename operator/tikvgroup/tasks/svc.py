"""The task that makes the group's headless service."""

from __future__ import annotations

from controller_runtime.task import Result, complete, task
from tikv_operator.tikvgroup.build import headless_service
from tikv_operator.tikvgroup.tasks.state import GroupContext

__all__ = ["service"]


@task("Service")
async def service(ctx: GroupContext) -> Result:
    """Apply the service that gives the instances their DNS names."""
    applied = await ctx.client.apply(headless_service(ctx.group))
    return complete(f"service {applied.metadata.name}")
