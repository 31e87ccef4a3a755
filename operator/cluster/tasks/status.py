"""Tasks that say how the Cluster is: the size of its components, conditions over its groups, and the write."""

from __future__ import annotations

from controller_runtime.task import Result, complete, retry, task
from tikv_operator.api import ComponentStatus
from tikv_operator.cluster.tasks.state import (
    ClusterContext,
    is_deleting,
    is_suspending,
    pd_is_lost,
    pd_of_another_cluster,
)
from tikv_operator.common.conditions import READY, SUSPENDED, SYNCED, remove_condition
from tikv_operator.common.instances import cond_true_for_cluster
from tikv_operator.common.membership import GROUP_KINDS
from tikv_operator.common.run import failure
from tikv_operator.updater.budget import invalid_budgets

__all__ = ["components", "conditions", "failure", "write"]

PROGRESSING = "Progressing"
AVAILABLE = "Available"
BUDGET_INVALID = "BudgetInvalid"


@task("Components")
async def components(ctx: ClusterContext) -> Result:
    """Add up the wanted instances of each component that has a group."""
    sizes: dict[str, int] = {}
    for group_kind in GROUP_KINDS:
        for group in ctx.groups:
            if isinstance(group, group_kind.kind):
                sizes[group_kind.component] = sizes.get(group_kind.component, 0) + group.spec.replicas
    ctx.status.components = [ComponentStatus(kind=kind, replicas=sizes[kind]) for kind in sorted(sizes)] or None
    return complete(", ".join(f"{kind} {sizes[kind]}" for kind in sorted(sizes)) or "no groups")


@task("Conditions")
async def conditions(ctx: ClusterContext) -> Result:
    """Say what can be said of the Cluster as a whole. A group counts only for the Cluster's current generation."""
    if is_deleting(ctx):
        ctx.observe(PROGRESSING, True, "ClusterDeletion", "Cluster is being deleted")
    else:
        ctx.observe(PROGRESSING, True, "ClusterCreation", "Cluster is being created")
    _set_available(ctx)
    _set_over_groups(ctx, READY, "ClusterReady")
    _set_over_groups(ctx, SYNCED, "ClusterSynced")
    if not is_suspending(ctx):
        ctx.observe(SUSPENDED, False, "ClusterSuspend", "Cluster is not suspended")
    elif _lacking(ctx, SUSPENDED):
        ctx.observe(SUSPENDED, False, "ClusterSuspend", "Cluster is suspending")
    else:
        ctx.observe(SUSPENDED, True, "ClusterSuspend", "Cluster is suspended")
    _keep_budget_invalid(ctx)
    return complete("set the conditions")


@task("Status")
async def write(ctx: ClusterContext) -> Result:
    """Write the status if anything in it changed that somebody waits for, or that has been kept back long enough."""
    ctx.status.observed_generation = ctx.cluster.metadata.generation
    before = ctx.cluster.metadata.resource_version
    left = await ctx.report()
    if left:
        return retry(left, "written together with what comes next")
    return complete("unchanged" if ctx.cluster.metadata.resource_version == before else "updated status")


def _set_available(ctx: ClusterContext) -> None:
    """A cluster is available if its TiDBs are, and of those nothing is known here; without PD it certainly isn't."""
    message = "Cluster is not available"
    if other := pd_of_another_cluster(ctx):
        message = f"{message}: PD at {ctx.status.pd} answers for cluster {other}, not for {ctx.status.id}"
        event = f"{message}; nothing that it says of stores is believed"
        ctx.say_once(AVAILABLE, "PDOfAnotherCluster", message, event=event)
    elif pd_is_lost(ctx) and ctx.pd is not None:
        message = f"{message}: PD at {ctx.status.pd} does not answer"
        event = f"PD at {ctx.status.pd} does not answer: {ctx.pd.error}"
        ctx.say_once(AVAILABLE, "PDUnreachable", message, event=event)
    ctx.observe(AVAILABLE, False, "ClusterAvailable", message)


def _keep_budget_invalid(ctx: ClusterContext) -> None:
    """Keep the condition that is there only while an annotation about the budget is not heeded."""
    message = invalid_budgets(ctx.cluster.metadata.annotations)
    if not message:
        remove_condition(ctx.status.conditions, BUDGET_INVALID)
        return
    ctx.say_once(BUDGET_INVALID, "AnnotationInvalid", message)
    ctx.observe(BUDGET_INVALID, True, "AnnotationInvalid", message)


def _set_over_groups(ctx: ClusterContext, type: str, reason: str) -> None:  # noqa: A002
    lacking = _lacking(ctx, type)
    if not ctx.groups:
        ctx.observe(type, False, reason, "No Groups are currently observed by the controller cache")
    elif lacking:
        message = f"Groups not satisfying {type} for the current Cluster generation: {', '.join(lacking)}"
        ctx.observe(type, False, reason, message)
    else:
        ctx.observe(type, True, reason, f"All Groups have {type}=True for the current Cluster generation")


def _lacking(ctx: ClusterContext, type: str) -> list[str]:  # noqa: A002
    generation = ctx.cluster.metadata.generation
    return [
        f"{group.kind}/{group.metadata.name}"
        for group in ctx.groups
        if not cond_true_for_cluster(group, type, generation)
    ]
