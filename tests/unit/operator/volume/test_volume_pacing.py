"""A cloud is asked seldom about the same wish, and at once about another."""

from __future__ import annotations

import asyncio

import pytest

from helpers.clouds import PlayedCloud, make_class, make_volume
from tikv_operator.volume.modifier import CloudUnavailable
from tikv_operator.volume.pacing import PacedModifier

DRIVER = "ebs.csi.aws.com"
VOLUME = make_volume(DRIVER, "vol-1")
FAST = make_class("fast", DRIVER)


@pytest.fixture
def cloud() -> PlayedCloud:
    return PlayedCloud(DRIVER)


@pytest.fixture
def paced(cloud: PlayedCloud) -> PacedModifier:
    return PacedModifier(cloud, poll=5.0, retry=60.0)


async def test_what_is_waited_for_counts_for_a_while(cloud: PlayedCloud, paced: PacedModifier) -> None:
    for _ in range(3):
        assert await paced.modify(VOLUME, "30Gi", FAST) == cloud.waiting
        await asyncio.sleep(1)
    assert len(cloud.asked) == 1
    await asyncio.sleep(2)
    await paced.modify(VOLUME, "30Gi", FAST)
    assert len(cloud.asked) == 2


async def test_an_error_counts_for_longer(cloud: PlayedCloud, paced: PacedModifier) -> None:
    cloud.error = CloudUnavailable("AWS does not answer")
    for _ in range(4):
        with pytest.raises(CloudUnavailable, match="AWS does not answer"):
            await paced.modify(VOLUME, "30Gi", FAST)
        await asyncio.sleep(15)
    assert len(cloud.asked) == 1
    cloud.error = None
    assert await paced.modify(VOLUME, "30Gi", FAST) == cloud.waiting


async def test_what_is_done_is_not_remembered(cloud: PlayedCloud, paced: PacedModifier) -> None:
    cloud.waiting = ""
    assert await paced.modify(VOLUME, "30Gi", FAST) == ""
    assert await paced.modify(VOLUME, "30Gi", FAST) == ""
    assert len(cloud.asked) == 2


@pytest.mark.parametrize("wish", ["size", "class", "volume"])
async def test_another_wish_is_passed_on_at_once(cloud: PlayedCloud, paced: PacedModifier, wish: str) -> None:
    await paced.modify(VOLUME, "30Gi", FAST)
    await paced.modify(
        make_volume(DRIVER, "vol-2", name="pv-2") if wish == "volume" else VOLUME,
        "40Gi" if wish == "size" else "30Gi",
        make_class("faster", DRIVER) if wish == "class" else FAST,
    )
    assert len(cloud.asked) == 2


async def test_a_cancelled_request_leaves_no_answer(
    cloud: PlayedCloud, paced: PacedModifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> str:
        await asyncio.sleep(3600)
        return "too late"

    monkeypatch.setattr(cloud, "modify", never)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await paced.modify(VOLUME, "30Gi", FAST)
    monkeypatch.undo()
    assert await paced.modify(VOLUME, "30Gi", FAST) == cloud.waiting


async def test_it_is_what_it_passes_on_to(cloud: PlayedCloud, paced: PacedModifier) -> None:
    cloud.no = "too large"
    assert (paced.provisioner, paced.wait) == (cloud.provisioner, cloud.wait)
    assert paced.refusal(VOLUME, "30Gi", FAST) == "too large"
