"""Two small tools for structured concurrency: the plain error out of a group, and an end that is certain."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["cancel_and_wait", "first_error"]


def first_error(error: BaseException) -> BaseException:
    """Return the first plain exception in a group, however deep it is nested; a plain exception is returned as it is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended. What it raised is dropped; ask the task if it matters."""
    task.cancel()
    await asyncio.wait([task])
