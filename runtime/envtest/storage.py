"""What the API server remembers: the objects, and the recent changes of each resource.

Guarantees:

- One counter gives every change, of any resource, the next resourceVersion.
- A stored object never changes; a change replaces it by another. Its JSON is encoded once and shared by every answer.
- Each resource keeps its last `history` changes. State and changes as of an older version can be asked for as far back
  as they reach; beyond that the answer is `TooOld`, never something incomplete.

Concurrency: plain synchronous code for one event loop. Listeners are called inside the write and must only note that
something happened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import orjson

from controller_runtime.api.resource import ObjectKey

__all__ = ["HISTORY", "Change", "Json", "ResourceId", "Storage", "Stored", "Table", "TooOld"]

Json = dict[str, Any]
ResourceId = tuple[str, str]
HISTORY: Final = 10_000


class TooOld(Exception):
    """The history does not reach back to the version that was asked for."""


class Stored:
    """One version of one object; nobody may change `obj`."""

    __slots__ = ("_raw", "key", "obj", "version")

    def __init__(self, key: ObjectKey, obj: Json, version: int) -> None:
        self.key = key
        self.obj = obj
        self.version = version
        self._raw: bytes | None = None

    @property
    def raw(self) -> bytes:
        """The object's JSON."""
        if self._raw is None:
            self._raw = orjson.dumps(self.obj)
        return self._raw

    @property
    def metadata(self) -> Json:
        metadata: Json = self.obj["metadata"]
        return metadata

    @property
    def uid(self) -> str:
        return str(self.obj["metadata"]["uid"])

    @property
    def labels(self) -> dict[str, str]:
        return self.obj["metadata"].get("labels") or {}

    def copy(self) -> Json:
        """A private copy of the object."""
        copy: Json = orjson.loads(self.raw)
        return copy


class Change:
    """Creation (`old` is None), change, or deletion (`new` is None)."""

    __slots__ = ("_last", "new", "old", "version")

    def __init__(self, version: int, old: Stored | None, new: Stored | None) -> None:
        self.version = version
        self.old = old
        self.new = new
        self._last: Stored | None = None

    @property
    def last(self) -> Stored:
        """The object before the change, under the change's version: what a watcher is told that sees it go."""
        if self._last is None:
            assert self.old is not None, "a creation has no state before it"  # noqa: S101 - an invariant, not input
            metadata = {**self.old.metadata, "resourceVersion": str(self.version)}
            self._last = Stored(self.old.key, {**self.old.obj, "metadata": metadata}, self.version)
        return self._last


class Table:
    """All objects of one resource and its recent changes."""

    def __init__(self, history: int) -> None:
        self.objects: dict[ObjectKey, Stored] = {}
        self._changes: deque[Change] = deque(maxlen=history)
        self._first = 0  # sequence number of the oldest change kept
        self.forgotten = 0  # version of the newest change that was dropped
        self._order: list[ObjectKey] | None = None
        self.listeners: dict[Callable[[], None], None] = {}  # in the order in which they came
        self.dropped = False

    @property
    def end(self) -> int:
        """The sequence number that the next change will get."""
        return self._first + len(self._changes)

    def sorted_keys(self) -> list[ObjectKey]:
        """All keys, sorted by namespace and name."""
        if self._order is None:
            self._order = sorted(self.objects)
        return self._order

    def record(self, key: ObjectKey, change: Change) -> None:
        if change.new is None:
            del self.objects[key]
            self._order = None
        else:
            if key not in self.objects:
                self._order = None
            self.objects[key] = change.new
        if len(self._changes) == self._changes.maxlen:
            self.forgotten = self._changes[0].version
            self._first += 1
        self._changes.append(change)
        for listener in self.listeners:
            listener()

    def forget_history(self, version: int) -> None:
        """Drop all recorded changes, as a compaction at `version` does."""
        self._first = self.end
        self.forgotten = version
        self._changes.clear()

    def position_after(self, version: int) -> int:
        """Return the sequence number of the first change after `version`.

        Raises:
            TooOld: changes after `version` have been dropped.
        """
        if version < self.forgotten:
            raise TooOld
        newer = 0
        for change in reversed(self._changes):
            if change.version <= version:
                break
            newer += 1
        return self.end - newer

    def changes_from(self, position: int) -> Iterator[Change]:
        """Yield the changes from a sequence number on.

        Raises:
            TooOld: some of them have been dropped.
        """
        if position < self._first:
            raise TooOld
        skip = position - self._first
        if skip * 2 <= len(self._changes):
            return islice(self._changes, skip, None)
        newest_first = list(islice(reversed(self._changes), self.end - position))
        return reversed(newest_first)

    def at(self, version: int) -> Table:
        """Return a table that holds what this one held at `version`, and gets no changes.

        Raises:
            TooOld: the history does not reach back that far.
        """
        past = Table(0)
        past.objects = self.state_at(version)
        past.forget_history(version)
        return past

    def state_at(self, version: int) -> dict[ObjectKey, Stored]:
        """Return the objects as they were at `version`.

        Raises:
            TooOld: the history does not reach back that far.
        """
        if version < self.forgotten:
            raise TooOld
        state = dict(self.objects)
        for change in reversed(self._changes):
            if change.version <= version:
                break
            if change.old is not None:
                state[change.old.key] = change.old
            elif change.new is not None:
                del state[change.new.key]
        return state


class Storage:
    """All resources. A resource is named by its group and plural, e.g. `("", "pods")`."""

    def __init__(self, *, history: int = HISTORY) -> None:
        self.version = 1
        self._history = history
        self._tables: dict[ResourceId, Table] = {}
        self.observers: list[Callable[[ResourceId, Change], None]] = []

    def table(self, resource: ResourceId) -> Table:
        table = self._tables.get(resource)
        if table is None:
            table = self._tables[resource] = Table(self._history)
            table.forget_history(self.version)  # as if the resource's cache had been filled only now
        return table

    def tables(self) -> Iterator[tuple[ResourceId, Table]]:
        return iter(list(self._tables.items()))

    def drop(self, resource: ResourceId) -> None:
        """Forget a resource that is served no more: its watches end, and nobody can go on from an older version."""
        table = self._tables.get(resource)
        if table is not None:
            table.dropped = True
            for listener in table.listeners:
                listener()
            del self._tables[resource]

    def get(self, resource: ResourceId, key: ObjectKey) -> Stored | None:
        table = self._tables.get(resource)
        return None if table is None else table.objects.get(key)

    def put(self, resource: ResourceId, key: ObjectKey, obj: Json) -> Stored:
        """Store `obj` (which belongs to the storage from now on) under the next version."""
        table = self.table(resource)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        new = Stored(key, obj, self.version)
        self._record(resource, table, key, Change(self.version, table.objects.get(key), new))
        return new

    def remove(self, resource: ResourceId, key: ObjectKey) -> Stored:
        """Remove an object and return its last state, which carries the version of the removal."""
        table = self.table(resource)
        self.version += 1
        change = Change(self.version, table.objects[key], None)
        self._record(resource, table, key, change)
        return change.last

    def _record(self, resource: ResourceId, table: Table, key: ObjectKey, change: Change) -> None:
        table.record(key, change)
        for observer in self.observers:
            observer(resource, change)
