"""The embedded cluster in virtual time: its transport, its watches as time passes, its collector, its service proxy."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from controller_runtime.client.errors import TransportError
from controller_runtime.client.transport import Request, Response
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.apiserver import CONFIG_MAPS, config_map, widget_crd

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


async def send(cluster: EmbeddedCluster, method: str, path: str, body: Any = None) -> Any:
    request = Request(
        method=method,
        path=path,
        body=None if body is None else json.dumps(body).encode(),
        content_type="application/json" if body is not None else "",
    )
    response = await cluster.transport.request(request)
    return json.loads(response.body)


def watch(path: str, *, timeout: float = 300.0, **params: str) -> Request:
    return Request(method="GET", path=path, params=[("watch", "1"), *params.items()], timeout=timeout)


async def test_time_is_the_clocks() -> None:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        await asyncio.sleep(3600)
        created = await send(cluster, "POST", CONFIG_MAPS, config_map())
        assert created["metadata"]["creationTimestamp"] == "2026-01-01T01:00:00Z"


async def test_a_request_gives_way_to_other_tasks() -> None:
    order: list[str] = []
    async with EmbeddedCluster(clock=LoopClock()) as cluster:

        async def talker(name: str) -> None:
            for number in range(3):
                await send(cluster, "POST", CONFIG_MAPS, config_map(f"{name}{number}"))
                order.append(f"{name}{number}")

        async with asyncio.TaskGroup() as group:
            group.create_task(talker("a"))
            group.create_task(talker("b"))
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]


async def test_a_watch_tells_changes_as_they_come_and_ends_with_its_time() -> None:
    loop = asyncio.get_running_loop()
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        started = loop.time()

        async def change_later() -> None:
            await asyncio.sleep(10)
            await send(cluster, "POST", CONFIG_MAPS, config_map())

        async with asyncio.TaskGroup() as group:
            group.create_task(change_later())
            async with cluster.transport.stream(watch(CONFIG_MAPS, timeoutSeconds="30")) as stream:
                assert stream.status == 200
                told = [(loop.time() - started, json.loads(line)["type"]) async for line in stream.lines()]
        assert told == [(10, "ADDED")]
        assert loop.time() - started == 30


async def test_bookmarks_come_every_minute_and_before_the_end() -> None:
    loop = asyncio.get_running_loop()
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        started = loop.time()
        request = watch(CONFIG_MAPS, timeoutSeconds="150", allowWatchBookmarks="true", resourceVersion="1")
        async with cluster.transport.stream(request) as stream:
            told = [(loop.time() - started, json.loads(line)["type"]) async for line in stream.lines()]
        assert told == [(60, "BOOKMARK"), (120, "BOOKMARK"), (150, "BOOKMARK")]


async def test_silence_beyond_the_requests_timeout_is_a_transport_error() -> None:
    async with (
        EmbeddedCluster(clock=LoopClock()) as cluster,
        cluster.transport.stream(watch(CONFIG_MAPS, timeout=5)) as stream,
    ):
        with pytest.raises(TransportError, match="no line within 5"):
            await anext(stream.lines())


async def test_a_refused_watch_is_a_stream_with_the_status() -> None:
    async with (
        EmbeddedCluster(clock=LoopClock()) as cluster,
        cluster.transport.stream(watch("/api/v1/gadgets")) as stream,
    ):
        assert stream.status == 404
        assert json.loads(await stream.read())["reason"] == "NotFound"


async def test_a_closed_transport_answers_no_more() -> None:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        await cluster.transport.close()
        with pytest.raises(TransportError):
            await send(cluster, "GET", CONFIG_MAPS)


async def test_stopping_the_cluster_ends_its_watches() -> None:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        ended = asyncio.Event()

        async def follow() -> None:
            async with cluster.transport.stream(watch(CONFIG_MAPS)) as stream:
                async for _ in stream.lines():
                    pytest.fail("nothing should come")
            ended.set()

        task = asyncio.create_task(follow())
        await asyncio.sleep(1)
    await asyncio.wait_for(ended.wait(), 1)
    await task


async def test_dependents_are_collected_in_the_background() -> None:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        parent = await send(cluster, "POST", CONFIG_MAPS, config_map("parent"))
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "parent", "uid": parent["metadata"]["uid"]}
        await send(cluster, "POST", CONFIG_MAPS, config_map("child", ownerReferences=[reference]))
        await send(cluster, "DELETE", f"{CONFIG_MAPS}/parent")
        await asyncio.sleep(1)
        assert (await send(cluster, "GET", CONFIG_MAPS))["items"] == []


async def test_definitions_are_installed_and_replaced() -> None:
    crd = widget_crd()
    async with EmbeddedCluster(clock=LoopClock(), crds=[crd]) as cluster:
        assert (await send(cluster, "GET", "/apis/example.com/v1/widgets"))["kind"] == "WidgetList"
        crd["spec"]["names"]["shortNames"] = ["other"]
        cluster.install(crd)
        listed = await send(cluster, "GET", "/apis/example.com/v1")
        assert listed["resources"][0]["shortNames"] == ["other"]


class TestTheServiceProxy:
    async def service(self, cluster: EmbeddedCluster, *, ready: bool = True) -> None:
        ports = [{"name": "client", "port": 80}, {"name": "peer", "port": 81}]
        await send(cluster, "POST", SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": ports}})
        labels = {"kubernetes.io/service-name": "s"}
        slice_ = {
            "metadata": {"name": "s-1", "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "client", "port": 2379}, {"name": "peer", "port": 2380}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": False}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": ready}},
            ],
        }
        await send(cluster, "POST", SLICES, slice_)

    async def test_reaches_a_ready_endpoint_by_the_ports_name(self) -> None:
        seen: list[Request] = []

        async def backend(request: Request) -> Response:
            seen.append(request)
            return Response(418, {"content-type": "text/plain"}, b"tea")

        async with EmbeddedCluster(clock=LoopClock()) as cluster:
            await self.service(cluster)
            cluster.add_backend("10.0.0.2", 2379, backend)
            request = Request(
                method="POST",
                path=f"{SERVICES}/http:s:client/proxy/pd/api/v1/stores",
                params=[("a", "b")],
                body=b"{}",
                content_type="application/json",
            )
            response = await cluster.transport.request(request)
            assert (response.status, response.body) == (418, b"tea")
            assert (seen[0].method, seen[0].path, list(seen[0].params)) == ("POST", "/pd/api/v1/stores", [("a", "b")])
            assert seen[0].body == b"{}"
            by_number = Request(method="GET", path=f"{SERVICES}/s:80/proxy/")
            assert (await cluster.transport.request(by_number)).status == 418

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("nobody:80/proxy/", 404),
            ("s:99/proxy/", 503),
            ("s/proxy/", 503),
            ("ftp:s:client/proxy/", 400),
            ("s:client/proxy/", 503),
        ],
    )
    async def test_says_what_is_missing(self, path: str, code: int) -> None:
        async with EmbeddedCluster(clock=LoopClock()) as cluster:
            await self.service(cluster, ready=False)
            response = await cluster.transport.request(Request(method="GET", path=f"{SERVICES}/{path}"))
            assert response.status == code
            assert json.loads(response.body)["kind"] == "Status"


async def test_without_http_there_is_no_url() -> None:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        with pytest.raises(RuntimeError, match="does not serve HTTP"):
            _ = cluster.url
