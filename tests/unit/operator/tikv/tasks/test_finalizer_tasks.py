from __future__ import annotations

import pytest

from controller_runtime.api import Object, ObjectMeta
from controller_runtime.api.k8s import ConfigMap, PersistentVolumeClaim
from controller_runtime.client import Conflict, NotFound, ServiceUnavailable
from controller_runtime.task import Status
from helpers.tikv_fakes import make_cluster, make_context, make_pod, make_tikv
from tikv_operator.api import TiKV
from tikv_operator.tikv.configmap import render_config_map
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.tasks import finalizer


def config_map() -> ConfigMap:
    return render_config_map(make_tikv(), make_cluster())


def claim() -> PersistentVolumeClaim:
    return render_claims(make_tikv(), make_cluster())[0]


class TestAdd:
    async def test_adds_what_is_missing(self) -> None:
        tikv = make_tikv()
        tikv.metadata.finalizers = []
        ctx = make_context(tikv)
        assert (await finalizer.add(ctx)).status is Status.COMPLETE
        assert ctx.client.writes == ["update TiKV basic-abc123"]
        assert ctx.client.stored(TiKV, "basic-abc123").metadata.finalizers == ["pingcap.com/finalizer"]

    async def test_writes_nothing_if_it_is_there(self) -> None:
        ctx = make_context()
        assert (await finalizer.add(ctx)).status is Status.COMPLETE
        assert ctx.client.writes == []

    async def test_never_adds_one_to_a_tikv_that_is_deleted(self) -> None:
        tikv = make_tikv()
        tikv.metadata.finalizers = ["other"]
        tikv.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        ctx = make_context(tikv)
        await finalizer.add(ctx)
        assert ctx.client.writes == []

    async def test_an_error_of_the_api_server_fails_the_task(self) -> None:
        tikv = make_tikv()
        tikv.metadata.finalizers = []
        ctx = make_context(tikv)
        ctx.client.errors["update TiKV"] = Conflict("changed", code=409)
        with pytest.raises(Conflict):
            await finalizer.add(ctx)


class TestRemove:
    async def test_nothing_left_and_no_finalizer(self) -> None:
        tikv = make_tikv()
        tikv.metadata.finalizers = []
        ctx = make_context(tikv)
        assert (await finalizer.remove(ctx)).status is Status.COMPLETE
        assert ctx.client.writes == []

    async def test_nothing_left(self) -> None:
        ctx = make_context()
        assert (await finalizer.remove(ctx)).status is Status.COMPLETE
        assert ctx.client.writes == ["update TiKV basic-abc123"]
        assert ctx.client.stored(TiKV, "basic-abc123").metadata.finalizers == []

    @pytest.mark.parametrize("left", [make_pod(), config_map(), claim()], ids=lambda obj: obj.kind)
    async def test_something_left_is_deleted_and_waited_for(self, left: Object) -> None:
        ctx = make_context(others=[left])
        result = await finalizer.remove(ctx)
        assert (result.status, result.after) == (Status.RETRY, 5.0)
        assert ctx.client.writes == [f"delete {left.kind} {left.metadata.name}"]

    async def test_a_tikv_that_an_earlier_run_has_let_go_is_no_error(self) -> None:
        ctx = make_context()
        ctx.client.errors["update TiKV"] = NotFound("gone", code=404)
        assert (await finalizer.remove(ctx)).status is Status.COMPLETE

    async def test_a_pod_gets_a_minute(self) -> None:
        ctx = make_context(others=[make_pod()])
        await finalizer.remove(ctx)
        assert ctx.client.sent["delete Pod"]["grace_period"] == 60

    async def test_what_is_being_deleted_is_not_deleted_again(self) -> None:
        pod = make_pod()
        pod.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        ctx = make_context(others=[pod])
        assert (await finalizer.remove(ctx)).status is Status.RETRY
        assert ctx.client.writes == []

    async def test_what_others_own_is_left_alone(self) -> None:
        other = ConfigMap(metadata=ObjectMeta(name="x", namespace="ns1", labels={"pingcap.com/instance": "other"}))
        ctx = make_context(others=[other])
        assert (await finalizer.remove(ctx)).status is Status.COMPLETE

    @pytest.mark.parametrize(
        "error",
        [ServiceUnavailable("later", code=503), Conflict("changed", code=409)],
        ids=["away", "conflict"],
    )
    async def test_an_error_of_the_api_server_fails_the_task(self, error: Exception) -> None:
        ctx = make_context(others=[make_pod()])
        ctx.client.errors["delete Pod"] = error
        with pytest.raises(type(error)):
            await finalizer.remove(ctx)
