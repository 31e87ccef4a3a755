"""An informer: one kind in one scope, mirrored into a store, with any number of handlers that are told of changes.

Guarantees:

- A handler is called after the store holds the new state, in the order of the changes, synchronously.
- Each handler gets every object that is there when it comes as an initial `added`, then changes, none twice.
- A handler that raises is counted and logged; the others, and its own next events, are not affected.
- `synced` means that the first complete list is in the store and that every handler has been told all of it.

Concurrency: for one event loop. Handlers must not block; they enqueue keys.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

from controller_runtime.api.resource import Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.cache.events import CacheEvent
from controller_runtime.cache.index import IndexFunction
from controller_runtime.cache.listwatch import ListWatch
from controller_runtime.cache.meta import Entry, EntryDecoder
from controller_runtime.cache.observe import Logger, Statistics
from controller_runtime.cache.reflector import Reflector
from controller_runtime.cache.store import Store
from controller_runtime.client.errors import DecodeError, Forbidden, NotFound, Unauthorized
from controller_runtime.client.transport import Transport
from controller_runtime.clock import Clock

__all__ = ["Handler", "Informer", "Registration"]

Handler = Callable[[CacheEvent], None]

_GRACE: Final = 30.0  # seconds for which a passing trouble is nobody's concern
_DEFINITE: Final = (Forbidden, NotFound, Unauthorized)  # what does not pass by itself


@final
class Registration:
    """One handler of an informer."""

    def __init__(self, informer: Informer, handler: Handler) -> None:
        self._informer = informer
        self.handler = handler

    @property
    def synced(self) -> bool:
        """Whether the handler has been told of everything that was there at first."""
        return self._informer.synced

    async def wait_synced(self) -> None:
        await self._informer.wait_synced()

    def remove(self) -> None:
        """Call the handler no more. Idempotent."""
        self._informer.remove_handler(self)


@final
class Informer:
    """See the module docstring. Made by `Cache.declare`.

    Args:
        namespaces: what to mirror; one empty name for all namespaces.
        labels: mirror only objects that match.
        metadata_only: neither ask for nor keep anything but metadata.
    """

    def __init__(
        self,
        transport: Transport,
        resource: Resource,
        *,
        namespaces: Sequence[str] = ("",),
        labels: Selector | None = None,
        metadata_only: bool = False,
        indexes: Mapping[str, IndexFunction] | None = None,
        clock: Clock,
        log: Logger,
    ) -> None:
        self.resource = resource
        self.namespaces = tuple(namespaces)
        self.labels = labels
        self.metadata_only = metadata_only
        self.store = Store(indexes)
        self.statistics = Statistics()
        self._transport = transport
        self._clock = clock
        self._log = log
        self._decoder = EntryDecoder(resource, metadata_only=metadata_only)
        self._registrations: tuple[Registration, ...] = ()
        self._feeds = tuple(_Feed(self, namespace) for namespace in self.namespaces)
        self._synced = asyncio.Event()

    # State

    @property
    def name(self) -> str:
        return str(self.resource)

    @property
    def synced(self) -> bool:
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until `synced`. It may never come: bound the wait."""
        await self._synced.wait()

    @property
    def objects(self) -> int:
        return len(self.store)

    @property
    def ignored(self) -> int:
        return self.store.ignored

    @property
    def index_errors(self) -> int:
        return sum(index.errors for index in self.store.indexes.values())

    def covers(self, namespace: str) -> bool:
        """Return whether the store has the objects of a namespace (the empty name stands for all of them)."""
        return "" in self.namespaces or namespace in self.namespaces

    def health(self) -> str | None:
        """Return why the store cannot be up to date, or None.

        What does not pass by itself (forbidden, no such resource) shows at once, any other trouble after half a minute.
        """
        now = asyncio.get_running_loop().time()
        for feed in self._feeds:
            failure, since = feed.reflector.failure, feed.reflector.failing_since
            if failure is None or since is None:
                continue
            if isinstance(failure, _DEFINITE) or now - since >= _GRACE:
                scope = f"in namespace {feed.namespace}: " if feed.namespace else ""
                return f"{scope}{type(failure).__name__}: {failure}"
        return None

    # Handlers

    def add_handler(self, handler: Handler) -> Registration:
        """Call `handler` for every object that is there, now, and then for each change."""
        registration = Registration(self, handler)
        for entry in list(self.store):
            self._tell(registration, CacheEvent("added", entry.key, entry, None, initial=True))
        self._registrations += (registration,)
        return registration

    def remove_handler(self, registration: Registration) -> None:
        self._registrations = tuple(other for other in self._registrations if other is not registration)

    # Changes

    async def run(self) -> None:
        """Mirror the server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for feed in self._feeds:
                listwatch = ListWatch(
                    self._transport,
                    self.resource,
                    namespace=feed.namespace,
                    labels=self.labels,
                    metadata_only=self.metadata_only,
                    reflector=feed.reflector,
                    statistics=self.statistics,
                    clock=self._clock,
                    log=self._log,
                )
                group.create_task(listwatch.run(), name=f"informer {self.name} {feed.namespace}".rstrip())

    def accept(self, raw: bytes) -> None:
        """Take over what a write returned, if it is an object of this kind and scope."""
        try:
            entry = self._decoder.entry(raw)
        except DecodeError:
            return  # a Status, or the object of a subresource: nothing for this store
        if not self.covers(entry.key.namespace):
            return
        if self.labels is None or self.labels.matches(entry.meta.labels):
            self.deliver(self.store.accept(entry))
        else:
            self.deliver(self.store.leave(entry))

    def deliver(self, event: CacheEvent | None) -> None:
        """Tell all handlers of a change that the store holds already."""
        if event is not None:
            for registration in self._registrations:
                self._tell(registration, event)

    def feed_complete(self) -> None:
        """A feed has brought its first complete list, and handlers know it."""
        if all(feed.complete for feed in self._feeds):
            self._synced.set()

    def _tell(self, registration: Registration, event: CacheEvent) -> None:
        try:
            registration.handler(event)
        except Exception as error:  # noqa: BLE001 - one handler's defect must not cost the others their events
            self.statistics.handler_errors += 1
            self._log.error("handler failed", resource=self.name, key=str(event.key), change=event.type, exc_info=error)

    def __repr__(self) -> str:
        state = "synced" if self.synced else "not synced"
        scope = ",".join(self.namespaces) or "*"
        return f"<Informer {self.name} namespaces={scope} objects={len(self.store)} {state}>"


@final
class _Feed:
    """The part of an informer that comes from one list and watch: the sink of its reflector."""

    def __init__(self, informer: Informer, namespace: str) -> None:
        self._informer = informer
        self._store = informer.store
        self.namespace = namespace
        self.complete = False
        self.reflector = Reflector(self, now=lambda: asyncio.get_running_loop().time(), chance=random.random)

    def replace(self, entries: Sequence[Entry], version: str, *, rewound: bool) -> None:
        first = not self.complete
        events = self._store.replace(entries, version, self.namespace, initial=first, rewound=rewound)
        for event in events:
            self._informer.deliver(event)
        self.complete = True
        if first:
            self._informer.feed_complete()

    def put(self, entry: Entry) -> None:
        self._informer.deliver(self._store.put(entry, self.namespace))

    def remove(self, entry: Entry) -> None:
        self._informer.deliver(self._store.remove(entry, final=self._informer.labels is None))

    def advance(self, version: str) -> None:
        self._store.advance(version, self.namespace)
