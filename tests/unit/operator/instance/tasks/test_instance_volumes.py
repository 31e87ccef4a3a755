"""Volumes of both kinds of instances that are changed through their cloud's API, with a cloud that a test plays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controller_runtime.api import Object, ObjectMeta, format_time
from controller_runtime.api.k8s import (
    CSIPersistentVolumeSource,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
    PersistentVolumeSpec,
)
from controller_runtime.client import Conflict, Forbidden
from controller_runtime.task import Result, Status
from helpers.clouds import PlayedCloud, make_class
from helpers.pd_fakes import make_pd, pd_context
from helpers.tikv_fakes import NOW, make_cluster, make_context, make_tikv
from tikv_operator.api import FeatureGate, Volume, VolumeMount
from tikv_operator.instance.tasks.state import Problem, common_news
from tikv_operator.pd.pod import render_claims as render_pd_claims
from tikv_operator.pd.tasks.pvc import volume_claims as pd_claims
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.tasks.pvc import volume_claims as tikv_claims
from tikv_operator.volume.modifier import CloudUnavailable, ModificationPending, ModificationRefused

DRIVER = "ebs.csi.aws.com"
LAST = "status.tidb.pingcap.com/last-transition-timestamp"


def volumes(size: str, storage_class: str) -> list[Volume]:
    return [Volume(name="data", mounts=[VolumeMount(type="data")], storage=size, storage_class_name=storage_class)]


def classes(*names: str, driver: str = DRIVER, expandable: bool = True) -> list[Object]:
    return [make_class(name, driver, expandable=expandable) for name in names]


class Subject:
    """An instance whose claim was made with 20Gi of class gp2, and its task."""

    def __init__(
        self, kind: str, *others: Object, cloud: PlayedCloud | None, bound: bool = True, **cluster: Any
    ) -> None:
        old, found = volumes("20Gi", "gp2"), make_cluster(**cluster)
        claim = (
            render_claims(make_tikv(volumes=old), found)
            if kind == "tikv"
            else render_pd_claims(make_pd(volumes=old), found)
        )[0]
        assert claim.spec is not None
        claim.spec.volume_name = "pv-1"
        claim.metadata.resource_version, claim.metadata.uid = "7", "claim-uid"
        claim.status = PersistentVolumeClaimStatus(phase="Bound", capacity={"storage": "20Gi"})
        volume = PersistentVolume(
            metadata=ObjectMeta(name="pv-1"),
            spec=PersistentVolumeSpec(
                claim_ref=ObjectReference(
                    namespace=claim.metadata.namespace, name=claim.metadata.name, uid="claim-uid" if bound else "other"
                ),
                csi=CSIPersistentVolumeSource(driver=DRIVER, volume_handle="vol-1"),
            ),
        )
        objects = (claim, volume, *(others or classes("gp2", "gp3")))
        self.name = claim.metadata.name
        self.ctx: Any
        self._task: Callable[[Any], Any]
        if kind == "tikv":
            self.ctx, self._task = make_context(make_tikv(volumes=old), cluster=found, others=objects), tikv_claims
        else:
            self.ctx, self._task = pd_context(make_pd(volumes=old), cluster=found, others=objects), pd_claims
        self.ctx.volume_modifiers = {cloud.provisioner: cloud} if cloud else {}

    async def run(self, size: str, storage_class: str) -> Result:
        """Run the task once for an instance that wants this."""
        self.ctx.problems.clear()
        self.ctx.instance.spec.volumes = volumes(size, storage_class)
        result: Result = await self._task(self.ctx)
        return result

    @property
    def claim(self) -> PersistentVolumeClaim:
        found: PersistentVolumeClaim = self.ctx.client.stored(PersistentVolumeClaim, self.name)
        return found

    @property
    def requested(self) -> tuple[str, str | None]:
        """The size and the class that the claim asks for."""
        spec = self.claim.spec
        assert spec is not None
        assert spec.resources is not None
        assert spec.resources.requests is not None
        return spec.resources.requests["storage"], spec.storage_class_name

    @property
    def problems(self) -> list[Problem]:
        found: list[Problem] = self.ctx.problems
        return found

    @property
    def writes(self) -> list[str]:
        found: list[str] = self.ctx.client.writes
        return found

    @property
    def said(self) -> list[str]:
        """The reasons of the Events."""
        return [event.split()[1].rstrip(":") for event in self.ctx.events.events]

    def has_grown(self, capacity: str) -> None:
        claim = self.claim
        claim.status = PersistentVolumeClaimStatus(phase="Bound", capacity={"storage": capacity})
        self.ctx.client.add(claim)


BEGUN = {
    "spec.tidb.pingcap.com/revision": "1",
    "spec.tidb.pingcap.com/storage-class": "gp2",
    "spec.tidb.pingcap.com/storage-size": "30Gi",
}


@pytest.fixture
def cloud() -> PlayedCloud:
    return PlayedCloud(DRIVER)


@pytest.mark.parametrize("kind", ["tikv", "pd"])
async def test_a_change_goes_from_step_to_step(kind: str, cloud: PlayedCloud) -> None:
    subject = Subject(kind, cloud=cloud)
    name = subject.name

    result = await subject.run("30Gi", "gp3")
    assert (result.status, result.after) == (Status.RETRY, subject.ctx.settings.requeue)
    assert result.message == f"volume claim {name}: AWS is modifying volume vol-1 (0%)"
    assert subject.problems == [Problem("VolumeBeingModified", result.message)]
    assert cloud.asked == [("pv-1", "30Gi", "gp3")]
    assert subject.claim.metadata.annotations["spec.tidb.pingcap.com/revision"] == "1"
    assert subject.requested == ("20Gi", "gp2")

    cloud.waiting = ""
    result = await subject.run("30Gi", "gp3")
    assert (result.status, result.message) == (
        Status.WAIT,
        f"volume claim {name} waits for its file system to be resized",
    )
    assert subject.requested == ("30Gi", "gp2")

    subject.writes.clear()
    assert (await subject.run("30Gi", "gp3")).status is Status.WAIT
    assert subject.writes == []  # it has been asked for

    subject.has_grown("30Gi")
    assert (await subject.run("30Gi", "gp3")).status is Status.COMPLETE
    assert subject.claim.metadata.annotations["status.tidb.pingcap.com/storage-class"] == "gp3"
    assert subject.said == ["ModifyingVolume", "VolumeModified"]

    subject.writes.clear()
    cloud.asked.clear()
    assert (await subject.run("30Gi", "gp3")).status is Status.COMPLETE
    assert (subject.writes, cloud.asked, subject.problems) == ([], [], [])


@pytest.mark.parametrize(
    ("size", "waiting", "annotations", "granted", "status", "problem"),
    [
        pytest.param("10Gi", "", {}, "20Gi", Status.COMPLETE, "VolumeShrinkRefused", id="cannot be modified"),
        pytest.param(
            "30Gi", "", {}, "20Gi", Status.WAIT, "VolumeBeingModified", id="preparing: until the file system is resized"
        ),
        pytest.param("30Gi", "", BEGUN, "30Gi", Status.COMPLETE, None, id="modifying, and done"),
        pytest.param("30Gi", "soon", BEGUN, "20Gi", Status.RETRY, "VolumeBeingModified", id="modifying, and not done"),
    ],
)
async def test_a_modification(
    cloud: PlayedCloud,
    size: str,
    waiting: str,
    annotations: dict[str, str],
    granted: str,
    status: Status,
    problem: str | None,
) -> None:
    subject, cloud.waiting = Subject("tikv", cloud=cloud), waiting
    claim = subject.claim
    claim.metadata.annotations |= annotations
    subject.ctx.client.add(claim)
    subject.has_grown(granted)
    assert (await subject.run(size, "gp2")).status is status
    assert [found.reason for found in subject.problems] == ([problem] if problem else [])


async def test_what_is_asked_for_is_written_down_before_the_cloud_is_asked(cloud: PlayedCloud) -> None:
    subject = Subject("tikv", cloud=cloud)
    subject.ctx.client.errors["patch PersistentVolumeClaim"] = Conflict("somebody else wrote it", code=409)
    with pytest.raises(Conflict):
        await subject.run("30Gi", "gp3")
    assert cloud.asked == []


@pytest.mark.parametrize(
    "error",
    [
        CloudUnavailable("AWS does not answer: RequestLimitExceeded: Request limit exceeded."),
        ModificationPending("AWS takes no change yet: VolumeModificationRateExceeded: wait"),
        ModificationRefused("AWS refuses: InvalidParameterCombination: no"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_cloud_that_does_not_do_it_is_quoted_stops_nothing_and_is_asked_again(
    cloud: PlayedCloud, error: Exception
) -> None:
    subject, cloud.error = Subject("tikv", cloud=cloud), error  # type: ignore[assignment]
    result = await subject.run("30Gi", "gp3")
    assert (result.status, result.after) == (Status.RETRY, subject.ctx.settings.cloud_retry)
    assert subject.problems == [Problem(cloud.error.reason, f"volume claim {subject.name}: {error}")]  # type: ignore[union-attr]
    assert subject.requested == ("20Gi", "gp2")

    cloud.error, cloud.waiting = None, ""
    await subject.run("30Gi", "gp3")
    assert subject.requested == ("30Gi", "gp2")


async def test_a_refused_wish_can_be_corrected_at_once(cloud: PlayedCloud) -> None:
    subject = Subject("tikv", *classes("gp2", "gp3", "io2"), cloud=cloud)
    cloud.error = ModificationRefused("AWS refuses: too fast")
    await subject.run("20Gi", "io2")
    cloud.error, cloud.waiting = None, ""
    assert (await subject.run("20Gi", "gp3")).status is Status.COMPLETE
    assert cloud.asked == [("pv-1", "20Gi", "io2"), ("pv-1", "20Gi", "gp3")]
    annotations = subject.claim.metadata.annotations
    assert annotations["status.tidb.pingcap.com/storage-class"] == "gp3"
    assert annotations["status.tidb.pingcap.com/revision"] == annotations["spec.tidb.pingcap.com/revision"] == "2"


async def test_a_wish_that_is_taken_back_leaves_nothing_to_do(cloud: PlayedCloud) -> None:
    subject = Subject("tikv", cloud=cloud)
    cloud.error = CloudUnavailable("AWS cannot be asked: no credentials")
    await subject.run("30Gi", "gp3")
    cloud.error, cloud.waiting = None, ""
    assert (await subject.run("20Gi", "gp2")).status is Status.COMPLETE
    assert subject.requested == ("20Gi", "gp2")
    cloud.asked.clear()
    await subject.run("20Gi", "gp2")
    assert cloud.asked == []


async def test_a_cloud_that_was_asked_just_now_is_left_alone_and_the_time_is_told(cloud: PlayedCloud) -> None:
    subject, cloud.waiting = Subject("tikv", cloud=cloud), ""
    await subject.run("20Gi", "gp3")
    cloud.asked.clear()
    result = await subject.run("30Gi", "gp3")
    assert (result.status, result.after) == (Status.RETRY, 21600.0)
    assert subject.problems == [
        Problem(
            "VolumeModificationPending",
            f"volume claim {subject.name} can be changed again at {format_time(NOW + 21600)}",
        )
    ]
    assert cloud.asked == []
    assert subject.requested == ("20Gi", "gp2")


async def test_a_change_that_tidb_operator_began_is_finished(cloud: PlayedCloud) -> None:
    subject, cloud.waiting = Subject("tikv", cloud=cloud), ""
    claim = subject.claim
    claim.metadata.annotations |= {
        "spec.tidb.pingcap.com/revision": "4",
        "spec.tidb.pingcap.com/storage-class": "gp3",
        "spec.tidb.pingcap.com/storage-size": "20Gi",
        "status.tidb.pingcap.com/revision": "3",
        LAST: format_time(NOW - 60),
    }
    subject.ctx.client.add(claim)
    assert (await subject.run("20Gi", "gp3")).status is Status.COMPLETE
    assert subject.claim.metadata.annotations["status.tidb.pingcap.com/revision"] == "4"
    assert subject.claim.metadata.annotations[LAST] == format_time(NOW - 60)


async def test_without_a_modifier_a_volume_grows_and_keeps_its_class() -> None:
    subject = Subject("tikv", cloud=None)
    assert (await subject.run("30Gi", "gp3")).status is Status.COMPLETE
    assert subject.requested == ("30Gi", "gp2")
    assert not [key for key in subject.claim.metadata.annotations if "tidb.pingcap.com" in key]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(classes("gp2", "gp3", driver="local"), id="a driver that no modifier knows"),
        pytest.param([*classes("gp2"), *classes("gp3", driver="local")], id="a class of another driver"),
    ],
)
async def test_what_no_modifier_can_change_does_as_without(cloud: PlayedCloud, found: list[Object]) -> None:
    subject = Subject("tikv", *found, cloud=cloud)
    await subject.run("30Gi", "gp3")
    assert subject.writes == [f"apply PersistentVolumeClaim {subject.name}"]
    assert subject.requested == ("30Gi", "gp2")
    assert (cloud.asked, subject.problems) == ([], [])


@pytest.mark.parametrize("missing", ["gp2", "gp3"])
async def test_a_storage_class_that_does_not_exist_is_said_and_stops_nothing(cloud: PlayedCloud, missing: str) -> None:
    subject = Subject("tikv", *classes(*({"gp2", "gp3"} - {missing})), cloud=cloud)
    await subject.run("30Gi", "gp3")
    assert subject.problems == [
        Problem("StorageClassNotFound", f"volume claim {subject.name} cannot be changed: no storage class {missing!r}")
    ]
    assert subject.writes == [f"apply PersistentVolumeClaim {subject.name}"]


async def test_what_the_modifier_itself_refuses_is_said_and_the_volume_grows_all_the_same(cloud: PlayedCloud) -> None:
    subject, cloud.no = Subject("tikv", cloud=cloud), "iops of storage class gp3 is 'many'"
    await subject.run("30Gi", "gp3")
    assert subject.problems == [
        Problem("VolumeModificationRefused", f"volume claim {subject.name} cannot be changed: {cloud.no}")
    ]
    assert (subject.requested, cloud.asked) == (("30Gi", "gp2"), [])


async def test_a_volume_never_shrinks_nor_changes_its_class_meanwhile(cloud: PlayedCloud) -> None:
    subject = Subject("tikv", cloud=cloud)
    await subject.run("10Gi", "gp3")
    assert [problem.reason for problem in subject.problems] == ["VolumeShrinkRefused"]
    assert (subject.requested, cloud.asked) == (("20Gi", "gp2"), [])


async def test_a_volume_that_is_bound_to_another_claim_is_left_alone(cloud: PlayedCloud) -> None:
    subject = Subject("tikv", cloud=cloud, bound=False)
    result = await subject.run("30Gi", "gp3")
    assert (result.status, result.after) == (Status.RETRY, subject.ctx.settings.cloud_retry)
    message = f"volume claim {subject.name} cannot be changed: volume pv-1 is not bound to it"
    assert subject.problems == [Problem("VolumeModificationRefused", message)]
    assert (subject.writes, cloud.asked) == ([], [])


async def test_a_claim_whose_class_does_not_expand_is_not_asked_to_grow(cloud: PlayedCloud) -> None:
    subject = Subject("tikv", *classes("gp2", expandable=False), *classes("gp3"), cloud=cloud)
    await subject.run("30Gi", "gp3")
    message = f"volume claim {subject.name} cannot be changed: its storage class gp2 does not allow it to grow"
    assert subject.problems == [Problem("VolumeModificationRefused", message)]
    assert (subject.writes, cloud.asked) == ([], [])


async def test_a_volume_that_does_not_exist_is_said(cloud: PlayedCloud) -> None:
    subject = Subject("tikv", cloud=cloud)
    claim = subject.claim
    assert claim.spec is not None
    claim.spec.volume_name = "pv-2"
    subject.ctx.client.add(claim)
    await subject.run("30Gi", "gp3")
    assert [problem.reason for problem in subject.problems] == ["VolumeNotFound"]
    assert (subject.writes, cloud.asked) == ([], [])


async def test_a_permission_that_is_missing_is_said_and_stops_nothing(
    cloud: PlayedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Subject("tikv", cloud=cloud)
    find = subject.ctx.client.find

    async def without_permission(kind: Any, key: Any) -> Any:
        if kind is PersistentVolume:
            raise Forbidden("persistentvolumes is forbidden", code=403)
        return await find(kind, key)

    monkeypatch.setattr(subject.ctx.client, "find", without_permission)
    result = await subject.run("30Gi", "gp3")
    assert (result.status, result.after) == (Status.RETRY, subject.ctx.settings.cloud_retry)
    assert [problem.reason for problem in subject.problems] == ["VolumesNotReadable"]
    assert (subject.writes, cloud.asked) == ([], [])


async def test_with_volume_attributes_classes_no_cloud_is_asked(cloud: PlayedCloud) -> None:
    subject = Subject("tikv", cloud=cloud, feature_gates=[FeatureGate(name="VolumeAttributesClass")])
    await subject.run("30Gi", "gp3")
    assert cloud.asked == []


@pytest.mark.parametrize(("reason", "told"), [("VolumeBeingModified", False), ("VolumeModificationRefused", True)])
def test_a_change_that_goes_its_way_is_no_warning(reason: str, told: bool) -> None:
    news = common_news("Synced", status=False, reason=reason, old_status="True", old_reason="Synced")
    assert (news is not None) is told
