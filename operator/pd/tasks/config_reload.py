"""How a change of PD's configuration reaches the running cluster without a restart, where PD can take it.

The pod remembers in its recorded template which configuration has been dealt with: when it is changed in place, that one is
told to PD first. All servers of a group tell PD the same, so it does not matter which is the first, or whether one repeats it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from controller_runtime.api.k8s import Pod
from tikv_operator.api import PDTemplateSpec
from tikv_operator.instance.tasks.pod import is_reloadable
from tikv_operator.instance.template import recorded_template
from tikv_operator.pd.online import ConfigChange, change_of
from tikv_operator.pd.tasks.state import PDContext
from tikv_operator.pdclient import PDError

__all__ = ["only_online", "reload_config"]


def _change(ctx: PDContext, current: Pod) -> ConfigChange | None:
    last = recorded_template(PDTemplateSpec, current)
    if last is None or (last.spec.config or "") == (ctx.instance.spec.config or ""):
        return None
    return change_of(last.spec.config or "", ctx.instance.spec.config or "")


async def only_online(ctx: PDContext, current: Pod) -> bool:
    """Return whether nothing differs but configuration that PD keeps itself: a restart would change nothing."""
    change = _change(ctx, current)
    if change is None or change.restarts or ctx.handle is None:
        return False
    last = recorded_template(PDTemplateSpec, current)
    with_old_config: Any = msgspec.structs.replace(
        ctx.instance, spec=msgspec.structs.replace(ctx.instance.spec, config=last.spec.config if last else None)
    )
    own, ctx.found = ctx.instance, with_old_config
    try:
        return await is_reloadable(ctx, current)
    finally:
        ctx.found = own


async def reload_config(ctx: PDContext, current: Pod) -> None:
    """Tell PD of the items that it keeps, and note what only a restart changes.

    Raises:
        PDError: PD could not be asked: the configuration counts as not dealt with.
    """
    change = _change(ctx, current)
    ctx.pending = ctx.pending or ""
    if change is None:
        return
    if change.online:
        if ctx.handle is None:
            msg = f"configuration items have to be told to pd, but {ctx.trouble}"
            raise PDError(msg)
        try:
            await ctx.handle.client.set_config(change.online)
        except PDError as error:
            if error.retryable:
                raise
            ctx.problem("ConfigRefused", f"pd refuses configuration items: {error.message}")
        else:
            ctx.tell("ConfigReloaded", f"pd was told of {', '.join(change.online)}")
    notes = []
    if change.removed:
        notes.append(f"pd keeps the values of {', '.join(change.removed)}, which the configuration sets no longer")
    if change.restarts:
        notes.append("the rest of the configuration is read when pd starts")
    ctx.pending = "; ".join(notes)
