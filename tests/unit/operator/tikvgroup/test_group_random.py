"""Random histories: users change the group, instances live and die, the operator is killed; the promises hold.

Each seed is one history on an API server in virtual time. What a unit test can't show is shown here: that caches, queues,
conflicts and restarts break no promise of the planner.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from controller_runtime.client import Conflict, NotFound
from helpers.group_system import GROUP, GroupSystem, group_system
from helpers.group_world import make_cluster, make_group, make_pd_group
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.common.instances import is_available, is_offline, is_offlined
from tikv_operator.common.keys import LABEL_INSTANCE_REVISION

MIN_READY = 5.0


def stays(instance: TiKV) -> bool:
    """One that is only marked for later serves until it is set offline."""
    return instance.metadata.deletion_timestamp is None and not is_offline(instance) and not is_offlined(instance)


async def available(system: GroupSystem) -> int:
    now = system.clock.now()
    return sum(is_available(instance, MIN_READY, now) for instance in await system.instances() if stays(instance))


async def wanted(system: GroupSystem) -> int:
    return (await system.group()).spec.replicas


async def controllers_act(system: GroupSystem, seconds: float) -> None:
    """Let time pass; the controllers may take down no more than the budget allows."""
    before = await available(system)
    await asyncio.sleep(seconds)
    assert await available(system) >= min(before, await wanted(system) - 1)


async def one_event(system: GroupSystem, chance: random.Random) -> None:
    instances = await system.instances()
    event = chance.choice(["scale", "roll", "settle", "settle", "settle", "fail", "restart", "touch"])
    try:
        match event:
            case "scale":
                await system.scale(chance.randint(0, 6))
            case "roll":
                config = {"spec": {"template": {"spec": {"config": f"a = {chance.randint(0, 2)}"}}}}
                await system.edit(TiKVGroup, GROUP, config)
            case "restart":
                await system.stop()
                system.start()
            case "settle" if instances:
                await system.settle_one(chance.choice(instances))
            case "fail" if instances:
                await system.fail(chance.choice(instances))
            case "touch" if instances:
                await system.edit(
                    TiKV, chance.choice(instances).key, {"metadata": {"annotations": {"a": str(chance.random())}}}
                )
    except (NotFound, Conflict):
        return  # the operator was faster with this instance


@pytest.mark.parametrize("seed", range(4))
async def test_the_promises_hold_and_the_end_is_reached(seed: int) -> None:
    chance = random.Random(seed)
    async with group_system() as system:
        await system.create(make_cluster(), make_pd_group(), make_group())
        await asyncio.sleep(1)
        for _ in range(50):
            await one_event(system, chance)
            await controllers_act(system, chance.choice([0.0, 0.01, 1.0, 4.0, 20.0]))
        for _ in range(20):
            await system.settle(seconds=0)
            await controllers_act(system, 8)
        group = await system.group()
        instances = await system.instances()
        assert len(instances) == group.spec.replicas
        assert group.status is not None
        assert {found.metadata.labels[LABEL_INSTANCE_REVISION] for found in instances} <= {group.status.update_revision}
        assert not any(instance.spec.offline for instance in instances)
        assert system.said(group, "Ready")[0] == "True"
        assert system.said(group, "Synced")[0] == "True"


async def test_killed_in_the_middle_of_a_scale_out_it_creates_no_more_than_are_wanted() -> None:
    async with group_system() as system:
        await system.create(make_cluster(), make_pd_group(), make_group(replicas=8))
        seen = 0
        while seen < 8:
            # A few steps of the event loop, then kill -9.
            for _ in range(4):
                await asyncio.sleep(0)
            await system.stop()
            seen = len(await system.instances())
            system.start()
            await asyncio.sleep(0.5)
        await asyncio.sleep(10)
        assert len(await system.instances()) == 8
