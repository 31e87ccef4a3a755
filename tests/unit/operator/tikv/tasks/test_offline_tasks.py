from __future__ import annotations

import pytest

from controller_runtime.client import Conflict, ServiceUnavailable
from controller_runtime.task import Status
from helpers.tikv_fakes import FakePD, condition, make_context, make_store, make_tikv, summary, with_condition
from tikv_operator.api import TiKV
from tikv_operator.pdclient import PDError, PDUnreachable
from tikv_operator.tikv.tasks import conditions, offline

EVICTED = ("LeadersEvicted", True, "Evicted")


class TestOfflineStore:
    @pytest.mark.parametrize(
        ("wanted", "state", "call", "status"),
        [
            pytest.param(False, None, None, Status.COMPLETE, id="not offline, no store"),
            pytest.param(True, None, None, Status.WAIT, id="offline, no store"),
            pytest.param(True, "Preparing", "delete_store", Status.WAIT, id="offline, Preparing"),
            pytest.param(True, "Serving", "delete_store", Status.WAIT, id="offline, Serving"),
            pytest.param(True, "Removing", None, Status.WAIT, id="offline, Removing"),
            pytest.param(True, "Removed", None, Status.COMPLETE, id="offline, Removed"),
            pytest.param(False, "Preparing", None, Status.COMPLETE, id="not offline, Preparing"),
            pytest.param(False, "Serving", None, Status.COMPLETE, id="not offline, Serving"),
            pytest.param(False, "Removing", "cancel_delete_store", Status.WAIT, id="not offline, Removing"),
            pytest.param(False, "Removed", None, Status.COMPLETE, id="not offline, Removed"),
            pytest.param(True, "Weird", None, Status.FAIL, id="offline, Weird"),
            pytest.param(False, "Weird", None, Status.FAIL, id="not offline, Weird"),
        ],
    )
    async def test_what_is_asked_of_pd(self, wanted: bool, state: str | None, call: str | None, status: Status) -> None:
        store = make_store(node_state=state) if state else None
        pd = FakePD(*[store] if store else [])
        ctx = make_context(with_condition(make_tikv(offline=wanted), *EVICTED), pd=pd, store=store)
        assert (await offline.offline_store(ctx)).status is status
        assert pd.client.calls == ([(call, "4")] if call else [])

    @pytest.mark.parametrize(
        ("wanted", "state", "evict"),
        [
            pytest.param(True, "Serving", True, id="offline, Serving"),
            pytest.param(True, "Removing", True, id="offline, Removing"),
            pytest.param(True, "Removed", False, id="offline, Removed"),
            pytest.param(False, "Serving", False, id="not offline"),
        ],
    )
    async def test_leaders_are_not_wanted_on_a_store_that_goes(self, wanted: bool, state: str, evict: bool) -> None:
        store = make_store(node_state=state)
        ctx = make_context(make_tikv(offline=wanted), pd=FakePD(store), store=store)
        await offline.offline_store(ctx)
        assert ctx.evict_leaders is evict

    async def test_nothing_happens_on_stale_data(self) -> None:
        ctx = make_context(make_tikv(offline=True))
        ctx.pd_trouble = "pd client is not registered"
        assert (await offline.offline_store(ctx)).status is Status.WAIT
        assert not ctx.problems

    async def test_a_pd_that_is_away_is_said(self) -> None:
        ctx = make_context(make_tikv(offline=True))
        ctx.pd_trouble, ctx.pd_lost = "pd does not answer: refused", True
        await offline.offline_store(ctx)
        await conditions.synced(ctx)
        found = condition(ctx.tikv, "Synced")
        assert found is not None
        assert (found.reason, found.message) == (
            "WaitingForPD",
            "the store cannot be removed: pd does not answer: refused",
        )


class TestLeadersAreEvictedFirst:
    async def result(self, tikv: TiKV, leaders: int = 3, **settings: float) -> tuple[Status, float, bool]:
        store = make_store(leader_count=leaders)
        pd = FakePD(store)
        ctx = make_context(tikv, pd=pd, store=store, **settings)
        result = await offline.offline_store(ctx)
        return result.status, result.after, bool(pd.client.calls)

    async def test_nothing_is_removed_before_the_condition_says_so(self) -> None:
        assert await self.result(make_tikv(offline=True)) == (Status.WAIT, 0.0, False)

    async def test_leaders_that_are_being_evicted_are_waited_for_until_the_time_out(self) -> None:
        tikv = with_condition(make_tikv(offline=True), "LeadersEvicted", False, "Evicting", age=60)
        status, after, asked = await self.result(tikv)
        assert (status, asked) == (Status.RETRY, False)
        assert after == pytest.approx(240.001)

    async def test_the_time_out_is_a_setting(self) -> None:
        tikv = with_condition(make_tikv(offline=True), "LeadersEvicted", False, "Evicting", age=60)
        assert (await self.result(tikv, eviction_timeout=30.0))[2]

    async def test_a_time_out_is_an_event_that_says_what_is_left(self) -> None:
        store = make_store(leader_count=3)
        tikv = with_condition(make_tikv(offline=True), "LeadersEvicted", False, "Evicting", age=301)
        ctx = make_context(tikv, pd=FakePD(store), store=store)
        await offline.offline_store(ctx)
        assert ctx.pd.client.calls == [("delete_store", "4")]
        assert ctx.events.events == [
            "Warning LeaderEvictionTimeout: store is removed although it still leads 3 regions after 300s"
        ]

    async def test_a_store_that_was_not_being_evicted_has_no_time_out_to_expire(self) -> None:
        tikv = with_condition(make_tikv(offline=True), "LeadersEvicted", False, "NotEvicted", age=36000)
        assert await self.result(tikv) == (Status.WAIT, 0.0, False)

    async def test_a_condition_of_an_older_generation_decides_nothing(self) -> None:
        tikv = with_condition(make_tikv(offline=True), *EVICTED, generation=2)
        assert await self.result(tikv) == (Status.WAIT, 0.0, False)

    async def test_a_condition_of_the_time_before_the_store_decides_nothing(self) -> None:
        tikv = with_condition(make_tikv(offline=True), "LeadersEvicted", True, "StoreNotExist")
        assert await self.result(tikv) == (Status.WAIT, 0.0, False)

    @pytest.mark.parametrize(
        ("condition", "removes"),
        [
            pytest.param(None, False, id="no condition"),
            pytest.param((True, "Evicted", 1), True, id="evicted"),
            pytest.param((False, "NotEvicted", 36000), False, id="not begun"),
            pytest.param((False, "Evicting", 301), True, id="begun too long ago"),
            pytest.param((False, "Evicting", 299), False, id="under way"),
        ],
    )
    async def test_what_the_condition_must_say(self, condition: tuple[bool, str, float] | None, removes: bool) -> None:
        tikv = make_tikv(offline=True)
        if condition is not None:
            status, reason, age = condition
            with_condition(tikv, "LeadersEvicted", status, reason, age=age)
        leaders = 0 if condition is not None and condition[0] else 3
        assert (await self.result(tikv, leaders))[2] is removes


class TestPDSaysNo:
    def ctx(self, error: Exception) -> object:
        store = make_store()
        pd = FakePD(store)
        pd.client.errors["delete_store"] = error
        return make_context(with_condition(make_tikv(offline=True), *EVICTED), pd=pd, store=store)

    async def test_a_refusal_is_said_in_a_condition_and_stops_nothing(self) -> None:
        ctx = self.ctx(PDError("too few stores", status=400, retryable=False))
        result = await offline.offline_store(ctx)  # type: ignore[arg-type]
        assert (result.status, result.after) == (Status.RETRY, 60.0)
        await conditions.synced(ctx)  # type: ignore[arg-type]
        assert summary(ctx.tikv)["Synced"] == "False/StoreRemovalRefused"  # type: ignore[attr-defined]

    async def test_anything_else_fails_the_run(self) -> None:
        with pytest.raises(PDUnreachable):
            await offline.offline_store(self.ctx(PDUnreachable("refused")))  # type: ignore[arg-type]


class TestSetOffline:
    async def test_is_one_patch_that_fails_if_the_tikv_has_changed(self) -> None:
        tikv = make_tikv()
        tikv.metadata.annotations = {"core.pingcap.com/defer-delete": "true", "mine": "x"}
        ctx = make_context(tikv)
        assert (await offline.set_offline(ctx)).status is Status.COMPLETE
        stored = ctx.client.stored(TiKV, "basic-abc123")
        assert stored.spec.offline is True
        assert stored.metadata.annotations == {"mine": "x"}
        assert ctx.tikv.spec.offline is True

    async def test_a_conflict_passes_through(self) -> None:
        ctx = make_context()
        ctx.client.errors["patch TiKV"] = Conflict("changed", code=409)
        with pytest.raises(Conflict):
            await offline.set_offline(ctx)


class TestDeleteOfflinedStore:
    async def test_deletes_the_tikv_as_it_was_seen(self) -> None:
        ctx = make_context()
        assert (await offline.delete_offlined(ctx)).status is Status.WAIT
        preconditions = ctx.client.sent["delete TiKV"]["preconditions"]
        assert (preconditions.uid, preconditions.resource_version) == ("tikv-uid", "1")

    async def test_a_tikv_that_is_gone_is_no_error(self) -> None:
        ctx = make_context()
        ctx.client.remove(ctx.tikv)
        assert (await offline.delete_offlined(ctx)).status is Status.COMPLETE

    @pytest.mark.parametrize(
        "error",
        [ServiceUnavailable("later", code=503), Conflict("changed", code=409)],
        ids=["away", "conflict"],
    )
    async def test_an_error_of_the_api_server_fails_the_task(self, error: Exception) -> None:
        ctx = make_context()
        ctx.client.errors["delete TiKV"] = error
        with pytest.raises(type(error)):
            await offline.delete_offlined(ctx)
