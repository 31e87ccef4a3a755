"""Volumes that are changed through their cloud's API, with a cloud that a test plays."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import ObjectMeta
from controller_runtime.api.k8s import (
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
    StorageClass,
)
from controller_runtime.task import Status
from helpers.tikv_fakes import make_cluster, make_context, make_tikv
from tikv_operator.api import FeatureGate, Volume, VolumeMount
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.tasks.pvc import volume_claims
from tikv_operator.tikv.tasks.state import Problem

NAME = "data-basic-tikv-abc123"


BEGUN = {
    "spec.tidb.pingcap.com/revision": "1",
    "spec.tidb.pingcap.com/storage-class": "gp2",
    "spec.tidb.pingcap.com/storage-size": "30Gi",
}


class Cloud:
    """Changes a volume when a test says so."""

    provisioner = "ebs.csi.aws.com"
    wait = 21600.0

    def __init__(self) -> None:
        self.done = False
        self.asked: list[tuple[str, str, str]] = []

    def refusal(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        return ""

    async def modify(self, volume: PersistentVolume, size: str, target: StorageClass) -> bool:
        self.asked.append((volume.metadata.name, size, target.metadata.name))
        return self.done


def volumes(size: str, storage_class: str) -> list[Volume]:
    return [Volume(name="data", mounts=[VolumeMount(type="data")], storage=size, storage_class_name=storage_class)]


def classes(*names: str, provisioner: str = "ebs.csi.aws.com") -> list[StorageClass]:
    return [
        StorageClass(metadata=ObjectMeta(name=name), provisioner=provisioner, allow_volume_expansion=True)
        for name in names
    ]


def context(size: str, storage_class: str, *others: Any, cloud: Cloud | None = None, **cluster: Any) -> Any:
    """Return a context in which the claim was made with 20Gi of class gp2."""
    claim = render_claims(make_tikv(volumes=volumes("20Gi", "gp2")), make_cluster())[0]
    assert claim.spec is not None
    claim.spec.volume_name = "pv-1"
    claim.metadata.resource_version = "7"
    claim.status = PersistentVolumeClaimStatus(phase="Bound", capacity={"storage": "20Gi"})
    others = (claim, PersistentVolume(metadata=ObjectMeta(name="pv-1")), *(others or classes("gp2", "gp3")))
    ctx = make_context(make_tikv(volumes=volumes(size, storage_class)), cluster=make_cluster(**cluster), others=others)
    ctx.volume_modifiers = {cloud.provisioner: cloud} if cloud else {}
    return ctx


def stored(ctx: Any) -> PersistentVolumeClaim:
    claim: PersistentVolumeClaim = ctx.client.stored(PersistentVolumeClaim, NAME)
    return claim


async def test_a_change_goes_from_step_to_step() -> None:
    cloud = Cloud()
    ctx = context("30Gi", "gp3", cloud=cloud)

    result = await volume_claims(ctx)
    assert (result.status, result.message) == (Status.RETRY, f"volume pv-1 of claim {NAME} is being modified")
    assert cloud.asked == [("pv-1", "30Gi", "gp3")]
    assert stored(ctx).metadata.annotations["spec.tidb.pingcap.com/revision"] == "1"

    cloud.done = True
    result = await volume_claims(ctx)
    assert result.message == f"volume claim {NAME} waits for its file system to be resized"
    claim = stored(ctx)
    assert claim.spec is not None
    assert claim.spec.resources is not None
    assert claim.spec.resources.requests == {"storage": "30Gi"}

    claim.status = PersistentVolumeClaimStatus(phase="Bound", capacity={"storage": "30Gi"})
    ctx.client.add(claim)
    assert (await volume_claims(ctx)).status is Status.COMPLETE
    assert stored(ctx).metadata.annotations["status.tidb.pingcap.com/storage-class"] == "gp3"

    ctx.client.writes.clear()
    cloud.asked.clear()
    assert (await volume_claims(ctx)).status is Status.COMPLETE
    assert (ctx.client.writes, cloud.asked) == ([], [])


async def test_a_cloud_that_was_asked_just_now_is_left_alone_for_a_while() -> None:
    cloud = Cloud()
    cloud.done = True
    ctx = context("20Gi", "gp3", cloud=cloud)
    await volume_claims(ctx)
    ctx.tikv.spec.volumes = volumes("30Gi", "gp3")
    cloud.asked.clear()
    assert "less than 21600s ago" in (await volume_claims(ctx)).message
    assert cloud.asked == []


async def test_without_a_modifier_a_volume_grows_and_keeps_its_class() -> None:
    ctx = context("30Gi", "gp3")
    assert (await volume_claims(ctx)).status is Status.COMPLETE
    claim = stored(ctx)
    assert claim.spec is not None
    assert claim.spec.resources is not None
    assert (claim.spec.resources.requests, claim.spec.storage_class_name) == ({"storage": "30Gi"}, "gp2")
    assert not [key for key in claim.metadata.annotations if "tidb.pingcap.com" in key]


async def test_a_driver_that_no_modifier_knows_does_as_without() -> None:
    cloud = Cloud()
    ctx = context("30Gi", "gp2", *classes("gp2", provisioner="local"), cloud=cloud)
    await volume_claims(ctx)
    assert ctx.client.writes == [f"apply PersistentVolumeClaim {NAME}"]
    assert cloud.asked == []


async def test_a_storage_class_that_does_not_exist_is_said_and_stops_nothing() -> None:
    ctx = context("30Gi", "gp3", *classes("gp2"), cloud=Cloud())
    await volume_claims(ctx)
    assert ctx.problems == [
        Problem("StorageClassNotFound", f"volume claim {NAME} cannot be changed: no storage class 'gp3'")
    ]
    assert ctx.client.writes == [f"apply PersistentVolumeClaim {NAME}"]


async def test_with_volume_attributes_classes_no_cloud_is_asked() -> None:
    cloud = Cloud()
    ctx = context("30Gi", "gp3", cloud=cloud, feature_gates=[FeatureGate(name="VolumeAttributesClass")])
    await volume_claims(ctx)
    assert cloud.asked == []


@pytest.mark.parametrize(
    ("size", "done", "annotations", "granted", "status"),
    [
        pytest.param("10Gi", True, {}, "20Gi", Status.COMPLETE, id="cannot be modified"),
        pytest.param("30Gi", True, {}, "20Gi", Status.RETRY, id="preparing: until the file system is resized"),
        pytest.param("30Gi", True, BEGUN, "30Gi", Status.COMPLETE, id="modifying, and done"),
        pytest.param("30Gi", False, BEGUN, "20Gi", Status.RETRY, id="modifying, and not done"),
    ],
)
async def test_a_modification(size: str, done: bool, annotations: dict[str, str], granted: str, status: Status) -> None:
    cloud = Cloud()
    cloud.done = done
    ctx = context(size, "gp2", cloud=cloud)
    claim = stored(ctx)
    claim.metadata.annotations |= annotations
    claim.status = PersistentVolumeClaimStatus(phase="Bound", capacity={"storage": granted})
    ctx.client.add(claim)
    assert (await volume_claims(ctx)).status is status
    refused = [Problem("VolumeShrinkRefused", f"volume claim {NAME} cannot shrink from 20Gi to 10Gi")]
    assert ctx.problems == (refused if size == "10Gi" else [])
