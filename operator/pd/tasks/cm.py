"""The task that writes a PD server's configuration."""

from __future__ import annotations

from controller_runtime.task import Result, complete, task, wait
from tikv_operator.instance.configmap import render_config_map
from tikv_operator.pd.component import PD_SERVER
from tikv_operator.pd.config import CannotStartYet, render_config
from tikv_operator.pd.tasks.state import PDContext

__all__ = ["config_map"]


@task("ConfigMap")
async def config_map(ctx: PDContext) -> Result:
    """Apply the config map. A configuration that cannot be used fails here: the running pod keeps its old one."""
    try:
        text = render_config(ctx.instance, ctx.cluster, ctx.peers)
    except CannotStartYet as error:
        ctx.problem("CannotStartYet", str(error))
        return wait(str(error))  # the others, and the cluster, tell by events
    await ctx.client.apply(render_config_map(PD_SERVER, ctx.instance, text))
    return complete("config map is synced")
