"""The task that creates, changes and recreates a PD server's pod."""

from __future__ import annotations

from controller_runtime.api.k8s import Pod
from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.common.ignorediff import with_live_values
from tikv_operator.common.keys import LABEL_CLUSTER_ID, LABEL_MEMBER_ID
from tikv_operator.common.pods import not_running_detail
from tikv_operator.instance.tasks.pod import change_in_place, delete, is_reloadable, young_for
from tikv_operator.pd.component import PD_SERVER
from tikv_operator.pd.pod import render_pod
from tikv_operator.pd.quorum import is_leader, obstacle_to_restart
from tikv_operator.pd.tasks.config_reload import only_online, reload_config
from tikv_operator.pd.tasks.leader import hand_over
from tikv_operator.pd.tasks.state import PDContext
from tikv_operator.pdclient import PDError, PDHandle

__all__ = ["pod", "repair"]


@task("Pod")
async def pod(ctx: PDContext) -> Result:
    """Create the pod, change it in place, or take it down so that the next run creates it anew."""
    if any(problem.reason == "CannotStartYet" for problem in ctx.problems):
        return wait("the configuration is not there yet")
    expected = _render(ctx)
    if ctx.pod is None:
        if ctx.healthy and ctx.handle is not None:
            # PD still believes in the old process: a new one would be taken for healthy before it is.
            ctx.handle.refresh(members=True)
            return retry(ctx.settings.requeue, "pd has not noticed yet that the old process is gone")
        ctx.pod = await ctx.client.apply(expected)
        return complete("pod is created")
    if ctx.pod_terminating:
        return await _terminating(ctx)
    if await is_reloadable(ctx, ctx.pod) or await only_online(ctx, ctx.pod):
        ctx.restart = []
        expected = with_live_values(expected, ctx.pod)
        await reload_config(ctx, ctx.pod, expected)
        if waits := await change_in_place(ctx, ctx.pod, expected):
            ctx.needs_restart("PodRenderedDifferently", waits)
        return complete("pod is synced, but for what waits for its next restart" if ctx.restart else "pod is synced")
    return await _recreate(ctx, ctx.pod)


@task("PodRepair")
async def repair(ctx: PDContext) -> Result:
    """Create the pod of a member that is to leave and can't yet: the others' quorum may hang on it."""
    if ctx.pod is not None or any(problem.reason == "CannotStartYet" for problem in ctx.problems):
        return complete("nothing to repair")
    ctx.pod = await ctx.client.apply(_render(ctx))
    return complete("pod is created")


def _render(ctx: PDContext) -> Pod:
    """What isn't known keeps the last thing that was: labels that come and go with PD would tell nothing."""
    recorded = ctx.pod.metadata.labels if ctx.pod is not None else {}
    return render_pod(
        ctx.instance,
        ctx.cluster,
        cluster_id=ctx.snapshot.cluster_id or recorded.get(LABEL_CLUSTER_ID, ""),
        member_id=(ctx.member.id if ctx.member is not None else "") or recorded.get(LABEL_MEMBER_ID, ""),
    )


async def _terminating(ctx: PDContext) -> Result:
    """Whoever has deleted the pod (a drain, a person): a leader hands over at once, before its process is gone."""
    if ctx.handle is None or not ctx.leads or len(ctx.snapshot.members.members) == 1:
        return wait("pod is terminating")
    async with ctx.change:
        members = await ctx.handle.client.members()
        own = ctx.own_member(members)
        if own is None or not is_leader(members, own):
            return wait("pod is terminating")
        healthy = frozenset(member.id for member in await ctx.handle.client.health() if member.healthy)
        return await hand_over(ctx, ctx.handle, members, healthy)


async def _recreate(ctx: PDContext, current: Pod) -> Result:
    """Delete the pod when PD can do without it, and somebody else leads; at once if it is down."""
    if detail := not_running_detail(current, PD_SERVER.name):
        # It serves nothing that could be lost. Waiting for others here would keep pods that are all down from repair.
        if young := young_for(ctx, current):
            return retry(young, "pod must be recreated, but was made only just now")
        await delete(ctx, current)
        return wait(f"pod is deleted to be recreated, it was down: {detail}")
    if ctx.handle is None:
        return _unknown_leader(ctx)
    try:
        async with ctx.change:  # so that of two that look at each other one sees that the other goes
            return await _take_down(ctx, ctx.handle, current)
    except PDError as error:
        if error.status != 503:
            raise
        return retry(ctx.settings.requeue, f"pod must be recreated, but pd elects a leader: {error.message}")


def _unknown_leader(ctx: PDContext) -> Result:
    message = f"pod must be recreated, but nobody knows who leads: {ctx.trouble}"
    if ctx.lost:
        ctx.problem("WaitingForPD", message)
    return wait(message)


async def _take_down(ctx: PDContext, handle: PDHandle, current: Pod) -> Result:
    """Decide on what PD says at this very moment, not on what it said last."""
    members = await handle.client.members()
    healthy = frozenset(member.id for member in await handle.client.health() if member.healthy)
    own = ctx.own_member(members)
    handle.hurry(members=True)
    if own is not None and ctx.peer_url not in own.peer_urls:
        message = (
            f"pod must be recreated, but the other members know this one as {', '.join(own.peer_urls)}, which a restart would "
            f"not change to {ctx.peer_url}: take the change of the peer port or of spec.dns back, or replace the member"
        )
        ctx.problem("PeerURLChanged", message)
        return wait(message)
    if own is not None and len(members.members) > 1:
        if obstacle := obstacle_to_restart(members, healthy, own):
            message = f"pod must be recreated, but {obstacle}"
            ctx.problem("WaitingForPeers", message)
            return retry(ctx.settings.requeue, message)
        match is_leader(members, own):
            case None:
                return retry(ctx.settings.requeue, "pod must be recreated, but pd has no leader at the moment")
            case True:
                return await hand_over(ctx, handle, members, healthy)
    await delete(ctx, current)
    return wait("pod is deleted to be recreated")
