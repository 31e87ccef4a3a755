"""The task that creates and changes a TiKV's volume claims."""

from __future__ import annotations

from functools import partial

from controller_runtime.task import Result, retry, task
from tikv_operator.instance.tasks.pvc import apply_claims, claims_result
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.tasks.state import TiKVContext
from tikv_operator.tikv.tasks.volumes import modify_volume

__all__ = ["volume_claims"]


@task("PVC")
async def volume_claims(ctx: TiKVContext) -> Result:
    """Apply the volume claims; a volume that its cloud changes is changed there."""
    waiting = await apply_claims(ctx, render_claims(ctx.tikv, ctx.cluster), partial(modify_volume, ctx))
    if waiting and ctx.volume_modifiers:
        return retry(ctx.settings.requeue, ", ".join(waiting))  # no event tells how far a cloud is
    return claims_result(waiting)
