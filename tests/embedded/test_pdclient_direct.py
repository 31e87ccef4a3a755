"""The direct way to PD, against real sockets on the loopback: what breaks, and what is done about it."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from controller_runtime.api.k8s import Secret
from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey
from helpers.certificates import Authority
from tikv_operator.api import Cluster, ClusterSpec, ClusterStatus, TLSCluster
from tikv_operator.pdclient import (
    PDClient,
    PDError,
    PDNotBootstrapped,
    PDUnexpectedAnswer,
    PDUnreachable,
    SecretTLS,
    direct,
)
from tikv_operator.pdclient.connection import Connection
from tikv_operator.pdclient.direct import DirectRequester

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PD:
    """An HTTP server whose answers a test decides. `seen` has the requests, `connections` the ends they came from."""

    def __init__(self, handler: Handler | None = None) -> None:
        self.handler = handler or say({"id": 7})
        self.seen: list[str] = []
        self.bodies: list[bytes] = []
        self.connections: set[Any] = set()
        self.url = ""

    @asynccontextmanager
    async def serving(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[PD]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        server = TestServer(app, scheme="https" if tls else "http", port=port or None)
        await server.start_server(ssl=tls)
        self.url = str(server.make_url("")).rstrip("/")
        try:
            yield self
        finally:
            await server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path_qs}")
        self.bodies.append(await request.read())
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))
        return await self.handler(request)


def say(value: Any, status: int = 200) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(value, status=status)

    return answer


@asynccontextmanager
async def client_of(*urls: str, timeout: float = 5.0, **options: Any) -> AsyncIterator[PDClient]:
    requester = DirectRequester(urls[0], **options)
    requester.learn(urls[1:])
    try:
        yield PDClient(requester, timeout=timeout, jitter=lambda: 0.0)
    finally:
        await requester.close()


def nobody() -> str:
    """A URL at which nobody listens."""
    return f"http://127.0.0.1:{unused_port()}"


async def test_requests_arrive_as_they_are_and_share_a_connection() -> None:
    async with PD(say({})).serving() as pd, client_of(pd.url) as client:
        await client.stores()
        await client.set_store_labels("4", {"zone": "a"})
        await client.delete_store_label("4", "$k/exclusive")
        await client.cancel_delete_store("4")
        await client.transfer_leader("a/b")
        assert pd.seen == [
            "GET /pd/api/v1/stores?state=0&state=1&state=2",
            "POST /pd/api/v1/store/4/label",
            "DELETE /pd/api/v1/store/4/label",
            "POST /pd/api/v1/store/4/state?state=Up",
            "POST /pd/api/v1/leader/transfer/a%2Fb",
        ]
        assert pd.bodies == [b"", b'{"zone":"a"}', b'"$k/exclusive"', b"", b""]
        assert len(pd.connections) == 1


async def test_nobody_listens() -> None:
    url = nobody()
    async with client_of(url) as client:
        with pytest.raises(PDUnreachable, match=f"cannot connect to {url}") as raised:
            await client.cluster_id()
    assert not raised.value.sent
    assert raised.value.endpoint == "cluster"


async def test_a_name_that_does_not_exist() -> None:
    async with client_of("http://no-such-host.invalid:2379") as client:
        with pytest.raises(PDUnreachable, match="cannot connect") as raised:
            await client.cluster_id()
    assert not raised.value.sent


async def test_pd_accepts_and_says_nothing() -> None:
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with PD(hang).serving() as pd, client_of(pd.url, timeout=0.2) as client:
        with pytest.raises(PDUnreachable) as raised:
            await client.cluster_id()
        released.set()
    assert raised.value.timed_out
    assert raised.value.sent


async def test_a_read_is_asked_again_elsewhere_when_a_server_accepts_and_says_nothing() -> None:
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with PD(hang).serving() as silent, PD().serving() as healthy:
        async with client_of(silent.url, healthy.url, timeout=2.0) as client:
            assert await client.cluster_id() == "7"
            assert (len(silent.seen), len(healthy.seen)) == (1, 1)
        released.set()


async def test_pd_stops_in_the_middle_of_its_answer() -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"stores":[')
        assert request.transport is not None
        request.transport.close()
        return response

    async with PD(half).serving() as pd, client_of(pd.url) as client:
        with pytest.raises(PDUnreachable, match="broke"):
            await client.stores()
        assert len(pd.seen) == 3, "a read is tried again"
        pd.seen.clear()
        with pytest.raises(PDUnreachable, match="broke"):
            await client.delete_store("4")
        assert len(pd.seen) == 1, "a write is not: PD may have carried it out"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HELLO WORLD\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="a bad header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="a bad chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10**6 + b"\r\n\r\n", id="an endless header"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_something_else_listens_at_pds_address(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with client_of(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(PDUnreachable):
                await client.stores()


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_beyond_all_measure_is_refused(chunked: bool) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = 2**20
        await response.prepare(request)
        for _ in range(16):
            await response.write(b" " * 2**16)
        return response

    async with PD(flood).serving() as pd, client_of(pd.url, max_body=2**17) as client:
        with pytest.raises(PDUnexpectedAnswer, match="longer than 131072 bytes"):
            await client.stores()
        assert len(pd.seen) == 1, "once is enough"
        pd.handler = say({"id": 7})
        assert await client.cluster_id() == "7"


async def test_an_answer_of_the_largest_size_is_taken() -> None:
    async def exactly(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"id":7}' + b" " * 92)

    async with PD(exactly).serving() as pd, client_of(pd.url, max_body=100) as client:
        assert await client.cluster_id() == "7"


async def test_pd_before_the_first_tikv() -> None:
    words = "[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first"
    async with PD(say(words, status=500)).serving() as pd, client_of(pd.url) as client:
        with pytest.raises(PDNotBootstrapped, match="please start TiKV first"):
            await client.stores()
        assert len(pd.seen) == 1


async def test_an_error_names_the_url() -> None:
    async with PD(say("too few stores", status=400)).serving() as pd, client_of(pd.url) as client:
        with pytest.raises(PDError) as raised:
            await client.delete_store("4")
        assert str(raised.value) == (
            f'status: 400, message: error response to {pd.url}/pd/api/v1/store/4: "too few stores"'
        )


# -- several servers


@pytest.mark.parametrize("act", ["read", "write"])
async def test_when_one_server_is_gone_another_is_asked(act: str) -> None:
    async with PD().serving() as pd, client_of(nobody(), nobody(), pd.url) as client:
        if act == "read":
            assert await client.cluster_id() == "7"
        else:
            await client.delete_store("4")
        assert len(pd.seen) == 1
        await client.cluster_id()
        assert len(pd.seen) == 2


async def test_the_server_that_answers_is_kept() -> None:
    async with PD().serving() as first, PD().serving() as second, client_of(first.url, second.url) as client:
        first.handler = say("no leader", status=503)
        assert await client.cluster_id() == "7"
        for _ in range(5):
            assert await client.cluster_id() == "7"
        assert (len(first.seen), len(second.seen)) == (1, 6)


async def test_after_the_last_server_comes_the_first() -> None:
    async with PD().serving() as first, PD().serving() as second, client_of(first.url, second.url) as client:
        for ill, well in [(first, second), (second, first), (first, second)]:
            ill.handler, well.handler = say("no leader", status=503), say({"id": 7})
            assert await client.cluster_id() == "7"


async def test_a_write_that_broke_is_left_to_the_caller_and_the_next_call_goes_elsewhere() -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with PD(drop).serving() as first, PD().serving() as second, client_of(first.url, second.url) as client:
        with pytest.raises(PDUnreachable):
            await client.delete_store("4")
        assert second.seen == []
        await client.delete_store("4")
        assert len(second.seen) == 1


async def test_all_servers_are_gone() -> None:
    async with client_of(nobody(), nobody()) as client:
        with pytest.raises(PDUnreachable) as raised:
            await client.cluster_id()
        assert not raised.value.sent


async def test_a_server_that_is_no_member_any_more_is_left() -> None:
    async with PD().serving() as first, PD().serving() as second:
        requester = DirectRequester(first.url)
        try:
            client = PDClient(requester)
            requester.learn([second.url])
            first.handler = say("", status=503)
            await client.cluster_id()
            assert requester.base == second.url
            requester.learn([f"{first.url}/"])
            assert requester.base == first.url
            requester.learn([first.url, second.url])
            assert requester.base == first.url
        finally:
            await requester.close()


async def test_one_server_can_be_asked_by_name() -> None:
    async with PD().serving() as cluster, PD(say("loading", status=500)).serving() as member:
        async with client_of(cluster.url) as client:
            assert not await client.member_ready(f"{member.url}/", "v8.5.2")
        assert (cluster.seen, member.seen) == ([], ["GET /pd/api/v2/ready"])


# -- the end


async def test_a_closed_client_says_so() -> None:
    async with PD().serving() as pd, client_of(pd.url) as client:
        await client.cluster_id()
    with pytest.raises(PDUnreachable, match="closed"):
        await client.cluster_id()


async def test_a_cancelled_call_leaves_a_working_client() -> None:
    entered, released = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        entered.set()
        await released.wait()
        return web.json_response({"id": 7})

    async with PD(hang).serving() as pd, client_of(pd.url) as client:
        call = asyncio.create_task(client.cluster_id())
        await entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        released.set()
        assert await client.cluster_id() == "7"


# -- TLS


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority()


def server_context(ca: Authority, directory: Path) -> ssl.SSLContext:
    """A server that demands a certificate of `ca`."""
    pair = ca.sign("pd", hosts=("127.0.0.1",))
    file = directory / "server.pem"
    file.write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.load_verify_locations(cadata=ca.certificate.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Secrets:
    """A client with the one Secret of the cluster `basic`."""

    def __init__(self, authority: Authority, signer: Authority | None = None) -> None:
        self.fill(authority, signer)

    def fill(self, authority: Authority, signer: Authority | None = None) -> None:
        pair = (signer or authority).sign("operator")
        pem = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}
        self._data = {name: base64.b64encode(value).decode() for name, value in pem.items()}

    @property
    def live(self) -> Secrets:
        return self

    async def find(self, kind: type[Secret], key: ObjectKey) -> Secret | None:
        assert key == ObjectKey("ns1", "basic-cluster-client-secret")
        return Secret(metadata=ObjectMeta(namespace=key.namespace, name=key.name), data=self._data)


@asynccontextmanager
async def secure_connection(url: str, secrets: Any) -> AsyncIterator[Connection]:
    cluster = Cluster(
        metadata=ObjectMeta(name="basic", namespace="ns1"),
        spec=ClusterSpec(tls_cluster=TLSCluster(enabled=True)),
        status=ClusterStatus(pd=url),
    )
    connection = Connection(direct(SecretTLS(secrets)), cluster)
    try:
        yield connection
    finally:
        await connection.close()


async def test_both_sides_prove_who_they_are(ca: Authority, tmp_path: Path) -> None:
    async with (
        PD().serving(tls=server_context(ca, tmp_path)) as pd,
        secure_connection(pd.url, Secrets(ca)) as connection,
    ):
        assert await PDClient(connection).cluster_id() == "7"


async def test_a_server_of_another_authority_is_not_trusted(ca: Authority, tmp_path: Path) -> None:
    secrets = Secrets(Authority("another"), ca)
    async with PD().serving(tls=server_context(ca, tmp_path)) as pd, secure_connection(pd.url, secrets) as connection:
        with pytest.raises(PDUnreachable, match="certificate verify failed") as raised:
            await PDClient(connection).cluster_id()
        assert not raised.value.sent
        assert pd.seen == []


async def test_without_a_good_certificate_pd_refuses_and_a_renewed_one_is_used(ca: Authority, tmp_path: Path) -> None:
    secrets = Secrets(ca, Authority("another"))
    async with PD().serving(tls=server_context(ca, tmp_path)) as pd, secure_connection(pd.url, secrets) as connection:
        with pytest.raises(PDUnreachable):
            await PDClient(connection).cluster_id()
        assert pd.seen == []
        secrets.fill(ca)
        await connection.renew()
        assert await PDClient(connection).cluster_id() == "7"
