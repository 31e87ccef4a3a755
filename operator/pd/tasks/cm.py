"""The task that writes a PD server's configuration."""

from __future__ import annotations

from controller_runtime.api.k8s import ConfigMap
from controller_runtime.task import Result, complete, task, wait
from tikv_operator.instance.component import CONFIG_FILE
from tikv_operator.instance.configmap import render_config_map
from tikv_operator.pd.component import PD_SERVER
from tikv_operator.pd.config import CannotStartYet, advertised_peer_url, render_config
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
    expected = render_config_map(PD_SERVER, ctx.instance, text)
    if held := await _held_back(ctx, expected):
        ctx.problem("PeerURLChanged", held)
        return wait(held)
    await ctx.client.apply(expected)
    return complete("config map is synced")


async def _held_back(ctx: PDContext, expected: ConfigMap) -> str:
    """Say why the config map of a member has to stay as it is; empty if it may change.

    The others go on looking for a member where it was when it joined. One that crashed and came back with another address
    would be lost to them, and with several of them the quorum.
    """
    if ctx.member is None and not ctx.status.id:
        return ""
    current = await ctx.client.find(ConfigMap, expected.key)
    known = advertised_peer_url((current.data or {}).get(CONFIG_FILE, "")) if current is not None else ""
    if not known or known == ctx.peer_url:
        return ""
    return (
        f"the configuration stays as it is: the other members know this one as {known}, which a restart would not change to "
        f"{ctx.peer_url}: take the change of the peer port, of TLS or of spec.dns back, or replace the member"
    )
