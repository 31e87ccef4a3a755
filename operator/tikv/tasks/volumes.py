"""The part of the PVC task that changes volumes through the API of their cloud, where there is a modifier for their driver."""

from __future__ import annotations

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import PersistentVolume, PersistentVolumeClaim, StorageClass
from controller_runtime.client import merge_patch
from tikv_operator.tikv.tasks.state import TiKVContext
from tikv_operator.tikv.volumemodification import (
    Asked,
    Phase,
    VolumeModifier,
    asked,
    done_annotations,
    has_capacity,
    phase_of,
    prepared_annotations,
    was_asked,
)

__all__ = ["modify_volume"]


async def modify_volume(ctx: TiKVContext, wanted: PersistentVolumeClaim, current: PersistentVolumeClaim) -> str | None:
    """Go on with the modification of a bound volume.

    Returns:
        What is waited for, or an empty text if it is finished; None if the volume isn't modified this way (now).
    """
    change = asked(wanted, current)
    if not ctx.volume_modifiers or not was_asked(change):
        return None
    source = await ctx.client.live.find(StorageClass, ObjectKey("", change.current_class))
    target = await ctx.client.live.find(StorageClass, ObjectKey("", change.target_class))
    name = current.metadata.name
    if source is None or target is None:
        missing = change.current_class if source is None else change.target_class
        ctx.problem("StorageClassNotFound", f"volume claim {name} cannot be changed: no storage class {missing!r}")
        return None
    modifier = ctx.volume_modifiers.get(source.provisioner)
    volume_name = (current.spec.volume_name if current.spec is not None else None) or ""
    volume = await ctx.client.live.find(PersistentVolume, ObjectKey("", volume_name))
    if modifier is None or volume is None:
        return None
    match phase_of(change, current, target, volume, modifier, now=ctx.now):
        case Phase.PREPARING:
            prepared = prepared_annotations(change, current, now=ctx.now)
            return await _modify(ctx, change, await _annotate(ctx, current, prepared), volume, target, modifier)
        case Phase.MODIFYING:
            return await _modify(ctx, change, current, volume, target, modifier)
        case Phase.PENDING:
            return f"volume claim {name} was changed less than {modifier.wait:g}s ago"
        case _:
            return None


async def _modify(
    ctx: TiKVContext,
    change: Asked,
    claim: PersistentVolumeClaim,
    volume: PersistentVolume,
    target: StorageClass,
    modifier: VolumeModifier,
) -> str:
    name = claim.metadata.name
    if not await modifier.modify(volume, change.size, target):
        return f"volume {volume.metadata.name} of claim {name} is being modified"
    if not has_capacity(claim, change.size):
        changes = {"spec": {"resources": {"requests": {"storage": change.size}}}}
        await ctx.client.patch(PersistentVolumeClaim, claim.key, merge_patch(changes))
        return f"volume claim {name} waits for its file system to be resized"
    await _annotate(ctx, claim, done_annotations(claim.metadata.annotations))
    return ""


async def _annotate(
    ctx: TiKVContext, claim: PersistentVolumeClaim, annotations: dict[str, str]
) -> PersistentVolumeClaim:
    metadata = {"resourceVersion": claim.metadata.resource_version, "annotations": annotations}
    return await ctx.client.patch(PersistentVolumeClaim, claim.key, merge_patch({"metadata": metadata}))
