"""Time in rounds of fixed length: what happens between two looks, worked out at the second one.

A round is played at every multiple of the interval while anything is in motion. When nothing is, rounds are skipped up to the
next moment at which time alone will change something, so a quiet year costs nothing. Whatever happens does not depend on
how often anybody looks.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

__all__ = ["Rounds"]


class Rounds:
    """See the module docstring.

    Args:
        born: seconds since the epoch; round 0.
        interval: seconds between two rounds.
    """

    def __init__(self, born: float, interval: float) -> None:
        self._born = born
        self._interval = interval
        self._number = 0
        self._last_played = born
        self.settled = False
        """Whether the last round found nothing in motion. To be reset by whoever changes anything."""

    def play_until(self, now: float, play: Callable[[float], bool], deadline: Callable[[float], float]) -> None:
        """Play the rounds that are due.

        Args:
            play: plays the round at a time; returns whether anything is, or will soon be, in motion.
            deadline: returns when, later than a time, time alone will put something in motion; infinity if never.
        """
        last = int((now - self._born) / self._interval)
        while self._number < last:
            due = deadline(self._last_played) if self.settled else 0.0
            self._number = min(max(self._number + 1, self._first_round_at(due)), last)
            at = self._born + self._number * self._interval
            if due <= at:
                self._last_played = at
                self.settled = not play(at)

    def _first_round_at(self, due: float) -> int:
        return sys.maxsize if math.isinf(due) else math.ceil((due - self._born) / self._interval)
