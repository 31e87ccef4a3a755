"""A Cluster, a TiKVGroup and contexts over a `FakeCluster`, as short calls."""

from __future__ import annotations

from typing import Any

import msgspec

from helpers.group_fakes import FakeCluster, FakeEvents, FakePDs, quiet_log
from tikv_operator.api import Cluster, PDGroup, TiKV, TiKVGroup
from tikv_operator.cluster.tasks.state import ClusterContext
from tikv_operator.common.keys import component_labels
from tikv_operator.common.settings import Settings
from tikv_operator.group.allocation import NameAllocator
from tikv_operator.tikvgroup.component import TIKV_GROUP
from tikv_operator.tikvgroup.tasks.state import TiKVGroupContext

__all__ = ["cluster_context", "group_context", "make_cluster", "make_group", "make_pd_group", "of_group"]

DATA_VOLUME = {"name": "data", "mounts": [{"type": "data"}], "storage": "20Gi"}


def make_cluster(name: str = "tc", *, metadata: dict[str, Any] | None = None, **parts: Any) -> Cluster:
    base = {"metadata": {"name": name, "namespace": "ns1", "uid": f"uid-{name}", "generation": 1} | (metadata or {})}
    return msgspec.convert(base | parts, Cluster)


def make_group(
    name: str = "basic",
    *,
    replicas: int = 3,
    template: dict[str, Any] | None = None,
    template_metadata: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> TiKVGroup:
    tree: dict[str, Any] = {
        "metadata": {"name": name, "namespace": "ns1", "uid": f"uid-{name}", "generation": 1} | (metadata or {}),
        "spec": {
            "cluster": {"name": "tc"},
            "replicas": replicas,
            "template": {
                "metadata": template_metadata or {},
                "spec": {
                    "version": "v8.1.0",
                    "volumes": [DATA_VOLUME],
                }
                | (template or {}),
            },
        }
        | spec,
    }
    return msgspec.convert(tree | ({} if status is None else {"status": status}), TiKVGroup)


def make_pd_group(
    name: str = "pd",
    *,
    version: str = "v8.1.0",
    reached: str | None = None,
    healthy: bool = True,
    template: dict[str, Any] | None = None,
    **spec: Any,
) -> PDGroup:
    """Return a PD group; with `reached`, one whose instances have all come to that version."""
    status: dict[str, Any] = {}
    if reached is not None:
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "currentReplicas"), 3)
        status = {
            "version": reached,
            "observedGeneration": 1,
            "updateRevision": "r1",
            "currentRevision": "r1" if healthy else "r0",
            **counts,
        }
    tree: dict[str, Any] = {
        "metadata": {"name": name, "namespace": "ns1", "uid": f"uid-{name}", "generation": 1},
        "spec": {
            "cluster": {"name": "tc"},
            "replicas": 3,
            "template": {"spec": {"version": version, "volumes": [DATA_VOLUME]} | (template or {})},
        }
        | spec,
        "status": status,
    }
    return msgspec.convert(tree, PDGroup)


def of_group(group: TiKVGroup, *instances: TiKV) -> tuple[TiKV, ...]:
    """Give instances the labels by which their group finds them."""
    for instance in instances:
        instance.metadata.labels |= component_labels(group.spec.cluster.name, "tikv", group.metadata.name)
    return instances


def group_context(world: FakeCluster, name: str = "basic", **parts: Any) -> TiKVGroupContext:
    values: dict[str, Any] = {
        "component": TIKV_GROUP,
        "client": world.client,
        "clock": world.clock,
        "log": quiet_log(),
        "events": FakeEvents(),
        "key": make_group(name).key,
        "settings": Settings(),
        "names": NameAllocator(lambda uid, generation, number: f"{number:06}"),
    }
    return TiKVGroupContext(**values | parts)


def cluster_context(world: FakeCluster, name: str = "tc", **parts: Any) -> ClusterContext:
    values: dict[str, Any] = {
        "client": world.client,
        "clock": world.clock,
        "log": quiet_log(),
        "events": FakeEvents(),
        "key": make_cluster(name).key,
        "settings": Settings(),
        "pds": FakePDs(),
    }
    return ClusterContext(**values | parts)
