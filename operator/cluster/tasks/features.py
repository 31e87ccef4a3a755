"""The task that copies the Cluster's features to its groups."""

from __future__ import annotations

from controller_runtime.client import NotFound, merge_patch
from controller_runtime.task import Result, complete, task
from tikv_operator.cluster.tasks.state import ClusterContext

__all__ = ["copy"]


@task("FeatureGates")
async def copy(ctx: ClusterContext) -> Result:
    """Give every group the Cluster's features, in the Cluster's order. A group without a list has none: that is equal."""
    wanted = [gate.name for gate in ctx.cluster.spec.feature_gates or ()]
    changed = []
    for group in ctx.groups:
        if (group.spec.features or []) == wanted or group.metadata.deletion_timestamp is not None:
            continue
        patch = merge_patch(
            {"metadata": {"resourceVersion": group.metadata.resource_version}, "spec": {"features": wanted}}
        )
        try:
            await ctx.client.patch(type(group), group.key, patch)
        except NotFound:
            continue  # gone since it was read
        changed.append(f"{group.kind}/{group.metadata.name}")
    return complete(f"copied features to {', '.join(changed)}" if changed else "all groups have the features")
