"""The operator, as a process, between a real kube-apiserver and a real PD: the life of a group of TiKVs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from controller_runtime.client import NotFound
from helpers.pd_world import CLUSTER, GROUP, RealWorld, real_world
from tikv_operator.api import Cluster, TiKVGroup


async def delete_everything(world: RealWorld) -> None:
    for kind, key in ((TiKVGroup, GROUP), (Cluster, CLUSTER)):
        try:
            await world.user.delete(kind, key)
        except NotFound:
            continue
    await world.until(world.seen.leftovers)


async def test_a_group_is_created_scaled_out_rolled_and_upgraded(tmp_path: Path) -> None:
    async with real_world(tmp_path) as world:
        await world.create(replicas=3)
        await world.change({"replicas": 4})
        await world.settled(4)
        assert set((await world.states()).values()) == {"Up"}
        assert world.watch.missing == 0

        await world.roll(4, {"config": '[log]\nlevel = "warn"\n'})
        await world.roll(4, {"version": "v8.1.1"})
        assert {store.version for store in await world.pd.client.stores()} == {"8.1.1"}
        assert world.watch.missing == 1  # one at a time
        assert world.watch.removed == set()
        assert len(world.watch.cluster_ids) == 1


async def test_a_removal_is_cancelled_half_way_carried_out_later_and_everything_is_deleted(tmp_path: Path) -> None:
    async with real_world(tmp_path) as world:
        await world.create(replicas=4)
        await world.pd.post("config", {"replica-schedule-limit": 0})  # so that nothing leaves the store that is removed
        await world.change({"replicas": 3})
        await world.until(lambda: "" if world.watch.offline else "no store is being removed")
        await world.change({"replicas": 4})
        await world.settled(4)
        assert set((await world.states()).values()) == {"Up"}

        await world.pd.post("config", {"replica-schedule-limit": 512})
        await world.change({"replicas": 3})
        await world.settled(3)
        assert sorted((await world.states()).values()) == ["Tombstone", "Up", "Up", "Up"]
        assert world.watch.offline == 1
        assert world.watch.missing == 1

        await delete_everything(world)
        assert world.watch.evicting == frozenset()
        assert len(world.watch.cluster_ids) == 1
        assert world.operator.stop() == 0


async def test_a_roll_survives_the_end_of_all_pd_servers_and_a_removal_that_of_the_leader(tmp_path: Path) -> None:
    async with real_world(tmp_path) as world:

        async def kill_pd() -> None:
            for server in world.pd:
                await server.kill()
            await asyncio.sleep(3)
            for server in world.pd:
                server.start()

        await world.create(replicas=4)
        await world.roll(4, {"config": '[log]\nlevel = "warn"\n'}, kill_pd)
        assert world.watch.missing == 1
        assert world.watch.removed == set()

        await world.change({"replicas": 3})
        await world.until(lambda: "" if world.watch.offline else "no store is being removed")
        leader = await world.pd.wait_for_leader()
        await world.pd[leader].kill()
        await world.settled(3)
        await one_store_was_removed(world)


async def test_whenever_the_operator_is_killed_the_next_one_goes_on(tmp_path: Path) -> None:
    async with real_world(tmp_path) as world:

        async def kill_operator() -> None:
            world.operator.kill()
            await asyncio.sleep(1)
            world.operator.start()

        await world.create(replicas=4)
        await world.roll(4, {"version": "v8.1.1"}, kill_operator)
        assert {store.version for store in await world.pd.client.stores()} == {"8.1.1"}
        assert world.watch.missing == 1
        assert world.watch.removed == set()

        await world.change({"replicas": 3})
        await world.until(lambda: "" if world.watch.offline else "no store is being removed")
        await kill_operator()
        await world.settled(3)
        await one_store_was_removed(world)

        deleting = asyncio.create_task(delete_everything(world))
        await asyncio.sleep(0.5)
        await kill_operator()
        await deleting
        assert world.watch.evicting == frozenset()


async def one_store_was_removed(world: RealWorld) -> None:
    assert sorted((await world.states()).values()) == ["Tombstone", "Up", "Up", "Up"]
    assert world.watch.offline == 1
    assert world.watch.missing == 1
    assert len(world.watch.removed) == 1
    assert len(world.watch.cluster_ids) == 1
    assert world.watch.evicting == frozenset()
