"""What every instance does about its volume claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller_runtime.api.k8s import PersistentVolumeClaim
from controller_runtime.client import ClientError
from controller_runtime.task import Result, complete, retry, wait
from tikv_operator.api import Feature
from tikv_operator.common.ignorediff import with_live_values
from tikv_operator.instance.pvc import is_bound, plan_claim
from tikv_operator.instance.tasks.state import AnyInstance
from tikv_operator.instance.tasks.volumes import Progress, modify_volume

__all__ = ["apply_claims", "claims_result"]


async def apply_claims(ctx: AnyInstance, claims: Iterable[PersistentVolumeClaim]) -> list[Progress]:
    """Apply the volume claims; return what is waited for.

    What a volume cannot do (shrink) is said in a condition, and stops nothing. Claims are watched, so waiting costs nothing.
    A claim that fails keeps no other from being applied.

    A volume that exists and has no attributes class is changed through its cloud instead, where that is switched on.

    Raises:
        ClientError: the first claim that can't be applied.
    """
    waiting: list[Progress] = []
    errors: list[ClientError] = []
    for wanted in claims:
        try:
            waiting += await _apply_claim(ctx, wanted)
        except ClientError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return waiting


async def _apply_claim(ctx: AnyInstance, wanted: PersistentVolumeClaim) -> list[Progress]:
    with_class = Feature.VOLUME_ATTRIBUTES_CLASS in ctx.features
    current = await ctx.client.find(PersistentVolumeClaim, wanted.key)
    wanted = with_live_values(wanted, current)
    if not with_class and current is not None and is_bound(current):
        progress = await modify_volume(ctx, wanted, current)
        if progress is not None:
            return [progress] if progress.waiting else []
    plan = plan_claim(wanted, current, bound_only=not with_class)
    if plan.refused:
        ctx.problem("VolumeShrinkRefused", plan.refused)
    if plan.waiting:
        return [Progress(plan.waiting)]
    applied = current if plan.claim is None else await ctx.client.apply(plan.claim)
    return [] if applied is None else _in_progress(applied)


def claims_result(waiting: Sequence[Progress]) -> Result:
    """Return what the task says."""
    if not waiting:
        return complete("volume claims are synced")
    message = ", ".join(progress.waiting for progress in waiting)
    delays = [progress.again for progress in waiting if progress.again is not None]
    return retry(min(delays), message) if delays else wait(message)


def _in_progress(claim: PersistentVolumeClaim) -> list[Progress]:
    """Return what the volume's driver says it is doing."""
    conditions = (claim.status.conditions if claim.status is not None else None) or []
    told = (f"{condition.type}: {condition.message or ''}" for condition in conditions if condition.status == "True")
    return [Progress(text) for text in told]
