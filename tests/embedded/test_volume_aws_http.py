"""EBS volumes through the real library, over HTTP: credentials, signatures, repetition of throttled requests, errors, time-outs.

EC2 is played by the test; everything that an operator would find in its environment is set in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from helpers.clouds import make_class, make_volume
from helpers.fake_ec2 import FakeEC2, running_ec2
from tikv_operator.volume.aws import EBSVolumes, ebs_volumes
from tikv_operator.volume.modifier import CloudUnavailable, ModificationPending, ModificationRefused

DRIVER = "ebs.csi.aws.com"
VOLUME = make_volume(DRIVER, "vol-1")
FAST = make_class("fast", DRIVER, {"type": "gp3", "iops": "6000", "throughput": "250"})
SECRET = "wJalrXUtnFEMI-not-for-logs"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What a pod of an operator has in its environment, and nothing of this machine's."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    values = {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
async def ec2(environment: pytest.MonkeyPatch) -> AsyncIterator[FakeEC2]:
    async with running_ec2() as fake:
        environment.setenv("AWS_ENDPOINT_URL_EC2", fake.url)
        fake.add("vol-1", size=20, type="gp2", iops=100, throughput=0)
        yield fake


@pytest.fixture
async def ebs(ec2: FakeEC2) -> AsyncIterator[EBSVolumes]:
    async with ebs_volumes(timeout=20.0) as volumes:
        yield volumes


async def test_a_volume_is_modified_and_done_when_aws_optimizes_it(ec2: FakeEC2, ebs: EBSVolumes) -> None:
    assert await ebs.modify(VOLUME, "30Gi", FAST) == "AWS has begun to modify volume vol-1"
    wanted = {"VolumeId": "vol-1", "Size": "30", "VolumeType": "gp3", "Iops": "6000", "Throughput": "250"}
    assert ec2.asked("ModifyVolume") == [wanted]

    ec2.advance("vol-1", "modifying", 40)
    assert await ebs.modify(VOLUME, "30Gi", FAST) == "AWS is modifying volume vol-1 (40%)"
    ec2.advance("vol-1", "optimizing", 1)
    assert await ebs.modify(VOLUME, "30Gi", FAST) == ""
    ec2.advance("vol-1", "completed", 100)
    assert await ebs.modify(VOLUME, "30Gi", FAST) == ""
    assert len(ec2.asked("ModifyVolume")) == 1


async def test_a_modification_that_failed_is_asked_for_again(ec2: FakeEC2, ebs: EBSVolumes) -> None:
    await ebs.modify(VOLUME, "30Gi", FAST)
    ec2.advance("vol-1", "failed")
    assert await ebs.modify(VOLUME, "30Gi", FAST) == "AWS has begun to modify volume vol-1"
    assert len(ec2.asked("ModifyVolume")) == 2


async def test_another_wish_waits_for_the_modification_under_way(ec2: FakeEC2, ebs: EBSVolumes) -> None:
    await ebs.modify(VOLUME, "30Gi", FAST)
    with pytest.raises(ModificationPending, match="AWS is still modifying volume vol-1"):
        await ebs.modify(VOLUME, "40Gi", FAST)
    assert len(ec2.asked("ModifyVolume")) == 1


async def test_a_volume_that_is_as_it_should_be_is_not_modified(ec2: FakeEC2, ebs: EBSVolumes) -> None:
    ec2.add("vol-1", size=30, type="gp3", iops=6000, throughput=250)
    assert await ebs.modify(VOLUME, "30Gi", FAST) == ""
    assert ec2.asked("ModifyVolume") == []


async def test_throttled_requests_are_repeated_by_the_library(ec2: FakeEC2, ebs: EBSVolumes) -> None:
    ec2.errors["DescribeVolumes"] = [(503, "RequestLimitExceeded", "Request limit exceeded.")]
    assert await ebs.modify(VOLUME, "30Gi", FAST) == "AWS has begun to modify volume vol-1"
    assert len(ec2.asked("DescribeVolumes")) == 2


async def test_what_is_throttled_all_the_time_is_given_up_for_now(ec2: FakeEC2, ebs: EBSVolumes) -> None:
    ec2.errors["ModifyVolume"] = [(503, "RequestLimitExceeded", "Request limit exceeded.")] * 9
    with pytest.raises(CloudUnavailable, match="AWS does not answer: RequestLimitExceeded: Request limit"):
        await ebs.modify(VOLUME, "30Gi", FAST)
    assert len(ec2.asked("ModifyVolume")) == 3


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("UnauthorizedOperation", ModificationRefused),
        ("InvalidParameterCombination", ModificationRefused),
        ("VolumeModificationRateExceeded", ModificationPending),
    ],
)
async def test_a_refusal_is_quoted_and_not_repeated(
    ec2: FakeEC2, ebs: EBSVolumes, code: str, expected: type[Exception]
) -> None:
    ec2.errors["ModifyVolume"] = [(400, code, "Why.")] * 3
    with pytest.raises(expected, match=rf"{code}: Why\."):
        await ebs.modify(VOLUME, "30Gi", FAST)
    assert len(ec2.asked("ModifyVolume")) == 1


async def test_a_volume_that_aws_does_not_know_is_left_alone(ec2: FakeEC2, ebs: EBSVolumes) -> None:
    with pytest.raises(ModificationRefused, match=r"InvalidVolume\.NotFound: The volume 'vol-2' does not exist"):
        await ebs.modify(make_volume(DRIVER, "vol-2"), "30Gi", FAST)
    assert ec2.asked("ModifyVolume") == []


async def test_parameters_that_cannot_be_carried_out_are_refused_without_a_request(
    ec2: FakeEC2, ebs: EBSVolumes
) -> None:
    odd = make_class("odd", DRIVER, {"iops": "many"})
    assert "iops of storage class odd is 'many'" in ebs.refusal(VOLUME, "30Gi", odd)
    assert ebs.refusal(VOLUME, "30Gi", FAST) == ""
    with pytest.raises(ModificationRefused, match="iops of storage class odd is 'many'"):
        await ebs.modify(VOLUME, "30Gi", odd)
    assert ec2.requests == []


async def test_nobody_at_the_other_end_is_said_in_one_line(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:1")
    async with ebs_volumes(timeout=20.0) as ebs:
        with pytest.raises(CloudUnavailable, match="AWS cannot be asked: Could not connect") as caught:
            await ebs.modify(VOLUME, "30Gi", FAST)
    assert "\n" not in str(caught.value)


async def test_without_credentials_it_says_so(ec2: FakeEC2, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    async with ebs_volumes(timeout=20.0) as ebs:
        with pytest.raises(CloudUnavailable, match="AWS cannot be asked: Unable to locate credentials"):
            await ebs.modify(VOLUME, "30Gi", FAST)
    assert ec2.requests == []


async def test_an_endpoint_that_never_answers_is_given_up_in_time(environment: pytest.MonkeyPatch) -> None:
    writers: list[asyncio.StreamWriter] = []
    mute = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    environment.setenv("AWS_ENDPOINT_URL_EC2", f"http://127.0.0.1:{mute.sockets[0].getsockname()[1]}")
    before = time.monotonic()
    async with mute, ebs_volumes(timeout=0.5) as ebs:
        with pytest.raises(CloudUnavailable, match="AWS cannot be asked: "):
            await ebs.modify(VOLUME, "30Gi", FAST)
        assert time.monotonic() - before < 5
        for writer in writers:
            writer.close()


async def test_neither_errors_nor_logs_have_a_secret(
    ec2: FakeEC2, ebs: EBSVolumes, caplog: pytest.LogCaptureFixture
) -> None:
    ec2.errors["ModifyVolume"] = [(403, "SignatureDoesNotMatch", "The request signature does not match.")]
    with pytest.raises(ModificationRefused) as caught:
        await ebs.modify(VOLUME, "30Gi", FAST)
    told = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert SECRET not in str(caught.value) + "".join(told)
