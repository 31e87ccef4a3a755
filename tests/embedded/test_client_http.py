"""The HTTP transport against a server that behaves, and one that does not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry

from controller_runtime.client import ClientConfig, ClientMetrics, HttpTransport, RequestTimeout, TransportError
from controller_runtime.client.credentials import Credentials, Headers, StaticCredentials
from controller_runtime.client.transport import Request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
GET = Request(method="GET", path="/api/v1/pods")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server whose every path is answered by `handler`; yields its URL."""
    server = web.Server(handler)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def transport(
    url: str, credentials: Credentials | None = None, *, metrics: ClientMetrics | None = None, proxy: str = ""
) -> AsyncIterator[HttpTransport]:
    config = ClientConfig(host=url, credentials=credentials or StaticCredentials(), proxy=proxy)
    made = HttpTransport(config, metrics=metrics, user_agent="tester/1")
    try:
        yield made
    finally:
        await made.close()


# Requests


async def test_a_request_arrives_as_it_was_meant() -> None:
    seen: list[web.Request] = []
    bodies: list[bytes] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        bodies.append(await request.read())
        return web.Response(status=201, body=b'{"ok":1}', headers={"X-Thing": "Y"})

    request = Request(
        method="PATCH",
        path="/api/v1/namespaces/ns/pods/a%2Fb",
        params=[("labelSelector", "a in (b,c),!d"), ("continue", "x+y/z==")],
        body=b"{}",
        content_type="application/apply-patch+yaml",
        accept="application/json;v=v2",
        headers={"X-Extra": "1"},
    )
    credentials = StaticCredentials(
        [("Authorization", "Bearer t"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")]
    )
    async with serving(handler) as url, transport(url + "/k8s/clusters/c1/", credentials) as client:
        response = await client.request(request)
    assert (response.status, response.body, response.headers["x-thing"]) == (201, b'{"ok":1}', "Y")
    (got,) = seen
    assert (got.method, got.raw_path.partition("?")[0]) == ("PATCH", "/k8s/clusters/c1/api/v1/namespaces/ns/pods/a%2Fb")
    assert list(got.query.items()) == [("labelSelector", "a in (b,c),!d"), ("continue", "x+y/z==")]
    assert bodies == [b"{}"]
    assert got.headers["Content-Type"] == "application/apply-patch+yaml"
    assert got.headers["Accept"] == "application/json;v=v2"
    assert got.headers["User-Agent"] == "tester/1"
    assert got.headers["X-Extra"] == "1"
    assert got.headers.getall("Impersonate-Group") == ["a", "b"]


async def test_a_header_that_comes_several_times_arrives_whole() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(headers=CIMultiDict([("Warning", '299 - "a"'), ("Warning", '299 - "b"')]))

    async with serving(handler) as url, transport(url) as made:
        assert (await made.request(GET)).headers["warning"] == '299 - "a", 299 - "b"'


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://elsewhere.invalid/"})

    async with serving(handler) as url, transport(url) as client:
        assert (await client.request(GET)).status == 302


async def test_cookies_are_not_kept() -> None:
    cookies: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with serving(handler) as url, transport(url) as client:
        await client.request(GET)
        await client.request(GET)
    assert cookies == [None, None]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="direct")

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with serving(handler) as url, transport(url) as client:
        assert (await client.request(GET)).body == b"direct"


async def test_the_configured_proxy_is_used() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.headers['Host']}")

    async with serving(handler) as proxy, transport("http://api.invalid:6443", proxy=proxy) as client:
        assert (await client.request(GET)).body == b"GET api.invalid:6443"


# Authentication


class Renewing:
    """Credentials of which the server takes only the newest."""

    def __init__(self, *, renewable: bool = True) -> None:
        self.number = 0
        self.renewable = renewable

    async def headers(self) -> Headers:
        return [("Authorization", f"Bearer t{self.number}")]

    async def rejected(self, headers: Headers) -> bool:
        if self.renewable and headers == await self.headers():
            self.number += 1
        return headers != await self.headers()


def guarded(valid: str, seen: list[str]) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.Response(status=200 if seen[-1] == f"Bearer {valid}" else 401)

    return handler


async def test_a_401_is_answered_once_with_renewed_credentials() -> None:
    seen: list[str] = []
    async with serving(guarded("t1", seen)) as url, transport(url, Renewing()) as client:
        assert (await client.request(GET)).status == 200
        assert (await client.request(GET)).status == 200
    assert seen == ["Bearer t0", "Bearer t1", "Bearer t1"]


async def test_a_401_that_stays_goes_to_the_caller() -> None:
    seen: list[str] = []
    async with serving(guarded("never", seen)) as url, transport(url, Renewing()) as client:
        assert (await client.request(GET)).status == 401
    assert seen == ["Bearer t0", "Bearer t1"]


async def test_a_401_without_anything_to_renew_is_one_request() -> None:
    seen: list[str] = []
    async with serving(guarded("x", seen)) as url, transport(url, Renewing(renewable=False)) as client:
        assert (await client.request(GET)).status == 401
    assert len(seen) == 1


async def test_a_watch_renews_its_credentials_too() -> None:
    seen: list[str] = []
    async with serving(guarded("t1", seen)) as url, transport(url, Renewing()) as client, client.stream(GET) as stream:
        assert stream.status == 200


async def test_renewing_does_not_disturb_open_streams() -> None:
    credentials = Renewing()

    async def handler(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"one\n")
            await go_on.wait()
            await response.write(b"two\n")
            return response
        return web.Response(status=200 if request.headers["Authorization"] == "Bearer t1" else 401)

    go_on = asyncio.Event()
    watch = Request(method="GET", path="/", params=[("watch", "true")])
    async with serving(handler) as url, transport(url, credentials) as client, client.stream(watch) as stream:
        lines = stream.lines()
        assert await anext(lines) == b"one"
        assert (await client.request(GET)).status == 200
        go_on.set()
        assert [line async for line in lines] == [b"two"]


# Trouble


async def test_a_refused_connection_is_a_transport_error_that_names_the_request() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with transport(url) as client:
            with pytest.raises(TransportError, match=r"^GET /api/v1/pods: .*Cannot connect"):
                await client.request(GET)
            with pytest.raises(TransportError):
                async with client.stream(GET):
                    pass


async def test_a_name_that_does_not_resolve_is_a_transport_error() -> None:
    async with transport("http://does-not-exist.invalid") as client:
        with pytest.raises(TransportError, match="GET /api/v1/pods"):
            await client.request(GET)


async def test_an_answer_that_does_not_come_is_a_timeout() -> None:
    hold = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await hold.wait()
        return web.Response()

    async with serving(handler) as url, transport(url) as client:
        with pytest.raises(RequestTimeout, match="GET /api/v1/pods: timed out"):
            await client.request(Request(method="GET", path="/api/v1/pods", timeout=0.05))
        hold.set()


@asynccontextmanager
async def raw_server(*chunks: bytes) -> AsyncIterator[str]:
    """A server that sends these bytes to whoever connects, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [b"nonsense\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"],
    ],
    ids=["hangs up", "no HTTP", "half a body", "half a chunk"],
)
async def test_a_broken_answer_is_a_transport_error(chunks: Sequence[bytes]) -> None:
    async with raw_server(*chunks) as url, transport(url) as client:
        with pytest.raises(TransportError):
            await client.request(GET)


async def test_no_error_text_carries_a_secret() -> None:
    credentials = StaticCredentials([("Authorization", "Bearer hunter2")])
    async with raw_server(b"HTTP/1.1 nonsense") as url, transport(url, credentials) as client:
        with pytest.raises(TransportError) as caught:
            await client.request(GET)
    assert str(caught.value).startswith("GET /api/v1/pods: ClientResponseError: 400")
    assert "hunter2" not in f"{caught.value}{client!r}"
    # The cause would show the headers to whoever logs it.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# Streams


def streaming(*chunks: bytes, hold: asyncio.Event | None = None) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if hold is not None:
            await hold.wait()
        return response

    return handler


async def test_a_stream_is_read_line_by_line_however_it_is_cut() -> None:
    cut = streaming(b'{"a":', b"1}\n\r\n{", b'"b":2}\nlast')
    async with serving(cut) as url, transport(url) as client, client.stream(GET) as stream:
        assert [line async for line in stream.lines()] == [b'{"a":1}', b"", b'{"b":2}', b"last"]


async def test_a_line_of_several_megabytes_is_read() -> None:
    long = b"x" * 6_000_000
    async with serving(streaming(long + b"\nshort\n")) as url, transport(url) as client, client.stream(GET) as stream:
        assert [len(line) async for line in stream.lines()] == [6_000_000, 5]


async def test_a_line_without_end_is_an_error_and_not_all_of_the_memory() -> None:
    async with (
        serving(streaming(*[b"x" * 1_000_000] * 18)) as url,
        transport(url) as client,
        client.stream(GET) as stream,
    ):
        with pytest.raises(TransportError):
            await anext(stream.lines())


async def test_a_silent_stream_is_a_timeout() -> None:
    hold = asyncio.Event()
    request = Request(method="GET", path="/", timeout=0.05)
    async with serving(streaming(b"one\n", hold=hold)) as url, transport(url) as client:
        async with client.stream(request) as stream:
            lines = stream.lines()
            assert await anext(lines) == b"one"
            with pytest.raises(RequestTimeout):
                await anext(lines)
        hold.set()


async def test_a_stream_that_breaks_is_a_transport_error() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n9\r\ntw"
    async with raw_server(head) as url, transport(url) as client, client.stream(GET) as stream:
        lines = stream.lines()
        assert await anext(lines) == b"one"
        with pytest.raises(TransportError):
            await anext(lines)


async def test_leaving_a_stream_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"line\n")
                await asyncio.sleep(0.001)
        except (ConnectionError, asyncio.CancelledError):
            gone.set()
            raise

    async with serving(handler) as url, transport(url) as client:
        async with client.stream(GET) as stream:
            assert await anext(stream.lines()) == b"line"
        async with asyncio.timeout(5):
            await gone.wait()


async def test_the_body_of_a_refused_stream_can_be_read_up_to_a_limit() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=403, body=b"x" * 1_000_000)

    async with serving(handler) as url, transport(url) as client, client.stream(GET) as stream:
        assert stream.status == 403
        assert len(await stream.read()) == 65536


async def test_open_watches_do_not_hold_up_requests() -> None:
    hold = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.Response(text="here")
        return await streaming(b"line\n", hold=hold)(request)

    watch = Request(method="GET", path="/", params=[("watch", "true")])
    async with serving(handler) as url, transport(url) as client, contextlib.AsyncExitStack() as stack:
        for _ in range(150):
            stream = await stack.enter_async_context(client.stream(watch))
            await anext(stream.lines())
        assert (await client.request(GET)).body == b"here"
        hold.set()


# The rest


async def test_exchanges_are_counted_by_code_verb_and_host() -> None:
    registry = CollectorRegistry()

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=404 if request.path.endswith("missing") else 200)

    metrics = ClientMetrics(registry)
    async with serving(handler) as url, transport(url, metrics=metrics) as client:
        host = client.host
        await client.request(GET)
        await client.request(Request(method="DELETE", path="/missing"))
        async with client.stream(Request(method="GET", path="/", params=[("watch", "true")])):
            pass
        gone = HttpTransport(ClientConfig(host="http://127.0.0.1:1"), metrics=metrics)
        with pytest.raises(TransportError):
            await gone.request(GET)
        await gone.close()

    def count(code: str, method: str, at: str = host) -> float | None:
        labels = {"code": code, "method": method, "host": at}
        return registry.get_sample_value("rest_client_requests_total", labels)

    assert [count("200", "GET"), count("404", "DELETE"), count("200", "WATCH")] == [1, 1, 1]
    assert count("<error>", "GET", "127.0.0.1:1") == 1
    labels = {"verb": "GET", "host": host}
    assert registry.get_sample_value("rest_client_request_duration_seconds_count", labels) == 1


async def test_a_closed_transport_says_so() -> None:
    client = HttpTransport(ClientConfig(host="http://127.0.0.1:1"))
    await client.close()
    await client.close()
    assert repr(client) == "<HttpTransport http://127.0.0.1:1 closed>"
    with pytest.raises(TransportError, match="the transport is closed"):
        await client.request(GET)
