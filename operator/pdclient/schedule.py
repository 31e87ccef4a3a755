"""When to look at PD next: a pure state machine over loop time.

- Nothing in motion: every `calm` seconds. In motion (`hurry`): every `busy` seconds, for a while.
- `refresh` brings the next look forward to now; any number of refreshes until then are one. Looks that follow one another
  because of refreshes keep a small distance, so that a reconciler which refreshes after each event cannot spin.
- After a failed look the distance doubles from `busy` up to `longest`, with jitter, and refreshes cannot shorten it: a PD
  that is down isn't hammered by those who wait for it.
"""

from __future__ import annotations

from typing import Final, final

__all__ = ["PollSchedule"]

_REFRESH_GAP: Final = 0.25  # seconds between the starts of two looks, however eager anybody is


@final
class PollSchedule:
    """See the module docstring. All times are loop times in seconds; `jitter` arguments are numbers in [0, 1).

    Args:
        calm: between two looks when nothing is in motion.
        busy: the same while something is in motion.
        busy_for: how long one `hurry` lasts.
        longest: the longest distance after failures.
    """

    def __init__(self, *, calm: float, busy: float, busy_for: float, longest: float) -> None:
        self._calm = calm
        self._busy = min(busy, calm)
        self._busy_for = busy_for
        self._longest = max(longest, self._busy)
        self._gap = min(_REFRESH_GAP, self._busy)
        self._started: float | None = None
        self._ended = 0.0
        self._hurried_until = 0.0
        self._wanted = False
        self._failures = 0
        self._backoff = 0.0

    @property
    def failures(self) -> int:
        """How many looks have failed since the last good one."""
        return self._failures

    def refresh(self) -> None:
        """Somebody wants to know now."""
        self._wanted = True

    def hurry(self, now: float) -> None:
        """Something is in motion from now on, for `busy_for` seconds."""
        self._hurried_until = now + self._busy_for

    def started(self, now: float) -> None:
        """A look begins: it answers every refresh asked for so far."""
        self._started = now
        self._wanted = False

    def succeeded(self, now: float) -> None:
        self._ended = now
        self._failures = 0

    def failed(self, now: float, jitter: float) -> None:
        self._ended = now
        self._failures += 1
        doubled = self._busy * 2 ** min(self._failures - 1, 30)
        self._backoff = min(doubled, self._longest) * (0.75 + 0.5 * jitter)

    def due(self, now: float) -> float:
        """Return when the next look should begin; a time that has passed means at once."""
        if self._started is None:
            return now
        if self._failures:
            return self._ended + self._backoff
        if self._wanted:
            return self._started + self._gap
        busy_due = self._ended + self._busy
        if busy_due <= self._hurried_until:
            return busy_due
        return self._ended + self._calm
