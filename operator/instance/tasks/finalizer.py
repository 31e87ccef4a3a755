"""Tasks that keep an instance until what belongs to it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from controller_runtime.api import Object, selector
from controller_runtime.api.k8s import ConfigMap, PersistentVolumeClaim, Pod
from controller_runtime.client import NotFound, Preconditions, add_finalizer, remove_finalizer
from controller_runtime.task import Result, complete, retry, task
from tikv_operator.common import keys
from tikv_operator.instance.tasks.state import AnyInstance

__all__ = ["add", "delete_owned", "let_go", "remove"]


@task("FinalizerAdd")
async def add(ctx: AnyInstance) -> Result:
    """Make sure that the instance cannot vanish before it has left its cluster."""
    if ctx.deleting or not add_finalizer(ctx.instance, keys.FINALIZER):
        return complete("finalizer is there")
    ctx.found = await ctx.client.update(ctx.instance)
    return complete("finalizer is added")


@task("FinalizerDel")
async def remove(ctx: AnyInstance) -> Result:
    """Delete the pod, the config map and the volume claims; when all of them are gone, let the instance go.

    Whatever of them goes tells by an event; the delay is for what is hidden from the cache.
    """
    left = await delete_owned(ctx, (Pod, ConfigMap, PersistentVolumeClaim))
    if left:
        return retry(ctx.settings.requeue, f"waiting for {', '.join(left)} to be deleted")
    return await let_go(ctx)


async def delete_owned(
    ctx: AnyInstance, kinds: Sequence[type[Object]], *, grace_period: int | None = None
) -> list[str]:
    """Delete everything of these kinds that belongs to the instance; return what is still there."""
    instance = ctx.instance
    labels = selector(keys.instance_labels(instance.spec.cluster.name, ctx.component.name, instance.metadata.name))
    left: list[str] = []
    for kind in kinds:
        for found in await ctx.client.list(kind, namespace=ctx.key.namespace, labels=labels):
            # Labels can be anybody's: what another object controls (a newer instance of the name, for one) is not touched.
            controller = next((owner for owner in found.metadata.owner_references if owner.controller), None)
            if controller is not None and controller.uid != instance.metadata.uid:
                continue
            if found.metadata.deletion_timestamp is None and not await _delete(ctx, found, grace_period):
                continue
            left.append(f"{found.kind} {found.metadata.name}")
    return left


async def let_go(ctx: AnyInstance) -> Result:
    """Remove the finalizer. The instance is gone then, or waits for others' finalizers: there is no status to write."""
    if remove_finalizer(ctx.instance, keys.FINALIZER):
        with suppress(NotFound):  # an earlier run has let it go, and the cache hasn't heard of that yet
            await ctx.client.update(ctx.instance)
    ctx.metrics.forget(ctx.key)
    ctx.found = None
    return complete("nothing is left")


async def _delete(ctx: AnyInstance, found: Object, grace_period: int | None) -> bool:
    """Delete an object; return False if it is gone already."""
    try:
        await ctx.client.delete(
            type(found), found.key, grace_period=grace_period, preconditions=Preconditions(uid=found.metadata.uid)
        )
    except NotFound:
        return False
    return True
