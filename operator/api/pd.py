"""PD: one instance of a PDGroup, with its pod, configuration and volumes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import field

from controller_runtime.api.meta import Model, Object
from controller_runtime.api.resource import Resource
from controller_runtime.api.schema import CustomResource, PrinterColumn, Schema
from tikv_operator.api.columns import instance_definition
from tikv_operator.api.common import (
    GROUP,
    VERSION,
    ClusterReference,
    InstanceReplicas,
    InstanceTopology,
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

__all__ = ["PD", "PDPorts", "PDServer", "PDSpec", "PDStatus", "PDTemplateSpec"]


class PDPorts(Model, kw_only=True):
    """The ports of a PD server."""

    client: Port | None = None
    """For clients; absent means 2379."""
    peer: Port | None = None
    """For other members; absent means 2380."""


class PDServer(Model, kw_only=True):
    """How a PD server is reached."""

    ports: PDPorts | None = None


class PDTemplateSpec(Model, kw_only=True):
    """What the instances of a group have in common."""

    __schema__ = Schema(rules=TEMPLATE_RULES)

    version: SemanticVersion
    image: str | None = None
    """Absent means `pingcap/pd`; an image without tag or digest gets the version as its tag."""
    mode: str | None = None
    """`ms` runs PD as microservices; anything else is the normal mode."""
    server: PDServer | None = None
    resources: ResourceRequirements | None = None
    update_strategy: UpdateStrategy | None = None
    config: str | None = None
    """PD's configuration file as TOML; the operator adds names, addresses and paths."""
    security: Security | None = None
    volumes: Volumes
    """One of them must be called `data`."""
    overlay: Overlay | None = None


class PDSpec(PDTemplateSpec, kw_only=True):
    """The desired state of one instance: its group's template and what is its own."""

    __schema__ = Schema(rules=(TOPOLOGY_IS_SET_AT_CREATION,))

    cluster: ClusterReference
    features: Annotated[list[FeatureName] | None, Schema(list_type="atomic")] = None
    """Copied from the group."""
    topology: InstanceTopology = None
    """Where the instance runs; becomes the pod's node selector."""
    subdomain: Subdomain
    """The headless service that gives the pod its DNS name."""
    replicas: InstanceReplicas = None
    """Always 1, so that a PodDisruptionBudget can count instances."""


class PDStatus(CommonStatus, kw_only=True):
    """The observed state of one instance."""

    id: Annotated[str, Schema(required=True)] = field(default_factory=str)
    """PD's id of the member in decimal; empty until it is known. Always sent."""
    is_leader: Annotated[bool, Schema(required=True)] = field(default_factory=bool)
    """Whether this member was PD's leader when it was last asked. Always sent."""


def _no_spec() -> PDSpec:
    """Stand in for a missing spec, which the schema allows: nothing of it is valid, so nothing is done."""
    return PDSpec(version="", volumes=[], cluster=ClusterReference(name=""), subdomain="")


class PD(Object, kw_only=True):
    """One PD server."""

    resource = Resource(group=GROUP, version=VERSION, kind="PD", plural="pds")
    definition: ClassVar[CustomResource] = instance_definition(PrinterColumn("Leader", "string", ".status.isLeader"))

    spec: Annotated[PDSpec, Schema(required=False)] = field(default_factory=_no_spec)
    status: PDStatus | None = None
