"""The simulated PD's HTTP API: PD's shapes to the letter, and PD's ways to say no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from helpers.simulated_pd import START, PDWorld
from tikv_operator.simulation.pd.http import handle
from tikv_operator.simulation.settings import SimulationSettings

SETTINGS = SimulationSettings()
ALL_STATES = [("state", "0"), ("state", "1"), ("state", "2")]


@pytest.fixture
def world() -> PDWorld:
    world = PDWorld()
    world.start_all(4)
    return world


def test_a_new_store_omits_its_zero_values() -> None:
    world = PDWorld(replace(SETTINGS, regions=1))
    world.start("a.peer.ns")
    status, answer = world.call("GET", "v1/stores")
    assert status == 200
    assert answer["stores"][0]["store"] == {
        "id": 1,
        "address": "a.peer.ns:20160",
        "version": "8.5.0",
        "peer_address": "a.peer.ns:20160",
        "status_address": "a.peer.ns:20180",
        "git_hash": answer["stores"][0]["store"]["git_hash"],
        "start_timestamp": int(START),
        "deploy_path": "/",
        "last_heartbeat": int(START * 1e9) + 300_000_000,
        "state_name": "Up",
    }


def test_a_settled_store_has_pds_shape() -> None:
    world = PDWorld(replace(SETTINGS, regions=7))
    store = world.start("a", labels=(("zone", "a"),), capacity=10 << 30)
    world.pd.mark(store.id, busy=True, stubborn=False, now=world.now)
    world.after(60)
    status, answer = world.call("GET", "v1/store/1")
    assert status == 200
    del answer["store"]["git_hash"]
    assert answer == {
        "store": {
            "id": 1,
            "address": "a:20160",
            "labels": [{"key": "zone", "value": "a"}],
            "version": "8.5.0",
            "peer_address": "a:20160",
            "status_address": "a:20180",
            "start_timestamp": int(START),
            "deploy_path": "/",
            "last_heartbeat": int(START * 1e9) + 60_300_000_000,
            "node_state": 1,
            "state_name": "Up",
        },
        "status": {
            "capacity": "10GiB",
            "available": "9.344GiB",
            "used_size": "672MiB",
            "leader_count": 7,
            "leader_weight": 1,
            "leader_score": 7,
            "leader_size": 672,
            "region_count": 7,
            "region_weight": 1,
            "region_score": 672.0,
            "region_size": 672,
            "slow_score": 1,
            "is_busy": True,
            "start_ts": "2026-01-01T00:00:00Z",
            "last_heartbeat_ts": "2026-01-01T00:01:00.3Z",
            "uptime": "1m0s",
        },
    }


def test_stores_are_filtered_by_state(world: PDWorld) -> None:
    world.call("DELETE", "v1/store/1")
    world.after(60)
    assert {item["store"]["id"] for item in world.call("GET", "v1/stores")[1]["stores"]} == {2, 3, 4}
    _, raw = handle(world.pd, "GET", "/pd/api/v1/stores", ALL_STATES, b"", now=world.now)
    assert raw.startswith(b'{\n  "count": 4,')
    buried = world.call("GET", "v1/store/1")[1]["store"]
    assert (buried["state"], buried["node_state"], buried["state_name"]) == (2, 3, "Tombstone")


def test_a_store_under_removal_says_so() -> None:
    world = PDWorld(replace(SETTINGS, region_rate=1.0))
    world.start_all(4, settle=600)
    assert world.call("DELETE", "v1/store/1") == (200, "The store is set as Offline.")
    store = world.call("GET", "v1/store/1")[1]["store"]
    assert (store["state"], store["node_state"], store["state_name"]) == (1, 2, "Offline")
    assert world.call("POST", "v1/store/1/state", state="Up") == (200, "The store's state is updated.")
    store = world.call("GET", "v1/store/1")[1]["store"]
    assert "state" not in store
    assert store["node_state"] == 1


def test_cluster_is_a_number(world: PDWorld) -> None:
    assert world.call("GET", "v1/cluster") == (200, {"id": world.pd.cluster_id, "max_peer_count": 3})


def test_members_name_both_leaders() -> None:
    world = PDWorld(servers=3)
    world.pd.member_runs("pd-2", False, world.now)
    status, answer = world.call("GET", "v1/members")
    assert status == 200
    assert answer["header"] == {"cluster_id": world.pd.cluster_id}
    assert [member["name"] for member in answer["members"]] == ["pd-0", "pd-1", "pd-2"]
    assert answer["leader"] == answer["etcd_leader"] == answer["members"][0]
    assert answer["leader"]["client_urls"] == ["http://pd-0.peer.ns:2379"]
    health = world.call("GET", "v1/health")[1]
    assert [entry.get("health", False) for entry in health] == [True, True, False]
    assert {entry["member_id"] for entry in health} == {member["member_id"] for member in answer["members"]}


def test_leadership_can_be_handed_over() -> None:
    world = PDWorld(servers=3)
    world.pd.member_runs("pd-2", False, world.now)
    assert world.call("POST", "v1/leader/transfer/pd-1")[0] == 200
    assert world.call("GET", "v1/members") == (503, "no leader\n")
    world.after(SimulationSettings().pd_revive_seconds)
    assert world.call("GET", "v1/members")[1]["leader"]["name"] == "pd-1"
    assert world.call("POST", "v1/leader/transfer/pd-2")[0] == 500
    assert world.call("POST", "v1/leader/transfer/nobody")[0] == 500


def test_members_can_be_removed() -> None:
    world = PDWorld(servers=3)
    assert world.call("DELETE", "v1/members/name/pd-0")[0] == 200
    world.after(1)
    assert world.call("DELETE", "v1/members/name/pd-0")[0] == 404
    assert [member["name"] for member in world.call("GET", "v1/members")[1]["members"]] == ["pd-1", "pd-2"]


def test_location_labels_are_one_string(world: PDWorld) -> None:
    assert world.call("GET", "v1/config")[1]["replication"]["location-labels"] == ""
    world.pd.configure(location_labels=("zone", "host"), max_replicas=5)
    replication = world.call("GET", "v1/config")[1]["replication"]
    assert replication["location-labels"] == "zone,host"
    assert replication["max-replicas"] == 5


def test_leaders_are_evicted_by_one_scheduler_for_all_stores(world: PDWorld) -> None:
    name = "evict-leader-scheduler"
    assert name not in world.call("GET", "v1/schedulers")[1]
    assert world.call("GET", f"v1/scheduler-config/{name}/list")[0] == 404
    for store_id in (1, 3, 3):
        assert world.call("POST", "v1/schedulers", body={"name": name, "store_id": store_id})[0] == 200
    assert world.call("GET", "v1/schedulers")[1].count(name) == 1
    everything = [{"start-key": "", "end-key": ""}]
    assert world.call("GET", f"v1/scheduler-config/{name}/list") == (
        200,
        {"store-id-ranges": {"1": everything, "3": everything}},
    )
    assert world.call("DELETE", f"v1/schedulers/{name}-1")[0] == 200
    assert world.call("DELETE", f"v1/schedulers/{name}-1")[0] == 404
    assert world.call("GET", f"v1/scheduler-config/{name}/list")[1]["store-id-ranges"].keys() == {"3"}
    assert world.call("DELETE", f"v1/schedulers/{name}-3")[0] == 200
    assert name not in world.call("GET", "v1/schedulers")[1]


def test_all_evictions_end_with_their_scheduler(world: PDWorld) -> None:
    for store_id in (1, 3):
        world.call("POST", "v1/schedulers", body={"name": "evict-leader-scheduler", "store_id": store_id})
    assert world.call("DELETE", "v1/schedulers/evict-leader-scheduler")[0] == 200
    assert world.pd.evicting == set()


def restarted(settings: SimulationSettings) -> PDWorld:
    """A PD that evicts the leaders of stores 1 and 3, and whose server was killed and has just begun to lead again."""
    world = PDWorld(settings)
    world.start_all(3)
    for store_id in (1, 3):
        world.call("POST", "v1/schedulers", body={"name": "evict-leader-scheduler", "store_id": store_id})
    world.pd.member_runs("pd-0", False, world.now)
    world.pd.member_runs("pd-0", True, world.now)
    world.after(settings.pd_revive_seconds)
    return world


def test_a_server_that_begins_to_lead_takes_up_its_schedulers_late() -> None:
    world = restarted(SimulationSettings(pd_prepare_seconds=30.0))
    assert world.call("GET", "v1/schedulers") == (200, [])
    assert world.call("GET", "v1/scheduler-config/evict-leader-scheduler/list")[0] == 404
    assert world.call("DELETE", "v1/schedulers/evict-leader-scheduler-1")[0] == 404
    schedule = world.call("GET", "v1/config")[1]["schedule"]
    assert schedule["schedulers-payload"]["evict-leader-scheduler"]["store-id-ranges"].keys() == {"1", "3"}
    assert "evict-leader" in {scheduler["type"] for scheduler in schedule["schedulers-v2"]}
    world.after(30.0)
    assert "evict-leader-scheduler" in world.call("GET", "v1/schedulers")[1]
    assert world.call("GET", "v1/scheduler-config/evict-leader-scheduler/list")[1]["store-id-ranges"].keys() == {
        "1",
        "3",
    }


def test_until_then_it_moves_and_counts_nothing() -> None:
    world = restarted(SimulationSettings(pd_prepare_seconds=30.0))
    world.pd.stop_evicting(1, world.now)
    counts = [(store["status"]["leader_count"], store["status"]["region_count"]) for store in stores_of(world)]
    assert counts == [(0, 0)] * 3
    world.after(30.0)
    assert all(store["status"]["region_count"] for store in stores_of(world))


def test_an_eviction_that_begins_before_that_writes_over_those_that_are_kept() -> None:
    world = restarted(SimulationSettings(pd_prepare_seconds=30.0))
    world.call("POST", "v1/schedulers", body={"name": "evict-leader-scheduler", "store_id": 2})
    assert world.call("GET", "v1/schedulers") == (200, ["evict-leader-scheduler"])
    world.after(30.0)
    assert world.pd.evicting == {2}
    assert world.call("DELETE", "v1/schedulers/evict-leader-scheduler-2")[0] == 200
    assert world.pd.evicting == set()


def stores_of(world: PDWorld) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.call("GET", "v1/stores")[1]["stores"]
    return found


def test_labels_are_set_and_deleted(world: PDWorld) -> None:
    assert world.call("POST", "v1/store/1/label", body={"zone": "z", "$k/exclusive": "true"})[0] == 200
    assert world.call("DELETE", "v1/store/1/label", body="$k/exclusive")[0] == 200
    assert world.call("DELETE", "v1/store/1/label", body="$k/exclusive")[0] == 500
    labels = world.call("GET", "v1/store/1")[1]["store"]["labels"]
    assert {label["key"]: label["value"] for label in labels} == {"zone": "z", "host": "h0"}


def test_down_peers_have_pds_shape() -> None:
    world = PDWorld(replace(SETTINGS, regions=1))
    first, *_ = world.start_all(3)
    assert world.call("GET", "v1/regions/check/down-peer")[1] == {"count": 0, "regions": []}
    world.pd.stopped(first.id, world.now)
    world.after(45)
    region = next(iter(world.pd.regions))
    peer = {"id": region.peers[first.id], "store_id": first.id}
    assert world.call("GET", "v1/regions/check/down-peer")[1] == {
        "count": 1,
        "regions": [{"id": region.id, "down_peers": [{"peer": peer, "down_seconds": 45}]}],
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "v1/store/99", None, 404),
        ("DELETE", "v1/store/99", None, 404),
        ("POST", "v1/store/99/label", {"a": "b"}, 500),
        ("POST", "v1/store/1/label", ["no", "object"], 400),
        ("POST", "v1/store/1/state", None, 400),
        ("POST", "v1/schedulers", {}, 400),
        ("POST", "v1/schedulers", {"name": "evict-leader-scheduler"}, 400),
        ("POST", "v1/schedulers", {"name": "shuffle"}, 400),
        ("POST", "v1/schedulers", {"name": "evict-leader-scheduler", "store_id": 99}, 500),
        ("PUT", "v1/stores", None, 405),
        ("GET", "v1/no-such-thing", None, 404),
        ("GET", "v1/store/abc", None, 404),
    ],
)
def test_bad_requests_get_pds_answers(world: PDWorld, method: str, path: str, body: object, status: int) -> None:
    assert world.call(method, path, body=body)[0] == status


def test_a_removal_that_would_lose_replicas_is_a_bad_request() -> None:
    world = PDWorld()
    world.start_all(3)
    status, text = world.call("DELETE", "v1/store/1")
    assert status == 400
    assert "number of up stores would be 2 while need 3" in text


def test_a_buried_store_is_gone(world: PDWorld) -> None:
    world.call("DELETE", "v1/store/1")
    world.after(60)
    assert world.call("DELETE", "v1/store/1")[0] == 410
    assert world.call("POST", "v1/store/1/state", state="Up")[0] == 410


def test_before_the_first_store_pd_says_exactly_that() -> None:
    world = PDWorld()
    status, raw = handle(world.pd, "GET", "/pd/api/v1/stores", ALL_STATES, b"", now=world.now)
    assert status == 500
    assert raw.endswith(b'TiKV cluster not bootstrapped, please start TiKV first"\n')
    assert world.call("GET", "v1/cluster")[0] == 200
    assert world.call("GET", "v1/members")[0] == 200


def test_without_a_leader_pd_answers_nothing_else(world: PDWorld) -> None:
    world.pd.member_runs("pd-0", False, world.now)
    assert world.call("GET", "v1/stores") == (503, "no leader\n")
    assert world.call("DELETE", "v1/store/1") == (503, "no leader\n")
