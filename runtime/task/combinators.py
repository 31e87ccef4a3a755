"""Pipelines out of tasks: `block`, `if_`, `if_not`, `if_break`, `break_`.

A task is one async function of the reconcile context that returns a `Result`; `@task` gives it a name. A pipeline is a
tree of tasks and conditions, written in the order in which it is read aloud. Rules of a run:

- Wait and retry never stop a block; a failure stops the whole run; a break stops it after its own tasks.
- A condition is a plain function of the context, evaluated when it is reached: it sees what earlier tasks found out.

Concurrency: a pipeline is immutable and shared by all workers; all state of a run lives in its context.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final

from controller_runtime.task.results import Result, Status

__all__ = ["Condition", "Node", "Step", "Task", "block", "break_", "if_", "if_break", "if_not", "task"]

C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)

Condition = Callable[[C], bool]
Execute = Callable[["Task[Any]", Any], Awaitable[Result]]
"""Runs one task on the run's context and records it: the runner's part."""


class Node(Protocol[C_contra]):
    """A part of a pipeline. One that needs a general context can be part of a pipeline over a more special one."""

    async def run(self, ctx: C_contra, execute: Execute) -> bool:
        """Run this part; return True if the run must go on after it."""
        ...

    def tasks(self) -> tuple[Task[C_contra], ...]:
        """Return every task in this part, in order."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Task(Generic[C_contra]):
    """A named step. Calling it runs the function alone: what a unit test does."""

    name: str
    function: Callable[[C_contra], Awaitable[Result]]

    async def __call__(self, ctx: C_contra) -> Result:
        return await self.function(ctx)

    async def run(self, ctx: C_contra, execute: Execute) -> bool:
        result = await execute(self, ctx)
        return result.status is not Status.FAIL

    def tasks(self) -> tuple[Task[C_contra], ...]:
        return (self,)


Step = Task[C] | Node[C]


def task(name: str) -> Callable[[Callable[[C], Awaitable[Result]]], Task[C]]:
    """Name a task: `name` appears in reports, logs and metrics, so keep it short and never change it lightly."""

    def decorate(function: Callable[[C], Awaitable[Result]]) -> Task[C]:
        return Task(name, function)

    return decorate


@final
@dataclass(frozen=True, slots=True)
class _Block(Generic[C]):
    steps: tuple[Node[C], ...]

    async def run(self, ctx: C, execute: Execute) -> bool:
        for step in self.steps:
            if not await step.run(ctx, execute):
                return False
        return True

    def tasks(self) -> tuple[Task[C], ...]:
        return tuple(found for step in self.steps for found in step.tasks())


@final
@dataclass(frozen=True, slots=True)
class _If(Generic[C]):
    condition: Condition[C]
    then: Node[C]
    otherwise: Node[C]

    async def run(self, ctx: C, execute: Execute) -> bool:
        return await (self.then if self.condition(ctx) else self.otherwise).run(ctx, execute)

    def tasks(self) -> tuple[Task[C], ...]:
        return self.then.tasks() + self.otherwise.tasks()


@final
@dataclass(frozen=True, slots=True)
class _Break(Generic[C]):
    inner: Node[C]

    async def run(self, ctx: C, execute: Execute) -> bool:
        await self.inner.run(ctx, execute)
        return False

    def tasks(self) -> tuple[Task[C], ...]:
        return self.inner.tasks()


def block(*steps: Node[C]) -> Node[C]:
    """Run the steps in order until one fails or breaks."""
    return _Block(steps)


def if_(condition: Condition[C], *steps: Node[C]) -> Node[C]:
    """Run the steps only if the condition holds when it is reached."""
    return _If(condition, block(*steps), block())


def if_not(condition: Condition[C], *steps: Node[C]) -> Node[C]:
    """Run the steps only if the condition does not hold."""
    return _If(condition, block(), block(*steps))


def break_(*steps: Node[C]) -> Node[C]:
    """Run the steps, then end the run."""
    return _Break(block(*steps))


def if_break(condition: Condition[C], *steps: Node[C]) -> Node[C]:
    """If the condition holds, run the steps and end the run."""
    return if_(condition, break_(*steps))
