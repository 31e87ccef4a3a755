"""Azure disks through the real library, over HTTPS: token, repetition of throttled requests, errors, time-outs.

Azure Resource Manager is played by the test, and so is the credential: the default chain would ask the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.core.exceptions import ClientAuthenticationError

from helpers.clouds import make_class, make_volume
from helpers.fake_arm import DISK, FakeARM, FakeCredential, running_arm
from tikv_operator.volume.azure import AzureDisks, azure_disks
from tikv_operator.volume.modifier import CloudUnavailable, ModificationPending, ModificationRefused

DRIVER = "disk.csi.azure.com"
VOLUME = make_volume(DRIVER, DISK)
FAST = make_class("fast", DRIVER, {"skuName": "PremiumV2_LRS", "DiskIOPSReadWrite": "6000", "DiskMBpsReadWrite": "250"})


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[FakeARM]:
    async with running_arm(tmp_path) as fake:
        fake.disk = {
            "id": DISK,
            "name": "disk1",
            "location": "eastus",
            "sku": {"name": "Premium_LRS", "tier": "Premium"},
            "properties": {
                "provisioningState": "Succeeded",
                "diskSizeGB": 20,
                "diskIOPSReadWrite": 500,
                "diskMBpsReadWrite": 100,
            },
        }
        yield fake


@pytest.fixture
def credential() -> FakeCredential:
    return FakeCredential()


@pytest.fixture
async def disks(arm: FakeARM, credential: FakeCredential) -> AsyncIterator[AzureDisks]:
    async with azure_disks(timeout=20.0, credential=credential, base_url=arm.url, connection_verify=arm.ca) as opened:
        yield opened


async def test_a_disk_is_modified_and_done_when_azure_says_so(arm: FakeARM, disks: AzureDisks) -> None:
    assert await disks.modify(VOLUME, "30Gi", FAST) == "Azure has begun to modify disk disk1"
    assert arm.updates == [
        {
            "properties": {"diskSizeGB": 30, "diskIOPSReadWrite": 6000, "diskMBpsReadWrite": 250},
            "sku": {"name": "PremiumV2_LRS"},
        }
    ]
    assert await disks.modify(VOLUME, "30Gi", FAST) == "disk disk1 is Updating"
    arm.finish()
    assert await disks.modify(VOLUME, "30Gi", FAST) == ""
    assert len(arm.updates) == 1


async def test_a_disk_that_is_as_it_should_be_is_not_modified(arm: FakeARM, disks: AzureDisks) -> None:
    assert await disks.modify(VOLUME, "20Gi", make_class("same", DRIVER, {"skuName": "Premium_LRS"})) == ""
    assert arm.updates == []


async def test_throttled_requests_are_repeated_by_the_library(arm: FakeARM, disks: AzureDisks) -> None:
    arm.errors["GET"] = [(429, "TooManyRequests", "The request was throttled.")]
    assert await disks.modify(VOLUME, "30Gi", FAST) == "Azure has begun to modify disk disk1"
    assert arm.reads == 2


async def test_what_is_throttled_all_the_time_is_given_up_for_now(arm: FakeARM, disks: AzureDisks) -> None:
    arm.errors["GET"] = [(429, "TooManyRequests", "The request was throttled.")] * 9
    with pytest.raises(CloudUnavailable, match="Azure does not answer: TooManyRequests: The request was throttled"):
        await disks.modify(VOLUME, "30Gi", FAST)
    assert arm.reads == 3
    assert arm.updates == []


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AuthorizationFailed", ModificationRefused),
        (400, "InvalidParameter", ModificationRefused),
        (409, "OperationNotAllowed", ModificationRefused),
        (409, "AnotherOperationInProgress", ModificationPending),
        (401, "InvalidAuthenticationToken", CloudUnavailable),
    ],
)
async def test_a_refusal_is_quoted_and_not_repeated(
    arm: FakeARM, disks: AzureDisks, status: int, code: str, expected: type[Exception]
) -> None:
    arm.errors["PATCH"] = [(status, code, "Why.")]
    with pytest.raises(expected, match=r"Why\.") as caught:
        await disks.modify(VOLUME, "30Gi", FAST)
    assert code in str(caught.value)
    assert "\n" not in str(caught.value)
    assert arm.updates == []


async def test_a_disk_that_azure_does_not_know_is_left_alone(arm: FakeARM, disks: AzureDisks) -> None:
    other = make_volume(DRIVER, DISK.replace("disk1", "disk2"))
    with pytest.raises(ModificationRefused, match="ResourceNotFound"):
        await disks.modify(other, "30Gi", FAST)
    assert arm.updates == []


async def test_parameters_that_cannot_be_carried_out_are_refused_without_a_request(
    arm: FakeARM, disks: AzureDisks
) -> None:
    odd = make_class("odd", DRIVER, {"DiskIOPSReadWrite": "many"})
    assert "DiskIOPSReadWrite of storage class odd is 'many'" in disks.refusal(VOLUME, "30Gi", odd)
    assert disks.refusal(VOLUME, "30Gi", FAST) == ""
    with pytest.raises(ModificationRefused, match="DiskIOPSReadWrite of storage class odd is 'many'"):
        await disks.modify(VOLUME, "30Gi", odd)
    assert arm.reads == 0


async def test_credentials_that_are_not_there_are_said_in_one_line(
    arm: FakeARM, disks: AzureDisks, credential: FakeCredential
) -> None:
    credential.error = ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token.\nAttempted: all")
    with pytest.raises(CloudUnavailable) as caught:
        await disks.modify(VOLUME, "30Gi", FAST)
    assert str(caught.value) == (
        "Azure does not accept the credentials: DefaultAzureCredential failed to retrieve a token."
    )
    assert arm.reads == 0


@pytest.mark.parametrize(
    ("cloud", "host"), [(None, "management.azure.com"), ("AZURE_CHINA_CLOUD", "management.chinacloudapi.cn")]
)
async def test_the_environment_names_the_cloud(
    arm: FakeARM, credential: FakeCredential, monkeypatch: pytest.MonkeyPatch, cloud: str | None, host: str
) -> None:
    monkeypatch.delenv("AZURE_SDK_CLOUD_CONF", raising=False)
    if cloud is not None:
        monkeypatch.setenv("AZURE_SDK_CLOUD_CONF", cloud)
    async with azure_disks(timeout=20.0, credential=credential, base_url=arm.url, connection_verify=arm.ca) as disks:
        await disks.modify(VOLUME, "30Gi", FAST)
    assert set(credential.scopes) == {f"https://{host}/.default"}


async def test_a_server_with_a_strange_certificate_gets_no_token(arm: FakeARM, credential: FakeCredential) -> None:
    async with azure_disks(timeout=20.0, credential=credential, base_url=arm.url) as disks:
        with pytest.raises(CloudUnavailable, match=r"Azure cannot be asked: .*certificate"):
            await disks.modify(VOLUME, "30Gi", FAST)
    assert arm.reads == 0


async def test_an_endpoint_that_never_answers_is_given_up_in_time(credential: FakeCredential) -> None:
    writers: list[asyncio.StreamWriter] = []
    mute = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    url = f"https://127.0.0.1:{mute.sockets[0].getsockname()[1]}"
    before = time.monotonic()
    async with mute, azure_disks(timeout=0.5, credential=credential, base_url=url) as disks:
        with pytest.raises(CloudUnavailable, match="Azure cannot be asked: "):
            await disks.modify(VOLUME, "30Gi", FAST)
        assert time.monotonic() - before < 5
        for writer in writers:
            writer.close()
