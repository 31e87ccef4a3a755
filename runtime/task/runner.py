"""Runs a pipeline for one object, measures every task, and turns what came out into the controller's answer.

Guarantees:

- Every task run is timed, counted and part of the run's report, also when it raised.
- An exception of a task is its failure: `Conflict` a quiet one (the controller tries again at once), any other an error
  with back-off. Cancellation is neither: it passes through, and the run leaves no report.
- Each run ends in exactly one log line and one report.

A runner holds no state of a run; one instance serves all workers of a controller.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from controller_runtime.client.errors import Conflict
from controller_runtime.clock import Clock, timer
from controller_runtime.reconcile import Logger, Request, Requeue
from controller_runtime.task.combinators import Condition, Node, Task
from controller_runtime.task.metrics import TaskMetrics
from controller_runtime.task.reports import ReportStore, RunReport, TaskReport
from controller_runtime.task.results import Outcome, Result, Status, combine, fail

__all__ = ["FailureHandler", "Runner", "TaskFailed"]

C = TypeVar("C")

FailureHandler = Callable[[C, str, Result], Awaitable[None]]
"""Called after a failed run with the context, the failed task's name and its result."""


class TaskFailed(Exception):
    """A run stopped at a failing task; the message names it and quotes what every task said."""

    def __init__(self, task: str, outcome: Outcome) -> None:
        super().__init__(f"some tasks are failed: {outcome.message.rstrip()}")
        self.task = task
        self.outcome = outcome


class Runner(Generic[C]):
    """See the module docstring.

    Args:
        controller: the controller's name, a label in metrics and logs.
        pipeline: what to run.
        clock: for the time a report carries.
        on_failure: runs after a run that failed loudly, to persist what the object's owner should know. What it raises is
            logged and otherwise ignored: the run has failed already and will be repeated.
        is_gone: holds after a run whose object does not exist any more; its report is forgotten then.
    """

    def __init__(
        self,
        controller: str,
        pipeline: Node[C],
        *,
        metrics: TaskMetrics,
        reports: ReportStore,
        clock: Clock,
        on_failure: FailureHandler[C] | None = None,
        is_gone: Condition[C] | None = None,
    ) -> None:
        self._controller = controller
        self._pipeline = pipeline
        self._metrics = metrics
        self._reports = reports
        self._clock = clock
        self._on_failure = on_failure
        self._is_gone = is_gone
        for task in pipeline.tasks():
            metrics.prepare(controller, task.name)

    async def run(self, ctx: C, request: Request, log: Logger) -> Requeue | None:
        """Run the pipeline once and say when to run it again.

        Raises:
            TaskFailed: a task failed.
            Conflict: a task met a conflict: nobody's fault, try again at once.
        """
        results: list[tuple[str, Result]] = []
        tasks: list[TaskReport] = []
        now = timer()
        started, begun = self._clock.now(), now()

        async def execute(task: Task[C], context: C) -> Result:
            at = now()
            result = await _guarded(task, context)
            elapsed = now() - at
            self._metrics.observe(self._controller, task.name, result.status, elapsed)
            results.append((task.name, result))
            tasks.append(TaskReport(task.name, result.status, str(result), elapsed))
            return result

        await self._pipeline.run(ctx, execute)
        outcome = combine(results)
        report = RunReport(self._controller, request.key, request.id, started, now() - begun, outcome, tuple(tasks))
        self._reports.record(report)
        if self._is_gone is not None and self._is_gone(ctx):
            self._reports.forget(self._controller, request.key)
        _log_report(log, report)
        if outcome.status is not Status.FAIL:
            return None if outcome.after is None else Requeue(after=outcome.after or None)
        if outcome.quiet and outcome.error is not None:
            raise outcome.error
        name, result = results[-1]
        if self._on_failure is not None:
            await self._persist_failure(self._on_failure, ctx, name, result, log)
        raise TaskFailed(name, outcome) from outcome.error

    async def _persist_failure(
        self, handler: FailureHandler[C], ctx: C, name: str, result: Result, log: Logger
    ) -> None:
        try:
            await handler(ctx, name, result)
        except Exception as error:  # noqa: BLE001 - the run has failed already; this must not hide why
            log.warning("failure could not be recorded on the object", task=name, error=str(error))


async def _guarded(task: Task[C], ctx: C) -> Result:
    try:
        return await task(ctx)
    except Conflict as error:
        return Result(Status.FAIL, str(error), error=error, quiet=True)
    except Exception as error:  # noqa: BLE001 - the boundary at which a task's exception becomes its result
        return fail(str(error) or type(error).__name__, error)


def _log_report(log: Logger, report: RunReport) -> None:
    values = {"status": str(report.outcome.status), "seconds": round(report.duration, 4), "tasks": report.summary()}
    if report.outcome.after is not None:
        values["requeue_after"] = report.outcome.after
    if report.outcome.status is Status.COMPLETE or report.outcome.quiet:
        log.debug("reconciled", **values)
    else:
        log.info("reconciled", **values)
