"""The operator as a process between a real kube-apiserver and a real PD, with a kubelet that starts heartbeating stores.

    async with real_world(folder) as world:
        await world.create(replicas=3)
        world.operator.kill()

What a user sees is in `world.seen`. `world.watch` looks at PD all the time, and knows afterwards what nobody should have seen.

Concurrency: for one event loop. Leaving the context ends all processes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from controller_runtime.api import ObjectKey, ObjectMeta
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.cache import Cache
from controller_runtime.client import LiveClient, merge_patch
from controller_runtime.clock import SystemClock
from controller_runtime.concurrency import background_tasks
from controller_runtime.envtest import BinaryCluster
from helpers.pd_kubelet import HeartbeatTiKV
from helpers.pd_server import PDServers
from helpers.pd_stores import HeartbeatStores
from helpers.recording_log import RecordingLog
from tikv_operator.api import KINDS, Cluster, TiKVGroup
from tikv_operator.demo.world import World
from tikv_operator.pdclient import PDClient, PDError, Store, StoreState
from tikv_operator.simulation import LoopbackFront, Simulation, SimulationSettings

__all__ = ["CLUSTER", "GROUP", "OperatorProcess", "RealWorld", "StoreWatch", "real_world", "tikv_group"]

CLUSTER: Final = ObjectKey("default", "basic")
GROUP: Final = ObjectKey("default", "kv")

_REGIONS: Final = 8
_LOOK: Final = 0.1
_STEP_TIMEOUT: Final = 90.0
_SETTINGS: Final = """\
store_ready_seconds = 1.0
default_min_ready_seconds = 0.5
eviction_timeout = 60.0
requeue = 0.5
upgrade_check = 1.0
pd_timeout = 3.0
pd_poll = 2.0
pd_poll_busy = 0.2
pd_busy_for = 3.0
pd_max_age = 10.0
backoff_base = 0.1
backoff_max = 2.0
"""


class OperatorProcess:
    """`tikv-operator run`, which can be killed and started again.

    Args:
        folder: for its log and settings.
        command: what runs the command line; by default the operator itself.
    """

    def __init__(self, folder: Path, kubeconfig: Path, command: Sequence[str] = ("-m", "tikv_operator")) -> None:
        self._command = command
        self._log = folder / "operator.log"
        self._settings = folder / "settings.toml"
        self._settings.write_text(_SETTINGS)
        self._kubeconfig = kubeconfig
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, *self._command, "run", "--no-leader-elect", "--pd-access=direct"]
        options = ["--metrics-bind-address=0", "--health-probe-bind-address=0", "--log-format=json"]
        files = [f"--kubeconfig={self._kubeconfig}", f"--settings={self._settings}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, *options, *files], stdout=log, stderr=log, env=environment)

    def kill(self) -> None:
        """As `kill -9` does. Idempotent."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As a kubelet does; return the exit code."""
        return self._end(signal.SIGTERM)

    def last_lines(self, count: int = 12) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-count:])

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        return process.wait(30)


@dataclass
class StoreWatch:
    """Looks at PD as often as it can, and remembers.

    Attributes:
        looks: how often PD answered.
        offline: the most stores that were being removed at one time.
        missing: the most stores that had served and didn't, or were being removed, at one time.
        removed: ids of all stores that were ever being removed, or buried.
        served: ids of all stores that ever served.
        evicting: the stores whose leaders are evicted, at the last look.
        cluster_ids: which ids PD said the cluster has.
    """

    looks: int = 0
    offline: int = 0
    missing: int = 0
    removed: set[str] = field(default_factory=set)
    served: set[str] = field(default_factory=set)
    evicting: frozenset[str] = frozenset()
    cluster_ids: set[str] = field(default_factory=set)
    _stores: Sequence[Store] = ()

    async def run(self, client: PDClient, alive: Callable[[str], bool]) -> None:
        """Look until cancelled.

        Args:
            alive: whether the process of the store at an address runs, as the kubelet knows at once and PD after a while.
        """
        while True:
            await asyncio.sleep(_LOOK)
            try:
                self._note(await client.stores())
                self.evicting = await client.evicting_stores()
                self.cluster_ids.add(await client.cluster_id())
                self.looks += 1
            except PDError:
                pass  # what runs is known without PD
            away = {
                store.id for store in self._stores if not alive(store.address) and not store.tombstone
            } & self.served
            leaving = {store.id for store in self._stores if store.state == StoreState.OFFLINE}
            self.missing = max(self.missing, len(away | leaving))
            self.served |= {store.id for store in self._stores if alive(store.address)}

    def _note(self, stores: Sequence[Store]) -> None:
        self._stores = stores
        leaving = {store.id for store in stores if store.state == StoreState.OFFLINE}
        self.offline = max(self.offline, len(leaving))
        self.removed |= leaving | {store.id for store in stores if store.tombstone}


@dataclass
class RealWorld:
    """See the module docstring."""

    user: LiveClient
    seen: World
    pd: PDServers
    stores: HeartbeatStores
    operator: OperatorProcess
    watch: StoreWatch

    async def create(self, replicas: int, *, version: str = "v8.1.0") -> None:
        """Create a Cluster whose PD is somewhere else, as its status says, and a group of TiKVs."""
        await self.user.create(Cluster(metadata=ObjectMeta(name=CLUSTER.name, namespace=CLUSTER.namespace)))
        url = self.pd.client_urls[0]
        await self.user.patch(Cluster, CLUSTER, merge_patch({"status": {"pd": url, "id": ""}}), subresource="status")
        await self.user.apply(tikv_group(replicas, version))
        await self.settled(replicas)

    async def change(self, spec: dict[str, Any]) -> None:
        """Merge something into the group's spec."""
        await self.user.patch(TiKVGroup, GROUP, merge_patch({"spec": spec}))

    async def settled(self, replicas: int, *more: Callable[[], str]) -> None:
        """Wait until the group is as large as wanted, ready, and PD has nothing left to do for the operator.

        Raises:
            AssertionError: it was not so in time; with the end of the operator's log.
        """
        await self.until(lambda: self._missing(replicas), *more)

    async def until(self, *missing: Callable[[], str]) -> None:
        """Wait until nothing is missing any more."""
        reason = "not looked"
        try:
            async with asyncio.timeout(_STEP_TIMEOUT):
                while reason := next((reason for each in missing if (reason := each())), ""):
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            said = "\n".join(self.stores.refusals[-3:])
            raise AssertionError(f"{reason}\n{said}\n{self.operator.last_lines()}") from None

    async def roll(self, replicas: int, spec: dict[str, Any], midway: Callable[[], Any] | None = None) -> None:
        """Change the template so that every pod is made anew, and wait for that.

        Args:
            midway: awaited when the first pod has been replaced.
        """
        before = self.seen.pod_uids(GROUP)
        await self.change({"template": {"spec": {**spec, "updateStrategy": {"config": "Restart"}}}})

        def old_pods() -> str:
            left = len(before & self.seen.pod_uids(GROUP))
            return f"{left} old pods are left" if left else ""

        if midway is not None:
            await self.until(lambda: "no pod is replaced yet" if len(before - self.seen.pod_uids(GROUP)) < 1 else "")
            await midway()
        await self.settled(replicas, old_pods)

    async def states(self) -> dict[str, str]:
        """The state of each store, by id."""
        return {store.id: store.state for store in await self.pd.client.stores()}

    def _missing(self, replicas: int) -> str:
        found = len(self.seen.tikvs(GROUP))
        if found != replicas:
            return f"there are {found} of {replicas} TiKVs"
        if reason := self.seen.missing_of_group(GROUP, replicas):
            return reason
        return f"leaders are evicted from {sorted(self.watch.evicting)}" if self.watch.evicting else ""


@asynccontextmanager
async def real_world(folder: Path) -> AsyncIterator[RealWorld]:
    """
    Args:
        folder: for the operator's files.
    """
    async with AsyncExitStack() as stack:
        crds = [custom_resource_definition(kind) for kind in KINDS]
        cluster = await stack.enter_async_context(BinaryCluster(crds=crds, controller_manager=True))
        pd = await stack.enter_async_context(PDServers(count=3))
        await pd.wait_for_leader()
        stores = await stack.enter_async_context(HeartbeatStores(lambda: pd.client_urls, regions=_REGIONS))
        start = await stack.enter_async_context(background_tasks())
        front = await stack.enter_async_context(LoopbackFront())
        log = RecordingLog()
        settings = SimulationSettings(prestop_poll=0.1)
        kubelet = Simulation(
            cluster.transport, front=front, settings=settings, log=log, tikv=partial(HeartbeatTiKV, stores)
        )
        start(kubelet.run(), "kubelet")
        cache = Cache(cluster.transport, clock=SystemClock(), log=log)
        seen = World(cache)
        start(cache.run(), "user-cache")
        await cache.wait_synced(timeout=30.0)
        watch = StoreWatch()
        start(watch.run(pd.client, stores.runs), "store-watch")
        start(_lift_limits(pd), "store-limits")
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        operator = OperatorProcess(folder, kubeconfig)
        operator.start()
        stack.callback(operator.kill)
        user = LiveClient(cluster.transport, field_manager="user")
        yield RealWorld(user, seen, pd, stores, operator, watch)


async def _lift_limits(pd: PDServers) -> None:
    """Again and again, since a store that is new has PD's own limits when another PD server leads."""
    while True:
        try:
            await pd.lift_store_limits()
        except PDError:
            await asyncio.sleep(_LOOK)
            continue
        await asyncio.sleep(2.0)


def tikv_group(replicas: int, version: str) -> dict[str, Any]:
    zones = [{"topology": {"topology.kubernetes.io/zone": zone}} for zone in "abc"]
    return {
        "apiVersion": TiKVGroup.resource.api_version,
        "kind": TiKVGroup.resource.kind,
        "metadata": {"name": GROUP.name, "namespace": GROUP.namespace},
        "spec": {
            "cluster": {"name": CLUSTER.name},
            "replicas": replicas,
            "minReadySeconds": 0,
            "schedulePolicies": [{"type": "EvenlySpread", "evenlySpread": {"topologies": zones}}],
            "template": {
                "spec": {
                    "version": version,
                    "volumes": [{"name": "data", "mounts": [{"type": "data"}], "storage": "10Gi"}],
                }
            },
        },
    }
