"""How pipelines are composed: which tasks run, in which order, and when a run ends."""

from __future__ import annotations

import pytest

from controller_runtime.task import (
    Node,
    Result,
    Status,
    Task,
    block,
    break_,
    complete,
    fail,
    if_,
    if_break,
    if_not,
    retry,
    wait,
)

RESULTS = {"C": complete("ok"), "F": fail("no"), "W": wait("soon"), "R": retry(5, "again")}
Trace = list[str]


def step(name: str, letter: str = "C") -> Task[Trace]:
    async def function(trace: Trace) -> Result:
        trace.append(name)
        return RESULTS[letter]

    return Task(name, function)


async def execute(task: Task[Trace], trace: Trace) -> Result:
    return await task(trace)


def yes(_: Trace) -> bool:
    return True


def no(_: Trace) -> bool:
    return False


@pytest.mark.parametrize(
    ("pipeline", "ran", "goes_on"),
    [
        pytest.param(block(), [], True, id="an-empty-block"),
        pytest.param(block(step("a"), step("b")), ["a", "b"], True, id="in-order"),
        pytest.param(block(step("a", "F"), step("b")), ["a"], False, id="a-failure-stops"),
        pytest.param(
            block(step("a", "W"), step("b", "R"), step("c")), ["a", "b", "c"], True, id="wait-and-retry-go-on"
        ),
        pytest.param(block(if_(no, step("a", "F")), step("b")), ["b"], True, id="a-condition-that-does-not-hold-skips"),
        pytest.param(block(if_(yes, step("a")), step("b")), ["a", "b"], True, id="a-condition-that-holds"),
        pytest.param(block(if_not(no, step("a")), if_not(yes, step("b"))), ["a"], True, id="negation"),
        pytest.param(block(step("a"), break_(step("b")), step("c")), ["a", "b"], False, id="a-break-ends-the-run"),
        pytest.param(block(if_break(yes, step("a")), step("b")), ["a"], False, id="a-conditional-break"),
        pytest.param(block(if_break(no, step("a")), step("b")), ["b"], True, id="a-conditional-break-not-taken"),
        pytest.param(block(if_break(yes), step("b")), [], False, id="a-break-without-tasks"),
        pytest.param(block(break_(step("a", "F"), step("b")), step("c")), ["a"], False, id="a-failure-inside-a-break"),
        pytest.param(
            block(step("a"), block(step("b", "W"), step("c")), step("d")),
            list("abcd"),
            True,
            id="a-block-inside-a-block",
        ),
        pytest.param(block(block(step("a", "F"), step("b")), step("c")), ["a"], False, id="a-failure-inside-a-block"),
        pytest.param(block(block(break_(step("a"))), step("b")), ["a"], False, id="a-break-ends-enclosing-blocks-too"),
    ],
)
async def test_which_tasks_run(pipeline: Node[Trace], ran: list[str], goes_on: bool) -> None:
    trace: Trace = []
    assert await pipeline.run(trace, execute) is goes_on
    assert trace == ran


async def test_a_condition_sees_what_earlier_tasks_did() -> None:
    trace: Trace = []
    await block(step("a"), if_(lambda seen: "a" in seen, step("b"))).run(trace, execute)
    assert trace == ["a", "b"]


def test_a_pipeline_lists_its_tasks() -> None:
    pipeline = block(step("a"), if_break(yes, step("b"), if_not(no, step("c"))), break_(step("d")))
    assert [task.name for task in pipeline.tasks()] == ["a", "b", "c", "d"]


async def test_a_task_can_be_called_alone() -> None:
    assert (await step("a", "W")([])).status is Status.WAIT
