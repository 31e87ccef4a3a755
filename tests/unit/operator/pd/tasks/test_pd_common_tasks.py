"""Tasks that a PD shares with other instances or runs in a branch of its own, each alone."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import Object
from controller_runtime.api.k8s import Pod
from controller_runtime.client import NotFound, ServiceUnavailable
from controller_runtime.task import Status
from helpers.group_world import make_pd_group
from helpers.pd_fakes import FakeMembers, make_member, make_pd, make_pd_pod, pd_context
from helpers.tikv_fakes import make_cluster
from tikv_operator.api import PD
from tikv_operator.instance.configmap import render_config_map
from tikv_operator.instance.tasks import finalizer
from tikv_operator.instance.tasks import pod as common
from tikv_operator.pd.component import PD_SERVER
from tikv_operator.pd.pod import render_claims
from tikv_operator.pd.tasks import ctx as looks
from tikv_operator.pd.tasks import pod as tasks


class TestContextPeerSlice:
    async def test_finds_the_pds_and_the_groups_of_the_cluster(self) -> None:
        ctx = pd_context(make_pd("a-1"), peers=[make_pd("b-1", group="b")], groups=[make_pd_group("b")], found=False)
        ctx.found_cluster = make_cluster()
        result = await looks.peers(ctx)
        assert (result.status, result.message) == (Status.COMPLETE, "2 pds in the cluster")
        assert [peer.metadata.name for peer in ctx.peers] == ["a-1", "b-1"]
        assert [group.metadata.name for group in ctx.groups] == ["b"]


class TestPodRepair:
    async def test_brings_back_the_pod_of_a_member_that_cannot_leave_yet(self) -> None:
        handle = FakeMembers(make_member("basic-abc123", 7))
        ctx = pd_context(make_pd(deleting=True), handle=handle)
        assert (await tasks.repair(ctx)).status is Status.COMPLETE
        assert ctx.client.writes == ["create Pod basic-pd-abc123"]
        assert ctx.pod.metadata.labels["tidb.pingcap.com/member-id"] == "7"

    async def test_leaves_a_pod_that_is_there_as_it_is(self) -> None:
        ctx = pd_context(make_pd(deleting=True, version="v8.1.1"), pod=make_pd_pod())
        assert (await tasks.repair(ctx)).message == "nothing to repair"
        assert ctx.client.writes == []

    async def test_makes_none_without_its_configuration(self) -> None:
        ctx = pd_context(make_pd(deleting=True))
        ctx.problem("CannotStartYet", "no config map")
        assert (await tasks.repair(ctx)).message == "nothing to repair"
        assert ctx.client.writes == []


class TestPodSuspend:
    async def test_deletes_the_pod(self) -> None:
        ctx = pd_context(pod=make_pd_pod())
        assert (await common.suspend(ctx)).status is Status.WAIT
        assert ctx.client.writes == ["delete Pod basic-pd-abc123"]
        assert ctx.client.sent["delete Pod"]["preconditions"].uid == "uid-basic-pd-abc123"

    async def test_deletes_it_once(self) -> None:
        pod = make_pd_pod()
        pod.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        ctx = pd_context(pod=pod)
        assert (await common.suspend(ctx)).message == "pod is terminating"
        assert ctx.client.writes == []

    async def test_without_a_pod_there_is_nothing_to_do(self) -> None:
        assert (await common.suspend(pd_context())).message == "pod does not exist"

    async def test_a_pod_that_is_gone_is_what_was_wanted(self) -> None:
        ctx = pd_context(pod=make_pd_pod())
        ctx.client.errors["delete Pod"] = NotFound("gone", code=404)
        assert (await common.suspend(ctx)).status is Status.WAIT

    async def test_an_error_of_the_api_server_fails_the_task(self) -> None:
        ctx = pd_context(pod=make_pd_pod())
        ctx.client.errors["delete Pod"] = ServiceUnavailable("later", code=503)
        with pytest.raises(ServiceUnavailable):
            await common.suspend(ctx)


def left_behind() -> dict[str, Object]:
    pd, cluster = make_pd(), make_cluster()
    return {
        "Pod": make_pd_pod(),
        "ConfigMap": render_config_map(PD_SERVER, pd, ""),
        "PersistentVolumeClaim": render_claims(pd, cluster)[0],
    }


class TestFinalizerDel:
    @pytest.mark.parametrize("kind", ["Pod", "ConfigMap", "PersistentVolumeClaim"])
    async def test_what_is_left_is_deleted_and_waited_for(self, kind: str) -> None:
        left = left_behind()[kind]
        ctx = pd_context(make_pd(deleting=True), others=[left])
        result = await finalizer.remove(ctx)
        assert (result.status, result.after) == (Status.RETRY, 5.0)
        assert ctx.client.writes == [f"delete {kind} {left.metadata.name}"]
        assert ctx.client.stored(PD, "basic-abc123").metadata.finalizers == ["pingcap.com/finalizer"]

    async def test_with_nothing_left_the_pd_is_let_go(self) -> None:
        ctx = pd_context(make_pd(deleting=True))
        assert (await finalizer.remove(ctx)).status is Status.COMPLETE
        assert ctx.client.stored(PD, "basic-abc123").metadata.finalizers == []
        assert ctx.found is None

    async def test_what_is_being_deleted_is_not_deleted_again(self) -> None:
        pod: Any = left_behind()["Pod"]
        pod.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        ctx = pd_context(make_pd(deleting=True), others=[pod])
        assert (await finalizer.remove(ctx)).status is Status.RETRY
        assert ctx.client.writes == []

    async def test_an_error_of_the_api_server_fails_the_task_and_keeps_the_finalizer(self) -> None:
        ctx = pd_context(make_pd(deleting=True), others=[left_behind()["Pod"]])
        ctx.client.errors["delete Pod"] = ServiceUnavailable("later", code=503)
        with pytest.raises(ServiceUnavailable):
            await finalizer.remove(ctx)
        assert ctx.client.stored(Pod, "basic-pd-abc123").metadata.deletion_timestamp is None
        assert ctx.client.stored(PD, "basic-abc123").metadata.finalizers == ["pingcap.com/finalizer"]
