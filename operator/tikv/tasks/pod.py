"""Tasks that create, change, recreate and suspend a TiKV's pod."""

from __future__ import annotations

from controller_runtime.api.k8s import Pod
from controller_runtime.client import Invalid, NotFound, Preconditions, merge_patch
from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.common.ignorediff import with_live_values
from tikv_operator.common.keys import ANNOTATION_UNRELOADED_CONFIG, LABEL_STORE_ID
from tikv_operator.common.pods import not_running_detail
from tikv_operator.instance.inplace import can_take_over, frozen_differences, metadata_changes
from tikv_operator.instance.tasks.pod import is_reloadable, young_for
from tikv_operator.tikv import paths
from tikv_operator.tikv.pod import grace_period, render_pod
from tikv_operator.tikv.tasks import disruption, store_labels
from tikv_operator.tikv.tasks.config_reload import reload_config
from tikv_operator.tikv.tasks.state import TiKVContext

__all__ = ["pod", "suspend"]


@task("Pod")
async def pod(ctx: TiKVContext) -> Result:
    """Create the pod, change it in place, or take it down so that the next run creates it anew."""
    expected = render_pod(
        ctx.tikv, ctx.cluster, store_id=_store_id(ctx), prestop_image=ctx.settings.default_prestop_image
    )
    if ctx.pod is None:
        ctx.pod = await ctx.client.apply(expected)
        ctx.restart = []
        return complete("pod is created")
    if ctx.pod_terminating:
        ctx.evict_leaders = True
        return wait("pod is terminating")
    if ctx.pd is None and store_labels.dropped(ctx):
        return wait(f"labels have to be removed from the store, but {ctx.pd_trouble}")
    await store_labels.drop(ctx)
    if not await is_reloadable(ctx, ctx.pod):
        result = await _recreate(ctx, ctx.pod)
        ctx.pod_waits = "" if ctx.pod_deleted else result.message
        return result
    return await _change_in_place(ctx, ctx.pod, with_live_values(expected, ctx.pod))


@task("PodSuspend")
async def suspend(ctx: TiKVContext) -> Result:
    """Delete the pod of a suspended cluster; its volumes stay."""
    if ctx.pod is None:
        return complete("pod does not exist")
    await _delete(ctx, ctx.pod)
    return wait("pod is deleted")


def _store_id(ctx: TiKVContext) -> str:
    """Return the store's id for the pod's label. While PD is away, a label that is there stays."""
    if ctx.store is not None:
        return ctx.store.id
    recorded = ctx.pod.metadata.labels.get(LABEL_STORE_ID, "") if ctx.pod is not None else ""
    return recorded if ctx.pd is None else ""


async def _recreate(ctx: TiKVContext, current: Pod) -> Result:
    """Delete the pod when its leaders are gone and no other store of the cluster is in trouble; at once if it is down."""
    ctx.evict_leaders = True
    if detail := not_running_detail(current, paths.CONTAINER):
        # It serves nothing that could be lost. Waiting for others here would keep pods that are all down from repair.
        if young := young_for(ctx, current):
            return retry(young, "pod must be recreated, but was made only just now")
        await _delete(ctx, current)
        ctx.pod_deleted = True
        return wait(f"pod is deleted to be recreated, it was down: {detail}")
    if ctx.pd is None:
        message = f"pod must be recreated, but {ctx.pd_trouble}"
        if ctx.pd_lost:
            ctx.problem("WaitingForPD", message)
        return wait(message)
    if await disruption.group_is_paused(ctx):
        ctx.evict_leaders = False
        message = "pod must be recreated, but its group is paused"
        ctx.problem("GroupPaused", message)
        return wait(message)  # the end of the pause is an event
    ctx.pd.hurry()
    if not ctx.pd.prepared:
        message = (
            "pod must be recreated, but pd has only just begun to lead, and does not know all leaders and peers yet"
        )
        ctx.problem("WaitingForPD", message)
        return wait(message)  # it tells when it is prepared
    trouble = await disruption.at_first(ctx, ctx.pd)
    if trouble:
        return _wait_for_peers(ctx, trouble)
    state = ctx.eviction()
    if not state.over:
        message = "pod must be recreated when its leaders are evicted"
        return wait(message) if state.left is None else retry(state.left, message)
    async with ctx.disruption:
        trouble = await disruption.finally_(ctx, ctx.pd)
        if trouble:
            return _wait_for_peers(ctx, trouble)
        if state.timed_out:
            leaders = f"it still leads {_leaders(ctx)} regions after {ctx.settings.eviction_timeout:g}s"
            ctx.events.warning(ctx.tikv, "LeaderEvictionTimeout", f"pod is recreated although {leaders}")
        await _delete(ctx, current)
    ctx.pod_deleted = True
    return wait("pod is deleted to be recreated")


def _leaders(ctx: TiKVContext) -> int:
    return ctx.store.leader_count if ctx.store is not None else 0


def _wait_for_peers(ctx: TiKVContext, trouble: str) -> Result:
    message = f"pod must be recreated, but {trouble}"
    ctx.problem("WaitingForPeers", message)
    return retry(ctx.settings.requeue, message)


async def _change_in_place(ctx: TiKVContext, current: Pod, expected: Pod) -> Result:
    """Give a running pod what it can take over, and say what has to wait for its next restart."""
    ctx.restart = []
    unreloaded = await reload_config(ctx, current)
    if unreloaded.refused:
        items = ", ".join(unreloaded.refused)
        ctx.needs_restart("ConfigNeedsRestart", f"configuration items that tikv reads only when it starts: {items}")
    if not unreloaded.empty:
        expected.metadata.annotations[ANNOTATION_UNRELOADED_CONFIG] = unreloaded.text()
    frozen = frozen_differences(expected, current)
    if frozen:
        # Rendered differently than when the pod was made (by another version of an operator, or under another PD address):
        # a running pod can't take that over, and need not.
        ctx.needs_restart("PodRenderedDifferently", f"the pod would be made differently now: {', '.join(frozen)}")
        ctx.pod = await _change_metadata(ctx, current, expected)
    elif can_take_over(expected, current):
        try:
            ctx.pod = await ctx.client.apply(expected)
        except Invalid as error:
            ctx.needs_restart("PodRenderedDifferently", f"the pod would be made differently now: {error.message}")
            ctx.pod = await _change_metadata(ctx, current, expected)
    if unreloaded.unasked:
        return retry(ctx.settings.requeue, "tikv has to be told of its new configuration")
    return complete("pod is synced, but for what waits for its next restart" if ctx.restart else "pod is synced")


async def _change_metadata(ctx: TiKVContext, current: Pod, expected: Pod) -> Pod:
    changes = metadata_changes(expected, current)
    return await ctx.client.patch(Pod, current.key, merge_patch({"metadata": changes})) if changes else current


async def _delete(ctx: TiKVContext, current: Pod) -> None:
    """Delete a pod with time to hand over its regions; one that is being deleted may get less time, never more."""
    regions = ctx.store.region_count if ctx.store is not None else 0
    grace = grace_period(regions, ctx.settings.min_grace_period)
    given = current.metadata.deletion_grace_period_seconds
    if given is not None and given <= grace:
        return
    try:
        await ctx.client.delete(
            Pod, current.key, grace_period=grace, preconditions=Preconditions(uid=current.metadata.uid)
        )
    except NotFound:
        return  # gone is what was wanted
