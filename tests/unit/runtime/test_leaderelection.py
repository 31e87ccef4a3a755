"""Leader election: the state machine, the elector against a server in every mood, and "never two leaders"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from controller_runtime.envtest.virtual import run_virtual
from controller_runtime.leaderelection import (
    LeaderElectionLost,
    LeaseRecord,
    LeaseState,
    LeaseTimings,
)
from helpers.fake_lease import FakeLease
from helpers.lease_world import Candidate, lease_world

TIMINGS = LeaseTimings()
WALL = 1_000_000.0


def held_by(holder: str, *, transitions: int = 3, version: str = "7", renewed: str = "r1") -> LeaseRecord:
    return LeaseRecord(holder, 15.0, "acquired", renewed, transitions, version)


class TestTimings:
    @pytest.mark.parametrize(
        ("duration", "deadline", "retry"), [(10, 10, 2), (15, 10, 9), (15, 10, 0), (5, 10, 2), (15, 2.4, 2)]
    )
    def test_no_safe_margin_is_refused(self, duration: float, deadline: float, retry: float) -> None:
        with pytest.raises(ValueError, match="a lease needs"):
            LeaseTimings(duration, deadline, retry)

    def test_an_attempt_takes_half_the_deadline_and_at_least_a_second(self) -> None:
        assert LeaseTimings().attempt == 5
        assert LeaseTimings(3, 1.5, 0.5).attempt == 1


class TestState:
    def test_an_absent_lease_is_created(self) -> None:
        state = LeaseState("me", TIMINGS)
        state.read(None, 0)
        record = state.next_record(0, WALL)
        assert record is not None
        assert (record.holder, record.version, record.transitions) == ("me", "", 0)
        assert record.acquire_time == record.renew_time == "1970-01-12T13:46:40.000000Z"

    def test_a_released_lease_is_taken_at_once(self) -> None:
        state = LeaseState("me", TIMINGS)
        state.read(held_by(""), 0)
        record = state.next_record(0, WALL)
        assert record is not None
        assert (record.holder, record.version, record.transitions) == ("me", "7", 4)

    def test_a_lease_that_somebody_holds_is_left_alone_until_it_expires(self) -> None:
        state = LeaseState("me", TIMINGS)
        state.read(held_by("other"), 100)
        assert state.next_record(114.9, WALL) is None
        record = state.next_record(115, WALL)
        assert record is not None
        assert (record.holder, record.transitions) == ("me", 4)

    def test_every_change_of_the_record_starts_the_waiting_anew(self) -> None:
        state = LeaseState("me", TIMINGS)
        state.read(held_by("other", renewed="r1"), 100)
        state.read(held_by("other", renewed="r2"), 110)
        assert state.next_record(120, WALL) is None
        assert state.next_record(125, WALL) is not None

    def test_a_new_version_with_the_same_contents_does_not(self) -> None:
        state = LeaseState("me", TIMINGS)
        state.read(held_by("other", version="7"), 100)
        state.read(held_by("other", version="8"), 110)
        record = state.next_record(115, WALL)
        assert record is not None
        assert record.version == "8"

    def test_the_duration_in_the_record_counts_not_our_own(self) -> None:
        state = LeaseState("me", TIMINGS)
        state.read(LeaseRecord("other", 60.0, version="1"), 0)
        assert state.next_record(59, WALL) is None
        assert state.next_record(60, WALL) is not None

    def test_the_other_ones_clock_does_not_matter(self) -> None:
        state = LeaseState("me", TIMINGS)
        state.read(held_by("other", renewed="2099-01-01T00:00:00.000000Z"), 0)
        assert state.next_record(15, WALL) is not None

    def test_renewing_keeps_the_acquire_time_and_the_transitions(self) -> None:
        state = LeaseState("me", TIMINGS)
        state.wrote(held_by("me", version="8"), 50)
        record = state.next_record(52, WALL)
        assert record is not None
        assert (record.acquire_time, record.transitions, record.version) == ("acquired", 3, "8")

    def test_leadership_counts_from_before_the_write_was_sent(self) -> None:
        state = LeaseState("me", TIMINGS)
        assert not state.leading
        state.wrote(held_by("me"), 50)
        assert (state.leading, state.give_up_at) == (True, 60)
        state.resign()
        assert not state.leading
        with pytest.raises(RuntimeError, match="not leading"):
            _ = state.give_up_at

    def test_the_holder_of_a_deleted_lease_is_given_its_time(self) -> None:
        state = LeaseState("me", TIMINGS)
        state.read(held_by("other"), 100)
        state.read(None, 101)
        assert state.next_record(110, WALL) is None
        record = state.next_record(115, WALL)
        assert record is not None
        assert record.version == ""

    def test_release_gives_back_only_what_is_ours(self) -> None:
        state = LeaseState("me", TIMINGS)
        assert state.released_record(WALL) is None
        state.read(held_by("other"), 0)
        assert state.released_record(WALL) is None
        state.read(held_by("me"), 0)
        released = state.released_record(WALL)
        assert released is not None
        assert (released.holder, released.duration, released.transitions, released.version) == ("", 1.0, 3, "7")

    def test_an_empty_identity_is_refused(self) -> None:
        with pytest.raises(ValueError, match="identity"):
            LeaseState("", TIMINGS)


@asynccontextmanager
async def running(candidate: Candidate) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(candidate.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class TestElector:
    async def test_it_creates_the_lease_and_renews_it_with_one_request(self) -> None:
        lease = FakeLease()
        async with running(Candidate(lease.lock(), "me")):
            await asyncio.sleep(7)
        assert lease.calls == ["read", "create", "update", "update", "update"]
        assert lease.record is not None
        assert lease.record.holder == "me"

    async def test_it_waits_while_somebody_renews_and_takes_over_when_nobody_does(self) -> None:
        lease = FakeLease()
        first, second = Candidate(lease.lock(), "first"), Candidate(lease.lock(), "second")
        async with running(second):
            async with running(first):
                await asyncio.sleep(0.1)
                await asyncio.sleep(300)
                assert (first.working, second.working) == (False, True) or (first.working, second.working) == (
                    True,
                    False,
                )
                leader, follower = (first, second) if first.working else (second, first)
            if leader is first:
                await asyncio.sleep(14)
                assert not follower.working
                await asyncio.sleep(5)
            assert second.working

    async def test_a_conflict_on_renewal_costs_a_read(self) -> None:
        lease = FakeLease()
        candidate = Candidate(lease.lock(), "me")
        async with running(candidate):
            await asyncio.sleep(1)
            assert lease.record is not None
            lease.store(lease.record)  # somebody labelled it
            lease.calls.clear()
            await asyncio.sleep(2)
            assert lease.calls == ["update", "read", "update"]
            assert candidate.working

    async def test_a_server_that_hangs_costs_the_lease_after_the_deadline_not_later(self) -> None:
        lease = FakeLease()
        mood = {"now": "ok"}
        candidate = Candidate(lease.lock(lambda _: mood["now"]), "me")
        async with running(candidate) as task:
            await asyncio.sleep(10.5)  # renewed at 10
            mood["now"] = "hang"
            with pytest.raises(LeaderElectionLost, match="no renewal of ns/lease for 10 s"):
                await task
        assert candidate.lost_at == pytest.approx(20)
        assert candidate.changes == [True, False]

    async def test_a_server_that_refuses_does_the_same(self) -> None:
        lease = FakeLease()
        mood = {"now": "ok"}
        candidate = Candidate(lease.lock(lambda _: mood["now"]), "me")
        async with running(candidate) as task:
            await asyncio.sleep(10.5)
            mood["now"] = "refuse"
            with pytest.raises(LeaderElectionLost):
                await task
        assert candidate.lost_at == pytest.approx(20)
        assert "TransportError" in candidate.log.only("Lease could not be read or written")["error"]

    async def test_a_short_outage_is_survived(self) -> None:
        lease = FakeLease()
        mood = {"now": "ok"}
        candidate = Candidate(lease.lock(lambda _: mood["now"]), "me")
        async with running(candidate):
            await asyncio.sleep(10.5)
            mood["now"] = "refuse"
            await asyncio.sleep(8)
            mood["now"] = "ok"
            await asyncio.sleep(60)
            assert candidate.working

    async def test_leadership_that_somebody_took_is_lost_at_once(self) -> None:
        lease = FakeLease()
        candidate = Candidate(lease.lock(), "me")
        async with running(candidate) as task:
            await asyncio.sleep(1)
            lease.store(held_by("thief"))
            with pytest.raises(LeaderElectionLost, match="thief holds the lease"):
                await task
        assert candidate.lost_at == pytest.approx(2)

    async def test_a_process_that_was_frozen_does_not_renew_what_may_be_gone(self) -> None:
        lease = FakeLease()
        candidate = Candidate(lease.lock(), "me")
        loop = asyncio.get_running_loop()
        async with running(candidate) as task:
            await asyncio.sleep(1)
            lease.calls.clear()
            loop.advance(60)  # type: ignore[attr-defined]
            with pytest.raises(LeaderElectionLost):
                await task
        assert lease.calls == []

    async def test_a_deleted_lease_is_made_again(self) -> None:
        lease = FakeLease()
        candidate = Candidate(lease.lock(), "me")
        async with running(candidate):
            await asyncio.sleep(1)
            lease.record = None
            await asyncio.sleep(3)
            assert candidate.working
        assert lease.record is not None
        assert lease.record.holder == "me"

    async def test_an_acquisition_whose_answer_was_lost_is_noticed(self) -> None:
        lease = FakeLease()
        moods = iter(["ok", "lose"])
        candidate = Candidate(lease.lock(lambda _: next(moods, "ok")), "me")
        async with running(candidate):
            await asyncio.sleep(1)
            assert not candidate.working
            await asyncio.sleep(2)
            assert candidate.working
        assert lease.record is not None
        assert lease.record.transitions == 0

    @pytest.mark.parametrize("phase", [0.0, 0.3, 0.6, 0.9])
    @pytest.mark.parametrize("uniform", [0.0, 0.999])
    async def test_a_lease_that_was_given_back_is_taken_within_two_seconds(self, phase: float, uniform: float) -> None:
        lease, loop = FakeLease(), asyncio.get_running_loop()
        first, second = Candidate(lease.lock(), "first"), Candidate(lease.lock(), "second", uniform=lambda: uniform)
        async with running(first) as leading:
            await asyncio.sleep(0.1 + phase)
            async with running(second):
                await asyncio.sleep(30)
                assert first.working
                leading.cancel()
                await asyncio.wait([leading])
                await first.elector.release()
                began = loop.time()
                while not second.working:
                    await asyncio.sleep(0.05)
                assert loop.time() - began < 1.3

    async def test_a_server_in_trouble_is_asked_half_as_often(self) -> None:
        lease = FakeLease(held_by("other"))
        mood = {"now": "ok"}
        candidate = Candidate(lease.lock(lambda _: mood["now"]), "me")
        async with running(candidate):
            await asyncio.sleep(9.5)
            assert lease.calls == ["read"] * 10
            mood["now"] = "refuse"
            await asyncio.sleep(20)
            assert 20 <= len(lease.calls) <= 21

    async def test_release_empties_the_lease_so_that_the_next_one_need_not_wait(self) -> None:
        lease = FakeLease()
        first, second = Candidate(lease.lock(), "first"), Candidate(lease.lock(), "second")
        async with running(first):
            await asyncio.sleep(1)
            assert first.elector.is_leader()
        await first.elector.release()
        assert lease.record is not None
        assert (lease.record.holder, lease.record.duration) == ("", 1.0)
        assert not first.elector.is_leader()
        async with running(second):
            await asyncio.sleep(0.1)
            assert second.working
        assert lease.record.transitions == 1

    async def test_a_conflict_on_release_is_tried_again(self) -> None:
        lease = FakeLease(held_by("me"))
        lock = lease.lock()

        def label_first(call: str) -> str:
            if call == "update" and lease.calls.count("update") == 1 and lease.record is not None:
                lease.store(lease.record)
            return "ok"

        lock.behaviour = label_first
        await Candidate(lock, "me").elector.release()
        assert lease.calls == ["read", "update", "read", "update"]
        assert lease.record is not None
        assert lease.record.holder == ""

    async def test_release_leaves_somebody_elses_lease_alone(self) -> None:
        lease = FakeLease(held_by("other"))
        await Candidate(lease.lock(), "me").elector.release()
        assert lease.calls == ["read"]

    async def test_release_on_a_hanging_server_gives_up(self) -> None:
        lease = FakeLease(held_by("me"))
        candidate = Candidate(lease.lock(lambda _: "hang"), "me")
        await candidate.elector.release()
        assert asyncio.get_running_loop().time() == pytest.approx(5)
        assert candidate.log.events("warning") == ["Lease not released, it will expire"]

    async def test_it_says_who_leads(self) -> None:
        lease = FakeLease(held_by("other"))
        candidate = Candidate(lease.lock(), "me")
        async with running(candidate):
            await asyncio.sleep(1)
            assert candidate.log.only("Leader")["holder"] == "other"
            assert repr(candidate.elector) == "<LeaderElector ns/lease me following other>"
            assert candidate.elector.holder == "other"


@pytest.mark.parametrize("batch", range(10))
def test_two_candidates_never_work_at_the_same_time(batch: int) -> None:
    """A sample; bench/lease_schedules.py runs as many as one likes."""
    for seed in range(batch * 30, batch * 30 + 30):
        assert run_virtual(lease_world(seed)).led, f"nobody ever led (seed {seed})"
