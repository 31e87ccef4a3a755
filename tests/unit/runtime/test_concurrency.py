"""Background tasks have an owner, a group's error comes out plain, and an end is certain."""

from __future__ import annotations

import asyncio

import pytest

from controller_runtime.concurrency import background_tasks, cancel_and_wait, first_error


async def forever(ended: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(name)


async def test_background_tasks_end_with_their_context() -> None:
    ended: list[str] = []
    async with background_tasks() as start:
        start(forever(ended, "first"), "first")
        start(forever(ended, "second"), "second")
        await asyncio.sleep(1)
    assert ended == ["second", "first"]


async def test_what_the_context_raises_comes_out_plain() -> None:
    ended: list[str] = []

    async def context() -> None:
        async with background_tasks() as start:
            start(forever(ended, "task"), "task")
            await asyncio.sleep(1)
            raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        await context()
    assert ended == ["task"]


async def test_a_task_that_fails_ends_the_context() -> None:
    async def failing() -> None:
        await asyncio.sleep(1)
        raise LookupError("task")

    async def context() -> None:
        async with background_tasks() as start:
            start(failing(), "failing")
            await asyncio.sleep(60)

    with pytest.raises(LookupError, match="task"):
        await context()


def test_the_first_plain_error_is_found_however_deep_it_is() -> None:
    error = KeyError("deep")
    assert first_error(ExceptionGroup("outer", [ExceptionGroup("inner", [error])])) is error
    assert first_error(error) is error


async def test_a_cancelled_task_has_ended() -> None:
    ended: list[str] = []
    task = asyncio.create_task(forever(ended, "task"))
    await asyncio.sleep(0)
    await cancel_and_wait(task)
    assert (task.done(), ended) == (True, ["task"])
