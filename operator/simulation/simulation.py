"""The simulated world as one runnable: nodes, kubelet, scheduler, provisioner, PD and its endpoints.

    async with LoopbackFront() as front:
        simulation = Simulation(transport, clock=clock, front=front)
        await simulation.run()                         # until cancelled

It talks to an API server like anything else that runs in a cluster, through a manager of its own, so it survives whatever the
API server does. What it plays goes on in memory: it is one world from the start of `run` to its end.

Concurrency: one event loop. The methods for people and tests (`stores`, `kill_pd`, `crash_pod`, ...) may be called while
`run` runs; the synchronous ones take effect before they return.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, final

import structlog

from controller_runtime import Manager
from controller_runtime.api import Object, ObjectKey, selector
from controller_runtime.api.k8s import (
    ConfigMap,
    EndpointSlice,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Service,
    StorageClass,
)
from controller_runtime.cache import Cache
from controller_runtime.client import AlreadyExists, Client, ClientError, NotFound, Transport
from controller_runtime.clock import Clock, SystemClock
from controller_runtime.reconcile import Logger
from tikv_operator.api import PDGroup
from tikv_operator.common import keys
from tikv_operator.common.names import PD_COMPONENT
from tikv_operator.simulation.directory import PDDirectory
from tikv_operator.simulation.endpoints import PDEndpoints
from tikv_operator.simulation.kubelet import volumes
from tikv_operator.simulation.kubelet.kubelet import SimulatedKubelet
from tikv_operator.simulation.kubelet.launch import Launcher, PDFactory, TiKVFactory
from tikv_operator.simulation.kubelet.nodes import ZONE, make_node
from tikv_operator.simulation.kubelet.pdserver import PDServer
from tikv_operator.simulation.kubelet.processes import Disk, TiKVServer
from tikv_operator.simulation.kubelet.provisioner import Disks, Provisioner
from tikv_operator.simulation.kubelet.scheduler import create_node
from tikv_operator.simulation.kubelet.tikvconfig import service_of_url
from tikv_operator.simulation.pd import SimulatedPD
from tikv_operator.simulation.pd.front import PDFront, PodNetwork
from tikv_operator.simulation.settings import PDOutage, SimulationSettings
from tikv_operator.simulation.steadyclock import SteadyClock
from tikv_operator.simulation.troubles import Troubles

__all__ = ["Simulation", "StoreView"]

FIELD_MANAGER: Final = "simulation"

_RETRY: Final = 0.5
_WATCHED: Final[tuple[type[Object], ...]] = (
    ConfigMap,
    EndpointSlice,
    Node,
    PDGroup,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Service,
    StorageClass,
)


@dataclass(frozen=True, slots=True)
class StoreView:
    """One store as its PD sees it now. `state` is PD's state name: Up, Disconnected, Down, Offline or Tombstone."""

    id: int
    address: str
    state: str
    node_state: str
    leaders: int
    regions: int
    evicting: bool
    labels: tuple[tuple[str, str], ...]


@final
class Simulation:
    """See the module docstring. To be made inside the event loop.

    Args:
        transport: the way to the API server; whoever made it closes it.
        front: how PDs are reached; it outlives `run`.
        clock: the wall clock at the start.
        log: for what the simulated controllers say.
        tikv: makes what runs in TiKV pods, where it isn't to be simulated.
        pd: the same for PD pods. Whoever gives it cares for the addresses of PD's services, too.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        front: PDFront,
        settings: SimulationSettings | None = None,
        clock: Clock | None = None,
        log: Logger | None = None,
        tikv: TiKVFactory = TiKVServer,
        pd: PDFactory | None = None,
    ) -> None:
        self.settings = settings or SimulationSettings()
        self.troubles = Troubles.of(self.settings)
        self.ready = asyncio.Event()
        """Set when the nodes exist."""
        self._log: Logger = log or structlog.get_logger()
        self._clock = SteadyClock(clock or SystemClock())
        self._manager = Manager(transport, field_manager=FIELD_MANAGER, clock=self._clock, log=self._log)
        client, cache = self._manager.client, self._manager.cache
        self._client: Client = client
        self._directory = PDDirectory(front, self.settings, self._clock)
        disks = Disks()
        launcher = Launcher(
            _World(cache, self._directory, disks), self.settings, self.troubles, tikv=tikv, pd=pd or PDServer
        )
        network = front if isinstance(front, PodNetwork) else None
        self._kubelet = SimulatedKubelet(
            client, transport, self.settings, self.troubles, self._clock, launcher, network
        )
        provisioner = Provisioner(client, self.settings, self._clock, disks)
        endpoints = PDEndpoints(client, cache, self._directory).controllers() if pd is None else ()
        for kind in _WATCHED:
            cache.declare(kind)
        for controller in (self._kubelet.controller(), *provisioner.controllers(), *endpoints):
            self._manager.add(controller)

    async def run(self) -> None:
        """Play until cancelled.

        Raises:
            ClientError: the API server refuses what the world is made of (nodes, a storage class).
        """
        await self._furnish()
        self.ready.set()
        try:
            async with asyncio.TaskGroup() as group:
                outages = [group.create_task(self._play_outage(outage)) for outage in self.settings.pd_outages]
                await self._manager.run()
                for task in outages:
                    task.cancel()
        finally:
            for cluster in list(self._directory):
                await self._directory.drop(cluster)

    # -- looking

    def now(self) -> float:
        """The time of the simulated world, in seconds since the epoch."""
        return self._clock.now()

    def clusters(self) -> list[ObjectKey]:
        """The clusters that have a PD."""
        return sorted(self._directory)

    def pd(self, cluster: ObjectKey) -> SimulatedPD | None:
        """The PD of a cluster, brought up to now."""
        core = self._directory.core(cluster)
        if core is not None:
            core.tick(self._clock.now())
        return core

    def stores(self, cluster: ObjectKey) -> list[StoreView]:
        """The stores of a cluster, tombstones too, by id; none if there is no such PD."""
        pd = self.pd(cluster)
        if pd is None:
            return []
        now = self._clock.now()
        return [
            StoreView(
                id=store.id,
                address=store.address,
                state=pd.state_name(store, now),
                node_state=store.state.name.capitalize(),
                leaders=pd.regions.leader_count(store.id),
                regions=pd.regions.peer_count(store.id),
                evicting=store.id in pd.evicting,
                labels=tuple(store.labels.items()),
            )
            for store in pd.stores()
        ]

    # -- making trouble

    async def kill_pd(self, cluster: ObjectKey) -> int:
        """Delete all PD pods of a cluster without grace; return how many there were. They will be made anew.

        Raises:
            ApiError: the API server refused.
        """
        labels = selector(keys.component_labels(cluster.name, PD_COMPONENT))
        pods = await self._client.live.list(Pod, namespace=cluster.namespace, labels=labels)
        for pod in pods:
            try:
                await self._client.delete(Pod, pod.key, grace_period=0)
            except NotFound:
                continue
        return len(pods)

    def silence_pd(self, cluster: ObjectKey, seconds: float) -> bool:
        """Let a cluster's PD answer nobody for a while; False if there is no such PD."""
        core = self._directory.core(cluster)
        if core is not None:
            core.silence(self._clock.now() + seconds, self._clock.now())
        return core is not None

    def crash_pod(self, pod: ObjectKey) -> bool:
        """Kill the main process of a pod once; it starts again. False if the pod doesn't run."""
        return self._kubelet.kill_main(pod)

    def look_again(self) -> None:
        """Make changes of `troubles` take effect."""
        self._kubelet.look_again()

    # -- inside

    async def _furnish(self) -> None:
        """Create the nodes and the default storage class, as soon as the API server lets us."""
        while True:
            try:
                await self._create_furniture()
            except ClientError as error:
                if not error.retryable:
                    raise
                self._log.warning("The simulated nodes cannot be created yet", error=str(error))
                await asyncio.sleep(_RETRY)
            else:
                return

    async def _create_furniture(self) -> None:
        live, zones = self._client.live, self.settings.zones
        for number in range(self.settings.nodes):
            labels = {ZONE: zones[number % len(zones)]} if zones else {}
            node = make_node(f"node-{number + 1}", labels, number=number + 1, now=self._clock.now())
            try:
                await create_node(live, node)
            except AlreadyExists:
                continue
        try:
            await live.create(volumes.make_storage_class(volumes.DEFAULT_CLASS))
        except AlreadyExists:
            return

    async def _play_outage(self, outage: PDOutage) -> None:
        await asyncio.sleep(outage.after)
        for cluster in self.clusters():
            if cluster.name == outage.cluster and outage.namespace in ("", cluster.namespace):
                self.silence_pd(cluster, outage.seconds)


class _World:
    """What processes find around them, read from the cache."""

    def __init__(self, cache: Cache, directory: PDDirectory, disks: Disks) -> None:
        self._cache = cache
        self._directory = directory
        self._disks = disks

    def config_text(self, config_map: ObjectKey, name: str) -> str:
        found = self._cache.find(ConfigMap, config_map)
        return (found.data or {}).get(name, "") if found is not None else ""

    def pd_behind(self, url: str, namespace: str) -> SimulatedPD | None:
        key = service_of_url(url, namespace)
        service = None if key is None else self._cache.find(Service, key)
        if service is None or service.metadata.labels.get(keys.LABEL_COMPONENT) != PD_COMPONENT:
            return None
        cluster = service.metadata.labels.get(keys.LABEL_CLUSTER, "")
        return self._directory.core(ObjectKey(service.metadata.namespace, cluster))

    def pd_of_cluster(self, cluster: ObjectKey) -> SimulatedPD | None:
        return self._directory.core(cluster)

    def disk_of_claim(self, claim: ObjectKey) -> tuple[Disk, int]:
        found = self._cache.find(PersistentVolumeClaim, claim)
        disk = Disk() if found is None else self._disks.of(found.metadata.uid)
        return disk, volumes.capacity_of(found)
