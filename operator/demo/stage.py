"""The demo's stage: API server, simulated kubelet and PD, operator and user, in one process tree.

The operator gets what it would get anywhere: a kubeconfig, over HTTP. The simulation plays the rest of the cluster and talks
to the API server directly. Everything is owned by one stack of contexts, so nothing is left behind however the demo ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from prometheus_client import CollectorRegistry
from rich.console import Console, RenderableType

from controller_runtime import Manager
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.cache import Cache
from controller_runtime.client import HttpTransport, LiveClient, load_config
from controller_runtime.clock import SystemClock
from controller_runtime.concurrency import background_tasks
from controller_runtime.envtest import EmbeddedCluster
from controller_runtime.log import make_logger
from controller_runtime.reconcile import Logger
from controller_runtime.task import RunReport
from tikv_operator.api import KINDS
from tikv_operator.app import FIELD_MANAGER, Operator, PDAccess, assemble
from tikv_operator.common.settings import Settings
from tikv_operator.common.settings_file import load_settings
from tikv_operator.demo import view
from tikv_operator.demo.live import showing
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario, Step, StepResult
from tikv_operator.demo.totals import instance_rows, totals
from tikv_operator.demo.world import World
from tikv_operator.simulation import Simulation, SimulationSettings
from tikv_operator.simulation.pd.front import InProcessFront

__all__ = ["DEMO_SETTINGS", "DemoOptions", "run_demo"]

DEMO_SETTINGS: Final = Settings(
    store_ready_seconds=0.5,
    default_min_ready_seconds=0.5,
    eviction_timeout=20.0,
    eviction_standstill=2.0,
    requeue=0.5,
    status_soon=0.2,
    status_later=1.0,
    upgrade_check=1.0,
    pd_poll=2.0,
    pd_poll_busy=0.2,
    pd_busy_for=3.0,
    pd_max_age=10.0,
    backoff_base=0.1,
    backoff_max=2.0,
)
"""Production's rules with shorter waits: simulated pods start within a second, so nothing has to wait for long."""

PLAIN_WIDTH: Final = 110
"""Columns of the output where there is no terminal to ask."""

DEMO_WORLD: Final = SimulationSettings(prestop_poll=0.1)
"""The simulated world at its own speed; only the pre-stop checker, which waits for half a minute, is in a hurry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What `tikv-operator demo` was told.

    Attributes:
        files: manifests instead of the basic sample.
        keep: create, then stay up until interrupted.
        timeout: seconds each wait may take at most.
        namespace: for manifests that name none.
        kubeconfig_out: where `keep` writes the kubeconfig; None for a temporary file.
        log_file: where the operator's log goes; None for nowhere.
        svg: where a picture of the summary is saved; None for nowhere.
    """

    files: tuple[Path, ...] = ()
    keep: bool = False
    timeout: float = 90.0
    namespace: str = "default"
    kubeconfig_out: Path | None = None
    settings_file: Path | None = None
    log_file: Path | None = None
    svg: Path | None = None


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs during a demo."""

    cluster: EmbeddedCluster
    simulation: Simulation
    operator: Operator
    user: LiveClient
    world: World
    kubeconfig: Path


async def run_demo(options: DemoOptions) -> bool:
    """Play the demo; return whether every step reached its end state.

    Raises:
        ManifestError: a file is no manifest.
        SettingsError: the settings file cannot be used.
        ApiError: the API server refused a manifest.
    """
    manifests = load(options.files or (sample_folder(),), namespace=options.namespace)
    settings = load_settings(options.settings_file, base=DEMO_SETTINGS)
    console = Console(record=options.svg is not None)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    async with _stage(options, settings) as stage:
        scenario = Scenario(stage.user, stage.world, manifests, timeout=options.timeout)
        if options.keep:
            return await _keep(console, stage, scenario)
        return await _play(console, stage, scenario, scenario.steps(), options.svg)


def sample_folder() -> Path:
    """The basic sample, as it comes with the package (in a checkout a link to config/samples/basic)."""
    return Path(__file__).parent / "sample"


@asynccontextmanager
async def _stage(options: DemoOptions, settings: Settings) -> AsyncIterator[Stage]:
    clock, registry = SystemClock(), CollectorRegistry()
    async with AsyncExitStack() as stack:
        log = _logger(stack, options.log_file)
        crds = [custom_resource_definition(kind) for kind in KINDS]
        cluster = await stack.enter_async_context(EmbeddedCluster(clock=clock, crds=crds, http=True))
        kubeconfig = options.kubeconfig_out or stack.enter_context(_private_folder()) / "kubeconfig"
        _write_private(kubeconfig, cluster.kubeconfig())
        transport = HttpTransport(await load_config(str(kubeconfig)))
        stack.push_async_callback(transport.close)  # before the tasks are begun, so that it is closed after their end

        start = await stack.enter_async_context(background_tasks())
        simulation = Simulation(
            cluster.transport,
            front=InProcessFront(cluster),
            clock=clock,
            log=log.bind(part="simulation"),
            settings=DEMO_WORLD,
        )
        start(simulation.run(), "simulation")

        manager = await stack.enter_async_context(
            Manager.from_environment(
                kubeconfig=str(kubeconfig),
                field_manager=FIELD_MANAGER,
                registry=registry,
                metrics_address="0",
                health_address="0",
                log=log.bind(part="operator"),
                handle_signals=False,
            )
        )
        operator = assemble(manager, settings, PDAccess.PROXY)
        start(manager.run(), "operator")

        cache = Cache(transport, clock=clock, registry=None, log=log.bind(part="demo"))
        world = World(cache)
        start(cache.run(), "demo-cache")
        await cache.wait_synced(timeout=30.0)
        yield Stage(cluster, simulation, operator, LiveClient(transport, field_manager="demo"), world, kubeconfig)


async def _play(console: Console, stage: Stage, scenario: Scenario, steps: list[Step], svg: Path | None) -> bool:
    loop = asyncio.get_running_loop()
    done: list[StepResult] = []
    counts: list[int] = []
    recent: list[RunReport] = []
    running, since = "", loop.time()

    def draw() -> RenderableType:
        return view.screen(
            done,
            running,
            loop.time() - since,
            view.instances(instance_rows(stage.world, stage.operator)),
            view.reconciles(recent),
        )

    def remember(report: RunReport) -> None:
        recent.append(report)
        del recent[: -view.SHOWN_REPORTS]

    with stage.operator.reports.listening(remember):
        async with showing(console, draw):
            for step in steps:
                running, since = step.name, loop.time()
                before = totals(stage.operator.manager.registry).all_reconciles
                result = await scenario.play(step)
                counts.append(totals(stage.operator.manager.registry).all_reconciles - before)
                done.append(result)
                if not console.is_terminal:
                    console.print(view.step_line(result))
                if result.error:
                    break
    console.print()
    console.print(view.summary(done, counts, totals(stage.operator.manager.registry)))
    if done[-1].error:
        console.print(view.explanation(stage.operator.reports.find()))
    if svg is not None:
        console.save_svg(str(svg), title="make demo")
    return not done[-1].error


async def _keep(console: Console, stage: Stage, scenario: Scenario) -> bool:
    """Create, then stay up: also when the end state is not reached, for then a look with kubectl is wanted most."""
    with _interrupts() as interrupted:
        console.print(f"export KUBECONFIG={stage.kubeconfig}", highlight=False, soft_wrap=True)
        reached = await _unless(interrupted, _play(console, stage, scenario, [scenario.creation()], None))
        if reached is None:
            return True
        console.print("The cluster stays up until you press Ctrl-C.")
        await interrupted.wait()
        return reached


async def _unless(interrupted: asyncio.Event, main: Coroutine[Any, Any, bool]) -> bool | None:
    """Return what `main` returns, or None if the interruption comes first; then `main` is cancelled."""
    async with asyncio.TaskGroup() as group:
        work = group.create_task(main, name="demo")
        watcher = group.create_task(interrupted.wait(), name="demo-interrupts")
        await asyncio.wait({work, watcher}, return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        watcher.cancel()
    return None if work.cancelled() else work.result()


@contextmanager
def _interrupts() -> Iterator[asyncio.Event]:
    """An event that is set as soon as somebody wants the demo to end (Ctrl-C, SIGTERM)."""
    loop = asyncio.get_running_loop()
    wanted = asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, wanted.set)
    try:
        yield wanted
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


@contextmanager
def _private_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tikv-operator-demo-") as folder:
        yield Path(folder)


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read: it holds a token."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _logger(stack: AsyncExitStack, path: Path | None) -> Logger:
    """The operator's log goes to a file or nowhere: the terminal belongs to the view."""
    target = path or Path(os.devnull)
    return make_logger(format="json", level="debug", stream=stack.enter_context(target.open("w", encoding="utf-8")))
