"""Groups of runnables that start and stop together.

A runnable has `async run()`. It may have `stop()`: then it is asked to end by itself first (a controller lets its reconciles
finish), and cancelled only when the grace period is over. Without `stop` it is cancelled at once, after those of its group
that have one: what they use until their end must not go before them.

Concurrency: a group belongs to one manager and one event loop. It owns the tasks it makes; after `stop` none is left, except
a runnable that ignores its cancellation, and that one is named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol, final, runtime_checkable

from controller_runtime.reconcile import Logger

__all__ = ["Grace", "GracePeriodExceeded", "Runnable", "RunnableGroup", "Stoppable", "name_of"]

_CANCEL_SECONDS: Final = 5.0


class GracePeriodExceeded(Exception):
    """Runnables did not end within the grace period and were cancelled; the message names them."""


class Runnable(Protocol):
    """Something that runs until it is cancelled, or returns when it has nothing more to do.

    A class attribute `needs_leader = False` makes it run on every replica, not only on the leader. `warm_up = True` starts it
    before the election, on the understanding that it waits for the manager's `elected` before it does the leader's work.
    """

    async def run(self) -> None: ...


@runtime_checkable
class Stoppable(Protocol):
    """A runnable that can end by itself when asked."""

    def stop(self) -> None: ...


def name_of(runnable: object) -> str:
    """Return what a runnable is called in logs and errors."""
    name = getattr(runnable, "name", None)
    return name if isinstance(name, str) else type(runnable).__name__


@final
class Grace:
    """The time that everything gets to end by itself: one budget, shared by all groups.

    Args:
        seconds: None for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        self._timer = None if seconds is None else loop.call_later(seconds, self.end)
        if seconds is not None and seconds <= 0:
            self.end()

    def end(self) -> None:
        """End it now."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._over.done():
            self._over.set_result(None)

    async def wait(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Return when all tasks have ended, or the time is over."""
        waiting: set[asyncio.Future[None]] = {task for task in tasks if not task.done()}
        while waiting and not self._over.done():
            await asyncio.wait({*waiting, self._over}, return_when=asyncio.FIRST_COMPLETED)
            waiting = {task for task in waiting if not task.done()}


@final
class RunnableGroup:
    """See the module docstring.

    Args:
        failed: called when a runnable ends with an error, at most once per runnable.
    """

    def __init__(self, name: str, log: Logger, failed: Callable[[object, BaseException], None]) -> None:
        self.name = name
        self._log = log
        self._failed = failed
        self._waiting: list[Runnable] = []
        self._tasks: dict[asyncio.Task[None], Runnable] = {}
        self._warm = False
        self._started = False
        self._stopped = False

    def __repr__(self) -> str:
        return f"<RunnableGroup {self.name} {len(self._tasks)} running, {len(self._waiting)} waiting>"

    def add(self, runnable: Runnable) -> None:
        """Add a runnable; it starts with the group, or now if the group has started.

        Raises:
            RuntimeError: the group is stopping.
        """
        if self._stopped:
            msg = f"{name_of(runnable)} cannot be added any more: the manager is stopping"
            raise RuntimeError(msg)
        if self._started or (self._warm and _warms_up(runnable)):
            self._launch(runnable)
        else:
            self._waiting.append(runnable)

    def warm_up(self) -> None:
        """Start those that may start before the group does. Does nothing after `stop`, and nothing the second time."""
        if self._warm or self._stopped:
            return
        self._warm = True
        early = [runnable for runnable in self._waiting if _warms_up(runnable)]
        self._waiting = [runnable for runnable in self._waiting if not _warms_up(runnable)]
        for runnable in early:
            self._launch(runnable)

    def start(self) -> None:
        """Start everything that was added. Does nothing after `stop`, and nothing the second time."""
        if self._started or self._stopped:
            return
        self._started = True
        waiting, self._waiting = self._waiting, []
        for runnable in waiting:
            self._launch(runnable)

    @property
    def running(self) -> list[str]:
        """The names of the runnables that run; after `stop`, of those that ignore their cancellation."""
        return sorted(name_of(runnable) for runnable in self._tasks.values())

    async def stop(self, grace: Grace) -> list[str]:
        """End everything, and take no more.

        Returns:
            The names of those that had not ended when the grace period was over.
        """
        self._stopped = True
        return await self._end_all(grace)

    async def stop_to_start_again(self) -> None:
        """Cancel everything at once and be ready for another `warm_up` and `start`; check `running` before them."""
        again = list(self._tasks.values())
        await self._end_all(Grace(0))
        self._waiting = again + self._waiting
        self._warm = self._started = False

    async def _end_all(self, grace: Grace) -> list[str]:
        graceful: list[asyncio.Task[None]] = []
        for task, runnable in self._tasks.items():
            if isinstance(runnable, Stoppable):
                runnable.stop()
                graceful.append(task)
        await grace.wait(graceful)
        late = [name_of(self._tasks[task]) for task in graceful if not task.done()]
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=_CANCEL_SECONDS)
        await asyncio.sleep(0)  # the callbacks of ended tasks come in the loop's next turn
        if self._tasks:
            self._log.error("Runnables ignore their cancellation", group=self.name, runnables=self.running)
        return sorted({*late, *self.running})

    def _launch(self, runnable: Runnable) -> None:
        task = asyncio.create_task(runnable.run(), name=f"{self.name}: {name_of(runnable)}")
        self._tasks[task] = runnable
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        runnable = self._tasks.pop(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        if self._stopped:
            self._log.error(
                "Runnable failed while stopping", runnable=name_of(runnable), error=str(error), exc_info=error
            )
        else:
            self._failed(runnable, error)


def _warms_up(runnable: Runnable) -> bool:
    return getattr(runnable, "warm_up", False) is True
