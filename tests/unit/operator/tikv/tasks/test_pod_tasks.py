from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import ObjectMeta
from controller_runtime.api.k8s import ControllerRevision, Pod
from controller_runtime.client import Forbidden, Invalid, ServiceUnavailable
from controller_runtime.task import Result, Status
from helpers.tikv_fakes import (
    REVISION,
    FakePD,
    FakePDs,
    make_cluster,
    make_context,
    make_pod,
    make_store,
    make_tikv,
    with_condition,
)
from tikv_operator.api import (
    Overlay,
    PodOverlay,
    TemplateMeta,
    TiKV,
    TiKVPlacement,
    TiKVServer,
    TLSCluster,
    UpdateStrategy,
)
from tikv_operator.common.errors import ImageInvalid
from tikv_operator.pdclient import DownPeers, PDUnreachable, Store
from tikv_operator.tikv.tasks import pod as tasks
from tikv_operator.tikv.tasks.state import Problem

HOT_RELOAD = UpdateStrategy(config="HotReload")


def evicted(tikv: TiKV, *, generation: int | None = None) -> TiKV:
    return with_condition(tikv, "LeadersEvicted", True, "Evicted", generation=generation)


class World:
    """A TiKV, the pod of its earlier self, and a PD that knows its store."""

    def __init__(
        self, tikv: TiKV, *, pod: Pod | None = None, pd: bool = True, store: Store | None = None, **options: Any
    ) -> None:
        self.store = store or make_store(region_count=400)
        self.pd = FakePD(self.store)
        self.ctx = make_context(tikv, pod=pod, pd=self.pd if pd else None, store=self.store if pd else None, **options)

    async def run(self) -> Result:
        return await tasks.pod(self.ctx)

    @property
    def writes(self) -> list[str]:
        writes: list[str] = self.ctx.client.writes
        return writes


CHANGED = {"version": "v8.1.1"}


class TestCases:
    """The table of TiDB Operator's own tests."""

    async def test_no_pod(self) -> None:
        world = World(make_tikv())
        assert await world.run() == Result(Status.COMPLETE, "pod is created")
        assert world.writes == ["create Pod basic-tikv-abc123"]
        assert world.ctx.pod is not None
        assert not world.ctx.evict_leaders

    async def test_no_pod_and_creating_it_fails(self) -> None:
        world = World(make_tikv())
        world.ctx.client.errors["create Pod"] = Forbidden("quota", code=403)
        with pytest.raises(Forbidden):
            await world.run()

    async def test_pod_is_terminating(self) -> None:
        pod = make_pod()
        pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds = "2026-01-01T00:00:00Z", 100
        world = World(make_tikv(**CHANGED), pod=pod)
        assert (await world.run()).status is Status.WAIT
        assert (world.ctx.evict_leaders, world.ctx.pod_terminating, world.writes) == (True, True, [])

    async def test_version_changed_and_leaders_are_evicted(self) -> None:
        world = World(evicted(make_tikv(**CHANGED)), pod=make_pod())
        assert (await world.run()).status is Status.WAIT
        assert world.writes == ["delete Pod basic-tikv-abc123"]
        assert world.ctx.client.sent["delete Pod"]["grace_period"] == 30
        assert world.ctx.client.sent["delete Pod"]["preconditions"].uid == "pod-uid"
        assert (world.ctx.evict_leaders, world.ctx.pod_terminating) == (True, True)

    async def test_version_changed_and_deleting_fails(self) -> None:
        world = World(evicted(make_tikv(**CHANGED)), pod=make_pod())
        world.ctx.client.errors["delete Pod"] = ServiceUnavailable("later", code=503)
        with pytest.raises(ServiceUnavailable):
            await world.run()
        assert (world.ctx.evict_leaders, world.ctx.pod_terminating) == (True, False)

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(
                {"config": 'log.level = "warn"\n', "update_strategy": HOT_RELOAD}, id="configuration with HotReload"
            ),
            pytest.param({"placement": TiKVPlacement(exclusive=True)}, id="placement.exclusive"),
            pytest.param(
                {"overlay": Overlay(pod=PodOverlay(metadata=TemplateMeta(labels={"a": "b"})))}, id="overlay labels"
            ),
        ],
    )
    async def test_a_change_that_a_running_pod_can_take(self, change: dict[str, Any]) -> None:
        world = World(make_tikv(**change), pod=make_pod())
        assert await world.run() == Result(Status.COMPLETE, "pod is synced")
        assert world.writes == ["apply Pod basic-tikv-abc123"]
        assert (world.ctx.evict_leaders, world.ctx.pod_terminating) == (False, False)

    async def test_configuration_changed_with_restart(self) -> None:
        world = World(evicted(make_tikv(config="a = 1")), pod=make_pod())
        assert (await world.run()).status is Status.WAIT
        assert world.ctx.pod_terminating

    @pytest.mark.parametrize(
        ("down", "status"),
        [
            pytest.param(DownPeers(count=2, by_store={"2": 1, "3": 1}), Status.RETRY, id="on other stores"),
            pytest.param(DownPeers(count=1, by_store={"4": 1}), Status.WAIT, id="on its own store"),
            pytest.param(DownPeers(count=1), Status.RETRY, id="without details"),
        ],
    )
    async def test_version_changed_with_down_peers(self, down: DownPeers, status: Status) -> None:
        world = World(evicted(make_tikv(**CHANGED)), pod=make_pod())
        world.pd.client.down = down
        assert (await world.run()).status is status
        assert world.ctx.pod_terminating is (status is Status.WAIT)

    async def test_version_changed_and_nobody_has_evicted_leaders(self) -> None:
        world = World(make_tikv(**CHANGED), pod=make_pod())
        assert (await world.run()).status is Status.WAIT
        assert (world.ctx.evict_leaders, world.ctx.pod_terminating, world.writes) == (True, False, [])

    async def test_version_changed_and_pd_cannot_be_trusted(self) -> None:
        world = World(evicted(make_tikv(**CHANGED)), pod=make_pod(), pd=False)
        assert (await world.run()).status is Status.WAIT
        assert (world.ctx.evict_leaders, world.writes) == (True, [])

    async def test_applying_fails(self) -> None:
        world = World(make_tikv(placement=TiKVPlacement(exclusive=True)), pod=make_pod())
        world.ctx.client.errors["apply Pod"] = Forbidden("no", code=403)
        with pytest.raises(Forbidden):
            await world.run()

    async def test_nothing_changed(self) -> None:
        world = World(make_tikv(), pod=make_pod())
        assert (await world.run()).status is Status.COMPLETE
        assert (world.writes, world.pd.client.calls) == ([], [])


class TestRecreation:
    async def test_waits_for_leaders_until_the_time_out(self) -> None:
        tikv = with_condition(make_tikv(**CHANGED), "LeadersEvicted", False, "Evicting", age=60)
        world = World(tikv, pod=make_pod())
        result = await world.run()
        assert result.status is Status.RETRY
        assert result.after == pytest.approx(240.001)

    async def test_goes_on_after_the_time_out_and_says_so(self) -> None:
        tikv = with_condition(make_tikv(**CHANGED), "LeadersEvicted", False, "Evicting", age=301)
        world = World(tikv, pod=make_pod())
        await world.run()
        assert world.ctx.pod_terminating
        assert world.ctx.events.events == [
            "Warning LeaderEvictionTimeout: pod is recreated although it still leads 0 regions after 300s"
        ]

    @pytest.mark.parametrize(
        "pd", [FakePD(make_store(), alone=True), FakePD(make_store(), max_replicas=1)], ids=["one store", "one replica"]
    )
    async def test_does_not_wait_for_an_eviction_that_cannot_happen(self, pd: FakePD) -> None:
        world = World(make_tikv(**CHANGED), pod=make_pod())
        world.ctx.pd = pd
        await world.run()
        assert world.ctx.pod_terminating

    async def test_waits_while_another_store_is_disconnected_and_says_which(self) -> None:
        lost = make_store(id="6", address="other:20160", state_name="Disconnected")
        world = World(evicted(make_tikv(**CHANGED)), pod=make_pod())
        world.ctx.pd = FakePD(world.store, lost)
        result = await world.run()
        assert (result.status, world.writes) == (Status.RETRY, [])
        message = "pod must be recreated, but another store is disconnected: other:20160"
        assert world.ctx.problems == [Problem("WaitingForPeers", message)]

    async def test_does_not_trust_a_condition_of_an_older_generation(self) -> None:
        world = World(evicted(make_tikv(**CHANGED), generation=2), pod=make_pod())
        assert (await world.run()).status is Status.WAIT
        assert world.writes == []

    async def test_needs_no_eviction_where_pd_knows_no_store(self) -> None:
        tikv = with_condition(make_tikv(**CHANGED), "LeadersEvicted", True, "StoreNotExist")
        world = World(tikv, pod=make_pod())
        world.ctx.store = None
        await world.run()
        assert world.ctx.pod_terminating

    async def test_waits_while_pd_does_not_tell_which_peers_are_down(self) -> None:
        world = World(evicted(make_tikv(**CHANGED)), pod=make_pod())
        world.pd.client.errors["down_peers"] = PDUnreachable("refused")
        result = await world.run()
        assert (result.status, result.after, world.writes) == (Status.RETRY, 5.0, [])

    async def test_gives_a_store_with_many_regions_more_time(self) -> None:
        world = World(evicted(make_tikv(**CHANGED)), pod=make_pod(), store=make_store(region_count=20_000))
        await world.run()
        assert world.ctx.client.sent["delete Pod"]["grace_period"] == 101


class TestUsersMetadata:
    def labelled(self, revision: str = REVISION, **labels: str) -> TiKV:
        tikv = make_tikv()
        tikv.metadata.labels |= {"pingcap.com/instance-revision-hash": revision, **labels}
        return tikv

    def revision(self, name: str, **labels: str) -> ControllerRevision:
        data = {"spec": {"template": {"metadata": {"labels": labels}}}}
        return ControllerRevision(metadata=ObjectMeta(name=name, namespace="ns1"), data=data)

    async def test_does_not_restart_a_database(self) -> None:
        world = World(self.labelled(cost="7"), pod=make_pod())
        assert (await world.run()).status is Status.COMPLETE
        assert world.writes == ["apply Pod basic-tikv-abc123"]

    async def test_does_not_together_with_a_new_revision_either(self) -> None:
        revisions = [self.revision(REVISION), self.revision("new")]
        world = World(self.labelled("new", cost="7"), pod=make_pod(), others=revisions)
        assert (await world.run()).status is Status.COMPLETE

    async def test_but_the_templates_does(self) -> None:
        revisions = [self.revision(REVISION), self.revision("new", cost="7")]
        world = World(self.labelled("new", cost="7"), pod=make_pod(), others=revisions)
        assert (await world.run()).status is Status.WAIT
        assert world.ctx.evict_leaders

    async def test_whose_origin_is_unknown_does_too(self) -> None:
        world = World(self.labelled("new", cost="7"), pod=make_pod())
        await world.run()
        assert world.ctx.evict_leaders


class TestADifferentRendering:
    """Another operator version, or another PD address: a running pod can't take it over, and need not."""

    async def test_leaves_the_pod_as_it_is_but_for_its_metadata(self) -> None:
        world = World(make_tikv(placement=TiKVPlacement(exclusive=True)), pod=make_pod())
        world.ctx.client.errors["apply Pod"] = Invalid("spec is immutable", code=422)
        result = await world.run()
        assert result.status is Status.COMPLETE
        assert world.ctx.restart == [
            Problem("PodRenderedDifferently", "the pod would be made differently now: spec is immutable")
        ]
        assert world.writes == ["patch Pod basic-tikv-abc123"]
        assert '"exclusive":true' in world.ctx.pod.metadata.annotations["core.pingcap.com/last-instance-template"]

    async def test_that_can_be_seen_is_not_even_sent(self) -> None:
        pod = make_pod()
        assert pod.spec is not None
        pod.spec.termination_grace_period_seconds = 60
        world = World(make_tikv(placement=TiKVPlacement(exclusive=True)), pod=pod)
        assert (await world.run()).status is Status.COMPLETE
        assert world.writes == ["patch Pod basic-tikv-abc123"]
        assert world.ctx.restart == [
            Problem("PodRenderedDifferently", "the pod would be made differently now: terminationGracePeriodSeconds")
        ]

    async def test_writes_nothing_if_the_metadata_is_as_it_should_be(self) -> None:
        pod = make_pod()
        assert pod.spec is not None
        pod.spec.hostname = "other"
        world = World(make_tikv(), pod=pod)
        assert (await world.run()).status is Status.COMPLETE
        assert world.writes == []
        assert world.ctx.restart

    async def test_is_forgotten_when_the_pod_is_as_it_would_be_made(self) -> None:
        world = World(make_tikv(), pod=make_pod())
        await world.run()
        assert world.ctx.restart == []


class TestHotReload:
    """Changed items of the configuration are told to the running TiKV; what it doesn't take waits for its restart."""

    BEFORE = '[log]\nlevel = "info"\n[raftstore]\nstore-pool-size = 2\n'
    URL = "http://basic-tikv-abc123.basic-tikv-peer.ns1:20180"
    NOTE = "core.pingcap.com/unreloaded-config"

    def world(self, config: str, *, before: str = BEFORE, note: str = "") -> World:
        pod = make_pod(make_tikv(config=before, update_strategy=HOT_RELOAD))
        if note:
            pod.metadata.annotations[self.NOTE] = note
        world = World(make_tikv(config=config, update_strategy=HOT_RELOAD), pod=pod)
        world.ctx.pds = FakePDs(world.pd)
        return world

    async def test_tells_tikv_what_has_changed_and_nothing_else(self) -> None:
        world = self.world(self.BEFORE.replace("info", "warn"))
        assert await world.run() == Result(Status.COMPLETE, "pod is synced")
        assert world.pd.client.tikv.changed == [(self.URL, "log.level", "warn")]
        assert world.writes == ["apply Pod basic-tikv-abc123"]
        assert world.ctx.events.events == ["Normal ConfigReloaded: changed in the running tikv: log.level"]
        assert self.NOTE not in world.ctx.pod.metadata.annotations

    async def test_asks_nothing_where_nothing_has_changed(self) -> None:
        world = self.world(self.BEFORE)
        world.pd.client.tikv.trouble = AssertionError("asked")
        assert (await world.run()).status is Status.COMPLETE
        assert world.writes == []

    async def test_what_tikv_refuses_waits_for_its_restart(self) -> None:
        world = self.world(self.BEFORE.replace("2", "4"))
        world.pd.client.tikv.refused = {"raftstore.store-pool-size": "only at start"}
        assert (await world.run()).status is Status.COMPLETE
        assert world.ctx.restart == [
            Problem(
                "ConfigNeedsRestart",
                "configuration items that tikv reads only when it starts: raftstore.store-pool-size",
            )
        ]
        assert '"raftstore.store-pool-size":2' in world.ctx.pod.metadata.annotations[self.NOTE]
        assert world.ctx.events.events == [
            "Warning ConfigItemRefused: raftstore.store-pool-size can't be changed while tikv runs: only at start"
        ]

    @pytest.mark.parametrize(
        ("config", "item"),
        [
            pytest.param('[log]\nlevel = "info"\n', "raftstore.store-pool-size", id="an item that is not set any more"),
            pytest.param(BEFORE + '[server]\nlist = ["a"]\n', "server.list", id="a list"),
        ],
    )
    async def test_what_cannot_be_sent_waits_too(self, config: str, item: str) -> None:
        world = self.world(config)
        await world.run()
        assert world.ctx.restart[0].message.endswith(f": {item}")
        assert world.pd.client.tikv.changed == []

    async def test_what_waits_is_known_to_the_next_run_and_not_asked_again(self) -> None:
        world = self.world(self.BEFORE.replace("2", "4"))
        world.pd.client.tikv.refused = {"raftstore.store-pool-size": "only at start"}
        await world.run()
        again = World(world.ctx.tikv, pod=world.ctx.pod)
        again.pd.client.tikv.trouble = AssertionError("asked")
        assert (await again.run()).status is Status.COMPLETE
        assert (again.writes, [pending.reason for pending in again.ctx.restart]) == ([], ["ConfigNeedsRestart"])

    async def test_what_waited_and_was_taken_back_waits_no_longer(self) -> None:
        world = self.world(self.BEFORE.replace("2", "4"))
        world.pd.client.tikv.refused = {"raftstore.store-pool-size": "only at start"}
        await world.run()
        again = World(make_tikv(config=self.BEFORE, update_strategy=HOT_RELOAD), pod=world.ctx.pod)
        again.pd.client.tikv.trouble = AssertionError("asked")
        await again.run()
        assert again.ctx.restart == []

    async def test_a_process_that_was_started_since_has_read_its_file(self) -> None:
        world = self.world(self.BEFORE, note='{"process":1.0,"refused":{"raftstore.store-pool-size":2}}')
        await world.run()
        assert world.ctx.restart == []

    async def test_a_tikv_that_cannot_be_reached_is_told_later_and_holds_up_nothing(self) -> None:
        world = self.world(self.BEFORE.replace("info", "warn"))
        world.pd.client.tikv.trouble = PDUnreachable("refused")
        assert (await world.run()).status is Status.RETRY
        assert world.ctx.problems == [Problem("ConfigNotReloaded", "tikv cannot be told of log.level: refused")]
        assert world.writes == ["apply Pod basic-tikv-abc123"]
        again = World(world.ctx.tikv, pod=world.ctx.pod)
        again.ctx.pds = FakePDs(again.pd)
        assert (await again.run()).status is Status.COMPLETE
        assert again.pd.client.tikv.changed == [(self.URL, "log.level", "warn")]

    async def test_a_process_that_does_not_run_is_told_nothing(self) -> None:
        world = self.world(self.BEFORE.replace("info", "warn"))
        world.ctx.pod.status.phase = "Pending"
        world.pd.client.tikv.trouble = AssertionError("asked")
        assert (await world.run()).status is Status.COMPLETE
        assert world.ctx.restart == []

    async def test_a_cluster_with_tls_is_told_over_tls(self) -> None:
        cluster = make_cluster(tls_cluster=TLSCluster(enabled=True))
        pod = make_pod(make_tikv(config=self.BEFORE, update_strategy=HOT_RELOAD), cluster)
        changed = make_tikv(config=self.BEFORE.replace("info", "warn"), update_strategy=HOT_RELOAD)
        world = World(changed, pod=pod, cluster=cluster)
        world.ctx.pds = FakePDs(world.pd)
        await world.run()
        assert world.pd.client.tikv.changed[0][0] == self.URL.replace("http", "https")


class TestStoreIdLabel:
    LABEL = "tidb.pingcap.com/store-id"

    async def test_is_set_as_soon_as_pd_knows_the_store(self) -> None:
        world = World(make_tikv(), pod=make_pod(store_id=""))
        await world.run()
        assert world.ctx.pod.metadata.labels[self.LABEL] == "4"

    async def test_stays_while_pd_is_away(self) -> None:
        world = World(make_tikv(), pod=make_pod(store_id="4"), pd=False)
        await world.run()
        assert world.ctx.pod.metadata.labels[self.LABEL] == "4"
        assert world.writes == []


class TestDroppedServerLabels:
    async def test_are_removed_from_the_store_before_the_pod_forgets_them(self) -> None:
        pod = make_pod(make_tikv(server=TiKVServer(labels={"rack": "1", "disk": "ssd"})))
        store = make_store(labels={"rack": "1", "disk": "ssd", "other": "x"})
        world = World(make_tikv(server=TiKVServer(labels={"disk": "ssd"})), pod=pod, store=store)
        world.pd.client.errors["delete_store_label"] = PDUnreachable("refused")
        with pytest.raises(PDUnreachable):
            await world.run()
        assert world.writes == []
        world.pd.client.errors.clear()
        await world.run()
        assert world.pd.client.calls == [("delete_store_label", "4", "rack")]
        assert world.writes == ["apply Pod basic-tikv-abc123"]

    async def test_wait_for_a_pd_that_is_away(self) -> None:
        pod = make_pod(make_tikv(server=TiKVServer(labels={"rack": "1"})))
        world = World(make_tikv(), pod=pod, pd=False)
        assert (await world.run()).status is Status.WAIT
        assert world.writes == []


async def test_an_image_that_cannot_be_fails_the_task_and_leaves_the_pod_alone() -> None:
    world = World(make_tikv(image="a:b:c"), pod=make_pod())
    with pytest.raises(ImageInvalid):
        await world.run()
    assert world.writes == []


class TestSuspend:
    async def test_without_a_pod_there_is_nothing_to_do(self) -> None:
        assert (await tasks.suspend(make_context())).status is Status.COMPLETE

    @pytest.mark.parametrize(
        ("regions", "given", "asked"),
        [
            pytest.param(0, None, 30, id="not deleted yet"),
            pytest.param(20_000, None, 101, id="many regions"),
            pytest.param(0, 65535, 30, id="deleted with a longer time"),
            pytest.param(0, 30, None, id="deleted with the same time"),
            pytest.param(20_000, 60, None, id="deleted with a shorter time"),
        ],
    )
    async def test_the_time_a_pod_gets_is_only_ever_shortened(
        self, regions: int, given: int | None, asked: int | None
    ) -> None:
        pod = make_pod()
        pod.metadata.deletion_grace_period_seconds = given
        ctx = make_context(pod=pod, store=make_store(region_count=regions))
        assert (await tasks.suspend(ctx)).status is Status.WAIT
        assert ctx.client.sent.get("delete Pod", {}).get("grace_period") == asked

    async def test_a_pod_that_is_gone_is_what_was_wanted(self) -> None:
        ctx = make_context(pod=make_pod())
        ctx.client.remove(ctx.pod)
        assert (await tasks.suspend(ctx)).status is Status.WAIT
