"""What the operator relies on in PD, as cases that run against the simulated PD and against the real one.

A module that collects them derives a class from `PDContract` and gives it a fixture `pd`. A case may rely on three PD servers
and no store; it lets time pass with `until` alone, so that it is quick in virtual time and patient with the real one.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from tikv_operator.pdclient import (
    NodeState,
    PDClient,
    PDError,
    PDNotBootstrapped,
    PDNotFound,
    PDRequester,
    PDUnreachable,
    Store,
    StoreState,
)
from tikv_operator.pdclient.models import Evictions

__all__ = ["PDContract", "PDUnderTest"]

NOBODY: Final = "18446744073709551614"
"""The id of no store."""

ZONES: Final = "abca"


class PDUnderTest(ABC):
    """Three PD servers `pd-0` to `pd-2`, and stores that can be started.

    Args:
        requester: tries all servers.
    """

    names: Final = ("pd-0", "pd-1", "pd-2")

    def __init__(self, requester: PDRequester) -> None:
        self.requester = requester
        self.client = PDClient(requester)

    @abstractmethod
    def start_store(self, address: str, labels: dict[str, str], store_id: str = "") -> None:
        """Start a TiKV; an empty id means an empty volume."""

    @abstractmethod
    def stop_store(self, address: str) -> None:
        """Kill a TiKV."""

    @abstractmethod
    async def kill_server(self, name: str) -> None: ...

    @abstractmethod
    def start_server(self, name: str) -> None: ...

    async def until(self, condition: Callable[[], Awaitable[Any]], *, timeout: float = 45.0) -> Any:
        """Wait until a condition holds; a PD that refuses or is away counts as "not yet"."""
        last: Exception | None = None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        if found := await condition():
                            return found
                        last = None
                    except PDError as error:
                        last = error
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{condition} was not so in {timeout:g} s; last: {last}") from last

    async def raw(self, method: str, path: str, body: Any = None, *, base: str = "") -> tuple[int, Any]:
        """Ask PD something that the client doesn't; text that is no JSON comes back as it is."""
        encoded = None if body is None else json.dumps(body).encode()
        for tries_left in reversed(range(len(self.names))):
            try:
                answer = await self.requester.request(method, f"/pd/api/{path}", body=encoded, timeout=10.0, base=base)
                break
            except PDUnreachable:
                if base or not tries_left:
                    raise
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, answer.body.decode()

    async def leader(self) -> str:
        members = await self.client.members()
        return members.leader.name if members.leader else ""

    async def follower(self) -> str:
        leader = await self.until(self.leader)
        return next(name for name in self.names if name != leader)

    async def url_of(self, name: str) -> str:
        members = (await self.client.members()).members
        return next(member.client_urls[0] for member in members if member.name == name)

    async def start_stores(self, count: int = 4) -> list[str]:
        """Start stores in zones a, b, c, a and return their ids when all regions have three peers (with fewer, as many)."""
        for number in range(count):
            address = f"tikv-{number}.peer.ns1:20160"
            self.start_store(address, {"zone": ZONES[number % 4], "host": f"h{number}"})
            await self.until(lambda address=address: self.store_at(address))  # type: ignore[misc]
        await self.until(lambda: self.is_replicated(min(count, 3)))
        return [(await self.store_at(f"tikv-{number}.peer.ns1:20160")).id for number in range(count)]  # type: ignore[union-attr]

    async def store_at(self, address: str) -> Store | None:
        stores = [store for store in await self.client.stores() if store.address == address and not store.tombstone]
        return stores[0] if stores else None

    async def is_replicated(self, replicas: int) -> bool:
        stores = await self.client.stores()
        leaders = sum(store.leader_count for store in stores)
        return leaders > 0 and sum(store.region_count for store in stores) == replicas * leaders

    async def leaders_of(self, store_id: str) -> int:
        return (await self.client.store(store_id)).leader_count

    async def buried(self, store_id: str) -> bool:
        return (await self.client.store(store_id)).tombstone


class PDContract:
    """The cases. To be derived from, with a fixture `pd`."""

    # -- before the first store

    async def test_a_pd_without_stores_has_an_id_members_and_a_configuration(self, pd: PDUnderTest) -> None:
        members = await pd.client.members()
        assert members.cluster_id == await pd.client.cluster_id() != ""
        assert {member.name for member in members.members} == set(pd.names)
        assert members.leader is not None
        assert members.leader == members.etcd_leader
        assert all(member.client_urls and member.peer_urls for member in members.members)
        config = await pd.client.config()
        assert (config.max_replicas, config.location_labels) == (3, ("zone", "host"))

    async def test_a_pd_without_stores_says_so_whatever_is_asked_about_stores(self, pd: PDUnderTest) -> None:
        calls: list[Callable[[], Awaitable[Any]]] = [
            pd.client.stores,
            lambda: pd.client.store("1"),
            pd.client.evicting_stores,
            pd.client.down_peers,
            lambda: pd.client.delete_store("1"),
            lambda: pd.client.cancel_delete_store("1"),
            lambda: pd.client.set_store_labels("1", {"zone": "a"}),
            lambda: pd.client.delete_store_label("1", "zone"),
            lambda: pd.client.begin_evict_leader("1"),
        ]
        for call in calls:
            with pytest.raises(PDNotBootstrapped):
                await call()

    async def test_ending_an_eviction_before_there_are_stores_is_refused(self, pd: PDUnderTest) -> None:
        with pytest.raises(PDError) as refused:
            await pd.client.end_evict_leader("1")
        assert refused.value.status == 406

    # -- PD's servers

    async def test_health_follows_the_servers(self, pd: PDUnderTest) -> None:
        follower = await pd.follower()

        async def healthy() -> set[str]:
            return {member.name for member in await pd.client.health() if member.healthy}

        async def all_healthy() -> bool:
            return await healthy() == set(pd.names)

        async def follower_is_ill() -> bool:
            return await healthy() == set(pd.names) - {follower}

        await pd.until(all_healthy)
        await pd.kill_server(follower)
        await pd.until(follower_is_ill)
        pd.start_server(follower)
        await pd.until(all_healthy)

    async def test_health_and_members_agree_on_ids(self, pd: PDUnderTest) -> None:
        members = {(member.name, member.id) for member in (await pd.client.members()).members}
        assert {(member.name, member.id) for member in await pd.client.health()} == members

    async def test_leadership_is_handed_over_to_the_named_server(self, pd: PDUnderTest) -> None:
        heir = await pd.follower()
        await pd.client.transfer_leader(heir)

        async def leads() -> bool:
            return await pd.leader() == heir

        await pd.until(leads)
        await pd.client.transfer_leader(heir)  # once more changes nothing
        await pd.until(leads)

    async def test_leadership_is_not_handed_over_to_nobody(self, pd: PDUnderTest) -> None:
        leader = await pd.until(pd.leader)
        with pytest.raises(PDError, match="no valid pd") as refused:
            await pd.client.transfer_leader("nobody")
        assert refused.value.status == 500
        assert await pd.leader() == leader

    async def test_leadership_is_not_handed_over_to_a_dead_server(self, pd: PDUnderTest) -> None:
        leader, follower = await pd.until(pd.leader), await pd.follower()
        await pd.kill_server(follower)
        with pytest.raises(PDError, match="leader transfer took too long") as refused:
            await pd.client.transfer_leader(follower)
        assert refused.value.status == 500
        assert await pd.until(pd.leader) == leader

    async def test_a_leader_resigns_in_favour_of_anybody(self, pd: PDUnderTest) -> None:
        leader = await pd.until(pd.leader)
        assert (await pd.raw("POST", "v1/leader/resign"))[0] == 200

        async def replaced() -> bool:
            return await pd.leader() not in ("", leader)

        await pd.until(replaced)

    async def test_the_leader_is_also_told_alone(self, pd: PDUnderTest) -> None:
        leader = await pd.until(pd.leader)
        status, answer = await pd.raw("GET", "v1/leader")
        assert (status, answer["name"]) == (200, leader)

    async def test_priorities_of_members_are_kept(self, pd: PDUnderTest) -> None:
        leader = await pd.until(pd.leader)
        assert await pd.raw("POST", f"v1/members/name/{leader}", {"leader-priority": 5}) == (200, "success")
        _, answer = await pd.raw("GET", "v1/members")
        assert {item["name"]: item.get("leader_priority", 0) for item in answer["members"]}[leader] == 5
        assert (await pd.raw("POST", "v1/members/name/nobody", {"leader-priority": 5}))[0] == 404

    async def test_another_server_leads_after_the_leader_was_killed(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(3)
        await pd.client.begin_evict_leader(ids[0])
        cluster_id = await pd.client.cluster_id()
        killed = await pd.leader()
        await pd.kill_server(killed)

        async def replaced() -> bool:
            return await pd.leader() not in ("", killed)

        await pd.until(replaced)
        assert await pd.client.cluster_id() == cluster_id
        assert {store.id for store in await pd.until(pd.client.stores)} == set(ids)
        assert await pd.until(pd.client.evicting_stores) == {ids[0]}

    async def test_without_a_majority_nothing_is_known(self, pd: PDUnderTest) -> None:
        await pd.start_stores(1)
        leader = await pd.leader()
        url = await pd.url_of(leader)
        for name in set(pd.names) - {leader}:
            await pd.kill_server(name)

        async def nothing_is_known() -> bool:
            try:
                answer = await pd.raw("GET", "v1/stores", base=url)
            except PDUnreachable:
                return True
            return answer == (503, "no leader\n")

        await pd.until(nothing_is_known)
        with pytest.raises(PDError):
            await pd.client.stores()
        for name in set(pd.names) - {leader}:
            pd.start_server(name)
        assert len(await pd.until(pd.client.stores)) == 1

    async def test_every_server_answers_for_all(self, pd: PDUnderTest) -> None:
        await pd.start_stores(1)

        async def as_all(url: str) -> bool:
            """A server that has only just heard who leads refuses, or answers for itself, for a moment."""
            return await pd.raw("GET", "v1/cluster", base=url) == await pd.raw("GET", "v1/cluster")

        for name in pd.names:
            url = await pd.url_of(name)
            assert await pd.until(lambda url=url: as_all(url))  # type: ignore[misc]

    async def test_a_server_of_before_8_5_2_counts_as_ready(self, pd: PDUnderTest) -> None:
        assert await pd.client.member_ready(await pd.url_of("pd-0"), "v8.1.0")

    async def test_a_dead_member_is_removed_by_name(self, pd: PDUnderTest) -> None:
        follower = await pd.follower()
        await pd.kill_server(follower)
        await pd.client.delete_member(follower)

        async def is_gone() -> bool:
            return follower not in {member.name for member in (await pd.client.members()).members}

        await pd.until(is_gone)
        await pd.client.delete_member(follower)
        assert (await pd.raw("DELETE", f"v1/members/name/{follower}"))[0] == 404

    async def test_a_dead_member_is_removed_by_id(self, pd: PDUnderTest) -> None:
        follower = await pd.follower()
        number = next(member.id for member in (await pd.client.members()).members if member.name == follower)
        await pd.kill_server(follower)

        async def removed() -> bool:
            """etcd refuses for some seconds, while the servers that are left have not seen each other for long enough."""
            return await pd.raw("DELETE", f"v1/members/id/{number}") == (200, f"removed, pd: {number}")

        await pd.until(removed)
        assert (await pd.raw("DELETE", f"v1/members/id/{number}"))[0] == 500

    async def test_a_running_member_is_not_removed_while_another_one_is_dead(self, pd: PDUnderTest) -> None:
        leader, dead = await pd.until(pd.leader), await pd.follower()
        running = next(name for name in pd.names if name not in (leader, dead))
        await pd.kill_server(dead)

        async def is_known_to_be_dead() -> bool:
            return any(not member.healthy for member in await pd.client.health())

        await pd.until(is_known_to_be_dead)
        with pytest.raises(PDError, match="unhealthy cluster") as refused:
            await pd.client.delete_member(running)
        assert refused.value.status == 500
        assert len((await pd.client.members()).members) == 3

    async def test_a_dead_member_is_removed_by_the_client_by_id(self, pd: PDUnderTest) -> None:
        follower = await pd.follower()
        number = next(member.id for member in (await pd.client.members()).members if member.name == follower)
        await pd.kill_server(follower)
        await pd.client.delete_member_by_id(number)
        assert follower not in {member.name for member in (await pd.client.members()).members}
        await pd.client.delete_member_by_id(number)  # once more changes nothing

    # -- PD's own configuration

    async def test_configuration_is_changed_online(self, pd: PDUnderTest) -> None:
        await pd.start_stores(1)
        await pd.client.set_config({"replication.max-replicas": 5, "replication.location-labels": "zone,rack"})
        await pd.client.set_config({"schedule.enable-joint-consensus": "true", "schedule.leader-schedule-limit": 8})
        config = await pd.client.config()
        assert (config.max_replicas, config.location_labels) == (5, ("zone", "rack"))

    async def test_rules_of_replication_are_not_changed_before_the_first_store(self, pd: PDUnderTest) -> None:
        with pytest.raises(PDNotBootstrapped) as refused:
            await pd.client.set_config({"replication.max-replicas": 5})
        assert refused.value.retryable
        assert (await pd.client.config()).max_replicas == 3

    @pytest.mark.parametrize(
        ("item", "value", "reason"),
        [
            ("nonsense.x", 1, "config prefix nonsense not found"),
            ("nonsense", 1, "config item nonsense not found"),
            ("replication.x", 1, "config item x not found"),
            ("replication.location-labels", ["zone"], "invalid syntax"),
            ("replication.strictly-match-label", True, "unquoted value into bool"),
            ("schedule.enable-joint-consensus", True, "unquoted value into bool"),
            ("replication.max-replicas", "5", "cannot unmarshal string"),
        ],
    )
    async def test_configuration_that_makes_no_sense_is_refused(
        self, pd: PDUnderTest, item: str, value: Any, reason: str
    ) -> None:
        before = await pd.client.config()
        with pytest.raises(PDError, match=reason) as refused:
            await pd.client.set_config({item: value})
        assert refused.value.status == 400
        assert await pd.client.config() == before

    async def test_there_is_one_placement_rule_which_follows_the_configuration(self, pd: PDUnderTest) -> None:
        await pd.start_stores(1)
        (rule,) = await pd.client.placement_rules()
        assert rule.is_default
        assert (rule.role, rule.count, rule.isolation_level) == ("voter", 3, "")

    async def test_placement_rules_wait_for_the_first_store(self, pd: PDUnderTest) -> None:
        with pytest.raises(PDNotBootstrapped):
            await pd.client.placement_rules()

    # -- stores

    async def test_a_store_is_told_as_it_registered(self, pd: PDUnderTest) -> None:
        (number,) = await pd.start_stores(1)
        store = await pd.client.store(number)
        assert (store.address, store.version, store.state) == ("tikv-0.peer.ns1:20160", "8.1.0", StoreState.UP)
        assert store.status_address
        assert dict(store.labels) == {"zone": "a", "host": "h0"}
        assert store.region_count == store.leader_count > 0
        assert store.start_timestamp > 0
        assert store.last_heartbeat >= store.start_timestamp
        assert {found.id for found in await pd.client.stores()} == {number}

    async def test_a_new_store_is_serving_after_a_while(self, pd: PDUnderTest) -> None:
        (number,) = await pd.start_stores(1)
        assert (await pd.client.store(number)).node_state in (NodeState.PREPARING, NodeState.SERVING)

        async def serving() -> bool:
            return (await pd.client.store(number)).node_state == NodeState.SERVING

        await pd.until(serving)

    async def test_an_unknown_store_is_not_found(self, pd: PDUnderTest) -> None:
        await pd.start_stores(1)
        with pytest.raises(PDNotFound):
            await pd.client.store(NOBODY)
        await pd.client.delete_store(NOBODY)
        await pd.client.cancel_delete_store(NOBODY)
        await pd.client.end_evict_leader(NOBODY)
        with pytest.raises(PDError) as refused:
            await pd.client.set_store_labels(NOBODY, {"zone": "a"})
        assert refused.value.status == 500
        with pytest.raises(PDError) as refused:
            await pd.client.begin_evict_leader(NOBODY)
        assert refused.value.status == 500

    async def test_a_store_is_the_same_after_its_restart(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(3)
        before = await pd.client.store(ids[0])
        pd.stop_store(before.address)
        await asyncio.sleep(1.5)
        pd.start_store(before.address, {"zone": "a", "host": "h0"}, ids[0])

        async def restarted() -> bool:
            return (await pd.client.store(ids[0])).start_timestamp > before.start_timestamp

        await pd.until(restarted)
        assert {store.id for store in await pd.client.stores()} == set(ids)

    async def test_a_dead_store_is_disconnected_and_its_peers_are_down(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(3)
        dead = await pd.client.store(ids[2])
        pd.stop_store(dead.address)

        async def peers_are_down() -> bool:
            down = await pd.client.down_peers()
            return down.count == dead.region_count == down.by_store.get(ids[2], 0)

        async def disconnected() -> bool:
            return (await pd.client.store(ids[2])).state_name == "Disconnected"

        await pd.until(disconnected)
        await pd.until(peers_are_down)
        store = await pd.client.store(ids[2])
        assert (store.state, store.leader_count) == (StoreState.UP, 0)
        assert (await pd.client.down_peers()).elsewhere(ids[2]) == 0

    async def test_with_too_few_stores_none_is_removed(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(3)
        with pytest.raises(PDError, match="since the number of up stores would be 2 while need 3") as refused:
            await pd.client.delete_store(ids[0])
        assert refused.value.status == 400
        assert not refused.value.retryable
        assert (await pd.client.store(ids[0])).state == StoreState.UP

    async def test_a_removed_store_gives_everything_away_and_is_buried(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(4)
        await pd.client.delete_store(ids[0])
        removing = await pd.client.store(ids[0])
        assert (removing.state, removing.node_state) == (StoreState.OFFLINE, NodeState.REMOVING)
        await pd.client.delete_store(ids[0])  # once more changes nothing
        await pd.until(lambda: pd.buried(ids[0]))
        store = await pd.client.store(ids[0])
        assert (store.state, store.node_state, store.state_name) == (
            StoreState.TOMBSTONE,
            NodeState.REMOVED,
            "Tombstone",
        )
        assert (store.leader_count, store.region_count) == (0, 0)
        assert ids[0] in {found.id for found in await pd.client.stores()}
        assert await pd.is_replicated(3)

    async def test_a_buried_store_stays_buried(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(4)
        await pd.client.delete_store(ids[3])
        await pd.until(lambda: pd.buried(ids[3]))
        await pd.client.delete_store(ids[3])
        with pytest.raises(PDError) as refused:
            await pd.client.cancel_delete_store(ids[3])
        assert refused.value.status == 410
        await pd.client.set_store_labels(ids[3], {"zone": "c"})
        await pd.client.begin_evict_leader(ids[3])
        assert await pd.client.evicting_stores() == {ids[3]}
        await pd.client.end_evict_leader(ids[3])
        assert await pd.client.evicting_stores() == frozenset()
        assert await pd.buried(ids[3])

    async def test_a_new_store_at_the_address_of_a_buried_one_is_another_one(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(4)
        address = (await pd.client.store(ids[3])).address
        await pd.client.delete_store(ids[3])
        await pd.until(lambda: pd.buried(ids[3]))
        pd.stop_store(address)
        pd.start_store(address, {"zone": "a"})
        new = await pd.until(lambda: pd.store_at(address))
        assert new.id not in ids
        assert {store.id for store in await pd.client.stores() if store.address == address} == {ids[3], new.id}

    async def test_removal_can_be_taken_back(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(4)
        await pd.client.delete_store(ids[1])
        await pd.client.cancel_delete_store(ids[1])
        store = await pd.client.store(ids[1])
        assert (store.state, store.node_state) == (StoreState.UP, NodeState.SERVING)
        await pd.client.cancel_delete_store(ids[1])  # once more changes nothing
        assert (await pd.client.store(ids[1])).state == StoreState.UP

    # -- labels

    async def test_labels_are_merged(self, pd: PDUnderTest) -> None:
        (number,) = await pd.start_stores(1)
        await pd.client.set_store_labels(number, {"zone": "z", "rack": "r1", "$mode": "x"})
        assert dict((await pd.client.store(number)).labels) == {"zone": "z", "host": "h0", "rack": "r1", "$mode": "x"}

    async def test_an_empty_value_removes_a_label(self, pd: PDUnderTest) -> None:
        (number,) = await pd.start_stores(1)
        await pd.client.set_store_labels(number, {"zone": ""})
        assert dict((await pd.client.store(number)).labels) == {"host": "h0"}

    async def test_a_label_is_removed(self, pd: PDUnderTest) -> None:
        (number,) = await pd.start_stores(1)
        await pd.client.delete_store_label(number, "zone")
        assert dict((await pd.client.store(number)).labels) == {"host": "h0"}

    async def test_removing_a_label_that_is_not_there_changes_nothing(self, pd: PDUnderTest) -> None:
        (number,) = await pd.start_stores(1)
        status, answer = await pd.raw("DELETE", f"v1/store/{number}/label", "rack")
        assert (status, answer) == (500, "the label key rack does not exist")
        await pd.client.delete_store_label(number, "rack")
        assert dict((await pd.client.store(number)).labels) == {"zone": "a", "host": "h0"}

    @pytest.mark.parametrize("labels", [{"zone": "x y"}, {"no spaces": "x"}, {"": "x"}])
    async def test_labels_have_a_format(self, pd: PDUnderTest, labels: dict[str, str]) -> None:
        (number,) = await pd.start_stores(1)
        with pytest.raises(PDError, match="does not match format") as refused:
            await pd.client.set_store_labels(number, labels)
        assert refused.value.status == 400
        assert dict((await pd.client.store(number)).labels) == {"zone": "a", "host": "h0"}

    # -- eviction of leaders

    async def test_leaders_leave_a_store_that_evicts_them(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(3)
        await pd.client.begin_evict_leader(ids[0])
        assert await pd.client.evicting_stores() == {ids[0]}

        async def leads_nothing() -> bool:
            return await pd.leaders_of(ids[0]) == 0

        await pd.until(leads_nothing)
        assert (await pd.client.store(ids[0])).region_count > 0

    async def test_several_stores_evict_their_leaders_by_one_scheduler(self, pd: PDUnderTest) -> None:
        ids = await pd.start_stores(3)
        for number in (ids[0], ids[1], ids[0]):
            await pd.client.begin_evict_leader(number)
        assert await pd.client.evicting_stores() == {ids[0], ids[1]}
        _, names = await pd.raw("GET", "v1/schedulers")
        assert [name for name in names if name.startswith("evict-leader")] == ["evict-leader-scheduler"]

        async def all_led_by_the_third() -> bool:
            return await pd.leaders_of(ids[0]) == await pd.leaders_of(ids[1]) == 0

        await pd.until(all_led_by_the_third)
        await pd.client.end_evict_leader(ids[0])
        assert await pd.client.evicting_stores() == {ids[1]}
        await pd.client.end_evict_leader(ids[1])
        assert await pd.client.evicting_stores() == frozenset()
        await pd.client.end_evict_leader(ids[1])  # once more changes nothing

    async def test_an_eviction_outlives_all_servers_and_ends_only_when_it_was_taken_up_again(
        self, pd: PDUnderTest
    ) -> None:
        ids = await pd.start_stores(3)
        await pd.until(self.is_prepared(pd))
        await pd.client.begin_evict_leader(ids[0])
        await asyncio.sleep(5)  # PD saves its regions every three seconds; a server that finds none waits for none
        for name in pd.names:
            await pd.kill_server(name)
        for name in pd.names:
            pd.start_server(name)
        found = await pd.until(pd.client.evictions)
        assert found == Evictions(stores=frozenset(ids[:1]), prepared=False)
        with pytest.raises(PDError, match="still evicts"):
            await pd.client.end_evict_leader(ids[0])
        await pd.until(self.is_prepared(pd))
        assert await pd.client.evicting_stores() == {ids[0]}
        await pd.client.end_evict_leader(ids[0])
        assert await pd.client.evictions() == Evictions()
        assert (await pd.client.evictions(before=frozenset(ids))).stores == frozenset()

    def is_prepared(self, pd: PDUnderTest) -> Callable[[], Awaitable[bool]]:
        async def prepared() -> bool:
            return (await pd.client.evictions()).prepared

        return prepared

    async def test_a_single_store_keeps_its_leaders_whatever_is_asked(self, pd: PDUnderTest) -> None:
        (number,) = await pd.start_stores(1)
        led = await pd.leaders_of(number)
        await pd.client.begin_evict_leader(number)
        await asyncio.sleep(2)
        assert await pd.leaders_of(number) == led > 0
