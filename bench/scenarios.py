"""The benchmarks: what is prepared, what the world does meanwhile, and which figures come of it.

Each scenario runs one contestant once, from a fresh process, against a prepared control plane, and returns figures by
name. CPU is the contestant's own; "whole" processes (start, cold start, status writes) count from their very first
instruction, all others from the moment at which the contestant had reconciled every object once.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import contestant
import widgets
from controlplane import Control

from controller_runtime.api.k8s import Pod

__all__ = ["Command", "Figures", "Scenario", "scenarios"]

Figures = dict[str, float]
Command = Callable[..., list[str]]
"""Makes a contestant's command line of a scenario's name and its options."""

_runs = itertools.count(1)
_sequences = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One benchmark.

    Attributes:
        prepare: fills the control plane; called once for all rounds of a scenario.
        run: measures one contestant once.
    """

    prepare: Callable[[Control], Awaitable[None]]
    run: Callable[[Control, Command], Awaitable[Figures]]


def _names(count: int) -> list[str]:
    return [f"widget-{number:05}" for number in range(count)]


def _widgets(count: int, gadgets: int = 0) -> Callable[[Control], Awaitable[None]]:
    async def prepare(control: Control) -> None:
        await control.fill(widgets.Gadget.resource, [], None)
        objects = [widgets.widget(name) for name in _names(count)]
        await control.fill(widgets.Widget.resource, objects, widgets.status("none"))
        if gadgets:
            owners = {
                obj["metadata"]["name"]: obj["metadata"]["uid"] for obj in await control.list(widgets.Widget.resource)
            }
            owned = [
                widgets.gadget(f"gadget-{n:05}", owner, owners[owner])
                for n, owner in zip(range(gadgets), itertools.cycle(sorted(owners)), strict=False)
            ]
            await control.fill(widgets.Gadget.resource, owned, None)
        await _settled(control, count, gadgets)

    return prepare


async def _settled(control: Control, count: int, gadgets: int) -> None:
    """Wait until the API server has seen what was written past it."""
    for resource, expected in ((widgets.Widget.resource, count), (widgets.Gadget.resource, gadgets)):
        async with asyncio.timeout(60):
            while len(await control.list(resource)) != expected:
                await asyncio.sleep(0.5)


def _pods(count: int) -> Callable[[Control], Awaitable[None]]:
    async def prepare(control: Control) -> None:
        await control.fill(Pod.resource, [widgets.pod(f"pod-{number:05}") for number in range(count)], None)

    return prepare


async def _idle(control: Control, command: Command) -> Figures:
    """A manager with one controller and one object: its start, and a second of rest."""
    async with contestant.running(command("idle", control, count=1)) as process:
        ready = await process.wait_for("ready")
        await asyncio.sleep(1)
        figures = {"cpu": process.cpu_seconds(), "wall": _since(process.started, ready["at"])}
        await process.end()
    return {**figures, "peak_mb": process.peak_mb}


def _cold(name: str, count: int) -> Callable[[Control, Command], Awaitable[Figures]]:
    async def run(control: Control, command: Command) -> Figures:
        async with contestant.running(command(name, control, count=count)) as process:
            ready = await process.wait_for("ready")
            figures = {"wall": _since(process.started, ready["at"]), "cpu": process.cpu_seconds()}
            await process.end()
        return {**figures, "peak_mb": process.peak_mb}

    return run


def _status(workers: int, count: int) -> Callable[[Control, Command], Awaitable[Figures]]:
    async def run(control: Control, command: Command) -> Figures:
        this = f"run-{next(_runs)}"
        async with contestant.running(command("status", control, count=count, workers=workers, run=this)) as process:
            written = await process.wait_for("written")
            figures = {"wall": _since(process.started, written["at"]), "cpu": process.cpu_seconds()}
            await process.end()
        statuses = [obj["status"]["run"] for obj in await control.list(widgets.Widget.resource)]
        figures["wrong"] = sum(status != this for status in statuses)
        return {**figures, "peak_mb": process.peak_mb}

    return run


def _latency(count: int, changes: int, interval: float) -> Callable[[Control, Command], Awaitable[Figures]]:
    async def run(control: Control, command: Command) -> Figures:
        names, chance = _names(count), random.Random(1)
        answered: list[tuple[str, int, int]] = []
        async with contestant.running(command("latency", control, count=count)) as process:
            await process.wait_for("ready")
            await asyncio.sleep(1)
            cpu, due = process.cpu_seconds(), time.monotonic()
            for _ in range(changes):
                name, sequence = chance.choice(names), next(_sequences)
                await control.change(widgets.Widget.resource, name, sequence)
                answered.append((name, sequence, time.time_ns()))
                due += interval
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await asyncio.sleep(1)
            cpu = process.cpu_seconds() - cpu
            end = await process.end()
        seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for name, sequence, at in end["seen"]:
            seen[name].append((sequence, at))
        lags = sorted(_lag(seen[name], sequence, at) for name, sequence, at in answered)
        return {"p50_ms": _share(lags, 0.5), "p99_ms": _share(lags, 0.99), "cpu": cpu, "peak_mb": process.peak_mb}

    return run


def _lag(sightings: list[tuple[int, int]], sequence: int, answered: int) -> float:
    """Return the milliseconds from a write's answer to the start of the first reconcile that saw it, or a later one."""
    started = min((at for seen, at in sightings if seen >= sequence), default=None)
    if started is None:
        raise contestant.Failed(f"change {sequence} was never seen")
    return max(0.0, (started - answered) / 1e6)


def _churn(count: int, rate: int, seconds: float) -> Callable[[Control, Command], Awaitable[Figures]]:
    async def run(control: Control, command: Command) -> Figures:
        names, chance = _names(count), random.Random(1)
        await control.learn(widgets.Widget.resource, names)
        async with contestant.running(command("churn", control, count=count)) as process:
            await process.wait_for("ready")
            await asyncio.sleep(1)
            cpu, due, changes = process.cpu_seconds(), time.monotonic(), 0
            began = due
            while time.monotonic() < began + seconds:
                some = chance.sample(names, min(count, rate // 10))
                await control.touch(widgets.Widget.resource, some, next(_sequences))
                changes += len(some)
                due += 0.1
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            took = time.monotonic() - began
            await asyncio.sleep(3)
            cpu = process.cpu_seconds() - cpu
            versions = {
                obj["metadata"]["name"]: obj["metadata"]["resourceVersion"]
                for obj in await control.list(widgets.Widget.resource)
            }
            end = await process.end()
        return {
            "cpu_per_1000": 1000 * cpu / changes,
            "rate": changes / took,
            "wrong": float(len(versions.items() ^ end["versions"].items())),
            "peak_mb": process.peak_mb,
        }

    return run


def _fan_in(owners: int, owned: int) -> Callable[[Control, Command], Awaitable[Figures]]:
    async def run(control: Control, command: Command) -> Figures:
        names = [f"gadget-{number:05}" for number in range(owned)]
        await control.learn(widgets.Gadget.resource, names)
        async with contestant.running(command("fanin", control, count=owners)) as process:
            await process.wait_for("ready")
            await asyncio.sleep(1.5)
            cpu, began = process.cpu_seconds(), time.time_ns()
            written = await control.touch(widgets.Gadget.resource, names, next(_sequences))
            await asyncio.sleep(2)
            cpu = process.cpu_seconds() - cpu
            end = await process.end()
        runs: dict[str, list[int]] = defaultdict(list)
        for owner, _, at in end["seen"]:
            if at >= began:
                runs[owner].append(at)
        owner_of = dict(zip(names, itertools.cycle(_names(owners)), strict=False))
        lags = sorted(_next_run(runs[owner_of[name]], at) for name, at in written.items())
        return {
            "reconciles": float(sum(map(len, runs.values()))),
            "p99_ms": _share(lags, 0.99),
            "cpu": cpu,
            "peak_mb": process.peak_mb,
        }

    return run


def _next_run(starts: list[int], at: int) -> float:
    """Return the milliseconds until the first start after `at`; 0 if the last one was before, so it had been seen by then."""
    starts.sort()
    position = bisect_left(starts, at)
    return (starts[position] - at) / 1e6 if position < len(starts) else 0.0


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _since(began: int, at: int) -> float:
    return (at - began) / 1e9


def scenarios(scale: float = 1.0) -> dict[str, Scenario]:
    """Return the benchmarks by name.

    Args:
        scale: of the numbers of objects and changes; less than 1 to try whether all of it works.
    """

    def scaled(number: int) -> int:
        return max(10, int(number * scale))

    many, some = scaled(10_000), scaled(2000)
    ten_thousand, two_thousand = _widgets(many), _widgets(some)
    return {  # in an order in which those with the same objects follow one another
        "start": Scenario(_widgets(1), _idle),
        "cold": Scenario(ten_thousand, _cold("cold", many)),
        "churn": Scenario(ten_thousand, _churn(many, scaled(1000), 30.0 * min(1.0, 10 * scale))),
        "cold-30k": Scenario(_widgets(3 * many), _cold("cold-30k", 3 * many)),
        "latency": Scenario(_widgets(scaled(500)), _latency(scaled(500), scaled(1000), 0.02)),
        "fan-in": Scenario(_widgets(scaled(100), many), _fan_in(scaled(100), many)),
        "status-10": Scenario(two_thousand, _status(10, some)),
        "status-50": Scenario(two_thousand, _status(50, some)),
        "status-1": Scenario(two_thousand, _status(1, some)),
        "pods": Scenario(_pods(many), _cold("pods", many)),
    }
