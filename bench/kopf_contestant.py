"""Kopf as a contestant, in a virtual environment of its own (see others.py); it knows nothing of this project.

The handler is of the kind `on.event`, which is the nearest to a reconcile that only reads: Kopf's handlers of changes would
write an annotation into every object. It reads the object that Kopf hands it, and there is no cache: what Kopf has for one
are indexes, with which every object's first event wakes the tasks of all other objects, so that the start takes four times
as long for twice the objects (12 s for 1,000, 50 s for 2,000). Kopf limits no workers: every object has its own task.

Every fact leaves as one JSON object a line on standard output; bench/README.md describes the lines.
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
        self.versions: dict[str, str] = {}

    def note(self, body: kopf.Body, at: int) -> None:
        """Count a call, and say "ready" when every object was seen once."""
        name, sequence = body.metadata["name"], body.spec.get("sequence", 0)
        self.total += 1
        if self._scenario == "churn":
            self.versions[name] = body.metadata["resourceVersion"]
        if len(self._names) < self._count:
            self._names.add(name)
            if len(self._names) == self._count:
                emit("ready")
        if self._scenario == "latency":
            self.sightings.append((name, sequence, at))


def handlers(scenario: str, notes: Notes) -> kopf.OperatorRegistry:
    """Return a registry with the handler of the scenario's kind."""
    registry = kopf.OperatorRegistry()
    kind = ("v1", "pods") if scenario == "pods" else ("bench.example.com", "v1", "widgets")
    kopf.on.login(registry=registry)(kopf.login_with_kubeconfig)

    @kopf.on.event(*kind, registry=registry)
    async def seen(body: kopf.Body, **_: Any) -> None:
        notes.note(body, time.time_ns())

    @kopf.on.cleanup(registry=registry)
    async def ended(**_: Any) -> None:
        emit("end", reconciles=notes.total, seen=notes.sightings, versions=notes.versions)

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
