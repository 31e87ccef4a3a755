"""The task that says which volume claims of a TiKV wait for something that doesn't come by itself, most often a class."""

from __future__ import annotations

from typing import Final

from controller_runtime.api import ObjectKey, parse_time
from controller_runtime.api.k8s import PersistentVolumeClaim
from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.common import names
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["claim_trouble", "held_up"]

_LONG: Final = 60.0
"""Seconds that a new claim may take to get its volume before that is called a trouble."""


@task("ClaimTrouble")
async def claim_trouble(ctx: TiKVContext) -> Result:
    """Tell of claims without a volume, or without the class that they want. Nothing else waits for them here."""
    told: list[str] = []
    later: list[float] = []
    for volume in ctx.tikv.spec.volumes:
        name = names.volume_claim_name(volume.name, ctx.key.name, names.TIKV_COMPONENT)
        claim = await ctx.client.find(PersistentVolumeClaim, ObjectKey(ctx.key.namespace, name))
        trouble = None if claim is None else held_up(claim)
        if claim is None or trouble is None:
            continue
        left = _left(ctx, claim)
        if left > 0:
            later.append(left)
            continue
        ctx.problem(*trouble)
        told.append(trouble[1])
    if later:
        return retry(min(later), "; ".join([*told, "volume claims are new"]))
    return wait("; ".join(told)) if told else complete("no volume claim waits")


def held_up(claim: PersistentVolumeClaim) -> tuple[str, str] | None:
    """Return why a claim has no volume, or not the one that it wants, as a reason and a sentence; None if it has it. Pure.

    A change is `Pending` in Kubernetes while the class that is wanted doesn't exist, and `Infeasible` where the driver refuses.
    """
    name, status = claim.metadata.name, claim.status
    if status is None or status.phase != "Bound":
        named = claim.spec.storage_class_name if claim.spec is not None else None
        wanted = f"storage class {named}" if named else "the default storage class"
        return "VolumeNotBound", f"volume claim {name} waits for a volume of {wanted}"
    change = status.modify_volume_status
    if change is None or change.status not in ("Pending", "Infeasible"):
        return None
    how = "cannot have" if change.status == "Infeasible" else "waits for"
    wanted = f"volume attributes class {change.target_volume_attributes_class_name or ''}"
    return "VolumeNotModified", f"volume claim {name} {how} {wanted}"


def _left(ctx: TiKVContext, claim: PersistentVolumeClaim) -> float:
    created = claim.metadata.creation_timestamp
    return parse_time(created) + _LONG - ctx.now if created else _LONG
