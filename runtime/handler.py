"""Which keys an event concerns: from a watched object to the objects that must be reconciled.

A handler is a function of an event and of `enqueue`. The three that are needed most: the object itself
(`enqueue_object`), the object that owns it (`enqueue_owner`), and whatever a function says (`enqueue_mapped`).

Concurrency: handlers run synchronously for each event, before the next event is applied. They must be quick; they may read
the cache, which holds the new state already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.cache import CacheEvent, Entry

__all__ = ["Enqueue", "Handler", "MapFunction", "each_state", "enqueue_mapped", "enqueue_object", "enqueue_owner"]


class Enqueue(Protocol):
    """Asks for a run of a key. Without a `priority`, initial and unchanged objects get a low one, all others 0."""

    def __call__(self, key: ObjectKey, *, after: float = 0.0, priority: int = 0) -> None: ...


Handler = Callable[[CacheEvent, Enqueue], None]
MapFunction = Callable[[CacheEvent], Iterable[ObjectKey]]


def enqueue_object(event: CacheEvent, enqueue: Enqueue) -> None:
    """Enqueue the object itself."""
    enqueue(event.key)


def enqueue_owner(owner: Resource, *, every_owner: bool = False) -> Handler:
    """Enqueue the owner of the object, if it is of the kind `owner`; the version of the reference does not matter.

    An object that changes hands concerns both, the old owner and the new one.

    Args:
        every_owner: not only the owner that is marked as the controller.
    """

    def owners(entry: Entry) -> Iterable[ObjectKey]:
        namespace = entry.key.namespace if owner.namespaced else ""
        for reference in entry.meta.owner_references:
            if (
                reference.kind == owner.kind
                and (every_owner or reference.controller)
                and reference.group == owner.group
            ):
                yield ObjectKey(namespace, reference.name)

    return enqueue_mapped(each_state(owners))


def enqueue_mapped(function: MapFunction) -> Handler:
    """Enqueue the keys that `function` returns for the event, each once."""

    def handler(event: CacheEvent, enqueue: Enqueue) -> None:
        for key in dict.fromkeys(function(event)):
            enqueue(key)

    return handler


def each_state(function: Callable[[Entry], Iterable[ObjectKey]]) -> MapFunction:
    """Map an event by mapping the object's state before and after it, so that neither side of a change is missed."""

    def mapped(event: CacheEvent) -> Iterable[ObjectKey]:
        if event.old is not None:
            yield from function(event.old)
        if event.new is not None:
            yield from function(event.new)

    return mapped
