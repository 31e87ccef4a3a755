"""The task that makes the services of the Cluster as a whole."""

from __future__ import annotations

from controller_runtime.task import Result, complete, task
from tikv_operator.api import Feature
from tikv_operator.cluster.build import pd_service, subdomain_service
from tikv_operator.cluster.tasks.state import ClusterContext, has_feature

__all__ = ["services"]


@task("Service")
async def services(ctx: ClusterContext) -> Result:
    """Apply the services that the Cluster's features ask for."""
    wanted = []
    if has_feature(ctx, Feature.CLUSTER_SUBDOMAIN):
        wanted.append(subdomain_service(ctx.cluster))
    if has_feature(ctx, Feature.MULTI_PD_GROUP):
        wanted.append(pd_service(ctx.cluster))
    for service in wanted:
        await ctx.client.apply(service)
    return complete(", ".join(service.metadata.name for service in wanted) or "no feature asks for a service")
