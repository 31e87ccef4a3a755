"""The HTTP API of a TiKV, as it answers online changes of its configuration."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from helpers.scripted_pd import Call, ScriptedPD
from tikv_operator.pdclient import PDClient, PDResponse, PDUnreachable
from tikv_operator.pdclient.metrics import PDMetrics

URL = "http://basic-tikv-a.basic-tikv-peer.ns1:20180"
CONFIG = "POST /config"


def client(*answers: PDResponse | Exception, registry: CollectorRegistry | None = None) -> tuple[PDClient, ScriptedPD]:
    pd = ScriptedPD(script={CONFIG: list(answers)})
    return PDClient(pd, metrics=PDMetrics(registry) if registry else None, jitter=lambda: 0.0), pd


async def test_an_item_is_sent_to_the_store_itself_and_is_not_to_be_persisted() -> None:
    found, pd = client(PDResponse(200))
    assert await found.tikv.change_config(URL, "log.level", "warn") == ""
    assert pd.calls == [
        Call(0.0, "POST", "/config", params=(("persist", "false"),), body={"log.level": "warn"}, base=URL)
    ]


async def test_a_change_that_could_not_be_written_to_the_mounted_file_is_in_force() -> None:
    said = b"config changed, but failed to persist change due to err: Read-only file system"
    found, _ = client(PDResponse(500, said))
    assert await found.tikv.change_config(URL, "log.level", "warn") == ""


async def test_a_refusal_is_told_in_tikvs_words() -> None:
    found, _ = client(PDResponse(500, b"failed to update, error: not online changeable"))
    assert "not online changeable" in await found.tikv.change_config(URL, "raft.x", 1)


async def test_a_tikv_that_cannot_be_reached_is_an_error() -> None:
    found, _ = client(PDUnreachable("refused"))
    with pytest.raises(PDUnreachable):
        await found.tikv.change_config(URL, "log.level", "warn")


async def test_calls_are_counted() -> None:
    registry = CollectorRegistry()
    found, _ = client(PDResponse(200), registry=registry)
    await found.tikv.change_config(URL, "log.level", "warn")
    labels = {"endpoint": "tikv_config", "result": "ok"}
    assert registry.get_sample_value("tikv_operator_pd_requests_total", labels) == 1
