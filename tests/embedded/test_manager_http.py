"""A manager over real sockets: from a kubeconfig to probes, metrics and pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from controller_runtime import ConfigError, Context, Controller, Manager, ObjectKey, ObjectMeta, Request, make_logger
from controller_runtime.api.k8s import ConfigMap, Lease
from controller_runtime.envtest import EmbeddedCluster
from controller_runtime.httpserver import AddressInUse


@pytest_asyncio.fixture
async def kubeconfig(tmp_path: Path) -> AsyncIterator[str]:
    async with EmbeddedCluster(http=True) as cluster:
        path = tmp_path / "kubeconfig"
        path.write_text(cluster.kubeconfig())
        yield str(path)


@asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[aiohttp.ClientSession]:
    """Run the manager until the block ends; yields a session for its endpoints."""
    task = asyncio.create_task(manager.run())
    try:
        async with asyncio.timeout(10), aiohttp.ClientSession() as session:
            elected = asyncio.create_task(manager.elected.wait())
            await asyncio.wait([task, elected], return_when=asyncio.FIRST_COMPLETED)
            elected.cancel()
            yield session
    finally:
        manager.stop()
        await task


async def get(session: aiohttp.ClientSession, port: int | None, path: str) -> tuple[int, str]:
    async with session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


def from_environment(kubeconfig: str) -> AbstractAsyncContextManager[Manager]:
    return Manager.from_environment(
        field_manager="test",
        kubeconfig=kubeconfig,
        leader_election="test.example.com",
        leader_election_namespace="default",
        health_address="127.0.0.1:0",
        metrics_address="127.0.0.1:0",
        log=make_logger(level="error"),
        handle_signals=False,
    )


async def test_the_whole_way(kubeconfig: str) -> None:
    reconciled = asyncio.Event()

    async def reconcile(ctx: Context, request: Request) -> None:
        if await ctx.client.find(ConfigMap, request.key):
            reconciled.set()

    def page(query: Mapping[str, str]) -> object:
        if "name" not in query:
            raise ValueError("which name?")
        return {"name": {"a": "first"}[query["name"]]}

    async def text_page(_: Mapping[str, str]) -> str:
        return "a text"

    async with from_environment(kubeconfig) as manager:
        manager.add(Controller("configmap", reconcile).reconciles(ConfigMap))
        manager.add_page("/debug/things", page)
        manager.add_page("/debug/text", text_page)
        async with running(manager) as session:
            endpoints = manager.endpoints
            await manager.client.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="default")))
            await reconciled.wait()

            assert await get(session, endpoints.health_port, "/healthz") == (200, "ok")
            assert await get(session, endpoints.health_port, "/readyz/informers") == (200, "ok")
            assert (await get(session, endpoints.health_port, "/readyz/nonsense"))[0] == 404
            status, body = await get(session, endpoints.health_port, "/readyz?verbose&exclude=informers&exclude=x")
            assert status == 200
            assert "[+]informers excluded: ok\n[+]started ok\n" in body
            assert 'no matches for "x"' in body

            status, body = await get(session, endpoints.metrics_port, "/metrics")
            assert status == 200
            for line in (
                'controller_runtime_reconcile_total{controller="configmap",result="success"}',
                'workqueue_depth{controller="configmap",name="configmap",priority="0"} 0.0',
                'leader_election_master_status{name="test.example.com"} 1.0',
                "rest_client_requests_total{",
                "process_resident_memory_bytes",
            ):
                assert line in body

            status, body = await get(session, endpoints.metrics_port, "/debug/things?name=a")
            assert (status, "".join(body.split())) == (200, '{"name":"first"}')
            assert (await get(session, endpoints.metrics_port, "/debug/things?name=b"))[0] == 404
            assert (await get(session, endpoints.metrics_port, "/debug/things"))[0] == 400
            assert await get(session, endpoints.metrics_port, "/debug/text") == (200, "a text")


async def test_probes_answer_until_the_last_reconcile_has_ended(kubeconfig: str) -> None:
    working, go_on = asyncio.Event(), asyncio.Event()

    async def reconcile(_: Context, __: Request) -> None:
        working.set()
        await go_on.wait()

    async with from_environment(kubeconfig) as manager:
        manager.add(Controller("configmap", reconcile).reconciles(ConfigMap))
        async with running(manager) as session:
            await manager.client.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="default")))
            await working.wait()
            manager.stop()
            await asyncio.sleep(0)
            assert await get(session, manager.endpoints.health_port, "/healthz") == (200, "ok")
            go_on.set()


async def test_a_taken_port_is_told_before_anything_starts(kubeconfig: str) -> None:
    async with from_environment(kubeconfig) as first, running(first):
        taken = f"127.0.0.1:{first.endpoints.metrics_port}"
        second = Manager(first.transport, field_manager="test", metrics_address=taken, log=make_logger(level="error"))
        with pytest.raises(AddressInUse, match=taken):
            await second.run()


async def test_no_usable_kubeconfig_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        async with from_environment(str(tmp_path / "missing")):
            pass


async def test_a_lease_needs_a_namespace(kubeconfig: str) -> None:
    with pytest.raises(ConfigError, match="leader_election_namespace"):
        async with Manager.from_environment(field_manager="test", kubeconfig=kubeconfig, leader_election="x"):
            pass


async def test_the_lease_is_free_afterwards(kubeconfig: str) -> None:
    async with from_environment(kubeconfig) as manager:
        async with running(manager):
            pass
        lease = await manager.client.live.get(Lease, ObjectKey("default", "test.example.com"))
        assert lease.spec is not None
        assert lease.spec.holder_identity == ""
