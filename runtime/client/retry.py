"""When a request is worth sending again, and after how long: a pure policy.

Follows client-go's rules, bounded and with jitter:

- 429: the server refused before it did anything, so any method may be repeated; after `Retry-After`, or with back-off.
- 5xx with `Retry-After`: the server asks for it; any method.
- A connection that was refused or broke: reads only, since a write may have taken effect.
- Everything else, time-outs included, is the caller's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller_runtime.client.errors import RequestTimeout, TransportError
from controller_runtime.client.transport import Response

__all__ = ["NO_RETRIES", "RetryPolicy", "retry_after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how fast a request is repeated. Durations are seconds.

    Args:
        attempts: requests in all, the first one included.
        base: the back-off after the first attempt; it doubles with each further one.
        longest: the longest back-off.
        patience: a `Retry-After` beyond this is not waited for: the error goes to the caller, who has something better
            to do meanwhile.
    """

    attempts: int = 5
    base: float = 0.2
    longest: float = 5.0
    patience: float = 30.0

    def delay(self, method: str, attempt: int, failure: Response | TransportError, chance: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None if there is to be none.

        Args:
            attempt: attempts made so far, from 1.
            failure: what the last attempt ended in.
            chance: a random number in [0, 1).
        """
        if attempt >= self.attempts:
            return None
        backoff = min(self.longest, self.base * 2 ** (attempt - 1)) * (1 + chance)
        if isinstance(failure, TransportError):
            return backoff if method == "GET" and not isinstance(failure, RequestTimeout) else None
        asked = retry_after(failure)
        if asked is None:
            return backoff if failure.status == 429 else None
        if failure.status != 429 and failure.status < 500:
            return None
        # Jitter only upwards: never come back before the time the server named.
        return asked + min(asked, 1.0) * chance if asked <= self.patience else None


NO_RETRIES = RetryPolicy(attempts=1)


def retry_after(response: Response) -> float | None:
    """Return the seconds of the `Retry-After` header, or None (also for a date, which API servers do not send)."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None
