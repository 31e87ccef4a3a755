"""Where the modification of a volume is: the rows of TiDB Operator's own tables, and what leads from one to the next."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import ObjectMeta, format_time
from controller_runtime.api.k8s import (
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
    StorageClass,
)
from helpers.tikv_fakes import NOW, make_cluster, make_tikv
from tikv_operator.api import Volume, VolumeMount
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.volumemodification import (
    Phase,
    asked,
    done_annotations,
    phase_of,
    prepared_annotations,
    was_asked,
)

DONE = {
    "spec.tidb.pingcap.com/revision": "2",
    "spec.tidb.pingcap.com/storage-class": "gp3",
    "spec.tidb.pingcap.com/storage-size": "20Gi",
    "status.tidb.pingcap.com/revision": "2",
    "status.tidb.pingcap.com/storage-class": "gp3",
    "status.tidb.pingcap.com/storage-size": "20Gi",
}


class Modifier:
    provisioner = "ebs.csi.aws.com"
    wait = 21600.0
    no = ""

    def refusal(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        return self.no

    async def modify(self, volume: PersistentVolume, size: str, target: StorageClass) -> bool:
        raise AssertionError("only looked at here")


def claim(size: str = "20Gi", storage_class: str | None = "gp2", **annotations: str) -> PersistentVolumeClaim:
    volume = Volume(name="data", mounts=[VolumeMount(type="data")], storage=size, storage_class_name=storage_class)
    made = render_claims(make_tikv(volumes=[volume]), make_cluster())[0]
    made.metadata.annotations |= annotations
    made.status = PersistentVolumeClaimStatus(phase="Bound", capacity={"storage": size})
    return made


def phase(
    wanted: PersistentVolumeClaim, current: PersistentVolumeClaim, *, expandable: bool = True, no: str = ""
) -> Phase:
    modifier = Modifier()
    modifier.no = no
    target = StorageClass(
        metadata=ObjectMeta(name="x"), provisioner="ebs.csi.aws.com", allow_volume_expansion=expandable
    )
    return phase_of(asked(wanted, current), current, target, PersistentVolume(), modifier, now=NOW)


RECENTLY = {"status.tidb.pingcap.com/last-transition-timestamp": format_time(NOW - 60)}
LONG_AGO = {"status.tidb.pingcap.com/last-transition-timestamp": format_time(NOW - 21601)}


@pytest.mark.parametrize(
    ("wanted", "current", "options", "expected"),
    [
        pytest.param(claim(), claim(), {}, Phase.MODIFIED, id="no need to modify"),
        pytest.param(claim(storage_class=None), claim(), {}, Phase.MODIFIED, id="no storage class is wanted"),
        pytest.param(claim(storage_class="gp3"), claim(**DONE), {}, Phase.MODIFIED, id="modified before"),
        pytest.param(claim(storage_class="gp3"), claim(), {}, Phase.PREPARING, id="storage class changed"),
        pytest.param(claim("30Gi"), claim(), {}, Phase.PREPARING, id="size increased"),
        pytest.param(claim("10Gi"), claim(), {}, Phase.CANNOT_MODIFY, id="size decreased"),
        pytest.param(
            claim("30Gi"), claim(), {"expandable": False}, Phase.CANNOT_MODIFY, id="storage class does not expand"
        ),
        pytest.param(claim("30Gi"), claim(), {"no": "too big"}, Phase.CANNOT_MODIFY, id="the cloud cannot"),
        pytest.param(
            claim(), claim(**{"spec.tidb.pingcap.com/revision": "1"}), {}, Phase.MODIFYING, id="revision mismatch"
        ),
        pytest.param(claim("30Gi"), claim(**RECENTLY), {}, Phase.PENDING, id="within the wait window"),
        pytest.param(claim("30Gi"), claim(**LONG_AGO), {}, Phase.PREPARING, id="after the wait window"),
        pytest.param(
            claim("30Gi"),
            claim(**{"status.tidb.pingcap.com/last-transition-timestamp": "garbage"}),
            {},
            Phase.PREPARING,
            id="a moment that nobody can read",
        ),
    ],
)
def test_phases(
    wanted: PersistentVolumeClaim, current: PersistentVolumeClaim, options: dict[str, Any], expected: Phase
) -> None:
    assert phase(wanted, current, **options) is expected


def test_a_settled_claim_is_nobodys_business() -> None:
    assert not was_asked(asked(claim(), claim()))
    assert not was_asked(asked(claim(storage_class="gp3"), claim(**DONE)))
    assert was_asked(asked(claim("30Gi"), claim()))


@pytest.mark.parametrize(
    ("annotations", "revision"),
    [
        pytest.param({}, "1", id="the first time"),
        pytest.param(DONE, "3", id="again"),
        pytest.param({"spec.tidb.pingcap.com/revision": "x"}, "1", id="a revision that is no number"),
    ],
)
def test_what_is_asked_for_is_written_down_first(annotations: dict[str, str], revision: str) -> None:
    current = claim(**annotations)
    assert prepared_annotations(asked(claim("30Gi", "gp3"), current), current, now=NOW) == {
        "spec.tidb.pingcap.com/revision": revision,
        "spec.tidb.pingcap.com/storage-class": "gp3",
        "spec.tidb.pingcap.com/storage-size": "30Gi",
        "status.tidb.pingcap.com/last-transition-timestamp": format_time(NOW),
    }


def test_what_was_asked_for_becomes_what_is_done() -> None:
    assert done_annotations({key: value for key, value in DONE.items() if key.startswith("spec.")}) == {
        key: value for key, value in DONE.items() if key.startswith("status.")
    }
