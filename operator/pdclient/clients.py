"""The PD clients of all clusters: one handle and one poller per Cluster that has a PD.

The Cluster controller registers and deregisters; the others `get`. The pollers run only while `run` does, which owns them:
when it ends, no task and no connection is left.

Concurrency: use from one event loop; everything but `run` is synchronous and may be called before, during and after it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple, final

from prometheus_client import CollectorRegistry

from controller_runtime.api.resource import ObjectKey
from controller_runtime.clock import Clock
from controller_runtime.reconcile import Logger
from controller_runtime.source import FunctionSource
from tikv_operator.api import Cluster
from tikv_operator.common.names import tls_enabled
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient.connection import Connect, Connection, pd_url
from tikv_operator.pdclient.handle import PDHandle
from tikv_operator.pdclient.listeners import Listeners
from tikv_operator.pdclient.metrics import PDMetrics
from tikv_operator.pdclient.source import ClusterMap, MemberMap, cluster_source, member_source, store_source
from tikv_operator.pdclient.tls import ClientSecrets, client_secrets

__all__ = ["PDClients"]


class _Identity(NamedTuple):
    """What a handle was made for; with another one, another handle is needed."""

    uid: str
    url: str
    secrets: ClientSecrets | None


class _Entry(NamedTuple):
    identity: _Identity
    handle: PDHandle


@final
class PDClients:
    """See the module docstring. A runnable of the manager: `manager.add(pds)`.

    Args:
        connect: how PD is reached (`connection.direct`, `connection.through_api_server`).
        settings: how often to poll, how long to trust.
        registry: where the metrics are registered; None for none.
        jitter: returns a number in [0, 1).

    Attributes:
        listeners: hear of every cluster's changes; `source` and `cluster_source` are built on them.
    """

    needs_leader = True

    def __init__(
        self,
        connect: Connect,
        *,
        settings: Settings,
        clock: Clock,
        log: Logger,
        registry: CollectorRegistry | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.listeners = Listeners()
        self._connect = connect
        self._settings = settings
        self._clock = clock
        self._log = log
        self._metrics = PDMetrics(registry) if registry is not None else None
        self._jitter = jitter
        self._entries: dict[ObjectKey, _Entry] = {}
        self._group: asyncio.TaskGroup | None = None
        self._pollers: dict[PDHandle, asyncio.Task[None]] = {}
        self._retired: list[PDHandle] = []

    def get(self, cluster: ObjectKey) -> PDHandle | None:
        """Return the handle of a cluster's PD, or None if it isn't registered (yet)."""
        entry = self._entries.get(cluster)
        return entry.handle if entry else None

    def register(self, cluster: Cluster) -> PDHandle:
        """Return the handle of the Cluster's PD, made anew if the PD's URL or the names of the TLS Secrets have changed.

        Raises:
            ValueError: the Cluster's status names no PD.
        """
        identity = _identity(cluster)
        if not identity.url:
            msg = f"the status of cluster {cluster.key} names no PD"
            raise ValueError(msg)
        entry = self._entries.get(cluster.key)
        if entry is not None and entry.identity == identity:
            return entry.handle
        self.deregister(cluster.key)
        handle = PDHandle(
            cluster.key,
            Connection(self._connect, cluster),
            settings=self._settings,
            clock=self._clock,
            log=self._log,
            listener=self.listeners,
            metrics=self._metrics,
            jitter=self._jitter,
        )
        self._entries[cluster.key] = _Entry(identity, handle)
        if self._metrics is not None:
            self._metrics.watch_age(cluster.key, handle.age)
        if self._group is not None:
            self._start(self._group, handle)
        return handle

    def deregister(self, cluster: ObjectKey) -> None:
        """Forget a cluster; its poller ends and its connections close soon after. Harmless if it isn't registered."""
        entry = self._entries.pop(cluster, None)
        if entry is None:
            return
        if self._metrics is not None:
            self._metrics.forget(cluster)
        entry.handle.retire()
        poller = self._pollers.get(entry.handle)
        if poller is not None:
            poller.cancel()
        else:
            self._retired.append(entry.handle)  # it may have been used without a poller; run() closes it

    # -- events

    def source(self) -> FunctionSource:
        """Return a source of the keys of the TiKVs whose stores change."""
        return store_source(self.listeners)

    def member_source(self, concerned: MemberMap) -> FunctionSource:
        """Return a source of what a change of PD servers concerns: one that came, went, fell ill, recovered or leads now."""
        return member_source(self.listeners, concerned)

    def cluster_source(self, concerned: ClusterMap | None = None) -> FunctionSource:
        """Return a source of the keys of the Clusters whose PD becomes known, gets its id, is lost or comes back.

        Args:
            concerned: names other keys instead, e.g. all TiKVs of the Cluster.
        """
        return cluster_source(self.listeners, concerned)

    # -- the runnable

    async def run(self) -> None:
        """Poll every registered PD until cancelled. Afterwards all handles are closed and forgotten."""
        stop = asyncio.Event()  # never set: the pollers end by cancellation
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for entry in self._entries.values():
                    self._start(group, entry.handle)
                await stop.wait()
        finally:
            self._group = None
            for key in tuple(self._entries):
                self.deregister(key)
            await self._close_retired()

    def _start(self, group: asyncio.TaskGroup, handle: PDHandle) -> None:
        poller = group.create_task(handle.run(), name=f"pd-poller {handle.cluster}")
        self._pollers[handle] = poller

        def ended(_: asyncio.Task[None]) -> None:
            del self._pollers[handle]
            if not handle.disconnected:  # cancelled before its first step
                self._retired.append(handle)

        poller.add_done_callback(ended)

    async def _close_retired(self) -> None:
        while self._retired:
            await self._retired.pop().close()


def _identity(cluster: Cluster) -> _Identity:
    secrets = client_secrets(cluster) if tls_enabled(cluster) else None
    return _Identity(uid=cluster.metadata.uid, url=pd_url(cluster), secrets=secrets)
