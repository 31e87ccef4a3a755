"""The operator and the PD that it manages, for real: from nothing, rolled, scaled, and killed on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from helpers.pd_managed import managed_world


async def test_a_cluster_comes_up_from_nothing_and_its_pd_is_rolled_and_scaled(tmp_path: Path) -> None:
    async with managed_world(tmp_path) as world:
        await world.create(pds=3, tikvs=3)
        await world.roll(3, 3, {"version": "v8.1.1"})
        assert world.watch.sizes == [3]
        await world.change_pd({"replicas": 5})
        await world.settled(5, 3)
        await world.change_pd({"replicas": 3})
        await world.settled(3, 3)
        assert world.watch.sizes == [3, 4, 5, 4, 3]
        assert world.watch.away == 1
        assert len(world.watch.cluster_ids) == 1
        assert await world.store_states() == ["Up"] * 3


async def test_whoever_is_killed_during_a_roll_pd_is_the_same_afterwards(tmp_path: Path) -> None:
    async with managed_world(tmp_path) as world:
        await world.create(pds=3, tikvs=3)

        async def kill_leader() -> None:
            world.pods.kill(await world.leader())

        async def kill_both() -> None:
            world.operator.kill()
            await kill_leader()
            await asyncio.sleep(1)
            world.operator.start()

        await world.roll(3, 3, {"version": "v8.1.1"}, kill_leader)
        await world.roll(3, 3, {"version": "v8.1.2"}, kill_both)
        assert world.watch.sizes == [3]
        assert len(world.watch.cluster_ids) == 1
        assert await world.store_states() == ["Up"] * 3
