"""When a TiKV may be let go with its volumes, and when the operator has to wait: whole reconciles, without a world around."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api import OwnerReference, format_time
from controller_runtime.api.k8s import PersistentVolumeClaim, Pod
from controller_runtime.reconcile import Request, Requeue
from controller_runtime.task import ReportStore, Runner, TaskMetrics
from helpers.tikv_fakes import (
    NOW,
    FakePD,
    FakePDs,
    make_cluster,
    make_context,
    make_node,
    make_pod,
    make_store,
    make_tikv,
    summary,
    with_condition,
)
from tikv_operator.api import Cluster, SuspendAction, TiKV, TiKVServer, TiKVStatus
from tikv_operator.pdclient import Members, PDError, Store
from tikv_operator.tikv.controller import NAME, pipeline
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.tasks.conditions import record_failure

DELETED = "2026-01-01T00:00:00Z"
CLUSTER_ID = "7452180154224557728"


class Run:
    """One TiKV with pod and volume; each `run` is one reconcile."""

    def __init__(self, tikv: TiKV, pd: FakePD, *, cluster: Cluster | None = None, pod: Pod | None = None) -> None:
        self.pd = pd
        claims = render_claims(make_tikv(), make_cluster())
        for claim in claims:
            claim.metadata.uid = "claim-uid"
        self.ctx = make_context(tikv, cluster=cluster, pod=pod, others=claims, found=False)
        self.client = self.ctx.client
        self.requeue: Requeue | None = None
        self._runner = Runner(
            NAME,
            pipeline(),
            metrics=TaskMetrics(CollectorRegistry(), prefix="test"),
            reports=ReportStore(),
            clock=self.ctx.clock,
            on_failure=record_failure,
        )

    async def run(self) -> None:
        ctx = make_context(found=False)
        ctx.client, ctx.clock, ctx.events = self.client, self.ctx.clock, self.ctx.events
        ctx.pds = FakePDs(self.pd)
        self.requeue = await self._runner.run(ctx, Request(ctx.key), ctx.log)

    @property
    def tikv(self) -> TiKV:
        found = self.client.stored(TiKV, "basic-abc123")
        assert isinstance(found, TiKV)
        return found

    @property
    def events(self) -> list[str]:
        return list(self.ctx.events.events)

    @property
    def claims_deleted(self) -> bool:
        return any(write.startswith("delete PersistentVolumeClaim") for write in self.client.writes)


def leaving(**changes: Any) -> TiKV:
    """A TiKV that somebody has deleted and that is set offline."""
    tikv = make_tikv(offline=True)
    tikv.metadata.deletion_timestamp = DELETED
    tikv.status = TiKVStatus(**({"id": "4", "state": "Removing"} | changes))
    return tikv


def of_cluster(pd: FakePD, cluster_id: str) -> FakePD:
    assert pd.snapshot is not None
    pd.snapshot = msgspec.structs.replace(pd.snapshot, members=Members(cluster_id=cluster_id))
    return pd


class TestAPDThatDoesNotKnowTheStore:
    """A store that was there doesn't vanish without being buried: then it is PD that has lost something."""

    async def test_lets_no_volume_go(self) -> None:
        world = Run(leaving(), FakePD(), pod=make_pod())
        for _ in range(3):
            await world.run()
        assert not world.claims_deleted
        assert "delete Pod basic-tikv-abc123" not in world.client.writes
        assert summary(world.tikv)["Offlined"] == "False/StoreUnknown"
        assert summary(world.tikv)["Synced"] == "False/StoreUnknown"
        assert any(event.startswith("Warning StoreUnknown: pd does not know store 4") for event in world.events)

    async def test_does_not_complete_a_scale_in(self) -> None:
        tikv = make_tikv(offline=True)
        tikv.status = TiKVStatus(id="4", state="Serving")
        world = Run(tikv, FakePD(), pod=make_pod())
        for _ in range(3):
            await world.run()
        assert not world.tikv.metadata.deletion_timestamp

    async def test_does_not_matter_once_the_store_was_seen_removed(self) -> None:
        world = Run(leaving(state="Removed"), FakePD())
        await world.run()
        assert world.claims_deleted

    async def test_goes_on_when_pd_knows_it_again(self) -> None:
        world = Run(leaving(), FakePD(), pod=make_pod())
        await world.run()
        world.pd = FakePD(make_store(node_state="Removing"))
        await world.run()
        assert summary(world.tikv)["Offlined"] == "False/Processing"


class TestAPDOfAnotherCluster:
    async def test_is_not_believed(self) -> None:
        pd = of_cluster(FakePD(make_store(state="Tombstone", node_state="Removed")), "1")
        world = Run(leaving(), pd, pod=make_pod())
        for _ in range(3):
            await world.run()
        assert not world.claims_deleted
        assert summary(world.tikv)["Synced"] == "False/WaitingForPD"
        assert any("cluster 1, not" in event for event in world.events)

    async def test_the_right_one_is(self) -> None:
        pd = of_cluster(FakePD(make_store(state="Tombstone", node_state="Removed")), CLUSTER_ID)
        world = Run(leaving(), pd)
        await world.run()
        assert world.claims_deleted


class TestAStoreThatRegisteredSinceTheLastPoll:
    """A TiKV is deleted right after its start: what PD said before counts as little as what a running pod may do yet."""

    def deleted_early(self) -> TiKV:
        tikv = make_tikv()
        tikv.metadata.deletion_timestamp = DELETED
        return tikv

    async def test_volumes_stay_until_the_pod_is_gone(self) -> None:
        world = Run(self.deleted_early(), FakePD(), pod=make_pod())
        await world.run()
        await world.run()
        assert "delete Pod basic-tikv-abc123" in world.client.writes
        assert not world.claims_deleted

    async def test_volumes_stay_if_pd_knows_the_store_by_then(self) -> None:
        world = Run(self.deleted_early(), FakePD())
        world.pd.client.known = (make_store(),)
        await world.run()
        assert not world.claims_deleted
        assert world.pd.refreshed

    async def test_without_a_store_they_go(self) -> None:
        world = Run(self.deleted_early(), FakePD())
        await world.run()
        assert world.claims_deleted


class TestATombstoneOfTheSameAddress:
    """Names can come back: PD remembers the store of an earlier TiKV of this name for weeks."""

    tombstone = make_store(id="3", state="Tombstone", node_state="Removed", start_timestamp=int(NOW) - 7200)

    def young(self) -> TiKV:
        tikv = make_tikv()
        tikv.metadata.creation_timestamp = format_time(NOW - 3600)
        return tikv

    async def test_does_not_remove_a_new_tikv(self) -> None:
        world = Run(self.young(), FakePD(self.tombstone), pod=make_pod())
        await world.run()
        await world.run()
        assert "Offlined" not in summary(world.tikv)
        assert not world.tikv.metadata.deletion_timestamp

    async def test_does_not_hide_the_store_that_the_tikv_has_elsewhere(self) -> None:
        tikv = self.young()
        tikv.status = TiKVStatus(id="4", state="Serving")
        moved = make_store(id="4", address="basic-tikv-abc123.basic-tikv-peer.ns1.svc.cluster.local:20160")
        world = Run(tikv, FakePD(self.tombstone, moved), pod=make_pod())
        await world.run()
        await world.run()
        assert not world.tikv.metadata.deletion_timestamp

    @pytest.mark.parametrize(
        ("known", "started"), [pytest.param("3", 7200, id="by its id"), pytest.param("", 1800, id="by its age")]
    )
    async def test_is_the_tikvs_own_if_it_can_only_be_its(self, known: str, started: int) -> None:
        tikv = self.young()
        tikv.status = TiKVStatus(id=known)
        own = msgspec.structs.replace(self.tombstone, start_timestamp=int(NOW) - started)
        world = Run(tikv, FakePD(own), pod=make_pod())
        await world.run()
        assert summary(world.tikv)["Offlined"] == "True/Completed"


class TestWhatSomebodyElseOwns:
    async def test_is_not_deleted_with_the_tikv_for_its_labels(self) -> None:
        world = Run(leaving(state="Removed"), FakePD())
        claim: PersistentVolumeClaim = world.client.stored(PersistentVolumeClaim, "data-basic-tikv-abc123")
        other = copy.deepcopy(claim)
        other.metadata.name, other.metadata.uid = "precious", "other-claim"
        other.metadata.owner_references = [
            OwnerReference(api_version="v1", kind="TiKV", name="basic-abc123", uid="another", controller=True)
        ]
        world.client.add(other)
        await world.run()
        world.client.remove(claim)
        await world.run()
        assert "delete PersistentVolumeClaim precious" not in world.client.writes
        assert world.tikv.metadata.finalizers == []


class TestAClusterThatTheCacheDoesNotHave:
    async def test_is_asked_for_before_a_deleted_tikv_loses_its_volumes(self) -> None:
        tikv = leaving()
        world = Run(tikv, FakePD(make_store()), pod=make_pod())
        cached = world.client

        class Behind:
            """A cache that hasn't heard of the Cluster yet."""

            live = cached

            def __getattr__(self, name: str) -> Any:
                return getattr(cached, name)

            async def find(self, kind: Any, key: Any) -> Any:
                return None if kind is Cluster else await cached.find(kind, key)

        world.client = Behind()
        for _ in range(2):
            await world.run()
        assert not world.claims_deleted


class TestDeletionWhileTheClusterIsSuspended:
    async def test_is_said_to_wait(self) -> None:
        cluster = make_cluster(suspend_action=SuspendAction(suspend_compute=True))
        world = Run(leaving(), FakePD(make_store(node_state="Removing")), cluster=cluster)
        await world.run()
        assert summary(world.tikv)["Synced"] == "False/ClusterSuspended"
        assert any(event.startswith("Warning ClusterSuspended") for event in world.events)


class TestLeadersThatCameBack:
    async def test_are_evicted_again_before_the_pod_goes(self) -> None:
        tikv = with_condition(make_tikv(version="v8.1.1"), "LeadersEvicted", True, "Evicted")
        world = Run(tikv, FakePD(make_store(leader_count=7)), pod=make_pod())
        await world.run()
        assert "delete Pod basic-tikv-abc123" not in world.client.writes
        assert summary(world.tikv)["LeadersEvicted"] == "False/Evicting"

    async def test_are_evicted_again_before_the_store_goes(self) -> None:
        tikv = with_condition(make_tikv(offline=True), "LeadersEvicted", True, "Evicted")
        store: Store = make_store(leader_count=7)
        world = Run(tikv, FakePD(store), pod=make_pod())
        await world.run()
        assert ("delete_store", "4") not in world.pd.client.calls


class TestLabelsThatPDRefuses:
    async def test_do_not_keep_leaders_from_being_evicted(self) -> None:
        tikv = make_tikv(offline=True, server=TiKVServer(labels={"bad key": "x"}))
        world = Run(tikv, FakePD(make_store(leader_count=7)), pod=make_pod())
        world.client.add(make_node())
        world.pd.client.errors["set_store_labels"] = PDError("invalid label", status=400, retryable=False)
        await world.run()
        assert ("begin_evict_leader", "4") in world.pd.client.calls
        assert summary(world.tikv)["Synced"] == "False/StoreLabelsRefused"


class TestAPodThatIsDown:
    async def test_is_recreated_at_once_whatever_others_do(self) -> None:
        pod = make_pod(phase="Pending", ready_for=None)
        pod.metadata.creation_timestamp = format_time(NOW - 6)
        world = Run(make_tikv(version="v8.1.1"), FakePD(make_store(leader_count=7), fresh=False), pod=pod)
        await world.run()
        assert "delete Pod basic-tikv-abc123" in world.client.writes

    async def test_is_not_recreated_again_and_again(self) -> None:
        pod = make_pod(phase="Pending", ready_for=None)
        pod.metadata.creation_timestamp = format_time(NOW - 4)
        world = Run(make_tikv(version="v8.1.1"), FakePD(make_store()), pod=pod)
        await world.run()
        assert "delete Pod basic-tikv-abc123" not in world.client.writes
        assert world.requeue is not None
        assert world.requeue.after == pytest.approx(1.0)


class TestARemovalThatWasTakenBackTooLate:
    async def test_ends_with_the_tikv_although_its_pod_had_to_be_recreated(self) -> None:
        """PD refuses to evict leaders from a tombstone; that must not keep the TiKV from being let go, and replaced."""
        tikv = make_tikv(offline=False, version="v8.1.1")
        tikv.status = TiKVStatus(id="4", state="Removing")
        world = Run(tikv, FakePD(make_store(state="Tombstone", node_state="Removed")), pod=make_pod())
        world.pd.client.errors["begin_evict_leader"] = PDError("store 4 has been removed", status=410, retryable=False)
        await world.run()
        assert summary(world.tikv)["Offlined"] == "True/Completed"
        await world.run()
        assert world.tikv.metadata.deletion_timestamp
