"""The simulated PD behind a real port, reached as an operator outside of the cluster reaches it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from controller_runtime import Manager
from controller_runtime.api import ObjectKey, ObjectMeta
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.client import HttpTransport, LiveClient, Request, load_config
from controller_runtime.clock import SystemClock
from controller_runtime.concurrency import background_tasks
from controller_runtime.envtest import EmbeddedCluster
from helpers.simulated_pd import PDWorld
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
from tikv_operator.app import PDAccess, assemble
from tikv_operator.common.settings import Settings
from tikv_operator.simulation import LoopbackFront, Simulation
from tikv_operator.simulation.pd.http import handle


async def test_a_front_passes_on_method_path_query_and_body_and_closes_its_ports() -> None:
    world = PDWorld()
    world.start_all(4)
    async with LoopbackFront() as front, aiohttp.ClientSession() as session:
        address = await front.open(
            lambda method, path, params, body: handle(world.pd, method, path, params, body, now=world.now)
        )
        base = f"http://{address.host}:{address.port}/pd/api/v1"
        async with session.get(f"{base}/stores?state=0&state=2") as answer:
            assert answer.content_type == "application/json"
            assert (await answer.json())["count"] == 4
        async with session.post(f"{base}/store/1/label", data=b'{"zone":"z"}') as answer:
            assert answer.status == 200
        assert world.pd.store(1).labels["zone"] == "z"
        async with session.get(f"{base}/nothing") as answer:
            assert answer.status == 404
        other = await front.open(lambda *_: (503, b"no leader\n"))
        assert other != address
        await front.close(other)
        await front.close(other)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{base}/stores")


async def test_the_operator_brings_a_pdgroup_to_life_over_http(tmp_path: Path) -> None:
    crds = [custom_resource_definition(kind) for kind in KINDS]
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(EmbeddedCluster(clock=SystemClock(), crds=crds, http=True))
        front = await stack.enter_async_context(LoopbackFront())
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        transport = HttpTransport(await load_config(str(kubeconfig)))
        stack.push_async_callback(transport.close)
        simulation = Simulation(transport, front=front)
        manager = await stack.enter_async_context(_manager(kubeconfig))
        assemble(manager, Settings(), PDAccess.PROXY)
        start = await stack.enter_async_context(background_tasks())  # the last, so that they end before what they use
        start(simulation.run(), "simulation")
        start(manager.run(), "operator")
        async with asyncio.timeout(30):
            client = LiveClient(transport, field_manager="user")
            await _create(client)
            await _until_bootstrapped(client)
            path = "/api/v1/namespaces/default/services/pd-pd:client/proxy/pd/api/v1/health"
            answer = await transport.request(Request(method="GET", path=path))
        assert answer.status == 200
        assert answer.body.count(b'"health": true') >= 2
    assert simulation.clusters() == []


def _manager(kubeconfig: Path) -> AbstractAsyncContextManager[Manager]:
    return Manager.from_environment(
        kubeconfig=str(kubeconfig),
        field_manager="operator",
        registry=CollectorRegistry(),
        metrics_address="0",
        health_address="0",
        handle_signals=False,
    )


async def _create(client: LiveClient) -> None:
    await client.create(Cluster(metadata=ObjectMeta(name="tc", namespace="default")))
    volume = Volume(name="data", mounts=[VolumeMount(type="data")], storage="1Gi")
    template = PDTemplate(spec=PDTemplateSpec(version="v8.5.0", volumes=[volume]))
    spec = PDGroupSpec(cluster=ClusterReference(name="tc"), replicas=3, template=template)
    await client.create(PDGroup(metadata=ObjectMeta(name="pd", namespace="default"), spec=spec))


async def _until_bootstrapped(client: LiveClient) -> None:
    async with client.watch(PDGroup, namespace="default") as events:
        async for event in events:
            if event.object.key == ObjectKey("default", "pd") and event.object.spec.bootstrapped:
                return
