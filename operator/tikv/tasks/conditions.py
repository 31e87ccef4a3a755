"""Tasks that say how a TiKV is, as conditions of its status.

They change the status in memory; a later task writes it. A task answers "wait" while its condition isn't what it should be:
events will tell when that changes.
"""

from __future__ import annotations

from controller_runtime.task import Result, complete, task, wait
from tikv_operator.common.conditions import OFFLINED
from tikv_operator.instance.tasks import conditions as common
from tikv_operator.instance.tasks.conditions import (
    cluster_missing,
    deletion_paused,
    ready,
    record_failure,
    restart_required,
    running,
    synced,
)
from tikv_operator.pdclient import NodeState
from tikv_operator.tikv.progress import left_on_store
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = [
    "cluster_missing",
    "deletion_paused",
    "offlined",
    "ready",
    "record_failure",
    "restart_required",
    "running",
    "suspended",
    "synced",
]


@task("CondSuspended")
async def suspended(ctx: TiKVContext) -> Result:
    """Say whether the TiKV is suspended, and that its deletion waits for the end of that."""
    if ctx.suspending and ctx.deleting:
        ctx.problem("ClusterSuspended", "deletion waits: the store cannot leave the cluster while that is suspended")
    return await common.suspended(ctx)


@task("CondOffline")
async def offlined(ctx: TiKVContext) -> Result:
    """Say how far the removal of the store is. Only for a PD that can be trusted: a store that it never had is gone."""
    state = ctx.store_state
    if ctx.offline and ctx.store_missed:
        ctx.observe(OFFLINED, False, "StoreUnknown", f"pd does not know store {ctx.status.id}")
        return wait(f"pd does not know store {ctx.status.id}")
    if state == NodeState.REMOVED or (ctx.offline and not state):
        ctx.observe(OFFLINED, True, "Completed", "store has been removed")
        return complete("store has been removed")
    if ctx.offline:
        message = "store is removing"
        if ctx.store is not None:
            message = f"{message}: {left_on_store(ctx.store.leader_count, ctx.store.region_count)}"
        ctx.observe(OFFLINED, False, "Processing", message)
        return wait(message)
    if state == NodeState.REMOVING:
        ctx.observe(OFFLINED, False, "Canceling", "store removing is canceling")
        return wait("store removing is canceling")
    ctx.drop(OFFLINED)
    return complete("store is not offline")
