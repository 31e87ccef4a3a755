"""The services of a Cluster as a whole. Pure functions."""

from __future__ import annotations

from controller_runtime.api import ObjectMeta
from controller_runtime.api.k8s import Service, ServicePort, ServiceSpec
from controller_runtime.client import owner_reference
from tikv_operator.api import Cluster
from tikv_operator.common.keys import cluster_labels, component_labels
from tikv_operator.common.names import PD_CLIENT_PORT, PD_COMPONENT, cluster_pd_service_name, cluster_subdomain

__all__ = ["pd_service", "subdomain_service"]


def subdomain_service(cluster: Cluster) -> Service:
    """Return the one headless service over all pods of a cluster (feature ClusterSubdomain)."""
    labels = cluster_labels(cluster.metadata.name)
    return Service(
        metadata=_metadata(cluster, cluster_subdomain(cluster.metadata.name), labels),
        spec=ServiceSpec(
            type="ClusterIP",
            cluster_ip="None",
            ip_family_policy="PreferDualStack",
            publish_not_ready_addresses=True,
            selector=labels,
        ),
    )


def pd_service(cluster: Cluster) -> Service:
    """Return the service over the PDs of all PD groups (feature MultiPDGroup)."""
    labels = component_labels(cluster.metadata.name, PD_COMPONENT)
    return Service(
        metadata=_metadata(cluster, cluster_pd_service_name(cluster), labels),
        spec=ServiceSpec(
            type="ClusterIP",
            ip_family_policy="PreferDualStack",
            selector=labels,
            ports=[ServicePort(name="client", port=PD_CLIENT_PORT, protocol="TCP", target_port="client")],
        ),
    )


def _metadata(cluster: Cluster, name: str, labels: dict[str, str]) -> ObjectMeta:
    return ObjectMeta(
        name=name,
        namespace=cluster.metadata.namespace,
        labels=dict(labels),
        owner_references=[owner_reference(cluster)],
    )
