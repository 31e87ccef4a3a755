"""Defects that users of other clients and frameworks live with, where no other test shows that this one doesn't have them.

docs/peers-defects.md lists them all, each with its test; here it is checked that those tests exist.
"""

from __future__ import annotations

import asyncio
import gc
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller_runtime import Context, Controller, Manager, Request, add_finalizer, make_logger, remove_finalizer
from controller_runtime.api.k8s import ConfigMap, Pod
from controller_runtime.api.meta import ObjectMeta, decode
from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.selectors import parse_selector
from controller_runtime.cache import CacheEvent
from controller_runtime.client import Conflict, LiveClient
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.informer_world import running
from helpers.recorded_transport import RecordedTransport
from helpers.scripted_api import WatchReply, bookmark, config_map, event, status

TESTS = Path(__file__).parents[2]
TABLE = TESTS.parent / "docs" / "peers-defects.md"


def full(*objects: dict[str, object]) -> WatchReply:
    return WatchReply(*(event("ADDED", obj) for obj in objects), bookmark(10, end=True))


@asynccontextmanager
async def managed(reconciled: list[str], objects: int) -> AsyncIterator[tuple[RecordedTransport, LiveClient]]:
    async def look(ctx: Context, request: Request) -> None:
        assert await ctx.client.find(ConfigMap, request.key) is not None
        reconciled.append(request.name)

    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        user = LiveClient(cluster.transport, field_manager="user")
        for number in range(objects):
            await user.create(ConfigMap(metadata=ObjectMeta(name=f"c{number}", namespace="default"), data={"x": "1"}))
        transport = RecordedTransport(cluster.transport)
        manager = Manager(transport, field_manager="test", clock=LoopClock(), log=make_logger(level="error"))
        manager.add(Controller("looker", look).reconciles(ConfigMap))
        task = asyncio.create_task(manager.run())
        await asyncio.sleep(5)
        try:
            yield transport, user
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_looking_at_objects_writes_nothing_into_them() -> None:
    reconciled: list[str] = []
    async with managed(reconciled, 50) as (transport, user):
        assert {f"c{number}" for number in range(50)} <= set(reconciled)
        await asyncio.sleep(3600)
        assert [request for request in transport.requests if request[0] != "GET"] == []
        for found in await user.list(ConfigMap, namespace="default"):
            assert not found.metadata.annotations
            assert not found.metadata.finalizers


async def test_a_quiet_day_costs_no_list_and_wakes_nobody() -> None:
    reconciled: list[str] = []
    async with managed(reconciled, 10) as (transport, _):
        lists = len(transport.requests)
        reconciled.clear()
        await asyncio.sleep(24 * 3600)
        assert len(transport.requests) == lists
        assert reconciled == []


async def test_no_thread_and_no_task_per_object_or_event() -> None:
    tasks, threads = set(asyncio.all_tasks()), threading.active_count()
    async with managed([], 200):
        assert len(set(asyncio.all_tasks()) - tasks) < 30
        assert threading.active_count() == threads


async def test_finalizers_of_two_owners_do_not_undo_each_other() -> None:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        client = LiveClient(cluster.transport, field_manager="test")
        key = ObjectKey("default", "a")
        await client.create(
            ConfigMap(metadata=ObjectMeta(name="a", namespace="default", finalizers=["a.com/one", "b.com/two"]))
        )
        mine, theirs = await client.get(ConfigMap, key), await client.get(ConfigMap, key)
        remove_finalizer(theirs, "b.com/two")
        await client.update(theirs)
        remove_finalizer(mine, "a.com/one")
        with pytest.raises(Conflict):
            await client.update(mine)
        again = await client.get(ConfigMap, key)
        assert again.metadata.finalizers == ["a.com/one"]
        assert add_finalizer(again, "c.com/three")
        assert (await client.update(again)).metadata.finalizers == ["a.com/one", "c.com/three"]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=web", ["a"]),
        ("app!=web", ["b", "c"]),
        ("app in (web, db)", ["a", "b"]),
        ("app notin (web)", ["b", "c"]),
        ("!app", ["c"]),
        ("app,tier=back", ["b"]),
        ("app=none", []),
    ],
)
async def test_a_cached_list_obeys_every_kind_of_label_selector(selector: str, names: list[str]) -> None:
    def labelled(name: str, version: int, **labels: str) -> dict[str, object]:
        obj = config_map(name, version)
        obj["metadata"]["labels"] = labels
        return obj

    objects = [labelled("a", 1, app="web"), labelled("b", 2, app="db", tier="back"), labelled("c", 3)]
    async with running(full(*objects)) as world:
        found = world.cache.list(ConfigMap, labels=parse_selector(selector))
        assert [obj.metadata.name for obj in found] == names


@pytest.mark.parametrize(
    "raw",
    [
        b'{"metadata": {"name": "a"}, "spec": {"containers": null}}',
        b'{"metadata": {"name": "a"}, "spec": {}}',
        b'{"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "env": null, "newField": 1}]}}',
        b'{"metadata": {"name": "a", "labels": null, "ownerReferences": null}, "status": {"conditions": [{}]}}',
    ],
)
def test_what_a_server_sends_is_read_whatever_a_schema_requires(raw: bytes) -> None:
    assert decode(Pod, raw).metadata.name == "a"


async def test_telling_of_an_event_decodes_no_object() -> None:
    def decoded() -> int:
        gc.collect()
        return sum(isinstance(obj, ConfigMap) for obj in gc.get_objects())

    before = decoded()
    async with running(full(*(config_map(f"c{number}", number + 1) for number in range(5)))) as world:
        told: list[CacheEvent] = []
        for _ in range(3):
            world.informer.add_handler(told.append)
        assert len(told) == 15
        assert decoded() <= before
        read = world.cache.list(ConfigMap)
        assert decoded() == before + len(read)


async def test_an_error_that_lasts_for_hours_is_asked_about_twice_a_minute_at_most() -> None:
    async with running(*[status(410, "Expired")] * 4000) as world:
        await asyncio.sleep(2 * 3600)
        # Each round asks for a stream, then for a list at the last version and at the latest one.
        assert len(world.api.requests) < 3 * 2 * 120 + 60


def names_in_the_table() -> list[str]:
    return re.findall(r"`(\w[\w/]*\.py::\w+)`", TABLE.read_text())


def test_the_table_names_tests() -> None:
    assert len(names_in_the_table()) > 60


@pytest.mark.parametrize("name", sorted(set(names_in_the_table())))
def test_a_test_in_the_table_exists(name: str) -> None:
    path, _, function = name.partition("::")
    assert f"def {function}(" in (TESTS / path).read_text()
