"""A TiKV's world in memory: objects to start from, an API client and a PD that record what they are asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from controller_runtime.api import (
    Condition,
    Object,
    ObjectKey,
    ObjectMeta,
    OwnerReference,
    Resource,
    format_time,
    to_builtins,
)
from controller_runtime.api.k8s import (
    ContainerState,
    ContainerStateRunning,
    ContainerStatus,
    Node,
    Pod,
    PodCondition,
    PodStatus,
)
from controller_runtime.client import Conflict, NotFound
from tikv_operator.api import (
    Cluster,
    ClusterReference,
    ClusterSpec,
    ClusterStatus,
    ResourceRequirements,
    TiKV,
    TiKVSpec,
    TiKVStatus,
    UpdateStrategy,
    Volume,
    VolumeMount,
)
from tikv_operator.common.conditions import set_condition
from tikv_operator.common.metrics import InstanceMetrics
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient import DownPeers, PDConfig, PDSnapshot, Store
from tikv_operator.pdclient.notes import Notes
from tikv_operator.tikv.pod import render_pod
from tikv_operator.tikv.tasks.state import TiKVContext

NOW = 1_767_225_600.0
ADDRESS = "basic-tikv-abc123.basic-tikv-peer.ns1:20160"
IMAGE = "pingcap/tidb-operator-prestop-checker:latest"
REVISION = "basic-tikv-9f6f5d95c"
OTHER_STORE = Store(
    id="5", address="basic-tikv-other1.basic-tikv-peer.ns1:20160", node_state="Serving", leader_count=9, region_count=9
)


def make_cluster(**spec: Any) -> Cluster:
    return Cluster(
        metadata=ObjectMeta(name="tc", namespace="ns1", uid="cluster-uid", generation=1),
        spec=ClusterSpec(**spec),
        status=ClusterStatus(pd="http://pd-pd.ns1:2379", id="7452180154224557728"),
    )


def make_tikv(**spec: Any) -> TiKV:
    defaults: dict[str, Any] = {
        "cluster": ClusterReference(name="tc"),
        "subdomain": "basic-tikv-peer",
        "version": "v8.1.0",
        "volumes": [Volume(name="data", mounts=[VolumeMount(type="data")], storage="20Gi")],
        "resources": ResourceRequirements(cpu="1", memory="2Gi"),
        "update_strategy": UpdateStrategy(config="Restart"),
        "config": 'log.level = "info"\n',
    }
    return TiKV(
        metadata=ObjectMeta(
            name="basic-abc123",
            namespace="ns1",
            uid="tikv-uid",
            resource_version="1",
            generation=3,
            finalizers=["pingcap.com/finalizer"],
            labels={
                "pingcap.com/managed-by": "tidb-operator",
                "pingcap.com/component": "tikv",
                "pingcap.com/cluster": "tc",
                "pingcap.com/group": "basic",
                "pingcap.com/instance-revision-hash": REVISION,
            },
        ),
        spec=TiKVSpec(**(defaults | spec)),
    )


def make_store(**changes: Any) -> Store:
    defaults: dict[str, Any] = {"id": "4", "address": ADDRESS, "node_state": "Serving", "region_count": 10}
    return Store(**(defaults | changes))


def make_pod(
    tikv: TiKV | None = None,
    cluster: Cluster | None = None,
    *,
    ready_for: float | None = 3600.0,
    node: str | None = "node-1",
    phase: str = "Running",
    store_id: str = "4",
) -> Pod:
    """Return a pod as the operator renders it, with the status of one that is ready since `ready_for` seconds."""
    pod = render_pod(tikv or make_tikv(), cluster or make_cluster(), store_id=store_id, prestop_image=IMAGE)
    pod.metadata.uid = "pod-uid"
    assert pod.spec is not None
    pod.spec.node_name = node
    since = format_time(NOW - (ready_for or 0))
    pod.status = PodStatus(
        phase=phase,
        start_time=since,
        conditions=[
            PodCondition(type="Ready", status="False" if ready_for is None else "True", last_transition_time=since)
        ],
        container_statuses=[
            ContainerStatus(name="tikv", state=ContainerState(running=ContainerStateRunning(started_at=since)))
        ],
    )
    return pod


def make_node(**labels: str) -> Node:
    return Node(metadata=ObjectMeta(name="node-1", labels=labels))


def with_condition(
    tikv: TiKV, name: str, status: bool, reason: str, *, age: float = 60.0, generation: int | None = None
) -> TiKV:
    """Add a persisted condition that has had its status for `age` seconds."""
    tikv.status = tikv.status or TiKVStatus()
    observed = tikv.metadata.generation if generation is None else generation
    set_condition(tikv.status.conditions, name, status, reason, "", generation=observed, now=NOW - age)
    return tikv


def condition(tikv: TiKV, name: str) -> Condition | None:
    return next((found for found in (tikv.status or TiKVStatus()).conditions if found.type == name), None)


def summary(tikv: TiKV) -> dict[str, str]:
    """Return the conditions as `{type: "status/reason"}`."""
    return {found.type: f"{found.status}/{found.reason}" for found in (tikv.status or TiKVStatus()).conditions}


class FixedClock:
    def __init__(self, now: float = NOW) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


class RecordedEvents:
    """Remembers Events as `"Warning Reason: message"`."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def normal(self, regarding: Object, reason: str, message: str) -> None:
        self.events.append(f"Normal {reason}: {message}")

    def warning(self, regarding: Object, reason: str, message: str) -> None:
        self.events.append(f"Warning {reason}: {message}")


class SilentLog:
    def bind(self, **_: Any) -> SilentLog:
        return self

    def debug(self, event: str, **_: Any) -> None: ...
    def info(self, event: str, **_: Any) -> None: ...
    def warning(self, event: str, **_: Any) -> None: ...
    def error(self, event: str, **_: Any) -> None: ...


class FakeClient:
    """Objects in a dict. Writes that change nothing are not recorded, as with the real cached client.

    Attributes:
        writes: every write as `"verb Kind name"`.
        sent: the last object or arguments of each write.
        errors: raised by the next write of that `"verb Kind"`.
    """

    field_manager = "tidb-operator"

    def __init__(self, *objects: Object) -> None:
        self._objects: dict[tuple[str, ObjectKey], Object] = {}
        self.writes: list[str] = []
        self.sent: dict[str, Any] = {}
        self.errors: dict[str, Exception] = {}
        self.add(*objects)

    @property
    def live(self) -> FakeClient:
        return self

    def add(self, *objects: Object) -> None:
        for obj in objects:
            self._objects[obj.kind, obj.key] = copy.deepcopy(obj)

    def remove(self, obj: Object) -> None:
        del self._objects[obj.kind, obj.key]

    def stored(self, kind: type[Any], name: str, namespace: str = "ns1") -> Any:
        return self._objects[kind.resource.kind, ObjectKey(namespace, name)]

    async def find(self, kind: type[Any] | Resource, key: ObjectKey) -> Any:
        """Return an object, as plain data if it is asked for by its resource."""
        resource = kind if isinstance(kind, Resource) else kind.resource
        found = copy.deepcopy(self._objects.get((resource.kind, key)))
        return to_builtins(found) if found is not None and isinstance(kind, Resource) else found

    async def get(self, kind: type[Any] | Resource, key: ObjectKey) -> Any:
        found = await self.find(kind, key)
        if found is None:
            raise NotFound(f"{kind} {key} not found", code=404)
        return found

    async def list(self, kind: type[Any], *, namespace: str = "", labels: Any = None, index: Any = None) -> list[Any]:
        return [
            copy.deepcopy(obj)
            for (name, key), obj in sorted(self._objects.items())
            if name == kind.resource.kind
            and namespace in ("", key.namespace)
            and (labels is None or labels.matches(obj.metadata.labels))
        ]

    async def update(self, obj: Any) -> Any:
        stored = self._objects[obj.kind, obj.key]
        if stored.metadata == obj.metadata and getattr(stored, "spec", None) == getattr(obj, "spec", None):
            return obj
        return self._write("update", obj, obj)

    async def update_status(self, obj: Any) -> Any:
        stored: Any = self._objects[obj.kind, obj.key]
        if stored.status == obj.status:
            return obj
        return self._write("update_status", obj, msgspec.structs.replace(stored, status=copy.deepcopy(obj.status)))

    async def patch(self, kind: type[Any], key: ObjectKey, patch: Any, *, subresource: str = "") -> Any:
        stored = await self.get(kind, key)
        merged = _merge(to_builtins(stored), msgspec.json.decode(patch.body))
        return self._write("patch", stored, msgspec.convert(merged, kind))

    async def apply(self, obj: Any, *, force: bool = True, subresource: str = "") -> Any:
        stored = self._objects.get((obj.kind, obj.key))
        if stored is None:
            return self._write("create", obj, obj)
        merged = msgspec.convert(_merge(to_builtins(stored), to_builtins(obj)), type(obj))
        return stored if merged == stored else self._write("apply", obj, merged)

    async def delete(self, kind: type[Any], key: ObjectKey, **options: Any) -> None:
        stored = await self.get(kind, key)
        preconditions = options.get("preconditions")
        if preconditions is not None and preconditions.uid not in ("", stored.metadata.uid):
            raise Conflict("precondition failed", code=409)
        self._record("delete", stored, options)
        stored.metadata.deletion_timestamp = format_time(NOW)
        stored.metadata.deletion_grace_period_seconds = options.get("grace_period")
        self.add(stored)

    def _write(self, verb: str, before: Object, after: Any) -> Any:
        self._record(verb, before, after)
        written = copy.deepcopy(after)
        written.metadata.uid = written.metadata.uid or f"{before.kind.lower()}-uid"
        self.add(written)
        return written

    def _record(self, verb: str, obj: Object, sent: Any) -> None:
        error = self.errors.pop(f"{verb} {obj.kind}", None)
        if error is not None:
            raise error
        self.writes.append(f"{verb} {obj.kind} {obj.metadata.name}")
        self.sent[f"{verb} {obj.kind}"] = sent


def _merge(base: Any, change: Any) -> Any:
    if not isinstance(change, dict):
        return change
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


class FakeTiKV:
    """The HTTP API of a running TiKV: remembers what was changed.

    Attributes:
        refused: items that it only reads when it starts, with what it says.
        trouble: raised instead of any answer.
    """

    def __init__(self) -> None:
        self.changed: list[tuple[str, str, Any]] = []
        self.refused: dict[str, str] = {}
        self.trouble: Exception | None = None

    async def change_config(self, status_url: str, item: str, value: Any) -> str:
        if self.trouble is not None:
            raise self.trouble
        if item in self.refused:
            return self.refused[item]
        self.changed.append((status_url, item, value))
        return ""


class FakePDClient:
    """Records calls; raises `errors[call]` instead of answering."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.errors: dict[str, Exception] = {}
        self.down = DownPeers()
        self.known: tuple[Store, ...] = ()
        self.evicting: frozenset[str] = frozenset()
        self.tikv = FakeTiKV()

    def _call(self, *call: Any) -> None:
        if call[0] in self.errors:
            raise self.errors[call[0]]
        self.calls.append(call)

    async def delete_store(self, store_id: str) -> None:
        self._call("delete_store", store_id)

    async def cancel_delete_store(self, store_id: str) -> None:
        self._call("cancel_delete_store", store_id)

    async def begin_evict_leader(self, store_id: str) -> None:
        self._call("begin_evict_leader", store_id)

    async def end_evict_leader(self, store_id: str) -> None:
        self._call("end_evict_leader", store_id)

    async def set_store_labels(self, store_id: str, labels: dict[str, str]) -> None:
        self._call("set_store_labels", store_id, dict(labels))

    async def delete_store_label(self, store_id: str, key: str) -> None:
        self._call("delete_store_label", store_id, key)

    async def stores(self) -> tuple[Store, ...]:
        self._call("stores")
        return self.known

    async def evicting_stores(self) -> frozenset[str]:
        self._call("evicting_stores")
        return self.evicting

    async def down_peers(self) -> DownPeers:
        self._call("down_peers")
        return self.down


class FakePD:
    """A PD whose snapshot is what a test says; it stands in for a `PDHandle`.

    There is another store unless the TiKV's is `alone`.
    """

    def __init__(
        self,
        *stores: Store,
        evicting: Iterable[str] = (),
        fresh: bool = True,
        location_labels: tuple[str, ...] = (),
        max_replicas: int = 3,
        alone: bool = False,
        error: Exception | None = None,
    ) -> None:
        known = (*stores, *(() if alone else (OTHER_STORE,)))
        self.client = FakePDClient()
        self.snapshot: PDSnapshot | None = PDSnapshot(
            stores={store.address: store for store in known},
            evicting=frozenset(evicting),
            config=PDConfig(location_labels=location_labels, max_replicas=max_replicas),
            taken_at=NOW,
        )
        self.error = error
        self.notes = Notes()
        self.stuck: list[str] = []
        self._fresh = fresh
        self.hurried = 0
        self.refreshed = 0

    def fresh(self, now: float | None = None) -> bool:
        return self._fresh

    def store(self, address: str) -> Store | None:
        return self.snapshot.stores.get(address) if self.snapshot else None

    def is_evicting(self, store_id: str) -> bool:
        return self.snapshot is not None and store_id in self.snapshot.evicting

    @property
    def prepared(self) -> bool:
        return self.snapshot is not None and self.snapshot.prepared

    def awaits_eviction(self, store_id: str) -> bool:
        return self.notes.waits(store_id)

    def has_ended_eviction(self, store_id: str) -> bool:
        return self.notes.has_ended(store_id)

    def stuck_evictions(self, after: float, until: float) -> list[str]:
        return self.stuck

    def note_eviction_begins(self, store_id: str) -> None:
        self.notes.begins(store_id)

    def note_evicting(self, store_id: str, evicting: bool) -> None:
        self.notes.evicting(store_id, evicting)
        if self.snapshot is not None:
            self.snapshot = self.notes.on(self.snapshot)

    def look(self, **changes: Any) -> None:
        """Look at PD again, in which this has changed."""
        assert self.snapshot is not None
        self.notes.look_begins()
        self.snapshot = self.notes.look_succeeds(msgspec.structs.replace(self.snapshot, **changes))

    def note_labels(self, store_id: str, labels: dict[str, str | None]) -> None:
        if self.snapshot is not None:
            self.snapshot = self.snapshot.with_labels({store_id: labels})

    def hurry(self) -> None:
        self.hurried += 1

    def refresh(self) -> None:
        self.refreshed += 1


class FakePDs:
    def __init__(self, pd: FakePD | None) -> None:
        self._pd = pd

    def get(self, cluster: ObjectKey) -> FakePD | None:
        return self._pd


def make_context(
    tikv: TiKV | None = None,
    *,
    cluster: Cluster | None = None,
    pod: Pod | None = None,
    pd: FakePD | None = None,
    store: Store | None = None,
    others: Iterable[Object] = (),
    found: bool = True,
    **settings: Any,
) -> Any:
    """Return a context in which the first tasks have found these objects (`found=False`: in which nothing was found yet).

    It has the type Any so that a test may ask its fakes what they recorded.
    """
    tikv, cluster = tikv or make_tikv(), cluster or make_cluster()
    objects = [tikv, cluster, *others] + ([pod] if pod is not None else [])
    context: Any = TiKVContext(
        key=tikv.key,
        client=FakeClient(*objects),  # type: ignore[arg-type]
        clock=FixedClock(),
        log=SilentLog(),
        events=RecordedEvents(),
        settings=Settings(**settings),
        pds=FakePDs(pd),  # type: ignore[arg-type]
        metrics=InstanceMetrics(CollectorRegistry()),
    )
    if found:
        context.found, context.found_cluster = copy.deepcopy(tikv), copy.deepcopy(cluster)
        context.pod, context.pd, context.store = copy.deepcopy(pod), pd, store
    return context


def owned_by(tikv: TiKV, obj: Object) -> Object:
    """Make `obj` one of the objects that belong to the TiKV."""
    obj.metadata.owner_references = [
        OwnerReference(api_version=tikv.api_version, kind=tikv.kind, name=tikv.metadata.name, uid="tikv-uid")
    ]
    return obj
