"""A small world around the planner: instances start, fail, leave and come back in any order while somebody changes the group."""

from __future__ import annotations

from dataclasses import dataclass, field

from helpers.group_instances import NOW, make_tikv
from tikv_operator.api import EvenlySpread, ScheduleTopology, TiKV
from tikv_operator.common.instances import is_available, is_offline, is_offlined
from tikv_operator.updater import CancelOffline, Create, DeferDelete, Delete, SetOffline, Target, Update, plan

__all__ = ["MIN_READY", "SPREAD", "Member", "World", "apply_step"]

MIN_READY = 5.0
SPREAD = EvenlySpread(topologies=[ScheduleTopology(topology={"zone": zone}) for zone in "abc"])


@dataclass
class Member:
    """One instance: what its group wants of it, and how far it has come."""

    revision: str
    topology: dict[str, str] | None
    generation: int = 1
    observed: int = 0
    running_revision: str = ""
    running: bool | None = None
    ready_since: float | None = None
    offline: bool = False
    offlined: bool = False
    deferred: bool = False

    def object(self, name: str, now: float) -> TiKV:
        return make_tikv(
            name,
            revision=self.revision,
            generation=self.generation,
            observed=self.observed,
            ready=self.ready_since is not None,
            ready_for=now - self.ready_since if self.ready_since is not None else 0,
            running=self.running,
            synced=self.running_revision == self.revision,
            offline=self.offline or None,
            offlined=True if self.offlined else None,
            deferred="true" if self.deferred else None,
            topology=self.topology,
            now=now,
        )

    def changed(self) -> None:
        """Its spec is another one now: what was observed is about an older generation."""
        self.generation += 1


@dataclass
class World:
    desired: int
    max_unavailable: int
    spread: EvenlySpread | None
    revision: str = "r0"
    now: float = NOW
    members: dict[str, Member] = field(default_factory=dict)
    created: int = 0

    def objects(self) -> list[TiKV]:
        return [member.object(name, self.now) for name, member in sorted(self.members.items())]

    def available(self) -> int:
        """Instances that serve and have done so for long enough; one that is only marked for later serves, too."""
        return sum(
            is_available(found, MIN_READY, self.now)
            for found in self.objects()
            if not is_offline(found) and not is_offlined(found)
        )

    def reconcile(self) -> bool:
        """Carry out one plan, checking the promise after each action; return whether it says that all is done."""
        target = Target(
            desired=self.desired,
            revision=self.revision,
            min_ready_seconds=MIN_READY,
            now=self.now,
            max_unavailable=self.max_unavailable,
            spread=self.spread,
        )
        found = plan(self.objects(), target)
        for action in found.actions:
            before = self.available()
            self.carry_out(action)
            least = min(before, self.desired - self.max_unavailable)
            assert self.available() >= least, (action, before, self.available())
        return found.done

    def carry_out(self, action: object) -> None:
        match action:
            case Create(topology):
                self.created += 1
                self.members[f"kv-{self.created:04}"] = Member(self.revision, topology)
            case Update(instance):
                self.move(self.members[instance.metadata.name])
            case CancelOffline(instance):
                member = self.members[instance.metadata.name]
                member.offline = False
                self.move(member)
            case SetOffline(instance):
                member = self.members[instance.metadata.name]
                member.offline, member.deferred = True, False
                member.changed()
            case DeferDelete(instance):
                self.members[instance.metadata.name].deferred = True
            case Delete(instance):
                del self.members[instance.metadata.name]

    def move(self, member: Member) -> None:
        member.revision = self.revision
        member.changed()
        member.ready_since = None

    def settle(self, name: str) -> None:
        """Let one instance take the next step of its life."""
        member = self.members[name]
        member.observed = member.generation
        if member.offline and member.offlined:
            del self.members[name]
        elif member.offline:
            member.offlined = True
        else:
            member.running, member.running_revision = True, member.revision
            if member.ready_since is None:
                member.ready_since = self.now

    def fail(self, name: str, *, stops: bool) -> None:
        member = self.members[name]
        member.observed = member.generation
        member.ready_since = None
        member.running = not stops


def apply_step(world: World, step: tuple[str, int]) -> None:
    kind, number = step
    members = sorted(world.members)
    name = members[number % len(members)] if members else None
    match kind:
        case "reconcile":
            world.reconcile()
        case "scale":
            world.desired = number
        case "roll":
            world.revision = f"r{number}"
        case "time":
            world.now += float(number)
        case "settle" if name is not None:
            world.settle(name)
        case "fail" if name is not None:
            world.fail(name, stops=False)
        case "stop" if name is not None:
            world.fail(name, stops=True)
