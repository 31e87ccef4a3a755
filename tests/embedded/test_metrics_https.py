"""Metrics over TLS, for those only whom the API server lets read them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from controller_runtime import CertificateFiles, Manager, make_logger
from controller_runtime.certificates import CertificateUnusable
from controller_runtime.envtest import EmbeddedCluster
from helpers.certificates import Authority
from helpers.reviewing_api import ReviewingApi

AUTHORITY = Authority()


def write_pair(directory: Path, name: str) -> CertificateFiles:
    pair = AUTHORITY.sign(name, hosts=("localhost", "127.0.0.1"))
    files = CertificateFiles(directory / "tls.crt", directory / "tls.key")
    files.certificate.write_bytes(pair.certificate)
    files.key.write_bytes(pair.key)
    return files


@asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[aiohttp.ClientSession]:
    """Run the manager; yields a session that trusts the authority and makes a connection for each request."""
    task = asyncio.create_task(manager.run())
    trust = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    try:
        async with (
            asyncio.timeout(10),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, force_close=True)) as session,
        ):
            elected = asyncio.create_task(manager.elected.wait())
            await asyncio.wait([task, elected], return_when=asyncio.FIRST_COMPLETED)
            elected.cancel()
            yield session
    finally:
        manager.stop()
        await task


async def get(
    session: aiohttp.ClientSession, manager: Manager, path: str = "/metrics", *, token: str = ""
) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"https://localhost:{manager.endpoints.metrics_port}{path}"
    async with session.get(url, headers=headers) as response:
        return response.status, await response.text()


async def name_presented(manager: Manager) -> str:
    trust = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    _, writer = await asyncio.open_connection("localhost", manager.endpoints.metrics_port, ssl=trust)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    return str(dict(field for part in certificate["subject"] for field in part)["commonName"])


async def test_metrics_over_tls_follow_the_files_of_their_certificate(tmp_path: Path) -> None:
    async with EmbeddedCluster() as cluster:
        manager = Manager(
            cluster.transport,
            field_manager="test",
            metrics_address="127.0.0.1:0",
            metrics_tls=write_pair(tmp_path, "first"),
            log=make_logger(level="error"),
        )
        async with running(manager) as session:
            status, body = await get(session, manager)
            assert status == 200
            assert "certwatcher_read_certificate_total 1.0" in body
            assert await name_presented(manager) == "first"

            write_pair(tmp_path, "second")
            assert manager.endpoints._certificate is not None
            manager.endpoints._certificate.reload()  # what its watch does every ten seconds
            assert await name_presented(manager) == "second"

            with pytest.raises(aiohttp.ClientError):
                await session.get(f"http://localhost:{manager.endpoints.metrics_port}/metrics")


async def test_only_those_whom_the_api_server_lets_in_read_metrics_and_pages(tmp_path: Path) -> None:
    async with EmbeddedCluster() as cluster:
        api = ReviewingApi(cluster.transport)
        api.users = {"prometheus-token": {"username": "prometheus"}, "nobody-token": {"username": "nobody"}}
        api.readers = {"prometheus": {"/metrics"}}
        manager = Manager(
            api,
            field_manager="test",
            health_address="127.0.0.1:0",
            metrics_address="127.0.0.1:0",
            metrics_tls=write_pair(tmp_path, "metrics"),
            metrics_authorization=True,
            log=make_logger(level="critical"),
        )
        manager.add_page("/debug/things", lambda _: "a secret")
        async with running(manager) as session:
            status, body = await get(session, manager, token="prometheus-token")
            assert status == 200
            assert "controller_runtime_reconcile_total" in body
            assert await get(session, manager) == (401, "unauthenticated\n")
            assert await get(session, manager, token="made-up") == (401, "unauthenticated\n")
            assert await get(session, manager, token="nobody-token") == (403, "forbidden\n")
            assert await get(session, manager, "/debug/things", token="prometheus-token") == (403, "forbidden\n")

            url = f"https://localhost:{manager.endpoints.metrics_port}/metrics"
            async with session.get(url) as response:
                assert response.headers["WWW-Authenticate"] == "Bearer"
            async with session.get(f"http://localhost:{manager.endpoints.health_port}/healthz") as response:
                assert response.status == 200


async def test_reviews_that_the_api_server_refuses_keep_everybody_out(tmp_path: Path) -> None:
    async with EmbeddedCluster() as cluster:
        cluster.faults.refuse(403, resource="tokenreviews")
        manager = Manager(
            cluster.transport,
            field_manager="test",
            metrics_address="127.0.0.1:0",
            metrics_tls=write_pair(tmp_path, "metrics"),
            metrics_authorization=True,
            log=make_logger(level="critical"),
        )
        async with running(manager) as session:
            assert await get(session, manager, token="x") == (500, "undecided\n")


async def test_a_certificate_of_its_own_needs_no_file(tmp_path: Path) -> None:
    async with EmbeddedCluster() as cluster:
        manager = Manager(
            cluster.transport,
            field_manager="test",
            metrics_address="127.0.0.1:0",
            metrics_tls="self-signed",
            log=make_logger(level="error"),
        )
        async with running(manager) as session:
            url = f"https://localhost:{manager.endpoints.metrics_port}/metrics"
            async with session.get(url, ssl=False) as response:
                assert response.status == 200


async def test_a_missing_certificate_is_told_before_anything_starts(tmp_path: Path) -> None:
    async with EmbeddedCluster() as cluster:
        manager = Manager(
            cluster.transport,
            field_manager="test",
            metrics_address="127.0.0.1:0",
            metrics_tls=CertificateFiles(tmp_path / "no.crt", tmp_path / "no.key"),
            log=make_logger(level="error"),
        )
        with pytest.raises(CertificateUnusable, match=r"no\.crt"):
            await manager.run()


async def test_tokens_over_an_open_line_are_refused() -> None:
    async with EmbeddedCluster() as cluster:
        with pytest.raises(ValueError, match="must be served over TLS"):
            Manager(cluster.transport, field_manager="test", metrics_address=":0", metrics_authorization=True)
