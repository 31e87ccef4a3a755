"""The task that makes the services of a PD group."""

from __future__ import annotations

from controller_runtime.task import Result, complete, task
from tikv_operator.api import Feature
from tikv_operator.common.features import enabled_features
from tikv_operator.group.build import headless_service
from tikv_operator.pdgroup.component import PD_GROUP, client_service
from tikv_operator.pdgroup.tasks.state import PDGroupContext

__all__ = ["services"]


@task("Service")
async def services(ctx: PDGroupContext) -> Result:
    """Apply the service that gives the servers their DNS names, and the one for clients unless the whole cluster has one."""
    wanted = [headless_service(PD_GROUP, ctx.group)]
    if ctx.cluster is None or Feature.MULTI_PD_GROUP not in enabled_features(ctx.group, ctx.cluster):
        wanted.append(client_service(ctx.group))
    for service in wanted:
        await ctx.client.apply(service)
    return complete(f"services {', '.join(service.metadata.name for service in wanted)}")
