"""The cached objects of one kind, by key and by index. Plain synchronous state: every method is one atomic step.

No object goes back in time, whoever brings the news: the watch, a list, or a client that hands over what it wrote.

- An older resourceVersion never overwrites a newer one; the same one is no news (so what a write brought is not
  reported again when the watch brings it).
- An object that is absent, while the watch has already reported everything up to a version, was gone at that version: an
  older state of it does not come back.
- A list says nothing about an object that is newer than the list.
- An object that a delete of ours has ended is gone before the watch tells so, and no state of it comes back (see
  `controller_runtime.cache.endings`). What comes under its name with another uid is another object.

Versions are compared as numbers. If a server's are none, the word of the watch and of lists counts as it comes, and what
a client wrote is left for the watch to bring.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import final

from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.selectors import Selector
from controller_runtime.cache.endings import Endings
from controller_runtime.cache.events import CacheEvent
from controller_runtime.cache.index import Index, IndexFunction
from controller_runtime.cache.meta import Entry
from controller_runtime.client.versions import compare_versions

__all__ = ["NAMESPACE", "Store"]

NAMESPACE = "namespace"
"""The name of the index that every store has."""


def _namespace(entry: Entry) -> tuple[str, ...]:
    return (entry.key.namespace,)


@final
class Store:
    """See the module docstring.

    Methods that change the store return the change, or None if there was none. A `scope` is the namespace that one list
    or watch covers; empty for all of them.

    Args:
        indexes: functions by the names of their indexes.
    """

    __slots__ = ("_endings", "_entries", "_indexes", "_progress", "ignored")

    def __init__(self, indexes: Mapping[str, IndexFunction] | None = None) -> None:
        self._entries: dict[ObjectKey, Entry] = {}
        self._indexes: dict[str, Index] = {NAMESPACE: Index(_namespace)}
        self._progress: dict[str, str] = {}
        self._endings = Endings()
        self.ignored = 0
        """How often something brought no news, or old news."""
        for name, function in (indexes or {}).items():
            self.add_index(name, function)

    # Reads

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: ObjectKey) -> Entry | None:
        return self._entries.get(key)

    def entries(
        self, *, namespace: str = "", labels: Selector | None = None, index: tuple[str, str] | None = None
    ) -> list[Entry]:
        """Return all matching entries, sorted by namespace and name.

        Args:
            namespace: empty for all.
            index: the name of an index and the value to look up.

        Raises:
            KeyError: there is no such index.
        """
        keys: Collection[ObjectKey]
        if index is not None:
            keys = self.index(index[0]).keys(index[1])
            if namespace:
                keys = [key for key in keys if key.namespace == namespace]
        elif namespace:
            keys = self._indexes[NAMESPACE].keys(namespace)
        else:
            keys = self._entries
        found = [self._entries[key] for key in sorted(keys)]
        if labels is not None and labels.requirements:
            found = [entry for entry in found if labels.matches(entry.meta.labels)]
        return found

    def index(self, name: str) -> Index:
        """Return an index.

        Raises:
            KeyError: there is none of that name.
        """
        try:
            return self._indexes[name]
        except KeyError:
            msg = f"no index {name!r}; there is {', '.join(map(repr, sorted(self._indexes)))}"
            raise KeyError(msg) from None

    @property
    def indexes(self) -> Mapping[str, Index]:
        return self._indexes

    # Changes

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Add an index; objects that are there already are indexed.

        Raises:
            ValueError: there is an index of that name with another function.
        """
        existing = self._indexes.get(name)
        if existing is not None:
            if existing.function is function:
                return
            msg = f"there is an index {name!r} already"
            raise ValueError(msg)
        index = self._indexes[name] = Index(function)
        for entry in self._entries.values():
            index.put(entry)

    def put(self, entry: Entry, scope: str = "") -> CacheEvent | None:
        """Take over a state that the watch of `scope` reported."""
        return self._offer(entry, self._progress.get(scope), trusted=True)

    def accept(self, entry: Entry) -> CacheEvent | None:
        """Take over a state that a write returned."""
        progress = self._progress.get("", self._progress.get(entry.key.namespace))
        return self._offer(entry, progress, trusted=False)

    def remove(self, entry: Entry, *, final: bool = False) -> CacheEvent | None:
        """Take over a deletion that the watch reported; `entry` is the object's final state.

        Args:
            final: the watch selects nothing, so the object is gone and not merely unselected: no state of it that a write
                returned can be newer, whatever its version says.
        """
        if self._endings.by_key:
            self._endings.told(entry.key, entry.meta.uid, final=final)
        old = self._entries.get(entry.key)
        # The final state of an earlier incarnation says nothing about this one.
        same = old is not None and old.meta.uid == entry.meta.uid
        if final and same:
            self._discard(entry.key)
            return CacheEvent("deleted", entry.key, None, entry)
        return self._remove(entry, entry if same else old)

    def leave(self, entry: Entry) -> CacheEvent | None:
        """Remove an object whose newest state, `entry`, is not selected any more."""
        return self._remove(entry, self._entries.get(entry.key))

    def end(self, key: ObjectKey, uid: str, now: float) -> CacheEvent | None:
        """Take over that a delete of ours, answered at `now` (the loop's time), has ended the object with this uid."""
        old = self._entries.get(key)
        last = old if old is not None and old.meta.uid == uid else None
        self._endings.note(key, uid, last, now)
        return self._lose(last) if last is not None else None

    def replace(
        self, entries: Sequence[Entry], version: str, scope: str = "", *, initial: bool = False, rewound: bool = False
    ) -> list[CacheEvent]:
        """Take over a complete list that was read at `version`; return what is missing in it first, then its own order.

        Args:
            initial: mark the changes as part of the first filling.
            rewound: the server itself has gone back in time (it was restored from a backup): its word counts, whatever
                the versions say.
        """
        progress = self._progress.get(scope)
        if rewound:
            self._endings.forget(scope)
        elif self._endings.by_key:
            self._endings.listed({entry.meta.uid for entry in entries}, version, scope)
        outdated = not rewound and progress is not None and _order(version, progress) < 0
        listed = {entry.key for entry in entries}
        known = self._indexes[NAMESPACE].keys(scope) if scope else self._entries
        events: list[CacheEvent] = []
        for key in [key for key in known if key not in listed]:
            old = self._entries[key]
            if rewound or _order(old.meta.resource_version, version) <= 0:
                events.append(self._lose(old))
        for entry in entries:
            event = self._offer(entry, version if outdated else None, trusted=True, rewound=rewound, initial=initial)
            if event is not None:
                events.append(event)
        if rewound:
            self._progress.pop(scope, None)
        self.advance(version, scope)
        return events

    def advance(self, version: str, scope: str = "") -> None:
        """Note that the watch of `scope` has reported everything up to `version`."""
        progress = self._progress.get(scope)
        if progress is None or _order(version, progress) >= 0:
            self._progress[scope] = version

    def settle(self, now: float, scope: str = "") -> list[CacheEvent]:
        """Note that the watch of `scope` says at `now` (the loop's time) that it has reported everything."""
        if not self._endings.by_key:
            return []
        there_after_all = [self._offer(entry, None, trusted=True) for entry in self._endings.settle(scope, now)]
        return [event for event in there_after_all if event is not None]

    def _offer(
        self, entry: Entry, progress: str | None, *, trusted: bool, rewound: bool = False, initial: bool = False
    ) -> CacheEvent | None:
        """Store `entry` if it is news.

        Args:
            progress: an object that is absent was gone at this version.
            trusted: take it also if its age cannot be compared.
        """
        old = self._entries.get(entry.key)
        than = progress if old is None else old.meta.resource_version
        if than is not None:
            order = compare_versions(entry.meta.resource_version, than)
            if (not trusted if order is None else order <= 0) and not (rewound and order != 0):
                self.ignored += 1
                return None
        if self._endings.by_key and self._endings.withholds(entry):
            self.ignored += 1
            return None if old is None else self._lose(old)  # an earlier object of that name, whose end is overtaken
        self._entries[entry.key] = entry
        for index in self._indexes.values():
            index.put(entry)
        return CacheEvent("added" if old is None else "updated", entry.key, entry, old, initial=initial)

    def _remove(self, entry: Entry, last: Entry | None) -> CacheEvent | None:
        old = self._entries.get(entry.key)
        if old is None or _order(entry.meta.resource_version, old.meta.resource_version) < 0:
            self.ignored += 1
            return None
        self._discard(entry.key)
        return CacheEvent("deleted", entry.key, None, last)

    def _lose(self, old: Entry) -> CacheEvent:
        """Remove an object that is gone, nobody knows in which state."""
        self._discard(old.key)
        return CacheEvent("deleted", old.key, None, old, final_state_unknown=True)

    def _discard(self, key: ObjectKey) -> None:
        del self._entries[key]
        for index in self._indexes.values():
            index.discard(key)


def _order(a: str, b: str) -> int:
    """Compare versions; those that cannot be compared count as the same."""
    return compare_versions(a, b) or 0
