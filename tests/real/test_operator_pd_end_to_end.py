"""The operator and the PD that it manages, for real: from nothing, rolled, scaled, and killed on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from helpers.pd_managed import managed_world
from tikv_operator.common.keys import ANNOTATION_REPLACE_FAILED_MEMBERS
from tikv_operator.common.names import pod_name


def peer_url(name: str) -> str:
    """Return the address by which the others know a server of the group."""
    return f"http://{pod_name(name, 'pd')}.pd-pd-peer.default:2380"


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
        assert world.watch.addresses == {name: {peer_url(name)} for name in world.watch.addresses}


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


async def test_a_server_that_lost_its_data_is_replaced_by_a_new_member_if_that_is_wanted(tmp_path: Path) -> None:
    async with managed_world(tmp_path) as world:
        await world.create(pds=3, tikvs=1)
        await world.annotate_pd({ANNOTATION_REPLACE_FAILED_MEMBERS: "2"})
        before = await world.member_names()
        leader = await world.leader()
        lost = next(name for name in sorted(before) if name != leader)
        world.pods.lose_data(lost)

        async def not_replaced() -> str:
            return f"{lost} is still a member" if lost in await world.member_names() else ""

        await world.until(not_replaced)
        await world.settled(3, 1)
        assert len(await world.member_names() & before) == 2
        assert len(world.watch.cluster_ids) == 1
