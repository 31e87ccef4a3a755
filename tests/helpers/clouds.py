"""Persistent volumes and storage classes of clouds, and a cloud that a test plays."""

from __future__ import annotations

from controller_runtime.api import ObjectMeta
from controller_runtime.api.k8s import (
    CSIPersistentVolumeSource,
    PersistentVolume,
    PersistentVolumeSpec,
    StorageClass,
)
from tikv_operator.volume.modifier import CloudError

__all__ = ["PlayedCloud", "make_class", "make_volume"]


def make_volume(driver: str, handle: str, capacity: str = "20Gi", name: str = "pv-1") -> PersistentVolume:
    return PersistentVolume(
        metadata=ObjectMeta(name=name, uid=f"uid-{name}"),
        spec=PersistentVolumeSpec(
            capacity={"storage": capacity}, csi=CSIPersistentVolumeSource(driver=driver, volume_handle=handle)
        ),
    )


def make_class(
    name: str, driver: str, parameters: dict[str, str] | None = None, *, expandable: bool = True
) -> StorageClass:
    return StorageClass(
        metadata=ObjectMeta(name=name, uid=f"uid-{name}"),
        provisioner=driver,
        allow_volume_expansion=expandable,
        parameters=parameters,
    )


class PlayedCloud:
    """Changes volumes when a test says so.

    Attributes:
        waiting: what it says; empty: it is done.
        error: raised instead.
        no: why it can't be asked for at all.
        asked: the volume, the size and the storage class of each call.
    """

    def __init__(self, provisioner: str = "ebs.csi.aws.com", wait: float = 21600.0) -> None:
        self.provisioner = provisioner
        self.wait = wait
        self.waiting = "AWS is modifying volume vol-1 (0%)"
        self.error: CloudError | None = None
        self.no = ""
        self.asked: list[tuple[str, str, str]] = []

    def refusal(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        return self.no

    async def modify(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        self.asked.append((volume.metadata.name, size, target.metadata.name))
        if self.error is not None:
            raise self.error
        return self.waiting
