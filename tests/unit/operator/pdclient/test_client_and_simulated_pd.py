"""The client and the simulated PD speak the same language: what one asks, the other answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from controller_runtime.clock import LoopClock
from helpers.simulated_pd import PDWorld
from tikv_operator.pdclient import NodeState, PDClient, PDError, PDNotFound, PDResponse, StoreState
from tikv_operator.pdclient.poll import take_snapshot
from tikv_operator.simulation.pd.http import handle


class Simulated:
    """A requester that asks the simulated PD."""

    def __init__(self, world: PDWorld) -> None:
        self._world = world

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: float,
        base: str = "",
    ) -> PDResponse:
        status, answer = handle(self._world.pd, method, path, params, body or b"", now=self._world.now)
        return PDResponse(status, answer, f"http://pd:2379{path}")

    def learn(self, urls: Sequence[str]) -> None: ...
    async def close(self) -> None: ...


@pytest.fixture
def world() -> PDWorld:
    return PDWorld()


@pytest.fixture
def client(world: PDWorld) -> PDClient:
    return PDClient(Simulated(world))


async def test_before_the_first_tikv(client: PDClient) -> None:
    snapshot = await take_snapshot(client, LoopClock())
    assert not snapshot.stores
    assert not snapshot.evicting
    assert [member.name for member in snapshot.members.members] == ["pd-0"]
    assert snapshot.members.client_urls == ("http://pd-0.peer.ns:2379",)


async def test_a_whole_look(client: PDClient, world: PDWorld) -> None:
    started = world.start_all(4)
    await client.begin_evict_leader(str(started[1].id))
    snapshot = await take_snapshot(client, LoopClock())
    assert set(snapshot.stores) == {f"tikv-{number}:20160" for number in range(4)}
    store = snapshot.stores["tikv-0:20160"]
    assert (store.state, store.node_state, store.labels["zone"]) == (StoreState.UP, NodeState.SERVING, "a")
    assert store.region_count > 0
    assert store.start_timestamp > 0
    assert store.last_heartbeat == pytest.approx(world.now, abs=60)
    assert snapshot.evicting == {str(started[1].id)}
    assert snapshot.cluster_id == await client.cluster_id() != ""
    assert snapshot.config.max_replicas == 3
    assert [member.healthy for member in await client.health()] == [True]
    assert (await client.down_peers()).count == 0


async def test_leaders_leave_and_come_back(client: PDClient, world: PDWorld) -> None:
    store_id = str(world.start_all(3)[0].id)
    assert (await client.store(store_id)).leader_count > 0
    await client.begin_evict_leader(store_id)
    await client.begin_evict_leader(store_id)
    world.after(600)
    assert (await client.store(store_id)).leader_count == 0
    assert await client.evicting_stores() == {store_id}
    await client.end_evict_leader(store_id)
    await client.end_evict_leader(store_id)
    assert await client.evicting_stores() == set()


async def test_a_store_is_removed(client: PDClient, world: PDWorld) -> None:
    store_id = str(world.start_all(4)[0].id)
    await client.delete_store(store_id)
    assert (await client.store(store_id)).node_state == NodeState.REMOVING
    world.after(3600)
    store = next(found for found in await client.stores() if found.id == store_id)
    assert (store.state, store.node_state, store.tombstone) == (StoreState.TOMBSTONE, NodeState.REMOVED, True)
    await client.delete_store(store_id)


async def test_a_removal_is_taken_back(client: PDClient, world: PDWorld) -> None:
    store_id = str(world.start_all(4)[0].id)
    await client.delete_store(store_id)
    await client.cancel_delete_store(store_id)
    assert (await client.store(store_id)).node_state == NodeState.SERVING


async def test_too_few_stores_would_be_left(client: PDClient, world: PDWorld) -> None:
    store_id = str(world.start_all(3)[0].id)
    with pytest.raises(PDError) as raised:
        await client.delete_store(store_id)
    assert (raised.value.status, raised.value.retryable) == (400, False)


async def test_labels_are_set_and_removed(client: PDClient, world: PDWorld) -> None:
    store_id = str(world.start_all(3)[0].id)
    await client.set_store_labels(store_id, {"$k/exclusive": "true", "rack": "r1"})
    labels = (await client.store(store_id)).labels
    assert (labels["$k/exclusive"], labels["rack"], labels["zone"]) == ("true", "r1", "a")
    await client.delete_store_label(store_id, "$k/exclusive")
    assert "$k/exclusive" not in (await client.store(store_id)).labels


async def test_what_does_not_exist(client: PDClient, world: PDWorld) -> None:
    world.start_all(3)
    with pytest.raises(PDNotFound):
        await client.store("999999")
    await client.delete_store("999999")
    await client.cancel_delete_store("999999")
    await client.end_evict_leader("999999")
    await client.delete_member("nobody")
    await client.transfer_leader("pd-0")
