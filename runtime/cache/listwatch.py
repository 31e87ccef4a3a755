"""The shell around a reflector: lists and watches one collection over a transport, as the reflector says.

Guarantees: it runs until it is cancelled, whatever the server or the network does; no connection is left open; a watch
that is silent for longer than bookmarks allow is given up; a burst of events does not starve the other tasks of the loop;
it reads a whole collection only while it has its turn.
What goes wrong is counted each time and logged once: when it begins, when it becomes something else, and when it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, final

import msgspec

from controller_runtime.api.resource import Resource
from controller_runtime.cache.meta import Entry, EntryDecoder, TransformError
from controller_runtime.cache.observe import Logger, Statistics
from controller_runtime.cache.reflector import Action, FetchPage, OpenWatch, Phase, Reflector, Wait
from controller_runtime.cache.scope import Scope
from controller_runtime.cache.turns import Turn
from controller_runtime.client.errors import (
    ClientError,
    DecodeError,
    TransportError,
    error_from_response,
    error_from_status,
)
from controller_runtime.client.transport import Request, Transport
from controller_runtime.client.wire import decode_event, decode_page, selection
from controller_runtime.clock import Clock

__all__ = ["ListWatch"]

SILENCE: Final = 90.0
"""Seconds without any line after which a watch is taken for dead; bookmarks come about once a minute."""

_LIST_TIMEOUT: Final = 120.0
_BURST: Final = 128  # events handled in one turn of the loop
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


@final
class ListWatch:
    """See the module docstring.

    Args:
        namespace: empty for all namespaces.
        scope: says what to select.
        decoder: makes entries.
        turn: to read a whole collection.
        reflector: decides; its sink takes the state.
        statistics: counts.
    """

    def __init__(
        self,
        transport: Transport,
        resource: Resource,
        *,
        namespace: str,
        scope: Scope,
        decoder: EntryDecoder,
        turn: Turn,
        reflector: Reflector,
        statistics: Statistics,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._transport = transport
        self._resource = resource
        self._path = resource.path(namespace)
        self._selection = selection(scope.labels, str(scope.fields or ""))
        self._decoder = decoder
        self._turn = turn
        self._reflector = reflector
        self._statistics = statistics
        self._clock = clock
        self._log = log
        self._reported = ""

    async def run(self) -> None:
        """Mirror the collection until cancelled."""
        action = self._reflector.start()
        try:
            while True:
                try:
                    action = await self._perform(action)
                except ClientError as error:
                    action = self._reflector.failed(error)
                except Exception as error:  # noqa: BLE001 - a defect must not end the watch: the cache would go stale unnoticed
                    self._log.error("informer failed unexpectedly", resource=str(self._resource), exc_info=error)
                    action = self._reflector.failed(ClientError(f"unexpected {type(error).__name__}: {error}"))
                self._report(action)
        finally:
            self._turn.give_back()

    async def _perform(self, action: Action) -> Action:
        match action:
            case Wait():
                self._turn.give_back()
                await asyncio.sleep(action.seconds)
                return self._reflector.resume()
            case FetchPage():
                await self._turn.take()
                return await self._fetch(action)
            case OpenWatch():
                if action.initial:
                    await self._turn.take()
                else:
                    self._turn.give_back()
                return await self._follow(action)

    async def _fetch(self, page: FetchPage) -> Action:
        params = list(self._selection)
        if page.limit:
            params.append(("limit", str(page.limit)))
        if page.token:
            params.append(("continue", page.token))
        elif page.version:
            params += [("resourceVersion", page.version), ("resourceVersionMatch", "NotOlderThan")]
        response = await self._transport.request(
            Request(
                method="GET",
                path=self._path,
                params=params,
                accept=_METADATA_LIST if self._decoder.metadata_only else "application/json",
                timeout=_LIST_TIMEOUT,
            )
        )
        if response.status != 200:
            raise error_from_response(response.status, response.headers, response.body)
        listed = decode_page(self._resource, response.body)
        entries: list[Entry] = []
        for position, raw in enumerate(listed.items or ()):
            entry, kept_out = self._entry(raw)
            if entry is not None and not kept_out:
                entries.append(entry)
            if position % _BURST == _BURST - 1:
                await asyncio.sleep(0)
        if not listed.continue_:
            self._statistics.lists += 1
        return self._reflector.page(entries, listed.resource_version, listed.continue_)

    async def _follow(self, watch: OpenWatch) -> Action:
        params = [*self._selection, ("watch", "true"), ("allowWatchBookmarks", "true")]
        if watch.initial:
            params += [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]
        if watch.version:
            params.append(("resourceVersion", watch.version))
        params.append(("timeoutSeconds", str(watch.seconds)))
        request = Request(
            method="GET",
            path=self._path,
            params=params,
            accept=_METADATA if self._decoder.metadata_only else "application/json",
            timeout=SILENCE,
        )
        async with self._transport.stream(request) as stream:
            if stream.status != 200:
                raise error_from_response(stream.status, stream.headers, await stream.read())
            self._statistics.watches += 1
            self._reflector.opened()
            self._report(watch)
            lines = stream.lines()
            try:
                return await self._read(lines)
            except TransportError as error:
                return self._reflector.ended(error)
            finally:
                close = getattr(
                    lines, "aclose", None
                )  # of a generator; one that is only dropped closes some time later
                if close is not None:
                    await close()

    async def _read(self, lines: AsyncIterator[bytes]) -> Action:
        handled = 0
        async for line in lines:
            if not line:
                continue
            action = self._event(line)
            if action is not None:
                return action
            handled += 1
            if handled % _BURST == 0:
                await asyncio.sleep(0)
        return self._reflector.ended()

    def _event(self, line: bytes) -> Action | None:
        """Tell the reflector about one line; return what to do next if that ends the watch."""
        event = decode_event(self._resource, line)
        counts = self._statistics.events
        counts[event.type] = counts.get(event.type, 0) + 1
        self._statistics.last_event = self._clock.now()
        match event.type:
            case "ADDED" | "MODIFIED" | "DELETED":
                entry, kept_out = self._entry(event.object)
                if entry is not None and (kept_out or event.type == "DELETED"):
                    self._reflector.deleted(entry)
                elif entry is not None:
                    self._reflector.changed(entry, added=event.type == "ADDED")
            case "BOOKMARK":
                version, end = self._decoder.version(event.object)
                if end and self._reflector.phase is not Phase.WATCHING:
                    self._statistics.lists += 1
                self._reflector.bookmark(version, initial_events_end=end)
                if end:
                    self._turn.give_back()
            case "ERROR":
                return self._reflector.failed(error_from_status(bytes(event.object)))
        return None

    def _entry(self, raw: bytes | msgspec.Raw) -> tuple[Entry | None, bool]:
        """Decode an object, and return whether it must not be kept.

        One that cannot be read is skipped, so that the others get through. One whose transform fails is told as it is: an
        earlier state of it must not stay.
        """
        try:
            return self._decoder.entry(raw), False
        except TransformError as error:
            self._statistics.transform_errors += 1
            self._log.error("object kept out of the cache", resource=str(self._resource), error=str(error))
            return error.entry, True
        except DecodeError as error:
            self._statistics.undecodable += 1
            self._log.error("object skipped", resource=str(self._resource), error=str(error))
            return None, False

    def _report(self, action: Action) -> None:
        """Log how the reflector is doing, if that has changed; count failures, each of which ends in a wait."""
        failure = self._reflector.failure
        if failure is not None and isinstance(action, Wait):
            failures = self._statistics.failures
            failures[type(failure).__name__] = failures.get(type(failure).__name__, 0) + 1
        problem = f"{type(failure).__name__}: {failure}" if failure is not None else ""
        if problem == self._reported:
            return
        if problem:
            self._log.warning("informer cannot follow the server", resource=str(self._resource), error=problem)
        else:
            self._log.info("informer follows the server again", resource=str(self._resource))
        self._reported = problem
