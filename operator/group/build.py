"""The objects that every group makes: instances, their headless service and the group's revisions.

Pure functions; the objects share nothing that is mutable with what they are made from.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from controller_runtime.api import ObjectMeta, canonical_quantity, to_builtins
from controller_runtime.api.k8s import ControllerRevision, Service, ServicePort, ServiceSpec
from controller_runtime.client import owner_reference
from tikv_operator.api import Cluster, Feature
from tikv_operator.common.features import enabled_features
from tikv_operator.common.instances import Group, Instance
from tikv_operator.common.keys import (
    ANNOTATION_DEFER_DELETE,
    FINALIZER,
    LABEL_INSTANCE_REVISION,
    LABEL_REVISION_HASH,
    component_labels,
)
from tikv_operator.common.names import cluster_subdomain, peer_service_name
from tikv_operator.group.component import GroupComponent, Template

__all__ = [
    "Blueprint",
    "controller_revision",
    "group_labels",
    "headless_service",
    "instance",
    "new_subdomain",
    "service_metadata",
    "service_ports",
]

G = TypeVar("G", bound=Group)
I = TypeVar("I", bound=Instance)  # noqa: E741 (an instance kind)


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """What all instances of one revision have in common.

    Attributes:
        revision: the name of the ControllerRevision.
    """

    revision: str
    template: Template
    features: tuple[str, ...]


def group_labels(component: GroupComponent[G, I], group: G) -> dict[str, str]:
    """Return the labels that select everything that belongs to a group."""
    return component_labels(group.spec.cluster.name, component.name, group.metadata.name)


def headless_service(component: GroupComponent[G, I], group: G) -> Service:
    """Return the service that gives each instance of the group its DNS name, ready or not."""
    return Service(
        metadata=service_metadata(component, group, peer_service_name(group.metadata.name, component.name)),
        spec=ServiceSpec(
            type="ClusterIP",
            cluster_ip="None",
            ip_family_policy="PreferDualStack",
            publish_not_ready_addresses=True,
            selector=group_labels(component, group),
            ports=service_ports(component, group),
        ),
    )


def service_metadata(component: GroupComponent[G, I], group: G, name: str) -> ObjectMeta:
    """Return the metadata of a service of the group."""
    return ObjectMeta(
        name=name,
        namespace=group.metadata.namespace,
        labels=group_labels(component, group),
        owner_references=[owner_reference(group)],
    )


def service_ports(component: GroupComponent[G, I], group: G) -> list[ServicePort]:
    """Return the ports of a service of the group; it leads to the pods' ports of the same names."""
    return [
        ServicePort(name=name, port=port, protocol="TCP", target_port=name) for name, port in component.ports(group)
    ]


def new_subdomain(component: GroupComponent[G, I], group: G, cluster: Cluster) -> str:
    """Return the subdomain of a new instance. It can't change later, so existing ones keep theirs."""
    if Feature.CLUSTER_SUBDOMAIN in enabled_features(group, cluster):
        return cluster_subdomain(cluster.metadata.name)
    return peer_service_name(group.metadata.name, component.name)


def instance(
    component: GroupComponent[G, I],
    group: G,
    blueprint: Blueprint,
    *,
    name: str,
    subdomain: str,
    topology: dict[str, str] | None,
    resource_version: str = "",
) -> I:
    """Return an instance of the group, to be applied.

    Args:
        resource_version: of the instance that is changed, so that the change is refused if it has changed meanwhile.
    """
    template = blueprint.template
    labels = dict((template.metadata and template.metadata.labels) or {})
    labels |= group_labels(component, group) | {LABEL_INSTANCE_REVISION: blueprint.revision}
    spec = _template_spec(template) | {"cluster": {"name": group.spec.cluster.name}, "subdomain": subdomain}
    spec |= component.own_spec
    if blueprint.features:
        spec["features"] = list(blueprint.features)
    if topology:
        spec["topology"] = topology
    metadata = ObjectMeta(
        name=name,
        namespace=group.metadata.namespace,
        resource_version=resource_version,
        labels=labels,
        annotations=_annotations(template) | component.annotations(group),
        finalizers=[FINALIZER],
        owner_references=[owner_reference(group)],
    )
    return component.make(metadata, spec)


def controller_revision(
    component: GroupComponent[G, I], group: G, *, name: str, data: bytes, digest: str, revision: int
) -> ControllerRevision:
    """Return a revision of the group, to be created.

    Args:
        data: sent byte for byte, because another operator compares and hashes it.
        digest: the hash of `data`.
    """
    return ControllerRevision(
        metadata=ObjectMeta(
            name=name,
            namespace=group.metadata.namespace,
            labels=group_labels(component, group) | {LABEL_REVISION_HASH: digest},
            owner_references=[owner_reference(group)],
        ),
        data=msgspec.Raw(data),
        revision=revision,
    )


def _annotations(template: Template) -> dict[str, str]:
    """A mark for removal in a template would have each instance removed and replaced as soon as it is made, without end."""
    annotations = dict((template.metadata and template.metadata.annotations) or {})
    annotations.pop(ANNOTATION_DEFER_DELETE, None)
    return annotations


_EMPTY_STRUCTS: Final = ("server", "resources", "updateStrategy")


def _template_spec(template: Template) -> dict[str, Any]:
    """Return the template's spec as it is applied: quantities canonical, without structs that say nothing."""
    spec: dict[str, Any] = to_builtins(template.spec)
    if "resources" in spec:
        spec["resources"] = {name: canonical_quantity(amount) for name, amount in spec["resources"].items()}
    for volume in spec["volumes"]:
        volume["storage"] = canonical_quantity(volume["storage"])
    if not spec.get("server", {}).get("ports", True):
        del spec["server"]["ports"]
    for name in _EMPTY_STRUCTS:
        if not spec.get(name, True):
            del spec[name]
    return spec
