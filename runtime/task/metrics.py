"""Prometheus metrics of task runs: how long, how often, with which result."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from controller_runtime.task.results import Status

__all__ = ["TaskMetrics"]

_BUCKETS: Final = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class TaskMetrics:
    """Counts and times every task run by controller, task and result.

    Args:
        registry: where the metrics are registered.
        prefix: of the metrics' names, e.g. `tikv_operator` for `tikv_operator_task_duration_seconds`.
    """

    def __init__(self, registry: CollectorRegistry, *, prefix: str = "controller_runtime") -> None:
        labels = ("controller", "task", "result")
        self._duration = Histogram(
            f"{prefix}_task_duration_seconds",
            "How long one run of a task took, by its result.",
            labels,
            buckets=_BUCKETS,
            registry=registry,
        )
        self._results = Counter(
            f"{prefix}_task_results",
            "Runs of a task, by result: complete, wait, retry or fail.",
            labels,
            registry=registry,
        )

    def prepare(self, controller: str, task: str) -> None:
        """Create the task's counters at zero, so that a rate over them is right from the first event."""
        for status in Status:
            self._results.labels(controller, task, status.value)

    def observe(self, controller: str, task: str, status: Status, seconds: float) -> None:
        self._duration.labels(controller, task, status.value).observe(seconds)
        self._results.labels(controller, task, status.value).inc()
