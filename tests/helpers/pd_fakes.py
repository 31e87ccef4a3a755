"""A PD, what belongs to it, and contexts whose PD cluster is what a test says, as short calls."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry

from controller_runtime.api import Condition, Object, ObjectMeta, OwnerReference, format_time
from controller_runtime.api.k8s import (
    ContainerState,
    ContainerStateRunning,
    ContainerStatus,
    Pod,
    PodCondition,
    PodStatus,
)
from helpers.tikv_fakes import NOW, FakeClient, FixedClock, RecordedEvents, SilentLog, make_cluster
from tikv_operator.api import (
    PD,
    Cluster,
    ClusterReference,
    PDGroup,
    PDSpec,
    PDStatus,
    UpdateStrategy,
    Volume,
    VolumeMount,
)
from tikv_operator.common.metrics import InstanceMetrics
from tikv_operator.common.names import pod_name
from tikv_operator.common.settings import Settings
from tikv_operator.pd.component import PD_SERVER
from tikv_operator.pd.pod import render_pod
from tikv_operator.pd.tasks.state import PDContext
from tikv_operator.pdclient import Member, MemberHealth, Members, PDSnapshot

__all__ = ["FakeMembers", "make_member", "make_pd", "make_pd_pod", "pd_context", "with_ready"]

REVISION = "basic-pd-9f6f5d95c"
CLUSTER_ID = "7452180154224557728"


def make_pd(
    name: str = "basic-abc123",
    *,
    status: PDStatus | None = None,
    annotations: dict[str, str] | None = None,
    group: str = "basic",
    deleting: bool = False,
    **spec: Any,
) -> PD:
    defaults: dict[str, Any] = {
        "cluster": ClusterReference(name="tc"),
        "subdomain": f"{group}-pd-peer",
        "version": "v8.1.0",
        "volumes": [Volume(name="data", mounts=[VolumeMount(type="data")], storage="20Gi")],
        "update_strategy": UpdateStrategy(config="Restart"),
    }
    return PD(
        metadata=ObjectMeta(
            name=name,
            namespace="ns1",
            uid=f"uid-{name}",
            resource_version="1",
            generation=3,
            finalizers=["pingcap.com/finalizer"],
            deletion_timestamp=format_time(NOW) if deleting else None,
            owner_references=[
                OwnerReference(
                    api_version="core.pingcap.com/v1alpha1",
                    kind="PDGroup",
                    name=group,
                    uid=f"uid-{group}",
                    controller=True,
                )
            ],
            annotations=dict(annotations or {}),
            labels={
                "pingcap.com/managed-by": "tidb-operator",
                "pingcap.com/component": "pd",
                "pingcap.com/cluster": "tc",
                "pingcap.com/group": group,
                "pingcap.com/instance-revision-hash": REVISION,
            },
        ),
        spec=PDSpec(**(defaults | spec)),
        status=status,
    )


def make_member(name: str, number: int, *, peer: str = "", **changes: Any) -> Member:
    values: dict[str, Any] = {
        "name": name,
        "id": str(number),
        "client_urls": (f"http://{name}:2379",),
        "peer_urls": (peer or f"http://{pod_name(name, 'pd')}.{name.rpartition('-')[0]}-pd-peer.ns1:2380",),
        "version": "v8.1.0",
    }
    return Member(**(values | changes))


def make_pd_pod(
    pd: PD | None = None, cluster: Cluster | None = None, *, ready_for: float | None = 3600.0, phase: str = "Running"
) -> Pod:
    """Return a pod as the operator renders it, ready since `ready_for` seconds."""
    pd = pd or make_pd()
    pod = render_pod(pd, cluster or make_cluster(), cluster_id=CLUSTER_ID, member_id="1")
    pod.metadata.uid = f"uid-{pod.metadata.name}"
    since = format_time(NOW - (ready_for or 0))
    pod.metadata.creation_timestamp = since
    pod.status = PodStatus(
        phase=phase,
        start_time=since,
        conditions=[
            PodCondition(type="Ready", status="False" if ready_for is None else "True", last_transition_time=since)
        ],
        container_statuses=[
            ContainerStatus(name="pd", state=ContainerState(running=ContainerStateRunning(started_at=since)))
        ],
    )
    return pod


class FakeMembers:
    """A PD cluster that stands in for a `PDHandle` and for its client. The first member leads unless `leader` says otherwise.

    Attributes:
        calls: what was asked for that changes PD.
        errors: raised by the next call of that name.
        not_loaded: client URLs of servers that say they aren't ready; those in `mute` can't be asked.
    """

    def __init__(
        self,
        *members: Member,
        ill: Iterable[str] = (),
        leader: str | None = "first",
        fresh: bool = True,
        cluster_id: str = CLUSTER_ID,
    ) -> None:
        lead = members[0] if leader == "first" and members else next((m for m in members if m.name == leader), None)
        self._members = Members(cluster_id=cluster_id, members=members, leader=lead, etcd_leader=lead)
        self._healthy = frozenset(member.id for member in members if member.name and member.name not in ill)
        self.snapshot: PDSnapshot | None = PDSnapshot(members=self._members, healthy=self._healthy, taken_at=NOW)
        self._fresh = fresh
        self.error: Exception | None = None
        self.client = self
        self.calls: list[tuple[Any, ...]] = []
        self.errors: dict[str, Exception] = {}
        self.not_loaded: set[str] = set()
        self.mute: set[str] = set()
        self.refreshed = 0
        self.hurried = 0

    def fresh(self, now: float | None = None) -> bool:
        return self._fresh

    def refresh(self, *, members: bool = False) -> None:
        self.refreshed += members

    def hurry(self, *, members: bool = False) -> None:
        self.hurried += members

    async def members(self) -> Members:
        return self._members

    async def health(self) -> tuple[MemberHealth, ...]:
        return tuple(MemberHealth(name=m.name, id=m.id, healthy=m.id in self._healthy) for m in self._members.members)

    async def transfer_leader(self, member: str) -> None:
        self._call("transfer_leader", member)

    async def delete_member_by_id(self, member_id: str) -> None:
        self._call("delete_member_by_id", member_id)

    async def set_config(self, items: dict[str, Any]) -> None:
        self._call("set_config", dict(items))

    async def member_ready(self, url: str, version: str) -> bool:
        if url in self.mute:
            raise self.errors["member_ready"]
        return url not in self.not_loaded

    def _call(self, *call: Any) -> None:
        if call[0] in self.errors:
            raise self.errors.pop(call[0])
        self.calls.append(call)


class FakeHandles:
    def __init__(self, handle: FakeMembers | None) -> None:
        self._handle = handle

    def get(self, _: Any) -> FakeMembers | None:
        return self._handle


def pd_context(
    pd: PD | None = None,
    *,
    cluster: Cluster | None = None,
    pod: Pod | None = None,
    handle: FakeMembers | None = None,
    peers: Iterable[PD] = (),
    groups: Iterable[PDGroup] = (),
    others: Iterable[Object] = (),
    found: bool = True,
    known: bool = True,
    **settings: Any,
) -> Any:
    """Return a context in which the first tasks have found these objects (`found=False`: in which nothing was found yet).

    Args:
        known: what the handle says has been taken over, too.
    """
    pd, cluster = pd or make_pd(), cluster or make_cluster()
    objects = [pd, cluster, *peers, *groups, *others] + ([pod] if pod is not None else [])
    context: Any = PDContext(
        component=PD_SERVER,
        kind=PD,
        key=pd.key,
        client=FakeClient(*objects),  # type: ignore[arg-type]
        clock=FixedClock(),
        log=SilentLog(),
        events=RecordedEvents(),
        settings=Settings(**settings),
        pds=FakeHandles(handle),  # type: ignore[arg-type]
        metrics=InstanceMetrics(CollectorRegistry()),
    )
    if found:
        context.found, context.found_cluster = copy.deepcopy(pd), copy.deepcopy(cluster)
        context.pod = copy.deepcopy(pod)
        context.peers = sorted([pd, *peers], key=lambda peer: peer.metadata.name)
        context.groups = list(groups)
        if handle is not None and known:
            context.handle = handle
            context.member = context.own_member(handle.snapshot.members) if handle.snapshot is not None else None
            member = context.member
            context.healthy = (
                member is not None and handle.snapshot is not None and member.id in handle.snapshot.healthy
            )
    return context


def with_ready(pd: PD, *, ready: bool = True, since: float = NOW - 3600) -> PD:
    """Give a PD the condition Ready, told of its current generation."""
    pd.status = pd.status or PDStatus()
    pd.status.conditions.append(
        Condition(
            type="Ready",
            status="True" if ready else "False",
            reason="Ready" if ready else "PodNotReady",
            last_transition_time=format_time(since),
            observed_generation=pd.metadata.generation,
        )
    )
    return pd
