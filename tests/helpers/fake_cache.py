"""A cache whose contents, health and sync a test decides: the informers of a controller without any reflector."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from controller_runtime.api.meta import Object, encode
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.cache import CacheEvent, Entry
from controller_runtime.cache.meta import EntryDecoder
from controller_runtime.client.errors import NotCached

Handler = Callable[[CacheEvent], None]


def entry_of(obj: Object) -> Entry:
    return EntryDecoder(obj.resource).entry(encode(obj))


class FakeRegistration:
    def __init__(self, informer: FakeInformer, handler: Handler) -> None:
        self.informer = informer
        self.handler = handler

    async def wait_synced(self) -> None:
        await self.informer.has_synced.wait()

    def remove(self) -> None:
        self.informer.registrations.remove(self)


class FakeInformer:
    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.has_synced = asyncio.Event()
        self.trouble: str | None = None
        self.resync = 0.0
        self.registrations: list[FakeRegistration] = []
        self.entries: dict[ObjectKey, Entry] = {}

    @property
    def synced(self) -> bool:
        return self.has_synced.is_set()

    def health(self) -> str | None:
        return self.trouble

    def add_handler(self, handler: Handler, *, resync: float = 0.0) -> FakeRegistration:
        self.resync = resync
        registration = FakeRegistration(self, handler)
        self.registrations.append(registration)
        for entry in self.entries.values():
            handler(CacheEvent("added", entry.key, entry, None, initial=True))
        return registration

    def put(self, obj: Object) -> None:
        """Add or update an object, as a watch would."""
        new = entry_of(obj)
        old = self.entries.get(new.key)
        self.entries[new.key] = new
        self.tell(CacheEvent("updated" if old else "added", new.key, new, old, initial=not self.synced))

    def delete(self, key: ObjectKey) -> None:
        old = self.entries.pop(key)
        self.tell(CacheEvent("deleted", key, None, old))

    def tell(self, event: CacheEvent) -> None:
        for registration in list(self.registrations):
            registration.handler(event)


class FakeCache:
    """Hands out one informer per kind; they are in sync from the start unless `synced` is False."""

    def __init__(self, *, synced: bool = True) -> None:
        self._synced = synced
        self._informers: dict[Resource, FakeInformer] = {}

    def declare(self, kind: type[Object] | Resource, **_: Any) -> FakeInformer:
        resource = kind if isinstance(kind, Resource) else kind.resource
        if resource not in self._informers:
            informer = self._informers[resource] = FakeInformer(resource)
            if self._synced:
                informer.has_synced.set()
        return self._informers[resource]

    def informer(self, kind: type[Object] | Resource) -> FakeInformer:
        resource = kind if isinstance(kind, Resource) else kind.resource
        if resource not in self._informers:
            raise NotCached(str(resource))
        return self._informers[resource]
