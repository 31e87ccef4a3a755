"""Durations on uvloop, whose own time is whole milliseconds and stands still during a turn of the loop."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime import ObjectKey, Request, SystemClock, WorkQueue, make_logger
from controller_runtime.clock import timer
from controller_runtime.task import ReportStore, Result, Runner, TaskMetrics, complete, task

WORK = 0.0003
KEY = ObjectKey("default", "a")


def work() -> None:
    """Keep the loop busy for a moment."""
    until = time.perf_counter() + WORK
    while time.perf_counter() < until:
        pass


@task("Work")
async def busy(_: None) -> Result:
    work()
    return complete()


async def test_a_task_that_takes_less_than_a_millisecond_takes_some_time() -> None:
    registry, reports = CollectorRegistry(), ReportStore()
    metrics = TaskMetrics(registry)
    runner: Runner[None] = Runner("test", busy, metrics=metrics, reports=reports, clock=SystemClock())
    await runner.run(None, Request(KEY), make_logger(level="error"))
    labels = {"controller": "test", "task": "Work", "result": "complete"}
    measured = registry.get_sample_value("controller_runtime_task_duration_seconds_sum", labels)
    assert measured is not None
    assert measured >= WORK


async def test_the_time_in_a_queue_and_in_work_is_measured_as_finely() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    work()
    item = await queue.get()
    work()
    assert timer()() - item.since >= 2 * WORK
    queue.done("a")
    statistics = queue.statistics()
    assert statistics.queue_duration.sum >= WORK
    assert statistics.work_duration.sum >= WORK


@pytest.mark.parametrize("delay", [0.001, 0.02])
async def test_the_end_of_a_delay_is_when_waiting_begins(delay: float) -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", after=delay)
    async with asyncio.timeout(10):
        item = await queue.get()
    waited = timer()() - item.since
    queue.done("a")
    assert 0 <= waited < 5.0
    assert queue.statistics().queue_duration.sum <= waited
