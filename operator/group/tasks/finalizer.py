"""Tasks that hold the group until everything it made is gone."""

from __future__ import annotations

from collections.abc import Sequence

from controller_runtime.api import Object, selector
from controller_runtime.api.k8s import Service
from controller_runtime.client import add_finalizer, remove_finalizer
from controller_runtime.task import Result, complete, task, wait
from tikv_operator.common.deletion import delete_all
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
        await delete_all(ctx.client, ctx.instances)
        return wait(f"wait until {len(ctx.instances)} instances are deleted: {_names(ctx.instances)}")
    services = await ctx.client.list(
        Service, namespace=ctx.key.namespace, labels=selector(group_labels(ctx.component, ctx.group))
    )
    if services:
        await delete_all(ctx.client, services)
        return wait(f"wait until services are deleted: {_names(services)}")
    if remove_finalizer(ctx.group, FINALIZER):
        await ctx.client.update(ctx.group)
    # The object is gone now, or waits for others' finalizers: there is no status to write.
    ctx.found = None
    ctx.names.forget(ctx.key)
    return complete("all is deleted")


def _names(objects: Sequence[Object]) -> str:
    return ", ".join(obj.metadata.name for obj in objects)
