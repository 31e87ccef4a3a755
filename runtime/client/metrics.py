"""The client's Prometheus metrics, under client-go's names where it has one, so that existing dashboards work."""

from __future__ import annotations

from typing import Final, final

from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["ClientMetrics"]

_SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)


@final
class ClientMetrics:
    """Counts exchanges with the API server. One instance per registry.

    Args:
        registry: where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "rest_client_requests",
            "HTTP requests by status code, method and host; code <error> if no answer came",
            ("code", "method", "host"),
            registry=registry,
        )
        self._seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Time until the whole answer was there (of a watch: until its head was there), by verb and host",
            ("verb", "host"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._retries = Counter(
            "rest_client_request_retries",
            "Requests sent again, by the status code that was the reason and by verb",
            ("code", "verb", "host"),
            registry=registry,
        )
        self._limited = Histogram(
            "rest_client_rate_limiter_duration_seconds",
            "How long requests were held back by the client's own rate limit, by verb and host",
            ("verb", "host"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._suppressed = Counter(
            "rest_client_writes_suppressed",
            "Writes that were not sent because they would have changed nothing, by resource and verb",
            ("resource", "verb"),
            registry=registry,
        )

    def exchanged(self, host: str, method: str, code: int | None, seconds: float) -> None:
        """Count one exchange; `code` is None if no complete answer came."""
        self._requests.labels("<error>" if code is None else str(code), method, host).inc()
        self._seconds.labels(method, host).observe(seconds)

    def retried(self, host: str, method: str, code: int | None) -> None:
        self._retries.labels("<error>" if code is None else str(code), method, host).inc()

    def limited(self, host: str, method: str, seconds: float) -> None:
        self._limited.labels(method, host).observe(seconds)

    def suppressed(self, resource: str, verb: str) -> None:
        self._suppressed.labels(resource, verb).inc()
