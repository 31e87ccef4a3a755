"""What one reconcile of an instance knows, whatever its kind, and the conditions of the pipelines.

A context is made for each run and used by that run alone. Tasks fill it in the order of the pipeline: what a task needs was found
by an earlier one. Everything here is synchronous, but for writing the status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

from controller_runtime.api.k8s import Pod
from tikv_operator.api import Cluster, CommonStatus, PDStatus, TiKV, TiKVStatus
from tikv_operator.common.conditions import (
    READY,
    SUSPENDED,
    SYNCED,
    TRUE,
    find_condition,
    remove_condition,
)
from tikv_operator.common.features import enabled_features
from tikv_operator.common.instances import Instance
from tikv_operator.common.keys import LABEL_INSTANCE_REVISION
from tikv_operator.common.metrics import InstanceMetrics
from tikv_operator.common.pace import OF_INSTANCE, WaitedFor, persisted_status
from tikv_operator.common.pods import is_terminating
from tikv_operator.common.run import RunContext
from tikv_operator.instance.component import InstanceComponent
from tikv_operator.volume.modifier import VolumeModifier

__all__ = [
    "BEING_MODIFIED",
    "AnyInstance",
    "InstanceContext",
    "News",
    "Problem",
    "cluster_is_deleting",
    "cluster_is_paused",
    "cluster_is_suspending",
    "common_news",
    "has_no_cluster",
    "is_deleting",
    "is_gone",
]

I = TypeVar("I", bound=Instance)  # noqa: E741 (an instance kind)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps an instance from being what its spec says, without stopping the rest of the run.

    Attributes:
        reason: one CamelCase word, for the condition Synced and an Event.
        message: a sentence for a person.
    """

    reason: str
    message: str


class News(NamedTuple):
    """An Event: its reason, and whether it is a warning."""

    reason: str
    warning: bool = False


BEING_MODIFIED: Final = "VolumeBeingModified"
"""The reason why an instance is not synced while its cloud changes one of its volumes."""

_ORDINARY = frozenset({"PodNotUpToDate", "PodNotDeleted", BEING_MODIFIED})
"""Reasons why an instance is not synced that every change of it goes through."""


def common_news(condition: str, *, status: bool, reason: str, old_status: str, old_reason: str) -> News | None:
    """Return the Event about a condition that changed, or None if it is no news.

    Args:
        condition: its type.
        old_status: empty, like `old_reason`, if there was no such condition.
    """
    if reason == old_reason:
        return None
    if condition == READY:
        if status:
            return News("Ready")
        return News(reason, warning=True) if old_status == TRUE else None
    if condition == SYNCED:
        return None if status or reason in _ORDINARY else News(reason, warning=True)
    if condition == SUSPENDED:
        return None if reason == "Unsuspended" and not old_reason else News(reason)
    return None


@dataclass(slots=True, kw_only=True)
class InstanceContext(RunContext[I], Generic[I]):
    """The state of one run.

    Attributes:
        cluster_missing: its Cluster doesn't exist.
        pod_deleted: this run has deleted the pod.
        healthy: the instance serves.
        problems: what the condition Synced must tell.
        restart: what the condition RestartRequired must tell; None: nobody has looked.
        pod_waits: what the pod waits for before it can be what it should be.
        volume_modifiers: change volumes through the API of their cloud, by the driver.
    """

    waited_for: ClassVar[WaitedFor] = OF_INSTANCE

    component: InstanceComponent
    metrics: InstanceMetrics
    kind: type[I]

    found_cluster: Cluster | None = None
    cluster_missing: bool = False
    pod: Pod | None = None
    pod_deleted: bool = False
    healthy: bool = False
    problems: list[Problem] = field(default_factory=list)
    restart: list[Problem] | None = None
    pod_waits: str = ""
    volume_modifiers: Mapping[str, VolumeModifier] = field(default_factory=dict)
    news: Callable[..., News | None] = common_news

    # What tasks ask for

    @property
    def instance(self) -> I:
        return self.present()

    @property
    def cluster(self) -> Cluster:
        return _present(self.found_cluster, "the Cluster")

    @property
    def status(self) -> CommonStatus:
        """The status that the run has worked out so far; written by `write_status`."""
        instance = self.instance
        if instance.status is None:
            if isinstance(instance, TiKV):
                instance.status = TiKVStatus()
            else:
                instance.status = PDStatus()
        return instance.status

    @property
    def now(self) -> float:
        """Wall-clock seconds."""
        return self.clock.now()

    @property
    def generation(self) -> int:
        return self.instance.metadata.generation

    @property
    def deleting(self) -> bool:
        return self.instance.metadata.deletion_timestamp is not None

    @property
    def suspending(self) -> bool:
        action = self.cluster.spec.suspend_action
        return action is not None and action.suspend_compute is True

    @property
    def pod_terminating(self) -> bool:
        return self.pod_deleted or is_terminating(self.pod)

    @property
    def serves(self) -> bool:
        """The instance does what it is there for, as its cluster sees it."""
        return self.healthy

    def is_replaced(self) -> bool:
        """The pod is down, or new, because the spec asks for another one: nothing that somebody should be warned of."""
        persisted = persisted_status(self.instance)
        known = find_condition(persisted.conditions, SYNCED) if persisted is not None else None
        if known is None or known.status == TRUE or known.reason not in _ORDINARY:
            return False
        return self.pod is None or self.pod_terminating or self.is_up_to_date(self.pod)

    def is_up_to_date(self, pod: Pod) -> bool:
        """Return whether a pod is of the instance's revision."""
        label = LABEL_INSTANCE_REVISION
        return pod.metadata.labels.get(label) == self.instance.metadata.labels.get(label)

    def replacement_news(self) -> News | None:
        """Return the Event about an instance that isn't ready because its pod is replaced; None if another one has told."""
        return News("Restarting")

    @property
    def features(self) -> frozenset[str]:
        return enabled_features(self.instance, self.cluster)

    # What tasks say

    def observe(self, type: str, status: str | bool, reason: str, message: str) -> None:  # noqa: A002 (the field's name)
        """Set a condition, and remember the Event that people should read about the change."""
        conditions = self.status.conditions
        before = find_condition(conditions, type)
        old_status, old_reason = ("", "") if before is None else (before.status, before.reason)
        RunContext.observe(self, type, status, reason, message)
        new = find_condition(conditions, type)
        news = self.news(
            type,
            status=new is not None and new.status == TRUE,
            reason=reason,
            old_status=old_status,
            old_reason=old_reason,
        )
        if news is not None and type == READY and news.warning and self.is_replaced():
            news, message = self.replacement_news(), f"the pod is replaced: {message}"
        if news is not None:
            self.say(news.reason, message, warning=news.warning)

    def drop(self, type: str) -> None:  # noqa: A002 (the field's name)
        """Remove a condition."""
        remove_condition(self.status.conditions, type)

    def problem(self, reason: str, message: str) -> None:
        """Say what can't be done; the run goes on."""
        self.problems.append(Problem(reason, message))

    def needs_restart(self, reason: str, message: str) -> None:
        """Say what takes effect only when the pod is next recreated. Nothing of that kind recreates it."""
        self.restart = [*(self.restart or ()), Problem(reason, message)]


AnyInstance = InstanceContext[Any]
"""What a task needs that works on instances of every kind."""


def _present(value: T | None, what: str) -> T:
    if value is None:
        msg = f"a task that needs {what} ran although there is none: the pipeline must break before it"
        raise RuntimeError(msg)
    return value


# The conditions of the pipeline


def is_gone(ctx: AnyInstance) -> bool:
    """The instance doesn't exist."""
    return ctx.found is None


def has_no_cluster(ctx: AnyInstance) -> bool:
    """The Cluster doesn't exist."""
    return ctx.cluster_missing


def cluster_is_paused(ctx: AnyInstance) -> bool:
    """Nobody may touch anything."""
    return ctx.cluster.spec.paused is True


def cluster_is_deleting(ctx: AnyInstance) -> bool:
    """The whole cluster goes: its data needn't be moved anywhere."""
    return ctx.cluster.metadata.deletion_timestamp is not None


def is_deleting(ctx: AnyInstance) -> bool:
    """Somebody has deleted the instance."""
    return ctx.deleting


def cluster_is_suspending(ctx: AnyInstance) -> bool:
    """Pods are to go and volumes to stay."""
    return ctx.suspending
