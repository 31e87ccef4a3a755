"""A client's own limit on how fast it sends requests: off unless asked for. Pure: time is an argument.

The server's priority and fairness already protects it, and shares it out between its clients; a limit here is for servers
that have none, or for a program that wants to stay in the background.
"""

from __future__ import annotations

from typing import final

__all__ = ["RateLimit"]


@final
class RateLimit:
    """A token bucket: `burst` requests at once, `rate` a second in the long run; who comes too early waits, in order.

    Raises:
        ValueError: `rate` or `burst` is not positive.
    """

    __slots__ = ("_burst", "_next", "_spacing")

    def __init__(self, rate: float, burst: int) -> None:
        if rate <= 0 or burst < 1:
            msg = f"a rate limit needs a positive rate and burst, not {rate=}, {burst=}"
            raise ValueError(msg)
        self._spacing = 1.0 / rate
        self._burst = burst
        self._next = float("-inf")  # when a bucket without burst would let the next request through

    def reserve(self, now: float) -> float:
        """Take the next place, and return the seconds until it is due."""
        full = now - (self._burst - 1) * self._spacing
        due = max(self._next, full)
        self._next = due + self._spacing
        return max(0.0, due - now)
