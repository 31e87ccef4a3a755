"""Kopf as a contestant, in a virtual environment of its own (see others.py); it knows nothing of this project.

The handler is of the kind `on.event`, which is the nearest to a reconcile that only reads: Kopf's handlers of changes would
write an annotation into every object. The index is what Kopf has for a cache. Kopf limits no workers: every object has its
own task. Every fact leaves as one JSON object a line on standard output; bench/README.md describes the lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import time
from typing import Any

import kopf
import uvloop


def emit(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, "at": time.time_ns(), **facts}), flush=True)


class Notes:
    """What was seen: counted by every call of the handler, told at the end."""

    def __init__(self, scenario: str, count: int) -> None:
        self._scenario = scenario
        self._count = count
        self._names: set[str] = set()
        self.total = 0
        self.sightings: list[tuple[str, int, int]] = []

    def note(self, name: str, sequence: int, at: int) -> None:
        """Count a call, and say "ready" when every object was seen once."""
        self.total += 1
        if len(self._names) < self._count:
            self._names.add(name)
            if len(self._names) == self._count:
                emit("ready")
        if self._scenario == "latency":
            self.sightings.append((name, sequence, at))


def handlers(scenario: str, notes: Notes) -> kopf.OperatorRegistry:
    """Return a registry with the index and the handler of the scenario's kind."""
    registry = kopf.OperatorRegistry()
    kind = ("v1", "pods") if scenario == "pods" else ("bench.example.com", "v1", "widgets")
    kopf.on.login(registry=registry)(kopf.login_with_kubeconfig)

    @kopf.index(*kind, id="objects", registry=registry)
    async def objects(name: str, body: kopf.Body, **_: Any) -> dict[str, kopf.Body]:
        return {name: body}

    @kopf.on.event(*kind, registry=registry)
    async def seen(name: str, objects: kopf.Index[str, kopf.Body], **_: Any) -> None:
        started = time.time_ns()
        for body in objects.get(name, ()):
            notes.note(name, body.spec.get("sequence", 0), started)

    @kopf.on.cleanup(registry=registry)
    async def ended(objects: kopf.Index[str, kopf.Body], **_: Any) -> None:
        versions = {}
        if scenario == "churn":
            versions = {name: body.metadata["resourceVersion"] for name, bodies in objects.items() for body in bodies}
        emit("end", reconciles=notes.total, seen=notes.sightings, versions=versions)

    return registry


async def main(options: argparse.Namespace) -> None:
    notes = Notes(options.scenario, options.count)
    await kopf.operator(registry=handlers(options.scenario, notes), standalone=True, clusterwide=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-scenario", required=True)
    parser.add_argument("-kubeconfig", required=True)
    parser.add_argument("-count", type=int, default=0)
    arguments = parser.parse_args()
    os.environ["KUBECONFIG"] = arguments.kubeconfig
    logging.disable(logging.ERROR)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(arguments))
