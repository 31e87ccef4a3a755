"""What to do with the instances of a group now: a list of actions, from instances, numbers and the wanted revision.

The planner is the executor's actor: it chooses the instance for each step and writes the step down. Nothing is carried out
here; whoever does it stops at the first action that fails and plans again from what it then sees.

A store is removed in two steps. First the instance is told to go offline, which can be taken back; when its store has
left the cluster, the instance is deleted. An outdated instance that is too many is only marked, and goes offline when
everything else is of the wanted revision: until then it serves.

Pure: the instances are read, never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from tikv_operator.api import EvenlySpread
from tikv_operator.common.instances import (
    Instance,
    available_in,
    is_deleting,
    is_not_running,
    is_offline,
    is_offlined,
)
from tikv_operator.common.keys import LABEL_INSTANCE_REVISION
from tikv_operator.updater.classify import Classes, classify, is_unavailable_update
from tikv_operator.updater.executor import Counts, execute
from tikv_operator.updater.selectors import Policy, choose, not_running, preferred, priority, unready
from tikv_operator.updater.topology import TopologyPolicy

__all__ = [
    "Action",
    "CancelOffline",
    "Create",
    "DeferDelete",
    "Delete",
    "Plan",
    "SetOffline",
    "Target",
    "Update",
    "plan",
]

I = TypeVar("I", bound=Instance)  # noqa: E741 (an instance kind)


@dataclass(frozen=True, slots=True)
class Create:
    """Create an instance of the wanted revision."""

    topology: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Update(Generic[I]):
    """Move an instance to the wanted revision; it keeps its name, its topology and its data."""

    instance: I


@dataclass(frozen=True, slots=True)
class CancelOffline(Generic[I]):
    """Take the removal of an instance's store back, and move it to the wanted revision."""

    instance: I


@dataclass(frozen=True, slots=True)
class SetOffline(Generic[I]):
    """Ask for the removal of an instance's store."""

    instance: I


@dataclass(frozen=True, slots=True)
class DeferDelete(Generic[I]):
    """Mark an outdated instance: it is removed when everything else is of the wanted revision."""

    instance: I


@dataclass(frozen=True, slots=True)
class Delete(Generic[I]):
    """Delete an instance that has no store to lose any more."""

    instance: I


Action = Create | Update[I] | CancelOffline[I] | SetOffline[I] | DeferDelete[I] | Delete[I]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a group should be.

    Attributes:
        revision: the revision that instances should have; None if the one they have will do.
        min_ready_seconds: how long an instance must have been ready to be counted on.
        two_steps: instances have a store that must leave the cluster before they are deleted.
        only: names of the instances that may be taken down to be updated; None: any.
        spared: names of instances that are updated and removed after all others, e.g. the one that leads.
    """

    desired: int
    revision: str | None
    min_ready_seconds: float
    now: float
    max_surge: int = 0
    max_unavailable: int = 1
    spread: EvenlySpread | None = None
    two_steps: bool = True
    only: frozenset[str] | None = None
    spared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan(Generic[I]):
    """What to do.

    Attributes:
        actions: in the order in which they are to be carried out.
        done: nothing is left to do after these actions.
        available_after: seconds until the next instance that is ready counts as available; None if none is about to.
    """

    actions: tuple[Action[I], ...]
    done: bool
    available_after: float | None


def plan(instances: Sequence[I], target: Target) -> Plan[I]:
    """Plan the next actions of a group.

    Args:
        instances: all of the group, sorted by name.

    Raises:
        SpecInvalid: the group's topologies can't be used.
    """
    planner = _Planner(instances, target)
    available_after = planner.available_after()
    done = execute(
        planner,
        planner.counts(),
        desired=target.desired,
        max_surge=target.max_surge,
        max_unavailable=target.max_unavailable,
    )
    return Plan(tuple(planner.actions), done, available_after)


@final
class _Planner(Generic[I]):
    """The actor behind `plan`: each method chooses an instance, records the action, and counts it where it now belongs."""

    def __init__(self, instances: Sequence[I], target: Target) -> None:
        self._target = target
        self._classes: Classes[I] = classify(instances, target.revision)
        self._unavailable = {
            instance.metadata.name
            for instance in self._classes.update
            if is_unavailable_update(instance, target.min_ready_seconds, target.now)
        } | {instance.metadata.name for instance in self._classes.outdated if is_not_running(instance)}
        self._new = 0
        self._deferred: list[I] = []
        self._topology = TopologyPolicy(
            target.spread,
            (
                (instance.metadata.name, instance.spec.topology, self._is_wanted(instance))
                for instance in instances
                if not is_deleting(instance)
            ),
        )
        self.actions: list[Action[I]] = []

    def counts(self) -> Counts:
        update = [instance.metadata.name for instance in self._classes.update]
        outdated = [instance.metadata.name for instance in self._classes.outdated]
        return Counts(
            update=len(update),
            outdated=len(outdated),
            unavailable_update=len(self._unavailable.intersection(update)),
            unavailable_outdated=len(self._unavailable.intersection(outdated)),
        )

    def available_after(self) -> float | None:
        """Nobody sends an event when an instance has been ready for long enough, so somebody has to look again."""
        target = self._target
        staying = self._classes.update + self._classes.outdated
        left = (available_in(instance, target.min_ready_seconds, target.now) for instance in staying)
        return min((seconds for seconds in left if seconds), default=None)

    def scale_out(self) -> None:
        leaving = self._classes.being_offline
        if leaving:
            instance = choose(leaving, priority)
            leaving.remove(instance)
            self.actions.append(CancelOffline(instance))
            self._moved(instance)
            return
        topology = self._topology.place()
        # The name is not known yet; no instance can be called like this.
        self._topology.added(f"+{self._new}", topology)
        self._new += 1
        self.actions.append(Create(topology))

    def update(self, *, unavailable: bool) -> bool:
        outdated = self._classes.outdated
        candidates = self._only_unavailable(outdated) if unavailable else self._only_allowed(outdated)
        if not candidates:
            return False
        instance = choose(candidates, self._not_spared, not_running, unready, self._not_counted_on, priority)
        outdated.remove(instance)
        self.actions.append(Update(instance))
        self._moved(instance)
        return True

    def scale_in_update(self, *, unavailable: bool) -> bool:
        update = self._classes.update
        candidates = self._only_unavailable(update) if unavailable else update
        instance = choose(candidates, *self._scale_in_policies())
        update.remove(instance)
        self._topology.removed(instance.metadata.name)
        self._remove(instance)
        return instance.metadata.name in self._unavailable

    def scale_in_outdated(self) -> bool:
        outdated = self._classes.outdated
        instance = choose(outdated, *self._scale_in_policies())
        outdated.remove(instance)
        self._topology.removed(instance.metadata.name)
        self._deferred.append(instance)
        self.actions.append(DeferDelete(instance))
        return instance.metadata.name in self._unavailable

    def cleanup(self) -> None:
        # What this very run has marked needs no mark any more.
        self.actions = [action for action in self.actions if not isinstance(action, DeferDelete)]
        for instance in sorted(self._classes.deleted + self._deferred, key=lambda instance: instance.metadata.name):
            self._remove(instance)

    def _remove(self, instance: I) -> None:
        settled = not self._target.two_steps or is_offline(instance) or is_offlined(instance)
        self.actions.append(Delete(instance) if settled else SetOffline(instance))

    def _moved(self, instance: I) -> None:
        self._topology.added(instance.metadata.name, instance.spec.topology)

    def _is_wanted(self, instance: I) -> bool:
        revision = self._target.revision
        return revision is None or instance.metadata.labels.get(LABEL_INSTANCE_REVISION) == revision

    def _only_unavailable(self, instances: Sequence[I]) -> list[I]:
        return [instance for instance in instances if instance.metadata.name in self._unavailable]

    def _only_allowed(self, instances: Sequence[I]) -> Sequence[I]:
        allowed = self._target.only
        return instances if allowed is None else [found for found in instances if found.metadata.name in allowed]

    def _not_spared(self, instances: Sequence[I]) -> Sequence[I]:
        return [instance for instance in instances if instance.metadata.name not in self._target.spared]

    def _not_counted_on(self, instances: Sequence[I]) -> Sequence[I]:
        """Prefer instances that became ready only just now: they are not available yet, so updating them costs nothing."""
        minimum, now = self._target.min_ready_seconds, self._target.now
        return [instance for instance in instances if available_in(instance, minimum, now) != 0.0]

    def _scale_in_policies(self) -> tuple[Policy[I], ...]:
        return (preferred(self._topology.surplus()), self._not_spared, not_running, unready, priority)
