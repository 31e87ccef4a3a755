"""What every instance does about its volume claims."""

from __future__ import annotations

from collections.abc import Iterable

from controller_runtime.api.k8s import PersistentVolumeClaim
from controller_runtime.task import Result, complete, wait
from tikv_operator.api import Feature
from tikv_operator.instance.pvc import plan_claim
from tikv_operator.instance.tasks.state import AnyInstance

__all__ = ["apply_claims"]


async def apply_claims(ctx: AnyInstance, claims: Iterable[PersistentVolumeClaim]) -> Result:
    """Apply the volume claims.

    What a volume cannot do (shrink) is said in a condition, and stops nothing. Claims are watched, so waiting costs nothing.
    """
    with_class = Feature.VOLUME_ATTRIBUTES_CLASS in ctx.features
    waiting: list[str] = []
    for wanted in claims:
        current = await ctx.client.find(PersistentVolumeClaim, wanted.key)
        plan = plan_claim(wanted, current, bound_only=not with_class)
        if plan.refused:
            ctx.problem("VolumeShrinkRefused", plan.refused)
        if plan.waiting:
            waiting.append(plan.waiting)
        if plan.claim is not None:
            waiting += _in_progress(await ctx.client.apply(plan.claim))
    return wait(", ".join(waiting)) if waiting else complete("volume claims are synced")


def _in_progress(claim: PersistentVolumeClaim) -> list[str]:
    """Return what the volume's driver says it is doing."""
    conditions = (claim.status.conditions if claim.status is not None else None) or []
    return [f"{condition.type}: {condition.message or ''}" for condition in conditions if condition.status == "True"]
