"""Tasks that keep a TiKV until what belongs to it is gone."""

from __future__ import annotations

from typing import Final

from controller_runtime.api.k8s import ConfigMap, PersistentVolumeClaim, Pod
from controller_runtime.task import Result, retry, task
from tikv_operator.instance.tasks.finalizer import add, delete_owned, let_go_without, owned
from tikv_operator.pdclient import PDHandle, PDNotBootstrapped, PDSnapshot, by_address
from tikv_operator.tikv.stores import find_store
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["add", "remove"]

_GRACE_PERIOD: Final = 60
"""Seconds a pod gets to stop when its whole cluster, or its store, is gone: it has nothing to hand over any more."""


@task("FinalizerDel")
async def remove(ctx: TiKVContext) -> Result:
    """Delete the pod, the config map and the volume claims; when all of them are gone, let the TiKV go.

    If the claims go because PD has no living store of the TiKV, PD is asked once more when no pod is left that could
    register one.
    """
    left = await delete_owned(ctx, Pod, grace_period=_GRACE_PERIOD) + await delete_owned(ctx, ConfigMap)
    if ctx.pd is not None:
        if left:
            return await let_go_without(ctx, left)
        if await owned(ctx, PersistentVolumeClaim) and await _has_living_store(ctx, ctx.pd):
            ctx.pd.refresh()
            return retry(ctx.settings.requeue, "pd has a store of this tikv by now")
    return await let_go_without(ctx, left + await delete_owned(ctx, PersistentVolumeClaim))


async def _has_living_store(ctx: TiKVContext, pd: PDHandle) -> bool:
    try:
        stores = await pd.client.stores()
    except PDNotBootstrapped:
        return False
    store = find_store(PDSnapshot(stores=by_address(stores)), ctx.tikv, ctx.cluster)
    return store is not None and not store.tombstone
