"""Both clients against the embedded API server, over HTTPS with its kubeconfig: everything a reconciler does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api.k8s import ConfigMap, Container, Namespace, Pod, PodSpec
from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.selectors import selector
from controller_runtime.cache import Cache
from controller_runtime.client import (
    AlreadyExists,
    CachedClient,
    ClientMetrics,
    Conflict,
    HttpTransport,
    LiveClient,
    NotFound,
    Preconditions,
    TransportError,
    add_finalizer,
    discover,
    json_patch,
    load_config,
    merge_patch,
    remove_finalizer,
    retry_on_conflict,
)
from controller_runtime.client.retry import NO_RETRIES
from controller_runtime.clock import SystemClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.informer_world import Log

KEY = ObjectKey("default", "a")


@asynccontextmanager
async def connected(tmp_path: Path, metrics: ClientMetrics | None = None) -> AsyncIterator[HttpTransport]:
    """A transport to a new cluster, configured from the cluster's kubeconfig."""
    async with EmbeddedCluster(http=True) as cluster:
        path = tmp_path / "kubeconfig"
        path.write_text(cluster.kubeconfig())
        transport = HttpTransport(await load_config(str(path)), metrics=metrics)
        try:
            yield transport
        finally:
            await transport.close()


def config_map(name: str = "a", **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data=data)


async def test_the_life_of_an_object(tmp_path: Path) -> None:
    async with connected(tmp_path) as transport:
        client = LiveClient(transport, field_manager="tester")
        created = await client.create(config_map(x="1"))
        with pytest.raises(AlreadyExists):
            await client.create(config_map())

        created.data = {"x": "2"}
        updated = await client.update(created)
        assert updated.data == {"x": "2"}
        created.data = {"x": "3"}
        with pytest.raises(Conflict):
            await client.update(created)

        async def write_anew() -> ConfigMap:
            obj = await client.get(ConfigMap, KEY)
            obj.data = {"x": "3"}
            return await client.update(obj)

        assert (await retry_on_conflict(write_anew)).data == {"x": "3"}
        patched = await client.patch(ConfigMap, KEY, merge_patch({"data": {"x": None, "y": "1"}}))
        assert patched.data == {"y": "1"}
        operations = [{"op": "test", "path": "/data/y", "value": "1"}, {"op": "add", "path": "/data/z", "value": "2"}]
        assert (await client.patch(ConfigMap, KEY, json_patch(operations))).data == {"y": "1", "z": "2"}

        with pytest.raises(Conflict):
            await client.delete(ConfigMap, KEY, preconditions=Preconditions(uid="another"))
        await client.delete(ConfigMap, KEY, preconditions=Preconditions(uid=created.metadata.uid))
        assert await client.find(ConfigMap, KEY) is None
        with pytest.raises(NotFound, match="configmaps"):
            await client.delete(ConfigMap, KEY)


async def test_apply_creates_changes_and_takes_away(tmp_path: Path) -> None:
    async with connected(tmp_path) as transport:
        ours = LiveClient(transport, field_manager="ours")
        theirs = LiveClient(transport, field_manager="theirs")
        await ours.apply(config_map(x="1", y="1"))
        assert (await ours.apply(config_map(x="1"))).data == {"x": "1"}
        with pytest.raises(Conflict, match="x"):
            await theirs.apply(config_map(x="2"), force=False)
        assert (await theirs.apply(config_map(x="2"))).data == {"x": "2"}


async def test_a_typed_update_keeps_what_the_type_does_not_know(tmp_path: Path) -> None:
    class Small(Pod):
        """A pod of which the program knows nothing but the metadata and two fields of a container."""

    async with connected(tmp_path) as transport:
        client = LiveClient(transport, field_manager="tester")
        spec = PodSpec(containers=[Container(name="c", image="one", working_dir="/here")])
        await client.create(Pod(metadata=ObjectMeta(name="p", namespace="default"), spec=spec))
        pod = await client.get(Small, ObjectKey("default", "p"))
        assert pod.spec is not None
        pod.spec.containers[0].image = "two"
        pod.metadata.labels["seen"] = "yes"
        await client.update(pod)
        stored = await client.get(Pod.resource, ObjectKey("default", "p"))
        assert stored["spec"]["containers"][0]["image"] == "two"
        assert stored["spec"]["containers"][0]["workingDir"] == "/here"


async def test_a_finalizer_holds_an_object_until_it_is_removed(tmp_path: Path) -> None:
    async with connected(tmp_path) as transport:
        client = LiveClient(transport, field_manager="tester")
        obj = config_map()
        add_finalizer(obj, "example.com/hold")
        obj = await client.create(obj)
        await client.delete(ConfigMap, KEY)
        obj = await client.get(ConfigMap, KEY)
        assert obj.metadata.deletion_timestamp is not None
        remove_finalizer(obj, "example.com/hold")
        await client.update(obj)
        assert await client.find(ConfigMap, KEY) is None


async def test_a_list_is_read_to_its_last_page(tmp_path: Path) -> None:
    async with connected(tmp_path) as transport:
        client = LiveClient(transport, field_manager="tester")
        for number in range(0, 1234, 100):
            async with asyncio.TaskGroup() as group:
                for each in range(number, min(number + 100, 1234)):
                    group.create_task(client.create(config_map(f"o{each:04}")))
        found = await client.list(ConfigMap, namespace="default")
        assert [obj.metadata.name for obj in found] == [f"o{number:04}" for number in range(1234)]


async def test_a_watch_reports_what_happens(tmp_path: Path) -> None:
    async with connected(tmp_path) as transport:
        client = LiveClient(transport, field_manager="tester")
        labelled = config_map()
        labelled.metadata.labels = {"app": "web"}
        async with client.watch(ConfigMap, namespace="default", labels=selector({"app": "web"})) as events:
            await client.create(config_map("unlabelled"))
            await client.create(labelled)
            await client.delete(ConfigMap, KEY)
            seen = []
            async for event in events:
                if event.type != "BOOKMARK":  # what there was has been told
                    seen.append((event.type, event.object.metadata.name))
                if event.type == "DELETED":
                    break
        assert seen == [("ADDED", "a"), ("DELETED", "a")]


async def test_discovery_finds_kinds(tmp_path: Path) -> None:
    async with connected(tmp_path) as transport:
        assert await discover(transport, "v1", "Pod") == Pod.resource
        assert await discover(transport, "v1", "Namespace") == Namespace.resource
        with pytest.raises(NotFound, match=r"does not serve the API version 'example\.com/v1'"):
            await discover(transport, "example.com/v1", "Widget")


async def test_a_server_with_another_certificate_is_not_trusted(tmp_path: Path) -> None:
    async with EmbeddedCluster(http=True) as one, EmbeddedCluster(http=True) as other:
        path = tmp_path / "kubeconfig"
        path.write_text(one.kubeconfig().replace(one.url, other.url))
        transport = HttpTransport(await load_config(str(path)))
        with pytest.raises(TransportError, match="certificate verify failed"):
            await LiveClient(transport, field_manager="t", retries=NO_RETRIES).get(ConfigMap, KEY)
        await transport.close()


async def test_a_name_that_is_not_in_the_certificate_is_accepted_only_as_the_configured_one(tmp_path: Path) -> None:
    async with EmbeddedCluster(http=True) as cluster:
        path = tmp_path / "kubeconfig"
        for name, trusted in (("localhost", True), ("elsewhere", False)):
            path.write_text(cluster.kubeconfig().replace("server:", f"tls-server-name: {name}\n    server:"))
            transport = HttpTransport(await load_config(str(path)))
            client = LiveClient(transport, field_manager="t", retries=NO_RETRIES)
            if trusted:
                assert await client.find(ConfigMap, KEY) is None
            else:
                with pytest.raises(TransportError, match=r"[Hh]ostname mismatch"):
                    await client.find(ConfigMap, KEY)
            await transport.close()


async def test_a_reconcile_through_the_cache_sees_its_writes_and_repeats_none(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    metrics = ClientMetrics(registry)
    async with connected(tmp_path, metrics) as transport:
        cache = Cache(transport, clock=SystemClock(), log=Log(), registry=registry)
        informer = cache.declare(
            ConfigMap, namespace="default", indexes={"x": lambda entry: [entry.decode(ConfigMap).data["x"]]}
        )
        heard: list[str] = []
        informer.add_handler(lambda event: heard.append(f"{event.type} {event.key.name}"))
        client = CachedClient(LiveClient(transport, field_manager="tester", metrics=metrics), cache)
        running = asyncio.create_task(cache.run())
        await cache.wait_synced(timeout=10)

        def patches() -> float:
            labels = {"code": "200", "method": "PATCH", "host": transport.host}
            created = registry.get_sample_value("rest_client_requests_total", {**labels, "code": "201"})
            return (registry.get_sample_value("rest_client_requests_total", labels) or 0) + (created or 0)

        for _ in range(10):
            await client.apply(config_map("one", x="1"))
            await client.apply(config_map("two", x="2"))
            assert [obj.metadata.name for obj in await client.list(ConfigMap, index=("x", "1"))] == ["one"]
        assert patches() == 2

        other = LiveClient(transport, field_manager="somebody")
        await other.patch(ConfigMap, ObjectKey("default", "one"), merge_patch({"data": {"x": "hacked"}}))
        async with asyncio.timeout(10):
            while (await client.get(ConfigMap, ObjectKey("default", "one"))).data != {"x": "hacked"}:
                await asyncio.sleep(0.001)
        assert (await client.apply(config_map("one", x="1"))).data == {"x": "1"}
        assert (await client.get(ConfigMap, ObjectKey("default", "one"))).data == {"x": "1"}

        await client.delete(ConfigMap, ObjectKey("default", "two"))
        async with asyncio.timeout(10):
            while await client.find(ConfigMap, ObjectKey("default", "two")) is not None:
                await asyncio.sleep(0.001)
        assert heard == ["added one", "added two", "updated one", "updated one", "deleted two"]
        running.cancel()
        await asyncio.wait([running])
