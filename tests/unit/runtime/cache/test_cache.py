"""Declaring kinds to the shared cache, and reading from it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from controller_runtime.api.k8s import ConfigMap, Node, Pod, Secret
from controller_runtime.api.meta import Object
from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.selectors import selector
from controller_runtime.cache import Cache
from controller_runtime.client.errors import NotCached, NotFound
from controller_runtime.clock import LoopClock
from helpers.informer_world import Log, Seen, World, running, settle
from helpers.scripted_api import ScriptedApi, WatchReply, bookmark, config_map, event, listed, status

APP = selector({"app": "web"})


class JustMetadata(Object):
    resource = ConfigMap.resource


def new_cache(api: ScriptedApi | None = None) -> Cache:
    return Cache(api or ScriptedApi(), clock=LoopClock(), log=Log())


def full(*objects: dict[str, Any], version: int = 10) -> WatchReply:
    return WatchReply(*(event("ADDED", obj) for obj in objects), bookmark(version, end=True))


# Declaring


def test_one_kind_is_one_informer_whoever_declares_it() -> None:
    cache = new_cache()
    informer = cache.declare(ConfigMap)
    assert cache.declare(ConfigMap) is informer
    assert cache.declare(ConfigMap.resource) is informer
    assert cache.declare(JustMetadata) is informer
    assert cache.informer(ConfigMap) is informer
    assert cache.informers() == (informer,)


def test_options_left_out_are_those_of_the_first_declaration() -> None:
    cache = new_cache()
    informer = cache.declare(ConfigMap, namespace="one", labels=APP, metadata_only=True)
    assert cache.declare(ConfigMap) is informer
    assert (informer.namespaces, informer.labels, informer.metadata_only) == (("one",), APP, True)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {"namespace": "one"}, "namespace"),
        ({"namespace": "one"}, {"namespace": ""}, "namespace"),
        ({"namespace": "one"}, {"namespace": ["one", "two"]}, "namespace"),
        ({}, {"labels": APP}, "labels"),
        ({}, {"metadata_only": True}, "metadata_only"),
        ({"metadata_only": True}, {"metadata_only": False}, "metadata_only"),
    ],
)
def test_contradicting_declarations_are_an_error(first: Any, second: Any, message: str) -> None:
    cache = new_cache()
    cache.declare(ConfigMap, **first)
    with pytest.raises(ValueError, match=f"configmaps/v1 has been declared with {message}"):
        cache.declare(ConfigMap, **second)


def test_indexes_add_up() -> None:
    cache = new_cache()
    cache.declare(ConfigMap, indexes={"name": lambda entry: [entry.key.name]})
    informer = cache.declare(ConfigMap, indexes={"app": lambda entry: [entry.meta.labels.get("app", "")]})
    assert set(informer.store.indexes) == {"namespace", "name", "app"}


def test_a_cluster_scoped_kind_has_no_namespaces() -> None:
    with pytest.raises(ValueError, match="nodes/v1 is cluster-scoped"):
        new_cache().declare(Node, namespace="one")


def test_namespaces_are_a_set_and_the_empty_one_means_all() -> None:
    assert new_cache().declare(Pod, namespace=["b", "a", "b"]).namespaces == ("a", "b")
    assert new_cache().declare(Pod, namespace=["b", ""]).namespaces == ("",)
    assert new_cache().declare(Pod, namespace=[]).namespaces == ("",)


# What is asked of the server


async def test_labels_are_selected_by_the_server_and_namespaces_are_paths() -> None:
    async with running(full(), full(), namespace=["one", "two"], labels=APP) as world:
        assert [request.path for request in world.api.requests] == [
            "/api/v1/namespaces/one/configmaps",
            "/api/v1/namespaces/two/configmaps",
        ]
        assert all(("labelSelector", "app=web") in request.params for request in world.api.requests)


async def test_only_metadata_is_asked_for_where_only_metadata_is_kept() -> None:
    async with running(status(422, "Invalid"), listed(5, [config_map("a", 1)]), metadata_only=True) as world:
        assert "as=PartialObjectMetadata;" in world.api.requests[0].accept
        assert "as=PartialObjectMetadataList;" in world.api.requests[1].accept
        (entry,) = world.informer.store.entries()
        assert set(json.loads(entry.raw)) == {"metadata"}
        with pytest.raises(NotCached, match="only metadata is cached"):
            world.cache.get(ConfigMap, entry.key)
        assert world.cache.get(ConfigMap.resource, entry.key)["metadata"]["name"] == "a"


async def test_several_namespaces_are_synced_when_all_are() -> None:
    one, two = full(config_map("a", 3, namespace="one")), WatchReply()
    async with running(one, two, namespace=["one", "two"]) as world:
        assert not world.informer.synced
        two.send(event("ADDED", config_map("b", 4, namespace="two")), bookmark(12, end=True))
        await settle()
        assert world.informer.synced
        assert [str(found.key) for found in world.cache.list(ConfigMap)] == ["one/a", "two/b"]
        assert world.seen == ["initial added a@3", "initial added b@4"]


# Reading


async def test_reads_are_typed_or_untyped_and_private() -> None:
    async with running(full(config_map("a", 3, x="1"), config_map("b", 4))) as world:
        cache = world.cache
        key = ObjectKey("ns", "a")
        assert cache.get(ConfigMap, key).data == {"x": "1"}
        assert cache.get(ConfigMap.resource, key)["data"] == {"x": "1"}
        assert cache.get(JustMetadata, key).metadata.uid == "uid-a"
        assert cache.find(ConfigMap, ObjectKey("ns", "z")) is None
        assert [found.metadata.name for found in cache.list(ConfigMap, namespace="ns")] == ["a", "b"]
        assert [found["metadata"]["name"] for found in cache.list(ConfigMap.resource)] == ["a", "b"]
        cache.get(ConfigMap, key).metadata.name = "changed"
        assert cache.get(ConfigMap, key).metadata.name == "a"


async def test_an_object_that_does_not_exist_is_not_found() -> None:
    async with running(full()) as world:
        with pytest.raises(NotFound, match='configmaps "z" not found') as caught:
            world.cache.get(ConfigMap, ObjectKey("ns", "z"))
        assert (caught.value.code, caught.value.reason) == (404, "NotFound")


async def test_a_kind_nobody_declared_is_an_error_that_names_the_fix() -> None:
    with pytest.raises(NotCached, match=r"secrets/v1 is not cached: call cache\.declare\(Secret\)"):
        new_cache().get(Secret, ObjectKey("ns", "a"))


async def test_a_namespace_that_is_not_cached_is_not_empty() -> None:
    async with running(full(), namespace="ns") as world:
        for read in (
            lambda: world.cache.find(ConfigMap, ObjectKey("other", "a")),
            lambda: world.cache.list(ConfigMap, namespace="other"),
        ):
            with pytest.raises(NotCached, match="in namespace 'other' is not cached"):
                read()
        assert world.cache.list(ConfigMap) == []


async def test_what_has_not_been_read_yet_does_not_pass_for_missing() -> None:
    async with running(WatchReply()) as world:
        with pytest.raises(NotCached, match=r"not in the cache yet: await cache\.wait_synced\(\)"):
            world.cache.find(ConfigMap, ObjectKey("ns", "a"))


async def test_an_index_that_nobody_declared_is_an_error_that_names_the_fix() -> None:
    async with running(full()) as world:
        with pytest.raises(NotCached, match=r"configmaps/v1: no index 'app'.*declare the kind with indexes="):
            world.cache.list(ConfigMap, index=("app", "web"))


# Running


async def test_waiting_for_the_cache_names_what_is_missing_and_why() -> None:
    cache = new_cache(ScriptedApi(*(status(403, "Forbidden", "no access") for _ in range(100))))
    cache.declare(ConfigMap)
    task = asyncio.create_task(cache.run())
    with pytest.raises(TimeoutError, match=r"not cached within 5 s: configmaps/v1: Forbidden: no access"):
        await cache.wait_synced(timeout=5)
    task.cancel()
    await asyncio.wait([task])


async def test_a_kind_declared_while_running_is_mirrored_too() -> None:
    async with running(full(), full(version=5)) as world:
        informer = world.cache.declare(Pod)
        assert not informer.synced
        await world.cache.wait_synced(timeout=5)
        assert world.api.requests[-1].path == "/api/v1/pods"


async def test_a_cache_runs_once_at_a_time_and_can_run_again() -> None:
    world = World(ScriptedApi(full(config_map("a", 3)), full(config_map("b", 14), version=20)))
    for _ in range(2):
        task = asyncio.create_task(world.cache.run())
        await settle()
        with pytest.raises(RuntimeError, match="running already"):
            await world.cache.run()
        task.cancel()
        await asyncio.wait([task])
    assert world.names() == ["b@14"]
    assert world.seen == ["initial added a@3", "unknown deleted a@3", "added b@14"]


async def test_a_stopped_cache_leaves_no_stream_open() -> None:
    stream = full()
    async with running(stream):
        assert not stream.closed.is_set()
    assert stream.closed.is_set()


# Writing through


def raw(obj: dict[str, Any]) -> bytes:
    return json.dumps(obj).encode()


async def test_what_does_not_belong_here_is_not_taken_over() -> None:
    async with running(full(config_map("a", 3)), namespace="ns", labels=None) as world:
        world.seen.clear()
        world.cache.accept(ConfigMap.resource, raw(config_map("b", 20, namespace="other")))
        world.cache.accept(ConfigMap.resource, raw({"kind": "Status", "metadata": {}, "status": "Success"}))
        world.cache.accept(Secret.resource, raw({"kind": "Secret", "metadata": {"name": "s"}}))
        assert world.names() == ["a@3"]
        assert world.seen == []


async def test_an_object_that_a_write_takes_out_of_the_selection_is_gone_at_once() -> None:
    mine = config_map("a", 3)
    mine["metadata"]["labels"] = {"app": "web"}
    async with running(stream := full(mine), labels=APP) as world:
        heard: list[str] = []
        world.informer.add_handler(lambda change: heard.append(f"{change.type} {change.entry.meta.labels}"))
        world.cache.accept(ConfigMap.resource, raw(config_map("a", 20)))
        assert world.cache.find(ConfigMap, ObjectKey("ns", "a")) is None
        stream.send(event("DELETED", config_map("a", 20)))
        await settle()
        assert heard == ["added {'app': 'web'}", "deleted {'app': 'web'}"]


async def test_a_write_before_the_first_list_counts_and_is_not_lost() -> None:
    stream = WatchReply(event("ADDED", config_map("a", 3)))
    async with running(stream) as world:
        world.cache.accept(ConfigMap.resource, raw(config_map("new", 20)))
        late = Seen()
        world.informer.add_handler(late)
        stream.send(bookmark(10, end=True))
        await settle()
        assert world.names() == ["a@3", "new@20"]
        assert late == ["initial added new@20", "initial added a@3"]


async def test_what_a_delete_has_ended_stays_away_in_one_namespace_and_is_left_alone_in_others() -> None:
    one, two = full(config_map("a", 3, namespace="one")), full(config_map("a", 4, namespace="two"))
    async with running(one, two, namespace=["one", "two"]) as world:
        for namespace in ("one", "three"):
            world.cache.end(ConfigMap.resource, ObjectKey(namespace, "a"), "uid-a")
        one.send(event("MODIFIED", config_map("a", 11, namespace="one")))
        two.send(event("MODIFIED", config_map("a", 12, namespace="two")))
        await settle()
        assert [str(found.key) for found in world.cache.list(ConfigMap)] == ["two/a"]
        assert world.seen[2:] == ["unknown deleted a@3", "updated a@12"]


async def test_what_a_delete_has_ended_before_the_first_list_is_not_in_it() -> None:
    stream = WatchReply(event("ADDED", config_map("a", 3)))
    async with running(stream) as world:
        world.cache.end(ConfigMap.resource, ObjectKey("ns", "a"), "uid-a")
        stream.send(bookmark(10, end=True), event("DELETED", config_map("a", 12)))
        await settle()
        assert (world.informer.synced, world.names(), world.seen) == (True, [], [])


async def test_what_was_called_gone_is_there_again_if_a_minute_later_the_watch_knows_of_no_end() -> None:
    async with running(stream := full(config_map("a", 3))) as world:
        world.cache.end(ConfigMap.resource, ObjectKey("ns", "a"), "uid-a")
        await asyncio.sleep(59)
        stream.send(bookmark(11))
        await settle()
        assert world.names() == []
        await asyncio.sleep(59)
        stream.send(bookmark(12))
        await settle()
        assert world.seen == ["initial added a@3", "unknown deleted a@3", "added a@3"]
