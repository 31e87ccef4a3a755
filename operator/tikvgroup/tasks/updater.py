"""The tasks that bring the group's instances to what its spec says: scale out and in, roll, repair; or keep them as they are.

What to do is planned by `tikv_operator.updater`; this task asks whether an upgrade may begin and how many stores may be down,
carries the plan out action by action, and says what has to happen before the next step. Each action is one request that fails
if the instance has changed since it was read; then the run ends, and the next one plans from what is there.
"""

from __future__ import annotations

from dataclasses import replace

from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.common.keys import LABEL_GROUP
from tikv_operator.common.membership import CLUSTER_INDEX
from tikv_operator.group.summary import listed, not_available
from tikv_operator.group.tasks.state import Revisions
from tikv_operator.group.tasks.steps import Steps
from tikv_operator.tikvgroup.elsewhere import given_up, in_motion
from tikv_operator.tikvgroup.tasks.state import TiKVGroupContext, is_paused
from tikv_operator.tikvgroup.upgrade import BEFORE_TIKV, is_upgrade, upgrade_obstacle
from tikv_operator.tikvgroup.zone import zone_mates
from tikv_operator.updater import Plan, Target, Update, classify, evenly_spread, plan

__all__ = ["paused", "update"]


@task("Updater")
async def update(ctx: TiKVGroupContext) -> Result:
    """Take the next steps towards the group's spec, as far as the budget of unavailable instances allows."""
    if ctx.revisions is None:
        msg = "the updater needs the group's revisions"
        raise AssertionError(msg)
    obstacle = await _obstacle(ctx)
    if obstacle:
        ctx.waiting_for = f"upgrade to {ctx.group.spec.template.spec.version} waits: {obstacle}"
    rolls = not obstacle and bool(classify(ctx.instances, ctx.revisions.update.revision).outdated)
    if ctx.cluster is None or not rolls:
        ctx.rollouts.leave(ctx.key)
        return await _step(ctx, ctx.revisions, held=bool(obstacle))
    # Before the others are looked at, so that no news of them is lost.
    ctx.rollouts.wait(ctx.key, ctx.cluster.key)
    async with ctx.rollouts.turn(ctx.cluster.key):
        result = await _step(ctx, ctx.revisions, held=False)
    if not ctx.queued_for:
        ctx.rollouts.leave(ctx.key)
    return result


@task("Updater")
async def paused(ctx: TiKVGroupContext) -> Result:
    """Leave all instances as they are: the group is paused."""
    ctx.rollouts.leave(ctx.key)
    ctx.queued_for = "the group is paused"
    return wait(ctx.queued_for)


async def _step(ctx: TiKVGroupContext, revisions: Revisions, *, held: bool) -> Result:
    moving = await _moving_elsewhere(ctx)
    target = _target(ctx, revisions, held=held, moving=len(moving))
    planned = plan(ctx.instances, target)
    together = None if held else _together(ctx, target, planned, moving)
    if together is not None:
        planned = plan(ctx.instances, together)
    with Steps.of_run(ctx, revisions, held=held) as steps:
        for action in planned.actions:
            await steps.carry_out(action)
    if held:
        # An event of the other group ends the wait; the delay is for what no event tells.
        return retry(ctx.settings.upgrade_check, ctx.waiting_for)
    if planned.done:
        return complete("all instances are synced")
    reason = not_available(ctx.instances, target.desired, target.min_ready_seconds, target.now)
    if planned.available_after is not None:
        return retry(planned.available_after, f"wait for all instances available: {reason}")
    if not reason and not planned.actions and moving:
        return _queue(ctx, moving)
    return wait(f"wait for all instances ready: {reason}")


def _together(ctx: TiKVGroupContext, target: Target, planned: Plan[TiKV], moving: list[TiKV]) -> Target | None:
    """Return the target with which more instances are updated, all in one zone; None if that is not wanted, or not safe."""
    most = ctx.budget.zone - len(moving)
    snapshot = ctx.pd_snapshot() if most > target.max_unavailable else None
    if snapshot is None:
        return None
    outdated = classify(ctx.instances, target.revision).outdated
    first = [
        action.instance for action in planned.actions if isinstance(action, Update) and action.instance in outdated
    ]
    own = in_motion(ctx.instances, "", is_given_up=given_up(snapshot), is_paused=lambda _: False)
    mates = zone_mates(snapshot, [*first, *outdated], [*moving, *own])
    return replace(target, max_unavailable=most, only=mates) if mates else None


def _queue(ctx: TiKVGroupContext, moving: list[TiKV]) -> Result:
    """Wait for other groups. The message names these and not their instances, or it would change with each of them."""
    names = sorted({tikv.metadata.labels.get(LABEL_GROUP) or tikv.metadata.name for tikv in moving})
    allowed = ctx.budget.cluster
    stores = "1 store" if allowed == 1 else f"{allowed} stores"
    ctx.queued_for = f"update waits for {listed(names)}: in the cluster {stores} may be down at a time"
    # An event of their instances ends the wait; the delay is for what no event tells: a store that PD gives up.
    return retry(ctx.settings.upgrade_check, ctx.queued_for)


async def _moving_elsewhere(ctx: TiKVGroupContext) -> list[TiKV]:
    """Return the instances of the cluster's other groups that use up the budget."""
    index = (CLUSTER_INDEX, ctx.group.spec.cluster.name)
    groups = await ctx.client.list(TiKVGroup, namespace=ctx.key.namespace, index=index)
    resting = {group.metadata.name for group in groups if is_paused(group)}
    return in_motion(
        await ctx.client.list(TiKV, namespace=ctx.key.namespace, index=index),
        ctx.key.name,
        is_given_up=given_up(ctx.pd_snapshot()),
        is_paused=resting.__contains__,
    )


async def _obstacle(ctx: TiKVGroupContext) -> str | None:
    """Return what an upgrade has to wait for; None if there is none, or nothing is in the way."""
    if ctx.cluster is None or not is_upgrade(ctx.group):
        return None
    for kind in BEFORE_TIKV:
        groups = await ctx.client.list(
            kind, namespace=ctx.key.namespace, index=(CLUSTER_INDEX, ctx.group.spec.cluster.name)
        )
        if obstacle := upgrade_obstacle(ctx.group, ctx.cluster, groups):
            return obstacle
    return None


def _target(ctx: TiKVGroupContext, revisions: Revisions, *, held: bool, moving: int) -> Target:
    """While an upgrade is held back, any revision is right: the group is scaled and repaired, but nothing is updated."""
    return Target(
        desired=ctx.group.spec.replicas,
        revision=None if held else revisions.update.revision,
        min_ready_seconds=ctx.min_ready_seconds,
        now=ctx.clock.now(),
        max_unavailable=ctx.budget.most(moving),
        spread=evenly_spread(ctx.group.spec.schedule_policies),
    )
