"""What else a client can ask for: dry runs, another manager, whole collections, subresources, one namespace, a rate limit.

On the embedded API server, which answers as the real one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.api.k8s import ConfigMap, Node, Pod
from controller_runtime.api.meta import Model, Object, ObjectMeta
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.schema import CustomResource, Scale
from controller_runtime.api.selectors import selector
from controller_runtime.cache import Cache
from controller_runtime.client import (
    BadRequest,
    CachedClient,
    Client,
    ClientMetrics,
    Conflict,
    LiveClient,
    NamespacedClient,
    NotFound,
    RateLimit,
    TooManyRequests,
    create_or_update,
    merge_patch,
)
from controller_runtime.client.serverwarnings import ServerWarnings
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.informer_world import Log
from helpers.recorded_transport import RecordedTransport
from helpers.scripted_api import Reply, ScriptedApi, config_map, status

KEY = ObjectKey("default", "a")


class FleetSpec(Model):
    replicas: int


class FleetStatus(Model):
    replicas: int | None = None


class Fleet(Object):
    resource = Resource(group="example.com", version="v1", kind="Fleet", plural="fleets")
    definition = CustomResource(scale=Scale(".spec.replicas", ".status.replicas"))
    spec: FleetSpec
    status: FleetStatus | None = None


class NewerSpec(Model):
    replicas: int
    speed: int | None = None


class Newer(Object):
    """A fleet as a newer API has it, which the server does not know."""

    resource = Fleet.resource
    spec: NewerSpec


class ScaleSpec(Model):
    replicas: int = 0


class ScaleObject(Object):
    resource = Resource(group="autoscaling", version="v1", kind="Scale", plural="scales")
    spec: ScaleSpec | None = None


class Eviction(Object):
    resource = Resource(group="policy", version="v1", kind="Eviction", plural="evictions")


def a_map(name: str = "a", namespace: str = "default", **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace, labels={"app": name}), data=data or {"x": "1"})


@dataclass
class Place:
    transport: RecordedTransport
    live: LiveClient
    client: CachedClient
    cache: Cache


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    async with EmbeddedCluster(clock=LoopClock(), crds=[custom_resource_definition(Fleet)]) as cluster:
        transport = RecordedTransport(cluster.transport)
        live = LiveClient(transport, field_manager="tester")
        cache = Cache(transport, clock=LoopClock(), log=Log())
        cache.declare(ConfigMap)
        task = asyncio.create_task(cache.run())
        await cache.wait_synced(timeout=5)
        try:
            yield Place(transport, live, CachedClient(live, cache), cache)
        finally:
            task.cancel()
            await asyncio.wait([task])


# Options of writes


async def test_a_dry_run_checks_every_write_and_carries_out_none() -> None:
    async with place() as here:
        await here.client.create(a_map("old"))
        dry = here.client.with_options(dry_run=True)
        assert (await dry.create(a_map())).metadata.uid
        old = await dry.get(ConfigMap, ObjectKey("default", "old"))
        old.data = {"x": "2"}
        assert (await dry.update(old)).data == {"x": "2"}
        assert (await dry.apply(a_map("new"))).metadata.uid
        await dry.patch(ConfigMap, old.key, merge_patch({"data": {"x": "3"}}))
        await dry.delete(ConfigMap, old.key)
        await dry.delete_all_of(ConfigMap, namespace="default")
        with pytest.raises(NotFound):
            await dry.delete(ConfigMap, KEY)
        for reader in (here.live, here.client):
            (left,) = [obj for obj in await reader.list(ConfigMap) if obj.metadata.name in ("a", "new", "old")]
            assert left.data == {"x": "1"}


async def test_a_dry_run_cannot_be_undone() -> None:
    async with place() as here:
        still = here.live.with_options(dry_run=True).with_options(dry_run=False, field_manager="other")
        assert still.dry_run
        await still.create(a_map())
        assert await here.live.find(ConfigMap, KEY) is None


async def test_a_dry_apply_is_asked_every_time() -> None:
    async with place() as here:
        await here.client.apply(a_map())
        dry = here.client.with_options(dry_run=True)
        before = len(here.transport.requests)
        for _ in range(2):
            await dry.apply(a_map(x="2"))
        assert len(here.transport.requests) == before + 2


async def test_another_field_manager_owns_other_fields() -> None:
    async with place() as here:
        other = here.client.with_options(field_manager="other")
        assert (here.client.field_manager, other.field_manager) == ("tester", "other")
        await here.client.apply(a_map(x="1"))
        with pytest.raises(Conflict, match="tester"):
            await other.apply(a_map(x="2"), force=False)
        await other.apply(a_map(x="2"))
        assert (await here.client.get(ConfigMap, KEY)).data == {"x": "2"}
        with pytest.raises(Conflict, match="other"):
            await here.client.apply(a_map(x="1"), force=False)


async def test_strict_validation_refuses_unknown_fields() -> None:
    async with place() as here:
        strict = here.live.with_options(field_validation="Strict")
        newer = Newer(metadata=ObjectMeta(name="a", namespace="default"), spec=NewerSpec(replicas=1, speed=3))
        with pytest.raises(BadRequest, match=r"unknown field \"spec\.speed\""):
            await strict.create(newer)
        assert (await here.live.create(newer)).metadata.uid  # by default the server drops them, and warns


async def test_what_the_server_warns_of_is_told_once() -> None:
    async with place() as here:
        told: list[str] = []
        live = LiveClient(here.transport, field_manager="tester", on_warning=told.append)
        for name in ("a", "b"):
            await live.create(
                Newer(metadata=ObjectMeta(name=name, namespace="default"), spec=NewerSpec(replicas=1, speed=3))
            )
        assert told == ['unknown field "spec.speed"']


def test_several_warnings_may_come_at_once_and_only_so_many_are_remembered() -> None:
    told: list[str] = []
    warnings = ServerWarnings(told.append)
    warnings(r'299 - "say \"a\"", 299 apiserver "b", 199 - "no"')
    warnings('299 - "b"')
    warnings("nonsense")
    assert told == ['say "a"', "b"]
    for number in range(1000):
        warnings(f'299 - "{number}"')
    warnings('299 - "b"')
    assert told[-1] == "b"


# Collections


async def test_all_that_match_are_deleted_with_one_request() -> None:
    async with place() as here:
        for obj in (a_map("a"), a_map("b"), a_map("a", namespace="kube-system")):
            await here.client.create(obj)
        before = len(here.transport.requests)
        await here.client.delete_all_of(ConfigMap, namespace="default", labels=selector({"app": "a"}))
        assert len(here.transport.requests) == before + 1
        left = await here.live.list(ConfigMap, labels=selector(exists=["app"]))
        assert [str(obj.key) for obj in left] == ["default/b", "kube-system/a"]
        await asyncio.sleep(1)
        assert await here.client.find(ConfigMap, KEY) is None


async def test_no_namespace_is_emptied_by_mistake() -> None:
    api = ScriptedApi()
    with pytest.raises(ValueError, match="delete all configmaps/v1: a namespace is missing"):
        await LiveClient(api, field_manager="tester").delete_all_of(ConfigMap)
    assert api.requests == []


# Subresources


async def test_a_scale_is_read_and_changed() -> None:
    async with place() as here:
        fleet = Fleet(metadata=ObjectMeta(name="a", namespace="default"), spec=FleetSpec(replicas=3))
        await here.live.create(fleet)
        scale = await here.client.get_subresource(Fleet, KEY, "scale", ScaleObject)
        assert scale.spec == ScaleSpec(replicas=3)
        await here.live.patch(Fleet.resource, KEY, merge_patch({"spec": {"replicas": 5}}), subresource="scale")
        untyped = await here.client.get_subresource(Fleet, KEY, "scale", ScaleObject.resource)
        assert untyped["spec"] == {"replicas": 5}
        assert (await here.live.get(Fleet, KEY)).spec.replicas == 5


async def test_a_pod_is_evicted() -> None:
    async with place() as here:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a", "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        await here.live.apply(pod)
        eviction = Eviction()
        assert await here.client.create_subresource(Pod, KEY, "eviction", eviction) is eviction
        assert eviction.metadata.name == ""  # what was given is left as it was
        evicted = await here.live.find(Pod, KEY)
        assert evicted is None or evicted.metadata.deletion_timestamp


async def test_a_disruption_budget_is_a_refusal_with_a_reason() -> None:
    refused = status(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
    api = ScriptedApi(*[refused] * 5)
    with pytest.raises(TooManyRequests, match="disruption budget"):
        await LiveClient(api, field_manager="tester").create_subresource(Pod, KEY, "eviction", {"kind": "Eviction"})
    assert b'"name":"a"' in (api.requests[0].body or b"")


async def test_the_status_is_applied_apart() -> None:
    async with place() as here:
        fleet = Fleet(metadata=ObjectMeta(name="a", namespace="default"), spec=FleetSpec(replicas=3))
        await here.client.apply(fleet)
        fleet.status = FleetStatus(replicas=2)
        fleet.spec.replicas = 99
        await here.client.apply(fleet, subresource="status")
        found = await here.live.get(Fleet, KEY)
        assert (found.spec.replicas, found.status) == (3, FleetStatus(replicas=2))


# One namespace


async def test_a_namespaced_client_fills_its_namespace_in() -> None:
    async with place() as here:
        client: Client = NamespacedClient(here.client, "default")
        created = await client.create(a_map(namespace=""))
        assert created.metadata.namespace == "default"
        bare = ObjectKey("", "a")
        assert (await client.get(ConfigMap, bare)).data == {"x": "1"}
        assert (await client.get(ConfigMap.resource, bare))["data"] == {"x": "1"}
        assert await client.find(ConfigMap, ObjectKey("", "z")) is None
        assert await client.find(ConfigMap.resource, ObjectKey("", "z")) is None
        await here.client.create(a_map("far", namespace="kube-system"))
        assert "far" not in [obj.metadata.name for obj in await client.list(ConfigMap)]
        assert "far" not in [obj["metadata"]["name"] for obj in await client.list(ConfigMap.resource)]
        manifest: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}
        assert (await client.apply(manifest))["metadata"]["namespace"] == "default"
        assert manifest["metadata"] == {"name": "m"}
        await client.apply(a_map("t", namespace=""))
        await client.patch(ConfigMap, bare, merge_patch({"data": {"x": "2"}}))
        await client.patch(ConfigMap.resource, bare, merge_patch({"data": {"x": "3"}}))
        changed = await client.live.get(ConfigMap, bare)
        changed.data = {"x": "4"}
        await client.with_options(field_manager="other").update(changed)
        async with client.watch(ConfigMap) as events:
            assert (await anext(events)).object.metadata.namespace == "default"
        async with client.watch(ConfigMap.resource) as raw_events:
            assert (await anext(raw_events)).object["metadata"]["namespace"] == "default"
        await client.delete(ConfigMap, bare)
        await client.delete_all_of(ConfigMap, labels=selector({"app": "t"}))
        assert [obj.metadata.name for obj in await client.live.list(ConfigMap, labels=selector(exists=["app"]))] == []


async def test_a_namespaced_client_refuses_every_other_namespace_before_it_asks() -> None:
    api = ScriptedApi()
    client = NamespacedClient(LiveClient(api, field_manager="tester"), "mine")
    foreign = ObjectKey("other", "a")
    for call in (
        client.get(ConfigMap, foreign),
        client.find(ConfigMap, foreign),
        client.list(ConfigMap, namespace="other"),
        client.create(a_map(namespace="other")),
        client.update(a_map(namespace="other")),
        client.update_status(a_map(namespace="other")),
        client.apply(a_map(namespace="other")),
        client.apply({"kind": "ConfigMap", "metadata": {"namespace": "other"}}),
        client.patch(ConfigMap, foreign, merge_patch({})),
        client.delete(ConfigMap, foreign),
        client.delete_all_of(ConfigMap, namespace="other"),
        client.get_subresource(Pod, foreign, "scale", ScaleObject),
        client.create_subresource(Pod, foreign, "eviction", Eviction()),
    ):
        with pytest.raises(ValueError, match="in namespace 'other': this client stays in 'mine'"):
            await call
    assert api.requests == []
    with pytest.raises(ValueError, match="needs a namespace"):
        NamespacedClient(client, "")


async def test_cluster_scoped_kinds_pass_a_namespaced_client_unchanged() -> None:
    api = ScriptedApi(Reply(body={"kind": "Node", "metadata": {"name": "n"}}))
    node = await NamespacedClient(LiveClient(api, field_manager="tester"), "mine").get(Node, ObjectKey("", "n"))
    assert node.metadata.name == "n"
    assert api.requests[0].path == "/api/v1/nodes/n"


# Create or update


async def test_an_object_is_created_changed_or_left_alone() -> None:
    async with place() as here:

        def want(value: str) -> Any:
            def mutate(obj: ConfigMap) -> None:
                obj.data = {**(obj.data or {}), "x": value}

            return mutate

        empty = ConfigMap(metadata=ObjectMeta(name="a", namespace="default"))
        assert (await create_or_update(here.client, empty, want("1")))[1] == "created"
        before = len(here.transport.requests)
        assert (await create_or_update(here.client, empty, want("1")))[1] == "unchanged"
        assert len(here.transport.requests) == before
        await here.client.patch(ConfigMap, KEY, merge_patch({"data": {"others": "stay"}}))
        changed, what = await create_or_update(here.client, empty, want("2"))
        assert (what, changed.data) == ("updated", {"x": "2", "others": "stay"})


async def test_an_object_is_not_renamed_on_the_way() -> None:
    async with place() as here:

        def rename(obj: ConfigMap) -> None:
            obj.metadata.name = "b"

        before = len(here.transport.requests)
        with pytest.raises(ValueError, match="must not change the name or namespace, to default/b"):
            await create_or_update(here.client, a_map(), rename)
        assert len(here.transport.requests) == before


# Limits


async def test_a_rate_limit_spaces_requests_out_and_is_off_by_default() -> None:
    loop = asyncio.get_running_loop()
    registry = CollectorRegistry()
    for limit, expected in ((None, [0.0] * 5), (RateLimit(2.0, 3), [0.0, 0.0, 0.0, 0.5, 1.0])):
        api = ScriptedApi(*[Reply(body=config_map("a", 1))] * 5)
        metrics = ClientMetrics(registry) if limit is not None else None
        live = LiveClient(api, field_manager="tester", rate_limit=limit, metrics=metrics)
        began = loop.time()
        await asyncio.gather(*(live.get(ConfigMap, KEY) for _ in range(5)))
        assert [time - began for time in api.times] == pytest.approx(expected)
    name = "rest_client_rate_limiter_duration_seconds_sum"
    assert registry.get_sample_value(name, {"verb": "GET", "host": ""}) == pytest.approx(1.5)


def test_a_rate_limit_fills_up_again() -> None:
    limit = RateLimit(2.0, 3)
    assert [limit.reserve(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert [limit.reserve(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    with pytest.raises(ValueError, match="positive rate and burst"):
        RateLimit(0.0, 1)


async def test_a_refusal_for_fairness_names_the_level_that_was_full() -> None:
    headers = {"x-kubernetes-pf-flowschema-uid": "flow", "x-kubernetes-pf-prioritylevel-uid": "level"}
    api = ScriptedApi(*[status(429, "TooManyRequests", headers=headers)] * 5)
    with pytest.raises(TooManyRequests) as caught:
        await LiveClient(api, field_manager="tester").get(ConfigMap, KEY)
    assert caught.value.details == {"flowSchemaUID": "flow", "priorityLevelUID": "level"}
