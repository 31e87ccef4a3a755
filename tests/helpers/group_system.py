"""The Cluster and TiKVGroup controllers on a real cache, queue and API server, in virtual time.

The instances' own controllers are played by the test: `settle` lets each instance, and each PD group, take its next step.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from controller_runtime import Manager
from controller_runtime.api import Object, ObjectKey, format_time
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.api.k8s import Namespace
from controller_runtime.client import LiveClient, merge_patch
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from controller_runtime.task import ReportStore, TaskMetrics
from helpers.group_fakes import quiet_log
from tikv_operator import cluster, tikvgroup
from tikv_operator.api import KINDS, Cluster, PDGroup, TiKV, TiKVGroup
from tikv_operator.common.conditions import OFFLINED, TRUE, condition_is
from tikv_operator.common.keys import LABEL_INSTANCE_REVISION
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient import PDClients, through_api_server

__all__ = ["GroupSystem", "group_system"]

GROUP = ObjectKey("ns1", "basic")
CLUSTER = ObjectKey("ns1", "tc")


@dataclass
class GroupSystem:
    """A user's client of the system, and the hand that moves the instances."""

    server: EmbeddedCluster
    user: LiveClient
    clock: LoopClock
    settings: Settings
    pd_version: str = "v8.1.0"
    _running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the operator: a new process, as far as anybody can see."""
        log = quiet_log()
        manager = Manager(self.server.transport, field_manager="tidb-operator", clock=self.clock, log=log)
        pds = PDClients(through_api_server(self.server.transport), settings=self.settings, clock=self.clock, log=log)
        manager.add(pds)
        metrics, reports = TaskMetrics(manager.registry, prefix="tikv_operator"), ReportStore()
        for make in (cluster.controller, tikvgroup.controller):
            manager.add(make(manager, pds, self.settings, metrics=metrics, reports=reports))
        self._running = asyncio.create_task(manager.run(), name="operator")

    async def stop(self) -> None:
        """Cancel the operator wherever it is."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
            self._running = None

    async def create(self, *objects: Object) -> None:
        for obj in objects:
            obj.metadata.uid, obj.metadata.generation = "", 0
            await self.user.create(obj)

    async def edit(self, kind: type[Object], key: ObjectKey, changes: dict[str, Any], *, subresource: str = "") -> None:
        await self.user.patch(kind, key, merge_patch(changes), subresource=subresource)

    async def scale(self, replicas: int) -> None:
        await self.edit(TiKVGroup, GROUP, {"spec": {"replicas": replicas}})

    async def instances(self) -> list[TiKV]:
        return await self.user.list(TiKV, namespace="ns1")

    async def names(self) -> set[str]:
        return {instance.metadata.name for instance in await self.instances()}

    async def group(self) -> TiKVGroup:
        return await self.user.get(TiKVGroup, GROUP)

    def said(self, group: TiKVGroup, condition: str) -> tuple[str, str]:
        found = next(found for found in group.status.conditions if found.type == condition) if group.status else None
        return (found.status, found.message) if found is not None else ("", "")

    async def settle(self, *, rounds: int = 1, seconds: float = 10.0) -> None:
        """Let every instance take its next step, then give the controllers time; several times over."""
        for _ in range(rounds):
            for instance in await self.instances():
                await self._step(instance)
            for group in await self.user.list(PDGroup, namespace="ns1"):
                await self._report_pd(group)
            await asyncio.sleep(seconds)

    async def settle_one(self, instance: TiKV) -> None:
        """Let one instance take its next step."""
        await self._step(instance)

    async def fail(self, instance: TiKV) -> None:
        """Let an instance's process die."""
        await self._report(instance, Ready="False", Running="False")

    async def _step(self, instance: TiKV) -> None:
        status = instance.status
        offlined = status is not None and condition_is(status.conditions, OFFLINED, TRUE)
        if instance.metadata.deletion_timestamp is not None:
            await self.edit(TiKV, instance.key, {"metadata": {"finalizers": None}})
        elif offlined and instance.spec.offline:
            await self.user.delete(TiKV, instance.key)
        elif instance.spec.offline:
            await self._report(instance, Offlined="True")
        else:
            await self._report(instance, Ready="True", Running="True", Synced="True")

    async def _report(self, instance: TiKV, **conditions: str) -> None:
        cluster_found = await self.user.find(Cluster, CLUSTER)
        known = {found.type: found for found in (instance.status.conditions if instance.status is not None else ())}
        told = []
        for kind, value in conditions.items():
            before = known.get(kind)
            # What was said of an older generation was before a restart.
            same = before is not None and (before.status, before.observed_generation) == (
                value,
                instance.metadata.generation,
            )
            since = before.last_transition_time if before is not None and same else None
            told.append(
                {
                    "type": kind,
                    "status": value,
                    "reason": kind,
                    "message": "",
                    "lastTransitionTime": since or format_time(self.clock.now()),
                    "observedGeneration": instance.metadata.generation,
                }
            )
        status = {
            "conditions": told,
            "observedGeneration": instance.metadata.generation,
            "observedClusterGeneration": cluster_found.metadata.generation if cluster_found is not None else 0,
            "currentRevision": instance.metadata.labels[LABEL_INSTANCE_REVISION],
        }
        await self.edit(TiKV, instance.key, {"status": status}, subresource="status")

    async def _report_pd(self, group: PDGroup) -> None:
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "currentReplicas"), group.spec.replicas)
        status = {
            "observedGeneration": group.metadata.generation,
            "version": self.pd_version,
            "updateRevision": "r",
            "currentRevision": "r",
            "selector": "",
            **counts,
        }
        await self.edit(PDGroup, group.key, {"status": status}, subresource="status")


@asynccontextmanager
async def group_system(settings: Settings | None = None) -> AsyncIterator[GroupSystem]:
    clock = LoopClock()
    crds = [custom_resource_definition(kind) for kind in KINDS]
    async with EmbeddedCluster(clock=clock, crds=crds) as server:
        user = LiveClient(server.transport, field_manager="user")
        namespace = Namespace()
        namespace.metadata.name = "ns1"
        await user.create(namespace)
        system = GroupSystem(server, user, clock, settings or Settings())
        system.start()
        try:
            yield system
        finally:
            await system.stop()
