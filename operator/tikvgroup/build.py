"""The objects a TiKVGroup makes: TiKVs, their headless service and the group's revisions.

Pure functions; the objects share nothing that is mutable with what they are made from.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from controller_runtime.api import ObjectMeta, canonical_quantity, to_builtins
from controller_runtime.api.k8s import ControllerRevision, Service, ServicePort, ServiceSpec
from controller_runtime.client import owner_reference
from tikv_operator.api import Cluster, Feature, TiKV, TiKVGroup, TiKVSpec, TiKVTemplate
from tikv_operator.common.features import enabled_features
from tikv_operator.common.keys import (
    ANNOTATION_DEFER_DELETE,
    FINALIZER,
    LABEL_INSTANCE_REVISION,
    LABEL_REVISION_HASH,
    component_labels,
)
from tikv_operator.common.names import (
    TIKV_COMPONENT,
    cluster_subdomain,
    peer_service_name,
    tikv_group_client_port,
    tikv_group_status_port,
)

__all__ = ["Blueprint", "controller_revision", "group_labels", "headless_service", "new_subdomain", "tikv"]


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """What all instances of one revision have in common.

    Attributes:
        revision: the name of the ControllerRevision.
    """

    revision: str
    template: TiKVTemplate
    features: tuple[str, ...]


def group_labels(group: TiKVGroup) -> dict[str, str]:
    """Return the labels that select everything that belongs to a group."""
    return component_labels(group.spec.cluster.name, TIKV_COMPONENT, group.metadata.name)


def headless_service(group: TiKVGroup) -> Service:
    """Return the service that gives each instance of the group its DNS name, ready or not."""
    ports = (("client", tikv_group_client_port(group)), ("status", tikv_group_status_port(group)))
    return Service(
        metadata=ObjectMeta(
            name=peer_service_name(group.metadata.name, TIKV_COMPONENT),
            namespace=group.metadata.namespace,
            labels=group_labels(group),
            owner_references=[owner_reference(group)],
        ),
        spec=ServiceSpec(
            type="ClusterIP",
            cluster_ip="None",
            ip_family_policy="PreferDualStack",
            publish_not_ready_addresses=True,
            selector=group_labels(group),
            ports=[ServicePort(name=name, port=port, protocol="TCP", target_port=name) for name, port in ports],
        ),
    )


def new_subdomain(group: TiKVGroup, cluster: Cluster) -> str:
    """Return the subdomain of a new instance. It can't change later, so existing ones keep theirs."""
    if Feature.CLUSTER_SUBDOMAIN in enabled_features(group, cluster):
        return cluster_subdomain(cluster.metadata.name)
    return peer_service_name(group.metadata.name, TIKV_COMPONENT)


def tikv(
    group: TiKVGroup,
    blueprint: Blueprint,
    *,
    name: str,
    subdomain: str,
    topology: dict[str, str] | None,
    resource_version: str = "",
) -> TiKV:
    """Return an instance of the group, to be applied.

    Args:
        resource_version: of the instance that is changed, so that the change is refused if it has changed meanwhile.
    """
    template = blueprint.template
    labels = dict((template.metadata and template.metadata.labels) or {})
    labels |= group_labels(group) | {LABEL_INSTANCE_REVISION: blueprint.revision}
    spec = _template_spec(template) | {
        "cluster": {"name": group.spec.cluster.name},
        "subdomain": subdomain,
        "offline": False,
    }
    if blueprint.features:
        spec["features"] = list(blueprint.features)
    if topology:
        spec["topology"] = topology
    return TiKV(
        metadata=ObjectMeta(
            name=name,
            namespace=group.metadata.namespace,
            resource_version=resource_version,
            labels=labels,
            annotations=_annotations(template),
            finalizers=[FINALIZER],
            owner_references=[owner_reference(group)],
        ),
        spec=msgspec.convert(spec, TiKVSpec),
    )


def controller_revision(group: TiKVGroup, *, name: str, data: bytes, digest: str, revision: int) -> ControllerRevision:
    """Return a revision of the group, to be created.

    Args:
        data: sent byte for byte, because another operator compares and hashes it.
        digest: the hash of `data`.
    """
    return ControllerRevision(
        metadata=ObjectMeta(
            name=name,
            namespace=group.metadata.namespace,
            labels=group_labels(group) | {LABEL_REVISION_HASH: digest},
            owner_references=[owner_reference(group)],
        ),
        data=msgspec.Raw(data),
        revision=revision,
    )


def _annotations(template: TiKVTemplate) -> dict[str, str]:
    """A mark for removal in a template would have each instance removed and replaced as soon as it is made, without end."""
    annotations = dict((template.metadata and template.metadata.annotations) or {})
    annotations.pop(ANNOTATION_DEFER_DELETE, None)
    return annotations


_EMPTY_STRUCTS: Final = ("server", "resources", "updateStrategy")


def _template_spec(template: TiKVTemplate) -> dict[str, Any]:
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
