"""The task that tells Kubernetes how many pods of the group a drain may take: what the operator may take itself.

The eviction API refuses pods for which there are two budgets, so a group whose users have made one themselves can do without
ours. The group owns its budget, and takes it along.
"""

from __future__ import annotations

from controller_runtime.api import ObjectKey, ObjectMeta
from controller_runtime.api.k8s import LabelSelector, PodDisruptionBudget, PodDisruptionBudgetSpec
from controller_runtime.client import NotFound, Preconditions, owner_reference
from controller_runtime.task import Result, complete, task
from tikv_operator.common.keys import ANNOTATION_POD_DISRUPTION_BUDGET
from tikv_operator.group.build import group_labels
from tikv_operator.group.tasks.state import AnyGroup

__all__ = ["budget", "pod_disruption_budget"]


@task("PodDisruptionBudget")
async def budget(ctx: AnyGroup) -> Result:
    """Apply the group's PodDisruptionBudget, or delete it if the group doesn't want one."""
    if ctx.group.metadata.annotations.get(ANNOTATION_POD_DISRUPTION_BUDGET) == "false":
        return await _delete(ctx)
    applied = await ctx.client.apply(pod_disruption_budget(ctx))
    return complete(f"pod disruption budget {applied.metadata.name}")


def pod_disruption_budget(ctx: AnyGroup) -> PodDisruptionBudget:
    """Return the budget of a group's pods.

    An instance can be scaled to one replica and no other, which is how Kubernetes learns how many pods there should be.
    """
    labels = group_labels(ctx.component, ctx.group)
    return PodDisruptionBudget(
        metadata=ObjectMeta(
            name=_key(ctx).name,
            namespace=ctx.key.namespace,
            labels=labels,
            owner_references=[owner_reference(ctx.group)],
        ),
        spec=PodDisruptionBudgetSpec(max_unavailable=ctx.most_unavailable, selector=LabelSelector(match_labels=labels)),
    )


def _key(ctx: AnyGroup) -> ObjectKey:
    return ObjectKey(ctx.key.namespace, f"{ctx.key.name}-{ctx.component.name}-pdb")


async def _delete(ctx: AnyGroup) -> Result:
    found = await ctx.client.find(PodDisruptionBudget, _key(ctx))
    if found is None or not any(owner.uid == ctx.group.metadata.uid for owner in found.metadata.owner_references):
        return complete("the group wants no pod disruption budget")
    try:
        await ctx.client.delete(PodDisruptionBudget, found.key, preconditions=Preconditions(uid=found.metadata.uid))
    except NotFound:
        return complete("the pod disruption budget is gone")
    return complete("deleted the pod disruption budget, which the group does not want")
