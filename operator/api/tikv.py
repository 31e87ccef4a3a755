"""TiKV: one instance of a TiKVGroup, with its pod, configuration and volumes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import field

from controller_runtime.api.meta import Model, Object
from controller_runtime.api.resource import Resource
from controller_runtime.api.schema import CustomResource, PrinterColumn, Rule, Schema
from tikv_operator.api.columns import instance_definition
from tikv_operator.api.common import (
    GROUP,
    VERSION,
    ClusterReference,
    InstanceReplicas,
    InstanceTopology,
    LocalObjectReference,
    Port,
    ResourceRequirements,
    Security,
    SemanticVersion,
    Subdomain,
    UpdateStrategy,
)
from tikv_operator.api.features import FeatureName
from tikv_operator.api.status import CommonStatus
from tikv_operator.api.template import TEMPLATE_RULES, TOPOLOGY_IS_SET_AT_CREATION, Overlay, Volumes

__all__ = [
    "PreStop",
    "RemoteWorkers",
    "TiKV",
    "TiKVPlacement",
    "TiKVPorts",
    "TiKVServer",
    "TiKVSpec",
    "TiKVStatus",
    "TiKVTemplateSpec",
]


class TiKVPorts(Model, kw_only=True):
    """The ports of a TiKV server."""

    client: Port | None = None
    """For clients and other stores; absent means 20160."""
    peer: Port | None = None
    """For status and metrics, in spite of its name; absent means 20180."""


class TiKVServer(Model, kw_only=True):
    """How a TiKV server is reached, and the labels of its store."""

    ports: TiKVPorts | None = None
    labels: Annotated[
        dict[str, str] | None,
        Schema(
            rules=(
                Rule(
                    "!('host' in self) && !('region' in self) && !('zone' in self)",
                    "labels cannot contain 'host', 'region', or 'zone' keys",
                ),
                Rule(
                    "self.all(key, !key.startsWith('k/') && !key.startsWith('$k/'))",
                    "labels cannot contain keys with 'k/' or '$k/' prefix",
                ),
            )
        ),
    ] = None
    """Labels of the store in PD, beside those that follow from where the pod runs."""


class TiKVPlacement(Model, kw_only=True):
    """What PD may place on the stores of a group."""

    exclusive: bool | None = None
    """True keeps out all data but that which placement rules send to this group."""


class PreStop(Model, kw_only=True):
    """The check that holds up the end of a pod until its leaders are gone."""

    image: str | None = None
    """The image that brings the checker; absent means the operator's default."""


class RemoteWorkers(Model, kw_only=True):
    """The TiKVWorker groups that take work off the stores."""

    worker: LocalObjectReference
    """For every kind of work that has no group of its own."""
    coprocessor: LocalObjectReference | None = None
    compactor: LocalObjectReference | None = None


class TiKVTemplateSpec(Model, kw_only=True):
    """What the instances of a group have in common."""

    __schema__ = Schema(rules=TEMPLATE_RULES)

    version: SemanticVersion
    image: str | None = None
    """Absent means `pingcap/tikv`; an image without tag or digest gets the version as its tag."""
    server: TiKVServer | None = None
    resources: ResourceRequirements | None = None
    config: str | None = None
    """TiKV's configuration file as TOML; the operator adds addresses, paths and PD's endpoints."""
    update_strategy: UpdateStrategy | None = None
    placement: TiKVPlacement | None = None
    security: Security | None = None
    volumes: Volumes
    """One of them must be called `data`."""
    pre_stop: PreStop | None = None
    remote_workers: RemoteWorkers | None = None
    overlay: Overlay | None = None


class TiKVSpec(TiKVTemplateSpec, kw_only=True):
    """The desired state of one instance: its group's template and what is its own."""

    __schema__ = Schema(rules=(TOPOLOGY_IS_SET_AT_CREATION,))

    cluster: ClusterReference
    features: Annotated[list[FeatureName] | None, Schema(list_type="atomic")] = None
    """Copied from the group."""
    topology: InstanceTopology = None
    """Where the instance runs; becomes the pod's node selector."""
    subdomain: Subdomain
    """The headless service that gives the pod its DNS name."""
    offline: bool | None = None
    """True asks PD to remove the store; false or absent keeps it, or takes a running removal back."""
    replicas: InstanceReplicas = None
    """Always 1, so that a PodDisruptionBudget can count instances."""


class TiKVStatus(CommonStatus, kw_only=True):
    """The observed state of one instance."""

    id: str | None = None
    """PD's id of the store, in decimal."""
    state: str | None = None
    """PD's state of the store: `Preparing`, `Serving`, `Removing` or `Removed`."""


def _no_spec() -> TiKVSpec:
    """Stand in for a missing spec, which the schema allows: nothing of it is valid, so nothing is done."""
    return TiKVSpec(version="", volumes=[], cluster=ClusterReference(name=""), subdomain="")


class TiKV(Object, kw_only=True):
    """One TiKV server with its store."""

    resource = Resource(group=GROUP, version=VERSION, kind="TiKV", plural="tikvs")
    definition: ClassVar[CustomResource] = instance_definition(
        PrinterColumn("StoreID", "string", ".status.id"),
        PrinterColumn("StoreState", "string", ".status.state"),
        PrinterColumn("Offline", "boolean", ".spec.offline"),
    )

    spec: Annotated[TiKVSpec, Schema(required=False)] = field(default_factory=_no_spec)
    status: TiKVStatus | None = None
