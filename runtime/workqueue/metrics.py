"""The work queues' metrics, under client-go's names and with controller-runtime's labels.

Nothing is counted here: a collector asks each queue for its statistics when it is scraped. So the queue's hot path does
not touch prometheus_client, gauges are exact at the moment of the scrape, and no ticker runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from controller_runtime.workqueue.statistics import QueueStatistics

__all__ = ["WorkQueueMetrics"]

_LABELS: Final = ("name", "controller")
_MAX_PRIORITIES: Final = 25
_OVERFLOW: Final = "exceeded_cardinality_limit"


@final
class WorkQueueMetrics(Collector):
    """Renders the statistics of every queue it tracks.

    Args:
        registry: where the collector registers itself. One `WorkQueueMetrics` per registry.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queues: dict[str, Callable[[], QueueStatistics]] = {}
        self._priorities: dict[str, set[int]] = {}
        registry.register(self)

    def track(self, name: str, statistics: Callable[[], QueueStatistics]) -> None:
        """Render `statistics()` as the queue `name` from now on, in the place of an earlier queue of that name."""
        self._queues[name] = statistics
        self._priorities.setdefault(name, {0})

    def describe(self) -> Iterable[Metric]:
        return _Families().all()

    def collect(self) -> Iterator[Metric]:
        families = _Families()
        for name, statistics in self._queues.items():
            snapshot = statistics()
            families.add(name, snapshot, self._depth_labels(name, snapshot.depth))
        yield from families.all()

    def _depth_labels(self, name: str, depth: Mapping[int, int]) -> dict[str, int]:
        """Return the depth by label value: a series once shown stays (at 0), and too many become a single one."""
        seen = self._priorities[name]
        if len(seen) <= _MAX_PRIORITIES:
            seen.update(depth)
        if len(seen) > _MAX_PRIORITIES:
            return {_OVERFLOW: sum(depth.values())}
        return {str(priority): depth.get(priority, 0) for priority in sorted(seen)}


class _Families:
    """One scrape's metric families, empty at first."""

    def __init__(self) -> None:
        self._depth = GaugeMetricFamily(
            "workqueue_depth", "Keys that are due and not taken, by priority.", labels=(*_LABELS, "priority")
        )
        self._adds = CounterMetricFamily("workqueue_adds", "How often a key became due.", labels=_LABELS)
        self._retries = CounterMetricFamily(
            "workqueue_retries", "How often a key was added with a delay.", labels=_LABELS
        )
        self._queue_duration = HistogramMetricFamily(
            "workqueue_queue_duration_seconds", "From the first add of a key until it is taken.", labels=_LABELS
        )
        self._work_duration = HistogramMetricFamily(
            "workqueue_work_duration_seconds", "From the taking of a key until it is done.", labels=_LABELS
        )
        self._unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds", "The ages of all keys in work, added up.", labels=_LABELS
        )
        self._longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds", "The age of the oldest key in work.", labels=_LABELS
        )

    def add(self, name: str, snapshot: QueueStatistics, depth: Mapping[str, int]) -> None:
        labels = (name, name)
        for priority, count in depth.items():
            self._depth.add_metric((*labels, priority), count)
        self._adds.add_metric(labels, snapshot.adds)
        self._retries.add_metric(labels, snapshot.retries)
        queued, worked = snapshot.queue_duration, snapshot.work_duration
        self._queue_duration.add_metric(labels, buckets=queued.cumulative(), sum_value=queued.sum)
        self._work_duration.add_metric(labels, buckets=worked.cumulative(), sum_value=worked.sum)
        self._unfinished.add_metric(labels, snapshot.unfinished)
        self._longest.add_metric(labels, snapshot.longest_running)

    def all(self) -> Iterable[Metric]:
        return (
            self._depth,
            self._adds,
            self._retries,
            self._queue_duration,
            self._work_duration,
            self._unfinished,
            self._longest,
        )
