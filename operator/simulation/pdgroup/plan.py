"""What a PDGroup needs next, and what its status is. Pure functions.

Servers are added all at once and taken away one at a time, as PD's quorum demands: an outdated or surplus server goes only
while all others are ready, or when it isn't ready itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from controller_runtime.api import selector
from controller_runtime.api.k8s import Pod
from tikv_operator.api import Cluster, PDGroup, PDGroupStatus
from tikv_operator.common import conditions, keys
from tikv_operator.simulation.pdgroup import objects

__all__ = ["Plan", "is_ready", "is_suspended", "make_plan", "next_status"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps that can all be taken now.

    Attributes:
        create: numbers of the servers to start.
        delete: pods to delete; their members stay.
        remove: pods to delete, whose members leave the cluster for good.
    """

    create: tuple[int, ...] = ()
    delete: tuple[Pod, ...] = ()
    remove: tuple[Pod, ...] = ()


def is_suspended(cluster: Cluster) -> bool:
    action = cluster.spec.suspend_action
    return action is not None and bool(action.suspend_compute)


def is_ready(pod: Pod) -> bool:
    found = (pod.status.conditions if pod.status else None) or []
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in found)
    return ready and pod.metadata.deletion_timestamp is None


def make_plan(group: PDGroup, pods: Iterable[Pod], revision: str, *, suspended: bool) -> Plan:
    numbered = {number: pod for pod in pods if (number := objects.index_of(group, pod)) is not None}
    living = {number: pod for number, pod in numbered.items() if pod.metadata.deletion_timestamp is None}
    if suspended:
        return Plan(delete=tuple(living.values()))
    create = tuple(number for number in range(group.spec.replicas) if number not in numbered)
    if create or len(living) < len(numbered):
        return Plan(create=create)
    surplus = [number for number in sorted(living, reverse=True) if number >= group.spec.replicas]
    outdated = [number for number in sorted(living, reverse=True) if _revision(living[number]) != revision]
    for number in surplus:
        if _may_go(living, number):
            return Plan(remove=(living[number],))
    for number in outdated:
        if _may_go(living, number):
            return Plan(delete=(living[number],))
    return Plan()


def next_status(
    group: PDGroup, cluster: Cluster, pods: list[Pod], revision: str, *, suspended: bool, now: float
) -> PDGroupStatus:
    """The status that a group should have; the counts are those of TiDB Operator's groups."""
    before = group.status or PDGroupStatus()
    status = msgspec.convert(msgspec.to_builtins(before), PDGroupStatus)
    generation, replicas = group.metadata.generation, group.spec.replicas
    updated = [pod for pod in pods if _revision(pod) == revision]
    ready = [pod for pod in pods if is_ready(pod)]
    synced = len(updated) == len(pods) == replicas
    all_ready = len(ready) == len(pods) == replicas and not suspended
    status.observed_generation = generation
    status.observed_cluster_generation = cluster.metadata.generation
    status.selector = str(selector(objects.group_labels(group)))
    status.replicas = len(pods)
    status.ready_replicas = len(ready)
    status.updated_replicas = len(updated)
    status.update_revision = revision
    if not status.current_revision or (synced and all_ready):
        status.current_revision = revision
    status.current_replicas = sum(_revision(pod) == status.current_revision for pod in pods)
    if synced and all_ready:
        status.version = group.spec.template.spec.version
    found = status.conditions
    for name, holds, reason, message in (
        _suspended(suspended, pods),
        _ready(all_ready),
        _synced((synced and not suspended) or (suspended and not pods)),
    ):
        conditions.set_condition(found, name, holds, reason, message, generation=generation, now=now)
    return status


def _suspended(suspended: bool, pods: list[Pod]) -> tuple[str, bool, str, str]:
    if not suspended:
        return (conditions.SUSPENDED, False, "Unsuspended", "group/instance is unsuspended")
    if pods:
        return (conditions.SUSPENDED, False, "Suspending", "group/instance is suspending")
    return (conditions.SUSPENDED, True, "Suspended", "group/instance is suspended")


def _ready(holds: bool) -> tuple[str, bool, str, str]:
    if holds:
        return (conditions.READY, True, "Ready", "all subreources are ready")
    return (conditions.READY, False, "NotAllInstancesReady", "not all instances are ready")


def _synced(holds: bool) -> tuple[str, bool, str, str]:
    if holds:
        return (conditions.SYNCED, True, "Synced", "all subreources are synced")
    return (conditions.SYNCED, False, "NotAllInstancesUpToDate", "not all instances are up to date")


def _revision(pod: Pod) -> str:
    return pod.metadata.labels.get(keys.LABEL_INSTANCE_REVISION, "")


def _may_go(living: Mapping[int, Pod], number: int) -> bool:
    return not is_ready(living[number]) or all(is_ready(pod) for other, pod in living.items() if other != number)
