"""PD's JSON is read tolerantly: what it leaves out, sends as null or writes as a string means what it means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tikv_operator.pdclient import Member, MemberHealth, Members, PDConfig, Store, TSOMember, wire
from tikv_operator.pdclient.models import KeptSchedulers

FULL_STORE = (
    b'{"store":{"id":4,"address":"basic-tikv-5gzwgj.basic-tikv-peer.default:20160",'
    b'"labels":[{"key":"zone","value":"a"}],"version":"8.1.0","peer_address":"x:20160",'
    b'"status_address":"basic-tikv-5gzwgj.basic-tikv-peer.default:20180","git_hash":"f","start_timestamp":1735095903,'
    b'"deploy_path":"/","last_heartbeat":1735098083480549971,"node_state":1,"state_name":"Up"},'
    b'"status":{"capacity":"311.7GiB","leader_count":17,"leader_weight":1,"region_count":60,"region_score":127.38,'
    b'"uptime":"36m20.480549971s","is_busy":true}}'
)


def test_a_store_is_read_whole() -> None:
    assert wire.store(FULL_STORE) == Store(
        id="4",
        address="basic-tikv-5gzwgj.basic-tikv-peer.default:20160",
        status_address="basic-tikv-5gzwgj.basic-tikv-peer.default:20180",
        labels={"zone": "a"},
        version="8.1.0",
        state="Up",
        state_name="Up",
        node_state="Serving",
        start_timestamp=1735095903,
        last_heartbeat=1735098083480549971 / 1e9,
        leader_count=17,
        region_count=60,
        busy=True,
    )


@pytest.mark.parametrize(
    ("meta", "status", "expected"),
    [
        pytest.param({}, {}, {"state": "Up", "node_state": "Preparing", "labels": {}}, id="absent is zero"),
        pytest.param({"state": 1, "node_state": 2}, {}, {"state": "Offline", "node_state": "Removing"}, id="removing"),
        pytest.param({"state": 2, "node_state": 3}, {}, {"state": "Tombstone", "node_state": "Removed"}, id="removed"),
        pytest.param({"state": "1", "node_state": "2"}, {}, {"state": "Offline", "node_state": "Removing"}, id="text"),
        pytest.param({"state": "Offline"}, {}, {"state": "Offline"}, id="enum by name"),
        pytest.param({"state": 9, "node_state": 8}, {}, {"state": "9", "node_state": "8"}, id="unknown enum"),
        pytest.param({"state": -1}, {}, {"state": "-1"}, id="negative enum"),
        pytest.param({"labels": None}, None, {"labels": {}, "leader_count": 0, "busy": False}, id="nulls"),
        pytest.param(
            {}, {"leader_count": "3", "region_count": 4.0}, {"leader_count": 3, "region_count": 4}, id="numbers"
        ),
        pytest.param({}, {"is_busy": "true"}, {"busy": True}, id="boolean as text"),
        pytest.param(
            {"state_name": "Disconnected"}, {}, {"state": "Up", "state_name": "Disconnected"}, id="disconnected"
        ),
        pytest.param({"id": "18446744073709551615"}, {}, {"id": "18446744073709551615"}, id="largest id, as text"),
        pytest.param({"id": 18446744073709551615}, {}, {"id": "18446744073709551615"}, id="largest id, as number"),
        pytest.param({"labels": [{"key": "engine", "value": "tiflash"}]}, {}, {"engine": "tiflash"}, id="tiflash"),
        pytest.param({"brand_new": {"x": 1}}, {"also_new": []}, {"engine": "tikv"}, id="unknown fields"),
    ],
)
def test_a_store_with_odd_parts_is_still_read(
    meta: dict[str, Any], status: dict[str, Any] | None, expected: dict[str, Any]
) -> None:
    store = wire.store(msgspec.json.encode({"store": {"id": 1} | meta, "status": status}))
    assert {name: getattr(store, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("raw", "ids"),
    [
        pytest.param(b'{"count":0,"stores":null}', [], id="null"),
        pytest.param(b'{"count":0}', [], id="absent"),
        pytest.param(b'{"stores":[{"store":{"id":2}},{"store":{"id":1},"status":{}}]}', ["2", "1"], id="PD's order"),
        pytest.param(b'{"stores":[{},{"store":null},{"store":{"id":0}},{"store":{"id":1}}]}', ["1"], id="without id"),
    ],
)
def test_the_list_of_stores(raw: bytes, ids: list[str]) -> None:
    assert [store.id for store in wire.stores(raw)] == ids


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b'{"stores":[3]}', b'{"stores":[{"store":{"id":{}}}]}'])
def test_nonsense_is_an_error(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.stores(raw)


@pytest.mark.parametrize(
    ("replication", "expected"),
    [
        pytest.param(
            {"location-labels": "zone,host"}, PDConfig(location_labels=("zone", "host")), id="comma separated"
        ),
        pytest.param({"location-labels": " zone , ,host,"}, PDConfig(location_labels=("zone", "host")), id="untidy"),
        pytest.param({"location-labels": ["zone", "host"]}, PDConfig(location_labels=("zone", "host")), id="list"),
        pytest.param({"location-labels": ""}, PDConfig(), id="empty"),
        pytest.param({"location-labels": None, "max-replicas": None}, PDConfig(), id="null"),
        pytest.param({"max-replicas": "5", "strictly-match-label": "false"}, PDConfig(max_replicas=5), id="as text"),
        pytest.param({"max-replicas": 1}, PDConfig(max_replicas=1), id="one replica"),
        pytest.param(None, None, id="no replication"),
    ],
)
def test_the_configuration(replication: dict[str, Any] | None, expected: PDConfig | None) -> None:
    assert wire.config(msgspec.json.encode({"replication": replication, "schedule": {"x": 1}})) == expected


def test_members_know_the_leaders_and_the_cluster() -> None:
    one = {"name": "a", "member_id": 1, "client_urls": ["http://a:2379"], "peer_urls": ["http://a:2380"], "x": 1}
    two = {
        "name": "b",
        "member_id": "2",
        "client_urls": ["http://b:2379", "http://b2:2379"],
        "binary_version": "v8.5.2",
    }
    answer = wire.members(
        msgspec.json.encode({"header": {"cluster_id": 7}, "members": [one, two], "leader": two, "etcd_leader": one})
    )
    a = Member(name="a", id="1", client_urls=("http://a:2379",), peer_urls=("http://a:2380",))
    b = Member(name="b", id="2", client_urls=("http://b:2379", "http://b2:2379"), version="v8.5.2")
    assert answer == Members(cluster_id="7", members=(a, b), leader=b, etcd_leader=a)
    assert answer.client_urls == ("http://b:2379", "http://b2:2379", "http://a:2379")


@pytest.mark.parametrize(
    "raw", [b"{}", b'{"header":null,"members":null,"leader":null}', b'{"header":{"cluster_id":0}}']
)
def test_members_without_leader_or_cluster(raw: bytes) -> None:
    assert wire.members(raw) == Members()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b'{"id":7452180154224557728,"max_peer_count":3}', "7452180154224557728", id="number"),
        pytest.param(b'{"id":"12"}', "12", id="text"),
        pytest.param(b'{"id":0}', "", id="zero"),
        pytest.param(b'{"max_peer_count":3}', "", id="absent"),
    ],
)
def test_the_cluster_id(raw: bytes, expected: str) -> None:
    assert wire.cluster_id(raw) == expected


def test_health() -> None:
    assert wire.health(
        b'[{"name":"a","member_id":1,"client_urls":["u"],"health":true},{"name":"b","member_id":2}]'
    ) == (
        MemberHealth(name="a", id="1", client_urls=("u",), healthy=True),
        MemberHealth(name="b", id="2"),
    )
    assert wire.health(b"null") == ()


def down(*stores: int) -> dict[str, Any]:
    return {"id": 1, "down_peers": [{"peer": {"id": 9, "store_id": store}, "down_seconds": 300} for store in stores]}


@pytest.mark.parametrize(
    ("answer", "own", "elsewhere"),
    [
        pytest.param({"count": 0}, "1", 0, id="none"),
        pytest.param({"count": 2, "regions": [down(2), down(3)]}, "1", 2, id="on other stores"),
        pytest.param({"count": 1, "regions": [down(1)]}, "1", 0, id="on the own store"),
        pytest.param({"count": 2, "regions": [down(1), down(2)]}, "1", 1, id="on both"),
        pytest.param({"count": 1, "regions": [down(1, 1)]}, "1", 0, id="never negative"),
        pytest.param({"count": 1}, "1", 1, id="without details"),
        pytest.param({"count": 1, "regions": [{"id": 1}, {"down_peers": [{}]}]}, "1", 1, id="with half the details"),
        pytest.param({"count": 1, "regions": [down(1)]}, "", 1, id="own store unknown"),
        pytest.param({"count": 1, "regions": None}, "1", 1, id="null"),
    ],
)
def test_down_peers_are_counted_without_those_of_the_own_store(
    answer: dict[str, Any], own: str, elsewhere: int
) -> None:
    assert wire.down_peers(msgspec.json.encode(answer)).elsewhere(own) == elsewhere


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b'{"store-id-ranges":{"4":[{"start-key":"","end-key":""}],"5":null}}', {"4", "5"}, id="two"),
        pytest.param(b'{"store-id-ranges":null}', set(), id="null"),
        pytest.param(b"{}", set(), id="absent"),
    ],
)
def test_the_evicted_stores(raw: bytes, expected: set[str]) -> None:
    assert wire.evicted_store_ids(raw) == expected


BALANCE, EVICT = {"type": "balance-leader"}, {"type": "evict-leader", "args": ["4"]}
FIVE = {"evict-leader-scheduler": {"store-id-ranges": {"5": None}}, "balance-leader-scheduler": None}


@pytest.mark.parametrize(
    ("answer", "some", "evicting"),
    [
        pytest.param({}, False, set(), id="nothing said"),
        pytest.param({"schedule": {"schedulers-v2": None}}, False, set(), id="null"),
        pytest.param({"schedule": {"schedulers-v2": [BALANCE]}}, True, set(), id="another kind"),
        pytest.param({"schedule": {"schedulers-v2": [BALANCE | {"disable": True}]}}, False, set(), id="disabled"),
        pytest.param({"schedule": {"schedulers-v2": [EVICT], "schedulers-payload": FIVE}}, True, {"5"}, id="its own"),
        pytest.param({"schedule": {"schedulers-v2": [BALANCE, EVICT]}}, True, {"4"}, id="by its arguments"),
        pytest.param({"schedule": {"schedulers-payload": FIVE}}, False, set(), id="left over, and not taken up"),
    ],
)
def test_the_schedulers_that_are_kept(answer: dict[str, Any], some: bool, evicting: set[str]) -> None:
    assert wire.kept_schedulers(msgspec.json.encode(answer)) == KeptSchedulers(some=some, evicting=frozenset(evicting))


def test_the_timestamp_service() -> None:
    assert wire.tso_members(b'[{"name":"t","service-addr":"http://t:2379","version":"v8","start-timestamp":1}]') == (
        TSOMember(name="t", service_addr="http://t:2379", version="v8"),
    )
    assert wire.tso_members(b"null") == ()
    assert wire.text(b'"http://t:2379"') == "http://t:2379"
    assert wire.text(b"null") == ""
