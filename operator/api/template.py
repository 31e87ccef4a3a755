"""What an instance's template says about volumes and overlays, with the rules that bind the two."""

from __future__ import annotations

from typing import Annotated, Any, Final

from controller_runtime.api.k8s import PersistentVolumeClaimSpec, PodSpec
from controller_runtime.api.meta import Model
from controller_runtime.api.quantity import Quantity
from controller_runtime.api.schema import Rule, Schema
from tikv_operator.api.common import TemplateMeta

__all__ = [
    "TEMPLATE_RULES",
    "TOPOLOGY_IS_SET_AT_CREATION",
    "Overlay",
    "PodOverlay",
    "Volume",
    "VolumeClaimOverlay",
    "VolumeClaimTemplate",
    "VolumeMount",
    "Volumes",
]

TEMPLATE_RULES: Final = (
    Rule(
        "!has(self.overlay) || !has(self.overlay.volumeClaims) || (has(self.volumes) && "
        "self.overlay.volumeClaims.all(claim, claim.name in self.volumes.map(volume, volume.name)))",
        "overlay volumeClaims names must exist in volumes",
    ),
    Rule(
        "has(self.volumes) && 'data' in self.volumes.map(volume, volume.name)",
        "data volume must be configured",
    ),
)
TOPOLOGY_IS_SET_AT_CREATION: Final = Rule(
    "has(self.topology) == has(oldSelf.topology)",
    "topology can only be set when creating",
    field_path=".topology",
)


class VolumeMount(Model, kw_only=True):
    """One use of a volume."""

    type: str
    """What the volume is used for; `data` is the instance's data directory."""
    mount_path: str | None = None
    """Where it is mounted; a known type has a default."""
    sub_path: str | None = None


class Volume(Model, kw_only=True):
    """A persistent volume of each instance; it may be mounted for several uses."""

    __schema__ = Schema(
        rules=(
            Rule(
                "!has(oldSelf.volumeAttributesClassName) || has(self.volumeAttributesClassName)",
                "VolumeAttributesClassName cannot be changed from non-nil to nil",
            ),
        )
    )

    name: str
    mounts: Annotated[list[VolumeMount], Schema(list_type="atomic")]
    storage: Quantity
    """The size that is requested."""
    storage_class_name: str | None = None
    """Absent means the default storage class."""
    volume_attributes_class_name: str | None = None
    """Only used with the feature VolumeAttributesClass."""


Volumes = Annotated[list[Volume], Schema(list_type="map", list_map_keys=("name",), max_items=256)]


class PodOverlay(Model, kw_only=True):
    """Merged over the pod that the operator renders."""

    metadata: Annotated[
        TemplateMeta | None,
        Schema(
            rules=(
                Rule(
                    "!has(self.labels) || self.labels.all(key, !key.startsWith('pingcap.com/'))",
                    "cannot overlay pod labels starting with 'pingcap.com/'",
                ),
            )
        ),
    ] = None
    spec: Annotated[dict[str, Any] | None, Schema(part_of=PodSpec)] = None
    """Any part of a pod's spec."""


class VolumeClaimTemplate(Model, kw_only=True):
    """Merged over one volume claim; only the labels and annotations have an effect."""

    metadata: TemplateMeta | None = None
    spec: Annotated[dict[str, Any] | None, Schema(part_of=PersistentVolumeClaimSpec)] = None


class VolumeClaimOverlay(Model, kw_only=True):
    """The overlay of the claim of one volume, by the volume's name."""

    name: str
    volume_claim: VolumeClaimTemplate


class Overlay(Model, kw_only=True):
    """Changes to the Kubernetes objects that the operator renders for an instance."""

    pod: PodOverlay | None = None
    volume_claims: Annotated[
        list[VolumeClaimOverlay] | None, Schema(list_type="map", list_map_keys=("name",), max_items=256)
    ] = None
