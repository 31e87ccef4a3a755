"""How real PD servers come and go: what a controller of PD groups must expect, and the simulated PD be like."""

from __future__ import annotations

import asyncio
import socket

import pytest

from helpers.certificates import Authority
from helpers.pd_server import PEER_PORT, PDServerFailed, PDServers
from helpers.pd_stores import HeartbeatStores
from tikv_operator.pdclient import PDClient, PDUnreachable, requester_for


async def names(pd: PDServers) -> set[str]:
    return {member.name for member in (await pd.client.members()).members}


async def test_a_server_joins_and_is_a_member_with_urls() -> None:
    async with PDServers() as pd:
        await pd.wait_for_leader()
        joined = pd.join("pd-9")
        async with asyncio.timeout(20):
            while await names(pd) != {"pd-0", "pd-9"}:
                joined.check()
                await asyncio.sleep(0.1)
        member = next(item for item in (await pd.client.members()).members if item.name == "pd-9")
        assert (member.client_urls, member.peer_urls) == ((joined.client_url,), (joined.peer_url,))


async def test_a_cluster_is_the_same_after_all_its_servers_were_killed() -> None:
    async with PDServers(count=3) as pd:
        await pd.wait_for_leader()
        cluster_id = await pd.client.cluster_id()
        for server in pd:
            await server.kill()
        for server in pd:
            server.start()
        await pd.wait_for_leader()
        assert await pd.client.cluster_id() == cluster_id
        assert await names(pd) == {"pd-0", "pd-1", "pd-2"}


async def test_a_removed_server_is_no_member_but_its_process_runs_on() -> None:
    async with PDServers(count=3) as pd:
        leader = await pd.wait_for_leader()
        removed = next(server for server in pd if server.name != leader)
        await asyncio.sleep(6)  # etcd lets nobody go before its servers have seen each other for five seconds
        await pd.client.delete_member(removed.name)
        assert removed.name not in await names(pd)
        await asyncio.sleep(2)
        assert removed.running  # so whoever removes a member stops its process, too
        await removed.kill()
        removed.start()
        await asyncio.sleep(2)
        assert removed.running
        assert removed.name not in await names(pd)  # whichever server was asked first: this one answers nothing now


async def test_a_server_that_lost_its_data_cannot_join_under_its_old_name() -> None:
    async with PDServers(count=3) as pd:
        leader = await pd.wait_for_leader()
        lost = next(server for server in pd if server.name != leader)
        await lost.kill()
        lost.lose_data()
        lost.rejoin(pd[leader].client_url)
        assert "missing data or join a duplicated pd" in await lost.ended()


async def test_a_server_that_cannot_start_says_why() -> None:
    async with PDServers() as pd:
        await pd.wait_for_leader()
        pd["pd-0"].start()  # runs already: nothing happens
        broken = pd.join("pd-0b")
        await broken.kill()
        broken.start("--no-such-flag")
        await broken.ended()
        with pytest.raises(PDServerFailed, match="no-such-flag"):
            broken.check()


async def test_with_tls_nobody_is_served_without_a_certificate() -> None:
    authority = Authority()
    async with PDServers(count=3, authority=authority) as pd:
        await pd.wait_for_leader()
        async with HeartbeatStores(lambda: pd.client_urls, credentials=pd.credentials) as stores:
            store = stores.start("tikv-0:20160")
            number = await store.registered()
            assert [found.id for found in await pd.client.stores()] == [str(number)]
        stranger = requester_for(pd.client_urls[0], "direct")
        with pytest.raises(PDUnreachable):
            await PDClient(stranger, timeout=2.0).cluster_id()
        await stranger.close()


async def test_a_server_that_was_admitted_and_never_started_keeps_others_out_until_it_is_removed_by_its_id() -> None:
    async with PDServers(count=3) as pd:  # one alone would lose its majority
        await pd.wait_for_leader()
        await asyncio.sleep(6)  # etcd takes nobody in before its servers have seen each other for five seconds
        phantom = pd.prepare("pd-8")
        with socket.socket() as taken:
            taken.bind((phantom.host, PEER_PORT))
            taken.listen()
            phantom.rejoin(pd["pd-0"].client_url)
            await phantom.ended()
        members = (await pd.client.members()).members
        nameless = next(member for member in members if not member.name)
        assert (nameless.client_urls, nameless.peer_urls) == ((), (phantom.peer_url,))
        assert [member.healthy for member in await pd.client.health() if member.id == nameless.id] == [False]

        another = pd.join("pd-9")
        assert "has not joined successfully" in await another.ended()

        await pd.client.delete_member_by_id(nameless.id)
        another.start()
        async with asyncio.timeout(20):
            while await names(pd) != {"pd-0", "pd-1", "pd-2", "pd-9"}:
                another.check()
                await asyncio.sleep(0.1)
