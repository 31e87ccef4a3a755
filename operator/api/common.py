"""Parts that several kinds share: references, ports, resources, scheduling, certificates.

Optional fields are None when the object does not have them; what a missing field means is said with the field. Classes
list their fields in the order in which TiDB Operator serialises them, because some of that JSON ends up in annotations
and hashes.
"""

from __future__ import annotations

from typing import Annotated, Final

from controller_runtime.api.meta import Model
from controller_runtime.api.quantity import Quantity
from controller_runtime.api.schema import Rule, Schema

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "CertificateSecrets",
    "ClusterReference",
    "ComponentTLS",
    "EvenlySpread",
    "GroupReplicas",
    "InstanceReplicas",
    "InstanceTopology",
    "LocalObjectReference",
    "MinReadySeconds",
    "Port",
    "ResourceRequirements",
    "SchedulePolicies",
    "SchedulePolicy",
    "ScheduleTopology",
    "SecretReference",
    "Security",
    "SemanticVersion",
    "Subdomain",
    "TemplateMeta",
    "Topology",
    "UpdateStrategy",
]

GROUP: Final = "core.pingcap.com"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

_DNS_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_PRERELEASE: Final = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMANTIC_VERSION: Final = (
    r"^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    rf"(?:-({_PRERELEASE}(?:\.{_PRERELEASE})*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$"
)

SemanticVersion = Annotated[str, Schema(pattern=_SEMANTIC_VERSION)]
"""A strict semantic version, with or without a leading `v`."""

Topology = Annotated[dict[str, str], Schema(min_properties=1)]
"""Node labels that say where an instance runs, e.g. `{"topology.kubernetes.io/zone": "a"}`."""

GroupReplicas = Annotated[int, Schema(format="int32", minimum=0)]
MinReadySeconds = Annotated[int | None, Schema(format="int64", minimum=0)]

InstanceTopology = Annotated[Topology | None, Schema(rules=(Rule("self == oldSelf", "topology is immutable"),))]
InstanceReplicas = Annotated[int | None, Schema(format="int32", minimum=1, maximum=1, default=1)]
Subdomain = Annotated[str, Schema(rules=(Rule("self == oldSelf", "subdomain is immutable"),))]


class ClusterReference(Model, kw_only=True):
    """Names the Cluster, in the same namespace, that an object belongs to."""

    name: Annotated[str, Schema(pattern=_DNS_SUBDOMAIN, rules=(Rule("self == oldSelf", "cluster name is immutable"),))]


class LocalObjectReference(Model, kw_only=True):
    """Names an object in the same namespace."""

    __schema__ = Schema(map_type="atomic")

    name: Annotated[str | None, Schema(default="")] = None


class TemplateMeta(Model, kw_only=True):
    """The metadata that a template passes on: labels and annotations. A name is accepted and ignored."""

    name: str | None = None
    labels: Annotated[dict[str, str] | None, Schema(max_properties=512)] = None
    annotations: dict[str, str] | None = None


class Port(Model, kw_only=True):
    """A port that a process listens on."""

    port: Annotated[int, Schema(format="int32")]


class ResourceRequirements(Model, kw_only=True):
    """Compute resources; each becomes both the request and the limit."""

    cpu: Quantity | None = None
    memory: Quantity | None = None


class UpdateStrategy(Model, kw_only=True):
    """How a change reaches a running instance."""

    config: Annotated[str | None, Schema(enum=("Restart", "HotReload"), default="Restart")] = None
    """`Restart` recreates the pod when the configuration changes. `HotReload` leaves it running: a TiKV is told of what can be
    changed while it runs, and a condition names the rest."""


class ScheduleTopology(Model, kw_only=True):
    """One place that instances are spread over."""

    topology: Topology
    weight: Annotated[int | None, Schema(format="int32", minimum=1)] = None
    """The share of instances that runs here, relative to the other places; absent means 1."""


class EvenlySpread(Model, kw_only=True):
    """Spread a group's instances over topologies, by weight."""

    topologies: list[ScheduleTopology]


class SchedulePolicy(Model, kw_only=True):
    """How a group places its instances; only the type `EvenlySpread` has an effect."""

    type: str
    evenly_spread: EvenlySpread | None = None


SchedulePolicies = Annotated[list[SchedulePolicy] | None, Schema(list_type="map", list_map_keys=("type",))]


class SecretReference(Model, kw_only=True):
    """Names a secret in the same namespace; absent means the default name."""

    name: str | None = None


class CertificateSecrets(Model, kw_only=True):
    """The secrets with the certificates for TLS between components."""

    ca: SecretReference | None = None
    """The secret that holds `ca.crt`."""
    cert_key_pair: SecretReference | None = None
    """The secret that holds `tls.crt` and `tls.key`."""


class ComponentTLS(Model, kw_only=True):
    """TLS material of one component."""

    cluster: CertificateSecrets | None = None
    """For the traffic inside the cluster."""


class Security(Model, kw_only=True):
    """Where a component finds its certificates."""

    tls: ComponentTLS | None = None
