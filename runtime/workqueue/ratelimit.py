"""How long a key waits before it is tried again.

A rate limiter maps a key to a delay in seconds and remembers how often it was asked. Limiters know nothing of queues: the
queue asks once per failed run (`WorkQueue.add_rate_limited`) and forgets a key when its run succeeds.

Concurrency: plain synchronous state for one event loop. One limiter belongs to one queue, unless keys of several queues
shall share a `TokenBucket`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable
from typing import Protocol, final

__all__ = ["ExponentialBackoff", "FastSlow", "MaxOf", "MaxWait", "RateLimiter", "TokenBucket"]

_LARGEST_EXPONENT = 62  # 2.0**62 times any sane base is beyond any maximum, and far from overflow


class RateLimiter(Protocol):
    """Decides the delay of each further attempt at a key."""

    def when(self, key: Hashable) -> float:
        """Count one more failure of `key` and return the seconds to wait before its next attempt."""
        ...

    def retries(self, key: Hashable) -> int:
        """Return how many failures of `key` are remembered."""
        ...

    def forget(self, key: Hashable) -> None:
        """Drop what is remembered of `key`; harmless for an unknown one."""
        ...


@final
class ExponentialBackoff:
    """Doubles a key's delay with each failure: 5, 10, 20 ms and so on up to 1000 s, by default.

    Args:
        base: seconds after the first failure.
        maximum: no delay is longer, in seconds.
        jitter: the share of a delay, from its end, over which it is spread evenly, so that keys that failed together do
            not all come back together. 0 makes delays exact.
        uniform: a source of numbers in [0, 1).

    Raises:
        ValueError: a parameter is out of range.
    """

    def __init__(
        self,
        base: float = 0.005,
        maximum: float = 1000.0,
        *,
        jitter: float = 0.1,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        if base <= 0 or maximum < base or not 0 <= jitter < 1:
            msg = f"back-off needs 0 < base <= maximum and 0 <= jitter < 1, not {base=}, {maximum=}, {jitter=}"
            raise ValueError(msg)
        self._base = base
        self._maximum = maximum
        self._jitter = jitter
        self._uniform = uniform
        self._failures: dict[Hashable, int] = {}

    def when(self, key: Hashable) -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._base * 2.0 ** min(failures, _LARGEST_EXPONENT), self._maximum)
        return delay * (1.0 - self._jitter * self._uniform()) if self._jitter else delay

    def retries(self, key: Hashable) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: Hashable) -> None:
        self._failures.pop(key, None)

    def __repr__(self) -> str:
        return f"<ExponentialBackoff {self._base:g}..{self._maximum:g} s, {len(self._failures)} keys failing>"


@final
class FastSlow:
    """A short delay for the first attempts, a long one afterwards.

    Args:
        fast: seconds, for the first `fast_attempts` failures.
        slow: seconds, for all later ones.
    """

    def __init__(self, fast: float, slow: float, fast_attempts: int) -> None:
        self._fast = fast
        self._slow = slow
        self._fast_attempts = fast_attempts
        self._failures: dict[Hashable, int] = {}

    def when(self, key: Hashable) -> float:
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        return self._fast if failures <= self._fast_attempts else self._slow

    def retries(self, key: Hashable) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: Hashable) -> None:
        self._failures.pop(key, None)


@final
class TokenBucket:
    """One budget for all keys: `burst` attempts at once, `rate` a second on average.

    Each call reserves a token, also one that is yet to come; the delay is the time until it comes.

    Args:
        rate: tokens a second.
        burst: how many tokens the bucket holds; it starts full.
        now: monotonic seconds; the running event loop's time by default.

    Raises:
        ValueError: rate or burst are not positive.
    """

    def __init__(self, rate: float = 10.0, burst: int = 100, *, now: Callable[[], float] | None = None) -> None:
        if rate <= 0 or burst <= 0:
            msg = f"a token bucket needs a positive rate and burst, not {rate=}, {burst=}"
            raise ValueError(msg)
        self._rate = rate
        self._burst = float(burst)
        self._now = now or _loop_time
        self._tokens = self._burst
        self._at: float | None = None

    def when(self, key: Hashable) -> float:
        self._refill()
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate)

    def take(self) -> bool:
        """Take a token if there is one; return whether there was."""
        self._refill()
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def retries(self, key: Hashable) -> int:
        return 0

    def forget(self, key: Hashable) -> None:
        """Nothing is remembered of a key."""

    def _refill(self) -> None:
        now = self._now()
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


@final
class MaxOf:
    """Asks every limiter, so that all of them count, and takes the longest delay."""

    def __init__(self, *limiters: RateLimiter) -> None:
        if not limiters:
            msg = "MaxOf needs at least one limiter"
            raise ValueError(msg)
        self._limiters = limiters

    def when(self, key: Hashable) -> float:
        return max([limiter.when(key) for limiter in self._limiters])

    def retries(self, key: Hashable) -> int:
        return max([limiter.retries(key) for limiter in self._limiters])

    def forget(self, key: Hashable) -> None:
        for limiter in self._limiters:
            limiter.forget(key)


@final
class MaxWait:
    """Cuts the delays of another limiter off at `maximum` seconds."""

    def __init__(self, limiter: RateLimiter, maximum: float) -> None:
        self._limiter = limiter
        self._maximum = maximum

    def when(self, key: Hashable) -> float:
        return min(self._limiter.when(key), self._maximum)

    def retries(self, key: Hashable) -> int:
        return self._limiter.retries(key)

    def forget(self, key: Hashable) -> None:
        self._limiter.forget(key)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
