"""When PD is looked at: calm, in motion, asked to refresh, and while it is down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tikv_operator.pdclient.schedule import PollSchedule


def schedule(**options: float) -> PollSchedule:
    return PollSchedule(**{"calm": 30.0, "busy": 1.0, "busy_for": 10.0, "longest": 5.0} | options)


def looked(times: PollSchedule, at: float, took: float = 0.0) -> None:
    times.started(at)
    times.succeeded(at + took)


def test_the_first_look_is_due_at_once() -> None:
    assert schedule().due(7.0) == 7.0


def test_a_calm_pd_is_looked_at_seldom() -> None:
    times = schedule()
    looked(times, 100.0, took=2.0)
    assert times.due(102.0) == 132.0


def test_motion_makes_looks_frequent_and_then_they_calm_down() -> None:
    times = schedule()
    looked(times, 100.0)
    times.hurry(100.0)
    at = []
    for _ in range(12):
        at.append(due := times.due(100.0))
        looked(times, due)
    assert at == [101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 140, 170]


def test_motion_in_a_calm_period_brings_the_look_forward() -> None:
    times = schedule()
    looked(times, 100.0)
    times.hurry(120.0)
    assert times.due(120.0) == 101.0, "it is overdue"


def test_a_refresh_makes_the_look_due_now() -> None:
    times = schedule()
    looked(times, 100.0)
    times.refresh()
    assert times.due(110.0) <= 110.0


def test_many_refreshes_are_one() -> None:
    times = schedule()
    looked(times, 100.0)
    for _ in range(1000):
        times.refresh()
    looked(times, 110.0)
    assert times.due(110.0) == 140.0


def test_a_refresh_during_a_look_asks_for_another() -> None:
    times = schedule()
    times.started(100.0)
    times.refresh()
    times.succeeded(101.0)
    assert times.due(101.0) <= 101.0


def test_refreshes_after_each_look_cannot_make_it_spin() -> None:
    times = schedule()
    now = 0.0
    for _ in range(40):
        times.refresh()
        now = max(now, times.due(now))
        looked(times, now)
    assert now == pytest.approx(39 * 0.25)


def test_failures_are_followed_by_longer_and_longer_waits() -> None:
    times = schedule()
    waits = []
    now = 0.0
    for _ in range(6):
        times.started(now)
        times.failed(now, 0.5)
        waits.append(times.due(now) - now)
        now = times.due(now)
    assert waits == [1, 2, 4, 5, 5, 5]
    assert times.failures == 6


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 0.75), (0.5, 1.0), (0.999, 1.2495)])
def test_waits_after_failures_are_spread(jitter: float, wait: float) -> None:
    times = schedule()
    times.started(0.0)
    times.failed(0.0, jitter)
    assert times.due(0.0) == pytest.approx(wait)


def test_nobody_can_shorten_the_wait_after_a_failure() -> None:
    times = schedule()
    for _ in range(4):
        times.started(0.0)
        times.failed(0.0, 0.5)
    times.refresh()
    times.hurry(0.0)
    assert times.due(0.0) == 5.0


def test_success_forgets_the_failures() -> None:
    times = schedule()
    times.started(0.0)
    times.failed(0.0, 0.5)
    looked(times, 1.0)
    assert (times.failures, times.due(1.0)) == (0, 31.0)


def test_a_refresh_asked_for_during_an_outage_is_answered_by_the_first_good_look() -> None:
    times = schedule()
    times.started(0.0)
    times.failed(0.0, 0.5)
    times.refresh()
    looked(times, 1.0)
    assert times.due(1.0) == 31.0


EVENTS = st.lists(
    st.tuples(st.sampled_from(["look", "fail", "refresh", "hurry", "wait"]), st.floats(0, 50)), max_size=60
)


@given(EVENTS)
def test_whatever_happens_looks_are_neither_too_close_nor_too_rare(events: list[tuple[str, float]]) -> None:
    times = schedule()
    now, last_start = 0.0, None
    for event, seconds in events:
        now += seconds
        match event:
            case "refresh":
                times.refresh()
            case "hurry":
                times.hurry(now)
            case "look" | "fail":
                due = max(now, times.due(now))
                assert due <= now + 30.0
                assert last_start is None or due >= last_start + 0.25
                times.started(due)
                now = due + seconds / 10
                if event == "look":
                    times.succeeded(now)
                else:
                    times.failed(now, seconds / 50 * 0.999)
                last_start = due
