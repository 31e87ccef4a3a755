"""Tasks that keep an instance until what belongs to it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from controller_runtime.api import Object, selector
from controller_runtime.api.k8s import ConfigMap, PersistentVolumeClaim, Pod
from controller_runtime.client import NotFound, add_finalizer, remove_finalizer
from controller_runtime.task import Result, complete, retry, task
from tikv_operator.common import keys
from tikv_operator.common.deletion import belongs_to_another, delete
from tikv_operator.instance.tasks.state import AnyInstance

__all__ = ["add", "delete_owned", "let_go_without", "owned", "remove"]


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
    return await let_go_without(ctx, await delete_owned(ctx, Pod, ConfigMap, PersistentVolumeClaim))


async def owned(ctx: AnyInstance, kind: type[Object]) -> list[Object]:
    """Return everything of this kind that belongs to the instance, and to no other object."""
    instance = ctx.instance
    labels = selector(keys.instance_labels(instance.spec.cluster.name, ctx.component.name, instance.metadata.name))
    found = await ctx.client.list(kind, namespace=ctx.key.namespace, labels=labels)
    return [obj for obj in found if not belongs_to_another(obj, instance)]


async def delete_owned(ctx: AnyInstance, *kinds: type[Object], grace_period: int | None = None) -> list[str]:
    """Delete everything of these kinds that belongs to the instance; return what is still there."""
    return [
        f"{obj.kind} {obj.metadata.name}"
        for kind in kinds
        for obj in await owned(ctx, kind)
        if await delete(ctx.client, obj, grace_period)
    ]


async def let_go_without(ctx: AnyInstance, left: Sequence[str]) -> Result:
    """Remove the finalizer if nothing is `left`.

    An instance that is being deleted is gone then, or waits for others' finalizers: there is no status to write.
    """
    if left:
        return retry(ctx.settings.requeue, f"waiting for {', '.join(left)} to be deleted")
    if remove_finalizer(ctx.instance, keys.FINALIZER):
        with suppress(NotFound):  # an earlier run has let it go, and the cache hasn't heard of that yet
            await ctx.client.update(ctx.instance)
    ctx.metrics.forget(ctx.key)
    if ctx.deleting:
        ctx.found = None
    return complete("nothing is left")
