"""Rate limiters: the ladder of delays, jitter, budgets and combinations."""

from __future__ import annotations

import asyncio

import pytest

from controller_runtime.workqueue import ExponentialBackoff, FastSlow, MaxOf, MaxWait, TokenBucket


def test_exponential_backoff_climbs_client_gos_ladder() -> None:
    limiter = ExponentialBackoff(jitter=0)
    delays = [limiter.when("a") for _ in range(20)]
    assert delays[:10] == pytest.approx([0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56])
    assert delays[17:] == pytest.approx([655.36, 1000, 1000])


def test_keys_do_not_share_their_failures() -> None:
    limiter = ExponentialBackoff(1, 100, jitter=0)
    assert [limiter.when(key) for key in ("a", "a", "b", "a")] == [1, 2, 1, 4]
    assert (limiter.retries("a"), limiter.retries("b"), limiter.retries("c")) == (3, 1, 0)


def test_forget_starts_the_ladder_anew() -> None:
    limiter = ExponentialBackoff(1, 100, jitter=0)
    limiter.when("a")
    limiter.when("a")
    limiter.forget("a")
    limiter.forget("never seen")
    assert limiter.retries("a") == 0
    assert limiter.when("a") == 1


def test_any_number_of_failures_stays_at_the_maximum() -> None:
    limiter = ExponentialBackoff(0.001, 60, jitter=0)
    assert {limiter.when("a") for _ in range(5000)} >= {60}
    assert limiter.when("a") == 60


@pytest.mark.parametrize(("drawn", "expected"), [(0.0, 10.0), (0.5, 9.0), (0.999, 8.0)])
def test_jitter_spreads_a_delay_over_its_end(drawn: float, expected: float) -> None:
    limiter = ExponentialBackoff(10, 100, jitter=0.2, uniform=lambda: drawn)
    assert limiter.when("a") == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("base", "maximum", "jitter"), [(0, 1, 0), (2, 1, 0), (1, 2, 1), (1, 2, -0.1)])
def test_exponential_backoff_refuses_nonsense(base: float, maximum: float, jitter: float) -> None:
    with pytest.raises(ValueError, match="back-off needs"):
        ExponentialBackoff(base, maximum, jitter=jitter)


def test_fast_slow_changes_after_the_fast_attempts() -> None:
    limiter = FastSlow(0.1, 5, fast_attempts=2)
    assert [limiter.when("a") for _ in range(4)] == [0.1, 0.1, 5, 5]
    assert limiter.retries("a") == 4
    limiter.forget("a")
    assert limiter.when("a") == 0.1


async def test_a_bucket_lets_a_burst_through_and_then_a_rate() -> None:
    limiter = TokenBucket(rate=10, burst=3)
    assert [limiter.when("any") for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])
    await asyncio.sleep(0.5)
    assert [limiter.when("any") for _ in range(4)] == pytest.approx([0, 0, 0, 0.1])
    await asyncio.sleep(3600)
    assert [limiter.when("any") for _ in range(4)] == pytest.approx([0, 0, 0, 0.1])
    limiter.forget("any")
    assert limiter.retries("any") == 0


async def test_taking_from_a_bucket_reserves_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=2)
    assert [bucket.take() for _ in range(4)] == [True, True, False, False]
    await asyncio.sleep(1)
    assert [bucket.take() for _ in range(2)] == [True, False]


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0)])
def test_a_bucket_refuses_nonsense(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="token bucket needs"):
        TokenBucket(rate, burst)


def test_max_of_asks_all_and_takes_the_longest() -> None:
    limiter = MaxOf(ExponentialBackoff(1, 100, jitter=0), FastSlow(3, 0.5, fast_attempts=1))
    assert [limiter.when("a") for _ in range(3)] == [3, 2, 4]
    assert limiter.retries("a") == 3
    limiter.forget("a")
    assert limiter.retries("a") == 0
    with pytest.raises(ValueError, match="at least one"):
        MaxOf()


def test_max_wait_cuts_delays_off() -> None:
    limiter = MaxWait(ExponentialBackoff(1, 100, jitter=0), 3)
    assert [limiter.when("a") for _ in range(3)] == [1, 2, 3]
    assert limiter.retries("a") == 3
    limiter.forget("a")
    assert limiter.when("a") == 1
