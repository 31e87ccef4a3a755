"""Trouble on demand over real connections: what the network does, a client must see as the network's doing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from controller_runtime.envtest import EmbeddedCluster

PATH = "/api/v1/namespaces/default/configmaps"


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster(http=True, tls=False) as cluster:
        yield cluster


@pytest_asyncio.fixture
async def session(cluster: EmbeddedCluster) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {cluster.token}"}
    async with aiohttp.ClientSession(cluster.url, headers=headers, raise_for_status=True) as session:
        yield session


async def count(session: aiohttp.ClientSession) -> int:
    async with session.get(PATH) as answer:
        return len((await answer.json())["items"])


async def create(session: aiohttp.ClientSession, name: str) -> None:
    async with session.post(PATH, json={"metadata": {"name": name}}):
        pass


async def test_a_connection_is_reset_before_or_after_the_request_is_carried_out(
    cluster: EmbeddedCluster, session: aiohttp.ClientSession
) -> None:
    with cluster.faults.drop(verb="create"), pytest.raises(aiohttp.ServerDisconnectedError):
        await create(session, "a")
    assert await count(session) == 0

    with cluster.faults.drop(after=True, verb="create"), pytest.raises(aiohttp.ServerDisconnectedError):
        await create(session, "a")
    assert await count(session) == 1


async def test_an_error_carries_its_headers(cluster: EmbeddedCluster, session: aiohttp.ClientSession) -> None:
    with cluster.faults.refuse(429, retry_after=4), pytest.raises(aiohttp.ClientResponseError) as refused:
        await count(session)

    assert refused.value.status == 429
    assert refused.value.headers is not None
    assert refused.value.headers["Retry-After"] == "4"


async def test_a_watch_is_silent_and_then_reset(cluster: EmbeddedCluster, session: aiohttp.ClientSession) -> None:
    async with session.get(PATH, params={"watch": "1", "resourceVersion": "0"}) as watch:
        await create(session, "a")
        assert b"ADDED" in await watch.content.readline()

        stalled = cluster.faults.hang(verb="watch")
        await create(session, "b")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await watch.content.readline()
        stalled.lift()
        assert b'"b"' in await watch.content.readline(), "nothing is lost to one who waits"

        assert cluster.faults.reset_watches() == 1
        with pytest.raises(aiohttp.ClientPayloadError):
            await watch.content.readline()


async def test_a_server_that_is_away_refuses_connections_and_comes_back_at_its_address(
    cluster: EmbeddedCluster, session: aiohttp.ClientSession
) -> None:
    await create(session, "a")
    url = cluster.url

    async with cluster.outage():
        with pytest.raises(aiohttp.ClientConnectionError):
            await count(session)

    assert cluster.url == url
    assert await count(session) == 1


async def test_a_request_that_hangs_does_not_keep_the_cluster_from_stopping(
    cluster: EmbeddedCluster, session: aiohttp.ClientSession
) -> None:
    async with EmbeddedCluster(http=True, tls=False) as stopping:
        fault = stopping.faults.hang(verb="list")
        headers = {"Authorization": f"Bearer {stopping.token}"}
        waiting = asyncio.create_task(session.get(f"{stopping.url}{PATH}", headers=headers))
        async with asyncio.timeout(5):
            while not fault.hits:
                await asyncio.sleep(0)

    with pytest.raises(aiohttp.ClientConnectionError):
        await waiting
