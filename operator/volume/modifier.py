"""What changes the volumes of one driver: the protocol, its errors, and what every cloud has in common.

Guarantees of every `VolumeModifier`: a volume never shrinks, nothing is changed while what the cloud and Kubernetes say of a
volume contradicts, and an error's text is one line of bounded length without a secret.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from controller_runtime.api import parse_quantity
from controller_runtime.api.k8s import PersistentVolume, StorageClass

__all__ = [
    "Change",
    "CloudError",
    "CloudUnavailable",
    "ModificationPending",
    "ModificationRefused",
    "ParameterInvalid",
    "Parameters",
    "VolumeModifier",
    "capacity_of",
    "check_sizes",
    "gibibytes",
    "handle_of",
    "one_line",
    "refusal_of",
]

_GIB: Final = 1 << 30
_LONGEST: Final = 300


class CloudError(Exception):
    """A cloud doesn't change a volume, at least not now. The text is for a person; the reason is a condition's."""

    reason: ClassVar[str]


class CloudUnavailable(CloudError):
    """It could not be asked: out of reach, too many requests, no credentials that it accepts. Asked again, it may do it."""

    reason = "CloudUnavailable"


class ModificationPending(CloudError):
    """It takes no change of this volume yet: another one is under way, or was made not long ago."""

    reason = "VolumeModificationPending"


class ModificationRefused(CloudError):
    """It will not do it until somebody changes something: a parameter, a permission, a quota."""

    reason = "VolumeModificationRefused"


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
        """Return why the volume can't be changed so, as far as that is known without the cloud; empty if it can."""
        ...

    async def modify(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        """Bring the cloud to change the volume, if it doesn't already.

        May be called repeatedly, and by an operator that knows nothing of earlier calls: what the cloud says decides.
        Cancelled, it leaves either a change that was asked for, or none.

        Args:
            size: what the volume should have at least, a quantity.
            target: the storage class whose parameters it should have.

        Returns:
            What is waited for; empty when the volume is what it should be.

        Raises:
            CloudError: see its kinds.
        """
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """The request that a cloud is to be sent. What decides about a volume returns this, or what is waited for."""

    request: Mapping[str, Any]


class ParameterInvalid(ValueError):
    """A storage class or a volume says what can't be carried out; one line for a person."""


class Parameters:
    """The parameters of a storage class, whose names are read in any case of letters, as the drivers read them."""

    def __init__(self, target: StorageClass) -> None:
        self._class = target.metadata.name
        self._values = {name.casefold(): value for name, value in (target.parameters or {}).items()}

    def text(self, *names: str) -> str:
        """Return the first of these parameters that is set; empty if none is."""
        return next((value for name in names if (value := self._values.get(name.casefold(), ""))), "")

    def number(self, name: str) -> int | None:
        """Return a positive whole number, or None if it isn't set.

        Raises:
            ParameterInvalid: it is set to something else.
        """
        text = self.text(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) == 0:
            msg = f"{name} of storage class {self._class} is {one_line(text)!r}, which is no positive whole number"
            raise ParameterInvalid(msg)
        return int(text)


def gibibytes(size: str) -> int:
    """Return a quantity in whole gibibytes, rounded up as drivers do: clouds sell nothing smaller."""
    return math.ceil(parse_quantity(size) / _GIB)


def capacity_of(volume: PersistentVolume) -> int:
    """Return what Kubernetes takes the volume to have, in gibibytes; 0 if it doesn't say."""
    capacity = (volume.spec.capacity if volume.spec is not None else None) or {}
    return gibibytes(capacity.get("storage", "0"))


def check_sizes(cloud: str, what: str, actual: int, wanted: int, *, known: int) -> None:
    """Check that a volume may be brought from one size to another; all in gibibytes.

    Args:
        what: names the volume.
        actual: what its cloud says that it has.
        known: what Kubernetes takes it to have.

    Raises:
        ModificationRefused: it would shrink, or is smaller than Kubernetes thinks.
    """
    if actual > wanted:
        msg = f"{what} has {actual}Gi, and cannot shrink to {wanted}Gi"
        raise ModificationRefused(msg)
    if actual < known:
        msg = f"{cloud} says that {what} has {actual}Gi, Kubernetes that it has {known}Gi: it is left alone"
        raise ModificationRefused(msg)


def refusal_of(
    read: Callable[[PersistentVolume, str, StorageClass], object],
    volume: PersistentVolume,
    size: str,
    target: StorageClass,
) -> str:
    """Return why a wish can't be carried out, as far as that shows when it is read; empty if it can."""
    try:
        read(volume, size, target)
    except ParameterInvalid as error:
        return str(error)
    return ""


def handle_of(volume: PersistentVolume) -> str:
    """Return what the driver calls the volume; empty if it is no volume of a driver."""
    return volume.spec.csi.volume_handle if volume.spec is not None and volume.spec.csi is not None else ""


def one_line(text: object) -> str:
    """Return the text as one line that fits into a condition."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
