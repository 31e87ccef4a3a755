"""The stage of the operator's benchmarks: a control plane, simulated kubelet and PD, a user, and the operator's own process.

On either control plane the operator gets what it would get anywhere: a kubeconfig, over HTTPS. Everything ends with the context.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, final

from contestant import Contestant, running
from controlplane import embedded
from operator_recorder import Recorder

from controller_runtime import make_logger
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.cache import Cache
from controller_runtime.client import HttpTransport, LiveClient, load_config
from controller_runtime.clock import SystemClock
from controller_runtime.concurrency import background_tasks
from controller_runtime.envtest import BinaryCluster
from controller_runtime.envtest.clustersetup import install_crds
from tikv_operator.api import KINDS
from tikv_operator.demo.world import World
from tikv_operator.simulation import LoopbackFront, Simulation, SimulationSettings
from tikv_operator.simulation.pd.front import Address, PDHandler
from tikv_operator.simulation.pd.http import Answer

__all__ = ["PDDoor", "PDRequest", "Stage", "stage"]

_INVENTED: Final = Address("10.255.0.1", 2379)
_SYNC_SECONDS: Final = 60.0


class PDRequest(NamedTuple):
    """A request to PD. `at` is nanoseconds since the epoch."""

    at: int
    method: str
    path: str


@final
class PDDoor:
    """A `PDFront` for the PD of one cluster: it listens from the start, and counts who comes in. Only the operator does.

    The address that it gives for PD's endpoints is invented: kube-apiserver takes none of the loopback interface.

    Attributes:
        requests: all requests so far.
    """

    def __init__(self) -> None:
        self.requests: list[PDRequest] = []
        self._handler: PDHandler | None = None

    async def open(self, handler: PDHandler) -> Address:
        if self._handler is not None:
            msg = "there is one PD already"
            raise RuntimeError(msg)
        self._handler = handler
        return _INVENTED

    async def close(self, address: Address) -> None:
        self._handler = None

    def answer(self, method: str, path: str, params: Sequence[tuple[str, str]], body: bytes) -> Answer:
        self.requests.append(PDRequest(time.time_ns(), method, path))
        return (503, b"no leader\n") if self._handler is None else self._handler(method, path, params, body)


@dataclass(frozen=True)
class Stage:
    """Everything that runs.

    Attributes:
        others: what the user and the simulated world wrote.
        log: where the operator's log is.
    """

    user: LiveClient
    world: World
    door: PDDoor
    others: Sequence[Recorder]
    operator: Contestant
    log: Path


@asynccontextmanager
async def stage(assets: Path | None, settings: SimulationSettings) -> AsyncIterator[Stage]:
    """
    Args:
        assets: the real control plane's binaries; None for the embedded API server.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-operator-")))
        kubeconfig = await stack.enter_async_context(_control_plane(assets, folder))
        recorders = []
        for _ in range(2):
            transport = HttpTransport(await load_config(str(kubeconfig)), user_agent="bench")
            stack.push_async_callback(transport.close)
            recorders.append(Recorder(transport))
        of_user, of_world = recorders
        if assets is None:
            await install_crds(of_user, _definitions())
        door = PDDoor()
        front = await stack.enter_async_context(LoopbackFront())
        address = await front.open(door.answer)
        start = await stack.enter_async_context(background_tasks())
        quiet = make_logger(level="error")
        simulation = Simulation(of_world, front=door, settings=settings, log=quiet)
        start(simulation.run(), "simulation")
        cache = Cache(of_user, clock=SystemClock(), log=quiet)
        world = World(cache)
        start(cache.run(), "user-cache")
        await cache.wait_synced(timeout=_SYNC_SECONDS)
        await simulation.ready.wait()
        log = folder / "operator.log"
        script = str(Path(__file__).with_name("operator_contestant.py"))
        files = ["-kubeconfig", str(kubeconfig), "-log", str(log)]
        command = [sys.executable, script, *files, "-door", f"http://{address.host}:{address.port}"]
        operator = await stack.enter_async_context(running(command))
        yield Stage(LiveClient(of_user, field_manager="user"), world, door, recorders, operator, log)


@asynccontextmanager
async def _control_plane(assets: Path | None, folder: Path) -> AsyncIterator[Path]:
    """Start one and return its kubeconfig. What belongs to an object that is gone is cleaned up in either."""
    if assets is None:
        async with embedded() as control:
            yield control.kubeconfig
        return
    async with BinaryCluster(crds=_definitions(), assets=assets, controller_manager=True) as cluster:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        yield kubeconfig


def _definitions() -> list[dict[str, object]]:
    return [custom_resource_definition(kind) for kind in KINDS]
