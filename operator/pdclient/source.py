"""Sources for controllers: changes in PD as keys of the objects they concern.

- `store_source`: the TiKV whose store changed, found from the store's address alone, without looking at any TiKV.
- `member_source`: whatever is concerned by a change of PD servers.
- `cluster_source`: the Cluster whose PD became known, got its id, was lost or came back.

None replays what exists when it starts: that is what the objects' own events are for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from controller_runtime.api.resource import ObjectKey
from controller_runtime.handler import Enqueue
from controller_runtime.source import FunctionSource
from tikv_operator.common.names import tikv_key_of_address
from tikv_operator.pdclient.listeners import Listeners

__all__ = ["ClusterMap", "MemberMap", "cluster_source", "member_source", "store_source"]

ClusterMap = Callable[[ObjectKey], Iterable[ObjectKey]]
"""Returns the keys that a change of a cluster's PD concerns, given the Cluster's key."""

MemberMap = Callable[[ObjectKey, frozenset[str]], Iterable[ObjectKey]]
"""Returns the keys that a change of PD servers concerns, given the Cluster's key and the servers' names."""


@dataclass(frozen=True, slots=True)
class _Stores:
    """Enqueues TiKVs. Stores of other engines, and of other Kubernetes clusters, belong to none."""

    enqueue: Enqueue

    def stores_changed(self, cluster: ObjectKey, addresses: frozenset[str]) -> None:
        for address in sorted(addresses):
            key = tikv_key_of_address(address, cluster.namespace)
            if key is not None:
                self.enqueue(key)

    def members_changed(self, cluster: ObjectKey, names: frozenset[str]) -> None:
        """Not this one's business."""

    def cluster_changed(self, cluster: ObjectKey) -> None:
        """Its stores are named one by one."""


@dataclass(frozen=True, slots=True)
class _Members:
    """Enqueues whoever is concerned by a change of a cluster's PD servers."""

    enqueue: Enqueue
    concerned: MemberMap

    def stores_changed(self, cluster: ObjectKey, addresses: frozenset[str]) -> None:
        """Not this one's business."""

    def members_changed(self, cluster: ObjectKey, names: frozenset[str]) -> None:
        for key in self.concerned(cluster, names):
            self.enqueue(key)

    def cluster_changed(self, cluster: ObjectKey) -> None:
        """That is what `cluster_source` is for."""


@dataclass(frozen=True, slots=True)
class _Clusters:
    enqueue: Enqueue
    concerned: ClusterMap

    def stores_changed(self, cluster: ObjectKey, addresses: frozenset[str]) -> None:
        """Not this one's business."""

    def members_changed(self, cluster: ObjectKey, names: frozenset[str]) -> None:
        """Not this one's business either."""

    def cluster_changed(self, cluster: ObjectKey) -> None:
        for key in self.concerned(cluster):
            self.enqueue(key)


def store_source(listeners: Listeners) -> FunctionSource:
    """Return the source of the TiKVs whose stores change."""

    @asynccontextmanager
    async def changes(enqueue: Enqueue) -> AsyncIterator[None]:
        with listeners.listening(_Stores(enqueue)):
            yield

    return FunctionSource(changes, name="pd stores")


def member_source(listeners: Listeners, concerned: MemberMap) -> FunctionSource:
    """Return the source of what a change of PD servers concerns.

    Args:
        concerned: names the keys.
    """

    @asynccontextmanager
    async def changes(enqueue: Enqueue) -> AsyncIterator[None]:
        with listeners.listening(_Members(enqueue, concerned)):
            yield

    return FunctionSource(changes, name="pd members")


def cluster_source(listeners: Listeners, concerned: ClusterMap | None = None) -> FunctionSource:
    """Return the source of the Clusters whose PD comes, goes or gets its id.

    Args:
        concerned: names other keys instead, e.g. all TiKVs of the Cluster.
    """

    @asynccontextmanager
    async def changes(enqueue: Enqueue) -> AsyncIterator[None]:
        with listeners.listening(_Clusters(enqueue, concerned or _itself)):
            yield

    return FunctionSource(changes, name="pd clusters")


def _itself(cluster: ObjectKey) -> Iterable[ObjectKey]:
    return (cluster,)
