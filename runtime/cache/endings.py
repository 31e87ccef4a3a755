"""What deletes of this process have ended, until the watch tells so too.

The answer to a delete that ends its object at once names the object's uid, and no version. So whether a state of that
object, which the watch or a list still brings, is older than its end cannot be told from versions: all of them are withheld,
and so are states of earlier objects of its name. They are, until one of these comes:

- The watch tells of the object's end, or a list that is not older than its last known state does not name it. Nothing else of
  it can follow.
- The watch says, a minute or more after the answer, that it is complete: a bookmark. If no state of the object is known, there
  was nothing to tell: its end had been told before the answer came, or the watch does not select it. If one is, the object is
  there after all, since the server was restored from a backup, or has answered wrongly; then this state counts.

A uid is never used again, so an end that is remembered for too long harms nobody. The memory is bounded: the oldest end is
forgotten first, and then an older state may show until the watch tells of the end.

Concurrency: plain synchronous state for one event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, final

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.meta import Entry
from controller_runtime.client.versions import compare_versions

__all__ = ["MOST_NAMES", "MOST_PER_NAME", "PATIENCE", "Ending", "Endings"]

PATIENCE: Final = 60.0
"""Seconds for which a watch may lag behind the answer to a delete."""

MOST_NAMES: Final = 1_000
"""Of how many names the ends of objects are remembered."""

MOST_PER_NAME: Final = 10
"""How many ends are remembered of objects of one name."""


@final
@dataclass(slots=True)
class Ending:
    """One object that is gone, as far as the answer to our delete says.

    Attributes:
        answered: the loop's time when the answer came.
        last: its newest state, from the cache or withheld; None if none is known, or the watch has told that it is not
            there any more.
    """

    uid: str
    answered: float
    last: Entry | None


@final
class Endings:
    """See the module docstring. A `scope` is the namespace that one list or watch covers; empty for all of them."""

    __slots__ = ("by_key",)

    def __init__(self) -> None:
        self.by_key: dict[ObjectKey, list[Ending]] = {}
        """Empty nearly always: who puts thousands of states a second asks this first."""

    def note(self, key: ObjectKey, uid: str, last: Entry | None, now: float) -> None:
        """A delete was answered at `now`: the object with this uid is gone, whose state in the cache was `last`."""
        endings = self.by_key.setdefault(key, [])
        if any(ending.uid == uid for ending in endings):
            return
        endings.append(Ending(uid, now, last))
        del endings[:-MOST_PER_NAME]
        if len(self.by_key) > MOST_NAMES:
            del self.by_key[next(iter(self.by_key))]

    def withholds(self, entry: Entry) -> bool:
        """Return whether a state must not be taken; the newest of an object is kept, in case it is there after all."""
        for ending in self.by_key.get(entry.key, ()):
            last = ending.last
            if ending.uid == entry.meta.uid:
                if last is None or not _is_older(entry.meta.resource_version, last.meta.resource_version):
                    ending.last = entry
                return True
            if last is not None and _is_older(entry.meta.resource_version, last.meta.resource_version):
                return True  # of an earlier object of the same name
        return False

    def told(self, key: ObjectKey, uid: str, *, final: bool) -> None:
        """The watch tells of an object's end; unless that is `final`, it may only have left what the watch selects."""
        if key not in self.by_key:
            return
        if final:
            self._drop(key, lambda ending: ending.uid == uid)
            return
        for ending in self.by_key[key]:
            if ending.uid == uid:
                ending.last = None

    def listed(self, uids: Collection[str], version: str, scope: str) -> None:
        """A complete list, read at `version`, names `uids`; others that had been there by then are gone."""

        def is_gone(ending: Ending) -> bool:
            last = ending.last
            return last is not None and ending.uid not in uids and not _is_older(version, last.meta.resource_version)

        for key in self._keys(scope):
            self._drop(key, is_gone)

    def forget(self, scope: str) -> None:
        """The server has gone back in time: what it answered is void."""
        for key in self._keys(scope):
            del self.by_key[key]

    def settle(self, scope: str, now: float) -> list[Entry]:
        """The watch says at `now` that it is complete; return the states of objects that are there after all."""
        settled = [
            ending
            for key in self._keys(scope)
            for ending in self._drop(key, lambda ending: now - ending.answered >= PATIENCE)
        ]
        return [ending.last for ending in settled if ending.last is not None]

    def _keys(self, scope: str) -> list[ObjectKey]:
        return [key for key in self.by_key if scope in ("", key.namespace)]

    def _drop(self, key: ObjectKey, which: Callable[[Ending], bool]) -> list[Ending]:
        """Forget some ends of objects of one name, and return them."""
        endings = self.by_key[key]
        dropped = [ending for ending in endings if which(ending)]
        left = [ending for ending in endings if not which(ending)]
        if left:
            self.by_key[key] = left
        else:
            del self.by_key[key]
        return dropped


def _is_older(version: str, than: str) -> bool:
    """Return whether a version is known to be older."""
    return (compare_versions(version, than) or 0) < 0
