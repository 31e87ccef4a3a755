"""How a cluster's requester is made, renewed and closed, without cutting off an exchange."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from controller_runtime.api.meta import ObjectMeta
from controller_runtime.client.transport import Transport
from helpers.fake_transport import FakeTransport
from helpers.scripted_pd import ScriptedPD, wire_store
from tikv_operator.api import Cluster, ClusterSpec, ClusterStatus
from tikv_operator.pdclient import PDClient, PDRequester, PDUnreachable, direct, requester_for, through_api_server
from tikv_operator.pdclient.connection import Connection
from tikv_operator.pdclient.direct import DirectRequester
from tikv_operator.pdclient.proxy import ServiceProxyRequester


def cluster(url: str = "http://basic-pd.ns1:2379") -> Cluster:
    return Cluster(metadata=ObjectMeta(name="basic", namespace="ns1"), spec=ClusterSpec(), status=ClusterStatus(pd=url))


class Connector:
    """Connects to `pd`, whatever that is at the moment."""

    def __init__(self) -> None:
        self.pd = ScriptedPD(stores=[wire_store()])
        self.error: PDUnreachable | None = None
        self.calls = 0

    async def __call__(self, cluster: Cluster, current: PDRequester | None) -> PDRequester:
        self.calls += 1
        await asyncio.sleep(1)
        if self.error is not None:
            raise self.error
        return self.pd


async def test_it_connects_once_when_first_used_by_many() -> None:
    connector = Connector()
    client = PDClient(Connection(connector, cluster()))
    assert connector.calls == 0
    await asyncio.gather(*(client.stores() for _ in range(10)))
    assert connector.calls == 1


async def test_a_failed_connection_is_the_calls_error_and_is_tried_again() -> None:
    connector = Connector()
    connector.error = PDUnreachable("no secret", sent=False)
    client = PDClient(Connection(connector, cluster()))
    with pytest.raises(PDUnreachable, match="no secret"):
        await client.stores()
    connector.error = None
    assert len(await client.stores()) == 1


async def test_renewing_takes_the_new_requester_and_closes_the_old_one() -> None:
    connector = Connector()
    connection = Connection(connector, cluster())
    await connection.renew()
    old, connector.pd = connector.pd, ScriptedPD()
    await connection.renew()
    assert (old.closed, connector.pd.closed) == (True, False)
    await PDClient(connection).stores()
    assert (len(old.calls), len(connector.pd.calls)) == (0, 1)


async def test_renewing_does_not_cut_off_an_exchange() -> None:
    connector = Connector()
    connection = Connection(connector, cluster())
    await connection.renew()
    old, connector.pd = connector.pd, ScriptedPD()
    old.delay = 5
    exchanges = [asyncio.create_task(PDClient(connection).stores()) for _ in range(2)]
    await asyncio.sleep(0.001)
    await connection.renew()
    assert not old.closed
    assert [len(stores) for stores in await asyncio.gather(*exchanges)] == [1, 1]
    assert old.closed


async def test_while_renewing_fails_the_old_requester_stays() -> None:
    connector = Connector()
    connection = Connection(connector, cluster())
    await connection.renew()
    connector.error = PDUnreachable("secret is gone", sent=False)
    with pytest.raises(PDUnreachable):
        await connection.renew()
    assert len(await PDClient(connection).stores()) == 1


async def test_a_closed_connection_stays_closed() -> None:
    connector = Connector()
    connection = Connection(connector, cluster())
    await connection.renew()
    await connection.close()
    await connection.close()
    assert connector.pd.closed
    with pytest.raises(PDUnreachable, match="closed"):
        await PDClient(connection).stores()
    with pytest.raises(PDUnreachable, match="closed"):
        await connection.renew()


async def test_closing_while_it_connects_leaves_nothing_open() -> None:
    connector = Connector()
    connection = Connection(connector, cluster())
    connecting = asyncio.create_task(connection.renew())
    await asyncio.sleep(0.001)
    await connection.close()
    with pytest.raises(PDUnreachable, match="closed"):
        await connecting
    assert connector.pd.closed


async def test_learning_before_a_connection_is_harmless() -> None:
    connector = Connector()
    connection = Connection(connector, cluster())
    connection.learn(["http://pd-0:2379"])
    await connection.renew()
    connection.learn(["http://pd-1:2379"])
    assert connector.pd.learned == ("http://pd-1:2379",)


async def test_directly_a_new_requester_is_made_only_for_other_credentials() -> None:
    contexts: list[ssl.SSLContext | None] = [None]

    async def provider(_: Cluster) -> ssl.SSLContext | None:
        return contexts[0]

    connect = direct(provider)
    first = await connect(cluster(), None)
    assert isinstance(first, DirectRequester)
    assert first.url == "http://basic-pd.ns1:2379"
    assert await connect(cluster(), first) is first
    contexts[0] = ssl.create_default_context()
    second = await connect(cluster(), first)
    assert second is not first
    assert isinstance(second, DirectRequester)
    assert second.ssl is contexts[0]


async def test_through_the_api_server_one_requester_is_enough() -> None:
    connect = through_api_server(FakeTransport())
    first = await connect(cluster(), None)
    assert isinstance(first, ServiceProxyRequester)
    assert await connect(cluster(), first) is first


async def test_a_pd_outside_of_kubernetes_cannot_be_reached_through_the_api_server() -> None:
    with pytest.raises(PDUnreachable, match="no URL of a service"):
        await through_api_server(FakeTransport())(cluster("http://10.0.0.1:2379"), None)


def test_the_mode_decides() -> None:
    transport: Transport = FakeTransport()
    assert isinstance(requester_for("http://basic-pd.ns1:2379", "direct"), DirectRequester)
    assert isinstance(requester_for("http://basic-pd.ns1:2379", "proxy", transport=transport), ServiceProxyRequester)
    with pytest.raises(ValueError, match="transport"):
        requester_for("http://basic-pd.ns1:2379", "proxy")
