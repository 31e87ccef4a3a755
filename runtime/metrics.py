"""The metrics of controllers, under controller-runtime's names, and shared pieces: bucket lists and a cheap histogram.

prometheus_client's own counters and histograms cost about a microsecond each time. What a run or a queued key counts is
counted in plain Python numbers instead (`MetricsOfController`, `HistogramCounts`), and a collector renders it when scraped.

Concurrency: plain synchronous state for one event loop. A scrape from another thread may see a sum that is one observation
ahead of the counts; it never sees a negative bucket.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Final, final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

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
class MetricsOfController:
    """What one controller counts: plain numbers, since a run must not pay for metrics that nobody is reading just now."""

    __slots__ = (
        "active",
        "given_up",
        "latency",
        "panics",
        "results",
        "seconds",
        "source_errors",
        "terminal_errors",
        "timeouts",
        "workers",
    )

    def __init__(self) -> None:
        self.workers = 0
        self.active = 0
        self.results = dict.fromkeys(_RESULTS, 0)
        self.panics = 0
        self.terminal_errors = 0
        self.timeouts = 0
        self.given_up = 0
        self.source_errors = 0
        self.seconds = HistogramCounts(RECONCILE_BUCKETS)
        self.latency = HistogramCounts(LATENCY_BUCKETS)

    def started(self, latency: float) -> None:
        """A run starts, `latency` seconds after its key became due."""
        self.active += 1
        self.latency.observe(latency)

    def ended(self, seconds: float) -> None:
        self.active -= 1
        self.seconds.observe(seconds)

    def result(self, result: str) -> None:
        self.results[result] += 1

    def error(self, *, panic: bool) -> None:
        self.results["error"] += 1
        self.panics += panic

    def conflict(self) -> None:
        self.results["conflict"] += 1

    def terminal_error(self) -> None:
        self.terminal_errors += 1

    def timed_out(self) -> None:
        self.timeouts += 1

    def gave_up(self) -> None:
        self.given_up += 1

    def source_failed(self) -> None:
        self.source_errors += 1


_PREFIX: Final = "controller_runtime_"
_COUNTERS: Final[Mapping[str, tuple[str, Callable[[MetricsOfController], float]]]] = {
    "reconcile_errors": ("Reconciles that failed.", lambda one: one.results["error"]),
    "terminal_reconcile_errors": (
        "Reconciles that failed and are not retried.",
        lambda one: one.terminal_errors,
    ),
    "reconcile_panics": ("Reconciles that failed by what looks like a bug.", lambda one: one.panics),
    "reconcile_timeouts": (
        "Reconciles that ran into the time-out of their controller.",
        lambda one: one.timeouts,
    ),
    "reconcile_conflicts": (
        "Reconciles that met a conflict and were tried again.",
        lambda one: one.results["conflict"],
    ),
    "reconcile_given_up": ("Keys that were given up after too many failures.", lambda one: one.given_up),
    "source_errors": ("Errors in handlers, predicates and polls.", lambda one: one.source_errors),
}
_GAUGES: Final[Mapping[str, tuple[str, Callable[[MetricsOfController], float]]]] = {
    "max_concurrent_reconciles": ("Workers of a controller.", lambda one: one.workers),
    "active_workers": ("Workers that are reconciling.", lambda one: one.active),
}
_HISTOGRAMS: Final[Mapping[str, tuple[str, Callable[[MetricsOfController], HistogramCounts]]]] = {
    "reconcile_time_seconds": ("How long a reconcile took.", lambda one: one.seconds),
    "event_to_reconcile_seconds": (
        "From an event (or the end of a delay) to its reconcile.",
        lambda one: one.latency,
    ),
}


@final
class ControllerMetrics(Collector):
    """The metrics of all controllers of one manager, labelled by controller; rendered when scraped.

    Args:
        registry: where the collector registers itself. One `ControllerMetrics` per registry.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._controllers: dict[str, MetricsOfController] = {}
        registry.register(self)

    def of(self, controller: str, workers: int) -> MetricsOfController:
        """Return one controller's metrics; one that runs again goes on counting."""
        metrics = self._controllers.setdefault(controller, MetricsOfController())
        metrics.workers = workers
        return metrics

    def describe(self) -> Iterable[Metric]:
        return self._families({})

    def collect(self) -> Iterable[Metric]:
        return self._families(self._controllers)

    @staticmethod
    def _families(controllers: Mapping[str, MetricsOfController]) -> Iterator[Metric]:
        results = CounterMetricFamily(f"{_PREFIX}reconcile", "Reconciles, by result.", labels=("controller", "result"))
        for name, one in controllers.items():
            for result, count in one.results.items():
                results.add_metric((name, result), count)
        yield results
        for kind, text_and_value in _COUNTERS.items():
            counter = CounterMetricFamily(f"{_PREFIX}{kind}", text_and_value[0], labels=("controller",))
            for name, one in controllers.items():
                counter.add_metric((name,), text_and_value[1](one))
            yield counter
        for kind, text_and_value in _GAUGES.items():
            gauge = GaugeMetricFamily(f"{_PREFIX}{kind}", text_and_value[0], labels=("controller",))
            for name, one in controllers.items():
                gauge.add_metric((name,), text_and_value[1](one))
            yield gauge
        for kind, text_and_counts in _HISTOGRAMS.items():
            histogram = HistogramMetricFamily(f"{_PREFIX}{kind}", text_and_counts[0], labels=("controller",))
            for name, one in controllers.items():
                counts = text_and_counts[1](one)
                histogram.add_metric((name,), buckets=counts.cumulative(), sum_value=counts.sum)
            yield histogram
