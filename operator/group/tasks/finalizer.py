"""Tasks that hold the group until everything it made is gone."""

from __future__ import annotations

from collections.abc import Sequence

from controller_runtime.api import Object, selector
from controller_runtime.api.k8s import Service
from controller_runtime.client import ClientError, Conflict, NotFound, Preconditions, add_finalizer, remove_finalizer
from controller_runtime.task import Result, complete, task, wait
from tikv_operator.common.keys import FINALIZER
from tikv_operator.group.build import group_labels
from tikv_operator.group.tasks.state import AnyGroup

__all__ = ["add", "remove"]


@task("FinalizerAdd")
async def add(ctx: AnyGroup) -> Result:
    """Put the finalizer on the group before anything is made for it."""
    if not add_finalizer(ctx.group, FINALIZER):
        return complete("the finalizer is there")
    ctx.found = await ctx.client.update(ctx.group)
    return complete("added the finalizer")


@task("FinalizerDel")
async def remove(ctx: AnyGroup) -> Result:
    """Delete the instances, then the services, then the finalizer; each step waits for the end of the one before.

    An instance takes its store out of the cluster before it goes. Its end, and a service's, wakes the group.
    """
    if ctx.instances:
        await _delete_all(ctx, ctx.instances)
        return wait(f"wait until {len(ctx.instances)} instances are deleted: {_names(ctx.instances)}")
    services = await ctx.client.list(
        Service, namespace=ctx.key.namespace, labels=selector(group_labels(ctx.component, ctx.group))
    )
    if services:
        await _delete_all(ctx, services)
        return wait(f"wait until services are deleted: {_names(services)}")
    if remove_finalizer(ctx.group, FINALIZER):
        await ctx.client.update(ctx.group)
    # The object is gone now, or waits for others' finalizers: there is no status to write.
    ctx.found = None
    ctx.names.forget(ctx.key)
    return complete("all is deleted")


async def _delete_all(ctx: AnyGroup, objects: Sequence[Object]) -> None:
    """Ask for the deletion of each; one that can't be deleted doesn't keep the others from it.

    Raises:
        ClientError: the first one that can't be deleted.
    """
    errors: list[ClientError] = []
    for obj in objects:
        if obj.metadata.deletion_timestamp is not None:
            continue
        try:
            await ctx.client.delete(type(obj), obj.key, preconditions=Preconditions(uid=obj.metadata.uid))
        except NotFound:
            continue  # gone since it was read
        except ClientError as error:
            errors.append(error)
    # A conflict means a new object under the old name: the next run sees it. Anything worse goes first.
    errors.sort(key=lambda error: isinstance(error, Conflict))
    if errors:
        raise errors[0]


def _names(objects: Sequence[Object]) -> str:
    return ", ".join(obj.metadata.name for obj in objects)
