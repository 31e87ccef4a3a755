from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.client import Conflict, ServiceUnavailable
from controller_runtime.task import Status
from helpers.tikv_fakes import REVISION, FakePD, make_context, make_pod, make_store, make_tikv, with_condition
from tikv_operator.api import TiKV
from tikv_operator.tikv.health import Health
from tikv_operator.tikv.tasks import status


def context(
    *, ready: bool, pod: Any = None, store: Any = None, health: Health | None = None, generation: int = 3
) -> Any:
    tikv = with_condition(make_tikv(), "Ready", ready, "Ready" if ready else "PodNotReady", generation=generation)
    assert tikv.status is not None
    tikv.status.current_revision = "old"
    ctx = make_context(tikv, pod=pod, pd=FakePD(*[store] if store else []), store=store)
    ctx.health = health or Health()
    return ctx


def old_pod() -> Any:
    pod = make_pod()
    pod.metadata.labels["pingcap.com/instance-revision-hash"] = "previous"
    return pod


class TestStatus:
    async def test_of_a_tikv_that_is_not_ready(self) -> None:
        ctx = context(ready=False, pod=make_pod(ready_for=None), store=make_store())
        assert (await status.sync(ctx)).status is Status.WAIT
        stored = ctx.client.stored(TiKV, "basic-abc123").status
        assert (stored.id, stored.state, stored.observed_generation) == ("4", "Serving", 3)
        assert (stored.update_revision, stored.current_revision) == (REVISION, "old")

    async def test_of_a_tikv_that_is_ready_with_its_old_pod(self) -> None:
        ctx = context(ready=True, pod=old_pod(), store=make_store())
        assert (await status.sync(ctx)).status is Status.COMPLETE
        stored = ctx.client.stored(TiKV, "basic-abc123").status
        assert (stored.update_revision, stored.current_revision) == (REVISION, "previous")

    async def test_of_a_tikv_whose_pod_terminates(self) -> None:
        pod = make_pod()
        pod.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        ctx = context(ready=False, pod=pod, store=make_store())
        result = await status.sync(ctx)
        assert (result.status, result.after) == (Status.RETRY, 5.0)

    async def test_readiness_of_an_older_generation_does_not_count(self) -> None:
        ctx = context(ready=True, pod=make_pod(), store=make_store(), generation=2)
        await status.sync(ctx)
        assert ctx.status.current_revision == "old"

    async def test_what_is_not_known_any_more_stays(self) -> None:
        ctx = context(ready=True, pod=make_pod())
        ctx.status.id, ctx.status.state = "4", "Removing"
        await status.sync(ctx)
        assert (ctx.status.id, ctx.status.state) == ("4", "Removing")

    async def test_without_a_store_id_it_is_not_complete(self) -> None:
        ctx = context(ready=True, pod=make_pod())
        assert (await status.sync(ctx)).status is Status.WAIT

    async def test_nothing_new_is_not_written(self) -> None:
        ctx = context(ready=True, pod=make_pod(), store=make_store())
        for _ in range(3):
            await status.sync(ctx)
        assert ctx.client.writes == ["update_status TiKV basic-abc123"]

    async def test_a_conflict_passes_through(self) -> None:
        ctx = context(ready=True)
        ctx.client.errors["update_status TiKV"] = Conflict("changed", code=409)
        with pytest.raises(Conflict):
            await status.sync(ctx)


class TestCases:
    """The table of TiDB Operator's own tests: the TiKV is of one revision, its pod of the one before."""

    @pytest.mark.parametrize(
        ("ready", "deleting", "evicting", "store_ready", "answer", "current"),
        [
            pytest.param(False, False, False, True, Status.RETRY, "old", id="not ready"),
            pytest.param(True, False, False, True, Status.COMPLETE, "previous", id="ready"),
            pytest.param(True, True, False, True, Status.RETRY, "previous", id="pod is being deleted"),
            pytest.param(True, False, True, True, Status.COMPLETE, "previous", id="ready, leaders are being evicted"),
            pytest.param(False, False, False, False, Status.WAIT, "old", id="not ready, nor is the store"),
        ],
    )
    async def test_a_case(
        self, ready: bool, deleting: bool, evicting: bool, store_ready: bool, answer: Status, current: str
    ) -> None:
        pod = old_pod()
        if deleting:
            pod.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        health = Health(store_ready=store_ready, recheck=3.0 if store_ready else None)
        ctx = context(ready=ready, pod=pod, store=make_store(), health=health)
        ctx.leaders_leaving = evicting
        assert (await status.sync(ctx)).status is answer
        stored = ctx.client.stored(TiKV, "basic-abc123").status
        assert (stored.id, stored.state, stored.observed_generation) == ("4", "Serving", 3)
        assert (stored.update_revision, stored.current_revision) == (REVISION, current)

    async def test_writing_the_status_fails(self) -> None:
        ctx = context(ready=True, pod=old_pod(), store=make_store())
        ctx.client.errors["update_status TiKV"] = ServiceUnavailable("later", code=503)
        with pytest.raises(ServiceUnavailable):
            await status.sync(ctx)


class TestWhenToLookAgain:
    async def after(self, ready_for: float, recheck: float | None) -> tuple[Status, float, int]:
        health = Health(store_ready=True, recheck=recheck)
        ctx = context(ready=False, pod=make_pod(ready_for=ready_for), store=make_store(), health=health)
        result = await status.sync(ctx)
        return result.status, result.after, ctx.pd.hurried

    async def test_exactly_when_the_pod_has_been_ready_long_enough(self) -> None:
        assert await self.after(12, 3.001) == (Status.RETRY, 3.001, 1)

    async def test_soon_while_it_is_starting(self) -> None:
        assert await self.after(1, 14.001) == (Status.RETRY, 5.0, 1)
        assert await self.after(60, None) == (Status.RETRY, 5.0, 1)

    async def test_seldom_once_something_else_must_be_wrong(self) -> None:
        assert await self.after(3600, None) == (Status.WAIT, 0.0, 0)
        assert await self.after(3600, 5.0) == (Status.RETRY, 5.0, 0)


async def test_while_suspending_only_conditions_are_written() -> None:
    ctx = context(ready=False, store=make_store())
    assert (await status.update(ctx)).status is Status.COMPLETE
    stored = ctx.client.stored(TiKV, "basic-abc123").status
    assert (stored.id, stored.update_revision, stored.observed_generation) == (None, None, 3)
