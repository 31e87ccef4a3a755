"""What a reconciler is given and what it may answer.

A reconciler is one coroutine function of a `Context` and a `Request`. It is called again whenever something it watches
changes, never twice at the same time for the same key, and brings the world one step nearer to what the object says. It
returns None when there is nothing more to do, or a `Requeue`; an exception means "failed, try again with back-off".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from controller_runtime.api.meta import Object
from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.interface import Client
from controller_runtime.clock import Clock

__all__ = ["Context", "EventRecorder", "Logger", "Reconciler", "Request", "Requeue", "TerminalError"]


class Logger(Protocol):
    """The part of structlog's bound logger that this project uses. Keys are lower case and stable."""

    def bind(self, **values: Any) -> Logger: ...
    def debug(self, event: str, **values: Any) -> Any: ...
    def info(self, event: str, **values: Any) -> Any: ...
    def warning(self, event: str, **values: Any) -> Any: ...
    def error(self, event: str, **values: Any) -> Any: ...


class EventRecorder(Protocol):
    """Writes Kubernetes Events, for `kubectl describe`. Never blocks and never raises: an Event is best effort."""

    def normal(self, regarding: Object, reason: str, message: str) -> None: ...
    def warning(self, regarding: Object, reason: str, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One key to reconcile.

    Attributes:
        id: names this run in the logs.
        attempt: failed runs of this key in a row before this one.
    """

    key: ObjectKey
    id: str = ""
    attempt: int = 0

    @property
    def namespace(self) -> str:
        return self.key.namespace

    @property
    def name(self) -> str:
        return self.key.name


@dataclass(frozen=True, slots=True)
class Context:
    """What a reconciler works with. `log` already carries the controller, the key and the run's id."""

    client: Client
    clock: Clock
    log: Logger
    events: EventRecorder


@dataclass(frozen=True, slots=True)
class Requeue:
    """Run again: after `after` seconds, or with the key's back-off if `after` is None.

    A delay forgets earlier failures of the key; back-off counts one more.
    """

    after: float | None = None
    priority: int | None = None


Reconciler = Callable[[Context, Request], Awaitable[Requeue | None]]


class TerminalError(Exception):
    """Raised by a reconciler: trying again cannot help, so the key waits for its next event."""
