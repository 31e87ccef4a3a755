"""Field selectors and transforms: what a cache asks for, and what it keeps."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from controller_runtime.api.k8s import ConfigMap, Node
from controller_runtime.api.meta import Model, Object
from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache import Cache, edit_object, keep_fields
from controller_runtime.client.errors import NotCached
from controller_runtime.clock import LoopClock
from helpers.informer_world import Log, running, settle
from helpers.scripted_api import ScriptedApi, WatchReply, bookmark, config_map, event, listed, status

NS = ConfigMap.resource


def new_cache() -> Cache:
    return Cache(ScriptedApi(), clock=LoopClock(), log=Log())


def full(*objects: dict[str, Any], version: int = 10) -> WatchReply:
    return WatchReply(*(event("ADDED", obj) for obj in objects), bookmark(version, end=True))


def raw(obj: dict[str, Any]) -> bytes:
    return json.dumps(obj).encode()


# Fields


async def test_fields_are_selected_by_the_server() -> None:
    async with running(status(422, "Invalid"), listed(5), fields="immutable=true") as world:
        assert [dict(request.params)["fieldSelector"] for request in world.api.requests] == ["immutable=true"] * 3


async def test_a_namespace_among_the_fields_is_the_path() -> None:
    async with running(full(), fields="metadata.namespace=one,metadata.name=a") as world:
        (request,) = world.api.requests
        assert request.path == "/api/v1/namespaces/one/configmaps"
        assert dict(request.params)["fieldSelector"] == "metadata.name=a"
        assert world.informer.namespaces == ("one",)
        with pytest.raises(NotCached, match="in namespace 'two' is not cached"):
            world.cache.find(ConfigMap, ObjectKey("two", "a"))


def test_fields_and_namespaces_must_fit() -> None:
    assert new_cache().declare(ConfigMap, namespace=["a", "b"], fields="metadata.namespace=b").namespaces == ("b",)
    with pytest.raises(ValueError, match="the fields want namespace 'c'"):
        new_cache().declare(ConfigMap, namespace=["a", "b"], fields="metadata.namespace=c")
    with pytest.raises(ValueError, match="nodes/v1 is cluster-scoped"):
        new_cache().declare(Node, fields="metadata.namespace=c")


def test_other_fields_or_another_transform_contradict_an_earlier_declaration() -> None:
    def one(obj: bytes) -> bytes:
        return obj

    cache = new_cache()
    informer = cache.declare(ConfigMap, fields="immutable=true", transform=one)
    assert cache.declare(ConfigMap) is informer
    assert cache.declare(ConfigMap, fields=" immutable == true", transform=one) is informer
    with pytest.raises(ValueError, match="declared with fields="):
        cache.declare(ConfigMap, fields="immutable=false")
    with pytest.raises(ValueError, match="declared with transform="):
        cache.declare(ConfigMap, transform=lambda obj: obj)


async def test_an_object_that_no_field_can_select_is_not_taken_for_missing() -> None:
    async with running(full(config_map("a", 3)), fields="metadata.name=a") as world:
        assert world.cache.find(ConfigMap, ObjectKey("ns", "a")) is not None
        with pytest.raises(NotCached, match=r"ns/b is not cached: it was declared for metadata\.name=a"):
            world.cache.find(ConfigMap, ObjectKey("ns", "b"))
        assert not world.cache.caches(NS, "ns")  # so that an apply of ns/b is sent


async def test_a_write_outside_of_the_selected_name_is_not_taken_over() -> None:
    async with running(full(config_map("a", 3)), fields="metadata.name=a") as world:
        world.cache.accept(NS, raw(config_map("a", 20)))
        world.cache.accept(NS, raw(config_map("b", 21)))
        assert world.names() == ["a@20"]


async def test_where_only_the_server_knows_what_is_selected_it_decides_about_new_objects() -> None:
    async with running(stream := full(config_map("a", 3)), fields="immutable=true") as world:
        world.cache.accept(NS, raw(config_map("new", 20)))
        world.cache.accept(NS, raw(config_map("a", 21)))
        assert world.names() == ["a@21"]
        stream.send(event("ADDED", config_map("new", 20)), event("DELETED", config_map("a", 21)))
        await settle()
        assert world.names() == ["new@20"]
        assert world.seen == ["initial added a@3", "updated a@21", "added new@20", "deleted a@21"]


async def test_an_object_that_leaves_the_selected_fields_may_come_back() -> None:
    async with running(stream := full(config_map("a", 3)), fields="immutable=true") as world:
        stream.send(event("DELETED", config_map("a", 20)), event("ADDED", config_map("a", 22)))
        await settle()
        assert world.names() == ["a@22"]


# Transforms


class JustMode(Object):
    """A ConfigMap of which nobody here reads more than one value."""

    resource = ConfigMap.resource

    class Data(Model):
        mode: str | None = None

    data: Data | None = None


def hide(obj: dict[str, Any]) -> dict[str, Any]:
    obj["data"] = dict.fromkeys(obj["data"], "***")
    obj["metadata"].pop("annotations", None)
    return obj


async def test_the_cache_keeps_what_the_transform_leaves_whoever_brings_the_object() -> None:
    annotated = config_map("a", 3, password="x")
    annotated["metadata"]["annotations"] = {"long": "text"}
    pages = (status(422, "Invalid"), listed(10, [annotated]))
    async with running(*pages, stream := WatchReply(), transform=edit_object(hide)) as world:
        stream.send(event("ADDED", config_map("b", 11, password="y")))
        await settle()
        world.cache.accept(NS, raw(config_map("c", 12, password="z")))
        found = world.cache.list(ConfigMap)
        assert [(obj.metadata.name, obj.data) for obj in found] == [(name, {"password": "***"}) for name in "abc"]
        entry = world.informer.store.get(ObjectKey("ns", "a"))
        assert entry is not None
        assert entry.annotations == {}


async def test_a_class_keeps_the_fields_that_it_declares() -> None:
    async with running(full(config_map("a", 3, mode="fast", big="x" * 9000)), transform=keep_fields(JustMode)) as world:
        entry = world.informer.store.get(ObjectKey("ns", "a"))
        assert entry is not None
        assert len(entry.raw) < 250
        assert world.cache.get(ConfigMap, entry.key).data == {"mode": "fast"}
        assert (entry.meta.uid, entry.meta.resource_version) == ("uid-a", "3")


async def test_a_transform_may_see_its_own_result() -> None:
    keep = keep_fields(JustMode)
    once = keep(raw(config_map("a", 3, mode="fast", big="x")))
    assert keep(once) == once


@pytest.mark.parametrize("wrong", ["raises", "renames", "is no JSON", "has no metadata"])
async def test_an_object_whose_transform_fails_is_kept_out_visibly_and_the_others_get_through(wrong: str) -> None:
    def transform(obj: bytes) -> bytes:
        if b'"bad"' not in obj:
            return obj
        if wrong == "raises":
            raise ZeroDivisionError("oops")
        return {"renames": obj.replace(b'"bad"', b'"good"'), "is no JSON": b"?", "has no metadata": b"{}"}[wrong]

    async with running(stream := full(config_map("bad", 3), config_map("a", 4)), transform=transform) as world:
        stream.send(event("MODIFIED", config_map("bad", 11)), event("MODIFIED", config_map("a", 12)))
        await settle()
        world.cache.accept(NS, raw(config_map("bad", 13)))
        assert world.names() == ["a@12"]
        assert world.seen == ["initial added a@4", "updated a@12"]
        assert world.metric("informer_transform_errors_total") == 2
        assert world.log.texts == ["error: object kept out of the cache"] * 2
        assert "configmaps/v1 ns/bad" in world.log.lines[0][2]["error"]


async def test_an_object_whose_transform_begins_to_fail_does_not_stay_in_an_old_state() -> None:
    def transform(obj: bytes) -> bytes:
        if b'"broken"' in obj:
            raise ValueError("no")
        return obj

    async with running(stream := full(config_map("a", 3)), transform=transform) as world:
        stream.send(event("MODIFIED", config_map("a", 11, state="broken")))
        await settle()
        assert world.names() == []
        stream.send(event("MODIFIED", config_map("a", 12, state="fine")))
        await settle()
        assert world.seen == ["initial added a@3", "deleted a@11", "added a@12"]
        world.cache.accept(NS, raw(config_map("a", 13, state="broken")))
        assert world.names() == []


async def test_a_list_without_a_kept_out_object_takes_its_old_state_away() -> None:
    def transform(obj: bytes) -> bytes:
        if b'"broken"' in obj:
            raise ValueError("no")
        return obj

    first = full(config_map("a", 3), config_map("b", 4))
    gone = event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    async with running(first, transform=transform) as world:
        world.api.then(status(422, "Invalid"), listed(20, [config_map("a", 12, state="broken"), config_map("b", 4)]))
        first.send(gone)
        await asyncio.sleep(5)
        assert world.names() == ["b@4"]
