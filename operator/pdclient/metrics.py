"""Prometheus metrics of the PD clients.

- `tikv_operator_pd_requests_total{endpoint,result}`: calls, by what came of them (`RESULTS`).
- `tikv_operator_pd_request_duration_seconds{endpoint}`: how long a call took, its retries included.
- `tikv_operator_pd_snapshot_age_seconds{cluster}`: the age of what the operator knows of each cluster's PD.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controller_runtime.api.resource import ObjectKey

__all__ = ["RESULTS", "PDMetrics"]

RESULTS: Final = (
    "ok",
    "not_found",
    "not_bootstrapped",
    "error",
    "unexpected_answer",
    "timeout",
    "unreachable",
    "cancelled",
)
"""The values of the `result` label. A 404 that means success to the caller still counts as `not_found`."""

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class PDMetrics:
    """The metrics of all PD clients of one process (or test).

    Args:
        registry: where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tikv_operator_pd_requests",
            "Calls to PD, by endpoint and by what came of them.",
            ("endpoint", "result"),
            registry=registry,
        )
        self._duration = Histogram(
            "tikv_operator_pd_request_duration_seconds",
            "How long a call to PD took, its retries included.",
            ("endpoint",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._age = Gauge(
            "tikv_operator_pd_snapshot_age_seconds",
            "How old the operator's knowledge of a cluster's PD is.",
            ("cluster",),
            registry=registry,
        )

    def observe(self, endpoint: str, result: str, seconds: float) -> None:
        self._requests.labels(endpoint, result).inc()
        self._duration.labels(endpoint).observe(seconds)

    def watch_age(self, cluster: ObjectKey, age: Callable[[], float]) -> None:
        """Report `age()` (seconds) for `cluster` at each scrape, until `forget`."""
        self._age.labels(str(cluster)).set_function(age)

    def forget(self, cluster: ObjectKey) -> None:
        """Drop the cluster's series; harmless if there is none."""
        self._age.remove_by_labels({"cluster": str(cluster)})
