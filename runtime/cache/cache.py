"""The shared cache: one informer per kind, declared up front, read by everybody.

Guarantees: kinds are mirrored only because somebody declared or uses them, and one watch serves all who do; a read of any
other kind or namespace, or before the first list is in, raises `NotCached` and says what to do, so that "not read" is never
mistaken for "does not exist".

Concurrency: for one event loop. `run` owns every task of every informer, also of kinds declared while it runs.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, final, overload

from prometheus_client import CollectorRegistry

from controller_runtime.api.meta import Object
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.cache.index import IndexFunction
from controller_runtime.cache.informer import Informer
from controller_runtime.cache.meta import Entry
from controller_runtime.cache.observe import InformerMetrics, Logger
from controller_runtime.cache.scope import Scope
from controller_runtime.cache.transform import Transform
from controller_runtime.client.errors import NotCached
from controller_runtime.client.interface import Kind
from controller_runtime.client.objects import as_object, missing, resource_of
from controller_runtime.client.transport import Transport
from controller_runtime.clock import Clock

__all__ = ["Cache"]

T = TypeVar("T", bound=Object)
Untyped = dict[str, Any]


@final
class Cache:
    """See the module docstring.

    Args:
        transport: how to reach the API server; it stays the caller's to close.
        registry: where the informers' metrics are registered; None for no metrics.
        log: gets a line when an informer's trouble begins and ends.
        concurrent_lists: how many informers may read their whole collection at the same time.
        freeze: once everything declared is in the cache, take all objects of the process out of the garbage collector's
            sight. It costs one collection, and whatever is unreachable by cycles later among these objects is never freed.
            Hardly needed: an entry adds two objects to those that a full collection walks (30,000 pods: 20 ms instead of
            4 ms), and a steady stream of updates causes none.

    Raises:
        ValueError: `concurrent_lists` is not positive.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        log: Logger,
        registry: CollectorRegistry | None = None,
        concurrent_lists: int = 8,
        freeze: bool = False,
    ) -> None:
        if concurrent_lists < 1:
            msg = f"{concurrent_lists=}: no informer could ever read its collection"
            raise ValueError(msg)
        self._transport = transport
        self._clock = clock
        self._log = log
        self._metrics = InformerMetrics(registry) if registry is not None else None
        self._places = asyncio.Semaphore(concurrent_lists)
        self._freeze = freeze
        self._informers: dict[Resource, Informer] = {}
        self._declared: set[Resource] = set()
        self._tasks: dict[Resource, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    # Declaring

    def declare(
        self,
        kind: Kind,
        *,
        namespace: str | Iterable[str] | None = None,
        labels: Selector | None = None,
        fields: str | None = None,
        indexes: Mapping[str, IndexFunction] | None = None,
        metadata_only: bool | None = None,
        transform: Transform | None = None,
    ) -> Informer:
        """Mirror a kind as long as the cache runs, and return its informer.

        Declaring a kind again returns the same informer; options left out then are as they were, indexes are added. Where
        scopes matter, declare them before anybody declares the kind without.

        Args:
            namespace: one or several namespaces; all of them if it is left out or empty.
            labels: mirror only objects that match.
            fields: mirror only objects that match a field selector in kubectl's syntax, e.g. `spec.nodeName=n1`. Which
                fields can be selected by is the server's to say. `metadata.namespace=x` is the namespace. With fields
                beyond name and namespace, an object that this process creates is in the cache only when the watch has
                brought it.
            indexes: functions by name; each gives an object's values (they get an entry: its `meta` costs nothing, its
                `decode` some microseconds).
            metadata_only: keep nothing but metadata.
            transform: what to keep of each object (see `controller_runtime.cache.transform`); the same function each time.

        Raises:
            ValueError: an option differs from an earlier declaration, a cluster-scoped kind is given a namespace, or
                `fields` is no field selector.
        """
        resource = resource_of(kind)
        informer = self._obtain(
            resource,
            Scope.of(
                resource,
                namespace=namespace,
                labels=labels,
                fields=fields,
                metadata_only=metadata_only,
                transform=transform,
            ),
            indexes,
        )
        if resource not in self._declared:
            self._declared.add(resource)
            informer.retain()
        return informer

    @contextmanager
    def use(
        self,
        kind: Kind,
        *,
        namespace: str | Iterable[str] | None = None,
        labels: Selector | None = None,
        fields: str | None = None,
        indexes: Mapping[str, IndexFunction] | None = None,
        metadata_only: bool | None = None,
        transform: Transform | None = None,
    ) -> Iterator[Informer]:
        """Mirror a kind while this context lasts, and yield its informer: for kinds that are known, or needed, only for a time.

        All users of a kind share one informer. It stops with the last of them, that is when no such context is open, no
        handler is registered and nobody has declared the kind; its metrics go too. Options and errors are those of
        `declare`.
        """
        resource = resource_of(kind)
        informer = self._obtain(
            resource,
            Scope.of(
                resource,
                namespace=namespace,
                labels=labels,
                fields=fields,
                metadata_only=metadata_only,
                transform=transform,
            ),
            indexes,
        )
        informer.retain()
        try:
            yield informer
        finally:
            informer.release()

    def _obtain(self, resource: Resource, scope: Scope, indexes: Mapping[str, IndexFunction] | None) -> Informer:
        informer = self._informers.get(resource)
        if informer is None:
            informer = Informer(
                self._transport,
                resource,
                scope,
                indexes=indexes,
                places=self._places,
                unused=self._stop,
                clock=self._clock,
                log=self._log,
            )
            self._informers[resource] = informer
            if self._metrics is not None:
                self._metrics.track(informer)
            if self._group is not None:
                self._start(informer, self._group)
            return informer
        contradiction = scope.contradicts(informer.scope)
        if contradiction is not None:
            msg = f"{resource} {contradiction}"
            raise ValueError(msg)
        for name, function in (indexes or {}).items():
            informer.store.add_index(name, function)
        return informer

    def _start(self, informer: Informer, group: asyncio.TaskGroup) -> None:
        self._tasks[informer.resource] = group.create_task(informer.run(), name=f"informer {informer.name}")

    def _stop(self, informer: Informer) -> None:
        del self._informers[informer.resource]
        if self._metrics is not None:
            self._metrics.forget(informer)
        task = self._tasks.pop(informer.resource, None)
        if task is not None:
            task.cancel()

    def informer(self, kind: Kind) -> Informer:
        """Return the informer of a declared kind.

        Raises:
            NotCached: nobody declared it.
        """
        resource = resource_of(kind)
        try:
            return self._informers[resource]
        except KeyError:
            name = resource.kind if isinstance(kind, Resource) else kind.__name__
            msg = f"{resource} is not cached: call cache.declare({name}) before the manager runs, or read with client.live"
            raise NotCached(msg) from None

    def informers(self) -> tuple[Informer, ...]:
        """Return the informers of all kinds declared by now."""
        return tuple(self._informers.values())

    # Running

    async def run(self) -> None:
        """Mirror all declared kinds, also those declared later, until cancelled.

        Raises:
            RuntimeError: it is running already.
        """
        if self._group is not None:
            msg = "the cache is running already"
            raise RuntimeError(msg)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for informer in self._informers.values():
                    self._start(informer, group)
                if self._freeze:
                    group.create_task(self._freeze_when_synced(), name="cache: freeze")
                await asyncio.Event().wait()  # for kinds declared later; ended by cancellation alone
        finally:
            self._group = None
            self._tasks.clear()

    async def _freeze_when_synced(self) -> None:
        for informer in self.informers():
            await informer.wait_synced()
        gc.collect()
        gc.freeze()

    async def wait_synced(self, timeout: float | None = None) -> None:
        """Wait until every kind declared by now is in the cache, and its handlers know.

        Args:
            timeout: seconds; None to wait for ever.

        Raises:
            TimeoutError: some are not; the message names them, and why.
        """
        informers = self.informers()
        try:
            async with asyncio.timeout(timeout):
                for informer in informers:
                    await informer.wait_synced()
        except TimeoutError:
            late = [informer for informer in informers if not informer.synced]
            msg = f"not cached within {timeout} s: {'; '.join(_state(informer) for informer in late)}"
            raise TimeoutError(msg) from None

    def health(self) -> str | None:
        """Return why some kind cannot be up to date, or None."""
        reasons = [_state(informer) for informer in self.informers() if informer.health() is not None]
        return "; ".join(reasons) or None

    # Reading

    def caches(self, resource: Resource, namespace: str) -> bool:
        """Return whether objects of this kind in this namespace can be read, whatever their names are."""
        informer = self._informers.get(resource)
        if informer is None or not informer.synced or not informer.covers(namespace):
            return False
        return not informer.metadata_only and not informer.scope.fields

    def entry(self, kind: Kind, key: ObjectKey) -> Entry | None:
        """Return the entry of an object, or None if there is no such object.

        Raises:
            NotCached: the kind or the namespace is not declared, or not in the cache yet.
        """
        informer = self._readable(kind, key.namespace)
        if informer.scope.excludes(key.name):
            msg = f"{informer.name} {key} is not cached: it was declared for {informer.scope.fields}"
            raise NotCached(msg)
        return informer.store.get(key)

    def entries(
        self, kind: Kind, *, namespace: str = "", labels: Selector | None = None, index: tuple[str, str] | None = None
    ) -> list[Entry]:
        """Return all matching entries, sorted by namespace and name.

        Raises:
            NotCached: the kind, the namespace or the index is not declared, or the kind not in the cache yet.
        """
        informer = self._readable(kind, namespace, whole=True)
        try:
            return informer.store.entries(namespace=namespace, labels=labels, index=index)
        except KeyError as error:
            msg = f"{informer.name}: {error.args[0]}; declare the kind with indexes={{...}}"
            raise NotCached(msg) from None

    @overload
    def get(self, kind: type[T], key: ObjectKey) -> T: ...
    @overload
    def get(self, kind: Resource, key: ObjectKey) -> Untyped: ...
    def get(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped:
        """Return one object, the caller's own.

        Raises:
            NotFound: there is none of that name.
            NotCached: as `entry`.
        """
        entry = self.entry(kind, key)
        if entry is None:
            raise missing(resource_of(kind), key)
        return as_object(kind, entry.raw)

    @overload
    def find(self, kind: type[T], key: ObjectKey) -> T | None: ...
    @overload
    def find(self, kind: Resource, key: ObjectKey) -> Untyped | None: ...
    def find(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped | None:
        """Like `get`, with None for an object that does not exist."""
        entry = self.entry(kind, key)
        return None if entry is None else as_object(kind, entry.raw)

    @overload
    def list(
        self,
        kind: type[T],
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[T]: ...
    @overload
    def list(
        self,
        kind: Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[Untyped]: ...
    def list(
        self,
        kind: type[T] | Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[T] | list[Untyped]:
        """Return all matching objects, sorted by namespace and name; each is the caller's own."""
        objects: Any = [
            as_object(kind, entry.raw) for entry in self.entries(kind, namespace=namespace, labels=labels, index=index)
        ]
        return objects  # type: ignore[no-any-return]  # one of the two, as the overloads say

    # Writing through

    def accept(self, resource: Resource, raw: bytes) -> None:
        """Take over the object that a write returned, so that the next read sees it; nothing for a kind not cached."""
        informer = self._informers.get(resource)
        if informer is not None:
            informer.accept(raw)

    def end(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Take over that a delete has ended the object with this uid, so that no read finds it; nothing for a kind not cached."""
        informer = self._informers.get(resource)
        if informer is not None:
            informer.end(key, uid)

    def _readable(self, kind: Kind, namespace: str, *, whole: bool = False) -> Informer:
        informer = self.informer(kind)
        scope = namespace if informer.resource.namespaced else ""
        if not informer.covers(scope) and not (whole and not namespace):
            msg = f"{informer.name} in namespace {namespace!r} is not cached: it was declared for {informer.namespaces}"
            raise NotCached(msg)
        if not informer.synced:
            msg = f"not in the cache yet: await cache.wait_synced() first ({_state(informer)})"
            raise NotCached(msg)
        if informer.metadata_only and not isinstance(kind, Resource):
            msg = f"{informer.name}: only metadata is cached; declare it without metadata_only, or read its entries"
            raise NotCached(msg)
        return informer


def _state(informer: Informer) -> str:
    return f"{informer.name}: {informer.health() or 'no complete list yet'}"
