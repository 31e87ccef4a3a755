"""Everything for real but nodes and data: the operator's process, a kube-apiserver, and the PD that the operator manages.

    async with managed_world(folder) as world:
        await world.create(pds=3, tikvs=3)
        world.pods.kill(await world.leader())

PD pods run pd-servers (`pd_pods`), TiKV pods run stores that send heartbeats to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from controller_runtime.api import ObjectKey
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.cache import Cache
from controller_runtime.client import LiveClient, merge_patch
from controller_runtime.clock import SystemClock
from controller_runtime.concurrency import background_tasks
from controller_runtime.envtest import BinaryCluster
from helpers.pd_kubelet import HeartbeatTiKV
from helpers.pd_pods import PDPods
from helpers.pd_stores import HeartbeatStores
from helpers.pd_world import CLUSTER, GROUP, OperatorProcess, tikv_group
from helpers.recording_log import RecordingLog
from tikv_operator.api import KINDS, PDGroup
from tikv_operator.demo.world import World
from tikv_operator.pdclient import Members, PDClient, PDError, requester_for
from tikv_operator.simulation import LoopbackFront, Simulation, SimulationSettings

__all__ = ["PD_GROUP", "ManagedWorld", "PDWatch", "managed_world"]

PD_GROUP: Final = ObjectKey("default", "pd")

_REGIONS: Final = 8
_LOOK: Final = 0.1
_TIMEOUT: Final = 90.0


@dataclass
class PDWatch:
    """Looks at PD's members as often as it can, and remembers.

    Attributes:
        cluster_ids: which ids PD said the cluster has.
        addresses: under which peer URLs PD knew each member, by name.
        sizes: the different numbers of members, in order.
        away: the most members that didn't serve at one time, once all had.
    """

    cluster_ids: set[str] = field(default_factory=set)
    addresses: dict[str, set[str]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    away: int = 0
    _complete: bool = False

    def note(self, members: Members, serving: AbstractSet[str]) -> None:
        """
        Args:
            serving: the names of the servers that run and can be reached.
        """
        self.cluster_ids.add(members.cluster_id)
        for member in members.members:
            if member.name:
                self.addresses.setdefault(member.name, set()).update(member.peer_urls)
        away = sum(member.name not in serving for member in members.members)
        self._complete = self._complete or not away
        self.away = max(self.away, away) if self._complete else 0
        if self.sizes[-1:] != [len(members.members)]:
            self.sizes.append(len(members.members))


@dataclass
class ManagedWorld:
    """See the module docstring."""

    user: LiveClient
    seen: World
    pods: PDPods
    stores: HeartbeatStores
    operator: OperatorProcess
    watch: PDWatch

    async def create(self, pds: int, tikvs: int) -> None:
        """Create a Cluster, its PD and its TiKVs all at once."""
        for manifest in (_cluster(), _pd_group(pds), tikv_group(tikvs, "v8.1.0")):
            await self.user.apply(manifest)
        await self.settled(pds, tikvs)

    async def change_pd(self, spec: dict[str, Any]) -> None:
        """Merge something into the PD group's spec."""
        await self.user.patch(PDGroup, PD_GROUP, merge_patch({"spec": spec}))

    async def settled(self, pds: int, tikvs: int, *more: Callable[[], str]) -> None:
        """Wait until both groups are ready and PD has just the members that it should have, all of them healthy.

        Raises:
            AssertionError: it was not so in time; with the end of the operator's log.
        """

        async def missing() -> str:
            found = self.seen.missing_of_pd_group(PD_GROUP, pds) or self.seen.missing_of_group(GROUP, tikvs)
            return found or await self._missing_of_pd(pds)

        await self.until(missing, *more)

    async def until(self, missing: Callable[[], Awaitable[str]], *more: Callable[[], str]) -> None:
        """Wait until nothing is missing any more."""
        reason = "not looked"
        try:
            async with asyncio.timeout(_TIMEOUT):
                while reason := next((found for each in more if (found := each())), "") or await missing():
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise AssertionError(f"{reason}\n{self.operator.last_lines()}") from None

    async def roll(
        self, pds: int, tikvs: int, spec: dict[str, Any], midway: Callable[[], Awaitable[Any]] | None = None
    ) -> None:
        """Change PD's template so that every pod is made anew, and wait for that."""
        before = self.seen.pod_uids(PD_GROUP, "pd")
        await self.change_pd({"template": {"spec": spec}})

        def old_pods() -> str:
            left = len(before & self.seen.pod_uids(PD_GROUP, "pd"))
            return f"{left} old pods are left" if left else ""

        if midway is not None:

            async def untouched() -> str:
                return "no pod is replaced yet" if before <= self.seen.pod_uids(PD_GROUP, "pd") else ""

            await self.until(untouched)
            await midway()
        await self.settled(pds, tikvs, old_pods)

    async def members(self) -> Members | None:
        """Ask any server; None if none knows."""
        for url in self.pods.client_urls():
            requester = requester_for(url, "direct")
            try:
                return await PDClient(requester, timeout=2.0).members()
            except PDError:
                continue
            finally:
                await requester.close()
        return None

    async def store_states(self) -> list[str]:
        """The states of all stores."""
        requester = requester_for(self.pods.client_urls()[0], "direct")
        try:
            return [store.state_name for store in await PDClient(requester).stores()]
        finally:
            await requester.close()

    async def annotate_pd(self, annotations: dict[str, str]) -> None:
        """Set annotations of the PD group."""
        await self.user.patch(PDGroup, PD_GROUP, merge_patch({"metadata": {"annotations": annotations}}))

    async def member_names(self) -> set[str]:
        members = await self.members()
        return {member.name for member in members.members} if members is not None else set()

    async def leader(self) -> str:
        """Wait for a leader and return its name."""
        async with asyncio.timeout(_TIMEOUT):
            while True:
                members = await self.members()
                if members is not None and members.leader is not None:
                    return members.leader.name
                await asyncio.sleep(_LOOK)

    async def _missing_of_pd(self, pds: int) -> str:
        members = await self.members()
        if members is None or members.leader is None:
            return "PD has no leader"
        names = {member.name for member in members.members}
        serving = self._serving()
        return "" if len(names) == pds and names <= serving else f"PD's members are {names}, of which {serving} serve"

    def _serving(self) -> set[str]:
        return {name for name, server in self.pods.servers.items() if server.healthy}

    async def observe(self) -> None:
        """Keep `watch` up to date until cancelled."""
        while True:
            members = await self.members()
            if members is not None and members.leader is not None:
                self.watch.note(members, self._serving())
            await asyncio.sleep(_LOOK)


@asynccontextmanager
async def managed_world(folder: Path) -> AsyncIterator[ManagedWorld]:
    """
    Args:
        folder: for the operator's files.
    """
    async with AsyncExitStack() as stack:
        crds = [custom_resource_definition(kind) for kind in KINDS]
        cluster = await stack.enter_async_context(BinaryCluster(crds=crds, controller_manager=True))
        names = folder / "names"
        pods = stack.enter_context(PDPods.running(names))
        stores = await stack.enter_async_context(HeartbeatStores(pods.client_urls, regions=_REGIONS))
        start = await stack.enter_async_context(background_tasks())
        front = await stack.enter_async_context(LoopbackFront())
        log = RecordingLog()
        kubelet = Simulation(
            cluster.transport,
            front=front,
            settings=SimulationSettings(prestop_poll=0.1, crash_backoff=0.5),
            log=log,
            tikv=partial(HeartbeatTiKV, stores),
            pd=pods.make,
        )
        start(kubelet.run(), "kubelet")
        cache = Cache(cluster.transport, clock=SystemClock(), log=log)
        seen = World(cache)
        start(cache.run(), "user-cache")
        await cache.wait_synced(timeout=30.0)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        operator = OperatorProcess(folder, kubeconfig, ("-m", "helpers.pd_names", str(names)))
        operator.start()
        stack.callback(operator.kill)
        user = LiveClient(cluster.transport, field_manager="user")
        world = ManagedWorld(user, seen, pods, stores, operator, PDWatch())
        start(world.observe(), "pd-watch")
        yield world


def _cluster() -> dict[str, Any]:
    metadata = {"name": CLUSTER.name, "namespace": CLUSTER.namespace}
    return {"apiVersion": PDGroup.resource.api_version, "kind": "Cluster", "metadata": metadata, "spec": {}}


def _pd_group(replicas: int) -> dict[str, Any]:
    return {
        "apiVersion": PDGroup.resource.api_version,
        "kind": PDGroup.resource.kind,
        "metadata": {"name": PD_GROUP.name, "namespace": PD_GROUP.namespace},
        "spec": {
            "cluster": {"name": CLUSTER.name},
            "replicas": replicas,
            "minReadySeconds": 0,
            "template": {
                "spec": {
                    "version": "v8.1.0",
                    "volumes": [{"name": "data", "mounts": [{"type": "data"}], "storage": "1Gi"}],
                }
            },
        },
    }
