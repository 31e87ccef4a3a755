"""PD through the API server's proxy: the paths, and whose answer it is."""

from __future__ import annotations

import msgspec
import pytest

from controller_runtime.client.errors import Forbidden, RequestTimeout, TransportError
from controller_runtime.client.transport import Response
from helpers.fake_transport import FakeTransport
from tikv_operator.pdclient import PDClient, PDError, PDNotFound, PDUnexpectedAnswer, PDUnreachable
from tikv_operator.pdclient.proxy import ServiceProxyRequester, proxy_path

URL = "http://basic-pd.ns1:2379"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param(URL, "/api/v1/namespaces/ns1/services/http:basic-pd:2379/proxy", id="service"),
        pytest.param(
            "http://basic-pd.ns1:2379/", "/api/v1/namespaces/ns1/services/http:basic-pd:2379/proxy", id="slash"
        ),
        pytest.param("https://pd.ns1", "/api/v1/namespaces/ns1/services/https:pd:443/proxy", id="default port"),
        pytest.param(
            "https://pd.ns1.svc.cluster.local:2379",
            "/api/v1/namespaces/ns1/services/https:pd:2379/proxy",
            id="full name",
        ),
        pytest.param("http://pd.ns1:2379/base", "/api/v1/namespaces/ns1/services/http:pd:2379/proxy/base", id="prefix"),
        pytest.param(
            "http://basic-pd-a.basic-pd-peer.ns1:2379",
            "/api/v1/namespaces/ns1/pods/http:basic-pd-a:2379/proxy",
            id="pod",
        ),
        pytest.param(
            "http://basic-pd-a.basic-pd-peer.ns1.svc.cluster.local:2379",
            "/api/v1/namespaces/ns1/pods/http:basic-pd-a:2379/proxy",
            id="pod by its full name",
        ),
    ],
)
def test_the_path_of_a_url(url: str, path: str) -> None:
    assert proxy_path(url) == path


@pytest.mark.parametrize(
    "url",
    ["", "pd.ns1:2379", "ftp://pd.ns1", "http://pd:2379", "http://10.0.0.1:2379", "http://pd..ns1:1", "http://a.b.c.d"],
)
def test_a_url_that_is_no_service_or_pod(url: str) -> None:
    with pytest.raises(ValueError, match="no URL of a service or pod"):
        proxy_path(url)


async def test_a_request_is_passed_on_as_it_is() -> None:
    transport = FakeTransport(Response(200, {}, b"ok"))
    pd = ServiceProxyRequester(transport, URL)
    answer = await pd.request("POST", "/pd/api/v1/x", params=[("state", "Up")], body=b'"b"', timeout=3)
    assert (answer.status, answer.body, answer.url) == (200, b"ok", "http://basic-pd.ns1:2379/pd/api/v1/x")
    (sent,) = transport.requests
    assert sent.method == "POST"
    assert sent.path == "/api/v1/namespaces/ns1/services/http:basic-pd:2379/proxy/pd/api/v1/x"
    assert (sent.params, sent.body, sent.content_type, sent.timeout) == (
        [("state", "Up")],
        b'"b"',
        "application/json",
        3,
    )


async def test_one_server_is_reached_through_its_pod() -> None:
    transport = FakeTransport()
    pd = ServiceProxyRequester(transport, URL)
    await pd.request("GET", "/pd/api/v2/ready", timeout=3, base="http://basic-pd-a.basic-pd-peer.ns1:2379")
    assert transport.requests[0].path == "/api/v1/namespaces/ns1/pods/http:basic-pd-a:2379/proxy/pd/api/v2/ready"


def status(code: int, message: str) -> Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return Response(code, {}, msgspec.json.encode(body))


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        pytest.param(status(404, 'services "basic-pd" not found'), False, id="no service"),
        pytest.param(status(403, "services is forbidden: cannot create services/proxy"), False, id="forbidden"),
        pytest.param(status(401, "Unauthorized"), False, id="unauthorized"),
        pytest.param(status(503, "no endpoints available for service"), True, id="no endpoints"),
        pytest.param(status(502, "error trying to reach service: EOF"), True, id="broke on the way"),
    ],
)
async def test_the_api_servers_own_words_are_never_taken_for_pds(answer: Response, sent: bool) -> None:
    pd = ServiceProxyRequester(FakeTransport(answer), URL)
    with pytest.raises(PDUnreachable, match="the API server does not reach PD at http://basic-pd") as raised:
        await pd.request("DELETE", "/pd/api/v1/store/4", timeout=3)
    assert raised.value.sent is sent


async def test_a_store_is_not_called_gone_because_pds_service_is() -> None:
    missing = FakeTransport(status(404, 'services "basic-pd" not found'))
    with pytest.raises(PDUnreachable):
        await PDClient(ServiceProxyRequester(missing, URL)).delete_store("4")
    gone = FakeTransport(Response(404, {}, b'"store 4 not found"'))
    await PDClient(ServiceProxyRequester(gone, URL)).delete_store("4")


@pytest.mark.parametrize("body", [b"", b"<html>", b'"text"', b'{"kind":"Status"}', b'{"kind":"X","apiVersion":"v1"}'])
async def test_any_other_refusal_is_pds(body: bytes) -> None:
    with pytest.raises(PDNotFound):
        await PDClient(ServiceProxyRequester(FakeTransport(Response(404, {}, body)), URL)).store("4")


@pytest.mark.parametrize("error", [TransportError("refused"), Forbidden("no", code=403)], ids=str)
async def test_no_answer_from_the_api_server_is_no_answer_from_pd(error: Exception) -> None:
    pd = ServiceProxyRequester(FakeTransport(error), URL)
    with pytest.raises(PDUnreachable, match="through the API server"):
        await pd.request("GET", "/x", timeout=3)


async def test_a_time_out_on_the_way_is_told_as_one() -> None:
    pd = ServiceProxyRequester(FakeTransport(RequestTimeout("no answer within 3 s")), URL)
    with pytest.raises(PDUnreachable) as raised:
        await pd.request("GET", "/x", timeout=3)
    assert raised.value.timed_out


async def test_an_answer_beyond_all_measure_is_refused() -> None:
    pd = ServiceProxyRequester(FakeTransport(Response(200, {}, b"x" * 101)), URL, max_body=100)
    with pytest.raises(PDUnexpectedAnswer, match="longer than 100 bytes"):
        await pd.request("GET", "/x", timeout=3)


async def test_closing_leaves_the_transport_open() -> None:
    pd = ServiceProxyRequester(FakeTransport(), URL)
    pd.learn(["http://elsewhere:2379"])
    await pd.close()
    with pytest.raises(PDError, match="closed"):
        await pd.request("GET", "/x", timeout=3)
