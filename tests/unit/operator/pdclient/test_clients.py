"""Registering and dropping clusters, and what is left afterwards: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey
from controller_runtime.clock import LoopClock
from helpers.key_queue import KeyQueue
from helpers.recording_log import RecordingLog
from helpers.scripted_pd import News, ScriptedPD, wire_store
from tikv_operator.api import (
    Cluster,
    ClusterClientTLS,
    ClusterSecurity,
    ClusterSpec,
    ClusterStatus,
    ClusterTLS,
    SecretReference,
    TLSCluster,
)
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient import PDClients, PDRequester, PDUnreachable

KEY = ObjectKey("ns1", "basic")
A = "basic-tikv-a.basic-tikv-peer.ns1:20160"
URL = "http://basic-pd.ns1:2379"


def cluster(
    name: str = "basic",
    *,
    pd: str | None = URL,
    uid: str = "u1",
    tls: ClusterClientTLS | bool = False,
    namespace: str = "ns1",
) -> Cluster:
    client = tls if isinstance(tls, ClusterClientTLS) else None
    return Cluster(
        metadata=ObjectMeta(name=name, namespace=namespace, uid=uid),
        spec=ClusterSpec(
            tls_cluster=TLSCluster(enabled=True) if tls else None,
            security=ClusterSecurity(tls=ClusterTLS(client=client)) if client else None,
        ),
        status=ClusterStatus(pd=pd) if pd is not None else None,
    )


@dataclass
class World:
    """Every connection leads to a new scripted PD, kept in `pds` under the cluster's key."""

    pds: dict[ObjectKey, list[ScriptedPD]] = field(default_factory=dict)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    log: RecordingLog = field(default_factory=RecordingLog)
    clients: PDClients = field(init=False)

    def __post_init__(self) -> None:
        self.clients = PDClients(
            self.connect,
            settings=Settings(),
            clock=LoopClock(),
            log=self.log,
            registry=self.registry,
            jitter=lambda: 0.5,
        )

    async def connect(self, of: Cluster, current: PDRequester | None) -> PDRequester:
        if current is not None:
            return current
        pd = ScriptedPD(stores=[wire_store(1, A)])
        self.pds.setdefault(of.key, []).append(pd)
        return pd

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            runner = group.create_task(self.clients.run())
            try:
                await asyncio.sleep(0.001)
                yield
            finally:
                runner.cancel()

    def age_series(self) -> dict[str, float]:
        return {
            sample.labels["cluster"]: sample.value
            for metric in self.registry.collect()
            if metric.name == "tikv_operator_pd_snapshot_age_seconds"
            for sample in metric.samples
        }


def pollers() -> int:
    return sum(task.get_name().startswith("pd-poller") for task in asyncio.all_tasks())


async def test_a_registered_cluster_is_polled() -> None:
    w = World()
    async with w.running():
        assert w.clients.get(KEY) is None
        handle = w.clients.register(cluster())
        assert w.clients.get(KEY) is handle
        assert not handle.fresh()
        await asyncio.sleep(0.001)
        assert handle.fresh()
        assert handle.store(A) is not None


async def test_registering_again_changes_nothing() -> None:
    w = World()
    async with w.running():
        first = w.clients.register(cluster())
        await asyncio.sleep(1)
        assert w.clients.register(cluster()) is first
        await asyncio.sleep(1)
        assert (pollers(), len(w.pds[KEY])) == (1, 1)


def secrets(ca: str | None = None, pair: str | None = None, skip: bool | None = None) -> ClusterClientTLS:
    def reference(name: str | None) -> SecretReference | None:
        return SecretReference(name=name) if name else None

    return ClusterClientTLS(ca=reference(ca), cert_key_pair=reference(pair), insecure_skip_tls_verify=skip)


@pytest.mark.parametrize(
    ("before", "after", "replaced"),
    [
        pytest.param({}, {"pd": "http://other-pd.ns1:2379"}, True, id="another URL"),
        pytest.param({}, {"uid": "u2"}, True, id="another Cluster of the same name"),
        pytest.param({"tls": True}, {"tls": secrets(ca="x")}, True, id="another CA"),
        pytest.param({"tls": True}, {"tls": secrets(pair="x")}, True, id="another certificate"),
        pytest.param({"tls": True}, {"tls": secrets(skip=True)}, True, id="no verification"),
        pytest.param({"tls": True}, {"tls": secrets("basic-cluster-client-secret")}, False, id="the default by name"),
        pytest.param({}, {"tls": False}, False, id="nothing"),
    ],
)
async def test_a_handle_is_replaced_when_it_was_made_for_another_pd(
    before: dict[str, Any], after: dict[str, Any], replaced: bool
) -> None:
    w = World()
    async with w.running():
        old = w.clients.register(cluster(**before))
        await asyncio.sleep(1)
        new = w.clients.register(cluster(**after))
        assert (new is not old) is replaced
        assert (old.closed, old.fresh()) == (replaced, not replaced)
        await asyncio.sleep(1)
        assert new.fresh()
        assert [pd.closed for pd in w.pds[KEY]] == ([True, False] if replaced else [False])
        assert pollers() == 1


async def test_a_cluster_without_pd_cannot_be_registered() -> None:
    w = World()
    for pd in (None, ""):
        with pytest.raises(ValueError, match="ns1/basic names no PD"):
            w.clients.register(cluster(pd=pd))


async def test_a_dropped_cluster_leaves_nothing_behind() -> None:
    w = World()
    async with w.running():
        handle = w.clients.register(cluster())
        await asyncio.sleep(1)
        assert list(w.age_series()) == ["ns1/basic"]
        w.clients.deregister(KEY)
        assert w.clients.get(KEY) is None
        assert not handle.fresh(), "at once"
        assert w.age_series() == {}
        await asyncio.sleep(0.001)
        assert pollers() == 0
        assert w.pds[KEY][0].closed
        with pytest.raises(PDUnreachable, match="closed"):
            await handle.client.stores()
        w.clients.deregister(KEY)
        w.clients.deregister(ObjectKey("ns1", "never-seen"))


async def test_clusters_come_and_go_in_one_breath() -> None:
    w = World()
    async with w.running():
        for _ in range(10):
            w.clients.register(cluster())
            w.clients.deregister(KEY)
        await asyncio.sleep(1)
        assert pollers() == 0
        assert w.pds == {}


async def test_what_was_registered_before_the_start_is_polled_after_it() -> None:
    w = World()
    handle = w.clients.register(cluster())
    await asyncio.sleep(60)
    assert w.pds == {}
    async with w.running():
        assert handle.fresh()


async def test_a_client_works_before_the_start_and_is_closed_with_the_others() -> None:
    w = World()
    used = w.clients.register(cluster())
    await used.client.stores()
    dropped = w.clients.register(cluster("other"))
    await dropped.client.stores()
    w.clients.deregister(dropped.cluster)
    async with w.running():
        pass
    assert all(pd.closed for pds in w.pds.values() for pd in pds)


async def test_stopping_closes_all() -> None:
    w = World()
    async with w.running():
        handles = [w.clients.register(cluster(f"c{number}")) for number in range(20)]
        await asyncio.sleep(1)
        assert pollers() == 20
    assert pollers() == 0
    assert all(handle.closed for handle in handles)
    assert all(pd.closed for pds in w.pds.values() for pd in pds)
    assert w.age_series() == {}


async def test_stopping_while_one_was_just_registered() -> None:
    w = World()
    async with w.running():
        handle = w.clients.register(cluster())
    assert handle.closed


async def test_one_pd_that_is_down_holds_up_no_other() -> None:
    w = World()
    async with w.running():
        good, bad = w.clients.register(cluster("good")), w.clients.register(cluster("bad"))
        await asyncio.sleep(1)
        w.pds[bad.cluster][0].down = True
        await asyncio.sleep(120)
        assert (good.fresh(), bad.fresh()) == (True, False)


async def test_the_age_of_each_snapshot_is_a_metric() -> None:
    w = World()
    async with w.running():
        w.clients.register(cluster("a"))
        w.clients.register(cluster("b"))
        await asyncio.sleep(10)
        assert w.age_series() == {"ns1/a": pytest.approx(10, abs=0.1), "ns1/b": pytest.approx(10, abs=0.1)}


async def test_listeners_hear_of_every_cluster_until_they_leave() -> None:
    w = World()
    news = News()
    async with w.running():
        with w.clients.listeners.listening(news):
            w.clients.register(cluster("a"))
            w.clients.register(cluster("b"))
            await asyncio.sleep(1)
            assert news.take() == ([{A}, {A}], 2)
        w.clients.register(cluster("c"))
        await asyncio.sleep(1)
        assert news.take() == ([], 0)


async def test_the_sources_feed_tikvs_and_clusters_from_a_real_poll() -> None:
    w = World()
    tikvs, clusters = KeyQueue(), KeyQueue()
    async with w.running(), w.clients.source().start(tikvs.feed), w.clients.cluster_source().start(clusters.feed):
        w.clients.register(cluster())
        await asyncio.sleep(1)
        assert (tikvs.take(), clusters.take()) == ([ObjectKey("ns1", "basic-a")], [KEY])
        w.pds[KEY][0].stores[0]["store"]["node_state"] = 2
        await asyncio.sleep(30)
        assert (tikvs.take(), clusters.take()) == ([ObjectKey("ns1", "basic-a")], [])
        w.pds[KEY][0].down = True
        await asyncio.sleep(40)
        assert (tikvs.take(), clusters.take()) == ([ObjectKey("ns1", "basic-a")], [KEY])
