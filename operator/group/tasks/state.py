"""What one reconcile of a group works with and has found out so far.

A context belongs to one run: tasks read it and write it, one after the other. Conditions of the pipeline are plain functions
of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from tikv_operator.api import Cluster, GroupStatus, PDGroup, PDGroupStatus, TiKVGroupStatus
from tikv_operator.common.instances import Group, Instance
from tikv_operator.common.pace import OF_GROUP, WaitedFor
from tikv_operator.common.run import RunContext
from tikv_operator.group.allocation import NameAllocator
from tikv_operator.group.build import Blueprint
from tikv_operator.group.component import GroupComponent

__all__ = [
    "AnyGroup",
    "GroupContext",
    "Revisions",
    "cluster_is_deleting",
    "cluster_is_missing",
    "cluster_is_paused",
    "features_are_not_copied",
    "is_deleting",
    "is_gone",
    "is_suspending",
]

G = TypeVar("G", bound=Group)
I = TypeVar("I", bound=Instance)  # noqa: E741 (an instance kind)


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions of a group.

    Attributes:
        update: the one its spec amounts to.
        current: the name of the one all instances were last at.
        previous: what instances of `current` are made from; None if that is not known any more.
        collision_count: how often the name of `update` was taken.
    """

    update: Blueprint
    current: str
    previous: Blueprint | None
    collision_count: int


@dataclass(slots=True, kw_only=True)
class GroupContext(RunContext[G], Generic[G, I]):
    """See the module docstring.

    Attributes:
        component: what is particular to this kind of group.
        cluster: the group's Cluster; None if it does not exist.
        instances: the group's instances as the run began, sorted by name.
        revisions: None until they are chosen.
        waiting_for: why instances are not updated now, for the status: something that people should be warned of.
        queued_for: the same for what is as it should be.
    """

    waited_for: ClassVar[WaitedFor] = OF_GROUP

    component: GroupComponent[G, I]
    names: NameAllocator
    cluster: Cluster | None = None
    instances: list[I] = field(default_factory=list)
    revisions: Revisions | None = None
    waiting_for: str = ""
    queued_for: str = ""

    @property
    def group(self) -> G:
        """The group, in tasks that run only if there is one."""
        return self.present()

    @property
    def status(self) -> GroupStatus:
        """The group's status, to be changed in place."""
        group = self.group
        if group.status is None:
            if isinstance(group, PDGroup):
                group.status = PDGroupStatus()
            else:
                group.status = TiKVGroupStatus()
        return group.status

    @property
    def cluster_generation(self) -> int:
        return 0 if self.cluster is None else self.cluster.metadata.generation

    @property
    def held_back(self) -> str:
        """The reason of the Event about `waiting_for`."""
        return "UpgradeHeldBack"

    @property
    def most_unavailable(self) -> int:
        """How many instances may be down together."""
        return 1

    @property
    def min_ready_seconds(self) -> float:
        own = self.group.spec.min_ready_seconds
        return self.settings.default_min_ready_seconds if own is None else float(own)


AnyGroup = GroupContext[Any, Any]
"""What a task needs that works on groups of every kind."""


def is_gone(ctx: AnyGroup) -> bool:
    return ctx.found is None


def is_deleting(ctx: AnyGroup) -> bool:
    return ctx.group.metadata.deletion_timestamp is not None


def cluster_is_missing(ctx: AnyGroup) -> bool:
    return ctx.cluster is None


def cluster_is_deleting(ctx: AnyGroup) -> bool:
    return ctx.cluster is not None and ctx.cluster.metadata.deletion_timestamp is not None


def cluster_is_paused(ctx: AnyGroup) -> bool:
    return ctx.cluster is not None and bool(ctx.cluster.spec.paused)


def features_are_not_copied(ctx: AnyGroup) -> bool:
    """The Cluster controller copies the Cluster's features; until it has, nothing may be made from them."""
    wanted = [gate.name for gate in (ctx.cluster.spec.feature_gates or ())] if ctx.cluster is not None else []
    return (ctx.group.spec.features or []) != wanted


def is_suspending(ctx: AnyGroup) -> bool:
    action = ctx.cluster.spec.suspend_action if ctx.cluster is not None else None
    return action is not None and bool(action.suspend_compute)
