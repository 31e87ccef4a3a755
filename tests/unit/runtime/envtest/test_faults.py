"""Trouble on demand, met by a client and by a cache in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from controller_runtime.api import ObjectKey, ObjectMeta
from controller_runtime.api.k8s import ConfigMap, Secret
from controller_runtime.cache import Cache
from controller_runtime.client import LiveClient
from controller_runtime.client.errors import (
    Conflict,
    InternalError,
    NotFound,
    ServiceUnavailable,
    TransportError,
)
from controller_runtime.client.patch import merge_patch
from controller_runtime.client.transport import Request
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.informer_world import Log

KEY = ObjectKey("default", "a")
PATH = "/api/v1/namespaces/default/configmaps"


def config_map(name: str = "a", value: str = "1") -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data={"value": value})


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: EmbeddedCluster) -> LiveClient:
    return LiveClient(cluster.transport, field_manager="tester")


class TestRequests:
    async def test_an_error_is_answered_and_nothing_is_carried_out(
        self, cluster: EmbeddedCluster, client: LiveClient
    ) -> None:
        with cluster.faults.refuse(500, verb="create") as fault, pytest.raises(InternalError, match="because a test"):
            await client.create(config_map())

        assert fault.hits == 1
        with pytest.raises(NotFound):
            await client.get(ConfigMap, KEY)

    @pytest.mark.parametrize(("code", "error"), [(409, Conflict), (500, InternalError), (503, ServiceUnavailable)])
    async def test_each_error_reads_as_the_real_one(
        self, cluster: EmbeddedCluster, client: LiveClient, code: int, error: type[Exception]
    ) -> None:
        with cluster.faults.refuse(code), pytest.raises(error):
            await client.create(config_map())

    async def test_too_many_requests_say_how_long_to_wait(self, cluster: EmbeddedCluster) -> None:
        with cluster.faults.refuse(429, retry_after=7):
            answer = await cluster.transport.request(Request(method="GET", path=PATH))

        assert (answer.status, answer.headers["retry-after"]) == (429, "7")

    async def test_a_client_waits_and_tries_again(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        began = asyncio.get_running_loop().time()
        with cluster.faults.refuse(429, retry_after=3, times=2) as fault:
            await client.create(config_map())

        assert fault.hits == 2
        assert asyncio.get_running_loop().time() - began >= 6

    async def test_so_many_times_and_no_more(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        cluster.faults.refuse(500, verb="get", times=2)

        seen = [await outcome(client) for _ in range(4)]

        assert seen == ["InternalError", "InternalError", "NotFound", "NotFound"]

    async def test_a_share_of_the_requests_by_the_seed(self) -> None:
        async def run(seed: int) -> list[str]:
            async with EmbeddedCluster(clock=LoopClock(), seed=seed) as cluster:
                client = LiveClient(cluster.transport, field_manager="tester")
                cluster.faults.refuse(500, share=0.5)
                return [await outcome(client) for _ in range(100)]

        first = await run(1)

        assert 30 < first.count("InternalError") < 70
        assert await run(1) == first
        assert await run(2) != first

    async def test_only_what_fits(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        cluster.faults.refuse(500, verb=("create", "update"), resource="configmaps", namespace="default", name="")
        secret = Secret(metadata=ObjectMeta(name="a", namespace="default"))

        await client.create(secret)
        assert await outcome(client) == "NotFound"
        with pytest.raises(InternalError):
            await client.create(config_map())

    async def test_a_resource_may_be_named_with_its_group(self, cluster: EmbeddedCluster) -> None:
        cluster.faults.refuse(500, resource="leases.coordination.k8s.io")

        async def status(path: str) -> int:
            return (await cluster.transport.request(Request(method="GET", path=path))).status

        assert await status("/apis/coordination.k8s.io/v1/leases") == 500
        assert await status(PATH) == 200

    async def test_pages_beside_the_resources_are_spared(self, cluster: EmbeddedCluster) -> None:
        cluster.faults.refuse(500)

        assert (await cluster.transport.request(Request(method="GET", path="/readyz"))).status == 200

    async def test_what_is_no_error_cannot_be_ordered(self, cluster: EmbeddedCluster) -> None:
        with pytest.raises(ValueError, match="200 is no error"):
            cluster.faults.refuse(200)

    async def test_delays_add_up(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        began = asyncio.get_running_loop().time()
        with cluster.faults.delay(2), cluster.faults.delay(3, verb="create"):
            await client.create(config_map())

        assert asyncio.get_running_loop().time() - began == pytest.approx(5)

    async def test_a_connection_is_reset_before_the_request_is_carried_out(
        self, cluster: EmbeddedCluster, client: LiveClient
    ) -> None:
        with cluster.faults.drop(verb="create"), pytest.raises(TransportError):
            await client.create(config_map())

        assert await outcome(client) == "NotFound"

    async def test_or_after_it_so_that_only_the_answer_is_lost(
        self, cluster: EmbeddedCluster, client: LiveClient
    ) -> None:
        with cluster.faults.drop(after=True, verb="create"), pytest.raises(TransportError):
            await client.create(config_map())

        assert await outcome(client) == "found"

    async def test_a_request_that_hangs_is_given_up_by_its_client(self, cluster: EmbeddedCluster) -> None:
        began = asyncio.get_running_loop().time()
        with cluster.faults.hang(verb="list"), pytest.raises(TransportError, match="no answer within"):
            await cluster.transport.request(Request(method="GET", path=PATH, timeout=4))

        assert asyncio.get_running_loop().time() - began == pytest.approx(4)

    async def test_or_reset_when_the_fault_is_lifted(self, cluster: EmbeddedCluster) -> None:
        fault = cluster.faults.hang(verb="list")
        asyncio.get_running_loop().call_later(1, fault.lift)

        with pytest.raises(TransportError, match="reset"):
            await cluster.transport.request(Request(method="GET", path=PATH, timeout=4))

    async def test_a_server_that_is_away_refuses_and_comes_back_with_its_data(
        self, cluster: EmbeddedCluster, client: LiveClient
    ) -> None:
        created = await client.create(config_map())

        async with cluster.outage():
            with pytest.raises(TransportError):
                await cluster.transport.request(Request(method="GET", path=PATH))

        assert (await client.get(ConfigMap, KEY)).metadata.uid == created.metadata.uid

    async def test_a_replica_that_lags_answers_with_what_was(
        self, cluster: EmbeddedCluster, client: LiveClient
    ) -> None:
        old = await client.create(config_map(value="old"))
        with cluster.faults.lag(resource="configmaps"):
            new = await client.patch(ConfigMap, KEY, merge_patch({"data": {"value": "new"}}))
            await client.create(config_map("b"))

            assert (await client.get(ConfigMap, KEY)).data == {"value": "old"}
            assert [obj.metadata.name for obj in await client.list(ConfigMap, namespace="default")] == ["a"]
            newer = Request(method="GET", path=PATH, params=[("resourceVersion", new.metadata.resource_version or "")])
            assert (await cluster.transport.request(newer)).status == 504, "it has not come so far"

        assert old.data != new.data
        assert (await client.get(ConfigMap, KEY)).data == {"value": "new"}


async def outcome(client: LiveClient) -> str:
    try:
        await client.get(ConfigMap, KEY)
    except (InternalError, NotFound) as error:
        return type(error).__name__
    return "found"


@asynccontextmanager
async def cached(cluster: EmbeddedCluster) -> AsyncIterator[Callable[[], dict[str, str]]]:
    """Run a cache of config maps; yield a function that tells what it holds."""
    cache = Cache(cluster.transport, clock=LoopClock(), registry=CollectorRegistry(), log=Log())
    cache.declare(ConfigMap, namespace="default")
    running = asyncio.create_task(cache.run())
    try:
        await cache.wait_synced(10)
        yield lambda: {obj.metadata.name or "": (obj.data or {})["value"] for obj in cache.list(ConfigMap)}
    finally:
        running.cancel()
        await asyncio.wait([running])


class TestWatches:
    async def test_end_cleanly_and_the_cache_goes_on(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        async with cached(cluster) as holds:
            assert cluster.faults.end_watches(resource="configmaps") == 1
            await client.create(config_map())
            await asyncio.sleep(5)

            assert holds() == {"a": "1"}

    async def test_end_with_410_and_the_cache_lists_anew(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        await client.create(config_map())
        async with cached(cluster) as holds:
            assert cluster.faults.expire_watches() == 1
            await client.delete(ConfigMap, KEY)
            await client.create(config_map("b"))
            await asyncio.sleep(5)

            assert holds() == {"b": "1"}, "the deletion is not lost"

    async def test_cannot_go_on_once_the_history_is_forgotten(
        self, cluster: EmbeddedCluster, client: LiveClient
    ) -> None:
        await client.create(config_map())
        async with cached(cluster) as holds:
            async with cluster.outage():
                cluster.api.create("v1", "ConfigMap", {"metadata": {"name": "c"}, "data": {"value": "3"}}, "default")
                cluster.faults.forget_history()
            await asyncio.sleep(10)

            assert holds() == {"a": "1", "c": "3"}

    async def test_are_reset_and_opened_again(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        async with cached(cluster) as holds:
            assert cluster.faults.reset_watches() == 1
            await client.create(config_map())
            await asyncio.sleep(5)

            assert holds() == {"a": "1"}

    async def test_fall_silent_and_the_client_notices(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        async with cached(cluster) as holds:
            stalled = cluster.faults.hang(verb="watch", times=1)
            await client.create(config_map())
            await asyncio.sleep(60)
            assert holds() == {}, "nothing comes over a half-open connection"
            await asyncio.sleep(60)

            assert stalled.hits == 1
            assert holds() == {"a": "1"}, "a silence of 90 seconds is no silence of a living server"

    async def test_lag_and_catch_up_without_a_gap(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        async with cached(cluster) as holds:
            with cluster.faults.lag(resource="configmaps"):
                await client.create(config_map())
                await client.patch(ConfigMap, KEY, merge_patch({"data": {"value": "2"}}))
                await asyncio.sleep(5)
                assert holds() == {}
            await asyncio.sleep(0.1)

            assert holds() == {"a": "2"}

    async def test_of_a_lagging_replica_begin_with_what_was(self, cluster: EmbeddedCluster, client: LiveClient) -> None:
        await client.create(config_map())
        with cluster.faults.lag(resource="configmaps"):
            await client.delete(ConfigMap, KEY)
            async with cached(cluster) as holds:
                assert holds() == {"a": "1"}
                cluster.faults.clear()
                await asyncio.sleep(0.1)

                assert holds() == {}

    async def test_of_other_kinds_are_spared(self, cluster: EmbeddedCluster) -> None:
        async with cached(cluster):
            assert cluster.faults.end_watches(resource="pods") == 0
            assert cluster.faults.reset_watches(resource="configmaps", namespace="elsewhere") == 0


async def test_a_cluster_that_stops_lifts_what_is_in_force(cluster: EmbeddedCluster) -> None:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        fault = cluster.faults.hang(verb="list")
        waiting = asyncio.create_task(cluster.transport.request(Request(method="GET", path=PATH, timeout=1000)))
        await asyncio.sleep(1)

    with pytest.raises(TransportError):
        await waiting
    assert fault.lifted
