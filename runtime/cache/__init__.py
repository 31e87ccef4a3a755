"""The shared cache: reflectors mirror collections of the API server into indexed stores, informers tell of changes."""

from __future__ import annotations

from controller_runtime.cache.cache import Cache
from controller_runtime.cache.events import CacheEvent, EventType
from controller_runtime.cache.index import IndexFunction
from controller_runtime.cache.informer import Handler, Informer, Registration
from controller_runtime.cache.meta import Entry, Meta, Owner
from controller_runtime.cache.store import Store
from controller_runtime.cache.transform import Transform, edit_object, keep_fields

__all__ = [
    "Cache",
    "CacheEvent",
    "Entry",
    "EventType",
    "Handler",
    "IndexFunction",
    "Informer",
    "Meta",
    "Owner",
    "Registration",
    "Store",
    "Transform",
    "edit_object",
    "keep_fields",
]
