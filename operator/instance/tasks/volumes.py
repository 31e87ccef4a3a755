"""What every instance does about volumes that are changed through the API of their cloud.

Nothing that a cloud says, or doesn't, stops the rest of a run: it is a problem that the condition Synced tells. What is written
down before the cloud is asked leads on after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller_runtime.api import ObjectKey, format_time
from controller_runtime.api.k8s import PersistentVolume, PersistentVolumeClaim, StorageClass
from controller_runtime.client import Forbidden, merge_patch
from tikv_operator.instance.tasks.state import BEING_MODIFIED, AnyInstance
from tikv_operator.volume.modification import (
    Asked,
    Phase,
    asked,
    class_of,
    contradiction,
    done_annotations,
    free_again,
    has_capacity,
    phase_of,
    prepared_annotations,
    request_of,
    shrinks,
    was_asked,
)
from tikv_operator.volume.modifier import CloudError, ModificationPending, ModificationRefused, VolumeModifier

__all__ = ["Progress", "modify_volume"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is left to do about a claim.

    Attributes:
        waiting: what is waited for; empty if nothing is.
        again: seconds until that is worth another look; None if an event tells.
    """

    waiting: str
    again: float | None = None


_FINISHED: Final = Progress("")


@dataclass(frozen=True, slots=True)
class _Subject:
    """A claim that is to be changed, with what belongs to it."""

    change: Asked
    claim: PersistentVolumeClaim
    volume: PersistentVolume
    target: StorageClass
    modifier: VolumeModifier


async def modify_volume(
    ctx: AnyInstance, wanted: PersistentVolumeClaim, current: PersistentVolumeClaim
) -> Progress | None:
    """Go on with the modification of a bound volume.

    Args:
        wanted, current: the claim as it should be and as it is.

    Returns:
        How far it is; None if the volume isn't modified this way, so that the claim itself is to be applied.
    """
    change = asked(wanted, current)
    if not ctx.volume_modifiers or not was_asked(change) or shrinks(change, current) or not change.current_class:
        return None
    try:
        subject = await _look_up(ctx, change, current)
    except Forbidden:
        message = (
            f"volume claim {current.metadata.name} cannot be changed: no permission to read its volume and classes"
        )
        return _held(ctx, "VolumesNotReadable", message)
    if not isinstance(subject, _Subject):
        return subject
    match phase_of(change, current, wait=subject.modifier.wait, now=ctx.now):
        case Phase.PREPARING:
            return await _modify(ctx, await _prepare(ctx, subject))
        case Phase.MODIFYING:
            return await _modify(ctx, subject)
        case Phase.PENDING:
            free = free_again(current, subject.modifier.wait)
            message = f"volume claim {current.metadata.name} can be changed again at {format_time(free)}"
            return _held(ctx, ModificationPending.reason, message, again=free - ctx.now)
        case _:
            return None


async def _look_up(ctx: AnyInstance, change: Asked, current: PersistentVolumeClaim) -> _Subject | Progress | None:
    """Find what belongs to a claim; or why it isn't changed, as `modify_volume` returns it.

    These kinds are read one by one, as seldom as volumes are changed: nothing of them is kept in memory.
    """
    name = current.metadata.name
    classes: dict[str, StorageClass] = {}
    for wanted in (class_of(current) or change.current_class, change.current_class, change.target_class):
        found = classes.get(wanted) or await ctx.client.live.find(StorageClass, ObjectKey("", wanted))
        if found is None:
            ctx.problem("StorageClassNotFound", f"volume claim {name} cannot be changed: no storage class {wanted!r}")
            return None
        classes[wanted] = found
    source, target = classes[change.current_class], classes[change.target_class]
    modifier = ctx.volume_modifiers.get(source.provisioner)
    if modifier is None or target.provisioner != source.provisioner:
        return None
    volume_name = (current.spec.volume_name if current.spec is not None else None) or ""
    volume = await ctx.client.live.find(PersistentVolume, ObjectKey("", volume_name))
    if volume is None:
        return _held(ctx, "VolumeNotFound", f"volume claim {name} cannot be changed: no volume {volume_name!r}")
    own = classes[class_of(current) or change.current_class]
    if doubt := contradiction(change, current, volume, own, modifier.provisioner):
        return _held(ctx, ModificationRefused.reason, f"volume claim {name} cannot be changed: {doubt}")
    if refusal := modifier.refusal(volume, change.size, target):
        ctx.problem(ModificationRefused.reason, f"volume claim {name} cannot be changed: {refusal}")
        return None
    return _Subject(change, current, volume, target, modifier)


async def _prepare(ctx: AnyInstance, subject: _Subject) -> _Subject:
    """Write down what is asked for, before anybody is asked."""
    change = subject.change
    claim = await _annotate(ctx, subject.claim, prepared_annotations(change, subject.claim, now=ctx.now))
    wish = f"{change.size} of storage class {change.target_class}"
    ctx.events.normal(ctx.instance, "ModifyingVolume", f"volume claim {claim.metadata.name} is to have {wish}")
    return _Subject(change, claim, subject.volume, subject.target, subject.modifier)


async def _modify(ctx: AnyInstance, subject: _Subject) -> Progress:
    """Bring the cloud to do it, then the file system; say when it is done."""
    change, claim = subject.change, subject.claim
    name = claim.metadata.name
    try:
        waiting = await subject.modifier.modify(subject.volume, change.size, subject.target)
    except CloudError as error:
        return _held(ctx, error.reason, f"volume claim {name}: {error}")
    if waiting:
        return _held(ctx, BEING_MODIFIED, f"volume claim {name}: {waiting}", again=ctx.settings.requeue)
    if not has_capacity(claim, change.size):
        if request_of(claim) != change.size:
            changes = {"spec": {"resources": {"requests": {"storage": change.size}}}}
            await ctx.client.patch(PersistentVolumeClaim, claim.key, merge_patch(changes))
        message = f"volume claim {name} waits for its file system to be resized"
        ctx.problem(BEING_MODIFIED, message)
        return Progress(message)
    await _annotate(ctx, claim, done_annotations(claim.metadata.annotations))
    ctx.events.normal(
        ctx.instance, "VolumeModified", f"volume claim {name} has {change.size} of storage class {change.target_class}"
    )
    return _FINISHED


def _held(ctx: AnyInstance, reason: str, message: str, *, again: float | None = None) -> Progress:
    """Leave a claim as it is for now, and say why."""
    ctx.problem(reason, message)
    return Progress(message, ctx.settings.cloud_retry if again is None else again)


async def _annotate(
    ctx: AnyInstance, claim: PersistentVolumeClaim, annotations: dict[str, str]
) -> PersistentVolumeClaim:
    metadata = {"resourceVersion": claim.metadata.resource_version, "annotations": annotations}
    return await ctx.client.patch(PersistentVolumeClaim, claim.key, merge_patch({"metadata": metadata}))
