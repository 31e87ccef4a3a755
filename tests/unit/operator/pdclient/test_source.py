"""Changes in PD reach the controllers as keys: of one TiKV, found from its address, or of the Cluster."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api.resource import ObjectKey
from controller_runtime.source import Source
from helpers.key_queue import KeyQueue
from tikv_operator.pdclient.listeners import Listeners
from tikv_operator.pdclient.source import cluster_source, store_source

BASIC = ObjectKey("ns1", "basic")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        pytest.param("basic-tikv-a1.basic-tikv-peer.ns1:20160", ObjectKey("ns1", "basic-a1"), id="short name"),
        pytest.param(
            "basic-tikv-a1.basic-tikv-peer.ns1.svc.cluster.local:20160", ObjectKey("ns1", "basic-a1"), id="full"
        ),
        pytest.param("a-b-tikv-a1.basic-cluster.ns1:1", ObjectKey("ns1", "a-b-a1"), id="cluster subdomain"),
        pytest.param("basic-tiflash-a1.basic-tiflash-peer.ns1:3930", None, id="TiFlash"),
        pytest.param("basic-tikv-a1.basic-tikv-peer.ns2:20160", None, id="another namespace"),
        pytest.param("10.0.0.1:20160", None, id="outside of Kubernetes"),
    ],
)
async def test_a_changed_store_is_the_key_of_its_tikv(address: str, key: ObjectKey | None) -> None:
    listeners, queue = Listeners(), KeyQueue()
    async with store_source(listeners).start(queue.feed):
        listeners.stores_changed(BASIC, frozenset({address}))
    assert queue.keys == ([key] if key else [])


async def test_many_stores_change_at_once() -> None:
    listeners, queue = Listeners(), KeyQueue()
    async with store_source(listeners).start(queue.feed):
        listeners.stores_changed(BASIC, frozenset(f"basic-tikv-{n}.basic-tikv-peer.ns1:20160" for n in range(100)))
        listeners.cluster_changed(BASIC)
    assert sorted(queue.keys) == sorted(ObjectKey("ns1", f"basic-{n}") for n in range(100))


async def test_a_changed_cluster_is_its_own_key() -> None:
    listeners, queue = Listeners(), KeyQueue()
    async with cluster_source(listeners).start(queue.feed):
        listeners.stores_changed(BASIC, frozenset({"basic-tikv-a1.basic-tikv-peer.ns1:20160"}))
        listeners.cluster_changed(BASIC)
    assert queue.keys == [BASIC]


async def test_a_changed_cluster_can_concern_others() -> None:
    listeners, queue = Listeners(), KeyQueue()
    source = cluster_source(listeners, lambda cluster: [ObjectKey(cluster.namespace, f"tikv-{n}") for n in range(2)])
    async with source.start(queue.feed):
        listeners.cluster_changed(BASIC)
    assert queue.keys == [ObjectKey("ns1", "tikv-0"), ObjectKey("ns1", "tikv-1")]


@pytest.mark.parametrize("make", [store_source, cluster_source])
async def test_a_source_feeds_several_controllers_and_stops_with_each(make: Any) -> None:
    listeners, one, two = Listeners(), KeyQueue(), KeyQueue()
    source: Source = make(listeners)

    def news() -> None:
        listeners.stores_changed(BASIC, frozenset({"basic-tikv-a1.basic-tikv-peer.ns1:20160"}))
        listeners.cluster_changed(BASIC)

    async with source.start(one.feed):
        async with source.start(two.feed):
            news()
        news()
    news()
    assert (len(one.keys), len(two.keys)) == (2, 1)
