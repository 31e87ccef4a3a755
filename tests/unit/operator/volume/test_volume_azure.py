"""What Azure is asked for, by what it says of a disk; nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.clouds import make_class, make_volume
from tikv_operator.volume.azure import Actual, DiskId, Wanted, judge, judge_error, read_disk, wanted_disk
from tikv_operator.volume.modifier import (
    Change,
    CloudError,
    CloudUnavailable,
    ModificationPending,
    ModificationRefused,
    ParameterInvalid,
)

DRIVER = "disk.csi.azure.com"
HANDLE = "/subscriptions/123/resourceGroups/rg1/providers/Microsoft.Compute/disks/disk1"
DISK = DiskId("123", "rg1", "disk1")
WANTED = Wanted(DISK, 30, "PremiumV2_LRS", 6000, 250)
NOW = Actual("Succeeded", 20, "PremiumV2_LRS", 3000, 125)
DONE = Actual("Succeeded", 30, "PremiumV2_LRS", 6000, 250)


@pytest.mark.parametrize(
    ("size", "parameters", "expected"),
    [
        pytest.param(
            "30Gi",
            {"skuName": "PremiumV2_LRS", "DiskIOPSReadWrite": "6000", "DiskMBpsReadWrite": "250"},
            {
                "properties": {"diskSizeGB": 30, "diskIOPSReadWrite": 6000, "diskMBpsReadWrite": 250},
                "sku": {"name": "PremiumV2_LRS"},
            },
            id="all of it",
        ),
        pytest.param("30Gi", {}, {"properties": {"diskSizeGB": 30}}, id="nothing but the size"),
        pytest.param(
            "30Gi",
            {"storageaccounttype": "Premium_LRS", "diskiopsreadwrite": "500", "cachingMode": "None"},
            {"properties": {"diskSizeGB": 30, "diskIOPSReadWrite": 500}, "sku": {"name": "Premium_LRS"}},
            id="the older name, names in any case of letters, and others that are for new disks",
        ),
        pytest.param("10500Mi", {}, {"properties": {"diskSizeGB": 11}}, id="a size between two gibibytes"),
    ],
)
def test_what_is_wanted(size: str, parameters: dict[str, str], expected: dict[str, Any]) -> None:
    found = wanted_disk(make_volume(DRIVER, HANDLE), size, make_class("fast", DRIVER, parameters))
    assert (found.disk, found.request()) == (DISK, expected)


@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(HANDLE.replace("resourceGroups", "resourcegroups").lower(), id="in lower case"),
        pytest.param(HANDLE.replace("rg1", "MC_rg.1_(prod)_eastus"), id="a group with all that is allowed"),
    ],
)
def test_ids_that_are_understood(handle: str) -> None:
    assert wanted_disk(make_volume(DRIVER, handle), "30Gi", make_class("fast", DRIVER)).disk.name == "disk1"


@pytest.mark.parametrize(
    ("handle", "parameters", "message"),
    [
        ("invalid/volume/handle", {}, "volume pv-1 has no id of a managed disk, but 'invalid/volume/handle'"),
        (HANDLE.replace("disks", "snapshots"), {}, "no id of a managed disk"),
        (f"{HANDLE}/../disk2", {}, "no id of a managed disk"),
        (HANDLE, {"DiskIOPSReadWrite": "x"}, "DiskIOPSReadWrite of storage class fast is 'x'"),
        (HANDLE, {"DiskMBpsReadWrite": "0"}, "DiskMBpsReadWrite of storage class fast is '0'"),
    ],
    ids=["no id", "no disk", "a path with detours", "iops", "throughput"],
)
def test_what_cannot_be_carried_out_is_named(handle: str, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterInvalid, match=message):
        wanted_disk(make_volume(DRIVER, handle), "30Gi", make_class("fast", DRIVER, parameters))


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        pytest.param(NOW, Change(WANTED.request()), id="not yet asked for"),
        pytest.param(DONE, "", id="done"),
        pytest.param(Actual("Updating", 30, "PremiumV2_LRS", 6000, 250), "disk disk1 is Updating", id="under way"),
        pytest.param(
            Actual("Failed", 20, "PremiumV2_LRS", 3000, 125), Change(WANTED.request()), id="failed: once more"
        ),
        pytest.param(Actual("Canceled", 20, "PremiumV2_LRS", 3000), Change(WANTED.request()), id="canceled: once more"),
        pytest.param(Actual("Succeeded", 30, "premiumv2_lrs", 6000, 250), "", id="the type in other letters"),
        pytest.param(Actual("Succeeded", 30, "Premium_LRS", 6000, 250), Change(WANTED.request()), id="another type"),
        pytest.param(Actual("", 20), "disk disk1 is in an unknown state", id="nobody knows"),
    ],
)
def test_what_is_done_about_a_disk(actual: Actual, expected: Change | str) -> None:
    assert judge(WANTED, actual, known=20) == expected


def test_a_disk_never_shrinks() -> None:
    with pytest.raises(ModificationRefused, match="disk disk1 has 40Gi, and cannot shrink to 30Gi"):
        judge(WANTED, Actual("Succeeded", 40, "PremiumV2_LRS"), known=20)


def test_a_disk_of_which_azure_and_kubernetes_say_different_things_is_left_alone() -> None:
    with pytest.raises(ModificationRefused, match="Azure says that disk disk1 has 5Gi, Kubernetes that it has 20Gi"):
        judge(WANTED, Actual("Succeeded", 5, "PremiumV2_LRS"), known=20)


def test_what_azure_says_is_read_from_its_own_form() -> None:
    answer = {
        "id": HANDLE.replace("rg1", "RG1"),
        "location": "eastus",
        "sku": {"name": "PremiumV2_LRS", "tier": "Premium"},
        "properties": {
            "provisioningState": "Succeeded",
            "diskSizeGB": 30,
            "diskIOPSReadWrite": 6000,
            "diskMBpsReadWrite": 250,
            "diskState": "Attached",
        },
    }
    assert read_disk(answer, DISK) == DONE


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"id": HANDLE.replace("disk1", "disk2"), "properties": {}}, "asked about disk disk1, and answers about"),
        ({"properties": {}}, "is not understood"),
        ({"id": HANDLE, "properties": {"diskSizeGB": "large"}}, "is not understood"),
    ],
    ids=["another disk", "no id", "a wrong type"],
)
def test_an_answer_that_makes_no_sense_decides_nothing(answer: dict[str, Any], message: str) -> None:
    with pytest.raises(CloudUnavailable, match=message):
        read_disk(answer, DISK)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "TooManyRequests", CloudUnavailable),
        (503, "", CloudUnavailable),
        (401, "InvalidAuthenticationToken", CloudUnavailable),
        (403, "AuthorizationFailed", ModificationRefused),
        (404, "ResourceNotFound", ModificationRefused),
        (400, "InvalidParameter", ModificationRefused),
        (409, "Conflict", ModificationPending),
        (409, "OperationNotAllowed", ModificationRefused),
    ],
)
def test_what_an_error_means(status: int, code: str, expected: type[CloudError]) -> None:
    error = judge_error(status, code, "its own\nwords")
    assert type(error) is expected
    assert "its own words" in str(error)


def test_an_error_without_a_word_has_its_status() -> None:
    assert str(judge_error(418, "", "")) == "Azure refuses: HTTP status 418"
