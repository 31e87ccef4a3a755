"""An informer: one kind in one scope, mirrored into a store, with any number of handlers that are told of changes.

Guarantees:

- A handler is called after the store holds the new state, in the order of the changes, synchronously.
- Each handler gets every object that is there when it comes as an initial `added`, then changes, none twice.
- A handler that raises is counted and logged; the others, and its own next events, are not affected.
- `synced` means that the first complete list is in the store and that every handler has been told all of it.
- No object is taken for deleted because the server does not know its kind for the moment: the store keeps what it held,
  `health` says what is wrong, and the next complete list, whenever it can be read, tells what is really gone.

Concurrency: for one event loop. Handlers must not block; they enqueue keys.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.cache.events import CacheEvent
from controller_runtime.cache.handlers import Handler, Handlers, Registration
from controller_runtime.cache.index import IndexFunction
from controller_runtime.cache.listwatch import ListWatch
from controller_runtime.cache.meta import Entry, EntryDecoder, TransformError
from controller_runtime.cache.observe import Logger, Statistics
from controller_runtime.cache.reflector import Reflector
from controller_runtime.cache.scope import Scope
from controller_runtime.cache.store import Store
from controller_runtime.cache.turns import Turn
from controller_runtime.client.errors import DecodeError, Forbidden, NotFound, Unauthorized
from controller_runtime.client.transport import Transport
from controller_runtime.clock import Clock

__all__ = ["Handler", "Informer", "Registration"]

_GRACE: Final = 30.0  # seconds for which a passing trouble is nobody's concern
_DEFINITE: Final = (Forbidden, NotFound, Unauthorized)  # what does not pass by itself


@final
class Informer:
    """See the module docstring. Made by `Cache.declare` and `Cache.use`.

    Args:
        scope: what to mirror.
        places: limits how many informers read their whole collection at the same time.
        unused: called when the last user, a handler or a lease, has gone.
    """

    def __init__(
        self,
        transport: Transport,
        resource: Resource,
        scope: Scope,
        *,
        indexes: Mapping[str, IndexFunction] | None = None,
        places: asyncio.Semaphore,
        unused: Callable[[Informer], None],
        clock: Clock,
        log: Logger,
    ) -> None:
        self.resource = resource
        self.scope = scope.complete()
        self.store = Store(indexes)
        self.statistics = Statistics()
        self._transport = transport
        self._places = places
        self._unused = unused
        self._clock = clock
        self._log = log
        self._decoder = EntryDecoder(resource, metadata_only=self.metadata_only, transform=self.scope.transform)
        self._synced = asyncio.Event()
        self._leases = 0
        self._stopped = False
        self._handlers = Handlers(
            self.name, self.store, synced=self._synced, statistics=self.statistics, log=log, emptied=self._left
        )
        self._feeds = tuple(_Feed(self, namespace) for namespace in self.namespaces)

    # State

    @property
    def name(self) -> str:
        return str(self.resource)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """What is mirrored; one empty name for all namespaces."""
        return self.scope.namespaces or ("",)

    @property
    def labels(self) -> Selector | None:
        return self.scope.labels

    @property
    def metadata_only(self) -> bool:
        return bool(self.scope.metadata_only)

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
        return self.scope.covers(namespace)

    def health(self) -> str | None:
        """Return why the store cannot be up to date, or None.

        What does not pass by itself (forbidden, no such resource) shows at once, any other trouble after half a minute.
        """
        if self._stopped:
            return "stopped, since nobody used it any more"
        now = asyncio.get_running_loop().time()
        for feed in self._feeds:
            failure, since = feed.reflector.failure, feed.reflector.failing_since
            if failure is None or since is None:
                continue
            if isinstance(failure, _DEFINITE) or now - since >= _GRACE:
                scope = f"in namespace {feed.namespace}: " if feed.namespace else ""
                return f"{scope}{type(failure).__name__}: {failure}"
        return None

    # Users

    def add_handler(self, handler: Handler, *, resync: float = 0.0) -> Registration:
        """Call `handler` for every object that is there, now, and then for each change.

        Args:
            resync: seconds, some ten percent more or less, after which the handler is told of every object again, as an
                `updated` event whose `old` and `new` are the same. No request is made for it. 0 for never.

        Raises:
            RuntimeError: the informer has stopped.
            ValueError: `resync` is less than a second.
        """
        if self._stopped:
            msg = f"{self.name}: this informer has stopped, since nobody used it any more; ask the cache for it again"
            raise RuntimeError(msg)
        return self._handlers.add(handler, resync)

    def retain(self) -> None:
        """Count one more user, who must call `release`."""
        self._leases += 1

    def release(self) -> None:
        self._leases -= 1
        self._left()

    def _left(self) -> None:
        if not self._leases and not self._handlers and not self._stopped:
            self._stopped = True
            self._unused(self)

    # Changes

    async def run(self) -> None:
        """Mirror the server until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._handlers.run_resyncs(), name=f"informer {self.name} resync")
            for feed in self._feeds:
                listwatch = ListWatch(
                    self._transport,
                    self.resource,
                    namespace=feed.namespace,
                    scope=self.scope,
                    decoder=self._decoder,
                    turn=Turn(self._places),
                    reflector=feed.reflector,
                    statistics=self.statistics,
                    clock=self._clock,
                    log=self._log,
                )
                group.create_task(listwatch.run(), name=f"informer {self.name} {feed.namespace}".rstrip())

    def accept(self, raw: bytes) -> None:
        """Take over what a write returned, if it is an object of this kind and scope."""
        kept_out = False
        try:
            entry = self._decoder.entry(raw)
        except TransformError as error:
            entry, kept_out = error.entry, True  # counted and logged when the watch brings it
        except DecodeError:
            return  # a Status, or the object of a subresource: nothing for this store
        if not self.covers(entry.key.namespace):
            return
        selected = self.scope.selects(entry.meta)
        if kept_out or selected is False:
            self.deliver(self.store.leave(entry))
        elif selected or entry.key in self.store:
            # Where only the server knows, what was selected is taken to be so still, until the watch says otherwise; a new
            # object is left for the watch to bring, which would never take back one that it doesn't select.
            self.deliver(self.store.accept(entry))

    def end(self, key: ObjectKey, uid: str) -> None:
        """Take over that a delete of this process was answered: the object with this uid is gone."""
        if self.covers(key.namespace):
            self.deliver(self.store.end(key, uid, asyncio.get_running_loop().time()))

    def deliver(self, event: CacheEvent | None) -> None:
        """Tell all handlers of a change that the store holds already."""
        if event is not None:
            self._handlers.tell(event)

    def feed_complete(self) -> None:
        """A feed has brought its first complete list, and handlers know it."""
        if all(feed.complete for feed in self._feeds):
            self._synced.set()

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
        self._informer.deliver(self._store.remove(entry, final=not self._informer.scope.selective))

    def advance(self, version: str) -> None:
        self._store.advance(version, self.namespace)

    def bookmark(self, version: str) -> None:
        self._store.advance(version, self.namespace)
        for event in self._store.settle(asyncio.get_running_loop().time(), self.namespace):
            self._informer.deliver(event)
