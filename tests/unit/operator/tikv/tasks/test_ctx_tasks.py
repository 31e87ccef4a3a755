from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.client import ServiceUnavailable
from controller_runtime.task import Status, Task
from helpers.tikv_fakes import NOW, FakePD, make_cluster, make_context, make_pod, make_store, make_tikv, with_condition
from tikv_operator.api import ClusterDNS, TiKVStatus
from tikv_operator.pdclient import PDUnreachable
from tikv_operator.tikv.tasks import ctx as tasks


class TestContextObject:
    async def test_finds_the_tikv(self) -> None:
        ctx = make_context(found=False)
        assert (await tasks.tikv(ctx)).status is Status.COMPLETE
        assert ctx.tikv.metadata.name == "basic-abc123"

    async def test_leaves_it_empty_if_there_is_none(self) -> None:
        ctx = make_context(found=False)
        ctx.client.remove(ctx.client.stored(type(make_tikv()), "basic-abc123"))
        assert (await tasks.tikv(ctx)).status is Status.COMPLETE
        assert ctx.found is None

    async def test_a_task_that_needs_what_is_not_there_is_a_bug_that_says_so(self) -> None:
        ctx = make_context(found=False)
        with pytest.raises(AssertionError, match="basic-abc123"):
            _ = ctx.tikv
        with pytest.raises(RuntimeError, match="the Cluster"):
            _ = ctx.cluster


class TestContextCluster:
    async def test_finds_the_cluster(self) -> None:
        ctx = make_context()
        assert (await tasks.cluster(ctx)).status is Status.COMPLETE
        assert not ctx.cluster_missing

    async def test_a_missing_cluster_is_waited_for_not_a_failure(self) -> None:
        ctx = make_context()
        ctx.client.remove(make_cluster())
        assert (await tasks.cluster(ctx)).status is Status.WAIT
        assert ctx.cluster_missing


class TestContextPod:
    async def test_there_may_be_none(self) -> None:
        ctx = make_context()
        assert (await tasks.pod(ctx)).status is Status.COMPLETE
        assert ctx.pod is None

    async def test_finds_the_pod_and_sees_that_it_terminates(self) -> None:
        pod = make_pod()
        ctx = make_context(pod=pod)
        ctx.pod = None
        assert (await tasks.pod(ctx)).message == "pod is found"
        pod.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        ctx.client.add(pod)
        assert (await tasks.pod(ctx)).message == "pod is terminating"
        assert ctx.pod_terminating

    @pytest.mark.parametrize("uid", ["somebody-else", None])
    async def test_a_pod_of_somebody_else_is_not_touched(self, uid: str | None) -> None:
        pod = make_pod()
        pod.metadata.owner_references[0].uid = uid or ""
        if uid is None:
            pod.metadata.owner_references = []
        ctx = make_context(pod=pod)
        ctx.pod = None
        assert (await tasks.pod(ctx)).status is Status.FAIL
        assert ctx.pod is None


class TestContextInfoFromPD:
    async def test_pd_that_is_not_registered_is_asked_for_again(self) -> None:
        ctx = make_context()
        result = await tasks.info_from_pd(ctx)
        assert (result.status, result.after) == (Status.RETRY, 5.0)
        assert (ctx.pd, ctx.pd_trouble, ctx.pd_lost) == (None, "pd client is not registered", False)

    async def test_a_stale_snapshot_is_no_snapshot(self) -> None:
        pd = FakePD(make_store(), fresh=False, error=PDUnreachable("connection refused"))
        ctx = make_context()
        ctx.pds = type(ctx.pds)(pd)
        assert (await tasks.info_from_pd(ctx)).status is Status.WAIT
        assert (ctx.pd, ctx.store, ctx.pd_lost) == (None, None, True)
        assert ctx.pd_trouble == "pd does not answer: connection refused"
        assert pd.refreshed == 1

    async def test_finds_the_store_by_its_address(self) -> None:
        ctx = make_context(pod=make_pod())
        ctx.pds = type(ctx.pds)(FakePD(make_store(), evicting=["4"]))
        assert (await tasks.info_from_pd(ctx)).message == "store 4 is Serving"
        assert (ctx.store_state, ctx.health.healthy, ctx.leaders_leaving) == ("Serving", True, True)
        assert ctx.pd.client.calls == []

    async def test_a_store_that_does_not_exist_is_no_error(self) -> None:
        ctx = make_context()
        ctx.pds = type(ctx.pds)(FakePD())
        assert (await tasks.info_from_pd(ctx)).status is Status.COMPLETE
        assert (ctx.store, ctx.store_state, ctx.health.healthy) == (None, "", False)

    async def test_a_store_whose_address_has_changed_is_found_by_its_id(self) -> None:
        tikv = make_tikv()
        tikv.status = TiKVStatus(id="4")
        ctx = make_context(tikv, cluster=make_cluster(dns=ClusterDNS(mode="FQDN")))
        ctx.pds = type(ctx.pds)(FakePD(make_store()))
        await tasks.info_from_pd(ctx)
        assert ctx.store is not None


async def test_the_gauge_follows_the_conditions_and_goes_with_the_tikv() -> None:
    ctx = make_context(with_condition(make_tikv(), "Ready", False, "PodNotReady"))
    gauge = ctx.metrics._gauge  # the only way to see a gauge without its registry
    await tasks.instance_metrics(ctx)
    values = {sample.labels["condition"]: sample.value for sample in gauge.collect()[0].samples}
    assert values == {"Ready": 1.0, "Synced": 0.0}
    ctx.found = None
    await tasks.instance_metrics(ctx)
    assert gauge.collect()[0].samples == []
    assert ctx.now == NOW


@pytest.mark.parametrize("task", [tasks.tikv, tasks.cluster, tasks.pod], ids=lambda task: task.name)
async def test_an_error_of_the_api_server_fails_the_task(task: Task[Any]) -> None:
    ctx = make_context()

    async def refuse(*_: Any) -> Any:
        raise ServiceUnavailable("later", code=503)

    ctx.client.find = refuse
    with pytest.raises(ServiceUnavailable):
        await task(ctx)
