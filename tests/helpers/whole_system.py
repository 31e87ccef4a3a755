"""A whole system in virtual time: API server, kubelet, PD, operator and user on one event loop, without a socket.

An hour of its life takes a moment, and goes the same way every time.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from controller_runtime import Manager
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.cache import Cache
from controller_runtime.client import LiveClient
from controller_runtime.clock import LoopClock
from controller_runtime.concurrency import background_tasks
from controller_runtime.envtest import EmbeddedCluster
from helpers.recorded_transport import RecordedTransport
from helpers.recording_log import RecordingLog
from tikv_operator.api import KINDS
from tikv_operator.app import FIELD_MANAGER, Operator, PDAccess, assemble
from tikv_operator.common.settings import Settings
from tikv_operator.demo.world import World
from tikv_operator.simulation import Simulation, SimulationSettings
from tikv_operator.simulation.pd.front import InProcessFront
from tikv_operator.volume.modifier import VolumeModifier


@dataclass
class System:
    """Everything that runs; `start_operator` and `stop_operator` come and go like a Deployment's pod."""

    cluster: EmbeddedCluster
    simulation: Simulation
    user: LiveClient
    world: World
    clock: LoopClock
    settings: Settings
    log: RecordingLog
    traffic: RecordedTransport
    volume_modifiers: tuple[VolumeModifier, ...] = ()
    operator: Operator | None = None
    _task: asyncio.Task[None] | None = None

    def start_operator(self) -> Operator:
        manager = Manager(
            self.traffic, field_manager=FIELD_MANAGER, clock=self.clock, log=self.log, identity="operator"
        )
        self.operator = assemble(manager, self.settings, PDAccess.PROXY, volume_modifiers=self.volume_modifiers)
        self._task = asyncio.get_running_loop().create_task(manager.run(), name="operator")
        return self.operator

    async def stop_operator(self, *, kill: bool = False) -> None:
        """Stop gracefully, or as `kill -9` would: cancelled at once, without finishing anything."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        if kill:
            task.cancel()
        await asyncio.wait({task})


@functools.cache
def definitions() -> tuple[dict[str, Any], ...]:
    """The CRDs: to make them costs more than some tests take otherwise."""
    return tuple(custom_resource_definition(kind) for kind in KINDS)


@asynccontextmanager
async def whole_system(
    settings: Settings,
    simulation: SimulationSettings | None = None,
    *,
    seed: int = 0,
    volume_modifiers: Iterable[VolumeModifier] = (),
) -> AsyncIterator[System]:
    clock, log = LoopClock(), RecordingLog()
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(EmbeddedCluster(clock=clock, crds=definitions(), seed=seed))
        start = await stack.enter_async_context(background_tasks())
        front = InProcessFront(cluster)
        simulated = Simulation(cluster.transport, front=front, clock=clock, log=log, settings=simulation)
        start(simulated.run(), "simulation")
        cache = Cache(cluster.transport, clock=clock, log=log)
        world = World(cache)
        start(cache.run(), "user-cache")
        await cache.wait_synced(timeout=30.0)
        user = LiveClient(cluster.transport, field_manager="user")
        traffic = RecordedTransport(cluster.transport)
        system = System(cluster, simulated, user, world, clock, settings, log, traffic, tuple(volume_modifiers))
        system.start_operator()
        stack.push_async_callback(system.stop_operator)
        yield system
