"""The task that takes a PD server out of its cluster before anything of it is deleted."""

from __future__ import annotations

from controller_runtime.task import Result, complete, retry, task
from tikv_operator.pd.quorum import is_leader, obstacle_to_removal
from tikv_operator.pd.tasks.leader import hand_over
from tikv_operator.pd.tasks.state import PDContext, pd_goes_as_a_whole
from tikv_operator.pdclient import PDError, PDHandle

__all__ = ["leave", "left"]


@task("DeleteMember")
async def leave(ctx: PDContext) -> Result:
    """Remove the member, by its id, when the others can do without it. The leader hands over first.

    One membership changes at a time, and each decision is made on what PD says at that very moment. Members that never started
    are removed, too: they count for the quorum like any other, and no server can join while there is one.
    """
    if pd_goes_as_a_whole(ctx):
        return complete("pd goes as a whole")
    group = ctx.group
    if ctx.handle is None:
        if not ctx.status.id and (group is None or not group.spec.bootstrapped):
            return complete("the cluster was not born yet, there is nothing to leave")
        ctx.problem("WaitingForPD", f"the member cannot be removed: {ctx.trouble}")
        return retry(ctx.settings.backoff_max, ctx.trouble)
    try:
        async with ctx.change:
            return await _leave(ctx, ctx.handle)
    except PDError as error:
        if error.status != 503:
            raise
        ctx.problem("WaitingForPD", f"the member cannot be removed while pd elects a leader: {error.message}")
        return retry(ctx.settings.requeue, error.message)


def left(ctx: PDContext) -> bool:
    """The server is no member (any more), so that all that belongs to it may go."""
    return not ctx.problems and (pd_goes_as_a_whole(ctx) or ctx.member is None)


async def _leave(ctx: PDContext, handle: PDHandle) -> Result:
    members = await handle.client.members()
    ctx.member = ctx.own_member(members)
    if ctx.member is None:
        return complete("not a member")
    healthy = await _healthy(handle)
    handle.hurry(members=True)
    if obstacle := obstacle_to_removal(members, healthy, ctx.member):
        ctx.problem("QuorumAtRisk", f"the member cannot be removed: {obstacle}")
        return retry(ctx.settings.requeue, obstacle)
    match is_leader(members, ctx.member):
        case None:
            return retry(ctx.settings.requeue, "pd has no leader at the moment")
        case True:
            return _still_a_member(ctx, await hand_over(ctx, handle, members, healthy))
    try:
        await handle.client.delete_member_by_id(ctx.member.id)
    except PDError as error:
        if error.status is None:
            raise  # nobody knows what came of it: the next run sees
        ctx.problem("MemberRemovalRefused", f"pd refuses to remove the member: {error.message}")
        return retry(ctx.settings.requeue, error.message)
    finally:
        handle.refresh(members=True)
    ctx.events.normal(ctx.instance, "MemberRemoved", f"member {ctx.member.id} has left the cluster")
    ctx.member = None
    return complete("member is removed")


def _still_a_member(ctx: PDContext, result: Result) -> Result:
    """A leader that hands over is a member until the next run."""
    if not ctx.problems:
        ctx.problem("TransferringLeader", result.message)
    return result


async def _healthy(handle: PDHandle) -> frozenset[str]:
    return frozenset(member.id for member in await handle.client.health() if member.healthy)
