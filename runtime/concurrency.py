"""Small tools for structured concurrency: background tasks with an owner, the plain error out of a group, a certain end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["background_tasks", "cancel_and_wait", "first_error"]


@asynccontextmanager
async def background_tasks() -> AsyncIterator[Callable[[Coroutine[Any, Any, None], str], None]]:
    """Hand out a function that starts a task with a name; all such tasks end with the context, the newest first.

    A task that fails ends the context and is what the context raises. What the context's own code raises comes out as it
    is, not wrapped in a group.
    """
    started: list[asyncio.Task[None]] = []
    try:
        async with asyncio.TaskGroup() as group:

            def start(main: Coroutine[Any, Any, None], name: str) -> None:
                started.append(group.create_task(main, name=name))

            try:
                yield start
            finally:
                for task in reversed(started):
                    task.cancel()
    except BaseExceptionGroup as failures:
        raise first_error(failures) from failures


def first_error(error: BaseException) -> BaseException:
    """Return the first plain exception in a group, however deep it is nested; a plain exception is returned as it is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended. What it raised is dropped; ask the task if it matters."""
    task.cancel()
    await asyncio.wait([task])
