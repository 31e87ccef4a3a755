"""Tasks that move the leaders away from a store, and let them come back.

What `evict_leader` says in the condition is persisted with the rest of the status, and only then `begin` asks PD to evict: a
scheduler of ours is never forgotten, whenever this process ends. The end is the other way round: PD first, the condition when
PD has confirmed it; between the two the notes of what this process has asked for tell the rest.
"""

from __future__ import annotations

from typing import Final

from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.common.conditions import LEADERS_EVICTED
from tikv_operator.common.pods import ready_since
from tikv_operator.pdclient import PDHandle, Store
from tikv_operator.tikv.eviction import (
    ENDING,
    EVICTED,
    EVICTED_BY_OTHER,
    EVICTING,
    EVICTING_BY_OTHER,
    NOT_EVICTED,
    STORE_NOT_EXIST,
    is_borrowed,
    is_ending,
    is_ours,
    leaders_can_leave,
    leaves_a_taker,
)
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["begin", "end", "evict_leader"]

_MAY_COME_BACK: Final = "leaders may come back, as pd says; it is asked once more"
_NO_TAKER: Final = "those of every other store are being evicted, too"
_UNPREPARED: Final = "pd has only just begun to lead, and does not know yet who leads which region"


@task("EndEvictLeader")
async def end(ctx: TiKVContext) -> Result:
    """Leave no scheduler behind for a store that is gone."""
    if ctx.pd is None:
        return wait(f"pd cannot be asked: {ctx.pd_trouble}")
    store_id = ctx.status.id
    if not store_id or not is_ours(ctx.tikv) or not ctx.pd.is_evicting(store_id):
        return complete("nothing to end")
    await ctx.pd.client.end_evict_leader(store_id)
    ctx.pd.note_evicting(store_id, False)
    return complete("eviction of leaders is ended")


@task("EvictLeader")
async def evict_leader(ctx: TiKVContext) -> Result:
    """Prepare an eviction, or end one, as earlier tasks of this run want it, and tell how far it is."""
    if ctx.pd is None:
        return wait(f"pd cannot be asked: {ctx.pd_trouble}")
    if ctx.store is None:
        await _forget_store(ctx, ctx.pd)
        ctx.observe(LEADERS_EVICTED, True, STORE_NOT_EXIST, "store does not exist")
        return complete("store does not exist")
    if ctx.evict_leaders and not ctx.store.tombstone:  # which leads nothing, and from which PD refuses to evict
        return await _evict(ctx, ctx.pd, ctx.store)
    return await _release(ctx, ctx.pd, ctx.store)


@task("BeginEvictLeader")
async def begin(ctx: TiKVContext) -> Result:
    """Ask PD to evict, now that the status says so."""
    if ctx.pd is None or ctx.store is None or not ctx.eviction_begins:
        return complete("nothing to begin")
    async with ctx.disruption:  # of two that begin in the same instant one sees that the other does
        if obstacle := _obstacle(ctx, ctx.pd, ctx.store):
            return retry(ctx.settings.requeue, obstacle)
        ctx.pd.note_eviction_begins(ctx.store.id)
        await ctx.pd.client.begin_evict_leader(ctx.store.id)
        ctx.pd.note_evicting(ctx.store.id, True)
    ctx.pd.refresh()
    return complete("pd evicts leaders")


async def _evict(ctx: TiKVContext, pd: PDHandle, store: Store) -> Result:
    pd.hurry()
    if not pd.prepared:
        # It would forget the evictions that it hasn't taken up again yet, and knows of no leader that is still there.
        return wait(_UNPREPARED)
    ours = _is_ours(ctx, pd, store)
    others = not ours and await _others_evict(ctx, pd, store)
    if ours and ctx.leaders_leaving and (first := _comes_before(ctx, pd, store)):
        await _end(ctx, pd, store)
        return _wait_for_peers(ctx, f"neither they nor those of store {first} find a place, which goes first")
    begins = not others and not ctx.leaders_leaving
    if begins and (obstacle := _obstacle(ctx, pd, store)):
        return _wait_for_peers(ctx, obstacle)
    ctx.eviction_begins = begins
    if not others and not ours:
        ctx.to_persist = True
    if store.leader_count == 0 and not begins:
        ctx.observe(LEADERS_EVICTED, True, EVICTED_BY_OTHER if others else EVICTED, "all leaders are evicted")
        if pd.awaits_eviction(store.id):  # it was counted before pd was asked to evict
            return retry(
                ctx.settings.pd_poll_busy, "all leaders are evicted, as far as pd is known; it is asked once more"
            )
        return complete("all leaders are evicted")
    given_up = (
        f", not waited for any longer after {ctx.settings.eviction_timeout:g}s" if ctx.eviction().timed_out else ""
    )
    ctx.observe(LEADERS_EVICTED, False, EVICTING_BY_OTHER if others else EVICTING, _progress(store) + given_up)
    return retry(ctx.settings.requeue, f"{store.leader_count} leaders are still to be evicted")


def _comes_before(ctx: TiKVContext, pd: PDHandle, store: Store) -> str:
    """Return the id of the store that this one has to make room for; empty if there is none.

    A region whose peers are all on stores that are being evicted has nowhere to go. Where several evictions get no further, all
    but the one of the oldest store are taken back: then that one's leaders find a place. One that has stood still for as long as
    an eviction may take makes nobody wait.
    """
    stuck = _stuck(ctx, pd)
    return stuck[0] if store.id in stuck[1:] else ""


def _obstacle(ctx: TiKVContext, pd: PDHandle, store: Store) -> str:
    """Return why an eviction, which could get on otherwise, can't begin now; empty if it can."""
    snapshot = pd.snapshot
    if snapshot is not None and leaders_can_leave(store, snapshot) and not leaves_a_taker(store, snapshot):
        return _NO_TAKER
    first = next((other for other in _stuck(ctx, pd) if other != store.id), "")
    return f"those of store {first} find no place, which goes first" if first else ""


def _stuck(ctx: TiKVContext, pd: PDHandle) -> list[str]:
    return pd.stuck_evictions(ctx.settings.eviction_standstill, ctx.settings.eviction_timeout)


def _wait_for_peers(ctx: TiKVContext, why: str) -> Result:
    ctx.problem("WaitingForPeers", f"leaders cannot be evicted yet: {why}")
    return retry(ctx.settings.requeue, why)


async def _others_evict(ctx: TiKVContext, pd: PDHandle, store: Store) -> bool:
    """Return whether a scheduler that we didn't add evicts the leaders. Before one of ours is added, PD itself is asked."""
    if ctx.leaders_leaving or is_borrowed(ctx.tikv):
        return ctx.leaders_leaving
    ctx.leaders_leaving = store.id in await pd.client.evicting_stores()
    return ctx.leaders_leaving


def _is_ours(ctx: TiKVContext, pd: PDHandle, store: Store) -> bool:
    """Return whether what evicts the leaders, if anything does, is of our making."""
    return is_ours(ctx.tikv) and not pd.has_ended_eviction(store.id)


def _is_ending(ctx: TiKVContext, pd: PDHandle, store: Store) -> bool:
    """Return whether PD was told to end an eviction of ours, and has agreed: by the condition, or by what this process knows."""
    if is_ending(ctx.tikv) or not is_ours(ctx.tikv):
        return is_ending(ctx.tikv)
    return pd.has_ended_eviction(store.id) or (pd.awaits_eviction(store.id) and not ctx.leaders_leaving)


async def _release(ctx: TiKVContext, pd: PDHandle, store: Store) -> Result:
    ending = _is_ending(ctx, pd, store)
    if _is_ours(ctx, pd, store) and (ctx.leaders_leaving or not ending):
        return await _end(ctx, pd, store)
    if ending:
        ctx.observe(LEADERS_EVICTED, False, ENDING, _MAY_COME_BACK)
        if pd.awaits_eviction(store.id):
            return retry(ctx.settings.requeue, _MAY_COME_BACK)
        if ready_since(ctx.pod) is None or not ctx.serves:
            return complete("leaders may come back")  # that is written along with what the pod is about to become
    ctx.observe(LEADERS_EVICTED, False, NOT_EVICTED, "leaders are not all evicted")
    if ctx.leaders_leaving:
        return complete("leaders are evicted by a scheduler that this operator did not add")
    return complete("leaders are not evicted")


async def _end(ctx: TiKVContext, pd: PDHandle, store: Store) -> Result:
    if not pd.prepared:
        return wait(_UNPREPARED)  # it can't end yet what it has still to take up again
    await pd.client.end_evict_leader(store.id)
    pd.note_evicting(store.id, False)
    pd.refresh()
    ctx.leaders_leaving = False
    ctx.observe(LEADERS_EVICTED, False, ENDING, _MAY_COME_BACK)
    return retry(ctx.settings.requeue, "leaders are not evicted any more")


async def _forget_store(ctx: TiKVContext, pd: PDHandle) -> None:
    """End the eviction from a store that PD has dropped from its list, before the condition forgets that it is ours."""
    store_id = ctx.status.id
    if store_id and is_ours(ctx.tikv) and pd.is_evicting(store_id):
        await pd.client.end_evict_leader(store_id)
        pd.note_evicting(store_id, False)


def _progress(store: Store) -> str:
    return f"not all leaders are evicted, still: {store.leader_count}"
