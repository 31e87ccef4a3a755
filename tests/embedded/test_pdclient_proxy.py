"""The way to PD through an API server, over real sockets: what leaves here arrives at PD unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller_runtime.client.config import ClientConfig
from controller_runtime.client.http import HttpTransport
from tikv_operator.pdclient import PDClient, PDError, PDUnreachable, requester_for

PREFIX = "/api/v1/namespaces/ns1/services/http:basic-pd:2379/proxy"


class ApiServer:
    """Answers for PD behind the proxy's path, and with a Status anywhere else, as an API server would."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.bodies: list[bytes] = []
        self.has_service = True

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if not self.has_service or not request.path.startswith(PREFIX):
            status = {"kind": "Status", "apiVersion": "v1", "message": 'services "basic-pd" not found', "code": 404}
            return web.json_response(status, status=404)
        self.seen.append(f"{request.method} {request.raw_path.removeprefix(PREFIX)}")
        self.bodies.append(await request.read())
        if request.path.endswith("/store/9"):
            return web.json_response("store 9 not found", status=404)
        return web.json_response({"id": 7})


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def client(api: ApiServer) -> AsyncIterator[PDClient]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    async with TestServer(app) as server:
        transport = HttpTransport(ClientConfig(host=str(server.make_url("")).rstrip("/")))
        requester = requester_for("http://basic-pd.ns1:2379", "proxy", transport=transport)
        yield PDClient(requester, timeout=5.0, jitter=lambda: 0.0)
        await requester.close()
        await transport.close()


async def test_requests_arrive_as_they_are(api: ApiServer, client: PDClient) -> None:
    assert await client.cluster_id() == "7"
    await client.stores()
    await client.set_store_labels("4", {"zone": "a"})
    await client.delete_store_label("4", "$k/exclusive")
    await client.cancel_delete_store("4")
    await client.transfer_leader("a/b")
    assert api.seen == [
        "GET /pd/api/v1/cluster",
        "GET /pd/api/v1/stores?state=0&state=1&state=2",
        "POST /pd/api/v1/store/4/label",
        "DELETE /pd/api/v1/store/4/label",
        "POST /pd/api/v1/store/4/state?state=Up",
        "POST /pd/api/v1/leader/transfer/a%2Fb",
    ]
    assert api.bodies == [b"", b"", b'{"zone":"a"}', b'"$k/exclusive"', b"", b""]


async def test_a_store_that_pd_does_not_know_is_gone(api: ApiServer, client: PDClient) -> None:
    await client.delete_store("9")
    assert api.seen == ["DELETE /pd/api/v1/store/9"]


async def test_a_service_that_the_api_server_does_not_know_is_no_answer_of_pd(api: ApiServer, client: PDClient) -> None:
    api.has_service = False
    with pytest.raises(PDUnreachable, match='services "basic-pd" not found'):
        await client.delete_store("9")


async def test_an_api_server_that_is_gone_is_no_answer_of_pd() -> None:
    transport = HttpTransport(ClientConfig(host="http://127.0.0.1:1"))
    client = PDClient(requester_for("http://basic-pd.ns1:2379", "proxy", transport=transport), jitter=lambda: 0.0)
    with pytest.raises(PDError, match="through the API server"):
        await client.delete_store("9")
    await transport.close()
