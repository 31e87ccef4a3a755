"""A run's answer to the controller, its report, its metrics and its log line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.errors import Conflict
from controller_runtime.clock import LoopClock
from controller_runtime.reconcile import Request, Requeue
from controller_runtime.task import (
    Node,
    ReportStore,
    Result,
    Runner,
    TaskFailed,
    TaskMetrics,
    block,
    complete,
    fail,
    retry,
    task,
    wait,
)
from helpers.recording_log import RecordingLog

KEY = ObjectKey("ns", "widget")
REQUEST = Request(KEY, id="r1")


class Bench:
    """A runner with everything it needs, for one pipeline over a plain list."""

    def __init__(self, pipeline: Node[list[str]], *, broken_handler: bool = False, gone: bool = False) -> None:
        self.registry, self.reports, self.log = CollectorRegistry(), ReportStore(), RecordingLog()
        self.failures: list[tuple[str, str]] = []

        async def on_failure(ctx: list[str], name: str, result: Result) -> None:
            self.failures.append((name, result.message))
            if broken_handler:
                raise RuntimeError("cannot write the status")

        self.runner = Runner(
            "widget",
            pipeline,
            metrics=TaskMetrics(self.registry, prefix="test"),
            reports=self.reports,
            clock=LoopClock(),
            on_failure=on_failure,
            is_gone=lambda _: gone,
        )

    async def run(self) -> Requeue | None:
        return await self.runner.run([], REQUEST, self.log)

    def count(self, task_name: str, result: str) -> float:
        labels = {"controller": "widget", "task": task_name, "result": result}
        return self.registry.get_sample_value("test_task_results_total", labels) or 0.0


def answering(name: str, result: Result) -> Any:
    @task(name)
    async def function(_: list[str]) -> Result:
        await asyncio.sleep(0.5)
        return result

    return function


def raising(name: str, error: BaseException) -> Any:
    @task(name)
    async def function(_: list[str]) -> Result:
        raise error

    return function


@pytest.mark.parametrize(
    ("results", "answer"),
    [
        pytest.param([complete()], None, id="complete"),
        pytest.param([complete(), wait("w"), complete()], None, id="wait-needs-no-requeue"),
        pytest.param([complete(), retry(5, "r")], Requeue(after=5), id="retry-after"),
        pytest.param([retry(310, "long"), retry(5, "short")], Requeue(after=5), id="a-long-wait-hides-no-short-one"),
        pytest.param([complete(), retry(0, "r")], Requeue(after=None), id="retry-with-back-off"),
    ],
)
async def test_the_answer_to_the_controller(results: list[Result], answer: Requeue | None) -> None:
    bench = Bench(block(*(answering(f"t{i}", result) for i, result in enumerate(results))))
    assert await bench.run() == answer


async def test_a_failure_raises_and_is_handed_to_the_failure_handler() -> None:
    bench = Bench(
        block(answering("first", complete()), answering("second", fail("bad TOML")), answering("third", complete()))
    )
    with pytest.raises(TaskFailed, match="second: bad TOML") as caught:
        await bench.run()
    assert caught.value.task == "second"
    assert bench.failures == [("second", "bad TOML")]


async def test_an_exception_is_the_tasks_failure() -> None:
    bench = Bench(block(raising("boom", ZeroDivisionError("division by zero"))))
    with pytest.raises(TaskFailed, match="division by zero") as caught:
        await bench.run()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert bench.count("boom", "fail") == 1


async def test_a_conflict_is_quiet() -> None:
    bench = Bench(block(raising("write", Conflict("stale", code=409))))
    with pytest.raises(Conflict):
        await bench.run()
    assert bench.failures == []
    assert [level for level, _, _ in bench.log.lines] == ["debug"]


async def test_cancellation_passes_through() -> None:
    bench = Bench(block(raising("stopped", asyncio.CancelledError())))
    with pytest.raises(asyncio.CancelledError):
        await bench.run()
    assert len(bench.reports) == 0


async def test_a_broken_failure_handler_hides_nothing() -> None:
    bench = Bench(block(answering("bad", fail("no"))), broken_handler=True)
    with pytest.raises(TaskFailed, match="bad: no"):
        await bench.run()
    assert bench.log.lines[-1][0] == "warning"


async def test_every_task_is_counted_and_timed() -> None:
    bench = Bench(block(answering("a", complete()), answering("b", wait("w"))))
    await bench.run()
    await bench.run()
    assert (bench.count("a", "complete"), bench.count("b", "wait"), bench.count("b", "fail")) == (2, 2, 0)
    seconds = bench.registry.get_sample_value(
        "test_task_duration_seconds_sum", {"controller": "widget", "task": "a", "result": "complete"}
    )
    assert seconds == pytest.approx(1.0)


async def test_the_report_says_what_each_task_did() -> None:
    bench = Bench(block(answering("a", complete("made")), answering("b", retry(5, "later"))))
    await bench.run()
    report = bench.reports.get("widget", KEY)
    assert report is not None
    assert report.summary() == "a=complete (made), b=retry (later(requeue after 5s))"
    assert report.duration == pytest.approx(1.0)
    assert report.as_dict()["tasks"][1] == {
        "name": "b",
        "status": "retry",
        "message": "later(requeue after 5s)",
        "durationSeconds": 0.5,
    }


async def test_each_run_logs_one_line() -> None:
    bench = Bench(block(answering("a", complete()), answering("b", wait("w"))))
    await bench.run()
    assert [(level, event) for level, event, _ in bench.log.lines] == [("info", "reconciled")]


async def test_a_settled_run_is_logged_at_debug_level() -> None:
    bench = Bench(block(answering("a", complete())))
    await bench.run()
    assert [level for level, _, _ in bench.log.lines] == ["debug"]


async def test_an_object_that_is_gone_leaves_no_report() -> None:
    bench = Bench(block(answering("a", complete())), gone=True)
    heard: list[str] = []
    with bench.reports.listening(lambda report: heard.append(report.id)):
        await bench.run()
    assert (len(bench.reports), heard) == (0, ["r1"])
