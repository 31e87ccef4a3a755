"""The proxy of pods: a request to a pod reaches what answers under its address."""

from __future__ import annotations

import pytest

from controller_runtime.api.k8s import Container, ContainerPort, Pod, PodSpec
from controller_runtime.client import LiveClient, Request, Response, merge_patch
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster


async def make_pod(cluster: EmbeddedCluster, *, ip: str | None) -> None:
    client = LiveClient(cluster.transport, field_manager="user")
    pod = Pod(
        spec=PodSpec(
            containers=[
                Container(
                    name="a", image="a", ports=[ContainerPort(container_port=8080), ContainerPort(container_port=9)]
                )
            ]
        )
    )
    pod.metadata.name, pod.metadata.namespace = "p", "default"
    await client.create(pod)
    if ip is not None:
        status = {"status": {"podIP": ip}}
        await client.patch(Pod, pod.key, merge_patch(status), subresource="status")


async def ask(cluster: EmbeddedCluster, name: str) -> Response:
    path = f"/api/v1/namespaces/default/pods/{name}/proxy/config"
    return await cluster.transport.request(Request(method="POST", path=path, body=b"{}"))


@pytest.mark.parametrize(
    ("name", "port"),
    [("p", 8080), ("p:9", 9), ("http:p:9", 9), ("http:p:", 8080)],
    ids=["its first port", "a port", "a scheme and a port", "a scheme"],
)
async def test_a_request_reaches_the_pod(name: str, port: int) -> None:
    async def echo(request: Request) -> Response:
        return Response(200, {}, f"{request.method} {request.path}".encode())

    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        await make_pod(cluster, ip="10.0.0.7")
        cluster.add_backend("10.0.0.7", port, echo)
        answer = await ask(cluster, name)
        assert (answer.status, answer.body) == (200, b"POST /config")


@pytest.mark.parametrize(
    ("name", "ip", "status"),
    [("none", "10.0.0.7", 404), ("p", None, 503), ("p:web", "10.0.0.7", 400), ("ftp:p:9", "10.0.0.7", 400)],
    ids=["no such pod", "no address yet", "a port by its name", "a scheme that is none"],
)
async def test_what_cannot_be_reached_is_said(name: str, ip: str | None, status: int) -> None:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        await make_pod(cluster, ip=ip)
        assert (await ask(cluster, name)).status == status
