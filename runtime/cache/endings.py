"""What deletes of this process have ended, until the watch tells so too.

The answer to a delete that ends its object at once names the object's uid, and no version. So whether a state of that
object, which the watch or a list still brings, is older than its end cannot be told from versions: all of them are withheld.

- The watch tells of the object's end, or a list that is newer than its last known state does not name it: it is forgotten
  here, and nothing else of it can come.
- A watch that tells of no end, though it has said a minute or more after the answer that it is complete (a bookmark): either
  there was nothing more to tell, because the end was told before the answer came or the watch does not select the object, or
  the object is there after all, because the server was restored from a backup. Then what was withheld last counts.

A uid is never used again, so one that is remembered for too long harms nobody. At most `MOST` are remembered; the oldest is
forgotten first, and an older state of it may show until the watch tells of its end.

Concurrency: plain synchronous state for one event loop.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, final

from controller_runtime.cache.meta import Entry
from controller_runtime.client.versions import compare_versions

__all__ = ["MOST", "PATIENCE", "Ending", "Endings"]

MOST: Final = 10_000
"""How many ends are remembered."""

PATIENCE: Final = 60.0
"""Seconds for which a watch may lag behind the answer to a write."""


@final
@dataclass(slots=True)
class Ending:
    """One object that is gone, as far as the answer to our delete says.

    Attributes:
        namespace: of the object.
        version: of its last known state; empty if none is known.
        answered: the loop's time when the answer came.
        withheld: the newest state that was brought afterwards.
    """

    namespace: str
    version: str
    answered: float
    withheld: Entry | None = None


@final
class Endings:
    """See the module docstring. A `scope` is the namespace that one list or watch covers; empty for all of them."""

    __slots__ = ("by_uid",)

    def __init__(self) -> None:
        self.by_uid: dict[str, Ending] = {}
        """Empty nearly always: who puts thousands of states a second asks this first."""

    def note(self, uid: str, namespace: str, version: str, now: float) -> None:
        """A delete was answered at `now`: the object is gone. `version` is that of its last known state, or empty."""
        self.by_uid[uid] = Ending(namespace, version, now)
        if len(self.by_uid) > MOST:
            del self.by_uid[next(iter(self.by_uid))]

    def withhold(self, entry: Entry) -> bool:
        """Return whether this is a state of an object that has ended, and keep it in case that was not so."""
        ending = self.by_uid.get(entry.meta.uid)
        if ending is None:
            return False
        if ending.withheld is None or not _is_older(entry.meta.resource_version, ending.version):
            ending.withheld, ending.version = entry, entry.meta.resource_version
        return True

    def told(self, uid: str, *, final: bool) -> None:
        """The watch tells of an object's end; unless that is `final`, it may only have left what the watch selects."""
        ending = self.by_uid.get(uid)
        if ending is None:
            return
        if final:
            del self.by_uid[uid]
        else:
            ending.withheld = None

    def listed(self, uids: Collection[str], version: str, scope: str) -> None:
        """A complete list names `uids`; others that it could have named are gone."""
        for uid, ending in self._of(scope):
            if uid not in uids and ending.version and not _is_older(version, ending.version):
                del self.by_uid[uid]

    def forget(self, scope: str) -> None:
        """The server has gone back in time: what it answered is void."""
        for uid, _ in self._of(scope):
            del self.by_uid[uid]

    def settle(self, scope: str, now: float) -> list[Entry]:
        """The watch says at `now` that it is complete; return the states of objects that are there after all."""
        settled = [(uid, ending) for uid, ending in self._of(scope) if now - ending.answered >= PATIENCE]
        for uid, _ in settled:
            del self.by_uid[uid]
        return [ending.withheld for _, ending in settled if ending.withheld is not None]

    def _of(self, scope: str) -> list[tuple[str, Ending]]:
        return [(uid, ending) for uid, ending in self.by_uid.items() if scope in ("", ending.namespace)]


def _is_older(version: str, than: str) -> bool:
    """Return whether a version is known to be older."""
    return (compare_versions(version, than) or 0) < 0
