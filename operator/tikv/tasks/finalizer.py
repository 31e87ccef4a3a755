"""Tasks that keep a TiKV until what belongs to it is gone."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from controller_runtime.api import Object, selector
from controller_runtime.api.k8s import ConfigMap, PersistentVolumeClaim, Pod
from controller_runtime.client import NotFound, Preconditions, remove_finalizer
from controller_runtime.task import Result, complete, retry, task
from tikv_operator.api import TiKV
from tikv_operator.common import keys, names
from tikv_operator.instance.tasks.finalizer import add
from tikv_operator.pdclient import PDHandle, PDNotBootstrapped, PDSnapshot, by_address
from tikv_operator.tikv.stores import find_store
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["add", "remove"]

_GRACE_PERIOD: Final = 60
"""Seconds a pod gets to stop when its whole cluster, or its store, is gone: it has nothing to hand over any more."""

_OWNED: Final[tuple[tuple[type[Object], int | None], ...]] = (
    (Pod, _GRACE_PERIOD),
    (ConfigMap, None),
    (PersistentVolumeClaim, None),
)


@task("FinalizerDel")
async def remove(ctx: TiKVContext) -> Result:
    """Delete the pod, the config map and the volume claims; when all of them are gone, let the TiKV go.

    If the claims go because PD has no living store of the TiKV, PD is asked once more when no pod is left that could
    register one.
    """
    tikv = ctx.tikv
    labels = selector(keys.instance_labels(tikv.spec.cluster.name, names.TIKV_COMPONENT, tikv.metadata.name))
    left: list[str] = []
    for kind, grace_period in _OWNED:
        owned = [
            found
            for found in await ctx.client.list(kind, namespace=ctx.key.namespace, labels=labels)
            if _may_be_deleted_with(tikv, found)
        ]
        if kind is PersistentVolumeClaim and owned and ctx.pd is not None:
            if left:
                break
            if await _has_living_store(ctx, ctx.pd):
                ctx.pd.refresh()
                return retry(ctx.settings.requeue, "pd has a store of this tikv by now")
        for found in owned:
            if found.metadata.deletion_timestamp is None and not await _delete(ctx, found, grace_period):
                continue
            left.append(f"{found.kind} {found.metadata.name}")
    if left:
        return retry(ctx.settings.requeue, f"waiting for {', '.join(left)} to be deleted")
    if remove_finalizer(tikv, keys.FINALIZER):
        with suppress(NotFound):  # an earlier run has let it go, and the cache hasn't heard of that yet
            await ctx.client.update(tikv)
    ctx.metrics.forget(ctx.key)
    return complete("nothing is left")


def _may_be_deleted_with(tikv: TiKV, found: Object) -> bool:
    """Labels can be anybody's: what another object controls (a newer TiKV of the same name, for one) is not touched."""
    controller = next((owner for owner in found.metadata.owner_references if owner.controller), None)
    return controller is None or controller.uid == tikv.metadata.uid


async def _has_living_store(ctx: TiKVContext, pd: PDHandle) -> bool:
    try:
        stores = await pd.client.stores()
    except PDNotBootstrapped:
        return False
    store = find_store(PDSnapshot(stores=by_address(stores)), ctx.tikv, ctx.cluster)
    return store is not None and not store.tombstone


async def _delete(ctx: TiKVContext, found: Object, grace_period: int | None) -> bool:
    """Delete an object; return False if it is gone already."""
    try:
        await ctx.client.delete(
            type(found), found.key, grace_period=grace_period, preconditions=Preconditions(uid=found.metadata.uid)
        )
    except NotFound:
        return False
    return True
