"""The reflector: decides how to mirror one collection of an API server into a store. A pure state machine.

It does no I/O and reads no clock of its own. A shell (`controller_runtime.cache.listwatch`) carries out the action it asks
for, tells what came of it, and gets the next action:

    Phase       action      what follows
    STREAMING   OpenWatch   initial events, then the end marker: WATCHING on the same stream; refused: LISTING
    LISTING     FetchPage   the next page; after the last one WATCHING
    WATCHING    OpenWatch   ended: WATCHING again; failed: WATCHING or STREAMING after a Wait

Guarantees (the facts behind them: Kubernetes API concepts, "Efficient detection of changes", and client-go's reflector):

- The collection is read first as a stream of initial events, and as a paged list where the server cannot do that.
- A watch that ends, or whose connection breaks, is opened again at once from the last version: never a new list, never
  sooner than a second after the last opening. One that ends within a second without any event counts as a failure.
- A version that is too old (410) costs one back-off and a new list, at the last version first: only if that is refused
  too, the server is asked for its latest state, which is expensive for it.
- The last version moves only with events that are in order: the initial events of a watch are not.
- Failures back off with jitter; overload (429) and a missing connection never cause a list where a watch was to come.

Concurrency: synchronous; calls from one task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol, final

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.backoff import Backoff
from controller_runtime.cache.meta import Entry
from controller_runtime.client.errors import (
    ApiError,
    ClientError,
    Expired,
    TooManyRequests,
    TransportError,
)
from controller_runtime.client.versions import compare_versions
from controller_runtime.client.wire import PAGE_SIZE

__all__ = ["Action", "FetchPage", "OpenWatch", "Phase", "Reflector", "Sink", "Wait"]

_WATCH_SECONDS: Final = 300.0  # the server ends a watch after this, up to twice this
_SHORT: Final = 1.0  # a watch shorter than this is suspicious
_PATIENCE: Final = 60.0  # the longest wait that a server may ask for


class Phase(Enum):
    """What the reflector is about."""

    STREAMING = "streaming"
    """reading the collection as the initial events of a watch"""
    LISTING = "listing"
    """reading the collection page by page"""
    WATCHING = "watching"
    """following changes"""


@dataclass(frozen=True, slots=True)
class FetchPage:
    """Fetch one page of the list: answer with `page()` or `failed()`.

    Args:
        version: the version the list must not be older than; empty for the latest, `"0"` for any.
        limit: objects per page; 0 for all at once, which lets the server answer from its watch cache.
        token: where to go on; then the version is the token's.
    """

    version: str
    limit: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class OpenWatch:
    """Open a watch: answer with `opened()`, then with one call per event, then with `ended()`; or with `failed()`.

    Args:
        initial: ask for the whole collection first.
        seconds: after how long the server is to end it.
    """

    version: str
    initial: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Let `seconds` pass, then call `resume()`."""

    seconds: float


Action = FetchPage | OpenWatch | Wait


class Sink(Protocol):
    """Where the mirrored state goes."""

    def replace(self, entries: Sequence[Entry], version: str, *, rewound: bool) -> None: ...
    def put(self, entry: Entry) -> None: ...
    def remove(self, entry: Entry) -> None: ...
    def advance(self, version: str) -> None: ...
    def bookmark(self, version: str) -> None: ...


@final
class Reflector:
    """See the module docstring.

    Args:
        sink: takes the state.
        now: the loop's time.
        chance: random numbers in [0, 1).
    """

    def __init__(self, sink: Sink, *, now: Callable[[], float], chance: Callable[[], float]) -> None:
        self._sink = sink
        self._now = now
        self._chance = chance
        self._backoff = Backoff()
        self._after_expiry = Backoff()
        self.phase = Phase.STREAMING
        self.version = ""
        """The last version known to be complete; empty at first."""
        self.failure: ClientError | None = None
        """Why the mirror is not up to date, or None."""
        self.failing_since: float | None = None
        self._refused = False  # the server has refused the last version: ask for its latest state
        self._unpageable = False  # an answer for "any version" came in pages: the server has no watch cache
        self._entries: list[Entry] = []
        self._list: FetchPage | None = None
        self._list_version = ""
        self._initial: dict[ObjectKey, Entry] = {}
        self._opened_at = 0.0
        self._events = 0
        self._in_order = False
        self._next: Callable[[], Action] = self._stream_list

    # What the shell tells

    def start(self) -> Action:
        """Begin, or begin again, with reading the whole collection."""
        return self._stream_list()

    def resume(self) -> Action:
        """The wait is over."""
        return self._next()

    def page(self, entries: Sequence[Entry], version: str, token: str) -> Action:
        """A page of the list has come.

        Args:
            version: the list's version.
            token: where to go on, or empty.
        """
        assert self._list is not None  # noqa: S101 - pages come only in answer to FetchPage
        self._entries += entries
        self._list_version = self._list_version or version
        if token:
            if token == self._list.token:
                return self.failed(ClientError("the server repeats its continue token"))
            self._unpageable = self._unpageable or self._list.version == "0"
            self._list = FetchPage(self._list.version, PAGE_SIZE, token)
            return self._list
        # The latest state cannot be older than what we have seen, unless the server was set back.
        rewound = self._list.version == "" and (compare_versions(self._list_version, self.version) or 0) < 0
        self._complete(self._entries, self._list_version, rewound=rewound)
        return self._watch()

    def opened(self) -> None:
        """The watch is open."""
        self._opened_at = self._now()
        self._events = 0
        if self.phase is Phase.WATCHING:
            self._healthy()

    def changed(self, entry: Entry, *, added: bool) -> None:
        """The watch reports an object that was added (also: an initial one) or modified."""
        self._events += 1
        if self.phase is Phase.STREAMING:
            self._initial[entry.key] = entry
            return
        self._sink.put(entry)
        if self._in_order or not added:
            self._in_order = True
            self._move(entry.meta.resource_version)

    def deleted(self, entry: Entry) -> None:
        """The watch reports an object that is gone, with its final state."""
        self._events += 1
        if self.phase is Phase.STREAMING:
            self._initial.pop(entry.key, None)
            return
        self._sink.remove(entry)
        self._in_order = True
        self._move(entry.meta.resource_version)

    def bookmark(self, version: str, *, initial_events_end: bool) -> None:
        """The watch reports that nothing older than `version` is to come."""
        self._events += 1
        if self.phase is not Phase.STREAMING:
            self._in_order = True
            self.version = version
            self._sink.bookmark(version)
        elif initial_events_end:
            entries, self._initial = list(self._initial.values()), {}
            rewound = self._refused and (compare_versions(version, self.version) or 0) < 0
            self._complete(entries, version, rewound=rewound)
            self.phase = Phase.WATCHING
            self._in_order = True
            self._healthy()

    def ended(self, error: TransportError | None = None) -> Action:
        """The open watch has ended: cleanly, or because its connection broke or fell silent."""
        lasted = self._now() - self._opened_at
        if self.phase is Phase.STREAMING:
            # The server, or something between it and us, cannot keep up such a stream: read pages this time.
            return self._after_backoff(
                error or ClientError("the server ended the watch before the last initial event"), self._fetch_list
            )
        if lasted < _SHORT and not self._events:
            return self._after_backoff(error or ClientError("the server ended the watch at once"), self._stream_list)
        return self._watch() if lasted >= _SHORT else self._pause(_SHORT - lasted, self._watch)

    def failed(self, error: ClientError) -> Action:
        """The last action failed, or the open watch reported an error."""
        match self.phase:
            case Phase.STREAMING:
                return self._streaming_failed(error)
            case Phase.LISTING:
                return self._listing_failed(error)
            case Phase.WATCHING:
                if isinstance(error, Expired):
                    # The server is there and answers: only a repetition of this very answer is a reason to wait for long.
                    return self._after_backoff(error, self._stream_list, self._after_expiry)
                # A new list cannot help against overload or a missing connection.
                again = isinstance(error, (TooManyRequests, TransportError))
                return self._after_backoff(error, self._watch if again else self._stream_list)

    # What follows

    def _stream_list(self) -> Action:
        self.phase = Phase.STREAMING
        self._drop_partial()
        return OpenWatch("" if self._refused else self.version, True, self._watch_seconds())

    def _fetch_list(self) -> Action:
        self.phase = Phase.LISTING
        self._drop_partial()
        version = "" if self._refused else self.version or "0"
        paged = version in ("", "0") or self._unpageable
        self._list = FetchPage(version, PAGE_SIZE if paged else 0)
        return self._list

    def _watch(self) -> Action:
        self.phase = Phase.WATCHING
        self._in_order = self.version not in ("", "0")
        return OpenWatch(self.version, False, self._watch_seconds())

    def _streaming_failed(self, error: ClientError) -> Action:
        if isinstance(error, (TooManyRequests, TransportError)):
            return self._after_backoff(error, self._stream_list)
        if _refuses_version(error) and not self._refused:
            self._refused = True
            return self._stream_list()
        return self._fetch_list()

    def _listing_failed(self, error: ClientError) -> Action:
        assert self._list is not None  # noqa: S101 - a list is under way
        if isinstance(error, Expired) and self._list.token:
            # The snapshot that the token names is gone: read all at once instead of pages that do not fit together.
            self._drop_partial()
            self._list = FetchPage(self._list.version, 0)
            return self._list
        if _refuses_version(error) and not self._refused:
            self._refused = True
            return self._fetch_list()
        again = self._fetch_list if isinstance(error, (TooManyRequests, TransportError)) else self._stream_list
        return self._after_backoff(error, again)

    def _after_backoff(self, error: ClientError, then: Callable[[], Action], backoff: Backoff | None = None) -> Action:
        self._drop_partial()
        if self.failing_since is None:
            self.failing_since = self._now()
        self.failure = error
        asked = error.retry_after if isinstance(error, ApiError) else None
        delay = (backoff or self._backoff).delay(self._now(), self._chance())
        return self._pause(max(delay, min(asked or 0.0, _PATIENCE)), then)

    def _pause(self, seconds: float, then: Callable[[], Action]) -> Action:
        self._next = then
        return Wait(seconds)

    def _drop_partial(self) -> None:
        """Forget what came of a collection before its reading broke off: it would be a copy of the store for nothing."""
        self._entries, self._list_version, self._initial = [], "", {}

    def _complete(self, entries: Sequence[Entry], version: str, *, rewound: bool) -> None:
        self._refused = False
        self._entries, self._list = [], None
        self._sink.replace(entries, version, rewound=rewound)
        self.version = version

    def _move(self, version: str) -> None:
        self.version = version
        self._sink.advance(version)

    def _healthy(self) -> None:
        self.failure = None
        self.failing_since = None

    def _watch_seconds(self) -> int:
        return int(_WATCH_SECONDS * (1 + self._chance()))

    def __repr__(self) -> str:
        failing = f" failing: {self.failure}" if self.failure is not None else ""
        return f"<Reflector {self.phase.name} version={self.version or '-'}{failing}>"


def _refuses_version(error: ClientError) -> bool:
    """Return whether the server cannot serve the version asked for: it is too old, or newer than the server's own."""
    if isinstance(error, Expired):
        return True
    if not isinstance(error, ApiError):
        return False
    return "Too large resource version" in error.message or any(
        cause.reason == "ResourceVersionTooLarge" for cause in error.causes
    )
