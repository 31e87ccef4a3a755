"""What every instance does about its pod: whether it must be made anew, what it takes over while it runs, and its deletion."""

from __future__ import annotations

from contextlib import suppress

from controller_runtime.api import ObjectKey, parse_time
from controller_runtime.api.k8s import ControllerRevision, Pod
from controller_runtime.client import Invalid, NotFound, Preconditions, merge_patch
from controller_runtime.task import Result, complete, task, wait
from tikv_operator.common.keys import LABEL_INSTANCE_REVISION
from tikv_operator.instance.inplace import can_take_over, frozen_differences, metadata_changes
from tikv_operator.instance.tasks.state import AnyInstance
from tikv_operator.instance.template import TemplateKeys, reloadable, template_keys

__all__ = ["change_in_place", "delete", "is_reloadable", "suspend", "young_for"]


@task("PodSuspend")
async def suspend(ctx: AnyInstance) -> Result:
    """Delete the pod of a suspended cluster; its volumes stay."""
    if ctx.pod is None or ctx.pod_terminating:
        return complete("pod does not exist" if ctx.pod is None else "pod is terminating")
    await delete(ctx, ctx.pod)
    return wait("pod is deleted")


async def is_reloadable(ctx: AnyInstance, current: Pod) -> bool:
    """Decide, first with what the objects tell; only if they say no, with what the group's revisions tell."""
    if reloadable(ctx.component, ctx.instance, current):
        return True
    known = await _known_keys(ctx, current)
    return known is not None and reloadable(ctx.component, ctx.instance, current, known)


async def _known_keys(ctx: AnyInstance, current: Pod) -> TemplateKeys | None:
    """Return which of the labels and annotations come from the group's template, now and when the pod was made."""
    now = ctx.instance.metadata.labels.get(LABEL_INSTANCE_REVISION)
    then = current.metadata.labels.get(LABEL_INSTANCE_REVISION)
    if not now or not then:
        return None
    if now == then:
        return TemplateKeys()  # the same template: whatever else has changed, it wasn't that
    found = [
        await ctx.client.find(ControllerRevision, ObjectKey(ctx.key.namespace, revision)) for revision in (now, then)
    ]
    return template_keys(found)


async def change_in_place(ctx: AnyInstance, current: Pod, expected: Pod) -> str:
    """Give a running pod what it can take over; return what has to wait for its next restart, or an empty text."""
    frozen = ", ".join(frozen_differences(expected, current))
    if not frozen and not can_take_over(expected, current):
        return ""
    if not frozen:
        try:
            ctx.pod = await ctx.client.apply(expected)
        except Invalid as error:
            frozen = error.message
        else:
            return ""
    changes = metadata_changes(expected, current)
    if changes:
        ctx.pod = await ctx.client.patch(Pod, current.key, merge_patch({"metadata": changes}))
    return f"the pod would be made differently now: {frozen}"


async def delete(ctx: AnyInstance, current: Pod, *, grace_period: int | None = None) -> None:
    """Delete a pod, and remember that this run did."""
    with suppress(NotFound):  # gone is what was wanted
        await ctx.client.delete(
            Pod, current.key, grace_period=grace_period, preconditions=Preconditions(uid=current.metadata.uid)
        )
    ctx.pod_deleted = True


def young_for(ctx: AnyInstance, pod: Pod) -> float:
    """Return for how many seconds more a pod is too young to be made anew: whatever is wrong, pods don't come and go in a row."""
    created = pod.metadata.creation_timestamp
    return max(0.0, parse_time(created) + ctx.settings.requeue - ctx.now) if created else 0.0
