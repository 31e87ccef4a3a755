"""An embedded API server with the simulated world around it, in virtual time, and a hand that plays the operator."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from controller_runtime import Manager
from controller_runtime.api import ObjectKey, ObjectMeta, decode, encode
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.api.k8s import ConfigMap, PersistentVolumeClaim, Pod
from controller_runtime.client import LiveClient, Request, Response, Stream, Transport, TransportError
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from controller_runtime.task import ReportStore, TaskMetrics
from tikv_operator.api import (
    KINDS,
    Cluster,
    ClusterReference,
    PDGroup,
    PDGroupSpec,
    PDTemplate,
    PDTemplateSpec,
    Volume,
    VolumeMount,
)
from tikv_operator.cluster.controller import controller as cluster_controller
from tikv_operator.demo.stage import DEMO_SETTINGS
from tikv_operator.pd.controller import controller as pd_controller
from tikv_operator.pdclient import PDClients, through_api_server
from tikv_operator.pdgroup.controller import controller as pdgroup_controller
from tikv_operator.simulation import InProcessFront, Simulation, SimulationSettings, StoreView


@dataclass
class SimulatedWorld:
    cluster: EmbeddedCluster
    simulation: Simulation
    client: LiveClient

    async def until(self, condition: Callable[[], Any], *, timeout: float = 120.0) -> None:
        """Wait, in virtual time, until a plain or async condition holds."""
        async with asyncio.timeout(timeout):
            while True:
                found = condition()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return
                await asyncio.sleep(0.1)

    async def pod_is_ready(self, key: ObjectKey) -> bool:
        pod = await self.client.find(Pod, key)
        conditions = (pod.status.conditions if pod and pod.status else None) or []
        return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)

    async def create_cluster(self, name: str = "tc", *, namespace: str = "ns1", replicas: int = 1, **spec: Any) -> None:
        """A Cluster with a PDGroup called `<name>-p`."""
        meta = ObjectMeta(name=name, namespace=namespace)
        await self.client.create(Cluster(metadata=meta))
        template = PDTemplate(
            spec=PDTemplateSpec(version="v8.5.0", volumes=[_volume("data")], config=spec.pop("config", None))
        )
        await self.client.create(
            PDGroup(
                metadata=ObjectMeta(name=f"{name}-p", namespace=namespace),
                spec=PDGroupSpec(cluster=ClusterReference(name=name), replicas=replicas, template=template, **spec),
            )
        )
        await self.until(lambda: self.pd_serves(ObjectKey(namespace, name)))

    def pd_serves(self, cluster: ObjectKey) -> bool:
        pd = self.simulation.pd(cluster)
        return pd is not None and pd.serving(self.simulation.now())

    async def start_tikv(
        self,
        name: str,
        *,
        cluster: str = "tc",
        namespace: str = "ns1",
        volume: dict[str, Any] | None = None,
        **more: Any,
    ) -> ObjectKey:
        """Config map, claim and pod of a TiKV, as an operator makes them."""
        await self.create_volume(name, namespace=namespace, **volume or {})
        await self.client.create(tikv_config(name, cluster, namespace))
        await self.client.create(tikv_pod(name, cluster, namespace, **more))
        return ObjectKey(namespace, name)

    async def create_volume(self, name: str, *, namespace: str = "ns1", storage: str = "10Gi", **spec: Any) -> None:
        await self.client.apply(claim(name, namespace, storage, **spec))

    def stores(self, cluster: str = "tc", namespace: str = "ns1") -> list[StoreView]:
        return self.simulation.stores(ObjectKey(namespace, cluster))

    async def find_claim(self, name: str, namespace: str = "ns1") -> PersistentVolumeClaim | None:
        return await self.client.find(PersistentVolumeClaim, ObjectKey(namespace, f"data-{name}"))


def claim(name: str, namespace: str, storage: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"data-{name}", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}, **spec},
    }


def tikv_config(name: str, cluster: str, namespace: str) -> ConfigMap:
    text = (
        f"[pd]\nendpoints = ['http://{cluster}-p-pd.{namespace}:2379']\n"
        f"[server]\nadvertise-addr = '{name}.peer.{namespace}:20160'\n"
        f"advertise-status-addr = '{name}.peer.{namespace}:20180'\n"
    )
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace), data={"config.toml": text})


def tikv_pod(name: str, cluster: str, namespace: str, *, image: str = "pingcap/tikv:v8.5.0", **spec: Any) -> Pod:
    labels = {
        "pingcap.com/component": "tikv",
        "pingcap.com/cluster": cluster,
        "pingcap.com/managed-by": "tidb-operator",
    }
    prestop = f"/prestop/prestop-checker -mode  tikv  -tikv-status-addr {name}.peer.{namespace}:20180"
    body = {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 65535,
            "initContainers": [{"name": "ti-prestop-checker", "image": "checker:v1"}],
            "containers": [
                {
                    "name": "tikv",
                    "image": image,
                    "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", prestop]}}},
                    "volumeMounts": [
                        {"name": "ti-config", "mountPath": "/etc/tikv"},
                        {"name": "ti-vol-data", "mountPath": "/var/lib/tikv"},
                    ],
                }
            ],
            "volumes": [
                {"name": "ti-config", "configMap": {"name": name}},
                {"name": "ti-vol-data", "persistentVolumeClaim": {"claimName": f"data-{name}"}},
            ],
            **spec,
        },
    }
    return decode(Pod, encode(body))


def _volume(name: str) -> Any:
    return Volume(name=name, mounts=[VolumeMount(type=name)], storage="1Gi")


def _pd_operator(cluster: EmbeddedCluster, clock: LoopClock) -> Manager:
    """The operator's controllers for PD: in these tests TiKVs are played by hand."""
    log = structlog.get_logger()
    manager = Manager(cluster.transport, field_manager="tidb-operator", clock=clock, log=log)
    pds = PDClients(through_api_server(cluster.transport), settings=DEMO_SETTINGS, clock=clock, log=log)
    manager.add(pds)
    metrics, reports = TaskMetrics(manager.registry, prefix="tikv_operator"), ReportStore()
    for controller in (cluster_controller, pdgroup_controller, pd_controller):
        manager.add(controller(manager, pds, DEMO_SETTINGS, metrics=metrics, reports=reports))
    return manager


class FlakyTransport:
    """Fails every third request or so, before or after the server has carried it out; streams are left alone."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._dice = random.Random(7)

    async def request(self, request: Request) -> Response:
        match self._dice.randrange(9):
            case 0:
                msg = "connection refused"
                raise TransportError(msg)
            case 1:
                await self._transport.request(request)
                msg = "connection reset"
                raise TransportError(msg)
            case 2:
                return Response(500, {}, b"out of order")
            case _:
                return await self._transport.request(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        return self._transport.stream(request)

    async def close(self) -> None:
        await self._transport.close()


@asynccontextmanager
async def simulated_world(
    settings: SimulationSettings | None = None, *, wrap: Callable[[Transport], Transport] = lambda transport: transport
) -> AsyncIterator[SimulatedWorld]:
    clock = LoopClock()
    async with AsyncExitStack() as stack:
        crds = [custom_resource_definition(kind) for kind in KINDS]
        cluster = await stack.enter_async_context(EmbeddedCluster(clock=clock, crds=crds))
        simulation = Simulation(
            wrap(cluster.transport),
            front=InProcessFront(cluster),
            settings=settings,
            clock=clock,
            log=structlog.get_logger(),
        )
        group = await stack.enter_async_context(asyncio.TaskGroup())
        running = group.create_task(simulation.run(), name="simulation")
        stack.callback(running.cancel)
        await simulation.ready.wait()
        operator = group.create_task(_pd_operator(cluster, clock).run(), name="operator of PD")
        stack.callback(operator.cancel)
        client = LiveClient(cluster.transport, field_manager="operator")
        for namespace in ("ns1", "ns2"):
            await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        yield SimulatedWorld(cluster, simulation, client)
