"""A typed client of PD's HTTP API: every call the operator makes, with what counts as success.

Guarantees:

- A call either returns what PD said or raises a `PDError`; a decoded answer never raises later.
- Reads are tried again a few times, with jitter, while PD is unreachable or overloaded, within the time of one call. Writes
  are sent once; they are sent again only if the request certainly never reached PD.
- Removing what is already gone succeeds, so every write may be repeated.

Concurrency: a client may be used by any number of tasks. Cancelling a call abandons the exchange; whether PD has carried
out a write is then unknown.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar, final
from urllib.parse import quote

import msgspec

from tikv_operator.pdclient import wire
from tikv_operator.pdclient.caller import PDCaller
from tikv_operator.pdclient.errors import PDError, PDNotFound, PDUnexpectedAnswer, PDUnreachable
from tikv_operator.pdclient.metrics import PDMetrics
from tikv_operator.pdclient.models import (
    DownPeers,
    Evictions,
    MemberHealth,
    Members,
    PDConfig,
    PlacementRule,
    Store,
    TSOMember,
)
from tikv_operator.pdclient.requester import PDRequester
from tikv_operator.pdclient.tikv import TiKVClient

__all__ = ["PDClient", "evict_leader_scheduler"]

T = TypeVar("T")

_V1: Final = "/pd/api/v1"
_V2: Final = "/pd/api/v2"
_EVICT_LEADER: Final = "evict-leader-scheduler"

_NO_LABEL: Final = "does not exist"  # the only thing that PD's answer says of it
_ALL_STATES: Final = (("state", "0"), ("state", "1"), ("state", "2"))
_RELEASE: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:\+.*)?")  # a pre-release doesn't match
_FIRST_WITH_READY: Final = (8, 5, 2)


def evict_leader_scheduler(store_id: str) -> str:
    """Return the name by which PD knows the eviction of leaders from one store."""
    return f"{_EVICT_LEADER}-{store_id}"


@final
class PDClient:
    """See the module docstring.

    Args:
        requester: how bytes reach PD.
        timeout: seconds of one call, retries included.
        metrics: counts and times every call, if given.
        jitter: returns a number in [0, 1); spreads the retries.
    """

    def __init__(
        self,
        requester: PDRequester,
        *,
        timeout: float = 10.0,
        metrics: PDMetrics | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._caller = PDCaller(requester, timeout=timeout, metrics=metrics, jitter=jitter)
        self.tikv = TiKVClient(self._caller)
        """The stores' own HTTP API."""

    # -- the cluster and its PD servers

    async def cluster_id(self) -> str:
        """Return the cluster's id, decimal; empty while it has none."""
        return await self._get("cluster", f"{_V1}/cluster", wire.cluster_id)

    async def config(self) -> PDConfig:
        """Return what the operator needs of PD's configuration.

        Raises:
            PDUnexpectedAnswer: the configuration says nothing about replication.
        """
        found = await self._get("config", f"{_V1}/config", wire.config)
        if found is None:
            msg = "PD's configuration says nothing about replication"
            raise PDUnexpectedAnswer(msg, endpoint="config")
        return found

    async def members(self) -> Members:
        return await self._get("members", f"{_V1}/members", wire.members)

    async def health(self) -> tuple[MemberHealth, ...]:
        return await self._get("health", f"{_V1}/health", wire.health)

    async def member_ready(self, member_url: str, version: str) -> bool:
        """Ask one PD server whether it has loaded its regions.

        Args:
            member_url: the server's client URL.
            version: the server's version; one that is too old to know the question counts as ready.
        """
        try:
            await self._caller.call("ready", "GET", f"{_V2}/ready", _nothing, base=member_url, only_200=True)
        except PDNotFound:
            return not _knows_ready(version)
        except PDError as error:
            if error.status == 500:
                return False
            raise
        return True

    async def transfer_leader(self, member: str) -> None:
        """Make the named PD server PD's leader, as far as etcd is concerned; PD has no leader until it has taken over.

        Raises:
            PDError: there is no such member, or it cannot be reached.
        """
        await self._remove("leader_transfer", "POST", f"{_V1}/leader/transfer/{quote(member, safe='')}")

    async def delete_member(self, member: str) -> None:
        """Remove a PD server from the cluster by its name. Succeeds, without a write, if it is no member."""
        if any(known.name == member for known in (await self.members()).members):
            await self._remove("member_delete", "DELETE", f"{_V1}/members/name/{quote(member, safe='')}")

    async def delete_member_by_id(self, member_id: str) -> None:
        """Remove a PD server from the cluster, also one that has never started and has no name.

        Succeeds, without a write, if it is no member.

        Raises:
            PDError: PD refuses, for instance because too few of the others run.
        """
        if any(known.id == member_id for known in (await self.members()).members):
            await self._remove("member_delete", "DELETE", f"{_V1}/members/id/{quote(member_id, safe='')}")

    async def placement_rules(self) -> tuple[PlacementRule, ...]:
        """Return the rules by which PD places peers; none if it goes by its configuration of replication alone."""
        try:
            return await self._get("placement_rules", f"{_V1}/config/rules", wire.placement_rules)
        except PDError as error:
            if error.status == 412:  # placement rules are switched off
                return ()
            raise

    async def set_config(self, items: Mapping[str, object]) -> None:
        """Change items of PD's own configuration, which PD keeps, e.g. `{"schedule.max-snapshot-count": 64}`.

        Raises:
            PDError: PD refuses one of them.
        """
        body = msgspec.json.encode(dict(items))
        await self._caller.call("config_set", "POST", f"{_V1}/config", _nothing, body=body)

    async def tso_members(self) -> tuple[TSOMember, ...]:
        return await self._get("tso_members", f"{_V2}/ms/members/tso", wire.tso_members)

    async def tso_primary(self) -> str:
        """Return the address of the timestamp service's primary; empty while there is none."""
        return await self._get("tso_primary", f"{_V2}/ms/primary/tso", wire.text)

    # -- stores

    async def stores(self) -> tuple[Store, ...]:
        """Return all stores in every state, tombstones too, in PD's order.

        Raises:
            PDNotBootstrapped: no TiKV has ever registered.
        """
        return await self._get("stores", f"{_V1}/stores", wire.stores, params=_ALL_STATES)

    async def store(self, store_id: str) -> Store:
        """Return one store.

        Raises:
            PDNotFound: there is none of that id.
        """
        return await self._get("store", _store_path(store_id), wire.store)

    async def delete_store(self, store_id: str) -> None:
        """Ask PD to move all data off a store and then to bury it. Succeeds if it is buried, or there is no such store.

        Raises:
            PDError: with status 400, if fewer stores than replicas would be left.
        """
        try:
            await self._remove("store_delete", "DELETE", _store_path(store_id))
        except PDError as error:
            if error.status != 410:  # a tombstone
                raise

    async def cancel_delete_store(self, store_id: str) -> None:
        """Take `delete_store` back while the store is still being emptied. Succeeds if there is no such store."""
        await self._remove("store_state", "POST", f"{_store_path(store_id)}/state", params=(("state", "Up"),))

    async def set_store_labels(self, store_id: str, labels: Mapping[str, str]) -> None:
        """Set these labels; others stay.

        Raises:
            PDNotFound: there is no such store.
        """
        body = msgspec.json.encode(dict(labels))
        await self._caller.call("store_label_set", "POST", f"{_store_path(store_id)}/label", _nothing, body=body)

    async def delete_store_label(self, store_id: str, key: str) -> None:
        """Remove one label. Succeeds if the store has no such label."""
        body = msgspec.json.encode(key)
        try:
            await self._remove("store_label_delete", "DELETE", f"{_store_path(store_id)}/label", body=body)
        except PDError as error:
            if error.status != 500 or _NO_LABEL not in error.message:
                raise

    async def down_peers(self) -> DownPeers:
        """Return the regions that have a peer which doesn't answer."""
        return await self._get("down_peers", f"{_V1}/regions/check/down-peer", wire.down_peers)

    # -- eviction of leaders

    async def evicting_stores(self) -> frozenset[str]:
        """Return the ids of the stores from which PD moves all leaders away, whoever asked for it. See `evictions`."""
        return (await self.evictions()).stores

    async def evictions(self, *, before: frozenset[str] = frozenset()) -> Evictions:
        """Return from which stores PD moves all leaders away, and whether it does so already.

        PD of today has one scheduler for all of them; PD of old had one per store, with the id in its name. A server that
        begins to lead starts its schedulers late, and one after the other, from what PD keeps. Asking for that is cheap for
        us and not for PD, so it is asked for only where it matters: if nothing runs, or something is missing.

        Args:
            before: ids of stores whose leaders were evicted before, which is not over as long as PD keeps it.
        """
        names = await self._get("schedulers", f"{_V1}/schedulers", wire.texts)
        running = await self._evicting_now(names)
        if names and before <= running:
            return Evictions(stores=running)
        kept = await self._get("config", f"{_V1}/config", wire.kept_schedulers)
        return Evictions(stores=running | kept.evicting, prepared=bool(names) or not kept.some)

    async def _evicting_now(self, names: Sequence[str]) -> frozenset[str]:
        prefix = evict_leader_scheduler("")
        named = frozenset(name.removeprefix(prefix) for name in names if name.startswith(prefix))
        if _EVICT_LEADER not in names:
            return named
        try:
            return named | await self._get(
                "evict_leader_list", f"{_V1}/scheduler-config/{_EVICT_LEADER}/list", wire.evicted_store_ids
            )
        except PDNotFound:  # removed between the two requests
            return named

    async def begin_evict_leader(self, store_id: str) -> None:
        """Ask PD to move all leaders away from a store. Succeeds if PD does so already.

        Raises:
            PDError: PD refused, and doesn't evict leaders from this store.
        """
        body = msgspec.json.encode({"name": _EVICT_LEADER, "store_id": int(store_id)})
        try:
            await self._caller.call("evict_leader_begin", "POST", f"{_V1}/schedulers", _nothing, body=body)
        except PDUnreachable as error:
            if not error.sent or not await self._is_evicting(store_id):
                raise
        except PDError:  # older PD refuses what it does already
            if not await self._is_evicting(store_id):
                raise

    async def end_evict_leader(self, store_id: str) -> None:
        """Let the store lead regions again. Succeeds if its leaders aren't evicted.

        Raises:
            PDError: PD refused, still evicts leaders from this store, or will when it has taken up its schedulers again.
        """
        endpoint = "evict_leader_end"
        path = f"{_V1}/schedulers/{quote(evict_leader_scheduler(store_id), safe='')}"
        try:
            await self._caller.call(endpoint, "DELETE", path, _nothing, only_200=True)
            found = await self.evictions()
        except PDNotFound:  # which is what a server says, too, that has only just begun to lead
            found = await self.evictions(before=frozenset((store_id,)))
        if store_id in found.stores:
            msg = f"PD still evicts the leaders of store {store_id} after it was told to stop"
            raise PDError(msg, endpoint=endpoint)

    async def _is_evicting(self, store_id: str) -> bool:
        try:
            return store_id in await self.evicting_stores()
        except PDError:
            return False  # the caller raises the first error, which says more

    # -- the two shapes of a call

    async def _get(
        self, endpoint: str, path: str, read: Callable[[bytes], T], *, params: Sequence[tuple[str, str]] = ()
    ) -> T:
        return await self._caller.call(endpoint, "GET", path, read, params=params)

    async def _remove(
        self,
        endpoint: str,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> None:
        """Carry out a write that is done, too, when its object is gone: 200 and 404 are PD's only good answers to it."""
        try:
            await self._caller.call(endpoint, method, path, _nothing, params=params, body=body, only_200=True)
        except PDNotFound:
            return


def _store_path(store_id: str) -> str:
    return f"{_V1}/store/{quote(store_id, safe='')}"


def _nothing(_: bytes) -> None:
    """Read an answer of which only the status matters."""


def _knows_ready(version: str) -> bool:
    """Whether a PD server of this version serves `/ready`: every release from 8.5.2 on."""
    found = _RELEASE.fullmatch(version.strip())
    return found is not None and tuple(map(int, found.groups())) >= _FIRST_WITH_READY
