"""Tasks that take a store out of the cluster, or back into it.

The way out: the TiKV is set offline, its leaders are evicted, PD moves its data away and buries the store, the TiKV is
deleted. Until PD has buried it, the removal can be taken back.
"""

from __future__ import annotations

from controller_runtime.client import NotFound, Preconditions, merge_patch
from controller_runtime.task import Result, complete, fail, retry, task, wait
from tikv_operator.api import TiKV
from tikv_operator.common.keys import ANNOTATION_DEFER_DELETE
from tikv_operator.pdclient import NodeState, PDError, PDHandle, Store
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["delete_offlined", "offline_store", "set_offline"]


@task("DeleteOfflinedStore")
async def delete_offlined(ctx: TiKVContext) -> Result:
    """Delete a TiKV whose store is gone for good: the second half of a scale-in."""
    metadata = ctx.tikv.metadata
    try:
        await ctx.client.delete(
            TiKV, ctx.key, preconditions=Preconditions(uid=metadata.uid, resource_version=metadata.resource_version)
        )
    except NotFound:
        return complete("tikv is gone")
    return wait("tikv is deleted, its store has been removed")


@task("SetOffline")
async def set_offline(ctx: TiKVContext) -> Result:
    """Turn the deletion of a TiKV into the removal of its store."""
    changes = {
        "metadata": {
            "resourceVersion": ctx.tikv.metadata.resource_version,
            "annotations": {ANNOTATION_DEFER_DELETE: None},
        },
        "spec": {"offline": True},
    }
    ctx.found = await ctx.client.patch(TiKV, ctx.key, merge_patch(changes))
    return complete("tikv is set offline")


@task("OfflineStore")
async def offline_store(ctx: TiKVContext) -> Result:
    """Bring PD to remove the store, once its leaders are gone, or to keep it."""
    if ctx.pd is None:
        if ctx.offline and ctx.pd_lost:
            ctx.problem("WaitingForPD", f"the store cannot be removed: {ctx.pd_trouble}")
        return wait(f"pd cannot be asked: {ctx.pd_trouble}")
    if ctx.offline and ctx.store_missed:
        message = f"pd does not know store {ctx.status.id}, so nobody can say whether its data was moved away"
        ctx.problem("StoreUnknown", message)
        return wait(message)
    if ctx.store is None:
        return wait("store does not exist") if ctx.offline else complete("no store to remove")
    ctx.evict_leaders = ctx.offline and ctx.store.node_state != NodeState.REMOVED
    return await _drive(ctx, ctx.pd, ctx.store)


async def _drive(ctx: TiKVContext, pd: PDHandle, store: Store) -> Result:
    """Bring the store one step nearer to what is wanted."""
    match store.node_state:
        case NodeState.PREPARING | NodeState.SERVING:
            return await _evict_and_remove(ctx, pd, store) if ctx.offline else complete("store is in use")
        case NodeState.REMOVING:
            pd.hurry()
            if ctx.offline:
                return wait(f"store is removing, {store.region_count} regions left")
            await pd.client.cancel_delete_store(store.id)
            pd.refresh()
            return wait("removal of the store is taken back")
        case NodeState.REMOVED:
            return complete("store is removed")
        case unknown:
            pd.refresh()
            return fail(f"store {store.id} is in a state that this operator does not know: {unknown}")


async def _evict_and_remove(ctx: TiKVContext, pd: PDHandle, store: Store) -> Result:
    pd.hurry()
    state = ctx.eviction()
    if not state.over:
        message = "leaders must be evicted before the store is removed"
        return wait(message) if state.left is None else retry(state.left, message)
    if state.timed_out:
        leaders = f"it still leads {store.leader_count} regions after {ctx.settings.eviction_timeout:g}s"
        ctx.events.warning(ctx.tikv, "LeaderEvictionTimeout", f"store is removed although {leaders}")
    return await _remove(ctx, pd, store)


async def _remove(ctx: TiKVContext, pd: PDHandle, store: Store) -> Result:
    try:
        await pd.client.delete_store(store.id)
    except PDError as error:
        if error.retryable:
            raise
        # PD says no, for instance because too few stores would be left. Nothing else has to wait for that to change.
        message = f"pd refuses to remove the store: {error.message}"
        ctx.problem("StoreRemovalRefused", message)
        return retry(ctx.settings.backoff_max, message)
    finally:
        pd.refresh()
    return wait("pd was asked to remove the store")
