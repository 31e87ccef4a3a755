"""Watches an operator's requests for what they could do to a PD cluster: a quorum lost, a leader taken down, a volume gone."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Pod
from controller_runtime.client import Request
from helpers.whole_system import System
from tikv_operator.common.keys import LABEL_COMPONENT, LABEL_INSTANCE
from tikv_operator.simulation.pd import SimulatedPD

__all__ = ["PDQuorum", "pods_of"]


@dataclass
class PDQuorum:
    """Hears of each request of the operator before it is sent, and looks at PD as it is at that moment.

    Attributes:
        wrong: what should not have been asked for, for a person.
        restarts: how many pods of running members were deleted.
        removals: how many members were removed.
        transfers: how often leadership was moved.
    """

    system: System
    cluster: ObjectKey
    wrong: list[str] = field(default_factory=list)
    restarts: int = 0
    removals: int = 0
    transfers: int = 0

    def __post_init__(self) -> None:
        self.system.traffic.watcher = self

    def __call__(self, request: Request) -> None:
        path = request.path.split("/")
        if request.method == "POST" and "transfer" in path:
            self.transfers += 1
        if request.method != "DELETE":
            return
        if "proxy" in path and path[-2] == "id":
            self._member(int(path[-1]))
        elif path[-2] == "pods":
            self._pod(path[-1])
        elif path[-2] == "persistentvolumeclaims":
            self._claim(path[-1])

    def _pod(self, name: str) -> None:
        pod = self.system.world.pod(ObjectKey(self.cluster.namespace, name))
        pd = self._pd()
        if pod is None or pd is None or pod.metadata.labels.get(LABEL_COMPONENT) != "pd" or self._rests():
            return
        own = pod.metadata.labels.get(LABEL_INSTANCE, "")
        running = pd.members.running
        if own not in running or pod.metadata.deletion_timestamp is not None:
            return
        self.restarts += 1
        members = len(pd.members.all())
        if members > 1 and pd.members.leader is not None and pd.members.leader.name == own:
            self.wrong.append(f"the pod of the leader {own} is deleted")
        if members > 2 and (len(running) - 1) * 2 <= members:
            self.wrong.append(f"the pod of {own} is deleted while {len(running)} of {members} members run")

    def _member(self, number: int) -> None:
        pd = self._pd()
        member = next((found for found in pd.members.all() if found.id == number), None) if pd is not None else None
        if pd is None or member is None:
            return
        self.removals += 1
        left = len(pd.members.all()) - 1
        running = len(pd.members.running - {member.name})
        if running * 2 <= left:
            self.wrong.append(f"member {member.name} is removed, which leaves {running} of {left} running")
        if pd.members.leader is not None and pd.members.leader.name == member.name:
            self.wrong.append(f"the leader {member.name} is removed")

    def _claim(self, name: str) -> None:
        pd = self._pd()
        if pd is None or self._rests() or not self.system.world.pds():
            return
        for found in pd.members.all():
            prefix, _, suffix = found.name.rpartition("-")
            if name.endswith(f"-{prefix}-pd-{suffix}"):
                self.wrong.append(f"claim {name} is deleted while {found.name} is a member")

    def _pd(self) -> SimulatedPD | None:
        return self.system.simulation.pd(self.cluster)

    def _rests(self) -> bool:
        """The whole cluster is being suspended or deleted."""
        cluster = self.system.world.cluster(self.cluster)
        if cluster is None or cluster.metadata.deletion_timestamp is not None:
            return True
        action = cluster.spec.suspend_action
        return action is not None and action.suspend_compute is True


def pods_of(system: System, group: ObjectKey) -> list[Pod]:
    """Return the PD pods of a group."""
    return system.world.pods(group, "pd")
