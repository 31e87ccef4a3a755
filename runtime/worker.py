"""The workers of one controller: take a key, run the reconciler, decide what becomes of the key.

The decision (`WorkerPool._settle`) is plain synchronous code; the table in `controller_runtime.controller` says what it
does. `queue.done` comes last, after any re-add, so that a key that waits for its back-off is never handed out early.

Concurrency: reconciles run in the worker's own task; no task is made per key. Between two runs a worker gives way to the
event loop, so that reconcilers that never wait cannot starve watches, probes and the lease.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.errors import ApiError, ClientError, Conflict
from controller_runtime.clock import timer
from controller_runtime.concurrency import first_error
from controller_runtime.metrics import MetricsOfController
from controller_runtime.reconcile import Context, Logger, Reconciler, Request, Requeue, TerminalError
from controller_runtime.workqueue import Item, QueueShutDown, WorkQueue

__all__ = ["Policy", "ReconcileTimeout", "WorkerPool"]

_CONFLICTS_IN_A_ROW: Final = 5
_BUGS: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError)
"""What a reconciler raises by mistake, not because the world is in a bad state: client-go would call it a panic."""


class ReconcileTimeout(Exception):
    """A run took longer than the controller's time-out and was cancelled."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How keys are worked on; `Controller` documents the fields."""

    workers: int = 1
    timeout: float | None = None
    max_retries: int | None = None
    on_give_up: Callable[[Request, BaseException], None] | None = None


@final
class WorkerPool:
    """See the module docstring. Make it inside a running event loop.

    Args:
        context: what every run is given; its log carries the controller's keys already.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconciler,
        queue: WorkQueue[ObjectKey],
        context: Context,
        policy: Policy,
        metrics: MetricsOfController,
    ) -> None:
        self._name = name
        self._reconcile = reconcile
        self._queue = queue
        self._context = context
        self._policy = policy
        self._metrics = metrics
        self._now = timer()
        self._conflicts: dict[ObjectKey, int] = {}

    async def run(self) -> None:
        """Work until the queue is shut down and every running reconcile has ended.

        Cancelling it cancels the running reconciles and waits for their end.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._policy.workers):
                    group.create_task(self._work(), name=f"{self._name}: worker {number}")
        except BaseExceptionGroup as group:
            raise first_error(group) from group

    async def _work(self) -> None:
        while True:
            try:
                item = await self._queue.get()
            except QueueShutDown:
                return
            try:
                await self._run_once(item)
            finally:
                self._queue.done(item.key)
            await asyncio.sleep(0)

    async def _run_once(self, item: Item[ObjectKey]) -> None:
        key = item.key
        request = Request(key, id=str(uuid.uuid4()), attempt=self._queue.retries(key))
        shared = self._context
        log = shared.log.bind(namespace=key.namespace, name=key.name, reconcileID=request.id)
        started = self._now()
        self._metrics.started(started - item.since)
        try:
            answer = await self._call(request, Context(shared.client, shared.clock, log, shared.events))
            self._settle(item, request, answer, log)
        finally:
            self._metrics.ended(self._now() - started)

    async def _call(self, request: Request, context: Context) -> Requeue | Exception | None:
        """Return the reconciler's answer, or what it raised. Only our own cancellation passes through."""
        try:
            return await self._in_time(request, context)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Something that the reconciler waited for was cancelled, not the run itself.
            wrapped = RuntimeError("the reconciler was interrupted by a cancellation of its own")
            wrapped.__cause__ = error
            return wrapped
        except Exception as error:  # noqa: BLE001 - whatever a reconciler raises concerns its key alone; _settle logs and counts
            return error

    async def _in_time(self, request: Request, context: Context) -> Requeue | None:
        seconds = self._policy.timeout
        if seconds is None:  # which is the rule, and costs nothing
            return await self._reconcile(context, request)
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await self._reconcile(context, request)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            self._metrics.timed_out()
            msg = f"the run was cancelled after {seconds:g} s"
            raise ReconcileTimeout(msg) from error

    def _settle(self, item: Item[ObjectKey], request: Request, answer: Requeue | Exception | None, log: Logger) -> None:
        queue, key = self._queue, item.key
        if isinstance(answer, Exception):
            if _is_conflict(answer):
                self._settle_conflict(item, answer, log)
            else:
                self._conflicts.pop(key, None)
                self._settle_error(item, request, answer, log)
            return
        if self._conflicts:
            self._conflicts.pop(key, None)
        if answer is None:
            queue.forget(key)
            self._metrics.result("success")
            return
        priority = item.priority if answer.priority is None else answer.priority
        if answer.after is None:
            queue.add_rate_limited(key, priority=priority)
            self._metrics.result("requeue")
        else:
            queue.forget(key)
            queue.add(key, after=answer.after, priority=priority)
            self._metrics.result("requeue_after")

    def _settle_conflict(self, item: Item[ObjectKey], error: Exception, log: Logger) -> None:
        """Somebody else was faster, or the cache is a moment behind: try again at once, a few times."""
        in_a_row = self._conflicts.get(item.key, 0) + 1
        self._conflicts[item.key] = in_a_row
        self._metrics.conflict()
        if in_a_row <= _CONFLICTS_IN_A_ROW:
            self._queue.add(item.key, priority=item.priority)
            log.debug("Conflict, trying again at once", error=str(error), in_a_row=in_a_row)
        else:
            delay = self._queue.add_rate_limited(item.key, priority=item.priority)
            log.info("Conflicts do not end, trying again later", error=str(error), in_a_row=in_a_row, after=delay)

    def _settle_error(self, item: Item[ObjectKey], request: Request, error: Exception, log: Logger) -> None:
        text = f"{type(error).__name__}: {error}"
        bug = isinstance(error, _BUGS)
        self._metrics.error(panic=bug)
        if _is_terminal(error):
            self._metrics.terminal_error()
            log.error("Reconciler error, not tried again before the next event", error=text)
            return
        limit = self._policy.max_retries
        if limit is not None and request.attempt >= limit:
            self._give_up(request, error, text, log)
            return
        at_least = error.retry_after or 0.0 if isinstance(error, ApiError) else 0.0
        delay = self._queue.add_rate_limited(item.key, priority=item.priority, at_least=at_least)
        trace = {} if isinstance(error, ClientError) else {"exc_info": error}
        log.error("Reconciler error", error=text, attempt=request.attempt, retry_after=round(delay, 3), **trace)

    def _give_up(self, request: Request, error: Exception, text: str, log: Logger) -> None:
        self._queue.forget(request.key)
        self._metrics.gave_up()
        log.error("Reconciler error, giving up until the next event", error=text, attempts=request.attempt + 1)
        if self._policy.on_give_up is not None:
            self._policy.on_give_up(request, error)


def _is_conflict(error: BaseException) -> bool:
    """A conflict, or a group of nothing but conflicts (of calls that ran at the same time)."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_conflict(inner) for inner in error.exceptions)
    return isinstance(error, Conflict)


def _is_terminal(error: BaseException | None) -> bool:
    """A terminal error, or one that was raised from one."""
    while error is not None:
        if isinstance(error, TerminalError):
            return True
        error = error.__cause__
    return False
