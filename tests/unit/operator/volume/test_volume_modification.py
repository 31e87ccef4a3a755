"""Where the modification of a volume is: the rows of TiDB Operator's own tables, and what leads from one to the next."""

from __future__ import annotations

import pytest

from controller_runtime.api import ObjectMeta, format_time
from controller_runtime.api.k8s import (
    CSIPersistentVolumeSource,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
    PersistentVolumeSpec,
    StorageClass,
)
from helpers.tikv_fakes import NOW, make_cluster, make_tikv
from tikv_operator.api import Volume, VolumeMount
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.volume.modification import (
    Phase,
    asked,
    contradiction,
    done_annotations,
    free_again,
    has_capacity,
    phase_of,
    prepared_annotations,
    shrinks,
    was_asked,
)

DRIVER = "ebs.csi.aws.com"
WAIT = 21600.0
LAST = "status.tidb.pingcap.com/last-transition-timestamp"
DONE = {
    "spec.tidb.pingcap.com/revision": "2",
    "spec.tidb.pingcap.com/storage-class": "gp3",
    "spec.tidb.pingcap.com/storage-size": "20Gi",
    "status.tidb.pingcap.com/revision": "2",
    "status.tidb.pingcap.com/storage-class": "gp3",
    "status.tidb.pingcap.com/storage-size": "20Gi",
}
BEGUN = {
    "spec.tidb.pingcap.com/revision": "1",
    "spec.tidb.pingcap.com/storage-class": "gp3",
    "spec.tidb.pingcap.com/storage-size": "30Gi",
}
RECENTLY = {LAST: format_time(NOW - 60)}
LONG_AGO = {LAST: format_time(NOW - 21601)}


def claim(size: str = "20Gi", storage_class: str | None = "gp2", **annotations: str) -> PersistentVolumeClaim:
    volume = Volume(name="data", mounts=[VolumeMount(type="data")], storage=size, storage_class_name=storage_class)
    made = render_claims(make_tikv(volumes=[volume]), make_cluster())[0]
    made.metadata.uid = "claim-uid"
    made.metadata.annotations |= annotations
    made.status = PersistentVolumeClaimStatus(phase="Bound", capacity={"storage": size})
    return made


def persistent_volume(driver: str = DRIVER, uid: str = "claim-uid") -> PersistentVolume:
    meta = claim().metadata
    return PersistentVolume(
        metadata=ObjectMeta(name="pv-1"),
        spec=PersistentVolumeSpec(
            claim_ref=ObjectReference(namespace=meta.namespace, name=meta.name, uid=uid),
            csi=CSIPersistentVolumeSource(driver=driver, volume_handle="vol-1"),
        ),
    )


@pytest.mark.parametrize(
    ("wanted", "current", "expected"),
    [
        pytest.param(claim(), claim(), Phase.MODIFIED, id="no need to modify"),
        pytest.param(claim(storage_class=None), claim(), Phase.MODIFIED, id="no storage class is wanted"),
        pytest.param(claim(storage_class="gp3"), claim(**DONE), Phase.MODIFIED, id="modified before"),
        pytest.param(claim(storage_class="gp3"), claim(), Phase.PREPARING, id="storage class changed"),
        pytest.param(claim("30Gi"), claim(), Phase.PREPARING, id="size increased"),
        pytest.param(
            claim(), claim(**{"spec.tidb.pingcap.com/revision": "1"}), Phase.MODIFYING, id="revision mismatch"
        ),
        pytest.param(claim("30Gi", "gp3"), claim(**BEGUN), Phase.MODIFYING, id="begun, and still wanted"),
        pytest.param(claim("30Gi", "gp3"), claim(**BEGUN, **RECENTLY), Phase.MODIFYING, id="begun just now"),
        pytest.param(claim("40Gi", "gp3"), claim(**BEGUN), Phase.PREPARING, id="begun, and another size is wanted"),
        pytest.param(
            claim("30Gi", "io2"), claim(**BEGUN, **RECENTLY), Phase.PREPARING, id="begun, and another class is wanted"
        ),
        pytest.param(claim("20Gi", "gp2"), claim(**BEGUN), Phase.PREPARING, id="begun, and taken back"),
        pytest.param(claim("30Gi"), claim(**RECENTLY), Phase.PENDING, id="within the wait window"),
        pytest.param(claim("30Gi"), claim(**LONG_AGO), Phase.PREPARING, id="after the wait window"),
        pytest.param(claim("30Gi"), claim(**{LAST: "garbage"}), Phase.PREPARING, id="a moment that nobody can read"),
    ],
)
def test_phases(wanted: PersistentVolumeClaim, current: PersistentVolumeClaim, expected: Phase) -> None:
    assert phase_of(asked(wanted, current), current, wait=WAIT, now=NOW) is expected


def test_the_wait_window_ends_where_it_says() -> None:
    current = claim(**RECENTLY)
    change, free = asked(claim("30Gi"), current), free_again(current, WAIT)
    assert free == NOW - 60 + WAIT
    assert phase_of(change, current, wait=WAIT, now=free - 1) is Phase.PENDING
    assert phase_of(change, current, wait=WAIT, now=free) is Phase.PREPARING


@pytest.mark.parametrize(
    ("size", "capacity", "expected"),
    [
        pytest.param("10Gi", "20Gi", True, id="smaller"),
        pytest.param("20Gi", "20Gi", False, id="the same"),
        pytest.param("20480Mi", "20Gi", False, id="the same in other words"),
        pytest.param("30Gi", "20Gi", False, id="larger"),
    ],
)
def test_a_volume_would_shrink(size: str, capacity: str, expected: bool) -> None:
    current = claim(capacity)
    assert shrinks(asked(claim(size), current), current) is expected


@pytest.mark.parametrize(
    ("size", "volume", "expandable", "expected"),
    [
        pytest.param("30Gi", persistent_volume(), True, "", id="nothing"),
        pytest.param("30Gi", PersistentVolume(metadata=ObjectMeta(name="pv-1")), True, "not bound", id="no spec"),
        pytest.param("30Gi", persistent_volume(uid="another"), True, "not bound", id="bound to an earlier claim"),
        pytest.param("30Gi", persistent_volume("local"), True, "not one of driver", id="of another driver"),
        pytest.param(
            "30Gi", persistent_volume(), False, "does not allow it to grow", id="a class that does not expand"
        ),
        pytest.param("20Gi", persistent_volume(), False, "", id="a class that does not expand, and no growth"),
    ],
)
def test_what_speaks_against_a_change(size: str, volume: PersistentVolume, expandable: bool, expected: str) -> None:
    own = StorageClass(metadata=ObjectMeta(name="gp2"), provisioner=DRIVER, allow_volume_expansion=expandable)
    current = claim()
    found = contradiction(asked(claim(size), current), current, volume, own, DRIVER)
    assert (expected in found) if expected else not found


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
        pytest.param(BEGUN, "2", id="instead of what was begun"),
    ],
)
def test_what_is_asked_for_is_written_down_first(annotations: dict[str, str], revision: str) -> None:
    current = claim(**annotations)
    written = annotations | prepared_annotations(asked(claim("30Gi", "gp3"), current), current, now=NOW)
    assert {key: value for key, value in written.items() if key.startswith("spec.") or key == LAST} == {
        "spec.tidb.pingcap.com/revision": revision,
        "spec.tidb.pingcap.com/storage-class": "gp3",
        "spec.tidb.pingcap.com/storage-size": "30Gi",
        LAST: format_time(NOW),
    }


def test_what_was_asked_for_becomes_what_is_done() -> None:
    assert done_annotations({key: value for key, value in DONE.items() if key.startswith("spec.")}) == {
        key: value for key, value in DONE.items() if key.startswith("status.")
    }


@pytest.mark.parametrize(
    ("capacity", "expected"),
    [
        pytest.param("20Gi", False, id="not yet"),
        pytest.param("30Gi", True, id="as asked for"),
        pytest.param("31Gi", True, id="rounded up by the driver"),
    ],
)
def test_the_file_system_has_grown(capacity: str, expected: bool) -> None:
    assert has_capacity(claim(capacity), "30Gi") is expected
    assert not has_capacity(PersistentVolumeClaim(), "30Gi")
