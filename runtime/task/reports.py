"""What happened in the last run of each object: the answer to "why isn't it ready?".

A `ReportStore` keeps the newest report per controller and key, at most `limit` of them (the least recently written goes
first), and tells its listeners about each new one. It is plain synchronous state; use it from one event loop.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.time import format_time
from controller_runtime.task.results import Outcome, Status

__all__ = ["ReportStore", "RunReport", "TaskReport"]


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One task of a run. `duration` is in seconds."""

    name: str
    status: Status
    message: str
    duration: float

    def __str__(self) -> str:
        return f"{self.name}={self.status} ({self.message})" if self.message else f"{self.name}={self.status}"


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run of a pipeline. Tasks that were not reached are absent.

    Attributes:
        started: wall-clock seconds since the epoch.
        duration: seconds.
    """

    controller: str
    key: ObjectKey
    id: str
    started: float
    duration: float
    outcome: Outcome
    tasks: tuple[TaskReport, ...]

    def summary(self) -> str:
        """One line: every task with its status and, where it has one, its message."""
        return ", ".join(str(task) for task in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON-able data."""
        return {
            "controller": self.controller,
            "namespace": self.key.namespace,
            "name": self.key.name,
            "reconcileID": self.id,
            "started": format_time(self.started),
            "durationSeconds": round(self.duration, 6),
            "status": str(self.outcome.status),
            "requeueAfterSeconds": self.outcome.after,
            "tasks": [
                {
                    "name": task.name,
                    "status": str(task.status),
                    "message": task.message,
                    "durationSeconds": round(task.duration, 6),
                }
                for task in self.tasks
            ],
        }


Listener = Callable[[RunReport], None]


class ReportStore:
    """See the module docstring.

    Args:
        limit: how many objects' reports are kept.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._reports: OrderedDict[tuple[str, ObjectKey], RunReport] = OrderedDict()
        self._listeners: list[Listener] = []

    def __len__(self) -> int:
        return len(self._reports)

    def __repr__(self) -> str:
        return f"<ReportStore [{len(self._reports)} of at most {self._limit} reports]>"

    def record(self, report: RunReport) -> None:
        """Keep `report` as its object's newest and tell the listeners."""
        name = (report.controller, report.key)
        self._reports[name] = report
        self._reports.move_to_end(name)
        if len(self._reports) > self._limit:
            self._reports.popitem(last=False)
        for listener in self._listeners:
            listener(report)

    def forget(self, controller: str, key: ObjectKey) -> None:
        """Drop the report of an object that is gone."""
        self._reports.pop((controller, key), None)

    def get(self, controller: str, key: ObjectKey) -> RunReport | None:
        return self._reports.get((controller, key))

    def find(self, *, controller: str = "", namespace: str = "", name: str = "") -> Iterable[RunReport]:
        """Return the matching reports, sorted by controller, namespace and name; empty arguments match all."""
        found = [
            report
            for (owner, key), report in self._reports.items()
            if controller in ("", owner) and namespace in ("", key.namespace) and name in ("", key.name)
        ]
        return sorted(found, key=lambda report: (report.controller, report.key))

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Call `listener` with each new report while the context lasts. It must not raise or block."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
