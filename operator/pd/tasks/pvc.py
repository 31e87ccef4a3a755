"""The task that creates and changes a PD server's volume claims."""

from __future__ import annotations

from controller_runtime.task import Result, task
from tikv_operator.instance.tasks.pvc import apply_claims, claims_result
from tikv_operator.pd.pod import render_claims
from tikv_operator.pd.tasks.state import PDContext

__all__ = ["volume_claims"]


@task("PVC")
async def volume_claims(ctx: PDContext) -> Result:
    """Apply the volume claims; a volume that its cloud changes is changed there."""
    return claims_result(await apply_claims(ctx, render_claims(ctx.instance, ctx.cluster)))
