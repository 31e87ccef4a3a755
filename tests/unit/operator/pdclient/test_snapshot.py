"""Which store counts at an address, and whose reconciler a change concerns."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from tikv_operator.pdclient import PDConfig, PDSnapshot, Store
from tikv_operator.pdclient.snapshot import by_address, changes, is_continued

A, B, C = "a:20160", "b:20160", "c:20160"


def store(store_id: str = "1", address: str = A, **values: Any) -> Store:
    plain: dict[str, Any] = {"id": store_id, "address": address, "node_state": "Serving", "region_count": 50}
    return Store(**plain | values)


def snapshot(*stores: Store, evicting: tuple[str, ...] = (), labels: tuple[str, ...] = ()) -> PDSnapshot:
    return PDSnapshot(stores=by_address(stores), evicting=frozenset(evicting), config=PDConfig(location_labels=labels))


DEAD = {"state": "Tombstone", "node_state": "Removed"}


@pytest.mark.parametrize(
    ("stores", "winner"),
    [
        pytest.param([store("1", **DEAD), store("2")], "2", id="the living over the tombstone"),
        pytest.param([store("1"), store("2", **DEAD)], "1", id="the living over a newer tombstone"),
        pytest.param([store("9"), store("10")], "10", id="the newer of two living, by number"),
        pytest.param([store("1", **DEAD), store("2", **DEAD)], "2", id="the newer of two tombstones"),
        pytest.param(
            [store("1", state="Offline", node_state="Removing"), store("2", **DEAD)], "1", id="removing lives"
        ),
        pytest.param([store("1", **DEAD), store("2"), store("3", **DEAD)], "2", id="of three"),
        pytest.param([store("1", node_state="Removed"), store("2")], "2", id="removed by node state alone"),
    ],
)
def test_one_store_counts_at_each_address_whatever_the_order(stores: list[Store], winner: str) -> None:
    for order in itertools.permutations(stores):
        assert by_address(order)[A].id == winner


def test_stores_of_different_addresses_stand_side_by_side() -> None:
    assert {address: found.id for address, found in by_address([store("1", A), store("2", B)]).items()} == {
        A: "1",
        B: "2",
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, {"id": "2"}, id="another store"),
        pytest.param({}, {"labels": {"zone": "a"}}, id="labels"),
        pytest.param({}, {"version": "8.5.2"}, id="version"),
        pytest.param({}, {"state": "Offline"}, id="state"),
        pytest.param({}, {"state_name": "Disconnected"}, id="missed heartbeats"),
        pytest.param({}, {"node_state": "Removing"}, id="node state"),
        pytest.param({}, {"start_timestamp": 5}, id="restarted"),
        pytest.param({}, {"busy": True}, id="busy"),
        pytest.param({}, {"physically_destroyed": True}, id="destroyed"),
        pytest.param({"leader_count": 0}, {"leader_count": 1}, id="leads something"),
        pytest.param({"leader_count": 1}, {"leader_count": 0}, id="leads nothing"),
        pytest.param({"region_count": 99}, {"region_count": 100}, id="so many regions that it must lead"),
        pytest.param({"region_count": 100}, {"region_count": 99}, id="so few that it need not"),
        pytest.param({"node_state": "Removing"}, {"node_state": "Removing", "region_count": 49}, id="being emptied"),
    ],
)
def test_what_matters_wakes_that_store_alone(before: dict[str, Any], after: dict[str, Any]) -> None:
    old = snapshot(store(**before), store("7", B))
    new = snapshot(store(**after), store("7", B))
    assert changes(old, new, ready_regions=100) == {A}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"last_heartbeat": 1.0}, {"last_heartbeat": 2.0}, id="heartbeat"),
        pytest.param({"leader_count": 1}, {"leader_count": 20}, id="leaders wander"),
        pytest.param({"region_count": 1}, {"region_count": 99}, id="regions wander below the threshold"),
        pytest.param({"region_count": 100}, {"region_count": 900}, id="regions wander above the threshold"),
    ],
)
def test_what_does_not_matter_wakes_nobody(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert changes(snapshot(store(**before)), snapshot(store(**after)), ready_regions=100) == set()


def test_a_new_store_and_a_lost_one_are_changes() -> None:
    assert changes(snapshot(store("1", A)), snapshot(store("2", B)), ready_regions=100) == {A, B}


def test_beginning_and_ending_an_eviction_wakes_the_store() -> None:
    stores = (store("1", A), store("2", B), store("3", C))
    old, new = snapshot(*stores, evicting=("1", "2")), snapshot(*stores, evicting=("2", "3"))
    assert changes(old, new, ready_regions=100) == {A, C}


def test_the_progress_of_an_eviction_wakes_the_store() -> None:
    old = snapshot(store("1", A, leader_count=9), store("2", B, leader_count=9), evicting=("1",))
    new = snapshot(store("1", A, leader_count=8), store("2", B, leader_count=10), evicting=("1",))
    assert changes(old, new, ready_regions=100) == {A}


def test_other_location_labels_wake_all() -> None:
    old = snapshot(store("1", A), store("2", B))
    new = snapshot(store("1", A), store("3", C), labels=("zone",))
    assert changes(old, new, ready_regions=100) == {A, B, C}


def test_a_server_that_is_prepared_now_wakes_all() -> None:
    unprepared = msgspec.structs.replace(snapshot(store("1", A), store("2", B)), prepared=False)
    prepared = msgspec.structs.replace(unprepared, prepared=True)
    assert changes(unprepared, prepared, ready_regions=100) == {A, B}


def test_the_first_snapshot_wakes_all() -> None:
    assert changes(None, snapshot(store("1", A), store("2", B)), ready_regions=100) == {A, B}


def test_a_note_overrides_what_pd_said_of_that_store_alone() -> None:
    noted = snapshot(evicting=("1", "2")).with_evicting({"1": False, "3": True})
    assert noted.evicting == {"2", "3"}


def test_a_store_is_found_by_its_id() -> None:
    found = snapshot(store("1", A), store("2", B))
    assert found.store_by_id("2") == store("2", B)
    assert found.store_by_id("3") is None


def test_a_snapshot_cannot_be_changed() -> None:
    found = snapshot(store())
    with pytest.raises(TypeError):
        found.stores["x"] = store()  # type: ignore[index]
    with pytest.raises(AttributeError):
        found.taken_at = 1.0  # type: ignore[misc]
    assert msgspec.structs.replace(found, taken_at=1.0).taken_at == 1.0


TOMBSTONE = store("1", state="Tombstone", node_state="Removed")


def test_pd_buries_stores_but_does_not_forget_living_ones() -> None:
    assert is_continued(snapshot(store("1")), snapshot(store("1", state="Offline"), store("2", B)))
    assert is_continued(snapshot(store("1")), snapshot(TOMBSTONE))
    assert is_continued(snapshot(TOMBSTONE), snapshot())
    assert not is_continued(snapshot(store("1")), snapshot())
    assert not is_continued(snapshot(store("1")), snapshot(store("2")))


def test_labels_that_we_have_written_are_there_and_what_we_removed_is_not() -> None:
    before = PDSnapshot(stores=by_address([Store(id="1", address="a:1", labels={"x": "1", "y": "2"})]))
    after = before.with_labels({"1": {"x": None, "z": "3"}, "9": {"x": "1"}})
    assert dict(after.stores["a:1"].labels) == {"y": "2", "z": "3"}
    assert before.with_labels({"9": {"x": "1"}}) is before
