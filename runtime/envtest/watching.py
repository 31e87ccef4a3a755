"""A watch: a cursor in a resource's history that turns changes into lines of JSON.

No watch has a buffer of its own: it pulls from the shared history when its reader is ready, so a slow reader costs no
memory and learns by a 410 that it has fallen behind for good. An object that stops matching the selection is DELETED
for this watch, one that begins to match is ADDED.

Concurrency: plain synchronous code; `listen` is called inside writes and only notes that there is something to pull.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol, final

import orjson

from controller_runtime.api.resource import ObjectKey
from controller_runtime.envtest.selection import Selection
from controller_runtime.envtest.status import StatusError, expired
from controller_runtime.envtest.storage import Json, Storage, Stored, Table, TooOld

__all__ = ["Renderer", "Watch"]


class Renderer(Protocol):
    """How objects are written for one watcher."""

    def event(self, stored: Stored) -> bytes: ...
    def bookmark(self, stored: Stored) -> bytes:
        """An object that has nothing but a resourceVersion, and perhaps annotations."""
        ...


_NOWHERE: Final = ObjectKey("", "")
_INITIAL_EVENTS_END: Final = {"k8s.io/initial-events-end": "true"}


@final
class Watch:
    """One watch.

    Args:
        render: how an object is written for this watcher.
        initial: what to tell first, as ADDED.
        after: changes after this version follow.
        api_version: of the bookmarks' objects.
        announce_end: whether the initial objects end with a bookmark that says so.

    failure: what the watch ends with at once, after its initial objects.

    A history that does not reach back to `after` is such a failure (410): a real server has answered with 200 by then.
    """

    def __init__(
        self,
        storage: Storage,
        table: Table,
        selection: Selection,
        render: Renderer,
        *,
        after: int,
        initial: Iterable[Stored] = (),
        announce_end: bool = False,
        failure: StatusError | None = None,
        api_version: str,
        kind: str,
    ) -> None:
        self._failure = failure
        try:
            self._position = table.position_after(after)
        except TooOld:
            self._position = table.end
            self._failure = _too_old(after, table)
        self._storage = storage
        self._table = table
        self._selection = selection
        self._render = render
        self._kind = (api_version, kind)
        self._after = self._version = after
        self._pending: list[bytes] = [_line(b"ADDED", render.event(stored)) for stored in initial]
        if announce_end:
            self._pending.append(self._bookmark(_INITIAL_EVENTS_END))
        self.ended = False

    def listen(self, listener: Callable[[], None]) -> None:
        self._table.listeners[listener] = None

    def unlisten(self, listener: Callable[[], None]) -> None:
        self._table.listeners.pop(listener, None)

    def expire(self) -> None:
        """End with the error 410, whatever the history holds."""
        self._failure = _too_old(self._version, self._table)

    def pull(self, *, news: bool = True) -> list[bytes]:
        """Return the lines that are due; without `news` only the initial ones.

        `ended` is true after a line that reports an error, and if the kind is gone.
        """
        lines, self._pending = self._pending, []
        if self.ended:
            return lines
        if self._failure is not None:
            self.ended = True
            return [*lines, _error(self._failure)]
        if not news:
            return lines
        self.ended = self._table.dropped  # what happened before that, all its objects' ends, is still told
        if self._position == self._table.end:
            return lines
        selects_all = self._selection.by_key_only and not self._selection.namespace and not self._selection.name
        matches = self._selection.matches
        try:
            for change in self._table.changes_from(self._position):
                if change.version <= self._after:
                    continue  # the client has asked for what comes after a version that is not reached yet
                self._version = change.version
                new, old = change.new, change.old
                after = new is not None and (selects_all or matches(new))
                before = old is not None and (selects_all or matches(old))
                if after and new is not None:
                    lines.append(_line(b"MODIFIED" if before else b"ADDED", self._render.event(new)))
                elif before:
                    lines.append(_line(b"DELETED", self._render.event(change.last)))
        except TooOld:
            self.ended = True
            lines.append(_error(_too_old(self._version, self._table)))
        self._position = self._table.end
        return lines

    def bookmark(self) -> bytes:
        """A line that tells how far this watch has come; call it only when nothing is left to pull."""
        self._version = max(self._after, self._storage.version)
        return self._bookmark({})

    def _bookmark(self, annotations: dict[str, str]) -> bytes:
        api_version, kind = self._kind
        metadata: Json = {"resourceVersion": str(self._version)}
        if annotations:
            metadata["annotations"] = annotations
        obj = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
        return _line(b"BOOKMARK", self._render.bookmark(Stored(_NOWHERE, obj, self._version)))


def _too_old(version: int, table: Table) -> StatusError:
    return expired(f"too old resource version: {version} ({table.forgotten})")


def _error(failure: StatusError) -> bytes:
    return _line(b"ERROR", orjson.dumps(failure.body()))


def _line(event: bytes, obj: bytes) -> bytes:
    return b'{"type":"' + event + b'","object":' + obj + b"}"
