"""This runtime as a contestant: one controller, as its users write one. bench/go/main.go does the same in Go.

Every fact leaves as one JSON object a line on standard output; bench/README.md describes the lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import as_installed  # noqa: F401 - before all that it hides something from
import uvloop
from widgets import Gadget, Widget

from controller_runtime import Context, Controller, Manager, Object, Request, make_logger
from controller_runtime.api.k8s import Pod


def emit(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, "at": time.time_ns(), **facts}), flush=True)


class Reconciler:
    """Reads its object from the cache, notes what it saw, and in the status scenario writes its status."""

    def __init__(self, scenario: str, count: int, run: str) -> None:
        self._scenario = scenario
        self._count = count
        self._run = run
        self._names: set[str] = set()
        self._written = 0
        self.total = 0
        self.sightings: list[tuple[str, int, int]] = []

    async def reconcile(self, ctx: Context, request: Request) -> None:
        started = time.time_ns()
        if self._scenario == "pods":
            if await ctx.client.find(Pod, request.key) is not None:
                self._note(request.name, 0, started)
            return
        widget = await ctx.client.find(Widget, request.key)
        if widget is None:
            return
        self._note(request.name, widget.spec.sequence, started)
        if self._scenario == "status" and widget.status.run != self._run:
            widget.status.run = self._run
            await ctx.client.update_status(widget)
            self._written += 1
            if self._written == self._count:
                emit("written")

    def _note(self, name: str, sequence: int, at: int) -> None:
        """Count a reconcile, and say "ready" when every object was reconciled once."""
        self.total += 1
        if len(self._names) < self._count:
            self._names.add(name)
            if len(self._names) == self._count:
                emit("ready")
        if self._scenario in ("latency", "fanin"):
            self.sightings.append((name, sequence, at))


async def main(options: argparse.Namespace) -> None:
    reconciler = Reconciler(options.scenario, options.count, options.run)
    kind: type[Object] = Pod if options.scenario == "pods" else Widget
    async with Manager.from_environment(
        field_manager="bench",
        kubeconfig=options.kubeconfig,
        health_address="127.0.0.1:0",
        metrics_address="127.0.0.1:0",
        log=make_logger(level="warning"),
    ) as manager:
        controller = Controller("bench", reconciler.reconcile, workers=options.workers).reconciles(kind)
        manager.add(controller.owns(Gadget) if options.scenario == "fanin" else controller)
        await manager.run()
        versions = {}
        if options.scenario == "churn":
            entries = manager.cache.entries(Widget)
            versions = {entry.meta.name: entry.meta.resource_version for entry in entries}
        emit("end", reconciles=reconciler.total, seen=reconciler.sightings, versions=versions)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-scenario", required=True)
    parser.add_argument("-kubeconfig", required=True)
    parser.add_argument("-count", type=int, default=0)
    parser.add_argument("-workers", type=int, default=1)
    parser.add_argument("-run", default="")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args()))
