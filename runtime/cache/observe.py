"""What informers report about themselves: counters for metrics, and a logger to write to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["InformerMetrics", "Logger", "Observed", "Statistics"]


class Logger(Protocol):
    """The part of structlog's bound logger that the cache uses."""

    def info(self, event: str, **values: Any) -> Any: ...
    def warning(self, event: str, **values: Any) -> Any: ...
    def error(self, event: str, **values: Any) -> Any: ...


@dataclass(slots=True)
class Statistics:
    """Counts of one informer since it began.

    Attributes:
        lists: complete lists read, streamed ones included.
        watches: watches opened.
        events: watch events by type.
        failures: failed lists and watches, by the name of the error.
        undecodable: objects that could not be read, and were skipped.
        transform_errors: objects that are kept out of the cache because their transform failed.
        handler_errors: exceptions of handlers.
        last_event: wall time of the last sign of life of a watch, in seconds since the epoch; 0 before the first.
    """

    lists: int = 0
    watches: int = 0
    events: dict[str, int] = field(
        default_factory=lambda: {"ADDED": 0, "MODIFIED": 0, "DELETED": 0, "BOOKMARK": 0, "ERROR": 0}
    )
    failures: dict[str, int] = field(default_factory=dict)
    undecodable: int = 0
    transform_errors: int = 0
    handler_errors: int = 0
    last_event: float = 0.0


class Observed(Protocol):
    """An informer, seen from the metrics."""

    @property
    def name(self) -> str: ...
    @property
    def synced(self) -> bool: ...
    @property
    def statistics(self) -> Statistics: ...
    @property
    def objects(self) -> int: ...
    @property
    def ignored(self) -> int: ...
    @property
    def index_errors(self) -> int: ...
    def health(self) -> str | None: ...


_Series = tuple[str, str, Callable[[Observed], float]]

_COUNTERS: Final[tuple[_Series, ...]] = (
    ("informer_lists", "Complete lists read", lambda informer: informer.statistics.lists),
    ("informer_watches", "Watches opened", lambda informer: informer.statistics.watches),
    ("informer_undecodable", "Objects skipped as unreadable", lambda informer: informer.statistics.undecodable),
    (
        "informer_transform_errors",
        "Objects kept out because their transform failed",
        lambda informer: informer.statistics.transform_errors,
    ),
    ("informer_handler_errors", "Exceptions of handlers", lambda informer: informer.statistics.handler_errors),
    ("informer_ignored", "States that were no news", lambda informer: informer.ignored),
    ("informer_index_errors", "Exceptions of index functions", lambda informer: informer.index_errors),
)
_GAUGES: Final[tuple[_Series, ...]] = (
    ("informer_objects", "Objects in the cache", lambda informer: informer.objects),
    ("informer_synced", "1 once the first list is in the cache", lambda informer: int(informer.synced)),
    ("informer_healthy", "0 while the cache cannot follow the server", lambda informer: int(informer.health() is None)),
    (
        "informer_last_event_timestamp_seconds",
        "When the watch last gave a sign of life",
        lambda informer: informer.statistics.last_event,
    ),
)


@final
class InformerMetrics(Collector):
    """Renders the statistics of all informers of one cache when scraped; the paths of events touch no metric.

    Args:
        registry: where the collector registers itself.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._informers: list[Observed] = []
        registry.register(self)

    def track(self, informer: Observed) -> None:
        self._informers.append(informer)

    def forget(self, informer: Observed) -> None:
        self._informers.remove(informer)

    def describe(self) -> Iterable[Metric]:
        return self._families([])

    def collect(self) -> Iterator[Metric]:
        yield from self._families(self._informers)

    def _families(self, informers: list[Observed]) -> Iterator[Metric]:
        for name, text, value in _COUNTERS:
            counter = CounterMetricFamily(name, text, labels=("resource",))
            for informer in informers:
                counter.add_metric((informer.name,), value(informer))
            yield counter
        for name, text, value in _GAUGES:
            gauge = GaugeMetricFamily(name, text, labels=("resource",))
            for informer in informers:
                gauge.add_metric((informer.name,), value(informer))
            yield gauge
        events = CounterMetricFamily("informer_events", "Watch events", labels=("resource", "type"))
        failures = CounterMetricFamily("informer_failures", "Failed lists and watches", labels=("resource", "error"))
        for informer in informers:
            for kind, count in informer.statistics.events.items():
                events.add_metric((informer.name, kind), count)
            for error, count in informer.statistics.failures.items():
                failures.add_metric((informer.name, error), count)
        yield events
        yield failures
