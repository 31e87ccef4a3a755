"""The task that brings the group's instances to what its spec says: scale out and in, roll, repair.

What to do is planned by `tikv_operator.updater`; this task asks whether an upgrade may begin, carries the plan out action by
action, and says what has to happen before the next step. Each action is one request that fails if the instance has changed
since it was read; then the run ends, and the next one plans from what is there.
"""

from __future__ import annotations

from controller_runtime.api import ObjectKey
from controller_runtime.client import NotFound, Preconditions, merge_patch
from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.api import TiKV
from tikv_operator.common.keys import ANNOTATION_DEFER_DELETE
from tikv_operator.common.membership import CLUSTER_INDEX
from tikv_operator.tikvgroup import build
from tikv_operator.tikvgroup.summary import not_available
from tikv_operator.tikvgroup.tasks.state import GroupContext, Revisions
from tikv_operator.tikvgroup.upgrade import BEFORE_TIKV, is_upgrade, upgrade_obstacle
from tikv_operator.updater import (
    Action,
    CancelOffline,
    Create,
    DeferDelete,
    Delete,
    SetOffline,
    Target,
    Update,
    evenly_spread,
    plan,
)

__all__ = ["update"]


@task("Updater")
async def update(ctx: GroupContext) -> Result:
    """Take the next steps towards the group's spec, as far as the budget of unavailable instances allows."""
    if ctx.revisions is None:
        msg = "the updater needs the group's revisions"
        raise AssertionError(msg)
    obstacle = await _obstacle(ctx)
    if obstacle:
        ctx.waiting_for = f"upgrade to {ctx.group.spec.template.spec.version} waits: {obstacle}"
    target = _target(ctx, ctx.revisions, held=bool(obstacle))
    planned = plan(ctx.instances, target)
    step = _Step(ctx, ctx.revisions, held=bool(obstacle))
    for action in planned.actions:
        await step.carry_out(action)
    if obstacle:
        # An event of the other group ends the wait; the delay is for what no event tells.
        return retry(ctx.settings.upgrade_check, ctx.waiting_for)
    if planned.done:
        return complete("all instances are synced")
    reason = not_available(ctx.instances, target.desired, target.min_ready_seconds, target.now)
    if planned.available_after is not None:
        return retry(planned.available_after, f"wait for all instances available: {reason}")
    return wait(f"wait for all instances ready: {reason}")


async def _obstacle(ctx: GroupContext) -> str | None:
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


def _target(ctx: GroupContext, revisions: Revisions, *, held: bool) -> Target:
    """While an upgrade is held back, any revision is right: the group is scaled and repaired, but nothing is updated."""
    return Target(
        desired=ctx.group.spec.replicas,
        revision=None if held else revisions.update.revision,
        min_ready_seconds=ctx.min_ready_seconds,
        now=ctx.clock.now(),
        spread=evenly_spread(ctx.group.spec.schedule_policies),
    )


class _Step:
    """Carries out actions, one request each."""

    def __init__(self, ctx: GroupContext, revisions: Revisions, *, held: bool) -> None:
        self._ctx = ctx
        self._held = held
        # Held back, new instances are what the others were last.
        self._blueprint = revisions.previous if held else revisions.update
        self._names = ctx.names.candidates(ctx.group)

    async def carry_out(self, action: Action[TiKV]) -> None:
        match action:
            case Create(topology):
                await self._create(topology)
            case Update(instance):
                await self._apply(instance)
                self._tell("Updating", f"{instance.metadata.name} to revision {self._revision}")
            case CancelOffline(instance):
                await (self._keep(instance) if self._held else self._apply(instance))
                self._tell("OfflineCanceled", f"{instance.metadata.name} stays in the cluster")
            case SetOffline(instance):
                await self._patch(instance, {ANNOTATION_DEFER_DELETE: None}, offline=True)
                self._tell("GoingOffline", f"{instance.metadata.name} leaves the cluster")
            case DeferDelete(instance):
                await self._patch(instance, {ANNOTATION_DEFER_DELETE: "true"})
                self._tell("DeleteDeferred", f"{instance.metadata.name} is removed when all others are up to date")
            case Delete(instance):
                await self._delete(instance)

    @property
    def _revision(self) -> str:
        return "" if self._blueprint is None else self._blueprint.revision

    async def _create(self, topology: dict[str, str] | None) -> None:
        ctx = self._ctx
        if self._blueprint is None or ctx.cluster is None:
            ctx.waiting_for += "; no instance can be created before, because the current revision is not known any more"
            return
        wanted = build.tikv(
            ctx.group,
            self._blueprint,
            name=await self._free_name(),
            subdomain=build.new_subdomain(ctx.group, ctx.cluster),
            topology=topology,
        )
        await ctx.client.apply(wanted)
        self._tell("Created", f"{wanted.metadata.name} at revision {self._revision}")

    async def _free_name(self) -> str:
        """Return the next name that no TiKV has, of whatever group."""
        for name in self._names:
            if await self._ctx.client.find(TiKV, ObjectKey(self._ctx.key.namespace, name)) is None:
                return name
        msg = "the candidates for names ended"
        raise AssertionError(msg)

    async def _apply(self, instance: TiKV) -> None:
        """Make an instance what the revision says. It keeps its name, its subdomain and its topology."""
        if self._blueprint is None:
            msg = f"no revision to move {instance.metadata.name} to"
            raise AssertionError(msg)
        wanted = build.tikv(
            self._ctx.group,
            self._blueprint,
            name=instance.metadata.name,
            subdomain=instance.spec.subdomain,
            topology=instance.spec.topology,
            resource_version=instance.metadata.resource_version,
        )
        await self._ctx.client.apply(wanted)

    async def _keep(self, instance: TiKV) -> None:
        await self._patch(instance, {}, offline=False)

    async def _patch(self, instance: TiKV, annotations: dict[str, str | None], *, offline: bool | None = None) -> None:
        body: dict[str, object] = {
            "metadata": {"resourceVersion": instance.metadata.resource_version}
            | ({"annotations": annotations} if annotations else {})
        }
        if offline is not None:
            body["spec"] = {"offline": offline}
        await self._ctx.client.patch(TiKV, instance.key, merge_patch(body))

    async def _delete(self, instance: TiKV) -> None:
        metadata = instance.metadata
        preconditions = Preconditions(uid=metadata.uid, resource_version=metadata.resource_version)
        try:
            await self._ctx.client.delete(TiKV, instance.key, preconditions=preconditions)
        except NotFound:
            return  # its own controller was faster
        self._tell("Deleted", f"{metadata.name} has left the cluster")

    def _tell(self, reason: str, message: str) -> None:
        self._ctx.events.normal(self._ctx.group, reason, message)
