"""What a task can answer, and how many answers become one.

Four statuses: *complete* (go on), *wait* (go on; an event is expected), *retry* (go on; run again after a delay) and
*fail* (go no further). `combine` folds the results of a run: any failure makes it a failure, else any retry a retry, else
any wait a wait. A run is repeated after the **shortest** delay that any of its tasks asked for, so that a long wait never
hides a short one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["Outcome", "Result", "Status", "combine", "complete", "fail", "format_delay", "retry", "wait"]


class Status(enum.Enum):
    """How a task ended. The value is the `result` label in metrics."""

    COMPLETE = "complete"
    WAIT = "wait"
    RETRY = "retry"
    FAIL = "fail"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Result:
    """The answer of one task.

    Attributes:
        message: a sentence for a person; for wait and retry it says what is waited for.
        after: seconds until the next run (retry only); 0 means "with back-off".
        error: the exception behind a failure, if there is one.
        quiet: a failure that is nobody's fault (a conflict): it is retried at once and not counted as an error.
    """

    status: Status
    message: str = ""
    after: float = 0.0
    error: BaseException | None = None
    quiet: bool = False

    def __str__(self) -> str:
        if self.status is Status.RETRY and self.after > 0:
            return f"{self.message}(requeue after {format_delay(self.after)})"
        return self.message


def complete(message: str = "") -> Result:
    """The task is done."""
    return Result(Status.COMPLETE, message)


def wait(message: str) -> Result:
    """The task cannot do more now; an event will wake the object."""
    return Result(Status.WAIT, message)


def retry(after: float, message: str) -> Result:
    """The task wants another run after `after` seconds (0: after the key's back-off).

    Raises:
        ValueError: `after` is negative.
    """
    if after < 0:
        msg = f"retry after {after} seconds"
        raise ValueError(msg)
    return Result(Status.RETRY, message, after)


def fail(message: str, error: BaseException | None = None) -> Result:
    """The task failed; the run stops here and is repeated with back-off."""
    return Result(Status.FAIL, message, error=error)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a whole run amounts to.

    Attributes:
        after: the shortest delay any task asked for; None if none did; 0.0 means "with back-off".
    """

    status: Status
    after: float | None = None
    message: str = ""
    error: BaseException | None = None
    quiet: bool = False


_ORDER = (Status.FAIL, Status.RETRY, Status.WAIT)


def combine(results: Iterable[tuple[str, Result]]) -> Outcome:
    """Fold the named results of a run; no results at all are complete."""
    named = list(results)
    statuses = {result.status for _, result in named}
    status = next((candidate for candidate in _ORDER if candidate in statuses), Status.COMPLETE)
    delays = [result.after for _, result in named if result.status is Status.RETRY]
    lines = (f"{name}: {result}\n" if name else f"{result}\n" for name, result in named)
    outcome = Outcome(status, min(delays, default=None), "".join(lines))
    failed = next((result for _, result in named if result.status is Status.FAIL), None)
    if failed is not None:
        outcome = replace(outcome, error=failed.error, quiet=failed.quiet)
    return outcome


def format_delay(seconds: float) -> str:
    """Write a duration the way Go does, e.g. `5s`, `1m30s`, `1.5s`, `200ms`."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes or hours else ""
    return f"{text}{round(rest, 3):g}s"
