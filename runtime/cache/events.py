"""What informers tell their handlers."""

from __future__ import annotations

from typing import Literal

import msgspec

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.meta import Entry

__all__ = ["CacheEvent", "EventType"]

EventType = Literal["added", "updated", "deleted"]


class CacheEvent(msgspec.Struct, frozen=True, gc=False):
    """A change of the store, which holds the new state already when a handler sees this.

    Attributes:
        new: the state after the change; None of a deleted object.
        old: the state before; None of an added object, the last known state of a deleted one.
        initial: the object was there when the handler came, or when the cache was filled.
        final_state_unknown: the object was found to be gone when the collection was read again, or a delete of this process
            was answered so: `old` may miss its last changes.

    An object that was deleted and created again under the same name while nobody looked is one `updated` event whose `old`
    and `new` have different uids.
    """

    type: EventType
    key: ObjectKey
    new: Entry | None
    old: Entry | None
    initial: bool = False
    final_state_unknown: bool = False

    @property
    def entry(self) -> Entry:
        """The newest state known: `new`, or of a deleted object `old`."""
        entry = self.new if self.new is not None else self.old
        assert entry is not None  # noqa: S101 - an event without any state cannot be made by the store
        return entry
