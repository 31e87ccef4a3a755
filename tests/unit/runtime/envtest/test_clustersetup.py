"""CRDs and tokens, set up through the API: tried on the embedded API server, and on one that takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from controller_runtime.client import Invalid, NotFound, Transport
from controller_runtime.client.transport import Request, Response
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from controller_runtime.envtest.clustersetup import install_crds, service_account_token
from helpers.fake_transport import FakeTransport
from helpers.recorded_transport import RecordedTransport
from helpers.things import GROUP, THING_CRD, THINGS


class Slow(RecordedTransport):
    """Establishes a definition, and serves its kind, some seconds after it was created."""

    def __init__(self, inner: Transport, established: float, served: float) -> None:
        super().__init__(inner)
        self.established = established
        self.served = served

    async def request(self, request: Request) -> Response:
        answer = await super().request(request)
        now = asyncio.get_running_loop().time()
        if request.method == "GET" and "customresourcedefinitions" in request.path and now < self.established:
            body: dict[str, Any] = {**orjson.loads(answer.body), "status": {"conditions": None}}
            return Response(200, {}, orjson.dumps(body))
        if request.path == f"/apis/{GROUP}/v1" and now < self.served:
            return Response(404, {}, b'{"kind":"Status","code":404}')
        return answer


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        yield cluster


async def things(transport: Transport) -> int:
    return (await transport.request(Request(method="GET", path=THINGS))).status


async def test_what_is_installed_is_served(cluster: EmbeddedCluster) -> None:
    assert await things(cluster.transport) == 404
    await install_crds(cluster.transport, [THING_CRD])
    assert await things(cluster.transport) == 200


async def test_installing_waits_until_the_kind_is_established_and_served(cluster: EmbeddedCluster) -> None:
    await install_crds(Slow(cluster.transport, established=4.0, served=7.0), [THING_CRD])
    assert 7.0 <= asyncio.get_running_loop().time() < 8.0


@pytest.mark.parametrize(("established", "served"), [(1e9, 0.0), (0.0, 1e9)], ids=["established", "served"])
async def test_a_kind_that_never_is_ends_the_wait(cluster: EmbeddedCluster, established: float, served: float) -> None:
    with pytest.raises(TimeoutError):
        await install_crds(Slow(cluster.transport, established, served), [THING_CRD])
    assert asyncio.get_running_loop().time() < 60


async def test_installing_again_changes_what_is_there(cluster: EmbeddedCluster) -> None:
    await install_crds(cluster.transport, [THING_CRD])
    changed = orjson.loads(orjson.dumps(THING_CRD))
    changed["spec"]["names"]["shortNames"] = ["t"]
    await install_crds(cluster.transport, [changed])
    discovered = await cluster.transport.request(Request(method="GET", path=f"/apis/{GROUP}/v1"))
    (found,) = [each for each in orjson.loads(discovered.body)["resources"] if each["name"] == "things"]
    assert found["shortNames"] == ["t"]


async def test_a_definition_that_is_not_valid_is_refused(cluster: EmbeddedCluster) -> None:
    with pytest.raises(Invalid):
        await install_crds(cluster.transport, [{**THING_CRD, "metadata": {"name": f"others.{GROUP}"}}])


async def test_there_is_no_token_for_nobody(cluster: EmbeddedCluster) -> None:
    with pytest.raises(NotFound):
        await service_account_token(cluster.transport, "nobody", "default")


async def test_a_token_is_asked_for_an_hour() -> None:
    transport = FakeTransport(Response(201, {}, b'{"status":{"token":"abc"}}'))
    assert await service_account_token(transport, "robot", "ns") == "abc"
    (request,) = transport.requests
    assert (request.method, request.path) == ("POST", "/api/v1/namespaces/ns/serviceaccounts/robot/token")
    assert orjson.loads(request.body or b"")["spec"] == {"expirationSeconds": 3600}
