"""The soak run: a controller in bad weather, and whether it is still right afterwards.

    .venv/bin/python bench/soak.py --minutes 30

10,000 objects live on the embedded API server; 200 times a second one of them is changed, deleted or created. The
controller, a process of its own, reaches the server only through a proxy that resets its connections every ten seconds,
answers a part of its requests with 429, and once a minute is gone for two seconds. The server remembers few changes, so
that every such restart also costs the watch its place (410).

Afterwards: the cache holds exactly what the server holds, the last run of every key saw the object's last state and wrote
its status, no key was run twice at once, and tasks and memory are what they were. Exits with 1 if not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import contestant
import controlplane
import uvloop
import widgets
import yaml
from contestant import Contestant
from controlplane import Control
from faults import FaultProxy

OBJECTS = 10_000
EVENTS_A_SECOND = 200
RESET_SECONDS = 10.0
RESTART_SECONDS = 60.0
AWAY_SECONDS = 2.0
HISTORY = 200  # changes that the server remembers: fewer than happen while it is away
MEMORY_GROWTH = 1.1  # from the end of the run's first third to its end; more is taken for a leak
KIND = widgets.Widget.resource


@dataclass
class World:
    """Changes objects, and knows what has become of them."""

    control: Control
    chance: random.Random
    names: list[str]
    created: int = 0
    events: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self, seconds: float) -> None:
        due = began = time.monotonic()
        while due < began + seconds:
            await self._one()
            due += 1 / EVENTS_A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _one(self) -> None:
        """Change an object; one time in ten delete one, or create another in its place."""
        position, draw = self.chance.randrange(len(self.names)), self.chance.random()
        self.events += 1
        if draw < 0.05 and len(self.names) > OBJECTS - 50:
            name = self.names[position]
            self.names[position] = self.names[-1]
            self.names.pop()
            await self.control.call("DELETE", KIND.path(widgets.NAMESPACE, name))
            self.counts["deleted"] += 1
        elif draw < 0.1:
            self.created += 1
            name = f"widget-new-{self.created}"
            await self.control.create(KIND, widgets.widget(name))
            self.names.append(name)
            self.counts["created"] += 1
        else:
            await self.control.change(KIND, self.names[position], self.events)
            self.counts["changed"] += 1


async def weather(proxy: FaultProxy, counts: Counter[str]) -> None:
    """Make trouble until cancelled."""
    last_restart = time.monotonic()
    while True:
        proxy.busy = 0.05
        await asyncio.sleep(RESET_SECONDS)
        if time.monotonic() - last_restart >= RESTART_SECONDS:
            last_restart = time.monotonic()
            proxy.busy = 0.3
            await proxy.restart(AWAY_SECONDS)
            counts["restarts"] += 1
            await asyncio.sleep(3)
        else:
            proxy.reset()


async def states(process: Contestant, seen: list[dict[str, Any]]) -> None:
    while True:
        state = await process.wait_for("state")
        seen.append(state)
        if len(seen) % 6 == 1:
            print(
                f"{state['tasks']} tasks, {state['rss_mb']:.0f} MB, {state['reconciles']} reconciles, {state['lists']} lists, "
                f"{state['watches']} watches, failures {state['failures']}",
                flush=True,
            )


async def soak(seconds: float) -> list[str]:
    """Run it; return what was wrong."""
    chance = random.Random(1)
    async with controlplane.embedded(history=HISTORY, tls=False) as control:
        await control.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", widgets.definition(KIND))
        await control.served(KIND)
        names = [f"widget-{number:05}" for number in range(OBJECTS)]
        await control.fill(KIND, [widgets.widget(name) for name in names], None)
        config = yaml.safe_load(control.kubeconfig.read_text())
        async with FaultProxy(config["clusters"][0]["cluster"]["server"], chance=chance) as proxy:
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as kubeconfig:
                config["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{proxy.port}"
                yaml.safe_dump(config, kubeconfig)
                kubeconfig.flush()
                script = Path(__file__).with_name("soak_controller.py")
                async with contestant.running([sys.executable, str(script), kubeconfig.name]) as process:
                    return await _soak(control, proxy, process, World(control, chance, names), seconds)


async def _soak(control: Control, proxy: FaultProxy, process: Contestant, world: World, seconds: float) -> list[str]:
    seen: list[dict[str, Any]] = []
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(states(process, seen))
        while not (seen and seen[-1]["synced"] and seen[-1]["reconciles"] >= OBJECTS):
            await asyncio.sleep(0.5)
        began = len(seen)
        trouble = group.create_task(weather(proxy, world.counts))
        await world.run(seconds)
        trouble.cancel()
        await asyncio.wait([trouble])
        proxy.busy = 0.0
        await asyncio.sleep(65)  # longer than the longest wait of a reflector and of a key that fails
        listening.cancel()
    objects = await control.list(KIND)
    end = await process.end()
    leftovers = (await process.wait_for("leftovers"))["tasks"]
    print(f"{world.events} events {dict(world.counts)}, {proxy.resets} resets, {proxy.refused} times 429")
    print(f"at the end: {seen[-1]}")
    return _judge(objects, end, leftovers, seen[began:], world, proxy)


def _judge(
    objects: list[dict[str, Any]],
    end: dict[str, Any],
    leftovers: list[str],
    seen: list[dict[str, Any]],
    world: World,
    proxy: FaultProxy,
) -> list[str]:
    versions = {obj["metadata"]["name"]: obj["metadata"]["resourceVersion"] for obj in objects}
    sequences = {obj["metadata"]["name"]: obj["spec"]["sequence"] for obj in objects}
    unwritten = [
        name
        for obj in objects
        if (name := obj["metadata"]["name"]).endswith("0")
        and obj.get("status", {}).get("run") != str(obj["spec"]["sequence"])
    ]
    half, last = seen[len(seen) // 2], seen[-1]
    memory = statistics.median(state["rss_mb"] for state in seen[-6:]) / statistics.median(
        state["rss_mb"] for state in seen[len(seen) // 3 : len(seen) // 3 + 6]
    )
    checks = {
        f"the cache is not the server's state: {len(versions.items() ^ end['versions'].items())} differ": (
            versions == end["versions"]
        ),
        "the world's own account is not the server's": sorted(versions) == sorted(world.names),
        f"keys were lost: {list(sequences.items() ^ end['seen'].items())[:5]}": sequences == end["seen"],
        f"statuses were not written: {unwritten[:5]}": not unwritten,
        f"keys were run twice at once: {end['overlaps']}": not end["overlaps"],
        f"tasks grew: {half['names']} -> {last['names']}": last["tasks"] <= half["tasks"] + 2,
        f"tasks were left after the end: {leftovers}": not leftovers,
        f"memory grew by {100 * (memory - 1):.1f} % in two thirds of the run": memory <= MEMORY_GROWTH,
        f"the weather was too good: {dict(world.counts)}, {last['failures']}": bool(
            proxy.resets and proxy.refused and world.counts["restarts"] and last["failures"].get("Expired")
        ),
    }
    print(f"memory {100 * (memory - 1):+.1f} % over the last two thirds of the run")
    return [wrong for wrong, right in checks.items() if not right]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        wrong = runner.run(soak(60 * parser.parse_args().minutes))
    for line in wrong:
        print(f"WRONG: {line}")
    print("all is as it should be" if not wrong else f"{len(wrong)} checks failed")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
