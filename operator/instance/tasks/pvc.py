"""What every instance does about its volume claims."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from controller_runtime.api.k8s import PersistentVolumeClaim
from controller_runtime.client import ClientError
from controller_runtime.task import Result, complete, wait
from tikv_operator.api import Feature
from tikv_operator.instance.pvc import is_bound, plan_claim
from tikv_operator.instance.tasks.state import AnyInstance

__all__ = ["Modify", "apply_claims", "claims_result"]

Modify = Callable[[PersistentVolumeClaim, PersistentVolumeClaim], Awaitable[str | None]]
"""Changes a volume by other means than its claim, given the claim as it should be and as it is. Returns what is waited for, an
empty text when it has come to its end, or None if the claim itself is to be applied."""


async def apply_claims(
    ctx: AnyInstance, claims: Iterable[PersistentVolumeClaim], modify: Modify | None = None
) -> list[str]:
    """Apply the volume claims; return what is waited for.

    What a volume cannot do (shrink) is said in a condition, and stops nothing. Claims are watched, so waiting costs nothing.
    A claim that fails keeps no other from being applied.

    Args:
        modify: asked first about volumes that exist, where they have no attributes class.

    Raises:
        ClientError: the first claim that can't be applied.
    """
    waiting: list[str] = []
    errors: list[ClientError] = []
    for wanted in claims:
        try:
            waiting += await _apply_claim(ctx, wanted, modify)
        except ClientError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return waiting


async def _apply_claim(ctx: AnyInstance, wanted: PersistentVolumeClaim, modify: Modify | None) -> list[str]:
    with_class = Feature.VOLUME_ATTRIBUTES_CLASS in ctx.features
    current = await ctx.client.find(PersistentVolumeClaim, wanted.key)
    if modify is not None and not with_class and current is not None and is_bound(current):
        modification = await modify(wanted, current)
        if modification is not None:
            return [modification] if modification else []
    plan = plan_claim(wanted, current, bound_only=not with_class)
    if plan.refused:
        ctx.problem("VolumeShrinkRefused", plan.refused)
    waiting = [plan.waiting] if plan.waiting else []
    if plan.claim is not None:
        waiting += _in_progress(await ctx.client.apply(plan.claim))
    return waiting


def claims_result(waiting: Sequence[str]) -> Result:
    """Return what the task says."""
    return wait(", ".join(waiting)) if waiting else complete("volume claims are synced")


def _in_progress(claim: PersistentVolumeClaim) -> list[str]:
    """Return what the volume's driver says it is doing."""
    conditions = (claim.status.conditions if claim.status is not None else None) or []
    return [f"{condition.type}: {condition.message or ''}" for condition in conditions if condition.status == "True"]
