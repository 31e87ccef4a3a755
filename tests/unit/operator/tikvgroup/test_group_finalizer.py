"""The end of a group."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.client import Conflict, Forbidden
from controller_runtime.task import Status
from helpers.group_fakes import FakeCluster, names
from helpers.group_instances import make_tikv
from helpers.group_world import group_context, make_group, of_group
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.common.keys import FINALIZER
from tikv_operator.group.build import headless_service
from tikv_operator.group.tasks import finalizer
from tikv_operator.group.tasks.state import AnyGroup
from tikv_operator.tikvgroup.component import TIKV_GROUP

DELETED = {"deletionTimestamp": "2027-01-15T08:00:00Z"}


def world_of(*objects: Any, finalizers: list[str] | None = None) -> tuple[FakeCluster, AnyGroup]:
    world = FakeCluster()
    world.add(make_group(metadata=DELETED | {"finalizers": ["other", *(finalizers or [FINALIZER])]}))
    world.add(*objects)
    ctx = group_context(world)
    ctx.found = world.one(TiKVGroup, "basic")
    ctx.instances = world.all(TiKV)
    return world, ctx


def instance(name: str, **state: Any) -> TiKV:
    made = make_tikv(name, **state)
    made.metadata.finalizers = [FINALIZER]
    return of_group(make_group(), made)[0]


async def test_the_finalizer_is_added_once() -> None:
    world = FakeCluster()
    world.add(make_group())
    ctx = group_context(world)
    ctx.found = world.one(TiKVGroup, "basic")
    await finalizer.add(ctx)
    await finalizer.add(ctx)
    assert world.writes == ["update TiKVGroup basic"]
    assert world.one(TiKVGroup, "basic").metadata.finalizers == [FINALIZER]


async def test_instances_go_first_each_is_asked_once() -> None:
    world, ctx = world_of(
        instance("basic-a"), instance("basic-b", deleting=True), headless_service(TIKV_GROUP, make_group())
    )
    result = await finalizer.remove(ctx)
    assert (result.status, result.message) == (Status.WAIT, "wait until 2 instances are deleted: basic-a, basic-b")
    assert world.writes == ["delete TiKV basic-a"]


async def test_then_the_services() -> None:
    world, ctx = world_of(headless_service(TIKV_GROUP, make_group()))
    result = await finalizer.remove(ctx)
    assert (result.status, result.message) == (Status.WAIT, "wait until services are deleted: basic-tikv-peer")
    assert world.writes == ["delete Service basic-tikv-peer"]


async def test_then_the_group_is_let_go_and_has_no_status_to_write_any_more() -> None:
    world, ctx = world_of()
    result = await finalizer.remove(ctx)
    assert (result.status, result.message) == (Status.COMPLETE, "all is deleted")
    assert world.one(TiKVGroup, "basic").metadata.finalizers == ["other"]
    assert ctx.found is None


async def test_a_group_without_our_finalizer_is_left_alone() -> None:
    world, ctx = world_of(finalizers=["another"])
    assert (await finalizer.remove(ctx)).status is Status.COMPLETE
    assert world.writes == []


async def test_an_instance_that_can_not_be_deleted_keeps_no_other_from_it() -> None:
    world, ctx = world_of(instance("basic-a"), instance("basic-b"))

    def refuse(verb: str, kind: str, key: Any) -> None:
        if key.name == "basic-a":
            raise Forbidden("no", code=403)

    world.before_write = refuse
    with pytest.raises(Forbidden):
        await finalizer.remove(ctx)
    assert world.one(TiKV, "basic-b").metadata.deletion_timestamp is not None


async def test_a_new_instance_under_an_old_name_is_not_deleted_by_mistake() -> None:
    world, ctx = world_of(instance("basic-a"))
    reborn = instance("basic-a")
    reborn.metadata.uid = "another"
    world.change(reborn)
    with pytest.raises(Conflict):
        await finalizer.remove(ctx)
    assert names(world.all(TiKV)) == ["basic-a"]


async def test_instances_that_are_all_on_their_way_need_no_request() -> None:
    world, ctx = world_of(instance("basic-a", deleting=True))

    def refuse(*_: Any) -> None:
        raise Forbidden("no", code=403)

    world.before_write = refuse
    assert (await finalizer.remove(ctx)).status is Status.WAIT
