"""What is particular to groups of PD servers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from controller_runtime.api import ObjectMeta
from controller_runtime.api.k8s import Service, ServiceSpec
from tikv_operator.api import PD, PDGroup, PDSpec, PDTemplate
from tikv_operator.common.keys import ANNOTATION_INITIAL_CLUSTER_NUM
from tikv_operator.common.names import PD_COMPONENT, pd_client_port, pd_peer_port, pd_service_name
from tikv_operator.group.build import group_labels, service_metadata, service_ports
from tikv_operator.group.component import GroupComponent

__all__ = ["PD_GROUP", "client_service"]


def _ports(group: PDGroup) -> tuple[tuple[str, int], ...]:
    return (("client", pd_client_port(group)), ("peer", pd_peer_port(group)))


def _make(metadata: ObjectMeta, spec: dict[str, Any]) -> PD:
    return PD(metadata=metadata, spec=msgspec.convert(spec, PDSpec))


def _annotations(group: PDGroup) -> dict[str, str]:
    """Until the cluster is born, each server is told how many there will be; a later one joins."""
    return {} if group.spec.bootstrapped else {ANNOTATION_INITIAL_CLUSTER_NUM: str(group.spec.replicas)}


PD_GROUP: Final = GroupComponent(
    name=PD_COMPONENT,
    group=PDGroup,
    instance=PD,
    template=PDTemplate,
    make=_make,
    ports=_ports,
    annotations=_annotations,
)


def client_service(group: PDGroup) -> Service:
    """Return the service through which clients, and servers that join, reach the PDs of a group that are ready."""
    return Service(
        metadata=service_metadata(PD_GROUP, group, pd_service_name(group.metadata.name)),
        spec=ServiceSpec(
            type="ClusterIP",
            ip_family_policy="PreferDualStack",
            selector=group_labels(PD_GROUP, group),
            ports=service_ports(PD_GROUP, group),
        ),
    )
