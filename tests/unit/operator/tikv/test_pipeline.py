"""Whole reconciles, run after run: what a TiKV goes through in its life."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api.k8s import ConfigMap, PersistentVolumeClaim, PersistentVolumeClaimStatus, Pod
from controller_runtime.reconcile import Request, Requeue
from controller_runtime.task import ReportStore, Runner, TaskFailed, TaskMetrics
from helpers.tikv_fakes import (
    NOW,
    FakeClient,
    FakePD,
    FakePDs,
    FixedClock,
    RecordedEvents,
    SilentLog,
    condition,
    make_cluster,
    make_node,
    make_pod,
    make_store,
    make_tikv,
    summary,
    with_condition,
)
from tikv_operator.api import Cluster, SuspendAction, TiKV, TiKVStatus
from tikv_operator.common.metrics import InstanceMetrics
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient import PDUnreachable, Store
from tikv_operator.tikv.controller import NAME, pipeline
from tikv_operator.tikv.tasks.conditions import record_failure
from tikv_operator.tikv.tasks.state import TiKVContext

DELETED = "2026-01-01T00:00:00Z"


class World:
    """One TiKV with everything around it; `run` reconciles it once."""

    def __init__(self, tikv: TiKV | None = None, *, cluster: Cluster | None = None, pd: FakePD | None = None) -> None:
        self.client = FakeClient(tikv or make_tikv(), cluster or make_cluster(), make_node())
        self.pd: FakePD | None = pd or FakePD()
        self.clock = FixedClock()
        self.events = RecordedEvents()
        self.reports = ReportStore()
        self.metrics = InstanceMetrics(CollectorRegistry())
        self._runner = Runner(
            NAME,
            pipeline(),
            metrics=TaskMetrics(CollectorRegistry(), prefix="test"),
            reports=self.reports,
            clock=self.clock,
            on_failure=record_failure,
        )

    async def run(self) -> Requeue | None:
        self.client.writes.clear()
        if self.pd is not None:
            self.pd.client.calls.clear()
        ctx = TiKVContext(
            key=make_tikv().key,
            client=self.client,  # type: ignore[arg-type]
            clock=self.clock,
            log=SilentLog(),
            events=self.events,
            settings=Settings(),
            pds=FakePDs(self.pd),  # type: ignore[arg-type]
            metrics=self.metrics,
        )
        return await self._runner.run(ctx, Request(ctx.key), SilentLog())

    async def settle(self) -> None:
        """Reconcile until nothing is written any more."""
        for _ in range(10):
            await self.run()
            if not self.client.writes:
                return
        raise AssertionError(f"still writing: {self.client.writes}")

    @property
    def tikv(self) -> TiKV:
        tikv: TiKV = self.client.stored(TiKV, "basic-abc123")
        return tikv

    @property
    def tasks(self) -> list[str]:
        report = self.reports.get(NAME, make_tikv().key)
        assert report is not None
        return [task.name for task in report.tasks]

    def exists(self, kind: type[Any], name: str) -> bool:
        return (kind.resource.kind, (make_tikv().metadata.namespace, name)) in self.client._objects

    def show_store(self, *stores: Store, evicting: bool = False) -> None:
        """Let PD know these stores."""
        self.pd = FakePD(*stores, evicting=["4"] if evicting else [])

    def pod_runs(self) -> None:
        """Do what the kubelet does."""
        pod = make_pod(self.tikv, ready_for=3600, store_id="")
        stored = self.client.stored(Pod, "basic-tikv-abc123")
        stored.status, stored.spec.node_name, stored.metadata.uid = copy.deepcopy(pod.status), "node-1", "pod-uid"
        self.client.add(stored)

    def claims_are_bound(self) -> None:
        stored = self.client.stored(PersistentVolumeClaim, "data-basic-tikv-abc123")
        stored.status = PersistentVolumeClaimStatus(phase="Bound", capacity={"storage": "20Gi"})
        self.client.add(stored)

    def change(self, **spec: Any) -> None:
        """Do what somebody with kubectl does."""
        tikv = self.tikv
        for name, value in spec.items():
            setattr(tikv.spec, name, value)
        tikv.metadata.generation += 1
        self.client.add(tikv)

    def gone(self, kind: type[Any], name: str) -> None:
        self.client.remove(self.client.stored(kind, name))


async def serving() -> World:
    """Return a world in which the TiKV serves and nothing is left to do."""
    world = World()
    await world.run()
    world.pod_runs()
    world.claims_are_bound()
    world.show_store(make_store(leader_count=3))
    await world.settle()
    assert summary(world.tikv)["Ready"] == "True/Ready"
    return world


def test_the_order_of_tasks_is_that_of_a_run_from_top_to_bottom() -> None:
    assert [task.name for task in pipeline().tasks()] == [
        "ContextObject",
        "ObserveInstance",
        "ContextCluster",
        "FinalizerDel",
        "ClusterMissing",
        "FinalizerDel",
        "DeletionPaused",
        "FinalizerDel",
        "DeleteOfflinedStore",
        "ContextPod",
        "ContextInfoFromPD",
        "EndEvictLeader",
        "FinalizerDel",
        "SetOffline",
        "FinalizerAdd",
        "CondSuspended",
        "CondSynced",
        "CondReady",
        "CondRunning",
        "CondOffline",
        "UpdateStatus",
        "PodSuspend",
        "OfflineStore",
        "ConfigMap",
        "PVC",
        "ClaimTrouble",
        "Pod",
        "ServerLabels",
        "EvictLeader",
        "CondSynced",
        "CondRestartRequired",
        "CondReady",
        "CondOffline",
        "CondRunning",
        "Status",
        "BeginEvictLeader",
    ]


class TestCreation:
    async def test_begins_with_everything_at_once(self) -> None:
        tikv = make_tikv()
        tikv.metadata.finalizers = []
        world = World(tikv)
        await world.run()
        assert world.client.writes == [
            "update TiKV basic-abc123",
            "create ConfigMap basic-tikv-abc123",
            "create PersistentVolumeClaim data-basic-tikv-abc123",
            "create Pod basic-tikv-abc123",
            "update_status TiKV basic-abc123",
        ]
        assert list(summary(world.tikv).items()) == [
            ("Suspended", "False/Unsuspended"),
            ("LeadersEvicted", "True/StoreNotExist"),
            ("Synced", "True/Synced"),
            ("Ready", "False/PodNotReady"),
            ("Running", "False/PodNotRunning"),
        ]

    async def test_ends_when_the_store_serves(self) -> None:
        world = await serving()
        assert summary(world.tikv) == {
            "Suspended": "False/Unsuspended",
            "LeadersEvicted": "False/NotEvicted",
            "Synced": "True/Synced",
            "Ready": "True/Ready",
            "Running": "True/Running",
        }
        status = world.tikv.status
        assert status is not None
        assert (status.id, status.state, status.observed_generation) == ("4", "Serving", 3)
        assert status.current_revision == status.update_revision == "basic-tikv-9f6f5d95c"
        assert "Normal Ready: all subreources are ready" in world.events.events

    async def test_a_settled_tikv_costs_no_request(self) -> None:
        world = await serving()
        assert await world.run() is None
        assert world.pd is not None
        assert (world.client.writes, world.pd.client.calls) == ([], [])

    async def test_looks_again_exactly_when_the_pod_has_been_ready_long_enough(self) -> None:
        world = World()
        await world.run()
        world.pod_runs()
        world.clock.time = NOW - 3600 + 12
        world.show_store(make_store())
        requeue = await world.run()
        assert requeue is not None
        assert requeue.after == pytest.approx(3.001)


class TestRollingRestart:
    async def test_moves_leaders_away_recreates_the_pod_and_lets_them_come_back(self) -> None:
        world = await serving()
        world.change(version="v8.1.1")
        await world.run()
        assert world.pd is not None
        assert ("begin_evict_leader", "4") in world.pd.client.calls
        assert summary(world.tikv)["LeadersEvicted"] == "False/Evicting"
        assert "delete Pod basic-tikv-abc123" not in world.client.writes

        world.show_store(make_store(leader_count=0), evicting=True)
        await world.run()
        assert summary(world.tikv)["LeadersEvicted"] == "True/Evicted"
        assert "delete Pod basic-tikv-abc123" in world.client.writes
        assert summary(world.tikv)["Ready"] == "False/PodTerminating"

        await world.run()
        assert world.pd.client.calls == []  # while it terminates, leaders stay away

        world.gone(Pod, "basic-tikv-abc123")
        await world.run()
        assert "create Pod basic-tikv-abc123" in world.client.writes
        assert ("end_evict_leader", "4") in world.pd.client.calls
        assert summary(world.tikv)["LeadersEvicted"] == "False/Ending"

        world.show_store(make_store(start_timestamp=int(NOW) - 60))
        world.pod_runs()
        await world.run()
        assert summary(world.tikv)["LeadersEvicted"] == "False/NotEvicted"
        assert world.client.writes == ["update_status TiKV basic-abc123"]

    async def test_is_not_begun_on_stale_data(self) -> None:
        world = await serving()
        world.change(version="v8.1.1")
        world.pd = FakePD(make_store(), fresh=False, error=PDUnreachable("refused"))
        await world.run()
        assert "delete Pod basic-tikv-abc123" not in world.client.writes
        assert world.pd.client.calls == []


class TestAPDThatHasOnlyJustBegunToLead:
    """It counts no leaders yet, so that a store with many regions looks like one that does no work."""

    async def test_makes_no_store_unready(self) -> None:
        world = await serving()
        world.show_store(make_store(leader_count=0, region_count=500))
        assert world.pd is not None
        world.pd.look(prepared=False)
        await world.run()
        assert summary(world.tikv)["Ready"] == "True/Ready"
        world.pd.look(prepared=True)
        await world.run()
        assert summary(world.tikv)["Ready"] == "False/InstanceNotHealthy"

    async def test_but_a_pod_that_is_gone_is_seen(self) -> None:
        world = await serving()
        assert world.pd is not None
        world.pd.look(prepared=False)
        world.gone(Pod, "basic-tikv-abc123")
        await world.run()
        assert summary(world.tikv)["Ready"] == "False/PodNotReady"


class TestScaleIn:
    async def test_takes_leaders_then_data_away_then_the_tikv_goes_by_itself(self) -> None:
        world = await serving()
        world.change(offline=True)
        await world.run()
        assert summary(world.tikv)["Offlined"] == "False/Processing"
        world.show_store(make_store(leader_count=0), evicting=True)
        await world.run()
        assert world.pd is not None
        assert ("delete_store", "4") in world.pd.client.calls
        world.show_store(make_store(state="Offline", node_state="Removing"), evicting=True)
        await world.run()
        assert ("delete_store", "4") not in world.pd.client.calls
        world.show_store(make_store(state="Tombstone", node_state="Removed"), evicting=True)
        await world.run()
        assert summary(world.tikv)["Offlined"] == "True/Completed"
        assert ("end_evict_leader", "4") in world.pd.client.calls
        await world.run()
        assert world.client.writes == ["delete TiKV basic-abc123"]

        for _ in range(4):
            await world.run()
            for kind, name in (
                (Pod, "basic-tikv-abc123"),
                (ConfigMap, "basic-tikv-abc123"),
                (PersistentVolumeClaim, "data-basic-tikv-abc123"),
            ):
                if world.exists(kind, name) and world.client.stored(kind, name).metadata.deletion_timestamp:
                    world.gone(kind, name)
        assert world.tikv.metadata.finalizers == []

    async def test_of_a_deleted_tikv_begins_by_setting_it_offline(self) -> None:
        world = await serving()
        tikv = world.tikv
        tikv.metadata.deletion_timestamp = DELETED
        world.client.add(tikv)
        await world.run()
        assert world.client.writes == ["patch TiKV basic-abc123"]
        assert world.tikv.spec.offline is True

    async def test_can_be_taken_back(self) -> None:
        world = await serving()
        world.change(offline=True)
        world.show_store(make_store(state="Offline", node_state="Removing"), evicting=True)
        await world.run()
        world.change(offline=False)
        await world.run()
        assert world.pd is not None
        assert ("cancel_delete_store", "4") in world.pd.client.calls
        assert summary(world.tikv)["Offlined"] == "False/Canceling"
        world.show_store(make_store(), evicting=True)
        await world.run()
        assert "Offlined" not in summary(world.tikv)

    async def test_an_old_verdict_does_not_delete_a_tikv_whose_removal_was_taken_back(self) -> None:
        world = World(with_condition(make_tikv(offline=False), "Offlined", True, "Completed", generation=2))
        world.show_store(make_store())
        await world.run()
        assert not world.tikv.metadata.deletion_timestamp
        assert "Offlined" not in summary(world.tikv)

    async def test_without_pd_nothing_is_called_removed(self) -> None:
        world = World(make_tikv(offline=True), pd=FakePD(fresh=False, error=PDUnreachable("refused")))
        await world.run()
        assert "Offlined" not in summary(world.tikv)
        assert summary(world.tikv)["Synced"] == "False/WaitingForPD"
        assert any(event.startswith("Warning WaitingForPD") for event in world.events.events)

    async def test_a_store_that_never_registered_needs_no_removal(self) -> None:
        tikv = make_tikv()
        tikv.metadata.deletion_timestamp = DELETED
        world = World(tikv)
        await world.run()
        assert world.tikv.metadata.finalizers == []


class TestSuspension:
    async def test_deletes_the_pod_and_keeps_the_rest(self) -> None:
        world = await serving()
        cluster = make_cluster(suspend_action=SuspendAction(suspend_compute=True))
        world.client.add(cluster)
        await world.run()
        assert world.client.writes == ["update_status TiKV basic-abc123", "delete Pod basic-tikv-abc123"]
        assert summary(world.tikv)["Suspended"] == "False/Suspending"
        world.gone(Pod, "basic-tikv-abc123")
        await world.run()
        assert summary(world.tikv) == {
            "Suspended": "True/Suspended",
            "LeadersEvicted": "False/NotEvicted",
            "Synced": "True/Synced",
            "Ready": "False/PodNotCreated",
            "Running": "False/PodNotCreated",
        }
        world.client.add(make_cluster())
        await world.run()
        assert "create Pod basic-tikv-abc123" in world.client.writes

    async def test_calls_no_store_removed_while_pd_is_suspended_too(self) -> None:
        cluster = make_cluster(suspend_action=SuspendAction(suspend_compute=True))
        world = World(make_tikv(offline=True), cluster=cluster, pd=FakePD(fresh=False))
        await world.run()
        assert "Offlined" not in summary(world.tikv)


class TestTheCluster:
    async def test_paused_means_hands_off(self) -> None:
        world = World(cluster=make_cluster(paused=True))
        assert await world.run() is None
        assert (world.client.writes, world.tasks) == ([], ["ContextObject", "ObserveInstance", "ContextCluster"])

    async def test_paused_and_deleted_is_said(self) -> None:
        tikv = make_tikv()
        tikv.metadata.deletion_timestamp = DELETED
        world = World(tikv, cluster=make_cluster(paused=True))
        await world.run()
        assert world.client.writes == ["update_status TiKV basic-abc123"]
        assert summary(world.tikv) == {"Synced": "False/ClusterPaused"}

    async def test_that_is_deleted_takes_its_tikvs_along_without_asking_pd(self) -> None:
        world = await serving()
        cluster = make_cluster()
        cluster.metadata.deletion_timestamp = DELETED
        world.client.add(cluster)
        await world.run()
        assert world.pd is not None
        assert world.pd.client.calls == []
        assert [write.split()[1] for write in world.client.writes] == ["Pod", "ConfigMap", "PersistentVolumeClaim"]

    async def test_that_is_missing_is_said(self) -> None:
        world = World()
        world.gone(Cluster, "tc")
        assert await world.run() is None
        assert summary(world.tikv) == {"Synced": "False/ClusterNotFound"}

    async def test_that_is_missing_does_not_keep_a_deleted_tikv(self) -> None:
        tikv = make_tikv()
        tikv.metadata.deletion_timestamp = DELETED
        world = World(tikv)
        world.gone(Cluster, "tc")
        await world.run()
        assert world.tikv.metadata.finalizers == []

    async def test_without_pd_is_waited_for(self) -> None:
        world = World(cluster=without_pd())
        assert await world.run() is None
        assert world.client.writes == []

    async def test_without_pd_does_not_keep_a_deleted_tikv_that_never_had_a_store(self) -> None:
        for store_id, kept in ((None, []), ("4", ["pingcap.com/finalizer"])):
            tikv = make_tikv()
            tikv.metadata.deletion_timestamp, tikv.status = DELETED, TiKVStatus(id=store_id)
            world = World(tikv, cluster=without_pd())
            await world.run()
            assert world.tikv.metadata.finalizers == kept


def without_pd() -> Cluster:
    cluster = make_cluster()
    assert cluster.status is not None
    cluster.status.pd = None
    return cluster


async def test_a_tikv_that_is_gone_is_nothing_to_do() -> None:
    world = World()
    world.gone(TiKV, "basic-abc123")
    assert await world.run() is None
    assert world.tasks == ["ContextObject", "ObserveInstance"]


class TestABadConfiguration:
    async def test_is_said_and_loses_nothing(self) -> None:
        world = await serving()
        pod, config = world.client.stored(Pod, "basic-tikv-abc123"), world.client.stored(ConfigMap, "basic-tikv-abc123")
        world.change(config="this is no TOML")
        with pytest.raises(TaskFailed, match="tikv config cannot be decoded"):
            await world.run()
        found = condition(world.tikv, "Synced")
        assert found is not None
        assert (found.status, found.reason) == ("False", "ConfigInvalid")
        assert found.message.startswith("ConfigMap: tikv config cannot be decoded")
        assert world.events.events[-1].startswith("Warning ConfigInvalid: ConfigMap: tikv config cannot be decoded")
        assert world.client.stored(Pod, "basic-tikv-abc123") == pod
        assert world.client.stored(ConfigMap, "basic-tikv-abc123") == config

    async def test_is_over_when_it_is_corrected(self) -> None:
        world = await serving()
        world.change(config="this is no TOML")
        with pytest.raises(TaskFailed):
            await world.run()
        world.change(config='log.level = "info"\n')
        await world.run()
        assert summary(world.tikv)["Synced"] == "True/Synced"


async def test_a_tikv_that_somebody_made_by_hand_is_run_like_any_other() -> None:
    tikv = make_tikv()
    tikv.metadata.labels, tikv.metadata.owner_references, tikv.status = {}, [], TiKVStatus()
    world = World(tikv)
    await world.run()
    assert world.exists(Pod, "basic-tikv-abc123")
