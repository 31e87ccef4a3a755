"""Changing a volume in place through the API of its cloud, as TiDB Operator does for some drivers. The deciding part: pure.

A cloud can change a volume's type, throughput or size while it is in use, and allows that only now and then. The claim's
annotations remember what was asked for (`spec.tidb.pingcap.com/*`) and what has been done (`status.tidb.pingcap.com/*`); keys
and values are TiDB Operator's, so that either goes on with what the other began.

The operator ships no `VolumeModifier`: each needs its cloud's library and credentials. Without one for its driver a volume
grows through its driver (the claim's size is changed), and keeps its storage class. Where the Kubernetes cluster has it, a
VolumeAttributesClass does the same with no cloud API in the operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from controller_runtime.api import format_time, parse_quantity, parse_time, quantities_equal
from controller_runtime.api.k8s import PersistentVolume, PersistentVolumeClaim, StorageClass

__all__ = [
    "Asked",
    "Phase",
    "VolumeModifier",
    "asked",
    "done_annotations",
    "has_capacity",
    "phase_of",
    "prepared_annotations",
    "was_asked",
]

_SPEC: Final = "spec.tidb.pingcap.com/"
_STATUS: Final = "status.tidb.pingcap.com/"
_LAST_TRANSITION: Final = f"{_STATUS}last-transition-timestamp"


class VolumeModifier(Protocol):
    """Changes the volumes of one driver.

    Attributes:
        provisioner: the driver, as storage classes name it, e.g. `ebs.csi.aws.com`.
        wait: seconds that the cloud wants between two changes of one volume.
    """

    @property
    def provisioner(self) -> str: ...

    @property
    def wait(self) -> float: ...

    def refusal(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        """Return why the volume cannot be changed so; empty if it can."""
        ...

    async def modify(self, volume: PersistentVolume, size: str, target: StorageClass) -> bool:
        """Bring the cloud to change the volume, if it doesn't already; return whether it is done. May be called repeatedly.

        Raises:
            OSError: the cloud could not be reached.
        """
        ...


class Phase(StrEnum):
    """Where the modification of a volume is."""

    CANNOT_MODIFY = "CannotModify"
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
        size_changed: it is not the size that was asked for last.
    """

    size: str
    current_class: str
    target_class: str
    begun: bool
    size_changed: bool

    @property
    def class_changed(self) -> bool:
        return bool(self.target_class) and self.target_class != self.current_class


def asked(wanted: PersistentVolumeClaim, current: PersistentVolumeClaim) -> Asked:
    """Compare the claim that should be with the one that is."""
    done = current.metadata.annotations
    before = done.get(f"{_STATUS}storage-class") or _class_of(current)
    size = _request(wanted)
    return Asked(
        size=size,
        current_class=before,
        target_class=_class_of(wanted) or before,
        begun=done.get(f"{_SPEC}revision") != done.get(f"{_STATUS}revision"),
        size_changed=size != (done.get(f"{_STATUS}storage-size") or _request(current)),
    )


def was_asked(change: Asked) -> bool:
    """Return whether there is anything to do beyond what the claim's own controller does."""
    return change.begun or change.class_changed or change.size_changed


def phase_of(
    change: Asked,
    current: PersistentVolumeClaim,
    target: StorageClass,
    volume: PersistentVolume,
    modifier: VolumeModifier,
    *,
    now: float,
) -> Phase:
    """Return where a modification is.

    Args:
        target: the storage class of that name.
        now: wall-clock seconds.
    """
    capacity = ((current.status.capacity if current.status is not None else None) or {}).get("storage", "0")
    size, given = parse_quantity(change.size), parse_quantity(capacity)
    grows_forbidden = size > given and not target.allow_volume_expansion
    if size < given or grows_forbidden or modifier.refusal(volume, change.size, target):
        return Phase.CANNOT_MODIFY
    if change.begun:
        return Phase.MODIFYING
    if not change.class_changed and not change.size_changed:
        return Phase.MODIFIED
    last = current.metadata.annotations.get(_LAST_TRANSITION, "")
    return Phase.PENDING if last and _parse(last) + modifier.wait > now else Phase.PREPARING


def prepared_annotations(change: Asked, current: PersistentVolumeClaim, *, now: float) -> dict[str, str]:
    """Return the annotations that say what is asked for from now on."""
    revision = current.metadata.annotations.get(f"{_SPEC}revision", "")
    wanted = {f"{_SPEC}storage-size": change.size}
    if change.target_class:
        wanted[f"{_SPEC}storage-class"] = change.target_class
    if any(current.metadata.annotations.get(key) != value for key, value in wanted.items()):
        wanted[f"{_SPEC}revision"] = str(int(revision) + 1) if revision.isdecimal() else "1"
    return wanted | {_LAST_TRANSITION: format_time(now)}


def done_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that say that what was asked for has been done."""
    return {
        f"{_STATUS}{name}": annotations[f"{_SPEC}{name}"]
        for name in ("revision", "storage-class", "storage-size")
        if f"{_SPEC}{name}" in annotations
    }


def has_capacity(claim: PersistentVolumeClaim, size: str) -> bool:
    """Return whether the file system in the volume has been grown, too."""
    capacity = ((claim.status.capacity if claim.status is not None else None) or {}).get("storage")
    return capacity is not None and quantities_equal(capacity, size)


def _class_of(claim: PersistentVolumeClaim) -> str:
    return (claim.spec.storage_class_name if claim.spec is not None else None) or ""


def _request(claim: PersistentVolumeClaim) -> str:
    resources = claim.spec.resources if claim.spec is not None else None
    return ((resources.requests if resources is not None else None) or {}).get("storage", "")


def _parse(moment: str) -> float:
    try:
        return parse_time(moment)
    except ValueError:
        return 0.0
