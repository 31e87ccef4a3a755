"""Which clouds are switched on, and what is said where one can't be."""

from __future__ import annotations

import sys

import pytest

from tikv_operator.common.settings import Settings
from tikv_operator.volume.clouds import Cloud, CloudUnusable, open_volume_modifiers


@pytest.fixture(autouse=True)
def no_cloud_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine that the tests run on: no region, no profile, no credentials."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def test_without_a_cloud_no_library_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("aiobotocore", "botocore", "azure"):
        monkeypatch.setitem(sys.modules, library, None)
    async with open_volume_modifiers((), Settings()) as modifiers:
        assert modifiers == []


async def test_each_cloud_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    async with open_volume_modifiers((Cloud.AWS, Cloud.AZURE, Cloud.AWS), Settings()) as modifiers:
        assert [(modifier.provisioner, modifier.wait) for modifier in modifiers] == [
            ("ebs.csi.aws.com", 21600.0),
            ("disk.csi.azure.com", 15.0),
        ]


@pytest.mark.parametrize(
    ("cloud", "library"), [(Cloud.AWS, "aiobotocore.session"), (Cloud.AZURE, "azure.identity.aio")]
)
async def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, cloud: Cloud, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"volume modifier {cloud}: its library is not installed; pip install 'tikv-operator\[{cloud}\]'"
    with pytest.raises(CloudUnusable, match=message):
        async with open_volume_modifiers((cloud,), Settings()):
            raise AssertionError("it was opened")


async def test_aws_needs_a_region() -> None:
    with pytest.raises(CloudUnusable, match=r"volume modifier aws: AWS cannot be used: You must specify a region"):
        async with open_volume_modifiers((Cloud.AWS,), Settings()):
            raise AssertionError("it was opened")
