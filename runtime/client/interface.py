"""What a client can do, as protocols: reconcilers depend on these, tests may fake them.

Two implementations: `LiveClient` asks the API server for everything; `CachedClient` answers reads from the shared cache
and hands what it wrote back to it, so that a reconcile that follows a write sees it.

A *kind* is either a typed class (`Pod`), and then objects are instances of it, or a `Resource`, and then objects are
plain dicts. Every object handed out is private to the caller. All calls raise the errors of
`controller_runtime.client.errors`; cancelling one leaves open whether the server has carried it out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar, overload

from controller_runtime.api.meta import Object
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.client.patch import Patch

__all__ = [
    "Client",
    "FieldValidation",
    "Kind",
    "Preconditions",
    "Propagation",
    "Reader",
    "SubresourceClient",
    "Untyped",
    "WatchEvent",
    "Writer",
]

T = TypeVar("T", bound=Object)
O_co = TypeVar("O_co", covariant=True)

Untyped = dict[str, Any]
Kind = type[Object] | Resource
Propagation = Literal["Background", "Foreground", "Orphan"]
FieldValidation = Literal["Ignore", "Warn", "Strict"]


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[O_co]):
    """One event of a raw watch: `ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK` (then only metadata is meaningful)."""

    type: str
    object: O_co


@dataclass(frozen=True, slots=True)
class Preconditions:
    """A delete happens only if these still hold; else the server answers Conflict."""

    uid: str = ""
    resource_version: str = ""


class Reader(Protocol):
    """Reads; from a cache these return at once and cost no request."""

    @overload
    async def get(self, kind: type[T], key: ObjectKey) -> T: ...
    @overload
    async def get(self, kind: Resource, key: ObjectKey) -> Untyped: ...
    async def get(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped:
        """Return one object.

        Raises:
            NotFound: there is none of that name.
            NotCached: (cached reads) nobody declared this kind or namespace.
        """
        ...

    @overload
    async def find(self, kind: type[T], key: ObjectKey) -> T | None: ...
    @overload
    async def find(self, kind: Resource, key: ObjectKey) -> Untyped | None: ...
    async def find(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped | None:
        """Like `get`, with None for an object that does not exist."""
        ...

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
        """Return all matching objects, sorted by namespace and name.

        Args:
            namespace: empty for all namespaces.
            labels: a label selector.
            index: (cached reads only) name and value of an index that was declared for the kind.
        """
        ...


class Writer(Protocol):
    """Writes; they always go to the API server."""

    async def create(self, obj: T) -> T:
        """Create `obj` and return what the server made of it.

        Raises:
            AlreadyExists: an object of that name exists.
            Invalid: the object breaks the schema or a rule.
        """
        ...

    async def update(self, obj: T, *, subresource: str = "") -> T:
        """Send what changed in `obj` since it was read, with its resourceVersion as precondition.

        Sends nothing, and returns `obj`, if nothing changed. Fields that the type does not know survive.

        Raises:
            Conflict: the object has changed since it was read.
            ValueError: `obj` was not read from a server or a cache.
        """
        ...

    async def update_status(self, obj: T) -> T:
        """Like `update`, of the status subresource: only the status is compared and sent."""
        ...

    @overload
    async def patch(self, kind: type[T], key: ObjectKey, patch: Patch, *, subresource: str = "") -> T: ...
    @overload
    async def patch(self, kind: Resource, key: ObjectKey, patch: Patch, *, subresource: str = "") -> Untyped: ...
    async def patch(
        self, kind: type[T] | Resource, key: ObjectKey, patch: Patch, *, subresource: str = ""
    ) -> T | Untyped:
        """Send a merge or JSON patch as it is."""
        ...

    @overload
    async def apply(self, obj: T, *, force: bool = True, subresource: str = "") -> T: ...
    @overload
    async def apply(self, obj: Untyped, *, force: bool = True, subresource: str = "") -> Untyped: ...
    async def apply(self, obj: T | Untyped, *, force: bool = True, subresource: str = "") -> T | Untyped:
        """Make it so: a server-side apply with this client's field manager, creating the object if needed.

        A cached client sends nothing, and returns the cached object, when this field manager has already applied the
        same content and the cached object still contains it. In doubt it sends.

        Raises:
            Conflict: another manager owns a field (only with `force=False`), or a given resourceVersion is stale.
        """
        ...

    async def delete(
        self,
        kind: Kind,
        key: ObjectKey,
        *,
        grace_period: int | None = None,
        preconditions: Preconditions | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Ask the server to delete an object; finalizers and the grace period (seconds) may delay the end.

        Of a cached client, the next read finds the object with its deletionTimestamp, or, if the server answered that it is
        gone, not at all.

        Raises:
            NotFound: there is none of that name.
            Conflict: a precondition does not hold.
        """
        ...

    async def delete_all_of(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        grace_period: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Ask the server, in one request, to delete all objects of a kind that match; in one namespace, if it has any.

        Raises:
            ValueError: the kind has namespaces and none is given.
        """
        ...


class SubresourceClient(Protocol):
    """Subresources whose bodies are objects of their own kind: a scale, an eviction, a token. They are never cached.

    Those that are a part of the object itself, like its status, are a parameter of the ordinary calls. A change of a scale
    is a patch of its `Resource`, so that the answer is untyped: `client.patch(Deployment.resource, ..., subresource="scale")`.
    """

    @overload
    async def get_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: type[T]) -> T: ...
    @overload
    async def get_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: Resource) -> Untyped: ...
    async def get_subresource(
        self, kind: Kind, key: ObjectKey, subresource: str, body: type[T] | Resource
    ) -> T | Untyped:
        """Return the subresource of one object, e.g. its `scale`.

        Args:
            kind: of the object.
            body: the kind of the subresource.
        """
        ...

    @overload
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: T) -> T: ...
    @overload
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: Untyped) -> Untyped: ...
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: T | Untyped) -> T | Untyped:
        """Send `body` to the subresource of one object, e.g. an `eviction`; its name is the object's if it has none.

        Returns what the server answered; `body` itself if that is no more than a success.

        Raises:
            TooManyRequests: (evictions) a disruption budget forbids it now.
        """
        ...


class Client(Reader, Writer, SubresourceClient, Protocol):
    """All of it. `live` reads past the cache (of a live client it is the client itself)."""

    def with_options(
        self,
        *,
        field_manager: str | None = None,
        dry_run: bool = False,
        field_validation: FieldValidation | None = None,
    ) -> Client:
        """Return a client that asks for something else with its writes, and shares everything else with this one.

        Args:
            field_manager: the name under which fields are recorded; the same one if it is left out.
            dry_run: the server checks all writes and carries out none. This cannot be undone.
            field_validation: what the server does about unknown and duplicate fields of a create, update or patch.
        """
        ...

    @property
    def live(self) -> Client: ...

    @property
    def field_manager(self) -> str: ...

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
        """Open one raw watch; leaving the context closes it. It ends when the server ends it: informers go on by themselves."""
        ...
