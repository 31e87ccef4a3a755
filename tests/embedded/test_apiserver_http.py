"""The embedded API server over sockets: TLS, tokens, streams, limits, the service proxy, and a clean end."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from controller_runtime.envtest import EmbeddedCluster
from helpers.apiserver import CONFIG_MAPS, config_map

SERVICES = "/api/v1/namespaces/default/services"
PATIENCE = 10.0


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster(http=True) as cluster:
        yield cluster


@pytest.fixture
async def session(cluster: EmbeddedCluster) -> AsyncIterator[aiohttp.ClientSession]:
    config = yaml.safe_load(cluster.kubeconfig("somebody"))
    entry = config["clusters"][0]["cluster"]
    context = ssl.create_default_context(cadata=base64.b64decode(entry["certificate-authority-data"]).decode())
    token = config["users"][0]["user"]["token"]
    async with aiohttp.ClientSession(
        entry["server"],
        connector=aiohttp.TCPConnector(ssl=context),
        headers={"Authorization": f"Bearer {token}"},
        timeout=aiohttp.ClientTimeout(total=PATIENCE),
    ) as session:
        yield session


async def create(session: aiohttp.ClientSession, path: str, body: Any) -> Any:
    async with session.post(path, json=body) as response:
        assert response.status == 201, await response.text()
        return await response.json()


async def test_requests_and_answers_cross_the_wire(session: aiohttp.ClientSession) -> None:
    created = await create(session, CONFIG_MAPS, config_map())
    async with session.get(f"{CONFIG_MAPS}/c") as response:
        assert (response.status, await response.json()) == (200, created)
        assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("header", ["Bearer wrong", "Basic YTpi", "Bearer ", "Bearer a.b.c"])
async def test_with_a_wrong_token_nobody_enters(session: aiohttp.ClientSession, header: str) -> None:
    headers = {"Authorization": header}
    async with session.get(CONFIG_MAPS, headers=headers) as response:
        assert response.status == 401
        assert (await response.json())["reason"] == "Unauthorized"


async def test_without_a_token_one_is_anonymous(session: aiohttp.ClientSession) -> None:
    async with session.get(CONFIG_MAPS, headers={"Authorization": ""}) as response:
        assert response.status == 403
        assert 'User "system:anonymous" cannot list resource' in (await response.json())["message"]


async def test_health_needs_no_token(session: aiohttp.ClientSession) -> None:
    async with session.get("/readyz", headers={"Authorization": ""}) as response:
        assert (response.status, await response.text()) == (200, "ok")


async def test_a_watch_streams_lines_as_they_come(session: aiohttp.ClientSession) -> None:
    async with session.get(CONFIG_MAPS, params={"watch": "1"}) as response:
        for number in range(3):
            await create(session, CONFIG_MAPS, config_map(f"c{number}"))
            event = json.loads(await asyncio.wait_for(response.content.readline(), PATIENCE))
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", f"c{number}")


async def test_a_watch_ends_cleanly_at_its_timeout(session: aiohttp.ClientSession) -> None:
    params = {"watch": "1", "timeoutSeconds": "1"}
    async with session.get(CONFIG_MAPS, params=params) as response:
        assert await response.read() == b""


async def test_a_client_that_goes_away_leaves_no_watch_behind(
    cluster: EmbeddedCluster, session: aiohttp.ClientSession
) -> None:
    response = await session.get(CONFIG_MAPS, params={"watch": "1"})
    assert cluster.open_watches == 1
    response.close()
    async with asyncio.timeout(PATIENCE):
        while cluster.open_watches:
            await asyncio.sleep(0.01)


async def test_a_body_above_the_limit_is_refused(session: aiohttp.ClientSession) -> None:
    async with session.post(CONFIG_MAPS, data=io.BytesIO(b"x" * (4 * 1024 * 1024))) as response:
        assert response.status == 413
        assert (await response.json())["reason"] == "RequestEntityTooLarge"

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b"x" * (512 * 1024)

    async with session.post(CONFIG_MAPS, data=chunks()) as response:
        assert response.status == 413


async def test_the_service_proxy_dials_what_no_backend_answers(
    cluster: EmbeddedCluster, session: aiohttp.ClientSession
) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response(
            {"path": request.path_qs, "body": await request.text(), "auth": request.headers.get("Authorization")}
        )

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        await create(session, SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
        endpoints = {
            "metadata": {"name": "s-1", "labels": {"kubernetes.io/service-name": "s"}},
            "addressType": "IPv4",
            "ports": [{"port": port}],
            "endpoints": [{"addresses": ["127.0.0.1"]}],
        }
        await create(session, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", endpoints)
        async with session.post(f"{SERVICES}/s:80/proxy/a/b?c=d", data=b"hello") as response:
            assert await response.json() == {"path": "/a/b?c=d", "body": "hello", "auth": None}
    finally:
        await runner.cleanup()
    async with session.get(f"{SERVICES}/s:80/proxy/") as response:
        assert response.status == 503
        assert "error trying to reach service" in (await response.json())["message"]


async def test_two_clusters_live_side_by_side(session: aiohttp.ClientSession) -> None:
    async with EmbeddedCluster(http=True, tls=False) as other:
        headers = {"Authorization": f"Bearer {other.token}"}
        await create(session, CONFIG_MAPS, config_map())
        async with (
            aiohttp.ClientSession() as plain,
            plain.get(f"{other.url}{CONFIG_MAPS}", headers=headers) as response,
        ):
            assert (await response.json())["items"] == []


async def test_a_taken_port_is_an_error_and_leaves_nothing(cluster: EmbeddedCluster) -> None:
    port = int(cluster.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        async with EmbeddedCluster(http=True, port=port):
            pytest.fail("the port is taken")


async def test_stopping_ends_open_watches_at_once() -> None:
    async with aiohttp.ClientSession() as session:
        async with EmbeddedCluster(http=True, tls=False) as cluster:
            headers = {"Authorization": f"Bearer {cluster.token}"}
            response = await session.get(f"{cluster.url}{CONFIG_MAPS}", params={"watch": "1"}, headers=headers)
        assert await asyncio.wait_for(response.read(), PATIENCE) == b""
