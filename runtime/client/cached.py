"""A client that reads from the shared cache, writes to the API server, and tells the cache what it wrote.

Guarantees:

- A read costs no request and no waiting; a kind that nobody declared raises `NotCached` instead of starting a watch.
- Read your own writes: what a write returned is in the cache before the write returns, and an object that a delete has ended
  at once is in it no more. Of `delete_all_of` the watch tells.
- `apply` sends a request only if it could change something (see `controller_runtime.client.applied`).

Concurrency: may be shared by any number of tasks of one event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar, overload

from controller_runtime.api.meta import Object, encode, source_of
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.client.applied import AppliedMemory, CachedState
from controller_runtime.client.deletion import ended_uid
from controller_runtime.client.interface import FieldValidation, Kind, Preconditions, Propagation, WatchEvent
from controller_runtime.client.live import LiveClient
from controller_runtime.client.objects import Untyped, apply_body, as_object, key_of, missing, resource_of
from controller_runtime.client.patch import Patch

__all__ = ["CachedClient", "SharedCache"]

T = TypeVar("T", bound=Object)


class SharedCache(Protocol):
    """What the client needs of a cache; `controller_runtime.cache.Cache` is one."""

    def entry(self, kind: Kind, key: ObjectKey) -> CachedState | None:
        """Return the cached state of an object, or None.

        Raises:
            NotCached: nobody declared this kind or namespace, or it has not been read yet.
        """
        ...

    def entries(
        self, kind: Kind, *, namespace: str = "", labels: Selector | None = None, index: tuple[str, str] | None = None
    ) -> Sequence[CachedState]:
        """Return the cached states of all matching objects, sorted by namespace and name."""
        ...

    def accept(self, resource: Resource, raw: bytes) -> None:
        """Take over what a write returned; of a kind that is not cached, do nothing."""
        ...

    def end(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Take over that a delete has ended the object with this uid; of a kind that is not cached, do nothing."""
        ...

    def caches(self, resource: Resource, namespace: str) -> bool:
        """Return whether objects of this kind in this namespace can be read."""
        ...


class CachedClient:
    """See the module docstring; it satisfies `controller_runtime.client.interface.Client`.

    Args:
        live: carries out writes, and reads past the cache.
        cache: answers reads.
    """

    def __init__(self, live: LiveClient, cache: SharedCache) -> None:
        self._live = live
        self._cache = cache
        self._applied = AppliedMemory()

    @property
    def live(self) -> LiveClient:
        return self._live

    @property
    def field_manager(self) -> str:
        return self._live.field_manager

    def with_options(
        self,
        *,
        field_manager: str | None = None,
        dry_run: bool = False,
        field_validation: FieldValidation | None = None,
    ) -> CachedClient:
        live = self._live.with_options(field_manager=field_manager, dry_run=dry_run, field_validation=field_validation)
        return CachedClient(live, self._cache)

    # Reads

    @overload
    async def get(self, kind: type[T], key: ObjectKey) -> T: ...
    @overload
    async def get(self, kind: Resource, key: ObjectKey) -> Untyped: ...
    async def get(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped:
        entry = self._cache.entry(kind, key)
        if entry is None:
            raise missing(resource_of(kind), key)
        return as_object(kind, entry.raw)

    @overload
    async def find(self, kind: type[T], key: ObjectKey) -> T | None: ...
    @overload
    async def find(self, kind: Resource, key: ObjectKey) -> Untyped | None: ...
    async def find(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped | None:
        entry = self._cache.entry(kind, key)
        return None if entry is None else as_object(kind, entry.raw)

    @overload
    async def list(
        self,
        kind: type[T],
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[T]: ...
    @overload
    async def list(
        self,
        kind: Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[Untyped]: ...
    async def list(
        self,
        kind: type[T] | Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[T] | list[Untyped]:
        entries = self._cache.entries(kind, namespace=namespace, labels=labels, index=index)
        objects: Any = [as_object(kind, entry.raw) for entry in entries]
        return objects  # type: ignore[no-any-return]  # one of the two, as the overloads say

    # Writes

    async def create(self, obj: T) -> T:
        return self._accepted(await self._live.create(obj))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        written = await self._live.update(obj, subresource=subresource)
        return written if written is obj else self._accepted(written, subresource)

    async def update_status(self, obj: T) -> T:
        return await self.update(obj, subresource="status")

    @overload
    async def patch(self, kind: type[T], key: ObjectKey, patch: Patch, *, subresource: str = "") -> T: ...
    @overload
    async def patch(self, kind: Resource, key: ObjectKey, patch: Patch, *, subresource: str = "") -> Untyped: ...
    async def patch(
        self, kind: type[T] | Resource, key: ObjectKey, patch: Patch, *, subresource: str = ""
    ) -> T | Untyped:
        if isinstance(kind, Resource):
            untyped = await self._live.patch(kind, key, patch, subresource=subresource)
            self._take_over(kind, encode(untyped), subresource)
            return untyped
        return self._accepted(await self._live.patch(kind, key, patch, subresource=subresource), subresource)

    @overload
    async def apply(self, obj: T, *, force: bool = True, subresource: str = "") -> T: ...
    @overload
    async def apply(self, obj: Untyped, *, force: bool = True, subresource: str = "") -> Untyped: ...
    async def apply(self, obj: T | Untyped, *, force: bool = True, subresource: str = "") -> T | Untyped:
        resource = await self._live.resource_of_object(obj)
        key, body = key_of(obj), apply_body(obj, subresource)
        with self._applied.applying(resource, key, subresource, body, force=force) as attempt:
            raw: bytes
            entry = self._cache.entry(resource, key) if self._cache.caches(resource, key.namespace) else None
            if entry is not None and attempt.is_in(entry):
                raw = entry.raw
                if self._live.metrics is not None:
                    self._live.metrics.suppressed(str(resource), "apply")
            else:
                raw = await self._live.apply_raw(resource, key, encode(body), force, subresource)
                if not self._live.dry_run:
                    attempt.sent(raw)
                self._take_over(resource, raw, subresource)
        return as_object(type(obj), raw) if isinstance(obj, Object) else as_object(resource, raw)

    async def delete(
        self,
        kind: Kind,
        key: ObjectKey,
        *,
        grace_period: int | None = None,
        preconditions: Preconditions | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        resource = resource_of(kind)
        self._applied.forget(resource, key)
        answer = await self._live.delete_raw(kind, key, grace_period, preconditions, propagation)
        if self._live.dry_run:
            return
        uid = ended_uid(resource, answer)
        if uid is not None:
            self._cache.end(resource, key, uid)
        else:
            self._cache.accept(resource, answer)  # what finalizers or a grace period keep has a deletionTimestamp now

    async def delete_all_of(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        grace_period: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        # The watch brings what it did: the answer has the objects as they were found, not what has become of each.
        await self._live.delete_all_of(
            kind, namespace=namespace, labels=labels, grace_period=grace_period, propagation=propagation
        )

    # Subresources

    @overload
    async def get_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: type[T]) -> T: ...
    @overload
    async def get_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: Resource) -> Untyped: ...
    async def get_subresource(
        self, kind: Kind, key: ObjectKey, subresource: str, body: type[T] | Resource
    ) -> T | Untyped:
        return await self._live.get_subresource(kind, key, subresource, body)

    @overload
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: T) -> T: ...
    @overload
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: Untyped) -> Untyped: ...
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: T | Untyped) -> T | Untyped:
        return await self._live.create_subresource(kind, key, subresource, body)

    # Watches

    @overload
    def watch(
        self, kind: type[T], *, namespace: str = "", labels: Selector | None = None, resource_version: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent[T]]]: ...
    @overload
    def watch(
        self, kind: Resource, *, namespace: str = "", labels: Selector | None = None, resource_version: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent[Untyped]]]: ...
    def watch(
        self,
        kind: type[T] | Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        resource_version: str = "",
    ) -> (
        AbstractAsyncContextManager[AsyncIterator[WatchEvent[T]]]
        | AbstractAsyncContextManager[AsyncIterator[WatchEvent[Untyped]]]
    ):
        return self._live.watch(kind, namespace=namespace, labels=labels, resource_version=resource_version)

    def _accepted(self, written: T, subresource: str = "") -> T:
        raw = source_of(written)
        if raw is not None:
            self._take_over(written.resource, raw, subresource)
        return written

    def _take_over(self, resource: Resource, raw: bytes, subresource: str = "") -> None:
        """Hand an answer to the cache, unless nothing was written, or the object of a subresource is of another kind."""
        if subresource in ("", "status") and not self._live.dry_run:
            self._cache.accept(resource, raw)
