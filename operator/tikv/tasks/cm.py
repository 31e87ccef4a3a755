"""The task that writes a TiKV's configuration."""

from __future__ import annotations

from controller_runtime.task import Result, complete, task
from tikv_operator.tikv.configmap import render_config_map
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["config_map"]


@task("ConfigMap")
async def config_map(ctx: TiKVContext) -> Result:
    """Apply the config map. A configuration that cannot be used fails here: the running pod keeps its old one."""
    await ctx.client.apply(render_config_map(ctx.tikv, ctx.cluster))
    return complete("config map is synced")
