"""How a run reports."""

from __future__ import annotations

import asyncio

import pytest

from controller_runtime.client import Conflict
from controller_runtime.task import Status
from helpers.group_fakes import FakeCluster, FakeEvents
from helpers.group_instances import make_tikv
from helpers.group_world import group_context, make_group
from tikv_operator.api import TiKVGroup
from tikv_operator.common.pace import StatusPace
from tikv_operator.group.tasks import status
from tikv_operator.group.tasks.state import AnyGroup


class World:
    """A group that has a status already, and its controller's pace."""

    def __init__(self) -> None:
        self.server = FakeCluster()
        self.server.add(make_group(replicas=1, status={"selector": "", "replicas": 1, "readyReplicas": 1}))
        self.pace = StatusPace(2.0, 10.0)

    def run(self) -> AnyGroup:
        ctx = group_context(self.server, pace=self.pace)
        ctx.found = self.server.one(TiKVGroup, "basic")
        return ctx

    @property
    def stored(self) -> int:
        found = self.server.one(TiKVGroup, "basic").status
        assert found is not None
        return found.ready_replicas


def told(ctx: AnyGroup) -> list[str]:
    assert isinstance(ctx.events, FakeEvents)
    return ctx.events.seen


async def test_what_nobody_waits_for_is_kept_back_with_its_events() -> None:
    world = World()
    ctx = world.run()
    ctx.status.ready_replicas = 0
    ctx.say("Reason", "why")
    assert await ctx.report() == 2.0
    assert (world.stored, told(ctx), world.server.writes) == (1, [], [])


async def test_a_later_run_writes_both_when_it_is_time() -> None:
    world = World()
    first = world.run()
    first.status.ready_replicas = 0
    await first.report()
    await asyncio.sleep(2)
    ctx = world.run()
    ctx.status.ready_replicas = 0
    ctx.say("Reason", "why", warning=True)
    assert await ctx.report() == 0.0
    assert (world.stored, told(ctx)) == (0, ["Warning Reason why"])


async def test_what_has_become_untrue_meanwhile_is_never_written() -> None:
    world = World()
    first = world.run()
    first.status.ready_replicas = 0
    await first.report()
    await asyncio.sleep(5)
    assert await world.run().report() == 0.0
    assert (world.server.writes, len(world.pace)) == ([], 0)


async def test_what_somebody_waits_for_takes_everything_along() -> None:
    world = World()
    ctx = world.run()
    ctx.status.ready_replicas = 0
    await ctx.report()
    ctx.status.observed_generation = 7
    assert await ctx.report() == 0.0
    assert world.stored == 0


async def test_what_a_later_task_must_find_in_the_status_is_written_at_once() -> None:
    world = World()
    ctx = world.run()
    ctx.status.ready_replicas = 0
    ctx.to_persist = True
    assert await ctx.report() == 0.0
    assert world.stored == 0


async def test_nothing_new_is_no_write_whatever_a_task_wants() -> None:
    world = World()
    ctx = world.run()
    ctx.to_persist = True
    assert await ctx.report() == 0.0
    assert world.server.writes == []


async def test_a_write_that_fails_is_due_still() -> None:
    world = World()
    ctx = world.run()
    ctx.status.ready_replicas = 0
    await ctx.report()
    await asyncio.sleep(2)

    def refuse(*_: object) -> None:
        raise Conflict("changed", code=409)

    world.server.before_write = refuse
    with pytest.raises(Conflict):
        await ctx.report()
    world.server.before_write = None
    again = world.run()
    again.status.ready_replicas = 0
    assert await again.report() == 0.0
    assert world.stored == 0


async def test_a_task_that_keeps_something_back_asks_for_another_run() -> None:
    world = World()
    ctx = world.run()
    ctx.status.observed_generation = ctx.group.metadata.generation
    await ctx.write_status()
    ctx.instances = [make_tikv("a", ready=False)]
    ctx.status.ready_replicas = 0
    result = await status.write(ctx)
    assert (result.status, result.after) == (Status.RETRY, 2.0)
    await asyncio.sleep(2)
    assert (await status.write(ctx)).status is Status.COMPLETE


async def test_a_context_without_its_object_says_which_is_missing() -> None:
    ctx = group_context(FakeCluster())
    with pytest.raises(AssertionError, match="ns1/basic"):
        ctx.present()
