"""client-go's metrics of a queue, with the worked example of its own tests."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from controller_runtime.workqueue import WorkQueue, WorkQueueMetrics

LABELS = {"name": "widget", "controller": "widget"}


class Bench:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = WorkQueueMetrics(self.registry)
        self.queue: WorkQueue[str] = WorkQueue("widget", metrics=self.metrics)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"workqueue_{name}", {**LABELS, **labels})

    async def take(self) -> str:
        return (await self.queue.get()).key


async def test_the_worked_example() -> None:
    bench = Bench()
    bench.queue.add("a")
    assert (bench.value("adds_total"), bench.value("depth", priority="0")) == (1, 1)
    await asyncio.sleep(50e-6)
    await bench.take()
    assert bench.value("queue_duration_seconds_sum") == pytest.approx(50e-6)
    for _ in range(5):
        bench.queue.add("a")
    assert (bench.value("adds_total"), bench.value("depth", priority="0")) == (2, 1)
    await asyncio.sleep(25e-6)
    bench.queue.done("a")
    assert bench.value("work_duration_seconds_sum") == pytest.approx(25e-6)
    assert bench.value("depth", priority="0") == 1
    await bench.take()
    await asyncio.sleep(1e-3)
    assert bench.value("unfinished_work_seconds") == pytest.approx(1e-3)
    assert bench.value("longest_running_processor_seconds") == pytest.approx(1e-3)


async def test_delayed_adds_count_as_retries() -> None:
    bench = Bench()
    bench.queue.add("a", after=1)
    bench.queue.add_rate_limited("b")
    bench.queue.add("c")
    assert (bench.value("retries_total"), bench.value("adds_total")) == (2, 1)


async def test_buckets_are_client_gos() -> None:
    bench = Bench()
    bench.queue.add("a")
    await asyncio.sleep(0.05)
    await bench.take()
    assert bench.value("queue_duration_seconds_bucket", le="0.01") == 0
    assert bench.value("queue_duration_seconds_bucket", le="0.1") == 1
    assert bench.value("queue_duration_seconds_bucket", le="1e-08") == 0
    assert bench.value("queue_duration_seconds_bucket", le="1000.0") == 1
    assert bench.value("queue_duration_seconds_count") == 1


async def test_depth_is_split_by_priority_and_a_series_once_shown_stays() -> None:
    bench = Bench()
    bench.queue.add("a", priority=-100)
    bench.queue.add("b")
    assert (bench.value("depth", priority="-100"), bench.value("depth", priority="0")) == (1, 1)
    bench.queue.add("a")
    assert (bench.value("depth", priority="-100"), bench.value("depth", priority="0")) == (0, 2)


async def test_too_many_priorities_become_one_series() -> None:
    bench = Bench()
    for number in range(40):
        bench.queue.add(str(number), priority=number)
    assert bench.value("depth", priority="exceeded_cardinality_limit") == 40
    assert bench.value("depth", priority="3") is None


async def test_an_idle_queue_shows_zeros_and_a_nameless_one_nothing() -> None:
    bench = Bench()
    WorkQueue[str](metrics=bench.metrics)
    assert bench.value("depth", priority="0") == 0
    assert generate_latest(bench.registry).decode().count("workqueue_depth{") == 1


async def test_a_new_queue_takes_the_place_of_the_old_one_of_its_name() -> None:
    bench = Bench()
    bench.queue.add("a")
    again: WorkQueue[str] = WorkQueue("widget", metrics=bench.metrics)
    assert bench.value("depth", priority="0") == 0
    again.add("b")
    assert bench.value("adds_total") == 1
