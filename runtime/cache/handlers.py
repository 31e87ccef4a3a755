"""The handlers of one informer: who is told of changes, and who wants to hear of everything again from time to time.

A resync re-tells what the store holds, as an `updated` event whose `old` and `new` are the same; it never asks the server,
and it repairs nothing that the cache has missed (the cache misses nothing: see the reflector). It is for reconcilers that
compare the cluster with something outside of it. Only handlers that asked for it hear it.

Concurrency: for one event loop. Handlers are called synchronously, in the order of the changes; what one raises is counted
and logged, and harms nobody else.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final, final

from controller_runtime.cache.events import CacheEvent
from controller_runtime.cache.observe import Logger, Statistics
from controller_runtime.cache.store import Store

__all__ = ["Handler", "Handlers", "Registration"]

Handler = Callable[[CacheEvent], None]

_SHORTEST: Final = 1.0
_SPREAD: Final = 0.1  # periods differ by up to this part, so that the resyncs of many kinds drift apart
_BURST: Final = 128  # events told in one turn of the loop


@final
class Registration:
    """One handler of an informer. Made by `Informer.add_handler`."""

    def __init__(self, handlers: Handlers, handler: Handler, resync: float) -> None:
        self._handlers = handlers
        self.handler = handler
        self.resync = resync
        self.due: float | None = None

    @property
    def synced(self) -> bool:
        """Whether the handler has been told of everything that was there at first."""
        return self._handlers.synced.is_set()

    async def wait_synced(self) -> None:
        await self._handlers.synced.wait()

    def remove(self) -> None:
        """Call the handler no more. Idempotent."""
        self._handlers.remove(self)


@final
class Handlers:
    """See the module docstring.

    Args:
        name: of the informer, for logs.
        synced: set when the informer is.
        emptied: called when the last handler has been removed.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        *,
        synced: asyncio.Event,
        statistics: Statistics,
        log: Logger,
        emptied: Callable[[], None],
    ) -> None:
        self.synced = synced
        self._name = name
        self._store = store
        self._statistics = statistics
        self._log = log
        self._emptied = emptied
        self._registrations: tuple[Registration, ...] = ()
        self._asked = asyncio.Event()  # for a resync, by a new handler

    def __len__(self) -> int:
        return len(self._registrations)

    def add(self, handler: Handler, resync: float) -> Registration:
        if resync and resync < _SHORTEST:
            msg = f"a resync every {resync} s is too often: at least {_SHORTEST:g} s, or 0 for none"
            raise ValueError(msg)
        registration = Registration(self, handler, resync)
        for entry in list(self._store):
            self._call(registration, CacheEvent("added", entry.key, entry, None, initial=True))
        self._registrations += (registration,)
        if resync:
            self._asked.set()
        return registration

    def remove(self, registration: Registration) -> None:
        if registration in self._registrations:
            self._registrations = tuple(other for other in self._registrations if other is not registration)
            if not self._registrations:
                self._emptied()

    def tell(self, event: CacheEvent) -> None:
        for registration in self._registrations:
            self._call(registration, event)

    async def run_resyncs(self) -> None:
        """Re-tell the store to those who asked for it, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._asked.clear()
            for registration in self._registrations:
                if registration.resync and registration.due is None:
                    factor = 1 + _SPREAD * (2 * random.random() - 1)  # noqa: S311 - jitter
                    registration.due = loop.time() + registration.resync * factor
            waiting = [registration for registration in self._registrations if registration.due is not None]
            try:
                async with asyncio.timeout_at(min((one.due for one in waiting if one.due is not None), default=None)):
                    await self._asked.wait()
            except TimeoutError:
                now = loop.time()
                for registration in waiting:
                    if registration.due is not None and registration.due <= now:
                        registration.due = None
                        await self._resync(registration)

    async def _resync(self, registration: Registration) -> None:
        if not self.synced.is_set():
            return
        for position, key in enumerate([entry.key for entry in self._store]):
            if registration not in self._registrations:
                return
            entry = self._store.get(key)  # it may have changed, or gone, while others had their turn
            if entry is not None:
                self._call(registration, CacheEvent("updated", key, entry, entry))
            if position % _BURST == _BURST - 1:
                await asyncio.sleep(0)

    def _call(self, registration: Registration, event: CacheEvent) -> None:
        try:
            registration.handler(event)
        except Exception as error:  # noqa: BLE001 - one handler's defect must not cost the others their events
            self._statistics.handler_errors += 1
            self._log.error(
                "handler failed", resource=self._name, key=str(event.key), change=event.type, exc_info=error
            )
