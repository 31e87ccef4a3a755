"""A client that asks the API server for everything.

Guarantees: an object handed out is private to the caller; a write is sent at most once unless the server has refused it
before doing anything (`RetryPolicy`); an update sends only what changed; a list reads every page.

Concurrency: may be shared by any number of tasks of one event loop; it holds no state but what discovery found.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar, overload

from controller_runtime.api.meta import Object, decode, encode
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.client.discovery import Discovery
from controller_runtime.client.errors import (
    NotFound,
    TransportError,
    error_from_response,
    error_from_status,
)
from controller_runtime.client.interface import Kind, Preconditions, Propagation, WatchEvent
from controller_runtime.client.metrics import ClientMetrics
from controller_runtime.client.objects import Untyped, apply_body, as_object, key_of, resource_of
from controller_runtime.client.paging import read_all
from controller_runtime.client.patch import APPLY, MERGE_PATCH, Patch
from controller_runtime.client.retry import RetryPolicy
from controller_runtime.client.transport import Request, Response, Transport
from controller_runtime.client.update import update_body
from controller_runtime.client.wire import decode_event, selection

__all__ = ["LiveClient"]

T = TypeVar("T", bound=Object)

_JSON: Final = "application/json"
_WATCH_SILENCE: Final = 90.0  # bookmarks come once a minute


class LiveClient:
    """See the module docstring; it satisfies `controller_runtime.client.interface.Client`.

    Args:
        transport: carries the bytes; it stays the caller's to close.
        field_manager: the name under which this program's fields are recorded.
        retries: which requests are repeated.
        timeout: seconds for one attempt of a request.
        chance: random numbers in [0, 1) for jitter.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        field_manager: str,
        metrics: ClientMetrics | None = None,
        retries: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        timeout: float = 30.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._field_manager = field_manager
        self._metrics = metrics
        self._retries = retries
        self._timeout = timeout
        self._chance = chance
        self._discovery = Discovery(transport)

    @property
    def live(self) -> LiveClient:
        return self

    @property
    def field_manager(self) -> str:
        return self._field_manager

    @property
    def transport(self) -> Transport:
        """What carries the bytes, for requests that are about no object, e.g. through a service's proxy."""
        return self._transport

    @property
    def metrics(self) -> ClientMetrics | None:
        return self._metrics

    # Reads

    @overload
    async def get(self, kind: type[T], key: ObjectKey) -> T: ...
    @overload
    async def get(self, kind: Resource, key: ObjectKey) -> Untyped: ...
    async def get(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped:
        return as_object(kind, await self._object("GET", resource_of(kind), key))

    @overload
    async def find(self, kind: type[T], key: ObjectKey) -> T | None: ...
    @overload
    async def find(self, kind: Resource, key: ObjectKey) -> Untyped | None: ...
    async def find(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped | None:
        try:
            return await self.get(kind, key)
        except NotFound:
            return None

    @overload
    async def list(
        self,
        kind: type[T],
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[T]: ...
    @overload
    async def list(
        self,
        kind: Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[Untyped]: ...
    async def list(
        self,
        kind: type[T] | Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[T] | list[Untyped]:
        if index is not None:
            msg = f"index {index[0]!r}: only a cache has indexes; read through the cached client"
            raise ValueError(msg)
        items = await read_all(self._send, resource_of(kind), namespace, labels)
        objects: Any = [as_object(kind, bytes(item)) for item in items]
        objects.sort(key=key_of)
        return objects  # type: ignore[no-any-return]  # one of the two, as the overloads say

    # Writes

    async def create(self, obj: T) -> T:
        resource = obj.resource
        request = Request(
            method="POST",
            path=resource.path(obj.metadata.namespace),
            params=self._manager(),
            body=encode(obj),
            content_type=_JSON,
        )
        return as_object(type(obj), await self._send(request))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        body = update_body(obj, subresource)
        if body is None:
            if self._metrics is not None:
                self._metrics.suppressed(str(obj.resource), "update")
            return obj
        return await self.patch(type(obj), obj.key, Patch(MERGE_PATCH, body), subresource=subresource)

    async def update_status(self, obj: T) -> T:
        return await self.update(obj, subresource="status")

    @overload
    async def patch(self, kind: type[T], key: ObjectKey, patch: Patch, *, subresource: str = "") -> T: ...
    @overload
    async def patch(self, kind: Resource, key: ObjectKey, patch: Patch, *, subresource: str = "") -> Untyped: ...
    async def patch(
        self, kind: type[T] | Resource, key: ObjectKey, patch: Patch, *, subresource: str = ""
    ) -> T | Untyped:
        return as_object(kind, await self._patch(resource_of(kind), key, patch, subresource, self._manager()))

    @overload
    async def apply(self, obj: T, *, force: bool = True, subresource: str = "") -> T: ...
    @overload
    async def apply(self, obj: Untyped, *, force: bool = True, subresource: str = "") -> Untyped: ...
    async def apply(self, obj: T | Untyped, *, force: bool = True, subresource: str = "") -> T | Untyped:
        resource = await self.resource_of_object(obj)
        raw = await self.apply_raw(resource, key_of(obj), encode(apply_body(obj, subresource)), force, subresource)
        return as_object(type(obj), raw) if isinstance(obj, Object) else as_object(resource, raw)

    async def apply_raw(self, resource: Resource, key: ObjectKey, body: bytes, force: bool, subresource: str) -> bytes:
        """Send an apply whose body is ready, and return the object's JSON."""
        params = (*self._manager(), ("force", "true" if force else "false"))
        return await self._patch(resource, key, Patch(APPLY, body), subresource, params)

    async def resource_of_object(self, obj: Object | Untyped) -> Resource:
        """Return the resource of an object; that of an untyped one is asked from the server, once."""
        return obj.resource if isinstance(obj, Object) else await self._discovery.resource_of(obj)

    async def delete(
        self,
        kind: Kind,
        key: ObjectKey,
        *,
        grace_period: int | None = None,
        preconditions: Preconditions | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        await self.delete_raw(kind, key, grace_period, preconditions, propagation)

    async def delete_raw(
        self,
        kind: Kind,
        key: ObjectKey,
        grace_period: int | None = None,
        preconditions: Preconditions | None = None,
        propagation: Propagation | None = None,
    ) -> bytes:
        """Like `delete`; returns the server's answer: the object as it is now if it is still there, else a Status."""
        options: Untyped = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if preconditions is not None:
            required = {"uid": preconditions.uid, "resourceVersion": preconditions.resource_version}
            options["preconditions"] = {name: value for name, value in required.items() if value}
        return await self._object("DELETE", resource_of(kind), key, body=encode(options), content_type=_JSON)

    # Watches

    @overload
    def watch(
        self, kind: type[T], *, namespace: str = "", labels: Selector | None = None, resource_version: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent[T]]]: ...
    @overload
    def watch(
        self, kind: Resource, *, namespace: str = "", labels: Selector | None = None, resource_version: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent[Untyped]]]: ...
    def watch(
        self,
        kind: type[T] | Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        resource_version: str = "",
    ) -> (
        AbstractAsyncContextManager[AsyncIterator[WatchEvent[T]]]
        | AbstractAsyncContextManager[AsyncIterator[WatchEvent[Untyped]]]
    ):
        params = [("watch", "true"), ("allowWatchBookmarks", "true"), *selection(labels)]
        if resource_version:
            params.append(("resourceVersion", resource_version))
        request = Request(method="GET", path=resource_of(kind).path(namespace), params=params, timeout=_WATCH_SILENCE)
        return self._watch(kind, request)

    @asynccontextmanager
    async def _watch(self, kind: Any, request: Request) -> AsyncIterator[AsyncIterator[WatchEvent[Any]]]:
        async with self._transport.stream(request) as stream:
            if stream.status != 200:
                raise error_from_response(stream.status, stream.headers, await stream.read())
            events = _events(kind, stream.lines())
            try:
                yield events
            finally:
                await events.aclose()

    # Requests

    def _manager(self) -> tuple[tuple[str, str], ...]:
        return (("fieldManager", self._field_manager),)

    async def _patch(
        self,
        resource: Resource,
        key: ObjectKey,
        patch: Patch,
        subresource: str,
        params: Sequence[tuple[str, str]],
    ) -> bytes:
        return await self._object(
            "PATCH", resource, key, subresource, params=params, body=patch.body, content_type=patch.content_type
        )

    async def _object(
        self, method: str, resource: Resource, key: ObjectKey, subresource: str = "", **rest: Any
    ) -> bytes:
        """Send a request about one object."""
        if not key.name or (resource.namespaced and not key.namespace):
            # Without a name the path is the collection's: a delete of it would empty it.
            msg = f"{method} {resource}: {'an object needs a name' if not key.name else 'a namespace is missing'}"
            raise ValueError(msg)
        return await self._send(Request(method=method, path=resource.path(*key, subresource), **rest))

    async def _send(self, request: Request) -> bytes:
        """Send a request, again if the policy says so, and return the body of a good answer."""
        request = replace(request, timeout=self._timeout)
        attempt = 0
        while True:
            attempt += 1
            failure: Response | TransportError
            try:
                failure = await self._transport.request(request)
                if failure.status < 300:
                    return failure.body
            except TransportError as error:
                failure = error
            delay = self._retries.delay(request.method, attempt, failure, self._chance())
            if delay is None:
                if isinstance(failure, TransportError):
                    raise failure
                raise error_from_response(failure.status, failure.headers, failure.body)
            if self._metrics is not None:
                code = failure.status if isinstance(failure, Response) else None
                self._metrics.retried(getattr(self._transport, "host", ""), request.method, code)
            await asyncio.sleep(delay)


async def _events(kind: Any, lines: AsyncIterator[bytes]) -> AsyncGenerator[WatchEvent[Any], None]:
    async for line in lines:
        if not line:
            continue
        event = decode_event(resource_of(kind), line)
        raw = bytes(event.object)
        if event.type == "ERROR":
            raise error_from_status(raw)
        # A bookmark carries a resourceVersion and may lack what the type requires.
        bookmark = event.type == "BOOKMARK" and not isinstance(kind, Resource)
        yield WatchEvent(event.type, decode(Object, raw) if bookmark else as_object(kind, raw))
