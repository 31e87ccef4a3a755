"""The task that creates and changes a TiKV's volume claims."""

from __future__ import annotations

from controller_runtime.task import Result, task
from tikv_operator.instance.tasks.pvc import apply_claims, claims_result
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["volume_claims"]


@task("PVC")
async def volume_claims(ctx: TiKVContext) -> Result:
    """Apply the volume claims; a volume that its cloud changes is changed there."""
    return claims_result(await apply_claims(ctx, render_claims(ctx.tikv, ctx.cluster)))
