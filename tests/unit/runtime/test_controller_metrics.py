"""The metrics of controllers, as a scrape shows what was counted in plain numbers."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from controller_runtime.metrics import ControllerMetrics


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_every_series_is_there_before_anything_happened(registry: CollectorRegistry) -> None:
    ControllerMetrics(registry).of("widget", 3)
    values = {
        sample.name: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.labels["controller"] == "widget"
    }
    workers = values.pop("controller_runtime_max_concurrent_reconciles")
    assert (workers, set(values.values())) == (3, {0})
    assert values.keys() >= {
        f"controller_runtime_{name}"
        for name in (
            *("reconcile_total", "reconcile_errors_total", "terminal_reconcile_errors_total", "reconcile_panics_total"),
            *("reconcile_timeouts_total", "reconcile_conflicts_total", "reconcile_given_up_total"),
            *("source_errors_total", "active_workers", "reconcile_time_seconds_count"),
            *("event_to_reconcile_seconds_bucket", "event_to_reconcile_seconds_sum"),
        )
    }


def test_an_error_shows_in_all_the_counters_that_it_concerns(registry: CollectorRegistry) -> None:
    widget = ControllerMetrics(registry).of("widget", 1)
    widget.error(panic=True)
    widget.error(panic=False)
    widget.conflict()
    labels = {"controller": "widget"}

    def value(name: str, **more: str) -> float | None:
        return registry.get_sample_value(f"controller_runtime_{name}_total", {**labels, **more})

    assert value("reconcile", result="error") == value("reconcile_errors") == 2
    assert value("reconcile_panics") == 1
    assert value("reconcile", result="conflict") == value("reconcile_conflicts") == 1


def test_a_controller_that_runs_again_goes_on_counting(registry: CollectorRegistry) -> None:
    metrics = ControllerMetrics(registry)
    metrics.of("widget", 1).result("success")
    metrics.of("widget", 5).result("success")
    labels = {"controller": "widget"}
    assert registry.get_sample_value("controller_runtime_reconcile_total", {**labels, "result": "success"}) == 2
    assert registry.get_sample_value("controller_runtime_max_concurrent_reconciles", labels) == 5


def test_buckets_are_written_as_prometheus_writes_them(registry: CollectorRegistry) -> None:
    widget = ControllerMetrics(registry).of("widget", 1)
    widget.started(0.0)
    widget.ended(0.3)
    text = generate_latest(registry).decode()
    assert 'controller_runtime_reconcile_time_seconds_bucket{controller="widget",le="0.25"} 0.0' in text
    assert 'controller_runtime_reconcile_time_seconds_bucket{controller="widget",le="0.3"} 1.0' in text
    assert 'controller_runtime_reconcile_time_seconds_bucket{controller="widget",le="+Inf"} 1.0' in text
    assert 'controller_runtime_event_to_reconcile_seconds_count{controller="widget"} 1.0' in text


def test_two_managers_in_one_process_need_two_registries(registry: CollectorRegistry) -> None:
    ControllerMetrics(registry)
    with pytest.raises(ValueError, match="controller_runtime_reconcile"):
        ControllerMetrics(registry)
