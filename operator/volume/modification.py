"""Where the change of one volume through the API of its cloud is. The deciding part: pure.

A cloud can change a volume's type, throughput or size while it is in use, and allows that only now and then. The claim's
annotations remember what was asked for (`spec.tidb.pingcap.com/*`) and what has been done (`status.tidb.pingcap.com/*`); keys
and values are TiDB Operator's, so that either goes on with what the other began.

Without a `VolumeModifier` for its driver a volume grows through its driver (the claim's size is changed), and keeps its storage
class. Where the Kubernetes cluster has it, a VolumeAttributesClass does the same with no cloud API in the operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controller_runtime.api import format_time, parse_quantity, parse_time
from controller_runtime.api.k8s import PersistentVolume, PersistentVolumeClaim, StorageClass

__all__ = [
    "Asked",
    "Phase",
    "asked",
    "class_of",
    "contradiction",
    "done_annotations",
    "free_again",
    "has_capacity",
    "phase_of",
    "prepared_annotations",
    "request_of",
    "shrinks",
    "was_asked",
]

_SPEC: Final = "spec.tidb.pingcap.com/"
_STATUS: Final = "status.tidb.pingcap.com/"
_LAST_TRANSITION: Final = f"{_STATUS}last-transition-timestamp"


class Phase(StrEnum):
    """Where the modification of a volume is."""

    MODIFYING = "Modifying"
    MODIFIED = "Modified"
    PENDING = "Pending"
    PREPARING = "Preparing"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of an existing claim.

    Attributes:
        size: a quantity.
        current_class: the storage class whose parameters the volume has now.
        target_class: the one whose parameters it should have.
        begun: an earlier modification hasn't been finished.
        otherwise: that one was to something else: it is no more what is wanted.
        size_changed: it is not the size that was done last.
    """

    size: str
    current_class: str
    target_class: str
    begun: bool
    otherwise: bool
    size_changed: bool

    @property
    def class_changed(self) -> bool:
        return bool(self.target_class) and self.target_class != self.current_class


def asked(wanted: PersistentVolumeClaim, current: PersistentVolumeClaim) -> Asked:
    """Compare the claim that should be with the one that is."""
    told = current.metadata.annotations
    before = told.get(f"{_STATUS}storage-class") or class_of(current)
    size, target = request_of(wanted), class_of(wanted) or before
    begun = told.get(f"{_SPEC}revision") != told.get(f"{_STATUS}revision")
    return Asked(
        size=size,
        current_class=before,
        target_class=target,
        begun=begun,
        otherwise=begun
        and (told.get(f"{_SPEC}storage-size", size) != size or told.get(f"{_SPEC}storage-class", target) != target),
        size_changed=size != (told.get(f"{_STATUS}storage-size") or request_of(current)),
    )


def was_asked(change: Asked) -> bool:
    """Return whether there is anything to do beyond what the claim's own controller does."""
    return change.begun or change.class_changed or change.size_changed


def shrinks(change: Asked, current: PersistentVolumeClaim) -> bool:
    """Return whether the volume would have to become smaller, which none can."""
    return parse_quantity(change.size) < parse_quantity(_capacity(current))


def contradiction(
    change: Asked, current: PersistentVolumeClaim, volume: PersistentVolume, own_class: StorageClass, provisioner: str
) -> str:
    """Return what speaks against changing this volume for this claim; empty if nothing does.

    Args:
        own_class: the class that the claim itself names. It is the one that the API server asks whether a claim may grow.
        provisioner: the driver whose volumes are changed.
    """
    name, spec = volume.metadata.name, volume.spec
    owner = spec.claim_ref if spec is not None else None
    claim = current.metadata
    if owner is None or (owner.namespace, owner.name, owner.uid) != (claim.namespace, claim.name, claim.uid):
        return f"volume {name} is not bound to it"
    if spec is None or spec.csi is None or spec.csi.driver != provisioner:
        return f"volume {name} is not one of driver {provisioner}"
    grows = parse_quantity(change.size) > parse_quantity(_capacity(current))
    if grows and not own_class.allow_volume_expansion:
        return f"its storage class {own_class.metadata.name} does not allow it to grow"
    return ""


def phase_of(change: Asked, current: PersistentVolumeClaim, *, wait: float, now: float) -> Phase:
    """Return where a modification is.

    One that was begun and is no more wanted is replaced at once: how long the cloud must be left alone is then the cloud's to
    say, because it may never have begun.

    Args:
        wait: seconds between two modifications.
        now: wall-clock seconds.
    """
    if change.begun:
        return Phase.PREPARING if change.otherwise else Phase.MODIFYING
    if not change.class_changed and not change.size_changed:
        return Phase.MODIFIED
    return Phase.PENDING if now < free_again(current, wait) else Phase.PREPARING


def free_again(current: PersistentVolumeClaim, wait: float) -> float:
    """Return when the next modification may begin, as wall-clock seconds; 0.0 if there never was one, or nobody can tell."""
    try:
        return parse_time(current.metadata.annotations.get(_LAST_TRANSITION, "")) + wait
    except ValueError:
        return 0.0


def prepared_annotations(change: Asked, current: PersistentVolumeClaim, *, now: float) -> dict[str, str]:
    """Return the annotations that say what is asked for from now on: with a revision of their own, until that is done, too."""
    revision = current.metadata.annotations.get(f"{_SPEC}revision", "")
    return {
        f"{_SPEC}revision": str(int(revision) + 1) if revision.isdecimal() else "1",
        f"{_SPEC}storage-class": change.target_class,
        f"{_SPEC}storage-size": change.size,
        _LAST_TRANSITION: format_time(now),
    }


def done_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that say that what was asked for has been done."""
    return {
        f"{_STATUS}{name}": annotations[f"{_SPEC}{name}"]
        for name in ("revision", "storage-class", "storage-size")
        if f"{_SPEC}{name}" in annotations
    }


def has_capacity(claim: PersistentVolumeClaim, size: str) -> bool:
    """Return whether the file system in the volume has been grown, too. Drivers round up, so that it may be larger."""
    return parse_quantity(_capacity(claim)) >= parse_quantity(size)


def class_of(claim: PersistentVolumeClaim) -> str:
    """Return the storage class that a claim names; empty if it names none."""
    return (claim.spec.storage_class_name if claim.spec is not None else None) or ""


def request_of(claim: PersistentVolumeClaim) -> str:
    """Return the size that a claim asks for; empty if it asks for none."""
    resources = claim.spec.resources if claim.spec is not None else None
    return ((resources.requests if resources is not None else None) or {}).get("storage", "")


def _capacity(claim: PersistentVolumeClaim) -> str:
    return ((claim.status.capacity if claim.status is not None else None) or {}).get("storage", "0")
