"""The kubelet of all nodes: a controller that runs pods.

Each reconcile looks at one pod: it is given a node, its machine (`PodMachine`) is advanced to the present, and what has
changed of its status is written. A pod whose grace period is over, or whose processes have ended, is removed for good. All
timing is the machine's: the answer of a reconcile is when to look again.

The kubelet remembers what runs, not the API server: a pod that is removed by force loses its processes when that is seen,
and a pod of the same name with another uid is another pod.

Concurrency: one event loop; the controller never looks at one pod twice at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from controller_runtime.api import ObjectKey, encode, parse_time, to_builtins
from controller_runtime.api.k8s import ConfigMap, Node, PersistentVolumeClaim, Pod
from controller_runtime.cache import CacheEvent
from controller_runtime.client import Client, NotFound, Preconditions, Transport, merge_patch
from controller_runtime.clock import Clock
from controller_runtime.controller import Controller
from controller_runtime.reconcile import Context, Request, Requeue
from controller_runtime.source import ChannelSource
from controller_runtime.workqueue import ExponentialBackoff
from tikv_operator.common import keys
from tikv_operator.simulation.kubelet.launch import Launcher, main_container, plan_of
from tikv_operator.simulation.kubelet.pdserver import PDServer
from tikv_operator.simulation.kubelet.pods import PodFacts, PodMachine, Stage
from tikv_operator.simulation.kubelet.processes import Process, TiKVServer
from tikv_operator.simulation.kubelet.scheduler import Scheduler, claim_keys
from tikv_operator.simulation.pd.front import Address, PDHandler, PodNetwork
from tikv_operator.simulation.settings import SimulationSettings
from tikv_operator.simulation.steadyclock import look_again_at
from tikv_operator.simulation.troubles import Troubles

__all__ = ["SimulatedKubelet"]

_LOOK_AGAIN: Final = 5.0
_LONG_AGO: Final = "1970-01-01T00:00:00Z"
_WORKERS: Final = 4


@dataclass(slots=True)
class _Running:
    """A pod that has a node."""

    uid: str
    group: str
    node: str
    machine: PodMachine
    claims: tuple[ObjectKey, ...]
    configs: tuple[ObjectKey, ...]
    written: bytes = b""
    listens: Address | None = None


class SimulatedKubelet:
    """See the module docstring.

    Args:
        client: cached for pods, claims, config maps, nodes and volumes.
        launcher: makes the process of a pod's main container.
        network: where TiKVs answer under their status addresses; None: they can't be dialled.
    """

    def __init__(
        self,
        client: Client,
        transport: Transport,
        settings: SimulationSettings,
        troubles: Troubles,
        clock: Clock,
        launcher: Launcher,
        network: PodNetwork | None = None,
    ) -> None:
        self._client = client
        self._network = network
        self._settings = settings
        self._troubles = troubles
        self._clock = clock
        self._launcher = launcher
        self._pods: dict[ObjectKey, _Running] = {}
        self._unplaced: dict[ObjectKey, tuple[ObjectKey, ...]] = {}  # pods without a node, with their claims
        self._addresses = itertools.count(1)
        self._wake = ChannelSource("simulated kubelet")
        self._scheduler = Scheduler(client, transport, settings, clock, self._placements)

    def controller(self) -> Controller:
        """The controller to give to a manager."""
        return (
            Controller(
                "simulated-kubelet",
                self._reconcile,
                workers=_WORKERS,
                rate_limiter=ExponentialBackoff(0.05, 2.0),
            )
            .reconciles(Pod)
            .watches(PersistentVolumeClaim, self._users_of)
            .watches(ConfigMap, self._users_of)
            .watches(Node, lambda _: list(self._unplaced))
            .watches_source(self._wake)
        )

    # -- for people and tests

    def look_again(self, pods: Iterable[ObjectKey] | None = None) -> None:
        """Look at these pods now, or at all of them: something outside of the API server has changed."""
        for key in list(self._pods) if pods is None else pods:
            self._wake.send(key)

    def kill_main(self, pod: ObjectKey) -> bool:
        """Kill the process of a pod's main container; False if there is no such pod."""
        found = self._pods.get(pod)
        if found is None:
            return False
        found.machine.kill_main(self._clock.now())
        self._wake.send(pod)
        return True

    # -- reconciling

    async def _reconcile(self, _: Context, request: Request) -> Requeue | None:
        pod = await self._client.find(Pod, request.key)
        running = self._pods.get(request.key)
        if running is not None and (pod is None or pod.metadata.uid != running.uid):
            running.machine.abandon(self._clock.now())
            if self._network is not None and running.listens is not None:
                self._network.stop_listening(running.listens)
            del self._pods[request.key]
            running = None
        if pod is None or (pod.status is not None and pod.status.phase in ("Succeeded", "Failed")):
            self._unplaced.pop(request.key, None)
            return None
        if running is None:
            answer = await self._admit(pod)
            if not isinstance(answer, _Running):
                return answer
            running = self._pods[request.key] = answer
        return await self._advance(pod, running)

    async def _admit(self, pod: Pod) -> _Running | Requeue | None:
        """Give a pod a node and a machine; or say when to look again."""
        claims = tuple(claim_keys(pod))
        now = self._clock.now()
        node = pod.spec.node_name if pod.spec else None
        if not node:
            if pod.metadata.deletion_timestamp is not None:
                await self._remove(pod)
                return None
            due = parse_time(pod.metadata.creation_timestamp or _LONG_AGO) + self._settings.schedule_seconds
            if now < due:
                return look_again_at(due, now)
            self._unplaced[pod.key] = claims
            node = await self._scheduler.place(pod, _group_of(pod))
            if node is None:
                return Requeue(after=_LOOK_AGAIN)
            del self._unplaced[pod.key]
        found = await self._client.find(Node, ObjectKey("", node))
        machine = PodMachine(
            plan_of(pod, found, number=next(self._addresses)),
            self._launcher.process_for(pod),
            self._settings,
            now=self._clock.now(),
        )
        running = _Running(pod.metadata.uid, _group_of(pod), node, machine, claims, tuple(_config_keys(pod)))
        if self._network is not None and (served := self._handler(machine.process)) is not None:
            port, handler = served
            ports = {port.name: port.container_port for port in main_container(pod).ports or []}
            if port in ports:
                running.listens = Address(machine.plan.pod_ip, ports[port])
                self._network.listen(running.listens, handler)
        return running

    def _handler(self, process: Process) -> tuple[str, PDHandler] | None:
        """What a process answers under its pod's address, and the name of the port."""
        if isinstance(process, TiKVServer):
            return "status", process.status.answer
        if isinstance(process, PDServer):
            return "client", lambda *request: process.answer(*request, now=self._clock.now())
        return None

    async def _advance(self, pod: Pod, running: _Running) -> Requeue | None:
        machine = running.machine
        machine.advance(await self._facts(pod, running), self._clock.now())
        if machine.stage is Stage.GONE:
            if pod.metadata.deletion_grace_period_seconds != 0 or not pod.metadata.finalizers:
                await self._remove(pod)
            return None  # its disappearance will be an event
        status = machine.status()
        encoded = encode(status)
        if encoded != running.written:
            patch = {"metadata": {"uid": pod.metadata.uid}, "status": to_builtins(status)}
            try:
                await self._client.patch(Pod, pod.key, merge_patch(patch), subresource="status")
            except NotFound:
                return None  # its disappearance is an event of its own
            running.written = encoded
        wake = machine.wake()
        return None if wake is None else look_again_at(wake, self._clock.now())

    async def _facts(self, pod: Pod, running: _Running) -> PodFacts:
        containers = pod.spec.containers if pod.spec else []
        deleted = pod.metadata.deletion_timestamp
        name = pod.metadata.name
        return PodFacts(
            images={container.name: container.image or "" for container in containers},
            missing=await self._missing(running),
            gone_by=None if deleted is None else parse_time(deleted),
            crashing=name in self._troubles.crashing_pods,
            unready=name in self._troubles.unready_pods,
        )

    async def _missing(self, running: _Running) -> str:
        """What the pod's containers cannot be created without; empty if it is all there."""
        if running.machine.stage is not Stage.CREATING:
            return ""
        for key in running.claims:
            claim = await self._client.find(PersistentVolumeClaim, key)
            if claim is None or claim.status is None or claim.status.phase != "Bound":
                return f"waiting for volume claim {key.name} to be bound"
        for key in running.configs:
            if await self._client.find(ConfigMap, key) is None:
                return f'MountVolume.SetUp failed: configmap "{key.name}" not found'
        return ""

    async def _remove(self, pod: Pod) -> None:
        """Tell the API server that nothing of the pod runs any more."""
        try:
            await self._client.delete(Pod, pod.key, grace_period=0, preconditions=Preconditions(uid=pod.metadata.uid))
        except NotFound:
            return

    def _users_of(self, event: CacheEvent) -> Iterator[ObjectKey]:
        """The pods that use a claim or a config map, or wait for it."""
        for key, pod in self._pods.items():
            if event.key in pod.claims or event.key in pod.configs:
                yield key
        for key, claims in self._unplaced.items():
            if event.key in claims:
                yield key

    def _placements(self) -> Iterator[tuple[str, str]]:
        for pod in self._pods.values():
            yield pod.group, pod.node


def _group_of(pod: Pod) -> str:
    labels = pod.metadata.labels
    return "/".join((pod.metadata.namespace, labels.get(keys.LABEL_COMPONENT, ""), labels.get(keys.LABEL_GROUP, "")))


def _config_keys(pod: Pod) -> Iterator[ObjectKey]:
    for volume in (pod.spec.volumes if pod.spec else None) or []:
        source = volume.config_map
        if source is not None and source.name and not source.optional:
            yield ObjectKey(pod.metadata.namespace, source.name)
