from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller_runtime.api import format_time
from controller_runtime.client import Conflict
from controller_runtime.task import Result, Status
from helpers.tikv_fakes import (
    NOW,
    FakePD,
    condition,
    make_context,
    make_pod,
    make_store,
    make_tikv,
    summary,
    with_condition,
)
from tikv_operator.api import TiKV, TiKVStatus
from tikv_operator.pdclient import PDError, Store
from tikv_operator.tikv.health import Health
from tikv_operator.tikv.tasks import evict_leader

UNPREPARED = "pd has only just begun to lead, and does not know yet who leads which region"


def context(tikv: TiKV | None = None, *, store: Store | None = None, evict: bool, evicting: bool = False) -> Any:
    pd = FakePD(*[store] if store else [], evicting=["4"] if evicting else [])
    ctx = make_context(tikv, pd=pd, store=store)
    ctx.evict_leaders, ctx.leaders_leaving = evict, evicting
    return ctx


def ours(reason: str = "Evicting", **options: Any) -> TiKV:
    return with_condition(make_tikv(), "LeadersEvicted", reason == "Evicted", reason, **options)


async def run(ctx: Any) -> Result:
    """Run both tasks, with the write of the status between them; return what the second one says."""
    await evict_leader.evict_leader(ctx)
    await ctx.report()
    result: Result = await evict_leader.begin(ctx)
    return result


class TestBegin:
    async def test_pd_is_asked_and_the_condition_tells_how_many_are_left(self) -> None:
        ctx = context(store=make_store(leader_count=3), evict=True)
        assert (await run(ctx)).status is Status.COMPLETE
        assert ctx.pd.client.calls == [("evicting_stores",), ("begin_evict_leader", "4")]
        found = condition(ctx.tikv, "LeadersEvicted")
        assert found is not None
        assert (found.status, found.reason) == ("False", "Evicting")
        assert found.message == "not all leaders are evicted, still: 3"
        assert ctx.pd.is_evicting("4")

    async def test_the_intention_is_persisted_before_pd_is_asked(self) -> None:
        ctx = context(store=make_store(leader_count=3), evict=True)
        ctx.pd.client.errors["begin_evict_leader"] = PDError("no")
        with pytest.raises(PDError):
            await run(ctx)
        assert summary(ctx.client.stored(TiKV, "basic-abc123"))["LeadersEvicted"] == "False/Evicting"

    async def test_pd_is_not_asked_if_that_fails(self) -> None:
        ctx = context(store=make_store(leader_count=3), evict=True)
        ctx.client.errors["update_status TiKV"] = Conflict("changed", code=409)
        with pytest.raises(Conflict):
            await run(ctx)
        assert ctx.pd.client.calls == [("evicting_stores",)]

    async def test_the_time_counts_from_the_beginning_of_the_eviction(self) -> None:
        tikv = with_condition(make_tikv(), "LeadersEvicted", False, "NotEvicted", age=36000)
        ctx = context(tikv, store=make_store(leader_count=3), evict=True)
        await evict_leader.evict_leader(ctx)
        found = condition(ctx.tikv, "LeadersEvicted")
        assert found is not None
        assert found.last_transition_time == format_time(NOW)

    async def test_and_goes_on_counting(self) -> None:
        ctx = context(ours(age=60), store=make_store(leader_count=2), evict=True, evicting=True)
        await evict_leader.evict_leader(ctx)
        found = condition(ctx.tikv, "LeadersEvicted")
        assert found is not None
        assert found.last_transition_time == format_time(NOW - 60)
        assert ctx.pd.client.calls == ctx.client.writes == []

    async def test_a_time_out_is_said(self) -> None:
        ctx = context(ours(age=301), store=make_store(leader_count=2), evict=True, evicting=True)
        await evict_leader.evict_leader(ctx)
        found = condition(ctx.tikv, "LeadersEvicted")
        assert found is not None
        assert found.message == "not all leaders are evicted, still: 2, not waited for any longer after 300s"

    async def test_no_leaders_left(self) -> None:
        ctx = context(ours(), store=make_store(), evict=True, evicting=True)
        await evict_leader.evict_leader(ctx)
        assert summary(ctx.tikv)["LeadersEvicted"] == "True/Evicted"

    @pytest.mark.parametrize("leaders", [0, 3])
    async def test_a_pd_that_has_only_just_begun_to_lead_is_waited_for(self, leaders: int) -> None:
        """It would write over the evictions that it hasn't taken up again, and its count of leaders says nothing."""
        for tikv in (make_tikv(), ours()):
            ctx = context(tikv, store=make_store(leader_count=leaders), evict=True)
            ctx.pd.look(prepared=False)
            result = await evict_leader.evict_leader(ctx)
            assert (result.status, result.message) == (Status.WAIT, UNPREPARED)
            assert ctx.pd.client.calls == ctx.client.writes == []
            assert summary(ctx.tikv) == summary(tikv)

    async def test_waits_while_the_leaders_of_every_other_store_are_evicted(self) -> None:
        ctx = context(store=make_store(leader_count=3), evict=True)
        ctx.pd.look(evicting=frozenset({"5"}))
        result = await evict_leader.evict_leader(ctx)
        assert (result.status, result.after) == (Status.RETRY, ctx.settings.requeue)
        assert [problem.reason for problem in ctx.problems] == ["WaitingForPeers"]
        assert ("begin_evict_leader", "4") not in ctx.pd.client.calls
        assert ctx.client.writes == []
        assert summary(ctx.tikv) == {}

    async def test_of_two_stores_that_begin_in_the_same_instant_one_waits(self) -> None:
        first = context(store=make_store(leader_count=3), evict=True)
        second = context(store=make_store(id="5", address="basic-tikv-other1.basic-tikv-peer.ns1:20160"), evict=True)
        second.pd, second.disruption = first.pd, first.disruption
        for ctx in (first, second):
            await evict_leader.evict_leader(ctx)
            await ctx.report()
        results = await asyncio.gather(evict_leader.begin(first), evict_leader.begin(second))
        assert sorted(result.status.name for result in results) == ["COMPLETE", "RETRY"]
        assert len([call for call in first.pd.client.calls if call[0] == "begin_evict_leader"]) == 1


class TestAStoreWithoutLeaders:
    async def test_is_counted_once_more_after_pd_was_asked(self) -> None:
        ctx = context(ours(), store=make_store(), evict=True)
        await run(ctx)
        ctx.leaders_leaving = True
        assert not ctx.eviction().over
        result = await evict_leader.evict_leader(ctx)
        assert (result.status, result.after) == (Status.RETRY, ctx.settings.pd_poll_busy)
        ctx.pd.look()
        assert ctx.eviction().over
        assert (await evict_leader.evict_leader(ctx)).status is Status.COMPLETE


class TestNothingToBegin:
    @pytest.mark.parametrize("reason", ["Evicting", "Evicted"])
    async def test_where_pd_evicts_already(self, reason: str) -> None:
        ctx = context(ours(reason), store=make_store(leader_count=3), evict=True, evicting=True)
        await run(ctx)
        assert ctx.pd.client.calls == []

    async def test_where_leaders_may_stay(self) -> None:
        ctx = context(store=make_store(leader_count=3), evict=False)
        assert (await run(ctx)).message == "nothing to begin"
        assert ctx.pd.client.calls == []

    async def test_a_first_request_whose_answer_was_lost_is_sent_again(self) -> None:
        ctx = context(ours(age=60), store=make_store(leader_count=3), evict=True)
        await run(ctx)
        assert ctx.pd.client.calls == [("begin_evict_leader", "4")]
        found = condition(ctx.tikv, "LeadersEvicted")
        assert found is not None
        assert found.last_transition_time == format_time(NOW - 60)


class TestEvictionsThatGetNoFurther:
    """A region whose peers are all on stores that are evicted has nowhere to go: all but one eviction are taken back."""

    async def test_all_but_the_first_are_taken_back(self) -> None:
        ctx = context(ours(), store=make_store(leader_count=3), evict=True, evicting=True)
        ctx.pd.stuck = ["2", "4"]
        result = await run(ctx)
        assert ctx.pd.client.calls == [("end_evict_leader", "4")]
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/Ending"
        assert [problem.reason for problem in ctx.problems] == ["WaitingForPeers"]
        assert "store 2" in ctx.problems[0].message
        assert result.message == "nothing to begin"

    async def test_the_first_goes_on(self) -> None:
        ctx = context(ours(), store=make_store(leader_count=3), evict=True, evicting=True)
        ctx.pd.stuck = ["4", "5"]
        await run(ctx)
        assert ctx.pd.client.calls == []
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/Evicting"

    async def test_one_that_gets_on_is_not_concerned(self) -> None:
        ctx = context(ours(), store=make_store(leader_count=3), evict=True, evicting=True)
        ctx.pd.stuck = ["2", "5"]
        await run(ctx)
        assert ctx.pd.client.calls == []

    async def test_meanwhile_none_begins(self) -> None:
        ctx = context(store=make_store(leader_count=3), evict=True)
        ctx.pd.stuck = ["2"]
        await run(ctx)
        assert ("begin_evict_leader", "4") not in ctx.pd.client.calls
        assert [problem.reason for problem in ctx.problems] == ["WaitingForPeers"]
        assert summary(ctx.tikv) == {}

    async def test_of_somebody_elses_eviction_nothing_is_taken_back(self) -> None:
        tikv = with_condition(make_tikv(), "LeadersEvicted", False, "EvictingByOther")
        ctx = context(tikv, store=make_store(leader_count=3), evict=True, evicting=True)
        ctx.pd.stuck = ["2", "4"]
        await run(ctx)
        assert ctx.pd.client.calls == []


class TestASchedulerOfSomebodyElse:
    """It does our work for us. It stays when we are done."""

    @pytest.mark.parametrize("in_snapshot", [True, False], ids=["seen by the poller", "added since the last poll"])
    async def test_is_used_and_not_taken_over(self, in_snapshot: bool) -> None:
        ctx = context(store=make_store(leader_count=3), evict=True, evicting=in_snapshot)
        ctx.pd.client.evicting = frozenset({"4"})
        await evict_leader.evict_leader(ctx)
        assert ("begin_evict_leader", "4") not in ctx.pd.client.calls
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/EvictingByOther"
        assert ctx.pd.hurried

    async def test_counts_as_an_eviction_that_began_when_we_found_it(self) -> None:
        tikv = with_condition(make_tikv(), "LeadersEvicted", False, "NotEvicted", age=36000)
        ctx = context(tikv, store=make_store(leader_count=3), evict=True, evicting=True)
        await evict_leader.evict_leader(ctx)
        found = condition(ctx.tikv, "LeadersEvicted")
        assert found is not None
        assert found.last_transition_time == format_time(NOW)

    async def test_is_done_when_no_leader_is_left(self) -> None:
        tikv = with_condition(make_tikv(), "LeadersEvicted", False, "EvictingByOther")
        ctx = context(tikv, store=make_store(), evict=True, evicting=True)
        await evict_leader.evict_leader(ctx)
        assert summary(ctx.tikv)["LeadersEvicted"] == "True/EvictedByOther"
        assert ctx.pd.client.calls == []

    @pytest.mark.parametrize("reason", ["EvictingByOther", "EvictedByOther"])
    async def test_stays_when_we_are_done(self, reason: str) -> None:
        tikv = with_condition(make_tikv(), "LeadersEvicted", reason == "EvictedByOther", reason)
        ctx = context(tikv, store=make_store(), evict=False, evicting=True)
        await evict_leader.evict_leader(ctx)
        assert ctx.pd.client.calls == []
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/NotEvicted"

    async def test_is_replaced_by_one_of_ours_if_it_goes_too_early(self) -> None:
        tikv = with_condition(make_tikv(), "LeadersEvicted", False, "EvictingByOther", age=60)
        ctx = context(tikv, store=make_store(leader_count=3), evict=True, evicting=False)
        await run(ctx)
        assert ctx.pd.client.calls == [("begin_evict_leader", "4")]
        found = condition(ctx.tikv, "LeadersEvicted")
        assert found is not None
        assert (found.reason, found.last_transition_time) == ("Evicting", format_time(NOW - 60))


class TestEnd:
    @pytest.mark.parametrize("reason", ["Evicting", "Evicted"])
    async def test_a_scheduler_of_ours_is_removed(self, reason: str) -> None:
        ctx = context(ours(reason), store=make_store(), evict=False, evicting=True)
        await evict_leader.evict_leader(ctx)
        assert ctx.pd.client.calls == [("end_evict_leader", "4")]
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/Ending"
        assert not ctx.pd.is_evicting("4")

    async def test_an_eviction_that_pd_does_not_show_is_ended_all_the_same(self) -> None:
        """The answer to its beginning may have been lost, and the last look at PD older than it."""
        ctx = context(ours(), store=make_store(), evict=False, evicting=False)
        await evict_leader.evict_leader(ctx)
        assert ctx.pd.client.calls == [("end_evict_leader", "4")]
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/Ending"

    async def test_a_pd_that_has_only_just_begun_to_lead_is_waited_for(self) -> None:
        ctx = context(ours("Evicted"), store=make_store(), evict=False, evicting=True)
        ctx.pd.look(prepared=False)
        result = await evict_leader.evict_leader(ctx)
        assert (result.status, result.message) == (Status.WAIT, UNPREPARED)
        assert ctx.pd.client.calls == []
        assert summary(ctx.tikv)["LeadersEvicted"] == "True/Evicted"

    async def test_a_scheduler_of_an_administrator_stays(self) -> None:
        for tikv in (make_tikv(), with_condition(make_tikv(), "LeadersEvicted", False, "NotEvicted")):
            ctx = context(tikv, store=make_store(), evict=False, evicting=True)
            result = await evict_leader.evict_leader(ctx)
            assert result.message == "leaders are evicted by a scheduler that this operator did not add"
            assert ctx.pd.client.calls == []
            assert summary(ctx.tikv)["LeadersEvicted"] == "False/NotEvicted"

    async def test_our_memory_stays_until_pd_has_done_it(self) -> None:
        ctx = context(ours(), store=make_store(), evict=False, evicting=True)
        ctx.pd.client.errors["end_evict_leader"] = PDError("no")
        with pytest.raises(PDError):
            await evict_leader.evict_leader(ctx)
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/Evicting"


class TestAfterTheEnd:
    """PD has agreed. Until a later look at it shows no eviction, one that comes back is ours."""

    def ending(self, *, serves: bool = True, **options: Any) -> Any:
        ctx = make_context(
            ours("Ending"), pd=FakePD(make_store(), **options), store=make_store(), pod=make_pod(ready_for=3600)
        )
        ctx.health = Health(store_ready=True, healthy=serves)
        return ctx

    async def test_pd_is_looked_at_once_more(self) -> None:
        ctx = self.ending()
        ctx.pd.note_evicting("4", False)
        result = await evict_leader.evict_leader(ctx)
        assert (result.status, result.after) == (Status.RETRY, ctx.settings.requeue)
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/Ending"

    async def test_a_look_that_shows_none_is_the_end(self) -> None:
        ctx = self.ending()
        ctx.pd.note_evicting("4", False)
        ctx.pd.look()
        await evict_leader.evict_leader(ctx)
        assert ctx.pd.client.calls == []
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/NotEvicted"

    async def test_which_is_written_together_with_what_the_pod_is_about_to_become(self) -> None:
        ctx = self.ending(serves=False)
        assert (await evict_leader.evict_leader(ctx)).status is Status.COMPLETE
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/Ending"
        assert ctx.client.writes == []

    async def test_an_eviction_that_comes_back_is_ended_again(self) -> None:
        ctx = self.ending(evicting=["4"])
        ctx.leaders_leaving = True
        await evict_leader.evict_leader(ctx)
        assert ctx.pd.client.calls == [("end_evict_leader", "4")]
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/Ending"

    async def test_one_that_begins_after_such_a_look_is_an_administrators(self) -> None:
        ctx = self.ending()
        ctx.pd.note_evicting("4", False)
        ctx.pd.look()
        ctx.pd.look(evicting=frozenset({"4"}))
        ctx.leaders_leaving = True
        result = await evict_leader.evict_leader(ctx)
        assert result.message == "leaders are evicted by a scheduler that this operator did not add"
        assert ctx.pd.client.calls == []
        assert summary(ctx.tikv)["LeadersEvicted"] == "False/NotEvicted"

    async def test_and_is_used_like_one_when_leaders_must_go_again(self) -> None:
        ctx = self.ending()
        ctx.pd.note_evicting("4", False)
        ctx.pd.look()
        ctx.pd.look(evicting=frozenset({"4"}))
        ctx.evict_leaders = ctx.leaders_leaving = True
        await evict_leader.evict_leader(ctx)
        assert ctx.pd.client.calls == []
        assert summary(ctx.tikv)["LeadersEvicted"] == "True/EvictedByOther"

    async def test_leaders_that_must_go_again_have_all_the_time_that_an_eviction_has(self) -> None:
        ctx = context(ours("Ending", age=36000), store=make_store(leader_count=3), evict=True)
        await run(ctx)
        assert ctx.pd.client.calls == [("begin_evict_leader", "4")]
        found = condition(ctx.tikv, "LeadersEvicted")
        assert found is not None
        assert (found.reason, found.last_transition_time) == ("Evicting", format_time(NOW))


class TestWithoutAStore:
    async def test_there_is_nothing_to_evict(self) -> None:
        ctx = context(evict=True)
        await evict_leader.evict_leader(ctx)
        assert summary(ctx.tikv)["LeadersEvicted"] == "True/StoreNotExist"
        assert ctx.pd.client.calls == []

    async def test_a_scheduler_of_ours_that_is_left_is_removed(self) -> None:
        tikv = ours("Evicted")
        assert tikv.status is not None
        tikv.status.id = "4"
        ctx = context(tikv, evict=False, evicting=True)
        await evict_leader.evict_leader(ctx)
        assert ctx.pd.client.calls == [("end_evict_leader", "4")]


async def test_nothing_is_said_or_done_on_stale_data() -> None:
    ctx = make_context()
    assert (await evict_leader.evict_leader(ctx)).status is Status.WAIT
    assert (await evict_leader.end(ctx)).status is Status.WAIT
    assert summary(ctx.tikv) == {}


class TestEndBeforeTheTiKVGoes:
    async def test_our_scheduler_goes_with_it(self) -> None:
        tikv = ours("Evicted")
        assert tikv.status is not None
        tikv.status.id = "4"
        ctx = context(tikv, evict=False, evicting=True)
        assert (await evict_leader.end(ctx)).status is Status.COMPLETE
        assert ctx.pd.client.calls == [("end_evict_leader", "4")]
        assert (await evict_leader.end(ctx)).message == "nothing to end"

    async def test_otherwise_there_is_nothing_to_do(self) -> None:
        stranger = make_tikv()
        stranger.status = TiKVStatus(id="4")
        for tikv in (make_tikv(), ours("Evicted"), stranger):
            ctx = context(tikv, evict=False)
            assert (await evict_leader.end(ctx)).status is Status.COMPLETE
            assert ctx.pd.client.calls == []

    async def test_an_error_of_pd_fails_the_task(self) -> None:
        tikv = ours("Evicted")
        assert tikv.status is not None
        tikv.status.id = "4"
        ctx = context(tikv, store=make_store(), evict=False, evicting=True)
        ctx.pd.client.errors["end_evict_leader"] = PDError("no")
        with pytest.raises(PDError):
            await evict_leader.end(ctx)
