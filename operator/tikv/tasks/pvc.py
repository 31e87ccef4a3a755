"""The task that creates and changes a TiKV's volume claims."""

from __future__ import annotations

from controller_runtime.api.k8s import PersistentVolumeClaim
from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.api import Feature
from tikv_operator.instance.pvc import is_bound, plan_claim
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.tasks.state import TiKVContext
from tikv_operator.tikv.tasks.volumes import modify_volume

__all__ = ["volume_claims"]


@task("PVC")
async def volume_claims(ctx: TiKVContext) -> Result:
    """Apply the volume claims.

    What a volume cannot do (shrink) is said in a condition, and stops nothing. Claims are watched, so waiting costs nothing.
    """
    with_class = Feature.VOLUME_ATTRIBUTES_CLASS in ctx.features
    waiting: list[str] = []
    for wanted in render_claims(ctx.tikv, ctx.cluster):
        current = await ctx.client.find(PersistentVolumeClaim, wanted.key)
        if not with_class and current is not None and is_bound(current):
            modification = await modify_volume(ctx, wanted, current)
            if modification is not None:
                waiting += [modification] if modification else []
                continue
        plan = plan_claim(wanted, current, bound_only=not with_class)
        if plan.refused:
            ctx.problem("VolumeShrinkRefused", plan.refused)
        if plan.waiting:
            waiting.append(plan.waiting)
        if plan.claim is not None:
            applied = await ctx.client.apply(plan.claim)
            waiting += _in_progress(applied)
    if waiting and ctx.volume_modifiers:
        return retry(ctx.settings.requeue, ", ".join(waiting))  # no event tells how far a cloud is
    return wait(", ".join(waiting)) if waiting else complete("volume claims are synced")


def _in_progress(claim: PersistentVolumeClaim) -> list[str]:
    """Return what the volume's driver says it is doing."""
    conditions = (claim.status.conditions if claim.status is not None else None) or []
    return [f"{condition.type}: {condition.message or ''}" for condition in conditions if condition.status == "True"]
