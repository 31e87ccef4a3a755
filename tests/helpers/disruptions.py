"""Watches an operator's requests for the damage they could do: pods taken down together, stores and volumes removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Pod
from controller_runtime.client import Request
from helpers.whole_system import System
from tikv_operator.api import TiKV
from tikv_operator.common.keys import LABEL_INSTANCE
from tikv_operator.common.names import tikv_pod_name
from tikv_operator.common.pods import ready_since
from tikv_operator.simulation import StoreView


@dataclass
class Disruptions:
    """Hears of each request of the operator before it is sent, and looks at the world as it is at that moment.

    Attributes:
        wrong: what should not have been asked for, for a person.
        pods: how many pods that served were deleted.
        stores: how many removals of stores were asked of PD.
        wanted: when the user asked for how many instances, if the test says so.
    """

    system: System
    cluster: ObjectKey
    wrong: list[str] = field(default_factory=list)
    pods: int = 0
    stores: int = 0
    wanted: list[tuple[float, int]] = field(default_factory=list)
    _kinds: dict[str, Callable[[str], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._kinds = {"pods": self._pod, "persistentvolumeclaims": self._claim}
        self.system.traffic.watcher = self

    def __call__(self, request: Request) -> None:
        path = request.path.split("/")
        if request.method == "PATCH" and path[-2] == "tikvs" and b'"offline":true' in (request.body or b""):
            self._offline(path[-1])
        if request.method != "DELETE":
            return
        if "proxy" in path and path[-2] == "store":
            self._store(path[-1])
        elif path[-2] in self._kinds:
            self._kinds[path[-2]](path[-1])

    def _pod(self, name: str) -> None:
        pod = self.system.world.pod(ObjectKey(self.cluster.namespace, name))
        if pod is None or not _serves(pod) or self._cluster_rests():
            return
        own = self._tikv(pod.metadata.labels.get(LABEL_INSTANCE, ""))
        if own is None or own.metadata.deletion_timestamp is not None:
            return  # its store has left the cluster: `_claim` looks at that
        self.pods += 1
        by_address = {store.address.split(".")[0]: store for store in self._stores()}
        for tikv in self.system.world.tikvs():
            other = tikv_pod_name(tikv.metadata.name)
            store = by_address.get(other)
            if tikv.key == own.key or store is None or store.node_state == "Removed" or store.state == "Down":
                continue
            found = self.system.world.pod(ObjectKey(self.cluster.namespace, other))
            if found is None or not _serves(found):
                self.wrong.append(f"pod {name} is taken down while {other} does not serve")

    def _offline(self, name: str) -> None:
        """More stores may not leave than the group has too many: by what the user wants now, or wanted a moment ago."""
        own = self._tikv(name)
        if own is None or own.metadata.deletion_timestamp is not None or not self.wanted:
            return
        now = self.system.clock.now()
        recent = [replicas for at, replicas in self.wanted if at > now - 2.0]
        least = min([*recent, self.wanted[-1][1]] if len(recent) == len(self.wanted) else [*recent, self._before(now)])
        staying = [
            t for t in self.system.world.tikvs() if t.spec.offline is not True and not t.metadata.deletion_timestamp
        ]
        if len(staying) - 1 < least:
            self.wrong.append(f"{name} is set offline, which leaves {len(staying) - 1} of {least}")

    def _before(self, now: float) -> int:
        return next(replicas for at, replicas in reversed(self.wanted) if at <= now - 2.0)

    def _store(self, store_id: str) -> None:
        self.stores += 1
        store = next((store for store in self._stores() if str(store.id) == store_id), None)
        owner = next(
            (
                t
                for t in self.system.world.tikvs()
                if store and store.address.startswith(tikv_pod_name(t.metadata.name))
            ),
            None,
        )
        if owner is None or owner.spec.offline is not True:
            self.wrong.append(
                f"store {store_id} is removed although nobody set {owner and owner.metadata.name} offline"
            )

    def _claim(self, name: str) -> None:
        if self._cluster_rests():
            return
        living = {store.address.split(".")[0]: store for store in self._stores() if store.node_state != "Removed"}
        pod = name.partition("-")[2]  # <volume>-<pod>
        if pod in living:
            self.wrong.append(f"claim {name} is deleted while store {living[pod].id} is {living[pod].node_state}")

    def _stores(self) -> list[StoreView]:
        return self.system.simulation.stores(self.cluster)

    def _tikv(self, name: str) -> TiKV | None:
        return next((tikv for tikv in self.system.world.tikvs() if tikv.metadata.name == name), None)

    def _cluster_rests(self) -> bool:
        """The whole cluster is being suspended or deleted."""
        cluster = self.system.world.cluster(self.cluster)
        if cluster is None or cluster.metadata.deletion_timestamp is not None:
            return True
        action = cluster.spec.suspend_action
        return action is not None and action.suspend_compute is True


def _serves(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is None and ready_since(pod) is not None
