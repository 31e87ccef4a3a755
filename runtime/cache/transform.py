"""Transforms: what the cache keeps of each object, decided before it enters the store.

A transform gets an object's JSON without managedFields and returns the JSON to keep. It saves memory, and it is the place to
drop what nobody in this process should read.

    cache.declare(Pod, transform=keep_fields(PodView))            # only the fields that a class declares: the cheapest
    cache.declare(Secret, transform=edit_object(drop_values))     # any function of the decoded object

A transform must be a pure function, and idempotent: an object may pass it again. It may drop or change anything but the
object's kind, name, namespace, uid and resourceVersion. Indexes, predicates and selectors of reads see what it leaves, so do
typed reads: a field that the type requires must stay. An update sends only what the caller changed, so what was dropped
survives, except inside a list that the caller changed, which is sent whole: change lists with objects that were read live.

An object whose transform fails is kept out of the cache (one that was in it leaves it, as if deleted); that is counted in
`informer_transform_errors_total` and logged with the object's name, each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from controller_runtime.api.meta import Object, decode, encode

__all__ = ["Transform", "edit_object", "keep_fields"]

Transform = Callable[[bytes], bytes]


def keep_fields(kind: type[Object]) -> Transform:
    """Return a transform that keeps the metadata and the fields that `kind` declares, at every depth."""

    def kept(raw: bytes) -> bytes:
        return encode(decode(kind, raw))

    return kept


def edit_object(function: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Transform:
    """Return a transform made of a function of the decoded object; it may change what it is given, and returns what to keep."""
    encoder = msgspec.json.Encoder()

    def edited(raw: bytes) -> bytes:
        return encoder.encode(function(msgspec.json.decode(raw, type=dict)))

    return edited
