"""The volume claims of an instance, and how far an existing claim may be changed. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from controller_runtime.api import ObjectMeta, canonical_quantity, parse_quantity
from controller_runtime.api.k8s import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    VolumeResourceRequirements,
)
from controller_runtime.client import owner_reference
from tikv_operator.api import Cluster, Feature, TemplateMeta, Volume
from tikv_operator.common import keys, names
from tikv_operator.common.features import enabled_features
from tikv_operator.common.instances import Instance
from tikv_operator.instance.component import InstanceComponent
from tikv_operator.instance.podparts import subresource_labels

__all__ = ["ClaimPlan", "is_bound", "plan_claim", "render_claims"]

_STORAGE = "storage"
_KUBERNETES: Final = ("pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/")
"""How the annotations begin that claims get from Kubernetes' own controllers and from drivers."""


def render_claims(
    component: InstanceComponent, instance: Instance, cluster: Cluster, labels: Mapping[str, str]
) -> list[PersistentVolumeClaim]:
    """Return the claims that an instance should have: one for each volume, in the order of its volumes.

    Args:
        labels: what they have beyond the labels that all objects of the instance have.
    """
    overlays = {
        overlay.name: overlay.volume_claim.metadata or TemplateMeta()
        for overlay in (instance.spec.overlay.volume_claims if instance.spec.overlay is not None else None) or ()
    }
    with_class = Feature.VOLUME_ATTRIBUTES_CLASS in enabled_features(instance, cluster)
    return [
        _claim(component, instance, volume, labels, overlays.get(volume.name, TemplateMeta()), with_class)
        for volume in instance.spec.volumes
    ]


def _claim(
    component: InstanceComponent,
    instance: Instance,
    volume: Volume,
    labels: Mapping[str, str],
    overlay: TemplateMeta,
    with_class: bool,
) -> PersistentVolumeClaim:
    return PersistentVolumeClaim(
        metadata=ObjectMeta(
            name=names.volume_claim_name(volume.name, instance.metadata.name, component.name),
            namespace=instance.metadata.namespace,
            labels=subresource_labels(component, instance)
            | {keys.LABEL_VOLUME_NAME: volume.name}
            | dict(labels)
            | (overlay.labels or {}),
            annotations=dict(overlay.annotations or {}),
            owner_references=[owner_reference(instance)],
        ),
        spec=PersistentVolumeClaimSpec(
            access_modes=["ReadWriteOnce"],
            resources=VolumeResourceRequirements(requests={_STORAGE: canonical_quantity(volume.storage)}),
            storage_class_name=volume.storage_class_name,
            volume_attributes_class_name=volume.volume_attributes_class_name if with_class else None,
        ),
    )


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """What to do about one claim.

    Attributes:
        claim: to be applied; None: leave the existing one alone, for now or because it is as it should be.
        waiting: what a person should know is being waited for; empty if nothing.
        refused: what was asked for and cannot be done; empty if all can.
    """

    claim: PersistentVolumeClaim | None
    waiting: str = ""
    refused: str = ""


def plan_claim(wanted: PersistentVolumeClaim, current: PersistentVolumeClaim | None, *, bound_only: bool) -> ClaimPlan:
    """Fit a wanted claim to the one that exists.

    A claim's storage class never changes, and a volume never shrinks: both stay as they are. The API server would reject the
    whole change, and with it what can be done.

    Args:
        bound_only: leave a claim alone until it is bound.
    """
    if current is None or current.spec is None:
        return ClaimPlan(wanted)
    name = current.metadata.name
    if bound_only and not is_bound(current):
        return ClaimPlan(None, waiting=f"volume claim {name} is not bound")
    spec = msgspec.structs.replace(wanted.spec or PersistentVolumeClaimSpec())
    spec.storage_class_name = current.spec.storage_class_name
    refused = ""
    asked, given = _size(wanted), _granted(current)
    if asked and given and parse_quantity(asked) < parse_quantity(given):
        refused = f"volume claim {name} cannot shrink from {given} to {asked}"
        spec.resources = VolumeResourceRequirements(requests={_STORAGE: _size(current) or given})
    fitted = msgspec.structs.replace(wanted, spec=spec)
    return ClaimPlan(None if _is_as_it_should_be(fitted, current) else fitted, refused=refused)


def _is_as_it_should_be(wanted: PersistentVolumeClaim, current: PersistentVolumeClaim) -> bool:
    """Return whether applying the claim could change nothing that matters.

    A claim is bound, and gets a class, after it was made: to apply it again because of that would only make others' fields ours.
    Labels and annotations that are not wanted may be ours from before, and are for the API server to tell from those of others.
    """
    want, have = wanted.metadata, current.metadata
    added = [key for key in have.annotations if key not in want.annotations and not key.startswith(_KUBERNETES)]
    return (
        want.labels == have.labels
        and not added
        and want.annotations.items() <= have.annotations.items()
        and all(owner in have.owner_references for owner in want.owner_references)
        and _attributes_class(wanted) == _attributes_class(current)
        and _size(wanted) == _size(current)
    )


def _attributes_class(claim: PersistentVolumeClaim) -> str | None:
    return claim.spec.volume_attributes_class_name if claim.spec is not None else None


def is_bound(claim: PersistentVolumeClaim) -> bool:
    """Return whether a claim has its volume."""
    return claim.status is not None and claim.status.phase == "Bound"


def _size(claim: PersistentVolumeClaim) -> str:
    resources = claim.spec.resources if claim.spec is not None else None
    return (resources.requests or {}).get(_STORAGE, "") if resources is not None else ""


def _granted(claim: PersistentVolumeClaim) -> str:
    """Return the size a claim has, or has asked for before it got any."""
    capacity = claim.status.capacity if claim.status is not None else None
    return (capacity or {}).get(_STORAGE) or _size(claim)
