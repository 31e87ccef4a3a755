"""Tasks that say how an instance is, as conditions of its status.

They change the status in memory; a later task writes it. A task answers "wait" while its condition isn't what it should be:
events will tell when that changes.
"""

from __future__ import annotations

from typing import Final

from controller_runtime.api import parse_time
from controller_runtime.client import ApiError
from controller_runtime.task import Result, complete, task, wait
from tikv_operator.common.conditions import READY, RESTART_REQUIRED, RUNNING, SUSPENDED, SYNCED, find_condition
from tikv_operator.common.errors import SpecInvalid
from tikv_operator.common.pods import not_running_detail, ready_since
from tikv_operator.instance.tasks.state import AnyInstance
from tikv_operator.pdclient import PDError

__all__ = [
    "cluster_missing",
    "deletion_paused",
    "ready",
    "record_failure",
    "restart_required",
    "running",
    "suspended",
    "synced",
]

_NOT_READY: Final = {
    "PodNotCreated": "pod of the instance does not exist",
    "PodTerminating": "pod of the instance is terminating",
    "PodNotReady": "pod of the instance is not ready",
    "InstanceNotHealthy": "instance is not probed as healthy",
}
_SUSPENDED: Final = {
    "Suspended": "group/instance is suspended",
    "Suspending": "group/instance is suspending",
    "Unsuspended": "instance is not suspended",
}
_NOT_SYNCED: Final = {
    "PodNotDeleted": "cluster is suspending or instance is deleting, pod still exists",
    "PodNotUpToDate": "pod is not up to date",
}


@task("CondSuspended")
async def suspended(ctx: AnyInstance) -> Result:
    """Say whether the instance is suspended, and under which Cluster."""
    reason = "Unsuspended" if not ctx.suspending else "Suspended" if ctx.pod is None else "Suspending"
    ctx.observe(SUSPENDED, reason == "Suspended", reason, _SUSPENDED[reason])
    ctx.status.observed_cluster_generation = ctx.cluster.metadata.generation
    return complete(_SUSPENDED[reason])


@task("CondSynced")
async def synced(ctx: AnyInstance) -> Result:
    """Say whether the pod is what the instance says, and what stands in the way."""
    reason = _why_not_synced(ctx)
    if ctx.problems:
        message = "; ".join(problem.message for problem in ctx.problems)
        ctx.observe(SYNCED, False, ctx.problems[0].reason, message)
        return wait(message)
    if reason:
        message = _NOT_SYNCED[reason]
        if ctx.pod_waits:
            message = f"{message}: {ctx.pod_waits}"
        ctx.observe(SYNCED, False, reason, message)
        return wait(message)
    ctx.observe(SYNCED, True, "Synced", "all subreources are synced")
    return complete("instance is synced")


@task("CondRestartRequired")
async def restart_required(ctx: AnyInstance) -> Result:
    """Say what takes effect only when the pod is next recreated. The condition exists only while there is something."""
    if ctx.restart is None:
        return complete("not known")
    if not ctx.restart:
        ctx.drop(RESTART_REQUIRED)
        return complete("nothing waits for a restart")
    message = "; ".join(pending.message for pending in ctx.restart)
    ctx.observe(RESTART_REQUIRED, True, ctx.restart[0].reason, message)
    return complete(message)


def _why_not_synced(ctx: AnyInstance) -> str:
    if ctx.deleting or ctx.suspending:
        return "" if ctx.pod is None else "PodNotDeleted"
    if ctx.pod is None or ctx.pod_terminating or not ctx.is_up_to_date(ctx.pod):
        return "PodNotUpToDate"
    return ""


@task("CondReady")
async def ready(ctx: AnyInstance) -> Result:
    """Say whether the instance serves."""
    reason = _why_not_ready(ctx)
    if reason:
        ctx.observe(READY, False, reason, _NOT_READY[reason])
        return wait(_NOT_READY[reason])
    known, since = find_condition(ctx.status.conditions, READY), ready_since(ctx.pod)
    told = parse_time(known.last_transition_time) if known is not None and known.last_transition_time else None
    if told is not None and since is not None and since > told:
        ctx.drop(READY)  # another pod serves now, which nobody saw being unready: its time counts anew
    ctx.observe(READY, True, "Ready", "all subreources are ready")
    return complete("instance is ready")


def _why_not_ready(ctx: AnyInstance) -> str:
    if ctx.pod is None:
        return "PodNotCreated"
    if ctx.pod_terminating:
        return "PodTerminating"
    if ctx.pod.status is None or ctx.pod.status.phase != "Running" or ready_since(ctx.pod) is None:
        return "PodNotReady"
    return "" if ctx.serves else "InstanceNotHealthy"


@task("CondRunning")
async def running(ctx: AnyInstance) -> Result:
    """Say whether the process runs."""
    message = _observe_running(ctx)
    return wait(message) if message else complete("pod is running")


def _observe_running(ctx: AnyInstance) -> str:
    """Set the condition Running; return why it is False, or an empty text."""
    if ctx.pod is None:
        reason, message = "PodNotCreated", _NOT_READY["PodNotCreated"]
    elif ctx.pod_terminating:
        reason, message = "PodTerminating", _NOT_READY["PodTerminating"]
    elif detail := not_running_detail(ctx.pod, ctx.component.name):
        reason, message = "PodNotRunning", f"pod of the instance is not running, detail: {detail}"
    else:
        ctx.observe(RUNNING, True, "Running", "pod is running")
        return ""
    ctx.observe(RUNNING, False, reason, message)
    return message


# What keeps the pipeline from going on at all


@task("ClusterMissing")
async def cluster_missing(ctx: AnyInstance) -> Result:
    """Say that nothing happens because there is no Cluster."""
    message = f"cluster {ctx.instance.spec.cluster.name} does not exist"
    ctx.observe(SYNCED, False, "ClusterNotFound", message)
    await ctx.write_status()
    return wait(message)


@task("DeletionPaused")
async def deletion_paused(ctx: AnyInstance) -> Result:
    """Say that a deletion has to wait until the Cluster isn't paused any more."""
    message = f"deletion waits: cluster {ctx.cluster.metadata.name} is paused"
    ctx.observe(SYNCED, False, "ClusterPaused", message)
    await ctx.write_status()
    return wait(message)


async def record_failure(ctx: AnyInstance, task_name: str, result: Result) -> None:
    """After a failed run, persist what it found out, and which task failed why.

    What later tasks would have said stays as it was: it is old, and its `observedGeneration` says so.
    """
    if ctx.found is None or task_name in ("Status", "UpdateStatus"):
        return
    ctx.observe(SYNCED, False, _failure_reason(result.error), f"{task_name}: {result.message}")
    if ctx.found_cluster is not None and ctx.pod is not None:
        _observe_running(ctx)
    await ctx.write_status()


def _failure_reason(error: BaseException | None) -> str:
    match error:
        case SpecInvalid():
            return error.reason
        case PDError():
            return "PDRequestFailed"
        case ApiError():
            return "APIRequestFailed"
        case _:
            return "TaskFailed"
