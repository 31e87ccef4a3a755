"""The part of the Pod task that brings a changed configuration into a running TiKV (update strategy HotReload).

Nothing waits for it: what TiKV doesn't take, or can't be told, is remembered at the pod and said in a condition.
"""

from __future__ import annotations

from typing import Any

from controller_runtime.api.k8s import Pod
from tikv_operator.common import names
from tikv_operator.common.keys import ANNOTATION_UNRELOADED_CONFIG
from tikv_operator.common.pods import not_running_detail, started_at
from tikv_operator.pdclient import PDUnreachable
from tikv_operator.tikv import paths
from tikv_operator.tikv.onlineconfig import Unreloaded, changed_items, flat_items, read_unreloaded, sendable
from tikv_operator.tikv.tasks.state import TiKVContext
from tikv_operator.tikv.template import recorded_template

__all__ = ["reload_config"]


async def reload_config(ctx: TiKVContext, current: Pod) -> Unreloaded:
    """Tell TiKV of every changed item of its configuration; return what its process doesn't use yet.

    A process that doesn't run reads the new file when it starts.

    Raises:
        ConfigInvalid: the configuration isn't TOML.
    """
    text = current.metadata.annotations.get(ANNOTATION_UNRELOADED_CONFIG, "")
    recorded = recorded_template(current)
    if recorded is None or not_running_detail(current, paths.CONTAINER):
        return Unreloaded()
    before, after = recorded.spec.config or "", ctx.tikv.spec.config or ""
    if before == after and not text:
        return Unreloaded()
    known = read_unreloaded(text, started_at(current, paths.CONTAINER) or 0.0)
    return await _tell(ctx, flat_items(before), flat_items(after), known)


async def _tell(ctx: TiKVContext, before: dict[str, Any], after: dict[str, Any], known: Unreloaded) -> Unreloaded:
    changed = changed_items(before, after, known)
    refused = {name: value for name, value in known.refused.items() if after.get(name) != value and name not in changed}
    unasked: dict[str, Any] = {}
    trouble, done = "", []
    for name, running in changed.items():
        if not sendable(after.get(name)):
            refused[name] = running
            continue
        if not trouble:
            try:
                why = await _change(ctx, name, after[name])
            except PDUnreachable as error:
                trouble = error.message
        if trouble:
            unasked[name] = running
        elif why:
            refused[name] = running
            ctx.events.warning(ctx.tikv, "ConfigItemRefused", f"{name} can't be changed while tikv runs: {why}")
        else:
            done.append(name)
    if done:
        ctx.events.normal(ctx.tikv, "ConfigReloaded", f"changed in the running tikv: {', '.join(done)}")
    if trouble:
        ctx.problem("ConfigNotReloaded", f"tikv cannot be told of {', '.join(unasked)}: {trouble}")
    return Unreloaded(known.process, refused, unasked)


async def _change(ctx: TiKVContext, name: str, value: str | float | bool) -> str:
    pd = ctx.pds.get(ctx.cluster.key)  # its connections are needed, not its word: it need not answer
    if pd is None:
        raise PDUnreachable(ctx.pd_trouble, endpoint="tikv_config", sent=False)
    scheme = "https" if names.tls_enabled(ctx.cluster) else "http"
    url = f"{scheme}://{names.tikv_status_address(ctx.tikv, ctx.cluster)}"
    return await pd.client.tikv.change_config(url, name, value)
