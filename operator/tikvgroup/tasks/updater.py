"""The task that brings the group's instances to what its spec says: scale out and in, roll, repair.

What to do is planned by `tikv_operator.updater`; this task asks whether an upgrade may begin, carries the plan out action by
action, and says what has to happen before the next step. Each action is one request that fails if the instance has changed
since it was read; then the run ends, and the next one plans from what is there.
"""

from __future__ import annotations

from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.common.membership import CLUSTER_INDEX
from tikv_operator.group.summary import not_available
from tikv_operator.group.tasks.state import GroupContext, Revisions
from tikv_operator.group.tasks.steps import Steps
from tikv_operator.tikvgroup.upgrade import BEFORE_TIKV, is_upgrade, upgrade_obstacle
from tikv_operator.updater import Target, evenly_spread, plan

__all__ = ["update"]


@task("Updater")
async def update(ctx: GroupContext[TiKVGroup, TiKV]) -> Result:
    """Take the next steps towards the group's spec, as far as the budget of unavailable instances allows."""
    if ctx.revisions is None:
        msg = "the updater needs the group's revisions"
        raise AssertionError(msg)
    obstacle = await _obstacle(ctx)
    if obstacle:
        ctx.waiting_for = f"upgrade to {ctx.group.spec.template.spec.version} waits: {obstacle}"
    target = _target(ctx, ctx.revisions, held=bool(obstacle))
    planned = plan(ctx.instances, target)
    steps = Steps(ctx, ctx.revisions, held=bool(obstacle))
    for action in planned.actions:
        await steps.carry_out(action)
    if obstacle:
        # An event of the other group ends the wait; the delay is for what no event tells.
        return retry(ctx.settings.upgrade_check, ctx.waiting_for)
    if planned.done:
        return complete("all instances are synced")
    reason = not_available(ctx.instances, target.desired, target.min_ready_seconds, target.now)
    if planned.available_after is not None:
        return retry(planned.available_after, f"wait for all instances available: {reason}")
    return wait(f"wait for all instances ready: {reason}")


async def _obstacle(ctx: GroupContext[TiKVGroup, TiKV]) -> str | None:
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


def _target(ctx: GroupContext[TiKVGroup, TiKV], revisions: Revisions, *, held: bool) -> Target:
    """While an upgrade is held back, any revision is right: the group is scaled and repaired, but nothing is updated."""
    return Target(
        desired=ctx.group.spec.replicas,
        revision=None if held else revisions.update.revision,
        min_ready_seconds=ctx.min_ready_seconds,
        now=ctx.clock.now(),
        spread=evenly_spread(ctx.group.spec.schedule_policies),
    )
