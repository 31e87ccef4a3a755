"""Claims and volumes: what a provisioner does about them, as pure functions.

A claim is bound when a pod that uses it has been given a node, because a volume is where its node is: it keeps the node's
zone in a label. It grows when more is requested, and it is protected while a pod uses it, as in any cluster.
"""

from __future__ import annotations

from typing import Any, Final

from controller_runtime.api import ObjectMeta, parse_quantity
from controller_runtime.api.k8s import (
    CSIPersistentVolumeSource,
    Node,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    StorageClass,
)
from tikv_operator.simulation.kubelet.nodes import ZONE

__all__ = [
    "DEFAULT_CLASS",
    "PROTECTION",
    "SELECTED_NODE",
    "binding_patch",
    "capacity_of",
    "class_name",
    "is_ours",
    "make_storage_class",
    "make_volume",
    "outgrown",
    "requested",
    "status_of_bound",
    "volume_name",
]

DEFAULT_CLASS: Final = "standard"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
PROTECTION: Final = "kubernetes.io/pvc-protection"

_DRIVER: Final = "simulated.pingcap.com"
_IS_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
_GIB: Final = 1 << 30


def make_storage_class(name: str) -> StorageClass:
    """A class whose volumes are bound late and can grow; the one called `standard` is the default."""
    annotations = {_IS_DEFAULT: "true"} if name == DEFAULT_CLASS else {}
    return StorageClass(
        metadata=ObjectMeta(name=name, annotations=annotations),
        provisioner=_DRIVER,
        reclaim_policy="Delete",
        volume_binding_mode="WaitForFirstConsumer",
        allow_volume_expansion=True,
    )


def class_name(claim: PersistentVolumeClaim) -> str:
    return (claim.spec.storage_class_name if claim.spec else None) or DEFAULT_CLASS


def volume_name(claim_uid: str) -> str:
    return f"pvc-{claim_uid}"


def requested(claim: PersistentVolumeClaim) -> str:
    resources = claim.spec.resources if claim.spec else None
    return ((resources.requests if resources else None) or {}).get("storage", "1Gi")


def make_volume(claim: PersistentVolumeClaim, node: Node) -> PersistentVolume:
    """The volume for a claim, in the zone of the node whose pod uses it first."""
    zone = node.metadata.labels.get(ZONE)
    return PersistentVolume(
        metadata=ObjectMeta(
            name=volume_name(claim.metadata.uid),
            labels={ZONE: zone} if zone else {},
            annotations={"pv.kubernetes.io/provisioned-by": _DRIVER},
        ),
        spec=PersistentVolumeSpec(
            access_modes=(claim.spec.access_modes if claim.spec else None) or ["ReadWriteOnce"],
            capacity={"storage": requested(claim)},
            claim_ref=ObjectReference(
                api_version="v1",
                kind="PersistentVolumeClaim",
                namespace=claim.metadata.namespace,
                name=claim.metadata.name,
                uid=claim.metadata.uid,
            ),
            csi=CSIPersistentVolumeSource(driver=_DRIVER, volume_handle=claim.metadata.uid),
            persistent_volume_reclaim_policy="Delete",
            storage_class_name=class_name(claim),
            volume_attributes_class_name=claim.spec.volume_attributes_class_name if claim.spec else None,
            volume_mode="Filesystem",
        ),
    )


def binding_patch(claim: PersistentVolumeClaim) -> dict[str, Any]:
    """What a claim gets when it is bound."""
    finalizers = [*claim.metadata.finalizers]
    if PROTECTION not in finalizers:
        finalizers.append(PROTECTION)
    return {
        "metadata": {
            "uid": claim.metadata.uid,
            "resourceVersion": claim.metadata.resource_version,
            "finalizers": finalizers,
            "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
        },
        "spec": {"volumeName": volume_name(claim.metadata.uid), "storageClassName": class_name(claim)},
    }


def status_of_bound(claim: PersistentVolumeClaim) -> dict[str, Any]:
    """The status that a bound claim should have."""
    status: dict[str, Any] = {
        "phase": "Bound",
        "accessModes": (claim.spec.access_modes if claim.spec else None) or ["ReadWriteOnce"],
        "capacity": {"storage": requested(claim)},
    }
    if claim.spec and claim.spec.volume_attributes_class_name:
        status["currentVolumeAttributesClassName"] = claim.spec.volume_attributes_class_name
    return status


def capacity_of(claim: PersistentVolumeClaim | None) -> int:
    """Bytes."""
    found = (claim.status.capacity if claim is not None and claim.status else None) or {}
    return int(parse_quantity(found["storage"])) if "storage" in found else _GIB


def outgrown(claim: PersistentVolumeClaim) -> bool:
    """Whether a bound claim asks for more than it has, or for another class of attributes."""
    status = claim.status
    if status is None or status.phase != "Bound":
        return False
    wanted_class = claim.spec.volume_attributes_class_name if claim.spec else None
    if wanted_class and wanted_class != status.current_volume_attributes_class_name:
        return True
    return parse_quantity(requested(claim)) > capacity_of(claim)


def is_ours(volume: PersistentVolume) -> bool:
    """Whether this provisioner made the volume."""
    return volume.metadata.annotations.get("pv.kubernetes.io/provisioned-by") == _DRIVER
