"""From a pipeline to a controller: what is alike in all controllers of this operator.

    built = task_controller(NAME, pipeline(), lambda basics: PDGroupContext(component=PD_GROUP, **basics), ...)
    built.reconciles(PDGroup).owns(PD)

Every run of the pipeline gets a context of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict, TypeVar

from controller_runtime import Controller, ExponentialBackoff, Manager
from controller_runtime.api import ObjectKey
from controller_runtime.client import Client
from controller_runtime.clock import Clock
from controller_runtime.reconcile import Context, EventRecorder, Logger, Request, Requeue
from controller_runtime.task import FailureHandler, Node, ReportStore, Runner, TaskMetrics
from controller_runtime.task.combinators import Condition
from tikv_operator.common.pace import StatusPace
from tikv_operator.common.settings import Settings

__all__ = ["Basics", "task_controller"]

C = TypeVar("C")


class Basics(TypedDict):
    """What every context of a run has."""

    client: Client
    clock: Clock
    log: Logger
    events: EventRecorder
    key: ObjectKey
    settings: Settings
    pace: StatusPace


def task_controller(
    name: str,
    pipeline: Node[C],
    new_run: Callable[[Basics], C],
    *,
    manager: Manager,
    settings: Settings,
    metrics: TaskMetrics,
    reports: ReportStore,
    on_failure: FailureHandler[C],
    is_gone: Condition[C],
    afterwards: Callable[[C], None] | None = None,
) -> Controller:
    """Return a controller that runs the pipeline once for each reconcile. What feeds it is the caller's to say.

    Args:
        new_run: makes the context of a run.
        metrics, reports: where the tasks' results go, shared by all controllers.
        on_failure, is_gone: see `Runner`.
        afterwards: called with the context after each run, however it ended.
    """
    runner = Runner(
        name,
        pipeline,
        metrics=metrics,
        reports=reports,
        clock=manager.clock,
        on_failure=on_failure,
        is_gone=is_gone,
    )

    pace = StatusPace(settings.status_soon, settings.status_later)

    async def reconcile(context: Context, request: Request) -> Requeue | None:
        run = new_run(
            {
                "client": context.client,
                "clock": context.clock,
                "log": context.log,
                "events": context.events,
                "key": request.key,
                "settings": settings,
                "pace": pace,
            }
        )
        try:
            return await runner.run(run, request, context.log)
        finally:
            if is_gone(run):
                pace.settled(request.key)
            if afterwards is not None:
                afterwards(run)

    return Controller(
        name,
        reconcile,
        workers=settings.workers,
        rate_limiter=ExponentialBackoff(settings.backoff_base, settings.backoff_max),
    )
