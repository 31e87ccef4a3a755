"""The task that makes the group's headless service."""

from __future__ import annotations

from controller_runtime.task import Result, complete, task
from tikv_operator.group.build import headless_service
from tikv_operator.group.tasks.state import AnyGroup

__all__ = ["service"]


@task("Service")
async def service(ctx: AnyGroup) -> Result:
    """Apply the service that gives the instances their DNS names."""
    applied = await ctx.client.apply(headless_service(ctx.component, ctx.group))
    return complete(f"service {applied.metadata.name}")
