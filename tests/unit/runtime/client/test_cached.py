"""The cached client on a scripted API server: reads, read-your-writes, and applies that are not sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api.k8s import ConfigMap, Secret
from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey
from controller_runtime.client import (
    CachedClient,
    ClientMetrics,
    Conflict,
    LiveClient,
    NotCached,
    NotFound,
    Preconditions,
    TransportError,
    merge_patch,
)
from helpers.informer_world import World, settle
from helpers.scripted_api import Reply, ScriptedApi, WatchReply, bookmark, config_map, event, status

KEY = ObjectKey("ns", "a")


def ok(obj: Any) -> Reply:
    return Reply(200, obj)


class ClientWorld(World):
    def __init__(self, api: ScriptedApi) -> None:
        super().__init__(api)
        self.live = LiveClient(api, field_manager="tester", metrics=ClientMetrics(self.registry))
        self.client = CachedClient(self.live, self.cache)

    @property
    def sent(self) -> list[str]:
        """Requests that are not the informer's."""
        return [f"{request.method} {request.path}" for request in self.api.requests[1:]]


@asynccontextmanager
async def world(*objects: dict[str, Any]) -> AsyncIterator[tuple[ClientWorld, WatchReply]]:
    """A client whose cache holds ConfigMaps."""
    stream = WatchReply(*(event("ADDED", obj) for obj in objects), bookmark(10, end=True))
    made = ClientWorld(ScriptedApi(stream))
    task = asyncio.create_task(made.cache.run())
    await settle()
    made.seen.clear()
    try:
        yield made, stream
    finally:
        task.cancel()
        await asyncio.wait([task])


def wanted(**data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name="a", namespace="ns"), data=data)


# Reads


async def test_reads_cost_no_request() -> None:
    async with world(config_map("a", 3, x="1"), config_map("b", 4)) as (made, _):
        client = made.client
        assert (await client.get(ConfigMap, KEY)).data == {"x": "1"}
        assert (await client.get(ConfigMap.resource, KEY))["data"] == {"x": "1"}
        assert await client.find(ConfigMap, ObjectKey("ns", "z")) is None
        assert [obj.metadata.name for obj in await client.list(ConfigMap, namespace="ns")] == ["a", "b"]
        assert made.sent == []


async def test_a_missing_object_is_not_found() -> None:
    async with world() as (made, _):
        with pytest.raises(NotFound, match='configmaps "a" not found'):
            await made.client.get(ConfigMap, KEY)


async def test_an_undeclared_kind_is_not_read_behind_the_users_back() -> None:
    async with world() as (made, _):
        with pytest.raises(NotCached, match=r"call cache\.declare"):
            await made.client.get(Secret, KEY)
        assert made.sent == []


async def test_live_reads_past_the_cache() -> None:
    async with world(config_map("a", 3)) as (made, _):
        made.api.then(ok(config_map("a", 15)))
        assert (await made.client.live.get(ConfigMap, KEY)).metadata.resource_version == "15"


# Read your own writes


async def test_every_write_is_in_the_cache_when_it_returns() -> None:
    async with world(config_map("a", 3, x="1")) as (made, stream):
        client = made.client

        async def version() -> str:
            return (await client.get(ConfigMap, KEY)).metadata.resource_version

        made.api.then(ok(config_map("a", 11, x="2")))
        obj = await client.get(ConfigMap, KEY)
        obj.data = {"x": "2"}
        await client.update(obj)
        assert await version() == "11"

        made.api.then(ok(config_map("a", 12)))
        await client.patch(ConfigMap, KEY, merge_patch({}))
        assert await version() == "12"

        made.api.then(ok(config_map("a", 13)))
        await client.patch(ConfigMap.resource, KEY, merge_patch({}))
        assert await version() == "13"

        made.api.then(ok(config_map("a", 14)))
        await client.apply(wanted(x="3"))
        assert await version() == "14"

        made.api.then(Reply(201, config_map("new", 15)))
        await client.create(ConfigMap(metadata=ObjectMeta(name="new", namespace="ns")))
        assert (await client.get(ConfigMap, ObjectKey("ns", "new"))).metadata.resource_version == "15"

        assert made.seen.take() == ["updated a@11", "updated a@12", "updated a@13", "updated a@14", "added new@15"]
        stream.send(*(event("MODIFIED", config_map("a", number)) for number in (11, 12, 13, 14)))
        stream.send(event("ADDED", config_map("new", 15)))
        await settle()
        assert made.seen.take() == []


async def test_an_update_that_changes_nothing_is_no_request() -> None:
    async with world(config_map("a", 3, x="1")) as (made, _):
        obj = await made.client.get(ConfigMap, KEY)
        assert await made.client.update(obj) is obj
        assert made.sent == []


async def test_the_object_of_a_subresource_is_not_taken_for_the_object() -> None:
    async with world(config_map("a", 3, x="1")) as (made, _):
        made.api.then(ok({"kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns", "resourceVersion": "11"}}))
        await made.client.patch(ConfigMap, KEY, merge_patch({}), subresource="scale")
        assert (await made.client.get(ConfigMap, KEY)).data == {"x": "1"}


async def test_a_write_of_a_kind_that_is_not_cached_works() -> None:
    async with world() as (made, _):
        secret = {"kind": "Secret", "metadata": {"name": "a", "namespace": "ns", "resourceVersion": "5"}}
        made.api.then(ok(secret), ok(secret))
        for _ in range(2):
            await made.client.apply(Secret(metadata=ObjectMeta(name="a", namespace="ns")))
        assert made.sent == ["PATCH /api/v1/namespaces/ns/secrets/a"] * 2


# Deletes


def gone(uid: str = "uid-a", *, verdict: str = "Success") -> Reply:
    details = {"name": "a", "kind": "configmaps", **({"uid": uid} if uid else {})}
    return ok({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": verdict, "details": details})


def terminating(version: int, **metadata: Any) -> dict[str, Any]:
    obj = config_map("a", version)
    obj["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", **metadata}
    return obj


async def test_a_deletion_that_waits_for_finalizers_is_seen_at_once() -> None:
    async with world(config_map("a", 3)) as (made, _):
        made.api.then(ok(terminating(11, finalizers=["x"])))
        await made.client.delete(ConfigMap, KEY)
        assert (await made.client.get(ConfigMap, KEY)).metadata.deletion_timestamp is not None
        assert made.seen.take() == ["updated a@11"]


async def test_what_a_delete_has_ended_is_not_found_when_it_returns_and_its_end_is_told_once() -> None:
    async with world(config_map("a", 3), config_map("b", 4)) as (made, stream):
        made.api.then(gone())
        await made.client.delete(ConfigMap, KEY)
        assert await made.client.find(ConfigMap, KEY) is None
        assert [obj.metadata.name for obj in await made.client.list(ConfigMap)] == ["b"]
        assert made.seen.take() == ["unknown deleted a@3"]
        stream.send(event("MODIFIED", config_map("a", 11)), event("DELETED", config_map("a", 12)))
        await settle()
        assert await made.client.find(ConfigMap, KEY) is None
        assert made.seen.take() == []


async def test_so_is_what_a_delete_answers_with_its_last_state() -> None:
    """As Services and ServiceAccounts are: with a version that is newer than all others of it."""
    async with world(config_map("a", 3)) as (made, stream):
        made.api.then(ok(config_map("a", 12)))
        await made.client.delete(ConfigMap, KEY)
        assert await made.client.find(ConfigMap, KEY) is None
        stream.send(event("DELETED", config_map("a", 12)))
        await settle()
        assert made.seen.take() == ["unknown deleted a@3"]


async def test_an_end_that_the_watch_tells_before_the_answer_is_told_once() -> None:
    async with world(config_map("a", 3)) as (made, stream):
        made.api.then(gone(), ok(config_map("a", 13, uid="next")))
        stream.send(event("DELETED", config_map("a", 12)))
        await settle()
        await made.client.delete(ConfigMap, KEY)
        await made.client.apply(wanted())
        assert made.seen.take() == ["deleted a@12", "added a@13"]


async def test_its_successor_is_taken_over_before_the_watch_has_told_the_end() -> None:
    async with world(config_map("a", 3)) as (made, stream):
        made.api.then(gone(), Reply(201, config_map("a", 13, uid="next")))
        await made.client.delete(ConfigMap, KEY)
        await made.client.create(wanted())
        assert (await made.client.get(ConfigMap, KEY)).metadata.uid == "next"
        stream.send(event("MODIFIED", config_map("a", 11)), event("DELETED", config_map("a", 12)))
        stream.send(event("ADDED", config_map("a", 13, uid="next")))
        await settle()
        assert made.seen.take() == ["unknown deleted a@3", "added a@13"]


async def test_the_end_of_an_object_leaves_another_one_of_its_name_alone() -> None:
    async with world(config_map("a", 3, uid="next")) as (made, _):
        made.api.then(gone())
        await made.client.delete(ConfigMap, KEY)
        assert (await made.client.get(ConfigMap, KEY)).metadata.uid == "next"
        assert made.seen.take() == []


@pytest.mark.parametrize("answer", [gone(""), gone(verdict="Failure"), ok({"kind": "Status"}), Reply(200, None)])
async def test_an_answer_that_does_not_say_what_is_gone_changes_nothing(answer: Reply) -> None:
    async with world(config_map("a", 3)) as (made, _):
        made.api.then(answer)
        await made.client.delete(ConfigMap, KEY)
        assert await made.client.find(ConfigMap, KEY) is not None
        assert made.seen.take() == []


@pytest.mark.parametrize("answer", [gone(), ok(config_map("a", 3)), ok(terminating(3))])
async def test_a_delete_that_is_only_tried_changes_nothing(answer: Reply) -> None:
    async with world(config_map("a", 3)) as (made, _):
        made.api.then(answer)
        await made.client.with_options(dry_run=True).delete(ConfigMap, KEY)
        assert (await made.client.get(ConfigMap, KEY)).metadata.deletion_timestamp is None
        assert made.seen.take() == []


async def test_a_delete_that_is_refused_changes_nothing() -> None:
    async with world(config_map("a", 3)) as (made, _):
        made.api.then(status(409, "Conflict", "the UID in the precondition does not match"))
        with pytest.raises(Conflict):
            await made.client.delete(ConfigMap, KEY, preconditions=Preconditions(uid="other"))
        assert await made.client.find(ConfigMap, KEY) is not None


async def test_of_a_collection_that_is_deleted_the_watch_tells() -> None:
    async with world(config_map("a", 3)) as (made, stream):
        made.api.then(ok({"kind": "ConfigMapList", "metadata": {}, "items": [config_map("a", 3)]}))
        await made.client.delete_all_of(ConfigMap, namespace="ns")
        assert await made.client.find(ConfigMap, KEY) is not None
        stream.send(event("DELETED", config_map("a", 12)))
        await settle()
        assert made.seen.take() == ["deleted a@12"]


async def test_the_end_of_an_object_of_a_kind_that_is_not_cached_is_no_news() -> None:
    async with world(config_map("a", 3)) as (made, _):
        made.api.then(gone())
        await made.client.delete(Secret, KEY)
        assert made.names() == ["a@3"]


async def test_what_was_ended_is_applied_again_if_it_is_wanted_again() -> None:
    async with world(config_map("a", 3)) as (made, _):
        made.api.then(ok(config_map("a", 3)), gone(), ok(config_map("a", 13, uid="next")))
        await made.client.apply(wanted())
        await made.client.delete(ConfigMap, KEY)
        assert (await made.client.apply(wanted())).metadata.uid == "next"
        assert len(made.sent) == 3


# Apply


async def test_a_reconcile_that_applies_what_is_there_sends_nothing() -> None:
    async with world(config_map("a", 3, x="1")) as (made, stream):
        made.api.then(ok(config_map("a", 3, x="1")))
        first = await made.client.apply(wanted(x="1"))
        for _ in range(100):
            assert (await made.client.apply(wanted(x="1"))).metadata.uid == first.metadata.uid
        stream.send(bookmark(99))
        await settle()
        await made.client.apply(wanted(x="1"))
        assert len(made.sent) == 1
        labels = {"resource": "configmaps/v1", "verb": "apply"}
        assert made.registry.get_sample_value("rest_client_writes_suppressed_total", labels) == 101


async def test_an_apply_that_was_left_out_still_returns_a_private_object() -> None:
    async with world(config_map("a", 3, x="1")) as (made, _):
        made.api.then(ok(config_map("a", 3, x="1")))
        await made.client.apply(wanted(x="1"))
        (await made.client.apply(wanted(x="1"))).data = {}
        assert (await made.client.get(ConfigMap, KEY)).data == {"x": "1"}


async def test_another_ones_change_is_undone() -> None:
    async with world(config_map("a", 3, x="1")) as (made, stream):
        made.api.then(ok(config_map("a", 3, x="1")), ok(config_map("a", 12, x="1")))
        await made.client.apply(wanted(x="1"))
        stream.send(event("MODIFIED", config_map("a", 11, x="hacked")))
        await settle()
        await made.client.apply(wanted(x="1"))
        await made.client.apply(wanted(x="1"))
        assert len(made.sent) == 2


async def test_an_object_deleted_by_somebody_is_applied_again() -> None:
    async with world(config_map("a", 3)) as (made, stream):
        made.api.then(ok(config_map("a", 3)), ok(config_map("a", 12, uid="new")))
        await made.client.apply(wanted())
        stream.send(event("DELETED", config_map("a", 11)))
        await settle()
        assert (await made.client.apply(wanted())).metadata.uid == "new"


async def test_an_apply_with_an_unknown_outcome_is_sent_again() -> None:
    async with world(config_map("a", 3)) as (made, _):
        made.api.then(ok(config_map("a", 3)), TransportError("reset"), ok(config_map("a", 11)))
        await made.client.apply(wanted())
        with pytest.raises(TransportError):
            await made.client.apply(wanted(x="1"))
        await made.client.apply(wanted())
        assert len(made.sent) == 3


async def test_an_untyped_manifest_is_applied_and_left_out_the_same() -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}, "data": {}}
    async with world(config_map("a", 3)) as (made, _):
        made.api.then(
            ok({"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}),
            ok(config_map("a", 3)),
        )
        await made.client.apply(manifest)
        assert (await made.client.apply(manifest))["metadata"]["uid"] == "uid-a"
        assert len(made.sent) == 2


async def test_a_failed_apply_is_raised() -> None:
    async with world() as (made, _):
        made.api.then(status(422, "Invalid", "data.x: must be a string"))
        with pytest.raises(Exception, match="must be a string"):
            await made.client.apply(wanted())


async def test_watches_are_live() -> None:
    async with world() as (made, _):
        made.api.then(WatchReply(event("ADDED", config_map("a", 7)), end=True))
        async with made.client.watch(ConfigMap) as events:
            assert [change.type async for change in events] == ["ADDED"]


def test_metrics_of_two_clients_live_in_their_own_registries() -> None:
    ClientMetrics(CollectorRegistry())
    ClientMetrics(CollectorRegistry())
