"""A benchmark's contestant is a process that may do anything: what it says is read, and it never outlives its turn."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
WELL_BEHAVED = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('{"event": "end", "reconciles": 3}', flush=True)))
print('{"event": "ready", "at": 5}', flush=True)
signal.pause()
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


async def test_facts_are_read_one_after_the_other_and_the_end_is_asked_for(module: Any) -> None:
    async with module("contestant").running(python(WELL_BEHAVED)) as process:
        assert (await process.wait_for("ready"))["at"] == 5
        assert process.cpu_seconds() >= 0
        assert (await process.end())["reconciles"] == 3
    assert process.peak_mb > 1


@pytest.mark.parametrize(
    ("program", "why"),
    [("print('hello')", "no JSON"), ("raise SystemExit(1)", "ended before it said 'ready'")],
)
async def test_whoever_does_not_play_by_the_rules_has_failed(module: Any, program: str, why: str) -> None:
    contestant = module("contestant")
    with pytest.raises(contestant.Failed, match=why):
        async with contestant.running(python(program)) as process:
            await process.wait_for("ready")


async def test_whoever_takes_too_long_is_a_result_and_is_gone(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, scenarios = module("run"), module("scenarios")
    monkeypatch.setitem(run.LONGER_PATIENCE, "slow", 0.5)
    processes = []

    async def measured(_control: Any, command: Any) -> dict[str, float]:
        async with module("contestant").running(command("cold")) as process:
            processes.append(process)
            await process.wait_for("ready")
        return {}

    async def prepared(_control: Any) -> None:
        """Nothing to do."""

    scenario = scenarios.Scenario(prepared, measured)
    command = python("import time; time.sleep(600)")
    figures = await asyncio.wait_for(run._once(scenario, None, "slow", lambda _: command), 30)
    assert figures.keys() == {"ended_after"}
    assert figures["ended_after"] >= 0.5
    with pytest.raises(module("contestant").Failed, match="ended too early"):
        processes[0].cpu_seconds()
