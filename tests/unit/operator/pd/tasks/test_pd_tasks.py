"""The other tasks of a PD, alone: what PD says of it, how it leaves, its configuration, its status."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import Condition, ObjectMeta, format_time
from controller_runtime.api.k8s import ConfigMap, PersistentVolumeClaim
from controller_runtime.client import ServiceUnavailable
from controller_runtime.task import Status
from helpers.group_world import make_pd_group
from helpers.pd_fakes import CLUSTER_ID, FakeMembers, make_member, make_pd, make_pd_pod, pd_context, with_ready
from helpers.tikv_fakes import NOW, make_cluster
from tikv_operator.api import PD, Cluster, PDPorts, PDServer, PDStatus, Port, TLSCluster
from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.instance.tasks import conditions, state
from tikv_operator.instance.tasks import ctx as common
from tikv_operator.pd.controller import health_is_known
from tikv_operator.pd.tasks import ctx as looks
from tikv_operator.pd.tasks import member, status
from tikv_operator.pd.tasks.cm import config_map
from tikv_operator.pd.tasks.pvc import volume_claims
from tikv_operator.pdclient import PDError, PDUnreachable

SELF, PEER, THIRD = "aaa-xxx", "aaa-yyy", "aaa-zzz"


def own(**parts: Any) -> PD:
    return make_pd(SELF, group="aaa", **parts)


def trio(**changes: Any) -> FakeMembers:
    return FakeMembers(make_member(SELF, 1), make_member(PEER, 2), make_member(THIRD, 3), **changes)


def cluster_of(*, pd_id: str = CLUSTER_ID, deleting: bool = False) -> Cluster:
    cluster = make_cluster()
    assert cluster.status is not None
    cluster.status.id = pd_id
    if deleting:
        cluster.metadata.deletion_timestamp = format_time(NOW)
    return cluster


class TestContextInfoFromPD:
    async def test_13_client_missing(self) -> None:
        ctx = pd_context(own(), known=False)
        assert (await looks.info_from_pd(ctx)).status is Status.WAIT
        assert ctx.leads is None

    async def test_13_cache_unsynced(self) -> None:
        ctx = pd_context(own(), handle=trio(fresh=False), known=False)
        assert (await looks.info_from_pd(ctx)).status is Status.WAIT
        assert ctx.handle is None
        assert ctx.leads is None

    async def test_13_not_a_member(self) -> None:
        ctx = pd_context(own(), handle=FakeMembers(make_member(PEER, 2)), known=False)
        assert (await looks.info_from_pd(ctx)).status is Status.COMPLETE
        assert ctx.handle is not None
        assert (ctx.member, ctx.leads, ctx.healthy) == (None, False, False)

    async def test_13_health_false(self) -> None:
        handle = trio(ill=[SELF])
        ctx = pd_context(own(), handle=handle, known=False)
        assert (await looks.info_from_pd(ctx)).status is Status.WAIT
        assert not ctx.healthy
        assert handle.hurried

    async def test_13_a_healthy_leader(self) -> None:
        ctx = pd_context(own(), handle=trio(), known=False)
        assert (await looks.info_from_pd(ctx)).status is Status.COMPLETE
        assert (ctx.healthy, ctx.leads) == (True, True)

    async def test_a2_the_word_of_another_clusters_pd_counts_for_nothing(self) -> None:
        ctx = pd_context(own(), handle=trio(cluster_id="1"), known=False)
        assert (await looks.info_from_pd(ctx)).status is Status.WAIT
        assert ctx.handle is None
        assert ctx.trouble == f"pd answers for cluster 1, not for {CLUSTER_ID}"


class TestDeleteMember:
    def context(self, handle: FakeMembers | None, **parts: Any) -> Any:
        peers = [make_pd(PEER, group="aaa"), make_pd(THIRD, group="aaa")]
        group = make_pd_group("aaa", bootstrapped=True)
        pods = [make_pd_pod(peer) for peer in peers]
        values: dict[str, Any] = {"peers": peers, "groups": [group], "others": pods, "handle": handle}
        return pd_context(own(deleting=True, status=PDStatus(id="1")), **(values | parts))

    async def test_13_client_nil_and_cluster_alive(self) -> None:
        ctx = self.context(None)
        assert (await member.leave(ctx)).status is Status.RETRY
        assert ctx.problems[0].reason == "WaitingForPD"
        assert not member.left(ctx)

    async def test_13_client_nil_and_cluster_deleting(self) -> None:
        ctx = self.context(None, cluster=cluster_of(deleting=True))
        assert (await member.leave(ctx)).status is Status.COMPLETE
        assert member.left(ctx)

    async def test_13_pd_error(self) -> None:
        handle = trio(leader=PEER)
        handle.errors["delete_member_by_id"] = PDUnreachable("cut off")
        with pytest.raises(PDUnreachable):
            await member.leave(self.context(handle))

    async def test_13_name_absent(self) -> None:
        handle = FakeMembers(make_member(PEER, 2), make_member(THIRD, 3))
        ctx = self.context(handle)
        assert (await member.leave(ctx)).status is Status.COMPLETE
        assert handle.calls == []
        assert member.left(ctx)

    async def test_a3_a_follower_leaves_by_its_id(self) -> None:
        handle = trio(leader=PEER)
        ctx = self.context(handle)
        assert (await member.leave(ctx)).status is Status.COMPLETE
        assert handle.calls == [("delete_member_by_id", "1")]
        assert member.left(ctx)

    async def test_a3_the_leader_hands_over_first(self) -> None:
        handle = trio()
        ctx = self.context(handle)
        assert (await member.leave(ctx)).status is Status.WAIT
        assert handle.calls == [("transfer_leader", PEER)]
        assert not member.left(ctx)

    async def test_a3_never_below_the_quorum(self) -> None:
        handle = trio(leader=PEER, ill=[THIRD])
        ctx = self.context(handle)
        assert (await member.leave(ctx)).status is Status.RETRY
        assert handle.calls == []
        assert ctx.problems[0].reason == "QuorumAtRisk"
        assert THIRD in ctx.problems[0].message

    async def test_a4_a_member_that_never_started_leaves_too(self) -> None:
        url = "http://aaa-pd-xxx.aaa-pd-peer.ns1:2380"
        handle = FakeMembers(make_member(PEER, 2), make_member(THIRD, 3), make_member("", 9, peer=url))
        ctx = self.context(handle)
        assert (await member.leave(ctx)).status is Status.COMPLETE
        assert handle.calls == [("delete_member_by_id", "9")]

    async def test_a1_while_nobody_leads_nobody_leaves(self) -> None:
        handle = trio(leader=None)
        ctx = self.context(handle)
        assert (await member.leave(ctx)).status is Status.RETRY
        assert handle.calls == []

    async def test_b1_before_the_cluster_is_born_there_is_nothing_to_leave(self) -> None:
        ctx = pd_context(own(deleting=True), groups=[make_pd_group("aaa")])
        assert (await member.leave(ctx)).status is Status.COMPLETE
        assert member.left(ctx)

    async def test_b2_the_last_member_stays_and_says_why(self) -> None:
        handle = FakeMembers(make_member(SELF, 1))
        ctx = self.context(handle, peers=[])
        assert (await member.leave(ctx)).status is Status.RETRY
        assert "it is the last member" in ctx.problems[0].message

    async def test_b2_a_refusal_of_pd_is_said(self) -> None:
        handle = trio(leader=PEER)
        handle.errors["delete_member_by_id"] = PDError("unhealthy cluster", status=500)
        ctx = self.context(handle)
        assert (await member.leave(ctx)).status is Status.RETRY
        assert ctx.problems[0].message == "pd refuses to remove the member: unhealthy cluster"

    async def test_a6_the_last_group_goes_as_a_whole(self) -> None:
        going = make_pd_group("aaa")
        going.metadata.deletion_timestamp = format_time(NOW)
        peers = [make_pd(name, group="aaa", deleting=True) for name in (PEER, THIRD)]
        handle = trio()
        ctx = self.context(handle, groups=[going], peers=peers)
        assert (await member.leave(ctx)).status is Status.COMPLETE
        assert handle.calls == []
        assert member.left(ctx)

    async def test_a6_one_of_several_groups_leaves_member_by_member(self) -> None:
        going = make_pd_group("aaa", bootstrapped=True)
        going.metadata.deletion_timestamp = format_time(NOW)
        handle = trio(leader=PEER)
        ctx = self.context(handle, groups=[going, make_pd_group("bbb", bootstrapped=True)])
        assert (await member.leave(ctx)).status is Status.COMPLETE
        assert handle.calls == [("delete_member_by_id", "1")]


class TestConfigMap:
    async def test_2_no_config_map(self) -> None:
        ctx = pd_context(own())
        assert (await config_map(ctx)).status is Status.COMPLETE
        assert ctx.client.stored(ConfigMap, "aaa-pd-xxx").data["config.toml"]

    @pytest.mark.parametrize("text", ["invalid", "name = 'xxx'"])
    async def test_2_a_config_that_cannot_be_used(self, text: str) -> None:
        with pytest.raises(ConfigInvalid):
            await config_map(pd_context(own(config=text)))

    async def test_2_config_map_exists(self) -> None:
        ctx = pd_context(own(), others=[ConfigMap(metadata=ObjectMeta(name="aaa-pd-xxx", namespace="ns1"))])
        assert (await config_map(ctx)).status is Status.COMPLETE
        assert ctx.client.stored(ConfigMap, "aaa-pd-xxx").data["config.toml"]

    async def test_2_config_map_exists_and_patch_fails(self) -> None:
        ctx = pd_context(own())
        await config_map(ctx)
        ctx.found.spec.config = "a = 1"
        ctx.client.errors["apply ConfigMap"] = ServiceUnavailable("down", code=503)
        with pytest.raises(ServiceUnavailable):
            await config_map(ctx)

    @pytest.mark.parametrize("change", ["port", "tls"])
    @pytest.mark.parametrize("pd_answers", [True, False])
    async def test_a9_of_a_member_stays_as_it_is_when_its_peers_would_not_find_it_any_more(
        self, change: str, pd_answers: bool
    ) -> None:
        """A container that crashes reads it: it must come back where the others look for it, whether PD can be asked or not."""
        ctx = pd_context(own(), handle=trio() if pd_answers else None)
        await config_map(ctx)
        before = ctx.client.stored(ConfigMap, "aaa-pd-xxx").data
        ctx.status.id = "1"
        if change == "port":
            ctx.found.spec.server = PDServer(ports=PDPorts(peer=Port(port=2390)))
        else:
            ctx.cluster.spec.tls_cluster = TLSCluster(enabled=True)
        assert (await config_map(ctx)).status is Status.WAIT
        assert ctx.client.stored(ConfigMap, "aaa-pd-xxx").data == before
        assert [problem.reason for problem in ctx.problems] == ["PeerURLChanged"]
        assert "http://" in ctx.problems[0].message

    async def test_a9_of_a_server_that_has_never_been_a_member_may_change(self) -> None:
        ctx = pd_context(own())
        await config_map(ctx)
        ctx.found.spec.server = PDServer(ports=PDPorts(peer=Port(port=2390)))
        assert (await config_map(ctx)).status is Status.COMPLETE
        assert ":2390" in ctx.client.stored(ConfigMap, "aaa-pd-xxx").data["config.toml"]

    async def test_a9_of_a_member_changes_in_all_that_its_peers_do_not_look_at(self) -> None:
        ctx = pd_context(own(), handle=trio())
        await config_map(ctx)
        ctx.status.id = "1"
        ctx.found.spec.config = "lease = 5"
        assert (await config_map(ctx)).status is Status.COMPLETE
        assert "lease = 5" in ctx.client.stored(ConfigMap, "aaa-pd-xxx").data["config.toml"]

    async def test_b1_a_founder_without_the_others_waits_and_says_so(self) -> None:
        ctx = pd_context(own(annotations={"pd.core.pingcap.com/initial-cluster-num": "3"}))
        assert (await config_map(ctx)).status is Status.WAIT
        assert ctx.problems[0].message == "unexpected number of replicas, expected is 3, current is 1"
        assert ctx.client.writes == []


async def test_4_claims_are_applied() -> None:
    ctx = pd_context(own())
    await volume_claims(ctx)
    assert (
        ctx.client.stored(PersistentVolumeClaim, "data-aaa-pd-xxx").metadata.labels["pingcap.com/volume-name"] == "data"
    )


async def test_4_state() -> None:
    peer = make_pd(PEER, group="aaa")
    pd = own()
    pod = make_pd_pod(pd)
    ctx = pd_context(pd, pod=pod, peers=[peer], found=False)
    for task in (common.instance, common.cluster, looks.peers, common.pod):
        assert (await task(ctx)).status is Status.COMPLETE
    assert [found.metadata.name for found in ctx.peers] == [SELF, PEER]
    assert ctx.pod is not None
    assert not state.is_gone(ctx)


class TestStatus:
    """Case by case: the PD is of revision `new`, its pod of revision `old`."""

    def context(self, *, ready: bool, pod: bool = True, initialized: bool = True, current: str | None = None) -> Any:
        pd = own(status=PDStatus(current_revision=current))
        if ready:
            with_ready(pd)
        pd.metadata.labels["pingcap.com/instance-revision-hash"] = "new"
        made = make_pd_pod(pd) if pod else None
        if made is not None:
            made.metadata.labels["pingcap.com/instance-revision-hash"] = "old"
        return pd_context(pd, pod=made, handle=trio() if initialized else None)

    async def write(self, ctx: Any) -> Any:
        await status.initialized(ctx)
        await conditions.suspended(ctx)
        return await status.sync(ctx)

    async def test_5_not_ready(self) -> None:
        ctx = self.context(ready=False, pod=False, current="keep")
        assert (await self.write(ctx)).status is Status.WAIT
        assert ctx.status.current_revision == "keep"
        assert [(c.type, c.status) for c in ctx.status.conditions] == [("Initialized", "True"), ("Suspended", "False")]

    async def test_5_ready(self) -> None:
        ctx = self.context(ready=True)
        assert (await self.write(ctx)).status is Status.COMPLETE
        stored = ctx.status
        assert (stored.current_revision, stored.update_revision, stored.observed_generation) == ("old", "new", 3)
        assert (stored.id, stored.is_leader) == ("1", True)

    async def test_5_pod_deleting(self) -> None:
        ctx = self.context(ready=False)
        ctx.pod_deleted = True
        assert (await self.write(ctx)).status is Status.RETRY
        assert not ctx.status.current_revision

    async def test_5_not_initialised_but_ready(self) -> None:
        ctx = self.context(ready=True, initialized=False)
        assert (await self.write(ctx)).status is Status.WAIT
        assert ctx.status.current_revision == "old"
        found = next(c for c in ctx.status.conditions if c.type == "Initialized")
        assert (found.status, found.reason) == ("False", "Uninitialized")

    async def test_5_neither_initialised_nor_ready(self) -> None:
        ctx = self.context(ready=False, initialized=False)
        assert (await self.write(ctx)).status is Status.WAIT
        assert not ctx.status.current_revision
        assert [(c.type, c.status) for c in ctx.status.conditions] == [("Initialized", "False"), ("Suspended", "False")]

    async def test_5_status_update_fails(self) -> None:
        ctx = self.context(ready=False)
        ctx.client.errors["update_status PD"] = ServiceUnavailable("down", code=503)
        with pytest.raises(ServiceUnavailable):
            await self.write(ctx)

    async def test_once_initialised_a_pd_that_is_away_is_unknown(self) -> None:
        ctx = self.context(ready=True, initialized=False)
        ctx.status.conditions.append(Condition(type="Initialized", status="True", reason="Initialized"))
        await status.initialized(ctx)
        found = next(c for c in ctx.status.conditions if c.type == "Initialized")
        assert (found.status, found.reason, found.message) == ("Unknown", "Unavailable", "pd is unavailable")

    async def test_a1_leadership_that_is_unknown_leaves_what_was_known(self) -> None:
        ctx = self.context(ready=True, initialized=False)
        ctx.status.is_leader, ctx.status.id = True, "1"
        await self.write(ctx)
        assert (ctx.status.is_leader, ctx.status.id) == (True, "1")

    async def test_a_status_that_says_nothing_new_is_not_written(self) -> None:
        ctx = self.context(ready=True)
        await self.write(ctx)
        before = list(ctx.client.writes)
        await self.write(ctx)
        assert ctx.client.writes == before

    async def test_what_waits_for_a_restart_is_a_condition_while_it_does(self) -> None:
        ctx = self.context(ready=True)
        ctx.restart = []
        ctx.needs_restart("ConfigNeedsRestart", "the rest of the configuration is read when pd starts")
        await conditions.restart_required(ctx)
        assert any(c.type == "RestartRequired" for c in ctx.status.conditions)
        ctx.restart = []
        await conditions.restart_required(ctx)
        assert not any(c.type == "RestartRequired" for c in ctx.status.conditions)


class TestHealthIsKnown:
    def test_a2_without_pd_nothing_is_said_of_a_member_that_was_well(self) -> None:
        assert not health_is_known(pd_context(own(status=PDStatus(id="1")), pod=make_pd_pod(own())))

    def test_with_pd_it_is(self) -> None:
        assert health_is_known(pd_context(own(status=PDStatus(id="1")), pod=make_pd_pod(own()), handle=trio()))

    def test_without_a_pod_nobody_is_ready(self) -> None:
        assert health_is_known(pd_context(own(status=PDStatus(id="1"))))
