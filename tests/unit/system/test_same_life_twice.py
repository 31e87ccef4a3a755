"""An hour of an operator's life, twice: with the same seed everything happens again, at the same time, in the same order.

That is what makes a failure in virtual time worth having: it can be had again. The life holds what brings disorder: a
share of the requests fails, answers are lost, PD dies, the operator is killed. It runs in processes of their own, with
other hash seeds and other memory addresses, on which no order may depend.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Pod
from controller_runtime.client import Request
from controller_runtime.envtest.storage import Change, ResourceId
from controller_runtime.envtest.virtual import run_virtual
from helpers.whole_system import System, whole_system
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS, sample_folder
from tikv_operator.simulation import SimulationSettings

HOUR: Final = 3600.0
SETTINGS: Final = replace(DEMO_SETTINGS, pd_poll=30.0, pd_max_age=90.0)
WORLD: Final = SimulationSettings(prestop_poll=0.1)
TESTS: Final = Path(__file__).parents[2]


def log_of(system: System) -> list[str]:
    """Write down, from now on, each request of the operator and each change of an object, with its time."""
    loop = asyncio.get_running_loop()
    log: list[str] = []

    def request(sent: Request) -> None:
        body = hashlib.sha256(sent.body or b"").hexdigest()[:8]
        log.append(f"{loop.time():.6f} {sent.method} {sent.path} {list(sent.params)} {body}")

    def change(resource: ResourceId, change: Change) -> None:
        now = change.new or change.last
        digest = hashlib.sha256(now.raw).hexdigest()[:8] if change.new is not None else "gone"
        log.append(f"{loop.time():.6f} {'.'.join(resource)} {now.key} {digest}")

    system.traffic.watcher = request
    system.cluster.api.storage.observers.append(change)
    return log


async def life(seed: int) -> list[str]:
    """Create a cluster with its PD, scale it out and roll it in bad weather, and then rest until the hour is over."""
    chance = random.Random(seed)
    async with whole_system(SETTINGS, WORLD, seed=seed) as system:
        log, faults = log_of(system), system.cluster.faults
        story = Scenario(system.user, system.world, load([sample_folder()]), timeout=600.0)
        for step in story.steps()[:3]:
            async with asyncio.TaskGroup() as group:
                playing = group.create_task(story.play(step))
                with (
                    faults.refuse(500, verb=("patch", "create"), resource="tikvs", share=0.05),
                    faults.drop(after=True, verb="patch", resource=("pods", "tikvs"), share=0.05),
                ):
                    await asyncio.sleep(chance.uniform(0.0, 5.0))
                    faults.expire_watches(share=0.5)
                    if system.operator is not None and chance.random() < 0.5:
                        await system.stop_operator(kill=True)
                        system.start_operator()
                    pods = await system.user.list(Pod, namespace="default")
                    if pods:
                        key = ObjectKey("default", chance.choice(pods).metadata.name or "")
                        await system.user.delete(Pod, key)
                    await asyncio.sleep(chance.uniform(0.0, 20.0))
            assert not playing.result().error, playing.result().error
        await asyncio.sleep(HOUR - asyncio.get_running_loop().time())
    return log


def in_a_process_of_its_own(seed: int, hash_seed: int) -> str:
    path = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
    run = subprocess.run(
        [sys.executable, __file__, str(seed)],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("seed", [1, 2])
def test_a_life_with_the_same_seed_is_the_same_life(seed: int) -> None:
    first, again = in_a_process_of_its_own(seed, hash_seed=1), in_a_process_of_its_own(seed, hash_seed=2)

    assert len(first.splitlines()) > 1000, "much happened"
    assert first.splitlines() == again.splitlines()


def test_a_life_with_another_seed_is_another() -> None:
    assert run_virtual(life(1), seed=1) != run_virtual(life(2), seed=2)


if __name__ == "__main__":
    number = int(sys.argv[1])
    sys.stdout.write("\n".join(run_virtual(life(number), seed=number)))
