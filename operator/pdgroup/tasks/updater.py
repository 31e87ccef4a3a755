"""The task that brings the group's servers to what its spec says: found the cluster, scale out and in, roll, repair, replace.

What to do is planned by `tikv_operator.updater`. Of the plan, a change of membership is carried out only when the last one is
over, one at a time over all groups of the cluster; founders alone come all at once. Each action is one request that fails if the
instance has changed since it was read; then the run ends, and the next one plans from what is there.
"""

from __future__ import annotations

from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.api import PD
from tikv_operator.common.keys import ANNOTATION_REPLACE_FAILED_MEMBERS
from tikv_operator.common.names import pd_peer_port
from tikv_operator.group.summary import not_available
from tikv_operator.group.tasks.state import Revisions
from tikv_operator.group.tasks.steps import Steps
from tikv_operator.pdgroup.membership import failed, obstacle_to_change, strangers
from tikv_operator.pdgroup.tasks.state import MS, PDGroupContext
from tikv_operator.updater import Action, Create, Delete, Target, evenly_spread, plan

__all__ = ["update"]


@task("Updater")
async def update(ctx: PDGroupContext) -> Result:
    """Take the next steps towards the group's spec."""
    if ctx.revisions is None:
        msg = "the updater needs the group's revisions"
        raise AssertionError(msg)
    revisions = ctx.revisions
    _check_peer_port(ctx)
    unusable = _is_unusable(revisions) if ctx.held else False
    if ctx.held and (unusable or (not ctx.group.spec.bootstrapped and not ctx.instances)):
        return wait(ctx.held)
    target = _target(ctx, revisions)
    planned = plan(ctx.instances, target)
    postponed = ""
    changed = False
    with Steps.of_run(ctx, revisions, held=bool(ctx.held)) as steps:
        for action in (*_replacements(ctx), *planned.actions):
            if isinstance(action, Create | Delete):
                postponed = postponed or _obstacle(ctx, action) or ("one member changes at a time" if changed else "")
                if postponed:
                    continue
                changed = bool(ctx.group.spec.bootstrapped)
            await steps.carry_out(action)
    if ctx.held:
        return wait(ctx.held)
    if postponed and not changed:
        if not ctx.waiting_for:
            ctx.waiting_for = f"the membership of pd cannot change: {postponed}"
        return retry(ctx.settings.upgrade_check, postponed)
    if planned.done and not changed:
        return complete("all instances are synced")
    reason = not_available(ctx.instances, target.desired, target.min_ready_seconds, target.now)
    if planned.available_after is not None:
        return retry(planned.available_after, f"wait for all instances available: {reason}")
    return wait(f"wait for all instances ready: {reason}")


def _target(ctx: PDGroupContext, revisions: Revisions) -> Target:
    leader = ctx.snapshot.members.leader
    spared = {leader.name} if leader is not None else _leaders(ctx)
    return Target(
        desired=ctx.group.spec.replicas,
        revision=None if ctx.held else revisions.update.revision,
        min_ready_seconds=ctx.min_ready_seconds,
        now=ctx.clock.now(),
        spread=evenly_spread(ctx.group.spec.schedule_policies),
        two_steps=False,
        spared=frozenset(spared),
    )


def _leaders(ctx: PDGroupContext) -> set[str]:
    """While PD doesn't say who leads, it is whoever led last."""
    return {pd.metadata.name for pd in ctx.instances if pd.status is not None and pd.status.is_leader}


def _obstacle(ctx: PDGroupContext, action: Action[PD]) -> str:
    """Return why the membership can't change now; empty if it can, or if there is no cluster yet whose it could be."""
    if not ctx.group.spec.bootstrapped:
        return ""
    if ctx.handle is None:
        return "pd does not answer"
    # One that is not healthy may leave: that is what it is replaced for. The rest is judged when it leaves.
    leaving = action.instance.metadata.name if isinstance(action, Delete) else ""
    others = [pd for pd in ctx.pds_of_cluster if pd.metadata.name != leaving]
    if leaving:
        busy = next((pd.metadata.name for pd in others if pd.metadata.deletion_timestamp is not None), "")
        return f"{busy} is still leaving" if busy else ""
    ctx.handle.hurry(members=True)
    obstacle = obstacle_to_change(ctx.snapshot, others)
    unknown = strangers(ctx.snapshot, others) if obstacle else []
    return f"{obstacle}; no PD stands for {', '.join(unknown)}" if unknown else obstacle


def _replacements(ctx: PDGroupContext) -> list[Delete[PD]]:
    """Return what is to be removed because it won't come back, where the user has asked for that."""
    text = ctx.group.metadata.annotations.get(ANNOTATION_REPLACE_FAILED_MEMBERS, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or ctx.handle is None:
        return []
    lost = failed(ctx.instances, ctx.snapshot, after=float(text), now=ctx.clock.now())
    for pd in lost:
        ctx.events.warning(
            ctx.group, "ReplacingMember", f"{pd.metadata.name} has been away for {text}s and is replaced"
        )
    return [Delete(pd) for pd in lost]


def _check_peer_port(ctx: PDGroupContext) -> None:
    """Members are known to each other by their peer addresses, which a restart doesn't change."""
    wanted = pd_peer_port(ctx.group)
    present = {pd_peer_port(pd) for pd in ctx.instances if pd.status is not None and pd.status.id}
    if ctx.group.spec.bootstrapped and present and present != {wanted}:
        ports = ", ".join(map(str, sorted(present)))
        ctx.held = ctx.waiting_for = f"the peer port of existing members is {ports} and cannot be changed to {wanted}"


def _is_unusable(revisions: Revisions) -> bool:
    """New instances would be of a mode that can't be run; so are all, if nothing else was ever wanted."""
    previous = revisions.previous
    return previous is None or getattr(previous.template.spec, "mode", None) == MS
