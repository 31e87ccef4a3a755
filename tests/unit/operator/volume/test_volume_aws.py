"""What EC2 is asked for, by what it says of a volume; nothing is sent."""

from __future__ import annotations

import pytest

from helpers.clouds import make_class, make_volume
from tikv_operator.volume.aws import Actual, Modification, Wanted, judge, judge_error, wanted_volume
from tikv_operator.volume.modifier import (
    Change,
    CloudError,
    CloudUnavailable,
    ModificationPending,
    ModificationRefused,
    ParameterInvalid,
)

DRIVER = "ebs.csi.aws.com"
GP3 = Actual(20, "gp3", 3000, 125)
WANTED = Wanted("vol-1", 30, "gp3", 6000, 250)
DONE = Actual(30, "gp3", 6000, 250)


@pytest.mark.parametrize(
    ("size", "parameters", "expected"),
    [
        pytest.param(
            "30Gi",
            {"type": "gp3", "iops": "6000", "throughput": "250"},
            {"VolumeId": "vol-1", "Size": 30, "VolumeType": "gp3", "Iops": 6000, "Throughput": 250},
            id="all of it",
        ),
        pytest.param("30Gi", {}, {"VolumeId": "vol-1", "Size": 30}, id="nothing but the size"),
        pytest.param("30Gi", {"iops": ""}, {"VolumeId": "vol-1", "Size": 30}, id="an empty parameter"),
        pytest.param(
            "30Gi",
            {"Type": "gp3", "IOPS": "6000", "encrypted": "true", "csi.storage.k8s.io/fstype": "ext4"},
            {"VolumeId": "vol-1", "Size": 30, "VolumeType": "gp3", "Iops": 6000},
            id="names in any case of letters, and others that are for new volumes",
        ),
        pytest.param("1500Mi", {}, {"VolumeId": "vol-1", "Size": 2}, id="a size between two gibibytes"),
        pytest.param("10G", {}, {"VolumeId": "vol-1", "Size": 10}, id="a decimal size"),
    ],
)
def test_what_is_wanted(size: str, parameters: dict[str, str], expected: dict[str, object]) -> None:
    found = wanted_volume(make_volume(DRIVER, "vol-1"), size, make_class("fast", DRIVER, parameters))
    assert found.request() == expected


@pytest.mark.parametrize(
    ("handle", "parameters", "message"),
    [
        ("vol-1", {"iops": "many"}, "iops of storage class fast is 'many', which is no positive whole number"),
        ("vol-1", {"iops": "-1"}, "no positive whole number"),
        ("vol-1", {"iops": "0"}, "no positive whole number"),
        ("vol-1", {"throughput": "1.5"}, "throughput of storage class fast"),
        ("vol-1", {"throughput": "9" * 400}, "no positive whole number"),
        ("vol-1", {"iopsPerGB": "50"}, "sets iopsPerGB, which is for new volumes alone"),
        ("", {}, "volume pv-1 has no id of EC2"),
        ("vol-*", {}, "volume pv-1 has no id of EC2"),
        ("/subscriptions/1", {}, "volume pv-1 has no id of EC2"),
    ],
    ids=[
        "no number",
        "negative",
        "zero",
        "a fraction",
        "endless",
        "iops by size",
        "no id",
        "a pattern",
        "another cloud",
    ],
)
def test_what_cannot_be_carried_out_is_named(handle: str, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterInvalid, match=message) as caught:
        wanted_volume(make_volume(DRIVER, handle), "30Gi", make_class("fast", DRIVER, parameters))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("actual", "last", "expected"),
    [
        pytest.param(GP3, None, Change(WANTED.request()), id="never modified"),
        pytest.param(DONE, None, "", id="made so"),
        pytest.param(GP3, Modification("completed", GP3), Change(WANTED.request()), id="modified before"),
        pytest.param(DONE, Modification("completed", DONE), "", id="modification completed"),
        pytest.param(GP3, Modification("failed", DONE), Change(WANTED.request()), id="modification failed: once more"),
        pytest.param(
            GP3, Modification("modifying", DONE, 40), "AWS is modifying volume vol-1 (40%)", id="modification under way"
        ),
        pytest.param(DONE, Modification("optimizing", DONE, 3), "", id="optimizing counts as done"),
        pytest.param(
            Actual(30, "gp2", 100), None, Change(WANTED.request()), id="another type: all that is wanted is sent"
        ),
    ],
)
def test_what_is_done_about_a_volume(actual: Actual, last: Modification | None, expected: Change | str) -> None:
    assert judge(WANTED, "in-use", actual, last, known=20) == expected


@pytest.mark.parametrize("state", ["modifying", "optimizing"])
def test_a_modification_to_something_else_is_waited_for(state: str) -> None:
    message = rf"AWS is still {state} volume vol-1 for an earlier change \(7%\)"
    with pytest.raises(ModificationPending, match=message):
        judge(WANTED, "in-use", GP3, Modification(state, Actual(25, "gp3", 3000, 125), 7), known=20)


def test_a_volume_that_is_coming_or_going_is_waited_for() -> None:
    with pytest.raises(ModificationPending, match="volume vol-1 is creating"):
        judge(WANTED, "creating", GP3, None, known=20)


def test_a_volume_never_shrinks() -> None:
    with pytest.raises(ModificationRefused, match="volume vol-1 has 40Gi, and cannot shrink to 30Gi"):
        judge(WANTED, "in-use", Actual(40, "gp3", 3000, 125), None, known=20)


def test_a_volume_of_which_aws_and_kubernetes_say_different_things_is_left_alone() -> None:
    with pytest.raises(ModificationRefused, match="AWS says that volume vol-1 has 5Gi, Kubernetes that it has 20Gi"):
        judge(WANTED, "in-use", Actual(5, "gp3", 3000, 125), None, known=20)


def test_what_is_not_wanted_is_not_compared() -> None:
    assert judge(Wanted("vol-1", 20), "available", Actual(20, "io2", 64000), None, known=20) == ""


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("VolumeModificationRateExceeded", 400, ModificationPending),
        ("IncorrectModificationState", 400, ModificationPending),
        ("RequestLimitExceeded", 503, CloudUnavailable),
        ("Throttling", 400, CloudUnavailable),
        ("ThrottlingException", 400, CloudUnavailable),
        ("InternalError", 500, CloudUnavailable),
        ("Unknown", 429, CloudUnavailable),
        ("ExpiredToken", 400, CloudUnavailable),
        ("UnauthorizedOperation", 403, ModificationRefused),
        ("AuthFailure", 401, ModificationRefused),
        ("InvalidVolume.NotFound", 400, ModificationRefused),
        ("InvalidParameterValue", 400, ModificationRefused),
        ("InvalidParameterCombination", 400, ModificationRefused),
        ("VolumeLimitExceeded", 400, ModificationRefused),
    ],
)
def test_what_an_error_means(code: str, status: int, expected: type[CloudError]) -> None:
    error = judge_error(code, "its own words", status)
    assert type(error) is expected
    assert f"{code}: its own words" in str(error)


def test_an_error_is_one_line_of_bounded_length_without_what_only_its_account_can_decode() -> None:
    message = "You are not authorized.\nEncoded authorization failure message: " + "x" * 2000
    assert str(judge_error("UnauthorizedOperation", message, 403)) == (
        "AWS refuses: UnauthorizedOperation: You are not authorized."
    )
    assert len(str(judge_error("Odd", "long " * 1000, 400))) < 400
