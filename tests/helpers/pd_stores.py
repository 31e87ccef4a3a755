"""Stores for a real PD: they register, send heartbeats of themselves and their regions, and do what PD's operators ask.

    async with HeartbeatStores(lambda: pd.client_urls, regions=12) as stores:
        first = stores.start("tikv-0:20160")
        await first.registered()

There is no data, but everything PD can see: the first store bootstraps the cluster and holds all regions; PD adds peers on the
others, moves leaders and peers, and buries a store that it has emptied. When a store stops, its regions elect other leaders,
if a majority of their peers is left, and report the peers that are down.

Concurrency: for one event loop, whose wall clock is the machine's. Leaving the context stops all stores.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, final

import grpc
import grpc.aio

from helpers import pd_rpc_pb2 as rpc
from helpers.pd_connection import NOT_BOOTSTRAPPED, PDCallFailed, PDConnection, RegionStream
from helpers.pd_raft import Change, ChangeType, RaftRegion, Replica, split

__all__ = ["HeartbeatStore", "HeartbeatStores"]

_RETRY: Final = 0.2
_BEAT: Final = 0.5  # seconds between two heartbeats of a store, and of a region of which there is no news
_ELECTION: Final = 0.5  # seconds after its leader's death a region elects another one
_TICK: Final = 0.1
_CAPACITY: Final = 100 << 30
_REGION_SIZE: Final = 10 << 20
_REGION_KEYS: Final = 1000


@dataclass(eq=False, slots=True)
class HeartbeatStore:
    """One store, from its process's start to its end.

    Attributes:
        id: 0 until it is known.
        failure: why PD turned it away; empty if it didn't.
        busy: whether it calls itself busy.
    """

    address: str
    status_address: str
    version: str
    labels: Mapping[str, str]
    id: int = 0
    failure: str = ""
    busy: bool = False
    started_at: float = field(default_factory=time.time)
    stopped_at: float | None = None
    known: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def alive(self) -> bool:
        return self.known.is_set() and not self.failure and self.stopped_at is None

    async def registered(self, timeout: float = 30.0) -> int:
        """Wait until PD knows the store, and return its id.

        Raises:
            PDCallFailed: PD turned it away.
        """
        async with asyncio.timeout(timeout):
            await self.known.wait()
        if self.failure:
            raise PDCallFailed(self.failure)
        return self.id


@final
class HeartbeatStores:
    """See the module docstring. An async context manager.

    Args:
        urls: returns client URLs of some of PD's servers.
        regions: how many there are.
        credentials: for https.
    """

    def __init__(
        self,
        urls: Callable[[], Sequence[str]],
        *,
        regions: int = 12,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._pd = PDConnection(urls, credentials=credentials)
        self._count = regions
        self._regions: dict[int, RaftRegion] = {}
        self._news: set[int] = set()
        self._stores: dict[int, HeartbeatStore] = {}
        self._lives: dict[HeartbeatStore, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        self._raft: asyncio.Task[None] | None = None
        self._registering = asyncio.Lock()
        self.refusals: list[str] = []
        """What PD said against heartbeats, and what regions couldn't do for it: for whoever asks why nothing moves."""

    async def __aenter__(self) -> Self:
        await self._pd.__aenter__()
        await self._group.__aenter__()
        self._raft = self._group.create_task(self._play_raft(), name="raft")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (*self._lives.values(), *((self._raft,) if self._raft else ())):
            task.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        finally:
            await self._pd.__aexit__(kind, error, trace)

    @property
    def cluster_id(self) -> int:
        """The cluster's id; 0 until PD has said it."""
        return self._pd.cluster_id

    # -- processes

    def start(
        self,
        address: str,
        *,
        status_address: str = "",
        version: str = "8.1.0",
        labels: Mapping[str, str] | None = None,
        store_id: int = 0,
    ) -> HeartbeatStore:
        """Start a TiKV. It registers as soon as PD answers.

        Args:
            store_id: what its volume says; 0 for an empty volume.
        """
        store = HeartbeatStore(address, status_address or address, version, labels or {}, id=store_id)
        self._lives[store] = self._group.create_task(self._live(store), name=f"store {address}")
        return store

    def stop(self, store: HeartbeatStore) -> None:
        """Kill a TiKV. Idempotent."""
        task = self._lives.pop(store, None)
        if task is not None:
            task.cancel()
            store.stopped_at = time.time()

    def runs(self, address: str) -> bool:
        """Whether the TiKV of an address runs and is registered."""
        return any(store.alive and store.address == address for store in self._lives)

    def leaders(self, store_id: int) -> int:
        return sum(region.leader == store_id for region in self._regions.values())

    def peers(self, store_id: int) -> int:
        return sum(store_id in region.peers for region in self._regions.values())

    # -- a store's life

    async def _live(self, store: HeartbeatStore) -> None:
        while not store.known.is_set():
            try:
                async with self._registering:
                    await self._register(store)
            except PDCallFailed as error:
                if error.kind not in (None, NOT_BOOTSTRAPPED):
                    store.failure = str(error)
                    store.known.set()
                    return
                await asyncio.sleep(_RETRY)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_store_heartbeats(store))
            group.create_task(self._send_region_heartbeats(store))

    async def _register(self, store: HeartbeatStore) -> None:
        if not store.id:
            store.id = await self._new_id()
        bootstrapped = await self._pd.call("IsBootstrapped", rpc.IsBootstrappedRequest(), rpc.IsBootstrappedResponse)
        if bootstrapped.bootstrapped:
            await self._pd.call("PutStore", rpc.PutStoreRequest(store=_meta(store)), rpc.PutStoreResponse)
        else:
            first = await self._bootstrap(store)
            self._regions[first.id] = first
            await self._split(first, [f"k{number:04d}".encode() for number in range(1, self._count)])
        self._stores[store.id] = store
        store.known.set()

    async def _bootstrap(self, store: HeartbeatStore) -> RaftRegion:
        region, peer = await self._new_id(), await self._new_id()
        first = RaftRegion(region, b"", b"", {store.id: Replica(peer, store.id)}, store.id)
        request = rpc.BootstrapRequest(store=_meta(store), region=_region(first))
        await self._pd.call("Bootstrap", request, rpc.BootstrapResponse)
        return first

    async def _split(self, region: RaftRegion, keys: Sequence[bytes]) -> None:
        known = _epoch(region)
        ids = [await self._new_id() for _ in range(len(keys) * (1 + len(region.peers)))]
        if _epoch(region) != known:
            return  # it has changed meanwhile; PD will ask again
        for part in (*split(region, keys, ids), region):
            self._regions[part.id] = part
            self._report(part)

    async def _new_id(self) -> int:
        return (await self._pd.call("AllocID", rpc.AllocIDRequest(), rpc.AllocIDResponse)).id

    async def _send_store_heartbeats(self, store: HeartbeatStore) -> None:
        last = int(time.time())
        while True:
            now = int(time.time())
            peers = self.peers(store.id)
            stats = rpc.StoreStats(
                store_id=store.id,
                capacity=_CAPACITY,
                available=_CAPACITY - peers * _REGION_SIZE,
                used_size=peers * _REGION_SIZE,
                region_count=peers,
                start_time=int(store.started_at),
                is_busy=store.busy,
                interval=rpc.TimeInterval(start_timestamp=last, end_timestamp=now),
            )
            try:
                await self._pd.call(
                    "StoreHeartbeat", rpc.StoreHeartbeatRequest(stats=stats), rpc.StoreHeartbeatResponse
                )
                last = now
            except PDCallFailed as error:
                if error.kind is not None:
                    self.refusals.append(str(error))
            await asyncio.sleep(_BEAT)

    # -- regions

    async def _send_region_heartbeats(self, store: HeartbeatStore) -> None:
        while True:
            with suppress(PDCallFailed, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                stream = await self._pd.region_stream()
                try:
                    await self._talk(store, stream)
                finally:
                    stream.cancel()
            self._pd.forget()
            await asyncio.sleep(_RETRY)

    async def _talk(self, store: HeartbeatStore, stream: RegionStream) -> None:
        """Report and obey until the stream breaks."""
        listening = asyncio.create_task(self._obey_all(stream))
        try:
            everything_due = 0.0
            while not listening.done():
                now = time.monotonic()
                everything = now >= everything_due
                if everything:
                    everything_due = now + _BEAT
                store.wake.clear()
                for region in list(self._regions.values()):
                    if region.leader == store.id and (everything or region.id in self._news):
                        self._news.discard(region.id)
                        await stream.write(self._heartbeat(region))
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, everything_due - time.monotonic())):
                        await store.wake.wait()
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError, grpc.aio.AioRpcError, PDCallFailed):
                await listening

    async def _obey_all(self, stream: RegionStream) -> None:
        async for order in stream:
            if order.header.error.type:
                self.refusals.append(order.header.error.message)
                continue
            region = self._regions.get(order.region_id)
            if region is None or _epoch(order.region_epoch) != _epoch(region):
                continue  # PD doesn't know yet what has become of it
            if order.HasField("split_region"):
                await self._split(region, list(order.split_region.keys))
            elif self._obey(region, order):
                self._report(region)
            else:
                self.refusals.append(f"region {region.id} cannot do what it is told: {order}")

    def _obey(self, region: RaftRegion, order: rpc.RegionHeartbeatResponse) -> bool:
        """Move the leader or peers as PD asks; whether anything was done."""
        if order.HasField("transfer_leader"):
            wanted = order.transfer_leader
            candidates = [peer.store_id for peer in wanted.peers] or [wanted.peer.store_id]
            return region.transfer(store for store in candidates if self._is_alive(store))
        if not self._has_quorum(region):
            return False
        if order.HasField("change_peer_v2"):
            return region.change([_change(change) for change in order.change_peer_v2.changes])
        if order.HasField("change_peer"):
            return region.change([_change(order.change_peer)])
        return False

    def _report(self, region: RaftRegion) -> None:
        """Let the region's leader tell PD soon."""
        self._news.add(region.id)
        leader = self._stores.get(region.leader)
        if leader is not None:
            leader.wake.set()

    async def _play_raft(self) -> None:
        """Elect leaders where the old ones are gone."""
        while True:
            await asyncio.sleep(_TICK)
            now = time.time()
            living = {store.id for store in self._stores.values() if store.alive}
            loads = dict(Counter(region.leader for region in self._regions.values()))
            for region in self._regions.values():
                leader = self._stores.get(region.leader)
                if leader is None or leader.stopped_at is None or now < leader.stopped_at + _ELECTION:
                    continue
                if region.elect(living, loads=loads):
                    loads[region.leader] = loads.get(region.leader, 0) + 1
                    self._report(region)

    def _is_alive(self, store_id: int) -> bool:
        store = self._stores.get(store_id)
        return store is not None and store.alive

    def _has_quorum(self, region: RaftRegion) -> bool:
        return sum(map(self._is_alive, region.peers)) * 2 > len(region.peers)

    def _heartbeat(self, region: RaftRegion) -> rpc.RegionHeartbeatRequest:
        now = time.time()
        down = [
            rpc.PeerStats(peer=_peer(peer), down_seconds=max(1, int(now - stopped)))
            for peer in region.peers.values()
            if (store := self._stores.get(peer.store)) is not None and (stopped := store.stopped_at) is not None
        ]
        return rpc.RegionHeartbeatRequest(
            header=self._pd.header,
            region=_region(region),
            leader=_peer(region.peers[region.leader]),
            down_peers=down,
            approximate_size=_REGION_SIZE,
            approximate_keys=_REGION_KEYS,
            interval=rpc.TimeInterval(start_timestamp=int(now - _BEAT), end_timestamp=int(now)),
            term=region.term,
        )


def _meta(store: HeartbeatStore) -> rpc.Store:
    return rpc.Store(
        id=store.id,
        address=store.address,
        peer_address=store.address,
        status_address=store.status_address,
        version=store.version.removeprefix("v"),
        labels=[rpc.StoreLabel(key=key, value=value) for key, value in store.labels.items()],
        start_timestamp=int(store.started_at),
        deploy_path="/",
    )


def _peer(peer: Replica) -> rpc.Peer:
    return rpc.Peer(id=peer.id, store_id=peer.store, role=peer.role.value)


def _region(region: RaftRegion) -> rpc.Region:
    return rpc.Region(
        id=region.id,
        start_key=region.start,
        end_key=region.end,
        region_epoch=rpc.RegionEpoch(conf_ver=region.conf_ver, version=region.version),
        peers=[_peer(peer) for peer in region.peers.values()],
    )


def _epoch(epoch: RaftRegion | rpc.RegionEpoch) -> tuple[int, int]:
    return epoch.conf_ver, epoch.version


def _change(change: Any) -> Change:
    return Change(ChangeType(change.change_type), change.peer.id, change.peer.store_id)
