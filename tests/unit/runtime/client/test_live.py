"""The live client's requests, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api.k8s import ConfigMap, Node, Pod
from controller_runtime.api.meta import Object, ObjectMeta, source_of
from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.selectors import selector
from controller_runtime.client import (
    AlreadyExists,
    ClientError,
    ClientMetrics,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    LiveClient,
    NotFound,
    Preconditions,
    RetryPolicy,
    ServiceUnavailable,
    TransportError,
    json_patch,
    merge_patch,
)
from controller_runtime.client.transport import Request
from helpers.scripted_api import Reply, ScriptedApi, WatchReply, bookmark, config_map, event, listed, status

KEY = ObjectKey("ns", "a")


def ok(obj: Any) -> Reply:
    return Reply(200, obj)


def client(*answers: Reply | WatchReply | TransportError, **options: Any) -> tuple[LiveClient, ScriptedApi]:
    api = ScriptedApi(*answers)
    return LiveClient(api, field_manager="tester", chance=lambda: 0.0, **options), api


def target(request: Request) -> str:
    query = "&".join(f"{name}={value}" for name, value in request.params)
    return f"{request.method} {request.path}{'?' + query if query else ''}"


# Reads


async def test_get_reads_typed_and_untyped_objects() -> None:
    live, api = client(ok(config_map("a", 7, x="1")), ok(config_map("a", 7, x="1")))
    typed = await live.get(ConfigMap, KEY)
    untyped = await live.get(ConfigMap.resource, KEY)
    assert (typed.data, typed.metadata.resource_version) == ({"x": "1"}, "7")
    assert untyped["data"] == {"x": "1"}
    assert [target(request) for request in api.requests] == ["GET /api/v1/namespaces/ns/configmaps/a"] * 2


async def test_find_turns_not_found_into_none_and_nothing_else() -> None:
    live, _ = client(status(404, "NotFound"), status(403, "Forbidden", "no access"))
    assert await live.find(ConfigMap, KEY) is None
    with pytest.raises(Forbidden, match="no access"):
        await live.find(ConfigMap, KEY)


async def test_a_cluster_scoped_kind_has_no_namespace_in_its_path() -> None:
    live, api = client(ok({"kind": "Node", "metadata": {"name": "n"}}))
    await live.get(Node, ObjectKey("", "n"))
    assert api.requests[0].path == "/api/v1/nodes/n"


@pytest.mark.parametrize("key", [ObjectKey("ns", ""), ObjectKey("", "a")])
async def test_a_key_without_a_name_never_becomes_a_request_about_the_collection(key: ObjectKey) -> None:
    live, api = client()
    for call in (live.get(ConfigMap, key), live.delete(ConfigMap, key)):
        with pytest.raises(ValueError, match=r"an object needs a name|a namespace is missing"):
            await call
    assert api.requests == []


async def test_list_reads_every_page_and_sorts() -> None:
    live, api = client(
        listed(9, [config_map("c", 1), config_map("b", 2)], token="t1"),
        listed(9, [config_map("a", 3)], token="t2"),
        listed(9, []),
    )
    found = await live.list(ConfigMap, namespace="ns", labels=selector({"app": "web"}))
    assert [obj.metadata.name for obj in found] == ["a", "b", "c"]
    assert all(isinstance(obj, ConfigMap) and obj.kind == "ConfigMap" for obj in found)
    assert [target(request) for request in api.requests] == [
        "GET /api/v1/namespaces/ns/configmaps?labelSelector=app=web&limit=500",
        "GET /api/v1/namespaces/ns/configmaps?labelSelector=app=web&limit=500&continue=t1",
        "GET /api/v1/namespaces/ns/configmaps?labelSelector=app=web&limit=500&continue=t2",
    ]


async def test_items_of_an_untyped_list_know_their_kind() -> None:
    live, _ = client(listed(9, [config_map("a", 1)]))
    (found,) = await live.list(ConfigMap.resource)
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")


async def test_an_expired_continue_token_makes_the_list_start_over_all_at_once() -> None:
    live, api = client(
        listed(9, [config_map("a", 1)], token="t1"),
        status(410, "Expired"),
        listed(12, [config_map("a", 1), config_map("b", 11)]),
    )
    assert [obj.metadata.name for obj in await live.list(ConfigMap)] == ["a", "b"]
    assert target(api.requests[-1]) == "GET /api/v1/configmaps"


async def test_410_for_the_first_page_is_an_error() -> None:
    live, _ = client(status(410, "Expired"))
    with pytest.raises(Expired):
        await live.list(ConfigMap)


async def test_a_repeated_continue_token_does_not_hang_the_list() -> None:
    live, _ = client(listed(9, token="t1"), listed(9, token="t1"))
    with pytest.raises(ClientError, match="list of configmaps/v1: the server repeats its continue token"):
        await live.list(ConfigMap)


async def test_an_index_is_a_thing_of_caches() -> None:
    live, _ = client()
    with pytest.raises(ValueError, match="only a cache has indexes"):
        await live.list(ConfigMap, index=("app", "web"))


# Writes


async def test_create_posts_the_object_and_returns_what_the_server_made_of_it() -> None:
    live, api = client(Reply(201, config_map("a", 7)))
    created = await live.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="ns"), data={"x": "1"}))
    assert created.metadata.uid == "uid-a"
    assert source_of(created) is not None
    (request,) = api.requests
    assert target(request) == "POST /api/v1/namespaces/ns/configmaps?fieldManager=tester"
    assert (request.content_type, json.loads(request.body or b"")) == (
        "application/json",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}, "data": {"x": "1"}},
    )


async def test_update_sends_a_merge_patch_with_the_version_as_precondition() -> None:
    live, api = client(ok(config_map("a", 7, x="1")), ok(config_map("a", 8, x="2")))
    obj = await live.get(ConfigMap, KEY)
    obj.data = {"x": "2"}
    assert (await live.update(obj)).metadata.resource_version == "8"
    request = api.requests[1]
    assert target(request) == "PATCH /api/v1/namespaces/ns/configmaps/a?fieldManager=tester"
    assert request.content_type == "application/merge-patch+json"
    assert json.loads(request.body or b"") == {"data": {"x": "2"}, "metadata": {"resourceVersion": "7"}}


async def test_an_update_of_nothing_is_no_request() -> None:
    registry = CollectorRegistry()
    live, api = client(ok(config_map("a", 7)), metrics=ClientMetrics(registry))
    obj = await live.get(ConfigMap, KEY)
    assert await live.update(obj) is obj
    assert len(api.requests) == 1
    labels = {"resource": "configmaps/v1", "verb": "update"}
    assert registry.get_sample_value("rest_client_writes_suppressed_total", labels) == 1


async def test_a_stale_update_is_a_conflict() -> None:
    live, _ = client(ok(config_map("a", 7)), status(409, "Conflict", "the object has been modified"))
    obj = await live.get(ConfigMap, KEY)
    obj.data = {"x": "2"}
    with pytest.raises(Conflict, match="the object has been modified"):
        await live.update(obj)


async def test_update_status_goes_to_the_subresource() -> None:
    pod = {"kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "resourceVersion": "3"}, "status": {}}
    live, api = client(ok(pod), ok(pod))
    obj = await live.get(Pod, ObjectKey("ns", "p"))
    assert obj.status is not None
    obj.status.phase = "Failed"
    await live.update_status(obj)
    assert api.requests[1].path == "/api/v1/namespaces/ns/pods/p/status"
    assert json.loads(api.requests[1].body or b"") == {
        "status": {"phase": "Failed"},
        "metadata": {"resourceVersion": "3"},
    }


async def test_patches_are_sent_as_they_are() -> None:
    live, api = client(ok(config_map("a", 8)), ok(config_map("a", 9)))
    await live.patch(ConfigMap, KEY, merge_patch({"data": {"x": None}}))
    operation = {"op": "remove", "path": "/data/x"}
    untyped = await live.patch(ConfigMap.resource, KEY, json_patch([operation]), subresource="scale")
    assert untyped["metadata"]["resourceVersion"] == "9"
    assert [(request.path, request.content_type, request.body) for request in api.requests] == [
        ("/api/v1/namespaces/ns/configmaps/a", "application/merge-patch+json", b'{"data":{"x":null}}'),
        (
            "/api/v1/namespaces/ns/configmaps/a/scale",
            "application/json-patch+json",
            b'[{"op":"remove","path":"/data/x"}]',
        ),
    ]


async def test_apply_is_a_server_side_apply_with_our_manager() -> None:
    live, api = client(ok(config_map("a", 8)))
    applied = await live.apply(ConfigMap(metadata=ObjectMeta(name="a", namespace="ns", generation=4)))
    assert applied.metadata.resource_version == "8"
    (request,) = api.requests
    assert target(request) == "PATCH /api/v1/namespaces/ns/configmaps/a?fieldManager=tester&force=true"
    assert request.content_type == "application/apply-patch+yaml"
    assert json.loads(request.body or b"")["metadata"] == {"name": "a", "namespace": "ns"}


async def test_an_untyped_manifest_is_applied_where_discovery_says() -> None:
    resources = {"resources": [{"name": "widgets", "kind": "Widget", "namespaced": True}]}
    manifest = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "ns"}}
    live, api = client(ok(resources), ok(manifest), ok(manifest))
    assert await live.apply(manifest, force=False) == manifest
    await live.apply(manifest)
    assert [request.path for request in api.requests] == [
        "/apis/example.com/v1",
        "/apis/example.com/v1/namespaces/ns/widgets/w",
        "/apis/example.com/v1/namespaces/ns/widgets/w",
    ]
    assert ("force", "false") in api.requests[1].params


async def test_delete_sends_only_the_options_that_are_given() -> None:
    live, api = client(*(ok({"kind": "Status", "status": "Success"}) for _ in range(2)))
    await live.delete(ConfigMap, KEY)
    await live.delete(
        ConfigMap,
        KEY,
        grace_period=0,
        preconditions=Preconditions(uid="u"),
        propagation="Foreground",
    )
    kind = {"apiVersion": "v1", "kind": "DeleteOptions"}
    assert [json.loads(request.body or b"") for request in api.requests] == [
        kind,
        {**kind, "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}, "propagationPolicy": "Foreground"},
    ]


async def test_errors_are_types_with_the_servers_words() -> None:
    cause = {"reason": "FieldValueInvalid", "message": "must be positive", "field": "spec.size"}
    live, _ = client(
        status(409, "AlreadyExists", "exists"), status(422, "Invalid", "size: must be positive", causes=[cause])
    )
    with pytest.raises(AlreadyExists):
        await live.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="ns")))
    with pytest.raises(Invalid) as caught:
        await live.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="ns")))
    assert caught.value.causes[0].field == "spec.size"


# Repeated requests


async def test_a_refused_write_is_repeated_when_the_server_says_and_counted() -> None:
    registry = CollectorRegistry()
    busy = status(429, "TooManyRequests", headers={"retry-after": "3"})
    live, api = client(busy, busy, ok(config_map("a", 8)), metrics=ClientMetrics(registry))
    await live.patch(ConfigMap, KEY, merge_patch({}))
    assert api.times == [0, 3, 6]
    labels = {"code": "429", "verb": "PATCH", "host": ""}
    assert registry.get_sample_value("rest_client_request_retries_total", labels) == 2


async def test_a_broken_connection_is_tried_again_for_reads_only() -> None:
    live, api = client(TransportError("reset"), ok(config_map("a", 7)), TransportError("reset"))
    await live.get(ConfigMap, KEY)
    with pytest.raises(TransportError, match="reset"):
        await live.patch(ConfigMap, KEY, merge_patch({}))
    assert len(api.requests) == 3


async def test_retries_end() -> None:
    broken = [status(503, "ServiceUnavailable", headers={"retry-after": "1"}) for _ in range(3)]
    live, api = client(*broken, retries=RetryPolicy(attempts=3))
    with pytest.raises(ServiceUnavailable):
        await live.get(ConfigMap, KEY)
    assert len(api.requests) == 3


# Watches


async def test_a_watch_yields_decoded_events_until_the_server_ends_it() -> None:
    live, api = client(
        WatchReply(event("ADDED", config_map("a", 7)), bookmark(9), event("DELETED", config_map("a", 10)), end=True)
    )
    async with live.watch(ConfigMap, namespace="ns", labels=selector({"a": "b"}), resource_version="5") as events:
        seen = [(change.type, change.object.metadata.resource_version) async for change in events]
    assert seen == [("ADDED", "7"), ("BOOKMARK", "9"), ("DELETED", "10")]
    assert dict(api.requests[0].params) == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "labelSelector": "a=b",
        "resourceVersion": "5",
    }


async def test_a_bookmark_need_not_fit_the_type() -> None:
    bare = {"kind": "Pod", "metadata": {"resourceVersion": "4"}, "spec": {"containers": None}}
    live, _ = client(WatchReply(event("BOOKMARK", bare), end=True))
    async with live.watch(Pod) as events:
        (mark,) = [change async for change in events]
    assert isinstance(mark.object, Object)
    assert mark.object.metadata.resource_version == "4"


async def test_an_error_in_a_watch_is_raised() -> None:
    live, _ = client(WatchReply(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"})))
    async with live.watch(ConfigMap.resource) as events:
        with pytest.raises(Expired, match="old"):
            await anext(events)


async def test_a_watch_that_is_refused_raises_on_entry() -> None:
    live, _ = client(status(403, "Forbidden", "no watch for you"))
    with pytest.raises(Forbidden, match="no watch for you"):
        async with live.watch(ConfigMap):
            pass


async def test_leaving_a_watch_half_way_closes_it() -> None:
    reply = WatchReply(event("ADDED", config_map("a", 7)), event("ADDED", config_map("b", 8)))
    live, api = client(reply)
    async with live.watch(ConfigMap) as events:
        assert (await anext(events)).object.metadata.name == "a"
    assert reply.closed.is_set()
    assert api.open_streams == 0


async def test_a_silent_watch_is_given_up() -> None:
    live, _ = client(WatchReply())
    async with live.watch(ConfigMap) as events:
        with pytest.raises(TransportError):
            await anext(events)
    assert asyncio.get_running_loop().time() == 90


# The rest


async def test_it_is_its_own_live_client() -> None:
    live, api = client()
    assert live.live is live
    assert live.field_manager == "tester"
    assert live.transport is api


async def test_not_found_knows_what_was_not_found() -> None:
    live, _ = client(status(404, "NotFound", 'configmaps "a" not found', name="a", kind="configmaps"))
    with pytest.raises(NotFound) as caught:
        await live.get(ConfigMap, KEY)
    assert caught.value.details == {"name": "a", "kind": "configmaps"}
