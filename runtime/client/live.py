"""A client that asks the API server for everything.

Guarantees: an object handed out is private to the caller; a write is sent at most once unless the server has refused it
before doing anything (`RetryPolicy`); an update sends only what changed; a list reads every page.

Concurrency: may be shared by any number of tasks of one event loop; it holds no state but what discovery found.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from typing import Any, Final, TypeVar, overload

import msgspec

from controller_runtime.api.meta import Object, decode, encode, to_builtins
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.client.discovery import Discovery
from controller_runtime.client.errors import (
    NotFound,
    error_from_response,
    error_from_status,
)
from controller_runtime.client.interface import FieldValidation, Kind, Preconditions, Propagation, WatchEvent
from controller_runtime.client.metrics import ClientMetrics
from controller_runtime.client.objects import Untyped, apply_body, as_object, key_of, resource_of
from controller_runtime.client.paging import read_all
from controller_runtime.client.patch import APPLY, MERGE_PATCH, Patch
from controller_runtime.client.ratelimit import RateLimit
from controller_runtime.client.retry import RetryPolicy
from controller_runtime.client.sender import Sender
from controller_runtime.client.serverwarnings import ServerWarnings
from controller_runtime.client.transport import Request, Transport
from controller_runtime.client.update import update_body
from controller_runtime.client.wire import decode_event, selection
from controller_runtime.client.writeoptions import WriteOptions

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
        rate_limit: how fast requests may be sent; None, the default, leaves that to the server, which knows better (its
            priority and fairness answers with 429). May be shared by clients.
        timeout: seconds for one attempt of a request.
        chance: random numbers in [0, 1) for jitter.
        on_warning: called once with each text that the server warns with (a deprecated API, a dropped field).
    """

    def __init__(
        self,
        transport: Transport,
        *,
        field_manager: str,
        metrics: ClientMetrics | None = None,
        retries: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        rate_limit: RateLimit | None = None,
        timeout: float = 30.0,
        chance: Callable[[], float] = random.random,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self._options = WriteOptions(field_manager)
        self._sender = Sender(
            transport=transport,
            metrics=metrics,
            retries=retries,
            rate_limit=rate_limit,
            timeout=timeout,
            chance=chance,
            warned=ServerWarnings(on_warning) if on_warning is not None else None,
        )
        self._discovery = Discovery(transport)

    @property
    def live(self) -> LiveClient:
        return self

    @property
    def field_manager(self) -> str:
        return self._options.field_manager

    @property
    def dry_run(self) -> bool:
        """Whether the server is asked to check all writes and carry out none."""
        return self._options.dry_run

    def with_options(
        self,
        *,
        field_manager: str | None = None,
        dry_run: bool = False,
        field_validation: FieldValidation | None = None,
    ) -> LiveClient:
        client = copy(self)
        client._options = WriteOptions(
            field_manager=self._options.field_manager if field_manager is None else field_manager,
            dry_run=self._options.dry_run or dry_run,
            field_validation=field_validation or self._options.field_validation,
        )
        return client

    @property
    def transport(self) -> Transport:
        """What carries the bytes, for requests that are about no object, e.g. through a service's proxy."""
        return self._sender.transport

    @property
    def metrics(self) -> ClientMetrics | None:
        return self._sender.metrics

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
        items = await read_all(self._sender.send, resource_of(kind), namespace, labels)
        objects: Any = [as_object(kind, bytes(item)) for item in items]
        objects.sort(key=key_of)
        return objects  # type: ignore[no-any-return]  # one of the two, as the overloads say

    # Writes

    async def create(self, obj: T) -> T:
        resource = obj.resource
        request = Request(
            method="POST",
            path=resource.path(obj.metadata.namespace),
            params=self._options.params(),
            body=encode(obj),
            content_type=_JSON,
        )
        return as_object(type(obj), await self._sender.send(request))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        body = update_body(obj, subresource)
        if body is None:
            if self._sender.metrics is not None:
                self._sender.metrics.suppressed(str(obj.resource), "update")
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
        return as_object(kind, await self._patch(resource_of(kind), key, patch, subresource, self._options.params()))

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
        return await self._patch(
            resource, key, Patch(APPLY, body), subresource, self._options.apply_params(force=force)
        )

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
        """Like `delete`; returns the server's answer (see `controller_runtime.client.deletion`)."""
        body = self._options.delete_body(grace_period, preconditions, propagation)
        return await self._object("DELETE", resource_of(kind), key, body=body, content_type=_JSON)

    async def delete_all_of(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        grace_period: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        resource = resource_of(kind)
        if resource.namespaced and not namespace:
            msg = f"delete all {resource}: a namespace is missing; the server empties one at a time"
            raise ValueError(msg)
        request = Request(
            method="DELETE",
            path=resource.path(namespace),
            params=selection(labels),
            body=self._options.delete_body(grace_period, None, propagation),
            content_type=_JSON,
        )
        await self._sender.send(request)

    # Subresources that are objects of their own

    @overload
    async def get_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: type[T]) -> T: ...
    @overload
    async def get_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: Resource) -> Untyped: ...
    async def get_subresource(
        self, kind: Kind, key: ObjectKey, subresource: str, body: type[T] | Resource
    ) -> T | Untyped:
        return as_object(body, await self._object("GET", resource_of(kind), key, subresource))

    @overload
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: T) -> T: ...
    @overload
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: Untyped) -> Untyped: ...
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: T | Untyped) -> T | Untyped:
        whole = to_builtins(body)
        metadata = {"name": key.name, **({"namespace": key.namespace} if key.namespace else {})}
        whole["metadata"] = {**metadata, **(whole.get("metadata") or {})}
        raw = await self._object(
            "POST",
            resource_of(kind),
            key,
            subresource,
            params=self._options.params(),
            body=encode(whole),
            content_type=_JSON,
        )
        answer: Untyped = msgspec.json.decode(raw, type=dict)
        if answer.get("kind") == "Status":  # "done", and nothing more to tell
            return body
        return as_object(type(body), raw) if isinstance(body, Object) else answer

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
        async with self._sender.transport.stream(request) as stream:
            if stream.status != 200:
                raise error_from_response(stream.status, stream.headers, await stream.read())
            events = _events(kind, stream.lines())
            try:
                yield events
            finally:
                await events.aclose()

    # Requests

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
        return await self._sender.send(Request(method=method, path=resource.path(*key, subresource), **rest))


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
