"""Tasks that say how the group is: conditions, counts, and the write that persists them if anything changed.

Conditions and counts are about the instances as the run began. A condition whose status changes is told as an Event, too.
"""

from __future__ import annotations

from controller_runtime.api import selector
from controller_runtime.task import Result, complete, retry, task, wait
from tikv_operator.common.conditions import READY, SUSPENDED, SYNCED, TRUE, condition_is, find_condition
from tikv_operator.common.instances import cond_true_for_cluster, is_ready
from tikv_operator.common.run import failure
from tikv_operator.group import summary
from tikv_operator.group.build import group_labels
from tikv_operator.group.tasks.state import AnyGroup, is_suspending

__all__ = ["cluster_missing", "failure", "ready", "replicas", "selected", "suspended", "synced", "write"]


@task("GroupStatusSelector")
async def selected(ctx: AnyGroup) -> Result:
    """Say by which labels the instances are found: the scale subresource needs it."""
    ctx.status.selector = str(selector(group_labels(ctx.component, ctx.group)))
    return complete(ctx.status.selector)


@task("CondSuspended")
async def suspended(ctx: AnyGroup) -> Result:
    """Say whether all instances are suspended, under the current generation of the Cluster."""
    generation = ctx.cluster_generation
    ctx.status.observed_cluster_generation = generation
    if not is_suspending(ctx):
        _set(ctx, SUSPENDED, False, "Unsuspended", "group/instance is unsuspended")
        return complete("not suspended")
    left = [found.metadata.name for found in ctx.instances if not cond_true_for_cluster(found, SUSPENDED, generation)]
    if left:
        _set(ctx, SUSPENDED, False, "Suspending", f"group/instance is suspending: {summary.listed(left)}")
        return wait(f"wait until instances are suspended: {summary.listed(left)}")
    _set(ctx, SUSPENDED, True, "Suspended", "group/instance is suspended")
    return complete("suspended")


@task("CondReady")
async def ready(ctx: AnyGroup) -> Result:
    """Say whether there are as many instances as wanted and all of them are ready."""
    count, wanted = sum(map(is_ready, ctx.instances)), ctx.group.spec.replicas
    if count == len(ctx.instances) == wanted:
        _set(ctx, READY, True, "Ready", "all subreources are ready")
        return complete("ready")
    detail = summary.not_ready(ctx.instances, wanted)
    _set(ctx, READY, False, "NotAllInstancesReady", f"not all instances are ready: {detail}")
    return complete(f"not ready: {detail}")


@task("CondSynced")
async def synced(ctx: AnyGroup) -> Result:
    """Say whether there are as many instances as wanted and all of them have come to the update revision."""
    revision, wanted = _update_revision(ctx), ctx.group.spec.replicas
    if not ctx.waiting_for and _at(ctx, revision) == len(ctx.instances) == wanted:
        _set(ctx, SYNCED, True, "Synced", "all subreources are synced")
        return complete("synced")
    detail = ctx.waiting_for or ctx.queued_for or summary.not_synced(ctx.instances, revision, wanted)
    message = f"not all instances are up to date: {detail}"
    if ctx.waiting_for:
        ctx.say_once(SYNCED, ctx.held_back, message)
    _set(ctx, SYNCED, False, "NotAllInstancesUpToDate", message)
    return complete(f"not synced: {detail}")


@task("Status")
async def replicas(ctx: AnyGroup) -> Result:
    """Count instances; when all are there and up to date, the update revision and version become the current ones."""
    status, instances = ctx.status, ctx.instances
    status.replicas = len(instances)
    status.ready_replicas = sum(map(is_ready, instances))
    if ctx.revisions is None:
        # Being deleted: no revision is chosen any more, the last ones stay.
        status.updated_replicas = _at(ctx, status.update_revision or "")
        status.current_replicas = _at(ctx, status.current_revision or "")
        return complete(f"{status.replicas} instances are left")
    update, current = ctx.revisions.update.revision, ctx.revisions.current
    status.updated_replicas = _at(ctx, update)
    status.current_replicas = _at(ctx, current)
    if status.updated_replicas == status.replicas == ctx.group.spec.replicas:
        current = update
        status.current_replicas = status.updated_replicas
        status.version = ctx.group.spec.template.spec.version
    status.update_revision, status.current_revision = update, current
    if ctx.revisions.collision_count:
        status.collision_count = ctx.revisions.collision_count
    return complete(f"{status.ready_replicas} of {ctx.group.spec.replicas} ready, {status.updated_replicas} updated")


@task("UpdateStatus")
async def write(ctx: AnyGroup) -> Result:
    """Write the status if anything in it changed that somebody waits for, or that has been kept back long enough."""
    ctx.status.observed_generation = ctx.group.metadata.generation
    before = ctx.group.metadata.resource_version
    left = await ctx.report()
    if left:
        return retry(left, "written together with what comes next")
    return complete("unchanged" if ctx.group.metadata.resource_version == before else "updated")


@task("CondSynced")
async def cluster_missing(ctx: AnyGroup) -> Result:
    """Say that the group waits for a Cluster that does not exist."""
    message = f"cluster {ctx.group.spec.cluster.name} does not exist"
    ctx.say_once(SYNCED, "ClusterNotFound", message)
    _set(ctx, SYNCED, False, "ClusterNotFound", message)
    return wait(f"wait until {message.replace('does not exist', 'exists')}")


def _update_revision(ctx: AnyGroup) -> str:
    return (ctx.status.update_revision or "") if ctx.revisions is None else ctx.revisions.update.revision


def _at(ctx: AnyGroup, revision: str) -> int:
    """Count the instances that have carried out a revision."""
    return sum(
        instance.status is not None and (instance.status.current_revision or "") == revision
        for instance in ctx.instances
    )


def _is_news(ctx: AnyGroup, type: str) -> bool:  # noqa: A002
    """Return whether people should read that a condition has become True. What is updated gets ready again and again."""
    return type != READY or condition_is(ctx.status.conditions, SYNCED, TRUE)


def _set(ctx: AnyGroup, type: str, status: bool, reason: str, message: str) -> None:  # noqa: A002
    known = find_condition(ctx.status.conditions, type)
    flips = known is not None and not condition_is(ctx.status.conditions, type, str(status))
    ctx.observe(type, status, reason, message)
    if flips and status and _is_news(ctx, type):
        ctx.say(reason, message)
