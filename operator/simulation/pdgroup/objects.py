"""The objects of a PDGroup, under the names and labels of TiDB Operator. Pure functions.

The pods are numbered, and a PDGroup owns them directly: there are no PD instances in between.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from controller_runtime.api import ObjectMeta, OwnerReference
from controller_runtime.api.k8s import (
    Container,
    ContainerPort,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    Pod,
    PodSpec,
    ResourceRequirements,
    Service,
    ServicePort,
    ServiceSpec,
)
from controller_runtime.client import owner_reference
from tikv_operator.api import PDGroup
from tikv_operator.common import keys, names
from tikv_operator.common.image import resolve_image
from tikv_operator.common.revision import revision_data, revision_hash
from tikv_operator.simulation.pd.front import Address

__all__ = [
    "ReplicationConfig",
    "endpoint_slice",
    "group_labels",
    "index_of",
    "instance_name",
    "pod",
    "replication_config",
    "revision_of",
    "services",
    "slice_name",
]


@dataclass(frozen=True, slots=True)
class ReplicationConfig:
    """What PD's configuration file says about replication; None for what it doesn't mention."""

    max_replicas: int | None = None
    location_labels: tuple[str, ...] | None = None


def replication_config(group: PDGroup) -> ReplicationConfig:
    """
    Raises:
        ValueError: the group's configuration is not TOML.
    """
    tree = tomllib.loads(group.spec.template.spec.config or "")
    found = tree.get("replication")
    replication: dict[str, Any] = found if isinstance(found, dict) else {}
    labels, replicas = replication.get("location-labels"), replication.get("max-replicas")
    if isinstance(labels, str):
        labels = [label.strip() for label in labels.split(",") if label.strip()]
    return ReplicationConfig(
        max_replicas=replicas if isinstance(replicas, int) and replicas > 0 else None,
        location_labels=tuple(map(str, labels)) if isinstance(labels, list) else None,
    )


def revision_of(group: PDGroup) -> str:
    """The name of the revision that the group's template amounts to."""
    return names.revision_name(group.metadata.name, names.PD_COMPONENT, revision_hash(revision_data(group)))


def group_labels(group: PDGroup) -> dict[str, str]:
    return keys.component_labels(group.spec.cluster.name, names.PD_COMPONENT, group.metadata.name)


def instance_name(group: PDGroup, index: int) -> str:
    """The name of a PD server: of its member, and of the instance its pod is labelled with."""
    return f"{group.metadata.name}-{index}"


def index_of(group: PDGroup, found: Pod) -> int | None:
    """The number of one of the group's pods; None if it is not one of those made here."""
    name = found.metadata.labels.get(keys.LABEL_INSTANCE, "")
    digits = name.removeprefix(f"{group.metadata.name}-")
    return int(digits) if name != digits and digits.isdecimal() else None


def pod(group: PDGroup, index: int, revision: str) -> Pod:
    """
    Raises:
        ImageInvalid: the group's image is malformed.
    """
    template = group.spec.template.spec
    name = instance_name(group, index)
    cluster = group.spec.cluster.name
    wanted = template.resources
    amounts = {
        kind: str(amount)
        for kind, amount in (("cpu", wanted.cpu if wanted else None), ("memory", wanted.memory if wanted else None))
        if amount
    }
    return Pod(
        metadata=ObjectMeta(
            name=names.pd_pod_name(name),
            namespace=group.metadata.namespace,
            labels=group_labels(group)
            | {keys.LABEL_INSTANCE: name, keys.LABEL_INSTANCE_REVISION: revision}
            | keys.app_labels(cluster, names.PD_COMPONENT),
            owner_references=[_owner(group)],
        ),
        spec=PodSpec(
            hostname=names.pd_pod_name(name),
            subdomain=names.pd_peer_service_name(group.metadata.name),
            node_selector=_topology(group, index),
            containers=[
                Container(
                    name=names.PD_COMPONENT,
                    image=resolve_image(template.image, "pingcap/pd", template.version),
                    image_pull_policy="IfNotPresent",
                    command=["/pd-server"],
                    ports=[
                        ContainerPort(name="client", container_port=names.pd_client_port(group)),
                        ContainerPort(name="peer", container_port=names.pd_peer_port(group)),
                    ],
                    resources=ResourceRequirements(limits=amounts, requests=amounts) if amounts else None,
                )
            ],
        ),
    )


def services(group: PDGroup, *, own_client_service: bool) -> list[Service]:
    """The headless service, and the one for clients unless the whole cluster has one."""
    labels = group_labels(group)
    client = ServicePort(name="client", port=names.pd_client_port(group), protocol="TCP", target_port="client")
    peer = ServicePort(name="peer", port=names.pd_peer_port(group), protocol="TCP", target_port="peer")

    def service(name: str, **spec: Any) -> Service:
        return Service(
            metadata=ObjectMeta(
                name=name, namespace=group.metadata.namespace, labels=labels, owner_references=[_owner(group)]
            ),
            spec=ServiceSpec(
                type="ClusterIP", ip_family_policy="PreferDualStack", selector=labels, ports=[client, peer], **spec
            ),
        )

    name = group.metadata.name
    headless = service(names.pd_peer_service_name(name), cluster_ip="None", publish_not_ready_addresses=True)
    return [headless, service(names.pd_service_name(name))] if own_client_service else [headless]


def endpoint_slice(service: Service, address: Address, *, ready: bool) -> EndpointSlice:
    """Where a PD service leads to: the simulated PD's address, whichever server answers."""
    return EndpointSlice(
        metadata=ObjectMeta(
            name=slice_name(service),
            namespace=service.metadata.namespace,
            labels={
                "kubernetes.io/service-name": service.metadata.name,
                "endpointslice.kubernetes.io/managed-by": "simulation",
            },
            owner_references=[owner_reference(service)],
        ),
        address_type="IPv4",
        endpoints=[Endpoint(addresses=[address.host], conditions=EndpointConditions(ready=ready, serving=ready))],
        ports=[EndpointPort(name="client", port=address.port, protocol="TCP")],
    )


def slice_name(service: Service) -> str:
    return f"{service.metadata.name}-simulated"


def _owner(group: PDGroup) -> OwnerReference:
    return owner_reference(group)


def _topology(group: PDGroup, index: int) -> dict[str, str] | None:
    """Where a server runs, if the group spreads its servers: one place after the other."""
    policies = group.spec.schedule_policies or []
    spread = next((policy.evenly_spread for policy in policies if policy.evenly_spread is not None), None)
    if spread is None or not spread.topologies:
        return None
    return dict(spread.topologies[index % len(spread.topologies)].topology)
