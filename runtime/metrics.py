"""The metrics of controllers, under controller-runtime's names, and shared pieces: bucket lists and a cheap histogram.

prometheus_client's own histogram costs about a microsecond an observation; where a path runs hundreds of thousands of
times a second (the work queue), `HistogramCounts` counts in plain Python lists and a collector renders it when scraped.

Concurrency: plain synchronous state for one event loop. A scrape from another thread may see a sum that is one observation
ahead of the counts; it never sees a negative bucket.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import inf
from typing import Final, final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = [
    "LATENCY_BUCKETS",
    "RECONCILE_BUCKETS",
    "WORKQUEUE_BUCKETS",
    "ControllerMetrics",
    "HistogramCounts",
    "MetricsOfController",
]

WORKQUEUE_BUCKETS: Final = tuple(10.0**exponent for exponent in range(-8, 4))
"""client-go's: twelve powers of ten from 10 ns to 1000 s."""

RECONCILE_BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9),
    *(1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0),
    *(40.0, 50.0, 60.0),
)
"""controller-runtime's, for the time of one reconcile."""

LATENCY_BUCKETS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
)
"""From an event to the start of the run that sees it: sub-millisecond when all is well, minutes in a backlog."""


@final
class HistogramCounts:
    """A histogram without labels that costs one bisection per observation.

    Args:
        bounds: upper bounds of the buckets, ascending, without infinity.
    """

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    @property
    def sum(self) -> float:
        return self._sum

    def cumulative(self) -> list[tuple[str, float]]:
        """Return the buckets as the exposition format wants them: upper bound and cumulative count."""
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*self._bounds, inf), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == inf else str(bound), total))
        return buckets


_RESULTS: Final = ("success", "error", "requeue", "requeue_after", "conflict")


@final
class ControllerMetrics:
    """The metrics of all controllers of one manager, labelled by controller.

    Args:
        registry: where the metrics are registered. One `ControllerMetrics` per registry.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"controller_runtime_{name}", text, ("controller", *labels), registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"controller_runtime_{name}", text, ("controller",), registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(f"controller_runtime_{name}", text, ("controller",), buckets=buckets, registry=registry)

        self.reconciles = counter("reconcile", "Reconciles, by result.", "result")
        self.errors = counter("reconcile_errors", "Reconciles that failed.")
        self.terminal_errors = counter("terminal_reconcile_errors", "Reconciles that failed and are not retried.")
        self.panics = counter("reconcile_panics", "Reconciles that failed by what looks like a bug.")
        self.timeouts = counter("reconcile_timeouts", "Reconciles that ran into the time-out of their controller.")
        self.conflicts = counter("reconcile_conflicts", "Reconciles that met a conflict and were tried again.")
        self.given_up = counter("reconcile_given_up", "Keys that were given up after too many failures.")
        self.source_errors = counter("source_errors", "Errors in handlers, predicates and polls.")
        self.seconds = histogram("reconcile_time_seconds", "How long a reconcile took.", RECONCILE_BUCKETS)
        self.latency = histogram(
            "event_to_reconcile_seconds", "From an event (or the end of a delay) to its reconcile.", LATENCY_BUCKETS
        )
        self.workers = gauge("max_concurrent_reconciles", "Workers of a controller.")
        self.active = gauge("active_workers", "Workers that are reconciling.")

    def of(self, controller: str, workers: int) -> MetricsOfController:
        """Return one controller's metrics, with all its series made."""
        self.workers.labels(controller).set(workers)
        return MetricsOfController(self, controller)


@final
class MetricsOfController:
    """The metrics of one controller, with its label looked up once."""

    def __init__(self, metrics: ControllerMetrics, controller: str) -> None:
        self._results = {result: metrics.reconciles.labels(controller, result) for result in _RESULTS}
        self._errors = metrics.errors.labels(controller)
        self._terminal_errors = metrics.terminal_errors.labels(controller)
        self._panics = metrics.panics.labels(controller)
        self._timeouts = metrics.timeouts.labels(controller)
        self._conflicts = metrics.conflicts.labels(controller)
        self._given_up = metrics.given_up.labels(controller)
        self._source_errors = metrics.source_errors.labels(controller)
        self._seconds = metrics.seconds.labels(controller)
        self._latency = metrics.latency.labels(controller)
        self._active = metrics.active.labels(controller)

    def started(self, latency: float) -> None:
        """A run starts, `latency` seconds after its key became due."""
        self._active.inc()
        self._latency.observe(latency)

    def ended(self, seconds: float) -> None:
        self._active.dec()
        self._seconds.observe(seconds)

    def result(self, result: str) -> None:
        self._results[result].inc()

    def error(self, *, panic: bool) -> None:
        self._results["error"].inc()
        self._errors.inc()
        if panic:
            self._panics.inc()

    def conflict(self) -> None:
        self._results["conflict"].inc()
        self._conflicts.inc()

    def terminal_error(self) -> None:
        self._terminal_errors.inc()

    def timed_out(self) -> None:
        self._timeouts.inc()

    def gave_up(self) -> None:
        self._given_up.inc()

    def source_failed(self) -> None:
        self._source_errors.inc()
