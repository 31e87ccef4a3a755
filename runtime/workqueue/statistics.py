"""What a work queue tells about itself, as an immutable snapshot: tests assert it, metrics are rendered from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller_runtime.metrics import HistogramCounts

__all__ = ["QueueStatistics"]


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """The state of one queue at one moment; durations are seconds.

    Attributes:
        depth: keys that wait to be handed out, by priority; with those that were added again while in work.
        delayed: keys whose time has not come.
        processing: keys in work.
        waiters: calls of `get` that wait for a key.
        adds: how often a key became due (adds that were merged with an earlier one do not count).
        retries: how often a key was added with a delay.
        unfinished: the ages of all keys in work, added up.
        longest_running: the age of the key that is in work for the longest time.
        queue_duration: from the first add of a key (or the end of its delay) until it is handed out.
        work_duration: from handing out to `done`.
    """

    depth: Mapping[int, int]
    delayed: int
    processing: int
    waiters: int
    adds: int
    retries: int
    unfinished: float
    longest_running: float
    queue_duration: HistogramCounts
    work_duration: HistogramCounts

    @property
    def queued(self) -> int:
        """Keys that wait to be handed out, of all priorities."""
        return sum(self.depth.values())
