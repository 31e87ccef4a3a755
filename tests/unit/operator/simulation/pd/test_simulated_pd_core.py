"""The simulated PD as a specification: life of stores, eviction of leaders, movement of regions, quorum."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.simulated_pd import START, PDWorld
from tikv_operator.simulation.pd import NodeState, PDRefused, RegistrationRefused, SimulatedPD, StoreGone, StoreNotFound
from tikv_operator.simulation.settings import SimulationSettings

SETTINGS = SimulationSettings()


def assert_counts_are_those_of_the_regions(pd: SimulatedPD) -> None:
    leaders = Counter(region.leader for region in pd.regions)
    peers = Counter(store for region in pd.regions for store in region.peers)
    for store in pd.stores():
        assert pd.regions.leader_count(store.id) == leaders[store.id]
        assert pd.regions.peer_count(store.id) == peers[store.id]
    assert all(region.leader in region.peers for region in pd.regions)


class TestCluster:
    def test_the_first_store_bootstraps_it(self) -> None:
        world = PDWorld()
        assert not world.pd.bootstrapped
        world.start("tikv-0")
        assert world.pd.bootstrapped
        assert len(world.pd.regions) == SETTINGS.regions

    def test_its_id_depends_on_its_name_alone(self) -> None:
        first, again, other = (SimulatedPD(name, SETTINGS, now=START) for name in ("a/b", "a/b", "b/a"))
        assert first.cluster_id == again.cluster_id != other.cluster_id
        assert 0 < first.cluster_id < 2**63


class TestStore:
    def test_is_preparing_then_serving(self) -> None:
        world = PDWorld()
        store = world.start("tikv-0")
        assert store.state is NodeState.PREPARING
        world.after(SETTINGS.preparing_seconds + SETTINGS.schedule_interval)
        assert store.state is NodeState.SERVING

    def test_keeps_its_id_when_it_comes_back_with_its_volume(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(3)
        started = first.started_at
        world.pd.stopped(first.id, world.now)
        world.after(5)
        again = world.start("tikv-0", store_id=first.id, cluster_id=world.pd.cluster_id)
        assert again is first
        assert again.started_at == started + 65

    @pytest.mark.parametrize(
        ("registration", "reason"),
        [
            ({"store_id": 1, "cluster_id": 42}, "cluster ID mismatch"),
            ({"store_id": 77}, "tombstone"),
            ({}, "duplicated store address"),
        ],
    )
    def test_is_refused(self, registration: dict[str, int], reason: str) -> None:
        world = PDWorld()
        world.start_all(3)
        with pytest.raises(RegistrationRefused, match=reason):
            world.start("tikv-0", **registration)

    def test_is_refused_after_its_funeral_while_a_new_one_may_take_the_address(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(4)
        world.pd.remove_store(first.id, world.now)
        world.after(60)
        assert first.state is NodeState.REMOVED
        with pytest.raises(RegistrationRefused, match="tombstone"):
            world.start("tikv-0", store_id=first.id)
        assert world.start("tikv-0").id != first.id

    @pytest.mark.parametrize(("silent", "name"), [(0.0, "Up"), (19.0, "Up"), (40.0, "Disconnected"), (1830.0, "Down")])
    def test_is_named_by_its_silence(self, silent: float, name: str) -> None:
        world = PDWorld()
        first, *_ = world.start_all(3)
        world.pd.stopped(first.id, world.now)
        world.after(silent)
        assert world.pd.state_name(first, world.now) == name

    def test_sends_heartbeats_while_it_and_pd_live(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(3)
        assert first.last_heartbeat == first.started_at + 60
        world.after(SETTINGS.heartbeat_seconds - 1)
        assert first.last_heartbeat == first.started_at + 60
        world.after(1)
        assert first.last_heartbeat == first.started_at + 70
        world.pd.member_runs("pd-0", False, world.now)
        world.after(100)
        assert first.last_heartbeat == first.started_at + 70
        world.pd.member_runs("pd-0", True, world.now)
        world.after(10)
        assert first.last_heartbeat == first.started_at + 180

    def test_labels_are_merged_and_an_empty_value_removes_one(self) -> None:
        world = PDWorld()
        store = world.start("tikv-0", labels=(("zone", "a"), ("disk", "ssd")))
        world.pd.set_labels(store.id, {"host": "h", "disk": ""}, world.now)
        assert store.labels == {"zone": "a", "host": "h"}
        world.pd.delete_label(store.id, "host", world.now)
        assert store.labels == {"zone": "a"}
        with pytest.raises(PDRefused, match="host does not exist"):
            world.pd.delete_label(store.id, "host", world.now)


class TestRemoval:
    def test_empties_a_store_and_buries_it(self) -> None:
        world = PDWorld()
        first, *rest = world.start_all(4)
        world.pd.remove_store(first.id, world.now)
        assert first.state is NodeState.REMOVING
        assert world.pd.state_name(first, world.now) == "Offline"
        world.after(60)
        assert first.state is NodeState.REMOVED
        assert world.pd.state_name(first, world.now) == "Tombstone"
        assert [world.peers(store) for store in rest] == [60, 60, 60]
        assert world.pd.stores()[0] is first

    def test_takes_time_that_depends_on_the_rate(self) -> None:
        world = PDWorld(replace(SETTINGS, region_rate=1.0, regions=30))
        first, *_ = world.start_all(4, settle=300)
        before = world.peers(first)
        world.pd.remove_store(first.id, world.now)
        world.after(10)
        assert before - 12 <= world.peers(first) <= before - 8
        assert first.state is NodeState.REMOVING

    def test_can_be_taken_back(self) -> None:
        world = PDWorld(replace(SETTINGS, region_rate=4.0))
        first, *_ = world.start_all(4, settle=300)
        world.pd.remove_store(first.id, world.now)
        world.after(5)
        world.pd.restore_store(first.id, world.now)
        assert first.state is NodeState.SERVING
        world.after(300)
        assert world.peers(first) == 45
        assert world.leaders(first) == 15

    def test_is_refused_when_fewer_stores_than_replicas_would_be_left(self) -> None:
        world = PDWorld()
        stores = world.start_all(4)
        world.pd.remove_store(stores[0].id, world.now)
        with pytest.raises(PDRefused, match="number of up stores would be 2 while need 3"):
            world.pd.remove_store(stores[1].id, world.now)

    def test_of_a_store_under_removal_changes_nothing(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(4)
        world.pd.remove_store(first.id, world.now)
        world.pd.remove_store(first.id, world.now)
        assert first.state is NodeState.REMOVING

    def test_is_final(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(4)
        world.pd.remove_store(first.id, world.now)
        world.after(60)
        for call in (world.pd.remove_store, world.pd.restore_store):
            with pytest.raises(StoreGone):
                call(first.id, world.now)

    def test_of_an_unknown_store(self) -> None:
        world = PDWorld()
        world.start_all(3)
        with pytest.raises(StoreNotFound):
            world.pd.remove_store(99, world.now)

    def test_works_for_a_store_whose_process_is_dead(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(4)
        world.pd.stopped(first.id, world.now)
        world.pd.remove_store(first.id, world.now)
        world.after(60)
        assert first.state is NodeState.REMOVED


class TestLeaders:
    def test_leave_a_store_that_evicts_them_and_come_back(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(3)
        assert world.leaders(first) == 20
        world.pd.evict_leaders(first.id, world.now)
        world.after(10)
        assert world.leaders(first) == 0
        world.after(1000)
        assert world.leaders(first) == 0
        assert world.pd.stop_evicting(first.id, world.now)
        world.after(10)
        assert world.leaders(first) == 20

    def test_leave_at_the_rate_of_the_settings(self) -> None:
        world = PDWorld(replace(SETTINGS, leader_rate=2.0))
        first, *_ = world.start_all(3, settle=600)
        world.pd.evict_leaders(first.id, world.now)
        world.after(5)
        assert 9 <= world.leaders(first) <= 11

    def test_stay_when_there_is_nowhere_to_go(self) -> None:
        world = PDWorld()
        only, *_ = world.start_all(1)
        world.pd.evict_leaders(only.id, world.now)
        world.after(100)
        assert world.leaders(only) == SETTINGS.regions

    def test_stay_on_a_stubborn_store(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(4)
        world.pd.mark(first.id, busy=False, stubborn=True, now=world.now)
        world.pd.evict_leaders(first.id, world.now)
        world.after(100)
        assert world.leaders(first) == 15
        world.pd.mark(first.id, busy=False, stubborn=False, now=world.now)
        world.after(10)
        assert world.leaders(first) == 0

    def test_are_elected_anew_when_their_store_dies(self) -> None:
        world = PDWorld()
        first, *rest = world.start_all(3)
        world.pd.stopped(first.id, world.now)
        world.after(SETTINGS.election_timeout - 0.2)
        assert world.leaders(first) == 20
        world.after(0.4)
        assert world.leaders(first) == 0
        assert [world.leaders(store) for store in rest] == [30, 30]

    def test_are_elected_without_pd(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(3)
        world.pd.member_runs("pd-0", False, world.now)
        world.pd.stopped(first.id, world.now)
        world.after(5)
        assert world.leaders(first) == 0

    def test_cannot_be_elected_without_a_majority(self) -> None:
        world = PDWorld()
        first, second, _ = world.start_all(3)
        for store in (first, second):
            world.pd.stopped(store.id, world.now)
        world.after(100)
        assert world.leaders(first) == 20


class TestRegions:
    def test_get_their_replicas_as_stores_come(self) -> None:
        world = PDWorld()
        assert [world.peers(store) for store in world.start_all(1)] == [60]
        second, third = world.start("second"), world.start("third")
        world.after(60)
        assert [world.peers(store) for store in (second, third)] == [60, 60]

    def test_spread_over_a_new_store(self) -> None:
        world = PDWorld()
        stores = world.start_all(5)
        assert [world.peers(store) for store in stores] == [36] * 5
        assert [world.leaders(store) for store in stores] == [12] * 5

    def test_are_isolated_by_the_location_labels(self) -> None:
        world = PDWorld()
        stores = world.start_all(6)
        world.pd.configure(location_labels=("zone", "host"))
        world.after(120)
        zones = {store.id: store.labels["zone"] for store in stores}
        for region in world.pd.regions:
            assert {zones[store] for store in region.peers} == {"a", "b", "c"}

    def test_lose_peers_when_fewer_replicas_are_wanted(self) -> None:
        world = PDWorld()
        stores = world.start_all(5)
        world.pd.configure(max_replicas=1)
        world.after(60)
        assert sum(world.peers(store) for store in stores) == 60

    def test_leave_a_store_that_was_silent_for_too_long(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(4)
        world.pd.stopped(first.id, world.now)
        world.after(SETTINGS.down_after - 30)
        assert world.peers(first) == 45
        world.after(60)
        assert world.peers(first) == 0
        assert first.state is NodeState.SERVING

    def test_report_down_peers(self) -> None:
        world = PDWorld(replace(SETTINGS, regions=2))
        first, *_ = world.start_all(3)
        world.pd.stopped(first.id, world.now)
        world.after(SETTINGS.peer_down_after - 1)
        assert world.pd.down_peers(world.now) == []
        world.after(2)
        down = world.pd.down_peers(world.now)
        assert [(region, [(store, seconds) for _, store, seconds in peers]) for region, peers in down] == [
            (region.id, [(first.id, 31)]) for region in world.pd.regions
        ]

    def test_rest_while_pd_has_no_leader(self) -> None:
        world = PDWorld()
        first, *_ = world.start_all(3)
        world.pd.silence(world.now + 100, world.now)
        world.pd.evict_leaders(first.id, world.now)
        world.after(99)
        assert world.leaders(first) == 20
        world.after(10)
        assert world.leaders(first) == 0


class TestQuorum:
    @pytest.mark.parametrize(
        ("servers", "down", "serving"), [(1, 0, True), (1, 1, False), (3, 1, True), (3, 2, False), (5, 2, True)]
    )
    def test_decides_whether_pd_answers(self, servers: int, down: int, serving: bool) -> None:
        world = PDWorld(servers=servers)
        for number in range(down):
            world.pd.member_runs(f"pd-{number}", False, world.now)
        world.after(SETTINGS.pd_revive_seconds)
        assert world.pd.serving(world.now) is serving

    def test_comes_back_with_a_leader_after_a_moment(self) -> None:
        world = PDWorld()
        world.pd.member_runs("pd-0", False, world.now)
        world.after(10)
        world.pd.member_runs("pd-0", True, world.now)
        assert not world.pd.serving(world.now)
        world.after(SETTINGS.pd_revive_seconds)
        assert world.pd.serving(world.now)

    def test_elects_another_leader(self) -> None:
        world = PDWorld(servers=3)
        leader = world.pd.members.leader
        assert leader is not None
        world.pd.member_runs(leader.name, False, world.now)
        assert world.pd.members.leader not in (None, leader)
        assert not world.pd.serving(world.now)

    def test_keeps_all_state_over_an_outage_of_all_servers(self) -> None:
        world = PDWorld()
        stores = world.start_all(3)
        world.pd.evict_leaders(stores[0].id, world.now)
        world.pd.member_runs("pd-0", False, world.now)
        world.after(10)
        world.pd.member_runs("pd-0", True, world.now)
        world.after(10)
        assert world.pd.stores() == stores
        assert world.pd.evicting == {stores[0].id}


class TestTime:
    def test_does_not_depend_on_how_often_anybody_looks(self) -> None:
        seldom, often = PDWorld(), PDWorld()
        for world, steps in ((seldom, 1), (often, 500)):
            world.start_all(5, settle=0)
            for _ in range(steps):
                world.after(50 / steps)
        assert [(region.leader, region.peers) for region in seldom.pd.regions] == [
            (region.leader, region.peers) for region in often.pd.regions
        ]

    def test_years_cost_nothing_once_all_is_settled(self) -> None:
        world = PDWorld()
        world.start_all(3)
        world.after(10 * 365 * 86400.0)


OPERATIONS = st.one_of(
    st.tuples(st.just("start"), st.integers(0, 6)),
    st.tuples(st.just("stop"), st.integers(0, 6)),
    st.tuples(st.just("remove"), st.integers(1, 8)),
    st.tuples(st.just("restore"), st.integers(1, 8)),
    st.tuples(st.just("evict"), st.integers(1, 8)),
    st.tuples(st.just("release"), st.integers(1, 8)),
    st.tuples(st.just("wait"), st.integers(1, 20)),
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(OPERATIONS, max_size=25))
def test_whatever_happens_regions_stay_whole_and_end_where_they_belong(operations: list[tuple[str, int]]) -> None:
    world = PDWorld(replace(SETTINGS, regions=12))
    pd = world.pd
    identities: dict[int, int] = {}
    for operation, number in operations:
        apply_operation(world, identities, operation, number)
        assert_counts_are_those_of_the_regions(pd)
    for number, store_id in identities.items():  # everything that can come back comes back
        if pd.store(store_id).state is not NodeState.REMOVED and not pd.store(store_id).alive:
            world.start(f"tikv-{number}", store_id=store_id)
    world.after(600)
    assert_counts_are_those_of_the_regions(pd)
    able = [store for store in pd.stores() if store.alive and store.state.is_up]
    leading = [store for store in able if store.id not in pd.evicting]
    for region in pd.regions:
        if len(able) >= 3:
            assert len(region.peers) == 3
            assert all(pd.store(store).state.is_up for store in region.peers)
        if any(store.id in region.peers for store in leading):
            assert region.leader not in pd.evicting


def apply_operation(world: PDWorld, identities: dict[int, int], operation: str, number: int) -> None:
    pd = world.pd
    match operation:
        case "start" if number not in identities:
            identities[number] = world.start(f"tikv-{number}").id
        case "stop" if number in identities:
            pd.stopped(identities[number], world.now)
        case "wait":
            world.after(number)
        case "remove" | "restore" | "evict":
            call = {"remove": pd.remove_store, "restore": pd.restore_store, "evict": pd.evict_leaders}[operation]
            try:
                call(number, world.now)
            except PDRefused:
                return
        case "release":
            pd.stop_evicting(number, world.now)
