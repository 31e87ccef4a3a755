"""Whether the cluster can spare one more store: the last look before a pod goes."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import ObjectMeta, format_time
from controller_runtime.api.k8s import Pod
from controller_runtime.task import Status
from helpers.group_world import make_group
from helpers.tikv_fakes import NOW, FakePD, make_cluster, make_context, make_pod, make_store, make_tikv, with_condition
from tikv_operator.api import Cluster, TiKV
from tikv_operator.pdclient import DownPeers, Store
from tikv_operator.tikv.tasks import disruption
from tikv_operator.tikv.tasks import pod as tasks
from tikv_operator.tikv.tasks.state import Problem

MAX = "core.pingcap.com/max-unavailable"


def other(name: str = "other1", *, group: str = "basic") -> TiKV:
    found = make_tikv()
    found.metadata = ObjectMeta(
        name=f"basic-{name}", namespace="ns1", uid=f"uid-{name}", generation=3, labels=dict(found.metadata.labels)
    )
    found.metadata.labels["pingcap.com/group"] = group
    return found


def store_of(tikv: TiKV, store_id: str, **changes: Any) -> Store:
    address = f"basic-tikv-{tikv.metadata.name.partition('-')[2]}.basic-tikv-peer.ns1:20160"
    return make_store(id=store_id, address=address, **changes)


def pod_of(tikv: TiKV, **state: Any) -> Pod:
    found = make_pod(tikv, **state)
    found.metadata.uid = f"pod-{tikv.metadata.name}"
    return found


async def ask(
    *peers: tuple[TiKV, Store, Pod | None],
    cluster: dict[str, str] | None = None,
    group: dict[str, str] | None = None,
    evicting: tuple[str, ...] = (),
) -> str:
    """Return what stands in the way of store 4, of the group `basic`."""
    own = make_store()
    pd = FakePD(own, *(store for _, store, _ in peers), alone=True, evicting=evicting)
    owner: Cluster = make_cluster()
    owner.metadata.annotations = cluster or {}
    made = make_group("basic", metadata={"annotations": group or {}})
    objects: list[Any] = [made]
    for tikv, _, pod in peers:
        objects += [tikv] + ([pod] if pod is not None else [])
    ctx = make_context(make_tikv(), cluster=owner, pod=make_pod(), pd=pd, store=own, others=objects)
    return await disruption.finally_(ctx, ctx.pd)


def peer(name: str, store_id: str, *, group: str = "basic", down: bool = True, **store: Any) -> Any:
    tikv = other(name, group=group)
    return tikv, store_of(tikv, store_id, **store), None if down else pod_of(tikv)


async def test_one_that_serves_is_in_nobodys_way() -> None:
    assert await ask(peer("other1", "5", down=False)) == ""


async def test_one_that_does_not_serve_is_and_is_named() -> None:
    assert await ask(peer("other1", "5")) == "basic-other1 does not serve"


@pytest.mark.parametrize(
    "store",
    [
        pytest.param({"start_timestamp": int(NOW) - 7200}, id="PD has not heard from its new process"),
        pytest.param({"busy": True}, id="it is busy"),
        pytest.param({"region_count": 500, "leader_count": 0}, id="it leads nothing yet"),
    ],
)
async def test_one_that_has_not_caught_up_counts_as_down(store: dict[str, Any]) -> None:
    assert await ask(peer("other1", "5", down=False, **store)) == "basic-other1 does not serve"


async def test_one_whose_leaders_are_moved_away_is_not_behind() -> None:
    """Or two that have no leaders any more would wait for each other."""
    waiting = peer("other1", "5", down=False, region_count=500, leader_count=0)
    assert await ask(waiting, evicting=("5",)) == ""


async def test_one_that_pd_has_given_up_or_buried_counts_no_longer() -> None:
    assert await ask(peer("other1", "5", state_name="Down")) == ""
    assert await ask(peer("other1", "5", state="Tombstone", node_state="Removed")) == ""


@pytest.mark.parametrize(
    ("cluster", "group", "peers", "free"),
    [
        pytest.param({MAX: "2"}, {}, [peer("a", "5")], True, id="2: one of the group is down"),
        pytest.param({MAX: "2"}, {}, [peer("a", "5"), peer("b", "6", group="x")], False, id="2: two are"),
        pytest.param({}, {MAX: "2"}, [peer("a", "5")], True, id="2 of the group: one is"),
        pytest.param({}, {MAX: "2"}, [peer("a", "5", group="x")], False, id="2 of the group: one of another is"),
        pytest.param({MAX: "5"}, {MAX: "1"}, [peer("a", "5")], False, id="5, 1 of the group: one is"),
    ],
)
async def test_the_budget(cluster: dict[str, str], group: dict[str, str], peers: list[Any], free: bool) -> None:
    assert (await ask(*peers, cluster=cluster, group=group) == "") is free


async def test_what_a_larger_budget_allows_is_said() -> None:
    said = await ask(peer("a", "5"), peer("b", "6", group="x"), cluster={MAX: "2"})
    assert said == "basic-a does not serve, basic-b does not serve; at most 1 of the group may be down now"


async def test_down_peers_on_stores_that_are_known_to_be_down_count_once() -> None:
    lost = make_store(id="6", address="other:20160", state_name="Disconnected")
    pd = FakePD(make_store(), lost)
    pd.client.down = DownPeers(count=3, by_store={"6": 3})
    owner = make_cluster()
    for said, free in (({MAX: "2"}, True), ({}, False)):
        owner.metadata.annotations = said
        ctx = make_context(make_tikv(), cluster=owner, pod=make_pod(), pd=pd, store=make_store())
        assert (await disruption.at_first(ctx, ctx.pd) == "") is free
    owner.metadata.annotations = {MAX: "2"}
    pd.client.down = DownPeers(count=3, by_store={"6": 2, "7": 1})
    ctx = make_context(make_tikv(), cluster=owner, pod=make_pod(), pd=pd, store=make_store())
    assert await disruption.at_first(ctx, ctx.pd) == "1 regions have a down peer on another store"


async def test_while_its_group_is_paused_a_pod_that_serves_stays_and_keeps_its_leaders() -> None:
    paused = make_group("basic", metadata={"annotations": {"core.pingcap.com/paused": "true"}})
    tikv = with_condition(make_tikv(version="v8.1.1"), "LeadersEvicted", True, "Evicted")
    ctx = make_context(tikv, pod=make_pod(), pd=FakePD(make_store()), store=make_store(), others=[paused])
    result = await tasks.pod(ctx)
    assert (result.status, ctx.evict_leaders, ctx.client.writes) == (Status.WAIT, False, [])
    assert ctx.problems == [Problem("GroupPaused", "pod must be recreated, but its group is paused")]


async def test_while_its_group_is_paused_a_pod_that_is_down_is_repaired() -> None:
    paused = make_group("basic", metadata={"annotations": {"core.pingcap.com/paused": "true"}})
    down = make_pod(phase="Pending", ready_for=None)
    down.metadata.creation_timestamp = format_time(NOW - 60)
    ctx = make_context(
        make_tikv(version="v8.1.1"), pod=down, pd=FakePD(make_store()), store=make_store(), others=[paused]
    )
    await tasks.pod(ctx)
    assert ctx.client.writes == ["delete Pod basic-tikv-abc123"]
