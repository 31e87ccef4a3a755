"""Cluster: what all groups of one TiDB cluster have in common."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import field

from controller_runtime.api.meta import Model, Object
from controller_runtime.api.resource import Resource
from controller_runtime.api.schema import CustomResource, PrinterColumn, Rule, Schema
from tikv_operator.api.columns import AGE, condition_column, name_at_most
from tikv_operator.api.common import GROUP, VERSION, CertificateSecrets, LocalObjectReference
from tikv_operator.api.features import FeatureName
from tikv_operator.api.status import Conditions

__all__ = [
    "Cluster",
    "ClusterClientTLS",
    "ClusterDNS",
    "ClusterSecurity",
    "ClusterSpec",
    "ClusterStatus",
    "ClusterTLS",
    "ComponentStatus",
    "FeatureGate",
    "FeatureGateStatus",
    "SuspendAction",
    "TLSCluster",
]


class SuspendAction(Model, kw_only=True):
    """What is suspended."""

    suspend_compute: bool | None = None
    """True deletes the pods of all components and keeps their volumes."""


class TLSCluster(Model, kw_only=True):
    """TLS between the components of the cluster."""

    enabled: bool | None = None
    """True makes components authenticate each other with certificates."""


class FeatureGate(Model, kw_only=True):
    """Turns one feature on."""

    name: FeatureName


class ClusterDNS(Model, kw_only=True):
    """How components address each other."""

    mode: Annotated[str, Schema(enum=("FQDN", "InCluster"), default="InCluster", required=True)] = field(
        default="InCluster"
    )
    """`InCluster` uses names relative to the Kubernetes cluster, `FQDN` adds the cluster's domain."""
    cluster_domain: Annotated[str | None, Schema(default="cluster.local")] = None
    """Only used in mode `FQDN`."""


class ClusterClientTLS(CertificateSecrets, kw_only=True):
    """The certificates that the operator itself uses when it talks to components."""

    insecure_skip_tls_verify: bool | None = field(name="insecureSkipTLSVerify", default=None)
    """True accepts any server certificate; the CA may then be absent."""


class ClusterTLS(Model, kw_only=True):
    """TLS material of the cluster as a whole."""

    client: ClusterClientTLS | None = None


class ClusterSecurity(Model, kw_only=True):
    """Security settings of the cluster as a whole."""

    tls: ClusterTLS | None = None
    session_token_signing_cert_key_pair: LocalObjectReference | None = None
    """Only used by TiDB, with the feature SessionTokenSigning."""


_FEATURE_GATE_RULES = (
    Rule(
        "oldSelf.exists(gate, gate.name == 'FeatureModification') || "
        "self.filter(gate, gate.name != 'FeatureModification') == oldSelf",
        "can only enable FeatureModification if it's not enabled",
    ),
    Rule(
        "self.exists(gate, gate.name == 'FeatureModification') || "
        "!oldSelf.exists(gate, gate.name == 'FeatureModification')",
        "cannot disable FeatureModification",
    ),
)


class ClusterSpec(Model, kw_only=True):
    """The desired state that all groups share."""

    __schema__ = Schema(
        rules=(
            Rule(
                "!has(self.bootstrapSQL) || "
                "(has(oldSelf.bootstrapSQL) && self.bootstrapSQL.name == oldSelf.bootstrapSQL.name)",
                "bootstrapSQL can only be set at creation, can be unset, but cannot be changed to a different value",
            ),
            Rule(
                "has(self.tlsCluster) == has(oldSelf.tlsCluster) && (!has(self.tlsCluster) || "
                "(has(self.tlsCluster.enabled) && self.tlsCluster.enabled) == "
                "(has(oldSelf.tlsCluster.enabled) && oldSelf.tlsCluster.enabled))",
                "tlsCluster is immutable",
            ),
        )
    )

    suspend_action: SuspendAction | None = None
    tls_cluster: TLSCluster | None = None
    """Cannot be changed after creation."""
    bootstrap_sql: LocalObjectReference | None = field(name="bootstrapSQL", default=None)
    """A ConfigMap with SQL that TiDB runs once, when the cluster is new."""
    upgrade_policy: str | None = None
    """`Default` upgrades components in order; `NoConstraints` does not wait for other components."""
    paused: bool | None = None
    """True stops all controllers for this cluster."""
    revision_history_limit: Annotated[int | None, Schema(format="int32", minimum=0)] = None
    """How many unused revisions each group keeps; absent means 10."""
    feature_gates: Annotated[
        list[FeatureGate] | None, Schema(list_type="map", list_map_keys=("name",), rules=_FEATURE_GATE_RULES)
    ] = None
    customized_pd_service_name: str | None = field(name="customizedPDServiceName", default=None)
    """The name of the cluster's PD service, with the feature MultiPDGroup; absent means `<cluster>-pd`."""
    dns: ClusterDNS | None = None
    security: ClusterSecurity | None = None


class ComponentStatus(Model, kw_only=True):
    """The size of one component."""

    kind: Annotated[str, Schema(enum=("PD", "TiKV", "TiDB", "TiFlash", "TiCDC", "TiProxy", "TiKVWorker"))]
    replicas: Annotated[int, Schema(format="int32")]
    """The number of desired instances."""


class FeatureGateStatus(Model, kw_only=True):
    """A feature that is on, and how mature it is."""

    name: FeatureName
    stage: str


class ClusterStatus(Model, kw_only=True):
    """The observed state of a cluster."""

    observed_generation: Annotated[int | None, Schema(format="int64")] = None
    """The `metadata.generation` that the controller has acted on."""
    components: Annotated[list[ComponentStatus] | None, Schema(list_type="map", list_map_keys=("kind",))] = None
    conditions: Conditions = field(default_factory=list)
    id: Annotated[str, Schema(required=True)] = field(default_factory=str)
    """PD's id of the cluster in decimal; empty until it is known. Always sent."""
    pd: str | None = None
    """The URL of the PD service, e.g. `http://pd-pd.ns:2379`."""
    feature_gates: Annotated[list[FeatureGateStatus] | None, Schema(list_type="map", list_map_keys=("name",))] = None


class Cluster(Object, kw_only=True):
    """A TiDB cluster; its groups refer to it by name."""

    resource = Resource(group=GROUP, version=VERSION, kind="Cluster", plural="clusters")
    definition: ClassVar[CustomResource] = CustomResource(
        printer_columns=(
            *(
                PrinterColumn(kind, "integer", f'.status.components[?(@.kind=="{kind}")].replicas')
                for kind in ("PD", "TiKV", "TiDB", "TiFlash", "TiProxy")
            ),
            condition_column("Available"),
            AGE,
        ),
        rules=(name_at_most(37),),
    )

    spec: Annotated[ClusterSpec, Schema(required=False)] = field(default_factory=ClusterSpec)
    status: ClusterStatus | None = None
