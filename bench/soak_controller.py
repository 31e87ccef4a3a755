"""The controller under test in the soak run: takes part in what happens, and watches itself for what must not.

It reads every Widget from the cache, writes the status of every tenth, and says once in a while how it is doing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import uvloop
from widgets import Widget

from controller_runtime import Context, Controller, Manager, ObjectKey, Request, make_logger

WORKERS = 20
REPORT_SECONDS = 5.0


def emit(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, "at": time.time_ns(), **facts}), flush=True)


def writes_status(name: str) -> bool:
    return name.endswith("0")


class Reconciler:
    def __init__(self) -> None:
        self._running: set[ObjectKey] = set()
        self._chance = random.Random(2)
        self.seen: dict[str, int] = {}
        self.reconciles = 0
        self.overlaps = 0

    async def reconcile(self, ctx: Context, request: Request) -> None:
        self.reconciles += 1
        self.overlaps += request.key in self._running
        self._running.add(request.key)
        try:
            await asyncio.sleep(self._chance.random() * 0.02)
            widget = await ctx.client.find(Widget, request.key)
            if widget is None:
                self.seen.pop(request.name, None)
                return
            self.seen[request.name] = widget.spec.sequence
            if writes_status(request.name) and widget.status.run != str(widget.spec.sequence):
                widget.status.run = str(widget.spec.sequence)
                await ctx.client.update_status(widget)
        finally:
            self._running.discard(request.key)


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


async def report(manager: Manager, reconciler: Reconciler) -> None:
    """Say how it goes, for ever."""
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        statistics = manager.cache.informer(Widget).statistics
        emit(
            "state",
            tasks=len(asyncio.all_tasks()),
            names=Counter(task.get_name().partition(" ")[0] for task in asyncio.all_tasks()),
            rss_mb=resident_mb(),
            reconciles=reconciler.reconciles,
            overlaps=reconciler.overlaps,
            synced=manager.cache.informer(Widget).synced,
            lists=statistics.lists,
            watches=statistics.watches,
            failures=statistics.failures,
        )


class Reporting:
    """Makes the report a part of the manager."""

    needs_leader = False

    def __init__(self, manager: Manager, reconciler: Reconciler) -> None:
        self._manager, self._reconciler = manager, reconciler

    async def run(self) -> None:
        await report(self._manager, self._reconciler)


async def main(kubeconfig: str) -> None:
    reconciler = Reconciler()
    nowhere = await asyncio.to_thread(open, os.devnull, "w")  # in this weather every second line would be an error
    async with Manager.from_environment(
        field_manager="soak",
        kubeconfig=kubeconfig,
        health_address="127.0.0.1:0",
        metrics_address="127.0.0.1:0",
        grace_period=5.0,
        log=make_logger(level="error", stream=nowhere),
    ) as manager:
        manager.add(Controller("soak", reconciler.reconcile, workers=WORKERS).reconciles(Widget))
        manager.add(Reporting(manager, reconciler))
        await manager.run()
        versions = {entry.meta.name: entry.meta.resource_version for entry in manager.cache.entries(Widget)}
        emit("end", versions=versions, seen=reconciler.seen, overlaps=reconciler.overlaps)
        nowhere.close()
        leftovers = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        emit("leftovers", tasks=leftovers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kubeconfig")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args().kubeconfig))
